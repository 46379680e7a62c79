//! A record of a trace, formatted for a page.

use qed_evidence::value::{Datum, Value};
use serde::Serialize;

use crate::exhibits::pieces::{Piece, is_number, split_pieces};
use crate::exhibits::trace_record::{FIELDS, StepRecord};

/// A record, taken apart where its line may be broken: before a field, and after a comma.
#[derive(Serialize)]
pub(super) struct RecordLine {
    head: String,
    pieces: Vec<Piece>,
}

impl RecordLine {
    pub(super) fn new(record: &StepRecord) -> Self {
        let line = record.to_string();
        let mut marks: Vec<usize> = Vec::new();
        for name in FIELDS {
            let from = marks.last().map_or(0, |at| at + 1);
            marks.extend(line[from..].find(&format!(".{name}.")).map(|at| from + at));
        }
        let ends = marks.iter().skip(1).copied().chain([line.len()]);
        let fields = marks.iter().zip(ends);
        RecordLine {
            head: line[..marks.first().copied().unwrap_or(line.len())].to_owned(),
            pieces: fields
                .flat_map(|(from, to)| split_pieces(&line[*from..to], is_number))
                .collect(),
        }
    }
}

/// Parts of a field, with commas; `void` if there are none.
pub(super) fn join_parts(parts: &[String]) -> String {
    if parts.is_empty() {
        "void".into()
    } else {
        parts.join(",")
    }
}

/// The error that a returned value is, if it is one.
pub(super) fn error_name(returned: Option<&Datum>) -> String {
    match returned.and_then(Datum::value) {
        Some(Value::Errno { value, name }) if *value != 0 => name.clone(),
        Some(value) => match value.as_integer().and_then(|n| u32::try_from(-n).ok()) {
            Some(number @ 1..=4095) => qed_evidence::constants::errno_name(number)
                .map_or_else(|| number.to_string(), std::borrow::Cow::into_owned),
            _ => "None".into(),
        },
        None => "None".into(),
    }
}

/// The file and line of a place.
pub(super) fn format_place(datum: Option<&Datum>) -> String {
    match datum.and_then(Datum::value) {
        Some(Value::Location { value }) => format!("{}:{}", value.file, value.line),
        _ => "not known".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exhibits::trace_record::RecordKind;

    /// Check that a record which is broken into lines is still the same record.
    #[test]
    fn lines_are_whole() {
        let fields = ["x.Work", "", ".", "a.b", "", "", "", "", "end"].map(str::to_owned);
        let record = StepRecord {
            number: 0,
            kind: RecordKind::Call,
            name: "f".into(),
            fields,
        };
        let line = RecordLine::new(&record);
        assert_eq!(line.head, "#0.Call.f");
        let text = |line: &RecordLine| {
            line.pieces
                .iter()
                .map(|piece| &*piece.text)
                .collect::<String>()
        };
        let breaks = line.pieces.iter().filter(|piece| piece.breaks).count();
        assert_eq!(breaks, FIELDS.len());
        assert_eq!(line.head.clone() + &text(&line), record.to_string());
    }
}
