//! Mutants of truncated values: none of them says more than the whole value would.

use crate::document::value::{Bytes, Cut, Frame, Value};

/// The places where a value of this many parts may have been truncated: before the first, after the first, after the half, and
/// after all parts.
fn truncation_points(parts: usize) -> [usize; 4] {
    [0, parts.min(1), parts / 2, parts]
}

/// The text, cut at several places: none of them says more than the whole.
pub(super) fn truncated_texts(value: &str) -> impl Iterator<Item = Value> + use<'_> {
    let at_character = |end: &usize| value.is_char_boundary(*end);
    let ends = truncation_points(value.len())
        .into_iter()
        .filter(at_character);
    ends.map(|end| Value::CutText {
        value: value[..end].to_owned(),
        cut: Cut::default(),
    })
}

/// The bytes, cut at several places, with their length and without.
pub(super) fn truncated_bytes(value: &[u8]) -> impl Iterator<Item = Value> + use<'_> {
    let whole = value.len() as u64;
    truncation_points(value.len())
        .into_iter()
        .flat_map(move |end| {
            [None, Some(whole)].map(|whole| Value::CutBytes {
                value: Bytes(value[..end].to_vec()),
                cut: Cut { whole },
            })
        })
}

/// The stack, cut at several places.
pub(super) fn truncated_stacks(value: &[Frame]) -> impl Iterator<Item = Value> + use<'_> {
    truncation_points(value.len())
        .into_iter()
        .map(|end| Value::CutStack {
            value: value[..end].to_vec(),
            cut: Cut::default(),
        })
}
