//! Facts that identify a live machine: none of them goes out, wherever the evidence has it and however it is written.

use crate::common;

use common::{Book, evidence, good, stderr, stdout};
use qed_evidence::Evidence;
use qed_evidence::document::{CommandRun, Reader, Reading};
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Address, Bytes, Datum, InlineFrame, Integer, LineRole, Location, Value};

/// A host's name, its user, a folder of his, and its addresses in networks.
const WORDS: &[&str] = &[
    "zebra7",
    "castle.example",
    "zacharias",
    "10.83.41.7",
    "fe80::1c2d:3eff:fe4f:5a6b",
    "52:54:00:9a:bc:de",
];

/// An IPv4 address, an account and the lower half of a pointer, as numbers.
const NUMBERS: &[u64] = &[0x0a53_2907, 54_321, 0x8a3b_5c78];

/// A text that tells all of it.
fn telling() -> String {
    format!("{} of /home/zacharias/book", WORDS.join(" "))
}

fn text() -> Datum {
    Value::text(telling()).into()
}

fn why() -> Datum {
    Datum::unavailable(format!("cannot open /home/zacharias/x on {}", telling()))
}

/// Evidence of a live machine with all of it in every place that can hold it.
fn host() -> Evidence {
    let mut host = evidence("host", 0x1122_3340, "");
    // It was captured with another investigation: this one asks for half of it.
    host.run.investigation_digest = "11".repeat(32);
    host.machine.accelerator = Some(telling());
    host.kernel.command_line = Some(format!("root=/dev/zacharias {}", telling()));
    for datum in [
        &mut host.kernel.lockdown,
        &mut host.kernel.lsm,
        &mut host.kernel.debuginfo,
    ] {
        *datum = text();
    }
    host.kernel.build_id = why();
    host.kernel.config.insert("default_hostname".into(), text());
    host.kernel.config.insert("gone".into(), why());
    host.kaslr.agree = why();
    host.kaslr.slide = why();
    host.kaslr.sources.insert("one".into(), why());
    for (by, file) in [
        (Reader::Machine, "/proc/kallsyms"),
        (Reader::Builder, "/home/zacharias/System.map"),
    ] {
        for text in [text(), why()] {
            host.kaslr.readings.push(Reading {
                by,
                file: file.into(),
                key: "_text".into(),
                line: None,
                text,
            });
        }
    }
    for by in [Reader::Machine, Reader::Builder] {
        let command = CommandRun {
            by,
            argv: vec!["uname".into(), "-n".into()],
            files: Vec::new(),
            exit: Value::int(0).into(),
            output: text(),
            values: [
                ("name".to_owned(), Value::text(WORDS[0]).into()),
                ("why".to_owned(), why()),
            ]
            .into(),
        };
        let name = if by == Reader::Machine {
            "there"
        } else {
            "here"
        };
        host.commands.insert(name.into(), command);
    }
    let create = host.experiments.get_mut("create").unwrap();
    let outcome = &mut create.outcome;
    outcome.stdout = text();
    outcome.signal = why();
    let words: Vec<i32> = telling()
        .as_bytes()
        .chunks(4)
        .map(|four| {
            four.iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | i32::from(*byte))
        })
        .collect();
    for (name, datum) in [
        ("text", text()),
        (
            "bytes",
            Value::Bytes {
                value: Bytes(telling().into_bytes()),
            }
            .into(),
        ),
        (
            "one",
            Value::Bytes {
                value: Bytes(vec![b'z']),
            }
            .into(),
        ),
        (
            "ints",
            Value::text(
                words
                    .iter()
                    .map(i32::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            )
            .into(),
        ),
        ("why", why()),
    ] {
        outcome.buffers.insert(name.into(), datum);
    }
    create.quality.notes.push(telling());
    let outer = create.probes.get_mut("outer").unwrap();
    outer.definition = Some(why());
    outer.listed = Some(text());
    outer.refused_reads.exit.insert("gone".into(), telling());
    let hit = &mut outer.hits[0];
    hit.entry.insert("text".into(), text());
    hit.entry.insert("why".into(), why());
    hit.entry.insert(
        "bytes".into(),
        Value::Bytes {
            value: Bytes(telling().into_bytes()),
        }
        .into(),
    );
    for (index, letter) in b"zebra7".iter().enumerate() {
        let letter = Value::int(i64::from(*letter));
        hit.entry.insert(format!("letter{index}"), letter.into());
    }
    for (index, number) in NUMBERS.iter().enumerate() {
        let exact = Integer::from(*number);
        for (name, value) in [
            (
                "int",
                Value::Int {
                    value: exact,
                    type_name: Some("u32".into()),
                },
            ),
            (
                "flags",
                Value::Flags {
                    value: exact,
                    set: None,
                    names: vec![],
                },
            ),
            ("offset", Value::Offset { value: exact }),
            (
                "enum",
                Value::Enum {
                    value: exact,
                    type_name: "state".into(),
                    name: None,
                },
            ),
        ] {
            hit.entry.insert(format!("{name}{index}"), value.into());
        }
    }
    // The pointer whose lower half is among the numbers.
    let whole = Address(0xffff_ffff_0000_0000 | NUMBERS[2]);
    hit.exit.insert(
        "whole".into(),
        Value::Address {
            value: whole,
            type_name: None,
            symbol: None,
        }
        .into(),
    );
    hit.site = Some(
        Value::Location {
            value: Location {
                file: "/home/zacharias/x.c".into(),
                line: 7,
                function: "outer".into(),
                role: LineRole::Call,
                inlined_into: vec![InlineFrame {
                    function: "outer".into(),
                    file: "home/zacharias/y.c".into(),
                    line: 3,
                }],
            },
        }
        .into(),
    );
    for probe in create.probes.values_mut() {
        for hit in &mut probe.hits {
            // At most fifteen bytes, as the kernel keeps them.
            hit.task.name = "zebra7:zacharia".into();
        }
    }
    create.probes.get_mut("absent").unwrap().unavailable = Some(telling());
    host
}

