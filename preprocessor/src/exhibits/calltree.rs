//! The probed calls of an experiment, nested as they called each other.

use qed_evidence::document::{Experiment, Target};
use qed_evidence::value::{Datum, Value};
use serde::Serialize;

use crate::evidence::format::format_duration;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::pieces::{Piece, is_long_number, split_pieces};
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::exhibits::tree::{CallKind, ProbedCall, build_tree, describe_interrupt, tree_prefixes};
use crate::markdown::syntax::SyntaxError;

/// One line of the tree.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CallLine {
    /// Lines that lead to the name: `│  └─ `.
    lead: String,
    /// The number of lines that enclose it.
    depth: usize,
    /// The probe.
    name: String,
    /// Arguments, result, time and call site.
    rest: String,
    /// The same in pieces.
    pieces: Vec<Piece>,
}

impl CallLine {
    fn new(lead: String, depth: usize, name: &str, rest: String) -> Self {
        Self {
            lead,
            depth,
            name: name.to_owned(),
            pieces: split_pieces(&rest, is_long_number),
            rest,
        }
    }
}

fn call_lines(experiment: &Experiment, write: &dyn Fn(&Value) -> String) -> Vec<CallLine> {
    let nodes = build_tree(experiment);
    let leads = tree_prefixes(&nodes);
    nodes
        .iter()
        .zip(leads)
        .map(|(node, lead)| match &node.what {
            CallKind::Call(call) => {
                CallLine::new(lead, node.depth, &call.name, describe_call(call, write))
            }
            CallKind::Inlined(function, line) => CallLine::new(
                lead,
                node.depth,
                function,
                format!(" · inlined, from {line}"),
            ),
        })
        .collect()
}

/// Arguments, result, time and call site of a call.
fn describe_call(call: &ProbedCall<'_>, write: &dyn Fn(&Value) -> String) -> String {
    let shown = |datum: &Datum| datum.value().map_or_else(|| "?".to_owned(), write);
    let mut rest = String::new();
    let args: Vec<String> = call
        .probe
        .parameters
        .iter()
        .filter_map(|p| Some(format!("{}={}", p.name, shown(call.hit.args.get(&p.name)?))))
        .collect();
    // A tracepoint is not a call: its values are distinguished from arguments.
    match matches!(call.probe.target, Target::Function(_)) {
        true => rest.push_str(&format!("({})", args.join(", "))),
        false if args.is_empty() => {}
        false => rest.push_str(&format!(" {{{}}}", args.join(", "))),
    }
    if let Some(result) = &call.hit.return_value {
        rest.push_str(&format!(" = {}", shown(result)));
    }
    if let (Some(from), Some(to)) = (call.hit.time_ns, call.hit.return_time_ns)
        && let Some(ns) = to.checked_sub(from)
    {
        rest.push_str(&format!(" · {}", format_duration(ns)));
    }
    if call.jumped {
        rest.push_str(" · reached by a jump");
    } else if let Some(Value::Location { value }) = call.hit.site.as_ref().and_then(Datum::value) {
        rest.push_str(&format!(" · from {}:{}", value.file, value.line));
    }
    if let Some(interrupt) = describe_interrupt(call.hit) {
        rest.push_str(&format!(" · {interrupt}"));
    }
    rest
}

/// The values that the tree shows.
pub(super) fn collect_uses(name: &str, machine: MachineId, experiment: &Experiment) -> Vec<Use> {
    let shown = ["args", "return", "order", "duration_ns"];
    let probes = experiment.probes.keys();
    probes
        .flat_map(|probe| shown.map(|leaf| format!("{name}.{probe}.{leaf}")))
        .map(|path| Use::new_dependency(path, machine))
        .collect()
}

#[derive(Serialize)]
struct CalltreeView {
    caption: String,
    lines: Vec<CallLine>,
    never: Option<String>,
}

/// The functions that were watched and not called: what never ran.
fn describe_uncalled(experiment: &Experiment) -> Option<String> {
    let silent: Vec<&str> = experiment
        .probes
        .values()
        .filter(|probe| probe.backend.is_some() && probe.hits.is_empty())
        .filter_map(|probe| match &probe.target {
            Target::Function(function) => Some(function.as_str()),
            _ => None,
        })
        .collect();
    (!silent.is_empty()).then(|| format!("Watched and never called: {}", silent.join(", ")))
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    request.show_experiment(|machine, name, experiment| {
        let lines = call_lines(experiment, &|value| value.to_string());
        let caption = caption(book_data, machine, &experiment.workload);
        let mut text = caption.clone();
        for line in &lines {
            text.push_str(&format!("\n{}{}{}", line.lead, line.name, line.rest));
        }
        let never = describe_uncalled(experiment);
        text.extend(never.iter().map(|never| format!("\n{never}")));
        let data = CalltreeView {
            caption,
            lines,
            never,
        };
        Ok(RenderedBlock {
            html: book_data.evidence_set.templates.render("calltree", &data),
            text,
            machines: vec![machine],
            uses: collect_uses(name, machine, experiment),
            ..RenderedBlock::default()
        })
    })
}
