//! The block of a claim in its chapter.

use qed_evidence::Value;
use qed_evidence::claim::{Judgement, Verdict};
use qed_evidence::document::Missing;
use qed_evidence::value::Datum;
use serde::Serialize;

use crate::claims::judged::JudgedClaim;
use crate::evidence::book_data::BookData;
use crate::evidence::format;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::{MARK, RenderedBlock};

#[derive(Serialize)]
struct Operand {
    text: String,
    /// Set if the value is a plain value of the evidence: `verify` then compares it.
    path: Option<String>,
    machine: String,
    value: String,
    kind: String,
    missing: bool,
}

#[derive(Serialize)]
struct MachineVerdict {
    name: String,
    class: String,
    badge: String,
    reason: Option<String>,
    /// The kernel is outside of those on which the claim holds.
    outside: Option<String>,
    /// The reason is folded, because it would bury the rest.
    long: bool,
}

#[derive(Serialize)]
struct ClaimView {
    id: String,
    class: String,
    badge: String,
    expression: String,
    when: Option<String>,
    holds: Option<String>,
    /// The kernel is outside of those on which the claim holds.
    outside: Option<String>,
    operands: Vec<Operand>,
    /// The machine, and whether its evidence is not of now.
    on: String,
    /// The same with kernel and time.
    origin: String,
    reason: Option<String>,
    /// The grounds of silence and counts.
    rests_on: Vec<String>,
    control: Option<String>,
    judged: Option<String>,
    others: Vec<MachineVerdict>,
}

/// The class of a verdict in the style sheet.
pub fn css_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "qed-pass",
        Verdict::Fail => "qed-fail",
        Verdict::Error => "qed-error",
        Verdict::Unverified => "qed-unverified",
        Verdict::NotApplicable => "qed-na",
    }
}

/// The word of a verdict with a sign that needs no colour.
pub fn badge(verdict: Verdict) -> String {
    let sign = match verdict {
        Verdict::Pass => '✔',
        Verdict::Fail => '✘',
        Verdict::Error => '‼',
        Verdict::Unverified => '?',
        Verdict::NotApplicable => '–',
    };
    format!("{sign} {verdict}")
}

/// The description of a value; of an address, also where it leads, because that is what claims ask of it.
fn describe_value(value: &Value) -> String {
    let kind = format::describe(value);
    match value {
        Value::Address {
            symbol: Some(symbol),
            ..
        } => format!("{kind}, {symbol}"),
        _ => kind,
    }
}

/// True if a text is so long that it would hide the text around it.
pub fn is_long(text: &str) -> bool {
    text.chars().count() > 150
}

