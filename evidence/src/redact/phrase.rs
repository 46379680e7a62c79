//! Words that may be published of a live machine, and texts made of them.
//!
//! Reasons and notes are composed while a machine is watched: from the programs' own words, from names in the investigation and
//! the kernel's tables, and from output of the system, such as the path of a file. A word is kept if it is in every copy of the
//! programs (`words.txt`), or if the document has it in a public field. All others become an ellipsis.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::document::value::{Datum, Value};
use crate::document::{Evidence, Target};

use super::parts::AddressParts;

/// The words in the texts of this crate and of the collector, one a line. `tests/words.rs` compares them.
const WORDS: &str = include_str!("words.txt");

static COMMON: LazyLock<HashSet<&'static str, FixedState>> = LazyLock::new(|| {
    let lines = WORDS.lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

/// A number of more digits is withheld: it could be an address, a part of one, or an account.
const DIGITS: usize = 4;
/// So many digits in groups can be the lower half of an address.
const LONG: usize = 7;
/// A text that is shorter could be a piece of any other.
const SHORTEST_TEXT: usize = 3;
/// The number of consecutive numbers, with points or colons between them, that counts as a network address.
const NETWORK: usize = 4;

/// The texts in public places of one document.
pub(super) struct PublicTexts<'a> {
    words: HashSet<String, FixedState>,
    texts: BTreeSet<String>,
    /// Numbers that say where something is.
    pub parts: &'a AddressParts,
}

impl<'a> PublicTexts<'a> {
    /// The texts of `evidence` in public places.
    pub fn from_evidence(evidence: &Evidence, parts: &'a AddressParts) -> Self {
        let mut known = PublicTexts {
            words: HashSet::default(),
            texts: BTreeSet::new(),
            parts,
        };
        let kernel = &evidence.kernel;
        for text in [&kernel.release, &kernel.version]
            .into_iter()
            .chain(&kernel.package)
        {
            known.add_text(text);
        }
        for (datum, fits) in [
            (&kernel.build_id, is_hex as fn(&str) -> bool),
            (&kernel.lockdown, is_list),
            (&kernel.lsm, is_list),
        ] {
            if let Datum::Value(Value::Text { value }) = datum
                && fits(value)
            {
                known.add_text(value);
            }
        }
        if let Datum::Value(Value::Text { value }) = &kernel.build_id
            && is_hex(value)
            && let Some((first, rest)) = value.split_at_checked(2)
        {
            // As debug information is filed.
            known.words.extend([first.to_owned(), rest.to_owned()]);
        }
        kernel.config.keys().for_each(|name| known.add_text(name));
        kernel.modules.keys().for_each(|name| known.add_text(name));
        evidence
            .kaslr
            .symbols
            .keys()
            .for_each(|name| known.add_text(name));
        for symbol in &evidence.names.symbols {
            known.add_text(&symbol.name);
        }
        for (name, list) in &evidence.names.enums {
            known.add_text(name);
            list.keys().for_each(|name| known.add_text(name));
        }
        for (set, flags) in &evidence.names.flags {
            known.add_words(set);
            flags.iter().for_each(|flag| known.add_text(&flag.name));
        }
        for (name, command) in &evidence.commands {
            known.add_words(name);
            command.argv.iter().for_each(|word| known.add_words(word));
        }
        for (name, experiment) in &evidence.experiments {
            known.add_words(name);
            known.add_words(&experiment.workload);
            known.texts.extend(quoted_texts(&experiment.workload));
            let words = experiment.workload.split_whitespace();
            known.texts.extend(words.map(str::to_owned));
            for (name, probe) in &experiment.probes {
                known.add_words(name);
                let (Target::Function(target)
                | Target::Tracepoint(target)
                | Target::Lsm(target)
                | Target::Address(target)) = &probe.target;
                known.add_text(target);
                for parameter in &probe.parameters {
                    known.add_words(&parameter.name);
                    known.add_words(&parameter.type_name);
                }
                for reads in [&probe.refused_reads.entry, &probe.refused_reads.exit] {
                    reads.keys().for_each(|name| known.add_words(name));
                }
                for members in [&probe.members.entry, &probe.members.exit] {
                    for member in members.values() {
                        known.add_words(&member.structure);
                        known.add_words(&member.name);
                    }
                }
            }
        }
        known
    }

    /// Add a text that is public as a whole.
    fn add_text(&mut self, text: &str) {
        self.add_words(text);
        self.texts.insert(text.to_owned());
        let pieces: Vec<&str> = pieces(text).collect();
        let numbers = (0..pieces.len()).filter_map(|at| grouped_digits(&pieces, at));
        self.words.extend(numbers);
    }

    fn add_words(&mut self, text: &str) {
        for word in pieces(text).filter(|piece| is_word(piece)) {
            // Most are there already.
            if !self.words.contains(word) {
                self.words.insert(word.to_owned());
            }
        }
    }

    /// True if a text is one that the document has in a public place.
    pub fn contains_text(&self, text: &str) -> bool {
        text.len() >= SHORTEST_TEXT && self.texts.contains(text)
    }

    /// A text with an ellipsis in the place of each word that is not known.
    pub fn redact_words(&self, text: &str) -> String {
        mask_unknown_words(text, &|word| self.words.contains(word))
    }
}

