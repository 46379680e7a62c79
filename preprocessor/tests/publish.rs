//! The files that go out with a site: nothing that must not be known, and everything that it takes to check it.

use crate::common;

use std::collections::BTreeSet;

use common::{Book, evidence, good, stderr, stdout};
use qed_evidence::Evidence;
use qed_evidence::document::{Allocation, Free, MachineKind, Parameter, Task};
use qed_evidence::names::Symbol;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Address, Bytes, Datum, Frame, Integer, Value};

/// Secrets that are told apart from each other and from everything else, in the kernel's text and heap by turns.
#[derive(Default)]
struct Canaries {
    all: Vec<u64>,
    /// Other seeds give other secrets.
    seed: u64,
}

impl Canaries {
    fn next(&mut self) -> u64 {
        let index = self.all.len() as u64;
        let mixed = (index + 1000 * self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let secret = if index.is_multiple_of(2) {
            0xffff_ffff_8200_0008 | mixed >> 40 & 0x00ff_fff0
        } else {
            0xffff_8880_0000_0040 | mixed >> 26 & 0x0000_003f_ffff_ff80
        };
        assert!(!self.all.contains(&secret));
        self.all.push(secret);
        secret
    }

    fn pointer(&mut self) -> Datum {
        Datum::Value(Value::address(self.next()))
    }
}

/// Evidence of a live machine with a secret in every field that can hold one, and what they are.
fn canaries() -> (Evidence, Vec<u64>) {
    canaries_of(0)
}

/// The same of another boot.
fn canaries_of(seed: u64) -> (Evidence, Vec<u64>) {
    let mut c = Canaries {
        seed,
        ..Canaries::default()
    };
    let mut host = evidence("host", 0x1122_3340 + (seed << 21), "");
    assert_eq!(host.machine.kind, MachineKind::Host);
    host.kernel.build_id = Datum::unavailable(format!("not at {:#x}", c.next()));
    host.kernel.lockdown = Datum::Value(Value::text(format!("none {}", c.next())));
    host.kernel.debuginfo = Datum::unavailable(format!("({:X})", c.next()));
    host.kaslr.slide = Datum::unavailable(format!("sources say {}", c.next().cast_signed()));
    host.kaslr.sources.insert("one".into(), c.pointer());
    host.kaslr.live_physical_start = c.pointer();
    host.kaslr.symbols.insert(
        "_text".into(),
        qed_evidence::document::SymbolPlaces {
            live: c.pointer(),
            static_address: Datum::Value(Value::address(0xffff_ffff_8100_0000)),
            slide: Datum::unavailable("none"),
        },
    );
    // It was captured with another investigation: this one asks for half of it.
    host.run.investigation_digest = "11".repeat(32);
    let create = host.experiments.get_mut("create").unwrap();
    create.workload = format!("socket({:#x})", c.next());
    let outcome = &mut create.outcome;
    outcome.stdout = Datum::Value(Value::text(format!("%p is {:016x}\n", c.next())));
    outcome.signal = Datum::unavailable(format!("no {}", c.next()));
    outcome.buffers.insert(
        "buffer".into(),
        Datum::Value(Value::Bytes {
            value: Bytes([&[0x0f][..], &c.next().to_le_bytes(), &[0xc3]].concat()),
        }),
    );
    create
        .quality
        .notes
        .push(format!("missed at {:#x}", c.next()));
    let frame = |c: &mut Canaries| Frame {
        address: Address(c.next()),
        symbol: Some("outer".into()),
        offset: Some(16),
        site: None,
        interrupts: false,
    };
    let stack = vec![frame(&mut c), frame(&mut c)];
    let returns_to = stack[1].address;
    create.objects = Some(qed_evidence::document::Ledger {
        waited_ns: 5,
        allocations: vec![Allocation {
            address: Address(c.next()),
            probe: "outer".into(),
            cache: Some(format!("cache-{:x}", c.next())),
            size: Some(64),
            order: 1,
            time_ns: 1_000,
            stack: stack.clone(),
            freed: Some(Free {
                probe: "inner".into(),
                order: 2,
                time_ns: 2_000,
                same_task: false,
                task: "customer-backup".into(),
                stack: vec![frame(&mut c)],
            }),
            excused: Some(format!("kept at {:#x}", c.next())),
        }],
    });
    let outer = create.probes.get_mut("outer").unwrap();
    let function = Address(c.next());
    outer.address = Some(Datum::Value(Value::address(function.0)));
    // One place in three lists, which have to agree.
    outer.watched = vec![function];
    for copy in &mut host.instances.get_mut("outer").unwrap().copies {
        copy.address = function;
    }
    outer.definition = Some(Datum::unavailable(format!("no line of {:#x}", c.next())));
    outer
        .refused_reads
        .exit
        .insert("gone".into(), format!("no {:#x}", c.next()));
    let hit = &mut outer.hits[0];
    hit.return_value = Some(c.pointer());
    hit.caller = Some(Datum::Value(Value::Symbol {
        name: "outer".into(),
        offset: 16,
        address: returns_to,
    }));
    hit.site = Some(Datum::unavailable(format!("no line of {:#x}", c.next())));
    hit.stack = Some(Datum::Value(Value::Stack { value: stack }));
    let integer = |number: u64| Integer::from(number);
    for (name, value) in [
        (
            "int",
            Value::Int {
                value: integer(c.next()),
                type_name: Some("unsigned long".into()),
            },
        ),
        (
            "signed",
            Value::Int {
                value: Integer::from(c.next().cast_signed()),
                type_name: Some("long".into()),
            },
        ),
        (
            "flags",
            Value::Flags {
                value: integer(c.next()),
                set: None,
                names: vec![],
            },
        ),
        (
            "enum",
            Value::Enum {
                value: integer(c.next()),
                type_name: "e".into(),
                name: None,
            },
        ),
        (
            "offset",
            Value::Offset {
                value: integer(c.next()),
            },
        ),
        ("size", Value::Size { value: c.next() }),
    ] {
        let type_name = match &value {
            Value::Address { type_name, .. } | Value::Int { type_name, .. } => type_name.clone(),
            _ => None,
        };
        hit.args.insert(name.into(), Datum::Value(value));
        outer.parameters.push(Parameter {
            name: name.into(),
            type_name: type_name.unwrap_or_else(|| "unsigned long".into()),
        });
    }
    hit.exit.insert("state".into(), c.pointer());
    let absent = create.probes.get_mut("absent").unwrap();
    absent.unavailable = Some(format!("refused at {:#x}", c.next()));
    let inner = &mut create.probes.get_mut("inner").unwrap().hits[0];
    inner.task = Task {
        pid: 99,
        tid: 99,
        name: "customer-shell".into(),
    };
    name_symbols(&mut host);
    (host, c.all)
}

/// Make a symbol of its own for every place that the document calls `outer` and an offset.
fn name_symbols(host: &mut Evidence) {
    let mut places = Vec::new();
    host.for_each_frame(&mut |frame| {
        if let (Some(_), Some(offset)) = (&frame.symbol, frame.offset) {
            places.push((frame.address.0 - offset, offset));
        }
    });
    host.for_each_value(&mut |value| {
        if let Value::Symbol {
            offset, address, ..
        } = value
        {
            places.push((address.0 - offset, *offset));
        }
    });
    places.sort_unstable();
    places.dedup();
    host.names.symbols = places
        .into_iter()
        .map(|(address, offset)| Symbol {
            address: Address(address),
            size: offset + 1,
            name: "outer".into(),
        })
        .collect();
}

/// A chapter that shows everything that there is of the host, in prose and in code, with claims and exhibits.
fn chapter(host: &Evidence) -> String {
    let mut text = String::from("# Everything\n\n");
    for (path, leaf) in leaves(host).iter() {
        let planned = !path.contains(".gone") && !path.starts_with("kaslr.sources");
        if planned
            && leaf
                .datum
                .value()
                .is_some_and(|v| !matches!(v, Value::Bool { .. }))
        {
            text.push_str(&format!(
                "- {{{{qed {path} machine=\"host\"}}}} `{{{{qed {path} machine=\"host\"}}}}`\n"
            ));
        }
    }
    text.push_str(
        "\n```text\n{{qed create.outer.return machine=\"host\"}}\n```\n\n\
         ```qed-claim equal machine=\"host\"\ncreate.outer.return != 0u\n```\n\n\
         ```qed-claim computed machine=\"host\"\nmask(create.outer.return, 0xfu) == 0u || create.outer.hits == 1\n```\n\n\
         ```qed-exhibit calltree experiment=\"create\" machine=\"host\"\n```\n\n\
         ```qed-exhibit ledger experiment=\"create\" machine=\"host\"\n```\n\n```qed-exhibit machines\n```\n\n\
         ```qed-exhibit claims\n```\n",
    );
    text
}

fn book_of(host: &Evidence, addresses: &str) -> Book {
    let more = format!("addresses = \"{addresses}\"");
    let book = Book::new(
        &[
            ("one.md", &chapter(host)),
            ("two.md", "# Two\n\n{{qed kaslr.slide}}\n"),
        ],
        &more,
        "[output.html.print]\nenable = true\n",
    );
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("machines = [", "machines = [\"host\", "),
    );
    book.evidence(host);
    book
}

