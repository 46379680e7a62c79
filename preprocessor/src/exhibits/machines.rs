//! The machines of the book: kernel, build, time and capture quality.

use qed_evidence::document::{self, Kernel};
use qed_evidence::investigation::Experiment;
use qed_evidence::value::Datum;
use serde::Serialize;

use crate::evidence::book_data::incompleteness_reason;
use crate::evidence::format::{format_age, format_boot_time, format_datum, format_minute};
use crate::evidence::loader::MachineEvidence;
use crate::evidence::locations::Origin;
use crate::exhibits::architectures::group_machines;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::request::ExhibitRequest;
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct Fact {
    name: &'static str,
    /// The text; of a list, the text while it is folded.
    text: String,
    /// The long part, one item below the other.
    list: Vec<String>,
}

impl Fact {
    fn new(name: &'static str, text: String) -> Self {
        let list = Vec::new();
        Fact { name, text, list }
    }

    /// `2 options`, and which.
    fn from_list(name: &'static str, what: &str, list: Vec<String>) -> Self {
        let plural = if list.len() == 1 { "" } else { "s" };
        let text = format!("{} {what}{plural}", list.len());
        Fact { name, text, list }
    }

    /// A value; if there is none, only that, and the reasons folded.
    fn from_datum(name: &'static str, what: &Datum) -> Self {
        match what {
            Datum::Value(value) => Fact::new(name, value.to_string()),
            Datum::Missing(why) => Fact {
                name,
                text: "not known".to_owned(),
                list: why.to_string().split("; ").map(str::to_owned).collect(),
            },
        }
    }

