//! Check of a workload's outcome: its results, its end and its output agree.

use super::finding::{Finding, number};
use crate::constants::errno_number;
use crate::document::Experiment;
use crate::document::value::{Datum, Value};

/// Longer output may have been cut.
const WHOLE: usize = 60_000;

/// Find the first contradiction in how an experiment ended.
pub(super) fn check_outcome(at: &str, experiment: &Experiment) -> Option<Finding> {
    let outcome = &experiment.outcome;
    if outcome.exit.value().is_some() && outcome.signal.value().is_some() {
        let reason = "the process ended by itself, and so no signal ended it".into();
        return Some((format!("{at}/outcome/signal"), reason));
    }
    check_errno(at, experiment)
        .or_else(|| check_printed_result(at, experiment))
        .or_else(|| check_code(at, experiment))
}

/// Check that user space saw the error that the kernel returned, or none.
fn check_errno(at: &str, experiment: &Experiment) -> Option<Finding> {
    let outcome = &experiment.outcome;
    let (returned, errno) = (outcome.returned.value()?, outcome.errno.value()?);
    let seen = errno.as_integer()?;
    let expected = match returned {
        Value::Errno { value, .. } => -i128::from(*value),
        _ => 0,
    };
    (seen != expected).then(|| {
        let reason = format!("the call returned `{returned}`, so its error number is {expected}");
        (format!("{at}/outcome/errno"), reason)
    })
}

/// Parts of the names of system calls that can write to standard output, and so write anything there.
const WRITERS: [&str; 7] = ["write", "send", "splice", "tee", "copy", "submit", "uring"];

/// Check that the line about its call that earlier collectors wrote to the workload's output, `socket(2, 1, 0) = 3`, says what the call
/// returned.
fn check_printed_result(at: &str, experiment: &Experiment) -> Option<Finding> {
    // The output of an ordinary program can be anything.
    experiment.call.as_ref()?;
    let calls = experiment.workload.as_str();
    if WRITERS.iter().any(|word| calls.contains(word)) {
        return None;
    }
    let returned = experiment.outcome.returned.value()?;
    let text = match experiment.outcome.stdout.value()? {
        Value::Text { value } if value.len() < WHOLE => value,
        _ => return None,
    };
    let line = text.lines().next_back()?;
    let result = parse_result_line(&experiment.workload, line)
        // Of several calls the last prints the last line, and is named last.
        .or_else(|| parse_result_line(experiment.workload.rsplit_once("; ")?.1, line))?;
    let same = match result.strip_prefix("-1 ") {
        // The kernel's own numbers have one name here, and may have others elsewhere.
        Some(error) => match (returned, errno_number(error)) {
            (Value::Errno { value, .. }, Some(number)) => value.unsigned_abs() == number,
            (Value::Errno { .. }, None) => true,
            _ => false,
        },
        None => {
            !matches!(returned, Value::Errno { .. })
                && result.parse().ok() == number(&Datum::Value(returned.clone()))
        }
    };
    (!same).then(|| {
        let reason = format!("the workload printed `{result}`, and its call returned `{returned}`");
        (format!("{at}/outcome/stdout"), reason)
    })
}

/// The result that the line `socket(2, 1, 0) = 3` tells, if it is one about this call, `$sock = socket(AF_INET, …)`.
fn parse_result_line<'l>(call: &str, line: &'l str) -> Option<&'l str> {
    let call = call.strip_prefix('$').map_or(Some(call), |named| {
        named.split_once(" = ").map(|(_, call)| call)
    })?;
    let (name, _) = call.split_once('(')?;
    let rest = line.strip_prefix(name)?;
    let (_, result) = rest.starts_with('(').then_some(rest)?.rsplit_once(") = ")?;
    Some(result)
}

/// Check that the workload's instructions follow each other, and that the one that makes the call is among them.
fn check_code(at: &str, experiment: &Experiment) -> Option<Finding> {
    let call = experiment.call.as_ref()?;
    let mut next = call.code.first()?.offset;
    for (index, one) in call.code.iter().enumerate() {
        if one.offset != next {
            let reason = format!(
                "the instruction before it ends at {next}, not at {}",
                one.offset
            );
            return Some((format!("{at}/call/code/{index}/offset"), reason));
        }
        next = one.offset.saturating_add(one.bytes.0.len() as u64);
    }
    let known = !call.instruction.is_pseudonym() && !call.function.is_pseudonym();
    (known && call.call_instruction().is_none()).then(|| {
        let reason = "no instruction of the workload's code is at this address".into();
        (format!("{at}/call/instruction"), reason)
    })
}
