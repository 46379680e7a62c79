//! The parts of a sweep from several machines, taken over whole or not at all.

use crate::common;

use common::{Book, evidence, object_digest, stderr, stdout};
use qed_evidence::investigation;
use qed_evidence::sweep::{Plan, SweepKernel, SweepPart};

const CLAIMS: &str = "# One\n\n```qed-claim text\ncreate.outcome.stdout == 'old'\n```\n";

/// The kernels of the sweep: series, release, what the workload prints there.
const KERNELS: [(&str, &str, &str); 3] = [
    ("6.12", "6.12.118+deb13-amd64", "old"),
    ("7.0", "7.0.13+deb13-amd64", "old"),
    ("7.1", "7.1.2+deb14-amd64", "new"),
];

fn package(series: &str) -> String {
    format!("linux-image-{series} {series}.1-1")
}

fn plan() -> Plan {
    let digest = investigation::parse("test.toml", common::INVESTIGATION)
        .unwrap()
        .digest;
    Plan {
        investigation: digest,
        collector: env!("CARGO_PKG_VERSION").into(),
        object: object_digest(),
        lock: None,
        kernels: KERNELS
            .map(|(series, ..)| SweepKernel {
                machine: format!("guest:debian-{series}"),
                package: package(series),
            })
            .into(),
    }
}

/// A book with both parts of a sweep handed over in `in/one` and `in/two`.
fn book() -> Book {
    let book = Book::new(&[("one.md", CLAIMS)], "on-fail = \"warn\"", "");
    for (number, folder) in [(1, "one"), (2, "two")] {
        let part = SweepPart::new(number, 2, plan());
        book.write(
            &format!("in/{folder}/{}", part.file_name()),
            &part.text().unwrap(),
        );
        for kernel in part.own_kernels() {
            let series = kernel.machine.strip_prefix("guest:debian-").unwrap();
            let (_, release, printed) = KERNELS.iter().find(|(one, ..)| *one == series).unwrap();
            let mut one = evidence(&kernel.machine, 0x100_0000, printed);
            one.kernel.release = (*release).to_owned();
            one.kernel.package = Some(kernel.package.clone());
            let text = qed_evidence::reader::write(&one).unwrap();
            book.write(&format!("in/{folder}/guest-debian-{series}.json"), &text);
        }
    }
    book
}

/// Check that all parts together become the sweep of the book, whose own evidence stays, and that `since` reads it.
#[test]
fn taken_over() {
    let book = book();
    book.write("in/one/.lock", "");
    let own = book.read(".qed/evidence/guest-test-1.json");
    let output = book.qed(&["merge", "in"]);
    let report = common::good(&output);
    assert!(
        report
            .contains("guest:debian-7.0: taken over from two/guest-debian-7.0.json, for the sweep"),
        "{report}"
    );
    assert_eq!(book.read(".qed/evidence/guest-test-1.json"), own);
    let since = common::good(&book.qed(&["since", "text"]));
    assert!(
        since.contains("true up to 7.0; false from 7.1 on"),
        "{since}"
    );
}

/// Check that what `redact` wrote is taken over beside a sweep, and that a later handover of evidence leaves the sweep there.
#[test]
fn beside_a_handover() {
    let book = book();
    for machine in ["guest:test-1", "guest:test-2"] {
        let folder = format!("in/{}", machine.replace(':', "-"));
        common::good(&book.qed(&["redact", &folder, "--machine", machine]));
    }
    let report = common::good(&book.qed(&["merge", "in"]));
    assert!(report.contains("guest:test-2: taken over"), "{report}");
    assert!(report.contains("guest:debian-7.1: taken over"), "{report}");
    for folder in ["one", "two"] {
        std::fs::remove_dir_all(book.path(&format!("in/{folder}"))).unwrap();
    }
    common::good(&book.qed(&["merge", "in"]));
    assert!(
        book.path(".qed/evidence/sweep/guest-debian-7.1.json")
            .exists()
    );
}

