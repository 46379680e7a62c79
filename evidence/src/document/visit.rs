//! Every value of a document and where it stands: for checks that look at all of them.

use super::evidence::Evidence;
use super::experiment::Experiment;
use super::ledger::Ledger;
use super::pointer::{Pointer, Step};
use super::probe::{Hit, Probe};
use super::value::{Datum, Frame, Value};

/// What stands at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Datum(&'a Datum),
    Frame(&'a Frame),
}

/// Calls `visit` on every value and on every frame of the ledgers' stacks, until it gives something back.
pub(crate) fn walk<T>(
    evidence: &Evidence,
    visit: &mut dyn FnMut(&Pointer<'_>, Found<'_>) -> Option<T>,
) -> Option<T> {
    let mut walk = Walk {
        at: Pointer::default(),
        visit,
    };
    walk.evidence(evidence)
}

struct Walk<'a, 'v, T> {
    at: Pointer<'a>,
    visit: &'v mut dyn FnMut(&Pointer<'_>, Found<'_>) -> Option<T>,
}

impl<'a, T> Walk<'a, '_, T> {
    fn below(&mut self, step: Step<'a>, inside: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.at.0.push(step);
        let found = inside(self);
        self.at.0.pop();
        found
    }

    fn key(&mut self, key: &'a str, inside: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.below(Step::Key(key), inside)
    }

    fn datum(&mut self, key: &'a str, datum: &'a Datum) -> Option<T> {
        self.key(key, |walk| (walk.visit)(&walk.at, Found::Datum(datum)))
    }

    fn data(
        &mut self,
        key: &'a str,
        mut data: impl Iterator<Item = (&'a String, &'a Datum)>,
    ) -> Option<T> {
        self.key(key, |walk| {
            data.find_map(|(name, datum)| walk.datum(name, datum))
        })
    }

    fn list<I: 'a>(
        &mut self,
        key: &'a str,
        list: &'a [I],
        mut inside: impl FnMut(&mut Self, &'a I) -> Option<T>,
    ) -> Option<T> {
        self.key(key, |walk| {
            list.iter()
                .enumerate()
                .find_map(|(index, item)| walk.below(Step::Index(index), |walk| inside(walk, item)))
        })
    }

    fn evidence(&mut self, evidence: &'a Evidence) -> Option<T> {
        let kernel = &evidence.kernel;
        let kaslr = &evidence.kaslr;
        self.key("kernel", |walk| {
            walk.datum("build_id", &kernel.build_id)
                .or_else(|| walk.data("config", kernel.config.iter()))
                .or_else(|| walk.datum("lockdown", &kernel.lockdown))
                .or_else(|| walk.datum("lsm", &kernel.lsm))
                .or_else(|| walk.datum("debuginfo", &kernel.debuginfo))
        })
        .or_else(|| {
            self.key("kaslr", |walk| {
                let single = [
                    ("status", &kaslr.status),
                    ("slide", &kaslr.slide),
                    ("agree", &kaslr.agree),
                    ("checked", &kaslr.checked),
                    ("differing", &kaslr.differing),
                    ("physical_start", &kaslr.physical_start),
                    ("physical_align", &kaslr.physical_align),
                    ("live_physical_start", &kaslr.live_physical_start),
                ];
                single
                    .into_iter()
                    .find_map(|(key, datum)| walk.datum(key, datum))
                    .or_else(|| walk.data("sources", kaslr.sources.iter()))
                    .or_else(|| {
                        walk.list("readings", &kaslr.readings, |walk, reading| {
                            walk.datum("text", &reading.text)
                        })
                    })
                    .or_else(|| {
                        walk.key("symbols", |walk| {
                            kaslr.symbols.iter().find_map(|(name, places)| {
                                walk.key(name, |walk| {
                                    walk.datum("live", &places.live)
                                        .or_else(|| walk.datum("static", &places.static_address))
                                        .or_else(|| walk.datum("slide", &places.slide))
                                })
                            })
                        })
                    })
            })
        })
        .or_else(|| {
            self.list("boots", &evidence.boots, |walk, boot| {
                walk.datum("slide", &boot.slide)
                    .or_else(|| walk.datum("text", &boot.text))
                    .or_else(|| walk.datum("physical", &boot.physical))
            })
        })
        .or_else(|| {
            self.key("commands", |walk| {
                evidence.commands.iter().find_map(|(name, command)| {
                    walk.key(name, |walk| {
                        walk.datum("exit", &command.exit)
                            .or_else(|| walk.datum("output", &command.output))
                            .or_else(|| walk.data("values", command.values.iter()))
                    })
                })
            })
        })
        .or_else(|| {
            self.key("experiments", |walk| {
                evidence.experiments.iter().find_map(|(name, experiment)| {
                    walk.key(name, |walk| walk.experiment(experiment))
                })
            })
        })
    }

    fn experiment(&mut self, experiment: &'a Experiment) -> Option<T> {
        let outcome = &experiment.outcome;
        self.key("outcome", |walk| {
            walk.datum("returned", &outcome.returned)
                .or_else(|| walk.datum("errno", &outcome.errno))
                .or_else(|| walk.datum("exit", &outcome.exit))
                .or_else(|| walk.datum("signal", &outcome.signal))
                .or_else(|| walk.datum("stdout", &outcome.stdout))
                .or_else(|| walk.data("buffers", outcome.buffers.iter()))
        })
        .or_else(|| {
            let ledger = experiment.objects.as_ref()?;
            self.key("objects", |walk| walk.ledger(ledger))
        })
        .or_else(|| {
            self.key("probes", |walk| {
                experiment
                    .probes
                    .iter()
                    .find_map(|(name, probe)| walk.key(name, |walk| walk.probe(probe)))
            })
        })
    }

    fn ledger(&mut self, ledger: &'a Ledger) -> Option<T> {
        self.list("allocations", &ledger.allocations, |walk, allocation| {
            walk.frames(&allocation.stack).or_else(|| {
                let freed = allocation.freed.as_ref()?;
                walk.key("freed", |walk| walk.frames(&freed.stack))
            })
        })
    }

    fn frames(&mut self, frames: &'a [Frame]) -> Option<T> {
        self.list("stack", frames, |walk, frame| {
            (walk.visit)(&walk.at, Found::Frame(frame))
        })
    }

    fn probe(&mut self, probe: &'a Probe) -> Option<T> {
        let single = [
            ("attach_errno", &probe.attach_errno),
            ("address", &probe.address),
            ("definition", &probe.definition),
            ("listed", &probe.listed),
        ];
        single
            .into_iter()
            .find_map(|(key, datum)| self.datum(key, datum.as_ref()?))
            .or_else(|| self.list("hits", &probe.hits, Walk::hit))
    }

    fn hit(&mut self, hit: &'a Hit) -> Option<T> {
        let groups = [
            ("args", &hit.args),
            ("entry", &hit.entry),
            ("exit", &hit.exit),
        ];
        let single = [
            ("return", &hit.return_value),
            ("instance", &hit.instance),
            ("returns_to", &hit.returns_to),
            ("caller", &hit.caller),
            ("site", &hit.site),
            ("stack", &hit.stack),
        ];
        groups
            .into_iter()
            .find_map(|(key, data)| self.data(key, data.iter()))
            .or_else(|| {
                single
                    .into_iter()
                    .find_map(|(key, datum)| self.datum(key, datum.as_ref()?))
            })
    }
}

