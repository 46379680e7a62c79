//! Values typed by hand: text in a chapter that looks like an address, a descriptor, a process id or a source line, and was not
//! filled in from evidence.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// The appearance of a typed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralKind {
    /// A long hexadecimal number.
    Address,
    /// A place in a function, `sock_alloc+0x1d/0x90`.
    Symbol,
    /// A file descriptor.
    Descriptor,
    /// A process or thread id.
    Process,
    /// A line of the kernel's source.
    Line,
    /// A text or digest that was measured.
    Measured,
}

impl LiteralKind {
    /// As part of "looks like …".
    pub fn as_phrase(self) -> &'static str {
        match self {
            LiteralKind::Address => "an address",
            LiteralKind::Symbol => "a place in a function",
            LiteralKind::Descriptor => "a file descriptor",
            LiteralKind::Process => "a process id",
            LiteralKind::Line => "a line of the source",
            LiteralKind::Measured => "a measured value",
        }
    }
}

/// Something in a text that looks like a measured value.
#[derive(Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// Its appearance.
    pub kind: LiteralKind,
    /// The number that it is, if it is one.
    pub number: Option<u64>,
    /// True for a size, an alignment, a flag or a mask: nothing to complain about.
    pub constant: bool,
    /// True for a round number, such as the base of a region of memory, which a citation can vouch for.
    pub round: bool,
}

/// One pattern; the value is what the group `v` matches.
struct Pattern {
    kind: LiteralKind,
    regex: Regex,
    /// True if it means something in code alone.
    code_only: bool,
}

/// Words that make a number after them a descriptor.
const DESCRIPTOR: &str = r"(?i:\bfds?\b|\bfile[ -]descriptors?\b|\bdescriptors?\b|\bfildes\b)";
const PROCESS: &str = r"(?i:\bpids?\b|\btids?\b|\btgids?\b|\bprocess ids?\b|\bthread ids?\b)";
/// The words that may stand between such a word and its number.
const IS: &str = r"(?:(?:\s|(?u:\u{a0}))+(?:is|was|number|no\.))?(?:\s|`|(?u:\u{a0}))*(?:==|=|:|#|(?u:→)|->)?(?:\s|`|(?u:\u{a0}))*";

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let pattern = |kind, text: &str| Pattern {
        kind,
        regex: ascii_regex(text),
        code_only: false,
    };
    vec![
        pattern(
            LiteralKind::Symbol,
            r"\b(?P<v>[A-Za-z_][A-Za-z0-9_.]*\+0x[0-9a-fA-F]+/0x[0-9a-fA-F]+)\b",
        ),
        pattern(LiteralKind::Address, r"\b(?P<v>0[xX][0-9a-fA-F_]{6,})\b"),
        // An address as the kernel's log prints it.
        pattern(
            LiteralKind::Address,
            r"\b(?P<v>(?:ff|0000)[0-9a-f]{12}|FF[0-9A-F]{14}|ff[0-9a-f]{14})\b",
        ),
        pattern(
            LiteralKind::Descriptor,
            &format!(r"{DESCRIPTOR}{IS}(?P<v>[0-9]+)\b"),
        ),
        // The output of strace: a call and its result.
        Pattern {
            code_only: true,
            ..pattern(
                LiteralKind::Descriptor,
                r"(?m)\)\s+=\s+(?P<v>[0-9]+)\s*(?:<(?u:.*)>)?$",
            )
        },
        pattern(
            LiteralKind::Process,
            &format!(r"{PROCESS}{IS}(?P<v>[0-9]+)\b"),
        ),
        pattern(LiteralKind::Line, r"(?P<v>\b[\w./-]*\w\.[chS]:[0-9]+)\b"),
        pattern(
            LiteralKind::Measured,
            r"\b(?P<v>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12,64})\b",
        ),
    ]
});

/// A pattern with ASCII character classes, which suffice for values: Unicode classes take longer to compile than searching all
/// chapters takes.
fn ascii_regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?-u){pattern}")).expect("the patterns are well-formed, as the tests show")
}

