//! The exhibits about addresses: the region with marks, the slides of many boots, the lines of files.

use crate::common;

use common::{Book, evidence, good, stderr};
use qed_evidence::document::{Boot, Evidence, Reader, Reading, SymbolPlaces};
use qed_evidence::value::{Datum, Value};

const STATIC: u64 = 0xffff_ffff_8100_0000;

const CHAPTER: &str = "# One\n\n{{qed kaslr.slide as=\"mib\"}}\n\n```qed-exhibit space\n\
    static _text: kaslr.symbols._text.static\nlive _text: kaslr.symbols._text.live\n\
    slide: kaslr.symbols._text.static -> kaslr.symbols._text.live\n```\n\n\
    ```qed-exhibit slides\n```\n\n```qed-exhibit log\nSystem.map\n```\n\n\
    ```qed-claim many\nboots.count == 2 && boots.differing == 0 && aligned(boots.divisor, 2 * 1024 * 1024)\n```\n";

fn offset(value: u64) -> Datum {
    Value::Offset {
        value: value.into(),
    }
    .into()
}

/// Made-up evidence of a machine with two more boots.
fn moved(machine: &str) -> Evidence {
    let slide = 0x1e00_0000;
    let mut evidence = evidence(machine, slide, "said\n");
    let kaslr = &mut evidence.kaslr;
    kaslr.live_physical_start = offset(0x560_0000);
    let places = SymbolPlaces {
        live: Value::address(STATIC + slide).into(),
        static_address: Value::address(STATIC).into(),
        slide: offset(slide),
    };
    kaslr.symbols.insert("_text".into(), places);
    let reading = |by, file: &str, line: u64, text: &str| Reading {
        by,
        file: file.into(),
        key: "_text".into(),
        line: Some(line),
        text: Value::text(text).into(),
    };
    kaslr.readings = vec![
        reading(
            Reader::Machine,
            "/proc/kallsyms",
            7,
            "ffffffff9f000000 T _text",
        ),
        reading(
            Reader::Builder,
            "System.map-0.0.1-test",
            3,
            "ffffffff81000000 T _text",
        ),
    ];
    let boot = |slide: u64| Boot {
        boot_id: format!("b{slide:x}"),
        time: "2026-01-02T03:04:05Z".into(),
        slide: offset(slide),
        text: Value::address(STATIC + slide).into(),
        physical: offset(0x700_0000),
    };
    evidence.boots = vec![boot(0x20_0000), boot(0x3fe0_0000)];
    evidence
}

fn book(chapter: &str) -> Book {
    let book = Book::new(&[("one.md", chapter)], "", "");
    let symbols = format!("symbols = [\"_text\"]\n{}", common::INVESTIGATION);
    book.write("test.toml", &symbols);
    book.evidence(&moved("guest:test-1"));
    book
}

/// Check that pictures have a title, a description and the same as text, that the text's values can be verified
/// against the evidence, and that places in the picture are in proportion.
#[test]
fn pictures_and_their_text() {
    let book = book(CHAPTER);
    book.build();
    let page = book.read("book/one.html");
    assert_eq!(page.matches("<svg class=\"qed-svg\"").count(), 2, "{page}");
    for wanted in [
        "role=\"img\"><title>0xffffffff80000000 to 0xffffffffbfffffff</title><desc>",
        "live _text at 0xffffffff9f000000, static _text at 0xffffffff81000000, slide = 480 MiB</desc>",
        "data-qed=\"kaslr.symbols._text.live\" data-qed-on=\"guest:test-1\" data-qed-as=\"hex\">0xffffffff9f000000<",
        "data-qed=\"boots.boot2.slide\" data-qed-on=\"guest:test-1\" data-qed-as=\"mib\">1022 MiB<",
        "3:ffffffff81000000 T _text",
        "read by the machine that made the evidence",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in {page}");
    }
    // 0 is at 28, 1024 MiB at 296: 2 MiB and 480 MiB and 1022 MiB.
    for x in ["cx=\"28\"", "cx=\"153\"", "cx=\"295\""] {
        assert!(page.contains(x), "{x} is not in {page}");
    }
    assert!(
        !page.contains("/proc/kallsyms"),
        "only System.map was asked for"
    );
    good(&book.qed(&["verify", "book", "--evidence", ".qed/evidence"]));
}

