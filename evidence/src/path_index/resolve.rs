//! Resolution of a path to its value on one machine, or to the exact reason why there is none.

use std::borrow::Cow;

use crate::document::instances::Within;
use crate::document::value::Datum;
use crate::document::{Hit, MachineKind, Missing, Probe, Target};
use crate::path::{Path, SECTIONS, hit_number, split_path};
use crate::path_index::Leaf;

use super::drift::Drift;
use super::fact_paths;
use super::limits::mark_if_truncated;

pub use super::catalog::{Catalog, Indexed};
pub use super::leaf_names::{hit_leaves, member_leaves, probe_leaves};
pub use super::resolved::{PathError, Resolved};

impl Catalog<'_> {
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
            && let Some(reason) = experiment.broken_reason()
        {
            return Ok(Resolved::Broken(format!(
                "experiment `{}` {reason}",
                segments[0]
            )));
        }
        if let Some(experiment) = machine.evidence.experiments.get(segments[0])
            && let Some(reason) = &experiment.unavailable
        {
            return Ok(Resolved::Missing(Missing::from_text(reason)));
        }
        if let Some(experiment) = machine.evidence.experiments.get(segments[0])
            && segments
                .get(1)
                .is_none_or(|name| !experiment.probes.contains_key(*name))
            && let Some(reason) = experiment.unwatched_reason()
        {
            return Ok(missing(reason));
        }
        let another = self
            .changed_target_reason(machine, &segments)
            .or_else(|| self.changed_command_reason(machine, &segments));
        if let Some(reason) = another {
            return Ok(missing(reason));
        }
        let whole = fact_paths::expand_path(path);
        let known = whole.as_deref().unwrap_or(path.as_str());
        if let Some(Leaf { datum, drift }) = machine.leaves.get(known) {
            let cut = datum
                .value()
                .and_then(|value| mark_if_truncated(self.investigation, &segments, value));
            if let Some(cut) = cut {
                return Ok(Resolved::Value(Cow::Owned(cut), *drift));
            }
            return Ok(match datum {
                Cow::Borrowed(Datum::Value(value)) => Resolved::Value(Cow::Borrowed(value), *drift),
                Cow::Owned(Datum::Value(value)) => {
                    Resolved::Value(Cow::Owned(value.clone()), *drift)
                }
                Cow::Borrowed(Datum::Missing(why)) => Resolved::Missing(why.clone()),
                Cow::Owned(Datum::Missing(why)) => Resolved::Missing(why.clone()),
            });
        }
        if fact_paths::is_fact(segments[0]) {
            let whole: Vec<&str> = split_path(known).collect();
            return Ok(match fact_paths::resolve_absent(machine.evidence, &whole) {
                Ok(value) => Resolved::Value(Cow::Owned(value), Drift::PerKernel),
                Err(why) => Resolved::Missing(why),
            });
        }
        if segments[0] == "boots" && machine.evidence.machine.kind == MachineKind::Host {
            return Ok(missing(
                "a host is not booted again for a capture; guests are",
            ));
        }
        if SECTIONS.contains(&segments[0]) {
            return Ok(missing("this capture did not record it"));
        }
        let Some(experiment) = machine.evidence.experiments.get(segments[0]) else {
            return Ok(missing(format!(
                "this evidence has no experiment `{}`: it was captured with another investigation",
                segments[0]
            )));
        };
        match experiment.probes.get(segments[1]) {
            Some(probe) => resolve_missing_leaf(probe, &segments),
            None => Ok(missing(format!(
                "this evidence has nothing under `{}.{}`",
                segments[0], segments[1]
            ))),
        }
    }

    /// Evidence of an older investigation can hold a probe of this name that watched something else.
    fn changed_target_reason(&self, machine: &Indexed<'_>, segments: &[&str]) -> Option<String> {
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
                describe_target(&watched.target),
                of(&watched.file),
                describe_target(&planned.target),
                of(&planned.file)
            )
        })
    }

    /// The reason why what the evidence holds of a command is not of the one that is planned.
    fn changed_command_reason(&self, machine: &Indexed<'_>, segments: &[&str]) -> Option<String> {
        let ["commands", name, ..] = segments else {
            return None;
        };
        let planned = self.investigation.command(name)?;
        let Some(found) = machine.evidence.commands.get(*name) else {
            return Some(format!(
                "this evidence has no command `{name}`: it was captured with another investigation"
            ));
        };
        (!planned.matches(found.by, &found.argv)).then(|| {
            format!(
                "`{name}` was `{}` when this was captured, and is to be another command: capture again",
                found.command_line()
            )
        })
    }
}

