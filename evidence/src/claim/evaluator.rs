//! The decision of a claim on one machine: its condition, then its expression.

use crate::document::value::{Datum, Value};
use crate::path_index::resolve::{Catalog, Indexed};

use super::ast::{Binary, Node, NodeKind};
use super::bind::{Inputs, Replaced, bind};
use super::definition::Claim;
use super::eval::{LocatedFailure, evaluate};
use super::graph::GRAPH;
use super::obstacle::Obstacle;
use super::outside::claim_to_judge;
use super::parse::Expression;
use super::value::{Failure, Typed};
use super::verdict::Verdict;
use crate::diagnostic::Diagnostic;

/// The reason why an expression came to neither true nor false.
pub(super) struct StopReason {
    pub verdict: Verdict,
    pub reason: String,
    pub diagnostic: Option<Diagnostic>,
}

/// One claim on one machine, some of whose leaves may be replaced.
pub(super) struct Evaluator<'a> {
    /// What has to be true on this machine.
    pub claim: &'a Claim,
    /// The claim as it is written: outside of its interval, `claim` is its negation.
    pub written: &'a Claim,
    pub catalog: &'a Catalog<'a>,
    pub machine: &'a Indexed<'a>,
    pub replaced: Replaced<'a>,
}

/// The outcome of a claim before its control.
pub(super) struct Decision<'a> {
    pub condition: Option<Inputs<'a>>,
    pub body: Inputs<'a>,
    pub stage: Stage,
}

/// The last step of the decision, and what was found there.
pub(super) enum Stage {
    /// The condition is false, or neither true nor false.
    Condition(Result<bool, StopReason>),
    /// The condition holds, or there is none: the truth of the expression, or the reason why it has none.
    Body(Result<bool, StopReason>),
}

impl Decision<'_> {
    pub fn verdict(&self) -> Verdict {
        match &self.stage {
            Stage::Condition(Ok(_)) => Verdict::NotApplicable,
            Stage::Body(Ok(true)) => Verdict::Pass,
            Stage::Body(Ok(false)) => Verdict::Fail,
            Stage::Condition(Err(stopped)) | Stage::Body(Err(stopped)) => stopped.verdict,
        }
    }
}

impl Evaluator<'_> {
    /// Decides, with further leaves replaced by values of the control.
    pub fn decide(&self, control: &[(&str, &Datum)]) -> Decision<'_> {
        let gathered = |expression| {
            let replaced = (self.replaced, control);
            bind(expression, self.catalog, self.machine, replaced)
        };
        let body = gathered(&self.claim.expression);
        let Some(when) = &self.claim.when else {
            let stage = Stage::Body(truth(&self.claim.expression, &body));
            return Decision {
                condition: None,
                body,
                stage,
            };
        };
        let condition = gathered(when);
        let stage = match truth(when, &condition) {
            Ok(true) => Stage::Body(truth(&self.claim.expression, &body)),
            Err(stopped)
                if stopped.verdict == Verdict::Unverified
                    && has_false_part(&when.root, &condition) =>
            {
                Stage::Condition(Ok(false))
            }
            other => Stage::Condition(other),
        };
        Decision {
            condition: Some(condition),
            body,
            stage,
        }
    }

    /// True if these very values in the place of those of `body` make the claim FAIL, its condition and its interval included:
    /// decided as the claim itself was.
    pub fn fails_with(&self, values: &[(&str, Value)], body: &Inputs<'_>) -> bool {
        if self.claim.when.is_none() && self.written.holds.is_none() {
            // Nothing but the expression depends on them.
            let truth = truth(&self.claim.expression, &body.replacing(values));
            return matches!(truth, Ok(false));
        }
        self.replacing(values, |evaluator, replaced| {
            evaluator.decide(replaced).verdict() == Verdict::Fail
        })
        .unwrap_or(false)
    }

    /// True if the claim says with these values what it says now: its condition holds, and the kernel is on the same side of its
    /// interval.
    pub fn applies_with(&self, values: &[(&str, Value)]) -> bool {
        if self.claim.when.is_none() && self.written.holds.is_none() {
            return true;
        }
        self.replacing(values, |evaluator, replaced| {
            evaluator.claim.negated == self.claim.negated
                && matches!(evaluator.decide(replaced).stage, Stage::Body(_))
        })
        .unwrap_or(false)
    }

    /// Ask the evaluator of what has to be true with these values; `None`: they do not say which that is.
    fn replacing<T>(
        &self,
        values: &[(&str, Value)],
        ask: impl FnOnce(&Evaluator<'_>, &[(&str, &Datum)]) -> T,
    ) -> Option<T> {
        let data: Vec<(&str, Datum)> = values
            .iter()
            .map(|(path, value)| (*path, Datum::Value(value.clone())))
            .collect();
        let control: Vec<(&str, &Datum)> =
            data.iter().map(|(path, datum)| (*path, datum)).collect();
        let all: Vec<(&str, &Datum)> = control.iter().chain(self.replaced).copied().collect();
        let stated = claim_to_judge(self.written, self.machine, &all).ok()?;
        let evaluator = Evaluator {
            claim: stated.as_ref().unwrap_or(self.written),
            ..*self
        };
        Some(ask(&evaluator, &control))
    }
}

