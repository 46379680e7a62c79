//! The check that the evidence of a site still fits what is claimed: it is compared with the investigation that is
//! published beside it, and with the programs that it ran as they are here.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use qed_evidence::Evidence;
use qed_evidence::freshness::{
    Comparison, CurrentState, DigestNow, StaleReason, compare_to_current_state,
};
use qed_evidence::investigation::Investigation;
use qed_evidence::validate::find_contradiction;

use crate::config::{Config, OnMissing};
use crate::evidence::freshness::{SweepContext, compare_sweep};
use crate::evidence::local_files::LocalFiles;
use crate::evidence::locations::Origin;
use crate::evidence::sweep_record::{ClaimText, SweepRecord};
use crate::evidence::verdict_files::PublishedClaim;
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
pub struct LocalBook<'b> {
    /// Its folder.
    pub root: &'b Path,
    /// Its settings.
    pub config: &'b Config,
}

impl LocalBook<'_> {
    /// The image that a machine of the book boots; nothing if it has none.
    fn image(&self, machine: &str, present: &LocalFiles) -> Option<DigestNow> {
        let path = self.root.join(self.config.image(machine)?);
        Some(present.image_digest(&path).into())
    }

    /// The folder of its investigation.
    fn investigation_folder(&self) -> Option<PathBuf> {
        let file = self.config.investigation.as_ref()?;
        Some(self.root.join(file).parent()?.to_owned())
    }
}

