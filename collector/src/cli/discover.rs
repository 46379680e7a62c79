//! `qed-collector discover`: every function that a call runs through.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Action, Experiment, Investigation, parse};

use super::call_tree::{ShownTree, rows};
use super::discover_request::{DiscoverRequest, OF_WORDS, isolate_experiment, problems_error};
use super::discover_trace::{NamedTrace, Wanted};
use super::discover_words::{experiment_from_words, starter_investigation, wrap_in_investigation};
use super::failure::Failure;
use super::guest_boot::{boot, check_bootable};
use super::investigation::read_investigation;
use super::kernel_files::{DebugInfo, host_debuginfo_files, static_sources};
use super::lock;
use super::modules;
use super::other_programs::{find_unrunnable, setup_problems};
use super::output::{Format, print, render};
use super::programs;
use super::progress::{Progress, print_note};
use super::request::{LIMIT_S, RequestArgs};
use super::runtime::runtime;
use super::target::TargetMachine;
use crate::btf::Btf;
use crate::guest::cache::Cache;
use crate::guest::protocol::{GuestJob, parse_discover_answer};
use crate::session::discovery::{Discovery, DiscoveryOptions, discover};

/// Arguments of `discover`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The machine: guest:debian-6.12, guest:PATH-TO-VMLINUZ, … or host, which has to be asked for [default: the first guest of
    /// the experiment's book, or guest:debian-6.12]
    #[arg(long, value_name = "MACHINE")]
    pub on: Option<TargetMachine>,
    /// Trace the workload of this experiment instead of a call that is written here
    #[arg(long, value_name = "NAME", conflicts_with = "call")]
    pub experiment: Option<String>,
    /// The investigation of the experiment [default: that of the book]
    #[arg(
        long,
        value_name = "FILE",
        requires = "experiment",
        conflicts_with_all = ["call", "book"]
    )]
    pub investigation: Option<PathBuf>,
    /// Take investigation, guest, lock file and source lines from this book: its folder, or its book.toml [default without
    /// --investigation: the book in this folder or the nearest one above]
    #[arg(
        long,
        value_name = "BOOK",
        requires = "experiment",
        conflicts_with = "call"
    )]
    pub book: Option<PathBuf>,
    /// Levels to show; deeper calls are only counted [default: 6]
    #[arg(long, value_name = "LEVELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub depth: Option<u32>,
    /// Show only this function and what it calls
    #[arg(long, value_name = "FUNCTION")]
    pub below: Option<String>,
    /// Show all levels, and the interrupts that came while the call ran
    #[arg(long, conflicts_with = "depth")]
    pub all: bool,
    /// Show the calls, too, that the compiler inlined into a function, once for each function: whether they ran is not seen
    #[arg(long)]
    pub inlined: bool,
    /// Form of the answer: `json` has all levels, interrupts and inlined calls
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Write a first investigation of the call into this new file: its functions, as deep as they are shown, as probes
    #[arg(long, value_name = "FILE", conflicts_with = "experiment")]
    pub write: Option<PathBuf>,
    /// Source lines: from debug information that is available (auto), none, or from this vmlinux. Nothing is downloaded for
    /// them [default: the book's setting for the machine, or auto]
    #[arg(long, value_name = "auto|none|VMLINUX")]
    pub debuginfo: Option<DebugInfo>,
    /// Take the kernel of a guest from this lock file [default with a book: qed.lock beside its book.toml, if it names the guest]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Seconds without progress after which a guest is given up
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT_S)]
    pub limit: u64,
    /// Ask the distribution for a newer kernel even if it was asked today
    #[arg(long)]
    pub refresh: bool,
    /// A system call with its arguments (numbers, constants such as AF_INET, texts, buffer:SIZE), or a program with its folder
    #[arg(last = true, value_name = "CALL")]
    pub call: Vec<String>,
}

/// Levels that are shown unless `--depth` says otherwise.
const DEPTH: u32 = 6;

impl Args {
    /// The same arguments as those of a capture.
    fn request_args(&self) -> RequestArgs {
        RequestArgs {
            investigation: self.investigation.clone(),
            on: self.on.iter().cloned().collect(),
            book: self.book.clone(),
            lock: self.lock.clone(),
            debuginfo: self.debuginfo.clone(),
            limit: self.limit,
            refresh: self.refresh,
        }
    }

