//! `init`, as a newcomer meets it: a new book builds at once, captured in a real guest.

use crate::common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Book, good, mdbook, stderr, stdout};
use mdbook_qed::cli::args::WorkflowSource;
use mdbook_qed::cli::init::{ActionRef, NewBook};

/// Run a program with our programs first in `PATH`.
fn run(program: &Path, arguments: &[&str], folder: &Path) -> Output {
    let ours = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .parent()
        .unwrap();
    assert!(
        ours.join("qed-collector").exists(),
        "this test captures: build the collector first, `make build`"
    );
    let path = std::env::var("PATH").unwrap();
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", ours.display()))
        .output()
        .unwrap()
}

/// Check that `init` captures what the new book shows, that `mdbook build` shows it with a claim that passes, that `check` and `verify`
/// agree, and that a book whose capture was left out captures when it is built.
#[test]
fn builds_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let qed = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let output = run(qed, &["init", "new"], folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("created  book/first.md"),
        "{}",
        stdout(&output)
    );

    assert!(
        stderr(&output).contains("capturing on guest:debian-6.1"),
        "{}",
        stderr(&output)
    );
    let output = run(&mdbook(), &["build", "new"], folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        !stderr(&output).contains("capturing"),
        "{}",
        stderr(&output)
    );
    let page = std::fs::read_to_string(folder.path().join("new/site/first.html")).unwrap();
    assert!(
        page.contains("✔ PASS") && page.contains("do_pipe2"),
        "{page}"
    );
    assert!(page.contains("theme/live-"), "its style sheet: {page}");
    assert!(page.contains("less than an hour old"), "its age: {page}");

    for arguments in [
        &["check", "new"][..],
        &["verify", "new/site", "--evidence", "new/.qed/evidence"],
    ] {
        good(&run(qed, arguments, folder.path()));
    }
    let output = run(qed, &["init", "later", "--no-capture"], folder.path());
    assert!(
        !stderr(&output).contains("capturing"),
        "{}",
        stderr(&output)
    );
    let output = run(&mdbook(), &["build", "later"], folder.path());
    assert!(
        stderr(&output).contains("capturing on guest:debian-6.1"),
        "{}",
        stderr(&output)
    );
}

/// Check that a new book whose first capture fails is written all the same, that the reason is told, and that `init` ends well.
#[test]
fn first_capture_fails() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script =
        "#!/bin/sh\n[ \"$1\" = doctor ] && exit 0\necho 'error: no kernel to be had' >&2\nexit 3\n";
    common::executable(&bin.join("qed-collector"), script);
    let output = Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .args(["init", "new"])
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .output()
        .unwrap();
    good(&output);
    assert!(
        stderr(&output).contains("no kernel to be had"),
        "{}",
        stderr(&output)
    );
    assert!(folder.path().join("new/book/first.md").exists());
    // The first build tries again.
    let output = run(&mdbook(), &["build", "new"], folder.path());
    assert!(
        stderr(&output).contains("capturing on guest:debian-6.1"),
        "{}",
        stderr(&output)
    );
}

/// Check that `init` prints what `qed-collector doctor` finds missing, line by line, and not what works.
#[test]
fn says_what_this_machine_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let qed = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let doctor = good(&run(
        &qed.with_file_name("qed-collector"),
        &["doctor"],
        folder.path(),
    ));
    let printed = good(&run(qed, &["init", "real", "--no-capture"], folder.path()));
    let (_, report) = printed
        .split_once("\nThis machine, as `qed-collector doctor` sees it.")
        .unwrap();
    for line in doctor.lines() {
        let line_begins = |word: &str| line.trim_start().starts_with(word);
        let works = line_begins("ok ") || line_begins("-- ");
        assert_eq!(report.contains(line), !works, "{line}: {report}");
    }
    // The same of a machine on which something works and something does not, whatever this one is.
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let lines = "host\n  no  kprobe: none here\n  => captures nothing\nguest\n  ok  QEMU: there\n";
    common::executable(
        &bin.join("qed-collector"),
        &format!("#!/bin/sh\nprintf '{lines}'\n"),
    );
    let output = Command::new(qed)
        .args(["init", "made-up", "--no-capture"])
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .output()
        .unwrap();
    let printed = good(&output);
    assert!(
        printed.ends_with(
            "\"no\":\n  host\n    no  kprobe: none here\n    => captures nothing\n  guest\n"
        ),
        "{printed}"
    );
}

