//! Verdicts: what a claim comes to on one machine, and the negative control that a PASS has to survive.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::resolve::{Catalog, Indexed};
use crate::value::{Datum, Value};

use super::Claim;
use super::eval::{Failure, Located, evaluate};
use super::expression::Expression;
use super::gather::{Gathered, Obstacle, Replaced, gather};
use super::mutants::{Hints, mutants};
use super::node::{Node, NodeKind};
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
        diagnostic: None,
    };
    if let (Some(when), Some(condition)) = (&claim.when, &decided.condition) {
        judgement.when_operands = operands(when, condition);
    }
    match decided.stage {
        Stage::Body(Ok(true)) => {
            court.cross_examine(&decided.body, &mut judgement);
            court.ask_for_names(&mut judgement);
        }
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
struct Court<'a> {
    claim: &'a Claim,
    catalog: &'a Catalog<'a>,
    machine: &'a Indexed<'a>,
    replaced: Replaced<'a>,
}

/// What a claim comes to before its control.
struct Decided {
    condition: Option<Gathered>,
    body: Gathered,
    stage: Stage,
}

/// How far the decision came, and what was found there.
enum Stage {
    /// The condition is false, or neither true nor false.
    Condition(Result<bool, Stopped>),
    /// The condition holds; so is the expression.
    Body(Result<bool, Stopped>),
}

impl Decided {
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
    fn decide(&self, control: &[(&str, &Datum)]) -> Decided {
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
    fn fails_with(&self, values: &[(&str, &Value)]) -> bool {
        let data: Vec<(&str, Datum)> = values
            .iter()
            .map(|(path, value)| (*path, Datum::Value((*value).clone())))
            .collect();
        let replaced: Vec<(&str, &Datum)> =
            data.iter().map(|(path, datum)| (*path, datum)).collect();
        self.decide(&replaced).verdict() == Verdict::Fail
    }

    /// A claim that passes names only what there is; so does the condition under which it does, or does not apply.
    fn ask_for_names(&self, judgement: &mut Judgement) {
        let body = match judgement.verdict {
            Verdict::Pass => Some(&self.claim.expression),
            Verdict::NotApplicable => None,
            _ => return,
        };
        let mut written = body.into_iter().chain(&self.claim.when);
        let found = written.find_map(|expression| {
            let strange = strange(&expression.root, self.catalog)?;
            Some((expression, strange))
        });
        let Some((expression, Strange { text, range, leaf })) = found else {
            return;
        };
        let (message, help) = match leaf {
            Some((leaf, words)) => (
                format!("`{leaf}` is never `{text}`: that it is something else proves nothing"),
                format!("it is one of `{}`", words.join("`, `")),
            ),
            None => (
                format!(
                    "nothing that was captured or is planned is called `{text}`: that it does not occur proves nothing"
                ),
                "correct the name, or plan a probe or a symbol of that name, which shows that there is one".into(),
            ),
        };
        let obstacle = Obstacle {
            message,
            range: range.clone(),
            help: Some(help),
        };
        judgement.verdict = Verdict::Error;
        judgement.control = None;
        let place = match body {
            Some(body) if std::ptr::eq(body, expression) => "",
            _ => "in the condition: ",
        };
        stop(judgement, error(expression, &obstacle), place);
    }

    /// A claim that is true passes if it fails on other values.
    fn cross_examine(&self, body: &Gathered, judgement: &mut Judgement) {
        let Controlled {
            control,
            idle,
            seen_false,
        } = self.control(body);
        judgement.idle = idle;
        judgement.control = control;
        if judgement.control.is_some() {
            return;
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
    }
}

fn stop(judgement: &mut Judgement, stopped: Stopped, prefix: &str) {
    judgement.reason = Some(format!("{prefix}{}", stopped.reason));
    judgement.diagnostic = stopped.diagnostic;
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
        let gathered = gather(expression, catalog, machine, (&[], &[]));
        let hints = Hints::new(
            expression,
            gathered.constants(),
            gathered.values.values(),
            machine,
        );
        for (path, value) in &gathered.values {
            let more: Vec<Value> = mutants(path, value, &hints).collect();
            match all.iter_mut().find(|(known, _)| known == path) {
                Some((_, list)) => list.extend(more),
                None => all.push((path.clone(), more)),
            }
        }
    }
    all
}

/// What the negative control found.
struct Controlled {
    control: Option<Control>,
    /// Values that did not matter alone.
    idle: Vec<String>,
    /// Whether any values made the expression false, with or without the condition.
    seen_false: bool,
}

impl Court<'_> {
    /// Changes what the expression reads until the claim is false: first each value alone, then all of them.
    fn control(&self, body: &Gathered) -> Controlled {
        let expression = &self.claim.expression;
        let hints = Hints::new(
            expression,
            body.constants(),
            body.values.values(),
            self.machine,
        );
        let mut bindings = body.bindings();
        let mut found = Controlled {
            control: None,
            idle: Vec::new(),
            seen_false: false,
        };
        let mut all: Vec<Vec<&str>> = Vec::new();
        for read in expression.reads() {
            let Some((key, value)) = body.values.get_key_value(&read.path) else {
                continue;
            };
            if all.iter().any(|seen| seen.contains(&key.as_str())) {
                continue;
            }
            let keys = self.same_leaf(key, body);
            let original = Typed::of_leaf(key, value);
            // Most often the first of them does it, and the others are never made.
            let mut killers = mutants(key, value, &hints).filter(|mutant| {
                for key in &keys {
                    bindings.typed.insert(key, Typed::of_leaf(key, mutant));
                }
                is_false(evaluate(&expression.root, &bindings))
            });
            // One control of the whole decision is enough; of the other values, whether they matter.
            let killer = match found.control {
                Some(_) => killers.next(),
                None => killers.find(|mutant| {
                    found.seen_false = true;
                    let changed: Vec<_> = keys.iter().map(|key| (*key, mutant)).collect();
                    self.fails_with(&changed)
                }),
            };
            match killer {
                Some(mutant) => {
                    found.control.get_or_insert_with(|| Control {
                        path: key.clone(),
                        was: value.to_string(),
                        became: mutant.to_string(),
                        verdict: Verdict::Fail,
                    });
                }
                None => found.idle.push(key.clone()),
            }
            for key in &keys {
                bindings.typed.insert(key, original.clone());
            }
            all.push(keys);
        }
        if found.control.is_none() {
            let lists = all.into_iter().filter_map(|keys| {
                let key = *keys.first()?;
                let list = mutants(key, body.values.get(key)?, &hints).collect();
                Some((keys, list))
            });
            self.together(body, &lists.collect::<Vec<_>>(), &mut found);
        }
        found
    }