/// Each way in which any of it could be written.
fn forms() -> Vec<String> {
    use base64::Engine as _;
    let mut forms: Vec<String> = WORDS.iter().map(|word| word.to_lowercase()).collect();
    forms.extend(WORDS.iter().map(hex::encode));
    forms.extend(WORDS.iter().map(|word| {
        base64::engine::general_purpose::STANDARD_NO_PAD
            .encode(&word[..6])
            .to_lowercase()
    }));
    for number in NUMBERS {
        let low = *number as u32;
        forms.extend([
            number.to_string(),
            format!("{low:x}"),
            format!("{low:o}"),
            hex::encode(low.to_le_bytes()),
        ]);
        if low.cast_signed() < 0 {
            forms.push(low.cast_signed().to_string());
        }
    }
    // Four letters as one number.
    forms.push(u32::from_le_bytes(*b"zebr").to_string());
    forms
}

/// A chapter that shows every value of the host.
fn chapter(host: &Evidence) -> String {
    let mut text = String::from("# Everything\n\n");
    for (path, leaf) in leaves(host).iter() {
        let planned = [
            "create.outcome",
            "create.outer.return",
            "kernel.l",
            "machine",
            "create.absent",
        ];
        if planned.iter().any(|start| path.starts_with(start)) && leaf.datum.value().is_some() {
            text.push_str(&format!("- {{{{qed {path} machine=\"host\"}}}}\n"));
        }
    }
    text + "\n```qed-claim said machine=\"host\"\nlength(create.outcome.stdout) != 1\n```\n\n\
        ```qed-claim broken machine=\"host\"\nlength(create.outcome.stdout) == 3 || create.outcome.returned == 3\n```\n\n\
        ```qed-exhibit evidence machine=\"host\"\n```\n\n```qed-exhibit machines\n```\n\n\
        ```qed-exhibit calltree experiment=\"create\" machine=\"host\"\n```\n\n\
        ```qed-exhibit log machine=\"host\"\n```\n\n```qed-exhibit claims\n```\n"
}

fn book() -> Book {
    let host = host();
    let book = Book::new(&[("one.md", &chapter(&host))], "", "");
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("machines = [", "machines = [\"host\", "),
    );
    book.evidence(&host);
    book
}

