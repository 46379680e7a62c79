//! Map from the text that mdBook passes on to the file that the author wrote.
//!
//! By the time a preprocessor runs, includes are expanded and other preprocessors may have changed the text, so its line
//! numbers are not those of any file. A place is looked up by the text around it instead.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qed_evidence::diagnostic::{Diagnostic, SourceText};

/// The part of the surroundings that is compared to each side, in bytes.
const HORIZON: usize = 16 << 10;
/// The most files that one chapter may draw in before the search gives up.
const MAX_FILES: usize = 200;

/// The place in `files` that looks most like `span` in `text`: index of the file, and its bytes.
pub fn find_in_files(
    text: &str,
    span: &Range<usize>,
    files: &[&str],
) -> Option<(usize, Range<usize>)> {
    if let Some(whole) = files.iter().position(|file| *file == text) {
        return Some((whole, span.clone()));
    }
    // An empty or tiny span looks like everything: take its whole line along.
    let line_start = text[..span.start].rfind('\n').map_or(0, |n| n + 1);
    let line_end = text[span.end..]
        .find('\n')
        .map_or(text.len(), |n| span.end + n);
    let needles = [line_start..line_end, span.clone()];
    for needle in needles {
        let wanted = text[needle.clone()].trim_end_matches('\r');
        if wanted.trim().is_empty() {
            continue;
        }
        let best = files
            .iter()
            .enumerate()
            .flat_map(|(file, content)| {
                content.match_indices(wanted).map(move |(at, _)| (file, at))
            })
            .map(|(file, at)| (similarity(text, &needle, files[file], at), file, at))
            // Of equals, the first.
            .max_by_key(|(score, file, at)| (*score, std::cmp::Reverse((*file, *at))));
        if let Some((_, file, at)) = best {
            let start = at + (span.start - needle.start);
            return Some((file, start..start + span.len()));
        }
    }
    None
}

/// The number of bytes around the two places that are the same.
fn similarity(text: &str, span: &Range<usize>, other: &str, at: usize) -> usize {
    let before = text.as_bytes()[..span.start].iter().rev();
    let before = before.zip(other.as_bytes()[..at].iter().rev());
    let after = text.as_bytes()[span.start..]
        .iter()
        .zip(&other.as_bytes()[at..]);
    let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
    before.take(HORIZON).take_while(same).count() + after.take(HORIZON).take_while(same).count()
}

/// The paths that a file includes, as mdBook's `links` reads them, relative to the file's folder.
fn included_paths(text: &str) -> impl Iterator<Item = &str> {
    ["{{#include", "{{#rustdoc_include", "{{#playground"]
        .into_iter()
        .flat_map(move |open| {
            text.match_indices(open).filter_map(move |(at, _)| {
                let inside = text[at + open.len()..].split("}}").next()?;
                inside.split_whitespace().next()?.split(':').next()
            })
        })
}

/// The author's own files of a chapter: itself and everything that it includes. `read` gives a file's text.
pub fn author_files(
    chapter: &Path,
    read: impl Fn(&Path) -> Option<String>,
) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let mut queue = std::collections::VecDeque::from([chapter.to_owned()]);
    while let Some(path) = queue.pop_front() {
        if files.len() >= MAX_FILES || files.iter().any(|(known, _)| *known == path) {
            continue;
        }
        let Some(text) = read(&path) else { continue };
        let folder = path.parent().unwrap_or(Path::new(""));
        queue.extend(included_paths(&text).map(|include| normalize_path(&folder.join(include))));
        files.push((path, text));
    }
    files
}

/// The path without `.` and `..` where they cancel out.
fn normalize_path(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// Move a diagnostic from the chapter `text` to the author's file. `files` are named relative to the book's root.
pub fn move_diagnostic(problem: &mut Diagnostic, files: &[Arc<SourceText>]) {
    let Some((source, span)) = &problem.place else {
        return;
    };
    let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
    match find_in_files(&source.text, span, &texts) {
        Some((file, span)) => problem.place = Some((Arc::clone(&files[file]), span)),
        None => {
            let note = "the place is counted in the chapter as other preprocessors left it";
            problem.help = Some(match problem.help.take() {
                Some(help) => format!("{help}\n{note}"),
                None => note.to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a place behind an include, inside an include, and a repeated one are found in the right file.
    #[test]
    fn finds_the_authors_place() {
        let raw = "# T\n\n{{#include a.md}}\n\nsame {{qed x}}\n\nother {{qed x}}\n";
        let included = "one\ntwo {{qed x}} y\nsame {{qed x}}\n";
        let text = raw.replace("{{#include a.md}}", included);
        for (needle, file, line) in [("two {{qed", 1, 2), ("other {{qed", 0, 7)] {
            let at = text.find(needle).unwrap() + needle.len() - 5;
            let (found, span) = find_in_files(&text, &(at..at + 9), &[raw, included]).unwrap();
            let content = [raw, included][found];
            assert_eq!(
                (found, content[..span.start].matches('\n').count() + 1),
                (file, line)
            );
            assert_eq!(&content[span], "{{qed x}}");
        }
        let last = text.rfind("same {{qed").unwrap();
        assert_eq!(
            find_in_files(&text, &(last..last + 14), &[raw, included])
                .unwrap()
                .0,
            0
        );
        let first = text.find("same {{qed").unwrap();
        assert_eq!(
            find_in_files(&text, &(first..first + 14), &[raw, included])
                .unwrap()
                .0,
            1
        );
        assert_eq!(find_in_files("zzz", &(0..3), &[raw]), None);
    }

    /// Check that includes are followed, also in circles and upwards.
    #[test]
    fn follows_includes() {
        let found = author_files(Path::new("a/b.md"), |path| match path.to_str()? {
            "a/b.md" => Some("{{#include ../c.md:1:2}} {{ #include no }}".into()),
            "c.md" => Some("{{#include a/b.md}} {{#include a/missing.md}}".into()),
            _ => None,
        });
        let names: Vec<&str> = found.iter().map(|(p, _)| p.to_str().unwrap()).collect();
        assert_eq!(names, ["a/b.md", "c.md"]);
    }
}