/// Check that a new book can be one of a guest for arm64, that what this machine lacks for that is said with what to do, and that an
/// architecture is refused that is unknown, that nothing was recorded of, or that a book which is there would not get.
#[test]
fn another_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        let ours = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
        Command::new(ours)
            .arg("init")
            .args(arguments)
            .current_dir(folder.path())
            // Neither QEMU nor a collector for arm64, whatever this machine has.
            .env("PATH", folder.path())
            .env("QED_COLLECTOR_AARCH64", folder.path().join("none"))
            .output()
            .unwrap()
    };
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let output = init(&["arm", "--arch", "arm64"]);
    good(&output);
    assert!(
        read("arm/book.toml").contains("\nmachines = [\"guest:debian-6.1-arm64\"]\n"),
        "{}",
        read("arm/book.toml")
    );
    assert!(read("arm/.github/workflows/book.yml").contains(" qemu-system-arm\n"));
    let printed = stdout(&output);
    let advice = "qemu-system-aarch64 is not in PATH: apt-get install qemu-system-arm";
    assert!(
        printed.contains(&format!("guest for arm64\n    no  QEMU: {advice}\n")),
        "{printed}"
    );
    assert!(printed.contains("no  qed-collector for arm64: a guest of arm64 needs"));
    assert!(printed.contains("Build it with `make arm64`"), "{printed}");
    let said = stderr(&output);
    assert!(
        said.contains(
            "the book here names guest:debian-6.1-arm64, and guests for arm64 cannot be captured"
        ),
        "{said}"
    );

    for arguments in [&["amd"][..], &["amd2", "--arch", "amd64"]] {
        let output = init(arguments);
        good(&output);
        let book = arguments[0];
        assert!(
            read(&format!("{book}/book.toml")).contains("\nmachines = [\"guest:debian-6.1\"]\n")
        );
        assert!(read(&format!("{book}/.github/workflows/book.yml")).contains(" qemu-system-x86\n"));
        assert!(!stdout(&output).contains("arm64"), "{}", stdout(&output));
    }
    for (arguments, words) in [
        (
            &["new", "--arch", "mips"][..],
            "[possible values: amd64, arm64]",
        ),
        (
            &["new", "--arch", "arm64", "--recorded"],
            "what is recorded is of a guest for amd64, and not for arm64",
        ),
        (
            &["amd", "--arch", "arm64"],
            "leave out --arch, and add guest:debian-6.1-arm64 to `machines`",
        ),
    ] {
        let output = init(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert!(!folder.path().join("new").exists());
}

/// Check that `init --recorded` shows a live book without a collector, QEMU or network: its claim passes on evidence that comes
/// along, of its own investigation, and the page says that it was recorded.
#[test]
fn recorded_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let qed = programs.join("mdbook-qed");
    // A link where the file system allows it: of a copy, a process that another test starts at the same time can hold the file that was
    // written, and the kernel then does not run it.
    std::fs::hard_link(env!("CARGO_BIN_EXE_mdbook-qed"), &qed)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_mdbook-qed"), &qed).map(|_| ()))
        .unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .current_dir(folder.path())
            .env("PATH", &programs)
            .output()
            .unwrap()
    };
    let printed = good(&run(&qed, &["init", "new", "--recorded"]));
    assert!(
        printed.contains("created  recorded/guest-debian-6.1.json"),
        "{printed}"
    );
    assert!(
        printed.contains("Commit recorded/, too") && !printed.contains("mdbook-qed redact"),
        "{printed}"
    );
    let settings = std::fs::read_to_string(folder.path().join("new/book.toml")).unwrap();
    assert!(settings.contains("\ncapture = \"never\"\n"), "{settings}");
    assert!(!settings.contains("{{"), "{settings}");
    let output = run(&mdbook(), &["build", "new"]);
    good(&output);
    for word in ["capturing", "warning"] {
        assert!(!stderr(&output).contains(word), "{}", stderr(&output));
    }
    let page = std::fs::read_to_string(folder.path().join("new/site/first.html")).unwrap();
    assert!(
        page.contains("✔ PASS") && page.contains("do_pipe2"),
        "{page}"
    );
    assert!(page.contains("recorded"), "{page}");
    let checked = good(&run(&qed, &["check", "new"]));
    assert!(
        checked.contains("1 claim on 1 machine: 1 PASS"),
        "{checked}"
    );
    assert!(!checked.contains("out of date"), "{checked}");

    // What is asked of an ordinary book there says what is missing.
    let printed = good(&run(&qed, &["init", "other"]));
    assert!(
        printed.contains("no qed-collector") && printed.contains("--recorded"),
        "{printed}"
    );
    std::fs::create_dir(folder.path().join("live")).unwrap();
    let settings = "[book]\n[preprocessor.qed]\ninvestigation = \"mine.toml\"\n";
    std::fs::write(folder.path().join("live/book.toml"), settings).unwrap();
    let output = run(&qed, &["init", "live", "--recorded"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("an investigation of its own"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join("live"))
            .unwrap()
            .count(),
        1
    );
}

