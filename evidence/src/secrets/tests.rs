use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::document::Evidence;
use crate::document::value::{Bytes, Datum, Integer, Value};
use crate::testing::evidence;

const SECRET: u64 = 0xffff_ffff_9123_4568;
const HEAP: u64 = 0xffff_8881_0a0b_4c40;

fn searcher(numbers: &[u64]) -> Searcher {
    let secrets = numbers
        .iter()
        .map(|n| {
            (
                Secret::number(SecretKind::Pointer, *n),
                format!("leaf.{n:x}"),
            )
        })
        .collect();
    Searcher::new(&secrets, &BTreeSet::new())
}

/// Base64 with padding, written here a second time and otherwise than in the search.
fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['+', '/'])
        .collect();
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_usize, |w, b| w << 8 | usize::from(*b)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            out.push(if index <= chunk.len() {
                alphabet[word >> (18 - 6 * index) & 63]
            } else {
                '='
            });
        }
    }
    out
}

/// Check that an address is found in every form in which it can get into a file, at its place.
#[test]
fn every_form() {
    for secret in [SECRET, HEAP] {
        let searcher = searcher(&[secret]);
        let low = u32::try_from(secret & 0xffff_ffff).unwrap();
        let mut forms: Vec<Vec<u8>> = [
            format!("{secret:#x}"),
            format!("{secret:x}"),
            format!("{secret:#X}"),
            format!("{secret:X}"),
            format!("{low:#x}"),
            format!("{low:08x}"),
            format!("{low:08X}"),
            format!("…{low:08x}"),
            // Cut off at the beginning, at the end, and as the number of a page.
            format!("…{:x}", secret & 0xf_ffff_ffff),
            format!("0x{:x}", secret & 0xff_ffff_ffff),
            format!("{:x}…", secret >> 20),
            format!("0x{:X}…", secret >> 8),
            format!("{:#x}", secret >> 12),
            secret.to_be_bytes().map(|b| format!("%{b:02x}")).concat(),
            secret.to_le_bytes().map(|b| format!("\\x{b:02X}")).concat(),
            secret.to_le_bytes().map(|b| format!("{b:#04x}")).join(", "),
            secret.to_string(),
            secret.cast_signed().to_string(),
            low.to_string(),
            format!("\"{secret}\""),
            format!("{{\"value\":\"{secret:#018x}\"}}"),
            format!(
                "{:04x}_{:04x}_{:04x}_{:04x}",
                secret >> 48,
                secret >> 32 & 0xffff,
                secret >> 16 & 0xffff,
                secret & 0xffff
            ),
            format!("{:08x} {:08x}", secret >> 32, low),
            hex::encode(secret.to_le_bytes()),
            hex::encode(secret.to_be_bytes()),
            secret.to_le_bytes().map(|b| format!("{b:02x}")).join(" "),
            secret.to_be_bytes().map(|b| format!("{b:02X}")).join(":"),
        ]
        .into_iter()
        .map(String::into_bytes)
        .collect();
        forms.push(secret.to_le_bytes().to_vec());
        forms.push(secret.to_be_bytes().to_vec());
        for lead in ["", "a", "ab", "abc"] {
            for inner in [
                format!("{lead}{secret:#x} and"),
                format!("{lead}{secret:X} and"),
                format!("{lead}{secret}."),
            ] {
                forms.push(base64(inner.as_bytes()).into_bytes());
            }
            let raw = [lead.as_bytes(), &secret.to_le_bytes(), b"zz"].concat();
            forms.push(base64(&raw).into_bytes());
            forms.push(
                base64(&raw)
                    .replace('+', "-")
                    .replace('/', "_")
                    .into_bytes(),
            );
        }
        for form in forms {
            let text = [b"<p>at \"", form.as_slice(), b"\" it is</p>"].concat();
            let found = searcher.find(&text);
            assert_eq!(found.len(), 1, "{}", String::from_utf8_lossy(&form));
            assert_eq!(found[0].leaf, format!("leaf.{secret:x}"));
            assert!(found[0].offset >= 5, "{found:?}");
        }
    }
}

