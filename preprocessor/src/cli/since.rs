//! `since`: on which kernels of a sweep each claim is true, and between which two it turned.

use std::path::Path;

use qed_evidence::claim::{Judgement, release_order};
use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::{Evidence, reader};
use serde::Serialize;

use crate::claims::collect::Claims;
use crate::claims::judged::JudgedClaim;
use crate::claims::timeline::{Answer, Run, Turn, runs, turns};
use crate::cli::check::Format;
use crate::cli::common::{GOOD, print, refuse, table};
use crate::config::evidence_file;
use crate::evidence::book_data::{BookData, index};
use crate::evidence::cache::Cache;
use crate::evidence::freshness::LocalMachine;
use crate::evidence::loader::{self, Ahead};
use crate::evidence::locations::CAPTURED;
use crate::mdbook::load;

/// The command that makes a sweep.
const SWEEP: &str = "`qed-collector sweep` captures on a kernel of each series";

/// Runs the command: all claims of the book in `root`, or the one of this id, on the evidence in `from`.
pub fn run(root: &Path, id: Option<&str>, from: &Path, format: Format) -> u8 {
    match since(root, id, from, format) {
        Ok(text) => {
            print(&text);
            GOOD
        }
        Err(problems) => refuse(&problems),
    }
}

fn since(
    root: &Path,
    id: Option<&str>,
    from: &Path,
    format: Format,
) -> Result<String, Vec<Diagnostic>> {
    let mut book = load::load(root).map_err(|problem| vec![problem])?;
    let kernels = read_sweep(&root.join(from)).map_err(|problem| vec![*problem])?;
    // The kernels of the sweep take the place of the book's machines.
    book.config.machines = kernels.iter().map(|e| e.machine.name.clone()).collect();
    let ahead: Ahead = kernels
        .into_iter()
        .map(|evidence| {
            let file = Path::new(CAPTURED).join(evidence_file(&evidence.machine.name));
            (file, Ok(Some((evidence, None))))
        })
        .collect();
    let here = LocalMachine::read();
    let store = loader::load(&book.paths, &book.config, &here, ahead, Cache::default())?;
    let stale = store.loaded.iter().filter_map(|loaded| {
        let reason = loaded.out_of_date()?;
        let message = format!(
            "the sweep's evidence of {} is out of date: {reason}",
            loaded.machine
        );
        Some(Diagnostic::error_without_place(message).help(format!("sweep again: {SWEEP}")))
    });
    let stale: Vec<Diagnostic> = stale.collect();
    if !stale.is_empty() {
        return Err(stale);
    }
    let indexed = index(&store);
    let facts = BookData::new(&book.config, &store, &indexed);
    // Complaints about chapters are those of `check`, which knows the book's own machines.
    let claims = Claims::collect(&book.chapters, &facts, &mut Vec::new());
    let releases: Vec<&str> = store
        .loaded
        .iter()
        .map(|loaded| loaded.evidence.kernel.release.as_str())
        .collect();
    let wanted: Vec<&JudgedClaim> = match id {
        Some(id) => vec![claims.get(id).ok_or_else(|| vec![unknown(id, &claims)])?],
        None => claims.in_order().collect(),
    };
    let rows: Vec<Row<'_>> = wanted.into_iter().map(Row::new).collect();
    Ok(match (format, &rows[..]) {
        (Format::Json, _) => json(&rows, &releases),
        (Format::Text, [row]) if id.is_some() => one(row, &releases),
        (Format::Text, _) => all(&rows, &releases),
    })
}

fn unknown(id: &str, claims: &Claims) -> Diagnostic {
    let problem = Diagnostic::error_without_place(format!("no chapter makes a claim `{id}`"));
    match nearest(id, claims.ids()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`mdbook-qed check` lists all claims"),
    }
}

