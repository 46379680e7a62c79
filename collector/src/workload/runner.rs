//! The collector's side of the protocol: the process that starts and watches the workload.

use std::{
    io,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::random::random_hex;

use super::captured::CapturedOutput;
use super::child::{EXIT_SETUP_FAILED, HIDDEN_ARGUMENT, WHY};
use super::protocol::{FromChild, MessageMarker, ToChild, WorkloadJob};
use super::spec::{Exit, WorkloadKind, WorkloadOutcome, WorkloadSpec, errno_of};

/// The most bytes of standard error that are kept.
const STDERR_LIMIT: usize = 64 * 1024;

/// The time for reading the rest of the pipes if another process still has them open. One that is being started beside this one has them
/// until it runs its program, which takes a while on a busy machine.
const DRAIN: Duration = Duration::from_secs(1);

/// The workload could not be run as requested. A workload that fails by itself is not an error: that is its
/// [`WorkloadOutcome`].
#[derive(Debug, Error)]
pub enum WorkloadError {
    /// The operating system refused something.
    #[error("cannot {what} the workload: {error}")]
    System {
        /// "start", "wait for", …
        what: &'static str,
        /// Its reason.
        error: io::Error,
    },
    /// A workload that could not be prepared.
    #[error("the workload could not be prepared: {0}; correct it in the investigation")]
    Preparation(String),
    /// One of several calls could not be made.
    #[error("not all calls of the workload could be made: {0}; correct it in the investigation")]
    Sequence(String),
    /// A step took too long.
    #[error(
        "the workload did not {step} within {limit:?} and was killed; give it a longer timeout in the investigation"
    )]
    Timeout {
        /// "get ready", …
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// A workload that ended before it should. Its standard error is left out: this is a reason, which is published as it stands, and a program
    /// may write anything there.
    #[error(
        "the workload exited before its call was started ({status}); run it by hand to see its output"
    )]
    Early {
        /// Its exit status.
        status: String,
    },
    /// Its call destroyed its connection to the collector.
    #[error(
        "the workload could not report the result of its call: {0}. A call that closes or replaces the collector's pipes \
         cannot run as `syscall`; use `command`"
    )]
    Silenced(String),
    /// A message other than the expected one.
    #[error("unexpected message from the workload ({0}); this is a bug in the collector")]
    Protocol(String),
}

fn system_error(what: &'static str) -> impl FnOnce(io::Error) -> WorkloadError {
    move |error| WorkloadError::System { what, error }
}

/// The code with which the workload makes its call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CallSite {
    /// Address of the function in the workload's memory.
    pub function: u64,
    /// Address of the `syscall` instruction.
    pub instruction: u64,
    /// The function's machine code.
    pub code: Vec<u8>,
    /// Address of the `syscall` instruction of the next system call, which marks that the task is back in user space.
    pub marking_instruction: u64,
}

/// The state of the workload after it passed the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadState {
    /// The system call returned; the process waits with its objects open.
    Returned,
    /// The process has ended: a command did its work, or a signal killed it in the call.
    Ended,
}

/// A workload at its gate, or past it. Dropping it kills the process, and those that a command started.
pub struct RunningWorkload {
    child: Child,
    tgid: u32,
    /// The only one: of a command, its guard waits for the end of it.
    link: Option<ChildStdin>,
    stdout: CapturedOutput<ChildStdout>,
    stderr: CapturedOutput<ChildStderr>,
    limit: Duration,
    is_command: bool,
    call_site: Option<CallSite>,
    status: Option<ExitStatus>,
    timed_out: bool,
    returned: Option<i64>,
    buffers: Vec<(String, Vec<u8>)>,
    earlier: Vec<i64>,
}

impl RunningWorkload {
    /// Start this program again as the workload, and wait until it is at the gate.
    pub async fn start(spec: &WorkloadSpec) -> Result<Self, WorkloadError> {
        Self::start_as(Path::new("/proc/self/exe"), spec).await
    }

