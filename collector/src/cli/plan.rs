//! `qed-collector plan`: shows what would be probed and read, with types, and what would be refused and why.

use std::ops::Range;

use qed_evidence::diagnostic::{Diagnostic, Severity, sort};
use qed_evidence::document::{Target as ProbeTarget, UnwatchedCause};
use qed_evidence::investigation::{Investigation, OTHER_ARCH, Probe};
use qed_evidence::lock::Lock;
use qed_evidence::observation::format_one_line;

use super::announce::describe_programs;
use super::failure::Failure;
use super::guest_boot::{boot, check_bootable};
use super::instances::{self, ProbedFunctions};
use super::investigation::read_investigation;
use super::kernel_files::{DebugInfo, functions_in_files, host_debuginfo_files, static_sources};
use super::lock;
use super::machine_options::investigation_folder;
use super::modules;
use super::other_programs::{find_unrunnable, setup_problems};
use super::output::{Format, json, print, render};
use super::plan_notes::{MachinePlan, notes_of_plans};
use super::plan_report::{ExperimentReport, MachineReport, NoteReport};
use super::progress::{Progress, print_note};
use super::request::{CaptureRequest, NamedBook, RequestArgs, read_request};
use super::runtime::runtime;
use super::target::TargetMachine;
use crate::assemble::symbolize::StaticFiles;
use crate::guest::protocol::{GuestJob, Unrunnable, parse_plan_answer};
use crate::guest::{cache::Cache, host_binaries::GuestFiles};
use crate::plan::expr::{Decoder, StructureField};
use crate::plan::{PlannedExperiment, PlannedProbe, PlannedRead};
use crate::reason::Reason;
use crate::session::ThisKernel;
use crate::symbols::functions_by_file::find_functions_in_files;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The investigation and the machines.
    #[command(flatten)]
    pub request: RequestArgs,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// The book.
    #[command(flatten)]
    pub named: NamedBook,
}

/// Run the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (format, args) = (args.format, &args.request);
    let CaptureRequest {
        investigation: path,
        machines: targets,
        lock,
        debuginfo,
        ..
    } = read_request(args)?;
    let investigation = read_investigation(&path)?;
    let mut plans = Vec::new();
    let (mut reports, mut refused) = (Vec::new(), Vec::new());
    for target in &targets {
        let debuginfo = debuginfo.for_machine(target.name());
        let progress = Progress::new(target.name());
        let MachineFacts {
            experiments,
            fixed,
            unrunnable,
            problems,
        } = plan_on(
            target,
            &investigation,
            debuginfo,
            lock.as_ref(),
            args,
            &progress,
        )?;
        let found = instances::find_functions(&investigation, &experiments, &fixed);
        drop(progress);
        let is_host = matches!(target, TargetMachine::Host);
        let announced = describe_programs(is_host, &investigation, &unrunnable.commands);
        refused.extend(problems);
        let plan = MachinePlan::new(&investigation, &experiments, found.as_ref().ok());
        match format {
            Format::Text => {
                let announced = announced.iter().map(|line| format!("  {line}\n"));
                let head = format!("{}\n{}", target.name(), announced.collect::<String>());
                print(&(head + &format_plan(&investigation, &experiments, &found)))?;
            }
            Format::Json => reports.push(MachineReport {
                machine: target.name().to_owned(),
                announced,
                experiments: (experiments.iter())
                    .map(|experiment| ExperimentReport::new(experiment, &found))
                    .collect(),
                notes: NoteReport::from_notes(&notes_of_plans(
                    &investigation,
                    std::slice::from_ref(&plan),
                )),
            }),
        }
        plans.push(plan);
    }
    if format == Format::Json {
        print(&json(&reports)?)?;
    }
    // The lines of `setup` that cannot run anywhere would be told once for each machine.
    sort(&mut refused);
    refused.dedup();
    refused.extend(notes_of_plans(&investigation, &plans));
    report_notes(&refused)
}

