//! The exhibit `coverage`: the functions that a call ran through, sorted by what the text does with them: it names them,
//! explains them together with a function that calls them, leaves them out for a reason, or does not mention them.

use std::fmt::Write as _;

use qed_evidence::claim::{Coverage, Mention, Mentions, Scope};
use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::document::Graph;
use serde::Serialize;

use crate::config::Lint;
use crate::evidence::machine_id::MachineId;
use crate::evidence::mentions::{CoverageLines, Fold};
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::graph::{find_call_tree, planned_graph};
use crate::exhibits::request::{ExhibitRequest, caption, render_gap};
use crate::markdown::syntax::{SpannedWord, SyntaxError};
use crate::util::report::pluralize;

/// Functions that the text covers in the same way.
#[derive(Serialize)]
struct Group {
    /// The function together with which they are explained, or the reason why they are left out.
    head: Option<String>,
    functions: Vec<String>,
}

/// The functions that are covered in one of the four ways.
#[derive(Serialize)]
struct PartView {
    name: &'static str,
    number: usize,
    /// Shown at first.
    open: bool,
    groups: Vec<Group>,
}

/// One machine's numbers of functions, or the reason why it has none.
#[derive(Serialize)]
struct MachineRow {
    machine: String,
    /// Named, below, left out, nowhere, and all.
    counts: Vec<usize>,
    why: Option<String>,
}

#[derive(Serialize)]
struct CoverageView {
    caption: String,
    summary: String,
    parts: Vec<PartView>,
    machines: Vec<MachineRow>,
    notes: Vec<String>,
}

/// The largest number of functions that the text may leave unmentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Functions(usize),
    Percent(usize),
}

impl Limit {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
                Some(Limit::Percent(percent))
            }
            None => text.parse().ok().map(Limit::Functions),
        }
    }

    /// True if the number of unmentioned functions is within the limit.
    fn allows(self, coverage: &Coverage) -> bool {
        let untold = coverage.unmentioned_count();
        match self {
            Limit::Functions(most) => untold <= most,
            Limit::Percent(most) => untold * 100 <= most * coverage.total_count(),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Limit::Functions(most) => write!(f, "{most}"),
            Limit::Percent(most) => write!(f, "{most} %"),
        }
    }
}

/// The tree of a machine and its coverage, or the reason why there is none.
type MachineCoverage<'b> = (MachineId, Result<(&'b Graph, Coverage), ExhibitGap>);

/// Render the exhibit; the lint `untold` complains about more unmentioned functions than it allows.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let experiment = planned_graph(request)?;
    let scope = parse_scope(request)?;
    let limit = parse_limit(request)?;
    let own = CoverageLines::read(request.body)?;
    let book_mentions = request.claims.book_mentions();
    let mentions = book_mentions.for_experiment(scope, request.chapter, experiment);
    refuse_unnamed(&own, &mentions, scope)?;
    let book_data = request.book_data;
    let requested = request.machine()?;
    let all: Vec<MachineCoverage<'_>> = book_data
        .machine_ids()
        .map(|machine| {
            let graph = find_call_tree(book_data, machine, experiment);
            (
                machine,
                graph.map(|(_, graph)| (graph, mentions.cover(graph))),
            )
        })
        .collect();
    let first = requested.unwrap_or_else(|| book_data.default_machine(experiment));
    let has = |wanted: MachineId| {
        let mut all = all.iter();
        all.find_map(|(machine, covered)| match covered {
            Ok((graph, coverage)) if *machine == wanted => Some((wanted, *graph, coverage)),
            _ => None,
        })
    };
    // As in the exhibit `graph`: another machine's tree where the one that the reader is shown has none.
    let others = || {
        let mut machines = all.iter().filter(|_| requested.is_none());
        machines.find_map(|(machine, _)| has(*machine))
    };
    let Some((machine, graph, coverage)) = has(first).or_else(others) else {
        let mut gaps = all.iter().filter(|(machine, _)| *machine == first);
        let why = gaps.find_map(|(_, covered)| covered.as_ref().err());
        let why = why.map_or(
            "there is no tree of the call".to_owned(),
            ToString::to_string,
        );
        return Ok(render_gap(book_data, first, &why));
    };
    let lines = match scope {
        Scope::Chapter => book_mentions.lines_about(Some(request.chapter), experiment),
        Scope::Book => book_mentions.lines_about(None, experiment),
    };
    let reasons = Reasons {
        folds: lines.iter().flat_map(|lines| &lines.folds).collect(),
        after_exit: lines.iter().find_map(|lines| lines.after_exit.as_deref()),
    };
    let workload = &book_data.machine(machine).evidence.experiments[experiment].workload;
    let view = CoverageView {
        caption: caption(book_data, machine, workload),
        summary: summarize(coverage, scope),
        parts: part_views(graph, coverage, &reasons),
        machines: machine_rows(request, &all),
        notes: vec![
            "A function is one that the kernel's tracer sees: it is not inlined, and may be traced. What interrupts ran is left out."
                .to_owned(),
        ],
    };
    let shown: Vec<MachineId> = all
        .iter()
        .filter(|(_, covered)| covered.is_ok())
        .map(|(machine, _)| *machine)
        .collect();
    let mut problems = limit_diagnostics(request, &all, limit);
    problems.extend(unmatched_line_warnings(request, &own, &all));
    Ok(RenderedBlock {
        text: render_text(&view),
        html: book_data.evidence_set.templates.render("coverage", &view),
        uses: shown
            .iter()
            .map(|machine| Use::new_dependency(format!("{experiment}.graph"), *machine))
            .collect(),
        machines: shown,
        problems,
    })
}