/// Check that other renderers get the same as text, aligned.
#[test]
fn text_for_other_renderers() {
    let book = book(CHAPTER);
    book.write(
        "book.toml",
        &format!("{}\n[output.markdown]\n", book.read("book.toml")),
    );
    book.build();
    let text = book.read("book/one.md");
    for wanted in [
        "live _text    0xffffffff9f000000\n",
        "static _text  0xffffffff81000000\n",
        "slide         0x1e000000 = 503,316,480 bytes = 480 MiB\n",
        " own  0x1e000000   480 MiB   86 MiB\n",
        "   1    0x200000     2 MiB  112 MiB\n",
        "   2  0x3fe00000  1022 MiB  112 MiB\n",
        "System.map-0.0.1-test (read by the machine that made the evidence)\n",
        "    3:ffffffff81000000 T _text",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
}

/// Check that of a live machine neither picture nor line gets out, and that the page says so.
#[test]
fn live_machines_show_nothing() {
    let book = book(
        "# One\n\n```qed-exhibit space machine=\"host\"\nlive: kaslr.symbols._text.live\n```\n\n\
         ```qed-exhibit slides machine=\"host\"\n```\n\n```qed-exhibit log machine=\"host\"\n```\n",
    );
    let toml = book
        .read("book.toml")
        .replace("[\"guest:test-1\"", "[\"host\", \"guest:test-1\"");
    book.write("book.toml", &toml);
    book.evidence(&moved("host"));
    book.build();
    let page = book.read("book/one.html");
    assert!(
        !page.contains("<svg class=\"qed-svg\"") && !page.contains("9f000000"),
        "{page}"
    );
    assert!(page.matches("withheld").count() >= 3, "{page}");
    assert!(
        page.contains("3:ffffffff81000000 T _text"),
        "a static address is public"
    );
}

/// Check that what is missing is said and the rest is shown, that a machine without boots says how to get them, and
/// that claims over boots are UNVERIFIED there.
#[test]
fn what_is_missing() {
    let book = book(
        "# One\n\n```qed-exhibit slides machine=\"guest:test-2\"\n```\n\n\
         ```qed-exhibit space\nlive: kaslr.symbols._text.live\nelsewhere: create.outer.return\n```\n\n\
         ```qed-claim many machine=\"guest:test-2\"\nboots.count >= 2\n```\n",
    );
    book.build();
    let page = book.read("book/one.html");
    assert!(
        page.contains("UNVERIFIED on guest:test-2: it was not booted again"),
        "{page}"
    );
    assert!(page.contains("elsewhere: UNVERIFIED (0xffff88811e000000 is outside of the region)"));
    assert_eq!(page.matches("<svg class=\"qed-svg\"").count(), 1);
    assert!(page.contains("qed-unverified"));
}

/// Check that each mistake in an exhibit is an error at its place.
#[test]
fn mistakes() {
    for (body, wanted) in [
        ("space\n", "there is nothing to mark"),
        ("space\nkaslr.slide\n", "the line has no label"),
        ("space\na: kaslr.symbols._text.lives\n", "unknown path"),
        (
            "space\na: kaslr.slide\n",
            "`kaslr.slide` holds a value of kind",
        ),
        (
            "space from=\"7\"\na: kaslr.symbols._text.live\n",
            "`7` is not an address",
        ),
        (
            "space\na: kaslr.symbols._text.live ->\n",
            "there is one path here",
        ),
        (
            "space from=\"0xffffffffc0000000\" to=\"0xffffffff80000000\"\na: kaslr.symbols._text.live\n",
            "ends before it begins",
        ),
        ("slides\nx\n", "takes nothing between its fences"),
        ("slides machine=\"guest:none\"\n", "no machine `guest:none`"),
    ] {
        let book = book(&format!("# One\n\n```qed-exhibit {body}```\n"));
        let output = book.mdbook(&["build"]);
        let printed = stderr(&output);
        assert!(!output.status.success(), "{body}: {printed}");
        assert!(
            printed.contains(wanted) && printed.contains("one.md"),
            "{body}: {printed}"
        );
    }
}
