//! The first process of a guest in tests that ask for more than a capture. Never installed: the privileged program has none
//! of this.

#[allow(dead_code)] // the tests' half
mod job;
mod oracle;
mod ordinary;
mod trace;

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;
use qed_collector::guest::agent::{capture_here, parse_investigation, plan_here};
use qed_collector::guest::init;
use qed_collector::session::commands::Commands;
use qed_collector::workload;

use job::{Chain, JOB, TestJob};
use oracle::Oracle;

fn main() -> ExitCode {
    workload::child_main();
    if init::is_guest_init() {
        init::run(answer);
    }
    eprintln!(
        "error: this program is the first process of a test's guest, and does nothing elsewhere"
    );
    ExitCode::from(2)
}

fn answer() -> anyhow::Result<Vec<u8>> {
    let text = fs::read(JOB).context("failed to read the job")?;
    match serde_json::from_slice(&text).context("failed to understand the job")? {
        TestJob::Ordinary(runs) => Ok(postcard::to_stdvec(&ordinary::answer(&runs)?)?),
        TestJob::Oracle {
            name,
            text,
            experiment,
            chains,
        } => watched_by_oracle(&name, &text, &experiment, chains),
    }
}

fn watched_by_oracle(
    name: &str,
    text: &str,
    experiment: &str,
    chains: Vec<Chain>,
) -> anyhow::Result<Vec<u8>> {
    let investigation = parse_investigation(name, text)?;
    let commands = Commands::of_machine(&investigation);
    let (kernel, plan) = plan_here(&investigation, &Ok(Vec::new()), &[])?;
    let watched = plan.experiments.iter().find(|e| e.name == experiment);
    let watched = watched.with_context(|| format!("there is no experiment {experiment}"))?;
    let oracle = Oracle::new(watched, chains, kernel.btf())?;
    let raw = capture_here(&investigation, kernel, plan, commands, Some(&oracle))?;
    Ok(postcard::to_stdvec(&(raw, oracle.into_view()))?)
}
