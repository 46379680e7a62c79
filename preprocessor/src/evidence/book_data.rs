//! The data of a book: every path, on the machine that is shown to the reader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use qed_evidence::diagnostic::nearest;
use qed_evidence::document::{ARCHITECTURES, Experiment, Missing};
use qed_evidence::investigation::other_arch_reason;
use qed_evidence::path::{Path, SECTIONS};
use qed_evidence::path_index::Drift;
use qed_evidence::redact::is_redacted;
use qed_evidence::resolve::{Catalog, Indexed, PathError, Resolved};
use qed_evidence::{Evidence, Value};
use thiserror::Error;

use crate::config::Config;
use crate::evidence::loader::{EvidenceSet, MachineEvidence};
use crate::evidence::machine_id::MachineId;
use crate::evidence::names::ObservedNames;
use crate::markdown::style::ValueFormat;

/// A path on one machine.
#[derive(Clone, Debug)]
pub struct ShownPath {
    /// The machine; `None` if it has no evidence.
    pub machine: Option<MachineId>,
    /// The value, or why there is none.
    pub what: PathValue,
}

/// The value behind a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathValue {
    /// A value.
    Value(Value, Drift),
    /// No value on this machine, and why.
    Missing(Missing),
    /// The capture is not sound here, and why.
    Broken(String),
}

/// The outcome of a look-up.
type LookupResult = Arc<Result<ShownPath, PathError>>;

/// The evidence of a book, indexed: which machine shows what.
pub struct BookData<'a> {
    /// The book's settings.
    pub config: &'a Config,
    /// Everything that was loaded for it.
    pub evidence_set: &'a EvidenceSet,
    /// The paths of each machine's evidence and their values, in the order of `EvidenceSet::loaded`.
    pub indexed: Vec<Indexed<'a>>,
    /// The machine for what belongs to no experiment.
    whole: MachineId,
    /// Machine per experiment.
    chosen: HashMap<String, MachineId>,
    looked_up: Mutex<HashMap<(String, Option<MachineId>), LookupResult>>,
    observed: OnceLock<ObservedNames<'a>>,
}

/// True if an experiment ran on this machine, all its required probes attached and nothing was lost.
pub fn is_complete(evidence: &Evidence, experiment: &str) -> bool {
    incompleteness_reason(evidence, experiment).is_none()
}

/// An experiment that a machine shows nothing of. The message is a phrase that can follow "because".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnsoundExperiment {
    /// An experiment that was not run.
    #[error("experiment `{name}` was not run")]
    NotRun {
        /// The experiment.
        name: String,
    },
    /// Its capture must not be believed.
    #[error("experiment `{name}` {reason}")]
    Broken {
        /// The experiment.
        name: String,
        /// The reason.
        reason: String,
    },
    /// An experiment that could not be run or watched.
    #[error("experiment `{name}`: {reason}")]
    Unavailable {
        /// The experiment.
        name: String,
        /// The reason.
        reason: String,
    },
}

/// A name that no machine of the book has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownMachine {
    /// Another one is nearly called so.
    #[error("no machine `{name}` in this book; did you mean `{near}`?")]
    Near {
        /// The name.
        name: String,
        /// The machine.
        near: String,
    },
    /// None is.
    #[error("no machine `{name}` in this book; there is {machines}")]
    Unlike {
        /// The name.
        name: String,
        /// All machines of the book, with commas.
        machines: String,
    },
}

/// An experiment that this machine shows something of, or why it shows nothing.
pub fn sound_experiment<'e>(
    evidence: &'e Evidence,
    name: &str,
) -> Result<&'e Experiment, UnsoundExperiment> {
    let name = || name.to_owned();
    let Some(experiment) = evidence.experiments.get(&name()) else {
        return Err(UnsoundExperiment::NotRun { name: name() });
    };
    if let Some(reason) = experiment.broken_reason() {
        return Err(UnsoundExperiment::Broken {
            name: name(),
            reason,
        });
    }
    match experiment
        .unavailable
        .clone()
        .or_else(|| experiment.unwatched_reason())
    {
        Some(reason) => Err(UnsoundExperiment::Unavailable {
            name: name(),
            reason,
        }),
        None => Ok(experiment),
    }
}

/// The reason that an experiment is not complete on this machine; `None` if it is complete.
pub fn incompleteness_reason(evidence: &Evidence, name: &str) -> Option<String> {
    let experiment = match sound_experiment(evidence, name) {
        Ok(experiment) => experiment,
        Err(unsound) => return Some(unsound.to_string()),
    };
    let mut missing = experiment
        .probes
        .iter()
        .filter(|(_, probe)| !probe.optional)
        .filter_map(|(probe, data)| Some((probe, data.unavailable.as_ref()?)))
        .filter(|(_, reason)| !is_of_other_arch(evidence, reason));
    let (probe, reason) = missing.next()?;
    let more = match missing.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    Some(format!(
        "`{name}.{probe}` could not be watched: {reason}{more}"
    ))
}

