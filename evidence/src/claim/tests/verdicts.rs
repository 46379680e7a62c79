//! Verdicts on claims, and what a reader is shown of them.

use std::sync::Arc;

use crate::claim::{Claim, FUNCTIONS, SourceMap, Verdict};
use crate::diagnostic::SourceText;
use crate::document::Evidence;
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, investigation, judge_claim, judge_on, place};

fn verdict(text: &str) -> Verdict {
    judge_on(text, &evidence()).verdict
}

/// Check that each function says yes and no of evidence of which that is true.
#[test]
fn functions() {
    for (yes, no) in [
        (
            "aligned(create.sock_alloc.return, 4096)",
            "aligned(create.sock_alloc.exit.file, 4096)",
        ),
        (
            "aligned(create.sock_alloc.exit.size, 256u)",
            "aligned(create.sock_alloc.exit.size, 512)",
        ),
        (
            "mask(create.sock_alloc.exit.file, 0xfffu) == 0x123",
            "mask(create.sock_alloc.exit.file, 0xfffu) == 0x124",
        ),
        (
            "mask(create.sock_alloc.exit.flags, O_NONBLOCK) != 0",
            "mask(create.sock_alloc.exit.flags, O_CREAT) != 0",
        ),
        (
            "delta(kaslr.symbols._text.live, kaslr.symbols._text.static) == kaslr.slide",
            "delta(kaslr.symbols._text.static, kaslr.symbols._text.live) == kaslr.slide",
        ),
        (
            "int(create.sock_alloc.exit.size) == 768",
            "int(create.sock_alloc.exit.size) == 767",
        ),
        (
            "address(create.sock_alloc.exit.huge) == 0xffffffffffffffffu",
            "address(create.sock_alloc.exit.huge) == 0xfffffffffffffffeu",
        ),
        (
            "errno(exhausted.get_fd.return) == EMFILE",
            "errno(exhausted.get_fd.return) == ENFILE",
        ),
        (
            "name(exhausted.outcome.returned) == 'EMFILE'",
            "name(exhausted.outcome.returned) == 'ENFILE'",
        ),
        (
            "mask(create.sock_alloc.exit.flags, O_NONBLOCK) == O_NONBLOCK",
            "mask(create.sock_alloc.exit.flags, O_NONBLOCK) == 0",
        ),
        (
            "symbol(create.sock_alloc.caller) == '__sock_create+0x1f'",
            "symbol(create.sock_alloc.caller) == '__sock_create+0x0'",
        ),
        (
            "symbol_name(create.sock_alloc.caller) == '__sock_create'",
            "symbol_name(create.sock_alloc.caller) == 'sock_alloc'",
        ),
        (
            "file(create.sock_alloc.site) == 'net/socket.c'",
            "file(create.sock_alloc.site) == 'net/core/sock.c'",
        ),
        (
            "line(create.sock_alloc.site) == 1540",
            "line(create.sock_alloc.site) == 1539",
        ),
        (
            "function_name(create.sock_alloc.site) == '__sock_create'",
            "function_name(create.sock_alloc.site) == 'sock_alloc'",
        ),
        (
            "contains(kernel.release, 'cloud')",
            "contains(kernel.release, 'rt')",
        ),
        (
            "kernel.release.starts_with('6.12.')",
            "starts_with(kernel.release, '6.6')",
        ),
        (
            "ends_with(kernel.release, '-amd64')",
            "ends_with(kernel.release, '-arm64')",
        ),
        (
            "length(create.sock_alloc.exit.raw) == 2",
            "length(create.sock_alloc.exit.raw) == 3",
        ),
        (
            "version(kernel.release) > version('6.6')",
            "version(kernel.release) < version('6.6')",
        ),
        ("kernel_at_least('6.12')", "kernel_at_least('6.13')"),
        ("fired(create.twice) == 2", "fired(create.twice) == 1"),
        ("never(exhausted.fd_install)", "never(create.fd_install)"),
        (
            "before(create.sock_alloc, create.fd_install)",
            "before(create.fd_install, create.sock_alloc)",
        ),
        (
            "before(create.twice.hit1, create.fd_install)",
            "before(create.fd_install, create.twice.hit1)",
        ),
        (
            "returns_before(create.sock_alloc, create.fd_install)",
            "returns_before(create.fd_install, create.sock_alloc)",
        ),
    ] {
        let judgement = judge_on(yes, &evidence());
        assert_eq!(judgement.verdict, Verdict::Pass, "`{yes}`: {judgement:?}");
        let judgement = judge_on(no, &evidence());
        assert_eq!(judgement.verdict, Verdict::Fail, "`{no}`: {judgement:?}");
    }
}

