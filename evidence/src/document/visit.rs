//! Every value of a document and where it stands: for checks that look at all of them.

use std::ops::ControlFlow;

use super::evidence::Evidence;
use super::fields::{Field, Structure, Visit};
use super::pointer::{Pointer, Step};
use super::value::{Datum, Frame, Value};

/// The content of a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum VisitedItem<'a> {
    Datum(&'a Datum),
    Frame(&'a Frame),
}

/// Call `visit` on every value and on every frame of the ledgers' stacks, until it gives something back.
pub(crate) fn walk<T>(
    evidence: &Evidence,
    visit: &mut dyn FnMut(&Pointer<'_>, VisitedItem<'_>) -> Option<T>,
) -> Option<T> {
    let mut walk = Walk {
        at: Pointer::default(),
        visit,
    };
    evidence.visit(&mut walk).break_value()
}

struct Walk<'a, 'v, T> {
    at: Pointer<'a>,
    visit: &'v mut dyn FnMut(&Pointer<'_>, VisitedItem<'_>) -> Option<T>,
}

impl<'a, T> Walk<'a, '_, T> {
    fn descend(
        &mut self,
        step: Step<'a>,
        inside: impl FnOnce(&mut Self) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        self.at.0.push(step);
        let found = inside(self);
        self.at.0.pop();
        found
    }

    fn visit_item(&mut self, found: VisitedItem<'_>) -> ControlFlow<T> {
        match (self.visit)(&self.at, found) {
            Some(result) => ControlFlow::Break(result),
            None => ControlFlow::Continue(()),
        }
    }
}

impl<'a, T> Visit<'a> for Walk<'a, '_, T> {
    type Break = T;

    fn field(
        &mut self,
        field: &'static Field,
        inside: impl FnOnce(&mut Self) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        self.descend(Step::Key(field.key), inside)
    }

    fn item(
        &mut self,
        step: Step<'a>,
        inside: impl FnOnce(&mut Self) -> ControlFlow<T>,
    ) -> ControlFlow<T> {
        self.descend(step, inside)
    }

    fn datum(&mut self, _field: &'static Field, datum: &'a Datum) -> ControlFlow<T> {
        self.visit_item(VisitedItem::Datum(datum))
    }

    fn frame(&mut self, frame: &'a Frame) -> ControlFlow<T> {
        self.visit_item(VisitedItem::Frame(frame))
    }
}

impl Evidence {
    /// Call `visit` on every value of the document.
    pub fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        walk::<()>(self, &mut |_, found| {
            if let VisitedItem::Datum(Datum::Value(value)) = found {
                visit(value);
            }
            None
        });
    }

    /// Call `visit` on every frame of every stack, those of the ledgers included.
    pub fn for_each_frame(&self, visit: &mut dyn FnMut(&Frame)) {
        walk::<()>(self, &mut |_, found| {
            match found {
                VisitedItem::Datum(Datum::Value(
                    Value::Stack { value } | Value::CutStack { value, .. },
                )) => {
                    value.iter().for_each(&mut *visit);
                }
                VisitedItem::Frame(frame) => visit(frame),
                VisitedItem::Datum(_) => {}
            }
            None
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::evidence;

    /// Check that every value of the JSON text is visited exactly where it stands.
    #[test]
    fn visits_everything() {
        let mut document = evidence();
        document.boots.push(crate::document::Boot {
            boot_id: "b".into(),
            time: "2026-01-01T00:00:00Z".into(),
            slide: Datum::unavailable("x"),
            text: Datum::unavailable("y"),
            physical: Datum::unavailable("z"),
        });
        document.kaslr.readings.push(crate::document::Reading {
            by: crate::document::Reader::Machine,
            file: "f".into(),
            key: "k".into(),
            line: None,
            text: Datum::unavailable("t"),
        });
        document.commands.insert(
            "c".into(),
            crate::document::CommandRun {
                by: crate::document::Reader::Machine,
                argv: vec!["true".into()],
                files: Vec::new(),
                exit: Datum::unavailable("e"),
                output: Datum::unavailable("o"),
                values: [("v".to_owned(), Datum::unavailable("v"))].into(),
            },
        );
        for probe in document
            .experiments
            .values_mut()
            .flat_map(|e| e.probes.values_mut())
        {
            probe.attach_errno = Some(Datum::unavailable("e"));
            probe.listed = Some(Datum::unavailable("l"));
        }
        let json = serde_json::to_value(&document).unwrap();
        let mut seen = Vec::new();
        walk(&document, &mut |at, found| -> Option<()> {
            let here = json
                .pointer(&at.text())
                .unwrap_or_else(|| panic!("{}", at.text()));
            let value = match found {
                VisitedItem::Datum(datum) => serde_json::to_value(datum),
                VisitedItem::Frame(frame) => serde_json::to_value(frame),
            };
            assert_eq!(*here, value.unwrap(), "{}", at.text());
            if matches!(found, VisitedItem::Datum(_)) {
                seen.push(at.text());
            }
            None
        });
        fn data(json: &serde_json::Value, at: String, list: &mut Vec<String>) {
            match json {
                serde_json::Value::Object(object) => {
                    // A reason that is a text has other fields beside it; that of a datum has none.
                    let is_datum = object.contains_key("kind") && !object.contains_key("boot_id")
                        || object.len() == 1
                            && ["unavailable", "withheld"]
                                .iter()
                                .any(|key| object.contains_key(*key));
                    if is_datum {
                        list.push(at);
                        return;
                    }
                    for (key, below) in object {
                        data(
                            below,
                            format!("{at}/{}", crate::document::pointer::escape(key)),
                            list,
                        );
                    }
                }
                serde_json::Value::Array(items) => {
                    for (index, below) in items.iter().enumerate() {
                        data(below, format!("{at}/{index}"), list);
                    }
                }
                _ => {}
            }
        }
        let mut expected = Vec::new();
        data(&json, String::new(), &mut expected);
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected);
        assert!(seen.len() > 30, "{}", seen.len());
    }
}
