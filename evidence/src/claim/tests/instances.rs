//! Silence and counts rest on every copy of a function that could run, and on every hit.

use crate::claim::{Verdict, judge};
use crate::document::instances::{InlinedCopy, OwnCopy, Within};
use crate::document::value::{Address, Datum, Value};
use crate::document::{Evidence, Graph, Target};
use crate::investigation::{Investigation, Probe};
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, investigation, judge_on, judge_planned};

const SILENT: &str = "never(exhausted.fd_install)";
const ONCE: &str = "fired(create.fd_install) == 1";

/// A function that the experiment `exhausted` watches and that does not run in it, and one that does.
const SILENT_HOLDER: Address = Address(0xffff_ffff_92b3_0000);
const HOLDER_THAT_RAN: Address = Address(0xffff_ffff_92b4_0000);

fn verdict(text: &str, evidence: &Evidence) -> Verdict {
    judge_on(text, evidence).verdict
}

/// Assert that `text` is UNVERIFIED for a reason that holds `word`.
fn unverified(text: &str, evidence: &Evidence, word: &str) {
    let judgement = judge_on(text, evidence);
    let reason = judgement.reason.unwrap_or_default();
    assert_eq!(judgement.verdict, Verdict::Unverified, "{text}: {reason}");
    assert!(reason.contains(word), "{text}: {reason}");
}

/// The evidence with a further copy of `fd_install`.
fn with_inlined(address: Option<Address>) -> Evidence {
    let mut evidence = evidence();
    let instances = evidence.instances.get_mut("fd_install").unwrap();
    instances.inlined.as_mut().unwrap().push(InlinedCopy {
        holder: "holder".into(),
        address,
        file: None,
        site: Some("fs/file.c:1".into()),
    });
    instances.count += 1;
    evidence
}

/// Check that a silence and an exact count which pass say what they rest on, and that a bound which was reached, or what does not pass,
/// rests on nothing unseen.
#[test]
fn grounds() {
    let rests_on = |text: &str, evidence: &Evidence| judge_on(text, evidence).rests_on;
    let evidence = evidence();
    let silent = rests_on(SILENT, &evidence);
    let [ground] = silent.as_slice() else {
        panic!("{silent:?}")
    };
    for part in [
        "`exhausted.fd_install`: the one copy of `fd_install`",
        "no hit was lost or skipped",
        "the workload ended by itself",
        "it fired in `create.fd_install`",
    ] {
        assert!(ground.contains(part), "{part}: {ground}");
    }
    let counted = rests_on(&format!("{SILENT} && {ONCE} && {ONCE}"), &evidence);
    assert_eq!(counted.len(), 2, "{counted:?}");
    assert!(rests_on("fired(create.fd_install) >= 1", &evidence).is_empty());
    let unknown = with_inlined(None);
    assert_eq!(verdict(SILENT, &unknown), Verdict::Unverified);
    assert!(rests_on(SILENT, &unknown).is_empty());
    let held = rests_on(SILENT, &with_inlined(Some(SILENT_HOLDER)));
    assert!(
        held[0].contains("1 inlined into functions that did not run"),
        "{held:?}"
    );
    // That it fired is what was seen, whatever copies ran unwatched.
    let ran = "!never(create.fd_install)";
    assert_eq!(verdict(ran, &unknown), Verdict::Pass);
    assert!(rests_on(ran, &unknown).is_empty());
}

/// Check that a copy of its own which nobody watched leaves silence and exact counts unproved, and a lower bound proved.
#[test]
fn clones_and_namesakes() {
    let mut evidence = evidence();
    assert_eq!(verdict(SILENT, &evidence), Verdict::Pass);
    assert_eq!(verdict(ONCE, &evidence), Verdict::Pass);
    let instances = evidence.instances.get_mut("fd_install").unwrap();
    instances.copies.push(OwnCopy {
        symbol: "fd_install.part.0".into(),
        address: Address(0xffff_ffff_92b1_0100),
        file: Some("fs/file.c".into()),
        aliases: Vec::new(),
    });
    instances.count += 1;
    unverified(SILENT, &evidence, "`fd_install.part.0` (fs/file.c)");
    unverified(ONCE, &evidence, "fd_install.part.0");
    unverified(
        "create.fd_install.hits == 1",
        &evidence,
        "fd_install.part.0",
    );
    unverified(
        "!(fired(create.fd_install) > 1)",
        &evidence,
        "fd_install.part.0",
    );
    unverified(
        "fired(create.fd_install) > 0 && fired(create.fd_install) < 2",
        &evidence,
        "fd_install.part.0",
    );
    for text in [
        "fired(create.fd_install) > 0",
        "create.fd_install.hits >= 1",
    ] {
        assert_eq!(verdict(text, &evidence), Verdict::Pass, "{text}");
    }
    // A bound that what was seen does not reach may be reached by what was not.
    assert_eq!(
        verdict("fired(create.fd_install) >= 2", &evidence),
        Verdict::Unverified
    );
    // Who saw it run knows that it is false that it never did.
    assert_eq!(
        verdict("never(create.fd_install)", &evidence),
        Verdict::Fail
    );
}