/// Check that `inside` compares both ends of both calls.
#[test]
fn nesting_of_calls() {
    let mut nested = evidence();
    let hits = &mut nested
        .experiments
        .get_mut("create")
        .unwrap()
        .probes
        .get_mut("sock_alloc")
        .unwrap()
        .hits;
    (hits[0].order, hits[0].return_order) = (Some(1), Some(9));
    let text = "inside(create.fd_install, create.sock_alloc)";
    assert_eq!(judge_on(text, &nested).verdict, Verdict::Pass);
    assert_eq!(judge_on(text, &evidence()).verdict, Verdict::Fail);
    assert_eq!(
        verdict("inside(create.sock_alloc, create.sock_alloc)"),
        Verdict::Fail
    );
}

/// Check that a stack proves what is on it, and absence only where every frame has its source line.
#[test]
fn stacks() {
    assert_eq!(
        verdict("on_stack(create.sock_alloc.stack, '__sys_socket')"),
        Verdict::Pass
    );
    assert_eq!(
        verdict("calls(create.sock_alloc.stack, '__sys_socket', 'sock_alloc')"),
        Verdict::Pass
    );
    for text in [
        "on_stack(create.sock_alloc.stack, 'fd_install')",
        "!on_stack(create.sock_alloc.stack, 'fd_install')",
        "calls(create.sock_alloc.stack, 'sock_alloc', '__sys_socket')",
    ] {
        assert_eq!(verdict(text), Verdict::Unverified, "{text}");
    }
    let mut lined = evidence();
    let hit = &mut lined
        .experiments
        .get_mut("create")
        .unwrap()
        .probes
        .get_mut("sock_alloc")
        .unwrap()
        .hits[0];
    let Some(crate::document::value::Datum::Value(crate::document::value::Value::Stack { value })) =
        &mut hit.stack
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
    assert_eq!(
        judge_on("!on_stack(create.sock_alloc.stack, 'fd_install')", &lined).verdict,
        Verdict::Pass
    );
    assert_eq!(
        judge_on("on_stack(create.sock_alloc.stack, 'fd_install')", &lined).verdict,
        Verdict::Fail
    );
    // A misspelt name is on no stack.
    for text in [
        "!on_stack(create.sock_alloc.stack, 'fd_isntall')",
        "!calls(create.sock_alloc.stack, '__sys_socket', 'sock_aloc')",
    ] {
        let judgement = judge_on(text, &lined);
        assert_eq!(judgement.verdict, Verdict::Error, "{text}");
        assert!(judgement.reason.unwrap().contains("proves nothing"));
    }
    assert_eq!(
        judge_on(
            "calls(create.sock_alloc.stack, 'sock_alloc', '__sys_socket')",
            &lined
        )
        .verdict,
        Verdict::Fail
    );
}

