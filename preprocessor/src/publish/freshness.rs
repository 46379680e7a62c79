//! The check that the evidence of a site still fits what is claimed: it is compared with the investigation that is
//! published beside it, and with the programs that it ran as they are here.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use qed_evidence::Evidence;
use qed_evidence::freshness::{Comparison, DigestNow, Now, StaleReason, is_of_collector, stale};
use qed_evidence::investigation::Investigation;
use qed_evidence::validate::against;

use crate::config::{Config, OnMissing};
use crate::evidence::local_files::LocalFiles;
use crate::evidence::locations::Origin;
use crate::publish::source::BookRecord;

/// The findings about a site's evidence, a line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FreshnessFindings {
    /// The problem.
    pub wrong: Vec<String>,
    /// Notes.
    pub notes: Vec<String>,
}

/// The book of a site, if it is available.
#[derive(Clone, Copy, Debug)]
pub struct BookAtHand<'b> {
    /// Its folder.
    pub root: &'b Path,
    /// Its settings.
    pub config: &'b Config,
}

impl BookAtHand<'_> {
    /// The image that a machine of the book boots; nothing if it has none.
    fn image(&self, machine: &str, present: &LocalFiles) -> Option<DigestNow> {
        let path = self.root.join(self.config.image(machine)?);
        Some(present.image(&path).into())
    }

    /// The folder of its investigation.
    fn investigation_folder(&self) -> Option<PathBuf> {
        let file = self.config.investigation.as_ref()?;
        Some(self.root.join(file).parent()?.to_owned())
    }
}

/// Compares the evidence of a site with the investigation that is published beside it, and with what is on this machine.
/// `record` is what the site publishes of its book; `origin`, whether this is the machine that captured it; `book`, its book.
pub fn verify(
    record: &BookRecord,
    evidence: &[Evidence],
    investigation: &Investigation,
    origin: Origin,
    time: Timestamp,
    book: Option<BookAtHand<'_>>,
) -> FreshnessFindings {
    let mut found = FreshnessFindings::default();
    let folder = book.and_then(|book| book.investigation_folder());
    // The stricter word counts.
    let on_stale = match book.map(|book| book.config.on_stale) {
        Some(OnMissing::Error) => OnMissing::Error,
        _ => record.on_stale,
    };
    let present = LocalFiles::with_user_cache();
    for evidence in evidence {
        let machine = &evidence.machine.name;
        if let Some((at, reason)) = against(investigation, evidence) {
            let line = format!(
                "the evidence of {machine} is not of this investigation: at `{at}`: {reason}"
            );
            found.wrong.push(line);
        }
        let kernel = &evidence.kernel;
        let by_path = kernel.package.is_none() && kernel.image_digest.is_some();
        let now = Now {
            boot_id: None,
            release: None,
            build_id: None,
            investigation_digest: Some(investigation.digest.clone()),
            collector: None,
            object_digest: match origin {
                Origin::Captured => present.object().into(),
                Origin::Recorded => {
                    DigestNow::Unknown("it is that of the machine that it was captured on".into())
                }
            },
            // A site does not say where a kernel image is; its book does.
            image_digest: book
                .and_then(|book| book.image(machine, &present))
                .or_else(|| {
                    by_path.then(|| {
                        DigestNow::Unknown(
                            "the site does not name the file of the image; --book FOLDER does"
                                .into(),
                        )
                    })
                }),
            pin: book.and_then(|book| book.config.pin(machine).cloned()),
            programs: present.programs(evidence, origin, investigation, folder.as_deref()),
            time,
            max_age: None,
        };
        let published_reasons = record.states.get(machine);
        let published_reasons = published_reasons.map_or(&[][..], |state| state.stale.as_slice());
        judge(
            on_stale,
            machine,
            published_reasons,
            stale(evidence, &now),
            &mut found,
        );
    }
    found
}

/// Applies `on-stale` to evidence that is out of date.
fn judge(
    on_stale: OnMissing,
    machine: &str,
    published_reasons: &[String],
    compared: Comparison,
    found: &mut FreshnessFindings,
) {
    let new = compared
        .stale
        .into_iter()
        .filter(|reason| !published_reasons.contains(&reason.to_string()));
    let all = published_reasons.join("; ");
    match on_stale {
        _ if published_reasons.is_empty() => {}
        OnMissing::Error => found.wrong.push(format!(
            "the evidence of {machine} was out of date when it was published: {all}"
        )),
        OnMissing::Show => found.notes.push(format!(
            "the evidence of {machine} was out of date when it was published, and the pages say so: {all}"
        )),
    }
    for reason in new {
        let line = format!("the evidence of {machine} is out of date: {reason}");
        match (on_stale, &reason) {
            // Told where the pages are made again.
            (_, StaleReason::Investigation) => {}
            (_, StaleReason::Time { .. }) | (OnMissing::Error, _) => found.wrong.push(line),
            (OnMissing::Show, _) => found.notes.push(line),
        }
    }
    let open = compared
        .not_compared
        .iter()
        .filter(|what| !is_of_collector(what));
    let open: Vec<&str> = open.map(String::as_str).collect();
    if !open.is_empty() {
        let open = open.join("; ");
        found.notes.push(format!(
            "the evidence of {machine} was not compared with all that is here: {open}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(on_stale: OnMissing, reasons: &[&str], stale: Vec<StaleReason>) -> (usize, usize) {
        let published_reasons: Vec<String> =
            reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let compared = Comparison {
            stale,
            not_compared: vec!["the collector's eBPF object: none".into()],
        };
        let mut found = FreshnessFindings::default();
        judge(on_stale, "m", &published_reasons, compared, &mut found);
        (found.wrong.len(), found.notes.len())
    }

    /// Check that what the book says it does with evidence that is out of date is done with it.
    #[test]
    fn decided_by_the_owner() {
        use OnMissing::{Error, Show};
        let image = || StaleReason::Image {
            was: "a".into(),
            now: "b".into(),
        };
        let changed = StaleReason::Investigation.to_string();
        assert_eq!(judged(Show, &[], vec![]), (0, 0));
        assert_eq!(judged(Show, &[], vec![image()]), (0, 1));
        assert_eq!(judged(Error, &[], vec![image()]), (1, 0));
        assert_eq!(judged(Show, &[], vec![StaleReason::Investigation]), (0, 0));
        assert_eq!(
            judged(Show, &[&changed], vec![StaleReason::Investigation]),
            (0, 1)
        );
        assert_eq!(
            judged(Error, &[&changed], vec![StaleReason::Investigation]),
            (1, 0)
        );
    }
}