/// Check that an inlined copy is ruled out by a holder that was watched and did not run, and by nothing less.
#[test]
fn inlined_copies() {
    assert_eq!(
        verdict(SILENT, &with_inlined(Some(SILENT_HOLDER))),
        Verdict::Pass
    );
    let unwatched = Address(0xffff_ffff_92c0_0000);
    for address in [Some(HOLDER_THAT_RAN), Some(unwatched), None] {
        unverified(SILENT, &with_inlined(address), "in `holder` (fs/file.c:1)");
    }
    // A probe that counts only some hits, or that was refused, rules nothing out.
    let mut partly = with_inlined(Some(SILENT_HOLDER));
    let probes = &mut partly.experiments.get_mut("exhausted").unwrap().probes;
    probes.get_mut("nowhere_else").unwrap().within = Some(Within {
        function: "f".into(),
        undecided: 0,
        settled: None,
        why: None,
    });
    unverified(SILENT, &partly, "holder");
    for skipped in [Some(1), None] {
        let mut partly = with_inlined(Some(SILENT_HOLDER));
        let probes = &mut partly.experiments.get_mut("exhausted").unwrap().probes;
        probes.get_mut("nowhere_else").unwrap().skipped = skipped;
        unverified(SILENT, &partly, "holder");
    }
}

/// The judgement on `text` with the plan changed.
fn judged_with(change: impl Fn(&mut Probe), text: &str, evidence: &Evidence) -> (Verdict, String) {
    let mut plan = investigation();
    let probes = plan.experiments.iter_mut().flat_map(|one| &mut one.probes);
    probes.for_each(change);
    let judgement = judge_planned(&plan, &claim(text).unwrap(), evidence);
    (judgement.verdict, judgement.reason.unwrap_or_default())
}

/// Check that a holder rules nothing out if its probe watched fewer tasks, or only the hits that free an object of the experiment.
#[test]
fn holders_that_saw_less() {
    let held = with_inlined(Some(SILENT_HOLDER));
    let of_holder = |probe: &Probe| probe.name == "nowhere_else";
    let any_task = |probe: &mut Probe| probe.any_task |= !of_holder(probe);
    let (verdict, reason) = judged_with(any_task, SILENT, &held);
    assert_eq!(verdict, Verdict::Unverified);
    assert!(reason.contains("in `holder`"), "{reason}");
    let frees = |probe: &mut Probe| {
        if of_holder(probe) {
            probe.frees = Some("regs".into());
        }
    };
    let (verdict, reason) = judged_with(frees, SILENT, &held);
    assert_eq!(verdict, Verdict::Unverified);
    assert!(reason.contains("in `holder`"), "{reason}");
    // A task may have been inside of the holder since before the watch.
    let (verdict, reason) = judged_with(|probe| probe.any_task = true, SILENT, &held);
    assert_eq!(verdict, Verdict::Unverified);
    assert!(reason.contains("in `holder`"), "{reason}");
}

/// Check that a probe with `frees` proves no silence and no exact count: it has only the hits that free an object of the experiment.
#[test]
fn probes_with_frees() {
    let frees = |probe: &mut Probe| {
        if probe.name == "fd_install" {
            probe.frees = Some("file".into());
        }
    };
    for text in [SILENT, ONCE, "exhausted.fd_install.hits == 0"] {
        let (verdict, reason) = judged_with(frees, text, &evidence());
        assert_eq!(verdict, Verdict::Unverified, "{text}: {reason}");
        assert!(reason.contains("a probe with `frees`"), "{reason}");
    }
    let seen = judged_with(frees, "fired(create.fd_install) >= 1", &evidence());
    assert_eq!(seen, (Verdict::Pass, String::new()));
}

