//! Staleness: whether evidence still speaks of the machine, the kernel and the question at hand.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::document::{Evidence, MachineKind};

/// How things are now. What is not known is not compared.
#[derive(Clone, Debug)]
pub struct Now {
    /// Boot id of the machine that the evidence is of; of a host only, a guest's boot is always over.
    pub boot_id: Option<String>,
    /// `uname -r` of the kernel that the machine has.
    pub release: Option<String>,
    /// GNU build id of the kernel that the machine has, hex.
    pub build_id: Option<String>,
    /// SHA-256 of the investigation file, hex.
    pub investigation_digest: Option<String>,
    /// Version of the collector.
    pub collector: Option<String>,
    /// SHA-256 of the collector's eBPF object, hex.
    pub object_digest: Option<String>,
    /// The time.
    pub time: Timestamp,
    /// How old evidence may be.
    pub max_age: Option<Duration>,
}

/// One way in which evidence is stale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "stale", rename_all = "snake_case")]
pub enum StaleReason {
    /// The host was booted again: its addresses and its slide are others now.
    #[error("the host was booted since the capture")]
    Boot {
        /// Boot id of the capture.
        was: String,
        /// Boot id now.
        now: String,
    },
    /// The machine has another kernel.
    #[error("the machine has another kernel now ({was} then, {now} now)")]
    Kernel {
        /// Release or build id of the capture.
        was: String,
        /// The same now.
        now: String,
    },
    /// The investigation was changed.
    #[error("the investigation was changed since the capture")]
    Investigation,
    /// Another collector made it.
    #[error("another collector made it ({was}, now {now})")]
    Collector {
        /// Version or object digest of the capture.
        was: String,
        /// The same now.
        now: String,
    },
    /// Older than allowed.
    #[error("it is {} old, more than {}", words(*age_s), words(*max_s))]
    Age {
        /// Age in seconds.
        age_s: u64,
        /// The allowed age in seconds.
        max_s: u64,
    },
    /// Its time cannot be right.
    #[error("its time `{time}` {problem}")]
    Time {
        /// The time in the evidence.
        time: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A time in words, in the greatest unit of which there are two.
fn words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How far clocks of two machines may be apart before a time in the future is called that, in seconds.
const CLOCK_SKEW_S: i64 = 300;

/// All ways in which `evidence` is stale; none if it is fresh.
pub fn stale(evidence: &Evidence, now: &Now) -> Vec<StaleReason> {
    let mut reasons = Vec::new();
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
    let collectors = [
        (&evidence.run.collector, &now.collector),
        (&evidence.run.object_digest, &now.object_digest),
    ];
    reasons.extend(collectors.into_iter().find_map(|(was, now)| {
        let now = now.clone()?;
        (*was != now).then(|| StaleReason::Collector {
            was: was.clone(),
            now,
        })
    }));
    reasons.extend(age(evidence, now));
    reasons
}

fn age(evidence: &Evidence, now: &Now) -> Option<StaleReason> {
    let time = evidence.run.time.clone();
    let taken: Timestamp = match time.parse() {
        Ok(taken) => taken,
        Err(_) => {
            let problem = "is no RFC 3339 time".into();
            return Some(StaleReason::Time { time, problem });
        }
    };
    let age_s = now.time.as_second() - taken.as_second();
    if age_s < -CLOCK_SKEW_S {
        let problem = format!("is {} s in the future", -age_s);
        return Some(StaleReason::Time { time, problem });
    }
    let (age_s, max_s) = (u64::try_from(age_s).unwrap_or(0), now.max_age?.as_secs());
    (age_s > max_s).then_some(StaleReason::Age { age_s, max_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::evidence;

    /// One thing that can change.
    type Change = fn(&mut Now);

    fn now() -> Now {
        Now {
            boot_id: Some("b1".into()),
            release: Some("6.12.117+deb12-cloud-amd64".into()),
            build_id: Some("cc".into()),
            investigation_digest: Some("aa".into()),
            collector: Some("0.1.0".into()),
            object_digest: Some("bb".into()),
            time: "2026-11-23T13:00:00Z".parse().unwrap(),
            max_age: Some(Duration::from_secs(3600)),
        }
    }

    /// Check that fresh evidence is fresh and that each change is found and named, and nothing besides it.
    #[test]
    fn each_reason() {
        let mut host = evidence();
        host.machine.kind = MachineKind::Host;
        assert_eq!(stale(&host, &now()), []);
        let changes: [(Change, &str); 9] = [
            (|now| now.boot_id = Some("b2".into()), "booted"),
            (|now| now.release = Some("6.1".into()), "another kernel"),
            (|now| now.build_id = Some("ff".into()), "another kernel"),
            (
                |now| now.investigation_digest = Some("ff".into()),
                "investigation",
            ),
            (|now| now.collector = Some("0.2.0".into()), "collector"),
            (|now| now.object_digest = Some("ff".into()), "collector"),
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
            let reasons = stale(&host, &now);
            assert_eq!(reasons.len(), 1, "{word}: {reasons:?}");
            assert!(reasons[0].to_string().contains(word), "{reasons:?}");
        }
    }

    /// Check that a guest's boot is never compared, that the unknown is not, and that a time that is none is named.
    #[test]
    fn guests_and_unknowns() {
        let mut other = now();
        other.boot_id = Some("b2".into());
        assert_eq!(stale(&evidence(), &other), []);
        let unknown = Now {
            boot_id: None,
            release: None,
            build_id: None,
            investigation_digest: None,
            collector: None,
            object_digest: None,
            time: now().time,
            max_age: None,
        };
        assert_eq!(stale(&evidence(), &unknown), []);
        let mut timeless = evidence();
        timeless.run.time = "yesterday".into();
        assert!(matches!(
            stale(&timeless, &unknown)[..],
            [StaleReason::Time { .. }]
        ));
    }
}