/// What is known of one machine's plan.
struct MachineFacts {
    experiments: Vec<PlannedExperiment>,
    /// The files of its kernel that do not change.
    fixed: StaticFiles,
    unrunnable: Unrunnable,
    /// What keeps a capture from being made there.
    problems: Vec<Diagnostic>,
}

/// Print the notes of all machines; fail if a probe, a read or a named argument is refused on every one.
fn report_notes(notes: &[Diagnostic]) -> Result<(), Failure> {
    let is_refused = |note: &&Diagnostic| note.severity == Severity::Error;
    for warning in notes.iter().filter(|note| !is_refused(note)) {
        print_note(&format_one_line(warning));
    }
    let refused: Vec<Diagnostic> = notes.iter().filter(is_refused).cloned().collect();
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Failure::input(render(&refused))),
    }
}

/// The plan on one machine. Boots a guest.
fn plan_on(
    target: &TargetMachine,
    investigation: &Investigation,
    debuginfo: &DebugInfo,
    lock: Option<&Lock>,
    args: &RequestArgs,
    progress: &Progress,
) -> Result<MachineFacts, Failure> {
    match target {
        TargetMachine::Host => {
            let modules = modules::for_host(investigation)?;
            let kernel = ThisKernel::read(&modules.names, &|_| {})?;
            let vmlinux = host_debuginfo_files(debuginfo);
            let plan = kernel
                .plan(
                    investigation,
                    &find_functions_in_files(investigation, &vmlinux, None),
                )?
                .map_err(|problems| Failure::input(render(&problems)))?;
            let fixed = StaticFiles {
                vmlinux,
                ..StaticFiles::default()
            };
            Ok(MachineFacts {
                experiments: plan.experiments,
                fixed,
                unrunnable: Unrunnable::default(),
                problems: Vec::new(),
            })
        }
        TargetMachine::Guest(name, source) => {
            let cache = Cache::for_user()?;
            let say = |line: &str| progress.show_step(line);
            check_bootable(source)?;
            let kernel = lock::find_kernel(lock, name, source, &cache, args.refresh, &say)?;
            // What is not here is not fetched for a look.
            let mut fixed = static_sources(&kernel, &cache, debuginfo, false, &say);
            if let Some(why) = &fixed.unchecked {
                fixed.no_debuginfo.get_or_insert_with(|| why.clone());
                fixed.vmlinux.clear();
            }
            let modules = modules::for_guest(investigation, &kernel, &cache, &say)?;
            let job = GuestJob::Plan {
                name: investigation.source.name.clone(),
                text: investigation.source.text.clone(),
                chosen: functions_in_files(investigation, &fixed),
                modules: modules.names,
            };
            let folder = investigation_folder(investigation)?;
            let unrunnable = find_unrunnable(investigation, &folder, kernel.arch);
            let problems = setup_problems(investigation, &folder, kernel.arch);
            let run = runtime()?.block_on(boot(
                kernel,
                &job,
                GuestFiles {
                    contents: modules.files.into_iter().collect(),
                    ..GuestFiles::default()
                },
                cache,
                args.limit,
                &|line| progress.show_step(line),
            ))?;
            let mut experiments = parse_plan_answer(&run.payload)?;
            unrunnable.refuse_workloads(&mut experiments);
            Ok(MachineFacts {
                experiments,
                fixed,
                unrunnable,
                problems,
            })
        }
    }
}

