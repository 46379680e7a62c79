//! The words of a document's values and frames, with which a name in a claim can be compared.

use std::collections::BTreeSet;

use crate::document::Evidence;
use crate::document::value::{Datum, Frame, Location, Value};
use crate::document::visit::{VisitedItem, walk};

/// The words of one document, by their kind. They are collected in one walk, because many names are looked for.
#[derive(Debug, Default)]
pub(crate) struct CapturedWords {
    /// Names of functions.
    pub(crate) functions: BTreeSet<String>,
    /// Files of the source.
    pub(crate) files: BTreeSet<String>,
    /// Names of symbols.
    pub(crate) symbols: BTreeSet<String>,
    /// Whole texts, and bytes as texts.
    pub(crate) texts: BTreeSet<String>,
    /// The kept parts of texts and bytes that were cut.
    pub(crate) beginnings: BTreeSet<String>,
}

impl CapturedWords {
    /// Those of a document.
    pub(crate) fn from_evidence(evidence: &Evidence) -> Self {
        let mut words = CapturedWords::default();
        walk::<()>(evidence, &mut |_, found| {
            match found {
                VisitedItem::Frame(frame) => words.add_frame(frame),
                VisitedItem::Datum(Datum::Value(value)) => words.add_value(value),
                VisitedItem::Datum(_) => {}
            }
            None
        });
        words
    }

    fn add_value(&mut self, value: &Value) {
        let as_text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match value {
            Value::Stack { value } | Value::CutStack { value, .. } => {
                value.iter().for_each(|frame| self.add_frame(frame));
            }
            Value::Location { value } => self.add_location(value),
            Value::Symbol { name, .. } => add(&mut self.symbols, name),
            Value::Text { value } => add(&mut self.texts, value),
            Value::Bytes { value } => {
                self.texts.insert(as_text(&value.0));
            }
            Value::CutText { value, .. } => add(&mut self.beginnings, value),
            Value::CutBytes { value, .. } => {
                self.beginnings.insert(as_text(&value.0));
            }
            _ => {}
        }
    }

    fn add_frame(&mut self, frame: &Frame) {
        if let Some(symbol) = &frame.symbol {
            add(&mut self.symbols, symbol);
        }
        if let Some(site) = &frame.site {
            self.add_location(site);
        }
    }

    fn add_location(&mut self, location: &Location) {
        add(&mut self.functions, &location.function);
        add(&mut self.files, &location.file);
        for outer in &location.inlined_into {
            add(&mut self.functions, &outer.function);
            add(&mut self.files, &outer.file);
        }
    }
}

/// Add a word. Most are there already.
fn add(words: &mut BTreeSet<String>, word: &str) {
    if !words.contains(word) {
        words.insert(word.to_owned());
    }
}
