//! Progress on a terminal, and of downloads in a pipe.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::guest::download::DOWNLOADING;

/// The variable that asks for a line of each step where there is no terminal: a build of a book passes them on to its own.
const PROGRESS: &str = "QED_PROGRESS";

/// Shows what is going on: a spinner on a terminal; in a pipe only downloads, a line for each tenth, for they can take minutes.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
}

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
        let lines = bar.is_hidden() && std::env::var_os(PROGRESS).is_some_and(|how| how == "lines");
        Self { bar, lines }
    }

    /// Says what is being done now.
    pub fn say(&self, what: &str) {
        if self.lines || self.bar.is_hidden() && what.starts_with(DOWNLOADING) {
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
