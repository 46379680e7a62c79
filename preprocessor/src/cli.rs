//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{self, check::Format};
use crate::run;

/// Fills the chapters of an mdBook from measured evidence, and fails on a false claim.
///
/// Without a command this is the preprocessor that mdbook runs.
#[derive(Debug, Parser)]
#[command(name = "mdbook-qed", version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_STATUS: &str = "Exit status: 0 all good; 1 a verdict is FAIL or ERROR, drift was found, or a site does \
not verify; 2 bad usage or bad input; 3 this machine cannot do what was asked.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Says whether a renderer is supported: every one is
    Supports {
        /// The renderer
        renderer: String,
    },
    /// Evaluates every claim on every machine, without rendering
    Check {
        /// The folder of the book
        #[arg(default_value = ".")]
        book: PathBuf,
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Shows one claim: each operand on each machine, and why
    Explain {
        /// The claim
        id: String,
        /// The folder of the book
        #[arg(long, default_value = ".")]
        book: PathBuf,
    },
    /// Lists every path with type, value and machine: what an author can write
    Paths {
        /// Only paths below this one
        #[arg(default_value = "")]
        prefix: String,
        /// The folder of the book
        #[arg(long, default_value = ".")]
        book: PathBuf,
    },
    /// Shows the drift between two evidence files, by class
    Diff {
        /// The older evidence
        old: PathBuf,
        /// The newer evidence
        new: PathBuf,
        /// Shows what changes with every run and every boot, too
        #[arg(long)]
        all: bool,
        /// The folder of the book whose claims are judged on both; without it, this folder if it holds one
        #[arg(long)]
        book: Option<PathBuf>,
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: commands::diff::Format,
    },
    /// Checks a built site against its evidence
    Verify {
        /// The folder of the site
        site: PathBuf,
        /// The folder of the evidence; without it, the one that the site publishes
        #[arg(long)]
        evidence: Option<PathBuf>,
        /// Accepts that the site shows addresses of live machines, as `addresses = "raw"` asks for
        #[arg(long)]
        raw_addresses: bool,
    },
    /// Makes a new live book, or adds to a book what is missing
    Init {
        /// Its folder
        dir: PathBuf,
    },
    /// Prints a built-in template, to be replaced by qed/NAME.hbs in the book's theme folder
    Template {
        /// Its name; without it, all names
        name: Option<String>,
    },
    /// Prints the JSON Schema of evidence
    Schema,
}

/// Runs the program; gives back the exit status.
pub fn run() -> u8 {
    match Cli::parse().command {
        None => run::run(),
        Some(Command::Supports { .. }) => commands::GOOD,
        Some(Command::Check { book, format }) => commands::check::run(&book, format),
        Some(Command::Explain { id, book }) => commands::explain::run(&book, &id),
        Some(Command::Paths { prefix, book }) => commands::paths::run(&book, &prefix),
        Some(Command::Diff {
            old,
            new,
            all,
            book,
            format,
        }) => commands::diff::run(&old, &new, all, book.as_deref(), format),
        Some(Command::Verify {
            site,
            evidence,
            raw_addresses,
        }) => commands::verify::run(&site, evidence.as_deref(), raw_addresses),
        Some(Command::Init { dir }) => commands::init::run(&dir),
        Some(Command::Template { name }) => commands::template(name.as_deref()),
        Some(Command::Schema) => commands::schema(),
    }
}