/// Check that a checker of TOML finds the schemas that the files of a new book name, is content with those files, and not
/// with a misspelt key in either.
#[test]
fn schemas_are_named() {
    let Some(taplo) = checker("taplo") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let qed = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    good(&run(qed, &["init", "new", "--recorded"], folder.path()));
    let book = folder.path().join("new");
    let check = || {
        Command::new(&taplo)
            .args(["check", "book.toml", "investigations/first.toml"])
            .current_dir(&book)
            .output()
            .unwrap()
    };
    good(&check());
    for (file, right, wrong) in [
        ("book.toml", "machines = ", "machine = "),
        ("investigations/first.toml", "workload = ", "work-load = "),
    ] {
        let path = book.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(right, wrong)).unwrap();
        let output = check();
        assert!(!output.status.success(), "{file}");
        assert!(
            stderr(&output).contains(wrong.trim_end_matches(" = ")),
            "{}",
            stderr(&output)
        );
        std::fs::write(&path, text).unwrap();
    }
}

/// A checker, from the folder where `make workflows` puts it. `None`: it is missing, and what needs it is skipped.
fn checker(name: &str) -> Option<std::path::PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../.tools/workflows/bin/{name}"));
    if path.is_file() {
        return Some(path);
    }
    common::note_skipped(&format!("{name} is missing: `make workflows` installs it"));
    None
}

/// Check that the workflow of a new book passes the checkers that this project's own have to pass, wherever QED comes
/// from; that it uses the same actions at the same commits; and that a book deeper in a repository is found there.
#[test]
fn workflow_passes_the_checkers() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own: String = [
        ".github/workflows/ci.yml",
        ".github/workflows/publish.yml",
        "action.yml",
    ]
    .map(|name| std::fs::read_to_string(root.join(name)).unwrap())
    .concat();
    let digest = "ab".repeat(32);
    let released = |action| WorkflowSource::Release {
        action,
        version: "1.2.3",
        sha256: &digest,
    };
    for source in [
        WorkflowSource::Git {
            url: "https://git.example.org/a/qed",
            commit,
        },
        WorkflowSource::Registry,
        WorkflowSource::Unknown,
        released(Some(ActionRef {
            repository: "a/qed",
            commit,
        })),
        released(None),
    ] {
        let is_release = matches!(source, WorkflowSource::Release { .. });
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        let book = folder.path().join("docs/a book");
        let new = NewBook {
            source,
            no_release: None,
            arch: None,
            recorded: false,
            captures: false,
        };
        assert_eq!(mdbook_qed::cli::init::run(&book, new), 0);
        let file = book.join(".github/workflows/book.yml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.contains("working-directory: \"docs/a book\""),
            "{text}"
        );
        let uses: Vec<&str> = text.lines().filter(|line| line.contains("uses:")).collect();
        assert_eq!(uses.len(), 4, "{text}");
        let (ours, others): (Vec<&str>, Vec<&str>) = uses
            .into_iter()
            .partition(|line| line.contains(" # v1.2.3"));
        assert_eq!(ours.len(), usize::from(is_release), "{text}");
        for line in others {
            let used = line.trim().trim_start_matches("- ");
            assert!(own.contains(used), "{line} is not what we use");
        }
        // An action takes no working directory.
        let names_book = text.contains("          book: \"docs/a book\"\n");
        assert_eq!(names_book, is_release, "{text}");
        let image = text
            .split_once("image: ")
            .and_then(|(_, rest)| rest.lines().next());
        assert!(own.contains(image.unwrap()), "{image:?}");
        // What may write runs no program, and no pull request gets there.
        let (build, deploy) = text.split_once("\n  deploy:\n").unwrap();
        assert!(
            !build.contains(": write") && !deploy.contains("run:"),
            "{text}"
        );
        assert!(
            deploy.contains("github.event_name != 'pull_request'"),
            "{deploy}"
        );
        assert!(text.contains("path: \"docs/a book/site\"\n"), "{text}");
        let file = file.to_str().unwrap();
        for (name, arguments) in [
            (
                "check-jsonschema",
                &["--builtin-schema", "vendor.github-workflows", file][..],
            ),
            ("actionlint", &[file]),
            (
                "zizmor",
                &["--offline", "--no-progress", "--persona", "auditor", file],
            ),
        ] {
            let Some(checker) = checker(name) else {
                continue;
            };
            let output = Command::new(checker).args(arguments).output().unwrap();
            assert!(
                output.status.success(),
                "{source:?}: {name}: {}{}",
                stdout(&output),
                stderr(&output)
            );
        }
    }
    // The checkers do find something in a workflow that is wrong.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".github/workflows/book.yml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(
        &file,
        "on: [push]\njobs:\n  a:\n    runs-on: x\n    steps: [{uses: \"actions/checkout@v4\"}]\n",
    )
    .unwrap();
    for (name, arguments) in [
        ("actionlint", &[][..]),
        ("zizmor", &["--offline", "--no-progress"]),
    ] {
        let Some(checker) = checker(name) else {
            continue;
        };
        let mut check = Command::new(checker);
        let output = check.args(arguments).arg(&file).output().unwrap();
        assert!(!output.status.success(), "{name}");
    }
}