/// True if a probe is not on this kernel because the author asked for it on another architecture alone.
fn is_of_other_arch(evidence: &Evidence, reason: &str) -> bool {
    let Some(arch) = &evidence.kernel.arch else {
        return false;
    };
    ARCHITECTURES
        .iter()
        .any(|wanted| other_arch_reason(Some(wanted), arch).as_deref() == Some(reason))
}

/// The first machine like this.
fn find_position(
    loaded: &[MachineEvidence],
    wanted: impl Fn(&MachineEvidence) -> bool,
) -> Option<MachineId> {
    loaded.iter().position(wanted).map(MachineId::new)
}

impl<'a> BookData<'a> {
    /// Index all evidence and choose the machines.
    pub fn new(config: &'a Config, evidence_set: &'a EvidenceSet) -> Self {
        let names: Vec<&str> = evidence_set
            .investigation
            .experiments
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        let complete = |machine: &MachineEvidence, name: &str| is_complete(&machine.evidence, name);
        let position =
            |wanted: &dyn Fn(&MachineEvidence) -> bool| find_position(&evidence_set.loaded, wanted);
        let chosen = names
            .iter()
            .map(|name| {
                let machine = position(&|m| complete(m, name))
                    .or_else(|| position(&|m| m.evidence.experiments.contains_key(*name)));
                ((*name).to_owned(), machine.unwrap_or(MachineId::new(0)))
            })
            .collect();
        // The machine on which most experiments are complete; of equals the first.
        let count = |m: &MachineEvidence| names.iter().filter(|name| complete(m, name)).count();
        let most = evidence_set.loaded.iter().map(count).max().unwrap_or(0);
        let whole = position(&|m| count(m) == most).unwrap_or(MachineId::new(0));
        BookData {
            config,
            evidence_set,
            // Each takes as long as reading the document.
            indexed: config.parallelism.map(&evidence_set.loaded, |_, loaded| {
                Indexed::new(&loaded.evidence)
            }),
            whole,
            chosen,
            looked_up: Mutex::default(),
            observed: OnceLock::new(),
        }
    }

    /// The machines that have evidence, in the book's order.
    pub fn machine_ids(&self) -> impl DoubleEndedIterator<Item = MachineId> + Clone + use<> {
        MachineId::all(self.evidence_set.loaded.len())
    }

