//! Kernel facts that the book does not measure: each links to a line of a fixed version of the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The target of all citations.
const HOST: &str = "https://elixir.bootlin.com/linux/";

/// All citations in a text, each with the words of its link if it is one of Markdown.
fn citations(text: &str) -> Vec<(Option<&str>, &str)> {
    text.match_indices(HOST)
        .map(|(at, _)| {
            let end = text[at..]
                .find([')', '"', '\n', '>', ' '])
                .map_or(text.len(), |end| at + end);
            let words = text[..at]
                .strip_suffix("](")
                .and_then(|before| before.rsplit_once('['));
            (words.map(|(_, words)| words), &text[at..end])
        })
        .collect()
}

/// Check that every citation of the book, of the guide and of the list of statements leads to one line of one version,
/// that its words name the file and the version, and that the text of that line is on record in `citations.tsv`, which
/// `scripts/citations.sh` compares with the kernel's source.
#[test]
fn each_is_a_line_on_record() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let record = read(&root.join("book/citations.tsv"));
    let record: BTreeMap<&str, &str> = record
        .lines()
        .map(|line| {
            line.split_once('\t')
                .unwrap_or_else(|| panic!("no tab: {line}"))
        })
        .collect();
    let mut files = vec![root.join("book/statements.toml")];
    for folder in ["book", "guide/src"] {
        let pages = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|e| e.unwrap().path());
        files.extend(pages.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    let (mut problems, mut used) = (Vec::new(), BTreeSet::new());
    for file in files {
        let text = read(&file);
        for (words, link) in citations(&text) {
            let mut complain =
                |what: &str| problems.push(format!("{}: {link}: {what}", file.display()));
            let rest = link[HOST.len()..].strip_prefix('v').unwrap_or_default();
            let parts = rest.split_once("/source/").and_then(|(version, place)| {
                let (path, line) = place.split_once("#L")?;
                Some((version, path, line.parse::<u32>().ok()?))
            });
            let Some((version, path, _)) = parts else {
                complain("is not a line of a version: vVERSION/source/PATH#LLINE");
                continue;
            };
            if version.split('.').count() != 3 {
                complain("names no release of a stable series, whose lines never move");
            }
            if let Some((name, message)) = words.map(|w| w.rsplit_once(", v").unwrap_or((w, "")))
                && !(path.ends_with(name) && version.starts_with(&format!("{message}.")))
            {
                complain("its words name another file or version");
            }
            match record.get(link) {
                Some(line) if !line.trim().is_empty() => {
                    used.insert(link.to_owned());
                }
                _ => complain("its line is not on record in book/citations.tsv"),
            }
        }
    }
    let idle = record.keys().filter(|link| !used.contains(**link));
    problems.extend(idle.map(|link| format!("book/citations.tsv: nobody cites {link}")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
