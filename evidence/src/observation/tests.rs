use crate::claim::Verdict;
use crate::document::value::{Datum, Integer, Value};
use crate::document::{Context, Descendants, Evidence, Quality};
use crate::testing::{evidence, judge_on};

fn create(evidence: &mut Evidence) -> &mut crate::document::Experiment {
    evidence.experiments.get_mut("create").unwrap()
}

/// The verdict on a claim after `change`, which passes without it, and the reason.
fn after(claim: &str, change: impl Fn(&mut Evidence)) -> (Verdict, String) {
    let mut evidence = evidence();
    assert_eq!(judge_on(claim, &evidence).verdict, Verdict::Pass, "{claim}");
    change(&mut evidence);
    let judgement = judge_on(claim, &evidence);
    (judgement.verdict, judgement.reason.unwrap_or_default())
}

/// A count of hits, and silence beside it.
const CLAIMS: [&str; 2] = [
    "fired(create.sock_alloc) == 1",
    "create.sock_alloc.hits == 1",
];

fn quality(evidence: &mut Evidence) -> &mut Quality {
    &mut create(evidence).quality
}

fn unverified(claim: &str, change: impl Fn(&mut Evidence), reason: &str) {
    let (verdict, message) = after(claim, change);
    assert_eq!(verdict, Verdict::Unverified, "{claim}: {message}");
    assert!(message.contains(reason), "{claim}: {message}");
}

/// Check that counts prove nothing where a process that the workload started was not watched, where it is not known
/// whether there was one, and where one still ran; and that followed ones are not a reason.
#[test]
fn descendants() {
    let with = |started, followed, running| {
        move |evidence: &mut Evidence| {
            quality(evidence).descendants = Some(Descendants {
                started,
                followed,
                running,
            });
        }
    };
    for claim in CLAIMS {
        unverified(claim, with(2, 0, 0), "2 of the processes");
        unverified(claim, with(2, 1, 0), "1 of the processes");
        unverified(claim, with(2, 2, 1), "still ran");
        unverified(
            claim,
            |e| quality(e).descendants = None,
            "not known whether the workload started",
        );
        assert_eq!(after(claim, with(2, 2, 0)).0, Verdict::Pass);
    }
}

/// Check that exact counts, silence and a ledger prove nothing where the watch ended before the task was back in user
/// space, or where that is not known, and that a hit which was seen does.
#[test]
fn way_back() {
    for (until, reason) in [
        (None, "does not say whether the kernel was watched"),
        (Some(false), "the watch ended at `sys_exit`"),
    ] {
        let change = |e: &mut Evidence| quality(e).until_user_space = until;
        let more = [
            "create.objects.leaked == 0",
            "freed(create)",
            "create.quality.events == 9",
        ];
        for claim in CLAIMS.iter().chain(&more) {
            unverified(claim, change, reason);
        }
        for claim in [
            "fired(create.sock_alloc) > 0",
            "create.sock_alloc.hits >= 1",
            "before(create.sock_alloc, create.fd_install)",
        ] {
            assert_eq!(after(claim, change).0, Verdict::Pass, "{claim}");
        }
        // More than were seen would be more than is known.
        for claim in [
            "fired(create.sock_alloc) < 2",
            "!(fired(create.sock_alloc) > 1)",
            "create.sock_alloc.hits + 0 == 1",
            "fired(create.sock_alloc) > 0 && fired(create.sock_alloc) <= 1",
        ] {
            unverified(claim, change, reason);
        }
    }
}

/// Check that exact counts, silence and a ledger prove nothing where threads that the call started went on unseen, or where that is not
/// known, and that a hit which was seen does.
#[test]
fn threads() {
    for (running, reason) in [
        (None, "whether threads that the call started"),
        (Some(1), "1 thread that the call started still ran"),
        (Some(2), "2 threads that the call started still ran"),
    ] {
        let change = |e: &mut Evidence| quality(e).threads_running = running;
        let more = [
            "create.objects.leaked == 0",
            "freed(create)",
            "create.quality.events == 9",
        ];
        for claim in CLAIMS.iter().chain(&more) {
            unverified(claim, change, reason);
        }
        let seen = after("fired(create.sock_alloc) > 0", change).0;
        assert_eq!(seen, Verdict::Pass);
    }
}