/// The lowest 32 bits of an address in every spelling.
pub(crate) fn lower_half(secret: u64) -> Vec<Vec<u8>> {
    let encoded = half_in_base64(secret).into_iter().map(String::into_bytes);
    half_as_number(secret).into_iter().chain(encoded).collect()
}

/// The lowest 32 bits of an address in base64, raw and as digits.
fn half_in_base64(secret: u64) -> Vec<String> {
    let low = u32::try_from(secret & 0xffff_ffff).unwrap();
    let signed = low.cast_signed();
    vec![
        base64(&low.to_le_bytes()),
        base64(&low.to_be_bytes()).replace('=', ""),
        base64(format!("{low:x}").as_bytes()),
        base64(format!("is {low:X}.").as_bytes()),
        base64(format!("is {low}.").as_bytes()),
        base64(format!("is {low:o}.").as_bytes()),
        base64(format!("is {signed}.").as_bytes()),
    ]
}

/// The lowest 32 bits of an address as digits and as bytes.
pub(crate) fn half_as_number(secret: u64) -> Vec<Vec<u8>> {
    let low = u32::try_from(secret & 0xffff_ffff).unwrap();
    let signed = low.cast_signed();
    let mut forms: Vec<String> = vec![
        format!("{low:#x}"),
        format!("{low:08X}"),
        low.to_string(),
        signed.to_string(),
        format!("{low:#o}"),
        format!("0{low:o}"),
        format!("{low:o}"),
        hex::encode(low.to_le_bytes()),
        low.to_le_bytes().map(|b| format!("{b:#04x}")).join(", "),
        low.to_be_bytes().map(|b| format!("{b:02x}")).join(" "),
    ];
    for gap in [" ", "_", ",", "'", "\u{a0}", ":", "-", "."] {
        for (digits, size) in [
            (format!("{low:08x}"), 4),
            (low.to_string(), 3),
            (signed.unsigned_abs().to_string(), 3),
            (format!("{low:o}"), 3),
        ] {
            let groups: Vec<&[u8]> = digits.as_bytes().rchunks(size).rev().collect();
            forms.push(String::from_utf8(groups.join(gap.as_bytes())).unwrap());
        }
    }
    let mut forms: Vec<Vec<u8>> = forms.into_iter().map(String::into_bytes).collect();
    forms.push(low.to_le_bytes().to_vec());
    forms.push(low.to_be_bytes().to_vec());
    forms
}

/// Check that the lowest 32 bits of an address are found in every spelling, and the whole of it in octal.
#[test]
fn every_form_of_a_half() {
    for secret in [
        SECRET,
        HEAP | 0x8000_0000,
        0xffff_ffff_8120_0040,
        0xffff_ffff_bfe1_2345,
    ] {
        let searcher = searcher(&[secret]);
        let mut forms = lower_half(secret);
        forms.extend([format!("{secret:o}"), format!("{secret:#o}")].map(String::into_bytes));
        for form in forms {
            let text = [b"<p>at \"", form.as_slice(), b"\" it is</p>"].concat();
            let found = searcher.find(&text);
            let shown = String::from_utf8_lossy(&form).into_owned();
            assert_eq!(found.len(), 1, "{secret:x}: {shown}");
            assert!((7..15).contains(&found[0].offset), "{shown}: {found:?}");
            assert_eq!(searcher.find_all(&text).len(), 1, "{shown}");
        }
    }
}

/// Check that every place is named, and that the forms in which one number is found in one place are one.
#[test]
fn every_place() {
    let searcher = searcher(&[SECRET, HEAP]);
    let text = format!(
        "{SECRET:#x} {HEAP:x}, {SECRET}; {:#x}",
        SECRET & 0xffff_ffff
    );
    let places: Vec<usize> = searcher
        .find_all(text.as_bytes())
        .into_iter()
        .map(|found| found.offset)
        .collect();
    assert_eq!(places.len(), 4, "{text}: {places:?}");
    assert_eq!(searcher.find(text.as_bytes()).len(), 2);
}

