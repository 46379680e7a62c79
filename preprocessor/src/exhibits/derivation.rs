//! The assumptions of a chapter: names that are neither observed nor defined, claims without evidence, and a verdict on the
//! chapter as a whole.

use std::collections::BTreeSet;

use qed_evidence::claim::{Judgement, Verdict};
use qed_evidence::diagnostic::{Diagnostic, nearest};
use serde::Serialize;

use crate::claims::judged::JudgedClaim;
use crate::config::Lint;
use crate::evidence::machine_id::MachineId;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::claim_block::{badge, text_badge, verdict_classes};
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::syntax::SyntaxError;

/// Words that pages say about claims; others are in [`crate::exhibits::block::GAPS`].
const VERDICTS: &[&str] = &["PASS", "FAIL"];

#[derive(Serialize)]
struct Inference {
    id: String,
    reason: String,
}

#[derive(Serialize)]
struct DerivationView {
    introduced: String,
    undefined: Vec<String>,
    inferences: Vec<Inference>,
    class: String,
    badge: String,
    reason: String,
}

/// The verdict of a claim for its chapter: as shown there, or where it does not apply to that machine, on the first
/// one that it applies to. A failure on any machine is one. With the machine, if it has evidence.
fn chapter_judgement(judged: &JudgedClaim) -> (&Judgement, Option<MachineId>) {
    let all = &judged.judgements;
    if let Some(at) = all.iter().position(|j| j.verdict.is_failure()) {
        return (&all[at], Some(MachineId::new(at)));
    }
    let shown = judged.judgement();
    if shown.verdict == Verdict::NotApplicable
        && let Some(at) = all.iter().position(|j| j.verdict != Verdict::NotApplicable)
    {
        return (&all[at], Some(MachineId::new(at)));
    }
    (shown, judged.shown.id())
}

/// The status of a chapter with these verdicts and this many undefined names.
fn chapter_status(verdicts: &[Verdict], undefined: usize) -> (Verdict, String) {
    let count = |wanted: Verdict| verdicts.iter().filter(|v| **v == wanted).count();
    let failed = verdicts.iter().filter(|v| v.is_failure()).count();
    let (pass, open) = (
        count(Verdict::Pass),
        verdicts.len() - failed - count(Verdict::Pass),
    );
    let all = verdicts.len();
    if failed > 0 {
        (Verdict::Fail, format!("{failed} of {all} claims failed"))
    } else if all == 0 {
        (Verdict::Unverified, "the chapter makes no claim".into())
    } else if open > 0 {
        (
            Verdict::Unverified,
            format!("{pass} of {all} claims passed, {open} could not be shown"),
        )
    } else if undefined > 0 {
        let things = if undefined == 1 {
            "thing is"
        } else {
            "things are"
        };
        (
            Verdict::Unverified,
            format!("{pass} of {all} claims passed, and {undefined} {things} not derived"),
        )
    } else {
        (
            Verdict::Pass,
            format!("{pass} of {all} claims passed, and nothing is underived"),
        )
    }
}

