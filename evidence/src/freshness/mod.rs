//! Staleness: a comparison of evidence with the current machine, kernel, programs and investigation.

mod model;
mod programs;

use std::time::Duration;

use jiff::Timestamp;

use crate::document::{Evidence, MachineKind};
use crate::lock::Pin;

pub use model::{Comparison, CurrentState, DigestNow, ProgramNow, ProgramRunner, StaleReason};

/// The name of the collector's part among what could not be compared.
const COLLECTOR: &str = "the collector's eBPF object";

/// True if something that could not be compared is the collector alone, which a reader does not have.
pub fn is_of_collector(not_compared: &str) -> bool {
    not_compared.starts_with(COLLECTOR)
}

/// The difference between the clocks of two machines that makes no time one in the future, in seconds.
const CLOCK_SKEW_S: i64 = 300;

/// Compare evidence with how things are now.
pub fn compare_to_current_state(evidence: &Evidence, now: &CurrentState) -> Comparison {
    let mut found = Comparison::default();
    let reasons = &mut found.stale;
    let host = evidence.machine.kind == MachineKind::Host;
    if let Some(boot) = now.boot_id.as_ref().filter(|_| host)
        && *boot != evidence.machine.boot_id
    {
        reasons.push(StaleReason::Boot {
            was: evidence.machine.boot_id.clone(),
            now: boot.clone(),
        });
    }
    let build_id = evidence.kernel.build_id.value().map(ToString::to_string);
    let kernels = [
        (Some(evidence.kernel.release.clone()), &now.release),
        (build_id, &now.build_id),
    ];
    reasons.extend(kernels.into_iter().find_map(|(was, now)| {
        let (was, now) = (was?, now.clone()?);
        (was != now).then_some(StaleReason::Kernel { was, now })
    }));
    if let Some(digest) = &now.investigation_digest
        && *digest != evidence.run.investigation_digest
    {
        reasons.push(StaleReason::Investigation);
    }
    let object = match &now.object_digest {
        DigestNow::Known(digest) => Some(digest),
        DigestNow::Unknown(_) => None,
    };
    let collectors = [
        (&evidence.run.collector, now.collector.as_ref()),
        (&evidence.run.object_digest, object),
    ];
    reasons.extend(collectors.into_iter().find_map(|(was, now)| {
        let now = now?.clone();
        (*was != now).then(|| StaleReason::Collector {
            was: was.clone(),
            now,
        })
    }));
    if let Some(booted) = evidence.machine.resumed.clone().filter(|_| now.boots) {
        reasons.push(StaleReason::Resumed { booted });
    }
    compare_image(evidence, now, &mut found);
    compare_pinned_kernel(evidence, now, &mut found);
    programs::compare_programs(evidence, now, &mut found);
    found.stale.extend(check_age(evidence, now));
    if let DigestNow::Unknown(why) = &now.object_digest {
        found.not_compared.push(format!("{COLLECTOR}: {why}"));
    }
    found
}

/// Report another kernel under the same name.
fn compare_image(evidence: &Evidence, now: &CurrentState, found: &mut Comparison) {
    let cannot = |why: &str| format!("the kernel image: {why}");
    match (&evidence.kernel.image_digest, &now.image_digest) {
        (_, None) => {}
        (None, Some(_)) => found
            .not_compared
            .push(cannot("the evidence does not say which one was booted")),
        (_, Some(DigestNow::Unknown(why))) => found.not_compared.push(cannot(why)),
        (Some(was), Some(DigestNow::Known(now))) if was != now => {
            found.stale.push(StaleReason::Image {
                was: was.clone(),
                now: now.clone(),
            })
        }
        _ => {}
    }
}

/// Another kernel than the lock file's.
fn compare_pinned_kernel(evidence: &Evidence, now: &CurrentState, found: &mut Comparison) {
    let Some(pin) = &now.pin else { return };
    let kernel = &evidence.kernel;
    match compare_pin(
        kernel.package.as_deref(),
        kernel.image_digest.as_deref(),
        pin,
    ) {
        Ok(reason) => found.stale.extend(reason),
        Err(why) => found.not_compared.push(format!("the pinned kernel: {why}")),
    }
}

/// Evidence that cannot be compared with a pinned kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the evidence does not say which package or image was booted")]
pub struct UnknownKernel;

