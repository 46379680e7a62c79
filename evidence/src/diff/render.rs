//! Drift as text and as Markdown. (As JSON, a [`Report`] serializes itself.)

use std::collections::HashMap;

use super::{Change, ChangeKind, Report};
use crate::path_index::Drift;

/// The class in words.
fn describe_class(drift: Drift) -> &'static str {
    match drift {
        Drift::PerRun => "per run",
        Drift::PerBoot => "per boot",
        Drift::PerKernel => "per kernel",
        Drift::Invariant => "invariant",
    }
}

fn change_verb(what: ChangeKind) -> &'static str {
    match what {
        ChangeKind::Value => "changed",
        ChangeKind::Moved => "moved",
        ChangeKind::Inlined => "inlined otherwise",
        ChangeKind::Appeared => "appeared",
        ChangeKind::Vanished => "vanished",
        ChangeKind::Soundness => "soundness",
        ChangeKind::Verdict => "verdict",
    }
}

fn folded_summary(report: &Report) -> Option<String> {
    if report.folded.is_empty() {
        return None;
    }
    let counts: Vec<String> = report
        .folded
        .iter()
        .map(|(drift, count)| format!("{count} {}", describe_class(*drift)))
        .collect();
    Some(format!("Folded away, as expected: {}.", counts.join(", ")))
}

/// The changes without repetition: of those that are the same in several experiments, or hits, the first, and how many
/// more there are.
fn group_changes(report: &Report) -> Vec<(&Change, usize)> {
    let mut groups: Vec<(&Change, usize)> = Vec::new();
    let mut known = HashMap::new();
    for change in &report.changes {
        let names: Vec<&str> = change.path.split('.').skip(1).collect();
        let tail: Vec<&str> = names
            .into_iter()
            .filter(|name| crate::path::hit_number(name).is_none())
            .collect();
        let key = (
            change.class,
            change.what,
            &change.old,
            &change.new,
            tail.clone(),
        );
        // What has one name alone is an experiment, not something that several experiments have.
        match known.get(&key).filter(|_| !tail.is_empty()) {
            Some(index) => {
                let (_, more): &mut (&Change, usize) = &mut groups[*index];
                *more += 1;
            }
            None => {
                known.insert(key, groups.len());
                groups.push((change, 0));
            }
        }
    }
    groups
}

fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" (and {count} more like it)"),
    }
}

/// The report as plain text.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut last = None;
    for (change, more) in group_changes(report) {
        if last != Some(change.class) {
            text += &format!("{}:\n", describe_class(change.class));
            last = Some(change.class);
        }
        let Change {
            path,
            what,
            old,
            new,
            ..
        } = change;
        text += &format!(
            "  {path}{}: {}\n    - {}\n    + {}\n",
            and_more(more),
            change_verb(*what),
            one_line(old),
            one_line(new)
        );
    }
    if report.changes.is_empty() {
        text += "No drift.\n";
    }
    if let Some(folded) = folded_summary(report) {
        text += &folded;
        text.push('\n');
    }
    text
}

/// The report as a Markdown table.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    if report.changes.is_empty() {
        text += "No drift.\n";
    } else {
        text += "| class | path | | was | is |\n| --- | --- | --- | --- | --- |\n";
        for (change, more) in group_changes(report) {
            let Change {
                path,
                class: drift,
                what,
                old,
                new,
            } = change;
            text += &format!(
                "| {} | {}{} | {} | {} | {} |\n",
                describe_class(*drift),
                code_cell(path),
                and_more(more),
                change_verb(*what),
                code_cell(old),
                code_cell(new)
            );
        }
    }
    if let Some(folded) = folded_summary(report) {
        text += &format!("\n{folded}\n");
    }
    text
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// Text as code in a table cell: whatever is measured must not become markup.
fn code_cell(text: &str) -> String {
    let escaped: String = one_line(text)
        .chars()
        .map(|c| match c {
            '&' => "&amp;".into(),
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '{' | '}' | '~' | '#' | '!' | '$' => {
                format!("&#{};", u32::from(c))
            }
            c => c.to_string(),
        })
        .collect();
    format!("<code>{escaped}</code>")
}
