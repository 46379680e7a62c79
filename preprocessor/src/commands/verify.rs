//! `verify`: whether a built site shows what the evidence says, nothing that should have been replaced, and nothing
//! that must not be known.
//!
//! With `--evidence` it is the owner's check before the site goes out: on raw evidence, with the search for leaks.
//! Without, it is anybody's check of what was published: every digest, every shown value, every verdict that the
//! published evidence supports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::leaves::{Leaves, leaves};
use qed_evidence::redact::{is_redacted, redact};

use super::{FAILED, GOOD, print, refuse};
use crate::config::Addresses;
use crate::files::{self, File};
use crate::format::FORMATS;
use crate::history::History;
use crate::kept::Kept;
use crate::report::counted;
use crate::sealed::{self, Manifest, PublishedClaim, Verdicts};
use crate::site::{Shown, shown_values};
use crate::{leak, store};

/// File names of pages and of what mdBook makes of them.
const LOOKED_AT: &[&str] = &["html", "js", "json", "xml", "txt", "md", "css"];

/// What the check of a site found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Files looked at.
    pub files: usize,
    /// Values compared with the evidence.
    pub compared: usize,
    /// Verdicts and gaps: shown, and not values.
    pub others: usize,
    /// Placeholders that are shown on purpose.
    pub literals: usize,
    /// Machines whose evidence was compared with.
    pub machines: usize,
    /// What else was done, a line each.
    pub notes: Vec<String>,
    /// What is wrong, a line each.
    pub wrong: Vec<String>,
}

/// Whether a file can show text.
fn is_text(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    // What is published beside the pages names placeholders and claims as authors write them.
    ending.is_some_and(|ending| LOOKED_AT.contains(&ending))
        && !name.starts_with(&format!("{}/", sealed::FOLDER))
}

/// The evidence in a folder, by machine.
fn evidence(folder: &Path) -> Result<Vec<Evidence>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        format!(
            "the evidence in {} cannot be read: {error}",
            folder.display()
        )
    })?;
    let mut out = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|e| e == "json") {
            let read = store::read(&path, &Kept::default()).map_err(|reason| {
                let reason = crate::judging::of_raw(&reason);
                format!("{}: {reason}", path.display())
            })?;
            out.extend(read.map(|(evidence, _)| evidence));
        }
    }
    Ok(out)
}

/// Compares one page with the evidence.
pub fn page(
    name: &str,
    html: &str,
    machines: &BTreeMap<String, Vec<Leaves<'_>>>,
    verdicts: Option<&Verdicts>,
    found: &mut Findings,
) {
    let text = crate::site::text_of(html);
    for value in shown_values(html) {
        if let Some(id) = value.path.strip_prefix("claims.") {
            found.others += 1;
            if let Some(verdicts) = verdicts {
                let told = verdicts.get(id).and_then(|of| of.get(&value.machine));
                let expected = told.map(|told| told.verdict.as_str());
                if expected != Some(value.text.trim()) {
                    found.wrong.push(format!(
                        "{name}: the verdict on `{id}` on {} is shown as `{}`: {} says {}",
                        value.machine,
                        value.text.trim(),
                        sealed::VERDICTS,
                        expected.unwrap_or("nothing of it")
                    ));
                }
            }
            continue;
        }
        // Gaps say themselves that they are none; that something is withheld is a fact of the evidence.
        let shown = value.text.trim_start();
        if crate::fill::GAPS.iter().any(|word| shown.starts_with(word)) {
            found.others += 1;
            let measured = machines.get(&value.machine).into_iter().flatten();
            if shown.starts_with("WITHHELD")
                && measured
                    .filter_map(|leaves| leaves.get(&value.path))
                    .any(|leaf| leaf.datum.value().is_some())
            {
                found.wrong.push(format!(
                    "{name}: `{}` of {} is shown as withheld, and the evidence has it",
                    value.path, value.machine
                ));
            }
            continue;
        }
        found.compared += 1;
        if let Err(why) = compare(&value, machines) {
            found.wrong.push(format!(
                "{name}: `{}` of {} shows `{}`: {why}",
                value.path, value.machine, value.text
            ));
        }
        // Where it stands may be a link, a formula or a comment.
        let stands = |value: &str| {
            text.contains(value)
                || text.contains(&crate::escape::tex(value))
                || html.contains(&crate::escape::url(value))
                || crate::site::comments(html).any(|comment| comment.contains(value))
        };
        if value.listed && !stands(value.text.trim()) {
            found.wrong.push(format!(
                "{name}: `{}` is listed as `{}`, which the page does not show",
                value.path, value.text
            ));
        }
    }
}

