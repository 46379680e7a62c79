//! Exhibits on real evidence of another investigation than the flagship book's: pipe2(), captured in a guest with
//! `qed-collector capture --investigation investigations/pipe.toml --on guest:debian-6.12`.

use crate::common;

use std::io::Read;

use base64::Engine;
use common::{Book, stderr};
use mdbook_qed::exhibits::trace_record::{FIELDS, RecordKind, StepRecord};
use mdbook_qed::markdown::html::decode_references;

const EVIDENCE: &str = include_str!("evidence/pipe-guest-debian-6.12.json");

const CHAPTER: &str = r#"# Pipe

`alloc_pipe_info` makes a `struct pipe_inode_info`. `no_such_thing` is nowhere, and neither is XYZ.

```qed-claim one_pipe
pipe.fd_install.hit1.entry.pipe == pipe.fd_install.hit2.entry.pipe
```

```qed-exhibit linkage title="Two files, one pipe"
file to read: pipe.fd_install.hit1.args.file
file to write: pipe.fd_install.hit2.args.file
pipe: pipe.alloc_pipe_info.return
file to read -> pipe: pipe.fd_install.hit1.entry.pipe
file to write -> pipe: pipe.fd_install.hit2.entry.pipe
```

```qed-exhibit steps
A pipe is made: pipe.alloc_pipe_info.return, pipe.alloc_pipe_info.exit.ring_size as="dec"; one_pipe
```

```qed-exhibit trace experiment="pipe" form="records"
create_pipe_files: Makes a pipe. µ
```

```qed-exhibit thread
pipe.alloc_pipe_info.return
```

```qed-exhibit calltree experiment="pipe"
```

```qed-exhibit evidence
```

```qed-exhibit derivation
```
"#;

/// A book of this chapter and what `more` adds to the preprocessor's table, with the evidence of pipe2().
fn book(chapter: &str, glossary: &str, more: &str) -> Book {
    let book = Book::new(&[("one.md", chapter), ("glossary.md", glossary)], "", "");
    let command = env!("CARGO_BIN_EXE_mdbook-qed");
    book.write(
        "book.toml",
        &format!(
            "[book]\ntitle = \"T\"\n[preprocessor.qed]\ncommand = \"{command}\"\nafter = [\"links\"]\n\
             investigation = \"pipe.toml\"\nmachines = [\"guest:debian-6.12\"]\n{more}\n"
        ),
    );
    book.write("pipe.toml", include_str!("../../investigations/pipe.toml"));
    book.write(".qed/evidence/guest-debian-6.12.json", EVIDENCE);
    book
}

/// The records that a page shows.
fn records(html: &str) -> Vec<StepRecord> {
    let pieces = html.split("<span class=\"qed-record\">").skip(1);
    pieces
        .map(|piece| {
            let shown = &piece[..piece.find("</pre>").unwrap_or(piece.len())];
            // The text outside of the tags.
            let texts = shown
                .split('<')
                .enumerate()
                .map(|(index, part)| match index {
                    0 => part,
                    _ => part.split_once('>').unwrap().1,
                });
            let line = decode_references(&texts.collect::<String>());
            assert!(line.bytes().all(|byte| byte < 0x80), "{line}");
            line.parse().unwrap_or_else(|why| panic!("{why}: {line}"))
        })
        .collect()
}

/// Check that no exhibit is made for sockets: each says of pipe2() what its evidence says.
#[test]
fn another_call() {
    let book = book(CHAPTER, "# G\n\nx\n", "");
    book.build();
    let html = book.read("book/one.html");
    // Two pointers at the offset that this kernel's types give, and an arrow for each.
    assert_eq!(
        html.matches("private_data +0x").count() + html.matches("private_data &#43;0x").count(),
        4,
        "{html}"
    );
    assert_eq!(html.matches("class=\"qed-svg-head\"").count(), 2);
    assert!(
        html.contains("<title>Two files, one pipe</title>"),
        "{html}"
    );
    assert!(
        decode_references(&html).contains("private_data of file to write leads to pipe."),
        "{html}"
    );
    let records = records(&html);
    let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    let at = |name: &str| {
        names
            .iter()
            .position(|n| *n == name)
            .unwrap_or_else(|| panic!("{name}: {names:?}"))
    };
    assert!(
        at("create_pipe_files") < at("alloc_pipe_info") && at("alloc_pipe_info") < at("fd_install")
    );
    let numbers: Vec<usize> = records.iter().map(|record| record.number).collect();
    assert_eq!(numbers, (1..=records.len()).collect::<Vec<_>>());
    let field = |record: &StepRecord, name: &str| {
        let index = FIELDS.iter().position(|field| *field == name).unwrap();
        record.fields[index].clone()
    };
    assert_eq!(
        field(&records[at("create_pipe_files")], "Work"),
        "Makes a pipe. µ"
    );
    let last = records.last().unwrap();
    assert_eq!(
        (last.kind, field(last, "RealValue").as_str()),
        (RecordKind::Return, "0")
    );
    let text = decode_references(&html);
    assert!(text.contains("returned it"), "{text}");
    assert_eq!(
        text.matches("on entry found it in pipe").count(),
        2,
        "{text}"
    );
}