/// The value of `scope`.
fn parse_scope(request: &ExhibitRequest<'_, '_>) -> Result<Scope, SyntaxError> {
    let Some(option) = request.words.option("scope") else {
        return Ok(Scope::Chapter);
    };
    Scope::parse(&option.value.text).ok_or_else(|| {
        let message = format!(
            "`scope` is \"chapter\" or \"book\", not \"{}\"",
            option.value.text
        );
        SyntaxError::new(option.value.span.clone(), message, None)
    })
}

/// The value of `untold`; without it, nothing may be left untold.
fn parse_limit(request: &ExhibitRequest<'_, '_>) -> Result<Limit, SyntaxError> {
    let Some(option) = request.words.option("untold") else {
        return Ok(Limit::Functions(0));
    };
    Limit::parse(&option.value.text).ok_or_else(|| {
        SyntaxError::new(
            option.value.span.clone(),
            format!("`{}` is not a limit", option.value.text),
            "set a number, untold=\"3\", or a share, untold=\"5%\"".to_owned(),
        )
    })
}

/// Refuse `below` of a function that the text does not name.
fn refuse_unnamed(
    own: &CoverageLines,
    mentions: &Mentions,
    scope: Scope,
) -> Result<(), SyntaxError> {
    match own
        .below
        .iter()
        .find(|one| !mentions.names_function(&one.text))
    {
        None => Ok(()),
        Some(one) => Err(SyntaxError::new(
            one.span.clone(),
            format!("the {} does not name `{}`", scope.name(), one.text),
            format!(
                "write `{0}` as code in the text, or `fold {0}: REASON`",
                one.text
            ),
        )),
    }
}

/// The complaints about machines with more unmentioned functions than allowed.
fn limit_diagnostics(
    request: &ExhibitRequest<'_, '_>,
    all: &[MachineCoverage<'_>],
    limit: Limit,
) -> Vec<Diagnostic> {
    let config = request.book_data.config;
    let complaint = |(machine, covered): &MachineCoverage<'_>| {
        let (graph, coverage) = covered.as_ref().ok()?;
        if limit.allows(coverage) {
            return None;
        }
        let names: Vec<&str> = coverage
            .functions
            .iter()
            .filter(|(_, mention)| *mention == Mention::Nowhere)
            .map(|(at, _)| graph.functions[*at].as_str())
            .collect();
        let message = format!(
            "{} of {} that ran on {} are not mentioned; at most {limit} are allowed",
            names.len(),
            pluralize(coverage.total_count(), "function"),
            request.book_data.machine(*machine).machine,
        );
        let problem = Diagnostic::error(&request.page.source, request.info.clone(), message);
        let help = format!(
            "name them as code in the text, tell them `below` a function that it names, or `fold` them with a reason: {}",
            names.join(", ")
        );
        Some(config.apply_severity(Lint::Untold, problem.help(help)))
    };
    all.iter().filter_map(complaint).collect()
}

