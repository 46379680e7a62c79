//! Progress on a terminal, and of downloads in a pipe.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};

use crate::guest::download::DOWNLOADING;

/// The environment variable that requests a line for each step without a terminal: the build of a book sets it, and passes the
/// lines on to its own terminal.
const PROGRESS: &str = "QED_PROGRESS";

/// The amount of output besides answers, warnings and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing.
    Quiet,
    /// Progress on a terminal, downloads in a pipe, and notes.
    Normal,
    /// Each step as a line, and notes.
    Verbose,
}

/// The choice of this process's command line.
static VERBOSITY: OnceLock<Verbosity> = OnceLock::new();

/// Take over the choice of the command line. Only the first one counts.
pub fn set_verbosity(verbosity: Verbosity) {
    let _ = VERBOSITY.set(verbosity);
}

fn verbosity() -> Verbosity {
    *VERBOSITY.get().unwrap_or(&Verbosity::Normal)
}

/// Print a note on standard error, unless `-q` was given.
pub fn note(text: &str) {
    if verbosity() != Verbosity::Quiet {
        eprintln!("note: {text}");
    }
}

/// Shows progress: a spinner on a terminal; in a pipe only downloads, with a line for each tenth, because they can take
/// minutes.
pub struct Progress {
    bar: ProgressBar,
    lines: Lines,
}

/// The steps that are reported as lines.
enum Lines {
    None,
    /// Only where there is no terminal.
    Downloads,
    All,
}

impl Progress {
    /// Progress of the work on `machine`.
    pub fn new(machine: &str) -> Self {
        let verbosity = verbosity();
        let bar = if verbosity == Verbosity::Normal && std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(
            ProgressStyle::with_template("{spinner} {prefix}: {wide_msg} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_prefix(machine.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        let asked = bar.is_hidden() && std::env::var_os(PROGRESS).is_some_and(|how| how == "lines");
        Self {
            bar,
            lines: match verbosity {
                Verbosity::Quiet => Lines::None,
                Verbosity::Normal if !asked => Lines::Downloads,
                Verbosity::Normal | Verbosity::Verbose => Lines::All,
            },
        }
    }

    /// Shows the current step.
    pub fn say(&self, what: &str) {
        let line = match self.lines {
            Lines::None => false,
            Lines::Downloads => self.bar.is_hidden() && what.starts_with(DOWNLOADING),
            Lines::All => true,
        };
        if line {
            eprintln!("{}: {what}", self.bar.prefix());
        }
        self.bar.set_message(what.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