/// Check that counts and orders prove nothing where it was not seen which events are of the call.
#[test]
fn markers() {
    let order = "before(create.sock_alloc, create.fd_install)";
    for marked in [None, Some(false)] {
        for claim in CLAIMS.iter().chain(&[order]) {
            unverified(claim, |e| quality(e).marked = marked, "outside of");
        }
    }
}

/// Check that the number of events of an experiment proves nothing where some may be of others, or some were not watched.
#[test]
fn events() {
    let claim = "create.quality.events < 100000";
    let (verdict, reason) = after(claim, |_| ());
    assert_eq!(verdict, Verdict::Pass, "{reason}");
    unverified(claim, |e| quality(e).marked = None, "outside of");
    unverified(claim, |e| quality(e).descendants = None, "other processes");
    unverified(
        claim,
        |e| quality(e).descendants.as_mut().unwrap().started += 1,
        "not all processes",
    );
    unverified(
        claim,
        |e| {
            let probe = create(e).probes.get_mut("sock_alloc").unwrap();
            probe.hits[0].context = Some(crate::document::Context::Softirq);
        },
        "an interrupt",
    );
}

/// Check that the count of a probe of which the kernel skipped hits proves nothing, nor that nothing was lost; and that
/// other probes count on.
#[test]
fn skipped_hits() {
    let skipped = |count| {
        move |evidence: &mut Evidence| {
            create(evidence)
                .probes
                .get_mut("sock_alloc")
                .unwrap()
                .skipped = count;
        }
    };
    for claim in CLAIMS.iter().chain(&["create.quality.lost == 0"]) {
        unverified(claim, skipped(Some(1)), "skipped 1 hit of `sock_alloc`");
        unverified(
            claim,
            skipped(None),
            "not known how many hits of `sock_alloc`",
        );
    }
    assert_eq!(
        after("fired(create.fd_install) == 1", skipped(Some(1))).0,
        Verdict::Pass
    );
}

/// Check that a run that the collector or a signal ended proves nothing by what it did not do.
#[test]
fn shorter_runs() {
    let killed = |evidence: &mut Evidence, signal: Datum| {
        let outcome = &mut create(evidence).outcome;
        outcome.exit = Datum::unavailable("it did not end in time");
        outcome.signal = signal;
    };
    for claim in CLAIMS {
        unverified(
            claim,
            |e| killed(e, Datum::unavailable("no signal ended it")),
            "it did not end in time",
        );
        let signal = || Value::Enum {
            value: Integer::from(11_i64),
            type_name: "signal".into(),
            name: Some("SIGSEGV".into()),
        };
        unverified(claim, |e| killed(e, signal().into()), "SIGSEGV");
    }
}

/// Check that a hit of an interrupt on top of the task is not counted as the task's, nor one of unknown context, unless it
/// is of a system call, which only a task makes.
#[test]
fn interrupts() {
    let context = |probe: &'static str, context| {
        move |evidence: &mut Evidence| {
            create(evidence).probes.get_mut(probe).unwrap().hits[0].context = context;
        }
    };
    for claim in CLAIMS {
        let softirq = Some(Context::Softirq);
        unverified(claim, context("sock_alloc", softirq), "interrupt");
        unverified(claim, context("sock_alloc", None), "interrupt");
    }
    let allocated = "fired(create.allocation) == 1";
    unverified(allocated, context("allocation", None), "interrupt");
    let gate = "fired(create.gate) == 1";
    assert_eq!(after(gate, context("gate", None)).0, Verdict::Pass);
    unverified(gate, context("gate", Some(Context::Hardirq)), "interrupt");
}