/// Check that an exhibit with nothing to show says why, with code as code.
#[test]
fn nothing_to_show() {
    let book = book("# One\n\n```qed-exhibit slides\n```\n", "# G\n\nx\n", "");
    book.build();
    let html = decode_references(&book.read("book/one.html"));
    assert!(
        html.contains("write <code>boots = 16</code> in the"),
        "{html}"
    );
}

/// Check that an exhibit of a machine without evidence says so and does not stop the build, and that a machine which the
/// book does not have is still an error.
#[test]
fn machine_without_evidence() {
    let chapter =
        "# One\n\n```qed-exhibit trace experiment=\"pipe\" machine=\"guest:debian-6.1\"\n```\n";
    let open = book(chapter, "# G\n\nx\n", "");
    let settings = open.read("book.toml");
    let stderr = stderr(&open.mdbook(&["build"]));
    assert!(
        stderr.contains("no machine `guest:debian-6.1` in this book"),
        "{stderr}"
    );
    let both = "machines = [\"guest:debian-6.12\", \"guest:debian-6.1\"]";
    open.write(
        "book.toml",
        &settings.replace("machines = [\"guest:debian-6.12\"]", both),
    );
    open.build();
    let page = decode_references(&open.read("book/one.html"));
    assert!(
        page.contains(
            "UNVERIFIED on guest:debian-6.1: there is no evidence of <code>guest:debian-6.1</code> yet"
        ),
        "{page}"
    );
}

/// Check that a name that nothing introduced is found, with its place; that it can stop the build; and that with a
/// definition the chapter passes.
#[test]
fn derivation() {
    let open = book(CHAPTER, "# G\n\nno_such_thing\n: \n", "");
    let output = open.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stderr(&output);
    assert!(printed.contains("src/one.md:3:"), "{printed}");
    assert!(printed.contains("`no_such_thing` is named"), "{printed}");
    assert!(
        printed.contains("`XYZ` is named") && !printed.contains("`alloc_pipe_info` is named"),
        "{printed}"
    );
    let page = open.read("book/one.html");
    assert!(
        page.contains("<code>no_such_thing</code>") && page.contains("2 things are not derived"),
        "{page}"
    );
    let strict = book(CHAPTER, "# G\n\nx\n", "deny = [\"undefined-name\"]");
    assert!(!strict.mdbook(&["build"]).status.success());
    let glossary = "# G\n\n`no_such_thing`, XYZ\n: Something.\n";
    let defined = book(CHAPTER, glossary, "deny = [\"undefined-name\"]");
    defined.build();
    let page = defined.read("book/one.html");
    assert!(
        page.contains("✔ PASS</span> 1 of 1 claims passed"),
        "{page}"
    );
}

/// Check that a pointer which leads elsewhere gets no arrow and is said to, in the picture and in the text.
#[test]
fn a_pointer_elsewhere() {
    let chapter = CHAPTER.replace("file to write -> pipe:", "file to write -> file to read:");
    let book = book(&chapter, "# G\n\nx\n", "");
    book.build();
    let html = decode_references(&book.read("book/one.html"));
    assert_eq!(html.matches("class=\"qed-svg-head\"").count(), 1);
    assert!(html.contains("does NOT lead to file to read"), "{html}");
    assert!(
        html.contains("private_data of file to write does not lead to file to read."),
        "{html}"
    );
}

/// Check that the document in the page is the one that the book was built from, and that where addresses must not be
/// known neither it nor any of them is in the page, with the reason.
#[test]
fn downloads() {
    let raw = book(CHAPTER, "# G\n\nx\n", "");
    raw.build();
    let html = decode_references(&raw.read("book/one.html"));
    let start =
        html.find("data:application/gzip;base64,").unwrap() + "data:application/gzip;base64,".len();
    let packed = &html[start..start + html[start..].find('"').unwrap()];
    let packed = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let (here, there) = (
        qed_evidence::reader::read(text.as_bytes()),
        qed_evidence::reader::read(EVIDENCE.as_bytes()),
    );
    assert_eq!(here.unwrap(), there.unwrap());
    let hidden = book(CHAPTER, "# G\n\nx\n", "addresses = \"pseudonym\"");
    hidden.build();
    let html = decode_references(&hidden.read("book/one.html"));
    assert!(
        !html.contains("data:application/gzip"),
        "the document is not there"
    );
    assert!(
        html.contains("The document itself is not published"),
        "{html}"
    );
    assert!(
        !html.contains("0xffff") && !html.contains("0xff1"),
        "no address is there"
    );
}

