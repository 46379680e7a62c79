//! `verify`: checks that a built site agrees with the evidence, and contains no unfilled placeholder and no secret.
//!
//! With `--evidence` it is the owner's check before publication: on raw evidence, with the search for leaks. Without it,
//! anybody can check what was published: every digest, every verdict that the published evidence supports, and every page,
//! which is made again from the published chapters and evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::path_index::{Leaves, leaves};
use qed_evidence::redact::is_redacted;

use crate::cli::common::{FAILED, GOOD, print, report_bad_input};
use crate::config::Addresses;
use crate::evidence::history::History;
use crate::evidence::sweep_record::SweepRecord;
use crate::evidence::verdict_files::{PublishedClaim, Verdicts};
use crate::publish::leak_check;
use crate::publish::manifest::{self, Manifest};
use crate::publish::quotations::QuotedBlocks;
use crate::publish::regenerate::{PublishedSite, read_published_mentions};
use crate::publish::reproduce::reproduce;
use crate::publish::site_reader::{
    find_innermost_site, nested_sites, read_document, read_evidence, read_evidence_folder,
    read_history, read_investigation, read_sweep, redact_live_evidence,
};
use crate::publish::site_text::SitePage;
use crate::publish::source::BookSource;
use crate::publish::values::{self, SiteFindings};
use crate::util::files::{self, SiteFile};
use crate::util::report::pluralize;
use beside::{CNAME, cname_domain};
use book::compare_with_sources;
use error::VerifyError;

mod beside;
mod book;
mod error;
mod freshness;
mod sweep;

fn report_error(message: String, help: &str) -> u8 {
    report_bad_input(&[Diagnostic::error_without_place(message).help(help)])
}

/// Options of the check of a site.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'o> {
    /// A folder of raw evidence.
    pub evidence: Option<&'o Path>,
    /// The machines whose addresses are searched for, instead of what the manifest says.
    pub addresses: Option<Addresses>,
    /// The folder of the book, if its chapters are available.
    pub book: Option<&'o Path>,
}

/// Run the command.
pub fn run(site: &Path, options: VerifyOptions<'_>) -> u8 {
    if site.is_file() {
        let message = format!("{} is a file", site.display());
        return report_error(
            message,
            "unpack it, and name the folder that holds the pages",
        );
    }
    let mut files = match files::read(site) {
        Ok(files) => files,
        Err(reason) => {
            let message = format!("nothing was verified: {reason}");
            return report_error(message, "name the folder that holds the pages");
        }
    };
    // What a checkout has beside the site.
    let all = files.len();
    files.retain(|file| file.name != ".git" && !file.name.starts_with(".git/"));
    let in_git = all - files.len();
    let domain = cname_domain(&files);
    files.retain(|file| domain.is_none() || file.name != CNAME);
    let raw = match options.evidence.map(read_evidence_folder).transpose() {
        Ok(raw) => raw,
        Err(error) => {
            return report_error(error.to_string(), "say where it is: --evidence FOLDER");
        }
    };
    match check_all(&files, raw, options) {
        Ok(mut found) => {
            if in_git > 0 {
                let files = pluralize(in_git, "file");
                found.notes.push(format!(
                    "{files} in .git, which is not part of the site, not looked at"
                ));
            }
            if let Some(domain) = domain {
                found.notes.push(format!(
                    "{CNAME} says that the site is {domain}; it was added to the site, and holds nothing else"
                ));
            }
            print_findings(&found)
        }
        Err(error) => report_error(
            error.to_string(),
            "say where the evidence is: --evidence FOLDER; `mdbook-qed publish` puts it into the site",
        ),
    }
}