/// The reason that a claim has no verdict on a machine, without the paths: each reason once. `explain` has them all.
pub fn missing_verdict_reason(judgement: &Judgement) -> Option<String> {
    let operands = judgement.when_operands.iter().chain(&judgement.operands);
    let mut reasons: Vec<&str> = Vec::new();
    for reason in operands
        .filter_map(|operand| operand.missing.as_deref())
        .flat_map(|missing| missing.split("; "))
    {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if judgement.verdict == Verdict::Unverified && !reasons.is_empty() {
        Some(reasons.join("; "))
    } else {
        judgement.reason.clone()
    }
}

/// True if the value of this path is withheld, because the machine is live.
fn is_withheld(path: &str, book_data: &BookData<'_>, machine: MachineId) -> bool {
    let leaf = book_data.path_index(machine).leaves.get(path);
    leaf.is_some_and(|leaf| matches!(&*leaf.datum, Datum::Missing(Missing::Withheld(_))))
}

/// The operands of a judgement, each path once.
fn operand_views(
    judgement: &Judgement,
    book_data: &BookData<'_>,
    machine: MachineId,
) -> Vec<Operand> {
    let mut out: Vec<Operand> = Vec::new();
    for operand in judgement.when_operands.iter().chain(&judgement.operands) {
        if out.iter().any(|known| known.text == operand.text) {
            continue;
        }
        let (value, kind) = match (&operand.value, &operand.missing) {
            (Some(value), _) => (value.to_string(), describe_value(value)),
            (None, Some(reason)) if is_withheld(&operand.text, book_data, machine) => {
                (reason.clone(), String::new())
            }
            (None, Some(reason)) => (format!("unavailable: {reason}"), String::new()),
            (None, None) => ("not evaluated".to_owned(), String::new()),
        };
        let is_leaf = book_data
            .path_index(machine)
            .leaves
            .get(&operand.text)
            .and_then(|leaf| leaf.datum.value())
            .is_some_and(|measured| operand.value.as_ref() == Some(measured));
        out.push(Operand {
            text: operand.text.clone(),
            path: is_leaf.then(|| operand.text.clone()),
            machine: book_data.machine(machine).machine.clone(),
            value,
            kind,
            missing: operand.value.is_none(),
        });
    }
    out
}

/// A note about a verdict on evidence that is not shown unredacted.
fn judging_note(judged: &JudgedClaim, book_data: &BookData<'_>) -> Option<String> {
    let shown = judged.shown.id()?;
    let machine = book_data.machine(shown);
    let verdict = judged.judgement().verdict;
    if !machine.raw.exists() && machine.verdicts.is_none() {
        return None;
    }
    Some(if judged.supported[shown.index()] == verdict {
        format!(
            "judged on what {} measured, before addresses were withheld; what is published gives the same verdict",
            machine.machine
        )
    } else {
        format!(
            "judged on what {} measured, before addresses were withheld; what is published does not suffice to \
             repeat it",
            machine.machine
        )
    })
}

/// The classes of a verdict on evidence that is out of date or not: one that is old does not look like one of now.
pub fn verdict_classes(verdict: Verdict, is_old: bool) -> String {
    let of_verdict = css_class(verdict);
    match is_old {
        false => of_verdict.to_owned(),
        true => format!("{of_verdict} qed-old"),
    }
}

/// The badge of a verdict in plain text, which has no style sheet that could put the mark of old evidence there.
pub fn text_badge(badge: &str, is_old: bool) -> String {
    match is_old {
        false => badge.to_owned(),
        true => format!("{badge}{MARK}"),
    }
}

/// The words for a reason that the machine which is shown has, too.
const SAME: &str = "for the same reason";

/// The judgements on the other machines; one for `own_reason`, that of the machine which is shown, says so.
fn other_verdicts(
    judged: &JudgedClaim,
    book_data: &BookData<'_>,
    own_reason: Option<&str>,
) -> Vec<MachineVerdict> {
    book_data
        .evidence_set
        .loaded
        .iter()
        .zip(&judged.judgements)
        .enumerate()
        .filter(|(index, _)| !judged.is_shown_on(*index))
        .map(|(_, (machine, judgement))| {
            let reason = match missing_verdict_reason(judgement) {
                same if same.is_some() && same.as_deref() == own_reason => Some(SAME.to_owned()),
                other => other,
            };
            MachineVerdict {
                name: machine.machine.clone(),
                class: verdict_classes(judgement.verdict, !machine.stale.is_empty()),
                badge: badge(judgement.verdict),
                outside: judgement.outside.clone(),
                long: reason.as_deref().is_some_and(is_long),
                reason,
            }
        })
        .collect()
}

/// A claim with its verdicts, as it stands in its chapter.
pub fn render(judged: &JudgedClaim, book_data: &BookData<'_>) -> RenderedBlock {
    let judgement = judged.judgement();
    let shown = judged.shown.id();
    let operands = shown.map_or_else(Vec::new, |shown| operand_views(judgement, book_data, shown));
    // What the operands say is not said again.
    let own_reason = missing_verdict_reason(judgement);
    let is_told = judgement.verdict == Verdict::Unverified
        && own_reason.as_deref().is_some_and(|reason| {
            let is_shown = |part| {
                operands
                    .iter()
                    .any(|one| one.missing && one.value.contains(part))
            };
            reason.split("; ").all(is_shown)
        });
    let others = other_verdicts(judged, book_data, own_reason.as_deref());
    let control = judgement.control.as_ref().map(|control| {
        format!(
            "control: with another value of {} the {} is {}",
            control.path,
            if judgement.outside.is_some() {
                "claim"
            } else {
                "same expression"
            },
            control.verdict
        )
    });
    let name = || judged.shown_name(book_data).to_owned();
    let data = ClaimView {
        id: judged.claim.id.clone(),
        class: verdict_classes(
            judgement.verdict,
            shown.is_some_and(|on| book_data.is_stale(on)),
        ),
        badge: badge(judgement.verdict),
        expression: judged.claim.expression.text().trim().to_owned(),
        when: judged
            .claim
            .when
            .as_ref()
            .map(|when| when.text().to_owned()),
        holds: judged
            .claim
            .holds
            .as_ref()
            .map(|holds| holds.text().to_owned()),
        outside: judgement.outside.clone(),
        on: shown.map_or_else(name, |on| book_data.short_origin(on)),
        origin: shown.map_or_else(name, |on| book_data.origin(on)),
        reason: judgement.reason.clone().filter(|_| !is_told),
        rests_on: judgement.rests_on.clone(),
        control,
        judged: judging_note(judged, book_data),
        operands,
        others,
    };
    let uses = judged
        .claim
        .reads()
        .map(|read| Use::new_dependency(&read.path, shown))
        .collect();
    RenderedBlock {
        text: render_text(&data),
        html: book_data.evidence_set.templates.render("claim", &data),
        machines: shown.into_iter().collect(),
        uses,
        ..RenderedBlock::default()
    }
}

fn render_text(data: &ClaimView) -> String {
    let mut lines = vec![
        format!("claim {}: {} ({})", data.id, data.badge, data.origin),
        data.expression.clone(),
    ];
    lines.extend(data.when.iter().map(|when| format!("when {when}")));
    lines.extend(data.holds.iter().map(|holds| format!("holds {holds}")));
    lines.extend(data.outside.clone());
    let width = data
        .operands
        .iter()
        .map(|o| o.text.chars().count())
        .max()
        .unwrap_or(0);
    lines.extend(
        data.operands
            .iter()
            .map(|o| format!("  {:<width$} = {}", o.text, o.value)),
    );
    lines.extend(data.reason.clone());
    lines.extend(
        data.rests_on
            .iter()
            .map(|ground| format!("rests on {ground}")),
    );
    lines.extend(data.judged.clone());
    lines.extend(data.others.iter().map(|other| {
        let reason = other
            .reason
            .as_ref()
            .map(|r| format!(": {r}"))
            .unwrap_or_default();
        let outside = other.outside.as_ref();
        let outside = outside.map(|text| format!(": {text}")).unwrap_or_default();
        format!("on {}: {}{outside}{reason}", other.name, other.badge)
    }));
    lines.join("\n")
}
