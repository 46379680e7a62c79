//! The list of leaves under construction: fields become leaves according to the tables of the document.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::ControlFlow;

use crate::document::count_value;
use crate::document::fields::{Changes, Field, Form, LeafRule, PathRule, Structure, Visit};
use crate::document::pointer::Step;
use crate::document::value::{Cut, Datum, Integer, Value};

use super::drift::{Drift, value_drift};
use super::leaves::Leaves;

pub(super) struct LeafCollector<'a> {
    pub(super) leaves: Leaves<'a>,
    /// Values that were cut are marked.
    marked: bool,
    /// The path of what is being listed.
    path: String,
    /// The drift class of the current command's output.
    pub(super) by_reader: Drift,
    /// True if the target of the call before the current hit's return address is known.
    pub(super) caller_known: bool,
}

/// The drift class of a leaf that is computed, from the table of its structure.
macro_rules! computed {
    ($structure:ident, $name:literal) => {
        const {
            $crate::document::fields::drift(
                <$crate::document::$structure as $crate::document::fields::Structure>::COMPUTED,
                $name,
            )
        }
    };
}

pub(super) use computed;

/// Two texts in which different bytes were replaced look the same.
const REPLACED: &str =
    "it is not text in UTF-8, and what it was is not known: bytes of it have been replaced";

impl<'a> LeafCollector<'a> {
    pub(super) fn new(marked: bool, about: usize) -> Self {
        LeafCollector {
            leaves: Leaves::with_capacity(about),
            marked,
            path: String::new(),
            by_reader: Drift::PerRun,
            caller_known: true,
        }
    }

    /// List what has `name` in its path.
    pub(super) fn with_segment(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let end = self.path.len();
        self.enter(name);
        inside(self);
        self.path.truncate(end);
    }

    fn enter(&mut self, name: &str) {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
    }

    /// List the fields of a structure that its table lists.
    pub(super) fn list_fields(&mut self, structure: &'a impl Structure) {
        let ControlFlow::Continue(()) = structure.visit(self);
    }

    pub(super) fn push(&mut self, name: &str, datum: Cow<'a, Datum>, drift: Drift) {
        self.leaves.push(&[&self.path, name], datum, drift);
    }

    pub(super) fn push_value(&mut self, name: &str, value: Value, drift: Drift) {
        self.push(name, Cow::Owned(Datum::Value(value)), drift);
    }

    /// Text that redaction has withheld is not a value.
    pub(super) fn push_text(&mut self, name: &str, value: &str, drift: Drift) {
        let datum = match crate::document::withheld::withheld_reason(value) {
            Some(reason) => Datum::withheld(reason),
            None if value.contains(char::REPLACEMENT_CHARACTER) => Datum::unavailable(REPLACED),
            None => Datum::Value(Value::text(value)),
        };
        self.push(name, Cow::Owned(datum), drift);
    }

    pub(super) fn push_borrowed(&mut self, name: &str, datum: &'a Datum, drift: Drift) {
        let datum = self.checked_datum(datum);
        self.push(name, datum, drift);
    }

    fn checked_datum(&self, datum: &'a Datum) -> Cow<'a, Datum> {
        if let Some(Value::Text { value } | Value::CutText { value, .. }) = datum.value()
            && value.contains(char::REPLACEMENT_CHARACTER)
        {
            return Cow::Owned(Datum::unavailable(REPLACED));
        }
        match datum
            .value()
            .filter(|_| !self.marked)
            .and_then(mark_old_truncation)
        {
            Some(cut) => Cow::Owned(Datum::Value(cut)),
            None => Cow::Borrowed(datum),
        }
    }

    fn drift(&self, changes: Changes, datum: Option<&Datum>) -> Drift {
        match (changes, datum) {
            (Changes::Always(drift), _) => drift,
            (Changes::ByReader, _) => self.by_reader,
            (Changes::ByValue, Some(datum)) => value_drift(datum),
            // Only values are read from memory.
            (Changes::ByValue, None) => Drift::PerRun,
        }
    }
}

impl<'a> Visit<'a> for LeafCollector<'a> {
    type Break = Infallible;