    /// The paths that the claim reads and that lead to the same value as this one: of a probe that fired once, each value
    /// has two, with `hit1` and without.
    fn same_leaf<'g>(&self, key: &'g str, body: &'g Gathered) -> Vec<&'g str> {
        let short = |path: &'g str| match path.split_once(".hit1.") {
            Some((probe, rest)) => {
                let short = format!("{probe}.{rest}");
                match self.machine.leaves.contains(&short) {
                    true => Cow::Owned(short),
                    false => Cow::Borrowed(path),
                }
            }
            None => Cow::Borrowed(path),
        };
        let wanted = short(key);
        let read = body.values.keys().map(String::as_str);
        read.filter(|path| short(path) == wanted).collect()
    }

    /// All values changed at once, for claims such as `a || b` where both hold.
    fn together(&self, body: &Gathered, all: &[(Vec<&str>, Vec<Value>)], found: &mut Controlled) {
        let mut bindings = body.bindings();
        let rounds = all
            .iter()
            .map(|(_, list)| list.len())
            .max()
            .unwrap_or_default();
        for round in 0..rounds {
            let changed: Vec<(&str, &Value)> = all
                .iter()
                .filter(|(_, list)| !list.is_empty())
                .flat_map(|(keys, list)| {
                    let mutant = &list[round % list.len()];
                    keys.iter().map(move |key| (*key, mutant))
                })
                .collect();
            for (key, mutant) in &changed {
                bindings.typed.insert(key, Typed::of_leaf(key, mutant));
            }
            if !is_false(evaluate(&self.claim.expression.root, &bindings)) {
                continue;
            }
            found.seen_false = true;
            if self.fails_with(&changed) {
                let join = |texts: Vec<String>| texts.join(", ");
                let was = |key: &str| body.values.get(key).map(ToString::to_string);
                found.control = Some(Control {
                    path: join(changed.iter().map(|(key, _)| (*key).to_owned()).collect()),
                    was: join(changed.iter().filter_map(|(key, _)| was(key)).collect()),
                    became: join(changed.iter().map(|(_, value)| value.to_string()).collect()),
                    verdict: Verdict::Fail,
                });
                return;
            }
        }
    }
}

fn is_false(outcome: Result<Typed, Located>) -> bool {
    matches!(outcome, Ok(Typed::Bool(false)))
}
