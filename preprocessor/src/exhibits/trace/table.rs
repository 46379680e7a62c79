//! The steps of a trace as a table, or as aligned lines in outputs without tables.

use serde::Serialize;

use crate::exhibits::trace_record::{RecordKind, StepRecord};

/// The placeholder text in a record of an inlined function.
pub(super) const INLINED: &str = "inlined";

/// A record, with the arguments by their names, as the table shows them.
pub(super) struct TraceStep {
    pub(super) record: StepRecord,
    pub(super) arguments: Vec<String>,
}

impl TraceStep {
    /// A step whose arguments are not known, or that has none.
    pub(super) fn of(record: StepRecord) -> Self {
        Self {
            record,
            arguments: Vec::new(),
        }
    }
}

/// A step of the table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct StepRow {
    number: String,
    name: String,
    /// True if it comes out of the system call.
    returns: bool,
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
pub(super) fn rows(steps: &[TraceStep]) -> Vec<StepRow> {
    let mut rows = Vec::new();
    let mut inlined: Vec<String> = Vec::new();
    for TraceStep { record, arguments } in steps {
        let [values, _, work, errors, returned, _, caller, ..] = &record.fields;
        let known = |text: &str| (!UNTOLD.contains(&text)).then(|| text.to_owned());
        if values == INLINED {
            inlined.push(match known(caller) {
                Some(line) => format!("{}: {}, at {line}", record.number, record.name),
                None => format!("{}: {}", record.number, record.name),
            });
            continue;
        }
        let returns = record.kind == RecordKind::Return;
        // The result of the system call is shown at its exit.
        let gate = !returns && record.name.starts_with("SYSCALL_DEFINE");
        rows.push(StepRow {
            number: record.number.to_string(),
            name: record.name.clone(),
            returns,
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
pub(super) fn lines(rows: &[StepRow]) -> Vec<String> {
    let width = rows.iter().map(|row| row.number.len()).max().unwrap_or(0);
    let mut out = Vec::new();
    for row in rows {
        let arrow = if row.returns { "<-" } else { "->" };
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
    /// known is left out, in the table and in the lines.
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
        };
        let inlined = |name, line| TraceStep::of(inlined(name, line));
        let rows = rows(&[
            inlined("g", "a.c:5"),
            inlined("h", "not known"),
            call,
            TraceStep::of(out),
        ]);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].inlined, ["0: g, at a.c:5", "0: h"]);
        assert_eq!(
            lines(&rows),
            [
                "0 -> f(family = AF_INET (2), s = 0x10) = -1 (EPERM)",
                "     makes it",
                "     called at a.c:1",
                "     inlined: 0: g, at a.c:5; 0: h",
                "0 <- SYSCALL_DEFINE1(f)() = 3",
            ]
        );
    }
}