/// Check that what the evidence does not say about copies leaves everything unproved that rests on them.
#[test]
fn not_known() {
    let mut evidence = evidence();
    let instances = evidence.instances.get_mut("fd_install").unwrap();
    instances.inlined = None;
    instances.unknown = Some("no debug info".into());
    unverified(SILENT, &evidence, "no debug info");
    unverified(ONCE, &evidence, "no debug info");
    evidence.instances.remove("fd_install");
    unverified(SILENT, &evidence, "does not say which copies");
    let mut unwatched = crate::testing::evidence();
    let probes = &mut unwatched.experiments.get_mut("exhausted").unwrap().probes;
    probes.get_mut("fd_install").unwrap().watched.clear();
    unverified(SILENT, &unwatched, "not watched: `fd_install`");
}

/// The sample, with its probe on `fd_install` by address; `moved`: at another one than the function's.
fn by_address(place: &str, mut evidence: Evidence, moved: bool) -> (Investigation, Evidence) {
    let target = Target::Address(place.into());
    let mut plan = investigation();
    for experiment in &mut plan.experiments {
        for probe in &mut experiment.probes {
            if probe.name == "fd_install" {
                probe.target = target.clone();
            }
        }
    }
    for experiment in evidence.experiments.values_mut() {
        let Some(probe) = experiment.probes.get_mut("fd_install") else {
            continue;
        };
        probe.target = target.clone();
        let own = probe.watched.pop().unwrap();
        let elsewhere = Address(0xffff_ffff_8130_0000);
        probe.address = Some(
            Value::Address {
                value: if moved { elsewhere } else { own },
                type_name: None,
                symbol: None,
            }
            .into(),
        );
    }
    (plan, evidence)
}

/// Check that a probe at the address of a function's symbol sees no other copy of it than one on its name does, that one at
/// another address than the function's sees none, and that of a bare address nothing is known.
#[test]
fn probes_by_address() {
    let judged = |(plan, evidence): (Investigation, Evidence), text: &str| {
        let machines = [Indexed::new(&evidence)];
        let catalog = Catalog {
            investigation: &plan,
            machines: &machines,
        };
        let judgement = judge(&claim(text).unwrap(), &catalog, &machines[0]);
        (judgement.verdict, judgement.reason.unwrap_or_default())
    };
    let bare = "0xffffffff92b10000";
    for text in [SILENT, ONCE, "exhausted.fd_install.hits == 0"] {
        let (verdict, reason) = judged(by_address("live:fd_install", evidence(), false), text);
        assert_eq!(verdict, Verdict::Pass, "{text}: {reason}");
        for (place, evidence, moved, word) in [
            (
                "live:fd_install",
                with_inlined(None),
                false,
                "inlined copies of `fd_install`",
            ),
            (
                "static:fd_install",
                evidence(),
                true,
                "not watched: `fd_install`",
            ),
            (bare, evidence(), false, "which function stands at"),
        ] {
            let (verdict, reason) = judged(by_address(place, evidence, moved), text);
            assert_eq!(verdict, Verdict::Unverified, "{place}: {text}: {reason}");
            assert!(reason.contains(word), "{place}: {text}: {reason}");
        }
    }
    let (verdict, _) = judged(
        by_address(bare, evidence(), false),
        "fired(create.fd_install) > 0",
    );
    assert_eq!(verdict, Verdict::Pass);
}

/// Check that a list of copies from which one was taken is not evidence any more.
#[test]
fn a_copy_taken_out() {
    let mut evidence = with_inlined(None);
    let instances = evidence.instances.get_mut("fd_install").unwrap();
    instances.inlined.as_mut().unwrap().clear();
    let text = serde_json::to_vec(&evidence).unwrap();
    let error = crate::validate::reader::read(&text)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/instances/fd_install"), "{error}");
}

/// Check that who called and from where is only known where the evidence says what the code there calls.
#[test]
fn callers() {
    let mut evidence = evidence();
    let text = "symbol_name(create.sock_alloc.caller) == '__sock_create'";
    assert_eq!(verdict(text, &evidence), Verdict::Pass);
    let probes = &mut evidence.experiments.get_mut("create").unwrap().probes;
    probes.get_mut("sock_alloc").unwrap().hits[0].returns_to = None;
    unverified(
        text,
        &evidence,
        "what the code before the return address calls",
    );
    unverified("line(create.sock_alloc.site) == 1540", &evidence, "calls");
}

