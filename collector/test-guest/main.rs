//! The first process of a guest in tests that ask for more than a capture. Never installed: the privileged program has none
//! of this.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

#[allow(dead_code)] // the tests' half
mod job;
mod oracle;
mod ordinary;
mod trace;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use qed_collector::btf::Btf;
use qed_collector::guest::agent::{capture_here, parse_investigation, plan_here};
use qed_collector::guest::init;
use qed_collector::plan;
use qed_collector::session::commands::Commands;
use qed_collector::session::machine_facts;
use qed_collector::session::tracer::Tracer;
use qed_collector::session::workload_spec::workload_spec;
use qed_collector::symbols::running;
use qed_collector::workload;

use job::{Chain, JOB, TestJob, Traced};
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
    if !fs::exists(JOB)? {
        return ping();
    }
    let text = fs::read(JOB).context("failed to read the job")?;
    match serde_json::from_slice(&text).context("failed to understand the job")? {
        TestJob::Ordinary(runs) => Ok(postcard::to_stdvec(&ordinary::answer(&runs)?)?),
        TestJob::Graph { name, text } => traced(&name, &text),
        TestJob::Oracle {
            name,
            text,
            experiment,
            chains,
        } => watched_by_oracle(&name, &text, &experiment, chains),
    }
}

/// The smallest job, which takes no file: says which kernel answered, and its first symbol's address.
fn ping() -> anyhow::Result<Vec<u8>> {
    init::report_progress("ping");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("cannot read the kernel's release")?;
    let mut symbol = String::new();
    let symbols = fs::File::open("/proc/kallsyms").context("cannot open /proc/kallsyms")?;
    BufReader::new(symbols)
        .read_line(&mut symbol)
        .context("cannot read /proc/kallsyms")?;
    Ok(format!("pong {} {}", release.trim(), symbol.trim()).into_bytes())
}

fn traced(name: &str, text: &str) -> anyhow::Result<Vec<u8>> {
    let investigation = parse_investigation(name, text)?;
    let btf = fs::read(machine_facts::BTF)?;
    let types = Btf::parse(&btf)?;
    let tracer = Tracer::start_with_arguments(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut traces = Vec::new();
    for experiment in &investigation.experiments {
        let workload = plan::plan_workload_alone(&types, &experiment.workload)
            .map_err(|why| anyhow::anyhow!("{why}"))?;
        let spec = workload_spec(experiment, &workload, Some(Path::new("/")))?;
        let mut shown = Ok(String::new());
        let look = &mut |root: &Path| {
            let named = fs::write(root.join("options/funcgraph-proc"), "1");
            shown = named.and_then(|()| fs::read_to_string(root.join("trace")));
        };
        let (graph, _) = runtime.block_on(tracer.trace(&spec, look))?;
        traces.push((postcard::to_stdvec(&graph)?, shown?));
    }
    let kallsyms = running::read_kallsyms_text()?;
    Ok(postcard::to_stdvec(&Traced {
        kallsyms,
        btf,
        traces,
    })?)
}

fn watched_by_oracle(
    name: &str,
    text: &str,
    experiment: &str,
    chains: Vec<Chain>,
) -> anyhow::Result<Vec<u8>> {
    let investigation = parse_investigation(name, text)?;
    let commands = Commands::start_for_machine(&investigation, true);
    let (kernel, plan) = plan_here(&investigation, &Ok(Vec::new()), &[])?;
    let watched = plan.experiments.iter().find(|e| e.name == experiment);
    let watched = watched.with_context(|| format!("there is no experiment {experiment}"))?;
    let oracle = Oracle::new(watched, chains, kernel.btf())?;
    let raw = capture_here(&investigation, kernel, plan, commands, Some(&oracle))?;
    Ok(postcard::to_stdvec(&(raw, oracle.into_view()))?)
}