/// All files below a folder.
fn all_files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    mdbook_qed::util::files::read(folder)
        .unwrap()
        .into_iter()
        .map(|file| (file.name, file.bytes))
        .collect()
}

/// Check that of evidence with a secret in every field nothing gets out: not into a page, the print page, the search
/// index, what is published beside them or the log, in any form. And that without redaction the leak check finds each.
#[test]
fn canary() {
    let (host, secrets) = canaries();
    let book = book_of(&host, "auto");
    let output = book.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let published = book.qed(&["publish", "book"]);
    good(&published);
    let mut places = all_files(&book.path("book"));
    for (name, printed) in [("build", &output), ("publish", &published)] {
        places.push((name.into(), printed.stderr.clone()));
        places.push((name.into(), printed.stdout.clone()));
    }
    for command in [
        &["check"][..],
        &["check", "--format", "json"],
        &["explain", "computed"],
        &["paths"],
        &[
            "diff",
            ".qed/evidence/host.json",
            ".qed/evidence/guest-test-1.json",
            "--all",
        ],
    ] {
        let printed = book.qed(command);
        assert!(
            !printed.stdout.is_empty(),
            "{command:?}: {}",
            stderr(&printed)
        );
        places.push((command.join(" "), printed.stdout));
        places.push((command.join(" "), printed.stderr));
    }
    // Written here a second time, and otherwise than in the check: plain search for plain forms.
    for (name, bytes) in &places {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for secret in &secrets {
            let low = secret & 0xffff_ffff;
            for form in [
                format!("{secret:x}"),
                format!("{low:x}"),
                secret.to_string(),
                secret.cast_signed().to_string(),
                hex(&secret.to_le_bytes()),
            ] {
                assert!(!text.contains(&form), "{name}: {form}");
            }
            for raw in [secret.to_le_bytes(), secret.to_be_bytes()] {
                assert!(!bytes.windows(8).any(|w| w == raw), "{name}: {secret:x}");
            }
        }
        for word in ["customer", "00000000-0000-4000-8000"] {
            // The guests' made-up boot ids are not the host's.
            let of_guest = word.starts_with("0000") && !name.ends_with("host.json");
            assert!(of_guest || !text.contains(word), "{name}: {word}");
        }
    }
    good(&book.qed(&["verify", "book", "--evidence", ".qed/evidence"]));
    let verified = book.qed(&["verify", "book"]);
    good(&verified);
    assert!(
        stdout(&verified).contains("trusted, because values are withheld: 1 verdict"),
        "{}",
        stdout(&verified)
    );

    let book = book_of(&host, "raw");
    book.build();
    let published = book.qed(&["publish", "book"]);
    assert!(published.status.success(), "{}", stderr(&published));
    let site = ["verify", "book", "--evidence", ".qed/evidence"];
    assert!(book.qed(&site).status.success(), "the owner accepts it");
    let found = book.qed(&[&site[..], &["--addresses", "auto"]].concat());
    assert_eq!(found.status.code(), Some(1));
    let printed = stdout(&found);
    let reported: BTreeSet<&str> = printed
        .lines()
        .filter(|line| line.contains("LEAK"))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    let expected: BTreeSet<String> = qed_evidence::secrets::collect_secrets(&host)
        .into_values()
        .collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(reported, expected);
    assert!(
        expected.len() + 4 >= secrets.len(),
        "{} leaves for {} secrets",
        expected.len(),
        secrets.len()
    );
    for secret in &secrets {
        for form in [format!("{secret:x}"), secret.to_string()] {
            assert!(!printed.contains(&form), "the report itself tells {form}");
        }
    }
    let page = book.read("book/one.html");
    let forms = |s: &u64| [format!("{s:x}"), s.to_string(), s.cast_signed().to_string()];
    let shown = secrets
        .iter()
        .filter(|s| forms(s).iter().any(|form| page.contains(form)));
    let shown = shown.count();
    assert!(shown > 10, "the page shows only {shown}");
}