/// Check that a call which a stack may hide is told with the name that nothing has, where one is misspelt, and without where none is.
#[test]
fn misspelt_callers() {
    let mut evidence = evidence();
    let probes = &mut evidence.experiments.get_mut("create").unwrap().probes;
    let hits = &mut probes.get_mut("sock_alloc").unwrap().hits;
    let Some(Datum::Value(Value::Stack { value })) = &mut hits[0].stack else {
        panic!("no stack")
    };
    for frame in value {
        frame.site = None;
    }
    let misspelt = "calls(create.sock_alloc.stack, '__sock_creat', 'sock_alloc')";
    unverified(
        misspelt,
        &evidence,
        "nothing that was captured or is planned",
    );
    let reason = |text: &str| judge_on(text, &evidence).reason.unwrap_or_default();
    let first = "nothing that was captured or is planned is called `__sock_creat`";
    assert!(
        reason(misspelt).starts_with(first) && reason(misspelt).contains("; "),
        "{}",
        reason(misspelt)
    );
    let other = "calls(create.sock_alloc.stack, 'sock_alloc', '__sock_create')";
    unverified(other, &evidence, "may be inlined");
    assert!(
        !reason(other).contains("nothing that was captured"),
        "{}",
        reason(other)
    );
}

/// Check that an address with two names has both: it is called neither of them in vain, and has no text that only one has.
#[test]
fn names_of_an_address() {
    let mut evidence = evidence();
    let instances = evidence.instances.get_mut("fd_install").unwrap();
    instances.copies[0].symbol = "__sock_create".into();
    instances.copies[0].aliases = vec!["sock_alloc".into()];
    let name = "symbol_name(create.sock_alloc.caller)";
    for both in ["__sock_create", "sock_alloc"] {
        assert_eq!(
            verdict(&format!("{name} == '{both}'"), &evidence),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&format!("{name} != '{both}'"), &evidence),
            Verdict::Fail
        );
    }
    // What is not listed may be called so, too.
    let mut unlisted = crate::testing::evidence();
    unlisted.instances.remove("fd_install");
    let text = format!("{name} != 'fd_install'");
    assert_eq!(verdict(&text, &crate::testing::evidence()), Verdict::Pass);
    unverified(&text, &unlisted, "does not list the copies of `fd_install`");
    unverified(
        "!contains(symbol(create.sock_alloc.caller), 'fd_inst')",
        &unlisted,
        "does not list the copies",
    );
    for text in [
        format!("!contains({name}, 'alloc')"),
        format!("!starts_with({name}, 'sock_alloc')"),
        "!contains(symbol(create.sock_alloc.caller), 'sock_alloc')".to_owned(),
        format!("{name} + '' != 'sock_alloc'"),
    ] {
        assert_eq!(verdict(&text, &evidence), Verdict::Error, "{text}");
    }
}

/// Give each frame of the sample's stack its source line.
fn give_lines(evidence: &mut Evidence) {
    let probes = &mut evidence.experiments.get_mut("create").unwrap().probes;
    let stack = &mut probes.get_mut("sock_alloc").unwrap().hits[0].stack;
    let Some(crate::document::value::Datum::Value(crate::document::value::Value::Stack { value })) =
        stack
    else {
        panic!("the fixture has a stack");
    };
    for frame in value {
        frame.site = Some(crate::document::value::Location {
            file: "net/socket.c".into(),
            line: 1,
            function: frame.symbol.clone().unwrap(),
            role: crate::document::value::LineRole::Call,
            inlined_into: Vec::new(),
        });
    }
}

/// Check that a function which is not on a stack may have been under way where it can be left by a jump, or where that is
/// not known; and that one which is on it, is.
#[test]
fn left_by_a_jump() {
    let mut evidence = evidence();
    give_lines(&mut evidence);
    let text = "!on_stack(create.sock_alloc.stack, 'fd_install')";
    assert_eq!(verdict(text, &evidence), Verdict::Pass);
    for leaves in [Some(true), None] {
        let instances = evidence.instances.get_mut("fd_install").unwrap();
        instances.leaves_by_jump = leaves;
        unverified(text, &evidence, "left by a jump");
        assert_eq!(
            verdict(
                "on_stack(create.sock_alloc.stack, '__sys_socket')",
                &evidence
            ),
            Verdict::Pass
        );
    }
}

