//! Suggestions for a name that does not exist.

use super::index::NameKind;
use super::raw::Btf;

/// The largest number of suggestions.
const MAX_SUGGESTIONS: usize = 3;

/// The letters of a name, as a set: a name that shares few with another cannot be near it.
fn letter_set(name: &str) -> u64 {
    name.bytes().fold(0, |set, byte| set | 1 << (byte & 63))
}

/// The greatest distance at which another name may be what was meant by `name`.
fn max_distance(name: &str) -> usize {
    (name.len() / 3).clamp(1, 4)
}

/// The names of `among` nearest to `name`, the nearest first, at most three; none that is too far to be meant.
pub fn nearest<'n>(name: &str, among: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let limit = max_distance(name);
    let wanted = letter_set(name);
    let mut near: Vec<(usize, &str)> = among
        .into_iter()
        .filter(|other| {
            !other.is_empty()
                && other.len().abs_diff(name.len()) <= limit
                && (letter_set(other) ^ wanted).count_ones() as usize <= 2 * limit
                && length_distance(name, other) <= 2 * limit
        })
        .map(|other| (strsim::osa_distance(name, other), other))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(MAX_SUGGESTIONS);
    near.into_iter()
        .map(|(_, other)| other.to_owned())
        .collect()
}

/// The difference of two names' byte counts: at most twice their edit distance, and cheap, so that it discards candidates
/// early.
fn length_distance(one: &str, other: &str) -> usize {
    let mut counts = [0i32; 256];
    for byte in one.bytes() {
        counts[usize::from(byte)] += 1;
    }
    for byte in other.bytes() {
        counts[usize::from(byte)] -= 1;
    }
    counts
        .iter()
        .map(|count| count.unsigned_abs() as usize)
        .sum()
}

impl Btf<'_> {
    /// Existing `wanted` names like `name`, the nearest first, at most three. Examines every type, so it is for messages only.
    /// Damaged names are never suggested.
    pub fn nearest(&self, wanted: NameKind, name: &str) -> Vec<String> {
        let limit = max_distance(name);
        let shortest = name.len().saturating_sub(limit);
        let mut names = Vec::new();
        self.for_each_text(wanted, &mut |text| {
            // Most names are too short or too long, which the position of the terminating NUL shows.
            let ends = text.get(shortest..).unwrap_or_default();
            if ends[..ends.len().min(name.len() + limit + 1 - shortest)].contains(&0)
                && let Some(Ok(other)) = text.split(|&byte| byte == 0).next().map(str::from_utf8)
            {
                names.push(other);
            }
        });
        nearest(name, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Check that counting bytes never hides a name that is near enough.
        #[test]
        fn counting_hides_nothing(one in "[a-c_]{0,12}", other in "[a-c_]{0,12}") {
            prop_assert!(length_distance(&one, &other) <= 2 * strsim::osa_distance(&one, &other));
        }
    }

    /// Check that a typing error is recognised and that strangers are not suggested.
    #[test]
    fn suggests_what_was_meant() {
        let names = ["sk", "state", "ops", "file", "flags"];
        assert_eq!(nearest("skk", names), ["sk"]);
        assert_eq!(nearest("sttae", names), ["state"]);
        assert!(nearest("private_data", names).is_empty());
    }
}
