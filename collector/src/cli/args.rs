//! The command line.

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::{Failure, capture, discover, doctor, kernels, plan, sweep};

/// Run a workload under eBPF probes, on this machine or in a guest kernel, and write what was seen as evidence
#[derive(Parser)]
#[command(name = "qed-collector", version, long_version = crate::probe::VERSION, max_term_width = 100, after_help = STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const STATUS: &str = "Exit status: 0 all good; 2 bad usage or bad input; 3 this machine cannot do what was asked.\n\
    `qed-collector doctor` is where to begin.";

#[derive(Subcommand)]
enum Command {
    /// Run an investigation and write its evidence
    Capture(capture::Args),
    /// Say what would be probed and read, with types, and what would be refused and why: boots a guest for its kernel's types,
    /// and runs no workload
    Plan(capture::Asked),
    /// List the kernels that guests can boot, download them, pin a book to them, or remove them from the cache
    Kernels(kernels::Args),
    /// Run one investigation on a kernel of each series that Debian serves; goes on where it was interrupted
    Sweep(sweep::Args),
    /// Show every function that a system call runs through, by the kernel's function-graph tracer, in a guest
    Discover(discover::Args),
    /// Say what this machine can capture, by which back-end, and what would have to change
    Doctor,
}

/// The command line as data, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line and does what it says.
pub fn run() -> Result<(), Failure> {
    match Cli::parse().command {
        Command::Capture(args) => capture::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Discover(args) => discover::run(&args),
        Command::Doctor => doctor::run(),
    }
}