    /// `emulated (because of this and that)`: what stands in parentheses is folded.
    fn with_remark(name: &'static str, text: &str) -> Self {
        let (text, remark) = match text.split_once(" (") {
            Some((text, remark)) => (text, Some(remark.trim_end_matches(')'))),
            None => (text, None),
        };
        Fact {
            name,
            text: text.to_owned(),
            list: remark.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Without anything folded.
    fn to_line(&self) -> String {
        match self.list.as_slice() {
            [] => self.text.clone(),
            list => format!("{}: {}", self.text, list.join("; ")),
        }
    }
}

#[derive(Serialize)]
struct MachineFactsRow {
    /// A heading above it, where the machines of another architecture begin.
    heading: &'static str,
    name: String,
    facts: Vec<Fact>,
}

#[derive(Serialize)]
struct MachinesView {
    machines: Vec<MachineFactsRow>,
}

/// The kernel of a machine.
fn kernel_facts(kernel: &Kernel) -> Vec<Fact> {
    let version = format!("Linux {} {}", kernel.release, kernel.version);
    let mut list = vec![Fact::new("kernel", version)];
    list.extend(
        kernel
            .package
            .clone()
            .map(|package| Fact::new("package", package)),
    );
    list.push(Fact::new("build id", format_datum(&kernel.build_id)));
    list.push(Fact::from_datum("debug information", &kernel.debuginfo));
    list.push(Fact::from_datum("lockdown", &kernel.lockdown));
    let config: Vec<String> = kernel
        .config
        .iter()
        .map(|(name, value)| format!("{}={}", name.to_uppercase(), format_datum(value)))
        .collect();
    if !config.is_empty() {
        list.push(Fact::from_list("configuration", "option", config));
    }
    list
}

/// The processors of a machine and what runs them.
fn processor_facts(machine: &document::Machine) -> Vec<Fact> {
    let processor = format!("{} × {}", machine.cpus, machine.cpu_model);
    let mut list = vec![Fact::new("processor", processor)];
    let accelerator = machine.accelerator.as_ref();
    list.extend(accelerator.map(|text| Fact::with_remark("run by", text)));
    list
}

/// The age of a machine's evidence, its losses, and the experiments that are not complete there.
fn evidence_facts(loaded: &MachineEvidence, planned: &[Experiment]) -> Vec<Fact> {
    let evidence = &loaded.evidence;
    let run = &evidence.run;
    let time = run
        .time
        .parse()
        .map_or_else(|_| run.time.clone(), format_minute);
    let age = loaded
        .age_s
        .map(|age| format!(", {}", format_age(age)))
        .unwrap_or_default();
    let origin = match loaded.origin {
        Origin::Captured => "captured",
        Origin::Recorded => "recorded",
    };
    let made = format!("{origin} {time}{age}, collector {}", run.collector);
    let mut list = vec![Fact::new("evidence", made)];
    list.extend(format_boot_time(&evidence.machine).map(|booted| {
        let booted = format!("a guest that was booted {booted}");
        Fact::new("resumed from", booted)
    }));
    list.extend(
        loaded
            .stale_text()
            .map(|reasons| Fact::new("out of date", reasons)),
    );
    let (mut events, mut lost, mut missed) = (0_u64, 0_u64, 0_u64);
    for experiment in evidence.experiments.values() {
        events = events.saturating_add(experiment.quality.events);
        lost = lost.saturating_add(experiment.quality.lost);
        missed = missed.saturating_add(experiment.quality.missed);
    }
    let counts = format!("{events} recorded, {lost} lost, {missed} returns missed");
    list.push(Fact::new("events", counts));
    let gaps: Vec<String> = planned
        .iter()
        .filter_map(|experiment| incompleteness_reason(evidence, &experiment.name))
        .collect();
    let complete = format!(
        "{} of {} complete",
        planned.len() - gaps.len(),
        planned.len()
    );
    list.push(Fact::new("experiments", complete));
    if !gaps.is_empty() {
        list.push(Fact::from_list("not complete", "experiment", gaps));
    }
    list
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let planned = &book_data.evidence_set.investigation.experiments;
    let groups = group_machines(book_data);
    let several = groups.len() > 1;
    let with_evidence = groups.iter().flat_map(|group| {
        let machines = group.machines.iter().enumerate();
        machines.map(move |(place, on)| {
            let loaded = book_data.machine(*on);
            let mut list = kernel_facts(&loaded.evidence.kernel);
            list.extend(processor_facts(&loaded.evidence.machine));
            list.extend(evidence_facts(loaded, planned));
            MachineFactsRow {
                heading: if several && place == 0 {
                    group.name
                } else {
                    ""
                },
                name: loaded.machine.clone(),
                facts: list,
            }
        })
    });
    let absent = book_data.evidence_set.absent.iter().enumerate();
    let without = absent.map(|(place, (name, reason))| MachineFactsRow {
        heading: if several && place == 0 {
            "no evidence"
        } else {
            ""
        },
        name: name.clone(),
        facts: vec![Fact::new("evidence", format!("none: {reason}"))],
    });
    let machines: Vec<MachineFactsRow> = with_evidence.chain(without).collect();
    let mut text = Vec::new();
    for machine in &machines {
        if !machine.heading.is_empty() {
            text.push(format!("[{}]", machine.heading));
        }
        text.push(machine.name.clone());
        text.extend(
            machine
                .facts
                .iter()
                .map(|f| format!("  {:<18} {}", f.name, f.to_line())),
        );
    }
    Ok(RenderedBlock {
        html: book_data
            .evidence_set
            .templates
            .render("machines", &MachinesView { machines }),
        text: text.join("\n"),
        machines: book_data.machine_ids().collect(),
        ..RenderedBlock::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that what would bury the rest is folded below a few words, and that nothing of it is lost as text.
    #[test]
    fn folded() {
        let options = vec!["A=y".to_owned(), "B=n".to_owned()];
        let options = Fact::from_list("configuration", "option", options);
        assert_eq!(options.text, "2 options");
        assert_eq!(options.to_line(), "2 options: A=y; B=n");
        assert_eq!(
            Fact::from_list("x", "option", vec!["A".into()]).text,
            "1 option"
        );
        let none = Fact::from_datum(
            "debug information",
            &Datum::unavailable("not here; not there"),
        );
        assert_eq!((none.text.as_str(), none.list.len()), ("not known", 2));
        let run = Fact::with_remark("run by", "emulated (no KVM: assert (x) failed)");
        assert_eq!(run.to_line(), "emulated: no KVM: assert (x) failed");
        assert_eq!(Fact::with_remark("run by", "KVM").to_line(), "KVM");
    }
}
