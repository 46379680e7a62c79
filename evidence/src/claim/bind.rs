//! The values that an expression reads, looked up on one machine before anything is evaluated.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use crate::document::instances::Instances;
use crate::document::names::{NameError, Names};
use crate::document::value::{Datum, Value};
use crate::document::value_check::ValueError;
use crate::document::{Allocation, Kaslr};
use crate::path::{ParsePathError, Path};
use crate::path_index::resolve::{Catalog, Indexed, Resolved};

use super::ast::NodeKind;
use super::constants;
use super::eval::Lookup;
use super::graph::{self, GRAPH};
use super::obstacle::Obstacle;
use super::parse::{Expression, ReadPath};
use super::read_result::ReadResult;
use super::silence::{short_count_reasons, unproven_call_reasons, zero_count_reasons};
use super::value::{Pointer, Typed};

/// All that an expression reads on one machine.
#[derive(Clone)]
pub(super) struct Inputs<'a> {
    pub values: BTreeMap<String, Value>,
    pub missing: Vec<(ReadPath, Obstacle)>,
    pub broken: Vec<Obstacle>,
    constants: BTreeMap<String, Typed>,
    tables: Tables<'a>,
}

/// The names of numbers and addresses in the machine's evidence.
#[derive(Clone, Copy)]
struct Tables<'a> {
    names: &'a Names,
    /// The copies of probed functions, with all names that an address has.
    instances: &'a BTreeMap<String, Instances>,
    /// The symbols that the slide was taken from.
    kaslr: &'a Kaslr,
}

impl Tables<'_> {
    /// The value of a leaf with all its names.
    fn typed_leaf(self, key: &str, value: &Value) -> Typed {
        let mut typed = Typed::from_leaf(key, value, self.names);
        if let Typed::Address(Pointer {
            value,
            symbol: Some((names, offset)),
        }) = &mut typed
        {
            let start = value.wrapping_sub(*offset);
            for (name, places) in &self.kaslr.symbols {
                let here = matches!(
                    places.live.value(),
                    Some(Value::Address { value, .. } | Value::Symbol { address: value, .. }) if value.0 == start
                );
                if here && !names.contains(name) {
                    names.push(name.clone());
                }
            }
            let copies = self.instances.values().flat_map(|one| &one.copies);
            for copy in copies {
                if copy.names().any(|name| *name == names[0]) {
                    let more: Vec<String> = copy
                        .names()
                        .filter(|name| !names.iter().any(|known| known == name))
                        .map(str::to_owned)
                        .collect();
                    names.extend(more);
                }
            }
        }
        typed
    }
}

/// Leaves with the values that replace the measured ones.
pub type Replaced<'a> = &'a [(&'a str, &'a Datum)];

/// Look up all values that `expression` reads. The caller may replace leaves, and a negative control replaces them again; its
/// values need not occur in this document, whose tables would not contain another kernel's symbols.
pub(super) fn bind<'a>(
    expression: &Expression,
    catalog: &Catalog<'_>,
    machine: &Indexed<'a>,
    (replaced, control): (Replaced<'_>, Replaced<'_>),
) -> Inputs<'a> {
    let mut gathered = Inputs {
        values: BTreeMap::new(),
        missing: Vec::new(),
        broken: Vec::new(),
        constants: BTreeMap::new(),
        tables: Tables {
            names: &machine.evidence.names,
            instances: &machine.evidence.instances,
            kaslr: &machine.evidence.kaslr,
        },
    };
    for read in expression.reads() {
        if gathered.values.contains_key(&read.path) {
            continue;
        }
        let obstacle = |message: String, help: Option<String>| Obstacle {
            message,
            range: read.range.clone(),
            help,
        };
        if let Some((_, Datum::Value(value))) = control.iter().find(|(path, _)| *path == read.path)
        {
            gathered.values.insert(read.path.clone(), value.clone());
            continue;
        }
        let found = match replaced.iter().find(|(path, _)| *path == read.path) {
            Some((_, Datum::Value(value))) => Ok(ReadResult::Value(value.clone())),
            Some((_, Datum::Missing(reason))) => Ok(ReadResult::Missing(vec![reason.to_string()])),
            None => find(read, expression, catalog, machine),
        };
        match found {
            // A value whose name and number contradict each other is neither.
            Ok(ReadResult::Value(value)) => match check_value(&value, machine) {
                Ok(()) => {
                    gathered.values.insert(read.path.clone(), value);
                }
                Err(why) => gathered.broken.push(obstacle(why.to_string(), None)),
            },
            Ok(ReadResult::Missing(reasons)) => gathered.missing.extend(
                reasons
                    .into_iter()
                    .map(|reason| (read.clone(), obstacle(reason, None))),
            ),
            Ok(ReadResult::Broken(reason)) => gathered.broken.push(obstacle(reason, None)),
            Err((message, near)) => {
                let help = near.map(|near| format!("did you mean `{near}`?"));
                gathered.broken.push(obstacle(message, help));
            }
        }
    }
    add_conditions(&mut gathered, expression, catalog, machine);
    add_short_counts(&mut gathered, expression, catalog, machine);
    add_constants(&mut gathered, expression, catalog, machine);
    gathered
}

