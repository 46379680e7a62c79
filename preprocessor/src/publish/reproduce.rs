//! Reproduction of a site and comparison with it: `publish` does this before publication, and `verify` afterwards.

use std::collections::{BTreeMap, BTreeSet};

use mdbook_preprocessor::book::Book;

use super::compare::{Expected, SiteComparison, compare, compare_outside, shows_claim};
use super::regenerate::{PublishedSite, RegeneratedSite, regenerate};
use super::search_index;
use super::source::{BOOK, BookSource};
use crate::config::Addresses;
use crate::publish::manifest::{self, FOLDER, Level};
use crate::util::files::SiteFile;
use crate::util::report::pluralize;

/// The most files without a source that a note names.
const NAMED: usize = 4;

/// A site that was made again.
#[derive(Debug, Default)]
pub struct Reproduction {
    /// The level at which each file equals the one that was made again, by its path in the site.
    pub levels: BTreeMap<String, Level>,
    /// Notes on what was compared and what was not, a line each.
    pub notes: Vec<String>,
    /// The problems, a line each.
    pub wrong: Vec<String>,
}

/// The files of a site by where they are: its pages lie in a folder of it, or at its root.
struct SiteFiles<'a> {
    /// The folder of the pages; empty if that is the root.
    folder: &'a str,
    /// The pages and what lies beside them, by the name below the folder.
    pages: Vec<(&'a str, &'a SiteFile)>,
    /// Files outside the folder. Those that this program put into the site are in neither list.
    outside: Vec<&'a SiteFile>,
}

impl<'a> SiteFiles<'a> {
    fn new(files: &'a [SiteFile], folder: &'a str) -> Self {
        let mut site = SiteFiles {
            folder,
            pages: Vec::new(),
            outside: Vec::new(),
        };
        let own = format!("{FOLDER}/");
        for file in files.iter().filter(|file| !file.name.starts_with(&own)) {
            match site.name_in_folder(&file.name) {
                Some(name) => site.pages.push((name, file)),
                None => site.outside.push(file),
            }
        }
        site
    }

    /// The name of a file below the folder of the pages.
    fn name_in_folder<'n>(&self, name: &'n str) -> Option<&'n str> {
        let rest = name.strip_prefix(self.folder)?;
        match self.folder.is_empty() {
            true => Some(rest),
            false => rest.strip_prefix('/'),
        }
    }

    /// The name in the site of a file below the folder.
    fn name_in_site(&self, name: &str) -> String {
        match self.folder {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        }
    }
}

/// Make the site again from what it publishes, and compare it. `demanded` is the level of each file when it was published;
/// without it the levels are determined.
pub fn reproduce(
    files: &[SiteFile],
    published: PublishedSite<'_>,
    demanded: Option<&BTreeMap<String, Level>>,
) -> Reproduction {
    let source = published.source;
    let site = SiteFiles::new(files, &source.about.pages);
    let (told_claims, told_verdicts, told_history) = (
        published.claims.to_vec(),
        published.verdicts.clone(),
        published.history.clone(),
    );
    let mut made = match regenerate(published, &site.pages) {
        Ok(made) => made,
        Err(wrong) => {
            return Reproduction {
                wrong: wrong
                    .iter()
                    .map(|error| with_version(error.to_string(), source))
                    .collect(),
                ..Reproduction::default()
            };
        }
    };
    search_index::adopt_index(&mut made.files, &site.pages);
    let demanded: Option<BTreeMap<String, Level>> = demanded.map(|demanded| {
        let known = demanded.iter();
        known
            .filter_map(|(name, level)| Some((site.name_in_folder(name)?.to_owned(), *level)))
            .collect()
    });
    let pages = chapter_pages(&source.about.book);
    let expected = Expected {
        made: &made.files,
        pages: &pages.values().cloned().collect(),
        demanded: demanded.as_ref(),
    };
    let compared = compare(&expected, &site.pages);
    let outside = compare_outside(&expected, &site.outside);
    let full = |name: &str| site.name_in_site(name);
    let mut out = Reproduction {
        notes: comparison_notes(&compared, &outside, &full),
        levels: compared
            .levels
            .iter()
            .map(|(name, level)| (full(name), *level))
            .collect(),
        wrong: made.wrong.clone(),
    };
    out.notes.extend(
        made.not_covered
            .iter()
            .map(|what| format!("not covered, because the book allows it (`active-html`): {what}")),
    );
    out.wrong
        .extend(compared.wrong.iter().map(|line| full(line)));
    out.wrong.extend(outside.wrong);
    out.wrong
        .extend(claim_differences(&made, &told_claims, &told_verdicts));
    if made.history != told_history {
        out.wrong.push(format!(
            "{}: its entries differ from the captures of the site",
            manifest::HISTORY
        ));
    }
    out.wrong.extend(find_hidden_claims(&made, &pages, &site));
    if !out.wrong.is_empty() && source.about.program != env!("CARGO_PKG_VERSION") {
        out.notes.push(with_version(String::new(), source));
    }
    out
}

