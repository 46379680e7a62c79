//! `paths`: everything that an author can write, with type, value and machine.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;

use crate::cli::common::{GOOD, print, refuse, table, with_book};
use crate::evidence::book_data::BookData;
use crate::evidence::format;
use crate::util::parallel::Parallelism;

/// The longest value that is printed whole, in characters.
const MAX_VALUE: usize = 60;

/// Runs the command.
pub fn run(root: &Path, prefix: &str) -> u8 {
    with_book(root, Parallelism::default(), |_, book_data| {
        list(book_data, prefix)
    })
}

fn list(book_data: &BookData<'_>, prefix: &str) -> u8 {
    let indexed = &book_data.indexed;
    let mut rows = vec![
        ["path", "type", "value", "machine"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut names: Vec<&str> = indexed.iter().flat_map(|m| m.leaves.paths()).collect();
    names.sort_unstable();
    names.dedup();
    let fits = |name: &&str| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            rest.is_empty() || prefix.is_empty() || prefix.ends_with('.') || rest.starts_with('.')
        })
    };
    let mut any = false;
    for name in names.iter().copied().filter(fits) {
        for (machine, indexed) in book_data.loaded.iter().zip(indexed) {
            let Some(leaf) = indexed.leaves.get(name) else {
                continue;
            };
            any = true;
            let kind = leaf
                .datum
                .value()
                .map_or_else(|| "—".to_owned(), format::describe);
            let mut value =
                crate::markdown::escape::visible(&format::datum(&leaf.datum)).into_owned();
            if value.chars().count() > MAX_VALUE {
                value = value.chars().take(MAX_VALUE - 1).chain(['…']).collect();
            }
            rows.push(vec![name.to_owned(), kind, value, machine.machine.clone()]);
        }
    }
    if !any {
        let known: Vec<&str> = {
            let mut firsts: Vec<&str> = names.iter().filter_map(|n| n.split('.').next()).collect();
            firsts.dedup();
            firsts
        };
        let near = qed_evidence::diagnostic::nearest(
            prefix,
            names.iter().copied().chain(known.iter().copied()),
        );
        let problem = Diagnostic::error_without_place(format!("no path begins with `{prefix}`"));
        return refuse(&[match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("there is {}", known.join(", "))),
        }]);
    }
    print(&table(&rows));
    GOOD
}
