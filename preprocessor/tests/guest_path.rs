//! A guest that is named by the path of its kernel image: nothing of that path gets into evidence, names of files, pages, or what a
//! reader's command prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common;

use common::{Book, evidence, good, note_skipped, stderr};

/// The builder's folders, which no public text has.
const FOLDERS: &[&str] = &["zacharias", "zebra7-kernels"];

/// All that a page must not say of a guest with a name of its own.
const NAMED: &[&str] = &["zacharias", "zebra7-kernels", IMAGE, "castle"];

/// Signs at which a name can be taken apart or put together.
const IMAGE: &str = "bz+Image-of-castle.bin";

const CHAPTER: &str = "# One\n\n{{qed create.outcome.returned}} on {{qed machine.cpus}} CPUs\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n\n```qed-exhibit machines\n```\n\n\
    ```qed-exhibit evidence\n```\n\n```qed-exhibit log\n```\n\n```qed-exhibit claims\n```\n";

const INVESTIGATION: &str = "[[experiment]]\nname = \"create\"\n\
    workload = { syscall = \"socket\", args = [\"AF_INET\", \"SOCK_STREAM\", 0] }\n\n\
    [[experiment.probe]]\ntracepoint = \"sys_enter\"\nname = \"outer\"\n";

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// Assert that none of these words is in these bytes, as they are, in hexadecimal, or as a name of a file.
#[track_caller]
fn says_nothing(words: &[&str], what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    for word in words {
        for word in [
            word.to_lowercase(),
            hex::encode(word),
            word.replace('-', "_"),
        ] {
            if let Some(at) = text.find(&word) {
                let start = text.floor_char_boundary(at.saturating_sub(80));
                let near: String = text[start..].chars().take(200).collect();
                panic!("{what}: {word}: {near}");
            }
        }
    }
}

/// A book with a guest whose image is at `image`, which `name` names, without evidence.
fn book(image: &Path, name: Option<&str>) -> Book {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let settings = book.read("book.toml");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    assert!(settings.contains(machines));
    let name = name
        .map(|name| format!(", name = \"{name}\""))
        .unwrap_or_default();
    let own = format!("machines = [{{ guest = \"{}\"{name} }}]", image.display());
    book.write("book.toml", &settings.replace(machines, &own));
    std::fs::remove_dir_all(book.path(".qed/evidence")).unwrap();
    book
}

/// Build, publish, verify and hand over; then search every byte, and every name, of the site, of the evidence, and of what was
/// printed, for these words.
fn search(book: &Book, words: &[&str]) {
    let evidence = files(&book.path(".qed/evidence"));
    assert!(!evidence.is_empty());
    let built = book.mdbook(&["build"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let mut printed: Vec<(String, Output)> = vec![("build".into(), built)];
    for command in [
        &["publish", "book"][..],
        &["verify", "book"],
        &["verify", "book", "--evidence", ".qed/evidence"],
        &["check"],
        &["check", "--format", "json"],
        &["explain", "good"],
        &["paths"],
        &["redact", "out"],
    ] {
        let output = book.qed(command);
        // There is nothing to hand over of a guest; what is said about that is searched, too.
        if command[0] != "redact" {
            good(&output);
        }
        printed.push((command.join(" "), output));
    }
    let site = files(&book.path("book"));
    assert!(site.len() > 20, "{site:?}");
    for file in site
        .iter()
        .chain(&evidence)
        .chain(&[book.path(".qed/history.json")])
    {
        let name = file
            .strip_prefix(book.dir.path())
            .unwrap()
            .display()
            .to_string();
        says_nothing(words, "the name of a file", name.as_bytes());
        says_nothing(words, &name, &std::fs::read(file).unwrap());
    }
    for (what, output) in printed {
        says_nothing(words, &what, &[output.stdout, output.stderr].concat());
    }
    let page = book.read("book/one.html");
    assert!(page.contains("✔ PASS"), "{page}");
}

/// Check the search itself: it finds each folder in a text, in a name of a file, and in hexadecimal.
#[test]
fn finds() {
    for text in ["/srv/zacharias/x", "zebra7_kernels", "7a6163686172696173"] {
        let found = std::panic::catch_unwind(|| says_nothing(NAMED, "a text", text.as_bytes()));
        assert!(found.is_err(), "{text}");
    }
}

/// Check that of evidence which was made elsewhere nothing of the path that `book.toml` names gets into a site, whether the path is
/// absolute or begins at the book.
#[test]
fn named_in_settings() {
    for absolute in [true, false] {
        let outside = tempfile::tempdir().unwrap();
        let relative: PathBuf = [FOLDERS[0], FOLDERS[1], IMAGE].iter().collect();
        let image = match absolute {
            true => outside.path().join(&relative),
            false => relative.clone(),
        };
        let book = book(&image, Some("mine"));
        let file = book.dir.path().join(&image);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "a kernel").unwrap();
        let mut found = evidence("guest:mine", 0x1e00_0000, "said\n");
        found.kernel.image_digest = Some(qed_programs::digest(&file).unwrap());
        book.evidence(&found);
        search(&book, NAMED);
        // Where the image is gone, the reason says nothing of it either.
        std::fs::remove_file(&file).unwrap();
        search(&book, NAMED);
    }
}

/// The kernel images of the cache.
fn cached() -> Option<PathBuf> {
    let mut all = files(&qed_programs::cache_folder()?.join("kernels"));
    all.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("vmlinuz-6.12"))
    });
    all.pop()
}

/// Check that a kernel that is really booted from such a path leaves nothing of it in its evidence, in the site, or in what is
/// published. Needs QEMU and a cached kernel.
#[test]
fn captured() {
    let collector = Path::new(env!("CARGO_BIN_EXE_mdbook-qed")).with_file_name("qed-collector");
    if !collector.exists() {
        return note_skipped("there is no qed-collector beside mdbook-qed; `make build` builds it");
    }
    let Some(kernel) = cached() else {
        return note_skipped("no kernel is in the cache; `qed-collector kernels fetch` gets one");
    };
    let outside = tempfile::tempdir().unwrap();
    let image = outside.path().join(FOLDERS[0]).join(FOLDERS[1]).join(IMAGE);
    std::fs::create_dir_all(image.parent().unwrap()).unwrap();
    std::fs::copy(&kernel, &image).unwrap();
    // Without a name of its own a guest is called by that of the image's file.
    for name in [Some("mine"), None] {
        let book = book(&image, name);
        book.write("test.toml", INVESTIGATION);
        let output = Command::new(&collector)
            .args(["capture", "--book", "book.toml", "--debuginfo", "none"])
            .current_dir(book.dir.path())
            .output()
            .unwrap();
        // 3: this machine cannot start a guest.
        if output.status.code() == Some(3) {
            return note_skipped(&format!("no guest can be started: {}", stderr(&output)));
        }
        good(&output);
        // The name of the file is told where it helps: beside which the kernel's configuration is looked for.
        search(&book, FOLDERS);
    }
}