impl Evidence {
    /// Calls `visit` on every value that there is.
    pub fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        walk::<()>(self, &mut |_, found| {
            if let Found::Datum(Datum::Value(value)) = found {
                visit(value);
            }
            None
        });
    }

    /// Calls `visit` on every frame of every stack, those of the ledgers included.
    pub fn for_each_frame(&self, visit: &mut dyn FnMut(&Frame)) {
        walk::<()>(self, &mut |_, found| {
            match found {
                Found::Datum(Datum::Value(
                    Value::Stack { value } | Value::CutStack { value, .. },
                )) => {
                    value.iter().for_each(&mut *visit);
                }
                Found::Frame(frame) => visit(frame),
                Found::Datum(_) => {}
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
            crate::document::Command {
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
                Found::Datum(datum) => serde_json::to_value(datum),
                Found::Frame(frame) => serde_json::to_value(frame),
            };
            assert_eq!(*here, value.unwrap(), "{}", at.text());
            if matches!(found, Found::Datum(_)) {
                seen.push(at.text());
            }
            None
        });
        fn data(json: &serde_json::Value, at: String, list: &mut Vec<String>) {
            match json {
                serde_json::Value::Object(object) => {
                    // A reason that is a text stands beside other fields; a datum's stands alone.
                    let is_datum = object.contains_key("kind") && !object.contains_key("boot_id")
                        || object.len() == 1 && object.contains_key("unavailable");
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
