//! The record of a sweep, compared with the evidence that it was made from: its digests, and its verdicts judged again.

use qed_evidence::Evidence;
use qed_evidence::claim::{Judgement, judge};
use qed_evidence::investigation::Investigation;
use qed_evidence::redact::RedactError;
use qed_evidence::resolve::{Catalog, Indexed};

use super::manifest::{SWEEP, parse_published_claim};
use super::site_reader::redact_live_evidence;
use crate::claims::sweep::swept_claim;
use crate::config::Addresses;
use crate::evidence::mentions::BookMentions;
use crate::evidence::sweep_record::{ClaimText, SweepRecord, SweptClaim, SweptKernel};
use crate::evidence::verdict_files::PublishedClaim;
use crate::util::report::pluralize;

/// Everything that the record is compared with.
#[derive(Clone, Copy, Debug)]
pub struct SweepSources<'s> {
    /// The evidence of the sweep, as it was captured.
    pub evidence: &'s [Evidence],
    /// The treatment of addresses.
    pub addresses: Addresses,
    /// The investigation.
    pub investigation: &'s Investigation,
    /// The claims of the book.
    pub claims: &'s [PublishedClaim],
    /// The mentions of functions in the chapters.
    pub book_mentions: &'s BookMentions,
}

/// The findings about a record, a line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SweepFindings {
    /// The problems.
    pub wrong: Vec<String>,
    /// Notes.
    pub notes: Vec<String>,
}

/// Compare a record with the evidence that it was made from.
///
/// # Errors
/// When evidence cannot be redacted.
pub fn compare_with_evidence(
    record: &SweepRecord,
    sources: &SweepSources<'_>,
) -> Result<SweepFindings, RedactError> {
    let mut found = SweepFindings::default();
    let shown = redact_live_evidence(sources.evidence, sources.addresses)?;
    let (mut own, mut missing) = (Vec::new(), Vec::new());
    for kernel in &record.kernels {
        let machine = &kernel.machine;
        let at_hand = sources.evidence.iter().zip(&shown);
        let mut at_hand = at_hand.filter(|(evidence, _)| evidence.machine.name == *machine);
        match at_hand.next() {
            Some((evidence, shown)) => {
                found
                    .wrong
                    .extend(kernel_differences(record, kernel, shown));
                own.push(evidence);
            }
            None => missing.push(machine.as_str()),
        }
    }
    if !missing.is_empty() {
        let missing = missing.join(", ");
        found.notes.push(format!(
            "the verdicts of the sweep were not judged again: there is no evidence of {missing}"
        ));
    } else if found.wrong.is_empty() {
        rejudge_claims(record, sources, &own, &mut found);
    }
    Ok(found)
}

/// The differences between the record of a kernel and the kernel's evidence.
fn kernel_differences(
    record: &SweepRecord,
    kernel: &SweptKernel,
    evidence: &Evidence,
) -> Option<String> {
    let run = &evidence.run;
    let other =
        |known: &Option<String>, found: &String| known.as_ref().is_some_and(|known| known != found);
    let problem = match SweptKernel::new(evidence) {
        Err(error) => format!("its evidence cannot be compared: {error}"),
        Ok(found) if found.evidence != kernel.evidence => {
            "it was recorded from other evidence, the digest is another".into()
        }
        Ok(found) if !kernel.matches(&found) => "its evidence is of another kernel or time".into(),
        Ok(_)
            if other(&record.collector, &run.collector)
                || other(&record.object, &run.object_digest) =>
        {
            "another collector captured there".into()
        }
        Ok(_) => return None,
    };
    Some(format!("{SWEEP}: {}: {problem}", kernel.machine))
}

/// Judge the claims of the record again that the book still makes. `own` is the evidence of each kernel, in their order.
fn rejudge_claims(
    record: &SweepRecord,
    sources: &SweepSources<'_>,
    own: &[&Evidence],
    found: &mut SweepFindings,
) {
    let machines: Vec<Indexed<'_>> = own.iter().map(|evidence| Indexed::new(evidence)).collect();
    let catalog = Catalog {
        investigation: sources.investigation,
        machines: &machines,
    };
    let (mut repeated, mut others) = (0, 0);
    for (id, swept) in &record.claims {
        let same =
            |claim: &&PublishedClaim| claim.id == *id && swept.matches(ClaimText::from(*claim));
        let Some(published) = sources.claims.iter().find(same) else {
            others += 1;
            continue;
        };
        let claim = match parse_published_claim(published, sources.book_mentions) {
            Ok(claim) => claim,
            // Complained of where the verdicts of the book are judged again.
            Err(_) => continue,
        };
        let judged = |machine: &Indexed<'_>| judge(&claim, &catalog, machine);
        let judgements: Vec<Judgement> = machines.iter().map(judged).collect();
        let again = swept_claim(&claim, &judgements);
        let whole: Vec<bool> = own
            .iter()
            .map(|e| !sources.addresses.hides_addresses(e))
            .collect();
        let before = found.wrong.len();
        found
            .wrong
            .extend(claim_differences(id, record, swept, &again, &whole));
        if found.wrong.len() == before {
            repeated += again.verdicts.len();
        }
    }
    found.notes.push(format!(
        "judged again from the sweep's evidence: {}; not judged, because the book no longer has them: {}",
        pluralize(repeated, "verdict"),
        pluralize(others, "claim")
    ));
}

/// The differences between a claim as it was recorded and as it is judged again. `whole` says of each kernel whether its
/// evidence may be shown as it is; of the others, operands and reasons are withheld.
fn claim_differences(
    id: &str,
    record: &SweepRecord,
    swept: &SweptClaim,
    again: &SweptClaim,
    whole: &[bool],
) -> Vec<String> {
    if whole.iter().all(|whole| *whole) && swept.operands != again.operands {
        return vec![format!("{SWEEP}: claim `{id}`: it has other operands")];
    }
    let verdicts = swept.verdicts.iter().zip(&again.verdicts);
    let kernels = record.kernels.iter().zip(whole);
    let different = kernels
        .zip(verdicts)
        .filter_map(|((kernel, whole), (was, is))| {
            let problem = if was.verdict != is.verdict {
                format!(
                    "it says {}, the evidence makes it {}",
                    was.verdict, is.verdict
                )
            } else if *whole && was.values != is.values {
                "its operands have other values in the evidence".into()
            } else if *whole && was.reason != is.reason {
                "the evidence gives another reason".into()
            } else {
                return None;
            };
            Some(format!(
                "{SWEEP}: claim `{id}` on {}: {problem}",
                kernel.machine
            ))
        });
    different.collect()
}