/// Check that `freed` counts what is freed or excused, and says nothing where a probe did not watch or nothing was
/// allocated.
#[test]
fn ledgers() {
    for text in ["freed(create)", "freed(create.allocation)"] {
        let judge = |change: fn(&mut Evidence)| {
            let mut evidence = evidence();
            change(&mut evidence);
            judge_on(text, &evidence).verdict
        };
        fn create(evidence: &mut Evidence) -> &mut crate::document::Experiment {
            evidence.experiments.get_mut("create").unwrap()
        }
        assert_eq!(judge(|_| {}), Verdict::Pass, "{text}");
        assert_eq!(
            judge(|e| create(e).objects.as_mut().unwrap().allocations[0].freed = None),
            Verdict::Fail,
            "{text}"
        );
        assert_eq!(
            judge(|e| {
                let allocation = &mut create(e).objects.as_mut().unwrap().allocations[0];
                allocation.freed = None;
                allocation.excused = Some("kept with the page".into());
            }),
            Verdict::Pass,
            "{text}"
        );
        assert_eq!(
            judge(|e| create(e).objects.as_mut().unwrap().allocations.clear()),
            Verdict::Unverified,
            "{text}"
        );
        assert_eq!(
            judge(|e| create(e).objects = None),
            Verdict::Unverified,
            "{text}"
        );
        assert_eq!(
            judge(|e| {
                let release = create(e).probes.get_mut("release").unwrap();
                release.unavailable = Some("no such tracepoint".into());
                release.hits.clear();
            }),
            Verdict::Unverified,
            "{text}"
        );
    }
}

/// Check that an object counts as not freed only where the free of one like it was seen on this machine, and that a leak which is
/// seen is told all the same.
#[test]
fn unseen_frees() {
    let mut leaking = evidence();
    let create = leaking.experiments.get_mut("create").unwrap();
    let objects = &mut create.objects.as_mut().unwrap().allocations;
    objects.truncate(1);
    objects[0].cache = Some("sock_inode_cache".into());
    let mut freed = objects[0].clone();
    freed.address.0 += 0x1000;
    objects[0].freed = None;
    let mut one_freed = leaking.clone();
    let create = one_freed.experiments.get_mut("create").unwrap();
    create.objects.as_mut().unwrap().allocations.push(freed);
    let mut other_cache = one_freed.clone();
    let create = other_cache.experiments.get_mut("create").unwrap();
    create.objects.as_mut().unwrap().allocations[1].cache = Some("another".into());
    for text in [
        "!freed(create)",
        "!freed(create.allocation)",
        "create.objects.leaked == create.objects.allocated",
        "create.objects.leaked >= 1",
        "create.objects.freed == 0",
        "create.objects.freed < 1",
    ] {
        let judged = judge_on(text, &leaking);
        assert_eq!(judged.verdict, Verdict::Unverified, "{text}: {judged:?}");
        let reason = judged.reason.unwrap();
        assert!(reason.contains("would have been seen"), "{text}: {reason}");
    }
    for (text, evidence, verdict) in [
        ("freed(create)", &leaking, Verdict::Fail),
        ("create.objects.leaked == 0", &leaking, Verdict::Fail),
        ("create.objects.leaked < 2", &leaking, Verdict::Pass),
        ("create.objects.freed >= 1", &one_freed, Verdict::Pass),
        ("create.objects.leaked == 1", &one_freed, Verdict::Pass),
        ("!freed(create)", &one_freed, Verdict::Pass),
        (
            "create.objects.leaked == 1",
            &other_cache,
            Verdict::Unverified,
        ),
        ("!freed(create)", &other_cache, Verdict::Unverified),
    ] {
        let judged = judge_on(text, evidence);
        assert_eq!(judged.verdict, verdict, "{text}: {judged:?}");
    }
    // A claim does not apply because something was not freed.
    for (evidence, verdict) in [
        (&leaking, Verdict::Unverified),
        (&one_freed, Verdict::NotApplicable),
    ] {
        let text = "create.outcome.returned == 3";
        let claim = Claim::parse(
            "a",
            text,
            place(text),
            Some(("freed(create)", place("freed(create)"))),
        );
        let judged = judge_claim(&claim.unwrap(), evidence);
        assert_eq!(judged.verdict, verdict, "{judged:?}");
    }
}

