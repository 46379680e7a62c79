//! The commands, each a thin layer between the command line and the library.

mod boots;
pub mod capture;
pub mod doctor;
mod instances;
pub mod kernels;
pub mod plan;
pub mod programs;
pub mod store;
pub mod target;
mod warnings;

use std::io::{IsTerminal, Write as _};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use qed_evidence::diagnostic::{Diagnostic, in_color};
use qed_evidence::investigation::{Investigation, parse};

/// A command that did not succeed, and the process's exit status for it.
#[derive(Debug)]
pub struct Failure {
    /// 2: bad usage or bad input; 3: this machine cannot do what was asked.
    pub status: u8,
    /// What to tell the user.
    pub message: String,
}

impl Failure {
    /// Bad usage or bad input.
    pub fn input(message: impl Into<String>) -> Self {
        Self {
            status: 2,
            message: message.into(),
        }
    }

    /// This machine cannot do what was asked.
    pub fn unable(message: impl Into<String>) -> Self {
        Self {
            status: 3,
            message: message.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::unable(format!("{error:#}"))
    }
}

impl From<crate::guest::GuestError> for Failure {
    fn from(error: crate::guest::GuestError) -> Self {
        Self {
            status: error.exit_status(),
            message: error.to_string(),
        }
    }
}

/// Reads and checks an investigation file.
pub fn investigation(path: &Path) -> Result<Investigation, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::input(format!(
            "failed to read the investigation {}: {error}; name one with --investigation",
            path.display()
        ))
    })?;
    let bad = |problems: Vec<Diagnostic>| Failure::input(render(&problems));
    let investigation = parse(&path.display().to_string(), &text).map_err(bad)?;
    // All that is wrong on every kernel, in one message and before one is looked at or booted.
    let mut problems = crate::session::workload_spec::unknown_names(&investigation);
    problems.extend(crate::plan::wrong_paths(&investigation));
    if problems.is_empty() {
        return Ok(investigation);
    }
    qed_evidence::diagnostic::sort(&mut problems);
    Err(bad(problems))
}

/// Diagnostics as text, in colour on a terminal.
pub fn render(problems: &[Diagnostic]) -> String {
    let color = in_color(std::io::stderr().is_terminal(), |name| {
        std::env::var_os(name)
    });
    problems
        .iter()
        .map(|problem| problem.render(color))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// Writes to standard output. That nobody reads it (`plan | head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::unable(
            format!("failed to write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Shows what is going on: a spinner on a terminal, nothing in a pipe.
pub struct Progress(ProgressBar);

impl Progress {
    /// Progress of the work on `machine`.
    pub fn new(machine: &str) -> Self {
        let bar = if std::io::stderr().is_terminal() {
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
        Self(bar)
    }

    /// Says what is being done now.
    pub fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
