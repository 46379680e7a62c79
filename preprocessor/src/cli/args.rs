//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use qed_evidence::diagnostic::Diagnostic;

use crate::cli::check::{self, CheckFormat};
use crate::cli::common::Format;
pub use crate::cli::init::{WorkflowSource, is_in_registry};
use crate::cli::{
    bisect, common, diff, explain, init, merge, paths, publish, redact, since, verify,
};
use crate::config::Addresses;
use crate::mdbook::preprocess;

/// Fill the chapters of an mdBook from measured evidence, and fail on a false claim.
///
/// Without a command this is the preprocessor that mdbook runs.
#[derive(Debug, Parser)]
#[command(name = "mdbook-qed", version, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Option<QedSubcommand>,
}

const EXIT_STATUS: &str = "Exit status: 0 all good; 1 a verdict is FAIL or ERROR, drift was found, or a site does \
not verify; 2 bad usage or bad input; 3 this machine cannot do what was asked.";

// No doc comment: it would be the help of the command.
#[derive(Debug, Args)]
struct InitArgs {
    /// Its folder
    dir: PathBuf,
    /// Show evidence that comes along instead of capturing: this takes neither QEMU nor a network
    #[arg(long)]
    recorded: bool,
    /// Write a new book without capturing what it shows: the first build does
    #[arg(long)]
    no_capture: bool,
    /// The architecture of its guest: a guest for arm64 is emulated, and needs a qed-collector for arm64 [default: amd64]
    #[arg(long, value_enum, value_name = "ARCH")]
    arch: Option<init::GuestArch>,
}

// No doc comment: it would be the help of each command.
#[derive(Debug, Args)]
struct BookArgs {
    /// The folder of the book, or its book.toml [default: the book in this folder or the nearest one above]
    #[arg(long = "book", value_name = "BOOK", value_parser = book_folder)]
    option: Option<PathBuf>,
    /// The same as --book
    #[arg(value_name = "BOOK", value_parser = book_folder, conflicts_with = "option")]
    word: Option<PathBuf>,
}

impl BookArgs {
    /// The folder of the book, if it is named.
    fn named(self) -> Option<PathBuf> {
        self.option.or(self.word)
    }

    /// The folder of the book.
    fn folder(self) -> PathBuf {
        self.named()
            .unwrap_or_else(|| common::find_book_folder(PathBuf::from(".")))
    }
}

