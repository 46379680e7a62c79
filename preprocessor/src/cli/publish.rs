//! `publish`: adds to a built site the files that are needed to check its pages. It refuses if a secret of a live machine got
//! into the site, or if the pages are not those that the book makes.

use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::{Diagnostic, Severity};
use qed_evidence::freshness::StaleReason;
use qed_evidence::redact::is_redacted;
use qed_evidence::{Evidence, reader};

use crate::claims::sweep::sweep_state;
use crate::cli::common::{
    BAD_INPUT, FAILED, GOOD, find_book_folder, print, report_bad_input, with_book,
};
use crate::config::{Config, OnMissing, evidence_file_name};
use crate::evidence::book_data::BookData;
use crate::evidence::history::History;
use crate::evidence::loader;
use crate::evidence::locations::{HISTORY, Origin};
use crate::evidence::sweep_record::LoadedSweep;
use crate::evidence::verdict_files::{PublishedClaim, Verdicts};
use crate::exhibits::block::Target;
use crate::markdown::chapter::Chapter;
use crate::mdbook::load::LoadedBook;
use crate::publish::manifest::to_json;
use crate::publish::quotations::QuotedBlocks;
use crate::publish::regenerate::PublishedSite;
use crate::publish::reproduce::{Reproduction, page_folders, reproduce};
use crate::publish::site_reader::{find_innermost_site, nested_sites};
use crate::publish::source::{BookRecord, BookSource, EvidenceState, take_texts};
use crate::publish::{age, builder_folders, leak_check, manifest};
use crate::render::book::FilledBook;
use crate::util::files;
use crate::util::files::SiteFile;
use crate::util::parallel::Parallelism;
use crate::util::report::pluralize;
use error::PublishError;

mod error;

/// Run the command. `root` is the folder of the book; without it, the book is looked for.
pub fn run(root: Option<&Path>, site: &Path) -> u8 {
    let root = match root {
        Some(root) => root.to_owned(),
        None => match find_book(site) {
            Some(root) => root,
            None => {
                let message = format!("there is no book here, and none above {}", site.display());
                return report_bad_input(&[Diagnostic::error_without_place(message)
                    .help("name the folder that holds its book.toml with --book")]);
            }
        },
    };
    with_book(&root, Parallelism::default(), |book, book_data| {
        publish(book, book_data, site)
    })
}

/// The folder of the book that the site in `site` was probably built from: this one; else the nearest one above the site; else the
/// nearest one above this folder. Whether it was is found out later.
fn find_book(site: &Path) -> Option<PathBuf> {
    let has_book = |folder: &Path| folder.join("book.toml").is_file();
    let here = PathBuf::from(".");
    if has_book(&here) {
        return Some(here);
    }
    let whole = std::path::absolute(site).ok();
    let above_site = whole
        .as_deref()
        .and_then(|site| site.ancestors().find(|folder| has_book(folder)));
    match above_site {
        Some(folder) => {
            let current = std::env::current_dir().unwrap_or_default();
            let shown = folder.strip_prefix(current).unwrap_or(folder);
            print(&format!("the book is that in {}\n", shown.display()));
            Some(folder.to_owned())
        }
        None => Some(find_book_folder(here)).filter(|folder| has_book(folder)),
    }
}

fn publish(book: &LoadedBook, book_data: &BookData<'_>, site: &Path) -> u8 {
    let outcome = crate::render::book::fill_all(&book.chapters, book_data, Target::Html);
    let active = book
        .chapters
        .iter()
        .any(|chapter| !chapter.active.is_empty());
    if outcome.report.has_errors() || active && !book.config.active_html {
        let mut report = outcome.report;
        for problem in &mut report.problems {
            let is_active = |chapter: &Chapter| chapter.active.contains(problem);
            if book.chapters.iter().any(is_active) {
                problem.severity = Severity::Error;
            }
        }
        crate::mdbook::build::finish_report(&mut report, &book.paths);
        crate::util::report::print_diagnostics(&report.problems);
        return if report.false_claim {
            FAILED
        } else {
            BAD_INPUT
        };
    }
    let resumed = find_resumed(&book.config, book_data);
    if resumed.iter().any(|one| one.severity == Severity::Error) {
        return report_bad_input(&resumed);
    }
    crate::util::report::print_diagnostics(&resumed);
    write_site(book, book_data, &outcome, site).unwrap_or_else(|error| {
        report_bad_input(&[Diagnostic::error_without_place(error.to_string())])
    })
}