/// Check that a program that was installed from a release writes a workflow which installs the same archive by its digest; and that
/// without a record of it, or with one that is damaged or of another program, it writes the one with cargo and says why.
#[test]
fn workflow_of_a_release() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("prefix/bin/mdbook-qed");
    let record = folder.path().join("prefix/share/qed/release");
    for path in [&program, &record] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    std::fs::copy(env!("CARGO_BIN_EXE_mdbook-qed"), &program).unwrap();
    let (archive, own) = ("ab".repeat(32), qed_programs::digest(&program).unwrap());
    let good_record = format!(
        "archive qed-1.2.3-x86_64-linux.tar.gz\nversion 1.2.3\nsha256 {archive}\nmdbook-qed {own}\n"
    );
    let init = |name: &str| {
        let printed = good(&run(&program, &["init", name, "--recorded"], folder.path()));
        let workflow = folder.path().join(name).join(".github/workflows/book.yml");
        (printed, std::fs::read_to_string(workflow).unwrap())
    };
    std::fs::write(&record, &good_record).unwrap();
    let (printed, workflow) = init("released");
    for part in [
        "/releases/download/v1.2.3/qed-1.2.3-x86_64-linux.tar.gz\n",
        &format!("          sha256: {archive}\n"),
        "          book: \".\"\n          capture: \"true\"\n",
        "mdbook-qed publish \"$SITE\"",
    ] {
        assert!(workflow.contains(part), "{part}: {workflow}");
    }
    assert!(
        !workflow.contains("mdbook-qed@") && !workflow.contains("cargo install --locked --git"),
        "{workflow}"
    );
    assert!(
        printed.contains("It installs the release 1.2.3 of QED, by the digest of its archive")
            && !printed.contains("with cargo"),
        "{printed}"
    );

    let of_another = good_record.replace(&own, &archive);
    for (name, text, why) in [
        (
            "damaged",
            Some(&good_record[..good_record.len() - 9]),
            "share/qed/release is damaged",
        ),
        (
            "changed",
            Some(of_another.as_str()),
            "is of another mdbook-qed than this one",
        ),
        (
            "missing",
            None,
            "this program was not installed from the archive of a release",
        ),
    ] {
        match text {
            Some(text) => std::fs::write(&record, text).unwrap(),
            None => std::fs::remove_file(&record).unwrap(),
        }
        let (printed, workflow) = init(name);
        assert!(
            printed.contains("It compiles QED with cargo, because ") && printed.contains(why),
            "{printed}"
        );
        assert!(
            workflow.contains("name: Install QED\n") && !workflow.contains(&archive),
            "{workflow}"
        );
    }
}

/// Run a line of the shell in a folder.
fn shell(line: &str, folder: &Path) -> Output {
    let mut command = Command::new("sh");
    let command = command.args(["-euc", line]).current_dir(folder);
    // Neither the settings of whoever runs the tests nor a repository around.
    let command = command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap()
}

