//! Verdicts: what a claim comes to on one machine, and the negative control that a PASS has to survive.

use std::ops::Range;

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::document::value::{Datum, Value};
use crate::path_index::resolve::{Catalog, Indexed};

use super::Claim;
use super::control::Controlled;
use super::eval::{Failure, Located, evaluate};
use super::expression::Expression;
use super::gather::{Gathered, Obstacle, Replaced, gather};
use super::operands::operands;
use super::parts::Part;
use super::typed::Typed;
use super::written::{Strange, strange};

/// What a claim comes to on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Verdict {
    /// Every value was measured, the expression is true, and with another value it would have been false.
    #[serde(rename = "PASS")]
    Pass,
    /// The claim's condition is false here.
    #[serde(rename = "N/A")]
    NotApplicable,
    /// This machine cannot show it.
    #[serde(rename = "UNVERIFIED")]
    Unverified,
    /// Every value was measured, and the expression is false.
    #[serde(rename = "FAIL")]
    Fail,
    /// The claim makes no sense, or the capture is not sound.
    #[serde(rename = "ERROR")]
    Error,
}

impl Verdict {
    /// The word as it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::NotApplicable => "N/A",
            Verdict::Unverified => "UNVERIFIED",
            Verdict::Fail => "FAIL",
            Verdict::Error => "ERROR",
        }
    }

    /// Whether it has to fail a build.
    pub fn is_failure(self) -> bool {
        matches!(self, Verdict::Fail | Verdict::Error)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// A part of the expression whose value comes from the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operand {
    /// Its bytes in the expression's text.
    pub range: Range<usize>,
    /// Its text: a path, or a call of a function that reads evidence.
    pub text: String,
    /// The measured value, as it is in the evidence; of a call, what it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The negative control behind a PASS: one value was changed, everything else was the same, and the claim failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// What was changed, a path or several.
    pub path: String,
    /// What it was.
    pub was: String,
    /// What it was changed into.
    pub became: String,
    /// What came out.
    pub verdict: Verdict,
}

/// The verdict on one claim on one machine, with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Every operand of the expression, in its order.
    pub operands: Vec<Operand>,
    /// Every operand of the condition, in its order.
    pub when_operands: Vec<Operand>,
    /// What is missing and what would supply it, why it is an error, or why it does not apply.
    pub reason: Option<String>,
    /// The negative control that a PASS has survived.
    pub control: Option<Control>,
    /// Values that could have been anything: no change of one of them alone made the claim FAIL.
    pub idle: Vec<String>,
    /// Where the claim has to be false, because the kernel is outside of those on which it holds: that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// For an ERROR: the same with its place in the chapter.
    #[serde(skip)]
    pub diagnostic: Option<Diagnostic>,
}

/// Why an expression came to neither true nor false.
struct Stopped {
    verdict: Verdict,
    reason: String,
    diagnostic: Option<Diagnostic>,
}

/// Judges a claim on one machine.
pub fn judge(claim: &Claim, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Judgement {
    judge_replacing(claim, catalog, machine, &[])
}

/// Judges a claim on one machine through the same code as [`judge`], with some leaves replaced: for mutation tests.
pub fn judge_replacing(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Judgement {
    match super::holds::stated(claim, machine, replaced) {
        Ok(None) => judge_stated(claim, catalog, machine, replaced),
        Ok(Some(negated)) => {
            let judgement = judge_stated(&negated, catalog, machine, replaced);
            super::holds::of_negation(judgement, claim, machine)
        }
        Err(reason) => {
            let judgement = judge_stated(claim, catalog, machine, replaced);
            let holds = claim.holds.as_ref().map_or("", super::holds::Holds::text);
            super::holds::undecided(judgement, &reason, holds)
        }
    }
}

/// Judges a claim that has to be true on this machine.
fn judge_stated(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Judgement {
    let court = Court {
        claim,
        catalog,
        machine,
        replaced,
    };
    let decided = court.decide(&[]);
    let mut judgement = Judgement {
        verdict: decided.verdict(),
        operands: operands(&claim.expression, &decided.body),
        when_operands: Vec::new(),
        reason: None,
        control: None,
        idle: Vec::new(),
        outside: None,
        diagnostic: None,
    };
    if let (Some(when), Some(condition)) = (&claim.when, &decided.condition) {
        judgement.when_operands = operands(when, condition);
    }
    if matches!(decided.stage, Stage::Body(Ok(true))) {
        court.ask_for_names(&mut judgement);
        let unturned = court.cross_examine(&decided.body, &mut judgement);
        court.cross_examine_parts(&decided, unturned, &mut judgement);
    }
    match decided.stage {
        Stage::Body(Ok(true)) => {}
        Stage::Body(Ok(false)) => {}
        Stage::Condition(Ok(_)) => {
            let when = claim.when.as_ref().map_or("", Expression::text);
            judgement.reason = Some(format!("`{when}` is false here"));
            court.ask_for_names(&mut judgement);
        }
        Stage::Condition(Err(stopped)) => stop(&mut judgement, stopped, "in the condition: "),
        Stage::Body(Err(stopped)) => stop(&mut judgement, stopped, ""),
    }
    judgement
}

/// One claim on one machine, some of whose leaves may be replaced.
pub(super) struct Court<'a> {
    pub claim: &'a Claim,
    catalog: &'a Catalog<'a>,
    pub machine: &'a Indexed<'a>,
    replaced: Replaced<'a>,
}

/// What a claim comes to before its control.
struct Decided<'a> {
    condition: Option<Gathered<'a>>,
    body: Gathered<'a>,
    stage: Stage,
}

/// How far the decision came, and what was found there.
enum Stage {
    /// The condition is false, or neither true nor false.
    Condition(Result<bool, Stopped>),
    /// The condition holds; so is the expression.
    Body(Result<bool, Stopped>),
}

impl Decided<'_> {
    fn verdict(&self) -> Verdict {
        match &self.stage {
            Stage::Condition(Ok(_)) => Verdict::NotApplicable,
            Stage::Body(Ok(true)) => Verdict::Pass,
            Stage::Body(Ok(false)) => Verdict::Fail,
            Stage::Condition(Err(stopped)) | Stage::Body(Err(stopped)) => stopped.verdict,
        }
    }
}

