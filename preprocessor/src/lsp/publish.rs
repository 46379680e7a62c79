//! Diagnostics as an editor gets them, by file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lsp_types::{DiagnosticSeverity, NumberOrString, PublishDiagnosticsParams, Range};
use qed_evidence::diagnostic::{Diagnostic, Severity};

use crate::config::BookPaths;
use crate::lsp::files::{Documents, canonical_path};
use crate::lsp::position;

/// The files that an editor shows diagnostics in.
#[derive(Debug, Default)]
pub struct PublishedFiles(BTreeSet<PathBuf>);

impl PublishedFiles {
    /// The notifications after which an editor shows exactly these diagnostics: the problems as errors and warnings, the gaps
    /// as information.
    pub fn replace(
        &mut self,
        problems: &[Diagnostic],
        gaps: &[Diagnostic],
        paths: &BookPaths,
        documents: &Documents,
    ) -> Vec<PublishDiagnosticsParams> {
        let mut by_file: BTreeMap<PathBuf, Vec<lsp_types::Diagnostic>> = BTreeMap::new();
        // An open document gets a notification even without diagnostics, so that its author knows that it was checked.
        let open = documents.iter().map(|(file, _)| file);
        let open = open.filter(|file| file.starts_with(&paths.root));
        for file in self.0.iter().map(PathBuf::as_path).chain(open) {
            by_file.insert(file.to_owned(), Vec::new());
        }
        let of_gaps = gaps
            .iter()
            .map(|gap| (gap, DiagnosticSeverity::INFORMATION));
        let of_problems = problems.iter().map(|problem| match problem.severity {
            Severity::Error => (problem, DiagnosticSeverity::ERROR),
            Severity::Warning => (problem, DiagnosticSeverity::WARNING),
        });
        for (diagnostic, severity) in of_problems.chain(of_gaps) {
            let (file, range) = locate(diagnostic, paths, documents);
            by_file
                .entry(file)
                .or_default()
                .push(to_lsp_diagnostic(diagnostic, severity, range));
        }
        self.0 = by_file
            .iter()
            .filter(|(_, diagnostics)| !diagnostics.is_empty())
            .map(|(file, _)| file.clone())
            .collect();
        let params = |(file, diagnostics): (PathBuf, Vec<lsp_types::Diagnostic>)| {
            Some(PublishDiagnosticsParams {
                uri: documents.uri(&file)?,
                diagnostics,
                version: documents.get(&file).map(|document| document.version),
            })
        };
        by_file.into_iter().filter_map(params).collect()
    }
}

/// The file and the range of a diagnostic. One without a place is shown at the settings of the preprocessor.
fn locate(diagnostic: &Diagnostic, paths: &BookPaths, documents: &Documents) -> (PathBuf, Range) {
    let Some((source, span)) = &diagnostic.place else {
        let file = paths.root.join("book.toml");
        let text = documents.text(&file).unwrap_or_default();
        let at = text.find("[preprocessor.qed]").unwrap_or(0);
        let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        return (file, position::range(&text, &(at..end)));
    };
    let name = Path::new(&source.name);
    let file = paths.root.join(name);
    // A diagnostic whose place was not found in the author's own file has only the name of the chapter.
    let file = match file.is_file() {
        true => file,
        false => paths.root.join(&paths.src).join(name),
    };
    (canonical_path(&file), position::range(&source.text, span))
}

fn to_lsp_diagnostic(
    diagnostic: &Diagnostic,
    severity: DiagnosticSeverity,
    range: Range,
) -> lsp_types::Diagnostic {
    let mut message = diagnostic.message.clone();
    if !diagnostic.label.is_empty() {
        message.push_str(&format!("\n{}", diagnostic.label));
    }
    if let Some(help) = &diagnostic.help {
        message.push_str(&format!("\nhelp: {help}"));
    }
    lsp_types::Diagnostic {
        range,
        severity: Some(severity),
        code: diagnostic
            .rule
            .map(|rule| NumberOrString::String(rule.to_owned())),
        source: Some("qed".to_owned()),
        message,
        ..lsp_types::Diagnostic::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::diagnostic::SourceText;
    use std::sync::Arc;

    /// Check that each file gets its own, that what is mended goes, and that what belongs to no place stands at the settings.
    #[test]
    fn by_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = crate::lsp::files::canonical_path(&folder.path().join("x"))
            .parent()
            .unwrap()
            .to_owned();
        std::fs::write(root.join("book.toml"), "[book]\n[preprocessor.qed]\n").unwrap();
        std::fs::create_dir(root.join("src")).unwrap();
        std::fs::write(root.join("src/a.md"), "😀x").unwrap();
        let paths = BookPaths {
            root: root.clone(),
            src: "src".into(),
            theme: "theme".into(),
        };
        let source = |name: &str| {
            Arc::new(SourceText {
                name: name.into(),
                text: "😀x".into(),
            })
        };
        let mut published = PublishedFiles::default();
        let documents = Documents::default();
        let reported = [
            Diagnostic::error(&source("src/a.md"), 4..5, "a")
                .label("l")
                .help("h")
                .rule("r"),
            Diagnostic::error_without_place("b").warning(),
        ];
        let gap = [Diagnostic::error(&source("a.md"), 0..0, "c")];
        let sent = published.replace(&reported, &gap, &paths, &documents);
        assert_eq!(sent.len(), 2);
        let settings = &sent[0].diagnostics[0];
        assert_eq!(
            (settings.range.start.line, settings.severity),
            (1, Some(DiagnosticSeverity::WARNING))
        );
        let chapter = &sent[1].diagnostics;
        assert_eq!(chapter[0].message, "a\nl\nhelp: h");
        assert_eq!(
            (
                chapter[0].range.start.character,
                chapter[0].range.end.character
            ),
            (2, 3)
        );
        assert_eq!(chapter[1].severity, Some(DiagnosticSeverity::INFORMATION));
        let sent = published.replace(&reported[1..], &[], &paths, &documents);
        assert_eq!(
            sent.iter()
                .map(|one| one.diagnostics.len())
                .collect::<Vec<_>>(),
            [1, 0]
        );
        assert_eq!(
            published
                .replace(&reported[1..], &[], &paths, &documents)
                .len(),
            1
        );
    }
}
