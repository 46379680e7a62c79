//! The leak check: a search of every file of a site for secrets of a live machine.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use qed_evidence::Evidence;
use qed_evidence::redact::{is_redacted, withheld_texts};
use qed_evidence::secrets::{
    Searcher, Secret, SecretKind, SecretMatch, collect_secrets, known_secrets, slides,
};

use crate::config::Addresses;
use crate::evidence::history::History;
use crate::publish::quotations::{Counts, QuotedBlocks};

/// The beginning of a packed document that a page offers for download.
const PACKED: &str = "data:application/gzip;base64,";

/// Of a packed document no more is unpacked than evidence can be long.
const UNPACKED: u64 = qed_evidence::reader::MAX_BYTES as u64;

/// The search of a site's files for the secrets of one machine.
#[derive(Debug)]
pub struct LeakCheck {
    machine: String,
    searcher: Searcher,
    /// The number of secrets that are not slides.
    others: usize,
    /// The number of possible slides that would not be searched for if this machine had them.
    open_slides: usize,
    quoted: QuotedBlocks,
    /// The number of times that the chapters quote each secret.
    counts: Counts,
}

/// Prepare the search: for each machine of `raw` that must not be known, all that its evidence says of addresses. A
/// slide that `history` has of a throwaway guest is not a secret: there are only some hundred slides.
pub fn prepare_checks(
    raw: &[Evidence],
    addresses: Addresses,
    history: &History,
    quoted: &QuotedBlocks,
) -> Vec<LeakCheck> {
    let of_guests: BTreeSet<Secret> = history
        .captures
        .iter()
        .filter(|capture| capture.is_of_guest())
        .filter_map(|capture| u64::try_from(capture.slide?).ok())
        .map(Secret::slide)
        .collect();
    let secret =
        |evidence: &&Evidence| addresses.hides_addresses(evidence) && !is_redacted(evidence);
    raw.iter()
        .filter(secret)
        .map(|evidence| {
            let mut open = of_guests.clone();
            for other in raw.iter().filter(|other| !addresses.hides_addresses(other)) {
                open.extend(known_secrets(other));
                open.extend(withheld_texts(other).into_keys());
            }
            let machine = evidence.machine.name.clone();
            let mut all = collect_secrets(evidence);
            all.extend(withheld_texts(evidence));
            let published = raw.iter().filter(|other| !addresses.hides_addresses(other));
            open.extend(find_coincidental_slides(published, &all));
            let guessable = all.iter().filter(|(secret, _)| secret.is_guessable());
            let guessable: BTreeMap<Secret, String> = guessable
                .map(|(secret, leaf)| (secret.clone(), leaf.clone()))
                .collect();
            LeakCheck {
                machine,
                searcher: Searcher::new(&all, &open),
                others: all.keys().filter(|s| s.kind != SecretKind::Slide).count(),
                open_slides: slides()
                    .filter(|slide| open.contains(&Secret::slide(*slide)))
                    .count(),
                quoted: quoted.clone(),
                counts: quoted.counts(&Searcher::new(&guessable, &open)),
            }
        })
        .collect()
}

/// Slides, and guessable ones of `secrets`, that other machines' published data already contain (for example in a list of an
/// image's sections). There are only 512 slides, so that this is a coincidence. All are listed, so that the count does not
/// reveal which one is secret.
fn find_coincidental_slides<'a>(
    published: impl Iterator<Item = &'a Evidence>,
    secrets: &BTreeMap<Secret, String>,
) -> Vec<Secret> {
    let texts: Vec<String> = published
        .filter_map(|other| qed_evidence::reader::write(other).ok())
        .collect();
    let own = secrets.keys().filter(|secret| secret.is_guessable());
    let all = slides().map(Secret::slide).chain(own.cloned());
    let all = all.map(|secret| (secret, String::new())).collect();
    let searcher = Searcher::new(&all, &BTreeSet::new());
    let spelled: BTreeSet<Secret> = texts
        .iter()
        .flat_map(|text| searcher.find(text.as_bytes()))
        .map(|found| found.secret)
        .collect();
    spelled.into_iter().collect()
}

