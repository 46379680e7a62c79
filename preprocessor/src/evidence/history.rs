//! The history of captures: what was measured, when, and with which outcome. It only grows, up to a limit, and is published
//! with the site; the next publication continues it from there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qed_evidence::Evidence;
use qed_evidence::value::Value;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The largest number of captures in the history; the oldest are dropped.
pub const BOUND: usize = 1_000;

/// The version of this form.
const VERSION: u32 = 1;

/// All captures that were published, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Version of this form.
    pub version: u32,
    /// The captures.
    pub captures: Vec<PastCapture>,
}

impl Default for History {
    fn default() -> Self {
        History {
            version: VERSION,
            captures: Vec::new(),
        }
    }
}

/// One capture on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastCapture {
    /// `run.id` of its evidence.
    pub run: String,
    /// The time at which it was made, UTC, RFC 3339.
    pub time: String,
    /// The machine.
    pub machine: String,
    /// The kernel's release.
    pub kernel: String,
    /// The slide in bytes, of a machine that was booted for this capture, and gone when it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slide: Option<i64>,
    /// The number of claims by verdict.
    pub verdicts: BTreeMap<String, usize>,
}

impl PastCapture {
    /// True if it was made in a throwaway guest.
    pub fn is_of_guest(&self) -> bool {
        self.machine.starts_with("guest:")
    }
}

/// True if a capture may have been made in the boot that this evidence was captured in: its guest was resumed from that boot, which is
/// not younger than the capture and has its slide.
pub fn may_share_boot(capture: &PastCapture, evidence: &Evidence) -> bool {
    let Some(booted) = &evidence.machine.resumed else {
        return false;
    };
    let slide = evidence.kaslr.slide.value().and_then(Value::as_integer);
    let before = match (capture_time(capture), booted.parse::<Timestamp>()) {
        (Some(captured), Ok(booted)) => captured < booted,
        _ => false,
    };
    !before && capture.slide.map(i128::from) == slide
}

/// The changes from a capture of a machine to its next, a phrase each.
pub fn describe_changes(before: &PastCapture, after: &PastCapture) -> Vec<String> {
    let mut out = Vec::new();
    if before.kernel != after.kernel {
        out.push(format!("kernel {} → {}", before.kernel, after.kernel));
    }
    let words: std::collections::BTreeSet<&String> = before
        .verdicts
        .keys()
        .chain(after.verdicts.keys())
        .collect();
    for word in words {
        let count = |capture: &PastCapture| capture.verdicts.get(word).copied().unwrap_or(0);
        if count(before) != count(after) {
            out.push(format!("{word} {} → {}", count(before), count(after)));
        }
    }
    out
}

/// A history that is refused.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// Not JSON of this form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// A file of another version.
    #[error("it has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A capture's time is not one.
    #[error("`{0}` is not a time")]
    Time(String),
}

/// Read a history. The error is a reason.
pub fn read(bytes: &[u8]) -> Result<History, HistoryError> {
    let history: History = serde_json::from_slice(bytes)?;
    if history.version != VERSION {
        return Err(HistoryError::Version(history.version));
    }
    match history
        .captures
        .iter()
        .find(|capture| capture_time(capture).is_none())
    {
        Some(capture) => Err(HistoryError::Time(capture.time.clone())),
        None => Ok(history),
    }
}

fn capture_time(capture: &PastCapture) -> Option<Timestamp> {
    capture.time.parse().ok()
}

/// The history with these captures added. An existing entry stays unchanged, except that its verdicts are updated, because
/// claims change without a capture.
pub fn extend_history(mut history: History, captures: Vec<PastCapture>) -> History {
    for capture in captures {
        let same =
            |known: &&mut PastCapture| known.run == capture.run && known.machine == capture.machine;
        match history.captures.iter_mut().find(same) {
            Some(known) => known.verdicts = capture.verdicts,
            None => history.captures.push(capture),
        }
    }
    history.captures.sort_by_key(capture_time);
    let surplus = history.captures.len().saturating_sub(BOUND);
    history.captures.drain(..surplus);
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(run: usize, time: &str) -> PastCapture {
        PastCapture {
            run: run.to_string(),
            time: time.into(),
            machine: "guest:test".into(),
            kernel: "6.1".into(),
            slide: Some(2 << 20),
            verdicts: BTreeMap::from([("PASS".into(), run)]),
        }
    }

    /// Check that a history grows in the order of time, keeps what it has, and says each capture once.
    #[test]
    fn grows() {
        let old = extend_history(History::default(), vec![capture(2, "2026-02-01T00:00:00Z")]);
        let mut again = capture(2, "2026-03-01T00:00:00Z");
        (again.slide, again.kernel) = (None, "7".into());
        again.verdicts.insert("FAIL".into(), 1);
        let new = extend_history(old.clone(), vec![again, capture(1, "2026-01-01T00:00:00Z")]);
        let runs: Vec<&str> = new.captures.iter().map(|c| c.run.as_str()).collect();
        assert_eq!(runs, ["1", "2"]);
        assert_eq!(
            (new.captures[1].slide, new.captures[1].kernel.as_str()),
            (Some(2 << 20), "6.1")
        );
        assert_eq!(new.captures[1].verdicts["FAIL"], 1);
    }

    /// Check that each change between two captures is told, and none where there is none.
    #[test]
    fn tells_changes() {
        let before = capture(1, "2026-01-01T00:00:00Z");
        let mut after = capture(1, "2026-01-02T00:00:00Z");
        after.slide = None;
        assert!(describe_changes(&before, &after).is_empty());
        after.kernel = "6.12".into();
        after.verdicts = BTreeMap::from([("FAIL".into(), 1)]);
        assert_eq!(
            describe_changes(&before, &after),
            ["kernel 6.1 → 6.12", "FAIL 0 → 1", "PASS 1 → 0"]
        );
    }

    /// Check that the oldest captures go when there are too many.
    #[test]
    fn is_bounded() {
        let all = (0..BOUND + 5)
            .map(|n| {
                capture(
                    n,
                    &format!("2026-01-01T{:02}:{:02}:00Z", n / 60 % 24, n % 60),
                )
            })
            .collect();
        let history = extend_history(History::default(), all);
        assert_eq!(history.captures.len(), BOUND);
        assert_eq!(history.captures[0].run, "5");
    }

    /// Check that anything but a history is refused, and what was written is read again.
    #[test]
    fn reads() {
        let history = extend_history(History::default(), vec![capture(1, "2026-01-01T00:00:00Z")]);
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(read(text.as_bytes()).unwrap(), history);
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("2026-01", "20x6-01"),
            ("\"run\"", "\"ran\""),
            ("}", ""),
        ] {
            assert!(read(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }
}
