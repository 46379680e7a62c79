//! Sources for the reader: the commands that were run, with their output, and the lines of the files that addresses were read
//! from. Lines of the body, if there are any, select among them: `commands.NAME`, or the beginning of a file's name.

use qed_evidence::diagnostic::nearest;
use qed_evidence::document::{CommandRun, Reader, Reading};
use qed_evidence::value::Datum;
use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption, render_gap};
use crate::markdown::escape::escape_invisible;
use crate::markdown::syntax::SyntaxError;

/// An output of more lines is folded.
const LONG: usize = 16;

/// A command as it was typed, and its result.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct CommandResult {
    line: String,
    output: Vec<String>,
    /// The number of lines, if it is folded.
    folded: Option<usize>,
    /// The exit status, if it is not 0.
    status: Option<String>,
    /// The reasons for a missing status or output.
    gaps: Vec<String>,
}

/// The commands of one place.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct LogPosition {
    by: String,
    runs: Vec<CommandResult>,
}

/// The findings of one reader in one file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct FileReadings {
    name: String,
    by: String,
    lines: Vec<String>,
    /// Reasons for missing values.
    gaps: Vec<String>,
}

#[derive(Serialize)]
struct LogView {
    caption: String,
    places: Vec<LogPosition>,
    files: Vec<FileReadings>,
}

/// A line as `grep -n` prints it, or why there is none.
fn format_line(
    book_data: &BookData<'_>,
    machine: MachineId,
    reading: &Reading,
) -> Result<String, ExhibitGap> {
    match &reading.text {
        Datum::Missing(why) => Err(ExhibitGap::Unavailable(why.to_string())),
        // A release is not a secret; all else that a machine reads of itself here says where its kernel is.
        Datum::Value(_)
            if book_data.hides_addresses(machine)
                && reading.by == Reader::Machine
                && reading.key != "release" =>
        {
            Err(ExhibitGap::WithheldLine)
        }
        Datum::Value(value) => Ok(match reading.line {
            Some(number) => format!("{number}:{value}"),
            None => value.to_string(),
        }),
    }
}

/// The lines that were read, grouped by file.
fn collect_readings(
    book_data: &BookData<'_>,
    machine: MachineId,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<FileReadings> {
    let loaded = book_data.machine(machine);
    let mut files: Vec<FileReadings> = Vec::new();
    for reading in &loaded.evidence.kaslr.readings {
        if !wanted(&reading.file) {
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
                files.push(FileReadings {
                    name: reading.file.clone(),
                    by,
                    lines: Vec::new(),
                    gaps: Vec::new(),
                });
                files.len() - 1
            });
        match format_line(book_data, machine, reading) {
            Ok(line) => files[index].lines.push(line),
            // What holds for the whole file is said once.
            Err(gap) => {
                let reason = gap.to_string();
                if !files[index].gaps.contains(&reason) {
                    files[index].gaps.push(reason);
                }
            }
        }
    }
    files
}

/// The result of one command.
fn command_result(command: &CommandRun) -> CommandResult {
    let mut gaps = Vec::new();
    let mut known_text = |datum: &Datum| match datum {
        Datum::Value(value) => Some(value.to_string()),
        Datum::Missing(why) => {
            // One that was not run has no output for the same reason.
            if !gaps.contains(&why.to_string()) {
                gaps.push(why.to_string());
            }
            None
        }
    };
    let status = known_text(&command.exit).filter(|status| status != "0");
    let output = known_text(&command.output).unwrap_or_default();
    let output: Vec<String> = output
        .lines()
        .map(|line| escape_invisible(line).into())
        .collect();
    CommandResult {
        line: escape_invisible(&command.command_line()).into(),
        folded: (output.len() > LONG).then_some(output.len()),
        output,
        status,
        gaps,
    }
}

/// The commands that are wanted, in the order of the investigation: first those of the machine.
fn collect_commands(
    book_data: &BookData<'_>,
    machine: MachineId,
    wanted: &dyn Fn(&str) -> bool,
) -> (Vec<LogPosition>, Vec<Use>) {
    let loaded = book_data.machine(machine);
    let mut uses = Vec::new();
    let mut places = vec![
        LogPosition {
            by: format!("run on {}, while it was captured", loaded.machine),
            runs: Vec::new(),
        },
        LogPosition {
            by: "run on the machine that made the evidence, in a folder with files of this kernel"
                .to_owned(),
            runs: Vec::new(),
        },
    ];
    for planned in &book_data.evidence_set.investigation.commands {
        let path = format!("commands.{}", planned.name);
        if !wanted(&path) {
            continue;
        }
        let Some(command) = loaded.evidence.commands.get(&planned.name) else {
            continue;
        };
        for leaf in ["run", "exit", "output"] {
            uses.push(Use::new_dependency(format!("{path}.{leaf}"), machine));
        }
        let place = usize::from(command.by == Reader::Builder);
        places[place].runs.push(command_result(command));
    }
    places.retain(|place| !place.runs.is_empty());
    (places, uses)
}

