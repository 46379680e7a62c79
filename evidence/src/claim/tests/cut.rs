//! Claims about values of which only the beginning was kept.

use proptest::prelude::*;

use super::super::Verdict;
use crate::document::value::{Address, Bytes, Cut, Datum, Frame, LineRole, Location, Value};
use crate::document::{Evidence, Hit};
use crate::testing::{evidence, judge_on};

fn hit(document: &mut Evidence) -> &mut Hit {
    let create = document.experiments.get_mut("create").unwrap();
    &mut create.probes.get_mut("sock_alloc").unwrap().hits[0]
}

/// The sample, with this value under `create.sock_alloc.exit.state`, which its investigation plans.
fn with(value: Value) -> Evidence {
    let mut document = evidence();
    document.run.marks_cuts = true;
    hit(&mut document)
        .exit
        .insert("state".into(), Datum::Value(value));
    document
}

fn verdict(text: &str, document: &Evidence) -> (Verdict, String) {
    let text = text.replace("VALUE", "create.sock_alloc.exit.state");
    let judgement = judge_on(&text, document);
    (judgement.verdict, judgement.reason.unwrap_or_default())
}

fn cut_text(retained: &str, whole: Option<u64>) -> Value {
    Value::CutText {
        value: retained.into(),
        cut: Cut { whole },
    }
}

fn cut_bytes(retained: &[u8], whole: Option<u64>) -> Value {
    Value::CutBytes {
        value: Bytes(retained.into()),
        cut: Cut { whole },
    }
}

/// Frames of these functions, each with its source line.
fn frames(functions: &[&str]) -> Vec<Frame> {
    let frame = |function: &&str| Frame {
        address: Address(0xffff_ffff_9280_0000),
        symbol: None,
        offset: None,
        site: Some(Location {
            file: "a.c".into(),
            line: 1,
            function: (*function).into(),
            role: LineRole::Call,
            inlined_into: Vec::new(),
        }),
        interrupts: false,
    };
    functions.iter().map(frame).collect()
}

/// Check that of a text that was cut only what its beginning decides is told, whichever way it is asked.
#[test]
fn texts() {
    let document = with(cut_text("/a/path/that/is", None));
    for (text, expected) in [
        ("starts_with(VALUE, '/a/path')", Verdict::Pass),
        ("starts_with(VALUE, '/b')", Verdict::Fail),
        // No capture holds that word, so that it is not there proves nothing.
        ("!starts_with(VALUE, '/b')", Verdict::Error),
        (
            "starts_with(VALUE, '/a/path/that/is/longer')",
            Verdict::Unverified,
        ),
        (
            "!starts_with(VALUE, '/a/path/that/is/longer')",
            Verdict::Unverified,
        ),
        ("contains(VALUE, 'that')", Verdict::Pass),
        ("contains(VALUE, 'path/that/is')", Verdict::Pass),
        ("contains(VALUE, 'shadow')", Verdict::Unverified),
        ("!contains(VALUE, 'shadow')", Verdict::Unverified),
        ("ends_with(VALUE, 'is')", Verdict::Unverified),
        ("!ends_with(VALUE, 'xx')", Verdict::Unverified),
        ("VALUE == '/a/path/that/is'", Verdict::Unverified),
        ("VALUE != '/a/path/that/is'", Verdict::Unverified),
        ("VALUE == '/a/path/that/is/longer'", Verdict::Unverified),
        ("VALUE == '/a/path'", Verdict::Fail),
        ("VALUE != '/a/path'", Verdict::Pass),
        ("VALUE == '/etc'", Verdict::Fail),
        ("VALUE != VALUE", Verdict::Unverified),
        ("length(VALUE) == 15", Verdict::Unverified),
        ("length(VALUE) >= 15", Verdict::Unverified),
        ("VALUE + '/x' == '/a/path/that/is/x'", Verdict::Unverified),
        (
            "contains('/a/path/that/is/longer', VALUE)",
            Verdict::Unverified,
        ),
        ("!contains('/b', VALUE)", Verdict::Error),
        ("(contains(VALUE, 'that') ? 1 : 2) == 1", Verdict::Pass),
        (
            "contains(VALUE, 'that') || contains(VALUE, 'shadow')",
            Verdict::Unverified,
        ),
        ("VALUE < '/b'", Verdict::Error),
        ("VALUE == 3", Verdict::Error),
        ("on_stack(VALUE, 'x')", Verdict::Error),
    ] {
        let (verdict, reason) = verdict(text, &document);
        assert_eq!(verdict, expected, "{text}: {reason}");
        if verdict == Verdict::Unverified {
            assert!(reason.contains("cut after 15 bytes"), "{text}: {reason}");
        }
    }
    let known = with(cut_text("/a/path/that/is", Some(66)));
    for (text, expected) in [
        ("length(VALUE) == 66", Verdict::Pass),
        ("length(VALUE) == 15", Verdict::Fail),
        ("VALUE != '/a/path/that/is/longer'", Verdict::Error),
    ] {
        assert_eq!(verdict(text, &known).0, expected, "{text}");
    }
}

