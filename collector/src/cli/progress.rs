//! Progress on a terminal, and of downloads in a pipe.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::guest::download::DOWNLOADING;

/// Shows what is going on: a spinner on a terminal; in a pipe only downloads, a line for each tenth, for they can take minutes.
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
        if self.0.is_hidden() && what.starts_with(DOWNLOADING) {
            eprintln!("{}: {what}", self.0.prefix());
        }
        self.0.set_message(what.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