/// The evidence of resumed guests with which the book itself is content. `verify` is not: it takes it for out of date, and does what
/// the book says of that.
fn find_resumed(config: &Config, book_data: &BookData<'_>) -> Vec<Diagnostic> {
    let loaded = book_data.evidence_set.loaded.iter();
    // Of a book that boots its guests, the pages say so.
    let loaded = loaded.filter(|_| !config.boots_guests());
    let problems = loaded.filter_map(|loaded| {
        let booted = loaded.evidence.machine.resumed.clone()?;
        let message = format!(
            "the evidence of {} is none to publish: {}",
            loaded.machine,
            StaleReason::Resumed { booted }
        );
        let problem = Diagnostic::error_without_place(message).help(
            "`verify` takes it for out of date: run `qed-collector capture --guests cold`, build, and publish again",
        );
        Some(match config.on_stale {
            OnMissing::Error => problem,
            OnMissing::Show => problem.warning(),
        })
    });
    problems.collect()
}

/// The files that are published beside the pages.
struct SiteExtras {
    investigation: Vec<u8>,
    claims: Vec<PublishedClaim>,
    verdicts: Verdicts,
    history: History,
    sweep: Option<LoadedSweep>,
    source: BookSource,
}

/// Everything of the book that goes out with its pages; the folder of the pages is still open.
fn collect_extras(
    book: &LoadedBook,
    book_data: &BookData<'_>,
    outcome: &FilledBook,
    pages: &[SiteFile],
) -> Result<SiteExtras, PublishError> {
    let investigation = book
        .config
        .investigation
        .as_ref()
        .ok_or(PublishError::NoInvestigation)?;
    let investigation = files::read_file(&book.paths.root.join(investigation))
        .map_err(PublishError::InvestigationFile)?;
    let (claims, verdicts) = manifest::collect_claims(book_data, &outcome.claims);
    let mut came = book.book.clone();
    let chapters = take_texts(&mut came).map_err(PublishError::Chapter)?;
    let machines = book.config.machines.clone();
    let mut about = BookRecord::new(String::new(), book.settings.clone(), machines, came);
    about.titles = book.titles.clone();
    about.on_stale = book.config.on_stale;
    about.active_html = book.config.active_html;
    about.states = evidence_states(book_data, pages);
    let swept = book_data
        .evidence_set
        .sweep
        .as_ref()
        .map(|sweep| sweep_state(sweep, &outcome.claims));
    about.sweep = swept.unwrap_or_default();
    about.rendered = book
        .apply_other_preprocessors(&outcome.texts)
        .map_err(|error| PublishError::Rendered(error.message))?;
    let own = book_data.evidence_set.templates.own_templates();
    Ok(SiteExtras {
        investigation,
        claims,
        verdicts,
        history: crate::claims::history::record_captures(book_data, &outcome.claims),
        sweep: book_data.evidence_set.sweep.clone(),
        source: BookSource {
            about,
            chapters,
            templates: own.map(|(name, text)| (name, text.to_owned())).collect(),
        },
    })
}

/// The statements of the pages about each machine's evidence: ages are those of the build.
fn evidence_states(
    book_data: &BookData<'_>,
    pages: &[SiteFile],
) -> std::collections::BTreeMap<String, EvidenceState> {
    let mut html: Vec<&SiteFile> = pages.iter().filter(|f| f.name.ends_with(".html")).collect();
    // Short pages say it, too.
    html.sort_by_key(|page| page.bytes.len());
    let ages = age::read_ages(
        &html,
        book_data
            .evidence_set
            .loaded
            .iter()
            .map(|loaded| &loaded.evidence),
    );
    let state = |loaded: &loader::MachineEvidence| EvidenceState {
        recorded: loaded.origin == Origin::Recorded,
        judged_before: loaded.raw.exists() || loaded.verdicts.is_some(),
        stale: loaded.stale.clone(),
        not_compared: loaded.not_compared.clone(),
        age_s: loaded
            .age_s
            .map(|now| ages.get(&loaded.machine).copied().unwrap_or(now)),
    };
    let machines = book_data.evidence_set.loaded.iter();
    machines
        .map(|loaded| (loaded.machine.clone(), state(loaded)))
        .collect()
}

