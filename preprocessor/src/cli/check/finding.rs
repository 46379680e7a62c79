//! Findings: everything that a check reports at a line of the book, in any output format.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use qed_evidence::claim::Verdict;
use qed_evidence::diagnostic::{Diagnostic, Severity};

use crate::claims::collect::Claims;
use crate::claims::gaps::{NO_EVIDENCE, collect_gaps};
use crate::claims::judged::rule_of;
use crate::cli::common::find_repository;
use crate::config::BookPaths;
use crate::evidence::book_data::BookData;
use crate::mdbook::build::move_to_authors_files;

/// The rule of a complaint that names none: the book, its evidence or its settings cannot be understood.
const OTHER: &str = "book";

/// The weight of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A finding that stops a build.
    Error,
    /// Worth a look.
    Warning,
    /// A claim that could not be decided, or a value on a page that was not measured.
    Open,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its weight.
    pub weight: Weight,
    /// The rule that is broken.
    pub rule: &'static str,
    /// The problem, the measured values, and the next step, each on lines of its own.
    pub message: String,
    /// The file, from the top of the repository. Nothing: it belongs to no place.
    pub file: Option<String>,
    /// Line and column, both from 1, the column in characters.
    pub at: Option<(usize, usize)>,
}

impl Finding {
    fn new(diagnostic: &Diagnostic, weight: Weight, folder: &Path) -> Self {
        let mut message = diagnostic.message.clone();
        if !diagnostic.label.is_empty() {
            message.push_str(&format!("\n{}", diagnostic.label));
        }
        if let Some(help) = &diagnostic.help {
            message.push_str(&format!("\nhelp: {help}"));
        }
        let place = diagnostic.place.as_ref();
        Finding {
            weight,
            rule: diagnostic.rule.unwrap_or(OTHER),
            message,
            file: place.map(|(source, _)| name_in_repository(folder, Path::new(&source.name))),
            at: diagnostic.line_column(),
        }
    }

    /// `FILE:LINE`, if it has a place.
    pub fn location(&self) -> Option<String> {
        let (line, _) = self.at?;
        Some(format!("{}:{line}", self.file.as_ref()?))
    }

    /// True for a verdict on a claim, which reports by machine have already.
    pub fn is_verdict(&self) -> bool {
        [Verdict::Fail, Verdict::Error, Verdict::Unverified]
            .map(rule_of)
            .contains(&self.rule)
            || self.rule == NO_EVIDENCE
    }
}

/// The name of a file of the book in `folder`, with slashes and without `..`, as tools expect it.
pub fn name_in_repository(folder: &Path, file: &Path) -> String {
    let mut names: Vec<String> = Vec::new();
    for part in folder.join(file).components() {
        match part {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                names.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    names.join("/")
}

/// The folder of the book in `root`, from the top of its repository; empty without one.
pub fn folder_in_repository(root: &Path) -> PathBuf {
    find_repository(root)
        .map(|(_, inside)| inside)
        .unwrap_or_default()
}

/// The findings for complaints.
pub fn findings_from_problems(problems: &[Diagnostic], folder: &Path) -> Vec<Finding> {
    let weight = |problem: &Diagnostic| match problem.severity {
        Severity::Error => Weight::Error,
        Severity::Warning => Weight::Warning,
    };
    problems
        .iter()
        .map(|problem| Finding::new(problem, weight(problem), folder))
        .collect()
}

/// Claims that some machine could not show, one finding for each, and machines that have shown nothing.
pub fn findings_from_gaps(
    claims: &Claims,
    book_data: &BookData<'_>,
    paths: &BookPaths,
    folder: &Path,
) -> Vec<Finding> {
    let mut gaps = collect_gaps(claims, book_data);
    move_to_authors_files(&mut gaps, paths, &paths.reader());
    findings_from_open(&gaps, folder)
}

/// One finding for each of what could not be shown.
pub fn findings_from_open(open: &[Diagnostic], folder: &Path) -> Vec<Finding> {
    let findings = open.iter();
    findings
        .map(|one| Finding::new(one, Weight::Open, folder))
        .collect()
}

/// The file and line of each claim, by id.
pub fn claim_locations(
    claims: &Claims,
    paths: &BookPaths,
    folder: &Path,
) -> BTreeMap<String, String> {
    let mut at: Vec<Diagnostic> = claims
        .iter_in_book_order()
        .map(|judged| judged.diagnostic(judged.claim.id.as_str()))
        .collect();
    move_to_authors_files(&mut at, paths, &paths.reader());
    let located = at.iter().filter_map(|one| {
        let place = Finding::new(one, Weight::Open, folder).location()?;
        Some((one.message.clone(), place))
    });
    located.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a file is named from the top of its repository, whatever leads to it.
    #[test]
    fn names_of_files() {
        for (folder, file, name) in [
            ("", "src/a.md", "src/a.md"),
            ("docs/guide", "src/a.md", "docs/guide/src/a.md"),
            ("docs/guide", "../shared/a b.md", "docs/shared/a b.md"),
            ("docs", "./src/../a.md", "docs/a.md"),
        ] {
            assert_eq!(name_in_repository(Path::new(folder), Path::new(file)), name);
        }
    }
}