/// Complaints about claims that no page of the site shows. `pages` has the pages by chapter.
fn find_hidden_claims(
    made: &RegeneratedSite,
    pages: &BTreeMap<String, String>,
    site: &SiteFiles<'_>,
) -> Vec<String> {
    let by_name: BTreeMap<&str, &SiteFile> = site.pages.iter().copied().collect();
    let mut wrong = Vec::new();
    for claim in &made.claims {
        let page = pages.get(&claim.chapter).cloned().unwrap_or_default();
        let id = format!("claim-{}", claim.id);
        let file = by_name.get(page.as_str());
        if !file.is_some_and(|file| shows_claim(file, &id)) {
            wrong.push(format!(
                "{}: claim `{}` of {} is on no page where a reader could see it",
                site.name_in_site(&page),
                claim.id,
                claim.chapter
            ));
        }
    }
    wrong
}

/// A line, with a word on the program that published the site if that is another version.
fn with_version(line: String, source: &BookSource) -> String {
    let (theirs, ours) = (&source.about.program, env!("CARGO_PKG_VERSION"));
    let note = format!(
        "the site was published by mdbook-qed {theirs}, and this is {ours}, which may write pages differently: verify it with that version"
    );
    match (theirs == ours, line.is_empty()) {
        (true, _) => line,
        (false, true) => note,
        (false, false) => format!("{line} ({note})"),
    }
}

/// The pages of chapters, by the name of the chapter's own file.
fn chapter_pages(book: &Book) -> BTreeMap<String, String> {
    let chapters = book.chapters();
    chapters
        .filter_map(|chapter| {
            let path = chapter.path.as_deref()?;
            let own = chapter.source_path.as_deref().unwrap_or(path);
            let page = path.with_extension("html");
            Some((own.display().to_string(), page.display().to_string()))
        })
        .collect()
}

/// The folders of a site in which the pages of all chapters are, the outermost first.
pub fn page_folders(files: &[SiteFile], book: &Book) -> Vec<String> {
    let pages: BTreeSet<String> = chapter_pages(book).into_values().collect();
    let Some(first) = pages.first() else {
        return Vec::new();
    };
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let ends = |name: &&str| **name == *first || name.ends_with(&format!("/{first}"));
    let mut out: Vec<String> = names
        .iter()
        .filter(|name| ends(name))
        .map(|name| name[..name.len() - first.len()].to_owned())
        .filter(|folder| {
            pages
                .iter()
                .all(|page| names.contains(format!("{folder}{page}").as_str()))
        })
        .map(|folder| folder.trim_end_matches('/').to_owned())
        .collect();
    out.sort_by_key(|folder| (folder.len(), folder.clone()));
    out
}