/// The evidence of each kernel in a folder, the oldest kernel first.
fn read_sweep(folder: &Path) -> Result<Vec<Evidence>, Box<Diagnostic>> {
    let refused = |message: String| Box::new(Diagnostic::error_without_place(message).help(SWEEP));
    let shown = folder.display();
    let entries = std::fs::read_dir(folder)
        .map_err(|error| refused(format!("the sweep in `{shown}` cannot be read: {error}")))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| refused(format!("the sweep in `{shown}` cannot be read: {error}")))?
            .path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let name = path.display();
        let bytes = std::fs::read(&path)
            .map_err(|error| refused(format!("`{name}` cannot be read: {error}")))?;
        let evidence = reader::read(&bytes)
            .map_err(|error| refused(format!("the evidence `{name}` is refused: {error}")))?;
        let Some(order) = release_order(&evidence.kernel.release) else {
            let release = &evidence.kernel.release;
            return Err(refused(format!(
                "the evidence `{name}` is of kernel `{release}`, which is not a version such as 6.12"
            )));
        };
        found.push((order, evidence));
    }
    if found.is_empty() {
        return Err(refused(format!("there is no evidence in `{shown}`")));
    }
    found.sort_by(|(a, one), (b, other)| {
        a.cmp(b)
            .then_with(|| one.machine.name.cmp(&other.machine.name))
    });
    Ok(found.into_iter().map(|(_, evidence)| evidence).collect())
}

/// A claim with its answers, the oldest kernel first.
struct Row<'c> {
    claim: &'c JudgedClaim,
    answers: Vec<Answer>,
}

impl<'c> Row<'c> {
    fn new(claim: &'c JudgedClaim) -> Self {
        Row {
            claim,
            answers: claim.judgements.iter().map(Answer::of).collect(),
        }
    }

    /// Where it is true and where it is false, in words.
    fn summary(&self, releases: &[&str]) -> String {
        let found = runs(&self.answers);
        if found.is_empty() {
            return "judged on none of these kernels".into();
        }
        let parts: Vec<String> = found
            .iter()
            .enumerate()
            .map(|(number, run)| describe(run, number == 0, number + 1 == found.len(), releases))
            .collect();
        parts.join("; ")
    }
}

/// A run in words. The first began before the first kernel, as far as is known, and the last goes on.
fn describe(run: &Run, first: bool, last: bool, releases: &[&str]) -> String {
    let word = if run.holds { "true" } else { "false" };
    let (from, to) = (series(releases[run.first]), series(releases[run.last]));
    match (first, last) {
        (true, true) => format!("{word} on all that judge it, {from} to {to}"),
        (true, false) => format!("{word} up to {to}"),
        (false, true) => format!("{word} from {from} on"),
        (false, false) if from == to => format!("{word} on {from}"),
        (false, false) => format!("{word} from {from} to {to}"),
    }
}

/// `7.0` of `7.0.13+deb14-amd64`.
fn series(release: &str) -> String {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (numbers.next(), numbers.next());
    format!("{}.{}", major.unwrap_or("?"), minor.unwrap_or("?"))
}

/// One claim: its answers, and what its operands were on both sides of each turn.
fn one(row: &Row<'_>, releases: &[&str]) -> String {
    let claim = &row.claim.claim;
    let mut out = format!("claim {} in {}\n\n", claim.id, row.claim.chapter_name);
    for line in claim.expression.text().trim().lines() {
        out.push_str(&format!("    {line}\n"));
    }
    if let Some(when) = &claim.when {
        out.push_str(&format!("    when {}\n", when.text()));
    }
    if let Some(holds) = &claim.holds {
        out.push_str(&format!("    holds {}\n", holds.text()));
    }
    out.push_str(&format!("\n{}\n\n", row.summary(releases)));
    let lines: Vec<Vec<String>> = releases
        .iter()
        .zip(&row.answers)
        .zip(&row.claim.judgements)
        .map(|((release, answer), judgement)| {
            let reason = match answer {
                Answer::Gap(_) => judgement.reason.clone().unwrap_or_default(),
                _ => String::new(),
            };
            vec![format!("  {release}"), answer.word().into(), reason]
        })
        .collect();
    out.push_str(&table(&lines));
    for turn in turns(&row.answers) {
        out.push_str(&turned(turn, &row.claim.judgements, releases));
    }
    out
}

