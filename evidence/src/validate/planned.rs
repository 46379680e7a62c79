//! Checks of a document against the exact investigation that was run.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::FixedState;

use super::completeness::{check_event_times, check_missed_returns};
use super::finding::Finding;
use super::gate::check_gate;
use super::kinds::check_kinds;
use super::lists::check_lists;
use super::names::check_value_names;
use super::planned_ledger::check_objects;
use super::processes::check_followed_processes;
use super::stacks::is_on_stack;
use super::traced_run::run_difference;
use crate::document::instances::Instances;
use crate::document::pointer::escape;
use crate::document::value::{Datum, Frame, Value};
use crate::document::withheld::withheld_reason;
use crate::document::{CommandRun, Context, Evidence, Experiment, Hit, Member, Probe, Task};
use crate::investigation::{
    Action, Experiment as PlannedExperiment, Investigation, Probe as PlannedProbe, ReadKind,
};

/// The first statement that `evidence` cannot contain if it comes from a run of `investigation`; `None` for evidence of another
/// version of the investigation, which is out of date.
///
/// The place is a JSON pointer (RFC 6901) into the document.
pub fn find_contradiction(investigation: &Investigation, evidence: &Evidence) -> Option<Finding> {
    if investigation.digest != evidence.run.investigation_digest {
        return None;
    }
    let symbols = |name: &String| investigation.symbols.contains(name);
    let config = |name: &String| investigation.config.contains(name);
    // What a module depends on is loaded with it, and nothing without one.
    let module = |_: &String| investigation.modules().next().is_some();
    check_members(investigation, evidence)
        .or_else(|| {
            check_requested_names(
                || "/kernel/modules".into(),
                evidence.kernel.modules.keys(),
                module,
            )
        })
        .or_else(|| {
            check_requested_names(
                || "/kaslr/symbols".into(),
                evidence.kaslr.symbols.keys(),
                symbols,
            )
        })
        .or_else(|| {
            check_requested_names(
                || "/kernel/config".into(),
                evidence.kernel.config.keys(),
                config,
            )
        })
        .or_else(|| {
            let mut all = evidence.commands.iter();
            all.find_map(|(name, found)| {
                let at = format!("/commands/{}", escape(name));
                check_command(&at, investigation, name, found)
            })
        })
        .or_else(|| {
            let mut all = evidence.experiments.iter();
            all.find_map(|(name, found)| {
                let at = format!("/experiments/{}", escape(name));
                match investigation.experiment(name) {
                    Some(requested) => check_experiment(&at, requested, found, &evidence.instances),
                    None => Some((at, "the investigation has no such experiment".into())),
                }
            })
        })
}

/// The same read of the same target takes the same member, at the same place of its structure. Its type is the same if `names` are:
/// those of an enumeration take the place of the type.
fn check_members(investigation: &Investigation, evidence: &Evidence) -> Option<Finding> {
    /// The names of an experiment, a probe, a side and a read.
    type Place<'a> = [&'a str; 4];
    let written = |[experiment, probe, side, read]: Place<'_>| {
        let (experiment, probe, read) = (escape(experiment), escape(probe), escape(read));
        format!("/experiments/{experiment}/probes/{probe}/members/{side}/{read}")
    };
    /// The names of numbers, and the meaning of the numbers that have them.
    type Naming<'a> = Option<(&'a str, Option<ReadKind>)>;
    let mut known: HashMap<_, (&Member, Place<'_>), FixedState> = HashMap::default();
    for (name, found) in &evidence.experiments {
        let Some(requested) = investigation.experiment(name) else {
            continue;
        };
        for (probe, found) in &found.probes {
            let Some(requested) = requested.probe(probe) else {
                continue;
            };
            for (side, reads, members) in [
                ("entry", &requested.entry, &found.members.entry),
                ("exit", &requested.exit, &found.members.exit),
            ] {
                for read in reads {
                    let Some(member) = members.get(&read.name) else {
                        continue;
                    };
                    let at = [name.as_str(), probe, side, &read.name];
                    let naming: Naming<'_> = read.names.as_deref().map(|set| (set, read.kind));
                    let paths: Vec<&str> = read.paths().map(|(path, _)| path).collect();
                    for named in [None, Some(naming)] {
                        let is_text = read.kind == Some(ReadKind::Text);
                        let key = (&found.target, side, paths.clone(), named, is_text);
                        let (first, place) = known.entry(key).or_insert((member, at));
                        let is_same = match named {
                            None => is_same_place(first, member),
                            Some(_) => *first == member,
                        };
                        if !is_same {
                            let place = written(*place);
                            let reason = format!("the same read takes another member at `{place}`");
                            return Some((written(at), reason));
                        }
                    }
                }
            }
        }
    }
    None
}