/// Compare the evidence of a site with the investigation that is published beside it, and with what is on this machine.
/// `record` is what the site publishes of its book; `origin`, whether this is the machine that captured it; `book`, its book.
pub fn verify(
    record: &BookRecord,
    evidence: &[Evidence],
    investigation: &Investigation,
    origin: Origin,
    time: Timestamp,
    book: Option<LocalBook<'_>>,
) -> FreshnessFindings {
    let mut found = FreshnessFindings::default();
    let folder = book.and_then(|book| book.investigation_folder());
    let on_stale = stricter_policy(record, book);
    let present = LocalFiles::with_user_cache();
    for evidence in evidence {
        let machine = &evidence.machine.name;
        if let Some((at, reason)) = find_contradiction(investigation, evidence) {
            let line = format!(
                "the evidence of {machine} is not of this investigation: at `{at}`: {reason}"
            );
            found.wrong.push(line);
        }
        let kernel = &evidence.kernel;
        let by_path = kernel.package.is_none() && kernel.image_digest.is_some();
        let now = CurrentState {
            boot_id: None,
            release: None,
            build_id: None,
            investigation_digest: Some(investigation.digest.clone()),
            collector: None,
            object_digest: match origin {
                Origin::Captured => present.object_digest().into(),
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
            programs: present.current_programs(evidence, origin, investigation, folder.as_deref()),
            time,
            max_age: None,
            // What is published was booted, whatever its book allows while it is written.
            boots: true,
        };
        let published_reasons = record.states.get(machine);
        let published_reasons = published_reasons.map_or(&[][..], |state| state.stale.as_slice());
        apply_on_stale(
            on_stale,
            machine,
            published_reasons,
            compare_to_current_state(evidence, &now),
            &mut found,
        );
    }
    found
}

/// Compare the record of a sweep with the investigation and the claims that are published beside it, and with the kernels that the
/// book pins.
pub fn verify_sweep(
    record: &BookRecord,
    sweep: &SweepRecord,
    (investigation, claims): (&Investigation, &[PublishedClaim]),
    time: Timestamp,
    book: Option<LocalBook<'_>>,
) -> FreshnessFindings {
    let what = "the record of the sweep";
    let mut found = FreshnessFindings::default();
    let on_stale = stricter_policy(record, book);
    let now = SweepContext {
        investigation: &investigation.digest,
        collector: None,
        lock: book.and_then(|book| book.config.lock.as_ref()),
        time,
        max_age: None,
    };
    let (stale, not_compared) = compare_sweep(sweep, &now);
    let published_reasons = &record.sweep.stale;
    found.add_published_reasons(on_stale, what, published_reasons);
    for one in stale {
        let reason = one.to_string();
        if !published_reasons.contains(&reason) {
            let refused = matches!(
                one.reason,
                StaleReason::Investigation | StaleReason::Time { .. }
            );
            found.add_unpublished_reason(on_stale, what, &reason, refused);
        }
    }
    let reason = sweep.describe_changed_claims(claims.iter().map(ClaimText::from));
    if let Some(reason) = reason.filter(|reason| !published_reasons.contains(reason)) {
        found.add_unpublished_reason(on_stale, what, &reason, true);
    }
    found.add_uncompared(what, &not_compared.join("; "));
    found
}

/// The effect of evidence that is out of date: the stricter word counts of the site's and the book's.
fn stricter_policy(record: &BookRecord, book: Option<LocalBook<'_>>) -> OnMissing {
    match book.map(|book| book.config.on_stale) {
        Some(OnMissing::Error) => OnMissing::Error,
        _ => record.on_stale,
    }
}

/// Apply `on-stale` to evidence that is out of date.
fn apply_on_stale(
    on_stale: OnMissing,
    machine: &str,
    published_reasons: &[String],
    compared: Comparison,
    found: &mut FreshnessFindings,
) {
    let what = format!("the evidence of {machine}");
    found.add_published_reasons(on_stale, &what, published_reasons);
    for reason in compared.stale {
        let line = reason.to_string();
        match reason {
            _ if published_reasons.contains(&line) => {}
            // Told where the pages are made again.
            StaleReason::Investigation => {}
            StaleReason::Time { .. } => found.add_unpublished_reason(on_stale, &what, &line, true),
            _ => found.add_unpublished_reason(on_stale, &what, &line, false),
        }
    }
    found.add_uncompared(&what, &compared.not_compared.join("; "));
}

impl FreshnessFindings {
    /// Add the reasons for being out of date that the pages tell.
    fn add_published_reasons(&mut self, on_stale: OnMissing, what: &str, reasons: &[String]) {
        if reasons.is_empty() {
            return;
        }
        let all = reasons.join("; ");
        let line = format!("{what} was out of date when it was published");
        match on_stale {
            OnMissing::Error => self.wrong.push(format!("{line}: {all}")),
            OnMissing::Show => {
                let line = format!("{line}, and the pages say so: {all}");
                self.notes.push(line);
            }
        }
    }

    /// Add a reason that the pages do not tell. `refused`: it is wrong whatever the book says.
    fn add_unpublished_reason(
        &mut self,
        on_stale: OnMissing,
        what: &str,
        reason: &str,
        refused: bool,
    ) {
        let line = format!("{what} is out of date: {reason}");
        match on_stale {
            OnMissing::Show if !refused => self.notes.push(line),
            _ => self.wrong.push(line),
        }
    }

    /// Add the parts that could not be compared, if there are any.
    fn add_uncompared(&mut self, what: &str, open: &str) {
        if !open.is_empty() {
            let line = format!("{what} was not compared with all that is here: {open}");
            self.notes.push(line);
        }
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
        apply_on_stale(on_stale, "m", &published_reasons, compared, &mut found);
        (found.wrong.len(), found.notes.len())
    }

    /// Check that what the book says it does with evidence that is out of date is done with it, and that what was not compared
    /// is told.
    #[test]
    fn decided_by_the_owner() {
        use OnMissing::{Error, Show};
        let image = || StaleReason::Image {
            was: "a".into(),
            now: "b".into(),
        };
        let changed = StaleReason::Investigation.to_string();
        // One note in each says that the collector was not compared.
        assert_eq!(judged(Show, &[], vec![]), (0, 1));
        assert_eq!(judged(Show, &[], vec![image()]), (0, 2));
        assert_eq!(judged(Error, &[], vec![image()]), (1, 1));
        assert_eq!(judged(Show, &[], vec![StaleReason::Investigation]), (0, 1));
        assert_eq!(
            judged(Show, &[&changed], vec![StaleReason::Investigation]),
            (0, 2)
        );
        assert_eq!(
            judged(Error, &[&changed], vec![StaleReason::Investigation]),
            (1, 1)
        );
    }
}
