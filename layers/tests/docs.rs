//! The pages that say where things are.

use std::path::{Path, PathBuf};

/// Folders of the repository whose files the pages name.
const FOLDERS: &[&str] = &[
    "book",
    "browser",
    "collector",
    "collector-ebpf",
    "docs",
    "evidence",
    "findings",
    "fuzz",
    "guide",
    "investigations",
    "layers",
    "preprocessor",
    "programs",
    "recorded",
    "runner",
    "scripts",
    "xtask",
];

/// Folders of the repository that are made by what the pages describe, and not committed.
const MADE: &[&str] = &["fuzz/artifacts/", "guide/site/"];

/// The paths of files and folders that a page names in backticks.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let spans = page.split('`').skip(1).step_by(2);
    spans.filter(|span| {
        let is_path = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
        let first = span.split_once('/').map(|(first, _)| first);
        let is_file = span.ends_with('/') || Path::new(span).extension().is_some();
        span.chars().all(is_path) && is_file && first.is_some_and(|f| FOLDERS.contains(&f))
    })
}

/// The targets of a page's links to other files of the repository.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let targets = targets.filter(|target| !target.contains(':') && !target.starts_with('#'));
    targets.map(|target| target.split_once('#').map_or(target, |(file, _)| file))
}

fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = ["ARCHITECTURE.md", "README.md", "SECURITY.md"]
        .map(|page| root.join(page))
        .to_vec();
    for folder in ["docs", "docs/decisions", "guide/src"] {
        let entries = std::fs::read_dir(root.join(folder)).expect("the folder can be read");
        let files = entries.map(|entry| entry.expect("the entry can be read").path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|e| e == "md")));
    }
    pages
}

/// Check that each file and folder that the map and the decisions name is there, and that each decision is in their list.
#[test]
fn named_files_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = std::fs::read_to_string(root.join("docs/decisions/README.md"));
    let list = list.expect("the list of decisions can be read");
    let (mut missing, mut count) = (Vec::new(), 0);
    for page in pages(&root) {
        let text = std::fs::read_to_string(&page).expect("the page can be read");
        let folder = page.parent().expect("a page is in a folder");
        let named = named(&text).map(|path| (path, root.join(path)));
        let linked = links(&text).map(|path| (path, folder.join(path)));
        for (written, path) in named.chain(linked) {
            count += 1;
            let made = MADE.iter().any(|folder| written.starts_with(folder));
            if !path.exists() && !made {
                missing.push(format!("{}: {written}", page.display()));
            }
        }
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        if folder.ends_with("decisions")
            && !list.contains(&format!("({name})"))
            && name != "README.md"
        {
            missing.push(format!("{name} in the list of decisions"));
        }
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
    assert!(count > 80, "only {count} paths were found");
}
