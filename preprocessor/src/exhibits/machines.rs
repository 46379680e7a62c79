//! The machines of the book: kernel, build, time and capture quality.

use qed_evidence::value::Datum;
use serde::Serialize;

use crate::evidence::book_data::incomplete;
use crate::evidence::format::{datum, minute};
use crate::evidence::loader::age_in_words;
use crate::evidence::locations::Origin;
use crate::exhibits::block::Rendered;
use crate::exhibits::request::Request;
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct Fact {
    name: &'static str,
    /// What there is to say; of a list, what stands there while it is folded.
    text: String,
    /// What would bury the rest, one below the other.
    list: Vec<String>,
}

impl Fact {
    fn new(name: &'static str, text: String) -> Self {
        let list = Vec::new();
        Fact { name, text, list }
    }

    /// `2 options`, and which.
    fn list(name: &'static str, what: &str, list: Vec<String>) -> Self {
        let plural = if list.len() == 1 { "" } else { "s" };
        let text = format!("{} {what}{plural}", list.len());
        Fact { name, text, list }
    }

    /// A value; if there is none, only that, and the reasons folded.
    fn known(name: &'static str, what: &Datum) -> Self {
        match what {
            Datum::Value(value) => Fact::new(name, value.to_string()),
            Datum::Unavailable(why) => Fact {
                name,
                text: "not known".to_owned(),
                list: why.unavailable.split("; ").map(str::to_owned).collect(),
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
    fn line(&self) -> String {
        match self.list.as_slice() {
            [] => self.text.clone(),
            list => format!("{}: {}", self.text, list.join("; ")),
        }
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
        list.push(Fact::known("debug information", &kernel.debuginfo));
        list.push(Fact::known("lockdown", &kernel.lockdown));
        let config: Vec<String> = kernel
            .config
            .iter()
            .map(|(name, value)| format!("{}={}", name.to_uppercase(), datum(value)))
            .collect();
        if !config.is_empty() {
            list.push(Fact::list("configuration", "option", config));
        }
        let mut fact = |name, text: String| list.push(Fact::new(name, text));
        fact(
            "processor",
            format!("{} × {}", machine.cpus, machine.cpu_model),
        );
        if let Some(accelerator) = &machine.accelerator {
            list.push(Fact::with_remark("run by", accelerator));
        }
        let mut fact = |name, text: String| list.push(Fact::new(name, text));
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
            list.push(Fact::list("not complete", "experiment", gaps));
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
                .map(|f| format!("  {:<18} {}", f.name, f.line())),
        );
    }
    Ok(Rendered {
        html: facts.templates.render("machines", &Data { machines }),
        text: text.join("\n"),
        machines: (0..facts.loaded.len()).collect(),
        ..Rendered::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that what would bury the rest is folded below a few words, and that nothing of it is lost as text.
    #[test]
    fn folded() {
        let options = vec!["A=y".to_owned(), "B=n".to_owned()];
        let options = Fact::list("configuration", "option", options);
        assert_eq!(options.text, "2 options");
        assert_eq!(options.line(), "2 options: A=y; B=n");
        assert_eq!(Fact::list("x", "option", vec!["A".into()]).text, "1 option");
        let none = Fact::known(
            "debug information",
            &Datum::unavailable("not here; not there"),
        );
        assert_eq!((none.text.as_str(), none.list.len()), ("not known", 2));
        let run = Fact::with_remark("run by", "emulated (no KVM: assert (x) failed)");
        assert_eq!(run.line(), "emulated: no KVM: assert (x) failed");
        assert_eq!(Fact::with_remark("run by", "KVM").line(), "KVM");
    }
}
