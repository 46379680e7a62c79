//! `qed-collector plan`: shows what would be probed and read, with types, and what would be refused and why.

use qed_evidence::document::{Reader, Target as ProbeTarget};
use qed_evidence::investigation::{Action, Investigation};
use qed_evidence::lock::Lock;
use qed_evidence::observation::{may_be_text, text_instead};

use super::failure::Failure;
use super::guest_boot::boot;
use super::instances::{self, ProbedFunctions};
use super::investigation::read_investigation;
use super::kernel_files::{DebugInfo, chosen_in, of_this_machine, static_sources};
use super::lock;
use super::modules;
use super::output::{Format, json, print, render};
use super::plan_report::{ExperimentReport, MachineReport};
use super::progress::Progress;
use super::request::{CaptureRequest, RequestArgs, requested};
use super::runtime::runtime;
use super::target::Target;
use crate::assemble::symbolize::Static;
use crate::guest::protocol::{Job, plan_answer};
use crate::guest::{cache::Cache, host_binaries::Files};
use crate::plan::expr::{Decode, Field};
use crate::plan::{PlannedExperiment, PlannedProbe};
use crate::reason::Reason;
use crate::session::ThisKernel;
use crate::symbols::functions_by_file::chosen;

/// The machine that this program runs on.
const HOST: &str = "host";

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The investigation and the machines.
    #[command(flatten)]
    pub asked: RequestArgs,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (format, args) = (args.format, &args.asked);
    let CaptureRequest {
        investigation: path,
        machines: targets,
        lock,
        debuginfo,
        ..
    } = requested(args)?;
    let investigation = read_investigation(&path)?;
    let mut unknown: Option<Vec<String>> = None;
    let mut reports = Vec::new();
    for target in &targets {
        let debuginfo = debuginfo.of(target.name());
        let progress = Progress::new(target.name());
        let (experiments, fixed) = planned_on(
            target,
            &investigation,
            debuginfo,
            lock.as_ref(),
            args,
            &progress,
        )?;
        let found = instances::find(&experiments, &fixed);
        drop(progress);
        let (text, refused) = text(target.name(), &investigation, &experiments, &found);
        match format {
            Format::Text => print(&text)?,
            Format::Json => reports.push(MachineReport {
                machine: target.name().to_owned(),
                announced: announced(target.name(), &investigation)
                    .lines()
                    .map(|line| line.trim().to_owned())
                    .collect(),
                experiments: (experiments.iter())
                    .map(|experiment| ExperimentReport::new(experiment, &found))
                    .collect(),
                refused: refused.clone(),
            }),
        }
        unknown = Some(match unknown {
            None => refused,
            // Another kernel may have what this one lacks.
            Some(others) => others
                .into_iter()
                .filter(|one| refused.contains(one))
                .collect(),
        });
    }
    if format == Format::Json {
        print(&json(&reports)?)?;
    }
    match unknown.filter(|unknown| !unknown.is_empty()) {
        None => Ok(()),
        Some(refused) => Err(Failure::input(format!(
            "refused on every machine that was asked, so what is read there would be UNVERIFIED: {}. See REFUSED above; a probe \
             that may be missing is `optional = true`",
            refused.join(", ")
        ))),
    }
}

/// The experiments of the plan on one machine, and the files of its kernel that do not change. Boots a guest.
fn planned_on(
    target: &Target,
    investigation: &Investigation,
    debuginfo: &DebugInfo,
    lock: Option<&Lock>,
    args: &RequestArgs,
    progress: &Progress,
) -> Result<(Vec<PlannedExperiment>, Static), Failure> {
    match target {
        Target::Host => {
            let modules = modules::on_host(investigation)?;
            let kernel = ThisKernel::read(&modules.names, &|_| {})?;
            let vmlinux = of_this_machine(debuginfo);
            let plan = kernel
                .plan(investigation, &chosen(investigation, &vmlinux, None))?
                .map_err(|problems| Failure::input(render(&problems)))?;
            let fixed = Static {
                vmlinux,
                ..Static::default()
            };
            Ok((plan.experiments, fixed))
        }
        Target::Guest(name, source) => {
            let cache = Cache::of_user()?;
            let say = |line: &str| progress.say(line);
            let kernel = lock::kernel(lock, name, source, &cache, args.refresh, &say)?;
            // What is not here is not fetched for a look.
            let mut fixed = static_sources(&kernel, &cache, debuginfo, false, &say);
            if let Some(why) = &fixed.unchecked {
                fixed.no_debuginfo.get_or_insert_with(|| why.clone());
                fixed.vmlinux.clear();
            }
            let modules = modules::for_guest(investigation, &kernel, &cache, &say)?;
            let job = Job::Plan {
                name: investigation.source.name.clone(),
                text: investigation.source.text.clone(),
                chosen: chosen_in(investigation, &fixed),
                modules: modules.names,
            };
            let run = runtime()?.block_on(boot(
                kernel,
                &job,
                Files {
                    contents: modules.files.into_iter().collect(),
                    ..Files::default()
                },
                cache,
                args.limit,
                &|line| progress.say(line),
            ))?;
            Ok((plan_answer(&run.payload)?, fixed))
        }
    }
}

