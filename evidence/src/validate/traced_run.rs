//! Comparison of the two runs of a call that an experiment with a tree makes: the one that its probes watched, and the one that
//! the tracer recorded. A call that changes what it finds, such as `mkdir`, takes another way the second time, and its tree then
//! says nothing about the run of which all else is said. In a guest the traced run comes last, on a host first.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::RESTARTED;
use crate::constants::errno_name;
use crate::document::fields::MAX_ERRNO;
use crate::document::value::Value;
use crate::document::{Backend, Context, Experiment, Graph, Probe};
use crate::instances::Instances;
use crate::investigation::{Experiment as PlannedExperiment, Position, Probe as PlannedProbe};

/// The difference that shows that both runs did not take the same way, as a phrase that can follow "because"; `None` if there is
/// none that can be seen.
pub fn run_difference(
    requested: &PlannedExperiment,
    watched: &Experiment,
    graph: &Graph,
    instances: &BTreeMap<String, Instances>,
) -> Option<String> {
    let returned = watched.outcome.returned.value().is_some();
    // Evidence of earlier versions does not say what the traced call returned, and proves nothing.
    if graph.unavailable.is_some() || graph.returned.is_none() && returned {
        return None;
    }
    result_difference(watched, graph).or_else(|| {
        requested.probes.iter().find_map(|planned| {
            let probe = watched.probes.get(&planned.name)?;
            let (hits, runs) = run_counts(planned, probe, watched, graph, instances)?;
            // What follows the call until the process has ended, and what its children do, is in no tree.
            let children = watched.quality.descendants.is_none_or(|one| one.started > 0);
            let same = match requested.until_exit || children {
                true => hits >= runs,
                false => hits == runs,
            };
            (!same).then(|| {
                format!(
                    "`{}` has {hits} {} in the run that the probes watched, and its function ran {runs} {} under the tracer: the \
                     call took another way there",
                    planned.name,
                    if hits == 1 { "hit" } else { "hits" },
                    if runs == 1 { "time" } else { "times" },
                )
            })
        })
    })
}

/// One run failed and the other did not, or for another reason. Descriptors and numbers of processes may differ.
fn result_difference(watched: &Experiment, graph: &Graph) -> Option<String> {
    let traced = i128::from(graph.returned?);
    // User space is told another error than these.
    if RESTARTED.contains(&traced) {
        return None;
    }
    // A result can be an address of the workload.
    let result = |number: i128| match error_name(number) {
        Some(name) => format!("failed with {name}"),
        None => "returned no error".into(),
    };
    let stated = watched.outcome.returned.value();
    let Some(seen) = stated.and_then(|value| match value {
        Value::Address { value, .. } => Some(i128::from(value.0 as i64)),
        value => value.as_integer(),
    }) else {
        return Some(format!(
            "the call {} under the tracer, and did not return in the run that the probes watched",
            result(traced)
        ));
    };
    (error_name(traced) != error_name(seen)).then(|| {
        format!(
            "the call {} under the tracer, and {} in the run that the probes watched: calls in `before` can undo what one run \
             leaves behind",
            result(traced),
            result(seen)
        )
    })
}

/// The error that a number returned by the kernel stands for.
fn error_name(returned: i128) -> Option<String> {
    let number = u32::try_from(-returned).ok()?;
    let is_error = (-MAX_ERRNO..0).contains(&returned);
    is_error.then(|| errno_name(number).map_or(format!("error {number}"), Into::into))
}

/// The reason why the tree does not say how often `function` ran in the run that the probes watched: none of them watched all of it.
/// A call can take another way the second time without returning anything else, as `open` does that finds the file which it made.
pub(crate) fn unwatched_run_reason(
    requested: &PlannedExperiment,
    watched: &Experiment,
    graph: &Graph,
    instances: &BTreeMap<String, Instances>,
    function: &str,
) -> Option<String> {
    let is_watched = requested.probes.iter().any(|planned| {
        let probe = watched.probes.get(&planned.name);
        let of_function = probe.filter(|probe| probe.target.function() == Some(function));
        let counts =
            of_function.and_then(|probe| run_counts(planned, probe, watched, graph, instances));
        counts.is_some_and(|(hits, runs)| hits == runs)
    });
    (!is_watched).then(|| {
        format!(
            "the tree is that of another run of the call, which may take another way, and no probe shows that `{function}` ran as \
             often in the run that the probes watched: name it in `graph-functions` of the experiment, or probe it"
        )
    })
}

