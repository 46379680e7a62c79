//! Debian's version order. Our own code: `dpkg --compare-versions` would be a process for each pair of versions; the test
//! compares with its answers.

use std::cmp::Ordering;

/// `dpkg --compare-versions` (deb-version(7)): epoch, upstream version, revision.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (split_version(a), split_version(b));
    compare_part(a.0, b.0)
        .then_with(|| compare_part(a.1, b.1))
        .then_with(|| compare_part(a.2, b.2))
}

fn split_version(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternate runs of non-digits and of digits; `~` sorts before everything, even the end, then letters,
/// then all else.
fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let (word_a, rest_a) = split_run(a, |c| !c.is_ascii_digit());
        let (word_b, rest_b) = split_run(b, |c| !c.is_ascii_digit());
        for at in 0..word_a.len().max(word_b.len()) {
            let order = weight(word_a.get(at)).cmp(&weight(word_b.get(at)));
            if order.is_ne() {
                return order;
            }
        }
        let (number_a, rest_a) = split_run(rest_a, u8::is_ascii_digit);
        let (number_b, rest_b) = split_run(rest_b, u8::is_ascii_digit);
        let (number_a, number_b) = (strip_leading_zeros(number_a), strip_leading_zeros(number_b));
        let order = number_a
            .len()
            .cmp(&number_b.len())
            .then_with(|| number_a.cmp(number_b));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn split_run(text: &[u8], of: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|c| !of(c)).unwrap_or(text.len()))
}

fn strip_leading_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits
        .iter()
        .position(|&d| d != b'0')
        .unwrap_or(digits.len())..]
}

fn weight(c: Option<&u8>) -> i32 {
    match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    /// Check the order against what `dpkg --compare-versions` (1.21) says of each pair.
    #[test]
    fn order() {
        for (a, b, expected) in [
            ("1.0", "1.0", Equal),
            ("1.0~rc1", "1.0", Less),
            ("6.1.192-2", "6.1.176-1", Greater),
            ("6.12.117-1~deb12u1", "6.12.117-1", Less),
            ("1:0.1", "2.0", Greater),
            ("1.0-1", "1.0", Greater),
            ("1.0a", "1.0+", Less),
            ("1.09", "1.9", Equal),
            ("6.12.100-1", "6.12.99-1", Greater),
            ("1.0~~", "1.0~", Less),
            ("1.0-1.1", "1.0-1", Greater),
            ("a", "b", Less),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
        }
    }

    proptest::proptest! {
        /// Check that any two texts compare without failing, and the opposite way round when swapped.
        #[test]
        fn antisymmetric(a in "[0-9a-z.~+:-]{0,12}", b in "[0-9a-z.~+:-]{0,12}") {
            proptest::prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