impl Court<'_> {
    /// Decides, with further leaves replaced by values of the control.
    fn decide(&self, control: &[(&str, &Datum)]) -> Decided<'_> {
        let gathered = |expression| {
            let replaced = (self.replaced, control);
            gather(expression, self.catalog, self.machine, replaced)
        };
        let body = gathered(&self.claim.expression);
        let Some(when) = &self.claim.when else {
            let stage = Stage::Body(truth(&self.claim.expression, &body));
            return Decided {
                condition: None,
                body,
                stage,
            };
        };
        let condition = gathered(when);
        let stage = match truth(when, &condition) {
            Ok(true) => Stage::Body(truth(&self.claim.expression, &body)),
            other => Stage::Condition(other),
        };
        Decided {
            condition: Some(condition),
            body,
            stage,
        }
    }

    /// Whether these very values make the claim FAIL, its condition included: decided as the claim itself was.
    pub(super) fn fails_with(&self, values: &[(&str, &Value)]) -> bool {
        let data: Vec<(&str, Datum)> = values
            .iter()
            .map(|(path, value)| (*path, Datum::Value((*value).clone())))
            .collect();
        let replaced: Vec<(&str, &Datum)> =
            data.iter().map(|(path, datum)| (*path, datum)).collect();
        self.decide(&replaced).verdict() == Verdict::Fail
    }

    /// A claim that passes writes only words that there are; so does the condition under which it does, or does not apply.
    fn ask_for_names(&self, judgement: &mut Judgement) {
        let body = match judgement.verdict {
            Verdict::Pass => Some(&self.claim.expression),
            Verdict::NotApplicable => None,
            _ => return,
        };
        let conditions = self
            .claim
            .when
            .iter()
            .map(|when| (when, "in the condition: "));
        let mut written = body.into_iter().map(|body| (body, "")).chain(conditions);
        let found = written.find_map(|(expression, place)| {
            let strange = strange(&expression.root, self.catalog, self.machine)?;
            Some((expression, place, strange))
        });
        let Some((expression, place, strange)) = found else {
            return;
        };
        let stopped = match strange {
            Strange::Unknown(obstacle) => error(expression, &obstacle),
            Strange::Elsewhere(obstacle) => Stopped {
                verdict: Verdict::Unverified,
                reason: format!(
                    "`{}`: {}",
                    &expression.text()[obstacle.range],
                    obstacle.message
                ),
                diagnostic: None,
            },
        };
        judgement.verdict = stopped.verdict;
        judgement.control = None;
        stop(judgement, stopped, place);
    }

    /// Each part of a claim that passes, and its condition with each of its parts, comes out otherwise on other values. Of the
    /// claim's own parts, those are left that the control of the whole did not turn.
    fn cross_examine_parts(
        &self,
        decided: &Decided<'_>,
        unturned: Vec<Part<'_>>,
        judgement: &mut Judgement,
    ) {
        if judgement.control.is_none() {
            return;
        }
        let body = &self.claim.expression;
        let denied = match self.claim.negated {
            true => self.denied_parts(body, &decided.body),
            false => Vec::new(),
        };
        let all = unturned.into_iter().chain(denied).collect();
        let in_body = self.idle_part(body, &decided.body, all);
        let in_condition = || {
            let when = self.claim.when.as_ref()?;
            let gathered = decided.condition.as_ref()?;
            let part = self.idle_part(when, gathered, self.all_parts(when, gathered))?;
            Some((when, part, "in the condition: "))
        };
        let found = in_body.map(|part| (body, part, "")).or_else(in_condition);
        if let Some((expression, part, place)) = found {
            judgement.verdict = Verdict::Error;
            judgement.control = None;
            stop(judgement, error(expression, &cannot_turn(part)), place);
        }
    }

    /// A claim that is true passes if it fails on other values.
    fn cross_examine(&self, body: &Gathered<'_>, judgement: &mut Judgement) -> Vec<Part<'_>> {
        if judgement.verdict != Verdict::Pass {
            return Vec::new();
        }
        let Controlled {
            control,
            idle,
            seen_false,
            unturned,
        } = self.control(body);
        judgement.idle = idle;
        judgement.control = control;
        if judgement.control.is_some() {
            return unturned;
        }
        judgement.verdict = Verdict::Error;
        let expression = &self.claim.expression;
        let (reason, help) = match (seen_false, &self.claim.when) {
            (false, _) => (
                "the claim cannot fail: whatever other values the evidence had, it would not be false",
                "claim something that a measurement could contradict",
            ),
            (true, Some(_)) => (
                "the claim cannot fail: whatever other values the evidence had, its condition would not hold where it is false",
                "the condition must not say what the claim says",
            ),
            (true, None) => (
                "the negative control did not fail: values that make the expression false do not make the claim FAIL",
                "this is a mistake of the program, and no verdict of it can be believed",
            ),
        };
        judgement.diagnostic = Some(
            expression
                .place()
                .error(&(0..expression.text().len()), reason)
                .help(help),
        );
        judgement.reason = Some(reason.into());
        Vec::new()
    }
}

