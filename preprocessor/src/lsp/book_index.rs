//! The data behind the answers: the book's evidence after redaction, its investigation, and its claims.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qed_evidence::document::Target;
use qed_evidence::investigation::Probe;
use qed_evidence::path::SECTIONS;

use crate::evidence::book_data::BookData;
use crate::evidence::path_list::is_redundant_hit_path;

/// The claims that the last check judged, explained, by id.
pub type Explanations = BTreeMap<String, String>;

/// An index of a book, used while it is open in an editor.
pub struct BookIndex<'b, 'a> {
    /// Evidence and investigation. Without evidence no machine is loaded.
    pub book_data: &'b BookData<'a>,
    /// The paths of all values on any machine.
    names: BTreeSet<&'b str>,
    /// The claims as the last check judged them.
    pub claims: Arc<Explanations>,
}

impl<'b, 'a> BookIndex<'b, 'a> {
    /// List what the evidence holds.
    pub fn new(book_data: &'b BookData<'a>) -> Self {
        let machines = book_data.indexed.iter();
        BookIndex {
            names: machines.flat_map(|one| one.leaves.paths()).collect(),
            book_data,
            claims: Arc::default(),
        }
    }

    /// The names that can follow `base`, which is empty or ends with a dot, and whether each names a value by itself.
    pub fn children(&self, base: &str) -> BTreeMap<String, bool> {
        let mut children = self.captured_children(base);
        let mut planned = |name: &str, is_leaf: bool| {
            children.entry(name.to_owned()).or_insert(is_leaf);
        };
        let investigation = &self.book_data.evidence_set.investigation;
        let names: Vec<&str> = base.split_terminator('.').collect();
        let probe = || {
            let [experiment, probe, ..] = names[..] else {
                return None;
            };
            investigation.experiment(experiment)?.probe(probe)
        };
        match names[..] {
            [] => {
                investigation
                    .experiments
                    .iter()
                    .for_each(|one| planned(&one.name, false));
                SECTIONS.iter().for_each(|name| planned(name, false));
            }
            ["claims"] => self.claims.keys().for_each(|id| planned(id, true)),
            ["commands"] => investigation
                .commands
                .iter()
                .for_each(|one| planned(&one.name, false)),
            [experiment] => {
                if let Some(found) = investigation.experiment(experiment) {
                    found
                        .probes
                        .iter()
                        .for_each(|one| planned(&one.name, false));
                    if found.graph {
                        planned("graph", false);
                    }
                }
            }
            [_, _] => {
                if let Some(probe) = probe() {
                    let sides = [("entry", &probe.entry), ("exit", &probe.exit)];
                    let with_reads = sides.iter().filter(|(_, reads)| !reads.is_empty());
                    with_reads.for_each(|(side, _)| planned(side, false));
                }
            }
            [_, _, "entry"] => add_reads(probe().map(|one| &one.entry), &mut planned),
            [_, _, "exit"] => add_reads(probe().map(|one| &one.exit), &mut planned),
            _ => {}
        }
        children
    }

    /// The same, as far as any machine has values there.
    fn captured_children(&self, base: &str) -> BTreeMap<String, bool> {
        let mut children = BTreeMap::new();
        let mut from = base.to_owned();
        while let Some(name) = self.names.range(from.as_str()..).next().copied() {
            let Some(rest) = name.strip_prefix(base) else {
                break;
            };
            let child = rest.split('.').next().unwrap_or(rest);
            if !is_redundant_hit_path(name, base, &self.names) {
                children.insert(child.to_owned(), child.len() == rest.len());
            }
            // Behind everything below the child: a slash comes right after a dot, and no name has one.
            from = match child.len() == rest.len() {
                true => format!("{name}."),
                false => format!("{base}{child}/"),
            };
        }
        children
    }
}

fn add_reads(
    reads: Option<&Vec<qed_evidence::investigation::Read>>,
    planned: &mut impl FnMut(&str, bool),
) {
    for read in reads.into_iter().flatten() {
        planned(&read.name, true);
    }
}

/// The target of a probe, in words.
pub fn describe_target(probe: &Probe) -> String {
    match &probe.target {
        Target::Function(name) => format!("function {name}"),
        Target::Tracepoint(name) => format!("tracepoint {name}"),
        Target::Lsm(name) => format!("LSM hook {name}"),
        Target::Address(text) => format!("address {text}"),
    }
}