/// Render the exhibit; each undefined name is a warning at its place.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let investigation = &book_data.evidence_set.investigation;
    let own = |name: &str| {
        request.claims.get(name).is_some()
            || investigation
                .experiments
                .iter()
                .any(|e| e.name == name || e.probe(name).is_some())
    };
    let observed = book_data.observed_names();
    let mut problems = Vec::new();
    let mut undefined = Vec::new();
    let (mut seen, mut defined) = (0, 0);
    for named in request
        .claims
        .book_mentions()
        .identifiers(request.page)
        .iter()
    {
        let name = named.name.as_str();
        if own(name) || crate::exhibits::block::GAPS.contains(&name) || VERDICTS.contains(&name) {
            continue;
        }
        if observed.contains(name) {
            seen += 1;
        } else if request.glossary.defines(name) {
            defined += 1;
        } else {
            let message = format!("`{name}` is named, and nothing introduced it");
            // In order, so that of two names that are as near it is always the same.
            let known: BTreeSet<&str> = observed.iter().map(|name| &**name).collect();
            let near = nearest(name, known);
            let help = match near {
                Some(near) => {
                    format!("did you mean `{near}`? Else define it in the glossary, or observe it")
                }
                None => "define it in a definition list of glossary.md, or observe it with a probe"
                    .to_owned(),
            };
            let problem =
                Diagnostic::error(&request.page.source, named.span.clone(), message).help(help);
            let denied = book_data.config.deny.contains(&Lint::UndefinedName);
            problems.push(if denied { problem } else { problem.warning() });
            undefined.push(named.name.clone());
        }
    }
    let of_chapter: Vec<&JudgedClaim> = request
        .claims
        .iter_in_book_order()
        .filter(|judged| judged.chapter_name == request.chapter)
        .collect();
    let verdicts: Vec<Verdict> = of_chapter
        .iter()
        .map(|judged| chapter_judgement(judged).0.verdict)
        .collect();
    let inferences = list_inferences(&of_chapter);
    let is_old = of_chapter
        .iter()
        .filter_map(|judged| chapter_judgement(judged).1)
        .any(|on| book_data.is_stale(on));
    let (verdict, reason) = chapter_status(&verdicts, undefined.len());
    let data = DerivationView {
        introduced: format!("{seen} names observed by captures, {defined} defined in the glossary"),
        undefined,
        inferences,
        class: verdict_classes(verdict, is_old),
        badge: badge(verdict),
        reason,
    };
    Ok(RenderedBlock {
        text: render_text(&data, is_old),
        html: book_data.evidence_set.templates.render("derivation", &data),
        problems,
        ..RenderedBlock::default()
    })
}

/// The claims of a chapter that are neither true nor false on the machine that the chapter shows, with the reasons.
fn list_inferences(of_chapter: &[&JudgedClaim]) -> Vec<Inference> {
    of_chapter
        .iter()
        .filter_map(|judged| {
            let (judgement, _) = chapter_judgement(judged);
            let open = [Verdict::Unverified, Verdict::NotApplicable].contains(&judgement.verdict);
            let reason = judgement
                .reason
                .as_deref()
                .unwrap_or("it applies to no machine");
            open.then(|| Inference {
                id: judged.claim.id.clone(),
                reason: reason.to_owned(),
            })
        })
        .collect()
}

fn render_text(data: &DerivationView, is_old: bool) -> String {
    let mut lines = vec![format!(
        "New things introduced without derivation ({}):",
        data.introduced
    )];
    lines.extend(data.undefined.iter().map(|name| format!("  {name}")));
    if data.undefined.is_empty() {
        lines.push("  none".into());
    }
    lines.push("New inference (claims without evidence):".into());
    lines.extend(
        data.inferences
            .iter()
            .map(|i| format!("  {}: {}", i.id, i.reason)),
    );
    if data.inferences.is_empty() {
        lines.push("  none".into());
    }
    lines.push(format!(
        "Rejection status: {} ({})",
        text_badge(&data.badge, is_old),
        data.reason
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only claims that all pass, and nothing that is undefined, make a PASS.
    #[test]
    fn only_all_is_pass() {
        use Verdict::{Error, Fail, NotApplicable, Pass, Unverified};
        let of = |verdicts: &[Verdict], undefined| chapter_status(verdicts, undefined).0;
        assert_eq!(of(&[Pass, Pass], 0), Pass);
        assert_eq!(of(&[Pass, Pass], 1), Unverified);
        assert_eq!(of(&[], 0), Unverified);
        assert_eq!(of(&[Pass, Unverified], 0), Unverified);
        assert_eq!(of(&[Pass, NotApplicable], 0), Unverified);
        assert_eq!(of(&[Pass, Unverified, Error], 0), Fail);
        assert_eq!(of(&[Fail], 3), Fail);
    }
}
