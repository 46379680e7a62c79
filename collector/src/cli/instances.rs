//! The copies of each probed function, for `plan`, and how much it would prove if a probe does not fire.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::document::Target;
use qed_evidence::instances::{Instances, OwnCopy};
use qed_evidence::investigation::Investigation;
use qed_evidence::value::Address;

use crate::arch::Arch;
use crate::assemble::instances::SymbolTables;
use crate::assemble::symbolize::StaticFiles;
use crate::plan::{PlannedExperiment, PlannedProbe};
use crate::reason::Reason;
use crate::symbols::elf;
use crate::symbols::lines::{LineResolver, cache};
use crate::symbols::system_map::SystemMap;
use crate::symbols::{Kallsyms, debuginfo};

/// Holders of inlined copies that are listed for one function.
const SHOWN: usize = 4;

/// The line about a probe at a bare address.
const BARE_ADDRESS: &str =
    "      silence would prove nothing: which function stands at this address is not known\n";

/// Facts about one kernel's functions.
pub struct ProbedFunctions {
    instances: BTreeMap<String, Instances>,
    /// The reasons why functions that have to be on a stack do not exist, by name.
    unknown: BTreeMap<String, Reason>,
    /// The reasons why those, and functions of excuses, may not exist.
    doubtful: BTreeMap<String, Reason>,
}

/// The copies of all functions of a plan, from the available symbols and debug info.
pub fn find_functions(
    investigation: &Investigation,
    experiments: &[PlannedExperiment],
    fixed: &StaticFiles,
) -> Result<ProbedFunctions, Reason> {
    let table = fixed.system_map.iter().find_map(|path| {
        let text = std::fs::read(path).ok()?;
        SystemMap::parse(text).ok()
    });
    let table = table.ok_or("there is no System.map of this kernel at hand")?;
    let opened = fixed
        .vmlinux
        .iter()
        .find_map(|path| debuginfo::open(path).ok());
    let missing = || {
        let reason = fixed.no_debuginfo.clone();
        reason.unwrap_or_else(|| "no debug information of this kernel is at hand".into())
    };
    let folder = cache::user_folder();
    let arch = opened.as_ref().and_then(|vmlinux| elf::arch(&vmlinux.data));
    let lines = opened
        .map(|vmlinux| RefCell::new(LineResolver::new(vmlinux, folder.as_deref())))
        .ok_or_else(missing);
    let found = functions_from_tables(
        // Without its code no instruction is looked at.
        arch.unwrap_or(Arch::HOST),
        investigation,
        experiments,
        table.table(),
        Some(0),
        lines.as_ref().map_err(Clone::clone),
    );
    if let Ok(lines) = &lines {
        // The cache only saves time.
        let _ = lines.borrow_mut().save();
    }
    Ok(found)
}

/// As [`find_functions`], from tables that are open.
pub fn functions_from_tables(
    arch: Arch,
    investigation: &Investigation,
    experiments: &[PlannedExperiment],
    kallsyms: &Kallsyms,
    slide: Option<u64>,
    lines: Result<&RefCell<LineResolver>, Reason>,
) -> ProbedFunctions {
    let tables = SymbolTables {
        arch,
        kallsyms: Some(kallsyms),
        slide,
        lines,
    };
    let probes = || experiments.iter().flat_map(|experiment| &experiment.probes);
    let within: BTreeSet<&str> = probes()
        .filter_map(|probe| probe.within.as_deref())
        .collect();
    let names: BTreeSet<&str> = probes()
        .filter_map(|probe| probe.target.function())
        .chain(within.iter().copied())
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let instances = tables.instances(&names);
    let excuses = investigation
        .experiments
        .iter()
        .flat_map(|one| &one.excuses);
    let excuses = excuses.map(|excuse| excuse.within.as_str());
    let (mut unknown, mut doubtful) = (BTreeMap::new(), BTreeMap::new());
    for name in within.into_iter().chain(excuses) {
        if let Err(reason) = tables.check_exists(name) {
            unknown.insert(name.to_owned(), reason);
        } else if let Some(doubt) = tables.existence_doubt(name) {
            doubtful.insert(name.to_owned(), doubt);
        }
    }
    ProbedFunctions {
        unknown,
        doubtful,
        instances,
    }
}

/// The symbol of a copy, and its file if others of this function have the same symbol.
fn copy_text(copy: &OwnCopy, all: &[OwnCopy]) -> String {
    let symbol = &copy.symbol;
    let namesakes = all.iter().filter(|other| other.symbol == *symbol).count();
    match (&copy.file, namesakes) {
        (_, ..2) => symbol.clone(),
        (Some(file), _) => format!("{symbol} ({file})"),
        (None, _) => format!("{symbol} (file not known)"),
    }
}