impl LeakCheck {
    /// The search in words, for the report: the same for every slide.
    pub fn describe(&self) -> String {
        let but = match self.open_slides {
            0 => String::new(),
            n => format!(" (but for the {n} that published machines have or spell)"),
        };
        format!(
            "{}: searched for {} addresses and texts, and for each slide that it has{but}",
            self.machine, self.others
        )
    }

    /// True if a line says what must not be known.
    pub fn has_secret(&self, line: &str) -> bool {
        !self.searcher.find(line.as_bytes()).is_empty()
    }

    /// Every leak in one file, a line each. The secret itself is not in it. A page is read as a reader sees it, too:
    /// without markup and character references between digits.
    pub fn find_leaks(&self, name: &str, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<(String, SecretMatch)> = self
            .find_unquoted(name, bytes)
            .into_iter()
            .map(|found| (format!("byte {}", found.offset), found))
            .collect();
        if name.ends_with(".html") {
            let text = crate::publish::site_text::page_text(&String::from_utf8_lossy(bytes));
            for hit in self.find_unquoted(name, text.as_bytes()) {
                if !found.iter().any(|(_, known)| known.secret == hit.secret) {
                    found.push(("in its text".into(), hit));
                }
            }
        }
        for (at, document) in unpack_documents(bytes) {
            for hit in self.searcher.find(&document) {
                found.push((format!("byte {at}, unpacked"), hit));
            }
        }
        let machine = &self.machine;
        found
            .into_iter()
            .map(|(place, SecretMatch { leaf, form, .. })| {
                format!("{name}: {place}: LEAK of `{leaf}` of {machine} ({form})")
            })
            .collect()
    }

    /// Find the leaks in a text of the file that the chapters do not quote. Report the first unquoted place, or the first place
    /// if that is unknown.
    fn find_unquoted(&self, name: &str, bytes: &[u8]) -> Vec<SecretMatch> {
        let mut found = self.searcher.find(bytes);
        if !found
            .iter()
            .any(|found| self.counts.contains_key(&found.secret))
        {
            return found;
        }
        if let Some(blank) = self.quoted.blank_blocks(name) {
            // What is quoted is blank there, and all else is as it was.
            let rest = self.searcher.find(&blank);
            found.retain(|found| !self.counts.contains_key(&found.secret));
            let rest = rest.into_iter();
            found.extend(rest.filter(|rest| self.counts.contains_key(&rest.secret)));
            return found;
        }
        let places = self.searcher.find_all(bytes);
        found.retain(|found| {
            let here = places.iter().filter(|place| place.secret == found.secret);
            let quoted = self.counts.get(&found.secret);
            let allowed = quoted.map_or(0, |counts| self.quoted.allowed_count(name, counts));
            here.count() > allowed
        });
        found
    }
}

/// The packed documents in a file, and where they begin. One that cannot be unpacked holds nothing that anybody could
/// unpack.
fn unpack_documents(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    use std::io::Read as _;
    let mut out = Vec::new();
    let mut from = 0;
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b);
    while let Some(at) = find_bytes(&bytes[from..], PACKED.as_bytes()) {
        let start = from + at + PACKED.len();
        let length = bytes[start..].iter().take_while(|b| is_part(b)).count();
        from = start + length;
        let mut document = Vec::new();
        if let Ok(packed) = STANDARD.decode(&bytes[start..from]) {
            // What comes before a fault counts, too.
            let _ = GzDecoder::new(packed.as_slice())
                .take(UNPACKED)
                .read_to_end(&mut document);
        }
        out.push((start, document));
    }
    out
}

fn find_bytes(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Check that a document is found and unpacked wherever it stands, also one that was cut off.
    #[test]
    fn unpacks() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&b"where is it? ".repeat(100)).unwrap();
        let whole = STANDARD.encode(packer.finish().unwrap());
        let page = format!(
            "<a href=\"{PACKED}{whole}\">x</a> {PACKED}{} {PACKED}?",
            &whole[..40]
        );
        let found = unpack_documents(page.as_bytes());
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].1.len(), 1300);
        assert!(found[1].1.len() < 1300 && found[2].1.is_empty());
        assert_eq!(found[0].0, 9 + PACKED.len());
    }
}
