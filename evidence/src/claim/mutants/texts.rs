//! Other texts: without a word or a number of the measured one, with another digit, the claim's own, and other releases of kernels.

use crate::claim::hints::Hints;
use crate::claim::invariants::LOWEST_RELEASE;
use crate::claim::value::Version;

/// Texts that could stand in the place of `value`.
pub(super) fn texts(value: &str, hints: &Hints<'_>) -> Vec<String> {
    let mut list = vec![String::new(), format!("{value}?"), format!("?{value}")];
    list.extend(other_digit(value));
    // None of its words, and none of its numbers.
    list.push("?".repeat(value.chars().count()));
    list.push(value.chars().map(other_number).collect());
    if Version::measured(value).is_some() {
        list.extend(["0.1.0", LOWEST_RELEASE, "65535.0.0"].map(String::from));
        // A kernel's release has three numbers, and an author may write two.
        let first = hints.texts.iter().map(|text| format!("{text}.0"));
        list.extend(first.filter(|text| Version::written(text).is_ok()));
    }
    list.extend(hints.texts.iter().cloned());
    list.extend(lengths(hints).map(|length| "?".repeat(length)));
    list
}

/// Another digit in the place of a digit.
fn other_number(c: char) -> char {
    match c {
        '0'..='4' => char::from(c as u8 + 5),
        '5'..='9' => char::from(c as u8 - 5),
        other => other,
    }
}

/// The text with another last digit.
fn other_digit(value: &str) -> Option<String> {
    let at = value.rfind(|c: char| c.is_ascii_digit())?;
    let digit = if value[at..].starts_with('0') {
        "1"
    } else {
        "0"
    };
    Some(format!("{}{digit}{}", &value[..at], &value[at + 1..]))
}

/// Numbers of the claim that a length is likely to be compared with.
pub(super) fn lengths(hints: &Hints<'_>) -> impl Iterator<Item = usize> {
    const LONGEST: usize = 2048;
    let sizes = hints
        .numbers
        .iter()
        .filter_map(|n| usize::try_from(*n).ok());
    sizes.filter(|size| *size <= LONGEST)
}
