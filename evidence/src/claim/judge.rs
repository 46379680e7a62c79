//! Judgement: the verdict on a claim on one machine, and the negative control that a PASS has to survive.

use std::ops::Range;

use crate::path_index::resolve::{Catalog, Indexed};

use super::alternatives::Changed;
use super::bind::{Inputs, Replaced};
use super::c_types::width_is_missing;
use super::control::ControlOutcome;
use super::definition::Claim;
use super::evaluator::{Decision, Evaluator, Stage, StopReason, stop_for_error};
use super::holds::KernelInterval;
use super::name_check::{UnresolvedName, find_unresolved_name};
use super::obstacle::Obstacle;
use super::operands::operands;
use super::outside;
use super::parse::{Expression, ReadPath, collect_reads};
use super::parts::ExpressionPart;
use super::silence::{find_denied_caller, find_unseen_free, grounds};
use super::units::find_unit_mismatch;
use super::verdict::{Judgement, Verdict};

/// Judge a claim on one machine.
pub fn judge(claim: &Claim, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Judgement {
    let mut judgement = judge_replacing(claim, catalog, machine, &[]);
    if judgement.verdict == Verdict::Pass {
        // Outside of its interval, it passes because it is false.
        let stated = outside::claim_to_judge(claim, machine, &[]).ok().flatten();
        let claim = stated.as_ref().unwrap_or(claim);
        let written = claim.when.iter().chain([&claim.expression]);
        judgement.rests_on = written
            .flat_map(|expression| grounds(&expression.root, catalog, machine))
            .collect();
        judgement.rests_on.dedup();
    }
    judgement
}

/// Judge a claim on one machine through the same code as [`judge`], with some leaves replaced: for mutation tests.
pub fn judge_replacing(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Judgement {
    match outside::claim_to_judge(claim, machine, replaced) {
        Ok(None) => judge_stated((claim, claim), catalog, machine, replaced),
        Ok(Some(negated)) => {
            let mut judgement = judge_stated((&negated, claim), catalog, machine, replaced);
            if judgement.verdict == Verdict::Pass && !is_shown_inside(claim, catalog, machine) {
                outside::mark_never_shown(&mut judgement, claim);
            }
            outside::convert_negated_judgement(judgement, claim, machine)
        }
        Err(reason) => {
            // What it says anyway, such as a mistake, it says without an interval.
            let plain = Claim {
                holds: None,
                ..claim.clone()
            };
            let judgement = judge_stated((&plain, &plain), catalog, machine, replaced);
            let holds = claim.holds.as_ref().map_or("", KernelInterval::text);
            outside::undecided_judgement(judgement, &reason, holds)
        }
    }
}

/// True if a machine of the book shows that the claim is true inside its interval. Otherwise it could say anything about
/// kernels that were never captured. That machine is of the architecture of `outside`, or there is another one of its own architecture
/// on which the claim is false outside: else the architecture might be what makes the difference.
fn is_shown_inside(claim: &Claim, catalog: &Catalog<'_>, outside: &Indexed<'_>) -> bool {
    let arch = |machine: &Indexed<'_>| machine.evidence.kernel.arch.clone();
    let passes = |machine: &Indexed<'_>, inside: bool| {
        let (stated, is_inside) = match outside::claim_to_judge(claim, machine, &[]) {
            Ok(None) => (None, true),
            Ok(Some(negated)) => (Some(negated), false),
            Err(_) => return false,
        };
        let stated = stated.as_ref().unwrap_or(claim);
        inside == is_inside
            && judge_stated((stated, claim), catalog, machine, &[]).verdict == Verdict::Pass
    };
    let machines = || catalog.machines.iter();
    machines().any(|inside| {
        passes(inside, true)
            && (arch(inside) == arch(outside)
                || machines().any(|other| arch(other) == arch(inside) && passes(other, false)))
    })
}

/// Judge a claim that has to be true on this machine, with the claim as it is written.
fn judge_stated(
    (claim, written): (&Claim, &Claim),
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Judgement {
    let evaluator = Evaluator {
        claim,
        written,
        catalog,
        machine,
        replaced,
    };
    let decided = evaluator.decide(&[]);
    let mut judgement = Judgement {
        verdict: decided.verdict(),
        operands: operands(&claim.expression, &decided.body),
        when_operands: Vec::new(),
        reason: None,
        control: None,
        rests_on: Vec::new(),
        insensitive_to: Vec::new(),
        outside: None,
        diagnostic: None,
    };
    if let (Some(when), Some(condition)) = (&claim.when, &decided.condition) {
        judgement.when_operands = operands(when, condition);
    }
    if matches!(decided.stage, Stage::Body(Ok(true))) {
        evaluator.check_text(&mut judgement);
        let unturned = evaluator.control_whole(&decided.body, &mut judgement);
        evaluator.control_parts(&decided, unturned, &mut judgement);
    }
    match decided.stage {
        Stage::Body(Ok(true)) => {}
        Stage::Body(Ok(false)) => {}
        Stage::Condition(Ok(_)) => {
            let when = claim.when.as_ref().map_or("", Expression::text);
            judgement.reason = Some(format!("`{when}` is false here"));
            evaluator.check_text(&mut judgement);
        }
        Stage::Condition(Err(stopped)) => stop(&mut judgement, stopped, "in the condition: "),
        Stage::Body(Err(stopped)) => {
            stop(&mut judgement, stopped, "");
            evaluator.explain_unknown_names(&mut judgement);
        }
    }
    judgement
}

impl Evaluator<'_> {
    /// If a claim is UNVERIFIED although all its values are there, puts before the reason the words in it that occur nowhere: often
    /// they are misspelt. Existing names are not suggested, because they may be a live machine's.
    fn explain_unknown_names(&self, judgement: &mut Judgement) {
        let all_there = judgement.operands.iter().all(|one| one.missing.is_none());
        let Some(reason) = &mut judgement.reason else {
            return;
        };
        if judgement.verdict != Verdict::Unverified || !all_there {
            return;
        }
        let root = &self.claim.expression.root;
        if let Some(UnresolvedName::Unknown(obstacle)) =
            find_unresolved_name(root, self.catalog, self.machine)
        {
            // It is the likely cause of all the others.
            *reason = format!("{}; {reason}", obstacle.message);
        }
    }

    /// Checks that a claim that passes contains only words that exist, and does not depend on an object that may have been
    /// freed unseen; likewise the condition because of which it applies, or does not apply.
    fn check_text(&self, judgement: &mut Judgement) {
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
        // A claim that does not apply depends on its condition being false.
        let holds = judgement.verdict == Verdict::Pass;
        let found = written.find_map(|(expression, place)| {
            let name = || self.find_unresolved_name(expression);
            let caller = || {
                let (range, reason) = find_denied_caller(&expression.root, holds)?;
                Some(stop_as_unverified(expression, range, &reason))
            };
            let stopped = name()
                .or_else(|| self.find_unseen_free(expression, holds))
                .or_else(caller)?;
            Some((stopped, place))
        });
        let Some((stopped, place)) = found else {
            return;
        };
        judgement.verdict = stopped.verdict;
        judgement.control = None;
        stop(judgement, stopped, place);
    }

    /// Find a text in an expression that proves nothing.
    fn find_unresolved_name(&self, expression: &Expression) -> Option<StopReason> {
        Some(
            match find_unresolved_name(&expression.root, self.catalog, self.machine)? {
                UnresolvedName::Unknown(obstacle) => stop_for_error(expression, &obstacle),
                UnresolvedName::Elsewhere(obstacle) => {
                    stop_as_unverified(expression, obstacle.range, &obstacle.message)
                }
            },
        )
    }

    /// Find a part that depends on an object that may have been freed unseen. `holds`: the expression is true.
    fn find_unseen_free(&self, expression: &Expression, holds: bool) -> Option<StopReason> {
        let (range, reason) =
            find_unseen_free(&expression.root, holds, self.catalog, self.machine)?;
        Some(stop_as_unverified(expression, range, &reason))
    }

    /// Each part of a claim that passes, and its condition with each of its parts, comes out otherwise on other values. Of the
    /// claim's own parts, those are left that the control of the whole did not turn.
    fn control_parts(
        &self,
        decision: &Decision<'_>,
        unturned: Vec<ExpressionPart<'_>>,
        judgement: &mut Judgement,
    ) {
        if judgement.control.is_none() {
            return;
        }
        let body = &self.claim.expression;
        let denied = match self.claim.negated {
            true => self.negated_parts(body, &decision.body),
            false => Vec::new(),
        };
        let all = unturned.into_iter().chain(denied).collect();
        let unlike = self.first_unit_mismatch(decision);
        if let Some((expression, obstacle, place)) = unlike {
            judgement.verdict = Verdict::Error;
            judgement.control = None;
            stop(judgement, stop_for_error(expression, &obstacle), place);
            return;
        }
        let applies = |changed: &Changed<'_>| self.applies_with(changed);
        let in_body = self.constant_part((body, &decision.body), all, &applies);
        let in_condition = || {
            let when = self.claim.when.as_ref()?;
            let gathered = decision.condition.as_ref()?;
            let all = self.all_parts(when, gathered);
            let part = self.constant_part((when, gathered), all, &|_| true)?;
            Some((when, part, "in the condition: "))
        };
        let found = in_body.map(|part| (body, part, "")).or_else(in_condition);
        if let Some((expression, part, place)) = found {
            let gathered = if place.is_empty() {
                Some(&decision.body)
            } else {
                decision.condition.as_ref()
            };
            // Without the condition and the interval, it may be able to change.
            let repeats = place.is_empty()
                && self
                    .constant_part((body, &decision.body), vec![part], &|_| true)
                    .is_none();
            let scope = self.scope().filter(|_| repeats);
            let stopped = gathered
                .and_then(|gathered| self.find_missing_width(&collect_reads(part.node), gathered))
                .unwrap_or_else(|| {
                    stop_for_error(expression, &constant_part_obstacle(part, scope))
                });
            judgement.verdict = stopped.verdict;
            judgement.control = None;
            stop(judgement, stopped, place);
        }
    }

    /// What limits the claim to some evidence: its interval or its condition, in words.
    fn scope(&self) -> Option<&'static str> {
        match (&self.written.holds, &self.claim.when) {
            (None, None) => None,
            (Some(_), None) => Some("interval"),
            (None, Some(_)) => Some("condition"),
            (Some(_), Some(_)) => Some("interval or condition"),
        }
    }

    /// The first comparison of values with different units, in the claim or in its condition. A negated claim is checked in its
    /// original form, on the machines inside its interval.
    fn first_unit_mismatch<'d>(
        &'d self,
        decision: &'d Decision<'_>,
    ) -> Option<(&'d Expression, Obstacle, &'static str)> {
        let body = (!self.claim.negated).then_some((&self.claim.expression, &decision.body, ""));
        let condition = self.claim.when.as_ref().zip(decision.condition.as_ref());
        let condition = condition.map(|(when, gathered)| (when, gathered, "in the condition: "));
        let mut all = body.into_iter().chain(condition);
        all.find_map(|(expression, gathered, place)| {
            let parts = self.all_parts(expression, gathered);
            let obstacle = find_unit_mismatch(&parts, &gathered.bindings())?;
            Some((expression, obstacle, place))
        })
    }

    /// A claim that is true passes if it fails on other values.
    fn control_whole(
        &self,
        body: &Inputs<'_>,
        judgement: &mut Judgement,
    ) -> Vec<ExpressionPart<'_>> {
        if judgement.verdict != Verdict::Pass {
            return Vec::new();
        }
        let ControlOutcome {
            control,
            insensitive_to,
            seen_false,
            unturned,
        } = self.control(body);
        judgement.insensitive_to = insensitive_to;
        judgement.control = control;
        if judgement.control.is_some() {
            return unturned;
        }
        let expression = &self.claim.expression;
        if let Some(stopped) = self.find_missing_width(expression.reads(), body) {
            judgement.verdict = stopped.verdict;
            stop(judgement, stopped, "");
            return Vec::new();
        }
        judgement.verdict = Verdict::Error;
        let (reason, help) = match (seen_false, self.scope()) {
            (false, _) => (
                "the claim cannot fail: whatever other values the evidence had, it would not be false",
                "claim something that a measurement could contradict",
            ),
            (true, Some("interval")) => (
                "the claim cannot fail: whatever other values the evidence had, the kernel would be on the other side of the interval where \
                 they change it",
                "the claim must not say what its interval says",
            ),
            (true, Some("interval or condition")) => (
                "the claim cannot fail: whatever other values the evidence had, its condition would not hold, or the kernel would be on the \
                 other side of the interval, where they change it",
                "the claim must not say what its interval or its condition says",
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

    /// Find a number that a PASS reads and whose width is unknown: it may be vacuous.
    fn find_missing_width(&self, reads: &[ReadPath], gathered: &Inputs<'_>) -> Option<StopReason> {
        let evidence = self.machine.evidence;
        let path = reads.iter().find(|read| {
            let value = gathered.values.get(&read.path);
            value.is_some_and(|value| width_is_missing(&read.path, value, evidence))
        })?;
        Some(StopReason {
            verdict: Verdict::Unverified,
            reason: format!(
                "the evidence does not tell the width of `{}`, so that it is not known whether any number of it would make this false: capture again",
                path.path
            ),
            diagnostic: None,
        })
    }
}

/// UNVERIFIED, as the verdict on an expression with a part that proves nothing.
fn stop_as_unverified(expression: &Expression, part: Range<usize>, why: &str) -> StopReason {
    StopReason {
        verdict: Verdict::Unverified,
        reason: format!("`{}`: {why}", &expression.text()[part]),
        diagnostic: None,
    }
}

/// What to say of a part that says nothing; `scope`: where what limits the claim to some evidence says it already.
fn constant_part_obstacle(part: ExpressionPart<'_>, scope: Option<&str>) -> Obstacle {
    let (now, never) = if part.truth {
        ("true", "false")
    } else {
        ("false", "true")
    };
    let message = match scope {
        None => format!(
            "this part cannot be {never}: whatever other values the evidence had, it would be {now}"
        ),
        Some(scope) => format!(
            "this part cannot be {never} where the claim applies: its {scope} says the same, and whatever other values the evidence had, \
             it would be {now}"
        ),
    };
    Obstacle {
        message,
        range: part.node.range.clone(),
        help: Some(
            "take it out, or say something there that a measurement could contradict".into(),
        ),
    }
}

fn stop(judgement: &mut Judgement, reason: StopReason, prefix: &str) {
    judgement.reason = Some(format!("{prefix}{}", reason.reason));
    judgement.diagnostic = reason.diagnostic;
}