/// Check the same of bytes.
#[test]
fn bytes() {
    let document = with(cut_bytes(&[1, 2, 3], None));
    for (text, expected) in [
        ("byte(VALUE, 2) == 3", Verdict::Pass),
        ("byte(VALUE, 2) == 4", Verdict::Fail),
        ("byte(VALUE, 2) != 10", Verdict::Pass),
        ("mask(byte(VALUE, 2), 0x80) == 0", Verdict::Pass),
        ("byte(VALUE, 3) == 0", Verdict::Unverified),
        ("byte(VALUE, 3) != 0", Verdict::Unverified),
        ("length(VALUE) == 3", Verdict::Unverified),
        (r"VALUE == b'\x01\x02\x03'", Verdict::Unverified),
        (r"VALUE != b'\x01\x02\x03\x04'", Verdict::Unverified),
        (r"VALUE != b'\x01\x03'", Verdict::Pass),
        (r"VALUE < b'\x02'", Verdict::Error),
    ] {
        let (verdict, reason) = verdict(text, &document);
        assert_eq!(verdict, expected, "{text}: {reason}");
    }
    let known = with(cut_bytes(&[1, 2, 3], Some(5)));
    assert_eq!(verdict("length(VALUE) == 5", &known).0, Verdict::Pass);
    assert_eq!(
        verdict("byte(VALUE, 4) == 0", &known).0,
        Verdict::Unverified
    );
    assert_eq!(verdict("byte(VALUE, 5) == 0", &known).0, Verdict::Error);
}

/// Check that what is not on the kept part of a stack may be further out, and that what is on it is on it.
#[test]
fn stacks() {
    let value = frames(&["sock_alloc", "__sock_create"]);
    let document = with(Value::CutStack {
        value: value.clone(),
        cut: Cut::default(),
    });
    let whole = with(Value::Stack { value });
    for (text, of_cut, of_whole) in [
        (
            "on_stack(VALUE, '__sock_create')",
            Verdict::Pass,
            Verdict::Pass,
        ),
        (
            "calls(VALUE, '__sock_create', 'sock_alloc')",
            Verdict::Pass,
            Verdict::Pass,
        ),
        (
            "!on_stack(VALUE, 'fd_install')",
            Verdict::Unverified,
            Verdict::Pass,
        ),
        (
            "!calls(VALUE, 'fd_install', 'sock_alloc')",
            Verdict::Unverified,
            Verdict::Pass,
        ),
        ("length(VALUE) == 2", Verdict::Unverified, Verdict::Pass),
        ("length(VALUE) < 24", Verdict::Unverified, Verdict::Pass),
    ] {
        let (verdict_cut, reason) = verdict(text, &document);
        assert_eq!(verdict_cut, of_cut, "{text}: {reason}");
        let (verdict_whole, reason) = verdict(text, &whole);
        assert_eq!(verdict_whole, of_whole, "{text}: {reason}");
    }
}

/// Check that a document of a collector that marked nothing is judged as if all that may have been cut was.
#[test]
fn unmarked() {
    let deep = |frame_count| Value::Stack {
        value: frames(&vec!["sock_alloc"; frame_count]),
    };
    let x = |count| "x".repeat(count);
    for (value, text, expected) in [
        (deep(18), "!on_stack(VALUE, 'fd_install')", Verdict::Pass),
        (
            deep(19),
            "!on_stack(VALUE, 'fd_install')",
            Verdict::Unverified,
        ),
        (deep(24), "on_stack(VALUE, 'sock_alloc')", Verdict::Pass),
        (Value::text(x(62)), "length(VALUE) == 62", Verdict::Pass),
        (
            Value::text(x(63) + "…"),
            "length(VALUE) == 66",
            Verdict::Unverified,
        ),
        (
            Value::text(x(60) + "…"),
            "!contains(VALUE, 'y')",
            Verdict::Unverified,
        ),
        (
            Value::text(x(64 << 10)),
            "!contains(VALUE, 'y')",
            Verdict::Unverified,
        ),
        (
            Value::Bytes {
                value: Bytes(vec![7; 63]),
            },
            "length(VALUE) == 63",
            Verdict::Unverified,
        ),
    ] {
        let is_stack = matches!(value, Value::Stack { .. });
        let mut document = with(value);
        // Somebody may have taken the mark out; only of a stack it is not known how long it can be.
        if expected == Verdict::Unverified {
            let (marked, reason) = verdict(text, &document);
            let expected = if is_stack { Verdict::Pass } else { expected };
            assert_eq!(marked, expected, "{text}: {reason}");
        }
        document.run.marks_cuts = false;
        let (verdict, reason) = verdict(text, &document);
        assert_eq!(verdict, expected, "{text}: {reason}");
    }
}

