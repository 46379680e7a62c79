//! Claims with an interval of kernels: true inside, false outside.

use crate::claim::{Claim, Judgement, KernelVersion, Verdict, judge};
use crate::document::Evidence;
use crate::document::value::{Datum, Value};
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, judge_claim, place};

fn holding(text: &str, interval: &str) -> Claim {
    let claim = claim(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    claim
        .with_interval(interval, &place(interval))
        .unwrap_or_else(|errors| panic!("{interval}: {errors:?}"))
}

fn judged(text: &str, interval: &str, release: &str) -> Judgement {
    judged_of(text, interval, release, "#1 SMP")
}

/// The judgement on a machine with this release and this version string.
fn judged_of(text: &str, interval: &str, release: &str, version: &str) -> Judgement {
    let mut evidence = evidence();
    evidence.kernel.release = release.into();
    evidence.kernel.version = version.into();
    judge_claim(&holding(text, interval), &evidence)
}

/// The judgement on a claim beside a machine inside of its interval, on which [`FALSE`] is true.
fn judged_beside(text: &str, interval: &str, release: &str) -> Judgement {
    let claim = holding(text, interval);
    let mut evidence = evidence();
    evidence.kernel.version = "#1 SMP".into();
    let mut other = evidence.clone();
    evidence.kernel.release = release.into();
    other.kernel.release = inside_of(&claim).into();
    let create = other.experiments.get_mut("create").unwrap();
    create.outcome.returned = Datum::Value(Value::Fd { value: 4 });
    let investigation = crate::testing::investigation();
    let machines = [Indexed::new(&evidence), Indexed::new(&other)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    judge(&claim, &catalog, &machines[0])
}

/// A kernel on which the claim holds.
fn inside_of(claim: &Claim) -> &'static str {
    let holds = claim.holds.as_ref().unwrap();
    let releases = ["6.1.192-2", "6.6.5", "6.12.118", "7.0.12", "7.3.4"];
    let inside = releases.into_iter().find(|release| {
        let kernel = KernelVersion {
            release,
            version: None,
        };
        holds.contains(kernel).unwrap_or(false)
    });
    inside.unwrap()
}

const TRUE: &str = "create.outcome.returned == 3";
const FALSE: &str = "create.outcome.returned == 4";

/// Check that a claim has to be true inside of its interval, both ends included, and false outside, and that being false
/// outside is not enough where no machine shows that it is true inside.
#[test]
fn inside_and_outside() {
    for (interval, release, inside) in [
        ("..7.0", "6.12.118+deb13-cloud-amd64", true),
        ("..7.0", "7.0.13+deb13-amd64", true),
        ("..7.0", "7.1.2", false),
        ("..7.0", "7.1.0-rc3", false),
        ("6.6..", "6.6.0", true),
        ("6.6..", "6.1.0-56-cloud-amd64", false),
        ("6.6..7.0", "6.5.13", false),
        ("6.6..7.0", "6.19.1", true),
        ("6.6.3..6.6", "6.6.2", false),
        ("6.6.3..6.6", "6.6.90", true),
        ("..7.0.12", "7.0.12", true),
        ("..7.0.12", "7.0.13", false),
    ] {
        let at = format!("`{interval}` on {release}");
        let (held, broken) = match inside {
            true => (TRUE, FALSE),
            false => (FALSE, TRUE),
        };
        let judgement = judged_beside(held, interval, release);
        assert_eq!(judgement.verdict, Verdict::Pass, "{at}: {judgement:?}");
        assert!(judgement.control.is_some(), "{at}");
        assert_eq!(judgement.outside.is_some(), !inside, "{at}");
        if !inside {
            let alone = judged(held, interval, release);
            assert_eq!(alone.verdict, Verdict::Unverified, "{at}: {alone:?}");
        }
        let judgement = judged(broken, interval, release);
        assert_eq!(judgement.verdict, Verdict::Fail, "{at}: {judgement:?}");
        let reason = judgement.reason.unwrap_or_default();
        assert_eq!(reason.contains("still true on"), !inside, "{at}: {reason}");
    }
}

/// Check that a machine of another architecture does not show alone that the claim is true inside: it may be the architecture that makes
/// the difference. One beside it that shows the turn on that architecture does.
#[test]
fn inside_on_another_architecture() {
    let claim = holding(FALSE, "7.0..");
    let machine = |release: &str, arch: Option<&str>, returned: i32| {
        let mut evidence = evidence();
        evidence.kernel.version = "#1 SMP".into();
        evidence.kernel.release = release.into();
        evidence.kernel.arch = arch.map(str::to_owned);
        let create = evidence.experiments.get_mut("create").unwrap();
        create.outcome.returned = Datum::Value(Value::Fd { value: returned });
        evidence
    };
    let (old, new) = ("6.12.118", "7.3.4");
    let arm = Some("aarch64");
    let outside = |others: &[Evidence], arch: Option<&str>| {
        let investigation = crate::testing::investigation();
        let first = machine(old, arch, 3);
        let machines: Vec<Indexed<'_>> = [&first]
            .into_iter()
            .chain(others)
            .map(Indexed::new)
            .collect();
        let catalog = Catalog {
            investigation: &investigation,
            machines: &machines,
        };
        judge(&claim, &catalog, &machines[0]).verdict
    };
    let x86 = Some("x86_64");
    assert_eq!(outside(&[machine(new, arm, 4)], x86), Verdict::Unverified);
    assert_eq!(outside(&[machine(new, arm, 4)], None), Verdict::Unverified);
    assert_eq!(outside(&[machine(new, x86, 4)], x86), Verdict::Pass);
    let both = [machine(new, arm, 4), machine(old, arm, 3)];
    assert_eq!(outside(&both, x86), Verdict::Pass);
    let still_true = [machine(new, arm, 4), machine(old, arm, 4)];
    assert_eq!(outside(&still_true, x86), Verdict::Unverified);
}

/// Check that nothing is judged where the release does not say which patch release it is, or is not a version.
#[test]
fn unknown_releases() {
    for (interval, release) in [
        ("..6.1.100", "6.1.0-56-cloud-amd64"),
        ("6.1.100..", "6.1.0-56-cloud-amd64"),
        // Which of 6.1 it is is not known, so that it may be above the first of them.
        ("..6.1.0", "6.1.0-56-cloud-amd64"),
        // Linux itself writes three numbers.
        ("..7.4.0", "7.4-cloud-amd64"),
        ("7.4.1..", "7.4-cloud-amd64"),
        ("..7.0", "mine"),
    ] {
        for text in [TRUE, FALSE] {
            let judgement = judged(text, interval, release);
            assert_eq!(judgement.verdict, Verdict::Unverified, "{judgement:?}");
            assert!(judgement.reason.unwrap().contains("is not known"));
            assert!(judgement.control.is_none());
        }
    }
    // The series alone decides.
    let judgement = judged(TRUE, "..6.2.5", "6.1.0-56-cloud-amd64");
    assert_eq!(judgement.verdict, Verdict::Pass);
}

/// Check that the upstream version that a version string states decides where the release counts builds of a series, on both sides of
/// each bound, and that no bound is decided by a string that states none or contradicts the release.
#[test]
fn upstream_versions() {
    const RELEASE: &str = "6.1.0-57-cloud-amd64";
    const DEBIAN: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-26)";
    for (interval, inside) in [
        ("..6.1.170", false),
        ("..6.1.192", true),
        ("..6.1.0", false),
        ("6.1.170..", true),
        ("6.1.193..", false),
        ("6.1.170..6.1.191", false),
        ("..6.1", true),
        ("6.2..", false),
    ] {
        let judgement = judged_of(TRUE, interval, RELEASE, DEBIAN);
        let expected = match inside {
            true => Verdict::Pass,
            false => Verdict::Fail,
        };
        assert_eq!(judgement.verdict, expected, "{interval}: {judgement:?}");
        let reason = judgement.reason.unwrap_or_default();
        let told = reason.contains("still true on 6.1.0-57-cloud-amd64 (6.1.192), which");
        assert_eq!(told, !inside, "{interval}: {reason}");
    }
    for (release, version, reason) in [
        (RELEASE, "#1 SMP", "states no version"),
        (RELEASE, "#1 SMP Debian 6.1.19", "states no version"),
        (RELEASE, "#1 SMP Debian 6.12.19-1", "states version 6.12.19"),
        (
            "6.1.99",
            "#1 SMP Debian 6.1.192-1",
            "states version 6.1.192",
        ),
        // A release candidate is no release.
        ("6.1.0-rc2", "#1 SMP Debian 6.1-1", "states version 6.1.0"),
        (
            "6.1.0-rc2",
            "#1 SMP Debian 6.1.192-1",
            "states version 6.1.192",
        ),
    ] {
        for interval in ["..6.1.170", "6.1.170..", "..6.1.192"] {
            for text in [TRUE, FALSE] {
                let judgement = judged_of(text, interval, release, version);
                assert_eq!(judgement.verdict, Verdict::Unverified, "{judgement:?}");
                let told = judgement.reason.unwrap_or_default();
                assert!(told.contains(reason), "{told}");
            }
        }
    }
    // The release is exact, and what states no version says nothing against it.
    let judgement = judged_of(TRUE, "..6.1.170", "6.1.99", "#1 SMP");
    assert_eq!(judgement.verdict, Verdict::Pass);
}

