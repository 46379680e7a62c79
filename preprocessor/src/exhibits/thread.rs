//! One value through all calls: the call tree of an experiment, with the places in each call where the value occurs.
//!
//! The body is one path. Its value is searched for in every argument, result and read of the experiment that the path belongs
//! to.

use qed_evidence::Path;
use qed_evidence::document::Experiment;
use qed_evidence::value::{Datum, Value};
use serde::Serialize;

use crate::evidence::book_data::sound_experiment;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::exhibits::tree::{CallKind, ProbedCall, build_tree, tree_prefixes};
use crate::markdown::syntax::{SyntaxError, refuse_unknown_options, split_words};

#[derive(Serialize)]
struct ThreadLine {
    lead: String,
    depth: usize,
    name: String,
    /// Blanks up to the column in which all remarks stand.
    pad: String,
    remarks: String,
    met: bool,
}

#[derive(Serialize)]
struct ThreadView {
    caption: String,
    lines: Vec<ThreadLine>,
}

/// The ways in which a call meets the value: `received sock`, `returned it`.
fn describe_uses(call: &ProbedCall<'_>, wanted: u64) -> Vec<String> {
    let is = |datum: &Datum| match datum.value() {
        Some(Value::Address { value, .. } | Value::Symbol { address: value, .. }) => {
            value.0 == wanted
        }
        _ => false,
    };
    let hit = call.hit;
    let mut out = Vec::new();
    for (phrase, values) in [
        ("received it as", &hit.args),
        ("on entry found it in", &hit.entry),
        ("on return found it in", &hit.exit),
    ] {
        let found = values.iter().filter(|(_, datum)| is(datum));
        out.extend(found.map(|(name, _)| format!("{phrase} {name}")));
    }
    if hit.return_value.as_ref().is_some_and(is) {
        out.push("returned it".into());
    }
    out
}

/// The calls of an experiment with the relation of each to the value, and the paths at which it occurs.
fn follow_value(
    experiment: &Experiment,
    name: &str,
    wanted: u64,
) -> (Vec<ThreadLine>, Vec<String>) {
    let nodes = build_tree(experiment);
    let mut paths = Vec::new();
    let mut lines = Vec::new();
    for (node, lead) in nodes.iter().zip(tree_prefixes(&nodes)) {
        let (name, met) = match &node.what {
            CallKind::Inlined(function, _) => (format!("{function} (inlined)"), Vec::new()),
            CallKind::Call(call) => {
                let met = describe_uses(call, wanted);
                if !met.is_empty() {
                    let path: Result<Path, _> = format!("{name}.{}.order", call.name).parse();
                    paths.extend(path.map(|path| path.to_string()));
                }
                (call.name.clone(), met)
            }
        };
        lines.push(ThreadLine {
            lead,
            depth: node.depth,
            name,
            pad: String::new(),
            met: !met.is_empty(),
            remarks: met.join(", "),
        });
    }
    let width = |line: &ThreadLine| line.lead.chars().count() + line.name.chars().count();
    let widest = lines.iter().map(width).max().unwrap_or(0);
    for line in &mut lines {
        line.pad = " ".repeat(widest + 2 - width(line));
    }
    (lines, paths)
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let [(_, span)] = request.body else {
        let help = "write the path of a pointer between the fences".to_owned();
        return Err(SyntaxError::new(
            request.info.clone(),
            "the exhibit follows one value",
            help,
        ));
    };
    let parsed = split_words(request.source, span.clone())?;
    refuse_unknown_options(&parsed, &[])?;
    let [name] = &parsed.words[..] else {
        return Err(SyntaxError::new(
            span.clone(),
            "the exhibit follows one value",
            None,
        ));
    };
    let looked = request.resolve(name, request.machine()?, (None, None))?;
    let first = name.text.split('.').next().unwrap_or_default();
    let machine = looked
        .used
        .machine
        .unwrap_or_else(|| book_data.default_machine(first));
    let nothing = |why: &str| {
        Ok(crate::exhibits::request::render_gap(
            book_data, machine, why,
        ))
    };
    let wanted = match &looked.value {
        Some(Value::Address { value, .. } | Value::Symbol { address: value, .. })
            if value.0 != 0 =>
        {
            value.0
        }
        Some(_) => {
            return nothing(&format!(
                "`{}` is not a pointer that could be followed",
                name.text
            ));
        }
        None => return nothing(&format!("`{}` is not known", name.text)),
    };
    let experiment = match sound_experiment(&book_data.machine(machine).evidence, first) {
        Ok(experiment) => experiment,
        Err(unsound) => return nothing(&unsound.to_string()),
    };
    let (lines, met) = follow_value(experiment, first, wanted);
    let mut uses: Vec<Use> = vec![looked.used.clone()];
    uses.extend(
        met.into_iter()
            .map(|path| Use::new_dependency(path, machine)),
    );
    let caption = caption(
        book_data,
        machine,
        &format!(
            "{} wherever it occurs; memory that was freed can be given out again at the same address",
            looked.used.text
        ),
    );
    let mut text = caption.clone();
    for line in &lines {
        let whole = format!("{}{}{}{}", line.lead, line.name, line.pad, line.remarks);
        text.push_str(&format!("\n{}", whole.trim_end()));
    }
    Ok(RenderedBlock {
        html: book_data
            .evidence_set
            .templates
            .render("thread", &ThreadView { caption, lines }),
        text,
        machines: vec![machine],
        uses,
        ..RenderedBlock::default()
    })
}
