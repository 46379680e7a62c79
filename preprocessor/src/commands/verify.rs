//! `verify`: whether a built site shows what the evidence says, and nothing that should have been replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::leaves::{Leaves, leaves};

use super::{FAILED, GOOD, print, refuse};
use crate::format::FORMATS;
use crate::leak::Secrets;
use crate::redact::{Leave, Pseudonyms};
use crate::site::{Shown, shown_values};
use crate::store;

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
    /// What is wrong, a line each.
    pub wrong: Vec<String>,
}

/// All files of a site that can show text.
fn files(site: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut queue = vec![site.to_owned()];
    while let Some(folder) = queue.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                queue.push(path);
            } else if path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| LOOKED_AT.contains(&e))
            {
                out.push(path);
            }
        }
    }
    // Pages first: they say which placeholders are shown on purpose.
    out.sort_by_key(|path| (path.extension().is_none_or(|e| e != "html"), path.clone()));
    Ok(out)
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
            let read =
                store::read(&path).map_err(|reason| format!("{}: {reason}", path.display()))?;
            out.extend(read);
        }
    }
    Ok(out)
}

/// The values of one capture, and what stands for those that must not be known.
pub struct Measured<'a> {
    /// By path.
    leaves: Leaves<'a>,
    /// For its addresses.
    pseudonyms: Pseudonyms,
}

impl<'a> Measured<'a> {
    /// Those of `evidence`.
    pub fn new(evidence: &'a Evidence) -> Self {
        let leaves = leaves(evidence);
        Measured {
            pseudonyms: Pseudonyms::new(&leaves),
            leaves,
        }
    }
}

/// Compares one page with the evidence.
pub fn page(
    name: &str,
    html: &str,
    machines: &BTreeMap<String, Vec<Measured<'_>>>,
    found: &mut Findings,
) {
    let text = crate::site::text_of(html);
    for value in shown_values(html) {
        // Verdicts are judged by `check`; gaps say themselves that they are none.
        let gap = crate::fill::GAPS
            .iter()
            .any(|word| value.text.starts_with(word));
        if value.path.starts_with("claims.") || gap {
            found.others += 1;
            continue;
        }
        found.compared += 1;
        if let Err(why) = compare(&value, machines) {
            found.wrong.push(format!(
                "{name}: `{}` of {} shows `{}`: {why}",
                value.path, value.machine, value.text
            ));
        }
        if value.listed && !text.contains(value.text.trim()) {
            found.wrong.push(format!(
                "{name}: `{}` is listed as `{}`, which the page does not show",
                value.path, value.text
            ));
        }
    }
}

fn compare(value: &Shown, machines: &BTreeMap<String, Vec<Measured<'_>>>) -> Result<(), String> {
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
    for Measured { leaves, pseudonyms } in all {
        let Some(measured) = leaves.get(&value.path).and_then(|leaf| leaf.datum.value()) else {
            continue;
        };
        if let Leave::Instead(name) = pseudonyms.leave(Some(&value.path), measured, false)
            && name == value.text.trim()
        {
            return Ok(());
        }
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

/// Runs the command. Evidence is read from `from`, else from the folder that the site publishes. With `raw`, the
/// owner accepts that addresses of live machines are shown.
pub fn run(site: &Path, from: Option<&Path>, raw: bool) -> u8 {
    let published = site.join("evidence");
    let folder = from.unwrap_or(&published);
    let evidence =
        match evidence(folder) {
            Ok(evidence) if !evidence.is_empty() => evidence,
            Ok(_) => {
                let message = format!("there is no evidence in {}", folder.display());
                return refuse(&[Diagnostic::error_without_place(message)
                    .help("say where it is: --evidence FOLDER")]);
            }
            Err(message) => {
                return refuse(&[Diagnostic::error_without_place(message)
                    .help("say where it is: --evidence FOLDER")]);
            }
        };
    let mut machines: BTreeMap<String, Vec<Measured<'_>>> = BTreeMap::new();
    for evidence in &evidence {
        machines
            .entry(evidence.machine.name.clone())
            .or_default()
            .push(Measured::new(evidence));
    }
    let secrets = secrets(&evidence, &machines, raw);
    let files = match files(site) {
        Ok(files) => files,
        Err(error) => {
            let message = format!("the site {} cannot be read: {error}", site.display());
            return refuse(&[Diagnostic::error_without_place(message)]);
        }
    };
    let mut found = Findings::default();
    let mut known = BTreeSet::new();
    for path in &files {
        let name = path
            .strip_prefix(site)
            .unwrap_or(path)
            .display()
            .to_string();
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                return refuse(&[Diagnostic::error_without_place(format!(
                    "{name} cannot be read: {error}"
                ))]);
            }
        };
        found.files += 1;
        left_over(&name, &text, &mut known, &mut found);
        // The path is told, the address is not: this goes into logs.
        for (machine, path) in secrets.told_by(&crate::site::decode(&text)) {
            found.wrong.push(format!(
                "{name}: `{path}` of {machine} can be read here, and tells where that live machine's kernel is"
            ));
        }
        if name.ends_with(".html") {
            page(&name, &text, &machines, &mut found);
        }
    }
    for line in &found.wrong {
        print(&format!("{line}\n"));
    }
    print(&format!(
        "{} files, {} values compared with the evidence of {} machines, {} verdicts and gaps, {} placeholders shown \
         on purpose, {} wrong\n",
        found.files,
        found.compared,
        machines.len(),
        found.others,
        found.literals,
        found.wrong.len()
    ));
    if found.wrong.is_empty() && found.compared == 0 {
        let message = "no value was found in the site, so nothing was verified";
        return refuse(&[
            Diagnostic::error_without_place(message).help("name the folder that holds the pages")
        ]);
    }
    if found.wrong.is_empty() { GOOD } else { FAILED }
}

/// What no file may tell: the addresses of machines that still run.
fn secrets(
    evidence: &[Evidence],
    machines: &BTreeMap<String, Vec<Measured<'_>>>,
    raw: bool,
) -> Secrets {
    let is_live = |name: &str| {
        let mut captures = evidence.iter().filter(|e| e.machine.name == name);
        !raw && captures.any(|e| !e.machine.ephemeral)
    };
    let (live, throwaway): (Vec<_>, Vec<_>) = machines
        .iter()
        .flat_map(|(name, all)| all.iter().map(move |one| (name.as_str(), &one.leaves)))
        .partition(|(name, _)| is_live(name));
    Secrets::new(live, throwaway.into_iter().map(|(_, leaves)| leaves))
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