    /// The evidence of a machine.
    pub fn machine(&self, machine: MachineId) -> &'a MachineEvidence {
        &self.evidence_set.loaded[machine.index()]
    }

    /// The paths of a machine's evidence and their values.
    pub fn path_index(&self, machine: MachineId) -> &Indexed<'a> {
        &self.indexed[machine.index()]
    }

    /// Everything that an author can name: the investigation and what is shown of all machines.
    pub fn catalog(&self) -> Catalog<'_> {
        Catalog {
            investigation: &self.evidence_set.investigation,
            machines: &self.indexed,
        }
    }

    /// The machine that shows an experiment, or for a section such as `kaslr` the machine on which most experiments
    /// are complete.
    pub fn default_machine(&self, first: &str) -> MachineId {
        self.chosen.get(first).copied().unwrap_or(self.whole)
    }

    /// The machine for a claim or an exhibit that reads several experiments: the first one on which all of them
    /// are complete, else the one for the first of them.
    pub fn machine_for(&self, firsts: &[&str]) -> MachineId {
        let experiments: Vec<&str> = firsts
            .iter()
            .copied()
            .filter(|first| !SECTIONS.contains(first))
            .collect();
        let all = |m: &MachineEvidence| experiments.iter().all(|e| is_complete(&m.evidence, e));
        match experiments.first() {
            None => self.whole,
            Some(first) => find_position(&self.evidence_set.loaded, all)
                .unwrap_or_else(|| self.default_machine(first)),
        }
    }

    /// The machine that an author names; the error explains what is wrong with the name.
    pub fn find_machine(&self, name: &str) -> Result<Option<MachineId>, UnknownMachine> {
        if let Some(machine) = find_position(&self.evidence_set.loaded, |m| m.machine == name) {
            return Ok(Some(machine));
        }
        if self.config.machines.iter().any(|m| m == name) {
            return Ok(None);
        }
        let near = nearest(name, self.config.machines.iter().map(String::as_str));
        Err(match near {
            Some(near) => UnknownMachine::Near {
                name: name.to_owned(),
                near: near.to_owned(),
            },
            None => UnknownMachine::Unlike {
                name: name.to_owned(),
                machines: self.config.machines.join(", "),
            },
        })
    }

    /// The value of `path`: on `machine`, or on the machine that is shown to the reader.
    pub fn resolve(&self, path: &Path, machine: Option<MachineId>) -> LookupResult {
        let key = (path.as_str().to_owned(), machine);
        // Whoever panicked with it had nothing half done in it.
        let looked_up = || {
            self.looked_up
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = looked_up().get(&key) {
            return Arc::clone(known);
        }
        let shown = Arc::new(self.resolve_uncached(path, machine));
        looked_up().insert(key, Arc::clone(&shown));
        shown
    }

    fn resolve_uncached(
        &self,
        path: &Path,
        machine: Option<MachineId>,
    ) -> Result<ShownPath, PathError> {
        let index = machine.unwrap_or_else(|| self.default_machine(path.first()));
        let mut shown = self.resolve_on(path, index)?;
        // What belongs to no experiment may be missing on the preferred machine alone.
        if machine.is_none() && SECTIONS.contains(&path.first()) {
            for other in self.machine_ids() {
                // A withheld value does not count as missing: the page says that it is withheld.
                if matches!(&shown.what, PathValue::Value(..))
                    || matches!(&shown.what, PathValue::Missing(Missing::Withheld(_)))
                {
                    break;
                }
                let candidate = self.resolve_on(path, other)?;
                if matches!(candidate.what, PathValue::Value(..)) {
                    shown = candidate;
                }
            }
        }
        Ok(shown)
    }

    fn resolve_on(&self, path: &Path, index: MachineId) -> Result<ShownPath, PathError> {
        let what = match self.catalog().resolve(self.path_index(index), path)? {
            Resolved::Value(value, drift) => PathValue::Value(value.into_owned(), drift),
            Resolved::Missing(reason) => PathValue::Missing(reason),
            Resolved::Broken(reason) => PathValue::Broken(reason),
        };
        Ok(ShownPath {
            machine: Some(index),
            what,
        })
    }

    /// True if this machine's evidence is out of date.
    pub fn is_stale(&self, machine: MachineId) -> bool {
        !self.machine(machine).stale.is_empty()
    }

    /// True if this machine's addresses must not be known: its evidence is redacted.
    pub fn hides_addresses(&self, machine: MachineId) -> bool {
        is_redacted(&self.machine(machine).evidence)
    }

    /// The word and the reason that a reader gets for a value that is not there. Of one that is withheld, with
    /// the same value from the first machine that may show it.
    pub fn describe_gap(
        &self,
        path: &Path,
        machine: Option<MachineId>,
        missing: &Missing,
        format: Option<ValueFormat>,
    ) -> (&'static str, String) {
        let Some(reason) = missing.withheld_reason() else {
            return ("UNVERIFIED", missing.to_string());
        };
        let reason = match self.find_elsewhere(path, machine.unwrap_or(MachineId::new(0)), format) {
            Some((other, text)) => format!("{reason}; on {other} it is {text}"),
            None => reason.to_owned(),
        };
        ("WITHHELD", reason)
    }

    /// The same value on the first other machine that may show it: its name and the text.
    fn find_elsewhere(
        &self,
        path: &Path,
        not: MachineId,
        format: Option<ValueFormat>,
    ) -> Option<(&str, String)> {
        self.machine_ids()
            .filter(|index| *index != not && !self.hides_addresses(*index))
            .find_map(|index| match self.resolve_on(path, index).ok()?.what {
                PathValue::Value(value, _) => {
                    let text = crate::evidence::format::format(&value, format).ok()?;
                    Some((self.machine(index).machine.as_str(), text))
                }
                _ => None,
            })
    }

    /// All names that the captures observed, on any machine.
    pub fn observed_names(&self) -> &ObservedNames<'a> {
        self.observed.get_or_init(|| {
            let machines = self
                .evidence_set
                .loaded
                .iter()
                .map(|loaded| &loaded.evidence);
            crate::evidence::names::collect_observed(&self.evidence_set.investigation, machines)
        })
    }

    /// The machine, kernel and time of evidence: `guest:debian-6.1 · Linux 6.1.0 · 2026-… · 2 hours old`.
    pub fn origin(&self, machine: MachineId) -> String {
        let loaded = self.machine(machine);
        let time = loaded.evidence.run.time.parse::<jiff::Timestamp>();
        let time = time.map_or_else(
            |_| loaded.evidence.run.time.clone(),
            crate::evidence::format::format_minute,
        );
        let mut text = format!(
            "{} · Linux {} · {time}",
            loaded.machine, loaded.evidence.kernel.release
        );
        if let Some(age) = loaded.age_s {
            text.push_str(&format!(" · {}", crate::evidence::format::format_age(age)));
        }
        if let Some(booted) = crate::evidence::format::format_boot_time(&loaded.evidence.machine) {
            text.push_str(&format!(" · resumed from a boot of {booted}"));
        }
        text + self.reservations(machine)
    }

    /// The machine alone, and what speaks against its evidence.
    pub fn short_origin(&self, machine: MachineId) -> String {
        self.machine(machine).machine.clone() + self.reservations(machine)
    }

    /// Reservations about evidence that is not of now.
    fn reservations(&self, machine: MachineId) -> &'static str {
        let loaded = self.machine(machine);
        let recorded = loaded.origin == crate::evidence::locations::Origin::Recorded;
        match (recorded, loaded.stale.is_empty()) {
            (true, true) => " · recorded earlier",
            (true, false) => " · recorded earlier · out of date",
            (false, true) => "",
            (false, false) => " · out of date",
        }
    }
}
