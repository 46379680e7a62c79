//! The search of a site's files for folders of whoever builds it: a guest may print them, and they name a user.

use std::path::{Component, Path};

use memchr::memmem::Finder;

use super::manifest::INVESTIGATION;
use crate::util::files::SiteFile;

/// A folder that only the builder's machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderFolder {
    /// The words for it; the folder itself is not told.
    what: &'static str,
    path: String,
}

/// The folders that identify the builder: the user's home folder, and that of the book. One directly below `/`, such as `/root`,
/// identifies nobody.
pub fn builder_folders(home: Option<&Path>, book: &Path) -> Vec<BuilderFolder> {
    let home = home.map(|home| ("the home folder of the user who publishes it", home));
    let all = home.into_iter().chain([("the folder of the book", book)]);
    all.filter(|(_, path)| {
        let depth = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)));
        path.is_absolute() && depth.count() > 1
    })
    .filter_map(|(what, path)| {
        let path = path.to_str()?.trim_end_matches('/').to_owned();
        Some(BuilderFolder { what, path })
    })
    .collect()
}

/// The places in `files` that hold one of the folders, a line each. One that the published investigation names is left out: its author
/// wrote it.
pub fn find_builder_folders(folders: &[BuilderFolder], files: &[SiteFile]) -> Vec<String> {
    let mut lines = Vec::new();
    for folder in folders {
        let finder = Finder::new(&folder.path);
        let find = |file: &SiteFile| find_folder(&finder, &folder.path, &file.bytes);
        let mut investigations = files
            .iter()
            .filter(|file| file.name.ends_with(INVESTIGATION));
        if investigations.any(|file| find(file).is_some()) {
            continue;
        }
        lines.extend(files.iter().filter_map(|file| {
            let at = find(file)?;
            Some(format!(
                "{}: byte {at}: {} is written there; let workloads and scripts name files by paths that every machine has",
                file.name, folder.what
            ))
        }));
    }
    lines
}

/// The first place of a folder's path in `bytes`. `/home/a` is not in `/home/ab`.
fn find_folder(finder: &Finder<'_>, path: &str, bytes: &[u8]) -> Option<usize> {
    let ends = |at: &usize| {
        let next = bytes.get(at + path.len());
        next.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-' | b'.'))
    };
    finder.find_iter(bytes).find(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(home: &str, book: &str, text: &str) -> Vec<String> {
        let folders = builder_folders(Some(Path::new(home)), Path::new(book));
        let file = SiteFile {
            name: "a.html".into(),
            bytes: text.as_bytes().to_vec(),
        };
        find_builder_folders(&folders, &[file])
    }

    /// Check that a folder of the builder is found with its place and without its name, and that no part of another one is taken for it.
    #[test]
    fn folders() {
        let lines = found(
            "/home/someone",
            "/srv/books/mine/",
            "x /home/someone/run.sh",
        );
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("a.html: byte 2: the home folder"),
            "{lines:?}"
        );
        assert!(!lines[0].contains("someone"), "{lines:?}");
        assert_eq!(
            found("/home/a", "/srv/books/mine", "/srv/books/mine").len(),
            1
        );
        assert_eq!(
            found("/home/a", "/srv/b", "/home/ab /home/a-b /srv/books"),
            [""; 0]
        );
        assert_eq!(found("/root", "/book", "/root/x /book/y"), [""; 0]);
        assert_eq!(found("relative/folder", "", "relative/folder"), [""; 0]);
    }
    /// Check that a folder which the investigation names may be published, and that one whose name only begins so may not.
    #[test]
    fn named_by_the_investigation() {
        let folders = builder_folders(Some(Path::new("/home/some")), Path::new("/book"));
        let file = |name: &str, text: &str| SiteFile {
            name: name.into(),
            bytes: text.as_bytes().to_vec(),
        };
        for (investigation, count) in [
            ("command = [\"/home/some/x\"]", 0),
            ("command = [\"/home/someone/x\"]", 1),
        ] {
            let files = [
                file(INVESTIGATION, investigation),
                file("a.html", "/home/some/x"),
            ];
            assert_eq!(
                find_builder_folders(&folders, &files).len(),
                count,
                "{investigation}"
            );
        }
    }
}
