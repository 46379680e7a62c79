//! Diagnostics: the problem, its place and its remedy, with the source line and a caret.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A file as its author wrote it.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The name by which the author knows it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Its severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The work cannot go on, or its result would be wrong.
    Error,
    /// Worth a look.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its severity.
    pub severity: Severity,
    /// The problem, in one line.
    pub message: String,
    /// The file and the bytes in it that are meant.
    pub place: Option<(Arc<SourceText>, Range<usize>)>,
    /// The text at that place.
    pub label: String,
    /// The next step.
    pub help: Option<String>,
    /// The rule that is broken, for tools that sort and silence by it.
    pub rule: Option<&'static str>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(source: &Arc<SourceText>, span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            place: Some((Arc::clone(source), span)),
            label: String::new(),
            help: None,
            rule: None,
        }
    }

    /// An error that belongs to no place in a file.
    pub fn error_without_place(message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            help: None,
            rule: None,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Add what to say at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Add what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Say which rule is broken.
    #[must_use]
    pub fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Line and column of the place, both from 1, the column in characters.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let (source, span) = self.place.as_ref()?;
        let before = source.text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        ))
    }

    /// The diagnostic as text, in colour if `color`.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some((source, span)) = &self.place {
            let annotation = AnnotationKind::Primary.span(clamp(&source.text, span));
            let annotation = if self.label.is_empty() {
                annotation
            } else {
                annotation.label(self.label.as_str())
            };
            group = group.element(
                Snippet::source(source.text.as_str())
                    .path(source.name.as_str())
                    .annotation(annotation),
            );
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// A span that cannot make the renderer panic: inside the text and on character boundaries.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// True if messages may be coloured: on a terminal that knows colours, unless `NO_COLOR` holds anything
/// (<https://no-color.org>). `variable` gives a variable of the environment.
pub fn allows_color(
    on_terminal: bool,
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> bool {
    on_terminal
        && variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Sort by file and place; what has no place comes first.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| d.place.as_ref().map(|(s, r)| (s.name.clone(), r.start));
        key(a).cmp(&key(b))
    });
}

/// The candidate nearest to `name`, if one is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (length, counts) = (name.chars().count(), CharCounts::new(name));
    let mut found: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = candidate.chars().count();
        let near = (length.max(other) / 3).max(1);
        // One that is farther away than what was found is not wanted any more.
        let most = found.map_or(near, |(distance, _)| near.min(distance));
        // Bounds of the distance that cost little: among all symbols of a kernel, nearly every one is beyond them.
        if length.abs_diff(other) > most || counts.least_distance(candidate) > most {
            continue;
        }
        let distance = strsim::damerau_levenshtein(name, candidate);
        let this = (distance, candidate);
        if distance <= most && found.is_none_or(|best| this < best) {
            found = Some(this);
        }
    }
    found.map(|(_, candidate)| candidate)
}

/// The number of characters of a text in each of some classes.
struct CharCounts([i32; Self::CLASSES]);

impl CharCounts {
    const CLASSES: usize = 64;

    fn new(text: &str) -> Self {
        let mut counts = [0; Self::CLASSES];
        for c in text.chars() {
            counts[c as usize % Self::CLASSES] += 1;
        }
        Self(counts)
    }

    /// A bound below the Damerau-Levenshtein distance of the two texts: each edit takes at most one character away and adds at most one,
    /// and an exchange of neighbours does neither.
    fn least_distance(&self, other: &str) -> usize {
        let mut left = self.0;
        for c in other.chars() {
            left[c as usize % Self::CLASSES] -= 1;
        }
        let (mut more, mut less) = (0, 0);
        for count in left {
            more += count.max(0).unsigned_abs();
            less += count.min(0).unsigned_abs();
        }
        more.max(less) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Check that the bounds hide no candidate: the answer is that of all distances.
        #[test]
        fn nearest_of_all(
            name in "[a-dé_]{0,9}",
            candidates in proptest::collection::vec("[a-dé_]{0,9}", 0..12),
        ) {
            let all = candidates.iter().map(|candidate| {
                let longest = name.chars().count().max(candidate.chars().count());
                let distance = strsim::damerau_levenshtein(&name, candidate);
                prop_assert!(CharCounts::new(&name).least_distance(candidate) <= distance);
                Ok((distance <= (longest / 3).max(1)).then_some((distance, candidate.as_str())))
            });
            let all = all.collect::<Result<Vec<_>, TestCaseError>>()?;
            let expected = all.into_iter().flatten().min().map(|(_, candidate)| candidate);
            prop_assert_eq!(nearest(&name, candidates.iter().map(String::as_str)), expected);
        }
    }

    /// Check that colours need a terminal, and nobody who is against them.
    #[test]
    fn colors() {
        let with = |on_terminal, name: &'static str, value: &'static str| {
            allows_color(on_terminal, |requested| {
                (requested == name).then(|| value.into())
            })
        };
        assert!(with(true, "", "") && !with(false, "", ""));
        assert!(with(true, "NO_COLOR", "") && !with(true, "NO_COLOR", "1"));
        assert!(with(true, "TERM", "xterm") && !with(true, "TERM", "dumb"));
    }

    /// Check that a diagnostic names file, line and column, shows the line, and survives spans outside the text.
    #[test]
    fn renders_place() {
        let source = Arc::new(SourceText {
            name: "chapter.md".into(),
            text: "one\ntwo wörds\n".into(),
        });
        let diagnostic = Diagnostic::error(&source, 8..14, "unknown path")
            .label("no such experiment")
            .help("did you mean `create`?");
        assert_eq!(diagnostic.line_column(), Some((2, 5)));
        insta::assert_snapshot!(diagnostic.render(false), @r"
        error: unknown path
         --> chapter.md:2:5
          |
        2 | two wörds
          |     ^^^^^ no such experiment
          |
          = help: did you mean `create`?
        ");
        for span in [0..999, 999..1000, 10..10] {
            Diagnostic::error(&source, span, "x").render(false);
        }
    }
}
