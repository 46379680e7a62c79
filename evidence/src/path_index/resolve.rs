//! From a path to its value on one machine, or to the exact reason why there is none.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostic::nearest;
use crate::document::value::Datum;
use crate::document::{Evidence, MachineKind, Probe, Target};
use crate::investigation::Investigation;
use crate::path::{Path, SECTIONS, hit_number};
use crate::path_index::{Leaf, Leaves, leaves};

use super::leaf_names::FIXED_SECTION_LEAVES;
pub use super::leaf_names::{HIT_LEAVES, MEMBER_LEAVES, PROBE_LEAVES};
pub use super::resolved::{PathError, Resolved};

/// The evidence of one machine with its index of leaves, which clones share.
#[derive(Clone, Debug)]
pub struct Indexed<'a> {
    /// The document.
    pub evidence: &'a Evidence,
    /// Its leaves.
    pub leaves: Arc<Leaves<'a>>,
}

impl<'a> Indexed<'a> {
    /// Indexes a document.
    pub fn new(evidence: &'a Evidence) -> Self {
        Indexed {
            evidence,
            leaves: Arc::new(leaves(evidence)),
        }
    }
}

/// Everything an author can name: the investigation and the evidence of all machines.
#[derive(Debug)]
pub struct Catalog<'a> {
    /// What is planned.
    pub investigation: &'a Investigation,
    /// What was captured.
    pub machines: &'a [Indexed<'a>],
}