/// Add the reasons why calls of functions prove nothing.
fn add_conditions(
    gathered: &mut Inputs<'_>,
    expression: &Expression,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) {
    expression.root.walk(&mut |node| {
        if let NodeKind::Call(function, args) = &node.kind {
            for reason in unproven_call_reasons(node, (function, args), catalog, machine) {
                // The counts that it reads have given some of them already.
                let reported = gathered.missing.iter().any(|(read, obstacle)| {
                    let inside =
                        node.range.start <= read.range.start && read.range.end <= node.range.end;
                    read.by_function && inside && obstacle.message == reason
                });
                if reported {
                    continue;
                }
                let read = ReadPath {
                    path: expression.text()[node.range.clone()].to_owned(),
                    range: node.range.clone(),
                    by_function: true,
                };
                let obstacle = Obstacle {
                    message: reason,
                    range: node.range.clone(),
                    help: None,
                };
                gathered.missing.push((read, obstacle));
            }
        }
    });
}

/// Add the reasons why counts may be other than they were.
fn add_short_counts(
    gathered: &mut Inputs<'_>,
    expression: &Expression,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) {
    for (range, message) in short_count_reasons(&expression.root, catalog, machine) {
        let read = ReadPath {
            path: expression.text()[range.clone()].to_owned(),
            range: range.clone(),
            by_function: true,
        };
        let obstacle = Obstacle {
            message,
            range,
            help: None,
        };
        gathered.missing.push((read, obstacle));
    }
}

/// Add the values of the named constants.
fn add_constants(
    gathered: &mut Inputs<'_>,
    expression: &Expression,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) {
    for (name, range) in expression.constants() {
        match constants::constant_value(name, catalog, Some(machine)) {
            Ok(value) => {
                gathered.constants.insert(name.into(), value);
            }
            Err(constants::UnknownConstant::Here(message)) => {
                let read = ReadPath {
                    path: name.to_owned(),
                    range: range.clone(),
                    by_function: true,
                };
                let obstacle = Obstacle {
                    message,
                    range,
                    help: None,
                };
                gathered.missing.push((read, obstacle));
            }
            Err(constants::UnknownConstant::Anywhere(message)) => gathered.broken.push(Obstacle {
                message,
                range,
                help: None,
            }),
        }
    }
}

