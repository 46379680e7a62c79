//! The leak check: no byte of a site says what must not be known of a live machine.

use std::collections::BTreeSet;

use qed_evidence::Evidence;
use qed_evidence::redact::is_redacted;
use qed_evidence::secrets::{Found, Searcher, known, secrets};

use crate::config::Addresses;

/// What a machine's site files are searched for.
#[derive(Debug)]
pub struct Check {
    machine: String,
    searcher: Searcher,
}

/// Prepares the search: for each machine of `raw` that must not be known, all that its evidence says of addresses.
pub fn checks(raw: &[Evidence], addresses: Addresses) -> Result<Vec<Check>, String> {
    let secret = |evidence: &&Evidence| addresses.hide(evidence) && !is_redacted(evidence);
    raw.iter()
        .filter(secret)
        .map(|evidence| {
            let mut open = BTreeSet::new();
            for other in raw.iter().filter(|other| !addresses.hide(other)) {
                open.extend(known(other));
            }
            let machine = evidence.machine.name.clone();
            match Searcher::new(&secrets(evidence), &open) {
                Ok(searcher) => Ok(Check { machine, searcher }),
                Err(error) => Err(format!(
                    "the search for addresses of {machine} cannot be prepared: {error}"
                )),
            }
        })
        .collect()
}

impl Check {
    /// What the search is, for the report.
    pub fn describe(&self) -> String {
        let Searcher { coincidences, .. } = self.searcher;
        let more = match coincidences {
            0 => String::new(),
            n => format!(" (and not for {n} that a published machine has, too)"),
        };
        format!(
            "{}: searched for {} addresses{more}",
            self.machine,
            self.searcher.len()
        )
    }

    /// Whether a line says what must not be known.
    pub fn says(&self, line: &str) -> bool {
        !self.searcher.find(line.as_bytes()).is_empty()
    }

    /// Every leak in one file, a line each. The secret itself is not in it. A page is read as a reader sees it, too:
    /// without markup and character references between digits.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<(String, Found)> = self
            .searcher
            .find(bytes)
            .into_iter()
            .map(|found| (format!("byte {}", found.offset), found))
            .collect();
        if name.ends_with(".html") {
            let text = crate::site::text_of(&String::from_utf8_lossy(bytes));
            for hit in self.searcher.find(text.as_bytes()) {
                if !found.iter().any(|(_, known)| known.leaf == hit.leaf) {
                    found.push(("in its text".into(), hit));
                }
            }
        }
        let machine = &self.machine;
        found
            .into_iter()
            .map(|(place, Found { leaf, form, .. })| {
                format!("{name}: {place}: LEAK of `{leaf}` of {machine} ({form})")
            })
            .collect()
    }
}