/// Compare the kernel that was booted, by its package or the digest of its image, with the one that the lock file pins.
///
/// # Errors
/// The evidence does not say what was booted.
pub fn compare_pin(
    package: Option<&str>,
    image_digest: Option<&str>,
    pin: &Pin,
) -> Result<Option<StaleReason>, UnknownKernel> {
    let (was, now) = match pin {
        Pin::Packages(packages) => (package, packages.package()),
        Pin::Image { sha256 } => (image_digest, sha256.clone()),
    };
    let was = was.ok_or(UnknownKernel)?;
    Ok((was != now).then(|| StaleReason::Pinned {
        was: was.to_owned(),
        now,
    }))
}

fn check_age(evidence: &Evidence, now: &CurrentState) -> Option<StaleReason> {
    let own = compare_age(&evidence.run.time, now.time, now.max_age);
    if matches!(own, Some(StaleReason::Time { .. })) {
        return own;
    }
    // A boot that was kept from an earlier capture has a time of its own.
    let ahead = evidence.boots.iter().find_map(|boot| {
        let booted: Timestamp = boot.time.parse().ok()?;
        let ahead = booted.as_second() - now.time.as_second();
        (ahead > CLOCK_SKEW_S).then(|| StaleReason::Time {
            time: boot.time.clone(),
            problem: format!("of a boot is {ahead} s in the future"),
        })
    });
    ahead.or(own)
}

