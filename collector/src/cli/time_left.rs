//! The time that is left of a piece of work, by the steps of the last time that it was done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The slowest and the fastest that work can be, compared with the last time: a busy machine, and a cache that was empty then.
const PACE: std::ops::RangeInclusive<f64> = 0.25..=4.0;

/// The steps of a piece of work, each with the milliseconds since its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    list: Vec<(String, u64)>,
    /// Milliseconds of all of it; `None`: it is not finished.
    total: Option<u64>,
}

impl Steps {
    /// Note that a step begins.
    pub fn begin(&mut self, step: &str, at: Duration) {
        self.list.push((strip_numbers(step), millis(at)));
    }

    /// Note the end of all steps.
    pub fn finish(&mut self, at: Duration) {
        self.total = Some(millis(at));
    }

    /// The steps, each with the milliseconds since the beginning and `#` for its digits.
    pub fn list(&self) -> &[(String, u64)] {
        &self.list
    }

    /// Milliseconds of all of it; `None`: it is not finished.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The time that is left when the newest step begins, if everything goes on as in `last` and at the pace of the steps so far;
    /// `None`: `last` had no such step.
    pub fn remaining(&self, last: &Steps) -> Option<Duration> {
        let (step, now) = self.list.last()?;
        let nth = self.list.iter().filter(|(other, _)| other == step).count();
        let mut same = last.list.iter().filter(|(other, _)| other == step);
        let (_, then) = same.nth(nth.checked_sub(1)?)?;
        let rest = last.total?.checked_sub(*then)?;
        let pace = match *then {
            0 => 1.0,
            then => (*now as f64 / then as f64).clamp(*PACE.start(), *PACE.end()),
        };
        Some(Duration::from_millis((rest as f64 * pace) as u64))
    }
}

/// A time that is left, in a few words: `about 12 s left`.
pub fn format_time_left(left: Duration) -> String {
    match left.as_secs() {
        0 => "almost done".into(),
        seconds @ 1..120 => format!("about {seconds} s left"),
        seconds => format!("about {} min left", seconds.div_ceil(60)),
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// A step as it is found again: how many bytes have arrived differs from time to time.
fn strip_numbers(step: &str) -> String {
    let mut text = String::with_capacity(step.len());
    for c in step.chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(list: &[(&str, u64)], total: Option<u64>) -> Steps {
        let mut steps = Steps::default();
        for (step, at) in list {
            steps.begin(step, Duration::from_millis(*at));
        }
        if let Some(total) = total {
            steps.finish(Duration::from_millis(total));
        }
        steps
    }

    /// Check that the time left is that of the same step of the last time, at the pace of this time, and that of a step which
    /// comes twice the second one is meant the second time.
    #[test]
    fn like_the_last_time() {
        let last = steps(
            &[
                ("booting", 0),
                ("loaded in 7 ms", 4000),
                ("detached", 6000),
                ("detached", 9000),
            ],
            Some(10_000),
        );
        let left = |list: &[(&str, u64)]| {
            let left = steps(list, None).remaining(&last);
            left.map(|left| left.as_millis())
        };
        assert_eq!(left(&[("booting", 0)]), Some(10_000));
        assert_eq!(left(&[("loaded in 12 ms", 8000)]), Some(12_000));
        assert_eq!(left(&[("detached", 6000)]), Some(4000));
        assert_eq!(left(&[("detached", 6000), ("detached", 9000)]), Some(1000));
        assert_eq!(
            left(&[("detached", 6000), ("detached", 7000), ("detached", 9000)]),
            None
        );
        assert_eq!(left(&[("something else", 1)]), None);
        assert_eq!(left(&[]), None);
    }

    /// Check that work which did not end the last time, or whose steps are out of order, gives no estimate, and that one slow
    /// step does not make hours of the rest.
    #[test]
    fn no_estimate_out_of_nothing() {
        let now = steps(&[("booting", 5000)], None);
        assert_eq!(now.remaining(&steps(&[("booting", 10)], None)), None);
        assert_eq!(now.remaining(&steps(&[("booting", 10)], Some(9))), None);
        let left = now.remaining(&steps(&[("booting", 10)], Some(1010)));
        assert_eq!(left, Some(Duration::from_secs(4)));
        assert_eq!(now.remaining(&Steps::default()), None);
    }

    /// Check the words for short and long times.
    #[test]
    fn words() {
        for (seconds, wanted) in [
            (0, "almost done"),
            (1, "about 1 s left"),
            (119, "about 119 s left"),
            (121, "about 3 min left"),
        ] {
            assert_eq!(format_time_left(Duration::from_secs(seconds)), wanted);
        }
    }
}