impl<'a> Catalog<'a> {
    /// Checks that the investigation plans `path`, whether or not any machine could deliver it.
    pub fn check(&self, path: &Path) -> Result<(), PathError> {
        let segments: Vec<&str> = path.segments().collect();
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
            return Err(self.unknown(&segments, 0, "experiment", known));
        };
        let Some(second) = segments.get(1).copied() else {
            return Err(not_a_leaf(path, "name something of the experiment"));
        };
        if crate::path::EXPERIMENT_SECTIONS.contains(&second) {
            return self.check_outcome(path, &segments);
        }
        let Some(probe) = experiment.probe(second) else {
            let known = experiment.probes.iter().map(|p| p.name.as_str());
            let known = known.chain(crate::path::EXPERIMENT_SECTIONS.iter().copied());
            return Err(self.unknown(&segments, 1, "probe", known));
        };
        let mut at = 2;
        let Some(mut third) = segments.get(at).copied() else {
            return Err(not_a_leaf(path, "name a value of the probe"));
        };
        let numbered = hit_number(third).is_some();
        if numbered {
            at += 1;
            match segments.get(at) {
                Some(next) => third = next,
                None => return Err(not_a_leaf(path, "name a value of the hit")),
            }
        }
        let leaf_ok = |last: usize| {
            if segments.len() > last + 1 {
                Err(PathError {
                    message: format!(
                        "`{}` is a value and has nothing below it",
                        segments[..=last].join(".")
                    ),
                    segment: last + 1,
                    nearest: Some(segments[..=last].join(".")),
                })
            } else {
                Ok(())
            }
        };
        match third {
            "args" => {
                let Some(name) = segments.get(at + 1) else {
                    return Err(not_a_leaf(path, "name an argument"));
                };
                let parameters: Vec<&str> = self
                    .machines
                    .iter()
                    .filter_map(|m| m.evidence.experiments.get(segments[0])?.probes.get(second))
                    .flat_map(|p| p.parameters.iter().map(|p| p.name.as_str()))
                    .collect();
                // Where no machine could attach, nobody knows the names yet.
                if !parameters.is_empty() && !parameters.contains(name) {
                    return Err(self.unknown(&segments, at + 1, "argument", parameters));
                }
                leaf_ok(at + 1)
            }
            "entry" | "exit" => {
                let side = if third == "entry" {
                    &probe.entry
                } else {
                    &probe.exit
                };
                let known: Vec<&str> = side.iter().map(|r| r.name.as_str()).collect();
                match segments.get(at + 1) {
                    None => Err(not_a_leaf(path, "name a read")),
                    Some(name) if known.contains(name) => leaf_ok(at + 1),
                    Some(_) => Err(self.unknown(&segments, at + 1, "read", known)),
                }
            }
            "members" if !numbered => {
                let reads = match segments.get(at + 1) {
                    Some(&"entry") => &probe.entry,
                    Some(&"exit") => &probe.exit,
                    Some(_) => {
                        return Err(self.unknown(&segments, at + 1, "side", ["entry", "exit"]));
                    }
                    None => return Err(not_a_leaf(path, "name a side, `entry` or `exit`")),
                };
                match (segments.get(at + 2), segments.get(at + 3)) {
                    (Some(name), _) if !reads.iter().any(|r| r.name == *name) => {
                        let known: Vec<&str> = reads.iter().map(|r| r.name.as_str()).collect();
                        Err(self.unknown(&segments, at + 2, "read", known))
                    }
                    (Some(_), Some(leaf)) if MEMBER_LEAVES.contains(leaf) => leaf_ok(at + 3),
                    (Some(_), Some(_)) => {
                        let known = MEMBER_LEAVES.iter().copied();
                        Err(self.unknown(&segments, at + 3, "value", known))
                    }
                    _ => Err(not_a_leaf(path, "name a value of the member")),
                }
            }
            leaf if HIT_LEAVES.contains(&leaf) => leaf_ok(at),
            leaf if !numbered && PROBE_LEAVES.contains(&leaf) => leaf_ok(at),
            _ => {
                let known = HIT_LEAVES.iter().chain(["args", "entry", "exit"].iter());
                let whole = PROBE_LEAVES
                    .iter()
                    .chain([&"members"])
                    .filter(|_| !numbered);
                Err(self.unknown(&segments, at, "value", known.chain(whole).copied()))
            }
        }
    }

    /// The value of a path that [`check`](Self::check) accepts, on one machine.
    pub fn resolve<'m>(
        &self,
        machine: &'m Indexed<'_>,
        path: &Path,
    ) -> Result<Resolved<'m>, PathError> {
        self.check(path)?;
        let segments: Vec<&str> = path.segments().collect();
        if let Some(experiment) = machine.evidence.experiments.get(segments[0])
            && segments.get(1) != Some(&"quality")
            && let Some(reason) = experiment.broken()
        {
            return Ok(Resolved::Broken(format!(
                "experiment `{}` {reason}",
                segments[0]
            )));
        }
        if let Some(experiment) = machine.evidence.experiments.get(segments[0])
            && let Some(reason) = &experiment.unavailable
        {
            return Ok(Resolved::Missing(reason.clone()));
        }
        if let Some(experiment) = machine.evidence.experiments.get(segments[0])
            && segments
                .get(1)
                .is_none_or(|name| !experiment.probes.contains_key(*name))
            && let Some(reason) = experiment.unwatched()
        {
            return Ok(Resolved::Missing(reason));
        }
        let another = self
            .watched_another(machine, &segments)
            .or_else(|| self.another_command(machine, &segments));
        if let Some(reason) = another {
            return Ok(Resolved::Missing(reason));
        }
        if let Some(Leaf { datum, drift }) = machine.leaves.get(path.as_str()) {
            return Ok(match datum {
                Cow::Borrowed(Datum::Value(value)) => Resolved::Value(Cow::Borrowed(value), *drift),
                Cow::Owned(Datum::Value(value)) => {
                    Resolved::Value(Cow::Owned(value.clone()), *drift)
                }
                Cow::Borrowed(Datum::Unavailable(u)) => Resolved::Missing(u.unavailable.clone()),
                Cow::Owned(Datum::Unavailable(u)) => Resolved::Missing(u.unavailable.clone()),
            });
        }
        if segments[0] == "boots" && machine.evidence.machine.kind == MachineKind::Host {
            return Ok(Resolved::Missing(
                "a host is not booted again for a capture; guests are".into(),
            ));
        }
        if SECTIONS.contains(&segments[0]) {
            return Ok(Resolved::Missing("this capture did not record it".into()));
        }
        let Some(experiment) = machine.evidence.experiments.get(segments[0]) else {
            return Ok(Resolved::Missing(format!(
                "this evidence has no experiment `{}`: it was captured with another investigation",
                segments[0]
            )));
        };
        match experiment.probes.get(segments[1]) {
            Some(probe) => why_missing(probe, &segments),
            None => Ok(Resolved::Missing(format!(
                "this evidence has nothing under `{}.{}`",
                segments[0], segments[1]
            ))),
        }
    }

    /// Evidence of an older investigation can hold a probe of this name that watched something else.
    fn watched_another(&self, machine: &Indexed<'_>, segments: &[&str]) -> Option<String> {
        let [experiment, probe, ..] = segments else {
            return None;
        };
        let planned = self.investigation.experiment(experiment)?.probe(probe)?;
        let experiment = machine.evidence.experiments.get(*experiment)?;
        let watched = experiment.probes.get(*probe)?;
        let of = |file: &Option<String>| {
            file.as_ref()
                .map_or(String::new(), |file| format!(" of {file}"))
        };
        (planned.target != watched.target || planned.file != watched.file).then(|| {
            format!(
                "`{probe}` watched {}{} when this was captured, and is to watch {}{}: capture again",
                target(&watched.target),
                of(&watched.file),
                target(&planned.target),
                of(&planned.file)
            )
        })
    }

    fn check_command(&self, path: &Path, segments: &[&str]) -> Result<(), PathError> {
        let commands = &self.investigation.commands;
        let Some(name) = segments.get(1).copied() else {
            return Err(not_a_leaf(path, "name a command"));
        };
        let Some(command) = self.investigation.command(name) else {
            let known = commands.iter().map(|command| command.name.as_str());
            return Err(self.unknown(segments, 1, "command", known));
        };
        match segments[2..] {
            [] => Err(not_a_leaf(path, "name something of the command")),
            ["run" | "exit" | "output"] => Ok(()),
            ["values"] => Err(not_a_leaf(path, "name a value")),
            ["values", value] if command.values.iter().any(|v| v.name == value) => Ok(()),
            ["values", _] => {
                let known = command.values.iter().map(|value| value.name.as_str());
                Err(self.unknown(segments, 3, "value", known))
            }
            ["run" | "exit" | "output", _, ..] => Err(self.unknown(segments, 3, "value", [])),
            ["values", ..] => Err(self.unknown(segments, 4, "value", [])),
            _ => Err(self.unknown(segments, 2, "value", ["run", "exit", "output", "values"])),
        }
    }

    /// Why what the evidence holds of a command is not of the one that is planned.
    fn another_command(&self, machine: &Indexed<'_>, segments: &[&str]) -> Option<String> {
        let ["commands", name, ..] = segments else {
            return None;
        };
        let planned = self.investigation.command(name)?;
        let Some(found) = machine.evidence.commands.get(*name) else {
            return Some(format!(
                "this evidence has no command `{name}`: it was captured with another investigation"
            ));
        };
        (!planned.is(found.by, &found.argv)).then(|| {
            format!(
                "`{name}` was `{}` when this was captured, and is to be another command: capture again",
                found.line()
            )
        })
    }

    fn check_section(&self, path: &Path, segments: &[&str]) -> Result<(), PathError> {
        if segments[0] == "commands" {
            return self.check_command(path, segments);
        }
        if FIXED_SECTION_LEAVES.contains(&path.as_str()) {
            return Ok(());
        }
        let depth_ok = match segments {
            [_] => return Err(not_a_leaf(path, "name a value in it")),
            ["kernel", "config", _] | ["kaslr", "sources", _] | ["boots", _, _] => true,
            ["kaslr", "symbols", _, leaf] => ["live", "static", "slide"].contains(leaf),
            _ => false,
        };
        let planned_symbol = matches!(segments, ["kaslr", "symbols", name, _]
            if self.investigation.symbols.iter().any(|s| s == name));
        let planned_config = matches!(segments, ["kernel", "config", name]
            if self.investigation.config.iter().any(|c| c == name));
        let captured = self
            .machines
            .iter()
            .any(|machine| machine.leaves.contains(path.as_str()));
        if captured || (depth_ok && (planned_symbol || planned_config || segments[0] == "boots")) {
            return Ok(());
        }
        let known = self
            .machines
            .iter()
            .flat_map(|m| m.leaves.paths())
            .filter(|known| known.starts_with(segments[0]));
        Err(PathError {
            message: format!("nothing is planned under `{path}`"),
            segment: segments.len() - 1,
            nearest: nearest(
                path.as_str(),
                known.chain(FIXED_SECTION_LEAVES.iter().copied()),
            )
            .map(str::to_owned),
        })
    }

    fn check_outcome(&self, path: &Path, segments: &[&str]) -> Result<(), PathError> {
        let below: &[&str] = match segments[1] {
            "workload" if segments.len() == 2 => return Ok(()),
            "outcome" => &["returned", "errno", "exit", "signal", "stdout", "buffers"],
            "quality" => &[
                "events",
                "lost",
                "missed",
                "attached",
                "planned",
                "descendants",
                "attempts",
            ],
            "objects" => &["allocated", "freed", "excused", "leaked", "waited"],
            "call" => &["function", "instruction", "after", "code", "text"],
            "cost" => &["bare_ns", "probed_ns", "added_ns", "iterations"],
            _ => &[],
        };
        let numbered = |name: &str| {
            let number = name.strip_prefix("insn").unwrap_or_default();
            number
                .parse::<u32>()
                .is_ok_and(|n| n > 0 && n.to_string() == number)
        };
        match segments.get(2) {
            None => Err(not_a_leaf(path, "name a value in it")),
            Some(name) if segments[1] == "call" && numbered(name) => match segments.get(3) {
                Some(&("address" | "bytes" | "text")) if segments.len() == 4 => Ok(()),
                Some(_) => Err(self.unknown(segments, 3, "value", ["address", "bytes", "text"])),
                None => Err(not_a_leaf(path, "name `address`, `bytes` or `text`")),
            },
            Some(&"buffers") if segments[1] == "outcome" && segments.len() == 4 => Ok(()),
            Some(leaf) if below.contains(leaf) && *leaf != "buffers" && segments.len() == 3 => {
                Ok(())
            }
            Some(_) => Err(self.unknown(segments, 2, "value", below.iter().copied())),
        }
    }

    fn unknown<'n>(
        &self,
        segments: &[&str],
        at: usize,
        what: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> PathError {
        let known: Vec<&str> = known.into_iter().collect();
        let near = nearest(segments[at], known.iter().copied());
        let place = segments[..at].join(".");
        let place = if place.is_empty() {
            String::new()
        } else {
            format!(" in `{place}`")
        };
        let list = if known.is_empty() || near.is_some() {
            String::new()
        } else {
            let mut names = known;
            names.sort_unstable();
            names.dedup();
            names.truncate(12);
            format!(" (there is {})", names.join(", "))
        };
        PathError {
            message: format!("no {what} `{}`{place}{list}", segments[at]),
            segment: at,
            nearest: near.map(|near| {
                let mut fixed: Vec<&str> = segments.to_vec();
                fixed[at] = near;
                fixed.join(".")
            }),
        }
    }
}