/// Check what `make install` tells of a checkout: nothing without a remote that has the commit, and never a password.
#[test]
fn built_from() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/built-from.sh");
    let folder = tempfile::tempdir().unwrap();
    let report = || {
        let output = shell(&format!("{} .", script.display()), folder.path());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let make = |line: &str| {
        let output = shell(line, folder.path());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(report(), "", "no repository");
    make(
        "git init -q . && git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m a",
    );
    assert_eq!(report(), "", "no remote");
    make("git remote add origin https://a:secret@git.example.org/a/qed");
    assert_eq!(report(), "", "a remote that does not have it");
    let commit = make("git rev-parse HEAD");
    make("git update-ref refs/remotes/origin/main HEAD");
    let expected = format!("https://git.example.org/a/qed {commit}");
    for url in [
        "https://a:secret@git.example.org/a/qed",
        "https://git.example.org/a/qed",
        "git@git.example.org:a/qed",
        "ssh://git@git.example.org/a/qed",
    ] {
        make(&format!("git remote set-url origin {url}"));
        assert_eq!(report(), expected, "{url}");
    }
    make("git remote set-url origin /srv/qed");
    assert_eq!(report(), "", "a folder of this machine");
    make("mkdir copy && cd copy && cp ../.git/HEAD .");
    let inside = shell(&format!("{} copy", script.display()), folder.path());
    assert_eq!(stdout(&inside), "", "a copy inside of another repository");
}

/// Check that a book that is there keeps its files, gets what it lacks, is told what was done, and is the same after
/// a second time; and that broken settings are left alone.
#[test]
fn adds_to_a_book() {
    let book = Book::new(&[], "", "");
    book.write(
        "old/book.toml",
        "[book]\ntitle = \"Mine\"\n[build]\nbuild-dir = \"public\"",
    );
    book.write("old/src/SUMMARY.md", "# Summary\n\n- [a](a.md)\n");
    book.write("old/src/a.md", "# A\n");
    book.write("old/.gitignore", "public\n");
    let output = book.qed(&["init", "old"]);
    assert!(output.status.success(), "{}", stderr(&output));
    // What the collector says about this machine is another on each.
    let printed = stdout(&output);
    let (printed, _) = printed
        .split_once("\nThis machine, ")
        .or_else(|| printed.split_once("\nThere is no qed-collector"))
        .unwrap();
    insta::assert_snapshot!(printed);
    insta::assert_snapshot!("settings", book.read("old/book.toml"));
    let workflow = book.read("old/.github/workflows/book.yml");
    assert!(
        workflow.contains("install --locked mdbook@0.5.4\n")
            && workflow.contains("SITE: \"public\"\n"),
        "{workflow}"
    );
    assert_eq!(book.read("old/.gitignore"), "public\n");
    assert!(
        !book.path("old/book").exists(),
        "its chapters are elsewhere"
    );
    let settings = book.read("old/book.toml");
    let again = book.qed(&["init", "old"]);
    assert!(
        again.status.success() && !stdout(&again).contains("created"),
        "{}",
        stdout(&again)
    );
    assert_eq!(book.read("old/book.toml"), settings);
    // It uses no value yet, so it builds without evidence.
    let output = run(&mdbook(), &["build", "old"], book.dir.path());
    good(&output);
    assert!(
        !stderr(&output).contains("capturing"),
        "{}",
        stderr(&output)
    );

    book.write("broken/book.toml", "[book\n");
    let output = book.qed(&["init", "broken"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        std::fs::read_dir(book.path("broken")).unwrap().count(),
        1,
        "nothing was made"
    );
}

/// Check that a book without settings, which mdBook builds with its defaults, is a book that is there; and that one
/// which has an investigation gets no second one.
#[test]
fn adds_what_is_missing_only() {
    let book = Book::new(&[], "", "");
    book.write("plain/src/SUMMARY.md", "# Summary\n\n- [a](a.md)\n");
    book.write("plain/src/a.md", "# A\n");
    let output = book.qed(&["init", "plain"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(book.path("plain/investigations/first.toml").exists());
    assert!(!book.path("plain/book").exists());
    good(&run(&mdbook(), &["build", "plain"], book.dir.path()));
    assert!(book.path("plain/book/a.html").exists());

    book.write(
        "live/book.toml",
        "[book]\n[preprocessor.qed]\ninvestigation = \"mine.toml\"\n",
    );
    let settings = book.read("live/book.toml");
    let output = book.qed(&["init", "live"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(book.read("live/book.toml"), settings);
    assert!(!book.path("live/investigations").exists());

    book.write("inline/book.toml", "preprocessor = { links = {} }\n");
    let output = book.qed(&["init", "inline"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("[preprocessor.qed] cannot be added"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        std::fs::read_dir(book.path("inline")).unwrap().count(),
        1,
        "nothing was made"
    );

    book.write("file", "");
    let output = book.qed(&["init", "file"]);
    assert_eq!(output.status.code(), Some(2));
    let printed = stderr(&output);
    assert!(
        printed.contains("file/book.toml") && printed.contains("name another folder"),
        "{printed}"
    );
}