/// Check a site, and each site inside it separately.
fn check_all(
    files: &[SiteFile],
    raw: Option<Vec<Evidence>>,
    options: VerifyOptions<'_>,
) -> Result<SiteFindings, VerifyError> {
    let inside = nested_sites(files);
    if inside.is_empty() {
        return check(files, files, raw, options);
    }
    // A file belongs to the innermost site that contains it.
    let site_of = |name: &str| find_innermost_site(&inside, name);
    let of = |folder: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<SiteFile> {
        let wanted = files.iter().filter(|file| wanted(&file.name));
        let renamed = wanted.map(|file| SiteFile {
            name: file.name[folder.len()..].to_owned(),
            bytes: file.bytes.clone(),
        });
        renamed.collect()
    };
    let outer = of("", &|name| site_of(name).is_empty());
    let mut found = SiteFindings::default();
    if raw.is_some() || outer.iter().any(|file| file.name == manifest::MANIFEST) {
        found = check(files, &outer, raw, options)?;
    }
    for folder in &inside {
        let whole = of(folder, &|name| name.starts_with(folder.as_str()));
        let own = of(folder, &|name| site_of(name) == folder);
        let options = VerifyOptions {
            evidence: None,
            addresses: None,
            book: None,
        };
        let more = check(&whole, &own, None, options).map_err(|error| VerifyError::Inside {
            folder: folder.clone(),
            error: Box::new(error),
        })?;
        found.add(folder, more);
    }
    Ok(found)
}

/// All findings about a site: `all` are its files, `own` those that do not belong to a site inside it. The error is the reason
/// why it cannot be checked.
fn check(
    all: &[SiteFile],
    own: &[SiteFile],
    raw: Option<Vec<Evidence>>,
    options: VerifyOptions<'_>,
) -> Result<SiteFindings, VerifyError> {
    let mut found = SiteFindings::default();
    let manifest: Option<Manifest> = read_document(own, manifest::MANIFEST, &mut found.wrong);
    let addresses = options
        .addresses
        .or(manifest.as_ref().map(|manifest| manifest.addresses))
        .unwrap_or_default();
    let published = read_evidence(own, &mut found.wrong);
    let history = read_history(own, &mut found.wrong);
    let names = own.iter().map(|file| file.name.as_str());
    found.wrong.extend(manifest::unknown_files(names));
    let shown = match &raw {
        Some(raw) => redact_live_evidence(raw, addresses)?,
        None => published.clone(),
    };
    if shown.is_empty() && found.wrong.is_empty() {
        return Err(VerifyError::NoEvidence);
    }
    let checks = match &raw {
        Some(raw) => check_secrets(
            (all, own),
            raw,
            &published,
            &shown,
            addresses,
            history.as_ref(),
            &mut found,
        ),
        None => Vec::new(),
    };
    found.wrong.extend(find_unredacted(&published, addresses));
    match &manifest {
        Some(manifest) => {
            let list = all.iter().map(|f| (f.name.as_str(), f.bytes.as_slice()));
            let wrong = manifest::compare_with_manifest(manifest, list, &published);
            found.wrong.extend(wrong);
        }
        None if published.is_empty() => {}
        None => {
            let missing = format!("{}: it is missing", manifest::MANIFEST);
            found.wrong.push(missing);
        }
    }
    let claims: Option<Vec<PublishedClaim>> =
        read_document(own, manifest::CLAIMS, &mut found.wrong);
    let verdicts: Option<Verdicts> = read_document(own, manifest::VERDICTS, &mut found.wrong);
    if let (Some(claims), Some(verdicts)) = (&claims, &verdicts) {
        rejudge_claims(own, &published, claims, verdicts, &mut found);
        let documents = (published.as_slice(), claims.as_slice());
        freshness::compare(own, documents, raw.as_deref(), options.book, &mut found);
        sweep::check(own, claims, addresses, options.evidence, &mut found);
        if let Some(history) = &history {
            let captures = &history.captures;
            found.wrong.extend(manifest::compare_with_history(
                captures, &published, verdicts,
            ));
        }
    }
    if !published.is_empty() {
        let site = SiteDocuments {
            manifest: manifest.as_ref(),
            evidence: &published,
            claims: claims.as_deref().unwrap_or_default(),
            verdicts: verdicts.clone().unwrap_or_default(),
            history: history.clone().unwrap_or_default(),
            sweep: read_sweep(own, &mut found.wrong),
            addresses,
        };
        reproduce_site(own, &site, options.book, &mut found);
    }
    check_texts(
        own,
        &shown,
        claims.as_deref(),
        verdicts.as_ref(),
        &mut found,
    );
    redact_lines(&checks, &mut found.wrong);
    Ok(found)
}

