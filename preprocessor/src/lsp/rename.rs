//! Renaming a probe, in its investigation and in all chapters.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Experiment, Investigation, Probe, parse};
use qed_evidence::path::refuse_probe_name;
use thiserror::Error;

use crate::lsp::mentions;
use crate::markdown::chapter::Chapter;

/// A text to put in the place of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    /// The bytes.
    pub span: Range<usize>,
    /// The text.
    pub text: String,
}

/// A probe that cannot be renamed.
#[derive(Debug, Error)]
pub enum RenameError {
    /// No probe is named here.
    #[error(
        "no probe is named here: put the cursor on the name of one, in a path or in the investigation"
    )]
    NoProbe,
    /// A name that it cannot have.
    #[error("a probe cannot have this name: {0}")]
    Name(String),
    /// The investigation would say something else.
    #[error("the investigation would not be the same with this name: {0}")]
    Investigation(String),
}

/// The files of a book with what is to be replaced in each.
pub type Edits = BTreeMap<PathBuf, Vec<TextEdit>>;

/// Rename the probe `probe` of `experiment` to `new`, in all experiments that inherit it. `chapters` are the author's own
/// files, by their paths.
///
/// # Errors
/// A name that cannot stand in paths, or that another probe has.
pub fn rename(
    investigation: &Investigation,
    (experiment, probe): (&str, &str),
    new: &str,
    chapters: &[(PathBuf, Chapter)],
) -> Result<(Vec<TextEdit>, Edits), RenameError> {
    if let Some(reason) = refuse_probe_name(new) {
        return Err(RenameError::Name(reason));
    }
    let found = investigation.experiment(experiment);
    if found.and_then(|one| one.probe(probe)).is_none() {
        return Err(RenameError::NoProbe);
    }
    let experiments = experiments_sharing_probe(investigation, experiment, probe);
    let edits = investigation_edits(investigation, &experiments, probe, new)?;
    let mut others = Edits::new();
    for (file, chapter) in chapters {
        let spans = mentions::probe_mentions(chapter, &experiments, probe);
        let edits = spans.into_iter().map(|span| TextEdit {
            span,
            text: new.to_owned(),
        });
        let edits: Vec<TextEdit> = edits.collect();
        if !edits.is_empty() {
            others.insert(file.clone(), edits);
        }
    }
    Ok((edits, others))
}

/// The experiments in which the probe has the same name: those that inherit it, unchanged or redefined.
fn experiments_sharing_probe<'i>(
    investigation: &'i Investigation,
    experiment: &str,
    probe: &str,
) -> Vec<&'i str> {
    let heir_of = |one: &'i Experiment| {
        let parent = investigation.experiment(one.inherits.as_deref()?)?;
        parent.probe(probe).map(|_| parent)
    };
    // An experiment that inherits comes later in the file, and only names its direct parent.
    let first = |mut one: &'i Experiment| {
        while let Some(parent) = heir_of(one) {
            one = parent;
        }
        &one.name
    };
    let own = investigation.experiment(experiment).map(first);
    let with_probe = investigation.experiments.iter();
    let with_probe = with_probe.filter(|one| one.probe(probe).is_some());
    let related = with_probe.filter(|one| Some(first(one)) == own);
    related.map(|one| one.name.as_str()).collect()
}

/// The edits of the investigation that rename the probe in these experiments.
fn investigation_edits(
    investigation: &Investigation,
    experiments: &[&str],
    probe: &str,
    new: &str,
) -> Result<Vec<TextEdit>, RenameError> {
    let is_meant = |one: &Experiment| experiments.contains(&one.name.as_str());
    let meant = investigation.experiments.iter().filter(|one| is_meant(one));
    let mut spans: Vec<Range<usize>> = meant
        .filter_map(|one| Some(one.probe(probe)?.span.clone()))
        .collect();
    spans.sort_by_key(|span| span.start);
    spans.dedup();
    let text = investigation.source.text.as_str();
    let edits: Vec<TextEdit> = spans
        .iter()
        .map(|span| rename_edit(text, span, new))
        .collect();
    let mut renamed = text.to_owned();
    for edit in edits.iter().rev() {
        renamed.replace_range(edit.span.clone(), &edit.text);
    }
    let report = |problems: Vec<Diagnostic>| {
        let first = problems.into_iter().next();
        RenameError::Investigation(first.map_or_else(String::new, |one| one.message))
    };
    let parsed = parse(&investigation.source.name, &renamed).map_err(report)?;
    let names = |of: &Investigation, rename: bool| -> Vec<Vec<String>> {
        let name = |experiment: &Experiment, one: &Probe| match rename
            && one.name == probe
            && is_meant(experiment)
        {
            true => new.to_owned(),
            false => one.name.clone(),
        };
        let list = |one: &Experiment| one.probes.iter().map(|p| name(one, p)).collect();
        of.experiments.iter().map(list).collect()
    };
    if names(investigation, true) != names(&parsed, false) {
        let message = format!(
            "other probes than `{probe}` would be changed, or another one is called `{new}`"
        );
        return Err(RenameError::Investigation(message));
    }
    Ok(edits)
}