/// Check that nothing that goes out depends on where the kernel and its objects were: two boots in which everything else
/// was the same give the same site, byte for byte, and the same output of every command. Whatever could be told from a
/// published site, by order, distance, size, picture, reason or digest, would be a difference here.
#[test]
fn two_boots_look_alike() {
    let outputs = |seed: u64| {
        let (host, _) = canaries_of(seed);
        let book = book_of(&host, "auto");
        let mut out = Vec::new();
        let mut keep = |name: &str, printed: std::process::Output| {
            assert!(printed.status.code().is_some(), "{name}");
            let place = book.dir.path().display().to_string();
            let text = stdout(&printed) + &stderr(&printed);
            // mdBook's messages begin with a time and name the folder.
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains("INFO")).collect();
            out.push((
                name.to_owned(),
                lines.join("\n").replace(&place, "").into_bytes(),
            ));
        };
        keep("build", book.mdbook(&["build"]));
        for line in [
            "publish book",
            "verify book",
            "verify book --evidence .qed/evidence",
            "check",
            "check --format json",
            "explain computed",
            "explain equal",
            "paths",
            "diff .qed/evidence/host.json .qed/evidence/guest-test-1.json --all",
            "redact out --machine host",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            keep(line, book.qed(&words));
        }
        for folder in ["book", "out"] {
            out.extend(all_files(&book.path(folder)));
        }
        out
    };
    let (one, other) = (outputs(1), outputs(2));
    assert!(one.len() > 40, "{}", one.len());
    assert_eq!(one.len(), other.len());
    for ((name, a), (again, b)) in one.iter().zip(&other) {
        assert_eq!(name, again);
        let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
        let differs = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        assert!(a == b, "{name}: {differs:?}");
    }
}

