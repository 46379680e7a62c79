//! Claims with an interval of kernels: true inside, false outside.

use crate::claim::{Claim, Judgement, Verdict, judge};
use crate::document::value::{Datum, Value};
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, judge_claim, place};

fn holding(text: &str, interval: &str) -> Claim {
    let claim = claim(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    claim
        .holding(interval, &place(interval))
        .unwrap_or_else(|errors| panic!("{interval}: {errors:?}"))
}

fn judged(text: &str, interval: &str, release: &str) -> Judgement {
    let mut evidence = evidence();
    evidence.kernel.release = release.into();
    judge_claim(&holding(text, interval), &evidence)
}

/// The judgement on a claim beside a machine inside of its interval, on which [`FALSE`] is true.
fn judged_beside(text: &str, interval: &str, release: &str) -> Judgement {
    let claim = holding(text, interval);
    let mut evidence = evidence();
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
    let inside = releases
        .into_iter()
        .find(|release| holds.contains(release).unwrap_or(false));
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

/// Check that nothing is judged where the release does not say which patch release it is, or is not a version.
#[test]
fn unknown_releases() {
    for (interval, release) in [
        ("..6.1.100", "6.1.0-56-cloud-amd64"),
        ("6.1.100..", "6.1.0-56-cloud-amd64"),
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
        let errors = claim.holding(interval, &place(interval)).unwrap_err();
        assert!(
            errors[0].message.contains(message),
            "{interval}: {errors:?}"
        );
        assert!(errors[0].help.is_some());
    }
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