/// As a terminal shows it.
fn transcript(run: &CommandResult) -> Vec<String> {
    let mut lines = vec![format!("    $ {}", run.line)];
    lines.extend(run.output.iter().map(|line| format!("    {line}")));
    lines.extend(run.status.iter().map(|s| format!("    exit status {s}")));
    lines.extend(run.gaps.iter().map(|gap| format!("    UNVERIFIED: {gap}")));
    lines
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let planned = &book_data.evidence_set.investigation.commands;
    for (line, span) in request.body {
        let Some(name) = line.strip_prefix("commands.") else {
            continue;
        };
        if !planned.iter().any(|command| command.name == name) {
            let near = nearest(name, planned.iter().map(|c| c.name.as_str()));
            let help = near.map(|near| format!("did you mean `commands.{near}`?"));
            let message = format!("no command `{name}` in the investigation");
            return Err(SyntaxError::new(span.clone(), message, help));
        }
    }
    let has_lines = |machine: MachineId| {
        let readings = &book_data.machine(machine).evidence.kaslr.readings;
        readings
            .iter()
            .any(|r| r.by == Reader::Builder && r.text.value().is_some())
    };
    let machine = match request.machine()? {
        Some(machine) => machine,
        None => book_data
            .machine_ids()
            .find(|machine| has_lines(*machine))
            .unwrap_or_else(|| book_data.default_machine("kaslr")),
    };
    let wanted: Vec<&str> = request.body.iter().map(|(line, _)| line.as_str()).collect();
    let (places, uses) = collect_commands(book_data, machine, &|path| {
        wanted.is_empty() || wanted.contains(&path)
    });
    let files = collect_readings(book_data, machine, &|file| {
        wanted.is_empty() || wanted.iter().any(|start| file.starts_with(start))
    });
    if files.is_empty() && places.is_empty() {
        return Ok(render_gap(
            book_data,
            machine,
            "its evidence holds no such command and no line of such a file: capture it again",
        ));
    }
    let what = match (places.is_empty(), files.is_empty()) {
        (false, true) => "commands and what they printed",
        (true, _) => "lines as they stood in the files",
        (false, false) => "commands and what they printed, and lines as they stood in the files",
    };
    let caption = caption(book_data, machine, what);
    let mut text = vec![caption.clone()];
    for place in &places {
        text.push(place.by.clone());
        text.extend(place.runs.iter().flat_map(transcript));
    }
    for file in &files {
        text.push(format!("{} ({})", file.name, file.by));
        text.extend(file.lines.iter().map(|line| format!("    {line}")));
        text.extend(file.gaps.iter().map(|gap| format!("    UNVERIFIED: {gap}")));
    }
    let data = LogView {
        caption,
        places,
        files,
    };
    Ok(RenderedBlock {
        html: book_data.evidence_set.templates.render("log", &data),
        text: text.join("\n"),
        machines: vec![machine],
        uses,
        problems: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::value::Value;

    fn command(argv: &[&str], exit: Datum, output: Datum) -> CommandRun {
        CommandRun {
            by: Reader::Machine,
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            files: Vec::new(),
            exit,
            output,
            values: Default::default(),
        }
    }

    /// Check that a command stands there as a shell takes it, with its output as it was, a status other than success,
    /// and each gap once; and that a long output is folded.
    #[test]
    fn transcripts() {
        let text = |text: &str| -> Datum { Value::text(text).into() };
        let spaces = command_result(&command(
            &["grep", "Kernel code", "/proc/iomem"],
            Value::int(0).into(),
            text("  01000000-01ffffff : Kernel code\n"),
        ));
        assert_eq!(
            transcript(&spaces),
            [
                "    $ grep 'Kernel code' /proc/iomem",
                "      01000000-01ffffff : Kernel code"
            ]
        );
        let failed = command_result(&command(&["false"], Value::int(1).into(), text("")));
        assert_eq!(transcript(&failed), ["    $ false", "    exit status 1"]);
        let why = || Datum::unavailable("it could not be started");
        let missing = command_result(&command(&["nm"], why(), why()));
        assert_eq!(
            transcript(&missing),
            ["    $ nm", "    UNVERIFIED: it could not be started"]
        );
        let long = command_result(&command(
            &["x"],
            Value::int(0).into(),
            text(&"l\n".repeat(17)),
        ));
        assert_eq!((long.folded, spaces.folded), (Some(17), None));
    }
}