/// True if there could be anything in `text` that is worth a closer look: cheap, and never wrong when false.
pub fn may_hold(text: &str) -> bool {
    // Whatever a pattern matches has one of these in it: `0x`, eight hexadecimal digits, a word for a descriptor or a
    // process, a file of C, what a call returned. No `\b`, which makes the search slow in text that is not ASCII.
    static HINT: LazyLock<Regex> = LazyLock::new(|| {
        ascii_regex(
            r"0[xX]|[0-9a-f]{8}|[0-9A-F]{14}|(?i:fd|descr|fildes|[pt]id|tgid|process id|thread id)|\.[chS]:[0-9]|\)\s+=",
        )
    });
    HINT.is_match(text)
}

/// Everything in `text` that looks like a measured value, in order; where patterns overlap, the first counts.
pub fn find_literals(text: &str, code: bool) -> Vec<Literal> {
    let mut found: Vec<Literal> = Vec::new();
    if !may_hold(text) {
        return found;
    }
    for pattern in PATTERNS.iter().filter(|pattern| code || !pattern.code_only) {
        for captures in pattern.regex.captures_iter(text) {
            let Some(value) = captures.name("v") else {
                continue;
            };
            let range = value.range();
            let overlaps =
                |other: &Literal| other.range.start < range.end && range.start < other.range.end;
            if found.iter().any(overlaps) {
                continue;
            }
            if is_part_of_longer(text, &range) {
                continue;
            }
            let number = parse_number(value.as_str(), pattern.kind);
            if !is_significant(pattern.kind, value.as_str(), number) {
                continue;
            }
            found.push(Literal {
                constant: pattern.kind == LiteralKind::Address && number.is_some_and(is_mask),
                round: number.is_some_and(|n| n.trailing_zeros() >= 20),
                kind: pattern.kind,
                number,
                range,
            });
        }
    }
    found.sort_by_key(|literal| literal.range.start);
    found
}

/// True if the value is only a part of something longer: of a path, a URL, an id, a decimal number.
fn is_part_of_longer(text: &str, range: &Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let after = text[range.end..].chars().next();
    let digit_behind = || {
        text[range.end..]
            .chars()
            .nth(1)
            .is_some_and(|c| c.is_ascii_alphanumeric())
    };
    let prefixed = text[range.clone()].starts_with('0') && text[range.clone()].contains(['x', 'X']);
    before.is_some_and(|c| "/@".contains(c) || c == '-' && !prefixed)
        || after.is_some_and(|c| "/@".contains(c))
        || matches!(after, Some('.' | '-')) && digit_behind()
}

/// The hexadecimal digits of an address, without prefix and separators.
fn hex_digits(text: &str) -> String {
    let bare = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    bare.unwrap_or(text).replace('_', "")
}

fn parse_number(text: &str, looks: LiteralKind) -> Option<u64> {
    match looks {
        LiteralKind::Address => u64::from_str_radix(&hex_digits(text), 16).ok(),
        LiteralKind::Descriptor | LiteralKind::Process => text.parse().ok(),
        LiteralKind::Symbol | LiteralKind::Line | LiteralKind::Measured => None,
    }
}

/// True if it tells something that has to be measured.
fn is_significant(looks: LiteralKind, text: &str, number: Option<u64>) -> bool {
    match (looks, number) {
        (LiteralKind::Address, Some(_)) => hex_digits(text).len() >= 6,
        // Standard input, output and error have the same numbers in every process, and init is always 1.
        (LiteralKind::Descriptor, Some(n)) => n > 2,
        (LiteralKind::Process, Some(n)) => n > 1,
        // Digits alone are a decimal number or a date.
        (LiteralKind::Measured, _) => text.bytes().any(|b| b.is_ascii_alphabetic()),
        (LiteralKind::Symbol | LiteralKind::Line, _) => true,
        (_, None) => false,
    }
}