/// Check the order of kernels by the version that they state, and that one that contradicts itself has none.
#[test]
fn order_of_kernels() {
    let order = |release, version| {
        KernelVersion {
            release,
            version: Some(version),
        }
        .order()
    };
    let debian = order("6.1.0-57-cloud-amd64", "#1 SMP Debian 6.1.192-1");
    assert!(debian > order("6.1.170", "#1 SMP"));
    assert!(debian < order("6.1.193", "#1 SMP") && debian < order("6.6.1", "#1"));
    let candidate = order("7.4-cloud-amd64", "#1 SMP Debian 7.4~rc2-1~exp1");
    assert!(candidate < order("7.4.0", "#1") && candidate > order("7.3.9", "#1"));
    assert_eq!(order("6.1.0-57", "#1 SMP Debian 6.12.1-1"), None);
    assert_eq!(order("mine", "#1 SMP Debian 6.12.1-1"), None);
}

/// Check that what is missing, misspelt or senseless is not a falsehood that the interval asks for.
#[test]
fn falsehood_takes_evidence() {
    for (text, verdict) in [
        (
            "create.update_socket_protocol.return == 6",
            Verdict::Unverified,
        ),
        ("kernel.config.kretprobes == 'n'", Verdict::Error),
        ("create.sock_alloc.return == 3", Verdict::Error),
    ] {
        let judgement = judged(text, "..7.0", "7.3.4");
        assert_eq!(judgement.verdict, verdict, "{text}: {judgement:?}");
    }
}