/// How often a function ran in both runs, if a probe watched all of it: hits of the probe, and runs in the tree.
fn run_counts(
    planned: &PlannedProbe,
    probe: &Probe,
    watched: &Experiment,
    graph: &Graph,
    instances: &BTreeMap<String, Instances>,
) -> Option<(usize, usize)> {
    let is_whole = planned.position == Position::Entry
        && planned.within.is_none()
        && planned.frees.is_none()
        && !planned.any_task
        && probe.backend == Some(Backend::Kprobe)
        && probe.skipped == Some(0);
    let function = probe.target.function().filter(|_| is_whole)?;
    let copies = &instances.get(function)?.copies;
    let is_traceable = |name: &str| graph.traceable.iter().any(|one| one == name);
    let places = probe.places();
    // Of several copies the probe may have seen some.
    let all_watched = copies.len() == 1
        || !copies.is_empty() && copies.iter().all(|copy| places.contains(&copy.address));
    if !all_watched || !copies.iter().all(|copy| copy.names().any(is_traceable)) {
        return None;
    }
    // The tree has one name of an address, and another one may be that of which it is known that the tracer sees it.
    let names: BTreeSet<&str> = copies.iter().flat_map(|copy| copy.names()).collect();
    let quality = &watched.quality;
    let whole = quality.lost == 0 && quality.missed == 0 && quality.marked == Some(true);
    let in_task = |context: Option<Context>| context == Some(Context::Task);
    // For whom an interrupt works is not known.
    if !whole
        || names.iter().any(|name| graph.has_interrupt_run(name))
        || !probe.hits.iter().all(|hit| in_task(hit.context))
    {
        return None;
    }
    let runs = match watched.quality.until_user_space? {
        true => names.iter().map(|name| graph.count(name)).sum(),
        false => names.iter().map(|name| graph.count_before_exit(name)).sum(),
    };
    // The tree is that of the thread that made the call: a process's first.
    let of_caller = |hit: &&crate::document::Hit| hit.task.tid == hit.task.pid;
    Some((probe.hits.iter().filter(of_caller).count(), runs))
}

#[cfg(test)]
mod tests {
    use crate::document::instances::OwnCopy;
    use crate::document::value::Address;
    use crate::document::{Descendants, Evidence};
    use crate::investigation::Investigation;
    use crate::testing::{evidence, investigation};

    use super::*;

    /// A tree of `create` in which `twice` and `fd_install` ran as often as their probes saw them, the latter on the way back.
    fn traced() -> (Investigation, Evidence) {
        let mut evidence = evidence();
        let create = evidence.experiments.get_mut("create").unwrap();
        create.graph = Some(Graph {
            functions: ["twice", "fd_install"].map(String::from).to_vec(),
            calls: ["0 0 9", "0 0 9", "0 1 5"].map(String::from).to_vec(),
            runs: 3,
            before_exit: 2,
            returned: Some(5),
            traceable: ["twice", "fd_install"].map(String::from).to_vec(),
            ..Graph::default()
        });
        for (at, name) in ["twice", "fd_install"].into_iter().enumerate() {
            let mut instances = evidence.instances["fd_install"].clone();
            instances.copies = vec![OwnCopy {
                symbol: name.into(),
                address: Address(0xffff_ffff_8110_0000 + at as u64 * 0x100),
                file: None,
                aliases: Vec::new(),
            }];
            evidence.instances.insert(name.into(), instances);
        }
        (investigation(), evidence)
    }

    /// The difference after a change.
    fn after(change: impl FnOnce(&mut PlannedExperiment, &mut Experiment)) -> Option<String> {
        let (mut investigation, mut evidence) = traced();
        let create = evidence.experiments.get_mut("create").unwrap();
        let mut experiments = investigation.experiments.iter_mut();
        let planned = experiments.find(|one| one.name == "create").unwrap();
        change(planned, create);
        let graph = create.graph.clone().unwrap();
        run_difference(planned, create, &graph, &evidence.instances)
    }

    fn graph(experiment: &mut Experiment) -> &mut Graph {
        experiment.graph.as_mut().unwrap()
    }

