//! All functions that a call ran through, as the kernel's function-graph tracer saw them: a tree that folds, with a bar beside each
//! row whose width is time.

mod rows;

use std::fmt::Write as _;

use qed_evidence::diagnostic::nearest;
use qed_evidence::document::{Experiment, Graph, Target};
use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::format::format_duration;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::graph::rows::{MAX_ROWS, Rows, RunRow, build_rows};
use crate::exhibits::request::{ExhibitRequest, caption, render_gap};
use crate::markdown::syntax::SyntaxError;

/// The number of levels that are open at first, or stand in a text.
const OPEN_LEVELS: usize = 5;

/// Width of the column of times in a text.
const TIME: usize = 11;

#[derive(Debug, Serialize)]
struct GraphRow {
    /// The number of rows that enclose it.
    depth: usize,
    /// Symbol of the function.
    name: String,
    /// A probe of the experiment watches it.
    probed: bool,
    /// `×3`, and the number of calls below.
    rest: String,
    /// `1.234 µs`.
    time: String,
    /// The mark of an interrupt.
    mark: Option<&'static str>,
    /// The heading above the row at which the way back to user space begins.
    heading: Option<&'static str>,
    /// The rows that it calls follow.
    branch: bool,
    /// These are shown at first.
    open: bool,
    /// Beginning and width of the bar, in percent.
    from: String,
    width: String,
    /// One for each caller whose rows end with this one.
    closes: Vec<()>,
}

#[derive(Serialize)]
struct GraphView {
    caption: String,
    summary: String,
    rows: Vec<GraphRow>,
    notes: Vec<String>,
}

/// The options of the exhibit.
struct Options<'a> {
    experiment: &'a str,
    below: Option<&'a str>,
    levels: usize,
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let options = Options {
        experiment: planned_graph(request)?,
        below: request
            .words
            .option("below")
            .map(|below| below.value.text.as_str()),
        levels: parse_levels(request)?,
    };
    let book_data = request.book_data;
    let requested = request.machine()?;
    let first = requested.unwrap_or_else(|| book_data.default_machine(options.experiment));
    let why = match machine_view(book_data, first, &options) {
        Ok(view) => return Ok(render_block(book_data, first, &options, view)),
        Err(why) => why,
    };
    // The tree of a live machine is not published, so that of another machine is shown. If the author names a machine, no other
    // one replaces it.
    let others = book_data
        .machine_ids()
        .filter(|other| requested.is_none() && *other != first);
    for other in others {
        if let Ok(mut view) = machine_view(book_data, other, &options) {
            let name = &book_data.machine(first).machine;
            view.notes.push(format!("There is none of {name}: {why}"));
            return Ok(render_block(book_data, other, &options, view));
        }
    }
    Ok(render_gap(book_data, first, &why.to_string()))
}

/// The name of the experiment, which the investigation plans with a graph.
pub(super) fn planned_graph<'r>(
    request: &'r ExhibitRequest<'_, '_>,
) -> Result<&'r str, SyntaxError> {
    let planned = request.planned_experiment()?;
    if !planned.graph {
        let message = format!("experiment `{}` records no tree of its call", planned.name);
        let help = "write `graph = true` in the experiment, and capture again".to_owned();
        return Err(SyntaxError::new(request.info.clone(), message, help));
    }
    Ok(&planned.name)
}

/// The value of `levels`.
fn parse_levels(request: &ExhibitRequest<'_, '_>) -> Result<usize, SyntaxError> {
    let Some(option) = request.words.option("levels") else {
        return Ok(OPEN_LEVELS);
    };
    let text = option.value.text.as_str();
    match text.parse() {
        Ok(levels) if levels > 0 => Ok(levels),
        _ => Err(SyntaxError::new(
            option.value.span.clone(),
            format!("`{text}` is not a number of levels"),
            "write a number from 1, as in levels=\"4\"".to_owned(),
        )),
    }
}

/// An experiment on a machine, and the tree of its call there.
pub(super) fn find_call_tree<'b>(
    book_data: &BookData<'b>,
    machine: MachineId,
    name: &str,
) -> Result<(&'b Experiment, &'b Graph), ExhibitGap> {
    let gap = |why: String| Err(ExhibitGap::Unavailable(why));
    let evidence = &book_data.machine(machine).evidence;
    let Some(experiment) = evidence.experiments.get(name) else {
        return gap(format!("the evidence does not hold experiment `{name}`"));
    };
    if let Some(why) = experiment.broken_reason() {
        return gap(format!("experiment `{name}` {why}"));
    }
    if let Some(why) = &experiment.unavailable {
        return gap(why.clone());
    }
    let Some(graph) = &experiment.graph else {
        return match book_data.hides_addresses(machine) {
            true => Err(ExhibitGap::WithheldGraph),
            false => gap(format!(
                "the evidence does not hold the tree of `{name}`: capture it again"
            )),
        };
    };
    match &graph.unavailable {
        Some(why) => gap(why.clone()),
        None => Ok((experiment, graph)),
    }
}