/// Check that hits of which it is not known whether they are within a function leave counts and silence unproved.
#[test]
fn undecided_hits() {
    let mut plan = investigation();
    for experiment in &mut plan.experiments {
        for probe in experiment
            .probes
            .iter_mut()
            .filter(|p| p.name == "fd_install")
        {
            probe.within = Some("outer".into());
        }
    }
    let judged = |undecided: Option<u64>| {
        let mut evidence = evidence();
        for experiment in evidence.experiments.values_mut() {
            let probe = experiment.probes.get_mut("fd_install").unwrap();
            probe.within = undecided.map(|undecided| Within {
                function: "outer".into(),
                undecided,
                settled: None,
                why: Some("the stack was cut".into()),
            });
        }
        let machines = [Indexed::new(&evidence)];
        let catalog = Catalog {
            investigation: &plan,
            machines: &machines,
        };
        let claim = claim(SILENT).unwrap();
        judge(&claim, &catalog, &machines[0]).verdict
    };
    assert_eq!(judged(Some(0)), Verdict::Pass);
    assert_eq!(judged(Some(1)), Verdict::Unverified);
    assert_eq!(judged(None), Verdict::Unverified);
}

/// Check that two names of one address are one place: both probes have its events.
#[test]
fn two_names_of_one_address() {
    let mut evidence = evidence();
    let probes = &mut evidence.experiments.get_mut("exhausted").unwrap().probes;
    let mut twin = probes["get_fd"].clone();
    twin.target = crate::document::Target::Function("twice".into());
    probes.insert("nowhere_else".into(), twin);
    let read =
        |evidence: &Evidence| crate::validate::reader::read(&serde_json::to_vec(evidence).unwrap());
    assert!(read(&evidence).is_ok());
    let probes = &mut evidence.experiments.get_mut("exhausted").unwrap().probes;
    probes.get_mut("nowhere_else").unwrap().watched = vec![SILENT_HOLDER];
    let error = read(&evidence).unwrap_err().to_string();
    assert!(error.contains("two hits use event"), "{error}");
}

/// Check that a function that is watched with its clones, by its name, and by the address of one copy has the events of that copy
/// in both probes, and those of no other.
#[test]
fn a_name_and_an_address() {
    let mut evidence = evidence();
    let probes = &mut evidence.experiments.get_mut("exhausted").unwrap().probes;
    let named = probes["get_fd"].clone();
    let own = named.watched[0];
    let mut twin = named.clone();
    twin.target = Target::Address("live:get_fd".into());
    twin.watched.clear();
    twin.parameters.clear();
    twin.returns = None;
    twin.definition = None;
    twin.widths.clear();
    let address = |address: Address| {
        Datum::from(Value::Address {
            value: address,
            type_name: None,
            symbol: None,
        })
    };
    twin.address = Some(address(own));
    for hit in &mut twin.hits {
        hit.args.clear();
        hit.exit.clear();
        hit.return_value = None;
    }
    probes.insert("nowhere_else".into(), twin);
    let read =
        |evidence: &Evidence| crate::validate::reader::read(&serde_json::to_vec(evidence).unwrap());
    if let Err(error) = read(&evidence) {
        panic!("{error}");
    }
    // With several copies watched it is the hit that says which of them it was.
    let mut clones = evidence.clone();
    let probes = &mut clones.experiments.get_mut("exhausted").unwrap().probes;
    probes
        .get_mut("get_fd")
        .unwrap()
        .watched
        .push(SILENT_HOLDER);
    let error = read(&clones).unwrap_err().to_string();
    assert!(error.contains("two hits use event"), "{error}");
    let probes = &mut evidence.experiments.get_mut("exhausted").unwrap().probes;
    probes.get_mut("nowhere_else").unwrap().address = Some(address(SILENT_HOLDER));
    let error = read(&evidence).unwrap_err().to_string();
    assert!(error.contains("two hits use event"), "{error}");
}

/// Check that a verdict gives each reason once, however many parts of the claim have it.
#[test]
fn reasons_are_given_once() {
    let mut evidence = with_inlined(None);
    let exhausted = evidence.experiments.get_mut("exhausted").unwrap();
    exhausted.quality.marked = None;
    for text in [
        SILENT.to_owned(),
        format!("{SILENT} && fired(exhausted.fd_install) == 0"),
    ] {
        let judgement = judge_on(&text, &evidence);
        let shown = judgement.operands.iter().flat_map(|one| &one.missing);
        let reasons = judgement.reason.iter().chain(shown);
        for reason in reasons {
            for word in ["were not watched", "from outside of the workload count"] {
                assert_eq!(reason.matches(word).count(), 1, "{text}: {reason}");
            }
        }
        assert_eq!(judgement.verdict, Verdict::Unverified, "{text}");
    }
}

