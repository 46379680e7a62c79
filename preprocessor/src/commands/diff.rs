//! `diff`: what changed between two captures, by how much it may surprise.

use std::path::Path;

use qed_evidence::Evidence;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::leaves::{Drift, Leaf, leaves};

use super::{FAILED, GOOD, print, refuse};
use crate::format::{datum, describe};
use crate::store;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// How much it may surprise.
    pub drift: Drift,
    /// The path.
    pub path: String,
    /// What it was; `None`: it was not there.
    pub old: Option<String>,
    /// What it is now.
    pub new: Option<String>,
}

/// All differences between two documents, by path.
pub fn changes(old: &Evidence, new: &Evidence) -> Vec<Change> {
    let (before, after) = (leaves(old), leaves(new));
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut out = Vec::new();
    for path in paths {
        // A probe that fired once has its values under two names.
        if path.contains(".hit1.") && before.contains_key(&path.replacen(".hit1.", ".", 1)) {
            continue;
        }
        let (a, b) = (before.get(path), after.get(path));
        if a.map(|leaf| &leaf.datum) == b.map(|leaf| &leaf.datum) {
            continue;
        }
        // A value that came or went is never what every run does.
        let both = a.zip(b);
        let drift = match both {
            Some((a, b)) => a.drift.max(b.drift),
            None => Drift::PerKernel,
        };
        let text = |leaf: Option<&Leaf<'_>>| leaf.map(|leaf| datum(&leaf.datum));
        let (mut old, mut new) = (text(a), text(b));
        if old == new {
            // The same number of another type.
            let kind = |leaf: Option<&Leaf<'_>>| leaf.and_then(|l| l.datum.value().map(describe));
            (old, new) = (kind(a), kind(b));
        }
        out.push(Change {
            drift,
            path: path.clone(),
            old,
            new,
        });
    }
    out
}

fn read(path: &Path) -> Result<Evidence, Diagnostic> {
    let problem = |reason: String| {
        Diagnostic::error_without_place(format!(
            "the evidence {} was refused: {reason}",
            path.display()
        ))
    };
    store::read(path)
        .map_err(problem)?
        .ok_or_else(|| problem("there is no such file".into()))
}

/// Runs the command.
pub fn run(old: &Path, new: &Path, all: bool) -> u8 {
    let (old, new) = match (read(old), read(new)) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            let problems: Vec<Diagnostic> = [old.err(), new.err()].into_iter().flatten().collect();
            return refuse(&problems);
        }
    };
    let changes = changes(&old, &new);
    let mut drifted = false;
    for (class, title) in [
        (Drift::Invariant, "should never change"),
        (Drift::PerKernel, "changes with the kernel"),
        (Drift::PerBoot, "changes with every boot"),
        (Drift::PerRun, "changes with every run"),
    ] {
        let of_class: Vec<&Change> = changes.iter().filter(|c| c.drift == class).collect();
        if of_class.is_empty() {
            continue;
        }
        let surprising = class >= Drift::PerKernel;
        drifted |= surprising;
        print(&format!("{title}: {}\n", of_class.len()));
        if surprising || all {
            for change in of_class {
                let side = |text: &Option<String>| match text {
                    Some(text) => crate::escape::visible(text).into_owned(),
                    None => "nothing".into(),
                };
                print(&format!(
                    "  {}: {} → {}\n",
                    change.path,
                    side(&change.old),
                    side(&change.new)
                ));
            }
        }
    }
    if changes.is_empty() {
        print("no difference\n");
    }
    if drifted { FAILED } else { GOOD }
}