    fn probe<'p>(planned: &'p mut PlannedExperiment, name: &str) -> &'p mut PlannedProbe {
        let mut probes = planned.probes.iter_mut();
        probes.find(|probe| probe.name == name).unwrap()
    }

    /// Check that runs with like results and counts are not told apart, whatever descriptor they returned.
    #[test]
    fn like_runs() {
        assert_eq!(after(|_, _| {}), None);
        assert_eq!(after(|_, seen| graph(seen).returned = Some(700)), None);
        assert_eq!(after(|_, seen| graph(seen).returned = None), None);
        let none = |_: &mut _, seen: &mut Experiment| {
            seen.outcome.returned = crate::value::Datum::unavailable("it did not return");
            graph(seen).returned = None;
        };
        assert_eq!(after(none), None);
    }

    /// Check that runs with other results are told apart: an error against none, another error, and no result.
    #[test]
    fn other_results() {
        let failed = after(|_, seen| graph(seen).returned = Some(-17)).unwrap();
        assert!(failed.contains("failed with EEXIST under the tracer, and returned no error in"));
        let other = after(|_, seen| {
            seen.outcome.returned = crate::Value::Errno {
                value: -24,
                name: "EMFILE".into(),
            }
            .into();
            graph(seen).returned = Some(-23);
        });
        assert!(
            other
                .unwrap()
                .contains("failed with ENFILE under the tracer, and failed with EMFILE in")
        );
        let ended = after(|_, seen| {
            seen.outcome.returned = crate::value::Datum::unavailable("a signal ended it");
        });
        assert!(
            ended
                .unwrap()
                .contains("did not return in the run that the probes watched")
        );
        // An address is no error, and the last page of addresses is errors.
        let address = |returned: u64| {
            after(|_, seen| {
                seen.outcome.returned = crate::Value::address(returned).into();
                graph(seen).returned = Some(0x7f00_0000_0000);
            })
        };
        assert_eq!(address(0x7f12_3456_0000), None);
        assert!(address(-12_i64 as u64).unwrap().contains("ENOMEM"));
    }

    /// Check that another number of runs is a difference where the probe saw all of its function, and else is none.
    #[test]
    fn other_counts() {
        let fewer = |_: &mut PlannedExperiment, seen: &mut Experiment| {
            let graph = graph(seen);
            graph.calls.remove(0);
            (graph.runs, graph.before_exit) = (2, 1);
        };
        let reason = after(fewer).unwrap();
        assert!(reason.contains(
            "`twice` has 2 hits in the run that the probes watched, and its function ran 1 time"
        ));
        type Change = fn(&mut PlannedExperiment, &mut Experiment);
        let changes: [(Change, bool); 11] = [
            (
                |planned, _| probe(planned, "twice").within = Some("outer".into()),
                false,
            ),
            (|planned, _| probe(planned, "twice").any_task = true, false),
            (
                |planned, _| probe(planned, "twice").position = Position::Offset(4),
                false,
            ),
            (
                |_, seen| seen.probes.get_mut("twice").unwrap().skipped = Some(1),
                false,
            ),
            (
                |_, seen| {
                    seen.probes.get_mut("twice").unwrap().hits[0].context = Some(Context::Softirq)
                },
                false,
            ),
            (|_, seen| graph(seen).traceable.clear(), false),
            (|_, seen| seen.quality.until_user_space = None, false),
            // More runs than hits cannot be by what comes after the call.
            (|planned, _| planned.until_exit = true, false),
            (
                |_, seen| {
                    seen.quality.descendants = Some(Descendants {
                        started: 1,
                        followed: 1,
                        running: 0,
                    })
                },
                false,
            ),
            (
                |_, seen| seen.probes.get_mut("twice").unwrap().hits.clear(),
                true,
            ),
            (
                |planned, seen| {
                    planned.until_exit = true;
                    seen.probes.get_mut("twice").unwrap().hits.clear();
                },
                true,
            ),
        ];
        for (at, (change, differs)) in changes.into_iter().enumerate() {
            let found = after(|planned, seen| {
                fewer(planned, seen);
                change(planned, seen);
            });
            assert_eq!(found.is_some(), differs, "{at}: {found:?}");
        }
    }

    /// Check that a watch that ended at `sys_exit` is compared with what ran before it.
    #[test]
    fn way_back() {
        let until_exit = |_: &mut PlannedExperiment, seen: &mut Experiment| {
            seen.quality.until_user_space = Some(false);
        };
        assert!(
            after(until_exit)
                .unwrap()
                .contains("`fd_install` has 1 hit in")
        );
    }
}