impl ProbedFunctions {
    /// The reason why the function that a probe wants on its stacks does not exist.
    pub fn within_refusal(&self, probe: &PlannedProbe) -> Option<&str> {
        let reason = self.unknown.get(probe.within.as_deref()?)?;
        Some(reason)
    }

    /// The reason why the function that a probe wants on its stacks may not exist.
    pub fn within_doubt(&self, probe: &PlannedProbe) -> Option<&str> {
        let doubt = self.doubtful.get(probe.within.as_deref()?)?;
        Some(doubt)
    }

    /// The reason why the function of an excuse does not exist, or may not.
    pub fn excuse_doubt(&self, function: &str) -> Option<&str> {
        let found = self.unknown.get(function);
        let reason = found.or_else(|| self.doubtful.get(function))?;
        Some(reason)
    }

    /// The lines about one probe of an experiment.
    pub fn text(&self, experiment: &PlannedExperiment, probe: &PlannedProbe) -> String {
        let Some((name, instances)) = self.copies_of(probe) else {
            return match &probe.target {
                Target::Address(_) => BARE_ADDRESS.into(),
                _ => String::new(),
            };
        };
        let own: Vec<String> = (instances.copies.iter())
            .map(|copy| copy_text(copy, &instances.copies))
            .collect();
        let mut out = format!("      copies: {}", own.join(", "));
        match &instances.inlined {
            None => out += "; inlined: not known",
            Some(inlined) if inlined.is_empty() => out += "; inlined nowhere",
            Some(inlined) => {
                let holders: BTreeSet<&str> =
                    inlined.iter().map(|copy| copy.holder.as_str()).collect();
                let shown: Vec<&str> = holders.iter().take(SHOWN).copied().collect();
                let more = holders.len() - shown.len();
                out += &format!("; inlined in {}", shown.join(", "));
                if more > 0 {
                    out += &format!(" and {more} more");
                }
            }
        }
        out.push('\n');
        let watched = self.watched_addresses(probe);
        let mut seen = watched.clone();
        let mut others: BTreeSet<&str> = BTreeSet::new();
        for other in experiment
            .probes
            .iter()
            .filter(|other| other.within.is_none() && other.offset == 0)
        {
            let places = self.watched_addresses(other);
            let holder = instances.inlined.iter().flatten().find(|copy| {
                copy.address
                    .is_some_and(|address| places.contains(&address) && !watched.contains(&address))
            });
            others.extend(holder.map(|copy| copy.holder.as_str()));
            seen.extend(places);
        }
        let mut gaps = instances.gap_reasons(name, probe.file.as_deref(), &seen);
        if watched.is_empty() && matches!(probe.target, Target::Function(_)) {
            gaps.insert(
                0,
                format!("nothing of `{name}` can be watched once the kernel has started"),
            );
        }
        if gaps.is_empty() {
            let if_silent = match others.len() {
                0 => String::new(),
                _ => {
                    let others: Vec<&str> = others.into_iter().collect();
                    format!(", if {} does not run either", others.join(", "))
                }
            };
            out += &format!("      silence would prove that it did not run{if_silent}\n");
        } else {
            out += &format!("      silence would prove nothing: {}\n", gaps.join("; "));
        }
        out
    }

    /// The function of a probe and its copies.
    fn copies_of<'p>(&self, probe: &'p PlannedProbe) -> Option<(&'p str, &Instances)> {
        let name = probe.target.function()?;
        Some((name, self.instances.get(name)?))
    }

    /// The copies that a probe sits on, at the addresses of the tables.
    fn watched_addresses(&self, probe: &PlannedProbe) -> BTreeSet<Address> {
        let Some((name, instances)) = self.copies_of(probe) else {
            return BTreeSet::new();
        };
        // That address is another one than the function's, unless the kernel was not moved.
        if matches!(&probe.target, Target::Address(place) if place.starts_with("static:")) {
            return BTreeSet::new();
        }
        let all = !probe.others.is_empty();
        let of_file = |file: &Option<String>| probe.file.is_none() || *file == probe.file;
        if probe.source.is_err() {
            return BTreeSet::new();
        }
        let copies = instances.copies.iter();
        copies
            .filter(|copy| (all || copy.symbol == name) && of_file(&copy.file))
            .map(|copy| copy.address)
            .collect()
    }
}
