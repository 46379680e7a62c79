//! The order of a session, on a recorded machine.

mod recorded;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use qed_evidence::document::Target;
use qed_evidence::investigation::{Investigation, parse};

use super::build_facts::RawBuildFacts;
use super::capture::{CaptureOptions, SessionRequest, SessionResult, run};
use super::raw::MachineFacts;
use crate::arch::Arch;
use crate::kaslr::KaslrSourceError;
use crate::plan::{
    CallMarkers, EventSource, Markers, Plan, PlannedExperiment, PlannedInstruction, PlannedProbe,
    RefusedReads,
};
use crate::probe::{AttachTarget, AttachmentUse, Losses, Setup};
use crate::reason::Reason;
use crate::workload::WorkloadKind;
use qed_collector_ebpf::ProbeSpec;
use recorded::{Log, Noting, RecordedMachine, Script};

/// The kernel function of an attachment begins here.
const FUNCTION: u64 = 0xffff_ffff_8100_0000;

/// An experiment with its attachments.
struct Wanted<'a> {
    /// More keys of the investigation.
    keys: &'a str,
    attachments: &'a [usize],
}

fn investigation(wanted: &[Wanted<'_>]) -> Investigation {
    let mut text = String::new();
    for (number, one) in wanted.iter().enumerate() {
        let keys = one.keys;
        let workload = match keys.contains("workload") {
            true => "",
            false => "workload = { syscall = \"getpid\" }\n",
        };
        let probe = match keys.contains("[[experiment.probe]]") {
            true => "",
            false => "[[experiment.probe]]\nfunction = \"f\"\n",
        };
        text += &format!("[[experiment]]\nname = \"e{number}\"\n{workload}{keys}\n{probe}");
    }
    parse("i.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

fn probe(attachment: usize, acts: bool, bytes: Option<&[u8]>) -> PlannedProbe {
    PlannedProbe {
        name: format!("p{attachment}"),
        target: Target::Function("f".into()),
        offset: 0,
        instruction: bytes.map(|bytes| PlannedInstruction {
            bytes: bytes.to_vec(),
            text: "nop".into(),
        }),
        optional: false,
        source: Ok(EventSource {
            attach: attachment,
            usage: attachment,
            address: FUNCTION,
        }),
        others: Vec::new(),
        file: None,
        parameters: Vec::new(),
        returns: None,
        entry: Vec::new(),
        exit: Vec::new(),
        refused: RefusedReads::default(),
        within: None,
        acts,
        allocates: false,
        frees: false,
        stack: false,
    }
}

/// A plan in which attachment 0 is a tracepoint, 1 an LSM hook, and each other number a function of its own.
fn plan(investigation: &Investigation, wanted: &[Wanted<'_>], probes: &[PlannedProbe]) -> Plan {
    let last = wanted.iter().flat_map(|one| one.attachments).max();
    let attaches = (0..=last.copied().unwrap_or(0)).map(|index| match index {
        0 => AttachTarget::Tracepoint {
            name: "sys_exit".into(),
            arguments: 2,
            copies: 1,
            nth: 0,
        },
        1 => AttachTarget::Lsm {
            hook: "socket_create".into(),
            function: None,
        },
        _ => AttachTarget::Kprobe {
            function: format!("f{index}"),
            address: FUNCTION + index as u64 * 0x100,
            offset: 0,
            entry: true,
            return_probe: false,
        },
    });
    let uses = wanted.iter().enumerate().flat_map(|(number, one)| {
        one.attachments.iter().map(move |&attach| AttachmentUse {
            experiment: number as u32,
            attach,
            spec: ProbeSpec::zero(),
        })
    });
    let experiments = investigation.experiments.iter();
    let planned = experiments.map(|experiment| PlannedExperiment {
        name: experiment.name.clone(),
        isolated: experiment.isolated,
        refused: None,
        few: Vec::new(),
        probes: probes.to_vec(),
    });
    Plan {
        setup: Setup {
            attaches: attaches.collect(),
            uses: uses.collect(),
            ..Setup::default()
        },
        experiments: planned.collect(),
        markers: vec![None; wanted.len()],
        workloads: vec![Ok(WorkloadKind::Command(vec!["true".into()])); wanted.len()],
    }
}

fn facts(log: &Log) -> MachineFacts {
    log.borrow_mut().push("read facts".into());
    fn unknown<T>() -> Result<T, Reason> {
        Err("not recorded".into())
    }
    MachineFacts {
        arch: Arch::X86_64,
        boot_id: String::new(),
        cpu_model: String::new(),
        cpus: 1,
        max_stack: None,
        release: "6.1.0".into(),
        version: String::new(),
        build_id: unknown(),
        btf: Vec::new(),
        build: RawBuildFacts::default(),
        lockdown: unknown(),
        lsm: unknown(),
        command_line: String::new(),
        config: unknown(),
        config_file: String::new(),
        kallsyms: Err(KaslrSourceError::Unavailable("not recorded".into())),
        vmcoreinfo: Err(KaslrSourceError::Unavailable("not recorded".into())),
        physical_text: unknown(),
        physical_line: unknown(),
    }
}

/// Run a session, and return everything that it saw and the order of what it did.
fn session_with(
    wanted: &[Wanted<'_>],
    probes: &[PlannedProbe],
    script: Script,
    ephemeral: bool,
) -> (SessionResult, Vec<String>) {
    let investigation = investigation(wanted);
    let mut machine = RecordedMachine::new(script);
    let log = Log::clone(&machine.log);
    let observer = Noting(Log::clone(&log));
    let mut plan = plan(&investigation, wanted, probes);
    // Attachment 0, a tracepoint, marks the workload's call; its use is the first of each experiment.
    let mut first = 0;
    for (markers, one) in plan.markers.iter_mut().zip(wanted) {
        *markers = one.attachments.contains(&0).then(|| Markers {
            calls: vec![CallMarkers {
                enter: first,
                exit: first,
            }],
            next_call: None,
        });
        first += one.attachments.len();
    }
    let request = SessionRequest {
        plan,
        investigation: &investigation,
        options: CaptureOptions {
            folder: None,
            ephemeral,
            observer: Some(&observer),
        },
        progress: &|_| {},
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let session = run(&mut machine, &request, || facts(&log));
    let seen = runtime.unwrap().block_on(session).unwrap();
    let log = log.borrow().clone();
    (seen, log)
}

fn session(wanted: &[Wanted<'_>], script: Script) -> (SessionResult, Vec<String>) {
    session_with(wanted, &[], script, true)
}

/// The place of a line in the log.
fn at(log: &[String], line: &str) -> usize {
    let found = log.iter().position(|one| one == line);
    found.unwrap_or_else(|| panic!("no `{line}` in {log:#?}"))
}

fn shared(keys: &'static str) -> Wanted<'static> {
    Wanted {
        keys,
        attachments: &[0, 2],
    }
}

/// Check the whole order of the simplest session: the process waits at its gate before the programs look at it, they
/// look before it goes, and they stop before its objects are given up.
#[test]
fn one_experiment() {
    let (seen, log) = session(&[shared("")], Script::default());
    assert_eq!(
        log,
        [
            "load",
            "watch life, commands false",
            "attach 0",
            "attach 2",
            "list",
            "find counters of {0, 2}",
            "read facts",
            "forget",
            "drain",
            "start",
            "watch 100 for experiment 0",
            "observe e0 of 100",
            "low priority true",
            "go",
            "observed e0",
            "stop",
            "report",
            "release",
            "low priority false",
            "stop",
            "drain",
            "leave attached",
        ]
    );
    assert_eq!(seen.experiments[0].outcome.as_ref().unwrap().pid, 100);
}

/// Check that a machine that lives on loses its privileges when everything is attached and read, and before any
/// workload of a shared experiment runs, and that nothing is left attached there.
#[test]
fn privileges() {
    let (_, log) = session_with(&[shared("")], &[], Script::default(), false);
    let dropped = at(&log, "drop privileges");
    assert!(at(&log, "attach 2") < dropped && at(&log, "read facts") < dropped);
    assert!(dropped < at(&log, "start"));
    assert!(!log.contains(&"leave attached".to_owned()));
    assert!(!log.iter().any(|line| line.starts_with("low priority")));
}

/// Check that isolated experiments run first, each with nothing attached that is another one's, except for tracepoints
/// and what the next one wants as well.
#[test]
fn isolated_first() {
    let isolated = |attachments: &'static [usize]| Wanted {
        keys: "isolated = true",
        attachments,
    };
    let wanted = [shared(""), isolated(&[0, 3, 4]), isolated(&[0, 4, 5])];
    let (_, log) = session(&wanted, Script::default());
    assert!(at(&log, "find counters of {0, 3, 4}") < at(&log, "watch 100 for experiment 1"));
    assert!(at(&log, "watch 100 for experiment 1") < at(&log, "detach [3]"));
    assert!(at(&log, "detach [3]") < at(&log, "find counters of {0, 4, 5}"));
    assert!(at(&log, "find counters of {0, 4, 5}") < at(&log, "watch 101 for experiment 2"));
    assert!(at(&log, "watch 101 for experiment 2") < at(&log, "detach [4, 5]"));
    assert!(at(&log, "detach [4, 5]") < at(&log, "find counters of {0, 2}"));
    assert!(at(&log, "find counters of {0, 2}") < at(&log, "watch 102 for experiment 0"));
}

/// Check that calls are traced while nothing is attached: before everything on a machine that lives on, and where it is switched off
/// afterwards behind everything, so that the tracer need not be set back.
#[test]
fn traced() {
    let wanted = [shared("graph = true"), shared("")];
    let (_, log) = session_with(&wanted, &[], Script::default(), false);
    assert!(at(&log, "trace 1, last false") < at(&log, "load"));
    let (seen, log) = session(&wanted, Script::default());
    let traced = at(&log, "trace 1, last true");
    assert!(at(&log, "watch 101 for experiment 1") < at(&log, "detach [0, 2]"));
    assert!(at(&log, "detach [0, 2]") < traced);
    assert_eq!(traced + 1, log.len(), "{log:#?}");
    assert!(seen.graphs.traces[0].is_some() && seen.graphs.traces[1].is_none());
}

/// Check that hooks are attached before functions and tracepoints, each once although two experiments want it.
#[test]
fn hooks_first() {
    let both = Wanted {
        keys: "",
        attachments: &[0, 1, 2],
    };
    let (_, log) = session(&[shared(""), both], Script::default());
    let attached: Vec<&String> = log.iter().filter(|l| l.starts_with("attach")).collect();
    assert_eq!(attached, ["attach 1", "attach 0", "attach 2"]);
}

/// Check that a refused probe leaves the experiment to run, and that one that has to act keeps it from running.
#[test]
fn refused() {
    for (acts, outcome) in [(false, Ok(())), (true, Err(()))] {
        let script = Script {
            refused: BTreeMap::from([(2, "the kernel says no".to_owned())]),
            ..Script::default()
        };
        let (seen, log) = session_with(&[shared("")], &[probe(2, acts, None)], script, true);
        let got = &seen.experiments[0].outcome;
        assert_eq!(got.as_ref().map(|_| ()).map_err(|_| ()), outcome);
        assert_eq!(log.contains(&"start".to_owned()), !acts);
        let declined = seen.refusals[2].as_ref().unwrap();
        assert_eq!(declined.reason, "the kernel says no");
        if let Err(reason) = got {
            assert!(reason.contains("`p2`") && reason.contains("the kernel says no"));
        }
    }
}

/// Check that an experiment whose call nothing marks says that it may have counted what was not of the call, and that others do
/// not.
#[test]
fn unmarked() {
    for refused in [true, false] {
        let mut script = Script::default();
        if refused {
            script.refused.insert(0, "no such tracepoint".to_owned());
        }
        let (seen, _) = session(&[shared("")], script);
        let notes = seen.experiments[0].notes.concat();
        let told = notes.contains("events outside of the call may be counted")
            && notes.contains("no such tracepoint");
        assert_eq!((told, notes.is_empty()), (refused, !refused), "{notes}");
    }
}

/// Check that an experiment says that probes of functions were switched off while it ran.
#[test]
fn switched_off() {
    for unarmed in [false, true] {
        let script = Script {
            unarmed,
            ..Script::default()
        };
        let (seen, _) = session(&[shared("")], script);
        assert_eq!(seen.experiments[0].unarmed.is_some(), unarmed);
    }
}

fn lost(ring_full: u64) -> Losses {
    Losses {
        ring_full,
        skipped: vec![Some(0); 3],
        ..Losses::default()
    }
}

/// Check that an experiment that lost events, or whose hits the kernel skipped, is not run again on the same machine, where it would
/// find what its first run left, and that its losses are those of its own run.
#[test]
fn runs_once() {
    let skipped = |count| Losses {
        skipped: vec![None, None, Some(count)],
        ..Losses::default()
    };
    for losses in [[lost(2), lost(3)], [skipped(0), skipped(1)]] {
        let script = Script {
            losses: VecDeque::from(losses.to_vec()).into(),
            ..Script::default()
        };
        let (seen, log) = session(&[shared("")], script);
        assert_eq!(log.iter().filter(|line| *line == "start").count(), 1);
        assert_eq!(seen.experiments[0].losses, losses[1].since(&losses[0]));
        assert_eq!(seen.experiments[0].earlier_runs, 0);
    }
}

/// Check that the runs of a workload that the tracer made before are told, on a machine that lives on, and only those that were made.
#[test]
fn earlier_runs() {
    let wanted = [shared(""), shared("graph = true")];
    for (runs, ephemeral, told) in [(2, false, 2), (2, true, 0), (0, false, 0)] {
        let script = Script {
            traced_runs: runs,
            ..Script::default()
        };
        let (seen, _) = session_with(&wanted, &[], script, ephemeral);
        let earlier: Vec<u32> = seen
            .experiments
            .iter()
            .map(|one| one.earlier_runs)
            .collect();
        assert_eq!(earlier, [0, told], "{runs} {ephemeral}");
    }
}

/// Check that a workload that cannot be started is an answer with its reason, that the programs stop all the same, and
/// that the next experiment runs.
#[test]
fn workload_fails() {
    let script = Script {
        not_started: BTreeSet::from([0]),
        ..Script::default()
    };
    let (seen, log) = session(&[shared(""), shared("")], script);
    let reason = seen.experiments[0].outcome.as_ref().unwrap_err();
    assert_eq!(&**reason, "not run: no such program");
    assert!(seen.experiments[0].descendants.is_none());
    assert!(at(&log, "stop") < at(&log, "watch 101 for experiment 1"));
    assert!(seen.experiments[1].outcome.is_ok());
}

const FREES: &str = "grace-ms = 5\n[[experiment.probe]]\nfunction = \"f\"\nfrees = \"ptr\"\n";

/// Check that frees are waited for while the objects of the call are open, as long as something is left and the grace
/// lasts, and that the time is told.
#[test]
fn frees() {
    for (live, sleeps) in [(vec![1, 1, 0], 2), (vec![1; 100], 5)] {
        let script = Script {
            live_objects: VecDeque::from(live).into(),
            ..Script::default()
        };
        let (seen, log) = session(&[shared(FREES)], script);
        let slept = log.iter().filter(|line| *line == "sleep 1 ms").count();
        assert_eq!(slept, sleeps);
        assert_eq!(seen.experiments[0].waited_ns, sleeps as u64 * 1_000_000);
        assert!(at(&log, "sleep 1 ms") < at(&log, "report"));
    }
}

/// Check that descendants are waited for before a command's process group is let go of, which ends them, and after a
/// system call's process, and that those that are left at the end are counted.
#[test]
fn descendants() {
    let command = "follow = true\nuntil = \"exit\"\nworkload = { command = [\"true\"] }";
    let call = "follow = true\nuntil = \"exit\"";
    for (keys, before) in [(command, true), (call, false)] {
        let script = Script {
            running: VecDeque::from([2, 1, 0, 1]).into(),
            ended: BTreeSet::from([0]),
            ..Script::default()
        };
        let (seen, log) = session(&[shared(keys)], script);
        assert_eq!(
            at(&log, "sleep 1 ms") < at(&log, "release"),
            before,
            "{keys}"
        );
        assert_eq!(seen.experiments[0].descendants.unwrap().running, 1);
    }
}

/// Check that threads count that a call started and that still run when it has returned, and not those that ran before; and that none
/// is left of a process that has ended.
#[test]
fn threads_left_running() {
    for (keys, left) in [("", 2), ("until = \"exit\"", 0)] {
        let script = Script {
            threads: VecDeque::from([BTreeSet::from([100, 101]), BTreeSet::from([100, 102, 103])])
                .into(),
            ..Script::default()
        };
        let (seen, _) = session(&[shared(keys)], script);
        assert_eq!(seen.experiments[0].threads_running, Some(left), "{keys}");
    }
}

/// Check that a command's process is awaited until it has become the command, and not watched before.
#[test]
fn command() {
    let keys = "until = \"exit\"\nworkload = { command = [\"true\"] }";
    let (_, log) = session(&[shared(keys)], Script::default());
    assert!(at(&log, "watch life, commands true") < at(&log, "await 100 for experiment 0"));
    assert!(!log.iter().any(|line| line.starts_with("watch 100")));
}

/// Check that the probed call is timed with events thrown away, and what that leaves behind forgotten; and the bare one behind all
/// experiments, because a call may change what the next one finds, with nothing attached.
#[test]
fn cost() {
    let (seen, log) = session(&[shared("cost = true"), shared("")], Script::default());
    let discarding = at(&log, "watch 101, discarding");
    assert!(at(&log, "watch 100 for experiment 0") < discarding);
    assert_eq!(
        log[discarding..discarding + 6],
        [
            "watch 101, discarding",
            "time 51 calls",
            "release",
            "stop",
            "forget",
            "drain"
        ]
    );
    let detached = at(&log, "detach [0, 2]");
    assert!(at(&log, "watch 102 for experiment 1") < detached);
    assert_eq!(log[detached + 1..], ["start", "time 51 calls", "release"]);
    assert_eq!(seen.experiments[0].cost, Some((103, 101, 51)));
    assert_eq!(seen.experiments[1].cost, None);
}

fn listed_as_jump() -> String {
    format!("{:016x}  k  f2+0x0    [OPTIMIZED]\n", FUNCTION + 0x200)
}

/// Check that an experiment waits for the breakpoint of a probe that the kernel marks to be replaced, for as long as it
/// says, and does not run as another one if it is not.
#[test]
fn settles() {
    let (int3, jump) = (vec![0xcc], vec![0xe9]);
    let soon = VecDeque::from([int3.clone(), int3.clone(), jump]);
    let never = VecDeque::from([int3]);
    for (bytes, runs) in [(soon, true), (never, false)] {
        let script = Script {
            list: listed_as_jump(),
            memory: BTreeMap::from([(FUNCTION + 0x200, bytes)]).into(),
            ..Script::default()
        };
        let (seen, log) = session(&[shared("settle-ms = 20")], script);
        assert_eq!(log.contains(&"start".to_owned()), runs, "{log:?}");
        match &seen.experiments[0].outcome {
            Ok(_) => assert!(at(&log, "sleep 5 ms") < at(&log, "start")),
            Err(reason) => assert!(reason.contains("had not replaced"), "{reason}"),
        }
    }
}

/// Check that the experiment after an isolated one waits until the kernel has put back the code under its probe, and
/// does not run if that is not done in time.
#[test]
fn restores() {
    let original = [0x0f, 0x1f];
    let isolated = |attachments: &'static [usize]| Wanted {
        keys: "isolated = true",
        attachments,
    };
    let jump = vec![0xe9, 0x00];
    let soon = VecDeque::from([jump.clone(), original.to_vec()]);
    for (bytes, runs) in [(soon, 2), (VecDeque::from([jump]), 1)] {
        let script = Script {
            memory: BTreeMap::from([(FUNCTION + 0x200, bytes)]).into(),
            ..Script::default()
        };
        let probes = [probe(2, false, Some(&original))];
        let wanted = [isolated(&[2]), isolated(&[3])];
        let (seen, log) = session_with(&wanted, &probes, script, true);
        assert_eq!(log.iter().filter(|line| *line == "start").count(), runs);
        assert!(at(&log, "detach [2]") < at(&log, "sleep 2 ms"));
        if let Err(reason) = &seen.experiments[1].outcome {
            assert!(reason.contains("had not taken away"), "{reason}");
        }
    }
}