/// The operands on both sides of a turn.
fn turned(turn: Turn, judgements: &[Judgement], releases: &[&str]) -> String {
    let Turn { before, after } = turn;
    let mut rows = vec![vec![
        String::new(),
        releases[before].to_owned(),
        releases[after].to_owned(),
    ]];
    let values = |index: usize| {
        let operands = judgements[index].operands.iter();
        operands.map(|operand| {
            let value = operand.value.as_ref().map(ToString::to_string);
            (
                operand.text.as_str(),
                value.unwrap_or_else(|| "not evaluated".into()),
            )
        })
    };
    for ((text, old), (_, new)) in values(before).zip(values(after)) {
        rows.push(vec![format!("  {text}"), old, new]);
    }
    format!(
        "\nturned between {} and {}\n{}",
        series(releases[before]),
        series(releases[after]),
        table(&rows)
    )
}

/// All claims, one line each; then those that turned.
fn all(rows: &[Row<'_>], releases: &[&str]) -> String {
    let sign = |answer: &Answer| match answer {
        Answer::True => "true",
        Answer::False => "false",
        Answer::Gap(_) => "-",
    };
    let mut lines = vec![
        std::iter::once("claim".to_owned())
            .chain(releases.iter().map(|release| series(release)))
            .collect::<Vec<_>>(),
    ];
    lines.extend(rows.iter().map(|row| {
        std::iter::once(row.claim.claim.id.clone())
            .chain(row.answers.iter().map(|answer| sign(answer).to_owned()))
            .collect()
    }));
    let mut out = table(&lines);
    let turned: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| !turns(&row.answers).is_empty())
        .collect();
    out.push_str(&format!(
        "\n{} claims on {} kernels, of which {} turned\n",
        rows.len(),
        releases.len(),
        turned.len()
    ));
    for row in turned {
        let id = &row.claim.claim.id;
        out.push_str(&format!("  {id}: {}\n", row.summary(releases)));
    }
    out
}

#[derive(Serialize)]
struct Document<'a> {
    kernels: &'a [&'a str],
    claims: Vec<JsonClaim<'a>>,
}

#[derive(Serialize)]
struct JsonClaim<'a> {
    id: &'a str,
    chapter: &'a str,
    expression: &'a str,
    /// Per kernel: `true`, `false`, or the verdict that says why it was not judged.
    answers: Vec<&'static str>,
    turns: Vec<JsonTurn<'a>>,
}

#[derive(Serialize)]
struct JsonTurn<'a> {
    before: &'a str,
    after: &'a str,
}

fn json(rows: &[Row<'_>], releases: &[&str]) -> String {
    let claims = rows.iter().map(|row| JsonClaim {
        id: &row.claim.claim.id,
        chapter: &row.claim.chapter_name,
        expression: row.claim.claim.expression.text(),
        answers: row.answers.iter().map(|answer| answer.word()).collect(),
        turns: turns(&row.answers)
            .into_iter()
            .map(|turn| JsonTurn {
                before: releases[turn.before],
                after: releases[turn.after],
            })
            .collect(),
    });
    let document = Document {
        kernels: releases,
        claims: claims.collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)
        .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the runs of a claim are told from the first kernel to the last.
    #[test]
    fn runs_in_words() {
        let releases = ["6.1.0-56", "6.12.118", "7.0.13", "7.1.2", "7.3.4"];
        let run = |holds, first, last| Run { holds, first, last };
        for (run, first, last, words) in [
            (
                run(true, 0, 4),
                true,
                true,
                "true on all that judge it, 6.1 to 7.3",
            ),
            (run(true, 0, 2), true, false, "true up to 7.0"),
            (run(false, 3, 4), false, true, "false from 7.1 on"),
            (run(true, 1, 1), false, false, "true on 6.12"),
            (run(true, 1, 3), false, false, "true from 6.12 to 7.1"),
        ] {
            assert_eq!(describe(&run, first, last, &releases), words);
        }
    }
}
