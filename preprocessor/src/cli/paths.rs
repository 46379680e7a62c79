//! `paths`: lists all paths that an author can write, with type, value and machine.

use std::collections::BTreeSet;
use std::path::Path;

use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::value::Datum;
use serde::Serialize;

use crate::cli::common::{
    Format, GOOD, format_table, print, report_bad_input, to_pretty_json, with_book,
};
use crate::evidence::book_data::BookData;
use crate::evidence::format;
use crate::evidence::path_list::is_redundant_hit_path;
use crate::util::parallel::Parallelism;

/// The longest value that is printed whole in a table, in characters.
const MAX_VALUE: usize = 60;

/// The paths that are asked for, and how they are listed.
pub struct PathsRequest<'a> {
    /// Only paths below this one, or that begin with it.
    pub prefix: &'a str,
    /// Only values of this machine.
    pub machine: Option<&'a str>,
    /// One line a path, without values.
    pub short: bool,
    /// Table or JSON.
    pub format: Format,
}

/// One value on one machine.
#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    machine: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

/// Run the command.
pub fn run(root: &Path, request: &PathsRequest<'_>) -> u8 {
    with_book(root, Parallelism::default(), |_, book_data| {
        list_paths(book_data, request)
    })
}

fn list_paths(book_data: &BookData<'_>, request: &PathsRequest<'_>) -> u8 {
    let mut machines: Vec<usize> = (0..book_data.evidence_set.loaded.len()).collect();
    if let Some(name) = request.machine {
        let known = || {
            book_data
                .evidence_set
                .loaded
                .iter()
                .map(|one| one.machine.as_str())
        };
        machines.retain(|index| book_data.evidence_set.loaded[*index].machine == name);
        if machines.is_empty() {
            let message = format!("there is no evidence of the machine `{name}`");
            let problem = Diagnostic::error_without_place(message);
            let all = known().collect::<Vec<_>>().join(", ");
            return report_bad_input(&[problem.help(format!("there is {all}"))]);
        }
    }
    let leaves = |index: &usize| &book_data.indexed[*index].leaves;
    let names: BTreeSet<&str> = machines.iter().flat_map(|m| leaves(m).paths()).collect();
    let shown = select_paths(&names, request.prefix);
    if shown.is_empty() {
        return report_bad_input(&[no_paths_error(request.prefix, &names)]);
    }
    if request.short {
        match request.format {
            Format::Json => print(&to_pretty_json(&shown)),
            Format::Text => shown.iter().for_each(|path| print(&format!("{path}\n"))),
        }
        return GOOD;
    }
    let rows: Vec<Row<'_>> = shown
        .iter()
        .flat_map(|path| machines.iter().map(move |machine| (*path, machine)))
        .filter_map(|(path, index)| {
            let datum = &leaves(index).get(path)?.datum;
            Some(Row {
                path,
                machine: &book_data.evidence_set.loaded[*index].machine,
                kind: datum.value().map(format::describe),
                value: datum.value().map(ToString::to_string),
                missing: match datum.as_ref() {
                    Datum::Value(_) => None,
                    Datum::Missing(why) => Some(why.to_string()),
                },
            })
        })
        .collect();
    match request.format {
        Format::Json => print(&to_pretty_json(&rows)),
        Format::Text => print(&render_text(&rows)),
    }
    GOOD
}

/// The paths below `prefix`; if there are none, because its last name is only begun, those that begin with it.
fn select_paths<'n>(names: &BTreeSet<&'n str>, prefix: &str) -> Vec<&'n str> {
    let select = |is_wanted: &dyn Fn(&str) -> bool| -> Vec<&'n str> {
        let wanted = names.iter().copied().filter(|name| {
            name.strip_prefix(prefix).is_some_and(is_wanted)
                && !is_redundant_hit_path(name, prefix, names)
        });
        wanted.collect()
    };
    let is_whole = |rest: &str| {
        rest.is_empty() || prefix.is_empty() || prefix.ends_with('.') || rest.starts_with('.')
    };
    let below = select(&is_whole);
    match below.is_empty() {
        true => select(&|_| true),
        false => below,
    }
}

fn no_paths_error(prefix: &str, names: &BTreeSet<&str>) -> Diagnostic {
    let known: BTreeSet<&str> = names.iter().filter_map(|n| n.split('.').next()).collect();
    let near = nearest(prefix, names.iter().copied().chain(known.iter().copied()));
    let problem = Diagnostic::error_without_place(format!("no path begins with `{prefix}`"));
    match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => {
            let known: Vec<&str> = known.into_iter().collect();
            problem.help(format!("there is {}", known.join(", ")))
        }
    }
}

fn render_text(rows: &[Row<'_>]) -> String {
    let heading = ["path", "type", "value", "machine"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    for row in rows {
        let value = match (&row.value, &row.missing) {
            (Some(value), _) => value.clone(),
            (None, why) => format!(
                "unavailable, because {}",
                why.as_deref().unwrap_or_default()
            ),
        };
        let mut value = crate::markdown::escape::escape_invisible(&value).into_owned();
        if value.chars().count() > MAX_VALUE {
            value = value.chars().take(MAX_VALUE - 1).chain(['…']).collect();
        }
        let kind = row.kind.clone().unwrap_or_else(|| "—".to_owned());
        lines.push(vec![
            row.path.to_owned(),
            kind,
            value,
            row.machine.to_owned(),
        ]);
    }
    format_table(&lines)
}