/// Check that without its mark a value that was cut proves no more than with it, and that one byte less was whole.
#[test]
fn marks_that_were_taken_out() {
    let bytes = |count| Value::Bytes {
        value: Bytes(vec![7; count]),
    };
    let x = |count| Value::text("x".repeat(count));
    let two = |count: usize| Value::text("x".repeat(count - 2) + "ä");
    for (value, text, expected) in [
        (x(62), "length(VALUE) == 62", Verdict::Pass),
        (x(63), "length(VALUE) == 63", Verdict::Unverified),
        (x(63), "!contains(VALUE, 'create')", Verdict::Unverified),
        (x(63), "!ends_with(VALUE, 'create')", Verdict::Unverified),
        (x(63), "starts_with(VALUE, 'xxx')", Verdict::Pass),
        (two(59), "length(VALUE) == 59", Verdict::Pass),
        (two(61), "length(VALUE) == 61", Verdict::Unverified),
        (bytes(62), "length(VALUE) == 62", Verdict::Pass),
        (bytes(63), "length(VALUE) == 63", Verdict::Unverified),
        (bytes(63), "byte(VALUE, 62) == 7", Verdict::Pass),
        // Without `max` a longer array is not read.
        (bytes(64), "length(VALUE) == 64", Verdict::Pass),
    ] {
        let document = with(value);
        assert!(document.run.marks_cuts);
        let (verdict, reason) = verdict(text, &document);
        assert_eq!(verdict, expected, "{text}: {reason}");
    }
    let mut printed = evidence();
    for (length, expected) in [(65_535, Verdict::Pass), (65_536, Verdict::Unverified)] {
        let create = printed.experiments.get_mut("create").unwrap();
        create.outcome.stdout = x(length).into();
        let text = format!("length(create.outcome.stdout) == {length}");
        let judgement = judge_on(&text, &printed);
        assert_eq!(judgement.verdict, expected, "{text}: {judgement:?}");
    }
}

/// A claim about a text, in all ways in which one can be asked.
fn any_claim() -> impl Strategy<Value = String> {
    let literal = || "[ab/]{0,4}";
    let atom = prop_oneof![
        literal().prop_map(|t| format!("contains(VALUE, '{t}')")),
        literal().prop_map(|t| format!("starts_with(VALUE, '{t}')")),
        literal().prop_map(|t| format!("ends_with(VALUE, '{t}')")),
        literal().prop_map(|t| format!("contains('a{t}b', VALUE)")),
        literal().prop_map(|t| format!("VALUE == '{t}'")),
        literal().prop_map(|t| format!("VALUE != '{t}'")),
        (
            0..6_u32,
            prop_oneof![Just("=="), Just("<"), Just(">="), Just("!=")]
        )
            .prop_map(|(n, sign)| format!("length(VALUE) {sign} {n}")),
        literal().prop_map(|t| format!("starts_with(VALUE + '{t}', 'a')")),
    ];
    let negated = (any::<bool>(), atom).prop_map(|(not, atom)| match not {
        true => format!("!({atom})"),
        false => atom,
    });
    (
        negated.clone(),
        prop_oneof![Just("&&"), Just("||")],
        negated,
    )
        .prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Check that a value that is cut, at any place, with its length or without, never makes a claim PASS that is not
    /// PASS of the whole, and FAIL only one that FAILs.
    #[test]
    fn cutting_never_passes(text in "[ab/]{1,6}", end in 0..6_usize, known: bool, claim in any_claim()) {
        let end = end.min(text.len() - 1);
        let (whole, why) = verdict(&claim, &with(Value::text(text.clone())));
        // Which other values are tried depends on the value: none may be found that makes a true claim false.
        let whole = match whole {
            Verdict::Error if why.contains("cannot fail") => Verdict::Pass,
            whole => whole,
        };
        let cut = cut_text(&text[..end], known.then_some(text.len() as u64));
        let (of_cut, reason) = verdict(&claim, &with(cut));
        match of_cut {
            Verdict::Pass => prop_assert_eq!(whole, Verdict::Pass, "{} of {}: {} ({})", claim, text, reason, why),
            Verdict::Fail => prop_assert_eq!(whole, Verdict::Fail, "{} of {}: {}", claim, text, reason),
            _ => {}
        }
    }
}
