//! Navigation: from a name in a chapter to its definition, and from an investigation to its uses.

use std::ops::Range;
use std::path::PathBuf;

use qed_evidence::investigation::Investigation;

use crate::lsp::cursor::{CursorContext, context_at};
use crate::lsp::mentions;
use crate::markdown::chapter::Chapter;

/// Something that a book names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedItem {
    /// An experiment.
    Experiment(String),
    /// A probe of an experiment.
    Probe(String, String),
    /// A command of the investigation.
    Command(String),
    /// A claim.
    Claim(String),
}

/// The item that is named at byte `at` of a chapter.
pub fn item_in_chapter(
    chapter: &Chapter,
    at: usize,
    investigation: &Investigation,
) -> Option<NamedItem> {
    let text = chapter.source.text.as_str();
    match context_at(chapter, at)? {
        CursorContext::Claim(span) => Some(NamedItem::Claim(text[span].to_owned())),
        CursorContext::Value(_, "experiment", span) => {
            Some(NamedItem::Experiment(text[span].to_owned()))
        }
        CursorContext::Path(span) | CursorContext::Expression(span) => {
            let names: Vec<&str> = text[span.clone()].split('.').collect();
            let is_first = !text[span.start..at].contains('.');
            let experiment = |name| investigation.experiment(name);
            match names[..] {
                ["claims", id, ..] => Some(NamedItem::Claim(id.to_owned())),
                ["commands", name, ..] => Some(NamedItem::Command(name.to_owned())),
                [name, ..] if is_first && experiment(name).is_some() => {
                    Some(NamedItem::Experiment(name.to_owned()))
                }
                [name, probe, ..] if experiment(name)?.probe(probe).is_some() => {
                    Some(NamedItem::Probe(name.to_owned(), probe.to_owned()))
                }
                // An exhibit names claims by their ids alone.
                [id] if !id.is_empty() => Some(NamedItem::Claim(id.to_owned())),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The item that is named at byte `at` of an investigation, and its span there.
pub fn item_in_investigation(
    investigation: &Investigation,
    at: usize,
) -> Option<(NamedItem, Range<usize>)> {
    let here = |span: &Range<usize>| (span.start..=span.end).contains(&at);
    for experiment in &investigation.experiments {
        if here(&experiment.span) {
            let named = NamedItem::Experiment(experiment.name.clone());
            return Some((named, experiment.span.clone()));
        }
        // Of an inherited probe, the first experiment that has it.
        if let Some(probe) = experiment.probes.iter().find(|probe| here(&probe.span)) {
            let named = NamedItem::Probe(experiment.name.clone(), probe.name.clone());
            return Some((named, probe.span.clone()));
        }
    }
    inherited_experiment(investigation, at)
}

/// The experiment that `inherit = "…"` names at byte `at`.
fn inherited_experiment(
    investigation: &Investigation,
    at: usize,
) -> Option<(NamedItem, Range<usize>)> {
    let text = investigation.source.text.as_str();
    let start = text[..at].rfind('"')? + 1;
    let end = at + text[at..].find('"')?;
    let line = text[..start].rfind('\n').map_or(0, |n| n + 1);
    let key = text[line..start].trim_matches([' ', '\t', '=', '"']);
    let name = text.get(start..end)?;
    let is_known = key == "inherit" && investigation.experiment(name).is_some();
    is_known.then(|| (NamedItem::Experiment(name.to_owned()), start..end))
}

/// The place of a definition in the investigation.
pub fn definition_span(named: &NamedItem, investigation: &Investigation) -> Option<Range<usize>> {
    match named {
        NamedItem::Experiment(name) => Some(investigation.experiment(name)?.span.clone()),
        NamedItem::Probe(experiment, probe) => {
            let found = investigation.experiment(experiment)?.probe(probe)?;
            Some(found.span.clone())
        }
        NamedItem::Command(name) => Some(investigation.command(name)?.span.clone()),
        NamedItem::Claim(_) => None,
    }
}

/// The experiments that have this probe in their paths: the one that defines it, and those that inherit it.
fn experiments_with_probe<'i>(
    investigation: &'i Investigation,
    experiment: &str,
    probe: &str,
) -> impl Iterator<Item = &'i str> {
    let found = investigation.experiment(experiment);
    let span = found.and_then(|one| Some(one.probe(probe)?.span.clone()));
    let probe = probe.to_owned();
    let has = move |one: &&qed_evidence::investigation::Experiment| {
        one.probe(&probe).map(|found| &found.span) == span.as_ref() && span.is_some()
    };
    investigation
        .experiments
        .iter()
        .filter(has)
        .map(|one| one.name.as_str())
}

/// Every place in the chapters where something is named.
pub fn find_mentions(
    named: &NamedItem,
    investigation: &Investigation,
    chapters: &[(PathBuf, Chapter)],
) -> Vec<(PathBuf, Range<usize>)> {
    let in_chapter = |chapter: &Chapter| -> Vec<Range<usize>> {
        match named {
            NamedItem::Experiment(name) => mentions::experiment_mentions(chapter, name),
            NamedItem::Probe(experiment, probe) => {
                let holders: Vec<&str> =
                    experiments_with_probe(investigation, experiment, probe).collect();
                mentions::probe_mentions(chapter, &holders, probe)
            }
            NamedItem::Command(name) => mentions::probe_mentions(chapter, &["commands"], name),
            NamedItem::Claim(id) => {
                let made = mentions::claim_definition(chapter, id);
                let read = mentions::probe_mentions(chapter, &["claims"], id);
                made.into_iter().chain(read).collect()
            }
        }
    };
    let mut found = Vec::new();
    for (file, chapter) in chapters {
        let mut spans = in_chapter(chapter);
        spans.sort_by_key(|span| span.start);
        found.extend(spans.into_iter().map(|span| (file.clone(), span)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::dialect::Markdown;

    const INVESTIGATION: &str = "[[experiment]]\nname = \"create\"\nworkload = { syscall = \"socket\", args = [2, 1, 0] }\n\
        [[experiment.probe]]\nfunction = \"sock_alloc\"\n\n[[experiment]]\nname = \"again\"\ninherit = \"create\"\n";

    /// Check that the name under the cursor is the one that is found, in a chapter and in an investigation.
    #[test]
    fn names() {
        let investigation = qed_evidence::investigation::parse("t.toml", INVESTIGATION).unwrap();
        let in_chapter = |marked: &str| {
            let at = marked.find('¦').unwrap();
            let chapter = Chapter::parse("c.md", &marked.replace('¦', ""), Markdown::default());
            item_in_chapter(&chapter, at, &investigation)
        };
        let probe = || Some(NamedItem::Probe("again".into(), "sock_alloc".into()));
        assert_eq!(
            in_chapter("{{qed ag¦ain.sock_alloc.return}}"),
            Some(NamedItem::Experiment("again".into()))
        );
        assert_eq!(in_chapter("{{qed again.sock¦_alloc.return}}"), probe());
        assert_eq!(in_chapter("{{qed again.sock_alloc.re¦turn}}"), probe());
        assert_eq!(
            in_chapter("{{qed claims.o¦ne}}"),
            Some(NamedItem::Claim("one".into()))
        );
        assert_eq!(in_chapter("{{qed again.noth¦ing.return}}"), None);
        assert_eq!(in_chapter("prose ag¦ain"), None);
        let in_investigation = |word: &str| {
            let at = INVESTIGATION.rfind(word).unwrap() + 1;
            item_in_investigation(&investigation, at).map(|(named, _)| named)
        };
        assert_eq!(
            in_investigation("sock_alloc"),
            Some(NamedItem::Probe("create".into(), "sock_alloc".into()))
        );
        assert_eq!(
            in_investigation("again"),
            Some(NamedItem::Experiment("again".into()))
        );
        assert_eq!(
            in_investigation("create"),
            Some(NamedItem::Experiment("create".into()))
        );
        assert_eq!(in_investigation("syscall"), None);
    }
}