/// True if a part of this conjunction is false and reads nothing that is missing: then the condition is false whatever the rest is,
/// as in `kernel.arch == 'x86_64' && …` of an option that kernels of another architecture do not have.
fn has_false_part(node: &Node, gathered: &Inputs<'_>) -> bool {
    if let NodeKind::Binary(Binary::And, sides) = &node.kind {
        return sides.iter().any(|side| has_false_part(side, gathered));
    }
    let lacks = |(_, obstacle): &(_, Obstacle)| {
        obstacle.range.start < node.range.end && node.range.start < obstacle.range.end
    };
    !gathered.missing.iter().any(lacks)
        && matches!(evaluate(node, &gathered.bindings()), Ok(Typed::Bool(false)))
}

/// Evaluate the expression, given what was gathered. Everything it reads has to be there.
#[allow(clippy::result_large_err, reason = "made at most once per judgement")]
fn truth(expression: &Expression, gathered: &Inputs<'_>) -> Result<bool, StopReason> {
    if let Some(obstacle) = gathered.broken.first() {
        return Err(stop_for_error(expression, obstacle));
    }
    let outcome = evaluate(&expression.root, &gathered.bindings());
    // A mistake of the claim is a mistake with and without the values that are missing.
    if !gathered.missing.is_empty() {
        return match outcome {
            Err(
                located @ LocatedFailure {
                    failure: Failure::Kinds { .. },
                    ..
                },
            ) => Err(stop_for_failure(expression, located)),
            _ => Err(StopReason {
                verdict: Verdict::Unverified,
                reason: describe_missing(gathered),
                diagnostic: None,
            }),
        };
    }
    match outcome {
        Ok(Typed::Bool(truth)) => Ok(truth),
        Ok(other) => Err(stop_for_error(
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
        Err(located) => Err(stop_for_failure(expression, located)),
    }
}

/// All missing values, each value once and each reason once.
fn describe_missing(gathered: &Inputs<'_>) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (read, obstacle) in &gathered.missing {
        // Of a function in a tree, the name that the claim writes.
        let path = match read.path.split_once(GRAPH) {
            Some((_, rest)) => rest.split('#').next().unwrap_or(rest),
            None => read.path.as_str(),
        };
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

fn stop_for_failure(expression: &Expression, located: LocatedFailure) -> StopReason {
    let LocatedFailure { failure, range } = located;
    let (message, help) = match failure {
        Failure::Kinds { message, help } => (message, help),
        Failure::Value(message) => (message, None),
        Failure::Missing(reason) => {
            return StopReason {
                verdict: Verdict::Unverified,
                reason: format!("`{}`: {reason}", &expression.text()[range]),
                diagnostic: None,
            };
        }
    };
    stop_for_error(
        expression,
        &Obstacle {
            message,
            range,
            help,
        },
    )
}

pub(super) fn stop_for_error(expression: &Expression, obstacle: &Obstacle) -> StopReason {
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
    StopReason {
        verdict: Verdict::Error,
        reason: format!("`{place}`: {}", obstacle.message),
        diagnostic: Some(diagnostic),
    }
}