/// Compare the time of a capture, RFC 3339, with the present and with the greatest age.
pub fn compare_age(time: &str, now: Timestamp, max_age: Option<Duration>) -> Option<StaleReason> {
    let wrong = |problem: String| {
        let time = time.to_owned();
        Some(StaleReason::Time { time, problem })
    };
    let Ok(taken) = time.parse::<Timestamp>() else {
        return wrong("is not an RFC 3339 time".into());
    };
    let age_s = now.as_second() - taken.as_second();
    if age_s < -CLOCK_SKEW_S {
        return wrong(format!("is {} s in the future", -age_s));
    }
    let (age_s, max_s) = (u64::try_from(age_s).unwrap_or(0), max_age?.as_secs());
    (age_s > max_s).then_some(StaleReason::Age { age_s, max_s })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::evidence;

    /// One change of the current state.
    type Change = fn(&mut CurrentState);

    fn now() -> CurrentState {
        CurrentState {
            boot_id: Some("b1".into()),
            release: Some("6.12.117+deb12-cloud-amd64".into()),
            build_id: Some("cc".into()),
            investigation_digest: Some("aa".into()),
            collector: Some("0.1.0".into()),
            object_digest: DigestNow::Known("bb".into()),
            image_digest: None,
            pin: None,
            programs: BTreeMap::new(),
            time: "2026-11-23T13:00:00Z".parse().unwrap(),
            max_age: Some(Duration::from_secs(3600)),
            boots: true,
        }
    }

    /// Check that fresh evidence is fresh and that each change is found and named, and nothing besides it.
    #[test]
    fn each_reason() {
        let mut host = evidence();
        host.machine.kind = MachineKind::Host;
        assert_eq!(
            compare_to_current_state(&host, &now()),
            Comparison::default()
        );
        let changes: [(Change, &str); 9] = [
            (|now| now.boot_id = Some("b2".into()), "booted"),
            (|now| now.release = Some("6.1".into()), "another kernel"),
            (|now| now.build_id = Some("ff".into()), "another kernel"),
            (
                |now| now.investigation_digest = Some("ff".into()),
                "investigation",
            ),
            (|now| now.collector = Some("0.2.0".into()), "collector"),
            (
                |now| now.object_digest = DigestNow::Known("ff".into()),
                "collector",
            ),
            (
                |now| now.time = "2026-11-23T13:00:01Z".parse().unwrap(),
                "60 minutes old",
            ),
            (
                |now| now.time = "2026-11-23T11:00:00Z".parse().unwrap(),
                "future",
            ),
            (
                |now| now.max_age = Some(Duration::from_secs(1)),
                "60 minutes old, more than 1 s",
            ),
        ];
        for (change, word) in changes {
            let mut now = now();
            change(&mut now);
            let reasons = compare_to_current_state(&host, &now).stale;
            assert_eq!(reasons.len(), 1, "{word}: {reasons:?}");
            assert!(reasons[0].to_string().contains(word), "{reasons:?}");
        }
    }

    /// Check that evidence of another kernel than the pinned one is stale, that evidence which does not say of which it is
    /// is told as not compared, and that of the pinned one is fresh.
    #[test]
    fn pinned() {
        let part = |version: &str| crate::lock::LockedPackage {
            package: "linux-image-x".into(),
            version: version.into(),
            size: 1,
            sha256: "0".repeat(64),
        };
        let packages = |version: &str| {
            Pin::Packages(Box::new(crate::lock::Packages {
                release: "x".into(),
                image: part(version),
                config: None,
                modules: None,
                debug_info: None,
            }))
        };
        let image = |digit: &str| Pin::Image {
            sha256: digit.repeat(64),
        };
        let mut evidence = evidence();
        evidence.kernel.package = Some("linux-image-x 1-1".into());
        evidence.kernel.image_digest = Some("a".repeat(64));
        let compare = |evidence: &Evidence, pin: Pin| {
            let now = CurrentState {
                pin: Some(pin),
                ..now()
            };
            compare_to_current_state(evidence, &now)
        };
        for fits in [packages("1-1"), image("a")] {
            assert_eq!(compare(&evidence, fits), Comparison::default());
        }
        for other in [packages("1-2"), image("b")] {
            let found = compare(&evidence, other).stale;
            assert!(
                matches!(found.as_slice(), [StaleReason::Pinned { .. }]),
                "{found:?}"
            );
        }
        evidence.kernel.package = None;
        evidence.kernel.image_digest = None;
        for pin in [packages("1-1"), image("a")] {
            let found = compare(&evidence, pin);
            assert!(found.stale.is_empty() && found.not_compared.len() == 1);
        }
    }

    /// Check that a guest's boot is never compared, that the unknown is not, and that a time that is none is named.
    #[test]
    fn guests_and_unknowns() {
        let mut other = now();
        other.boot_id = Some("b2".into());
        assert_eq!(
            compare_to_current_state(&evidence(), &other),
            Comparison::default()
        );
        let unknown = CurrentState {
            boot_id: None,
            release: None,
            build_id: None,
            investigation_digest: None,
            collector: None,
            object_digest: DigestNow::Unknown("there is none".into()),
            image_digest: None,
            pin: None,
            programs: BTreeMap::new(),
            time: now().time,
            max_age: None,
            boots: false,
        };
        let found = compare_to_current_state(&evidence(), &unknown);
        assert_eq!(found.stale, []);
        assert_eq!(
            found.not_compared,
            ["the collector's eBPF object: there is none"]
        );
        let mut timeless = evidence();
        timeless.run.time = "yesterday".into();
        assert!(matches!(
            compare_to_current_state(&timeless, &unknown).stale[..],
            [StaleReason::Time { .. }]
        ));
    }

    /// Check that evidence of a resumed guest is stale where a boot is asked for, and only there.
    #[test]
    fn resumed() {
        let mut guest = evidence();
        guest.machine.resumed = Some("2026-11-23T12:00:00Z".into());
        let mut now = now();
        let found = compare_to_current_state(&guest, &now).stale;
        assert!(
            matches!(found[..], [StaleReason::Resumed { .. }]),
            "{found:?}"
        );
        now.boots = false;
        assert_eq!(
            compare_to_current_state(&guest, &now),
            Comparison::default()
        );
    }

    /// Check that another image behind the same name is found, and that one which cannot be compared is said, not passed
    /// over.
    #[test]
    fn images() {
        let mut guest = evidence();
        let mut now = now();
        now.image_digest = Some(DigestNow::Known("ee".into()));
        let found = compare_to_current_state(&guest, &now);
        assert!(found.stale.is_empty() && found.not_compared.len() == 1);
        guest.kernel.image_digest = Some("ee".into());
        assert_eq!(
            compare_to_current_state(&guest, &now),
            Comparison::default()
        );
        guest.kernel.image_digest = Some("ff".into());
        assert!(matches!(
            compare_to_current_state(&guest, &now).stale[..],
            [StaleReason::Image { .. }]
        ));
        now.image_digest = Some(DigestNow::Unknown("there is no such file".into()));
        let found = compare_to_current_state(&guest, &now);
        assert_eq!(found.stale, []);
        assert_eq!(
            found.not_compared,
            ["the kernel image: there is no such file"]
        );
    }
}
