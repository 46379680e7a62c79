//! Every cause of stale evidence through every command, under both values of `on-stale`.

use crate::common;
use crate::stale::book_of_programs;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Book, note_skipped, stderr, stdout};

/// The digest that stands in the collector of the book's folder, as long as it is the one that captured.
const OBJECT: char = 'a';

/// What a workload and a command run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Script,
    Program,
    Library,
}

impl Kind {
    /// Write a program of this kind; `None` if this machine has no compiler for it.
    fn program(self, book: &Book, name: &str) -> Option<PathBuf> {
        let folder = book.path(&format!("tools/{name}"));
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join(name);
        match self {
            Kind::Script => _ = common::executable(&program, "#!/bin/sh\ntrue\n"),
            Kind::Program => _ = fs::copy("/bin/true", &program).unwrap(),
            Kind::Library => {
                fs::write(folder.join("own.c"), "int own(void) { return 0; }\n").unwrap();
                fs::write(
                    folder.join("main.c"),
                    "int own(void);\nint main(void) { return own(); }\n",
                )
                .unwrap();
                let changed = self.changed(name);
                let run_path = format!("-Wl,-rpath,{}", folder.display());
                let library = format!("-Wl,-soname,lib{name}.so");
                let steps: [&[&str]; 2] = [
                    &["-shared", "-fPIC", &library, "-o", &changed, "own.c"],
                    &["-o", name, "main.c", &changed, &run_path],
                ];
                for step in steps {
                    let built = Command::new("cc").args(step).current_dir(&folder).output();
                    let built = built.ok()?;
                    assert!(built.status.success(), "{}", stderr(&built));
                }
            }
        }
        Some(program)
    }

    /// The name of the file that is changed.
    fn changed(self, name: &str) -> String {
        match self {
            Kind::Script | Kind::Program => name.to_owned(),
            Kind::Library => format!("lib{name}.so"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Script => "script",
            Kind::Program => "program",
            Kind::Library => "library",
        }
    }
}

/// One thing that evidence depends on, and what is said when it is another one.
struct Cause {
    /// Its file.
    file: PathBuf,
    /// Other bytes of it.
    other: Vec<u8>,
    /// The reason that each command has to give.
    reason: String,
    /// What a reader is told, who has neither the book nor the raw evidence. `None`: the reason.
    reader: Option<&'static str>,
    /// Whether the site carries this itself, so that a site that was published before is whole.
    in_site: bool,
}

fn causes(book: &Book, kind: Kind) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, of) in [("w", "the workload of `create`"), ("c", "command `c`")] {
        let changed = kind.changed(name);
        let file = book.path(&format!("tools/{name}/{changed}"));
        let mut other = fs::read(&file).unwrap();
        other.extend_from_slice(b"\n# changed\n");
        causes.push(Cause {
            file,
            other,
            reason: format!(
                "the {} `{changed}` of {of} was changed since the capture",
                kind.word()
            ),
            reader: None,
            in_site: false,
        });
    }
    if kind == Kind::Script {
        let investigation = book.read("test.toml") + "\n[guest]\nsetup = [\"true\"]\n";
        causes.push(Cause {
            file: book.path("test.toml"),
            other: investigation.into(),
            reason: "the investigation was changed since the capture".into(),
            reader: None,
            in_site: true,
        });
        causes.push(Cause {
            file: book.path("vmlinuz"),
            other: b"another kernel".into(),
            reason: "another kernel image stands behind the guest now".into(),
            reader: Some("the kernel image: the site does not name the file of the image"),
            in_site: false,
        });
        causes.push(Cause {
            file: book.path("bin/qed-collector"),
            other: collector('b').into(),
            reason: format!("another collector made it ({}, now ", "a".repeat(64)),
            reader: Some(
                "the collector's eBPF object: it is that of the machine that it was captured on",
            ),
            in_site: false,
        });
    }
    causes
}

fn collector(digit: char) -> String {
    format!("eBPF object sha256:{}\n", digit.to_string().repeat(64))
}

/// A book of programs of one kind, whose evidence is fresh, built and published. `None`: they cannot be made here.
fn book(kind: Kind, on_stale: &str) -> Option<Book> {
    let made = std::cell::Cell::new(true);
    let make = |book: &Book| {
        ["w", "c"].map(|name| {
            let program = kind.program(book, name);
            made.set(made.get() && program.is_some());
            program.unwrap_or_else(|| PathBuf::from("/bin/true"))
        })
    };
    let settings = format!("on-stale = \"{on_stale}\"\n");
    let (book, mut found) = book_of_programs(&settings, "guest:mine", &make);
    if !made.get() {
        return None;
    }
    book.write("vmlinuz", "one kernel");
    common::executable(&book.path("bin/qed-collector"), &collector(OBJECT));
    found.kernel.image_digest = Some(qed_programs::digest(&book.path("vmlinuz")).unwrap());
    found.run.object_digest = OBJECT.to_string().repeat(64);
    book.evidence(&found);
    Some(book)
}