/// True if two members are the same but for their types.
fn is_same_place(a: &Member, b: &Member) -> bool {
    let Member {
        structure,
        name,
        offset,
        type_name: _,
        bits,
    } = a;
    (structure, name, offset, bits) == (&b.structure, &b.name, &b.offset, &b.bits)
}

/// Check that the investigation has these names.
fn check_requested_names<'a>(
    at: impl Fn() -> String,
    mut names: impl Iterator<Item = &'a String>,
    known: impl Fn(&String) -> bool,
) -> Option<Finding> {
    let name = names.find(|name| !known(name))?;
    let reason = format!("the investigation does not ask for `{name}`");
    Some((format!("{}/{}", at(), escape(name)), reason))
}

fn check_command(
    at: &str,
    investigation: &Investigation,
    name: &str,
    found: &CommandRun,
) -> Option<Finding> {
    let Some(planned) = investigation.command(name) else {
        return Some((at.into(), "the investigation has no such command".into()));
    };
    let hidden = found
        .argv
        .iter()
        .any(|word| withheld_reason(word).is_some());
    if !hidden && !planned.matches(found.by, &found.argv) {
        let reason = format!(
            "`{}` is not the command that was asked for",
            found.command_line()
        );
        return Some((format!("{at}/argv"), reason));
    }
    found.values.iter().find_map(|(name, datum)| {
        let at = format!("{at}/values/{}", escape(name));
        let Some(wanted) = planned.values.iter().find(|wanted| wanted.name == *name) else {
            return Some((at, "the investigation asks for no such value".into()));
        };
        let (value, output) = (datum.value()?, found.output.value()?);
        let Value::Text { value: output } = output else {
            return None;
        };
        let other = match wanted.find(output) {
            Ok(again) if again == *value => return None,
            Ok(again) => format!("`{again}`"),
            Err(error) => format!("none: {error}"),
        };
        // A stand-in is not in the output, which is withheld then.
        let stand_in = matches!(value, Value::Address { value, .. } if value.is_pseudonym());
        (!stand_in).then(|| {
            let reason = format!("the value in the command's output is {other}");
            (at, reason)
        })
    })
}

fn check_experiment(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
    instances: &BTreeMap<String, Instances>,
) -> Option<Finding> {
    let text = requested.workload_text();
    if found.workload != text && withheld_reason(&found.workload).is_none() {
        let reason = format!("the workload was `{text}`");
        return Some((format!("{at}/workload"), reason));
    }
    let is_call = matches!(requested.workload.action, Action::Syscall { .. });
    if !is_call && (found.call.is_some() || found.outcome.returned.value().is_some()) {
        let reason = "the workload is a program, and makes no call of its own".into();
        return Some((format!("{at}/outcome/returned"), reason));
    }
    check_buffers(at, requested, found)
        .or_else(|| check_results(at, requested, found))
        .or_else(|| {
            found.probes.iter().find_map(|(name, found)| {
                let at = || format!("{at}/probes/{}", escape(name));
                match requested.probe(name) {
                    Some(requested) => check_probe(&at, requested, found),
                    None => Some((at(), "the investigation has no such probe".into())),
                }
            })
        })
        .or_else(|| check_shared_events(at, requested, found))
        .or_else(|| check_followed_processes(at, requested, found))
        .or_else(|| check_missed_returns(at, requested, found, instances))
        .or_else(|| check_event_times(at, requested, found))
        .or_else(|| check_gate(at, requested, found))
        .or_else(|| check_tasks(at, requested, found, is_call))
        .or_else(|| check_objects(at, requested, found))
        .or_else(|| {
            let reason = run_difference(requested, found, found.graph.as_ref()?, instances)?;
            Some((format!("{at}/graph"), reason))
        })
}

fn check_buffers(at: &str, requested: &PlannedExperiment, found: &Experiment) -> Option<Finding> {
    let names = requested
        .workload
        .buffers()
        .into_iter()
        .map(|(name, _)| name);
    let names: BTreeSet<&str> = names.collect();
    let known = |name: &String| names.contains(name.as_str());
    check_requested_names(
        || format!("{at}/outcome/buffers"),
        found.outcome.buffers.keys(),
        known,
    )
}

