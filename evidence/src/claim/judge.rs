//! Verdicts: what a claim comes to on one machine, and the negative control that a PASS has to survive.

use std::ops::Range;

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::resolve::{Catalog, Indexed};
use crate::value::Value;

use super::Claim;
use super::eval::{Failure, Located, evaluate};
use super::expression::Expression;
use super::gather::{Gathered, Obstacle, Replaced, gather};
use super::mutants::{Hints, mutants};
use super::node::{Node, NodeKind};
use super::typed::Typed;

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
    let mut judgement = Judgement {
        verdict: Verdict::Error,
        operands: Vec::new(),
        when_operands: Vec::new(),
        reason: None,
        control: None,
        idle: Vec::new(),
        diagnostic: None,
    };
    if let Some(when) = &claim.when {
        let gathered = gather(when, catalog, machine, replaced);
        judgement.when_operands = operands(when, &gathered);
        match truth(when, &gathered) {
            Ok(true) => {}
            Ok(false) => {
                judgement.operands = operands(
                    &claim.expression,
                    &gather(&claim.expression, catalog, machine, replaced),
                );
                judgement.verdict = Verdict::NotApplicable;
                judgement.reason = Some(format!("`{}` is false here", when.text()));
                return judgement;
            }
            Err(stopped) => return stop(judgement, stopped, "in the condition: "),
        }
    }
    let expression = &claim.expression;
    let gathered = gather(expression, catalog, machine, replaced);
    judgement.operands = operands(expression, &gathered);
    match truth(expression, &gathered) {
        Ok(true) => {}
        Ok(false) => {
            judgement.verdict = Verdict::Fail;
            return judgement;
        }
        Err(stopped) => return stop(judgement, stopped, ""),
    }
    match control(expression, &gathered, machine) {
        (Some(control), idle) => {
            judgement.verdict = Verdict::Pass;
            judgement.control = Some(control);
            judgement.idle = idle;
        }
        (None, idle) => {
            let reason = "the claim cannot fail: whatever other values the evidence had, it would not be false";
            judgement.idle = idle;
            judgement.diagnostic = Some(
                expression
                    .place()
                    .error(&(0..expression.text().len()), reason)
                    .help("claim something that a measurement could contradict"),
            );
            judgement.reason = Some(reason.into());
        }
    }
    judgement
}

fn stop(mut judgement: Judgement, stopped: Stopped, prefix: &str) -> Judgement {
    judgement.verdict = stopped.verdict;
    judgement.reason = Some(format!("{prefix}{}", stopped.reason));
    judgement.diagnostic = stopped.diagnostic;
    judgement
}