/// Check that digits in groups are found whatever the groups and what stands between them, each time where they begin.
#[test]
fn in_groups() {
    for secret in [SECRET, HEAP] {
        let searcher = searcher(&[secret]);
        let reversed = hex::encode(secret.to_le_bytes());
        for digits in [
            format!("{secret:016x}"),
            format!("{secret:016X}"),
            reversed,
            secret.to_string(),
        ] {
            for size in [1, 2, 3, 4, 5, 8] {
                for gap in [
                    " ",
                    "_",
                    ",",
                    "'",
                    "\u{a0}",
                    "\u{202f}",
                    "\u{2009}",
                    ":",
                    "-",
                    ".",
                    "%",
                    "\\x",
                    ", 0x",
                    ",0x",
                    " 0x",
                    ", 0X",
                    "\n  ",
                    ",\r\n\t0x",
                ] {
                    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(size).rev().collect();
                    let text = groups.join(gap.as_bytes());
                    let text = [b"<p>at \"", text.as_slice(), b"\" it is</p>"].concat();
                    let found = searcher.find(&text);
                    let shown = String::from_utf8_lossy(&text).into_owned();
                    assert_eq!(found.len(), 1, "{shown}");
                    assert_eq!(found[0].leaf, format!("leaf.{secret:x}"));
                    // What is the same in all kernel addresses need not be a part of it.
                    let begin = 7 + 4 * (1 + gap.len()) + 3;
                    assert!((7..=begin).contains(&found[0].offset), "{found:?}: {shown}");
                }
            }
        }
    }
}

/// Check that what merely looks like a part of an address is none.
#[test]
fn coincidences() {
    let searcher = searcher(&[SECRET, HEAP]);
    for text in [
        "91234567",
        "0x912345680",
        "e91234568",
        "ffffffff91234561",
        "a91234568b",
        "searchindex-91234568a.js",
        "2435008872.5e1_x2435008872x",
        "pointer#1",
        "0xffffffff81000000",
        "ffffffffffffffff",
        // Octal, groups and four bytes inside of something else.
        "1221106425500",
        "7722110642550",
        "a1 91 23 45 6812",
        "00112233912345689900",
        "eEUjkQ9",
    ] {
        assert_eq!(searcher.find(text.as_bytes()), [], "{text}");
    }
}

/// Check which leaves are secret, and that the rest is not.
#[test]
fn what_is_secret() {
    let mut live = evidence();
    let names = |evidence: &Evidence| {
        let mut names: Vec<String> = collect_secrets(evidence).into_values().collect();
        names.sort();
        names
    };
    let before = names(&live);
    for expected in [
        "kaslr.slide",
        "kaslr.symbols._text.live",
        "create.sock_alloc.hit1.exit.file",
        "create.sock_alloc.hit1.caller.address",
        "create.objects.allocations.0.address",
    ] {
        assert!(
            before.iter().any(|n| n == expected),
            "{expected}: {before:?}"
        );
    }
    for open in [
        "static", "state", "huge", "size", "flags", "raw", "physical", "run.", "kernel.",
    ] {
        assert!(
            !before.iter().any(|n| n.contains(open)),
            "{open}: {before:?}"
        );
    }
    let outcome = &mut live.experiments.get_mut("create").unwrap().outcome;
    outcome.stdout = Datum::Value(Value::text(format!("at {SECRET:x}.")));
    outcome.exit = Datum::unavailable(format!("no page at {HEAP}"));
    outcome.signal = Datum::Value(Value::Bytes {
        value: Bytes([&[1, 2, 3][..], &(SECRET + 8).to_le_bytes()].concat()),
    });
    outcome.returned = Datum::Value(Value::Int {
        value: Integer::from((SECRET + 16).cast_signed()),
        type_name: None,
    });
    live.kernel.debuginfo = Datum::unavailable("3 of 1000000000000 lines, 0x1000, -24");
    let mut after: Vec<String> = names(&live)
        .into_iter()
        .filter(|n| !before.contains(n))
        .collect();
    // Bytes are secret as a whole, too.
    after.dedup();
    assert_eq!(
        after,
        [
            "create.outcome.exit.unavailable",
            "create.outcome.returned",
            "create.outcome.signal",
            "create.outcome.stdout",
        ]
    );
}

