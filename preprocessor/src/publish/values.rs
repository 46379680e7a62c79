//! Comparison of each value, verdict and gap on a page with the evidence, independent of how the page was made.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::claim::Verdict;
use qed_evidence::path_index::Leaves;

use crate::evidence::verdict_files::{PublishedClaim, Verdicts};
use crate::markdown::style::FORMATS;
use crate::publish::manifest;
use crate::publish::site_text::{SitePage, SiteValue};

/// The word of a verdict that nothing can be shown.
const UNVERIFIED: &str = Verdict::Unverified.name();

/// File names of pages and of what mdBook makes of them.
const LOOKED_AT: &[&str] = &["html", "js", "json", "xml", "txt", "md", "css"];

/// The findings about a site.
#[derive(Debug, Default)]
pub struct SiteFindings {
    /// Files that were checked.
    pub files: usize,
    /// Values compared with the evidence.
    pub compared: usize,
    /// Verdicts and gaps: shown, and not values.
    pub others: usize,
    /// Verdicts that follow from the published evidence.
    pub repeated: usize,
    /// Placeholders that are shown on purpose.
    pub literals: usize,
    /// Machines whose evidence was compared with.
    pub machines: usize,
    /// Notes, a line each.
    pub notes: Vec<String>,
    /// The problems, a line each.
    pub wrong: Vec<String>,
}

impl SiteFindings {
    /// Add the findings of a site inside this one.
    pub fn add(&mut self, folder: &str, more: SiteFindings) {
        self.files += more.files;
        self.compared += more.compared;
        self.others += more.others;
        self.repeated += more.repeated;
        self.literals += more.literals;
        self.machines += more.machines;
        let named = |line: String| format!("{folder}{line}");
        self.notes.extend(more.notes.into_iter().map(named));
        self.wrong.extend(more.wrong.into_iter().map(named));
    }
}

/// True if a file can show text.
pub fn is_text(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    // What is published beside the pages names placeholders and claims as authors write them.
    ending.is_some_and(|ending| LOOKED_AT.contains(&ending))
        && !name.starts_with(&format!("{}/", manifest::FOLDER))
}

/// Compare one page, its text and what was read of it, with the evidence.
pub fn check_page(
    name: &str,
    (html, page): (&str, &SitePage),
    machines: &BTreeMap<String, Vec<Leaves<'_>>>,
    verdicts: Option<&Verdicts>,
    found: &mut SiteFindings,
) {
    let text = page.text();
    for value in page.shown_values() {
        if let Some(id) = value.path.strip_prefix("claims.") {
            found.others += 1;
            if let Some(verdicts) = verdicts {
                let of_claim = verdicts.get(id);
                let published = of_claim.and_then(|of| of.get(&value.machine));
                let expected = published.map(|published| published.verdict.as_str());
                // A page names no machine where it says that there is no evidence of one.
                let is_gap = value.machine.is_empty()
                    && of_claim.is_some()
                    && value.text.trim_start().starts_with(UNVERIFIED);
                if expected != Some(value.text.trim()) && !is_gap {
                    found.wrong.push(format!(
                        "{name}: the verdict on `{id}` on {} is shown as `{}`: {} says {}",
                        value.machine,
                        value.text.trim(),
                        manifest::VERDICTS,
                        expected.unwrap_or("nothing of it")
                    ));
                }
            }
            continue;
        }
        // Gaps say themselves that they are none; that something is withheld is a fact of the evidence.
        let shown = value.text.trim_start();
        if crate::exhibits::block::GAPS
            .iter()
            .any(|word| shown.starts_with(word))
        {
            found.others += 1;
            let measured = machines.get(&value.machine).into_iter().flatten();
            if shown.starts_with("WITHHELD")
                && measured
                    .filter_map(|leaves| leaves.get(&value.path))
                    .any(|leaf| leaf.datum.value().is_some())
            {
                found.wrong.push(format!(
                    "{name}: `{}` of {} is shown as withheld, and the evidence has it",
                    value.path, value.machine
                ));
            }
            continue;
        }
        found.compared += 1;
        if let Err(why) = compare_value(&value, machines) {
            found.wrong.push(format!(
                "{name}: `{}` of {} shows `{}`: {why}",
                value.path, value.machine, value.text
            ));
        }
        // It may be in a link, a formula or a comment.
        let stands = |value: &str| {
            text.contains(value)
                || text.contains(&crate::markdown::escape::tex(value))
                || html.contains(&crate::markdown::escape::url(value))
                || page.comments().any(|comment| comment.contains(value))
        };
        if value.listed && !stands(value.text.trim()) {
            found.wrong.push(format!(
                "{name}: `{}` is listed as `{}`, which the page does not show",
                value.path, value.text
            ));
        }
    }
}