    /// The part of the tree that is asked for.
    fn shown_tree(&self) -> ShownTree {
        ShownTree {
            depth: (!self.all).then_some(self.depth.unwrap_or(DEPTH)),
            below: self.below.clone(),
            interrupts: self.all,
            inlined: self.inlined,
        }
    }

    /// What has to be looked up for the answer.
    fn wanted(&self) -> Wanted {
        Wanted {
            // A function that did not run may be inlined into one that did.
            inlined: self.inlined || self.below.is_some() || self.format == Format::Json,
        }
    }

    /// Refuse impossible requests before a machine is started for them.
    fn check(&self, experiment: &Experiment) -> Result<(), Failure> {
        let chosen = self.all || self.depth.is_some() || self.below.is_some();
        if self.format == Format::Json && chosen && self.write.is_none() {
            return Err(Failure::input(
                "--format json has all levels, interrupts included: leave out --depth, --below and --all",
            ));
        }
        let Some(path) = &self.write else {
            return Ok(());
        };
        if matches!(experiment.workload.action, Action::Command(_)) {
            return Err(Failure::input(
                "--write is for one system call, and this is a program: write a call behind `--`, or leave out --write",
            ));
        }
        if path.exists() {
            return Err(file_exists_error(path));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::input(format!(
                "--write: there is no folder {}: make it, or name a file elsewhere",
                folder.display()
            )));
        }
        Ok(())
    }
}

/// The failure for a file that would be overwritten.
fn file_exists_error(path: &Path) -> Failure {
    Failure::input(format!(
        "--write: {} exists already: name a new file",
        path.display()
    ))
}

/// Run the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let request = DiscoverRequest::from_args(&args.request_args(), args.experiment.is_some())?;
    let (name, toml, investigation) = read_request(args, &request)?;
    let experiment = investigation
        .experiments
        .iter()
        .find(|one| one.name == name);
    let experiment = experiment.ok_or_else(|| {
        let known: Vec<&str> = investigation
            .experiments
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let file = &investigation.source.name;
        Failure::input(format!(
            "{file} has no experiment `{name}`; it has {}",
            known.join(", ")
        ))
    })?;
    if experiment.workload.threads > 1 {
        return Err(Failure::input(format!(
            "`{name}` makes its call in several threads, and a tree is that of one: write the call itself behind `--`"
        )));
    }
    args.check(experiment)?;
    let progress = Progress::with_estimate(
        request.on.name(),
        "discover",
        Path::new(&investigation.source.name),
    );
    let (discovery, files) = trace(args, &request, &investigation, &name, &progress)?;
    progress.show_step("naming the functions");
    let found = NamedTrace::from_discovery(
        request.on.name(),
        experiment,
        &discovery,
        &files,
        args.wanted(),
    )?;
    _ = progress.finish();
    drop(progress);
    if !discovery.stderr.is_empty() {
        eprintln!(
            "note: the workload complained: {}",
            String::from_utf8_lossy(&discovery.stderr).trim()
        );
    }
    if args.inlined && !found.has_debug_info {
        eprintln!(
            "note: no debug information of this kernel is at hand: which calls were inlined is not known"
        );
    }
    if let Some(warning) = live_output_warning(&request.on) {
        print_note(warning);
    }
    if let Some(path) = &args.write {
        write_investigation(args, path, toml.as_deref(), &found, &discovery)?;
    }
    match args.format {
        Format::Text => print(&found.text(&args.shown_tree())?),
        Format::Json => print(&found.json()?),
    }
}

/// What is said of the output about a live machine. Guests are gone with their addresses.
fn live_output_warning(on: &TargetMachine) -> Option<&'static str> {
    matches!(on, TargetMachine::Host).then_some(
        "the output is of a live machine and holds its addresses: publish nothing of it, and trace a guest for what a chapter quotes",
    )
}

/// The experiment to trace: its name, its own TOML where it was made of words, and an investigation that holds it.
fn read_request(
    args: &Args,
    request: &DiscoverRequest,
) -> Result<(String, Option<String>, Investigation), Failure> {
    if let (Some(name), Some(path)) = (&args.experiment, &request.investigation) {
        return Ok((name.clone(), None, read_investigation(path)?));
    }
    let (name, toml) =
        experiment_from_words(&args.call).map_err(|error| Failure::input(error.to_string()))?;
    let parsed = parse(OF_WORDS, &wrap_in_investigation(&toml));
    let investigation = parsed.map_err(|problems| problems_error(true, problems))?;
    Ok((name, Some(toml), investigation))
}

