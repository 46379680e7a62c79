//! Changes of a published site, with a manifest that is made to fit them.

use std::collections::BTreeMap;

use mdbook_qed::publish::manifest::{self, Manifest};

use crate::common::{Book, stderr, stdout};

/// The files of the site.
pub fn site(book: &Book) -> BTreeMap<String, Vec<u8>> {
    let files = mdbook_qed::util::files::read(&book.path("book")).unwrap();
    files
        .into_iter()
        .map(|file| (file.name, file.bytes))
        .collect()
}

/// Put the site back to what it was.
pub fn restore(book: &Book, before: &BTreeMap<String, Vec<u8>>) {
    for name in site(book).keys().filter(|name| !before.contains_key(*name)) {
        std::fs::remove_file(book.path("book").join(name)).unwrap();
    }
    for (name, bytes) in before {
        std::fs::write(book.path("book").join(name), bytes).unwrap();
    }
}

/// Make the manifest fit the files as they are now.
pub fn correct_manifest(book: &Book) {
    let mut manifest: Manifest =
        serde_json::from_str(&book.read("book/qed/manifest.json")).unwrap();
    let files = site(book);
    manifest.files = files
        .iter()
        .filter(|(name, _)| *name != manifest::MANIFEST && !name.starts_with('.'))
        .map(|(name, bytes)| (name.clone(), mdbook_qed::util::digest::sha256_hex(bytes)))
        .collect();
    for (name, bytes) in &files {
        if name.starts_with(manifest::EVIDENCE)
            && let Ok(evidence) = qed_evidence::reader::read(bytes)
        {
            let parts = manifest::part_digests(&evidence);
            manifest.parts.insert(evidence.machine.name.clone(), parts);
        }
    }
    let text = manifest::to_json(&manifest).unwrap();
    std::fs::write(book.path("book/qed/manifest.json"), text).unwrap();
}

/// The lines that `verify` finds wrong. That it says nothing of a digest shows that the manifest was made to fit.
#[track_caller]
pub fn wrong(book: &Book, more: &[&str]) -> String {
    let output = book.qed(&[&["verify", "book"], more].concat());
    let printed = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{printed}{}",
        stderr(&output)
    );
    assert!(
        !printed.contains("the manifest has another digest") && !printed.contains("was added"),
        "{printed}"
    );
    printed
}

/// Applies edits to a site one after the other; complains of all together at the end.
pub struct Forger<'b> {
    book: &'b Book,
    before: BTreeMap<String, Vec<u8>>,
    missed: Vec<String>,
}

impl<'b> Forger<'b> {
    pub fn new(book: &'b Book) -> Self {
        Forger {
            book,
            before: site(book),
            missed: Vec::new(),
        }
    }

    /// Apply one edit, which has to change something, make the manifest fit, and expect a line that begins with the file
    /// and holds `line`.
    pub fn forge(&mut self, file: &str, from: &str, to: &str, line: &str) {
        self.forge_with(file, from, to, &|l| {
            l.starts_with(&format!("{file}:")) && l.contains(line)
        });
    }

    pub fn forge_with(&mut self, file: &str, from: &str, to: &str, wanted: &dyn Fn(&str) -> bool) {
        let path = format!("book/{file}");
        let text = self.book.read(&path);
        if !text.contains(from) {
            self.missed.push(format!("{file} has no `{from}`"));
            return;
        }
        self.book.write(&path, &text.replacen(from, to, 1));
        correct_manifest(self.book);
        let printed = stdout(&self.book.qed(&["verify", "book"]));
        if printed.contains("the manifest has another digest")
            || printed.contains("was added")
            || !printed.lines().any(wanted)
        {
            self.missed
                .push(format!("{file}: {from} → {to}: {printed}"));
        }
        restore(self.book, &self.before);
    }
}

impl Drop for Forger<'_> {
    fn drop(&mut self) {
        let missed = self.missed.join("\n\n");
        assert!(
            std::thread::panicking() || missed.is_empty(),
            "missed:\n{missed}"
        );
    }
}

/// The name of the one file of the site that begins and ends so.
pub fn named(files: &BTreeMap<String, Vec<u8>>, start: &str, end: &str) -> String {
    let mut found = files
        .keys()
        .filter(|n| n.starts_with(start) && n.ends_with(end));
    let name = found.next().unwrap_or_else(|| panic!("no {start}…{end}"));
    assert_eq!(found.next(), None);
    name.clone()
}