/// Warnings about lines whose function did not run on any machine, if every machine whose tree may be published has one.
fn unmatched_line_warnings(
    request: &ExhibitRequest<'_, '_>,
    own: &CoverageLines,
    all: &[MachineCoverage<'_>],
) -> Vec<Diagnostic> {
    let book_data = request.book_data;
    let silent = all
        .iter()
        .any(|(machine, covered)| covered.is_err() && !book_data.hides_addresses(*machine));
    if silent || !book_data.evidence_set.absent.is_empty() {
        return Vec::new();
    }
    let graphs: Vec<&Graph> = all
        .iter()
        .filter_map(|(_, covered)| covered.as_ref().ok().map(|(graph, _)| *graph))
        .collect();
    let ran = |name: &SpannedWord| {
        let one = Mentions {
            named: std::sync::Arc::new([name.text.clone()].into()),
            ..Mentions::default()
        };
        let mut functions = graphs.iter().flat_map(|graph| &graph.functions);
        functions.any(|symbol| one.names_function(symbol))
    };
    let folded = own.folds.iter().flat_map(|fold| &fold.functions);
    let unmatched = own.below.iter().chain(folded).filter(|name| !ran(name));
    let warning = |name: &SpannedWord| {
        let message = format!("`{}` ran on no machine of this book", name.text);
        let functions = graphs.iter().flat_map(|graph| &graph.functions);
        let near = nearest(&name.text, functions.map(String::as_str));
        let problem = Diagnostic::error(&request.page.source, name.span.clone(), message).warning();
        problem.help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "take it out".to_owned(),
        })
    };
    unmatched.map(warning).collect()
}

/// The numbers of a coverage: named, below, left out, nowhere, and all.
fn counts(coverage: &Coverage) -> Vec<usize> {
    vec![
        coverage.count(|mention| mention == Mention::Named),
        coverage.count(|mention| matches!(mention, Mention::Below(_))),
        coverage.count(|mention| matches!(mention, Mention::Folded(_) | Mention::AfterExit)),
        coverage.unmentioned_count(),
        coverage.total_count(),
    ]
}

fn summarize(coverage: &Coverage, scope: Scope) -> String {
    let [named, below, folded, untold, all] = counts(coverage)[..] else {
        return String::new();
    };
    format!(
        "Of {} that ran, the {} names {named}, tells {below} with what calls them, leaves out {folded} for a reason, and tells \
         {untold} nowhere: {} % are told or left out for a reason.",
        pluralize(all, "function"),
        scope.name(),
        coverage.percent()
    )
}

/// The reasons why a text leaves functions out.
struct Reasons<'a> {
    folds: Vec<&'a Fold>,
    after_exit: Option<&'a str>,
}

/// The four ways in which the text covers functions, with the functions of each.
fn part_views(graph: &Graph, coverage: &Coverage, reasons: &Reasons<'_>) -> Vec<PartView> {
    let name = |at: usize| graph.functions[at].clone();
    let (mut named, mut untold) = (Vec::new(), Vec::new());
    let (mut below, mut folded): (Vec<Group>, Vec<Group>) = (Vec::new(), Vec::new());
    for (at, mention) in &coverage.functions {
        match mention {
            Mention::Named => named.push(name(*at)),
            Mention::Nowhere => untold.push(name(*at)),
            Mention::Below(above) => {
                let head = format!("{} and what it calls", name(*above));
                add_to_group(&mut below, head, name(*at));
            }
            Mention::Folded(above) => {
                let reason = fold_reason(&reasons.folds, &name(*above));
                add_to_group(&mut folded, reason, name(*at));
            }
            Mention::AfterExit => {
                let reason = reasons.after_exit.unwrap_or_default().to_owned();
                add_to_group(&mut folded, reason, name(*at));
            }
        }
    }
    let plain = |functions: Vec<String>| match functions.is_empty() {
        true => Vec::new(),
        false => vec![Group {
            head: None,
            functions,
        }],
    };
    let part = |name, open, groups: Vec<Group>| PartView {
        name,
        number: groups.iter().map(|group| group.functions.len()).sum(),
        open,
        groups,
    };
    vec![
        part("named", false, plain(named)),
        part("told with a caller", false, below),
        part("left out", false, folded),
        part("told nowhere", true, plain(untold)),
    ]
}

