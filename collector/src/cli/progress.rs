//! Progress on a terminal, and of downloads in a pipe.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use sha2::{Digest as _, Sha256};

use super::time_left::{Steps, format_time_left};
use super::timings::Timings;
use crate::guest::cache::{read_json, write_json};
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
pub fn print_note(text: &str) {
    if verbosity() != Verbosity::Quiet {
        eprintln!("note: {text}");
    }
}

/// Shows progress: a spinner on a terminal; in a pipe only downloads, with a line for each tenth, because they can take
/// minutes.
pub struct Progress {
    bar: ProgressBar,
    lines: Lines,
    started: Instant,
    /// The steps so far.
    steps: Mutex<Steps>,
    /// Those of the last time, and the file that keeps them.
    last: Option<(Steps, PathBuf)>,
    /// The time from the start at which the work will be done, as far as that can be said.
    end: Arc<Mutex<Option<Duration>>>,
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
        bar.set_prefix(machine.to_owned());
        let end = Arc::new(Mutex::new(None));
        bar.set_style(countdown_style(Arc::clone(&end)));
        bar.enable_steady_tick(Duration::from_millis(100));
        let requested =
            bar.is_hidden() && std::env::var_os(PROGRESS).is_some_and(|how| how == "lines");
        Self {
            bar,
            started: Instant::now(),
            steps: Mutex::default(),
            last: None,
            end,
            lines: match verbosity {
                Verbosity::Quiet => Lines::None,
                Verbosity::Normal if !requested => Lines::Downloads,
                Verbosity::Normal | Verbosity::Verbose => Lines::All,
            },
        }
    }

    /// The same, with the time that is left by the last time that this work was done: `what`, on `investigation`.
    pub fn with_estimate(machine: &str, what: &str, investigation: &Path) -> Self {
        let mut progress = Self::new(machine);
        let investigation = std::path::absolute(investigation).unwrap_or_default();
        let key = format!("{what}\0{machine}\0{}", investigation.display());
        let name = format!("{}.json", hex::encode(Sha256::digest(key)));
        progress.last = qed_programs::cache_folder().map(|folder| {
            let file = folder.join("steps").join(name);
            (read_json(&file).unwrap_or_default(), file)
        });
        progress
    }

    /// Remember the steps for the next time: the work has been done. Return where its time went.
    pub fn finish(&self) -> Option<Timings> {
        let mut steps = lock_unpoisoned(&self.steps);
        steps.finish(self.started.elapsed());
        if let Some((_, file)) = &self.last {
            // Without it the next time shows no time left, and nothing else is missing.
            _ = file.parent().map(std::fs::create_dir_all);
            _ = write_json(file, &*steps);
        }
        let last = self.last.as_ref().map(|(last, _)| last);
        Timings::new(&self.bar.prefix(), &steps, last)
    }

    /// The time that is left when a step begins; `None`: it is not known.
    fn time_left(&self, step: &str) -> Option<Duration> {
        let (last, _) = self.last.as_ref()?;
        let elapsed = self.started.elapsed();
        let mut steps = lock_unpoisoned(&self.steps);
        steps.begin(step, elapsed);
        let left = steps.remaining(last);
        if let Some(left) = left {
            *lock_unpoisoned(&self.end) = Some(elapsed + left);
        }
        left
    }

    /// Show the current step.
    pub fn show_step(&self, what: &str) {
        let left = self.time_left(what);
        let line = match self.lines {
            Lines::None => false,
            Lines::Downloads => self.bar.is_hidden() && what.starts_with(DOWNLOADING),
            Lines::All => true,
        };
        if line {
            let left = left.map_or(String::new(), |left| {
                format!(" ({})", format_time_left(left))
            });
            eprintln!("{}: {what}{left}", self.bar.prefix());
        }
        self.bar.set_message(what.to_owned());
    }
}

/// The line on a terminal, which counts down to `end`.
fn countdown_style(end: Arc<Mutex<Option<Duration>>>) -> ProgressStyle {
    let template = "{spinner} {prefix}: {wide_msg} {elapsed}{left}";
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key(
            "left",
            move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                if let Some(end) = *lock_unpoisoned(&end) {
                    let left = end.saturating_sub(state.elapsed());
                    // A terminal that cannot be written to shows nothing else either.
                    _ = write!(text, ", {}", format_time_left(left));
                }
            },
        )
}

/// The contents of a mutex, also after a panic elsewhere.
fn lock_unpoisoned<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
