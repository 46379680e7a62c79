//! The steps of a trace as a table, or as aligned lines in outputs without tables.

use serde::Serialize;

use crate::exhibits::trace_record::{RecordKind, StepRecord};

/// The placeholder text in a record of an inlined function.
pub(super) const INLINED: &str = "inlined";

/// A record, with the arguments by their names, as the table shows them.
pub(super) struct TraceStep {
    pub(super) record: StepRecord,
    pub(super) arguments: Vec<String>,
    /// Of a hit that an interrupt caused on top of the task: what to say of it.
    pub(super) interrupt: Option<String>,
    /// The hit that it is, as paths name it, if it is one.
    pub(super) hit: Option<String>,
}

impl TraceStep {
    /// A step whose arguments are not known, or that has none.
    pub(super) fn new(record: StepRecord) -> Self {
        Self {
            record,
            arguments: Vec::new(),
            interrupt: None,
            hit: None,
        }
    }

    /// A step with arguments that is no hit of a probe.
    pub(super) fn with_arguments(record: StepRecord, arguments: Vec<String>) -> Self {
        Self {
            arguments,
            ..Self::new(record)
        }
    }

    /// The record alone, which says in its `Work` what the table shows beside it.
    pub(super) fn into_record(self) -> StepRecord {
        let Self {
            mut record,
            interrupt,
            ..
        } = self;
        if let Some(interrupt) = interrupt {
            let [_, _, work, ..] = &mut record.fields;
            work.push_str(&format!("; {interrupt}"));
        }
        record
    }
}

/// A step of the table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct StepRow {
    number: String,
    name: String,
    /// What it is: `function`, `event`, or the `return` of the system call.
    kind: &'static str,
    /// Says that an interrupt caused it on top of the task, if one did.
    interrupt: Option<String>,
    /// Arguments by their names.
    values: Vec<String>,
    /// Its return value, with the name of the error if it is one.
    returned: Option<String>,
    /// Its purpose, if that is described.
    work: Option<String>,
    /// The call's source line.
    caller: Option<String>,
    /// Functions that the compiler inlined on the way to it, in which nothing was measured.
    inlined: Vec<String>,
    /// Their number in words.
    folded: Option<String>,
}

/// The steps of the table. Inlined functions are part of the next step that was measured.
pub(super) fn build_rows(steps: &[TraceStep]) -> Vec<StepRow> {
    let mut rows = Vec::new();
    let mut inlined: Vec<String> = Vec::new();
    for step in steps {
        let TraceStep {
            record,
            arguments,
            interrupt,
            ..
        } = step;
        let [values, _, work, errors, returned, _, caller, ..] = &record.fields;
        let known = |text: &str| (!UNTOLD.contains(&text)).then(|| text.to_owned());
        if values == INLINED {
            inlined.push(match known(caller) {
                Some(line) => format!("{}, at {line}", record.name),
                None => record.name.clone(),
            });
            continue;
        }
        let returns = record.kind == RecordKind::Return;
        // The result of the system call is shown at its exit.
        let gate = !returns && record.name.starts_with("SYSCALL_DEFINE");
        rows.push(StepRow {
            // What is folded away leaves no gap.
            number: (rows.len() + 1).to_string(),
            name: record.name.clone(),
            kind: match record.kind {
                RecordKind::Call => "function",
                RecordKind::Event => "event",
                RecordKind::Return => "return",
            },
            interrupt: interrupt.clone(),
            values: arguments.clone(),
            returned: known(returned)
                .filter(|_| !gate)
                .map(|returned| match errors.as_str() {
                    "None" => returned,
                    error if returned.contains(error) => returned,
                    error => format!("{returned} ({error})"),
                }),
            work: known(work),
            caller: known(caller).filter(|_| !returns),
            folded: (!inlined.is_empty()).then(|| match inlined.len() {
                1 => "through 1 inlined function".into(),
                many => format!("through {many} inlined functions"),
            }),
            inlined: std::mem::take(&mut inlined),
        });
    }
    rows
}