/// Whether the expression is true, given what was gathered. Everything it reads has to be there.
#[allow(clippy::result_large_err, reason = "made at most once per judgement")]
fn truth(expression: &Expression, gathered: &Gathered) -> Result<bool, Stopped> {
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
fn missing(gathered: &Gathered) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (read, obstacle) in &gathered.missing {
        let path = format!("`{}`", read.path);
        match reasons.iter_mut().find(|(why, _)| *why == obstacle.message) {
            Some((_, paths)) if paths.contains(&path) => {}
            Some((_, paths)) => paths.push(path),
            None => reasons.push((&obstacle.message, vec![path])),
        }
    }
    let reasons = reasons
        .iter()
        .map(|(why, paths)| format!("no {}: {why}", paths.join(", ")));
    reasons.collect::<Vec<_>>().join("; ")
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

/// Every part of the expression that comes from the evidence, with what was found.
fn operands(expression: &Expression, gathered: &Gathered) -> Vec<Operand> {
    let bindings = gathered.bindings();
    let mut operands: Vec<Operand> = Vec::new();
    let mut calls: Vec<Range<usize>> = Vec::new();
    expression.root.walk(&mut |node: &Node| {
        if calls
            .iter()
            .any(|call| call.start <= node.range.start && node.range.end <= call.end)
        {
            return; // The name of a probe inside of a call that was listed.
        }
        let (value, missing) = match &node.kind {
            NodeKind::Path(path) => (gathered.values.get(path.as_str()).cloned(), Vec::new()),
            NodeKind::Call(function, args)
                if !super::eval::call_reads(function, args).is_empty() =>
            {
                calls.push(node.range.clone());
                let outcome = evaluate(node, &bindings);
                match outcome {
                    Ok(typed) => (shown(&typed), Vec::new()),
                    Err(located) => (None, vec![describe(located.failure)]),
                }
            }
            _ => return,
        };
        let mut reasons: Vec<String> = gathered
            .missing
            .iter()
            .map(|(_, obstacle)| obstacle)
            .chain(&gathered.broken)
            .filter(|obstacle| obstacle.range == node.range)
            .map(|obstacle| obstacle.message.clone())
            .collect();
        if reasons.is_empty() && value.is_none() {
            reasons = missing;
            // The same path was complained about where it stands first.
            if let NodeKind::Path(path) = &node.kind {
                let first = gathered
                    .missing
                    .iter()
                    .find(|(read, _)| read.path == path.as_str());
                reasons.extend(first.map(|(_, obstacle)| obstacle.message.clone()));
            }
        }
        let missing = (!reasons.is_empty()).then(|| reasons.join("; "));
        operands.push(Operand {
            range: node.range.clone(),
            text: expression.text()[node.range.clone()].to_owned(),
            value: if missing.is_some() { None } else { value },
            missing,
        });
    });
    operands
}

fn describe(failure: Failure) -> String {
    match failure {
        Failure::Kinds { message, .. } | Failure::Value(message) | Failure::Missing(message) => {
            message
        }
    }
}

/// The result of a call as a value of the evidence, for display.
fn shown(typed: &Typed) -> Option<Value> {
    match typed {
        Typed::Bool(value) => Some(Value::Bool { value: *value }),
        Typed::Number(number) => Some(Value::Int {
            value: crate::value::Integer::new(number.value)?,
            type_name: None,
        }),
        Typed::Text(text) => Some(Value::text(text)),
        _ => None,
    }
}

/// Other values that each leaf of the claim, its condition's included, could have had on this machine: for mutation
/// tests. Nothing where a leaf is missing.
pub fn mutants_of(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<(String, Vec<Value>)> {
    let mut all: Vec<(String, Vec<Value>)> = Vec::new();
    for expression in claim.when.iter().chain([&claim.expression]) {
        let gathered = gather(expression, catalog, machine, &[]);
        let hints = Hints::new(
            expression,
            gathered.constants(),
            gathered.values.values(),
            machine,
        );
        for (path, value) in &gathered.values {
            let more = mutants(path, value, &hints);
            match all.iter_mut().find(|(known, _)| known == path) {
                Some((_, list)) => list.extend(more),
                None => all.push((path.clone(), more)),
            }
        }
    }
    all
}

/// Changes what the expression reads until it is false: first each value alone, then all of them. Also says which
/// values did not matter alone.
fn control(
    expression: &Expression,
    gathered: &Gathered,
    machine: &Indexed<'_>,
) -> (Option<Control>, Vec<String>) {
    let hints = Hints::new(
        expression,
        gathered.constants(),
        gathered.values.values(),
        machine,
    );
    let mut bindings = gathered.bindings();
    let mut first = None;
    let mut idle = Vec::new();
    let mut all: Vec<(&str, Vec<Value>)> = Vec::new();
    for read in expression.reads() {
        let Some((key, value)) = gathered.values.get_key_value(&read.path) else {
            continue;
        };
        if all.iter().any(|(seen, _)| *seen == key.as_str()) {
            continue;
        }
        let list = mutants(key, value, &hints);
        let original = bindings.typed.get(key.as_str()).cloned();
        let killer = list.iter().find(|mutant| {
            bindings.typed.insert(key, Typed::from(*mutant));
            is_false(evaluate(&expression.root, &bindings))
        });
        if let Some(original) = original {
            bindings.typed.insert(key, original);
        }
        match killer {
            Some(mutant) => {
                first.get_or_insert_with(|| Control {
                    path: key.clone(),
                    was: value.to_string(),
                    became: mutant.to_string(),
                    verdict: Verdict::Fail,
                });
            }
            None => idle.push(key.clone()),
        }
        all.push((key, list));
    }
    if first.is_none() {
        first = together(expression, gathered, &all);
    }
    (first, idle)
}

/// All values changed at once, for claims such as `a || b` where both hold.
fn together(
    expression: &Expression,
    gathered: &Gathered,
    all: &[(&str, Vec<Value>)],
) -> Option<Control> {
    let mut bindings = gathered.bindings();
    let rounds = all
        .iter()
        .map(|(_, list)| list.len())
        .max()
        .unwrap_or_default();
    for round in 0..rounds {
        let mut became = Vec::with_capacity(all.len());
        for (key, list) in all {
            if list.is_empty() {
                continue;
            }
            let mutant = &list[round % list.len()];
            bindings.typed.insert(key, Typed::from(mutant));
            became.push(mutant.to_string());
        }
        if is_false(evaluate(&expression.root, &bindings)) {
            let join = |texts: Vec<String>| texts.join(", ");
            return Some(Control {
                path: join(all.iter().map(|(key, _)| (*key).to_owned()).collect()),
                was: join(gathered.values.values().map(ToString::to_string).collect()),
                became: join(became),
                verdict: Verdict::Fail,
            });
        }
    }
    None
}

fn is_false(outcome: Result<Typed, Located>) -> bool {
    matches!(outcome, Ok(Typed::Bool(false)))
}
