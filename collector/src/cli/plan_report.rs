//! The plan as data for other programs: `plan --format json`.

use std::collections::BTreeMap;

use qed_evidence::diagnostic::{Diagnostic, Severity};
use qed_evidence::document::{Target, UnwatchedCause};
use serde::Serialize;

use super::instances::ProbedFunctions;
use crate::plan::{PlannedExperiment, PlannedProbe, PlannedRead};
use crate::reason::Reason;

/// The plan of one machine.
#[derive(Debug, Serialize)]
pub(super) struct MachineReport {
    /// The machine.
    pub machine: String,
    /// The programs that will be run, and those that are left out, in words.
    pub announced: Vec<String>,
    /// The experiments.
    pub experiments: Vec<ExperimentReport>,
    /// The notes about it: errors are about what is refused and not optional.
    pub notes: Vec<NoteReport>,
}

/// A note about a plan.
#[derive(Debug, Serialize)]
pub(super) struct NoteReport {
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// The place in the investigation: file, line and column, both from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl NoteReport {
    /// All of `notes`.
    pub fn from_notes(notes: &[Diagnostic]) -> Vec<Self> {
        notes.iter().map(Self::new).collect()
    }

    fn new(note: &Diagnostic) -> Self {
        let place = note.place.as_ref().zip(note.line_column());
        Self {
            severity: match note.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: note.message.clone(),
            help: note.help.clone(),
            place: place
                .map(|((source, _), (line, column))| format!("{}:{line}:{column}", source.name)),
        }
    }
}

/// The plan of an experiment.
#[derive(Debug, Serialize)]
pub(super) struct ExperimentReport {
    name: String,
    isolated: bool,
    /// The reason why its workload cannot be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    probes: Vec<ProbeReport>,
}

/// The plan of a probe.
#[derive(Debug, Serialize)]
struct ProbeReport {
    name: String,
    kind: &'static str,
    target: String,
    optional: bool,
    /// The reason why it cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    parameters: Vec<ValueReport>,
    #[serde(rename = "return", skip_serializing_if = "Option::is_none")]
    returns: Option<ValueReport>,
    entry: Vec<ValueReport>,
    exit: Vec<ValueReport>,
    /// The copies of its function, and which of them are watched, in words.
    copies: Vec<String>,
}

/// A parameter, a result or a read.
#[derive(Debug, Serialize)]
struct ValueReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Of a list: how many of its elements are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    /// The reason why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl ExperimentReport {
    /// The plan of `experiment`; `found` are the copies of its functions.
    pub fn new(experiment: &PlannedExperiment, found: &Result<ProbedFunctions, Reason>) -> Self {
        let probe = |probe| ProbeReport::new(experiment, probe, found.as_ref().ok());
        Self {
            name: experiment.name.clone(),
            isolated: experiment.isolated,
            refused: experiment.refused.as_ref().map(ToString::to_string),
            probes: experiment.probes.iter().map(probe).collect(),
        }
    }
}

impl ProbeReport {
    fn new(
        experiment: &PlannedExperiment,
        probe: &PlannedProbe,
        found: Option<&ProbedFunctions>,
    ) -> Self {
        let (kind, target) = match &probe.target {
            Target::Function(name) => ("function", name),
            Target::Tracepoint(name) => ("tracepoint", name),
            Target::Lsm(name) => ("lsm", name),
            Target::Address(name) => ("address", name),
        };
        let within = found.and_then(|found| found.within_refusal(probe));
        let refused = within.map(UnwatchedCause::within_reason);
        let copies = found.filter(|_| probe.source.is_ok());
        let copies = copies.map_or_else(String::new, |found| found.text(experiment, probe));
        Self {
            name: probe.name.clone(),
            kind,
            target: target.clone(),
            optional: probe.optional,
            refused: refused.or_else(|| probe.source.as_ref().err().map(ToString::to_string)),
            parameters: (probe.parameters.iter())
                .map(|parameter| ValueReport {
                    name: Some(parameter.name.clone()),
                    type_name: Some(parameter.type_name.clone()),
                    path: None,
                    limit: None,
                    refused: parameter.register.as_ref().err().map(ToString::to_string),
                })
                .collect(),
            returns: probe.returns.as_ref().map(|returns| ValueReport {
                name: None,
                type_name: returns.decode.is_ok().then(|| returns.type_name.clone()),
                path: None,
                limit: None,
                refused: returns.decode.as_ref().err().map(ToString::to_string),
            }),
            entry: value_reports(&probe.entry, &probe.refused.entry),
            exit: value_reports(&probe.exit, &probe.refused.exit),
            copies: copies.lines().map(|line| line.trim().to_owned()).collect(),
        }
    }
}

fn value_reports(planned: &[PlannedRead], refused: &BTreeMap<String, Reason>) -> Vec<ValueReport> {
    let planned = planned.iter().map(|read| ValueReport {
        name: Some(read.name.clone()),
        type_name: Some(read.decode.type_name().to_owned()).filter(|name| !name.is_empty()),
        path: Some(read.path.clone()),
        limit: read.list.as_ref().map(|list| list.elements.len()),
        refused: None,
    });
    let refused = refused.iter().map(|(name, why)| ValueReport {
        name: Some(name.clone()),
        type_name: None,
        path: None,
        limit: None,
        refused: Some(why.to_string()),
    });
    planned.chain(refused).collect()
}