/// What a probe watches, in words.
fn target(target: &Target) -> String {
    match target {
        Target::Function(name) => format!("the function `{name}`"),
        Target::Tracepoint(name) => format!("the tracepoint `{name}`"),
        Target::Lsm(name) => format!("the LSM hook `{name}`"),
        Target::Address(name) => format!("the address `{name}`"),
    }
}

fn not_a_leaf(path: &Path, what: &str) -> PathError {
    PathError {
        message: format!("`{path}` is not a value: {what}"),
        segment: path.segments().count(),
        nearest: None,
    }
}

/// Why a probe of this machine has no such leaf.
fn why_missing<'m>(probe: &Probe, segments: &[&str]) -> Result<Resolved<'m>, PathError> {
    if let Some(reason) = &probe.unavailable {
        return Ok(Resolved::Missing(reason.clone()));
    }
    let hit = hit_number(segments[2]);
    let rest = if hit.is_some() {
        &segments[3..]
    } else {
        &segments[2..]
    };
    if let ["members", side @ ("entry" | "exit"), name, _] = rest {
        let refused = match *side {
            "entry" => &probe.refused_reads.entry,
            _ => &probe.refused_reads.exit,
        };
        let reason = refused.get(*name).cloned();
        return Ok(Resolved::Missing(reason.unwrap_or_else(|| {
            "this read takes no member of a structure, or the capture did not record which".into()
        })));
    }
    if let [side @ ("entry" | "exit"), name] = rest {
        let refused = if *side == "entry" {
            &probe.refused_reads.entry
        } else {
            &probe.refused_reads.exit
        };
        if let Some(reason) = refused.get(*name) {
            return Ok(Resolved::Missing(reason.clone()));
        }
    }
    if let (["instance"], [_]) = (rest, probe.watched.as_slice()) {
        let reason = "the probe watches one copy of its function";
        return Ok(Resolved::Missing(reason.into()));
    }
    let fired = probe.hits.len();
    if let ["offset" | "instruction" | "code"] = rest {
        return Ok(Resolved::Missing(
            "the probe sits at the function's entry".into(),
        ));
    }
    match hit {
        Some(number) if number > fired => Ok(Resolved::Missing(format!(
            "the probe fired {fired} times, there is no hit {number}"
        ))),
        None if fired == 0 => Ok(Resolved::Missing(
            "the probe was attached and did not fire".into(),
        )),
        None if fired > 1 && !PROBE_LEAVES.contains(&segments[2]) => Err(PathError {
            message: format!(
                "probe `{}.{}` fired {fired} times: say which hit, `hit1` to `hit{fired}`",
                segments[0], segments[1]
            ),
            segment: 2,
            nearest: Some(format!(
                "{}.{}.hit1.{}",
                segments[0],
                segments[1],
                segments[2..].join(".")
            )),
        }),
        _ => Ok(Resolved::Missing(
            "the probe did not see this side of the call".into(),
        )),
    }
}

#[cfg(test)]
mod tests;
