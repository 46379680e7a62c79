//! Evidence that no longer fits: each way in which it can be stale, doctored into fresh evidence, in the real book.

use crate::common;

use common::{Book, evidence, good, stderr, stdout};
use jiff::{Timestamp, ToSpan};
use mdbook_qed::evidence::freshness::LocalMachine;
use qed_evidence::Evidence;
use qed_evidence::value::{Datum, Value};

const CHAPTER: &str = "# One\n\nIt got {{qed create.outcome.returned}}, `{{qed create.outcome.errno}}`.\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n";

/// Evidence of this very machine, kernel and boot, captured just now.
fn fresh() -> Evidence {
    let here = LocalMachine::read();
    let mut host = evidence("host", 0x1e00_0000, "");
    host.run.time = here.time.to_string();
    host.machine.boot_id = here.boot_id.expect("Linux tells its boot's id");
    host.kernel.release = here.release.expect("Linux tells its release");
    host.kernel.build_id = Datum::Value(Value::text(
        here.build_id.expect("Linux tells its build id"),
    ));
    host
}

fn book(more: &str, evidence: &Evidence) -> Book {
    let book = Book::new(
        &[("one.md", CHAPTER)],
        // What is withheld has a banner of its own, which is looked at elsewhere.
        &format!("max-age = \"2d\"\naddresses = \"raw\"\n{more}"),
        "",
    );
    let settings = book.read("book.toml");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    assert!(settings.contains(machines));
    book.write(
        "book.toml",
        &settings.replace(machines, "machines = [\"host\"]"),
    );
    book.evidence(evidence);
    book
}

/// Build the book from `evidence`: the page, and the notices on it.
fn built(evidence: &Evidence) -> (String, Vec<String>) {
    let book = book("", evidence);
    book.build();
    let page = book.read("book/one.html");
    let notices = page
        .split("<div class=\"qed-notice\">")
        .skip(1)
        .map(|rest| rest.split("</div>").next().unwrap_or_default().to_owned())
        .collect();
    (page, notices)
}

/// Check that evidence of this boot shows no banner, and nothing that says otherwise.
#[test]
fn fresh_evidence() {
    let (page, notices) = built(&fresh());
    assert_eq!(notices, [] as [&str; 0]);
    // A claim that passes on evidence that is out of date looks otherwise.
    let is_old = |page: &str| page.contains("class=\"qed-claim qed-pass qed-old\"");
    assert!(page.contains("class=\"qed-claim qed-pass\"") && !is_old(&page));
    let mut old = fresh();
    old.machine.boot_id = "00000000-0000-4000-8000-000000000000".into();
    assert!(is_old(&built(&old).0));
    assert!(
        !page.contains("out of date") && !page.contains("class=\"qed qed-stale"),
        "{page}"
    );
    let strict = book("on-stale = \"error\"", &fresh());
    strict.build();
}

/// Check that each way of being stale is named, alone, in the banner, beside the values and beside the claim, and that
/// it stops a build that does not want it.
#[test]
fn each_reason() {
    type Doctor = fn(&mut Evidence);
    let cases: [(Doctor, &str); 7] = [
        (
            |e| e.machine.boot_id = "00000000-0000-4000-8000-000000000000".into(),
            "the host was booted since the capture.",
        ),
        (
            |e| e.kernel.release = "0.0.1-other".into(),
            "the machine has another kernel now (0.0.1-other then, ",
        ),
        (
            |e| e.kernel.build_id = Datum::Value(Value::text("ff".repeat(20))),
            "the machine has another kernel now (ffffffff",
        ),
        (
            |e| e.run.investigation_digest = "11".repeat(32),
            "the investigation was changed since the capture.",
        ),
        (
            |e| e.run.collector = "0.0.0".into(),
            "another collector made it (0.0.0, now ",
        ),
        (
            |e| e.run.time = (Timestamp::now() - 73.hours()).to_string(),
            "it is 3 days old, more than 2 days.",
        ),
        (
            |e| e.run.time = (Timestamp::now() + 3.hours()).to_string(),
            "in the future.",
        ),
    ];
    for (doctor, words) in cases {
        let mut stale = fresh();
        doctor(&mut stale);
        let (page, notices) = built(&stale);
        let [notice] = &notices[..] else {
            panic!("{words}: {notices:?}");
        };
        assert!(
            notice.contains("Out of date") && notice.contains(words),
            "{words}: {notice}"
        );
        assert_eq!(notice.matches(';').count(), 0, "another reason: {notice}");
        assert_eq!(
            page.matches("class=\"qed qed-stale").count(),
            2,
            "{words}: {page}"
        );
        assert!(
            page.contains("· out of date</span>"),
            "beside the claim: {page}"
        );

        let strict = book("on-stale = \"error\"", &stale);
        let output = strict.mdbook(&["build"]);
        assert!(!output.status.success(), "{words}");
        let printed = stderr(&output);
        assert!(
            printed.contains("the evidence of host is out of date: ")
                && printed.contains(words.trim_end_matches('.')),
            "{printed}"
        );
        assert!(
            printed.contains("capture again: qed-collector capture"),
            "{printed}"
        );
        assert_eq!(strict.qed(&["check"]).status.code(), Some(2), "{words}");
    }
}

