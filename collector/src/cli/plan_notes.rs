//! The notes about plans: those that captures give as well, and the workloads that no kernel takes.

use std::collections::BTreeMap;

use qed_evidence::diagnostic::{Diagnostic, sort};
use qed_evidence::document::{Reads, UnwatchedCause};
use qed_evidence::investigation::{Investigation, LeakExemption};
use qed_evidence::observation::{Moment, SeenExperiment, SeenExperiments, SeenProbe, notes_of};

use super::instances::ProbedFunctions;
use crate::plan::expr::Decoder;
use crate::plan::{FewArguments, PlannedExperiment, PlannedProbe, PlannedRead};
use crate::reason::Reason;

/// The parts of one machine's plan that notes are about.
pub(super) struct MachinePlan {
    experiments: SeenExperiments,
    /// The reasons why workloads cannot be run, by experiment.
    workloads: BTreeMap<String, Reason>,
    /// The system calls with too few arguments.
    few: Vec<FewArguments>,
}

impl MachinePlan {
    /// The plan of a machine; `found` are its kernel's functions, if they are known.
    pub fn new(
        investigation: &Investigation,
        experiments: &[PlannedExperiment],
        found: Option<&ProbedFunctions>,
    ) -> Self {
        let workloads = experiments
            .iter()
            .filter_map(|one| Some((one.name.clone(), one.refused.clone()?)));
        Self {
            workloads: workloads.collect(),
            few: experiments.iter().flat_map(|one| one.few.clone()).collect(),
            experiments: experiments
                .iter()
                .map(|one| {
                    let excuses = investigation.experiment(&one.name);
                    let excuses = excuses.map_or(&[][..], |experiment| &experiment.excuses);
                    (one.name.clone(), seen_experiment(one, excuses, found))
                })
                .collect(),
        }
    }
}

fn seen_experiment(
    experiment: &PlannedExperiment,
    excuses: &[LeakExemption],
    found: Option<&ProbedFunctions>,
) -> SeenExperiment {
    let probes = experiment.probes.iter().map(|probe| {
        let within = found.and_then(|found| found.within_refusal(probe));
        let mut seen = seen_probe(probe, within);
        let doubt = found.and_then(|found| found.within_doubt(probe));
        seen.doubt = doubt.map(UnwatchedCause::within_reason);
        (probe.name.clone(), seen)
    });
    let excuses = excuses.iter().filter_map(|excuse| {
        let doubt = found?.excuse_doubt(&excuse.within)?;
        Some((excuse.within.clone(), doubt.to_owned()))
    });
    SeenExperiment {
        excuses: excuses.collect(),
        ran: true,
        signal: None,
        probes: probes.collect(),
    }
}

fn seen_probe(probe: &PlannedProbe, within: Option<&str>) -> SeenProbe {
    let own = probe.source.as_ref().err().map(ToString::to_string);
    let parameters = probe.parameters.iter();
    SeenProbe {
        unavailable: own
            .map(|reason| (UnwatchedCause::Target, reason))
            .or_else(|| {
                within.map(|why| (UnwatchedCause::Within, UnwatchedCause::within_reason(why)))
            }),
        doubt: None,
        refused: Reads {
            entry: reason_texts(&probe.refused.entry),
            exit: reason_texts(&probe.refused.exit),
        },
        arguments: parameters
            .clone()
            .filter(|one| one.register.is_ok() || !one.type_name.is_empty())
            .map(|parameter| parameter.name.clone())
            .collect(),
        unreadable: parameters
            .filter_map(|one| Some((one.name.clone(), one.register.as_ref().err()?.to_string())))
            .collect(),
        nameable: probe
            .parameters
            .iter()
            .filter_map(|one| Some((one.name.clone(), one.nameable.clone()?)))
            .collect(),
        hits: 0,
        interrupts: 0,
        addresses: Reads {
            entry: address_types(&probe.entry),
            exit: address_types(&probe.exit),
        },
    }
}

fn reason_texts(refused: &BTreeMap<String, Reason>) -> BTreeMap<String, String> {
    let each = refused.iter();
    each.map(|(name, reason)| (name.clone(), reason.to_string()))
        .collect()
}