fn compare(value: &Shown, machines: &BTreeMap<String, Vec<Leaves<'_>>>) -> Result<(), String> {
    let Some(all) = machines.get(&value.machine) else {
        return Err("there is no evidence of this machine".into());
    };
    let format = match &value.style {
        None => None,
        Some(style) => match FORMATS.iter().find(|(name, _)| name == style) {
            Some((_, format)) => Some(*format),
            None => return Err(format!("as=\"{style}\" is unknown")),
        },
    };
    let mut expected = Vec::new();
    for leaves in all {
        let Some(measured) = leaves.get(&value.path).and_then(|leaf| leaf.datum.value()) else {
            continue;
        };
        let text = crate::format::format(measured, format)?;
        let line = crate::escape::visible(text.strip_suffix('\n').unwrap_or(&text)).into_owned();
        let block =
            crate::escape::visible_lines(text.strip_suffix('\n').unwrap_or(&text)).into_owned();
        if [line.as_str(), block.as_str()].contains(&value.text.trim_end_matches('\n').trim())
            || [line.trim(), block.trim()].contains(&value.text.trim())
        {
            return Ok(());
        }
        expected.push(line);
    }
    match expected.first() {
        Some(expected) => Err(format!("the evidence says `{expected}`")),
        None => Err("the evidence has no such value".into()),
    }
}

fn complain(message: String, help: &str) -> u8 {
    refuse(&[Diagnostic::error_without_place(message).help(help)])
}

/// The file of this name, read as JSON; what cannot be read is a finding.
fn document<T: serde::de::DeserializeOwned>(
    files: &[File],
    name: &str,
    wrong: &mut Vec<String>,
) -> Option<T> {
    let file = files.iter().find(|file| file.name == name)?;
    match serde_json::from_slice(&file.bytes) {
        Ok(document) => Some(document),
        Err(error) => {
            wrong.push(format!("{name}: it cannot be read: {error}"));
            None
        }
    }
}

/// The history that a site publishes.
fn history_of(files: &[File], wrong: &mut Vec<String>) -> Option<History> {
    let file = files.iter().find(|file| file.name == sealed::HISTORY)?;
    match crate::history::read(&file.bytes) {
        Ok(history) => Some(history),
        Err(reason) => {
            wrong.push(format!("{}: it is refused: {reason}", sealed::HISTORY));
            None
        }
    }
}

/// The evidence that a site publishes.
fn published(files: &[File], wrong: &mut Vec<String>) -> Vec<Evidence> {
    let mut out = Vec::new();
    for file in files {
        let Some(name) = file.name.strip_prefix(sealed::EVIDENCE) else {
            continue;
        };
        match qed_evidence::reader::read(&file.bytes) {
            Ok(evidence)
                if name.get(1..)
                    != Some(&*crate::config::evidence_file(&evidence.machine.name)) =>
            {
                let machine = &evidence.machine.name;
                wrong.push(format!("{}: it is evidence of {machine}", file.name));
            }
            Ok(evidence) => out.push(evidence),
            Err(error) => wrong.push(format!("{}: it is refused: {error}", file.name)),
        }
    }
    out
}

/// Raw evidence as it may be shown.
fn as_shown(raw: &[Evidence], addresses: Addresses) -> Result<Vec<Evidence>, String> {
    raw.iter()
        .map(|evidence| {
            if addresses.hide(evidence) && !is_redacted(evidence) {
                redact(evidence).map_err(|error| error.to_string())
            } else {
                Ok(evidence.clone())
            }
        })
        .collect()
}