/// Check that what is wrong with a body is told at its place.
#[test]
fn bad_bodies() {
    for (from, to, printed) in [
        (
            "pipe: pipe.alloc",
            "file to read: pipe.alloc",
            "there are two objects `file to read`",
        ),
        (
            "-> pipe: pipe.fd_install.hit1",
            "-> pip: pipe.fd_install.hit1",
            "did you mean `pipe`?",
        ),
        ("; one_pipe", "", "this is not a step"),
        ("; one_pipe", "; one_pip", "did you mean `one_pipe`?"),
        (
            "create_pipe_files: M",
            "create_pipe_file: M",
            "there is no record of `create_pipe_file`",
        ),
        (
            "```qed-exhibit thread\npipe.alloc_pipe_info.return",
            "```qed-exhibit thread",
            "follows one value",
        ),
    ] {
        assert!(CHAPTER.contains(from), "{from}");
        let book = book(&CHAPTER.replacen(from, to, 1), "# G\n\nx\n", "");
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success(), "{to}");
        assert!(
            stderr(&output).contains(printed),
            "{printed}: {}",
            stderr(&output)
        );
    }
}

/// Check that a trace has the tracepoints between the calls, with what they carry, that a line of the body can be about one hit, and
/// that a hit which an interrupt caused is told, in the table as in the records.
#[test]
fn tracepoints_and_interrupts_in_a_trace() {
    // As if another tracepoint than that of the call's end had been watched.
    let other = |text: &str| text.replace("\"sys_exit\"", "\"kmem_cache_free\"");
    let mut evidence = qed_evidence::reader::read(other(EVIDENCE).as_bytes()).unwrap();
    let pipe = evidence.experiments.get_mut("pipe").unwrap();
    let mut hits = pipe.probes.get_mut("fd_install").unwrap().hits.iter_mut();
    hits.next().unwrap().context = Some(qed_evidence::document::Context::Softirq);
    let chapter = "# One\n\n```qed-exhibit trace experiment=\"pipe\"\nfd_install.hit2: The end to write\n\
                   kmem_cache_free: Frees something\n```\n\n\
                   ```qed-exhibit trace experiment=\"pipe\" form=\"records\"\n```\n";
    let shown = book(chapter, "# G\n\nx\n", "");
    shown.write(
        "pipe.toml",
        &other(include_str!("../../investigations/pipe.toml")),
    );
    shown.write(
        ".qed/evidence/guest-debian-6.12.json",
        &qed_evidence::reader::write(&evidence).unwrap(),
    );
    shown.build();
    let html = shown.read("book/one.html");
    let page = decode_references(&html);
    for part in [
        "<td data-label=\"event\"><code>kmem_cache_free</code><span>Frees something</span>",
        "<code>fd_install</code><span><strong>in an interrupt (softirq)</strong></span>",
        "<code>fd_install</code><span>The end to write</span>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let records = records(&html);
    let at = |name: &str| {
        records
            .iter()
            .position(|record| record.name == name)
            .unwrap()
    };
    let last = records.last().unwrap();
    assert_eq!(
        (last.name.as_str(), last.kind),
        ("kmem_cache_free", RecordKind::Event)
    );
    assert!(
        last.fields[0].starts_with("0x") || last.fields[0].starts_with('0'),
        "{last:?}"
    );
    assert!(
        records[at("fd_install")].fields[2].ends_with("; in an interrupt (softirq)"),
        "{records:?}"
    );
}

/// Check that a trace is a table with names of arguments, results and call sites, that inlined functions are folded, that a machine stands
/// above values without a caption of their own, that tracepoints show what they carry, and that a form that is none is refused.
#[test]
fn steps_of_a_trace() {
    let chapter = "# One\n\n```qed-exhibit trace experiment=\"pipe\"\ncreate_pipe_files: Makes a pipe\n```\n\n\
                   ```qed-exhibit table\npipe.outcome.returned\n```\n";
    let shown = book(chapter, "# G\n\nx\n", "");
    shown.build();
    let html = shown.read("book/one.html");
    let page = decode_references(&html);
    for part in [
        "<table class=\"qed-wide qed-trace\">",
        "<code>create_pipe_files</code><span>Makes a pipe</span>",
        "<span>flags = ",
        "Measured on guest:debian-6.12 · Linux 6.12",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!html.contains("class=\"qed-record"));
    let wrong = book(
        &chapter.replace("experiment=\"pipe\"", "experiment=\"pipe\" form=\"rows\""),
        "# G\n\nx\n",
        "",
    );
    let stderr = stderr(&wrong.mdbook(&["build"]));
    assert!(
        stderr.contains("`rows` is not a form of a trace"),
        "{stderr}"
    );
}