/// Exit status and everything printed of a program that finds the collector of the book's folder.
fn run(book: &Book, program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut path = OsString::from(book.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(book.dir.path());
    let output = output.env("PATH", &path).output().unwrap();
    (output.status.code(), stdout(&output) + &stderr(&output))
}

fn qed(book: &Book, arguments: &[&str]) -> (Option<i32>, String) {
    run(book, Path::new(env!("CARGO_BIN_EXE_mdbook-qed")), arguments)
}

const OWNER: &[&str] = &[
    "verify",
    "book",
    "--book",
    ".",
    "--evidence",
    ".qed/evidence",
];
const READER: &[&str] = &["verify", "book"];

/// Expect an exit status, and that a text is printed or not.
#[track_caller]
fn expect(what: &str, found: (Option<i32>, String), status: i32, text: &str, said: bool) {
    let (code, printed) = found;
    assert_eq!(code, Some(status), "{what}: {printed}");
    assert_eq!(printed.contains(text), said, "{what}: `{text}`: {printed}");
}

/// Build, publish and verify a book, none of which may say that anything is out of date.
fn publish_fresh(book: &Book) {
    // Notes tell what cannot be known: which evidence was out of date when it was published.
    let stale = "is out of date";
    let build = |book: &Book| run(book, &common::mdbook(), &["build"]);
    expect("fresh", qed(book, &["check"]), 0, ": out of date", false);
    expect("fresh", build(book), 0, stale, false);
    assert!(!book.read("book/one.html").contains("Out of date"));
    expect("fresh", qed(book, &["publish", "book"]), 0, stale, false);
    expect("fresh", qed(book, OWNER), 0, stale, false);
    expect("fresh", qed(book, READER), 0, stale, false);
}

/// Try one cause through all commands; the site that is there was published when everything was fresh.
fn attempt(book: &Book, cause: &Cause, on_stale: &str) {
    let Cause { file, reason, .. } = cause;
    let before = fs::read(file).unwrap();
    assert_ne!(before, cause.other);
    fs::write(file, &cause.other).unwrap();
    let strict = on_stale == "error";
    let what = |command: &str| format!("{command}, on-stale = {on_stale}, {reason}");
    let verified = i32::from(strict);

    // The site from before: as it was published, and as things are now.
    if cause.in_site {
        let other = "qed/investigation.toml: it is not what the book has";
        expect(&what("verify"), qed(book, OWNER), 1, other, true);
        expect(
            &what("verify"),
            qed(book, READER),
            0,
            "is out of date",
            false,
        );
    } else {
        let said = format!("is out of date: {reason}");
        expect(&what("verify"), qed(book, OWNER), verified, &said, true);
        let of_reader = match cause.reader {
            Some(not_compared) => (0, not_compared),
            None => (verified, said.as_str()),
        };
        expect(
            &what("verify"),
            qed(book, READER),
            of_reader.0,
            of_reader.1,
            true,
        );
    }

    let refused = if strict { 2 } else { 0 };
    expect(&what("check"), qed(book, &["check"]), refused, reason, true);
    let json = qed(book, &["check", "--format", "json"]);
    expect(&what("check"), json, refused, reason, true);
    let (built, printed) = run(book, &common::mdbook(), &["build"]);
    assert_eq!(built == Some(0), !strict, "{}: {printed}", what("build"));
    if strict {
        assert!(printed.contains(reason), "{}: {printed}", what("build"));
    } else {
        let page = book.read("book/one.html");
        let shown = page.contains("Out of date") && page.contains(reason);
        assert!(shown, "{}: {page}", what("build"));
    }
    let published = qed(book, &["publish", "book"]);
    expect(&what("publish"), published, refused, reason, true);
    if !strict {
        let said = "was out of date when it was published, and the pages say so: ";
        for arguments in [OWNER, READER] {
            let (code, printed) = qed(book, arguments);
            assert_eq!(code, Some(0), "{}: {printed}", what("verify"));
            let said = printed.contains(&format!("{said}{reason}"));
            assert!(said, "{}: {printed}", what("verify"));
        }
    }
    fs::write(file, before).unwrap();
}

/// Check that a changed investigation, a changed script, program and library of a workload and of a command, another kernel
/// behind the name of an image, and another eBPF object each make evidence out of date in `check`, `build`, `publish` and
/// `verify`, that `on-stale` decides what that means in all of them, and that `verify` tells a reader what it cannot compare.
#[test]
fn causes_and_commands() {
    let mut tried = 0;
    for kind in [Kind::Script, Kind::Program, Kind::Library] {
        for on_stale in ["show", "error"] {
            let Some(book) = book(kind, on_stale) else {
                note_skipped("there is no cc, so no library of a program's own");
                continue;
            };
            for cause in causes(&book, kind) {
                publish_fresh(&book);
                attempt(&book, &cause, on_stale);
                tried += 1;
            }
        }
    }
    assert!(tried >= 14, "{tried}");
}