/// Runs the command. `from` is a folder of raw evidence; `addresses` says which machines' are searched for, instead of
/// what the manifest says.
pub fn run(site: &Path, from: Option<&Path>, addresses: Option<Addresses>) -> u8 {
    if site.is_file() {
        let message = format!("{} is a file", site.display());
        return complain(
            message,
            "unpack it, and name the folder that holds the pages",
        );
    }
    let files = match files::read(site) {
        Ok(files) => files,
        Err(reason) => {
            let message = format!("nothing was verified: {reason}");
            return complain(message, "name the folder that holds the pages");
        }
    };
    let raw = match from.map(evidence).transpose() {
        Ok(raw) => raw,
        Err(message) => return complain(message, "say where it is: --evidence FOLDER"),
    };
    match check(&files, raw, addresses) {
        Ok(found) => tell(&found),
        Err(message) => complain(
            message,
            "say where the evidence is: --evidence FOLDER; `mdbook-qed publish` puts it into the site",
        ),
    }
}

/// Everything that can be said of a site. The error is why nothing can.
fn check(
    files: &[File],
    raw: Option<Vec<Evidence>>,
    addresses: Option<Addresses>,
) -> Result<Findings, String> {
    let mut found = Findings::default();
    let manifest: Option<Manifest> = document(files, sealed::MANIFEST, &mut found.wrong);
    let addresses = addresses
        .or(manifest.as_ref().map(|manifest| manifest.addresses))
        .unwrap_or_default();
    let published = published(files, &mut found.wrong);
    let history = history_of(files, &mut found.wrong);
    let shown = match &raw {
        Some(raw) => as_shown(raw, addresses)?,
        None => published.clone(),
    };
    if shown.is_empty() && found.wrong.is_empty() {
        return Err("there is no evidence to compare the site with".into());
    }
    let mut checks = Vec::new();
    if let Some(raw) = &raw {
        checks = leak::checks(
            raw,
            addresses,
            history.as_ref().unwrap_or(&History::default()),
        );
        for check in &checks {
            found.notes.push(check.describe());
            for file in files {
                found.wrong.extend(check.file(&file.name, &file.bytes));
            }
        }
        for evidence in &published {
            let name = &evidence.machine.name;
            if !shown.contains(evidence) {
                found.wrong.push(format!(
                    "the published evidence of {name} is not what was captured there, as it may be shown"
                ));
            }
        }
    }
    for evidence in published.iter().filter(|evidence| addresses.hide(evidence)) {
        if !is_redacted(evidence) {
            let name = &evidence.machine.name;
            found
                .wrong
                .push(format!("the published evidence of {name} is not redacted"));
        }
    }
    if let Some(manifest) = &manifest {
        let list = files.iter().map(|f| (f.name.as_str(), f.bytes.as_slice()));
        found
            .wrong
            .extend(sealed::against_manifest(manifest, list, &published));
    } else if !published.is_empty() {
        found
            .wrong
            .push(format!("{}: it is missing", sealed::MANIFEST));
    }
    let claims: Option<Vec<PublishedClaim>> = document(files, sealed::CLAIMS, &mut found.wrong);
    let verdicts: Option<Verdicts> = document(files, sealed::VERDICTS, &mut found.wrong);
    if let (Some(claims), Some(verdicts)) = (&claims, &verdicts) {
        judge_again(files, &published, claims, verdicts, &mut found);
        if let Some(history) = &history {
            let captures = &history.captures;
            found
                .wrong
                .extend(sealed::against_history(captures, &published, verdicts));
        }
    }
    let mut machines: BTreeMap<String, Vec<Leaves<'_>>> = BTreeMap::new();
    for evidence in &shown {
        machines
            .entry(evidence.machine.name.clone())
            .or_default()
            .push(leaves(evidence));
    }
    found.machines = machines.len();
    let mut known = BTreeSet::new();
    // Pages first: they say which placeholders are shown on purpose.
    let mut texts: Vec<&File> = files.iter().filter(|file| is_text(&file.name)).collect();
    texts.sort_by_key(|file| !file.name.ends_with(".html"));
    for file in texts {
        let text = String::from_utf8_lossy(&file.bytes);
        found.files += 1;
        left_over(&file.name, &text, &mut known, &mut found);
        if file.name.ends_with(".html") {
            page(&file.name, &text, &machines, verdicts.as_ref(), &mut found);
            if let (Some(claims), Some(verdicts)) = (&claims, &verdicts) {
                badges(&file.name, &text, claims, verdicts, &mut found);
            }
        }
    }
    // This goes into logs, too.
    for line in &mut found.wrong {
        if checks.iter().any(|check| check.says(line)) {
            let what = line.split(" shows `").next().unwrap_or_default();
            *line = format!("{what} shows what must not be known");
            if checks.iter().any(|check| check.says(line)) {
                *line = "something is wrong that cannot be said without a leak".into();
            }
        }
    }
    Ok(found)
}

