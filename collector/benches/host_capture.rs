//! A capture on this machine, warm: the command as a user types it, from its start to its end.
//!
//! `cargo bench -p qed-collector --bench host_capture [-- -n ROUNDS]`. The goal is 300 ms.

mod common;

use std::time::Duration;

use common::{collector, median, ms, rounds};

const GOAL: Duration = Duration::from_millis(300);

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let output = folder.path().join("evidence.json");
    let arguments = ["capture", "--on", "host", "-o", &output.to_string_lossy()];
    if let Err(error) = collector(&arguments) {
        common::skip(error);
    }
    let times: Vec<Duration> = (0..rounds(9))
        .map(|_| collector(&arguments))
        .collect::<anyhow::Result<_>>()?;
    println!(
        "host: capture {:.0} ms, RATIO to the goal of {:.0} ms: {:.2}",
        ms(median(&times)),
        ms(GOAL),
        median(&times).as_secs_f64() / GOAL.as_secs_f64()
    );
    Ok(())
}
