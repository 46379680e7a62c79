//! `qed-collector`: the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use qed_collector::{cli, guest, workload};

/// Run a workload under eBPF probes, on this machine or in a guest kernel, and write what was seen as evidence
#[derive(Parser)]
#[command(name = "qed-collector", version, long_version = qed_collector::probe::VERSION, max_term_width = 100, after_help = STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const STATUS: &str = "Exit status: 0 all good; 2 bad usage or bad input; 3 this machine cannot do what was asked.\n\
    `qed-collector doctor` is where to begin.";

#[derive(Subcommand)]
enum Command {
    /// Run an investigation and write its evidence
    Capture(cli::capture::Args),
    /// Say what would be probed and read, with types, and what would be refused and why; runs nothing
    Plan(cli::capture::Args),
    /// List the kernels that guests can boot, download them, pin a book to them, or remove them from the cache
    Kernels(cli::kernels::Args),
    /// Run one investigation on a kernel of each series that Debian serves; goes on where it was interrupted
    Sweep(cli::sweep::Args),
    /// Say what this machine can capture, by which back-end, and what would have to change
    Doctor,
}

fn main() -> ExitCode {
    // Before anything else: as the first process of a guest, or as a workload, there is no command line.
    workload::child_main();
    if guest::init::is_guest_init() {
        guest::init::run(guest::agent::answer);
    }
    let result = match Cli::parse().command {
        Command::Capture(args) => cli::capture::run(&args),
        Command::Plan(args) => cli::plan::run(&args),
        Command::Kernels(args) => cli::kernels::run(&args),
        Command::Sweep(args) => cli::sweep::run(&args),
        Command::Doctor => cli::doctor::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What is printed ends up in logs: no address of this machine may.
            let message = qed_evidence::redact::scrub(failure.message.trim_end());
            // A diagnostic already says what it is.
            if message.starts_with("error") || message.starts_with("\u{1b}") {
                eprintln!("{message}");
            } else {
                eprintln!("error: {message}");
            }
            ExitCode::from(failure.status)
        }
    }
}
