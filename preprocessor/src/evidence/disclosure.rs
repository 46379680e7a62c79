//! Redaction of reasons about raw evidence.

use std::collections::BTreeSet;

use qed_evidence::redact::{mask_unknown_words, remove_addresses};

/// The words of a claim itself.
pub fn claim_words<'c>(expression: &'c str, when: Option<&'c str>) -> BTreeSet<&'c str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let texts = [expression, when.unwrap_or_default()].into_iter();
    texts
        .flat_map(|text| text.split(move |c| !is_part(c)))
        .collect()
}

/// A reason without numbers, but for those that stand in backticks as parts of names and expressions.
pub fn strip_numbers(reason: &str) -> String {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    strip_addresses(reason)
        .split_inclusive('`')
        .enumerate()
        .map(|(index, piece)| match index % 2 {
            0 => replace_words(piece, is_number),
            _ => piece.to_owned(),
        })
        .collect()
}

/// A message about raw evidence, reduced to its place and its reason, without content of the evidence.
pub fn redact_message(message: &str) -> String {
    let message = strip_addresses(message);
    let reason = |text: &str| mask_unknown_words(text, &|_| false);
    match message
        .strip_prefix("at `")
        .and_then(|rest| rest.split_once("`: "))
    {
        Some((place, why)) => format!("at `{place}`: {}", reason(why)),
        None => reason(&message),
    }
}

/// A message without words that could be an address, a part of one, or a slide.
pub fn strip_addresses(message: &str) -> String {
    let long = |word: &str| word.len() >= 5 && word.bytes().any(|b| b.is_ascii_digit());
    let is_hex = |word: &str| word.chars().all(|c| c.is_ascii_hexdigit() || c == 'x');
    replace_words(&remove_addresses(message), |word| {
        long(word) && is_hex(word)
    })
}

/// A text with an ellipsis in the place of such words.
fn replace_words(text: &str, is_one: impl Fn(&str) -> bool) -> String {
    text.split_inclusive(|c: char| !c.is_ascii_alphanumeric())
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match is_one(word) {
                true => piece.replacen(word, "…", 1),
                false => piece.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a reason keeps its words and loses what could say where something is.
    #[test]
    fn numbers() {
        assert_eq!(
            strip_numbers(
                "`x > 3`: overflow: the result is 503316480, or 480 MiB, not 3 of 0x1e000000 at sock_alloc"
            ),
            "`x > 3`: overflow: the result is …, or … MiB, not … of … at sock_alloc"
        );
        assert_eq!(
            strip_addresses(
                "line 3 column 17: `0xffffffff912345678` is not an address, nor 91234568"
            ),
            "line 3 column 17: `…` is not an address, nor …"
        );
    }

    /// Check that a message about raw evidence keeps its place and nothing that stands there.
    #[test]
    fn messages() {
        assert_eq!(
            redact_message(
                "at `/experiments/zebra/outcome`: invalid type: string \"zebra7\", expected a map at line 1 column 3"
            ),
            "at `/experiments/zebra/outcome`: invalid type: string \"…\", expected a map at line 1 column 3"
        );
    }
}