/// Check that a lost event or an experiment without events makes every claim on it an error, and says why.
#[test]
fn unsound_captures() {
    for (lost, events, reason) in [(1, 9, "lost 1 of 10 events"), (0, 0, "saw no event")] {
        let mut evidence = evidence();
        let quality = &mut evidence.experiments.get_mut("create").unwrap().quality;
        (quality.lost, quality.events) = (lost, events);
        for text in [
            "create.outcome.returned == 3",
            "before(create.sock_alloc, create.fd_install)",
            "freed(create)",
            "freed(create.allocation)",
            "create.update_socket_protocol.return == 1",
        ] {
            let judgement = judge_on(text, &evidence);
            assert_eq!(judgement.verdict, Verdict::Error, "{text}");
            assert!(judgement.reason.unwrap().contains(reason), "{text}");
        }
        assert_eq!(
            judge_on("exhausted.outcome.errno == EMFILE", &evidence).verdict,
            Verdict::Pass
        );
    }
}

/// Check that a false condition makes a claim not applicable and a missing one UNVERIFIED.
#[test]
fn conditions() {
    let judge = |when: &str| {
        let body = "create.outcome.returned == 3";
        let claim = Claim::parse("a", body, place(body), Some((when, place(when)))).unwrap();
        judge_claim(&claim, &evidence())
    };
    assert_eq!(judge("kernel_at_least('6.6')").verdict, Verdict::Pass);
    let judgement = judge("kernel_at_least('7.0')");
    assert_eq!(judgement.verdict, Verdict::NotApplicable);
    assert_eq!(judgement.when_operands.len(), 1);
    assert!(judgement.reason.unwrap().contains("kernel_at_least('7.0')"));
    assert_eq!(
        judge("create.update_socket_protocol.return == 6").verdict,
        Verdict::Unverified
    );
    assert_eq!(judge("create.outcome.returned").verdict, Verdict::Error);
    assert!(
        Claim::parse(
            "a",
            "kaslr.agree",
            place("kaslr.agree"),
            Some(("1 == 1", place("1 == 1")))
        )
        .is_err()
    );
    assert!(Claim::parse("A-b", "kaslr.agree", place("kaslr.agree"), None).is_err());
}