    /// The same with another copy of this program, one that calls [`child_main`](super::child::child_main) first.
    pub async fn start_as(program: &Path, spec: &WorkloadSpec) -> Result<Self, WorkloadError> {
        Self::spawn(&mut Command::new(program), spec).await
    }

    /// Start it in `folder`, with no more of the environment than where programs are, and without translations.
    pub async fn start_in(folder: &Path, spec: &WorkloadSpec) -> Result<Self, WorkloadError> {
        let mut command = Command::new("/proc/self/exe");
        let path = std::env::var_os("PATH").map(|path| ("PATH", path));
        command
            .current_dir(folder)
            .env_clear()
            .envs(path)
            .env("LC_ALL", "C");
        Self::spawn(&mut command, spec).await
    }

    async fn spawn(command: &mut Command, spec: &WorkloadSpec) -> Result<Self, WorkloadError> {
        let marker = MessageMarker::new(&random_hex().map_err(system_error("prepare"))?);
        let mut child = command
            .arg(HIDDEN_ARGUMENT)
            .arg(std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(system_error("start"))?;
        let missing = || WorkloadError::Protocol("no pipe".into());
        let mut running = Self {
            tgid: child.id().ok_or_else(missing)?,
            stdout: CapturedOutput::new(
                child.stdout.take().ok_or_else(missing)?,
                spec.max_output,
                None,
            ),
            stderr: CapturedOutput::new(
                child.stderr.take().ok_or_else(missing)?,
                STDERR_LIMIT,
                Some(marker.clone()),
            ),
            link: Some(child.stdin.take().ok_or_else(missing)?),
            child,
            limit: spec.timeout,
            is_command: matches!(spec.kind, WorkloadKind::Command(_)),
            call_site: None,
            status: None,
            timed_out: false,
            returned: None,
            buffers: Vec::new(),
            earlier: Vec::new(),
        };
        let limit = spec.timeout;
        match timeout(limit, running.get_ready(spec, marker)).await {
            Ok(Ok(())) => Ok(running),
            Ok(Err(error)) => Err(running.explain(error).await),
            Err(_) => Err(WorkloadError::Timeout {
                step: "get ready",
                limit,
            }),
        }
    }

    async fn get_ready(
        &mut self,
        spec: &WorkloadSpec,
        marker: MessageMarker,
    ) -> Result<(), WorkloadError> {
        self.send(&WorkloadJob {
            kind: spec.kind.clone(),
            limits: spec.limits.clone(),
            drop_capabilities: spec.drop_capabilities,
            warm_up: spec.warm_up,
            threads: spec.threads,
            around: spec.around.clone(),
            marker,
        })
        .await?;
        if self.is_command {
            return self.wait_until_stopped().await;
        }
        match self.receive().await? {
            FromChild::Ready {
                instruction,
                function,
                code,
                marking_instruction,
            } => {
                let code = hex::decode(code).map_err(|e| WorkloadError::Protocol(e.to_string()))?;
                self.call_site = Some(CallSite {
                    function,
                    instruction,
                    code,
                    marking_instruction,
                });
                Ok(())
            }
            FromChild::Failed(reason) => Err(WorkloadError::Preparation(reason)),
            other => Err(WorkloadError::Protocol(format!("{other:?}"))),
        }
    }

    /// Wait until the command's process has stopped itself.
    async fn wait_until_stopped(&mut self) -> Result<(), WorkloadError> {
        let flags = WaitPidFlag::WSTOPPED
            | WaitPidFlag::WEXITED
            | WaitPidFlag::WNOHANG
            | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::Pid(self.pid()), flags) {
                Ok(WaitStatus::Stopped(..)) => return Ok(()),
                Ok(WaitStatus::StillAlive) => sleep(Duration::from_micros(200)).await,
                // It said why.
                Ok(_) => {
                    return match self.receive().await? {
                        FromChild::Failed(reason) => Err(WorkloadError::Preparation(reason)),
                        other => Err(WorkloadError::Protocol(format!("{other:?}"))),
                    };
                }
                Err(errno) => return Err(system_error("wait for")(errno.into())),
            }
        }
    }

    /// Turn "the pipe is closed" into what the process said before it ended.
    async fn explain(mut self, error: WorkloadError) -> WorkloadError {
        if !matches!(&error, WorkloadError::System { error, .. } if error.kind() == io::ErrorKind::UnexpectedEof)
        {
            return error;
        }
        let _ = timeout(self.limit, self.wait_for_exit()).await;
        WorkloadError::Early {
            status: self
                .status
                .map_or("status unknown".into(), |status| status.to_string()),
        }
    }

    fn pid(&self) -> Pid {
        // Process ids fit: the kernel's limit is 2^22.
        Pid::from_raw(self.tgid as i32)
    }

    /// The workload's process id, for [`Control::target_tgid`](qed_collector_ebpf::Control::target_tgid).
    pub fn tgid(&self) -> u32 {
        self.tgid
    }

    /// The code that makes the system call; `None` for a command.
    pub fn call_site(&self) -> Option<&CallSite> {
        self.call_site.as_ref()
    }

    /// Its output so far, cut at [`WorkloadSpec::max_output`].
    pub fn stdout(&self) -> &[u8] {
        self.stdout.retained()
    }

    /// At the gate: make the call `calls` times, closing what it opens, and return the median time of one
    /// in nanoseconds. Of system calls only.
    pub async fn measure_time(&mut self, calls: u32) -> Result<u64, WorkloadError> {
        self.send(&ToChild::Time(calls)).await?;
        match timeout(self.limit, self.receive()).await {
            Ok(Ok(FromChild::Timed(median_ns))) => Ok(median_ns),
            Ok(Ok(other)) => Err(WorkloadError::Protocol(format!("{other:?}"))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(WorkloadError::Timeout {
                step: "make the timed calls",
                limit: self.limit,
            }),
        }
    }

    /// Let it go, and wait until its call has returned, or the process has ended, or the time is over.
    pub async fn release_gate(&mut self) -> Result<WorkloadState, WorkloadError> {
        if self.is_command {
            kill(self.pid(), Signal::SIGCONT).map_err(|e| system_error("continue")(e.into()))?;
        } else {
            self.send(&ToChild::Go).await?;
        }
        let deadline = Instant::now() + self.limit;
        let until_returned = !self.is_command;
        match timeout_at(deadline, self.read_output(until_returned)).await {
            Ok(result) => result,
            Err(_) => {
                self.kill().await?;
                Ok(WorkloadState::Ended)
            }
        }
    }

    /// Read its output until it says that its call has returned (if `until_returned`), or it has ended.
    async fn read_output(&mut self, until_returned: bool) -> Result<WorkloadState, WorkloadError> {
        loop {
            if until_returned && let Some(message) = self.take_message() {
                return match message? {
                    FromChild::Returned => Ok(WorkloadState::Returned),
                    other => Err(WorkloadError::Protocol(format!("{other:?}"))),
                };
            }
            tokio::select! {
                // Its output is read before its end is handled.
                biased;
                more = self.stdout.read_more(), if !self.stdout.closed => more,
                more = self.stderr.read_more(), if !self.stderr.closed => more,
                status = self.child.wait(), if self.status.is_none() => {
                    self.status = Some(status.map_err(system_error("wait for"))?);
                    self.drain().await;
                    return Ok(WorkloadState::Ended);
                }
            }
            .map_err(system_error("read what is printed by"))?;
        }
    }

    /// Read the rest of the pipes. Another process may hold them open, so this does not wait long for their end.
    async fn drain(&mut self) {
        let rest = async {
            while !self.stdout.closed && self.stdout.read_more().await.is_ok() {}
            while !self.stderr.closed && self.stderr.read_more().await.is_ok() {}
        };
        let _ = timeout(DRAIN, rest).await;
    }

    /// Wait for the end.
    async fn wait_for_exit(&mut self) -> Result<(), WorkloadError> {
        while self.status.is_none() {
            self.read_output(false).await?;
        }
        Ok(())
    }

    async fn kill(&mut self) -> Result<(), WorkloadError> {
        self.timed_out = true;
        if self.is_command && self.status.is_none() {
            // What it has started, too. The group is there as long as its leader was not waited for.
            let _ = killpg(self.pid(), Signal::SIGKILL);
        }
        self.child.start_kill().map_err(system_error("kill"))?;
        self.wait_for_exit().await
    }

    /// Ask for the result of the call. Between [`release_gate`](Self::release_gate) and this the workload does nothing, so the
    /// probes can be stopped in peace.
    pub async fn report(&mut self) -> Result<(), WorkloadError> {
        if self.status.is_some() || self.is_command {
            return Ok(());
        }
        self.send(&ToChild::Report).await?;
        match timeout(self.limit, self.receive()).await {
            Ok(Ok(FromChild::Failed(reason))) => Err(WorkloadError::Sequence(reason)),
            Ok(Ok(FromChild::Done {
                returned,
                earlier,
                buffers,
            })) => {
                self.returned = Some(returned);
                self.earlier = earlier;
                for (name, bytes) in buffers {
                    let bytes =
                        hex::decode(bytes).map_err(|e| WorkloadError::Protocol(e.to_string()))?;
                    self.buffers.push((name, bytes));
                }
                Ok(())
            }
            Ok(Ok(other)) => Err(WorkloadError::Protocol(format!("{other:?}"))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(WorkloadError::Timeout {
                step: "report",
                limit: self.limit,
            }),
        }
    }

    /// Let it end, which closes its objects, and reap it.
    pub async fn release(mut self) -> Result<WorkloadOutcome, WorkloadError> {
        if self.status.is_none() {
            if self.link.is_some() && !self.is_command {
                self.send(&ToChild::Release).await?;
            }
            if timeout(self.limit, self.wait_for_exit()).await.is_err() {
                self.kill().await?;
            }
        }
        let exit = match self.status {
            _ if self.timed_out => Exit::TimedOut,
            Some(status) => exit_from_status(status),
            None => return Err(WorkloadError::Protocol("no exit status".into())),
        };
        let output = String::from_utf8_lossy(self.stderr.retained());
        if !self.is_command
            && exit == Exit::Exited(EXIT_SETUP_FAILED)
            && let Some(why) = output.trim().strip_prefix(WHY)
        {
            return Err(WorkloadError::Silenced(why.to_owned()));
        }
        Ok(WorkloadOutcome {
            returned: self.returned,
            errno: self.returned.map(errno_of),
            exit,
            printed: self.stdout.closed.then(|| self.stdout.printed()),
            stdout: self.stdout.into_retained(),
            complained: self.stderr.closed.then(|| self.stderr.printed()),
            stderr: self.stderr.into_retained(),
            buffers: self.buffers,
            earlier: self.earlier,
        })
    }

    async fn send(&mut self, message: &impl serde::Serialize) -> Result<(), WorkloadError> {
        let mut line =
            serde_json::to_vec(message).map_err(|e| WorkloadError::Protocol(e.to_string()))?;
        line.push(b'\n');
        let link = self.link.as_mut();
        let link = link.ok_or_else(|| WorkloadError::Protocol("no link".into()))?;
        link.write_all(&line).await.map_err(system_error("talk to"))
    }

    /// The next message that came on standard error.
    fn take_message(&mut self) -> Option<Result<FromChild, WorkloadError>> {
        let message = serde_json::from_slice(&self.stderr.take_message()?);
        Some(message.map_err(|e| WorkloadError::Protocol(e.to_string())))
    }

    async fn receive(&mut self) -> Result<FromChild, WorkloadError> {
        loop {
            // Ignore other output: the process's end is more informative.
            if let Some(message) = self.take_message() {
                return message;
            }
            if self.stderr.closed {
                return Err(system_error("hear from")(
                    io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            self.stderr
                .read_more()
                .await
                .map_err(system_error("hear from"))?;
        }
    }
}

fn exit_from_status(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Exited(code),
        (None, Some(signal)) => Exit::Signaled(signal),
        // A process that has been waited for has ended one way or the other.
        (None, None) => Exit::Exited(status.into_raw()),
    }
}