/// Check that an address is found in what a page offers for download, packed.
#[test]
fn finds_leaks_in_packed_documents() {
    use base64::Engine as _;
    use std::io::Write as _;
    let (host, secrets) = canaries();
    let book = book_of(&host, "auto");
    book.build();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer
        .write_all(format!("{{\"at\": \"{:#x}\"}}", secrets[1]).as_bytes())
        .unwrap();
    let packed = base64::engine::general_purpose::STANDARD.encode(packer.finish().unwrap());
    let page = format!("<a href=\"data:application/gzip;base64,{packed}\">x</a>");
    book.write("book/more.html", &page);
    let output = book.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("more.html: byte 38, unpacked: LEAK of `"),
        "{}",
        stdout(&output)
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Check that a leak that was planted after redaction stops `publish`, with no manifest left that would look ready.
#[test]
fn publish_refuses_a_leak() {
    let (host, secrets) = canaries();
    let book = book_of(&host, "auto");
    book.build();
    book.write(
        "book/note.svg",
        &format!("<svg><text>{:x}</text></svg>", secrets[1]),
    );
    let output = book.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("note.svg: byte 15: LEAK of `"),
        "{}",
        stdout(&output)
    );
    assert!(!book.path("book/qed/manifest.json").exists());
    assert_eq!(book.qed(&["publish", "src"]).status.code(), Some(2));
}

const CHAPTER: &str = "# One\n\nfd {{qed create.outcome.returned}}, {{qed kaslr.slide}}, {{qed claims.good}}\n\n\
    ```qed-claim good\ncreate.outcome.returned == 3\n```\n";