/// Check that a guest is not asked for its boot and its kernel, which are over, and a recorded host neither.
#[test]
fn other_machines_have_other_kernels() {
    let mut guest = evidence("guest:test-1", 0x1e00_0000, "");
    guest.run.time = Timestamp::now().to_string();
    let plain = Book::new(
        &[("one.md", CHAPTER)],
        "on-stale = \"error\"\nmax-age = \"2d\"",
        "",
    );
    plain.evidence(&guest);
    let mut second = evidence("guest:test-2", 0x0a20_0000, "");
    second.run.time = guest.run.time.clone();
    plain.evidence(&second);
    plain.build();
    let mut host = fresh();
    host.machine.boot_id = "00000000-0000-4000-8000-000000000000".into();
    host.kernel.release = "0.0.1-other".into();
    let recorded = book("on-stale = \"error\"", &host);
    std::fs::rename(recorded.path(".qed/evidence"), recorded.path("recorded")).unwrap();
    recorded.build();
    assert!(recorded.read("book/one.html").contains("Recorded evidence"));
}

/// Check that a renderer of plain text says it as well.
#[test]
fn text_says_it() {
    let mut stale = fresh();
    stale.run.collector = "0.0.0".into();
    let book = book("", &stale);
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &format!("{settings}\n[output.html]\n[output.markdown]\n"),
    );
    book.build();
    let text = book.read("book/markdown/one.md");
    assert!(
        text.contains("Out of date") && text.contains("It got 3†,"),
        "{text}"
    );
}

/// The investigation of a book whose workload is a program, and so is its command.
fn program_investigation(workload: &str, command: &str) -> String {
    format!(
        "[[command]]\nname = \"c\"\nrun = [\"{command}\"]\n\n[[experiment]]\nname = \"create\"\n\
         workload = {{ command = [\"{workload}\"] }}\n\n[[experiment.probe]]\nfunction = \"outer\"\n\
         reads = [{{ at = \"exit\", name = \"state\", path = \"return->state\" }}]\n\n\
         [[experiment.probe]]\nfunction = \"inner\"\n\n[[experiment.probe]]\nfunction = \"absent\"\noptional = true\n"
    )
}

/// A book about a program `tool.sh` beside it, with evidence of a guest that ran it.
fn book_of_program(more: &str, machine: &str) -> (Book, Evidence) {
    book_of_programs(more, machine, &|book| {
        let tool = common::executable(&book.path("tool.sh"), "#!/bin/sh\ntrue\n");
        [tool.clone(), tool]
    })
}

/// A book about the programs of a workload and of a command, in this order, which `make` writes, with evidence of a guest that
/// ran both.
pub fn book_of_programs(
    more: &str,
    machine: &str,
    make: &dyn Fn(&Book) -> [std::path::PathBuf; 2],
) -> (Book, Evidence) {
    let chapter = "# One\n\n{{qed create.inner.return}} and {{qed create.outcome.exit}}\n\n```qed-claim good\ncreate.outcome.exit == 0\n```\n";
    let book = Book::new(&[("one.md", chapter)], more, "");
    let settings = book.read("book.toml");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    let own = match machine {
        "guest:mine" => "machines = [{ guest = \"vmlinuz\", name = \"mine\" }]".to_owned(),
        named => format!("machines = [\"{named}\"]"),
    };
    book.write("book.toml", &settings.replace(machines, &own));
    let [workload, command] = make(&book).map(|path| path.display().to_string());
    let text = program_investigation(&workload, &command);
    book.write("test.toml", &text);
    let mut found = evidence(machine, 0x1e00_0000, "said\n");
    found.run.investigation_digest = qed_evidence::investigation::parse("test.toml", &text)
        .unwrap()
        .digest;
    let files = |program: &str| {
        let parts = qed_programs::parts(program, std::path::Path::new("/")).unwrap();
        qed_programs::file_records(&parts)
    };
    let create = found.experiments.get_mut("create").unwrap();
    create.workload = workload.clone();
    create.files = files(&workload);
    create.outcome.returned = Datum::unavailable("a command has no return value");
    create.outcome.errno = Datum::unavailable("a command has no return value");
    let of_command = serde_json::json!({
        "by": "machine", "argv": [command], "files": files(&command),
        "exit": {"kind": "int", "value": 0}, "output": {"kind": "text", "value": ""}
    });
    found
        .commands
        .insert("c".into(), serde_json::from_value(of_command).unwrap());
    std::fs::remove_dir_all(book.path(".qed")).unwrap();
    book.evidence(&found);
    (book, found)
}

