//! Reverse look-up: from a value typed by hand to the path under which the same value was measured.

use std::collections::HashMap;

use qed_evidence::Value;
use qed_evidence::path_index::Drift;

use crate::evidence::book_data::BookData;

/// The place where a value was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementSite {
    /// Its path.
    pub path: String,
    /// Name of the machine.
    pub machine: String,
}

/// The measured values, by what they look like when typed.
#[derive(Debug, Default)]
pub struct MeasuredValues {
    numbers: HashMap<u64, MeasurementSite>,
    texts: HashMap<String, MeasurementSite>,
}

impl MeasuredValues {
    /// Of all machines; of several places the first, in the order of machines and paths.
    pub fn new(book_data: &BookData<'_>) -> Self {
        let mut measured = MeasuredValues::default();
        for (loaded, indexed) in book_data.evidence_set.loaded.iter().zip(&book_data.indexed) {
            for (path, leaf) in indexed.leaves.iter() {
                let origin = || MeasurementSite {
                    path: path.to_owned(),
                    machine: loaded.machine.clone(),
                };
                match leaf.datum.value() {
                    Some(Value::Address { value, .. }) => {
                        measured.numbers.entry(value.0).or_insert_with(origin);
                    }
                    Some(Value::Symbol { address, .. }) => {
                        measured.numbers.entry(address.0).or_insert_with(origin);
                    }
                    // A distance that belongs to the kernel may be a constant of its source.
                    Some(value @ Value::Offset { .. }) if leaf.drift <= Drift::PerBoot => {
                        if let Some(number) = value.as_integer().and_then(|n| n.try_into().ok()) {
                            measured.numbers.entry(number).or_insert_with(origin);
                        }
                    }
                    Some(
                        value @ (Value::Text { .. } | Value::Bytes { .. } | Value::Location { .. }),
                    ) => {
                        measured
                            .texts
                            .entry(value.to_string())
                            .or_insert_with(origin);
                    }
                    Some(Value::CutText { value, .. }) => {
                        measured.texts.entry(value.clone()).or_insert_with(origin);
                    }
                    _ => {}
                }
            }
        }
        measured
    }

    /// The place where this was measured, if it was.
    pub fn find(&self, text: &str, number: Option<u64>) -> Option<&MeasurementSite> {
        self.texts
            .get(text)
            .or_else(|| number.and_then(|n| self.numbers.get(&n)))
    }
}