/// No value, for this reason.
fn missing<'m>(reason: impl Into<String>) -> Resolved<'m> {
    Resolved::Missing(Missing::Unavailable(reason.into()))
}

/// The target of a probe, in words.
fn describe_target(target: &Target) -> String {
    match target {
        Target::Function(name) => format!("the function `{name}`"),
        Target::Tracepoint(name) => format!("the tracepoint `{name}`"),
        Target::Lsm(name) => format!("the LSM hook `{name}`"),
        Target::Address(name) => format!("the address `{name}`"),
    }
}

/// The reason why a probe of this machine has no such leaf.
fn resolve_missing_leaf<'m>(probe: &Probe, segments: &[&str]) -> Result<Resolved<'m>, PathError> {
    if let Some(reason) = &probe.unavailable {
        return Ok(Resolved::Missing(Missing::from_text(reason)));
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
        return Ok(match refused.get(*name) {
            Some(reason) => Resolved::Missing(Missing::from_text(reason)),
            None => missing(
                "this read takes no member of a structure, or the capture did not record which",
            ),
        });
    }
    if let [side @ ("entry" | "exit"), name, below @ ..] = rest {
        let refused = if *side == "entry" {
            &probe.refused_reads.entry
        } else {
            &probe.refused_reads.exit
        };
        if let Some(reason) = refused.get(*name) {
            return Ok(Resolved::Missing(Missing::from_text(reason)));
        }
        let number = hit.unwrap_or(1);
        if let Some(hit) = probe.hits.get(number - 1)
            && (number > 1 || is_unambiguous_hit(probe, segments))
            && let Some(reason) = other_shape_reason(hit, side, name, below)
        {
            return Ok(missing(reason));
        }
    }
    if let (["instance"], [_]) = (rest, probe.watched.as_slice()) {
        let reason = "the probe watches one copy of its function";
        return Ok(missing(reason));
    }
    let fired = probe.hits.len();
    if let ["offset" | "instruction" | "code"] = rest {
        return Ok(missing("the probe sits at the function's entry"));
    }
    let undecided = probe.within.as_ref().and_then(Within::undecided_reason);
    match (hit, undecided) {
        (Some(number), Some(undecided)) if number > fired => Ok(missing(format!(
            "the probe has {fired} hits, and there may be a hit {number}: {undecided}"
        ))),
        (None, Some(undecided)) if fired == 0 => Ok(missing(format!(
            "the probe was attached and has no hit, and may have fired: {undecided}"
        ))),
        _ => resolve_missing_hit(hit, fired, segments),
    }
}

/// The reason why a probe that fired so often has no such value.
fn resolve_missing_hit<'m>(
    hit: Option<usize>,
    fired: usize,
    segments: &[&str],
) -> Result<Resolved<'m>, PathError> {
    match hit {
        Some(number) if number > fired => Ok(missing(format!(
            "the probe fired {fired} times, there is no hit {number}"
        ))),
        None if fired == 0 => Ok(missing("the probe was attached and did not fire")),
        None if fired > 1 && probe_leaves().all(|name| name != segments[2]) => Err(PathError {
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
        _ => Ok(missing("the probe did not see this side of the call")),
    }
}

/// True if a path names a hit, or there is only one that it can mean.
fn is_unambiguous_hit(probe: &Probe, segments: &[&str]) -> bool {
    hit_number(segments[2]).is_some() || probe.hits.len() == 1
}

/// The reason why a read of this machine has no such value, if it has others: another machine's kernel has another structure there.
fn other_shape_reason(hit: &Hit, side: &str, name: &str, below: &[&str]) -> Option<String> {
    let values = match side {
        "entry" => &hit.entry,
        _ => &hit.exit,
    };
    let inside = format!("{name}.");
    if values.contains_key(name) {
        return Some("this kernel has a value there, and no structure".into());
    }
    values
        .keys()
        .any(|key| key.starts_with(&inside))
        .then(|| match below {
            [] => "this kernel has a structure there: name one of its values".to_owned(),
            below => format!("this kernel's structure has no `{}`", below.join(".")),
        })
}

#[cfg(test)]
mod tests;