fn address_types(reads: &[PlannedRead]) -> BTreeMap<String, String> {
    let mut types = BTreeMap::new();
    for read in reads {
        add_address_types(&read.name, &read.decode, &mut types);
    }
    types
}

/// The types of a value, or of the members of a structure that is read whole, that are addresses, by the names of the values.
fn add_address_types(name: &str, decode: &Decoder, types: &mut BTreeMap<String, String>) {
    match decode {
        Decoder::Pointer { type_name, .. } => {
            types.insert(name.to_owned(), type_name.clone());
        }
        Decoder::Structure { fields, .. } => {
            for field in fields {
                if let Ok(decode) = &field.decode {
                    add_address_types(&format!("{name}.{}", field.name), decode, types);
                }
            }
        }
        _ => {}
    }
}

/// The notes about the plans of these machines, in the order of the investigation: errors are about what all of them refuse.
pub(super) fn notes_of_plans(
    investigation: &Investigation,
    machines: &[MachinePlan],
) -> Vec<Diagnostic> {
    let seen: Vec<SeenExperiments> = machines
        .iter()
        .map(|machine| machine.experiments.clone())
        .collect();
    let mut notes = notes_of(investigation, &seen, Moment::Planned);
    notes.extend(investigation.experiments.iter().filter_map(|experiment| {
        let reasons = machines
            .iter()
            .map(|machine| machine.workloads.get(&experiment.name));
        let reasons: Option<Vec<&Reason>> = reasons.collect();
        let reason = *reasons?.first()?;
        let message = format!(
            "the workload of `{}` would not be run: {reason}",
            experiment.name
        );
        let place = investigation.refused_place(&experiment.workload, reason);
        let span = place.unwrap_or_else(|| experiment.span.clone());
        Some(Diagnostic::error(&investigation.source, span, message))
    }));
    let few = machines.iter().flat_map(|machine| &machine.few);
    notes.extend(few_argument_notes(investigation, few));
    sort(&mut notes);
    notes
}

/// Notes about system calls with fewer arguments than a kernel takes, each once.
pub(super) fn few_argument_notes<'f>(
    investigation: &Investigation,
    few: impl IntoIterator<Item = &'f FewArguments>,
) -> Vec<Diagnostic> {
    let mut notes: Vec<Diagnostic> = Vec::new();
    for one in few {
        let arguments = |count| match count {
            1 => "1 argument".to_owned(),
            count => format!("{count} arguments"),
        };
        let message = format!(
            "`{}` is made with {}, and takes {}: {}",
            one.call,
            arguments(one.given),
            one.taken.len(),
            one.taken.join(", ")
        );
        let source = &investigation.source;
        let note = Diagnostic::error(source, one.span.clone(), message)
            .warning()
            .help("the kernel takes 0 for each that is not there: write it, if that is meant");
        // Experiments inherit workloads, and machines are alike.
        if notes.iter().all(|other| other.place != note.place) {
            notes.push(note);
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expr::StructureField;

    /// Check that addresses in structures that are read whole are among those that notes are about, by the names that captures give
    /// them, and that members which no kernel can read are not.
    #[test]
    fn addresses_in_structures() {
        let field = |name: &str, decode| StructureField {
            name: name.to_owned(),
            offset: 0,
            decode,
        };
        let pointer = || Decoder::Pointer {
            type_name: "const unsigned char *".into(),
            to_function: false,
            signature_bits: 0,
        };
        let structure = Decoder::Structure {
            type_name: "struct dentry".into(),
            fields: vec![
                field("d_name.name", Ok(pointer())),
                field("d_sb", Err(Reason::from("no".to_owned()))),
                field("is", Ok(Decoder::Bool)),
            ],
        };
        let mut types = BTreeMap::new();
        add_address_types("q", &structure, &mut types);
        add_address_types("p", &pointer(), &mut types);
        let names: Vec<&str> = types.keys().map(String::as_str).collect();
        assert_eq!(names, ["p", "q.d_name.name"]);
        assert_eq!(types["q.d_name.name"], "const unsigned char *");
    }
}
