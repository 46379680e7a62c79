//! The lines of files that the addresses came from. Lines of its body, if it has any, choose files by how they begin.

use qed_evidence::document::{Reader, Reading};
use qed_evidence::value::Datum;
use serde::Serialize;

use super::{Request, caption, nothing};
use crate::facts::Facts;
use crate::fill::Rendered;
use crate::syntax::SyntaxError;

/// What one reader found in one file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct File {
    name: String,
    by: String,
    lines: Vec<String>,
    /// Why what was looked for is not there.
    gaps: Vec<String>,
}

#[derive(Serialize)]
struct Data {
    caption: String,
    files: Vec<File>,
}

/// A line as `grep -n` prints it, or why there is none.
fn line(facts: &Facts<'_>, machine: usize, reading: &Reading) -> Result<String, String> {
    match &reading.text {
        Datum::Unavailable(why) => Err(why.unavailable.clone()),
        // A release is no secret; all else that a machine reads of itself here says where its kernel is.
        Datum::Value(_)
            if facts.hides(machine)
                && reading.by == Reader::Machine
                && reading.key != "release" =>
        {
            Err("withheld, because it would tell where this machine's kernel is".into())
        }
        Datum::Value(value) => Ok(match reading.line {
            Some(number) => format!("{number}:{value}"),
            None => value.to_string(),
        }),
    }
}

/// The readings, those of one file together.
fn files(facts: &Facts<'_>, machine: usize, wanted: &[&str]) -> Vec<File> {
    let loaded = &facts.loaded[machine];
    let mut files: Vec<File> = Vec::new();
    for reading in &loaded.evidence.kaslr.readings {
        let chosen = wanted.iter().any(|start| reading.file.starts_with(start));
        if !wanted.is_empty() && !chosen {
            continue;
        }
        let by = match reading.by {
            Reader::Machine => format!("read by {}, while it ran", loaded.machine),
            Reader::Builder => "read by the machine that made the evidence".to_owned(),
        };
        let index = files
            .iter()
            .position(|file| file.name == reading.file && file.by == by)
            .unwrap_or_else(|| {
                files.push(File {
                    name: reading.file.clone(),
                    by,
                    lines: Vec::new(),
                    gaps: Vec::new(),
                });
                files.len() - 1
            });
        match line(facts, machine, reading) {
            Ok(line) => files[index].lines.push(line),
            // What holds for the whole file is said once.
            Err(reason) if files[index].gaps.contains(&reason) => {}
            Err(reason) => files[index].gaps.push(reason),
        }
    }
    files
}

/// Renders the exhibit.
pub fn render(request: &Request<'_, '_>) -> Result<Rendered, SyntaxError> {
    let facts = request.facts;
    let has_lines = |index: usize| {
        let readings = &facts.loaded[index].evidence.kaslr.readings;
        readings
            .iter()
            .any(|r| r.by == Reader::Builder && r.text.value().is_some())
    };
    let machine = match request.machine()? {
        Some(machine) => machine,
        None => (0..facts.loaded.len())
            .find(|index| has_lines(*index))
            .unwrap_or_else(|| facts.default_machine("kaslr")),
    };
    let wanted: Vec<&str> = request.body.iter().map(|(line, _)| line.as_str()).collect();
    let files = files(facts, machine, &wanted);
    if files.is_empty() {
        return Ok(nothing(
            facts,
            machine,
            "its evidence holds no line of such a file: capture it again",
        ));
    }
    let caption = caption(facts, machine, "lines as they stood in the files");
    let mut text = vec![caption.clone()];
    for file in &files {
        text.push(format!("{} ({})", file.name, file.by));
        text.extend(file.lines.iter().map(|line| format!("    {line}")));
        text.extend(file.gaps.iter().map(|gap| format!("    UNVERIFIED: {gap}")));
    }
    Ok(Rendered {
        html: facts.templates.render("log", &Data { caption, files }),
        text: text.join("\n"),
        machines: vec![machine],
        uses: Vec::new(),
        problems: Vec::new(),
    })
}
