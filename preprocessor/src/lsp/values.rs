//! Values as an editor shows them: those that a page may show, or the reason why there is none.

use qed_evidence::Path;
use qed_evidence::path_index::Drift;

use crate::evidence::book_data::{BookData, PathValue};
use crate::evidence::format::{describe, format};
use crate::evidence::machine_id::MachineId;
use crate::markdown::escape::escape_invisible;

/// The longest value that is shown whole, in characters.
const MAX_VALUE: usize = 80;

/// A value on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineValue {
    /// The text of the value, on one line; or the word for a gap and the reason.
    pub text: String,
    /// The type; nothing where there is no value.
    pub kind: Option<String>,
    /// When it may change; nothing where there is no value.
    pub drift: Option<Drift>,
}

/// The value of a path on a machine; nothing for what is no path of a value.
pub fn value_on_machine(
    book_data: &BookData<'_>,
    path: &Path,
    machine: MachineId,
) -> Option<MachineValue> {
    let shown = book_data.resolve(path, Some(machine));
    let gap = |word: &str, reason: &str| MachineValue {
        text: shorten(&format!("{word}: {reason}")),
        kind: None,
        drift: None,
    };
    Some(match &shown.as_ref().as_ref().ok()?.what {
        PathValue::Value(value, drift) => MachineValue {
            text: match format(value, None) {
                Ok(text) => shorten(&text),
                Err(reason) => shorten(&reason.to_string()),
            },
            kind: Some(describe(value)),
            drift: Some(*drift),
        },
        PathValue::Missing(missing) => {
            let (word, reason) = book_data.describe_gap(path, Some(machine), missing, None);
            gap(word, &reason)
        }
        PathValue::Broken(reason) => gap("ERROR", reason),
    })
}

/// The value of a path on the machine that pages show; nothing for what is no path of a value, or without any evidence.
pub fn shown_value(book_data: &BookData<'_>, path: &Path) -> Option<MachineValue> {
    book_data.machine_ids().next()?;
    let shown = book_data.resolve(path, None);
    value_on_machine(book_data, path, shown.as_ref().as_ref().ok()?.machine?)
}

/// The text on one line, with invisible characters escaped, and shortened if it is long.
pub fn shorten(text: &str) -> String {
    let text = escape_invisible(text.trim_end_matches('\n'));
    match text.chars().count() > MAX_VALUE {
        true => text.chars().take(MAX_VALUE - 1).chain(['…']).collect(),
        false => text.into_owned(),
    }
}

/// When a value may change, in words.
pub fn describe_drift(drift: Drift) -> &'static str {
    match drift {
        Drift::PerRun => "may change with every run",
        Drift::PerBoot => "may change with every boot",
        Drift::PerKernel => "the same in every boot of this kernel",
        Drift::Invariant => "expected to stay the same",
    }
}