/// Check that each part that does not belong to the others or to this book is refused with its reason, and that the sweep
/// which was there stays.
#[test]
fn refused() {
    let one = "in/one/part-1-of-2.sweep";
    let seven = "in/two/guest-debian-7.0.json";
    let edit = |file: &'static str, from: &'static str, to: &'static str| {
        move |book: &Book| {
            let text = book.read(file);
            assert!(text.contains(from), "{from}: {text}");
            book.write(file, &text.replacen(from, to, 1));
        }
    };
    let object = object_digest()[..20].to_owned();
    type Change = Box<dyn Fn(&Book)>;
    let changes: Vec<(Change, &str)> = vec![
        (
            Box::new(edit(one, "\"investigation\": \"", "\"investigation\": \"0")),
            "another investigation",
        ),
        (
            Box::new(edit(one, "\"collector\": \"", "\"collector\": \"9")),
            "another collector",
        ),
        (
            Box::new(edit(
                one,
                "\"object\": \"",
                "\"lock\": \"ab\", \"object\": \"",
            )),
            "another lock file",
        ),
        (
            Box::new(edit(one, "7.1.1-1", "7.1.9-1")),
            "guest:debian-7.1 was linux-image-7.1 7.1.1-1, not linux-image-7.1 7.1.9-1",
        ),
        (
            Box::new(edit(one, "\"version\": 1", "\"version\": 7")),
            "part-1-of-2.sweep is refused: it has version 7",
        ),
        (
            Box::new(edit(one, "\"part\": 1", "\"part\": 2")),
            "describes part 2 of 2",
        ),
        (
            Box::new(|book| std::fs::remove_dir_all(book.path("in/one")).unwrap()),
            "part 1 of 2 is missing",
        ),
        (
            Box::new(|book| {
                let text = book.read("in/one/part-1-of-2.sweep");
                book.write("in/again/part-1-of-2.sweep", &text);
            }),
            "are part 1",
        ),
        (
            Box::new(move |book| std::fs::remove_file(book.path(seven)).unwrap()),
            "came without guest:debian-7.0: `qed-collector sweep --shard 2/2` goes on",
        ),
        (
            Box::new(edit(seven, "7.0.1-1", "7.0.2-1")),
            "guest-debian-7.0.json is refused: it swept other kernels",
        ),
        (
            Box::new(edit(seven, "\"schema\": 1", "\"schema\": 9")),
            "guest-debian-7.0.json is refused",
        ),
        (
            Box::new(edit(seven, "\"ephemeral\": true", "\"ephemeral\": false")),
            "guest-debian-7.0.json is refused",
        ),
        (
            Box::new(move |book| {
                let text = book.read(seven);
                book.write("in/two/guest-debian-7.9.json", &text);
            }),
            "two/guest-debian-7.9.json belongs to no part",
        ),
        (
            Box::new(move |book| {
                for part in ["in/one/part-1-of-2.sweep", "in/two/part-2-of-2.sweep"] {
                    let text = book.read(part);
                    book.write(part, &text.replace(&object, &"0".repeat(20)));
                }
            }),
            "another collector",
        ),
        (
            Box::new(|book| {
                let text = book.read("test.toml");
                book.write(
                    "test.toml",
                    &format!("{text}\n[guest]\nsetup = [\"true\"]\n"),
                );
            }),
            "does not fit this book: it is of another investigation",
        ),
    ];
    for (change, message) in changes {
        let book = book();
        common::good(&book.qed(&["merge", "in"]));
        let before = book.read(".qed/evidence/sweep/guest-debian-7.0.json");
        change(&book);
        let output = book.qed(&["merge", "in"]);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{message}: {}",
            stdout(&output)
        );
        let report = stderr(&output);
        assert!(report.contains(message), "{message}: {report}");
        let after = book.read(".qed/evidence/sweep/guest-debian-7.0.json");
        assert_eq!(after, before, "{message}");
    }
}