/// Check that `verify` names whatever was changed in a published site: a shown value, a verdict, a digest, a leaf of
/// the evidence, a page that is missing, a page that was added; also where the manifest was made to fit.
#[test]
fn tampering() {
    let book = Book::new(&[("one.md", CHAPTER), ("two.md", "# Two\n")], "", "");
    book.build();
    good(&book.qed(&["publish", "book"]));
    let verify = || book.qed(&["verify", "book"]);
    good(&verify());
    // Uploads leave hidden files out.
    std::fs::remove_file(book.path("book/.nojekyll")).unwrap();
    assert!(verify().status.success());
    book.write("book/.more.html", "<p>new</p>");
    assert!(stdout(&verify()).contains(".more.html: the manifest has no such file"));
    std::fs::remove_file(book.path("book/.more.html")).unwrap();
    let evidence = "book/qed/evidence/guest-test-1.json";
    for (file, from, to, named) in [
        (
            "book/one.html",
            ">3</span>",
            ">4</span>",
            &[
                "one.html: it was changed",
                "shows `4`: the evidence says `3`",
            ][..],
        ),
        (
            "book/one.html",
            ">PASS</span>",
            ">FAIL</span>",
            &["the verdict on `good` on guest:test-1 is shown as `FAIL`"],
        ),
        (
            "book/one.html",
            "✔ PASS",
            "✘ FAIL",
            &["one.html: claim `good` is shown as FAIL"],
        ),
        (
            "book/qed/verdicts.json",
            "\"verdict\": \"PASS\"",
            "\"verdict\": \"FAIL\"",
            &[
                "qed/verdicts.json: it was changed",
                "claim `good` on guest:test-1",
            ],
        ),
        (
            "book/qed/verdicts.json",
            "\"supported\": \"PASS\"",
            "\"supported\": \"FAIL\"",
            &["says that the evidence makes it FAIL, it makes it PASS"],
        ),
        (
            "book/qed/claims.json",
            "== 3",
            "== 4",
            &[
                "qed/claims.json: it was changed",
                "claim `good` on guest:test-1",
            ],
        ),
        (
            "book/qed/manifest.json",
            "\"index.html\": \"",
            "\"index.html\": \"0",
            &["index.html: it was changed, the manifest has another digest"],
        ),
        (
            evidence,
            "\"value\": 3\n",
            "\"value\": 5\n",
            &[
                "the evidence of guest:test-1: `create` was changed",
                "guest-test-1.json: it was changed",
            ],
        ),
        (
            evidence,
            "0xffff88811e000000",
            "0xffff88811e000040",
            &["the evidence of guest:test-1: `create.outer` was changed"],
        ),
        (
            evidence,
            "\"schema\": 1",
            "\"schema\": 9",
            &["guest-test-1.json: it is refused"],
        ),
    ] {
        let before = book.read(file);
        assert!(before.contains(from), "{file}: {from}");
        book.write(file, &before.replacen(from, to, 1));
        let output = verify();
        assert_eq!(output.status.code(), Some(1), "{to}: {}", stdout(&output));
        for line in named {
            assert!(stdout(&output).contains(line), "{to}: {}", stdout(&output));
        }
        book.write(file, &before);
    }
    let page = book.read("book/two.html");
    std::fs::remove_file(book.path("book/two.html")).unwrap();
    assert!(stdout(&verify()).contains("two.html: it is missing"));
    book.write("book/two.html", &page);
    book.write("book/three.html", "<p>new</p>");
    assert!(stdout(&verify()).contains("three.html: the manifest has no such file"));
    std::fs::remove_file(book.path("book/three.html")).unwrap();
    std::fs::remove_file(book.path(evidence)).unwrap();
    let printed = stdout(&verify());
    assert!(
        printed.contains("guest-test-1.json: it is missing")
            && printed.contains("there is no evidence of this machine"),
        "{printed}"
    );

    // A forger who makes the manifest fit is still contradicted by the evidence; one who changes that as well, by the
    // digest of the manifest alone.
    book.build();
    assert!(book.qed(&["publish", "book"]).status.success());
    let page = book
        .read("book/one.html")
        .replacen(">3</span>", ">4</span>", 1);
    let manifest = book.read("book/qed/manifest.json");
    let old = mdbook_qed::util::digest::sha256_hex(book.read("book/one.html").as_bytes());
    let new = mdbook_qed::util::digest::sha256_hex(page.as_bytes());
    assert!(manifest.contains(&old));
    book.write("book/one.html", &page);
    book.write(
        "book/qed/manifest.json",
        &manifest.replace(
            &format!("\"one.html\": \"{old}"),
            &format!("\"one.html\": \"{new}"),
        ),
    );
    let printed = stdout(&verify());
    assert!(!printed.contains("was changed"), "{printed}");
    assert!(
        printed.contains("shows `4`: the evidence says `3`"),
        "{printed}"
    );
}

/// Check that wrong input is told as such: an archive, a site without evidence, a site of nothing.
#[test]
fn wrong_input() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    book.build();
    book.write("site.tar.gz", "");
    for (site, printed) in [
        ("site.tar.gz", "unpack it"),
        ("book", "there is no evidence to compare the site with"),
        ("nowhere", "cannot be read"),
    ] {
        let output = book.qed(&["verify", site]);
        assert_eq!(output.status.code(), Some(2), "{site}");
        assert!(
            stderr(&output).contains(printed),
            "{site}: {}",
            stderr(&output)
        );
    }
}