/// Trace the experiment. Return the files, too, that the kernel's vmlinux may be.
fn trace(
    args: &Args,
    request: &DiscoverRequest,
    investigation: &Investigation,
    experiment: &str,
    progress: &Progress,
) -> Result<(Discovery, Vec<PathBuf>), Failure> {
    let say = |line: &str| progress.show_step(line);
    let of_words = request.investigation.is_none();
    let needed = &isolate_experiment(investigation, experiment);
    let folder = programs::investigation_folder(investigation)
        .context("failed to find the investigation's folder")?;
    let runtime = runtime()?;
    match &request.on {
        TargetMachine::Host => {
            programs::for_host(needed, &folder)
                .map_err(|problems| problems_error(of_words, problems))?;
            let options = DiscoveryOptions {
                ephemeral: false,
                folder: Some(&folder),
                types: args.write.is_some(),
            };
            let found = discover(investigation, experiment, options, &say);
            Ok((
                runtime.block_on(found)?,
                host_debuginfo_files(&request.debuginfo),
            ))
        }
        TargetMachine::Guest(name, source) => {
            let cache = Cache::for_user()?;
            let lock = request.lock.as_ref();
            check_bootable(source)?;
            let kernel = lock::find_kernel(lock, name, source, &cache, args.refresh, &say)?;
            let fixed = static_sources(&kernel, &cache, &request.debuginfo, false, &say);
            let modules = modules::for_guest(needed, &kernel, &cache, &say)?;
            let job = GuestJob::Discover {
                experiment: experiment.to_owned(),
                types: args.write.is_some(),
                name: investigation.source.name.clone(),
                text: investigation.source.text.clone(),
                modules: modules.names,
            };
            let mut problems = setup_problems(needed, &folder, kernel.arch);
            let unrunnable = find_unrunnable(needed, &folder, kernel.arch);
            if let Some(reason) = unrunnable.workloads.get(experiment) {
                let span = needed
                    .experiment(experiment)
                    .map_or(0..0, |one| one.span.clone());
                let message = format!("the workload of `{experiment}` cannot be run: {reason}");
                problems.push(Diagnostic::error(&needed.source, span, message));
            }
            if !problems.is_empty() {
                return Err(problems_error(of_words, problems));
            }
            let packed = programs::for_guest(needed, &folder);
            let (mut files, _) = packed.map_err(|problems| problems_error(of_words, problems))?;
            files.contents.extend(modules.files);
            let run = boot(kernel, &job, files, cache, args.limit, &say);
            let run = runtime.block_on(run)?;
            Ok((parse_discover_answer(&run.payload)?, fixed.vmlinux))
        }
    }
}

fn write_investigation(
    args: &Args,
    path: &Path,
    toml: Option<&str>,
    found: &NamedTrace,
    discovery: &Discovery,
) -> Result<(), Failure> {
    let toml = toml.ok_or_else(|| Failure::input("--write is for a call behind `--`"))?;
    let [(call, functions)] = found.calls.as_slice() else {
        return Err(Failure::input(
            "--write is for one system call: write it behind `--`",
        ));
    };
    let btf = discovery.btf.as_deref().unwrap_or_default();
    let btf = Btf::parse(btf).context("failed to understand the kernel's types")?;
    let shown = args.shown_tree();
    if let (Some(name), None) = (&args.below, rows(call, functions, &shown)) {
        return Err(found.not_run(name));
    }
    let text = starter_investigation(
        toml,
        &found.machine,
        call,
        functions,
        &shown,
        &found.kallsyms,
        &btf,
    );
    // What is written is known to be read.
    parse(&path.display().to_string(), &text)
        .map_err(|problems| Failure::machine(render(&problems)))?;
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => file_exists_error(path),
        _ => Failure::machine(format!("failed to write {}: {error}", path.display())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the output about a live machine is said to be one, in one line, and that about a guest is not.
    #[test]
    fn output_of_a_live_machine() {
        let of = |name: &str| live_output_warning(&name.parse().unwrap());
        let warning = of("host").unwrap();
        assert!(warning.contains("publish nothing of it") && !warning.contains('\n'));
        assert_eq!(of("guest:debian-6.12"), None);
    }
}