/// Write the published files into the site, replacing those of an earlier run.
fn write_extras(
    site: &Path,
    book_data: &BookData<'_>,
    extras: &SiteExtras,
) -> Result<(), PublishError> {
    let mut out = vec![
        (
            manifest::INVESTIGATION.to_owned(),
            extras.investigation.clone(),
        ),
        (manifest::CLAIMS.to_owned(), to_json(&extras.claims)?),
        (manifest::VERDICTS.to_owned(), to_json(&extras.verdicts)?),
        (manifest::HISTORY.to_owned(), to_json(&extras.history)?),
    ];
    if let Some(sweep) = &extras.sweep {
        out.push((manifest::SWEEP.to_owned(), to_json(&sweep.record)?));
    }
    out.extend(extras.source.files()?);
    for loaded in &book_data.evidence_set.loaded {
        let name = format!(
            "{}/{}",
            manifest::EVIDENCE,
            evidence_file_name(&loaded.machine)
        );
        let text = reader::write(&loaded.evidence)?;
        out.push((name, text.into_bytes()));
    }
    let folder = site.join(manifest::FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| PublishError::Replace {
            path: folder.clone(),
            error,
        })?;
    }
    for (name, bytes) in &out {
        let path = site.join(name);
        let parent = path.parent().unwrap_or(site);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| PublishError::Write { path, error })?;
    }
    Ok(())
}

/// Make the site again from the published files, as a verifier will. Return the folder of the pages: the first one whose
/// pages are those that the book makes.
fn check_reproducible(
    pages: &[SiteFile],
    book_data: &BookData<'_>,
    extras: &mut SiteExtras,
    addresses: crate::config::Addresses,
) -> Result<Reproduction, PublishError> {
    let folders = page_folders(pages, &extras.source.about.book);
    let evidence: Vec<Evidence> = book_data
        .evidence_set
        .loaded
        .iter()
        .map(|l| l.evidence.clone())
        .collect();
    let name = manifest::INVESTIGATION;
    let text = String::from_utf8_lossy(&extras.investigation).into_owned();
    let mut first = None;
    for folder in &folders {
        extras.source.about.pages.clone_from(folder);
        let investigation = qed_evidence::investigation::parse(name, &text)
            .map_err(|_| PublishError::Investigation)?;
        let published = PublishedSite {
            source: &extras.source,
            investigation,
            evidence: &evidence,
            claims: &extras.claims,
            verdicts: &extras.verdicts,
            history: extras.history.clone(),
            sweep: extras.sweep.as_ref().map(|sweep| sweep.record.clone()),
            addresses,
        };
        let done = reproduce(pages, published, None);
        if done.wrong.is_empty() {
            return Ok(done);
        }
        first.get_or_insert((folder.clone(), done));
    }
    let (folder, done) = first.ok_or(PublishError::OtherPages)?;
    extras.source.about.pages = folder;
    Ok(done)
}

fn write_site(
    book: &LoadedBook,
    book_data: &BookData<'_>,
    outcome: &FilledBook,
    site: &Path,
) -> Result<u8, PublishError> {
    let pages = files::read(site).map_err(PublishError::Pages)?;
    if !pages.iter().any(|file| file.name.ends_with(".html")) {
        return Err(PublishError::NoPage(site.to_owned()));
    }
    let mut extras = collect_extras(book, book_data, outcome, &pages)?;
    // The pages of a site inside this one are those of another book, or were compared when that site was published.
    let nested = nested_sites(&pages);
    let own: Vec<SiteFile> = pages
        .into_iter()
        .filter(|file| find_innermost_site(&nested, &file.name).is_empty())
        .collect();
    let rehearsed = check_reproducible(&own, book_data, &mut extras, book.config.addresses)?;
    write_extras(site, book_data, &extras)?;
    let all = files::read(site)?;
    let manifest = manifest::build_manifest(
        all.iter().map(|f| (f.name.as_str(), f.bytes.as_slice())),
        book_data
            .evidence_set
            .loaded
            .iter()
            .map(|loaded| &loaded.evidence),
        book.config.addresses,
        rehearsed.levels.clone(),
    );
    let text = to_json(&manifest)?;
    let digest = crate::util::digest::sha256_hex(&text);
    let bad = find_leaks(book, book_data, &extras, &all);
    let mut refused = !bad.is_empty();
    for line in &bad {
        print(&format!("{line}\n"));
    }
    if bad.is_empty() && !rehearsed.wrong.is_empty() {
        refused = true;
        print_differences(&rehearsed, (site, &own), &extras.source.about.pages);
    }
    if refused {
        // Nothing that must not go out may look as if it were ready.
        print("the site must not be published\n");
        return Ok(FAILED);
    }
    std::fs::write(site.join(manifest::MANIFEST), text).map_err(|error| PublishError::Write {
        path: manifest::MANIFEST.into(),
        error,
    })?;
    for loaded in &book_data.evidence_set.loaded {
        if let Some(reasons) = loaded.stale_text() {
            let machine = &loaded.machine;
            print(&format!(
                "the evidence of {machine} is out of date, and the pages say so: {reasons}\n"
            ));
        }
    }
    save_history(&book.paths.root, &extras.history)?;
    for folder in &nested {
        print(&format!(
            "{folder} is a site of its own: it is sealed with this one, so publish this one again after each change of it\n"
        ));
    }
    for note in &rehearsed.notes {
        print(&format!("{note}\n"));
    }
    let redacted = book_data.evidence_set.loaded.iter();
    let redacted = redacted.filter(|l| is_redacted(&l.evidence)).count();
    print(&format!(
        "{} sealed with {} and the evidence of {}, {redacted} of them redacted\nsha256 of {}: {digest}\n",
        pluralize(manifest.files.len(), "file"),
        pluralize(extras.claims.len(), "claim"),
        pluralize(book_data.evidence_set.loaded.len(), "machine"),
        manifest::MANIFEST,
    ));
    Ok(GOOD)
}