/// Check that redacted evidence travels with its verdicts: a book that is built from both elsewhere says the same, and
/// a verdict counts for no other claim and no other capture.
#[test]
fn verdicts_travel() {
    let (host, _) = canaries();
    let here = book_of(&host, "auto");
    good(&here.qed(&["redact", "out"]));
    let there = book_of(&host, "auto");
    for (name, bytes) in all_files(&here.path("out")) {
        std::fs::write(there.path(&format!(".qed/evidence/{name}")), bytes).unwrap();
    }
    assert_eq!(common::verdicts(&here), common::verdicts(&there));
    there.build();
    good(&there.qed(&["publish", "book"]));
    good(&there.qed(&["verify", "book"]));
    let page = there.read("book/one.html");
    assert!(
        page.contains("what is published does not suffice to repeat it"),
        "{page}"
    );

    let file = ".qed/evidence/host.verdicts";
    let text = there.read(file);
    there.write(file, &text.replace("0xfu", "0xffu"));
    let row = common::verdicts(&there);
    let row = row
        .lines()
        .find(|line| line.starts_with("computed"))
        .unwrap();
    assert!(row.contains("UNVERIFIED *"), "{row}");
    there.write(file, &text.replace("00112233", "99112233"));
    let output = there.qed(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("they belong to another capture"),
        "{}",
        stderr(&output)
    );
}