/// The output of `check`, and its exit status.
fn checked(book: &Book, format: &str) -> (String, Option<i32>) {
    let output = book.qed(&["check", "--format", format]);
    (stdout(&output) + &stderr(&output), output.status.code())
}

/// Check that a script behind a workload and a command, its interpreter's libraries and the investigation each make evidence
/// out of date in `check`, on the page, in `publish` and in `verify`, as the book decides.
#[test]
fn programs() {
    let (book, found) = book_of_program("", "guest:test-1");
    let (printed, status) = checked(&book, "text");
    assert_eq!(status, Some(0), "{printed}");
    assert!(
        !printed.contains("out of date") && !printed.contains("not compared"),
        "{printed}"
    );
    book.build();
    assert!(!book.read("book/one.html").contains("Out of date"));
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));

    common::executable(&book.path("tool.sh"), "#!/bin/sh\nfalse\n");
    let reasons = [
        "the script `tool.sh` of command `c` was changed since the capture",
        "the script `tool.sh` of the workload of `create` was changed since the capture",
    ];
    for format in ["text", "json"] {
        let (printed, status) = checked(&book, format);
        assert_eq!(status, Some(0), "{printed}");
        assert!(
            reasons.iter().all(|reason| printed.contains(reason)),
            "{printed}"
        );
    }
    // The site was published before; the script that is here now is another one.
    let output = book.qed(&["verify", "book"]);
    assert!(stdout(&output).contains(reasons[1]), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(0));
    book.build();
    let page = book.read("book/one.html");
    assert!(
        page.contains("Out of date") && page.contains(reasons[0]),
        "{page}"
    );
    assert!(good(&book.qed(&["publish", "book"])).contains("the pages say so"));
    assert!(good(&book.qed(&["verify", "book"])).contains("the pages say so"));

    // Where the owner wants none, nothing is built and nothing is published.
    let settings = book.read("book.toml");
    let strict = settings.replace("after = [", "on-stale = \"error\"\nafter = [");
    book.write("book.toml", &strict);
    assert_eq!(checked(&book, "text").1, Some(2));
    assert!(!book.mdbook(&["build"]).status.success());
    assert_eq!(book.qed(&["publish", "book"]).status.code(), Some(2));

    // What was published as fresh, and is none of it now.
    common::executable(&book.path("tool.sh"), "#!/bin/sh\ntrue\n");
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
    common::executable(&book.path("tool.sh"), "#!/bin/sh\nfalse\n");
    let output = book.qed(&["verify", "book"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains(reasons[1]), "{}", stdout(&output));

    // A library, an interpreter: the evidence is of others than are here.
    common::executable(&book.path("tool.sh"), "#!/bin/sh\ntrue\n");
    book.write("book.toml", &settings);
    for role in ["interpreter", "library"] {
        let mut other = found.clone();
        let files = &mut other.experiments.get_mut("create").unwrap().files;
        let Some(file) = files.iter_mut().find(|file| file.role.name() == role) else {
            common::note_skipped(&format!("/bin/sh has no {role} here"));
            continue;
        };
        file.sha256 = "0".repeat(64);
        let reason = format!(
            "the {role} `{}` of the workload of `create` was changed",
            file.name
        );
        book.evidence(&other);
        let (printed, _) = checked(&book, "text");
        assert!(printed.contains(&reason), "{printed}");
    }
}