#[derive(Debug, Subcommand)]
enum QedSubcommand {
    /// Say whether a renderer is supported: every one is
    Supports {
        /// The renderer
        renderer: String,
    },
    /// Evaluate every claim on every machine, without rendering
    Check {
        #[command(flatten)]
        book: BookArgs,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: CheckFormat,
    },
    /// Show one claim: each operand on each machine, and why
    Explain {
        /// The claim
        id: String,
        #[command(flatten)]
        book: BookArgs,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Show on which kernels of a sweep claims are true, and between which two of them they turned
    Since {
        /// The claim; without it, all
        id: Option<String>,
        #[command(flatten)]
        book: BookArgs,
        /// The folder of the sweep's evidence, relative to the book's [default: .qed/evidence/sweep; where that holds none, the
        /// answers are those of recorded/sweep.json]
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// Write what the book keeps of the sweep, for the exhibit `timeline`, to recorded/sweep.json
        #[arg(long)]
        record: bool,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Narrow down, among all releases that Debian serves, between which two a claim turned, capturing on as few as it takes
    Bisect {
        /// The claim
        id: String,
        #[command(flatten)]
        book: BookArgs,
        /// The folder of the sweep's evidence, relative to the book's
        #[arg(long, value_name = "FOLDER", default_value = ".qed/evidence/sweep")]
        from: PathBuf,
        /// Source lines: download debug information that is served (auto), or do without (none)
        #[arg(long, value_name = "auto|none", default_value = "none", value_parser = ["auto", "none"])]
        debuginfo: String,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Serve an editor by the language server protocol, over standard input and output
    Lsp {
        #[command(flatten)]
        book: BookArgs,
        /// Accepted because some editors pass it to say how they talk to a server; standard input and output are always used
        #[arg(long, hide = true)]
        stdio: bool,
    },
    /// List every path with type, value and machine: what an author can write
    Paths {
        /// Only paths below this one; its last name may be cut short
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        book: BookArgs,
        /// Only values of this machine
        #[arg(long, value_name = "MACHINE")]
        machine: Option<String>,
        /// One line a path, without values
        #[arg(long)]
        short: bool,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Show the drift between two evidence files, by class
    Diff {
        /// The older evidence
        old: PathBuf,
        /// The newer evidence
        new: PathBuf,
        /// Show what changes with every run and every boot, too
        #[arg(long)]
        all: bool,
        /// The folder of the book whose claims are judged on both; without it, this folder if it holds one
        #[arg(long, value_parser = book_folder)]
        book: Option<PathBuf>,
        /// Output format
        #[arg(long, value_enum, default_value = "text")]
        format: diff::DiffFormat,
    },
    /// Check a built site against its evidence
    Verify {
        /// The folder of the site
        site: PathBuf,
        /// The folder of the raw evidence, for the check before a site goes out: that no address of a live machine
        /// is in any file. Without it, the site is checked by the evidence that it publishes
        #[arg(long)]
        evidence: Option<PathBuf>,
        /// The machines whose addresses must not be known, instead of what the site says
        #[arg(long, value_enum)]
        addresses: Option<Addresses>,
        /// The folder of the book, if you have its chapters: the published ones are compared with them
        #[arg(long, value_parser = book_folder)]
        book: Option<PathBuf>,
    },
    /// Put evidence, claims, verdicts, chapters and a manifest into a built site; refuse if an address got out
    Publish {
        /// The folder of the site
        site: PathBuf,
        /// The folder of the book, or its book.toml. Without it: this folder, else the nearest one above the site, or above this
        /// folder, that holds a book
        #[arg(long, value_parser = book_folder)]
        book: Option<PathBuf>,
        /// The same as --book
        #[arg(value_name = "BOOK", value_parser = book_folder, conflicts_with = "book")]
        word: Option<PathBuf>,
    },
    /// Write the book's evidence as it may leave this machine, with the verdicts that take what stays here
    Redact {
        /// The folder to write to
        to: PathBuf,
        /// Only the evidence of this machine. Can be repeated
        #[arg(long)]
        machine: Vec<String>,
        #[command(flatten)]
        book: BookArgs,
    },
    /// Take over what `redact` wrote on other machines, and the parts of a sweep that they captured: all of it becomes this book's
    Merge {
        /// A folder with a folder from each of them
        from: PathBuf,
        #[command(flatten)]
        book: BookArgs,
    },
    /// Make a new live book, or add to a book what is missing
    Init(InitArgs),
    /// Print a built-in template, to be replaced by qed/NAME.hbs in the book's theme folder
    Template {
        /// Its name; without it, all names
        name: Option<String>,
    },
    /// Print the JSON Schema of evidence, of investigations, or of book.toml
    Schema {
        /// The kind of document
        #[arg(value_enum, value_name = "KIND", default_value = "evidence")]
        kind: common::Document,
    },
}

/// The command line as data, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The folder of the book that is named by its folder or its book.toml; for `.`, the nearest folder upwards with a book.
fn book_folder(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(common::find_book_folder(PathBuf::from(text)))
}

/// Serve an editor.
fn run_lsp(book: Option<PathBuf>) -> u8 {
    match crate::lsp::run(book) {
        Ok(()) => common::GOOD,
        Err(error) => {
            let problem = Diagnostic::error_without_place(error.to_string());
            common::report_bad_input(&[problem
                .help("this command is for editors to start: see \"In your editor\" in the guide")])
        }
    }
}

/// Make a new book. `source` is the origin of the program.
fn run_init(args: &InitArgs, source: WorkflowSource<'_>) -> u8 {
    let release = match std::env::current_exe() {
        Ok(program) => init::Release::from_program(&program),
        Err(_) => Ok(None),
    };
    let found = release.as_ref().ok().and_then(Option::as_ref);
    let new = init::NewBook {
        source: source.with_release(found),
        no_release: release.as_ref().err(),
        arch: args.arch,
        recorded: args.recorded,
        captures: !args.recorded && !args.no_capture,
    };
    init::run(&args.dir, new)
}

/// Run the program and return the exit status. `source` is the origin of the program.
pub fn run(source: WorkflowSource<'_>) -> u8 {
    match Cli::parse().command {
        None => preprocess::run(),
        Some(command) => run_command(command, source),
    }
}

fn run_command(command: QedSubcommand, source: WorkflowSource<'_>) -> u8 {
    match command {
        QedSubcommand::Supports { .. } => common::GOOD,
        QedSubcommand::Check { book, format } => check::run(&book.folder(), format),
        QedSubcommand::Explain { id, book, format } => explain::run(&book.folder(), &id, format),
        QedSubcommand::Since {
            id,
            book,
            from,
            record,
            format,
        } => since::run(
            &book.folder(),
            since::SinceRequest {
                id: id.as_deref(),
                from: from.as_deref(),
                format,
                record,
            },
        ),
        QedSubcommand::Bisect {
            id,
            book,
            from,
            debuginfo,
            format,
        } => bisect::run(
            &book.folder(),
            bisect::BisectRequest {
                id: &id,
                from: &from,
                debuginfo: &debuginfo,
                format,
            },
        ),
        QedSubcommand::Lsp { book, stdio: _ } => run_lsp(book.named()),
        QedSubcommand::Paths {
            prefix,
            book,
            machine,
            short,
            format,
        } => paths::run(
            &book.folder(),
            &paths::PathsRequest {
                prefix: &prefix,
                machine: machine.as_deref(),
                short,
                format,
            },
        ),
        QedSubcommand::Diff {
            old,
            new,
            all,
            book,
            format,
        } => diff::run(&old, &new, all, book.as_deref(), format),
        QedSubcommand::Verify {
            site,
            evidence,
            addresses,
            book,
        } => verify::run(
            &site,
            verify::VerifyOptions {
                evidence: evidence.as_deref(),
                addresses,
                book: book.as_deref(),
            },
        ),
        QedSubcommand::Publish { site, book, word } => {
            publish::run(book.or(word).as_deref(), &site)
        }
        QedSubcommand::Redact { to, machine, book } => redact::run(&book.folder(), &to, &machine),
        QedSubcommand::Merge { from, book } => merge::run(&book.folder(), &from),
        QedSubcommand::Init(args) => run_init(&args, source),
        QedSubcommand::Template { name } => common::print_template(name.as_deref()),
        QedSubcommand::Schema { kind } => common::print_schema(kind),
    }
}