/// A value of a page that does not follow from the evidence.
#[derive(Debug, thiserror::Error)]
enum ValueError {
    #[error("there is no evidence of this machine")]
    NoEvidence,
    #[error("as=\"{0}\" is unknown")]
    UnknownFormat(String),
    #[error(transparent)]
    Format(#[from] crate::evidence::format::FormatError),
    #[error("the evidence says `{0}`")]
    Differs(String),
    #[error("the evidence has no such value")]
    NoValue,
}

fn compare_value(
    value: &SiteValue,
    machines: &BTreeMap<String, Vec<Leaves<'_>>>,
) -> Result<(), ValueError> {
    let Some(all) = machines.get(&value.machine) else {
        return Err(ValueError::NoEvidence);
    };
    let format = match &value.style {
        None => None,
        Some(style) => match FORMATS.iter().find(|(name, _)| name == style) {
            Some((_, format)) => Some(*format),
            None => return Err(ValueError::UnknownFormat(style.clone())),
        },
    };
    let mut expected = Vec::new();
    for leaves in all {
        let Some(measured) = leaves.get(&value.path).and_then(|leaf| leaf.datum.value()) else {
            continue;
        };
        let text = crate::evidence::format::format(measured, format)?;
        let line =
            crate::markdown::escape::escape_invisible(text.strip_suffix('\n').unwrap_or(&text))
                .into_owned();
        let block = crate::markdown::escape::escape_invisible_lines(
            text.strip_suffix('\n').unwrap_or(&text),
        )
        .into_owned();
        if [line.as_str(), block.as_str()].contains(&value.text.trim_end_matches('\n').trim())
            || [line.trim(), block.trim()].contains(&value.text.trim())
        {
            return Ok(());
        }
        expected.push(line);
    }
    match expected.first() {
        Some(expected) => Err(ValueError::Differs(expected.clone())),
        None => Err(ValueError::NoValue),
    }
}

/// Compare the verdicts that a page shows in its claims.
pub fn check_badges(
    name: &str,
    page: &SitePage,
    machines: &BTreeMap<String, Vec<Leaves<'_>>>,
    (claims, verdicts): (&[PublishedClaim], &Verdicts),
    found: &mut SiteFindings,
) {
    for (id, word) in page.shown_verdicts() {
        let claim = claims.iter().find(|claim| claim.id == id);
        let of_claim = claim.and_then(|claim| Some((claim, verdicts.get(&id)?)));
        let expected = match of_claim {
            None => None,
            // A claim that names a machine of which the site has no evidence is shown on that machine.
            Some((claim, _)) if !machines.contains_key(&claim.shown) => Some(UNVERIFIED),
            Some((claim, of)) => of.get(&claim.shown).map(|one| one.verdict.as_str()),
        };
        let expected = expected.unwrap_or("nothing of it");
        if expected != word {
            found.wrong.push(format!(
                "{name}: claim `{id}` is shown as {word}: {} says {expected}",
                manifest::VERDICTS
            ));
        }
    }
}

/// Find what should have been replaced. Placeholders that are shown on purpose are counted on each page by the
/// page itself (`page`); elsewhere (search index) only what some page shows is taken for one of those.
pub fn find_leftovers(
    name: &str,
    (text, page): (&str, Option<&SitePage>),
    known: &mut BTreeSet<String>,
    found: &mut SiteFindings,
) {
    for block in ["language-qed-claim", "language-qed-exhibit"] {
        if text.contains(block) {
            found.wrong.push(format!(
                "{name}: a {} block was not replaced",
                block.trim_start_matches("language-")
            ));
        }
    }
    let path = |at: usize| {
        let rest = &text[at + crate::markdown::syntax::OPEN.len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)))
            .unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    let all: Vec<String> = text
        .match_indices(crate::markdown::syntax::OPEN)
        .map(|(at, _)| path(at))
        .collect();
    let literals = page.map_or(0, SitePage::literals);
    let left: Vec<&String> = if literals > 0 && all.len() == literals {
        found.literals += if name.ends_with("print.html") {
            0
        } else {
            literals
        };
        known.extend(all.iter().cloned());
        Vec::new()
    } else if page.is_some() {
        all.iter().collect()
    } else {
        all.iter().filter(|path| !known.contains(*path)).collect()
    };
    for path in left {
        found.wrong.push(format!(
            "{name}: the placeholder of `{path}` was not filled"
        ));
    }
}