/// The experiments of a plan as text.
fn format_plan(
    investigation: &Investigation,
    experiments: &[PlannedExperiment],
    found: &Result<ProbedFunctions, Reason>,
) -> String {
    let mut out = String::new();
    for experiment in experiments {
        let requested = investigation.experiment(&experiment.name);
        let alone = if experiment.isolated {
            " (attached alone)"
        } else {
            ""
        };
        out += &format!("  {}{alone}\n", experiment.name);
        if let Some(reason) = &experiment.refused {
            let place = place_text(
                investigation,
                requested.map(|requested| {
                    let place = investigation.refused_place(&requested.workload, reason);
                    place.unwrap_or_else(|| requested.span.clone())
                }),
            );
            out += &format!("    workload\n      REFUSED: {reason}{place}\n");
        }
        for probe in &experiment.probes {
            let requested = requested.and_then(|requested| requested.probe(&probe.name));
            let refused = found
                .as_ref()
                .ok()
                .and_then(|found| found.within_refusal(probe));
            out += &probe_text(investigation, requested, probe, refused);
            if let (None, Ok(found), Ok(_)) = (refused, found, &probe.source) {
                out += &found.text(experiment, probe);
            }
        }
    }
    if let Err(reason) = found {
        out += &format!(
            "  copies of functions are not known, so silence would prove nothing: {reason}\n"
        );
    }
    out
}

/// A place in the investigation, such as ` (i.toml:12:3)`.
fn place_text(investigation: &Investigation, span: Option<Range<usize>>) -> String {
    let place = span.map(|span| Diagnostic::error(&investigation.source, span, ""));
    let place = place.and_then(|place| place.line_column());
    place.map_or_else(String::new, |(line, column)| {
        format!(" ({}:{line}:{column})", investigation.source.name)
    })
}

/// A probe as text; `requested` is the probe of the investigation, and `refused` the reason why its `within` cannot hold.
fn probe_text(
    investigation: &Investigation,
    requested: Option<&Probe>,
    probe: &PlannedProbe,
    refused: Option<&str>,
) -> String {
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
        Some(reason) => Err(UnwatchedCause::within_reason(reason).into()),
        None => probe.source.clone(),
    };
    match &source {
        Err(reason) => {
            let optional = if probe.optional { " (optional)" } else { "" };
            let place = place_text(
                investigation,
                requested.map(|requested| match refused {
                    Some(_) => requested.place_of(|places| places.within.as_ref()),
                    None => requested.span.clone(),
                }),
            );
            out += &match reason.starts_with(OTHER_ARCH) {
                true => format!("\n      not here: {reason}\n"),
                false => format!("\n      REFUSED{optional}: {reason}{place}\n"),
            };
            return out;
        }
        Ok(_) => {
            out += &signature_text(probe);
        }
    }
    for (side, reads) in [("entry", &probe.entry), ("exit", &probe.exit)] {
        for read in reads {
            out += &format!(
                "      {side}.{}: {}{} = {}\n",
                read.name,
                list_text(read),
                match read.decode.type_name() {
                    "" => "of unknown type",
                    name => name,
                },
                read.path
            );
            if let Decoder::Structure { fields, .. } = &read.decode {
                out += &members_text(fields);
            }
        }
    }
    for (side, refused) in [
        ("entry", &probe.refused.entry),
        ("exit", &probe.refused.exit),
    ] {
        for (name, reason) in refused {
            let read = requested.and_then(|requested| {
                let reads = match side {
                    "entry" => &requested.entry,
                    _ => &requested.exit,
                };
                let read = reads.iter().find(|read| read.name == *name)?;
                Some(requested.span_of(read))
            });
            let place = place_text(investigation, read);
            out += &match reason.starts_with(OTHER_ARCH) {
                true => format!("      {side}.{name}: not here: {reason}\n"),
                false => format!("      {side}.{name}: REFUSED: {reason}{place}\n"),
            };
        }
    }
    out
}

/// The parameters and the result of a probed function.
fn signature_text(probe: &PlannedProbe) -> String {
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

/// What a read brings several values of.
fn list_text(read: &PlannedRead) -> String {
    match &read.list {
        Some(list) => format!(
            "a list, of whose elements the first {}: ",
            list.elements.len()
        ),
        None => String::new(),
    }
}

/// The values of a structure that is read whole, a line each.
fn members_text(fields: &[StructureField]) -> String {
    let line = |field: &StructureField| match &field.decode {
        Ok(decode) => format!("        .{}: {}\n", field.name, decode.type_name()),
        Err(reason) => format!("        .{}: not read: {reason}\n", field.name),
    };
    fields.iter().map(line).collect()
}