/// Check that a number that another machine makes known is not a secret of this one.
#[test]
fn known_elsewhere() {
    let secrets = collect_secrets(&evidence());
    let all = Searcher::new(&secrets, &BTreeSet::new());
    let none = Searcher::new(&secrets, &known_secrets(&evidence()));
    assert!(all.len() > 3 && all.coincidences == 0);
    assert!(none.is_empty() && none.coincidences == all.len());
}

/// Check that a slide is found as a number and not inside of others.
#[test]
fn slides() {
    let secrets = BTreeMap::from([(
        Secret::number(SecretKind::Slide, 0x1e20_0000),
        "kaslr.slide".to_owned(),
    )]);
    let searcher = Searcher::new(&secrets, &BTreeSet::new());
    for text in [
        "0x1e200000",
        "slide 1E200000",
        "0x000000001e200000",
        "505413632",
        "505,413,632",
        "(482 MiB)",
        "482\u{a0}MiB",
        "0x1e20_0000",
        "0o3610000000",
        "03610000000",
        "-0x1e200000",
    ] {
        assert_eq!(searcher.find(text.as_bytes()).len(), 1, "{text}");
    }
    for text in [
        "0xffffffff9f200000",
        "0x11e200000",
        "0x1e2000001",
        "1505413632",
        "1482 MiB",
        "482 KiB",
        "3610000000",
    ] {
        assert_eq!(searcher.find(text.as_bytes()), [], "{text}");
    }
}

/// Check that a secret does not show itself when it is printed for debugging.
#[test]
fn debug_says_nothing() {
    let text = format!("{:?}", Secret::number(SecretKind::Pointer, SECRET));
    assert_eq!(text, "Pointer(…)");
}

/// Check that machine code that reads as an address at an odd place is not found where another kernel has the same instruction,
/// but that an address among bytes is, with its lower half.
#[test]
fn words_of_machine_code() {
    let found = |bytes: &str, text: &str| {
        let mut evidence = crate::testing::evidence();
        let probe = evidence.experiments.get_mut("create").unwrap();
        let probe = probe.probes.get_mut("sock_alloc").unwrap();
        probe.hits[0].exit.insert(
            "text".into(),
            crate::document::value::Datum::Value(crate::document::value::Value::Bytes {
                value: crate::document::value::Bytes(hex::decode(bytes).unwrap()),
            }),
        );
        let secrets = collect_secrets(&evidence);
        let known = BTreeSet::new();
        let searcher = Searcher::new(&secrets, &known);
        searcher
            .find(text.as_bytes())
            .into_iter()
            .any(|found| found.leaf.ends_with("exit.text"))
    };
    // mov 0x70(%rdi),%edi; call …; and the same before another call.
    let code = "0f1f4400008b57608b77688b7f70e8ddfeffff489831d231";
    assert!(!found(code, "8b 7f 70 e8 d9 fe ff ff"));
    assert!(!found(code, "8b7f70e8"));
    let pointer = "0102030405060708b012a50681c8ffff";
    assert!(found(pointer, "0xffffc88106a512b0"));
    assert!(found(pointer, "06a512b0"));
    let odd = "01020304050607b012a50681c8ffff08";
    assert!(found(odd, "0xffffc88106a512b0"));
}

/// Check that a pointer in a piece of memory is found on a kernel with five-level page tables, whose pointers begin with `ff` alone, and
/// that elsewhere a word which only ends so is no pointer.
#[test]
fn pointers_of_five_levels() {
    let found = |address: u64| {
        let mut evidence = evidence();
        let probe = evidence.experiments.get_mut("create").unwrap();
        let exit = &mut probe.probes.get_mut("sock_alloc").unwrap().hits[0].exit;
        let pointer = Value::Address {
            value: crate::document::value::Address(address),
            type_name: None,
            symbol: None,
        };
        exit.insert("object".into(), Datum::Value(pointer));
        let memory = hex::decode("0102030405060708b012a506811c11ff").unwrap();
        exit.insert(
            "memory".into(),
            Datum::Value(Value::Bytes {
                value: Bytes(memory),
            }),
        );
        let secrets = collect_secrets(&evidence);
        let searcher = Searcher::new(&secrets, &BTreeSet::new());
        !searcher.find(b"0xff111c8106a512b0").is_empty()
    };
    assert!(found(0xff11_0001_0a0b_4c40));
    assert!(!found(HEAP));
}