/// Check that an address has the names of the slide's symbols, too, and that it is not told that it has none which only another
/// machine's evidence holds, while a claim that it has one or the other is judged.
#[test]
fn names_without_a_place() {
    let mut here = evidence();
    let name = "symbol_name(create.sock_alloc.caller)";
    let mut places = here.kaslr.symbols["_text"].clone();
    places.live = crate::document::value::Datum::Value(crate::document::value::Value::Address {
        value: Address(0xffff_ffff_92a0_0000),
        type_name: None,
        symbol: None,
    });
    here.kaslr.symbols.insert("slide_symbol".into(), places);
    assert_eq!(
        verdict(&format!("{name} != 'slide_symbol'"), &here),
        Verdict::Fail
    );
    let mut there = evidence();
    there.names.symbols.push(crate::document::names::Symbol {
        address: Address(0xffff_ffff_92b5_0000),
        size: 16,
        name: "only_there".into(),
    });
    let machines = [Indexed::new(&here), Indexed::new(&there)];
    let plan = investigation();
    let catalog = Catalog {
        investigation: &plan,
        machines: &machines,
    };
    let judged = |text: &str| {
        let judgement = judge(&claim(text).unwrap(), &catalog, &machines[0]);
        (judgement.verdict, judgement.reason.unwrap_or_default())
    };
    for text in [
        format!("{name} != 'only_there'"),
        format!("!({name} == 'only_there')"),
        format!("!starts_with({name}, 'only_')"),
        format!("({name} == 'only_there') == false"),
        "symbol(create.sock_alloc.caller) != 'only_there+0x0'".to_owned(),
    ] {
        let (verdict, reason) = judged(&text);
        assert_eq!(verdict, Verdict::Unverified, "{text}: {reason}");
        assert!(reason.contains("does not tell where"), "{text}: {reason}");
    }
    for text in [
        format!("{name} == '__sock_create' || {name} == 'only_there'"),
        format!("{name} != '__sys_socket'"),
        format!("{name} != 'fd_install'"),
    ] {
        assert_eq!(judged(&text).0, Verdict::Pass, "{text}");
    }
}

/// Check that a function is not told to be off a stack on which it stands under another name of its address.
#[test]
fn other_names_on_a_stack() {
    let mut evidence = evidence();
    let instances = evidence.instances.get_mut("fd_install").unwrap();
    instances.copies[0].aliases = vec!["__sys_socket".into()];
    give_lines(&mut evidence);
    unverified(
        "!on_stack(create.sock_alloc.stack, 'fd_install')",
        &evidence,
        "`fd_install` is another name of `__sys_socket`",
    );
}

/// Check that a silence and a count prove nothing if the workload had run before on the machine, or may have, unless the tree of the one
/// earlier run shows the function as often.
#[test]
fn earlier_runs() {
    let ran = |attempts: Option<u32>| {
        let mut evidence = evidence();
        for name in ["create", "exhausted"] {
            let seen = evidence.experiments.get_mut(name).unwrap();
            seen.quality.attempts = attempts;
        }
        evidence
    };
    for text in [SILENT, ONCE] {
        assert_eq!(verdict(text, &ran(Some(1))), Verdict::Pass, "{text}");
        unverified(
            text,
            &ran(Some(2)),
            "not the workload's first one on this machine, but number 2",
        );
        unverified(text, &ran(Some(3)), "but number 3");
        unverified(
            text,
            &ran(None),
            "does not say whether the workload had run",
        );
    }
    // What was seen was seen.
    assert_eq!(
        verdict("fired(create.fd_install) >= 1", &ran(Some(2))),
        Verdict::Pass
    );
    for (function, holds) in [("fd_install", false), ("another", true)] {
        let mut traced = ran(Some(2));
        let seen = traced.experiments.get_mut("exhausted").unwrap();
        seen.graph = Some(Graph {
            functions: vec![function.to_owned()],
            calls: vec!["0 0 5".into()],
            runs: 1,
            before_exit: 1,
            ..Graph::default()
        });
        let passed = verdict(SILENT, &traced) == Verdict::Pass;
        assert_eq!(passed, holds, "{function}");
    }
}