/// Check that operands are located in the claim as it is written, on kernels outside of the interval, too.
#[test]
fn operands_are_in_the_claim() {
    let judgement = judged(FALSE, "..7.0", "7.3.4");
    let operand = &judgement.operands[0];
    assert_eq!(&FALSE[operand.range.clone()], "create.outcome.returned");
}

/// Check that each malformed interval is refused with what is wrong with it.
#[test]
fn malformed_intervals() {
    for (interval, message) in [
        ("7.0", "not an interval"),
        ("..", "every kernel"),
        ("", "not an interval"),
        ("7.1..7.0", "empty"),
        ("7.0.3..7.0.2", "empty"),
        ("..7", "not a kernel version"),
        ("..7.0.1.2", "not a kernel version"),
        ("..7.0-rc1", "not a kernel version"),
        ("..7.", "not a kernel version"),
        (" ..7.0", "not a kernel version"),
        ("6.1...7.0", "not a kernel version"),
    ] {
        let claim = claim(TRUE).unwrap();
        let errors = claim.with_interval(interval, &place(interval)).unwrap_err();
        assert!(
            errors[0].message.contains(message),
            "{interval}: {errors:?}"
        );
        assert!(errors[0].help.is_some());
    }
}

/// Check that the control takes the same path as the verdict, so that a claim, or a part of one, that only says on which side of its
/// interval the kernel is, is refused on both sides; likewise what only repeats a condition.
#[test]
fn claims_that_repeat_their_interval() {
    for text in [
        "kernel_at_least('6.12')",
        "version(kernel.release) > version('6.2')",
        "kernel_at_least('6.12') && create.outcome.returned == 3",
        "create.outcome.returned == 3 && kernel_at_least('6.5')",
        "kernel_at_least('6.12') || create.outcome.returned == 4",
        "create.outcome.returned == 3 && !(version(kernel.release) < version('6.12'))",
        "kernel_at_least('6.12') ? create.outcome.returned == 3 : create.outcome.returned == 4",
    ] {
        for release in [
            "6.12.118+deb13-cloud-amd64",
            "6.1.0-57-cloud-amd64",
            "7.3.4",
        ] {
            // Between 6.5 and 6.12 it would be wrong.
            if text.contains("'6.5'") && release.starts_with("6.1.") {
                continue;
            }
            let judgement = judged(text, "6.12..", release);
            assert_eq!(
                judgement.verdict,
                Verdict::Error,
                "{text} on {release}: {judgement:?}"
            );
            let reason = judgement.reason.unwrap();
            assert!(reason.contains("interval"), "{text} on {release}: {reason}");
        }
    }
    for (text, when) in [
        (
            "create.outcome.returned == 3 && kernel_at_least('6.12')",
            "kernel_at_least('6.12')",
        ),
        (
            "create.outcome.returned == 3 && create.outcome.errno == 0",
            "create.outcome.errno == 0",
        ),
    ] {
        let claim = Claim::parse("a_claim", text, place(text), Some((when, place(when)))).unwrap();
        let judgement = judge_claim(&claim, &evidence());
        assert_eq!(judgement.verdict, Verdict::Error, "{text}: {judgement:?}");
        let reason = judgement.reason.unwrap();
        assert!(reason.contains("its condition says the same"), "{reason}");
    }
    // What reads the release, and could be false inside.
    for (text, when) in [
        (
            "create.outcome.returned == 3 && version(kernel.release) < version('7.0')",
            "kernel_at_least('6.6')",
        ),
        (
            "create.outcome.returned >= 3 && create.outcome.returned < 5",
            "create.outcome.returned > 2",
        ),
    ] {
        let claim = Claim::parse("a_claim", text, place(text), Some((when, place(when)))).unwrap();
        let judgement = judge_claim(&claim, &evidence());
        let expected = if text.contains(">= 3") {
            Verdict::Error
        } else {
            Verdict::Pass
        };
        assert_eq!(judgement.verdict, expected, "{text}: {judgement:?}");
    }
    let text = "create.outcome.returned == 3 && starts_with(kernel.release, '6.12.')";
    let judgement = judged(text, "6.6..", "6.12.118");
    assert_eq!(judgement.verdict, Verdict::Pass, "{judgement:?}");
}

/// Check that a side that is always true is no more allowed in a claim that has to be false than in one that has to be true.
#[test]
fn idle_sides() {
    for text in [
        "create.outcome.returned == 4 && 1 == 1",
        "true && create.outcome.returned == 4",
        "create.outcome.returned == 4 && !false && create.outcome.errno == 0",
    ] {
        let judgement = judged(text, "..7.0", "7.3.4");
        assert_eq!(judgement.verdict, Verdict::Error, "{text}: {judgement:?}");
        assert!(judgement.reason.unwrap().contains("this part cannot be"));
    }
    let text = "create.outcome.returned == 4 && create.outcome.errno == 0";
    assert_eq!(judged_beside(text, "..7.0", "7.3.4").verdict, Verdict::Pass);
}