/// Check that the history goes on from the one that was published, has slides of throwaway machines alone, and is
/// never begun anew by mistake.
#[test]
fn history_goes_on() {
    let book = Book::new(
        &[
            ("one.md", CHAPTER),
            ("changes.md", "# Changes\n\n```qed-exhibit history\n```\n"),
        ],
        "",
        "",
    );
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("machines = [", "machines = [\"host\", "),
    );
    let captured = |id: &str, time: &str| {
        for machine in ["host", "guest:test-1", "guest:test-2"] {
            let mut evidence = evidence(machine, 0x0a20_0000, "");
            evidence.run.id = format!("{id}{}", &evidence.run.id[2..]);
            evidence.run.time = time.into();
            book.evidence(&evidence);
        }
        book.build();
    };
    let history = |name: &str| {
        mdbook_qed::evidence::history::read(book.read(name).as_bytes())
            .unwrap()
            .captures
    };
    captured("aa", "2026-01-02T03:04:05Z");
    assert!(book.qed(&["publish", "book"]).status.success());
    let first = history("book/qed/history.json");
    assert_eq!(first.len(), 3);
    for capture in &first {
        assert_eq!(
            capture.slide,
            (capture.machine != "host").then_some(0x0a20_0000)
        );
        assert_eq!(capture.verdicts["PASS"], 1);
    }
    assert_eq!(
        book.read(".qed/history.json"),
        book.read("book/qed/history.json")
    );
    captured("bb", "2026-01-03T03:04:05Z");
    let page = book.read("book/changes.html");
    assert!(
        page.contains("6 captures.") && page.contains(">0xa200000<"),
        "{page}"
    );
    assert_eq!(page.matches(">withheld<").count(), 2);
    let output = book.qed(&["publish", "book"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let second = history("book/qed/history.json");
    assert_eq!((&second[..3], second.len()), (&first[..], 6));
    assert!(book.qed(&["verify", "book"]).status.success());
    // A history that tells what it must not, or otherwise than the evidence, is found out.
    let file = "book/qed/history.json";
    let message = book.read(file);
    for (from, to, printed) in [
        (
            "\"machine\": \"host\",",
            "\"machine\": \"host\", \"slide\": 2097152,",
            "it has a slide of host",
        ),
        (
            "2026-01-03T03",
            "2026-01-03T04",
            "the entry of guest:test-1 differs from its capture",
        ),
        ("\"PASS\": 1", "\"PASS\": 2", "differs from its capture"),
        ("\"run\": \"bb", "\"run\": \"cc", "is not in it"),
    ] {
        assert!(message.contains(from), "{from}");
        // The latest captures stand last.
        book.write(file, &message.replace(from, to));
        let output = book.qed(&["verify", "book"]);
        assert_eq!(output.status.code(), Some(1), "{to}");
        assert!(
            stdout(&output).contains(printed),
            "{to}: {}",
            stdout(&output)
        );
    }
    book.write(".qed/history.json", "{}");
    for output in [book.qed(&["publish", "book"]), book.mdbook(&["build"])] {
        assert!(!output.status.success());
        assert!(
            stderr(&output).contains("the history .qed/history.json is refused"),
            "{}",
            stderr(&output)
        );
    }
}

/// A guest that was captured at `minute`, at that slide; `booted`: resumed from a boot at that minute.
fn guest(run: &str, minute: u32, slide: u64, booted: Option<u32>) -> Evidence {
    let time = |minute: u32| format!("2026-01-02T03:{minute:02}:05Z");
    let mut guest = evidence("guest:test-1", slide, "");
    guest.run.id = format!("{run}{}", &guest.run.id[2..]);
    guest.run.time = time(minute);
    guest.machine.resumed = booted.map(time);
    let offset = |value: u64| {
        Datum::Value(Value::Offset {
            value: value.into(),
        })
    };
    guest.boots = vec![qed_evidence::document::Boot {
        boot_id: "11111111-0000-4000-8000-000000000000".into(),
        time: time(0),
        slide: offset(0x0100_0000),
        text: Datum::unavailable("the test measures nothing"),
        physical: Datum::unavailable("the test measures nothing"),
    }];
    guest
}

/// Check that a boot is drawn once, however many captures are of it: by a guest that was booted, and by those that were resumed from it.
#[test]
fn resumed_boots_are_drawn_once() {
    let chapter = "# One\n\n```qed-exhibit slides machine=\"guest:test-1\"\n```\n";
    let book = Book::new(&[("one.md", chapter)], "guests = \"warm\"", "");
    let boots = |guest: Evidence| -> usize {
        book.evidence(&guest);
        book.build();
        let page = book.read("book/one.html");
        let (before, _) = page.split_once(" boots").expect("a caption");
        let words = before.rsplit("the slide in ").next();
        let count = words.and_then(|count| count.parse().ok());
        good(&book.qed(&["publish", "book"]));
        count.unwrap_or_else(|| panic!("{before}"))
    };
    // Its own, and one that was made for its slide alone.
    assert_eq!(boots(guest("a0", 10, 0x0200_0000, None)), 2);
    // The same boot again, twice.
    assert_eq!(boots(guest("a1", 11, 0x0200_0000, Some(9))), 2);
    assert_eq!(boots(guest("a2", 12, 0x0200_0000, Some(9))), 2);
    // A boot after the first capture is another one, even at the same slide.
    assert_eq!(boots(guest("a3", 14, 0x0200_0000, Some(13))), 3);
    // So is one at another slide.
    assert_eq!(boots(guest("a4", 15, 0x0300_0000, Some(9))), 3);
    assert_eq!(boots(guest("a5", 16, 0x0400_0000, None)), 3);
    assert_eq!(boots(guest("a6", 17, 0x0500_0000, None)), 4);
    good(&book.qed(&["verify", "book"]));
}

/// Check that pages say of a guest that it was resumed, that `publish` says what `verify` will, and refuses where it will refuse.
#[test]
fn resumed_guests() {
    let chapter = format!("{CHAPTER}\n```qed-exhibit machines\n```\n");
    let book = Book::new(&[("one.md", &chapter)], "guests = \"warm\"", "");
    book.evidence(&guest("a0", 10, 0x0200_0000, Some(9)));
    book.build();
    let page = book.read("book/one.html");
    for told in [
        "resumed from a boot of 2026-01-02 03:09 UTC",
        "a guest that was booted 2026-01-02 03:09 UTC",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let output = book.qed(&["publish", "book"]);
    let told = "its guest was resumed from the boot of 2026-01-02T03:09:05Z";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    good(&output);
    let output = book.qed(&["verify", "book"]);
    assert!(stdout(&output).contains(told), "{}", stdout(&output));
    good(&output);
    let settings = book.read("book.toml");
    book.write(
        "book.toml",
        &settings.replace("guests = ", "on-stale = \"error\"\nguests = "),
    );
    book.build();
    let output = book.qed(&["publish", "book"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    assert!(!book.path("book/qed").exists());
    // One that was booted is none of it.
    book.evidence(&guest("a1", 11, 0x0200_0000, None));
    book.build();
    let output = book.qed(&["publish", "book"]);
    assert!(!stderr(&output).contains("resumed"), "{}", stderr(&output));
    good(&output);
    good(&book.qed(&["verify", "book"]));
}
