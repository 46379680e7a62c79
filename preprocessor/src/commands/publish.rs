//! `publish`: puts beside the pages of a built site what it takes to check them, and refuses to if an address got out.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::redact::is_redacted;
use qed_evidence::{Evidence, reader};
use serde::Serialize;

use super::{BAD_INPUT, FAILED, GOOD, print, refuse, with_book};
use crate::config::evidence_file;
use crate::facts::Facts;
use crate::fill::Target;
use crate::history;
use crate::load::Loaded;
use crate::report::counted;
use crate::{files, leak, sealed, store};

fn complain(message: String) -> u8 {
    refuse(&[Diagnostic::error_without_place(message)])
}

/// Runs the command.
pub fn run(root: &Path, site: &Path) -> u8 {
    with_book(root, |book, facts| publish(book, facts, site))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn publish(book: &Loaded, facts: &Facts<'_>, site: &Path) -> u8 {
    let outcome = crate::book::fill_all(&book.chapters, facts, Target::Html);
    if outcome.report.has_errors() {
        let mut report = outcome.report;
        crate::book::finish(&mut report, &book.place);
        crate::report::print(&report.problems);
        return if report.false_claim {
            FAILED
        } else {
            BAD_INPUT
        };
    }
    write(book, facts, &outcome.claims, site).unwrap_or_else(complain)
}

fn write(
    book: &Loaded,
    facts: &Facts<'_>,
    claims: &crate::claims::Claims,
    site: &Path,
) -> Result<u8, String> {
    let pages = files::read(site).map_err(|reason| format!("nothing was published: {reason}"))?;
    if !pages.iter().any(|file| file.name.ends_with(".html")) {
        return Err(format!(
            "there is no page in {}; build the book first, and name the folder that holds its pages",
            site.display()
        ));
    }
    let (list, verdicts) = sealed::of_book(facts, claims);
    let investigation = book
        .config
        .investigation
        .as_ref()
        .ok_or("the book names no investigation")?;
    let investigation = std::fs::read(book.place.root.join(investigation))
        .map_err(|error| format!("the investigation cannot be read: {error}"))?;
    let captures = history::of_book(facts, claims);
    let history = json(&captures)?;
    let mut beside = vec![
        (sealed::INVESTIGATION.to_owned(), investigation),
        (sealed::CLAIMS.to_owned(), json(&list)?),
        (sealed::VERDICTS.to_owned(), json(&verdicts)?),
        (sealed::HISTORY.to_owned(), history.clone()),
    ];
    for loaded in facts.loaded {
        let name = format!("{}/{}", sealed::EVIDENCE, evidence_file(&loaded.machine));
        let text = reader::write(&loaded.evidence).map_err(|error| error.to_string())?;
        beside.push((name, text.into_bytes()));
    }
    // What an earlier run left.
    let folder = site.join(sealed::FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|error| format!("{} cannot be replaced: {error}", folder.display()))?;
    }
    for (name, bytes) in &beside {
        let path = site.join(name);
        let parent = path.parent().unwrap_or(site);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    let all = files::read(site)?;
    let manifest = sealed::manifest(
        all.iter().map(|f| (f.name.as_str(), f.bytes.as_slice())),
        facts.loaded.iter().map(|loaded| &loaded.evidence),
        book.config.addresses,
    );
    let text = json(&manifest)?;
    let digest = sealed::digest(&text);
    std::fs::write(site.join(sealed::MANIFEST), text)
        .map_err(|error| format!("{} cannot be written: {error}", sealed::MANIFEST))?;
    let raw: Vec<Evidence> = facts
        .loaded
        .iter()
        .map(|loaded| loaded.raw.as_ref().unwrap_or(&loaded.evidence).clone())
        .collect();
    let mut leaks = Vec::new();
    for check in leak::checks(&raw, book.config.addresses, &captures) {
        print(&format!("{}\n", check.describe()));
        for file in &all {
            leaks.extend(check.file(&file.name, &file.bytes));
        }
    }
    for leak in &leaks {
        print(&format!("{leak}\n"));
    }
    if !leaks.is_empty() {
        // Nothing that leaks may look as if it were ready to go out.
        std::fs::remove_file(site.join(sealed::MANIFEST))
            .map_err(|error| format!("{} cannot be removed: {error}", sealed::MANIFEST))?;
        print("the site must not be published\n");
        return Ok(FAILED);
    }
    // From there the next build continues it.
    let kept = book.place.root.join(store::HISTORY);
    store::write_state(&kept, &history)
        .map_err(|error| format!("{} cannot be written: {error}", kept.display()))?;
    let redacted = facts
        .loaded
        .iter()
        .filter(|l| is_redacted(&l.evidence))
        .count();
    print(&format!(
        "{} sealed with {} and the evidence of {}, {redacted} of them redacted\nsha256 of {}: {digest}\n",
        counted(manifest.files.len(), "file"),
        counted(list.len(), "claim"),
        counted(facts.loaded.len(), "machine"),
        sealed::MANIFEST,
    ));
    Ok(GOOD)
}
