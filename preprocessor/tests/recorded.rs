//! The recorded evidence of this repository: it fits the present schema and investigation, is what its README says, and
//! the whole book can be made from it by a machine that can do nothing else.

use crate::common;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{good, mdbook, stderr, stdout};
use qed_evidence::{Evidence, reader};

/// Of one kernel's file on average, in bytes.
const SMALL: u64 = 1 << 20;

/// Nobody's user and group.
const NOBODY: u32 = 65_534;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn recorded() -> Vec<(String, Vec<u8>, Evidence)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(checkout().join("recorded")).unwrap() {
        let path = entry.unwrap().path();
        // The record of a sweep is not evidence.
        if path.extension().is_some_and(|e| e == "json") && !path.ends_with("sweep.json") {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let evidence = reader::read(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            out.push((name, bytes, evidence));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

/// Check that all guest kernels are recorded, in the form that is read today, for the present investigation and by the
/// present collector, that no machine that lives on is, and that the README tells kernel and time. `make record` mends all.
#[test]
fn fits() {
    let all = recorded();
    let machines: Vec<&str> = all
        .iter()
        .map(|(_, _, e)| e.machine.name.as_str())
        .collect();
    assert_eq!(
        machines,
        [
            "guest:debian-6.1",
            "guest:debian-6.12",
            "guest:debian-7.3-arm64",
            "guest:debian-7.3",
        ]
    );
    let size: usize = all.iter().map(|(_, bytes, _)| bytes.len()).sum();
    assert!(
        (size as u64) < SMALL * all.len() as u64,
        "{size} bytes are too many"
    );
    let text = std::fs::read_to_string(checkout().join("investigations/socket.toml")).unwrap();
    let investigation = qed_evidence::investigation::parse("socket.toml", &text).unwrap();
    let readme = std::fs::read_to_string(checkout().join("recorded/README.md")).unwrap();
    for (name, _, evidence) in &all {
        assert_eq!(
            *name,
            mdbook_qed::config::evidence_file_name(&evidence.machine.name)
        );
        assert!(
            evidence.machine.ephemeral,
            "{name} is of a machine that lives on"
        );
        let run = &evidence.run;
        assert_eq!(
            run.investigation_digest, investigation.digest,
            "{name}: run `make record`"
        );
        assert_eq!(
            run.collector,
            env!("CARGO_PKG_VERSION"),
            "{name}: run `make record`"
        );
        let kernel = &evidence.kernel;
        let package = kernel.package.as_deref().unwrap_or("no package");
        let row = format!(
            "| {} | Linux {} ({package}) | {} |",
            evidence.machine.name, kernel.release, run.time
        );
        assert!(
            readme.contains(&row),
            "recorded/README.md lacks the row {row}"
        );
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }
}

fn give_away(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// A copy of the book with nothing but what is committed, and the two programs that render it.
struct Bare {
    dir: tempfile::TempDir,
    root: bool,
}

impl Bare {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = nix::unistd::geteuid().is_root();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for name in ["book", "book.toml", "investigations", "recorded"] {
            copy(&checkout().join(name), &dir.path().join("book").join(name));
        }
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        copy(&mdbook(), &bin.join("mdbook"));
        copy(
            Path::new(env!("CARGO_BIN_EXE_mdbook-qed")),
            &bin.join("mdbook-qed"),
        );
        let bare = Bare { dir, root };
        if bare.root {
            give_away(bare.dir.path());
        }
        bare
    }

    /// Run a program as an ordinary user without any capability, without a network, and without any other program to
    /// be found.
    fn run(&self, line: &[&str]) -> Output {
        let mut words = vec!["unshare", "--net"];
        if self.root {
            words.extend([
                "--",
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ]);
            words.extend(["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]);
        } else {
            words.extend(["--map-current-user", "--", "setpriv", "--no-new-privs"]);
        }
        let bin = self.dir.path().join("bin");
        let path = format!("PATH={}", bin.display());
        let home = format!("HOME={}", self.dir.path().display());
        let program = bin.join(line[0]).display().to_string();
        words.extend(["env", "--ignore-environment", &path, &home, &program]);
        words.extend(&line[1..]);
        Command::new(words[0])
            .args(&words[1..])
            .current_dir(self.dir.path().join("book"))
            .output()
            .unwrap()
    }
}

/// Check that without privileges, QEMU, a collector or a network the whole book is built from recorded evidence, that
/// every page says so and how old it is, and that what comes out can be published and verified.
#[test]
fn the_whole_book_from_recorded_evidence() {
    let bare = Bare::new();
    let output = bare.run(&["mdbook", "build"]);
    let printed = stderr(&output);
    assert!(output.status.success(), "{printed}{}", stdout(&output));
    assert!(
        printed.contains("nothing was captured on guest:debian-6.12"),
        "{printed}"
    );
    let site = bare.dir.path().join("book/site");
    let chapters: Vec<String> = mdbook_qed::util::files::read(&bare.dir.path().join("book/book"))
        .unwrap()
        .into_iter()
        .filter_map(|file| Some(file.name.strip_suffix(".md")?.to_owned()))
        .filter(|name| name != "SUMMARY")
        .collect();
    assert!(chapters.len() > 10);
    for chapter in &chapters {
        let name = match chapter.as_str() {
            "README" => "index.html".to_owned(),
            name => format!("{name}.html"),
        };
        let page = std::fs::read_to_string(site.join(&name)).unwrap();
        assert!(
            page.contains("were not measured when this page was built, but recorded on 20"),
            "{name} does not say that its values are recorded"
        );
        assert!(
            page.contains(" old then."),
            "{name} does not say how old its values are"
        );
        assert!(
            !page.contains("{{qed ") || page.contains("data-qed-literals"),
            "{name}"
        );
    }
    good(&bare.run(&["mdbook-qed", "publish", "site"]));
    let verified = bare.run(&["mdbook-qed", "verify", "site"]);
    good(&verified);
    assert!(
        stdout(&verified).contains("the evidence of 4 machines"),
        "{}",
        stdout(&verified)
    );
}
