//! Claims that once passed, or could be thought to pass, without being shown by the evidence: one test per hole.

use crate::claim::{Claim, Verdict, judge};
use crate::document::instances::Within;
use crate::document::value::{Datum, Value};
use crate::document::{Boot, Evidence};
use crate::investigation::Investigation;
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, investigation, judge_claim, judge_on, place};

fn comes_to(text: &str, evidence: &Evidence, verdict: Verdict, reason: &str) {
    let judgement = judge_on(text, evidence);
    assert_eq!(judgement.verdict, verdict, "`{text}`: {judgement:?}");
    let found = judgement.reason.clone().unwrap_or_default();
    assert!(found.contains(reason), "`{text}`: {found}");
}

fn refused(text: &str, message: &str) {
    let errors = claim(text).expect_err(text);
    assert!(errors[0].message.contains(message), "`{text}`: {errors:?}");
}

fn conditional(when: &str, text: &str) -> Claim {
    Claim::parse("a_claim", text, place(text), Some((when, place(when))))
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Check that a constant has the number of the kernel's own architecture, and none where that is not known.
#[test]
fn constants_of_an_architecture() {
    let mut evidence = evidence();
    for (arch, number, verdict) in [
        (Some("x86_64"), 0o200000, Verdict::Pass),
        (Some("aarch64"), 0o200000, Verdict::Fail),
        (Some("aarch64"), 0o40000, Verdict::Pass),
        (None, 0o200000, Verdict::Unverified),
    ] {
        evidence.kernel.arch = arch.map(str::to_owned);
        let create = evidence.experiments.get_mut("create").unwrap();
        create.outcome.returned = Datum::Value(Value::Fd { value: number });
        comes_to(
            "create.outcome.returned == O_DIRECTORY",
            &evidence,
            verdict,
            "",
        );
    }
}

/// Check that a condition is false if one of its parts is, whatever is missing of the others, and that nothing else decides a
/// condition of which something is missing.
#[test]
fn conditions_with_a_missing_part() {
    let mut evidence = evidence();
    evidence.kernel.lockdown = Datum::unavailable("not asked for");
    let text = "create.outcome.errno == 0";
    let missing = "kernel.lockdown == 'none'";
    for (when, verdict) in [
        (
            format!("create.outcome.returned == 4 && {missing}"),
            Verdict::NotApplicable,
        ),
        (
            format!("{missing} && create.outcome.returned == 4"),
            Verdict::NotApplicable,
        ),
        (
            format!("(create.outcome.returned == 3 && {missing}) && create.outcome.returned > 9"),
            Verdict::NotApplicable,
        ),
        (missing.to_owned(), Verdict::Unverified),
        (
            format!("create.outcome.returned == 3 && {missing}"),
            Verdict::Unverified,
        ),
        (
            format!("create.outcome.returned == 4 || {missing}"),
            Verdict::Unverified,
        ),
        (
            format!("!(create.outcome.returned == 3 || {missing})"),
            Verdict::Unverified,
        ),
        // A mistake is one wherever it stands.
        (
            format!("create.outcome.returned == 4 && {missing} && kernel.lockdwn == 'none'"),
            Verdict::Error,
        ),
    ] {
        let judgement = judge_claim(&conditional(&when, text), &evidence);
        assert_eq!(judgement.verdict, verdict, "{when}: {judgement:?}");
    }
}

/// Check that a claim whose condition already says it is an error: where it would be false, it does not apply.
#[test]
fn conditions_that_say_the_claim() {
    for (when, text) in [
        (
            "create.outcome.returned == 3",
            "create.outcome.returned == 3",
        ),
        (
            "create.outcome.returned > 2",
            "create.outcome.returned >= 0",
        ),
        (
            "create.sock_alloc.exit.size == 768 && create.outcome.errno == 0",
            "create.outcome.errno == 0 || create.sock_alloc.exit.size == 768",
        ),
    ] {
        let judgement = judge_claim(&conditional(when, text), &evidence());
        assert_eq!(judgement.verdict, Verdict::Error, "{when}: {judgement:?}");
        let reason = judgement.reason.unwrap();
        assert!(reason.contains("its condition would not hold"), "{reason}");
        assert!(judgement.diagnostic.is_some());
    }
    let judgement = judge_claim(
        &conditional(
            "create.outcome.returned > 2",
            "create.outcome.returned == 3",
        ),
        &evidence(),
    );
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
    let control = judgement.control.unwrap();
    assert_eq!(control.path, "create.outcome.returned");
    assert!(control.became.parse::<i64>().unwrap() > 2, "{control:?}");
}

/// Check that "it did not happen" cannot be said by counting hits where `never` could not say it.
#[test]
fn counts_of_nothing() {
    for text in [
        "fired(exhausted.nowhere_else) == 0",
        "exhausted.nowhere_else.hits == 0",
        "exhausted.nowhere_else.hits < 1",
        "!(fired(exhausted.nowhere_else) > 0)",
        "exhausted.nowhere_else.hits + 1 == 1",
    ] {
        comes_to(
            text,
            &evidence(),
            Verdict::Unverified,
            "nothing shows that `nowhere_else` would have been seen",
        );
    }
    for text in [
        "fired(exhausted.fd_install) == 0",
        "exhausted.fd_install.hits == 0",
    ] {
        comes_to(text, &evidence(), Verdict::Pass, "");
    }
    comes_to("fired(create.twice) == 2", &evidence(), Verdict::Pass, "");
}

/// Check that the ledger's numbers say no more than `freed` does: nothing where a probe did not watch, and no absence of
/// leaks where nothing was allocated.
#[test]
fn ledgers_without_allocations() {
    comes_to("create.objects.leaked == 0", &evidence(), Verdict::Pass, "");
    let mut unwatched = evidence();
    let probes = &mut unwatched.experiments.get_mut("create").unwrap().probes;
    let release = probes.get_mut("release").unwrap();
    release.backend = None;
    release.hits.clear();
    release.unavailable = Some("no such tracepoint".into());
    for text in [
        "create.objects.leaked == 0",
        "create.objects.allocated == 1",
        "freed(create)",
    ] {
        comes_to(
            text,
            &unwatched,
            Verdict::Unverified,
            "`create.release` did not watch",
        );
    }
    let mut empty = evidence();
    let create = empty.experiments.get_mut("create").unwrap();
    create.objects.as_mut().unwrap().allocations.clear();
    comes_to(
        "create.objects.leaked == 0",
        &empty,
        Verdict::Unverified,
        "nothing was allocated",
    );
    for text in [
        "freed(create)",
        "!freed(create)",
        "!freed(create.allocation)",
        "freed(create) == false",
    ] {
        comes_to(text, &empty, Verdict::Unverified, "nothing was allocated");
    }
}

/// Check that a ledger whose rows come from the returns of a function says nothing where one of them was not seen.
#[test]
fn ledgers_of_returns() {
    let mut investigation = investigation();
    let create = &mut investigation.experiments[0];
    assert_eq!(create.name, "create");
    let probe = create.probes.iter_mut().find(|p| p.name == "sock_alloc");
    probe.unwrap().allocates = Some("return".into());
    let judge = |evidence: &Evidence| {
        let machines = [Indexed::new(evidence)];
        let catalog = Catalog {
            investigation: &investigation,
            machines: &machines,
        };
        judge(&claim("freed(create)").unwrap(), &catalog, &machines[0])
    };
    let mut evidence = evidence();
    assert_eq!(judge(&evidence).verdict, Verdict::Pass);
    let create = evidence.experiments.get_mut("create").unwrap();
    create.probes.get_mut("sock_alloc").unwrap().hits[0].return_order = None;
    let judgement = judge(&evidence);
    assert_eq!(judgement.verdict, Verdict::Unverified, "{judgement:?}");
    assert!(
        judgement
            .reason
            .unwrap()
            .contains("the return was not seen")
    );
}

/// Check that events of two experiments are never put into one order: each counts its own, from 1.
#[test]
fn orders_of_two_experiments() {
    refused(
        "before(create.sock_alloc, exhausted.get_fd)",
        "each experiment counts its own",
    );
    refused(
        "inside(exhausted.get_fd, create.sock_alloc)",
        "each experiment counts its own",
    );
    refused(
        "returns_before(exhausted.get_fd, create.fd_install)",
        "each experiment counts its own",
    );
    let mut timed = evidence();
    let exhausted = timed.experiments.get_mut("exhausted").unwrap();
    exhausted.probes.get_mut("get_fd").unwrap().hits[0].time_ns = Some(5);
    for text in [
        "exhausted.get_fd.order < create.sock_alloc.order",
        "exhausted.get_fd.order != create.sock_alloc.return_order",
        "exhausted.get_fd.time_ns < create.fd_install.time_ns",
        "create.fd_install.return_time_ns - exhausted.get_fd.time_ns > 0",
    ] {
        comes_to(text, &timed, Verdict::Error, "are different things");
    }
    for text in [
        "create.sock_alloc.order < create.fd_install.order",
        "exhausted.get_fd.order == 1",
        "create.fd_install.return_order - create.fd_install.order == 2",
        "create.fd_install.return_time_ns - create.fd_install.time_ns == 20",
        "create.fd_install.return_time_ns > create.fd_install.time_ns",
    ] {
        comes_to(text, &timed, Verdict::Pass, "");
    }
}

/// Check that a release whose last number is the distribution's own count is not compared by it.
#[test]
fn vague_versions() {
    let mut debian = evidence();
    debian.kernel.release = "6.1.0-56-cloud-amd64".into();
    for text in [
        "version(kernel.release) < version('6.1.100')",
        "version(kernel.release) != version('6.1.170')",
        "!kernel_at_least('6.1.100')",
        "kernel_at_least('6.1.1')",
    ] {
        comes_to(
            text,
            &debian,
            Verdict::Unverified,
            "does not say which release of 6.1",
        );
    }
    // 6.1.0 is the first release of the series, and which of them this is is not known.
    for text in [
        "version(kernel.release) == version('6.1.0')",
        "version(kernel.release) <= version('6.1.0')",
        "version(kernel.release) != version('6.1')",
        "!(version(kernel.release) > version('6.1'))",
        "version('6.1.0') == version(kernel.release)",
    ] {
        comes_to(
            text,
            &debian,
            Verdict::Unverified,
            "does not say which release of 6.1",
        );
    }
    for text in [
        "version(kernel.release) < version('6.6')",
        "version(kernel.release) >= version('6.1.0')",
        "version(kernel.release) >= version('6.1')",
        "kernel_at_least('5.15.200')",
        "!kernel_at_least('6.2.1')",
    ] {
        comes_to(text, &debian, Verdict::Pass, "");
    }
    comes_to(
        "kernel_at_least('6.12.100')",
        &evidence(),
        Verdict::Pass,
        "",
    );
}

/// Check that a version in a claim that says more than versions can be compared by is refused with what to write, wherever it stands and
/// whatever the kernel is.
#[test]
fn versions_that_say_more() {
    let mut debian = evidence();
    debian.kernel.release = "6.1.0-57-cloud-amd64".into();
    for evidence in [debian, evidence()] {
        for text in [
            "kernel_at_least('6.1.0-58')",
            "!kernel_at_least('6.12.118-999')",
            "version(kernel.release) >= version('6.1.0-58')",
            "version(kernel.release) == version('6.12.118+deb99-foo')",
            "version(kernel.release) == version('7.3.4x')",
            "version(kernel.release) != version('6.1' + '.0-58')",
            "kernel_at_least('6.6') || version(kernel.release) > version('6.12-')",
        ] {
            let judged = judge_claim(&claim(text).unwrap(), &evidence);
            assert_eq!(judged.verdict, Verdict::Error, "{text}: {judged:?}");
            let diagnostic = judged.diagnostic.unwrap();
            assert!(
                diagnostic
                    .message
                    .contains("knows no order of what stands behind the numbers"),
                "{text}: {diagnostic:?}"
            );
            let help = diagnostic.help.unwrap();
            assert!(help.contains("`starts_with(kernel.release, '"), "{help}");
        }
        // As something that was measured decides which it is, it says no more than what is measured.
        let text = "version(kernel.release) == version(contains(kernel.release, '6.1') ? '6.12.118-58' : '6.12.118-58')";
        let judged = judge_claim(&claim(text).unwrap(), &evidence);
        assert!(
            [Verdict::Fail, Verdict::Unverified].contains(&judged.verdict),
            "{judged:?}"
        );
    }
}

/// Check that a series and one of its later releases are compared only where it is the same for the series and its first release.
#[test]
fn versions_of_a_series() {
    let mut evidence = evidence();
    evidence.kernel.release = "6.12.118+deb13-cloud-amd64".into();
    for (text, verdict) in [
        ("version(kernel.release) >= version('6.12')", Verdict::Pass),
        (
            "!(version(kernel.release) < version('6.12'))",
            Verdict::Pass,
        ),
        ("kernel_at_least('6.12')", Verdict::Pass),
        ("version(kernel.release) > version('6.11')", Verdict::Pass),
        ("version(kernel.release) != version('6.11')", Verdict::Pass),
        (
            "version(kernel.release) == version('6.12.118')",
            Verdict::Pass,
        ),
        (
            "version(kernel.release) == version('6.12.0')",
            Verdict::Fail,
        ),
        ("version(kernel.release) == version('6.12')", Verdict::Error),
        ("version(kernel.release) != version('6.12')", Verdict::Error),
        ("version(kernel.release) > version('6.12')", Verdict::Error),
        ("version(kernel.release) <= version('6.12')", Verdict::Error),
    ] {
        let judged = judge_claim(&claim(text).unwrap(), &evidence);
        assert_eq!(judged.verdict, verdict, "{text}: {judged:?}");
        if verdict == Verdict::Error {
            let diagnostic = judged.diagnostic.unwrap();
            assert!(
                diagnostic
                    .message
                    .contains("the series or its first release")
            );
            assert!(diagnostic.help.unwrap().contains("write `6.12.0`"));
        }
    }
}

/// Check that an error number is not told to be different from a written number only because of the sign.
#[test]
fn errno_and_literals() {
    for text in [
        "exhausted.outcome.returned != 24",
        "exhausted.outcome.errno != -24",
        "-5 != exhausted.outcome.errno",
    ] {
        comes_to(
            text,
            &evidence(),
            Verdict::Error,
            "negative, as the kernel returns it",
        );
    }
    comes_to(
        "exhausted.outcome.returned < 0",
        &evidence(),
        Verdict::Pass,
        "",
    );
    comes_to(
        "exhausted.outcome.returned != -23",
        &evidence(),
        Verdict::Pass,
        "",
    );
}

/// Check that a number without a name is not taken for the enumerator of another machine's kernel.
#[test]
fn enumerators_of_other_kernels() {
    let mut nameless = evidence();
    nameless.names.enums.clear();
    let create = nameless.experiments.get_mut("create").unwrap();
    let hit = &mut create.probes.get_mut("sock_alloc").unwrap().hits[0];
    let Some(crate::document::value::Datum::Value(Value::Enum { name, .. })) =
        hit.exit.get_mut("state")
    else {
        panic!("the sample has a state");
    };
    *name = None;
    let investigation = crate::testing::investigation();
    let other = evidence();
    let machines = [
        crate::path_index::resolve::Indexed::new(&nameless),
        crate::path_index::resolve::Indexed::new(&other),
    ];
    let catalog = crate::path_index::resolve::Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let text = "create.sock_alloc.exit.state == SS_UNCONNECTED";
    let claim = claim(text).unwrap();
    let judge = |machine: usize| crate::claim::judge(&claim, &catalog, &machines[machine]);
    assert_eq!(judge(1).verdict, Verdict::Pass);
    let judgement = judge(0);
    assert_eq!(judgement.verdict, Verdict::Unverified, "{judgement:?}");
    assert!(
        judgement
            .reason
            .unwrap()
            .contains("the tables of this machine's kernel have no `SS_UNCONNECTED`")
    );
}

/// Check that characters which nobody sees are refused: the page would show another claim than the one that was judged.
#[test]
fn hidden_characters() {
    for hidden in [
        '\u{202e}',
        '\u{2066}',
        '\u{200b}',
        '\u{feff}',
        '\u{ad}',
        '\u{0}',
        '\u{1b}',
        '\u{2028}',
        '\u{e0041}',
        '\u{fe0f}',
    ] {
        refused(
            &format!("create.outcome.returned == 3 // {hidden} && false"),
            "which nobody sees",
        );
        refused(
            &format!("create.sock_alloc.exit.name != '{hidden}'"),
            "which nobody sees",
        );
    }
    comes_to(
        "create.sock_alloc.exit.name != 'é\tß'\r\n",
        &evidence(),
        Verdict::Error,
        "holds the word `é\tß`",
    );
}

/// Check that a probe which watched something else when the evidence was captured says nothing about what it is to watch.
#[test]
fn probes_of_an_older_investigation() {
    let mut old = evidence();
    let create = old.experiments.get_mut("create").unwrap();
    create.probes.get_mut("fd_install").unwrap().target =
        crate::document::Target::Function("__fd_install".into());
    comes_to(
        "create.fd_install.args.fd == 3",
        &old,
        Verdict::Unverified,
        "watched the function `__fd_install` when this was captured, and is to watch the function `fd_install`",
    );
    // And it does not vouch for a probe that never fired.
    comes_to(
        "never(exhausted.fd_install)",
        &old,
        Verdict::Unverified,
        "would have been seen",
    );
}

/// Check that it is not known which hit of a probe a path leads to where the kernel skipped others, which may have come
/// before, or where it is not known whether it did.
#[test]
fn skipped_hits_before_those_that_were_seen() {
    for text in [
        "create.sock_alloc.exit.size == 768",
        "create.sock_alloc.hit1.order < create.fd_install.order",
        "before(create.sock_alloc, create.fd_install)",
        "length(create.sock_alloc.stack) > 1",
        "create.sock_alloc.time_ns < create.fd_install.time_ns",
    ] {
        let mut evidence = evidence();
        comes_to(text, &evidence, Verdict::Pass, "");
        for (skipped, reason) in [
            (Some(1), "the kernel skipped 1 hit"),
            (None, "it is not known how many hits"),
        ] {
            let experiment = evidence.experiments.get_mut("create").unwrap();
            experiment.probes.get_mut("sock_alloc").unwrap().skipped = skipped;
            comes_to(text, &evidence, Verdict::Unverified, reason);
        }
    }
}

/// Check that it is not known which hit of a probe with a condition a path leads to where one was left out before it: with more
/// debug information it might have been counted.
#[test]
fn hits_behind_one_that_was_left_out() {
    let mut plan = investigation();
    for experiment in &mut plan.experiments {
        for probe in &mut experiment.probes {
            if probe.name == "sock_alloc" {
                probe.within = Some("outer".into());
            }
        }
    }
    let verdict = |text: &str, undecided: u64, settled: Option<u64>| {
        let mut evidence = evidence();
        let create = evidence.experiments.get_mut("create").unwrap();
        create.probes.get_mut("sock_alloc").unwrap().within = Some(Within {
            function: "outer".into(),
            undecided,
            settled,
            why: Some("no source line is known".into()),
        });
        let machines = [Indexed::new(&evidence)];
        let catalog = Catalog {
            investigation: &plan,
            machines: &machines,
        };
        judge(&claim(text).unwrap(), &catalog, &machines[0]).verdict
    };
    let by_number = "create.sock_alloc.hit1.exit.size == 768";
    let only = "create.sock_alloc.exit.size == 768";
    for text in [by_number, only] {
        assert_eq!(verdict(text, 0, None), Verdict::Pass, "{text}");
        assert_eq!(verdict(text, 1, None), Verdict::Unverified, "{text}");
        assert_eq!(verdict(text, 1, Some(0)), Verdict::Unverified, "{text}");
    }
    assert_eq!(verdict(by_number, 1, Some(1)), Verdict::Pass);
    // With what is left out there might be two.
    assert_eq!(verdict(only, 1, Some(1)), Verdict::Unverified);
}

/// Check that what boots have in common is not taken from fewer of them than the investigation asks for.
#[test]
fn boots_that_are_missing() {
    let mut plan = investigation();
    let mut evidence = evidence();
    evidence.boots = (1..4)
        .map(|number: u64| Boot {
            boot_id: format!("boot {number}"),
            time: "2026-11-28T03:36:38Z".into(),
            slide: Datum::Value(Value::Offset {
                value: (number * 0x20_0000).into(),
            }),
            text: Datum::unavailable("not asked for"),
            physical: Datum::unavailable("not asked for"),
        })
        .collect();
    let judged = |plan: &Investigation, evidence: &Evidence, text: &str| {
        let machines = [Indexed::new(evidence)];
        let catalog = Catalog {
            investigation: plan,
            machines: &machines,
        };
        judge(&claim(text).unwrap(), &catalog, &machines[0])
    };
    for text in [
        "boots.distinct == boots.count",
        "boots.highest == 6291456",
        "boots.boot1.slide != boots.boot2.slide",
    ] {
        plan.boots = 3;
        let whole = judged(&plan, &evidence, text);
        assert_eq!(whole.verdict, Verdict::Pass, "{text}: {whole:?}");
        plan.boots += 1;
        let judgement = judged(&plan, &evidence, text);
        assert_eq!(judgement.verdict, Verdict::Unverified, "{text}");
        assert!(
            judgement
                .reason
                .unwrap()
                .contains("boots that the investigation asks for")
        );
    }
}

/// Check that texts have no order: by their letters, 6.12 would be older than 6.6.
#[test]
fn order_of_texts() {
    for text in [
        "kernel.release < '6.6'",
        "kernel.release >= '6.6'",
        "create.sock_alloc.exit.raw < b'\\x02'",
    ] {
        comes_to(text, &evidence(), Verdict::Error, "does not work on");
    }
    comes_to(
        "version(kernel.release) > version('6.6')",
        &evidence(),
        Verdict::Pass,
        "",
    );
}

/// Check that a value compared with itself under its other name cannot pass.
#[test]
fn two_names_of_one_value() {
    for text in [
        "create.sock_alloc.return == create.sock_alloc.hit1.return",
        "create.fd_install.hit1.args.fd - create.fd_install.args.fd == 0",
        "!before(create.sock_alloc, create.sock_alloc.hit1)",
    ] {
        comes_to(text, &evidence(), Verdict::Error, "cannot fail");
    }
    comes_to(
        "create.sock_alloc.hit1.return == create.sock_alloc.return && create.sock_alloc.return != 0u",
        &evidence(),
        Verdict::Error,
        "`create.sock_alloc.hit1.return == create.sock_alloc.return`: this part cannot be false",
    );
    comes_to(
        "create.twice.hit1.return != create.twice.hit2.return",
        &evidence(),
        Verdict::Pass,
        "",
    );
}

/// Check that a misspelt name proves nothing by its absence, however it is asked for, and that one which is there or is
/// planned does.
#[test]
fn misspelt_names() {
    for (wrong, right) in [
        (
            "name(create.sock_alloc.exit.state) != 'SS_CONECTED'",
            "name(create.sock_alloc.exit.state) != 'SS_CONNECTED'",
        ),
        ("kaslr.status != 'enabled'", "kaslr.status != 'disabled'"),
        (
            "'kprobes' != create.sock_alloc.backend",
            "create.sock_alloc.backend != 'lsm'",
        ),
        (
            "'EMFLIE' != name(exhausted.outcome.returned)",
            "'ENFILE' != name(exhausted.outcome.returned)",
        ),
        (
            "symbol_name(create.sock_alloc.caller) != '__sock_craete'",
            "symbol_name(create.sock_alloc.caller) != 'sock_alloc'",
        ),
        (
            "!(symbol(create.sock_alloc.caller) == '__sock_craete+0x1f')",
            "symbol(create.sock_alloc.caller) == '__sock_create+0x1f'",
        ),
        (
            "function_name(create.sock_alloc.site) != 'nothing'",
            "function_name(create.sock_alloc.site) != 'sock_alloc'",
        ),
        (
            "(create.outcome.returned == 3 ? name(create.sock_alloc.exit.state) : 'SS_FREE') != 'SS_'",
            "(create.outcome.returned == 3 ? name(create.sock_alloc.exit.state) : 'SS_FREE') != 'SS_FREE'",
        ),
    ] {
        comes_to(wrong, &evidence(), Verdict::Error, "");
        comes_to(right, &evidence(), Verdict::Pass, "");
    }
    // Where it would have to be there, it is not.
    let text = "name(create.sock_alloc.exit.state) == 'SS_CONECTED'";
    comes_to(text, &evidence(), Verdict::Fail, "");
}

/// Check that a name which only the plan has is misspelt in both: that some kernel has it is what makes it one.
#[test]
fn names_that_are_only_planned() {
    let text = "symbol_name(create.sock_alloc.caller) != 'fd_install'";
    comes_to(text, &evidence(), Verdict::Pass, "");
    let mut nowhere = evidence();
    for experiment in nowhere.experiments.values_mut() {
        experiment.probes.remove("fd_install");
    }
    nowhere.instances.remove("fd_install");
    comes_to(text, &nowhere, Verdict::Error, "is called `fd_install`");
}

/// Check that a condition with a misspelt name neither takes a claim away nor lets it apply where it should not.
#[test]
fn misspelt_conditions() {
    let evidence = evidence();
    let judged = |when: &str| {
        let judgement = judge_claim(
            &conditional(when, "create.outcome.returned == 3"),
            &evidence,
        );
        (judgement.verdict, judgement.reason.unwrap_or_default())
    };
    for wrong in [
        "symbol_name(create.sock_alloc.caller) == '__sock_craete'",
        "symbol_name(create.sock_alloc.caller) != '__sock_craete'",
    ] {
        let (verdict, reason) = judged(wrong);
        assert_eq!(verdict, Verdict::Error, "{wrong}");
        assert!(reason.starts_with("in the condition: "), "{reason}");
        assert!(reason.contains("is called `__sock_craete`"), "{reason}");
    }
    let (verdict, reason) = judged("machine.kind == 'quest'");
    assert_eq!(verdict, Verdict::Error);
    assert!(
        reason.contains("`machine.kind` is never `quest`"),
        "{reason}"
    );
    let (verdict, _) = judged("symbol_name(create.sock_alloc.caller) == '__sock_create'");
    assert_eq!(verdict, Verdict::Pass);
    let (verdict, _) = judged("symbol_name(create.sock_alloc.caller) == 'sock_alloc'");
    assert_eq!(verdict, Verdict::NotApplicable);
}

/// Check that a claim about a distance that is not there can be shown to fail.
#[test]
fn other_distances() {
    for text in [
        "delta(create.sock_alloc.return, kaslr.symbols._text.live) != 64",
        "!(delta(create.sock_alloc.return, kaslr.symbols._text.live) == -12)",
    ] {
        comes_to(text, &evidence(), Verdict::Pass, "");
    }
}