/// A text with an ellipsis in the place of each word that neither the programs have nor `is_known` knows. Numbers in groups
/// are one word, with what stands between them.
pub fn mask_unknown_words(text: &str, is_known: &dyn Fn(&str) -> bool) -> String {
    let pieces: Vec<&str> = pieces(text).collect();
    let mut out = String::with_capacity(text.len());
    for (at, piece) in pieces.iter().enumerate() {
        let keep = match grouped_digits(&pieces, at) {
            Some(whole) => is_known(&whole),
            None => {
                !is_word(piece)
                    || is_common(piece)
                    || is_known(piece)
                    || is_small_number(piece) && !is_in_network_address(&pieces, at)
            }
        };
        let dots = if out.ends_with('…') { "" } else { "…" };
        out.push_str(if keep { piece } else { dots });
    }
    out
}

/// True if the programs have a word, in whatever case.
fn is_common(word: &str) -> bool {
    match word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => COMMON.contains(word.to_ascii_lowercase().as_str()),
        false => COMMON.contains(word),
    }
}

/// True if a text is a digest or a build id.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// True if a text is a list of words as the kernel writes those of its security modules.
pub(super) fn is_list(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b",_".contains(&byte))
}

/// The texts in quotes: what a system call is given.
fn quoted_texts(workload: &str) -> impl Iterator<Item = String> {
    // As Rust's `{:?}` writes them; one with an escape is another text than what stands there, and is left out.
    let inside = workload.split('"').skip(1).step_by(2);
    inside
        .filter(|text| !text.contains('\\'))
        .map(str::to_owned)
}

/// Words (letters, digits and underscores) and what stands between them, in turn.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest
            .find(|c| is_part(c) != is_part(first))
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_word(piece: &str) -> bool {
    piece.starts_with(is_part)
}

fn is_small_number(word: &str) -> bool {
    let (digits, hexadecimal) = match word.strip_prefix("0x") {
        Some(digits) => (digits, true),
        None => (word, false),
    };
    let is_digit = |byte: u8| byte.is_ascii_digit() || hexadecimal && byte.is_ascii_hexdigit();
    (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(is_digit)
}

/// The digits at this place and those beside it, with what stands between them, if they could be one long number in groups.
fn grouped_digits(pieces: &[&str], at: usize) -> Option<String> {
    let group = |place: usize| pieces.get(place).copied().and_then(hex_group);
    group(at)?;
    let mut first = at;
    while first >= 2 && group(first - 2).is_some() {
        first -= 2;
    }
    let mut last = at;
    while group(last + 2).is_some() {
        last += 2;
    }
    let groups = || (first..=last).step_by(2).filter_map(group);
    let has_digit = |group: &str| group.bytes().any(|byte| byte.is_ascii_digit());
    let long =
        first < last && groups().any(has_digit) && groups().map(str::len).sum::<usize>() >= LONG;
    long.then(|| pieces[first..=last].concat())
}

/// The digits of a word that could be a group of hexadecimal ones.
fn hex_group(word: &str) -> Option<&str> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    ((1..=DIGITS).contains(&digits.len()) && is_hex(digits)).then_some(digits)
}

/// True if the number at this place is one of several with single points, colons or hyphens between them.
fn is_in_network_address(pieces: &[&str], at: usize) -> bool {
    let linked = |place: usize| {
        pieces
            .get(place)
            .is_some_and(|gap| [".", ":", "-"].contains(gap))
    };
    let mut first = at;
    while first >= 2 && linked(first - 1) {
        first -= 2;
    }
    let mut last = at;
    while linked(last + 1) && pieces.get(last + 2).is_some_and(|piece| is_word(piece)) {
        last += 2;
    }
    let mut numbers = (first..=last).step_by(2);
    (last - first) / 2 + 1 >= NETWORK
        && numbers.all(|place| pieces[place].bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        mask_unknown_words(text, &|word| ["sock_alloc", "6.12.117-1"].contains(&word))
    }

    /// Check that a reason keeps the programs' own words, names that are known and small numbers, and loses all that
    /// tells of a machine.
    #[test]
    fn reasons() {
        for (text, expected) in [
            (
                "this kernel has no function `sock_alloc`",
                "this kernel has no function `sock_alloc`",
            ),
            (
                "/home/zacharias/vmlinux: No such file or directory (os error 2)",
                "/home/…/vmlinux: No such file or directory (os error 2)",
            ),
            ("lost 12 of 3456 events", "lost 12 of 3456 events"),
            ("at 91234568, 0x9123, 0x91234", "at …, 0x9123, …"),
            ("at 10.11.12.13 and 6.1.170", "at ….….….… and 6.1.170"),
            ("00:16:36:12:34:56", "…:…:…:…:…:…"),
            ("zebra-host.castle", "…-host.…"),
            // A number in groups, of whatever size.
            ("9123 4568", "… …"),
            ("at 0x68, 0x45, 0x23, 0x91.", "at …, …, …, …."),
            ("2_435_008_872", "…"),
            ("2,435,008,872 bytes", "…,…,…,… bytes"),
            ("81 d2 34 58", "… … … …"),
            ("a1, 1 of 64", "…, 1 of 64"),
            // Of a version, and of another number.
            ("6.12.117-1", "6.12.117-1"),
            ("6.12.117-12", "….….…-…"),
        ] {
            assert_eq!(told(text), expected);
            assert_eq!(told(expected), expected, "again");
        }
    }

    /// Check that texts in quotes are those that a system call is given.
    #[test]
    fn given() {
        let texts: Vec<String> = quoted_texts(r#"openat(-100, "/etc/x", "a\"b")"#).collect();
        assert_eq!(texts[0], "/etc/x");
        assert!(!texts.contains(&r#"a"b"#.to_owned()));
    }
}