/// Check that an investigation that is not the one of the evidence is found in a site, too, and that `check` tells it.
#[test]
fn investigation_of_a_site() {
    let (book, _) = book_of_program("", "guest:test-1");
    book.build();
    good(&book.qed(&["publish", "book"]));
    let text = book.read("test.toml");
    // A comment changes nothing that was run.
    book.write("test.toml", &format!("# A comment.\n{text}"));
    assert!(
        !checked(&book, "text")
            .0
            .contains("was changed since the capture")
    );
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
    book.write(
        "test.toml",
        &format!("{text}\n[guest]\nsetup = [\"true\"]\n"),
    );
    let reason = "the investigation was changed since the capture";
    let (printed, status) = checked(&book, "text");
    assert!(printed.contains(reason) && status == Some(0), "{printed}");
    assert!(checked(&book, "json").0.contains(reason));
    // As it is published, the pages tell it.
    book.build();
    good(&book.qed(&["publish", "book"]));
    assert!(good(&book.qed(&["verify", "book"])).contains(reason));
    // Changed in the site alone, it is another one than the evidence says.
    book.write("test.toml", &text);
    book.build();
    good(&book.qed(&["publish", "book"]));
    book.write(
        "book/qed/investigation.toml",
        &format!("{text}\n[guest]\nsetup = [\"true\"]\n"),
    );
    let output = book.qed(&["verify", "book"]);
    assert_eq!(output.status.code(), Some(1));
    let other = "it is not the investigation that the evidence of guest:test-1 is of";
    assert!(stdout(&output).contains(other), "{}", stdout(&output));
}

/// Check that evidence of another machine is not compared with this one's system, says so, and is built; and that evidence
/// which does not say what ran is not taken for fresh.
#[test]
fn not_compared() {
    let (book, mut found) = book_of_program("on-stale = \"error\"", "guest:test-1");
    std::fs::rename(book.path(".qed/evidence"), book.path("recorded")).unwrap();
    let (printed, status) = checked(&book, "text");
    assert_eq!(status, Some(0), "{printed}");
    assert!(
        printed.contains("not compared, command `c`: its files are those of the machine"),
        "{printed}"
    );
    book.build();
    let page = book.read("book/one.html");
    assert!(
        page.contains("Recorded evidence") && page.contains("Not compared"),
        "{page}"
    );
    // The author's own script came with the book.
    common::executable(&book.path("tool.sh"), "#!/bin/sh\nfalse\n");
    assert_eq!(checked(&book, "text").1, Some(2));
    std::fs::remove_file(book.path("tool.sh")).unwrap();
    let (printed, status) = checked(&book, "text");
    assert!(
        printed.contains("`tool.sh`: there is no such file") && status == Some(0),
        "{printed}"
    );

    found.experiments.get_mut("create").unwrap().files.clear();
    common::executable(&book.path("tool.sh"), "#!/bin/sh\ntrue\n");
    std::fs::remove_dir_all(book.path("recorded")).unwrap();
    book.evidence(&found);
    let (printed, _) = checked(&book, "text");
    assert!(
        printed.contains("the workload of `create`: the evidence does not say which files ran"),
        "{printed}"
    );
}

/// Check that other bytes behind the name of a kernel image make evidence out of date.
#[test]
fn kernel_image() {
    let (book, mut found) = book_of_program("", "guest:mine");
    book.write("vmlinuz", "one kernel");
    found.kernel.image_digest = Some(qed_programs::digest(&book.path("vmlinuz")).unwrap());
    book.evidence(&found);
    assert!(!checked(&book, "text").0.contains("out of date"));
    book.write("vmlinuz", "another one");
    let reason = "another kernel image stands behind the guest now";
    assert!(checked(&book, "text").0.contains(reason));
    assert!(checked(&book, "json").0.contains(reason));
    book.build();
    assert!(book.read("book/one.html").contains(reason));
    std::fs::remove_file(book.path("vmlinuz")).unwrap();
    assert!(
        checked(&book, "text")
            .0
            .contains("not compared, the kernel image: ")
    );
}

/// Check that `verify` with the book at hand sees other bytes behind the name of a kernel image, and does what `on-stale` says.
#[test]
fn kernel_image_of_a_site() {
    let (book, mut found) = book_of_program("on-stale = \"error\"\n", "guest:mine");
    book.write("vmlinuz", "one kernel");
    found.kernel.image_digest = Some(qed_programs::digest(&book.path("vmlinuz")).unwrap());
    book.evidence(&found);
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book", "--book", "."]));
    book.write("vmlinuz", "another one");
    let output = book.qed(&["verify", "book", "--book", "."]);
    let printed = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let reason = "the evidence of guest:mine is out of date: another kernel image stands behind the guest now";
    assert!(printed.contains(reason), "{printed}");
    let settings = book.read("book.toml");
    book.write("book.toml", &settings.replace("on-stale = \"error\"\n", ""));
    // The site keeps the stricter word that it was published with.
    assert_eq!(
        book.qed(&["verify", "book", "--book", "."]).status.code(),
        Some(1)
    );
}