/// A size, an alignment, a flag or a mask: one bit, or at least sixteen in a row, and no other.
fn is_mask(n: u64) -> bool {
    if n == 0 {
        return true;
    }
    let ones = n >> n.trailing_zeros();
    ones & ones.wrapping_add(1) == 0 && (n.count_ones() == 1 || n.count_ones() >= 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, code: bool) -> Vec<(&str, LiteralKind)> {
        find_literals(text, code)
            .into_iter()
            .filter(|literal| !literal.constant && (literal.kind != LiteralKind::Measured))
            .map(|literal| (&text[literal.range], literal.kind))
            .collect()
    }

    /// Check that what was typed from a terminal is found, however it is written.
    #[test]
    fn finds_what_was_typed() {
        for (text, value, looks) in [
            (
                "at 0xffff8881004bb000.",
                "0xffff8881004bb000",
                LiteralKind::Address,
            ),
            ("slide `0x1e600000`", "0x1e600000", LiteralKind::Address),
            (
                "0XFFFF_8881_004B_B000",
                "0XFFFF_8881_004B_B000",
                LiteralKind::Address,
            ),
            (
                "RBX: ffff8881004bb000 RCX",
                "ffff8881004bb000",
                LiteralKind::Address,
            ),
            (
                "rip 0000555555554a10",
                "0000555555554a10",
                LiteralKind::Address,
            ),
            (
                "in sock_alloc+0x1d/0x90",
                "sock_alloc+0x1d/0x90",
                LiteralKind::Symbol,
            ),
            ("it got fd 3", "3", LiteralKind::Descriptor),
            ("the file descriptor is `3`.", "3", LiteralKind::Descriptor),
            ("sockfd = fd=7;", "7", LiteralKind::Descriptor),
            ("a descriptor\n4 came", "4", LiteralKind::Descriptor),
            ("PID: 4711", "4711", LiteralKind::Process),
            ("tgid 4711", "4711", LiteralKind::Process),
            ("Thread ids = 4711", "4711", LiteralKind::Process),
            ("sock_a+0x1/0x2", "sock_a+0x1/0x2", LiteralKind::Symbol),
            ("net/socket.c:1540", "net/socket.c:1540", LiteralKind::Line),
            (
                "ptr->0xffff8881004bb000",
                "0xffff8881004bb000",
                LiteralKind::Address,
            ),
        ] {
            assert_eq!(found(text, false), [(value, looks)], "{text}");
            assert!(may_hold(text), "{text}");
        }
        // What may be anything is looked at more closely: whether just this was measured.
        for text in [
            "d3b07384d113edec49ea",
            "0x2000000",
            "0b5a3c1e-0000-4000-8000-00000000abcd",
        ] {
            assert_eq!(find_literals(text, false).len(), 1, "{text}");
            assert!(may_hold(text), "{text}");
        }
        let strace = "socket(AF_INET, SOCK_STREAM, 0) = 3\nclose(3)                      = 0\n";
        assert_eq!(found(strace, true), [("3", LiteralKind::Descriptor)]);
        assert_eq!(found(strace, false), []);
        assert!(may_hold(strace) && may_hold(") = 7"));
    }

    /// Check that constants, error numbers, sizes, versions, dates, URLs and code are left alone.
    #[test]
    fn leaves_the_rest_alone() {
        for text in [
            "0xffffffff80000000 and 0xffffffffffffffff and 0xfffff000",
            "0x200000 is 2 MiB, 0x1000 a page, 0x100000000 4 GiB",
            "EMFILE is 24, ENFILE 23, returned -24",
            "fd 0, fd 1 and descriptor 2",
            "pid 1",
            "fds and 3 others; the fd. 3 more",
            "Linux 6.12.117, since 20260102030405",
            "https://e.org/commit/d3b07384d113edec/0xffff8881004bb000",
            "x = a + 0xcc; struct fd f3; fd3; fdtable 4",
            "version 0x1.8p10",
            "10.0.0.3 and fd 3.5",
            "a4-e5f60718293a",
        ] {
            assert_eq!(found(text, true), [], "{text}");
        }
    }

    /// Check which numbers a citation can vouch for.
    #[test]
    fn round() {
        let round = |text: &str| find_literals(text, false)[0].round;
        assert!(round("0xffff888000000000") && round("0xffffea0000000000"));
        assert!(!round("0xffff8881004bb000"));
    }
}