/// Add a function to the group with this head.
fn add_to_group(groups: &mut Vec<Group>, head: String, function: String) {
    let known = groups
        .iter_mut()
        .find(|group| group.head.as_ref() == Some(&head));
    match known {
        Some(group) => group.functions.push(function),
        None => groups.push(Group {
            head: Some(head),
            functions: vec![function],
        }),
    }
}

/// The reason why the function with this symbol is left out.
fn fold_reason(folds: &[&Fold], symbol: &str) -> String {
    let is_of = |fold: &&&Fold| {
        let names = fold.functions.iter().map(|one| one.text.clone());
        let mentions = Mentions {
            named: std::sync::Arc::new(names.collect()),
            ..Mentions::default()
        };
        mentions.names_function(symbol)
    };
    let fold = folds.iter().find(is_of);
    fold.map_or_else(String::new, |fold| fold.reason.clone())
}

/// The rows of all machines.
fn machine_rows(request: &ExhibitRequest<'_, '_>, all: &[MachineCoverage<'_>]) -> Vec<MachineRow> {
    let row = |(machine, covered): &MachineCoverage<'_>| MachineRow {
        machine: request.book_data.machine(*machine).machine.clone(),
        counts: covered
            .as_ref()
            .map_or_else(|_| Vec::new(), |(_, coverage)| counts(coverage)),
        why: covered.as_ref().err().map(ToString::to_string),
    };
    all.iter().map(row).collect()
}

/// The same without markup.
fn render_text(view: &CoverageView) -> String {
    let mut text = format!("{}\n{}", view.caption, view.summary);
    for row in &view.machines {
        let _ = match (&row.why, &row.counts[..]) {
            (None, [named, below, folded, untold, all]) => write!(
                text,
                "\n{}: {named} named, {below} told with a caller, {folded} left out, {untold} told nowhere, {all} ran",
                row.machine
            ),
            (why, _) => write!(
                text,
                "\n{}: {}",
                row.machine,
                why.as_deref().unwrap_or_default()
            ),
        };
    }
    for part in &view.parts {
        for group in &part.groups {
            let head = group.head.as_ref();
            let head = head.map_or_else(String::new, |head| format!(" ({head})"));
            let _ = write!(
                text,
                "\n{}{head}: {}",
                part.name,
                group.functions.join(", ")
            );
        }
    }
    for note in &view.notes {
        let _ = write!(text, "\n{note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(untold: usize, all: usize) -> Coverage {
        let describe = |at| {
            if at < untold {
                Mention::Nowhere
            } else {
                Mention::Named
            }
        };
        Coverage {
            functions: (0..all).map(|at| (at, describe(at))).collect(),
        }
    }

    /// Check that a limit is a number of functions or a share of them, and is not rounded.
    #[test]
    fn limits() {
        for (text, untold, all, allowed) in [
            ("0", 0, 10, true),
            ("0", 1, 10, false),
            ("2", 2, 10, true),
            ("2", 3, 10, false),
            ("10%", 1, 10, true),
            ("10%", 2, 10, false),
            ("10%", 1, 9, false),
            ("0%", 0, 10, true),
            ("0%", 1, 1000, false),
            ("100%", 10, 10, true),
        ] {
            let limit = Limit::parse(text).unwrap();
            let coverage = coverage(untold, all);
            assert_eq!(limit.allows(&coverage), allowed, "{text} {untold}/{all}");
        }
        for wrong in ["", "%", "-1", "101%", "1.5%", "some"] {
            assert_eq!(Limit::parse(wrong), None, "{wrong}");
        }
    }
}