/// Check that nothing of it is in a page, in what is published beside the pages, in what is handed over, or in what any
/// command prints; and that claims are still judged on it.
#[test]
fn whose_machine_it_is() {
    let book = book();
    let built = book.mdbook(&["build"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let published = book.qed(&["publish", "book"]);
    good(&published);
    let handed = book.qed(&["redact", "out"]);
    good(&handed);
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for folder in ["book", "out"] {
        let files = mdbook_qed::util::files::read(&book.path(folder)).unwrap();
        places.extend(files.into_iter().map(|file| (file.name, file.bytes)));
    }
    for (name, message) in [("build", built), ("publish", published), ("redact", handed)] {
        places.push((name.into(), [message.stdout, message.stderr].concat()));
    }
    for command in [
        &["check"][..],
        &["check", "--format", "json"],
        &["check", "--format", "github"],
        &["check", "--format", "junit"],
        &["check", "--format", "sarif"],
        &["explain", "said"],
        &["explain", "broken"],
        &["paths"],
        &["verify", "book"],
        &["verify", "book", "--evidence", ".qed/evidence"],
        &[
            "diff",
            ".qed/evidence/host.json",
            ".qed/evidence/guest-test-1.json",
            "--all",
        ],
        &[
            "diff",
            ".qed/evidence/guest-test-1.json",
            ".qed/evidence/host.json",
            "--all",
            "--format",
            "json",
        ],
    ] {
        let message = book.qed(command);
        places.push((command.join(" "), [message.stdout, message.stderr].concat()));
    }
    let forms = forms();
    for (name, bytes) in &places {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for form in &forms {
            if let Some(at) = text.find(form) {
                let near: String = text[at.saturating_sub(80)..].chars().take(200).collect();
                panic!("{name}: {form}: {near}");
            }
        }
    }
    let verdicts = stdout(&book.qed(&["explain", "said"]));
    assert!(verdicts.contains("PASS"), "{verdicts}");
}

/// Check that raw evidence that cannot be read is refused with its place and without anything that stands there.
#[test]
fn refused_evidence() {
    let book = book();
    book.build();
    let raw = book.read(".qed/evidence/host.json");
    let broken = raw.replacen("\"events\": 4", "\"events\": \"zebra7 of zacharias\"", 1);
    assert_ne!(raw, broken);
    book.write(".qed/evidence/host.json", &broken);
    for command in [
        &["check"][..],
        &["verify", "book", "--evidence", ".qed/evidence"],
        &[
            "diff",
            ".qed/evidence/host.json",
            ".qed/evidence/guest-test-1.json",
        ],
    ] {
        let message = book.qed(command);
        assert_ne!(message.status.code(), Some(0), "{command:?}");
        let reported = stdout(&message) + &stderr(&message);
        assert!(reported.contains("quality/events"), "{reported}");
        assert!(
            !reported.contains("zebra7") && !reported.contains("zacharias"),
            "{reported}"
        );
    }
}

/// Check that a workload's output cannot be put into a page by hand either: the search finds it in each form.
#[test]
fn the_second_net() {
    use base64::Engine as _;
    let book = book();
    book.build();
    let message = telling();
    for text in [
        message.clone(),
        hex::encode(&message),
        base64::engine::general_purpose::STANDARD.encode(&message),
    ] {
        book.write("book/note.txt", &text);
        let output = book.qed(&["publish", "book"]);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(stdout(&output).contains("LEAK"), "{}", stdout(&output));
    }
}

/// Check that a slide whose digits a guest shows for another reason keeps nothing from being published, and that any other
/// slide is found where somebody wrote it.
#[test]
fn coincidences() {
    let book = Book::new(
        &[(
            "one.md",
            "# One\n\n```text\n{{qed create.outcome.stdout}}\n```\n\n\
        ```qed-claim a\ncreate.outcome.returned == 3\n```\n",
        )],
        "",
        "",
    );
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("\"guest:test-2\"", "\"host\""),
    );
    book.evidence(&evidence(
        "guest:test-1",
        0x1e00_0000,
        "LOAD 0x1c00000 0x017a00000\n",
    ));
    for (slide, note, status) in [
        (0x01c0_0000_u64, "", 0),
        (0x17a0_0000, "", 0),
        (0x17c0_0000, "", 0),
        (0x17c0_0000, "17c00000", 1),
    ] {
        let mut host = evidence("host", 0x1122_3340, "");
        // No other source says anything.
        host.kaslr.sources.clear();
        host.kaslr.agree = Datum::unavailable("one source");
        host.kaslr.slide = Value::Offset {
            value: Integer::from(slide),
        }
        .into();
        book.evidence(&host);
        book.build();
        book.write("book/note.txt", note);
        let output = book.qed(&["publish", "book"]);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{slide:#x}: {}{}",
            stdout(&output),
            stderr(&output)
        );
        let output = book.qed(&["verify", "book", "--evidence", ".qed/evidence"]);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{slide:#x}: {}",
            stdout(&output)
        );
    }
}
