//! The command line.

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::progress::{self, Verbosity};
use crate::cli::{Failure, capture, discover, doctor, kernels, members, plan, show, sweep};

/// Run a workload under eBPF probes, on this machine or in a guest kernel, and write what was seen as evidence
#[derive(Parser)]
#[command(name = "qed-collector", version, long_version = crate::probe::VERSION, max_term_width = 100, after_help = STATUS)]
struct Cli {
    #[command(subcommand)]
    command: CollectorSubcommand,
    /// Say each step as a line on standard error, also where that is no terminal
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Say nothing but answers, warnings and errors: neither progress nor notes
    #[arg(short, long, global = true)]
    quiet: bool,
}

const STATUS: &str = "Exit status: 0 all good; 2 bad usage or bad input; 3 this machine cannot do what was asked.\n\
    `qed-collector doctor` is where to begin.";

#[derive(Subcommand)]
enum CollectorSubcommand {
    /// Run an investigation and write its evidence
    Capture(capture::Args),
    /// Say what would be probed and read, with types, and what would be refused and why: boots a guest for its kernel's types,
    /// and runs no workload
    Plan(plan::Args),
    /// List the kernels that guests can boot, download them, pin a book to them, or remove them from the cache
    Kernels(kernels::Args),
    /// Run one investigation on a kernel of each series that Debian serves; goes on where it was interrupted
    Sweep(sweep::Args),
    /// Show every function that a system call runs through, by the kernel's function-graph tracer, in a guest
    Discover(discover::Args),
    /// Show the events of an experiment one after the other, as evidence holds them: only reads the file
    Show(show::Args),
    /// List all members of a structure, union, enumeration or typedef of a kernel, with offsets and types
    Members(members::Args),
    /// Say what this machine can capture, by which back-end, and what would have to change
    Doctor(doctor::Args),
}

/// The command line as data, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parse the command line and run the command.
pub fn run() -> Result<(), Failure> {
    let cli = Cli::parse();
    progress::set_verbosity(match (cli.verbose, cli.quiet) {
        (true, _) => Verbosity::Verbose,
        (_, true) => Verbosity::Quiet,
        _ => Verbosity::Normal,
    });
    match cli.command {
        CollectorSubcommand::Capture(mut args) => {
            args.named.apply_to(&mut args.request.book);
            capture::run(&args)
        }
        CollectorSubcommand::Plan(mut args) => {
            args.named.apply_to(&mut args.request.book);
            plan::run(&args)
        }
        CollectorSubcommand::Kernels(args) => kernels::run(&args),
        CollectorSubcommand::Sweep(mut args) => {
            args.named.apply_to(&mut args.book);
            sweep::run(&args)
        }
        CollectorSubcommand::Discover(args) => discover::run(&args),
        CollectorSubcommand::Show(args) => show::run(&args),
        CollectorSubcommand::Members(args) => members::run(&args),
        CollectorSubcommand::Doctor(args) => doctor::run(&args),
    }
}
