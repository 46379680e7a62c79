//! The machines of the book: kernel, build, time and capture quality.

use serde::Serialize;

use super::Request;
use crate::facts::incomplete;
use crate::fill::Rendered;
use crate::format::{datum, minute};
use crate::store::{Origin, age_in_words};
use crate::syntax::SyntaxError;

#[derive(Serialize)]
struct Fact {
    name: &'static str,
    text: String,
    /// How a text begins that is folded, because it would bury the rest.
    brief: Option<String>,
}

impl Fact {
    fn new(name: &'static str, text: String) -> Self {
        let long = text.chars().count() > 260;
        let brief = long.then(|| text.chars().take(60).chain(['…']).collect());
        Fact { name, text, brief }
    }
}

#[derive(Serialize)]
struct Machine {
    name: String,
    facts: Vec<Fact>,
}

#[derive(Serialize)]
struct Data {
    machines: Vec<Machine>,
}

/// Renders the exhibit.
pub fn render(request: &Request<'_, '_>) -> Result<Rendered, SyntaxError> {
    let facts = request.facts;
    let experiments = &facts.catalog.investigation.experiments;
    let mut machines = Vec::new();
    for loaded in facts.loaded {
        let evidence = &loaded.evidence;
        let (machine, kernel) = (&evidence.machine, &evidence.kernel);
        let mut list = Vec::new();
        let mut fact = |name, text: String| list.push(Fact::new(name, text));
        fact(
            "kernel",
            format!("Linux {} {}", kernel.release, kernel.version),
        );
        if let Some(package) = &kernel.package {
            fact("package", package.clone());
        }
        fact("build id", datum(&kernel.build_id));
        fact("debug information", datum(&kernel.debuginfo));
        fact("lockdown", datum(&kernel.lockdown));
        let config: Vec<String> = kernel
            .config
            .iter()
            .map(|(name, value)| format!("{}={}", name.to_uppercase(), datum(value)))
            .collect();
        if !config.is_empty() {
            fact("configuration", config.join(", "));
        }
        fact(
            "processor",
            format!("{} × {}", machine.cpus, machine.cpu_model),
        );
        if let Some(accelerator) = &machine.accelerator {
            fact("run by", accelerator.clone());
        }
        let time = evidence
            .run
            .time
            .parse()
            .map_or_else(|_| evidence.run.time.clone(), minute);
        let age = loaded
            .age_s
            .map(|age| format!(", {}", age_in_words(age)))
            .unwrap_or_default();
        let origin = match loaded.origin {
            Origin::Captured => "captured",
            Origin::Recorded => "recorded",
        };
        fact(
            "evidence",
            format!("{origin} {time}{age}, collector {}", evidence.run.collector),
        );
        if let Some(reasons) = loaded.out_of_date() {
            fact("out of date", reasons);
        }
        let (mut events, mut lost, mut missed) = (0_u64, 0_u64, 0_u64);
        for experiment in evidence.experiments.values() {
            events = events.saturating_add(experiment.quality.events);
            lost = lost.saturating_add(experiment.quality.lost);
            missed = missed.saturating_add(experiment.quality.missed);
        }
        fact(
            "events",
            format!("{events} recorded, {lost} lost, {missed} returns missed"),
        );
        let gaps: Vec<String> = experiments
            .iter()
            .filter_map(|e| incomplete(evidence, &e.name))
            .collect();
        let whole = experiments.len() - gaps.len();
        fact(
            "experiments",
            format!("{whole} of {} complete", experiments.len()),
        );
        if !gaps.is_empty() {
            fact("not complete", gaps.join("; "));
        }
        machines.push(Machine {
            name: loaded.machine.clone(),
            facts: list,
        });
    }
    for (name, reason) in facts.absent {
        let facts = vec![Fact::new("evidence", format!("none: {reason}"))];
        machines.push(Machine {
            name: name.clone(),
            facts,
        });
    }
    let mut text = Vec::new();
    for machine in &machines {
        text.push(machine.name.clone());
        text.extend(
            machine
                .facts
                .iter()
                .map(|f| format!("  {:<18} {}", f.name, f.text)),
        );
    }
    Ok(Rendered {
        html: facts.templates.render("machines", &Data { machines }),
        text: text.join("\n"),
        machines: (0..facts.loaded.len()).collect(),
        ..Rendered::default()
    })
}