    fn field(
        &mut self,
        field: &'static Field,
        inside: impl FnOnce(&mut Self) -> ControlFlow<Infallible>,
    ) -> ControlFlow<Infallible> {
        match field.leaf {
            PathRule::Unlisted => ControlFlow::Continue(()),
            PathRule::Listed { .. } | PathRule::Inline => inside(self),
            PathRule::Map(_) => {
                let end = self.path.len();
                self.enter(field.key);
                let done = inside(self);
                self.path.truncate(end);
                done
            }
        }
    }

    fn item(
        &mut self,
        step: Step<'a>,
        inside: impl FnOnce(&mut Self) -> ControlFlow<Infallible>,
    ) -> ControlFlow<Infallible> {
        let end = self.path.len();
        match step {
            Step::Key(name) => self.enter(name),
            Step::Index(index) => self.enter(&(index + 1).to_string()),
        }
        let done = inside(self);
        self.path.truncate(end);
        done
    }

    fn datum(&mut self, field: &'static Field, datum: &'a Datum) -> ControlFlow<Infallible> {
        match (field.leaf, field.leaf_name()) {
            (PathRule::Map(LeafRule { changes, .. }), _) => {
                let drift = self.drift(changes, Some(datum));
                let datum = self.checked_datum(datum);
                self.leaves.push(&[&self.path], datum, drift);
            }
            (PathRule::Listed { rule, .. }, Some(name)) => {
                let drift = self.drift(rule.changes, Some(datum));
                if rule.form == Form::Caller && !self.caller_known {
                    let datum = Datum::unavailable(
                        "this evidence does not say what the code before the return address calls: capture again",
                    );
                    self.push(name, Cow::Owned(datum), drift);
                } else {
                    self.push_borrowed(name, datum, drift);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn text(&mut self, field: &'static Field, text: &'a str) -> ControlFlow<Infallible> {
        if let (PathRule::Listed { rule, .. }, Some(name)) = (field.leaf, field.leaf_name()) {
            let drift = self.drift(rule.changes, None);
            LeafCollector::push_text(self, name, text, drift);
        }
        ControlFlow::Continue(())
    }

    fn number(&mut self, field: &'static Field, number: u64) -> ControlFlow<Infallible> {
        if let (PathRule::Listed { rule, .. }, Some(name)) = (field.leaf, field.leaf_name()) {
            let drift = self.drift(rule.changes, None);
            self.push_value(name, number_value(rule.form, number), drift);
        }
        ControlFlow::Continue(())
    }

    fn truth(&mut self, field: &'static Field, value: bool) -> ControlFlow<Infallible> {
        if let (PathRule::Listed { rule, .. }, Some(name)) = (field.leaf, field.leaf_name()) {
            let drift = self.drift(rule.changes, None);
            self.push_value(name, Value::Bool { value }, drift);
        }
        ControlFlow::Continue(())
    }
}

/// A number of the document as a value of its form.
fn number_value(form: Form, number: u64) -> Value {
    match form {
        Form::Time | Form::Moment => Value::Time { ns: number },
        Form::Offset => Value::Offset {
            value: Integer::from(number),
        },
        Form::Pid => Value::Pid {
            value: i32::try_from(number).unwrap_or_default(),
        },
        Form::Plain | Form::Count | Form::Order | Form::Caller | Form::Returned => {
            count_value(number)
        }
    }
}

/// Treat a value of maximal length as truncated, for old collectors that did not mark it: 24 frames of a stack, up to five of
/// them the watcher's own; 63 bytes of a text, and an ellipsis after them; 64 KiB of an output.
fn mark_old_truncation(value: &Value) -> Option<Value> {
    const FRAMES: std::ops::RangeInclusive<usize> = 19..=24;
    const TEXT: std::ops::RangeInclusive<usize> = 60..=63;
    const NOT_UTF8: usize = 63;
    const OUTPUT: usize = 64 * 1024;
    let cut = Cut::default();
    match value {
        Value::Stack { value } if FRAMES.contains(&value.len()) => Some(Value::CutStack {
            value: value.clone(),
            cut,
        }),
        Value::Bytes { value } if value.0.len() == NOT_UTF8 => Some(Value::CutBytes {
            value: value.clone(),
            cut,
        }),
        Value::Text { value } if value.len() >= OUTPUT => Some(Value::CutText {
            value: value.clone(),
            cut,
        }),
        Value::Text { value } => {
            let retained = value.strip_suffix('…')?;
            TEXT.contains(&retained.len()).then(|| Value::CutText {
                value: retained.to_owned(),
                cut,
            })
        }
        _ => None,
    }
}
