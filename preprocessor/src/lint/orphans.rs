//! `unshown-claim`: files with claims that are not chapters, so that no page shows the claims and they are not judged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;

use crate::config::{BookPaths, Config, Lint};
use crate::evidence::locations::SITE_MANIFEST;
use crate::markdown::chapter::Chapter;
use crate::markdown::source_map;
use crate::markdown::structure::BlockKind;

/// The greatest depth of folders that are searched for chapters.
const MAX_DEPTH: usize = 16;

/// Complain about every claim in a Markdown file that is neither a chapter nor included by one.
pub fn find_orphans(paths: &BookPaths, chapters: &[Chapter], config: &Config) -> Vec<Diagnostic> {
    let Some(first) = chapters.first() else {
        return Vec::new();
    };
    let src = paths.root.join(&paths.src);
    let read = |path: &Path| crate::util::files::read_text(&paths.root.join(path)).ok();
    let mut shown: BTreeSet<PathBuf> = BTreeSet::new();
    let mut known = false;
    let mut complaints = Vec::new();
    for path in markdown_files(&src) {
        let name = path.strip_prefix(&src).unwrap_or(&path);
        let is_chapter = |chapter: &&Chapter| Path::new(&chapter.source.name) == name;
        if name == Path::new("SUMMARY.md") || chapters.iter().find(is_chapter).is_some() {
            continue;
        }
        let Some(text) = crate::util::files::read_text(&path).ok() else {
            continue;
        };
        if !text.contains("qed-claim") {
            continue;
        }
        // What chapters include is worked out only when it matters.
        if !known {
            known = true;
            for chapter in chapters {
                let path = paths.src.join(&chapter.source.name);
                shown.extend(
                    source_map::author_files(&path, read)
                        .into_iter()
                        .map(|(path, _)| path),
                );
            }
        }
        if !shown.contains(&paths.src.join(name)) {
            complaints.extend(orphan_diagnostics(&paths.src.join(name), &text, first));
        }
    }
    complaints
        .into_iter()
        .map(|complaint| config.apply_severity(Lint::UnshownClaim, complaint))
        .collect()
}

/// A complaint for each claim of a file that does not belong to the book.
fn orphan_diagnostics(path: &Path, text: &str, like: &Chapter) -> Vec<Diagnostic> {
    let stray = Chapter::parse(&path.display().to_string(), text, like.markdown);
    stray
        .blocks
        .iter()
        .filter(|block| block.kind == BlockKind::Claim)
        .map(|block| {
            let message = "this claim is never judged: its file is not a chapter of the book, and no chapter includes it";
            let end = block.info.end;
            Diagnostic::error(&stray.source, block.range.start..end, message)
                .help("name the file in SUMMARY.md, or include it in a chapter")
        })
        .collect()
}

/// True for the folder that a published site keeps its own documents in: the chapters there are copies.
fn is_of_published_site(folder: &Path) -> bool {
    let manifest = Path::new(SITE_MANIFEST);
    let name = manifest.parent().and_then(Path::file_name);
    let file = manifest.file_name().unwrap_or_default();
    folder.file_name() == name && folder.join(file).is_file()
}

/// All Markdown files below a folder, sorted. Folders that cannot be read are skipped, and so are published sites: where the
/// chapters lie in the folder of the book, the site that was built lies among them.
fn markdown_files(src: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut queue = vec![(src.to_owned(), 0)];
    while let Some((folder, depth)) = queue.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            // Links are not followed: they could lead in circles, or out of the book.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && is_of_published_site(&path) => {}
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => queue.push((path, depth + 1)),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "md") => {
                    files.push(path)
                }
                _ => {}
            }
        }
    }
    files.sort_unstable();
    files
}