/// A value that the reader of evidence would not have let through.
#[derive(Debug, thiserror::Error)]
enum UnsoundValue {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Check that a value is in itself what the reader of evidence would have let through.
fn check_value(value: &Value, machine: &Indexed<'_>) -> Result<(), UnsoundValue> {
    value.validate()?;
    Ok(machine.evidence.names.check(value)?)
}

/// The value of one read; an error if nothing plans it or it is ambiguous.
fn find(
    read: &ReadPath,
    expression: &Expression,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Result<ReadResult, (String, Option<String>)> {
    if let Some((path, rest)) = read.path.split_once(GRAPH) {
        let mentions = expression.book_mentions.get(&read.path);
        return Ok(graph::find(path, rest, mentions, machine));
    }
    if let Some((probe, leaf)) = read.path.split_once('#') {
        return read_probe_ledger(probe, leaf, catalog, machine);
    }
    let path: Path = map_path_error(read.path.parse())?;
    match catalog.resolve(machine, &path) {
        Ok(Resolved::Value(value, _)) => {
            let reasons = zero_count_reasons(read, &value, catalog, machine);
            Ok(match reasons.is_empty() {
                true => ReadResult::Value(value.into_owned()),
                false => ReadResult::Missing(reasons),
            })
        }
        Ok(Resolved::Missing(reason)) => Ok(ReadResult::Missing(vec![reason.to_string()])),
        Ok(Resolved::Broken(reason)) => Ok(ReadResult::Broken(reason)),
        Err(error) => Err((error.message, error.nearest)),
    }
}

/// A parsed path, or the message of the error.
fn map_path_error(path: Result<Path, ParsePathError>) -> Result<Path, (String, Option<String>)> {
    path.map_err(|error| (error.to_string(), None))
}

/// `EXPERIMENT.PROBE#allocated` and `#leaked`: counts over the allocations that one probe saw.
fn read_probe_ledger(
    probe: &str,
    leaf: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Result<ReadResult, (String, Option<String>)> {
    let hits: Path = map_path_error(format!("{probe}.hits").parse())?;
    match catalog.resolve(machine, &hits) {
        Ok(Resolved::Value(..)) => {}
        Ok(Resolved::Missing(reason)) => return Ok(ReadResult::Missing(vec![reason.to_string()])),
        Ok(Resolved::Broken(reason)) => return Ok(ReadResult::Broken(reason)),
        Err(error) => return Err((error.message, error.nearest)),
    }
    let (experiment, probe) = probe.split_once('.').unwrap_or((probe, ""));
    let ledger = machine
        .evidence
        .experiments
        .get(experiment)
        .and_then(|experiment| experiment.objects.as_ref());
    let Some(ledger) = ledger else {
        return Ok(ReadResult::Missing(vec![format!(
            "experiment `{experiment}` kept no ledger of allocations"
        )]));
    };
    let count = ledger
        .allocations
        .iter()
        .filter(|allocation| allocation.probe == probe)
        .filter(|allocation| leaf == "allocated" || is_leaked(allocation))
        .count();
    Ok(ReadResult::Value(crate::document::count_value(
        count as u64,
    )))
}

fn is_leaked(allocation: &Allocation) -> bool {
    allocation.freed.is_none() && allocation.excused.is_none()
}

/// The values of one machine, some of them replaced.
pub(super) struct Bindings<'a> {
    typed: HashMap<&'a str, Typed, FixedState>,
    constants: &'a BTreeMap<String, Typed>,
    tables: Tables<'a>,
}

impl<'a> Bindings<'a> {
    /// Put another value in the place of a leaf.
    pub fn bind(&mut self, key: &'a str, value: &Value) {
        self.typed.insert(key, self.tables.typed_leaf(key, value));
    }
}

impl Inputs<'_> {
    /// The values as the evaluation wants them.
    pub fn bindings(&self) -> Bindings<'_> {
        Bindings {
            typed: self
                .values
                .iter()
                .map(|(key, value)| (key.as_str(), self.tables.typed_leaf(key, value)))
                .collect(),
            constants: &self.constants,
            tables: self.tables,
        }
    }

    /// The same with other values for some of those that are there: what [`bind`] gives with these replaced, because all else
    /// that it looks up depends on no value.
    pub fn replacing(&self, values: &[(&str, Value)]) -> Self {
        let mut replaced = self.clone();
        for (path, value) in values {
            if let Some(known) = replaced.values.get_mut(*path) {
                known.clone_from(value);
            }
        }
        replaced
    }

    /// The constants that the expression names, by name.
    pub fn named_constants(&self) -> impl Iterator<Item = (&str, &Typed)> {
        self.constants
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The constants that the expression names.
    pub fn constants(&self) -> impl Iterator<Item = &Typed> {
        self.constants.values()
    }
}

impl Lookup for Bindings<'_> {
    fn read(&self, key: &str) -> Option<&Typed> {
        self.typed.get(key)
    }

    fn constant(&self, name: &str) -> Option<Typed> {
        self.constants.get(name).cloned()
    }
}