/// The view of one machine's tree.
fn machine_view(
    book_data: &BookData<'_>,
    machine: MachineId,
    options: &Options<'_>,
) -> Result<GraphView, ExhibitGap> {
    let gap = |why: String| Err(ExhibitGap::Unavailable(why));
    let name = options.experiment;
    let (experiment, graph) = find_call_tree(book_data, machine, name)?;
    let found = build_rows(graph, options.below, MAX_ROWS);
    if let (Some(below), true) = (options.below, found.rows.is_empty()) {
        if graph.has_interrupt_run(below) {
            return gap(format!(
                "only an interrupt ran `{below}` while `{name}` was traced: it is not in the call's own tree"
            ));
        }
        let near = nearest(below, graph.functions.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return gap(format!("`{below}` is not in the tree of `{name}`{near}"));
    }
    let what = match options.below {
        Some(below) => format!("{below} in {}", experiment.workload),
        None => experiment.workload.clone(),
    };
    Ok(build_view(
        caption(book_data, machine, &what),
        graph,
        experiment,
        &found,
        options,
    ))
}

fn build_view(
    caption: String,
    graph: &Graph,
    experiment: &Experiment,
    found: &Rows,
    options: &Options<'_>,
) -> GraphView {
    let shown: usize = found
        .rows
        .iter()
        .filter(|row| !row.interrupt)
        .map(|row| row.times)
        .sum();
    let calls = shown + found.left_out;
    let mut functions: Vec<usize> = found
        .rows
        .iter()
        .filter(|row| !row.interrupt)
        .map(|row| row.function)
        .collect();
    functions.sort_unstable();
    functions.dedup();
    let at_least = if found.left_out > 0 { "at least " } else { "" };
    let summary = format!(
        "{calls} calls of {at_least}{} functions, {} with tracing",
        functions.len(),
        format_duration(found.total_ns)
    );
    let mut notes = Vec::new();
    if found.left_out > 0 {
        notes.push(format!(
            "{} calls are deeper than this page shows; `below` shows a part of the tree whole",
            found.left_out
        ));
    }
    let whole = options.below.is_none();
    let targets = experiment.probes.values().map(|probe| &probe.target);
    let watched: Vec<&str> = targets
        .filter_map(|target| match target {
            Target::Function(function) => Some(function.as_str()),
            _ => None,
        })
        .collect();
    let mut rows = Vec::new();
    for (at, row) in found.rows.iter().enumerate() {
        let next = found.rows.get(at + 1).map_or(0, |next| next.level);
        let before = at
            .checked_sub(1)
            .is_some_and(|before| found.rows[before].after_exit);
        let name = &graph.functions[row.function];
        rows.push(GraphRow {
            depth: row.level,
            name: name.clone(),
            probed: watched.contains(&name.as_str()),
            rest: describe_run(row),
            time: row
                .duration_ns
                .map_or_else(|| "did not return".to_owned(), format_duration),
            mark: row.interrupt.then_some("interrupt: "),
            heading: (whole && row.after_exit && !before)
                .then_some("On the way back to user space:"),
            branch: row.has_rows,
            open: row.level + 1 < options.levels,
            from: format_percent(row.bar.0),
            width: format_percent(row.bar.1),
            closes: match row.has_rows {
                true => Vec::new(),
                false => vec![(); row.level - next],
            },
        });
    }
    GraphView {
        caption,
        summary,
        rows,
        notes,
    }
}

fn describe_run(row: &RunRow) -> String {
    let mut rest = String::new();
    if row.times > 1 {
        let _ = write!(rest, " ×{}", row.times);
    }
    match row.calls {
        0 => {}
        1 => rest.push_str(" · 1 call"),
        calls => {
            let _ = write!(rest, " · {calls} calls");
        }
    }
    rest
}

/// `1234` → `12.34`
fn format_percent(hundredths: u32) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn render_block(
    book_data: &BookData<'_>,
    machine: MachineId,
    options: &Options<'_>,
    view: GraphView,
) -> RenderedBlock {
    RenderedBlock {
        text: render_text(&view, options.levels),
        html: book_data.evidence_set.templates.render("graph", &view),
        machines: vec![machine],
        uses: vec![Use::new_dependency(
            format!("{}.graph", options.experiment),
            machine,
        )],
        ..RenderedBlock::default()
    }
}

/// The same without markup, `levels` deep.
fn render_text(view: &GraphView, levels: usize) -> String {
    let mut text = format!("{}\n{}", view.caption, view.summary);
    for row in &view.rows {
        if let Some(heading) = row.heading {
            let _ = write!(text, "\n{heading}");
        }
        if row.depth >= levels {
            continue;
        }
        let indent = 2 * row.depth;
        let mark = row.mark.unwrap_or_default();
        let _ = write!(
            text,
            "\n{:>TIME$}  {:indent$}{mark}{}{}",
            row.time, "", row.name, row.rest
        );
    }
    for note in &view.notes {
        let _ = write!(text, "\n{note}");
    }
    text
}