/// Results are those of named calls, and the last call returned what the whole workload did.
fn check_results(at: &str, requested: &PlannedExperiment, found: &Experiment) -> Option<Finding> {
    let named: Vec<(usize, &str)> = requested
        .workload
        .named_results()
        .map(|(nth, name, _)| (nth, name))
        .collect();
    let results = &found.outcome.results;
    let at = || format!("{at}/outcome/results");
    let known = |name: &String| named.iter().any(|(_, known)| known == name);
    check_requested_names(at, results.keys(), known).or_else(|| {
        let (_, last) =
            (named.iter()).find(|(nth, _)| nth + 1 == requested.workload.call_count())?;
        let (stated, returned) = (
            results.get(*last)?.value()?,
            found.outcome.returned.value()?,
        );
        (stated != returned).then(|| {
            let reason = format!("the last call returned `{returned}`");
            (format!("{}/{}", at(), escape(last)), reason)
        })
    })
}

fn check_probe(
    at: &dyn Fn() -> String,
    requested: &PlannedProbe,
    found: &Probe,
) -> Option<Finding> {
    if requested.target != found.target {
        let reason = "the probe is to watch something else".into();
        return Some((format!("{}/target", at()), reason));
    }
    if requested.optional != found.optional {
        let reason = match requested.optional {
            true => "the probe is optional",
            false => "the probe is not optional",
        };
        return Some((format!("{}/optional", at()), reason.into()));
    }
    found.hits.iter().enumerate().find_map(|(index, hit)| {
        let at = || format!("{}/hits/{index}", at());
        let entry_at = || format!("{}/entry", at());
        let exit_at = || format!("{}/exit", at());
        let reads = |side: &[crate::investigation::Read], name: &String| {
            let read = name.split('.').next();
            side.iter().any(|one| Some(one.name.as_str()) == read)
        };
        let entry = |name: &String| reads(&requested.entry, name);
        let exit = |name: &String| reads(&requested.exit, name);
        check_requested_names(entry_at, hit.entry.keys(), entry)
            .or_else(|| check_requested_names(exit_at, hit.exit.keys(), exit))
            .or_else(|| check_value_names(entry_at, hit.entry.keys()))
            .or_else(|| check_value_names(exit_at, hit.exit.keys()))
            .or_else(|| check_kinds(entry_at, &requested.entry, &hit.entry))
            .or_else(|| check_kinds(exit_at, &requested.exit, &hit.exit))
            .or_else(|| check_lists(entry_at, &requested.entry, &hit.entry))
            .or_else(|| check_lists(exit_at, &requested.exit, &hit.exit))
            .or_else(|| check_hit_condition(at, requested, hit))
    })
}

/// Check that the condition of its probe would not have left a hit out.
fn check_hit_condition(
    at: impl Fn() -> String,
    requested: &PlannedProbe,
    hit: &Hit,
) -> Option<Finding> {
    let within = requested.within.as_ref()?;
    let Value::Stack { value } = hit.stack.as_ref()?.value()? else {
        return None;
    };
    (!is_on_stack(value, within)).then(|| {
        let reason = format!("`{within}` is not on it, and only hits within it are recorded");
        (format!("{}/stack", at()), reason)
    })
}

/// Check that probes on the same place saw the same events, each as far as its condition lets it.
fn check_shared_events(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
) -> Option<Finding> {
    let attached = |name: &str| {
        found
            .probes
            .get(name)
            .filter(|probe| probe.backend.is_some())
    };
    let rows = found.objects.iter().flat_map(|ledger| &ledger.allocations);
    let stacks: BTreeMap<u64, &[Frame]> =
        rows.map(|row| (row.order, row.stack.as_slice())).collect();
    // What frees counts where the ledger has the object.
    let plain = || {
        requested
            .probes
            .iter()
            .filter(|probe| probe.frees.is_none())
    };
    plain().find_map(|seen| {
        let hits = &attached(&seen.name)?.hits;
        plain()
            .filter(|other| other.name != seen.name && same_events(seen, other))
            .find_map(|other| {
                let known = attached(&other.name)?;
                // What its condition could not tell is not recorded.
                if known
                    .within
                    .as_ref()
                    .is_some_and(|within| within.undecided > 0)
                {
                    return None;
                }
                let missing = hits.iter().find(|hit| {
                    let Some(order) = hit.order else {
                        return false;
                    };
                    let task = hit.context == Some(Context::Task);
                    task && condition_holds(other, hit, stacks.get(&order).copied())
                        && known.hits.iter().all(|hit| hit.order != Some(order))
                })?;
                let reason = format!(
                    "`{}` saw event {}, which this probe sees, too",
                    seen.name,
                    missing.order.unwrap_or_default()
                );
                Some((format!("{at}/probes/{}/hits", escape(&other.name)), reason))
            })
    })
}