/// Complaints about published evidence of live machines that is as it was captured.
fn find_unredacted(published: &[Evidence], addresses: Addresses) -> Vec<String> {
    published
        .iter()
        .filter(|evidence| addresses.hides_addresses(evidence) && !is_redacted(evidence))
        .map(|evidence| {
            let name = &evidence.machine.name;
            format!("the published evidence of {name} is not redacted")
        })
        .collect()
}

/// Replace each line that holds what must not be known: the lines go into logs, too.
fn redact_lines(checks: &[leak_check::LeakCheck], lines: &mut [String]) {
    for line in lines {
        if checks.iter().any(|check| check.has_secret(line)) {
            let what = line.split(" shows `").next().unwrap_or_default();
            *line = format!("{what} shows what must not be known");
            if checks.iter().any(|check| check.has_secret(line)) {
                *line = "details suppressed: they contain a secret".into();
            }
        }
    }
}

/// Search all files for secrets of a machine, and compare the published evidence with the captured one.
fn check_secrets(
    (all, own): (&[SiteFile], &[SiteFile]),
    raw: &[Evidence],
    published: &[Evidence],
    shown: &[Evidence],
    addresses: Addresses,
    history: Option<&History>,
    found: &mut SiteFindings,
) -> Vec<leak_check::LeakCheck> {
    // `publish` only permitted numbers in blocks that are in the author's own file.
    let quoted = match BookSource::read(own) {
        Ok(Some(source)) => QuotedBlocks::read(&source, &|_, _| true),
        _ => QuotedBlocks::default(),
    };
    let none = History::default();
    let checks = leak_check::prepare_checks(raw, addresses, history.unwrap_or(&none), &quoted);
    found
        .notes
        .extend(quoted.describe_places().filter(|_| !checks.is_empty()));
    for check in &checks {
        found.notes.push(check.describe());
        for file in all {
            found
                .wrong
                .extend(check.find_leaks(&file.name, &file.bytes));
        }
    }
    for evidence in published {
        let name = &evidence.machine.name;
        if !shown.contains(evidence) {
            found.wrong.push(format!(
                "the published evidence of {name} is not what was captured there, as it may be shown"
            ));
        }
    }
    checks
}

/// The files that a site publishes beside its pages.
struct SiteDocuments<'s> {
    manifest: Option<&'s Manifest>,
    evidence: &'s [Evidence],
    claims: &'s [PublishedClaim],
    verdicts: Verdicts,
    history: History,
    sweep: Option<SweepRecord>,
    addresses: Addresses,
}

/// Make the site again from its sources and compare the two; compare the sources with the book, if it is available.
fn reproduce_site(
    files: &[SiteFile],
    site: &SiteDocuments<'_>,
    book: Option<&Path>,
    found: &mut SiteFindings,
) {
    let source = match BookSource::read(files) {
        Ok(Some(source)) => source,
        Ok(None) => {
            found.wrong.push(format!(
                "{}: it is missing, so nothing can be made again",
                crate::publish::source::BOOK
            ));
            return;
        }
        Err(wrong) => {
            let lines = wrong.iter().map(ToString::to_string);
            found.wrong.extend(lines);
            return;
        }
    };
    let Some((text, investigation)) = read_investigation(files) else {
        return;
    };
    if let Some(root) = book {
        let addresses = site.manifest.map(|manifest| manifest.addresses);
        match compare_with_sources(root, &source, text, addresses) {
            Ok(wrong) => {
                if wrong.is_empty() {
                    let root = root.display();
                    found.notes.push(format!(
                        "the published sources are those of the book in {root}"
                    ));
                }
                found.wrong.extend(wrong);
            }
            Err(error) => found.wrong.push(error.to_string()),
        }
    } else {
        found.notes.push(
            "the chapters are those that the site publishes; --book FOLDER compares them with a book at hand".into(),
        );
    }
    let published = PublishedSite {
        source: &source,
        investigation,
        evidence: site.evidence,
        claims: site.claims,
        verdicts: &site.verdicts,
        history: site.history.clone(),
        sweep: site.sweep.clone(),
        addresses: site.addresses,
    };
    let none = BTreeMap::new();
    let demanded = site.manifest.map_or(&none, |manifest| &manifest.made);
    let again = reproduce(files, published, Some(demanded));
    found.wrong.extend(again.wrong);
    found.notes.extend(again.notes);
}