/// The edit that renames the probe whose name or target is at `span` to `new`.
fn rename_edit(text: &str, span: &Range<usize>, new: &str) -> TextEdit {
    let line = text[..span.start].rfind('\n').map_or(0, |n| n + 1);
    let key = text[line..span.start].trim_end_matches([' ', '\t', '=']);
    let is_named = key
        .strip_suffix("name")
        .is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric() || "_-".contains(c)));
    if is_named {
        return TextEdit {
            span: span.clone(),
            text: format!("\"{new}\""),
        };
    }
    let indentation = key.len() - key.trim_start().len();
    let is_alone = !key.trim_start().contains(|c: char| !c.is_alphanumeric());
    match is_alone {
        // On the line above, because a comment may follow it.
        true => TextEdit {
            span: line..line,
            text: format!("{}name = \"{new}\"\n", &key[..indentation]),
        },
        false => TextEdit {
            span: span.end..span.end,
            text: format!(", name = \"{new}\""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::dialect::Markdown;

    const INVESTIGATION: &str = "[[experiment]]\nname = \"create\"\nworkload = { syscall = \"socket\", args = [2, 1, 0] }\n\
        probe = [{ function = \"sock_alloc\" }, { function = \"fd_install\", name = \"install\" }]\n\n\
        [[experiment]]\nname = \"again\"\ninherit = \"create\"\n\n\
        [[experiment.probe]]\n  function = \"sock_free\"\n\n\
        [[experiment]]\nname = \"other\"\nworkload = { syscall = \"socket\", args = [2, 1, 0] }\n\
        [[experiment.probe]]\nfunction = \"sock_alloc\"\n\n\
        [[experiment]]\nname = \"anew\"\ninherit = \"create\"\n[[experiment.probe]]\nfunction = \"fd_install\"\nname = \"install\"\nstack = false\n";

    fn renamed(experiment: &str, probe: &str, new: &str) -> Result<(String, String), String> {
        let investigation = parse("t.toml", INVESTIGATION).unwrap();
        let text = "{{qed create.sock_alloc.return}} {{qed again.sock_alloc.return}} {{qed other.sock_alloc.return}}\n";
        let chapter = Chapter::parse("c.md", text, Markdown::default());
        let chapters = [(PathBuf::from("c.md"), chapter)];
        let (edits, others) = rename(&investigation, (experiment, probe), new, &chapters)
            .map_err(|error| error.to_string())?;
        let apply = |text: &str, edits: &[TextEdit]| {
            let mut text = text.to_owned();
            for edit in edits.iter().rev() {
                text.replace_range(edit.span.clone(), &edit.text);
            }
            text
        };
        let chapter = apply(
            text,
            others
                .get(&PathBuf::from("c.md"))
                .map_or(&[], Vec::as_slice),
        );
        Ok((apply(INVESTIGATION, &edits), chapter))
    }

    /// Check that a probe without a name of its own gets one, that those who inherit it follow, and that a namesake stays.
    #[test]
    fn inherited() {
        let (toml, chapter) = renamed("create", "sock_alloc", "made").unwrap();
        assert!(
            toml.contains("{ function = \"sock_alloc\", name = \"made\" }"),
            "{toml}"
        );
        assert_eq!(toml.matches("made").count(), 1);
        assert_eq!(
            chapter,
            "{{qed create.made.return}} {{qed again.made.return}} {{qed other.sock_alloc.return}}\n"
        );
        let (toml, _) = renamed("again", "sock_free", "gone").unwrap();
        assert!(
            toml.contains("  name = \"gone\"\n  function = \"sock_free\"\n"),
            "{toml}"
        );
    }

    /// Check that one that is defined anew where it is inherited goes by one name in both places.
    #[test]
    fn defined_anew() {
        let (toml, _) = renamed("create", "install", "put").unwrap();
        assert_eq!(toml.matches("name = \"put\"").count(), 2, "{toml}");
    }

    /// Check that names which another probe has, or which no probe can have, are refused.
    #[test]
    fn refused() {
        let refused = |probe, new| renamed("create", probe, new).unwrap_err();
        assert!(refused("sock_alloc", "install").contains("`install` is already defined"));
        assert!(refused("sock_alloc", "Big").contains("does not match"));
        assert!(refused("sock_alloc", "quality").contains("reserved"));
        assert!(refused("nothing", "a").contains("no probe is named here"));
    }
}