/// Check that the kernels that the book's lock file pins are the ones that were swept.
#[test]
fn pinned() {
    let book = book();
    let lock = |version: &str| {
        let digest = "0".repeat(64);
        format!(
            "version = 1\n[[machine]]\nname = \"guest:debian-7.0\"\nrelease = \"7.0.13\"\n\
             image = {{ package = \"linux-image-7.0\", version = \"{version}\", size = 1, sha256 = \"{digest}\" }}\n"
        )
    };
    // Those of the lock file's own machines alone: the book has others.
    let pins = |version: &str| {
        let mut text = lock(version);
        for machine in ["guest:test-1", "guest:test-2"] {
            let digest = "0".repeat(64);
            text.push_str(&format!(
                "[[machine]]\nname = \"{machine}\"\nsha256 = \"{digest}\"\n"
            ));
        }
        text
    };
    book.write("qed.lock", &pins("7.0.1-1"));
    common::good(&book.qed(&["merge", "in"]));
    book.write("qed.lock", &pins("7.0.2-1"));
    let output = book.qed(&["merge", "in"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let report = stderr(&output);
    assert!(
        report.contains("guest:debian-7.0 was linux-image-7.0 7.0.1-1, not linux-image-7.0 7.0.2-1, which qed.lock pins"),
        "{report}"
    );
}

/// A book about `pipe2` on a guest, in a folder of its own; one of its claims turns with the kernel.
fn book_of_pipes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let investigations = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../investigations");
    let investigation = std::fs::read_to_string(investigations.join("pipe.toml")).unwrap();
    std::fs::write(
        folder.path().join("pipe.toml"),
        investigation + "\n[facts]\ntypes = [\"inode\"]\n",
    )
    .unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    for (file, text) in [
        (
            "book.toml",
            "[book]\ntitle = \"Pipes\"\n\n[preprocessor.qed]\ninvestigation = \"pipe.toml\"\nmachines = [\"guest:debian-6.1\"]\n",
        ),
        ("src/SUMMARY.md", "# Summary\n\n- [One](one.md)\n"),
        (
            "src/one.md",
            "# One\n\n```qed-claim made\npipe.outcome.returned == 0\n```\n\n\
             ```qed-claim old holds=\"..6.6\"\ntypes.inode.members.i_ctime.exists\n```\n",
        ),
    ] {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

/// Check that a sweep in two parts, captured apart and merged, gives the very answers of one that was captured whole. Needs the collector
/// beside this program, QEMU, and cached kernels or the network.
#[test]
fn captured_apart() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let collector = program.with_file_name("qed-collector");
    if !collector.is_file() {
        return common::note_skipped("there is no qed-collector beside mdbook-qed");
    }
    let run = |program: &std::path::Path, folder: &std::path::Path, arguments: &[&str]| {
        let output = std::process::Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap();
        common::good(&output)
    };
    let series = ["--series", "6.1", "--series", "6.12"];
    let sweep = |folder: &std::path::Path, more: &[&str]| {
        let arguments = [&["sweep", "--jobs", "1"][..], &series, more].concat();
        run(&collector, folder, &arguments)
    };
    let (whole, apart) = (book_of_pipes(), book_of_pipes());
    sweep(whole.path(), &[]);
    for part in ["1", "2"] {
        let out = format!("in/{part}");
        let printed = sweep(apart.path(), &["--shard", &format!("{part}/2"), "-o", &out]);
        assert_eq!(printed.lines().count(), 1, "one kernel: {printed}");
        assert!(
            apart
                .path()
                .join(&out)
                .join(format!("part-{part}-of-2.sweep"))
                .is_file()
        );
    }
    let merged = run(program, apart.path(), &["merge", "in"]);
    assert!(
        merged.contains("guest:debian-6.1: taken over")
            && merged.contains("guest:debian-6.12: taken over"),
        "{merged}"
    );
    let answers = |folder: &std::path::Path| {
        run(program, folder, &["since", "--record"]);
        let json = run(program, folder, &["since", "--format", "json"]);
        let record = std::fs::read_to_string(folder.join("recorded/sweep.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let kernels = record["kernels"].as_array().unwrap().iter().map(|kernel| {
            [
                "machine",
                "release",
                "version",
                "package",
                "build_id",
                "image_digest",
            ]
            .map(|key| kernel[key].clone())
        });
        let kernels: Vec<_> = kernels.collect();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        (json, kernels, record["claims"].clone())
    };
    let (found, expected) = (answers(apart.path()), answers(whole.path()));
    assert_eq!(found, expected);
    assert_eq!(found.1.len(), 2);
    assert_eq!(
        found.0["claims"][1]["answers"],
        serde_json::json!(["true", "false"])
    );
}