/// Check that evidence of another kernel than the one that `qed.lock` pins is out of date, of the pinned one not, and that a
/// lock file that cannot be read stops everything.
#[test]
fn pinned_kernel() {
    let (book, mut found) = book_of_program("", "guest:mine");
    book.write("vmlinuz", "one kernel");
    let digest = qed_programs::digest(&book.path("vmlinuz")).unwrap();
    found.kernel.image_digest = Some(digest.clone());
    book.evidence(&found);
    let lock = |digest: &str| {
        format!("version = 1\n[[machine]]\nname = \"guest:mine\"\nsha256 = \"{digest}\"\n")
    };
    book.write("qed.lock", &lock(&digest));
    assert!(!checked(&book, "text").0.contains("out of date"));
    book.write("qed.lock", &lock(&"0".repeat(64)));
    let reason = "the book is pinned to another kernel";
    for format in ["text", "json"] {
        assert!(checked(&book, format).0.contains(reason));
    }
    book.build();
    assert!(book.read("book/one.html").contains(reason));
    book.write("qed.lock", "version = 2\n");
    let (printed, status) = checked(&book, "text");
    assert_eq!(status, Some(2));
    assert!(printed.contains("qed.lock cannot be read"), "{printed}");
}

/// Check that another build of the eBPF object makes evidence that was captured here out of date, and recorded evidence not.
#[test]
fn ebpf_object() {
    let (book, mut found) = book_of_program("", "guest:test-1");
    let digest = "ab".repeat(32);
    common::executable(
        &book.path("bin/qed-collector"),
        &format!("eBPF object sha256:{digest}\n"),
    );
    let path = std::env::var("PATH").unwrap();
    let check = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .arg("check")
            .current_dir(book.dir.path())
            .env("PATH", format!("{}:{path}", book.path("bin").display()))
            .output()
            .unwrap();
        stdout(&output)
    };
    assert!(
        check().contains("another collector made it ("),
        "{}",
        check()
    );
    found.run.object_digest = digest;
    book.evidence(&found);
    assert!(!check().contains("out of date"), "{}", check());
    found.run.object_digest = "cd".repeat(32);
    book.evidence(&found);
    assert!(check().contains("another collector made it"));
    std::fs::rename(book.path(".qed/evidence"), book.path("recorded")).unwrap();
    assert!(!check().contains("out of date"), "{}", check());
}

/// Check that `build`, `publish` and `verify` with the raw evidence at hand do what `on-stale` says of evidence that another build of the eBPF
/// object made.
#[test]
fn ebpf_object_of_a_site() {
    let (book, mut found) = book_of_program("on-stale = \"error\"\n", "guest:test-1");
    let mut path = std::ffi::OsString::from(book.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let installed = |digit: &str| {
        let printed = format!("eBPF object sha256:{}\n", digit.repeat(64));
        common::executable(&book.path("bin/qed-collector"), &printed);
    };
    let run = |program: &std::path::Path, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        let output = command.args(arguments).current_dir(book.dir.path());
        let output = output.env("PATH", &path).output().unwrap();
        let printed = format!("{}{}", stdout(&output), stderr(&output));
        (output.status.success(), printed)
    };
    let (mdbook, qed) = (
        common::mdbook(),
        std::path::Path::new(env!("CARGO_BIN_EXE_mdbook-qed")),
    );
    let steps: [(&std::path::Path, &[&str]); 3] = [
        (&mdbook, &["build"]),
        (qed, &["publish", "book"]),
        (qed, &["verify", "book", "--evidence", ".qed/evidence"]),
    ];
    found.run.object_digest = "a".repeat(64);
    book.evidence(&found);
    installed("a");
    for (program, arguments) in steps {
        let (good, printed) = run(program, arguments);
        assert!(good, "{arguments:?}: {printed}");
    }
    installed("b");
    for (program, arguments) in steps.into_iter().rev() {
        let (good, printed) = run(program, arguments);
        assert!(
            !good && printed.contains("another collector made it"),
            "{arguments:?}: {printed}"
        );
    }
}
