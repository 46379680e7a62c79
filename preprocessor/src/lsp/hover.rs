//! Hover: a value on each machine with its type and origin; a description of a claim, a function or a probe.

use std::ops::Range;

use qed_evidence::Path;
use qed_evidence::claim::FUNCTIONS;

use crate::exhibits::registry;
use crate::lsp::book_index::{BookIndex, describe_target};
use crate::lsp::cursor::{CursorContext, context_at};
use crate::lsp::values::{describe_drift, shorten, value_on_machine};
use crate::markdown::chapter::Chapter;
use crate::markdown::escape::{code_block, code_span, markdown};

/// Markdown about something, and the bytes that it is about.
pub type HoverText = (String, Range<usize>);

/// The hover text for byte `at` of a chapter.
pub fn hover(chapter: &Chapter, at: usize, known: &BookIndex<'_, '_>) -> Option<HoverText> {
    let text = chapter.source.text.as_str();
    match context_at(chapter, at)? {
        CursorContext::Path(span) => Some((describe_path(&text[span.clone()], known)?, span)),
        CursorContext::Expression(span) => {
            let word = &text[span.clone()];
            let is_call = text[span.end..].trim_start().starts_with('(');
            let about = match FUNCTIONS.iter().find(|function| function.name == word) {
                Some(function) if is_call => format!("`{}`\n\n{}", function.usage, function.help),
                _ => describe_path(word, known)?,
            };
            Some((about, span))
        }
        CursorContext::Claim(span) => Some((find_explanation(&text[span.clone()], known)?, span)),
        CursorContext::Exhibit(span) => {
            let options = registry::options(&text[span.clone()])?;
            let options: Vec<String> = options.iter().map(|name| format!("`{name}`")).collect();
            let options = match options.is_empty() {
                true => "no options".to_owned(),
                false => options.join(", "),
            };
            Some((
                format!("exhibit `{}`: {options}", &text[span.clone()]),
                span,
            ))
        }
        CursorContext::Option(..) | CursorContext::Value(..) | CursorContext::Fence(_) => None,
    }
}

/// A path: its values, or the experiment or probe that it names.
fn describe_path(word: &str, known: &BookIndex<'_, '_>) -> Option<String> {
    if let Some(id) = word.strip_prefix("claims.") {
        return find_explanation(id, known);
    }
    let path: Path = word.parse().ok()?;
    let names: Vec<&str> = path.segments().collect();
    match names[..] {
        [name] => describe_experiment(name, known),
        [experiment, probe] => {
            describe_probe(experiment, probe, known).or_else(|| describe_value(&path, known))
        }
        _ => describe_value(&path, known),
    }
}

/// The value of a path on each machine.
fn describe_value(path: &Path, known: &BookIndex<'_, '_>) -> Option<String> {
    let book_data = known.book_data;
    book_data.catalog().check(path).ok()?;
    let mut out = format!("`{path}`\n\n");
    if book_data.evidence_set.loaded.is_empty() {
        out.push_str("There is no evidence that could be shown: capture first.\n");
        return Some(out);
    }
    let preferred = book_data.resolve(path, None);
    let preferred = preferred.as_ref().as_ref().ok().and_then(|one| one.machine);
    out.push_str("| machine | value | type |\n| --- | --- | --- |\n");
    let mut drifts = Vec::new();
    for machine in book_data.machine_ids() {
        let Some(value) = value_on_machine(book_data, path, machine) else {
            let hits = "it fired more than once: say which hit, `hit1`, `hit2`, …";
            out.push_str(&format!(
                "| {} | {hits} | |\n",
                machine_name(machine, known)
            ));
            continue;
        };
        let star = if Some(machine) == preferred {
            " \\*"
        } else {
            ""
        };
        out.push_str(&format!(
            "| {}{star} | `{}` | {} |\n",
            machine_name(machine, known),
            code_span(&value.text, true),
            value.kind.map_or_else(String::new, |kind| markdown(&kind)),
        ));
        drifts.extend(value.drift);
    }
    for (machine, reason) in &book_data.evidence_set.absent {
        out.push_str(&format!(
            "| {} | {} | |\n",
            markdown(machine),
            markdown(reason)
        ));
    }
    out.push('\n');
    if let Some(drift) = drifts.first() {
        out.push_str(&format!("{}. ", describe_drift(*drift)));
    }
    out.push_str("\\* shown in the chapter. Measured on:\n\n");
    for machine in book_data.machine_ids() {
        out.push_str(&format!("- {}\n", markdown(&book_data.origin(machine))));
    }
    Some(out)
}

fn machine_name(
    machine: crate::evidence::machine_id::MachineId,
    known: &BookIndex<'_, '_>,
) -> String {
    markdown(&known.book_data.machine(machine).machine)
}

/// The description of an experiment: its workload and its probes.
pub fn describe_experiment(name: &str, known: &BookIndex<'_, '_>) -> Option<String> {
    let experiment = known
        .book_data
        .evidence_set
        .investigation
        .experiment(name)?;
    let workload = shorten(&experiment.workload_text());
    let probes: Vec<String> = experiment
        .probes
        .iter()
        .map(|p| format!("`{}`", p.name))
        .collect();
    Some(format!(
        "experiment `{name}`: `{}`\n\nprobes: {}\n",
        code_span(&workload, false),
        probes.join(", ")
    ))
}

/// The description of a probe: its target, its reads, and its outcome on each machine.
pub fn describe_probe(experiment: &str, name: &str, known: &BookIndex<'_, '_>) -> Option<String> {
    let book_data = known.book_data;
    let probe = book_data
        .evidence_set
        .investigation
        .experiment(experiment)?
        .probe(name)?;
    let mut out = format!(
        "probe `{experiment}.{name}`: {}\n\n",
        markdown(&describe_target(probe))
    );
    for (side, reads) in [("entry", &probe.entry), ("exit", &probe.exit)] {
        for read in reads {
            let expression = code_span(&read.text(), false);
            out.push_str(&format!("- `{side}.{}` = `{expression}`\n", read.name));
        }
    }
    for loaded in &book_data.evidence_set.loaded {
        let experiment = loaded.evidence.experiments.get(experiment);
        let seen = experiment.and_then(|one| one.probes.get(name));
        let how = match seen {
            None => "not in this evidence: capture again".to_owned(),
            Some(seen) => match &seen.unavailable {
                Some(reason) => format!("not watched: {}", shorten(&reason.to_string())),
                None => crate::util::report::pluralize(seen.hits.len(), "hit"),
            },
        };
        out.push_str(&format!(
            "- {}: {}\n",
            markdown(&loaded.machine),
            markdown(&how)
        ));
    }
    Some(out)
}

/// A claim as the last check judged it.
fn find_explanation(id: &str, known: &BookIndex<'_, '_>) -> Option<String> {
    let text = known.claims.get(id)?;
    Some(format!("```text\n{}\n```\n", code_block(text, "")))
}