/// Say in what the pages of a site are not those that the book makes. `folder` is the folder of its pages.
fn print_differences(rehearsed: &Reproduction, (site, pages): (&Path, &[SiteFile]), folder: &str) {
    for line in &rehearsed.wrong {
        print(&format!("{line}\n"));
    }
    for other in other_builds(pages, folder) {
        if rehearsed.wrong.iter().any(|line| line.starts_with(&other)) {
            print(&format!(
                "{other} looks like the site of another book: publish that first, `mdbook-qed publish {} --book BOOK`\n",
                site.join(&other).display()
            ));
        }
    }
    print(
        "the pages are not what the book and its evidence make now: build it again, then publish\n",
    );
}

/// The folders beside the book's pages that hold what mdBook makes of another book.
fn other_builds(files: &[SiteFile], pages: &str) -> Vec<String> {
    let folders = files
        .iter()
        .filter_map(|file| file.name.strip_suffix("404.html"));
    let folders = folders.filter(|folder| {
        let index = format!("{folder}index.html");
        !folder.is_empty()
            && folder.trim_end_matches('/') != pages
            && files.iter().any(|file| file.name == index)
    });
    folders.map(str::to_owned).collect()
}

/// Save the history of captures, which the next build continues. The site is complete without it.
fn save_history(root: &Path, history: &History) -> Result<(), PublishError> {
    let text = to_json(history)?;
    if let Err(error) = crate::util::state::write(&root.join(HISTORY), &[&text]) {
        let message = format!(
            "{HISTORY} cannot be written: {error}; the site is sealed, but the next build of this book will not know these \
             captures"
        );
        let help = format!(
            "copy `{}` of the site to {HISTORY} before the next build",
            manifest::HISTORY
        );
        let problem = Diagnostic::error_without_place(message).help(help);
        crate::util::report::print_diagnostics(&[problem.warning()]);
    }
    Ok(())
}

/// Every leak in the files that go out, a line each.
fn find_leaks(
    book: &LoadedBook,
    book_data: &BookData<'_>,
    extras: &SiteExtras,
    all: &[SiteFile],
) -> Vec<String> {
    let raw = |loaded: &loader::MachineEvidence| loaded.raw.for_searching(&loaded.evidence).clone();
    let raw: Vec<Evidence> = book_data.evidence_set.loaded.iter().map(raw).collect();
    let src = book.paths.root.join(&book.paths.src);
    // What another preprocessor wrote, it may have measured.
    let is_authors = |file: &str, block: &str| {
        let text = files::read_text(&src.join(file)).unwrap_or_default();
        text.replace("\r\n", "\n")
            .contains(&block.replace("\r\n", "\n"))
    };
    let quoted = QuotedBlocks::read(&extras.source, &is_authors);
    let checks = leak_check::prepare_checks(&raw, book.config.addresses, &extras.history, &quoted);
    if let Some(note) = quoted.describe_places().filter(|_| !checks.is_empty()) {
        print(&format!("{note}\n"));
    }
    let mut leaks = Vec::new();
    for check in checks {
        print(&format!("{}\n", check.describe()));
        for file in all {
            leaks.extend(check.find_leaks(&file.name, &file.bytes));
        }
    }
    let home = std::env::home_dir();
    let root = std::path::absolute(&book.paths.root);
    let root = root.as_deref().unwrap_or(&book.paths.root);
    let folders = builder_folders::builder_folders(home.as_deref(), root);
    leaks.extend(builder_folders::find_builder_folders(&folders, all));
    leaks
}
