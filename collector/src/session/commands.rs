//! Runs of the commands of an investigation: ordinary programs, one after the other, in parallel with other work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qed_evidence::document::Reader;
use qed_evidence::investigation::{Investigation, PlannedCommand};

use super::raw::RawCommand;
use crate::reason::Reason;
use crate::workload::{
    Exit, RunningWorkload, WorkloadEnvironment, WorkloadKind, WorkloadOutcome, WorkloadSpec,
};

/// The reason not to run a command that is for guests alone.
const FOR_GUESTS: &str =
    "not run, because it is for guests alone (`on = \"guest\"`), and this machine is a host";
/// The beginning of the reason of a command whose program could not be executed.
pub const NOT_STARTED: &str = "it could not be started";
/// The beginning of the reason of a command that was known not to run.
const NOT_RUN: &str = "not run";
/// The exit status of the workload's process if the program could not be executed, and the prefix of its reason.
const NOT_EXECUTED: (i32, &str) = (127, "cannot execute ");

/// A command to run, or the reason why it cannot be run.
pub struct CommandTask {
    /// The command line, as the evidence states it.
    pub argv: Vec<String>,
    /// The reason for not trying at all, if there is one.
    pub impossible: Option<Reason>,
    /// The longest that it may take.
    pub timeout: Duration,
    /// The most of its output to keep, in bytes.
    pub max_output: u32,
}

/// Commands that are being run.
pub struct Commands(JoinHandle<Vec<RawCommand>>);

impl Commands {
    /// Start the commands of `investigation` that run on the captured machine. `ephemeral`: that is a guest.
    pub fn start_for_machine(investigation: &Investigation, ephemeral: bool) -> Self {
        Self::start_of(investigation, |command| {
            (command.guests_only && !ephemeral).then(|| FOR_GUESTS.into())
        })
    }

    /// Start the commands of `investigation` that run in this guest, but for those that are known to be `impossible` there, by name.
    pub fn start_for_guest(
        investigation: &Investigation,
        impossible: &BTreeMap<String, Reason>,
    ) -> Self {
        Self::start_of(investigation, |command| {
            let reason = impossible.get(&command.name)?;
            Some(format!("{NOT_RUN}: {reason}").into())
        })
    }

    fn start_of(
        investigation: &Investigation,
        impossible: impl Fn(&PlannedCommand) -> Option<Reason>,
    ) -> Self {
        let commands = investigation.commands.iter();
        let tasks = commands
            .filter(|command| command.on == Reader::Machine)
            .map(|command| CommandTask {
                argv: command.run.clone(),
                impossible: impossible(command),
                timeout: Duration::from_millis(command.timeout_ms),
                max_output: command.max_output,
            });
        Self::start(tasks.collect(), PathBuf::from("/"), None)
    }

    /// Start `tasks`, in `folder`; `keep` is dropped when the last one has ended.
    pub fn start(
        tasks: Vec<CommandTask>,
        folder: PathBuf,
        keep: Option<tempfile::TempDir>,
    ) -> Self {
        Commands(thread::spawn(move || {
            let done = run(&tasks, &folder);
            drop(keep);
            done
        }))
    }

    /// Wait until the last one has ended.
    pub fn wait(self) -> Vec<RawCommand> {
        match self.0.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn run(tasks: &[CommandTask], folder: &Path) -> Vec<RawCommand> {
    // Most investigations have none.
    if tasks.is_empty() {
        return Vec::new();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    tasks
        .iter()
        .map(|task| {
            let ended = match (&task.impossible, &runtime) {
                (Some(reason), _) => Err(reason.clone()),
                (None, Err(error)) => Err(format!("failed to start the runtime: {error}").into()),
                (None, Ok(runtime)) => runtime.block_on(run_one(task, folder)),
            };
            let (ended, stdout, printed, stderr) = match ended {
                Ok((ended, outcome)) => (ended, outcome.stdout, outcome.printed, outcome.stderr),
                Err(reason) => (Err(reason), Vec::new(), Some(0), Vec::new()),
            };
            RawCommand {
                argv: task.argv.clone(),
                ended,
                stdout,
                printed,
                stderr,
            }
        })
        .collect()
}

/// Run one: its end and its output, or why it was not run.
async fn run_one(
    task: &CommandTask,
    folder: &Path,
) -> Result<(Result<i32, Reason>, WorkloadOutcome), Reason> {
    let spec = WorkloadSpec {
        kind: WorkloadKind::Command(task.argv.clone()),
        limits: Vec::new(),
        drop_capabilities: false,
        warm_up: 0,
        threads: 1,
        max_output: task.max_output as usize,
        timeout: task.timeout,
        around: WorkloadEnvironment::default(),
    };
    let not_run = |error: crate::workload::WorkloadError| -> Reason {
        format!("it was not run: {error}").into()
    };
    let mut running = RunningWorkload::start_in(folder, &spec)
        .await
        .map_err(not_run)?;
    running.release_gate().await.map_err(not_run)?;
    let outcome = running.release().await.map_err(not_run)?;
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    let ended = match outcome.exit {
        Exit::Exited(status) if status == NOT_EXECUTED.0 && stderr.starts_with(NOT_EXECUTED.1) => {
            // Only the system's part of the message is kept: paths of this machine are private.
            let why = stderr.trim_end().rsplit(": ").next().unwrap_or_default();
            Err(format!("{NOT_STARTED}: {why}").into())
        }
        Exit::Exited(status) => Ok(status),
        Exit::Signaled(signal) => Err(format!("signal {signal} ended it").into()),
        Exit::TimedOut => {
            Err(format!("it did not end within {:?} and was killed", task.timeout).into())
        }
    };
    Ok((ended, outcome))
}