/// The texts of fields that have nothing to show.
const UNTOLD: [&str; 5] = ["not described", "not known", "void", "not read", "not seen"];

/// The steps as aligned lines.
pub(super) fn format_rows(rows: &[StepRow]) -> Vec<String> {
    let width = rows.iter().map(|row| row.number.len()).max().unwrap_or(0);
    let mut out = Vec::new();
    for row in rows {
        let arrow = match row.kind {
            "return" => "<-",
            "event" => "--",
            _ => "->",
        };
        let returned = row.returned.as_ref();
        let returned = returned.map_or_else(String::new, |value| format!(" = {value}"));
        out.push(format!(
            "{:>width$} {arrow} {}({}){returned}",
            row.number,
            row.name,
            row.values.join(", ")
        ));
        let indent = width + 4;
        let more = [
            row.interrupt.clone(),
            row.work.clone(),
            row.caller.as_ref().map(|line| format!("called at {line}")),
            (!row.inlined.is_empty()).then(|| format!("inlined: {}", row.inlined.join("; "))),
        ];
        out.extend((more.into_iter().flatten()).map(|text| format!("{:indent$}{text}", "")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: RecordKind, name: &str, fields: [String; 9]) -> StepRecord {
        StepRecord {
            number: 0,
            kind,
            name: name.to_owned(),
            fields,
        }
    }

    /// Check that inlined functions are folded into the step that they lead to, and that what is not
    /// known is left out, in the table and in the lines, that a tracepoint is no call, and that an interrupt is told.
    #[test]
    fn steps() {
        let fields = |fields: [&str; 9]| fields.map(str::to_owned);
        let inlined = |name: &str, line: &str| {
            record(
                RecordKind::Call,
                name,
                fields([
                    INLINED,
                    INLINED,
                    "not described",
                    "None",
                    INLINED,
                    INLINED,
                    line,
                    INLINED,
                    INLINED,
                ]),
            )
        };
        let call = record(
            RecordKind::Call,
            "f",
            fields([
                "2,0x10,7",
                "AF_INET,struct s *,n=7",
                "makes it",
                "EPERM",
                "-1",
                "int",
                "a.c:1",
                "b.c:2",
                "not seen",
            ]),
        );
        let out = record(
            RecordKind::Return,
            "SYSCALL_DEFINE1(f)",
            fields([
                "3",
                "fd",
                "not described",
                "None",
                "3",
                "regs->ax",
                "0",
                "b.c:2",
                "user space",
            ]),
        );
        let call = TraceStep {
            record: call,
            arguments: vec!["family = AF_INET (2)".into(), "s = 0x10".into()],
            interrupt: Some("in an interrupt (softirq)".into()),
            hit: None,
        };
        let event = record(
            RecordKind::Event,
            "kfree",
            fields([
                "0x10",
                "void *",
                "not described",
                "None",
                "void",
                "void",
                "not known",
                "not known",
                "not seen",
            ]),
        );
        let event = TraceStep {
            arguments: vec!["ptr = 0x10".into()],
            ..TraceStep::new(event)
        };
        let inlined = |name, line| TraceStep::new(inlined(name, line));
        let rows = build_rows(&[
            inlined("g", "a.c:5"),
            inlined("h", "not known"),
            call,
            event,
            TraceStep::new(out),
        ]);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].inlined, ["g, at a.c:5", "h"]);
        assert_eq!(
            format_rows(&rows),
            [
                "1 -> f(family = AF_INET (2), s = 0x10) = -1 (EPERM)",
                "     in an interrupt (softirq)",
                "     makes it",
                "     called at a.c:1",
                "     inlined: g, at a.c:5; h",
                "2 -- kfree(ptr = 0x10)",
                "3 <- SYSCALL_DEFINE1(f)() = 3",
            ]
        );
        let marked = TraceStep {
            interrupt: Some("in an interrupt (hardirq)".into()),
            ..inlined("g", "a.c:5")
        };
        assert_eq!(
            marked.into_record().fields[2],
            "not described; in an interrupt (hardirq)"
        );
    }
}