/// Check that a judgement shows every operand with its bytes and its value, and the control that it survived.
#[test]
fn operands_are_shown() {
    let text = "create.sock_alloc.return == 0xffff888004aa1000u && 'TCP' == create.sock_alloc.exit.name && never(exhausted.fd_install)";
    let judgement = judge_on(text, &evidence());
    let shown: Vec<(String, String)> = judgement
        .operands
        .iter()
        .map(|operand| {
            assert_eq!(&text[operand.range.clone()], operand.text);
            (
                operand.text.clone(),
                operand.value.as_ref().unwrap().to_string(),
            )
        })
        .collect();
    let expected = [
        ("create.sock_alloc.return", "0xffff888004aa1000"),
        ("create.sock_alloc.exit.name", "TCP"),
        ("never(exhausted.fd_install)", "true"),
    ];
    assert_eq!(shown, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let control = judgement.control.unwrap();
    assert_eq!(control.path, "create.sock_alloc.return");
    assert_eq!(control.became, "0xffff888004aa1001");
    assert_eq!(control.verdict, Verdict::Fail);
    assert!(judgement.insensitive_to.is_empty());
}

/// Check that values that do not matter are named.
#[test]
fn idle_values() {
    let judgement = judge_on(
        "create.outcome.returned == 3 && create.sock_alloc.exit.size == create.sock_alloc.exit.size",
        &evidence(),
    );
    assert_eq!(judgement.verdict, Verdict::Error);
    assert_eq!(judgement.insensitive_to, ["create.sock_alloc.exit.size"]);
    assert!(judgement.reason.unwrap().contains("cannot be false"));
    let judgement = judge_on(
        "create.outcome.returned == 3 || create.sock_alloc.exit.size == 1",
        &evidence(),
    );
    assert_eq!(judgement.verdict, Verdict::Pass);
    assert_eq!(judgement.insensitive_to, ["create.sock_alloc.exit.size"]);
}

/// Check that errors point into the chapter, under the very operand, also where its lines have prefixes.
#[test]
fn errors_point_into_the_chapter() {
    let chapter = "# One\n\n> ```qed-claim a\n> create.outcome.returned == 3 &&\n> create.sock_alloc.return == 7\n> ```\n";
    let body = "create.outcome.returned == 3 &&\ncreate.sock_alloc.return == 7\n";
    let source = Arc::new(SourceText {
        name: "one.md".into(),
        text: chapter.into(),
    });
    let first = chapter.find("create.outcome").unwrap();
    let second = chapter.find("create.sock_alloc").unwrap();
    let split = body.find("create.sock_alloc").unwrap();
    let claim = Claim::parse(
        "a",
        body,
        SourceMap::with_pieces(source, vec![(0, first), (split, second)]),
        None,
    )
    .unwrap();
    let judgement = judge_claim(&claim, &evidence());
    insta::assert_snapshot!(judgement.diagnostic.unwrap().render(false), @r"
    error: an address and a number are different things
     --> one.md:5:3
      |
    5 | > create.sock_alloc.return == 7
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write an address with the suffix u (`0xffffffff81000000u`); the distance of two addresses is `delta(a, b)`
    ");
}

/// Check that names are checked against the plan without evaluating, with the nearest name.
#[test]
fn check_against_the_plan() {
    let evidence = evidence();
    let investigation = investigation();
    let machines = [Indexed::new(&evidence)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let text = "create.sock_aloc.return == 0u && before(create.fd_install, create.nothing) && exhausted.outcome.errno == EMFIL \
                && freed(created) && create.outcome.returned == 3";
    let diagnostics = claim(text).unwrap().check(&catalog);
    let lines: Vec<String> = diagnostics
        .iter()
        .map(|d| {
            let (_, range) = d.place.clone().unwrap();
            format!(
                "{} | {} | {}",
                &text[range],
                d.message,
                d.help.clone().unwrap_or_default()
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    create.sock_aloc.return | no probe `sock_aloc` in `create` | did you mean `create.sock_alloc.return`?
    before(create.fd_install, create.nothing) | no probe `nothing` in `create` (there is allocation, call, cost, fd_install, gate, graph, objects, outcome, quality, release, sock_alloc, twice) |
    freed(created) | no experiment `created` | did you mean `create`?
    EMFIL | `EMFIL` is not a known constant | did you mean `EMFILE`?
    ");
    assert_eq!(claim("kaslr.agree").unwrap().check(&catalog), []);
}

/// Check that the documented table of functions is the one that the program has, and that each name is callable.
#[test]
fn the_table_is_documented() {
    let source = include_str!("../builtins/mod.rs");
    for function in FUNCTIONS {
        let row = source.lines().find(|line| {
            line.starts_with("/// | `") && line.contains(&format!("`{}(", function.name))
        });
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", function.name));
        if !row.contains("`, `") {
            assert!(row.contains(function.help), "{}: {row}", function.name);
        }
        assert!(crate::claim::help().contains(function.usage));
    }
}

/// Check that replaced leaves go through the very same judgement: a mutant never passes where the original's control
/// failed, a removed leaf is UNVERIFIED, and one of a kind that cannot stand there an ERROR.
#[test]
fn replaced_leaves() {
    use crate::claim::{export, judge_replacing, mutants_of};
    use crate::document::value::{Datum, Value};
    let evidence = evidence();
    let investigation = investigation();
    let machines = [Indexed::new(&evidence)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let claim =
        claim("create.sock_alloc.return == 0xffff888004aa1000u && create.outcome.returned >= 0")
            .unwrap();
    let judge = |path: &str, datum: Datum| {
        judge_replacing(&claim, &catalog, &machines[0], &[(path, &datum)]).verdict
    };
    let all = mutants_of(&claim, &catalog, &machines[0]);
    assert_eq!(all.len(), 2);
    for (path, mutants) in all {
        let verdicts: Vec<Verdict> = mutants
            .iter()
            .map(|m| judge(&path, m.clone().into()))
            .collect();
        assert!(verdicts.contains(&Verdict::Fail), "{path}");
        if path == "create.sock_alloc.return" {
            assert!(!verdicts.contains(&Verdict::Pass), "{path}");
        }
        assert_eq!(
            judge(&path, Datum::unavailable("removed")),
            Verdict::Unverified
        );
        assert_eq!(judge(&path, Value::text("?").into()), Verdict::Error);
    }
    let exported = export(&claim, &catalog, &machines[0], &[]);
    assert_eq!(
        exported["leaves"]["create.sock_alloc.return"],
        serde_json::json!({"kind": "address", "type": "struct socket *", "value": "0xffff888004aa1000"})
    );
    assert_eq!(exported["leaves"].as_object().unwrap().len(), 2);
}

/// Check that a name whose number was changed beside it, or the other way round, is an ERROR: neither half is
/// believed. Where both change together, the claim is false of the new pair.
#[test]
fn names_and_numbers_change_together() {
    use crate::claim::judge_replacing;
    use crate::document::value::{Address, Datum, Integer, Value};
    let evidence = evidence();
    let investigation = investigation();
    let machines = [Indexed::new(&evidence)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let judge = |text: &str, path: &str, value: Value| {
        let claim = claim(text).unwrap();
        let datum = Datum::Value(value);
        judge_replacing(&claim, &catalog, &machines[0], &[(path, &datum)])
    };
    let caller = |address, name: &str, offset| Value::Symbol {
        name: name.into(),
        offset,
        address: Address(address),
    };
    let state = |value: i64, name: &str| Value::Enum {
        value: Integer::from(value),
        type_name: "socket_state".into(),
        name: Some(name.into()),
    };
    let by_caller = (
        "symbol_name(create.sock_alloc.caller) == '__sock_create'",
        "create.sock_alloc.caller",
    );
    let by_state = (
        "name(create.sock_alloc.exit.state) == 'SS_UNCONNECTED'",
        "create.sock_alloc.exit.state",
    );
    let cases = [
        (
            by_caller,
            caller(0xffff_ffff_92a0_001f, "__sock_create", 0x1f),
            Verdict::Pass,
        ),
        (
            by_caller,
            caller(0xffff_ffff_92a0_0020, "__sock_create", 0x1f),
            Verdict::Error,
        ),
        (
            by_caller,
            caller(0xffff_ffff_92a0_001f, "__sock_create", 0x20),
            Verdict::Error,
        ),
        (
            by_caller,
            caller(0xffff_ffff_92b0_0000, "__sock_create", 0),
            Verdict::Error,
        ),
        (
            by_caller,
            caller(0xffff_ffff_92b0_0000, "sock_alloc", 0),
            Verdict::Fail,
        ),
        (by_state, state(1, "SS_UNCONNECTED"), Verdict::Pass),
        (by_state, state(3, "SS_UNCONNECTED"), Verdict::Error),
        (by_state, state(1, "SS_CONNECTED"), Verdict::Error),
        (by_state, state(3, "SS_CONNECTED"), Verdict::Fail),
        (by_state, state(9, "SS_UNHEARD_OF"), Verdict::Error),
    ];
    for ((text, path), value, verdict) in cases {
        let shown = format!("{value:?}");
        let judgement = judge(text, path, value);
        assert_eq!(judgement.verdict, verdict, "{shown}: {judgement:?}");
    }
}

/// Check that an experiment of which nothing could be attached is UNVERIFIED, not broken.
#[test]
fn unwatched_experiments() {
    let mut evidence = evidence();
    let experiment = evidence.experiments.get_mut("create").unwrap();
    experiment.quality.events = 0;
    for probe in experiment.probes.values_mut() {
        probe.backend = None;
        probe.hits.clear();
        probe.unavailable = Some("kprobes are locked down".into());
    }
    for text in [
        "create.outcome.returned == 3",
        "create.sock_alloc.return != 0u",
        "freed(create)",
        "never(create.sock_alloc)",
    ] {
        let judgement = judge_on(text, &evidence);
        assert_eq!(judgement.verdict, Verdict::Unverified, "{text}");
        assert!(
            judgement
                .reason
                .unwrap()
                .contains("kprobes are locked down"),
            "{text}"
        );
    }
}
