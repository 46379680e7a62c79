//! A record of a trace, formatted for a page.

use serde::Serialize;

use crate::exhibits::trace_record::{FIELDS, StepRecord};

/// A record, taken apart where its line may be broken.
#[derive(Serialize)]
pub(super) struct Line {
    head: String,
    fields: Vec<String>,
}

impl Line {
    pub(super) fn of(record: &StepRecord) -> Self {
        let line = record.to_string();
        let mut marks: Vec<usize> = Vec::new();
        for name in FIELDS {
            let from = marks.last().map_or(0, |at| at + 1);
            marks.extend(line[from..].find(&format!(".{name}.")).map(|at| from + at));
        }
        let ends = marks.iter().skip(1).copied().chain([line.len()]);
        Line {
            head: line[..marks.first().copied().unwrap_or(line.len())].to_owned(),
            fields: marks
                .iter()
                .zip(ends)
                .map(|(from, to)| line[*from..to].to_owned())
                .collect(),
        }
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
        let line = Line::of(&record);
        assert_eq!(line.head, "#0.Call.f");
        assert_eq!(line.fields.len(), FIELDS.len());
        assert_eq!(line.head + &line.fields.concat(), record.to_string());
    }
}