/// True if what one probe sees is decided by the condition of the other alone.
fn same_events(a: &PlannedProbe, b: &PlannedProbe) -> bool {
    a.any_task == b.any_task && a.has_same_target_ignoring_within(b)
}

/// True if a probe's condition holds for a hit, as far as that is known. The stack of an allocation is in the ledger.
fn condition_holds(probe: &PlannedProbe, hit: &Hit, in_ledger: Option<&[Frame]>) -> bool {
    let stack = match hit.stack.as_ref().and_then(Datum::value) {
        Some(Value::Stack { value }) => Some(value.as_slice()),
        _ => in_ledger,
    };
    match (&probe.within, stack) {
        (None, _) => true,
        (Some(within), Some(stack)) => is_on_stack(stack, within),
        (Some(_), None) => false,
    }
}

/// Check that probes that watch the workload see one process, and a thread of a workload that is a call has one name; while each call is
/// made, it may get another.
fn check_tasks(
    at: &str,
    requested: &PlannedExperiment,
    found: &Experiment,
    is_call: bool,
) -> Option<Finding> {
    let asked_follow = requested.follow;
    let mut own: Option<i32> = None;
    /// The order of a hit's event, its task, its probe and its index there.
    type HitTask<'a> = (u64, &'a Task, &'a String, usize);
    let mut threads: BTreeMap<i32, Vec<HitTask<'_>>> = BTreeMap::new();
    for (name, probe) in &found.probes {
        let Some(requested) = requested.probe(name) else {
            continue;
        };
        if requested.any_task || requested.frees.is_some() {
            continue;
        }
        for (index, hit) in probe.hits.iter().enumerate() {
            let at = || format!("{at}/probes/{}/hits/{index}/task", escape(name));
            let process = *own.get_or_insert(hit.task.pid);
            if !asked_follow && hit.task.pid != process {
                let reason = format!(
                    "process {} is not the workload's, {process}, which alone is watched",
                    hit.task.pid
                );
                return Some((at(), reason));
            }
            let order = hit.order.or(hit.return_order).unwrap_or_default();
            let thread = threads.entry(hit.task.tid).or_default();
            thread.push((order, &hit.task, name, index));
        }
    }
    for hits in threads.values_mut().filter(|_| is_call) {
        hits.sort_by_key(|(order, ..)| *order);
        let mut changes = hits
            .windows(2)
            .filter(|pair| pair[0].1.name != pair[1].1.name)
            .map(|pair| (pair[1].2, pair[1].3));
        if let Some((name, index)) = changes.nth(requested.workload.call_count()) {
            let reason =
                "the thread had more other names before than it made calls, each of which can give it one".into();
            let at = format!("{at}/probes/{}/hits/{index}/task", escape(name));
            return Some((at, reason));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::investigation::parse;
    use crate::testing::evidence;

    /// Check that one path with and without the names of an enumeration is one member, whose type only the latter read has, and that
    /// another place of it is refused, as is another type of two reads without names.
    #[test]
    fn members_with_names() {
        let member = |offset: u64, type_name: Option<&str>| Member {
            structure: "struct socket".into(),
            name: "state".into(),
            offset,
            type_name: type_name.map(str::to_owned),
            bits: None,
        };
        let read = |name: &str, names: &str| {
            format!("{{ at = \"exit\", name = \"{name}\", path = \"return->state\"{names} }}")
        };
        let found = |second_names: &str, first: Member, second: Member| {
            let text = format!(
                "[[experiment]]\nname = \"create\"\nworkload = {{ syscall = \"getpid\" }}\n\
                 [[experiment.probe]]\nfunction = \"sock_alloc\"\nreads = [{}, {}]\n",
                read("named", ", names = \"SS_FREE\""),
                read("other", second_names)
            );
            let investigation = parse("i.toml", &text).unwrap();
            let mut evidence = evidence();
            let create = evidence.experiments.get_mut("create").unwrap();
            let probe = create.probes.get_mut("sock_alloc").unwrap();
            probe.members.exit = [("named".into(), first), ("other".into(), second)].into();
            check_members(&investigation, &evidence)
        };
        let plain = Some("int");
        assert_eq!(found("", member(0, None), member(0, plain)), None);
        for (names, first, second) in [
            ("", member(0, None), member(8, plain)),
            (", names = \"SS_FREE\"", member(0, None), member(0, plain)),
        ] {
            let (at, reason) = found(names, first, second).unwrap();
            assert!(at.ends_with("/sock_alloc/members/exit/other"), "{at}");
            assert!(
                reason.starts_with("the same read takes another member"),
                "{reason}"
            );
        }
    }
}
