//! What an expression reads, looked up on one machine before anything is evaluated.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::Path;
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Allocation, Probe};
use crate::investigation::Probe as Planned;
use crate::path::SECTIONS;
use crate::resolve::{Catalog, Indexed, Resolved};
use crate::value::{Datum, Value};

use super::constants;
use super::eval::Facts;
use super::expression::{Expression, ReadPath};
use super::functions::{Function, Reads};
use super::node::{Node, NodeKind};
use super::typed::Typed;

/// What one machine says about one read.
pub(super) enum Found {
    Value(Value),
    /// UNVERIFIED, and why.
    Missing(String),
    /// ERROR, and why.
    Broken(String),
}

/// A thing that stands in the way of evaluating, and where.
pub(super) struct Obstacle {
    pub message: String,
    pub range: Range<usize>,
    pub help: Option<String>,
}

/// All that an expression reads on one machine.
#[derive(Default)]
pub(super) struct Gathered {
    pub values: BTreeMap<String, Value>,
    pub missing: Vec<(ReadPath, Obstacle)>,
    pub broken: Vec<Obstacle>,
    constants: BTreeMap<String, Typed>,
}

/// Leaves and what stands there instead of what was measured.
pub type Replaced<'a> = &'a [(&'a str, &'a Datum)];

/// Looks up all that `expression` reads. Leaves may be replaced by whoever asks, and again by the values of a negative
/// control; those need not be of this very document, whose tables would not know another kernel's symbols.
pub(super) fn gather(
    expression: &Expression,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    (replaced, control): (Replaced<'_>, Replaced<'_>),
) -> Gathered {
    let mut gathered = Gathered::default();
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
            Some((_, Datum::Value(value))) => Ok(Found::Value(value.clone())),
            Some((_, Datum::Unavailable(reason))) => Ok(Found::Missing(reason.unavailable.clone())),
            None => find(read, catalog, machine),
        };
        match found {
            // A value whose name and number contradict each other is neither.
            Ok(Found::Value(value)) => match sound(&value, machine) {
                Ok(()) => {
                    gathered.values.insert(read.path.clone(), value);
                }
                Err(reason) => gathered.broken.push(obstacle(reason, None)),
            },
            Ok(Found::Missing(reason)) => {
                gathered
                    .missing
                    .push((read.clone(), obstacle(reason, None)));
            }
            Ok(Found::Broken(reason)) => gathered.broken.push(obstacle(reason, None)),
            Err((message, near)) => {
                let help = near.map(|near| format!("did you mean `{near}`?"));
                gathered.broken.push(obstacle(message, help));
            }
        }
    }
    expression.root.walk(&mut |node| {
        if let NodeKind::Call(function, args) = &node.kind {
            for reason in conditions(function, args, catalog, machine) {
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
    for (name, range) in expression.constants() {
        match constants::constant(name, catalog, Some(machine)) {
            Ok(value) => {
                gathered.constants.insert(name.into(), value);
            }
            Err(message) => gathered.broken.push(Obstacle {
                message,
                range,
                help: None,
            }),
        }
    }
    gathered
}

/// Whether a value is in itself what the reader of evidence would have let through.
fn sound(value: &Value, machine: &Indexed<'_>) -> Result<(), String> {
    value.validate()?;
    machine.evidence.names.check(value)
}

/// The value of one read; an error if nothing plans it or it is ambiguous.
fn find(
    read: &ReadPath,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Result<Found, (String, Option<String>)> {
    if let Some((probe, leaf)) = read.path.split_once('#') {
        return ledger_of_probe(probe, leaf, catalog, machine);
    }
    let path: Path = read.path.parse().map_err(|message| (message, None))?;
    match catalog.resolve(machine, &path) {
        Ok(Resolved::Value(value, _)) => Ok(match says_nothing(read, &value, catalog, machine) {
            Some(reason) => Found::Missing(reason),
            None => Found::Value(value.into_owned()),
        }),
        Ok(Resolved::Missing(reason)) => Ok(Found::Missing(reason)),
        Ok(Resolved::Broken(reason)) => Ok(Found::Broken(reason)),
        Err(error) => Err((error.message, error.nearest)),
    }
}

/// Why a count of nothing is not evidence that there was nothing. It is what [`conditions`] says of the functions that
/// read the same counts, so that no claim gets around them by reading the leaf itself.
fn says_nothing(
    read: &ReadPath,
    value: &Value,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<String> {
    let names: Vec<&str> = read.path.split('.').collect();
    let zero = value.as_integer() == Some(0);
    let reasons = match names[..] {
        [experiment, probe, "hits"] if zero && !SECTIONS.contains(&experiment) => {
            absence(&format!("{experiment}.{probe}"), catalog, machine)
        }
        [experiment, "objects", leaf] if !read.by_function => {
            let mut reasons = watched(experiment, catalog, machine);
            let ledger = machine.evidence.experiments.get(experiment);
            let nothing = ledger
                .and_then(|experiment| experiment.objects.as_ref())
                .is_some_and(|ledger| ledger.allocations.is_empty());
            if leaf == "leaked" && nothing {
                reasons.push(
                    "nothing was allocated, so nothing shows that a leak would be seen".into(),
                );
            }
            reasons
        }
        _ => Vec::new(),
    };
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// `EXPERIMENT.PROBE#allocated` and `#leaked`: counts over the allocations that one probe saw.
fn ledger_of_probe(
    probe: &str,
    leaf: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Result<Found, (String, Option<String>)> {
    let hits: Path = format!("{probe}.hits")
        .parse()
        .map_err(|message| (message, None))?;
    match catalog.resolve(machine, &hits) {
        Ok(Resolved::Value(..)) => {}
        Ok(Resolved::Missing(reason)) => return Ok(Found::Missing(reason)),
        Ok(Resolved::Broken(reason)) => return Ok(Found::Broken(reason)),
        Err(error) => return Err((error.message, error.nearest)),
    }
    let (experiment, probe) = probe.split_once('.').unwrap_or((probe, ""));
    let ledger = machine
        .evidence
        .experiments
        .get(experiment)
        .and_then(|experiment| experiment.objects.as_ref());
    let Some(ledger) = ledger else {
        return Ok(Found::Missing(format!(
            "experiment `{experiment}` kept no ledger of allocations"
        )));
    };
    let count = ledger
        .allocations
        .iter()
        .filter(|allocation| allocation.probe == probe)
        .filter(|allocation| leaf == "allocated" || leaked(allocation))
        .count();
    Ok(Found::Value(crate::document::count(count as u64)))
}

fn leaked(allocation: &Allocation) -> bool {
    allocation.freed.is_none() && allocation.excused.is_none()
}

/// Why the evidence cannot bear what the function says, beyond the values it reads.
fn conditions(
    function: &Function,
    args: &[Node],
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<String> {
    let names = args.iter().filter_map(|arg| match &arg.kind {
        NodeKind::Path(path) => Some(path.as_str()),
        _ => None,
    });
    names
        .flat_map(|name| match function.reads {
            Reads::Absence => absence(name, catalog, machine),
            Reads::Ledger => watched(name, catalog, machine),
            _ => Vec::new(),
        })
        .collect()
}

/// That a probe did not fire says something only if it would have been seen. (One that did fire was seen: the
/// claim is false.)
fn absence(name: &str, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Vec<String> {
    let Some((experiment, probe)) = name.split_once('.') else {
        return Vec::new();
    };
    let Some(plan) = catalog
        .investigation
        .experiment(experiment)
        .and_then(|e| e.probe(probe))
    else {
        return Vec::new(); // `find` has complained.
    };
    let mut reasons = Vec::new();
    let quality = machine
        .evidence
        .experiments
        .get(experiment)
        .map(|e| &e.quality);
    if let Some(missed) = quality
        .map(|quality| quality.missed)
        .filter(|missed| *missed > 0)
    {
        reasons.push(format!("experiment `{experiment}` missed {missed} returns"));
    }
    let seen_elsewhere = catalog.investigation.experiments.iter().any(|other| {
        other.name != experiment
            && other
                .probes
                .iter()
                .any(|p| p.watches_the_same(plan) && fired(machine, &other.name, p))
    });
    if !seen_elsewhere && !fired(machine, experiment, plan) {
        reasons.push(format!(
            "nothing shows that `{probe}` would have been seen: it fired in no other experiment on this machine; \
             add one that makes it fire"
        ));
    }
    reasons
}

/// Whether the probe as it is planned fired in this experiment.
fn fired(machine: &Indexed<'_>, experiment: &str, plan: &Planned) -> bool {
    let Some(experiment) = machine.evidence.experiments.get(experiment) else {
        return false;
    };
    let fired = |probe: &Probe| {
        probe.unavailable.is_none() && !probe.hits.is_empty() && probe.target == plan.target
    };
    experiment.broken().is_none()
        && experiment.unavailable.is_none()
        && experiment.probes.get(&plan.name).is_some_and(fired)
}

/// A ledger says something only if all probes that watch allocations and frees were attached.
fn watched(name: &str, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Vec<String> {
    let experiment = name.split('.').next().unwrap_or(name);
    let (Some(plan), Some(seen)) = (
        catalog.investigation.experiment(experiment),
        machine.evidence.experiments.get(experiment),
    ) else {
        return Vec::new();
    };
    plan.probes
        .iter()
        .filter(|probe| probe.allocates.is_some() || probe.frees.is_some())
        .filter_map(|probe| {
            let reason = match seen.probes.get(&probe.name) {
                None => "the evidence does not hold it".to_owned(),
                Some(seen) => seen.unavailable.clone()?,
            };
            Some(format!(
                "`{experiment}.{}` did not watch: {reason}",
                probe.name
            ))
        })
        .collect()
}

/// Complaints about names that nothing plans and constants that nobody knows.
pub(super) fn check(expression: &Expression, catalog: &Catalog<'_>) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut seen: Vec<(String, &Range<usize>)> = Vec::new();
    for read in expression.reads() {
        let text = read
            .path
            .split_once('#')
            .map_or(read.path.clone(), |(probe, _)| format!("{probe}.hits"));
        let outcome = text
            .parse::<Path>()
            .map_err(|message| (message, None))
            .and_then(|path| {
                catalog
                    .check(&path)
                    .map_err(|error| (error.message, error.nearest))
            });
        let Err((message, near)) = outcome else {
            continue;
        };
        if seen
            .iter()
            .any(|(m, range)| *m == message && **range == read.range)
        {
            continue;
        }
        let mut diagnostic = expression.place().error(&read.range, message.clone());
        if let Some(near) = near {
            let near = if read.by_function {
                without_leaf(&near)
            } else {
                &near
            };
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        diagnostics.push(diagnostic);
        seen.push((message, &read.range));
    }
    for (name, range) in expression.constants() {
        if let Err(message) = constants::constant(name, catalog, None) {
            let help = match nearest(name, constants::known(catalog)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "constants are error numbers, flags of system calls, and enumerators of types that a machine showed; \
                         an enumerator's name can be compared as text: `name(…) == '…'`"
                    .into(),
            };
            diagnostics.push(expression.place().error(&range, message).help(help));
        }
    }
    diagnostics
}

/// The probe or experiment that a function was asked about, from the leaf that it reads there.
fn without_leaf(path: &str) -> &str {
    path.strip_suffix(".objects.allocated")
        .or_else(|| path.strip_suffix(".objects.leaked"))
        .or_else(|| path.rsplit_once('.').map(|(name, _)| name))
        .unwrap_or(path)
}

/// The values of one machine, some of them replaced.
pub(super) struct Bindings<'a> {
    pub typed: BTreeMap<&'a str, Typed>,
    constants: &'a BTreeMap<String, Typed>,
}

impl Gathered {
    /// The values as the evaluation wants them.
    pub fn bindings(&self) -> Bindings<'_> {
        Bindings {
            typed: self
                .values
                .iter()
                .map(|(key, value)| (key.as_str(), Typed::of_leaf(key, value)))
                .collect(),
            constants: &self.constants,
        }
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

impl Facts for Bindings<'_> {
    fn read(&self, key: &str) -> Option<&Typed> {
        self.typed.get(key)
    }

    fn constant(&self, name: &str) -> Option<Typed> {
        self.constants.get(name).cloned()
    }
}
