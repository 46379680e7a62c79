//! Checks that an investigation plans a path.

use crate::diagnostic::nearest;
use crate::investigation::{Experiment, LIST_COUNT, Probe, Read};
use crate::path::{EXPERIMENT_SECTIONS, Path, SECTIONS, hit_number};

use super::catalog::Catalog;
use super::fact_paths;
use super::leaf_names::{
    OUTCOME_MAPS, command_leaves, fixed_leaves, hit_leaves, instruction_leaves, member_leaves,
    outcome_leaves, probe_leaves, symbol_leaves,
};
use super::refusals::{check_last_segment, not_a_leaf_error, unknown_segment_error};
use super::resolved::PathError;

impl Catalog<'_> {
    /// Checks that the investigation plans `path`, whether or not any machine could deliver it.
    pub fn check(&self, path: &Path) -> Result<(), PathError> {
        let segments: Vec<&str> = path.segments().collect();
        if fact_paths::is_fact(segments[0]) {
            return self.check_fact(path, &segments);
        }
        if SECTIONS.contains(&segments[0]) {
            return self.check_section(path, &segments);
        }
        let Some(experiment) = self.investigation.experiment(segments[0]) else {
            let known = self
                .investigation
                .experiments
                .iter()
                .map(|e| e.name.as_str());
            let known = known.chain(SECTIONS.iter().copied());
            return Err(unknown_segment_error(&segments, 0, "experiment", known));
        };
        match segments.get(1) {
            None => Err(not_a_leaf_error(path, "name something of the experiment")),
            Some(second) if EXPERIMENT_SECTIONS.contains(second) => {
                self.check_outcome(experiment, path, &segments)
            }
            Some(_) => self.check_probe(experiment, path, &segments),
        }
    }

    /// A path of a probe, `EXPERIMENT.PROBE…`.
    fn check_probe(
        &self,
        experiment: &Experiment,
        path: &Path,
        segments: &[&str],
    ) -> Result<(), PathError> {
        let Some(probe) = experiment.probe(segments[1]) else {
            let known = experiment.probes.iter().map(|p| p.name.as_str());
            let known = known.chain(EXPERIMENT_SECTIONS.iter().copied());
            return Err(unknown_segment_error(segments, 1, "probe", known));
        };
        let Some(third) = segments.get(2) else {
            return Err(not_a_leaf_error(path, "name a value of the probe"));
        };
        let numbered = hit_number(third).is_some();
        let at = if numbered { 3 } else { 2 };
        let Some(leaf) = segments.get(at).copied() else {
            return Err(not_a_leaf_error(path, "name a value of the hit"));
        };
        match leaf {
            "args" => self.check_argument(path, segments, at + 1),
            "entry" => self.check_read(&probe.entry, path, segments, at + 1),
            "exit" => self.check_read(&probe.exit, path, segments, at + 1),
            "members" if !numbered => check_member(probe, path, segments),
            leaf if hit_leaves().any(|name| name == leaf) => check_last_segment(segments, at),
            leaf if !numbered && probe_leaves().any(|name| name == leaf) => {
                check_last_segment(segments, at)
            }
            _ => {
                let known = hit_leaves().chain(["args", "entry", "exit"]);
                let whole = probe_leaves().chain(["members"]);
                let known = known.chain(whole.filter(|_| !numbered));
                Err(unknown_segment_error(segments, at, "value", known))
            }
        }
    }

    /// A path of the outcome of an experiment as a whole, `EXPERIMENT.outcome…` and its like.
    fn check_outcome(
        &self,
        experiment: &Experiment,
        path: &Path,
        segments: &[&str],
    ) -> Result<(), PathError> {
        if segments[1] == "workload" && segments.len() == 2 {
            return Ok(());
        }
        let below = outcome_leaves(segments[1]);
        let numbered = |name: &str| {
            let number = name.strip_prefix("insn").unwrap_or_default();
            number
                .parse::<u32>()
                .is_ok_and(|n| n > 0 && n.to_string() == number)
        };
        match segments.get(2) {
            None => Err(not_a_leaf_error(path, "name a value in it")),
            Some(name) if segments[1] == "call" && numbered(name) => match segments.get(3) {
                Some(leaf)
                    if segments.len() == 4 && instruction_leaves().any(|name| name == *leaf) =>
                {
                    Ok(())
                }
                Some(_) => Err(unknown_segment_error(
                    segments,
                    3,
                    "value",
                    instruction_leaves(),
                )),
                None => Err(not_a_leaf_error(path, "name `address`, `bytes` or `text`")),
            },
            Some(&map) if segments[1] == "outcome" && OUTCOME_MAPS.contains(&map) => {
                let workload = &experiment.workload;
                let names: Vec<&str> = match map {
                    "results" => workload.named_results().map(|(_, name, _)| name).collect(),
                    _ => workload
                        .buffers()
                        .into_iter()
                        .map(|(name, _)| name)
                        .collect(),
                };
                match segments.get(3) {
                    None => Err(not_a_leaf_error(path, "name a value in it")),
                    Some(name) if names.contains(name) => check_last_segment(segments, 3),
                    // Evidence of an older investigation, which had one of this name.
                    Some(_) if self.is_captured(path) => Ok(()),
                    Some(_) => Err(unknown_segment_error(segments, 3, "value", names)),
                }
            }
            Some(leaf) if below.contains(leaf) => check_last_segment(segments, 2),
            Some(_) => Err(unknown_segment_error(segments, 2, "value", below)),
        }
    }

    /// An argument, whose name is the segment `at`.
    fn check_argument(&self, path: &Path, segments: &[&str], at: usize) -> Result<(), PathError> {
        let Some(name) = segments.get(at) else {
            return Err(not_a_leaf_error(path, "name an argument"));
        };
        let parameters: Vec<&str> = self
            .machines
            .iter()
            .filter_map(|m| {
                let experiment = m.evidence.experiments.get(segments[0])?;
                experiment.probes.get(segments[1])
            })
            .flat_map(|p| p.parameters.iter().map(|p| p.name.as_str()))
            .collect();
        // Where no machine could attach, nobody knows the names yet.
        if !parameters.is_empty() && !parameters.contains(name) {
            return Err(unknown_segment_error(segments, at, "argument", parameters));
        }
        check_last_segment(segments, at)
    }

    /// True if a machine has something at `path`, be it planned or not.
    fn is_captured(&self, path: &Path) -> bool {
        let mut machines = self.machines.iter();
        machines.any(|machine| machine.leaves.contains(path.as_str()))
    }

    /// A read of one side of a call, whose name is the segment `at`; of a structure that is read whole, one of its values below.
    fn check_read(
        &self,
        reads: &[Read],
        path: &Path,
        segments: &[&str],
        at: usize,
    ) -> Result<(), PathError> {
        let Some(name) = segments.get(at) else {
            return Err(not_a_leaf_error(path, "name a read"));
        };
        let Some(read) = reads.iter().find(|read| read.name == *name) else {
            let known = reads.iter().map(|read| read.name.as_str());
            return Err(unknown_segment_error(segments, at, "read", known));
        };
        if read.limit.is_some() {
            check_value_of_list(read, path, segments, at + 1)?;
        }
        let values = self.values_of_read(segments, at);
        // Where nothing was read yet, nobody knows whether it is a structure, and what is in it.
        if values.is_empty() {
            return Ok(());
        }
        let below = segments[at + 1..].join(".");
        if values.contains(&below.as_str()) {
            return Ok(());
        }
        if values.contains(&"") {
            return check_last_segment(segments, at);
        }
        let is_map = |value: &&str| {
            let rest = value.strip_prefix(below.as_str());
            rest.is_some_and(|rest| below.is_empty() || rest.starts_with('.'))
        };
        if values.iter().any(is_map) {
            return Err(not_a_leaf_error(
                path,
                "it is a structure, name one of its values",
            ));
        }
        let read = segments[..=at].join(".");
        let near = nearest(&below, values.iter().copied());
        Err(PathError {
            message: format!("no value `{below}` in `{read}`"),
            segment: at + 1,
            nearest: near.map(|near| format!("{read}.{near}")),
        })
    }

    /// The names of values that machines have of a read, whose name is the segment `at`: empty of one that is a value itself.
    fn values_of_read(&self, segments: &[&str], at: usize) -> Vec<&str> {
        let probes = self.machines.iter().filter_map(|machine| {
            let experiment = machine.evidence.experiments.get(segments[0])?;
            experiment.probes.get(segments[1])
        });
        let hits = probes.flat_map(|probe| &probe.hits);
        let values = hits.flat_map(|hit| match segments[at - 1] {
            "entry" => hit.entry.keys(),
            _ => hit.exit.keys(),
        });
        let mut values: Vec<&str> = values
            .filter_map(|key| match key.strip_prefix(segments[at])? {
                "" => Some(""),
                rest => rest.strip_prefix('.'),
            })
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn check_command(&self, path: &Path, segments: &[&str]) -> Result<(), PathError> {
        let commands = &self.investigation.commands;
        let Some(name) = segments.get(1).copied() else {
            return Err(not_a_leaf_error(path, "name a command"));
        };
        let Some(command) = self.investigation.command(name) else {
            let known = commands.iter().map(|command| command.name.as_str());
            return Err(unknown_segment_error(segments, 1, "command", known));
        };
        match segments[2..] {
            [] => Err(not_a_leaf_error(path, "name something of the command")),
            [leaf] if command_leaves().any(|name| name == leaf) => Ok(()),
            ["values"] => Err(not_a_leaf_error(path, "name a value")),
            ["values", value] if command.values.iter().any(|v| v.name == value) => Ok(()),
            ["values", _] => {
                let known = command.values.iter().map(|value| value.name.as_str());
                Err(unknown_segment_error(segments, 3, "value", known))
            }
            [leaf, _, ..] if command_leaves().any(|name| name == leaf) => {
                Err(unknown_segment_error(segments, 3, "value", []))
            }
            ["values", ..] => Err(unknown_segment_error(segments, 4, "value", [])),
            _ => Err(unknown_segment_error(
                segments,
                2,
                "value",
                command_leaves().chain(["values"]),
            )),
        }
    }

    fn check_section(&self, path: &Path, segments: &[&str]) -> Result<(), PathError> {
        if segments[0] == "commands" {
            return self.check_command(path, segments);
        }
        let is_fixed = |leaf: (&str, &str)| matches!(segments, [a, b] if (*a, *b) == leaf);
        if fixed_leaves().any(is_fixed) {
            return Ok(());
        }
        let depth_ok = match segments {
            [_] => return Err(not_a_leaf_error(path, "name a value in it")),
            ["kernel", "config" | "modules", _] | ["kaslr", "sources", _] | ["boots", _, _] => true,
            ["kaslr", "symbols", _, leaf] => symbol_leaves().any(|name| name == *leaf),
            _ => false,
        };
        let planned_symbol = matches!(segments, ["kaslr", "symbols", name, _]
            if self.investigation.symbols.iter().any(|s| s == name));
        let planned_config = matches!(segments, ["kernel", "config", name]
            if self.investigation.config.iter().any(|c| c == name));
        let planned_module = matches!(segments, ["kernel", "modules", name]
            if self.investigation.modules().any(|module| module == *name));
        let planned_name = planned_symbol || planned_config || planned_module;
        if self.is_captured(path) || (depth_ok && (planned_name || segments[0] == "boots")) {
            return Ok(());
        }
        let known = self
            .machines
            .iter()
            .flat_map(|m| m.leaves.paths())
            .filter(|known| known.starts_with(segments[0]));
        let fixed: Vec<String> = fixed_leaves()
            .map(|(section, leaf)| format!("{section}.{leaf}"))
            .collect();
        let mut names: Vec<&str> = known.collect();
        names.extend(fixed.iter().map(String::as_str));
        let near = nearest(path.as_str(), names);
        Err(PathError {
            message: format!("nothing is planned under `{path}`"),
            segment: segments.len() - 1,
            nearest: near.map(str::to_owned),
        })
    }
}