/// The plan as text, and the functions that it has on stacks and that there are none of.
fn text(
    machine: &str,
    investigation: &Investigation,
    experiments: &[PlannedExperiment],
    found: &Result<ProbedFunctions, Reason>,
) -> (String, Vec<String>) {
    let mut unknown = Vec::new();
    let mut out = format!("{machine}\n");
    out += &announced(machine, investigation);
    for experiment in experiments {
        let alone = if experiment.isolated {
            " (attached alone)"
        } else {
            ""
        };
        out += &format!("  {}{alone}\n", experiment.name);
        if let Some(reason) = &experiment.refused {
            out += &format!("    workload\n      REFUSED: {reason}\n");
            unknown.push(format!("the workload of `{}`", experiment.name));
        }
        for probe in &experiment.probes {
            let refused = found.as_ref().ok().and_then(|found| found.refused(probe));
            out += &probe_text(probe, refused);
            if let (Some(_), Some(name)) = (refused, &probe.within) {
                unknown.push(format!(
                    "`within = \"{name}\"` of `{}.{}`",
                    experiment.name, probe.name
                ));
            } else if let (Ok(found), Ok(_)) = (found, &probe.source) {
                out += &found.text(experiment, probe);
            }
            unknown.extend(refusals(&experiment.name, probe));
        }
    }
    if let Err(reason) = found {
        out += &format!(
            "  copies of functions are not known, so silence would prove nothing: {reason}\n"
        );
    }
    (out, unknown)
}

/// The programs that are run: on a host they are its user's, with his rights, and so is what they write.
fn announced(machine: &str, investigation: &Investigation) -> String {
    let is_host = machine == HOST;
    let here = if is_host {
        " on this host, with your rights"
    } else {
        ""
    };
    let mut out = String::new();
    for line in &investigation.setup {
        let line = line.words.join(" ");
        out += &match is_host {
            true => format!("  guest.setup: `{line}` is not run, because this is not a guest\n"),
            false => format!("  guest.setup: runs `{line}` first\n"),
        };
    }
    for command in &investigation.commands {
        let place = match command.on {
            Reader::Machine => here,
            Reader::Builder => " (here, afterwards)",
        };
        let line = command.run.join(" ");
        out += &format!("  commands.{}: runs `{line}`{place}\n", command.name);
    }
    for experiment in &investigation.experiments {
        let workload = &experiment.workload;
        if is_host && !workload.around.files.is_empty() {
            out += &format!(
                "  {}: is not run, because its `files` are put into guests alone\n",
                experiment.name
            );
        } else if is_host && matches!(workload.action, Action::Command(_)) {
            out += &format!(
                "  {}: runs `{}`{here}\n",
                experiment.name,
                experiment.workload_text()
            );
        }
    }
    out
}

/// The probe and the reads of it that are refused, where they may not be missing.
fn refusals(experiment: &str, probe: &PlannedProbe) -> Vec<String> {
    if probe.optional {
        return Vec::new();
    }
    let at = format!("{experiment}.{}", probe.name);
    if probe.source.is_err() {
        return vec![format!("`{at}`")];
    }
    let side = |side: &'static str, reads: &std::collections::BTreeMap<String, Reason>| {
        let names = reads.keys().map(|name| format!("`{at}.{side}.{name}`"));
        names.collect::<Vec<_>>()
    };
    let mut found = side("entry", &probe.refused.entry);
    found.extend(side("exit", &probe.refused.exit));
    found
}

fn probe_text(probe: &PlannedProbe, refused: Option<&str>) -> String {
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
    let source = match refused {
        Some(reason) => Err(format!("`within`: {reason}").into()),
        None => probe.source.clone(),
    };
    match &source {
        Err(reason) => {
            let optional = if probe.optional { " (optional)" } else { "" };
            out += &format!("\n      REFUSED{optional}: {reason}\n");
            return out;
        }
        Ok(_) => {
            out += &signature(probe);
        }
    }
    for (side, reads) in [("entry", &probe.entry), ("exit", &probe.exit)] {
        for read in reads {
            out += &format!(
                "      {side}.{}: {} = {}\n",
                read.name,
                match read.decode.type_name() {
                    "" => "of unknown type",
                    name => name,
                },
                read.path
            );
            if let Decode::Structure { fields, .. } = &read.decode {
                out += &members(fields);
            }
            let type_name = read.decode.type_name();
            if matches!(read.decode, Decode::Pointer { .. }) && may_be_text(type_name, &read.path) {
                out += &format!("        an address: {}\n", text_instead(&read.path));
            }
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

/// The parameters and the result of a probed function.
fn signature(probe: &PlannedProbe) -> String {
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
        .map(|r| match &r.decode {
            Ok(_) => format!(" -> {}", r.type_name),
            Err(why) => format!(" -> [unknown: {why}]"),
        })
        .unwrap_or_default();
    format!("({}){returns}\n", parameters.join(", "))
}

/// The values of a structure that is read whole, a line each.
fn members(fields: &[Field]) -> String {
    let line = |field: &Field| match &field.decode {
        Ok(decode) => format!("        .{}: {}\n", field.name, decode.type_name()),
        Err(reason) => format!("        .{}: not read: {reason}\n", field.name),
    };
    fields.iter().map(line).collect()
}
