//! Looks in a built site for numbers that a live machine must keep to itself, however they are written.

use std::collections::{HashMap, HashSet};

use qed_evidence::leaves::Leaves;

use crate::redact::Pseudonyms;

/// The numbers that must not be shown, with the machine and the path that they belong to.
#[derive(Debug, Default)]
pub struct Secrets {
    numbers: HashMap<u64, (String, String)>,
}

impl Secrets {
    /// Those of the live machines (name, values), but for numbers that a throwaway machine has too, or that stand in
    /// the configuration of a kernel: these are on pages with good reason.
    pub fn new<'a>(
        live: impl IntoIterator<Item = (&'a str, &'a Leaves<'a>)>,
        throwaway: impl IntoIterator<Item = &'a Leaves<'a>>,
    ) -> Self {
        let numbers = |leaves: &'a Leaves<'a>| {
            let pseudonyms = Pseudonyms::new(leaves);
            leaves.iter().flat_map(move |(path, leaf)| {
                let value = leaf.datum.value();
                let secrets = value.map(|value| pseudonyms.secrets(path, value));
                secrets
                    .unwrap_or_default()
                    .into_iter()
                    .map(move |number| (number, path))
            })
        };
        let live: Vec<(&str, &Leaves<'_>)> = live.into_iter().collect();
        let mut shown: HashSet<u64> = throwaway
            .into_iter()
            .flat_map(|leaves| numbers(leaves).map(|(number, _)| number))
            .collect();
        shown.extend(live.iter().flat_map(|(_, leaves)| configured(leaves)));
        let mut secrets = Secrets::default();
        for (machine, leaves) in live {
            for (number, path) in numbers(leaves) {
                if !shown.contains(&number) {
                    // Of several paths to it the shortest says it best.
                    let owner = secrets.numbers.entry(number).or_default();
                    if owner.1.is_empty() || owner.1.len() > path.len() {
                        *owner = (machine.to_owned(), path.clone());
                    }
                }
            }
        }
        secrets
    }

    /// Machine and path of every secret that `text` tells, each once. The text has no character references.
    pub fn told_by<'a>(&'a self, text: &str) -> Vec<&'a (String, String)> {
        if self.numbers.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<&(String, String)> = Vec::new();
        for number in numbers(text) {
            if let Some(owner) = self.numbers.get(&number)
                && !found.contains(&owner)
            {
                found.push(owner);
            }
        }
        found
    }
}

/// Where the kernel of a machine would stand without KASLR: from its configuration, which its distribution publishes.
fn configured(leaves: &Leaves<'_>) -> Option<u64> {
    let start = leaves.get("kaslr.physical_start")?;
    start.datum.value()?.as_integer()?.try_into().ok()
}

/// Every number that a text could mean: hexadecimal, as bytes in either order, decimal with or without a sign and
/// with commas, and amounts in MiB.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let runs = std::iter::from_fn(move || {
        while at < bytes.len() && !bytes[at].is_ascii_hexdigit() {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_hexdigit() {
            at += 1;
        }
        (start < at).then_some(start..at)
    });
    runs.flat_map(move |run| {
        let word = &text[run.clone()];
        let mut out = Vec::new();
        if (6..=16).contains(&word.len()) {
            out.extend(u64::from_str_radix(word, 16));
        }
        // A dump of memory, or an address with zeros before it.
        for start in 0..=word.len().saturating_sub(16) {
            if let Some(Ok(number)) = word
                .get(start..start + 16)
                .map(|w| u64::from_str_radix(w, 16))
            {
                out.extend([number, number.swap_bytes()]);
            }
        }
        if word.bytes().all(|b| b.is_ascii_digit()) {
            let negative = text[..run.start].ends_with('-');
            out.extend(decimal(word, negative));
            if text[run.end..].starts_with(" MiB") {
                out.extend(word.parse().ok().and_then(|n: u64| n.checked_mul(1 << 20)));
            }
            // The first group of a number with commas; what follows are groups of three.
            if !text[..run.start].ends_with(',') {
                let mut grouped = word.to_owned();
                let mut rest = &text[run.end..];
                while let Some(group) = rest.strip_prefix(',').and_then(|r| r.get(..3)) {
                    if !group.bytes().all(|b| b.is_ascii_digit()) {
                        break;
                    }
                    grouped.push_str(group);
                    rest = &rest[4..];
                }
                out.extend(decimal(&grouped, negative));
            }
        }
        out
    })
}

/// Decimal digits as the 64 bits that they stand for.
fn decimal(digits: &str, negative: bool) -> Option<u64> {
    if negative {
        let number: i64 = format!("-{digits}").parse().ok()?;
        return Some(number.cast_unsigned());
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(number: u64) -> Secrets {
        let owner = ("host".to_owned(), "a.b".to_owned());
        Secrets {
            numbers: HashMap::from([(number, owner)]),
        }
    }

    /// Check that the slide is found however it is written, and that other numbers are left alone.
    #[test]
    fn finds_the_slide() {
        let all = secrets(0x1fa0_0000);
        for told in [
            "0x1fa00000",
            "1FA00000",
            "530579456",
            "530,579,456 bytes",
            "(506 MiB)",
            "000000001fa00000",
        ] {
            assert_eq!(all.told_by(told).len(), 1, "{told}");
        }
        for harmless in [
            "0x1fa00001",
            "506 KiB",
            "530,579,45",
            "1506 MiB",
            "5305794561",
        ] {
            assert_eq!(all.told_by(harmless).len(), 0, "{harmless}");
        }
    }

    proptest! {
        /// Check that any kernel address is found in every notation, amid any text that holds no digit.
        #[test]
        fn finds_addresses(low in any::<u64>(), before in "[g-z<>&;. -]{0,9}[g-z.]", after in "([g-z<>&;.][g-z ,]{0,9})?") {
            let address = 0xffff_8000_0000_0000 | low;
            let all = secrets(address);
            for written in [
                format!("{address:x}"),
                format!("{address:#X}"),
                address.to_string(),
                address.cast_signed().to_string(),
                format!("{:016x}", address.swap_bytes()),
                format!("0011{:016x}2233", address.swap_bytes()),
            ] {
                let text = format!("{before}{written}{after}");
                prop_assert_eq!(all.told_by(&text).len(), 1, "{}", text);
            }
        }

        /// Check that no text makes it stumble.
        #[test]
        fn any_text(text in "([0-9a-f]|,|-| MiB|é|.){0,60}") {
            secrets(1 << 40).told_by(&text);
        }
    }
}