/// Notes on what was compared, and what was not.
fn comparison_notes(
    compared: &SiteComparison,
    outside: &SiteComparison,
    full: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let count = |wanted: Level| compared.levels.values().filter(|l| **l == wanted).count();
    let mut out = vec![format!(
        "{} made again from the published chapters and evidence: {} whole, {} in the chapter or the search, {} in what was \
         filled in",
        pluralize(compared.levels.len(), "file"),
        count(Level::Whole),
        count(Level::Content),
        count(Level::Fragments),
    )];
    let translated = compared.translated.len() + outside.translated.len();
    if translated > 0 {
        let pages = pluralize(translated, "page");
        out.push(format!(
            "{pages} of a translation show what the chapters show"
        ));
    }
    out.extend(weaker_level_notes(compared, full));
    let mut uncovered: Vec<String> = compared.uncovered.iter().map(|name| full(name)).collect();
    uncovered.extend(outside.uncovered.iter().cloned());
    out.push(
        "on the word of who published it: the words around values, how old evidence was, and which was recorded or out of date"
            .into(),
    );
    let mut added: Vec<String> = compared.added_pages.iter().map(|name| full(name)).collect();
    added.extend(outside.added_pages.iter().cloned());
    if !added.is_empty() {
        // All of them: each may be taken for one of the book's.
        let added = added.join(", ");
        out.push(format!(
            "added pages, which a server may show, which no chapter makes, and of which nothing was compared: {added}"
        ));
    }
    if !uncovered.is_empty() {
        let more = uncovered.len().saturating_sub(NAMED);
        let named = uncovered[..uncovered.len() - more].join(", ");
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        out.push(format!(
            "not covered, because no chapter makes it: {named}{more}"
        ));
    }
    out
}

/// Notes on the pages of which less than the whole is what was made again, with the reason.
fn weaker_level_notes(compared: &SiteComparison, full: &dyn Fn(&str) -> String) -> Vec<String> {
    let of = |wanted: Level| {
        let pages = compared.weaker.iter();
        pages.filter(move |(_, level, _)| *level == wanted)
    };
    let themed: Vec<String> = of(Level::Content).map(|(name, _, _)| full(name)).collect();
    let around = "compared in the chapter alone, because what stands around it is not what mdBook makes (a theme of the book's own?)";
    let mut out = Vec::new();
    if !themed.is_empty() {
        out.push(format!("{around}: {}", themed.join(", ")));
    }
    out.extend(of(Level::Fragments).map(|(name, _, why)| {
        let name = full(name);
        format!("{name}: compared in what was filled in alone, because its other text is not what mdBook makes: {name}:{why}")
    }));
    out
}

/// The differences between published claims and verdicts and those of the chapters.
fn claim_differences(
    made: &RegeneratedSite,
    claims: &[crate::evidence::verdict_files::PublishedClaim],
    verdicts: &crate::evidence::verdict_files::Verdicts,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let by_id = |list: &[crate::evidence::verdict_files::PublishedClaim]| -> BTreeMap<String, crate::evidence::verdict_files::PublishedClaim> {
        list.iter().map(|c| (c.id.clone(), c.clone())).collect()
    };
    let (expected, found) = (by_id(&made.claims), by_id(claims));
    let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for id in ids {
        let name = manifest::CLAIMS;
        match (expected.get(id), found.get(id)) {
            (Some(_), None) => wrong.push(format!(
                "{name}: claim `{id}` is missing, and a chapter makes it"
            )),
            (None, Some(_)) => wrong.push(format!("{name}: no chapter makes claim `{id}`")),
            (Some(expected), Some(found)) if expected != found => wrong.push(format!(
                "{name}: claim `{id}` is {}, and {} makes it {}",
                describe_claim(found),
                expected.chapter,
                describe_claim(expected)
            )),
            _ => {}
        }
    }
    if wrong.is_empty() && made.claims != claims {
        wrong.push(format!(
            "{}: its claims are in another order",
            manifest::CLAIMS
        ));
    }
    let ids: BTreeSet<&String> = made.verdicts.keys().chain(verdicts.keys()).collect();
    for id in ids {
        let (expected, found) = (made.verdicts.get(id), verdicts.get(id));
        if expected == found {
            continue;
        }
        let machines = expected.into_iter().chain(found).flat_map(BTreeMap::keys);
        let differs = |machine: &&String| {
            expected.and_then(|of| of.get(*machine)) != found.and_then(|of| of.get(*machine))
        };
        let on: BTreeSet<&String> = machines.filter(differs).collect();
        let on: Vec<&str> = on.into_iter().map(String::as_str).collect();
        wrong.push(format!(
            "{}: the verdict on `{id}` on {} is not the one that the claim and the evidence make",
            manifest::VERDICTS,
            on.join(", ")
        ));
    }
    wrong
}

