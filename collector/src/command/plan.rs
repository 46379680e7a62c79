//! `qed-collector plan`: what would be probed and read, with types, and what would be refused and why.

use qed_evidence::document::{Reader, Target as ProbeTarget};
use qed_evidence::investigation::Investigation;

use super::capture::{Args, boot};
use super::target::{Target, book};
use super::{Failure, Progress, investigation, print, render};
use crate::capture::perform::ThisKernel;
use crate::guest::{self, cache::Cache, programs::Files};
use crate::job::{Job, plan_answer};
use crate::plan::{PlannedExperiment, PlannedProbe};

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (path, targets) = match &args.book {
        Some(path) => {
            let book = book(path)?;
            (book.investigation, book.machines)
        }
        None => (args.investigation.clone(), args.on.clone()),
    };
    let investigation = investigation(&path)?;
    for target in &targets {
        let progress = Progress::new(target.name());
        let experiments = match target {
            Target::Host => {
                let kernel = ThisKernel::read(&|_| {})?;
                let plan = kernel
                    .plan(&investigation)?
                    .map_err(|problems| Failure::input(render(&problems)))?;
                plan.experiments
            }
            Target::Guest(_, source) => {
                let cache = Cache::of_user()?;
                let kernel =
                    guest::fetch::kernel(source, &cache, args.refresh, &|line| progress.say(line))?;
                let job = Job::Plan {
                    name: investigation.source.name.clone(),
                    text: investigation.source.text.clone(),
                };
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| {
                        Failure::unable(format!("failed to start the runtime: {error}"))
                    })?;
                let run = runtime.block_on(boot(
                    kernel,
                    &job,
                    Files::new(),
                    cache,
                    args.limit,
                    &|line| progress.say(line),
                ))?;
                plan_answer(&run.payload)?
            }
        };
        drop(progress);
        print(&text(target.name(), &investigation, &experiments))?;
    }
    Ok(())
}

/// The plan as text.
fn text(machine: &str, investigation: &Investigation, experiments: &[PlannedExperiment]) -> String {
    let mut out = format!("{machine}\n");
    for command in &investigation.commands {
        let place = match command.on {
            Reader::Machine => "",
            Reader::Builder => " (here, afterwards)",
        };
        let line = command.run.join(" ");
        out += &format!("  commands.{}: runs `{line}`{place}\n", command.name);
    }
    for experiment in experiments {
        let alone = if experiment.isolated {
            " (attached alone)"
        } else {
            ""
        };
        out += &format!("  {}{alone}\n", experiment.name);
        for probe in &experiment.probes {
            out += &probe_text(probe);
        }
    }
    out
}

fn probe_text(probe: &PlannedProbe) -> String {
    let (kind, name) = match &probe.target {
        ProbeTarget::Function(name) => ("function", name),
        ProbeTarget::Tracepoint(name) => ("tracepoint", name),
        ProbeTarget::Lsm(name) => ("LSM hook", name),
        ProbeTarget::Address(name) => ("address", name),
    };
    let title = if *name == probe.name {
        String::new()
    } else {
        format!("{}: ", probe.name)
    };
    let mut out = format!("    {title}{kind} {name}");
    match &probe.source {
        Err(reason) => {
            let optional = if probe.optional { " (optional)" } else { "" };
            out += &format!("\n      REFUSED{optional}: {reason}\n");
            return out;
        }
        Ok(_) => {
            let parameters: Vec<String> = probe
                .parameters
                .iter()
                .map(|p| {
                    let gap = if p.type_name.ends_with('*') { "" } else { " " };
                    let unreadable = p
                        .register
                        .as_ref()
                        .err()
                        .map(|why| format!(" [unreadable: {why}]"));
                    format!(
                        "{}{gap}{}{}",
                        p.type_name,
                        p.name,
                        unreadable.unwrap_or_default()
                    )
                })
                .collect();
            let returns = probe
                .returns
                .as_ref()
                .map(|r| format!(" -> {}", r.type_name))
                .unwrap_or_default();
            out += &format!("({}){returns}\n", parameters.join(", "));
        }
    }
    for (side, reads) in [("entry", &probe.entry), ("exit", &probe.exit)] {
        for read in reads {
            out += &format!(
                "      {side}.{}: {} = {}\n",
                read.name,
                read.decode.type_name(),
                read.path
            );
        }
    }
    for (side, refused) in [
        ("entry", &probe.refused.entry),
        ("exit", &probe.refused.exit),
    ] {
        for (name, reason) in refused {
            out += &format!("      {side}.{name}: REFUSED: {reason}\n");
        }
    }
    out
}