/// Check that a call is not seen across the place where an interrupt or a fault came in, and nowhere if that is not known.
#[test]
fn calls_end_at_interrupts() {
    let claim = "calls(create.sock_alloc.stack, '__sys_socket', '__sock_create')";
    let frame = |function: &str, interrupts| crate::document::value::Frame {
        address: crate::document::value::Address(0xffff_ffff_92a0_001f),
        symbol: Some("__sock_create".into()),
        offset: Some(31),
        site: Some(crate::document::value::Location {
            file: "net/socket.c".into(),
            line: 1,
            function: function.into(),
            role: crate::document::value::LineRole::Call,
            inlined_into: Vec::new(),
        }),
        interrupts,
    };
    let judged = |interrupts, context| {
        let mut evidence = evidence();
        let probes = &mut create(&mut evidence).probes;
        let hit = &mut probes.get_mut("sock_alloc").unwrap().hits[0];
        hit.context = context;
        let value = vec![
            frame("__sock_create", false),
            frame("entry", interrupts),
            frame("__sys_socket", false),
        ];
        hit.stack = Some(Value::Stack { value }.into());
        judge_on(claim, &evidence).verdict
    };
    assert_eq!(judged(false, Some(Context::Task)), Verdict::Pass);
    assert_eq!(judged(true, Some(Context::Hardirq)), Verdict::Fail);
    assert_eq!(judged(false, None), Verdict::Unverified);
}

/// Check that an excuse whose function a machine lacks is told of that machine alone, not at all if another one has the function, and
/// of all of them if none has it.
#[test]
fn excuses_of_several_machines() {
    use super::{format_one_line, notes, notes_beside};
    use crate::investigation::LeakExemption;
    let mut investigation = crate::testing::investigation();
    let create_of = |one: &crate::investigation::Experiment| one.name == "create";
    let number = investigation.experiments.iter().position(create_of);
    let excuse = LeakExemption {
        within: "new_inode".into(),
        reason: "of newer kernels".into(),
        span: 0..1,
    };
    investigation.experiments[number.unwrap()].excuses = vec![excuse.clone()];
    let with = evidence();
    let mut without = evidence();
    let doubt = excuse.doubt_text("this kernel has no function `new_inode`");
    quality(&mut without).notes.push(doubt.clone());
    let told = |found: Vec<crate::diagnostic::Diagnostic>| -> Vec<String> {
        let lines = found.iter().map(format_one_line);
        lines.filter(|line| line.contains("excuse")).collect()
    };
    let beside = |others: &[&Evidence]| told(notes_beside(&investigation, &without, others));
    let alone = beside(&[]);
    assert_eq!(alone.len(), 1, "{alone:?}");
    assert!(alone[0].starts_with(&format!("{doubt} (")), "{alone:?}");
    assert!(alone[0].ends_with("unless another kernel of the book has it, look at the spelling"));
    assert_eq!(beside(&[&with]), [""; 0]);
    assert_eq!(beside(&[&without, &with]), [""; 0]);
    let all = beside(&[&without]);
    assert!(
        all[0].starts_with(&format!("{doubt} (and so on each of the 2 machines) (")),
        "{all:?}"
    );
    assert!(
        all[0].ends_with("as a leak: look at the spelling"),
        "{all:?}"
    );
    assert_eq!(told(notes(&investigation, &[&without, &with])), [""; 0]);
    assert_eq!(told(notes(&investigation, &[&without, &without])), all);
}

/// Check that builds and `check`, which know evidence alone, tell what a kernel refused in a call at its own place.
#[test]
fn place_of_a_refused_argument() {
    let mut investigation = crate::testing::investigation();
    let text = "[[experiment]]\nname = \"create\"\nworkload = { syscall = \"connect\", args = [3, { struct = \"sockaddr_in\", sin_prt = 9 }] }\n\
                [[experiment.probe]]\nfunction = \"f\"\n";
    let parsed = crate::investigation::parse("i.toml", text).unwrap();
    let mut evidence = evidence();
    let all = &mut create(&mut evidence).probes;
    let mut probe = all.values().next().unwrap().clone();
    probe.unavailable =
        Some("not run: argument 2 of `connect`: `sockaddr_in`: it has no member `sin_prt`".into());
    all.clear();
    all.insert("f".into(), probe);
    investigation.experiments = parsed.experiments;
    investigation.source = parsed.source;
    let told = super::notes(&investigation, &[&evidence]);
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, place) = told[0].place.clone().unwrap();
    assert_eq!(&text[place], "sin_prt");
    assert_eq!(told[0].line_column(), Some((3, 72)));
    assert!(
        told[0]
            .message
            .starts_with("`create` was not run: argument 2 of `connect`")
    );
}