/// A value of a list that is walked, whose name is the segment `at`.
fn check_value_of_list(
    read: &Read,
    path: &Path,
    segments: &[&str],
    at: usize,
) -> Result<(), PathError> {
    let Some(name) = segments.get(at) else {
        return Err(not_a_leaf_error(
            path,
            "it is a list, name `count` or one of its elements, `e0`",
        ));
    };
    let known: Vec<String> = read.list_values().collect();
    if !known.iter().any(|value| value == name) {
        let known = known.iter().map(String::as_str);
        return Err(unknown_segment_error(segments, at, "value", known));
    }
    match *name {
        LIST_COUNT => check_last_segment(segments, at),
        _ => Ok(()),
    }
}

/// A value of the member that a read takes, `EXPERIMENT.PROBE.members.SIDE.READ.LEAF`.
fn check_member(probe: &Probe, path: &Path, segments: &[&str]) -> Result<(), PathError> {
    let reads = match segments.get(3) {
        Some(&"entry") => &probe.entry,
        Some(&"exit") => &probe.exit,
        Some(_) => {
            return Err(unknown_segment_error(
                segments,
                3,
                "side",
                ["entry", "exit"],
            ));
        }
        None => return Err(not_a_leaf_error(path, "name a side, `entry` or `exit`")),
    };
    match (segments.get(4), segments.get(5)) {
        (Some(name), _) if !reads.iter().any(|r| r.name == *name) => {
            let known = reads.iter().map(|r| r.name.as_str());
            Err(unknown_segment_error(segments, 4, "read", known))
        }
        (Some(_), Some(leaf)) if member_leaves().any(|name| name == *leaf) => {
            check_last_segment(segments, 5)
        }
        (Some(_), Some(_)) => Err(unknown_segment_error(segments, 5, "value", member_leaves())),
        _ => Err(not_a_leaf_error(path, "name a value of the member")),
    }
}
