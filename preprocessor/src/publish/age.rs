//! The age of evidence when a site was built, as its pages say.
//!
//! The pages state ages in words, and are published some time after they were made: so the age is read from the pages.

use std::collections::BTreeMap;

use qed_evidence::Evidence;

use crate::evidence::format::format_age;
use crate::markdown::html::decode_references;
use crate::util::files::SiteFile;

/// The smallest age in seconds whose words this text begins with.
fn parse_age(text: &str) -> Option<i64> {
    let fixed = ["less than an hour old", "from the future"];
    if let Some(at) = fixed.iter().position(|words| text.starts_with(words)) {
        return Some([0, -1][at]);
    }
    let mut words = text.split(' ');
    let number: i64 = words.next()?.parse().ok()?;
    let unit = match words.next()? {
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    let age = number.checked_mul(unit)?;
    text.starts_with(&format_age(age)).then_some(age)
}

/// The age of the evidence of each machine, as the first page says that has it.
pub fn read_ages<'e>(
    pages: &[&SiteFile],
    evidence: impl Iterator<Item = &'e Evidence>,
) -> BTreeMap<String, i64> {
    let mut wanted: Vec<(&str, String)> = evidence
        .map(|evidence| {
            let time = evidence.run.time.parse::<jiff::Timestamp>();
            let time = time.map_or_else(
                |_| evidence.run.time.clone(),
                crate::evidence::format::format_minute,
            );
            let name = evidence.machine.name.as_str();
            let release = &evidence.kernel.release;
            (name, format!("{name} · Linux {release} · {time} · "))
        })
        .collect();
    let mut out = BTreeMap::new();
    for page in pages {
        if wanted.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(&page.bytes);
        if !text.contains("qed") {
            continue;
        }
        let text = decode_references(&text);
        wanted.retain(|(name, before)| {
            let mut places = text.match_indices(before.as_str());
            let age = places.find_map(|(at, _)| parse_age(&text[at + before.len()..]));
            out.extend(age.map(|age| ((*name).to_owned(), age)));
            age.is_none()
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every age is read back from its words as one that has the same words.
    #[test]
    fn reads_words() {
        for age in [
            -5,
            0,
            59,
            3_599,
            3_600,
            7_200,
            86_399,
            86_400,
            172_800,
            86_400 * 400,
        ] {
            let words = format_age(age);
            let read = parse_age(&format!("{words} · out of date")).unwrap();
            assert_eq!(format_age(read), words);
        }
        for none in ["", "old", "3 weeks old", "1 hours old", "x hours old"] {
            assert_eq!(parse_age(none), None, "{none}");
        }
    }
}