/// A claim in one line.
fn describe_claim(claim: &crate::evidence::verdict_files::PublishedClaim) -> String {
    let when = claim.when.as_ref();
    let when = when.map_or_else(String::new, |when| format!(" when `{when}`"));
    let holds = claim.holds.as_ref();
    let holds = holds.map_or_else(String::new, |holds| format!(" holds `{holds}`"));
    let expression = crate::markdown::escape::escape_invisible(&claim.expression);
    format!(
        "`{expression}`{when}{holds}, shown on {} in {}",
        claim.shown, claim.chapter
    )
}

/// The differences between a book on disk and the sources that a site publishes, a line each. `addresses` is what the
/// site's manifest says of them.
pub fn compare_with_book(
    source: &BookSource,
    book: &crate::mdbook::load::LoadedBook,
    templates: &crate::templates::Templates,
    investigation: (&[u8], &[u8]),
    addresses: Option<Addresses>,
) -> Result<Vec<String>, super::source::ChapterError> {
    let mut came = book.book.clone();
    let texts = super::source::take_texts(&mut came)?;
    let mut wrong = Vec::new();
    let own: BTreeMap<String, String> = templates
        .own_templates()
        .map(|(name, text)| (name, text.to_owned()))
        .collect();
    for (folder, ours, theirs) in [
        (super::source::CHAPTERS, &texts, &source.chapters),
        (super::source::TEMPLATES, &own, &source.templates),
    ] {
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            let line = match (ours.get(name), theirs.get(name)) {
                (Some(_), None) => "it is missing, and the book has it".to_owned(),
                (None, Some(_)) => "the book has no such file".to_owned(),
                (Some(ours), Some(theirs)) if ours != theirs => {
                    let same = ours.lines().zip(theirs.lines()).take_while(|(a, b)| a == b);
                    let line = same.count() + 1;
                    format!("it is not what the book has, from line {line} on")
                }
                _ => continue,
            };
            wrong.push(format!("{folder}{name}: {line}"));
        }
    }
    if investigation.0 != investigation.1 {
        wrong.push(format!(
            "{}: it is not what the book has",
            manifest::INVESTIGATION
        ));
    }
    for (what, same) in [
        ("the list of chapters", came == source.about.book),
        ("settings of mdBook", book.settings == source.about.settings),
        (
            "the machines",
            book.config.machines == source.about.machines,
        ),
        ("the titles of pages", book.titles == source.about.titles),
        (
            "`active-html`",
            book.config.active_html == source.about.active_html,
        ),
        ("`on-stale`", book.config.on_stale == source.about.on_stale),
    ] {
        if !same {
            wrong.push(format!("{BOOK}: {what}: not what the book has"));
        }
    }
    if addresses.is_some_and(|addresses| addresses != book.config.addresses) {
        let name = manifest::MANIFEST;
        wrong.push(format!("{name}: `addresses`: not what the book has"));
    }
    Ok(wrong)
}