/// Judges the published claims on the published evidence.
fn judge_again(
    files: &[File],
    published: &[Evidence],
    claims: &[PublishedClaim],
    verdicts: &Verdicts,
    found: &mut Findings,
) {
    let name = sealed::INVESTIGATION;
    let text = files
        .iter()
        .find(|file| file.name == name)
        .map(|file| String::from_utf8_lossy(&file.bytes));
    let Some(text) = text else {
        found.wrong.push(format!("{name}: it is missing"));
        return;
    };
    match qed_evidence::investigation::parse(name, &text) {
        Err(_) => found.wrong.push(format!("{name}: it cannot be read")),
        Ok(investigation) => {
            let again = sealed::judge_again(&investigation, published, claims, verdicts);
            found.wrong.extend(again.wrong);
            found.notes.push(format!(
                "{} verdicts follow from the published evidence; {} rest on what is withheld, and on the word of \
                 who captured it",
                again.repeated, again.trusted
            ));
        }
    }
}

/// Compares the verdicts that a page shows in its claims.
fn badges(
    name: &str,
    html: &str,
    claims: &[PublishedClaim],
    verdicts: &Verdicts,
    found: &mut Findings,
) {
    for (id, word) in sealed::shown_verdicts(html) {
        let expected = claims
            .iter()
            .find(|claim| claim.id == id)
            .and_then(|claim| verdicts.get(&id)?.get(&claim.shown))
            .map_or("nothing of it", |told| told.verdict.as_str());
        if expected != word {
            found.wrong.push(format!(
                "{name}: claim `{id}` is shown as {word}: {} says {expected}",
                sealed::VERDICTS
            ));
        }
    }
}

/// Prints what was found; gives back the exit status.
fn tell(found: &Findings) -> u8 {
    for line in &found.wrong {
        print(&format!("{line}\n"));
    }
    for line in &found.notes {
        print(&format!("{line}\n"));
    }
    print(&format!(
        "{}, {} compared with the evidence of {}, {} verdicts and gaps, {} shown on purpose, {} wrong\n",
        counted(found.files, "file"),
        counted(found.compared, "value"),
        counted(found.machines, "machine"),
        found.others,
        counted(found.literals, "placeholder"),
        found.wrong.len()
    ));
    if found.wrong.is_empty() && found.compared == 0 {
        return complain(
            "no value was found in the site, so nothing was verified".into(),
            "name the folder that holds the pages",
        );
    }
    if found.wrong.is_empty() { GOOD } else { FAILED }
}

/// Finds what should have been replaced. Placeholders that are shown on purpose are counted on each page by the
/// page itself; elsewhere (search index) only what some page shows is taken for one of those.
pub fn left_over(name: &str, text: &str, known: &mut BTreeSet<String>, found: &mut Findings) {
    for block in ["language-qed-claim", "language-qed-exhibit"] {
        if text.contains(block) {
            found.wrong.push(format!(
                "{name}: a {} block was not replaced",
                block.trim_start_matches("language-")
            ));
        }
    }
    let path = |at: usize| {
        let rest = &text[at + crate::syntax::OPEN.len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)))
            .unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    let all: Vec<String> = text
        .match_indices(crate::syntax::OPEN)
        .map(|(at, _)| path(at))
        .collect();
    let literals = if name.ends_with(".html") {
        crate::site::literals(text)
    } else {
        0
    };
    let left: Vec<&String> = if literals > 0 && all.len() == literals {
        found.literals += if name.ends_with("print.html") {
            0
        } else {
            literals
        };
        known.extend(all.iter().cloned());
        Vec::new()
    } else if name.ends_with(".html") {
        all.iter().collect()
    } else {
        all.iter().filter(|path| !known.contains(*path)).collect()
    };
    for path in left {
        found.wrong.push(format!(
            "{name}: the placeholder of `{path}` was not filled"
        ));
    }
}