/// A part that says nothing.
fn cannot_turn(part: Part<'_>) -> Obstacle {
    let (now, never) = if part.truth {
        ("true", "false")
    } else {
        ("false", "true")
    };
    Obstacle {
        message: format!(
            "this part cannot be {never}: whatever other values the evidence had, it would be {now}"
        ),
        range: part.node.range.clone(),
        help: Some(
            "take it out, or say something there that a measurement could contradict".into(),
        ),
    }
}

fn stop(judgement: &mut Judgement, stopped: Stopped, prefix: &str) {
    judgement.reason = Some(format!("{prefix}{}", stopped.reason));
    judgement.diagnostic = stopped.diagnostic;
}

/// Whether the expression is true, given what was gathered. Everything it reads has to be there.
#[allow(clippy::result_large_err, reason = "made at most once per judgement")]
fn truth(expression: &Expression, gathered: &Gathered<'_>) -> Result<bool, Stopped> {
    if let Some(obstacle) = gathered.broken.first() {
        return Err(error(expression, obstacle));
    }
    let outcome = evaluate(&expression.root, &gathered.bindings());
    // A mistake of the claim is a mistake with and without the values that are missing.
    if !gathered.missing.is_empty() {
        return match outcome {
            Err(
                located @ Located {
                    failure: Failure::Kinds { .. },
                    ..
                },
            ) => Err(failed(expression, located)),
            _ => Err(Stopped {
                verdict: Verdict::Unverified,
                reason: missing(gathered),
                diagnostic: None,
            }),
        };
    }
    match outcome {
        Ok(Typed::Bool(truth)) => Ok(truth),
        Ok(other) => Err(error(
            expression,
            &Obstacle {
                message: format!(
                    "the claim is neither true nor false: it is {}",
                    other.kind()
                ),
                range: 0..expression.text().len(),
                help: Some("compare it with something".into()),
            },
        )),
        Err(located) => Err(failed(expression, located)),
    }
}

/// All that is missing, each thing once and each reason once.
fn missing(gathered: &Gathered<'_>) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (read, obstacle) in &gathered.missing {
        let path = read.path.as_str();
        match reasons.iter_mut().find(|(why, _)| *why == obstacle.message) {
            Some((_, paths)) if paths.contains(&path) => {}
            Some((_, paths)) => paths.push(path),
            None => reasons.push((&obstacle.message, vec![path])),
        }
    }
    let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for (why, paths) in reasons {
        match groups.iter_mut().find(|(_, of)| *of == paths) {
            Some((whys, _)) => whys.push(why),
            None => groups.push((vec![why], paths)),
        }
    }
    let groups = groups.iter().map(|(whys, paths)| {
        let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
        format!("no {}: {}", paths.join(", "), whys.join("; "))
    });
    groups.collect::<Vec<_>>().join("; ")
}

fn failed(expression: &Expression, located: Located) -> Stopped {
    let Located { failure, range } = located;
    let (message, help) = match failure {
        Failure::Kinds { message, help } => (message, help),
        Failure::Value(message) => (message, None),
        Failure::Missing(reason) => {
            return Stopped {
                verdict: Verdict::Unverified,
                reason: format!("`{}`: {reason}", &expression.text()[range]),
                diagnostic: None,
            };
        }
    };
    error(
        expression,
        &Obstacle {
            message,
            range,
            help,
        },
    )
}

fn error(expression: &Expression, obstacle: &Obstacle) -> Stopped {
    let place = expression
        .text()
        .get(obstacle.range.clone())
        .unwrap_or_default();
    let mut diagnostic = expression
        .place()
        .error(&obstacle.range, obstacle.message.as_str());
    if let Some(help) = &obstacle.help {
        diagnostic = diagnostic.help(help.as_str());
    }
    Stopped {
        verdict: Verdict::Error,
        reason: format!("`{place}`: {}", obstacle.message),
        diagnostic: Some(diagnostic),
    }
}