/// Check every value, verdict and placeholder in the texts of a site, each by itself.
fn check_texts(
    files: &[SiteFile],
    shown: &[Evidence],
    claims: Option<&[PublishedClaim]>,
    verdicts: Option<&Verdicts>,
    found: &mut SiteFindings,
) {
    let mut machines: BTreeMap<String, Vec<Leaves<'_>>> = BTreeMap::new();
    for evidence in shown {
        machines
            .entry(evidence.machine.name.clone())
            .or_default()
            .push(leaves(evidence));
    }
    found.machines = machines.len();
    let mut known = BTreeSet::new();
    // Pages first: they say which placeholders are shown on purpose.
    let mut texts: Vec<&SiteFile> = files
        .iter()
        .filter(|file| values::is_text(&file.name))
        .collect();
    texts.sort_by_key(|file| !file.name.ends_with(".html"));
    for file in texts {
        let text = String::from_utf8_lossy(&file.bytes);
        found.files += 1;
        let page = file.name.ends_with(".html").then(|| SitePage::new(&text));
        values::find_leftovers(&file.name, (&text, page.as_ref()), &mut known, found);
        if let Some(page) = &page {
            values::check_page(&file.name, (&text, page), &machines, verdicts, found);
            if let (Some(claims), Some(verdicts)) = (claims, verdicts) {
                values::check_badges(&file.name, page, &machines, (claims, verdicts), found);
            }
        }
    }
}

/// Judge the published claims on the published evidence.
fn rejudge_claims(
    files: &[SiteFile],
    published: &[Evidence],
    claims: &[PublishedClaim],
    verdicts: &Verdicts,
    found: &mut SiteFindings,
) {
    let name = manifest::INVESTIGATION;
    match read_investigation(files) {
        None if files.iter().any(|file| file.name == name) => {
            found.wrong.push(format!("{name}: it cannot be read"));
        }
        None => found.wrong.push(format!("{name}: it is missing")),
        Some((_, investigation)) => {
            let book_mentions = read_published_mentions(files, claims);
            let again =
                manifest::rejudge(&investigation, published, &book_mentions, claims, verdicts);
            found.wrong.extend(again.wrong);
            found.repeated += again.repeated;
            found.notes.push(format!(
                "judged again from the published evidence: {}; trusted, because values are withheld: {}",
                pluralize(again.repeated, "verdict"),
                pluralize(again.trusted, "verdict")
            ));
        }
    }
}

/// Print the findings and return the exit status.
fn print_findings(found: &SiteFindings) -> u8 {
    for line in &found.wrong {
        print(&format!("{line}\n"));
    }
    for line in &found.notes {
        print(&format!("{line}\n"));
    }
    print(&format!(
        "{}, {} compared with the evidence of {}, {} verdicts and gaps, {} shown on purpose, {} wrong\n",
        pluralize(found.files, "file"),
        pluralize(found.compared, "value"),
        pluralize(found.machines, "machine"),
        found.others,
        pluralize(found.literals, "placeholder"),
        found.wrong.len()
    ));
    if found.wrong.is_empty() && found.compared + found.repeated == 0 {
        return report_error(
            "no value and no verdict was found in the site, so nothing was verified".into(),
            "name the folder that holds the pages",
        );
    }
    if found.wrong.is_empty() { GOOD } else { FAILED }
}
