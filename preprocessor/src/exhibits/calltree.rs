//! The probed calls of an experiment, nested as they called each other.

use qed_evidence::document::{Experiment, Hit, Probe, Target};
use qed_evidence::value::{Datum, Value};
use serde::Serialize;

use super::{Request, caption};
use crate::fill::Rendered;
use crate::format::duration;
use crate::page::Use;
use crate::syntax::SyntaxError;

/// One line of the tree.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Lines that lead to the name: `│  └─ `.
    lead: String,
    /// The probe.
    name: String,
    /// Arguments, result and time.
    rest: String,
}

struct Call<'a> {
    name: String,
    probe: &'a Probe,
    hit: &'a Hit,
    depth: usize,
}

/// The calls in the order of their entries, each with its depth.
fn calls(experiment: &Experiment) -> Vec<Call<'_>> {
    let mut hits: Vec<(u64, String, &Probe, &Hit)> = experiment
        .probes
        .iter()
        .flat_map(|(name, probe)| {
            let many = probe.hits.len() > 1;
            probe
                .hits
                .iter()
                .enumerate()
                .filter_map(move |(index, hit)| {
                    let name = if many {
                        format!("{name}.hit{}", index + 1)
                    } else {
                        name.clone()
                    };
                    Some((hit.order.or(hit.return_order)?, name, probe, hit))
                })
        })
        .collect();
    hits.sort_by_key(|(order, ..)| *order);
    // Open calls per task: the order in which they will return.
    let mut open: std::collections::HashMap<i32, Vec<u64>> = std::collections::HashMap::new();
    hits.into_iter()
        .map(|(order, name, probe, hit)| {
            let stack = open.entry(hit.task.tid).or_default();
            while stack.last().is_some_and(|returned| *returned < order) {
                stack.pop();
            }
            let depth = stack.len();
            // Without an entry or a return there is nothing to nest in.
            if let (Some(_), Some(returned)) = (hit.order, hit.return_order) {
                stack.push(returned);
            }
            Call {
                name,
                probe,
                hit,
                depth,
            }
        })
        .collect()
}

fn lines(experiment: &Experiment, write: &dyn Fn(&Value) -> String) -> Vec<Line> {
    let calls = calls(experiment);
    let mut out = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let mut lead = String::new();
        for level in 1..=call.depth {
            // Whether another call of this level follows before the level ends.
            let more = calls[index + 1..]
                .iter()
                .take_while(|later| later.depth >= level)
                .any(|later| later.depth == level);
            lead.push_str(match (level == call.depth, more) {
                (true, true) => "├─ ",
                (true, false) => "└─ ",
                (false, true) => "│  ",
                (false, false) => "   ",
            });
        }
        let shown = |datum: &Datum| datum.value().map_or_else(|| "?".to_owned(), write);
        let mut rest = String::new();
        // A tracepoint is no call: what it carries is not shown as arguments.
        if matches!(call.probe.target, Target::Function(_)) {
            let args: Vec<String> = call
                .probe
                .parameters
                .iter()
                .filter_map(|p| Some(format!("{}={}", p.name, shown(call.hit.args.get(&p.name)?))))
                .collect();
            rest.push_str(&format!("({})", args.join(", ")));
        }
        if let Some(result) = &call.hit.return_value {
            rest.push_str(&format!(" = {}", shown(result)));
        }
        if let (Some(from), Some(to)) = (call.hit.time_ns, call.hit.return_time_ns)
            && let Some(ns) = to.checked_sub(from)
        {
            rest.push_str(&format!("  {}", duration(ns)));
        }
        out.push(Line {
            lead,
            name: call.name.clone(),
            rest,
        });
    }
    out
}

/// The values that the tree shows.
fn uses(name: &str, machine: usize, experiment: &Experiment) -> Vec<Use> {
    let shown = ["args", "return", "order", "duration_ns"];
    let probes = experiment.probes.keys();
    probes
        .flat_map(|probe| shown.map(|leaf| format!("{name}.{probe}.{leaf}")))
        .map(|path| Use::rests_on(path, machine))
        .collect()
}

#[derive(Serialize)]
struct Data {
    caption: String,
    lines: Vec<Line>,
}

/// Renders the exhibit.
pub fn render(request: &Request<'_, '_>) -> Result<Rendered, SyntaxError> {
    let facts = request.facts;
    request.show_experiment(|machine, name, experiment| {
        let lines = lines(experiment, &|value| facts.write_plain(machine, None, value));
        let caption = caption(facts, machine, &experiment.workload);
        let mut text = caption.clone();
        for line in &lines {
            text.push_str(&format!("\n{}{}{}", line.lead, line.name, line.rest));
        }
        Ok(Rendered {
            html: facts.templates.render("calltree", &Data { caption, lines }),
            text,
            machines: vec![machine],
            uses: uses(name, machine, experiment),
        })
    })
}
