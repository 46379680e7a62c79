//! The workload's side of the protocol: the process that makes the call.

use std::{
    env,
    fs::File,
    io,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    process::{Command, exit},
    time::Instant,
};

use caps::{CapSet, Capability};
use nix::{
    sys::{
        prctl,
        signal::{Signal, killpg, raise},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, getpid, setpgid, setsid},
};

use super::invoke::{call_code, marking_instruction};
use super::link::Link;
use super::operands::{Operands, OperandsError, may_endanger_link};
use super::protocol::{FromChild, ToChild, WorkloadJob};
use super::spec::{SyscallInvocation, WorkloadEnvironment, WorkloadKind};
use super::surroundings::{SurroundingsError, enter, set_stdin};
use super::threads::call_in_threads;

/// The first argument that makes this program a workload. The second is its parent's process id.
pub const HIDDEN_ARGUMENT: &str = "__workload";

/// The exit status of a workload that could not prepare its call or command.
pub(super) const EXIT_SETUP_FAILED: i32 = 126;
/// The beginning of the line in which it says why.
pub(super) const WHY: &str = "workload: ";

/// Was this process started as a workload?
pub fn is_child() -> bool {
    env::args_os()
        .nth(1)
        .is_some_and(|first| first.as_bytes() == HIDDEN_ARGUMENT.as_bytes())
}

/// To be called first in `main`: if this process is a workload it does its job and never returns.
pub fn child_main() {
    if !is_child() {
        return;
    }
    let parent = env::args().nth(2).and_then(|text| text.parse().ok());
    if let Err(error) = set_up_process(parent).and_then(|()| run_job()) {
        // The collector takes this as the reason.
        eprintln!("{WHY}{error}");
        exit(EXIT_SETUP_FAILED);
    }
    exit(0);
}

/// Die with the collector, and start with nothing open but 0, 1 and 2.
fn set_up_process(parent: Option<i32>) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The collector may have died before that took effect.
    if parent != Some(nix::unistd::getppid().as_raw()) {
        return Err(io::Error::other("the collector is gone"));
    }
    close_all();
    Ok(())
}

/// Close everything from 3 on. All that is open there was opened by a warm-up call or inherited; nothing
/// in this process owns it.
fn close_all() {
    // SAFETY: no Rust value owns a descriptor above 2.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

fn run_job() -> io::Result<()> {
    let (mut link, job) = Link::open()?;
    let input = match prepare(&job).and_then(|()| Ok(enter(&job.around)?)) {
        Ok(input) => input,
        Err(error) => return link.send(&FromChild::Failed(error.to_string())),
    };
    match &job.kind {
        WorkloadKind::Command(argv) => run_command(argv, &job.around, input, &mut link),
        WorkloadKind::Syscall {
            before,
            sequence,
            call: last,
        } => {
            let watched = WatchedCalls {
                before,
                sequence,
                call: last,
                endangers: false,
            };
            run_calls(watched, &job, input, &mut link)
        }
    }
}

/// A workload that cannot be prepared.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    /// A resource limit was refused.
    #[error("cannot set resource limit {resource} to {soft}: {error}")]
    Limit {
        resource: u32,
        soft: u64,
        error: io::Error,
    },
    /// Capabilities could not be given up.
    #[error("cannot drop the capabilities ({set:?}): {error}")]
    Capabilities {
        set: CapSet,
        error: caps::errors::CapsError,
    },
    /// A folder or an input that is not there.
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
}

fn prepare(job: &WorkloadJob) -> Result<(), PrepareError> {
    for (resource, soft) in &job.limits {
        set_soft_limit(*resource, *soft).map_err(|error| PrepareError::Limit {
            resource: *resource,
            soft: *soft,
            error,
        })?;
    }
    if job.drop_capabilities {
        // The bounding set first, while dropping from it is still allowed: it keeps a command that root
        // executes from getting all of them back.
        let mut sets = vec![CapSet::Effective, CapSet::Inheritable, CapSet::Permitted];
        if has_capability(Capability::CAP_SETPCAP) {
            sets.insert(0, CapSet::Bounding);
        }
        for set in sets {
            caps::clear(None, set).map_err(|error| PrepareError::Capabilities { set, error })?;
        }
    }
    Ok(())
}

fn has_capability(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

fn set_soft_limit(resource: u32, soft: u64) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for reading and writing.
    unsafe {
        if libc::getrlimit(resource, &raw mut limit) != 0 {
            return Err(io::Error::last_os_error());
        }
        limit.rlim_cur = soft;
        limit.rlim_max = limit.rlim_max.max(soft);
        if libc::setrlimit(resource, &raw const limit) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Stop until the collector continues us, then execute, in a process group of our own. The pipe is closed before that, because
/// closing it later would be traced as well.
fn run_command(
    argv: &[String],
    around: &WorkloadEnvironment,
    input: Option<File>,
    link: &mut Link,
) -> io::Result<()> {
    let Some((program, args)) = argv.split_first() else {
        return link.send(&FromChild::Failed("the command is empty".into()));
    };
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    leave_guard()?;
    let mut command = Command::new(around.program_path(program));
    command.arg0(program).args(args).envs(around.env.clone());
    // The link is not used again.
    set_stdin(input)?;
    raise(Signal::SIGSTOP)?;
    let error = command.exec();
    eprintln!("cannot execute {program}: {error}");
    exit(127);
}

/// Leave a process behind that kills our process group when the collector closes its pipe, or dies: processes that the command
/// has started would not be killed otherwise. It is not a child of ours, because the command may wait for all its children.
fn leave_guard() -> io::Result<()> {
    let group = getpid();
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => Err(io::Error::other(format!(
                "cannot start its guard: {other:?}"
            ))),
        },
        // SAFETY: as above.
        ForkResult::Child => match unsafe { fork() } {
            Ok(ForkResult::Parent { .. }) => exit_copy(0),
            Ok(ForkResult::Child) => guard_group(group),
            Err(_) => exit_copy(1),
        },
    }
}

fn guard_group(group: Pid) -> ! {
    // Out of the reach of the terminal's signals. Fails only for the leader of a group, which a new process is not.
    let _ = setsid();
    // SAFETY: this process has no other descriptors that matter to it.
    unsafe { libc::close_range(1, libc::c_uint::MAX, 0) };
    let mut byte = 0u8;
    loop {
        // SAFETY: one byte of ours.
        match unsafe { libc::read(0, (&raw mut byte).cast(), 1) } {
            1 => {}
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    // It is not an error if the group is already empty.
    let _ = killpg(group, Signal::SIGKILL);
    exit_copy(0)
}

/// End a copy of this process without what the original does at its end.
fn exit_copy(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Close descriptors that a call opened, and reopen those that it closed, although not on the same file.
fn restore_descriptors(endangers: bool) {
    close_all();
    if endangers {
        open_missing_descriptors();
    }
}

/// Give descriptors 0, 1 and 2 something where they are closed.
fn open_missing_descriptors() {
    for descriptor in 0..=2 {
        // SAFETY: no pointers but to a text that lives forever; no Rust value owns these descriptors.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) < 0 {
                // The lowest that is free, so this one.
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// The calls that are watched, with what has to be done before them.
struct WatchedCalls<'a> {
    before: &'a [SyscallInvocation],
    /// Watched calls before the last one.
    sequence: &'a [SyscallInvocation],
    call: &'a SyscallInvocation,
    /// One of the calls may take the pipes away.
    endangers: bool,
}

/// The calls as far as they were made.
struct CallResults {
    /// The last of them, which keeps the memory of all.
    operands: Operands,
    /// Its result.
    returned: i64,
    /// The results of those before it.
    earlier: Vec<i64>,
    /// The time that they took together, in nanoseconds.
    elapsed_ns: u64,
}

impl WatchedCalls<'_> {
    /// The first watched call, ready to be made.
    fn prepare(&self) -> Result<Operands, OperandsError> {
        Operands::prepare(self.before, self.sequence.first().unwrap_or(self.call))
    }

    /// All watched calls but the first.
    fn later_calls(&self) -> impl Iterator<Item = &SyscallInvocation> {
        let last = (!self.sequence.is_empty()).then_some(self.call);
        self.sequence.iter().skip(1).chain(last)
    }

    /// Make the calls, each by `call`, from the first on, which is ready.
    fn make_calls(
        &self,
        first: Operands,
        call: impl Fn(&Operands) -> i64,
    ) -> Result<CallResults, OperandsError> {
        let mut later = self.later_calls();
        let mut made = CallResults {
            operands: first,
            returned: 0,
            earlier: Vec::new(),
            elapsed_ns: 0,
        };
        loop {
            let start = Instant::now();
            made.returned = call(&made.operands);
            let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            made.elapsed_ns = made.elapsed_ns.saturating_add(elapsed);
            let Some(next) = later.next() else {
                return Ok(made);
            };
            made.earlier.push(made.returned);
            made.operands = made.operands.prepare_next(made.returned, next)?;
        }
    }

    /// Make everything as it was before the calls, and ready for the next time.
    fn prepare_again(&self, used: Operands) -> Result<Operands, OperandsError> {
        restore_descriptors(self.endangers);
        if self.before.is_empty() && self.sequence.is_empty() {
            return Ok(used);
        }
        self.prepare()
    }

    /// Median time of the calls in nanoseconds, and all ready again.
    fn measure_time(
        &self,
        mut operands: Operands,
        calls: u32,
    ) -> Result<(u64, Operands), OperandsError> {
        let mut times = Vec::new();
        for _ in 0..calls.max(1) {
            let made = self.make_calls(operands, Operands::make_call_unmarked)?;
            times.push(made.elapsed_ns);
            operands = self.prepare_again(made.operands)?;
        }
        times.sort_unstable();
        Ok((times[times.len() / 2], operands))
    }

    /// Hand the pipes to a process that the calls do not reach, where they need that; then make everything ready.
    fn make_ready(
        &mut self,
        warm_up: u32,
        input: Option<File>,
        link: &mut Link,
    ) -> io::Result<Result<Operands, OperandsError>> {
        let all = (self.before.iter()).chain(self.sequence).chain([self.call]);
        self.endangers = match may_endanger_link(all) {
            Ok(endangers) => endangers,
            Err(error) => return Ok(Err(error)),
        };
        if input.is_some() || self.endangers {
            link.keep()?;
            set_stdin(input)?;
        }
        Ok(self.prepare().and_then(|mut operands| {
            for _ in 0..warm_up {
                let made = self.make_calls(operands, Operands::make_call)?;
                operands = self.prepare_again(made.operands)?;
            }
            Ok(operands)
        }))
    }
}

fn run_calls(
    mut watched: WatchedCalls<'_>,
    job: &WorkloadJob,
    input: Option<File>,
    link: &mut Link,
) -> io::Result<()> {
    let mut operands = match watched.make_ready(job.warm_up, input, link)? {
        Ok(ready) => ready,
        Err(error) => return link.send(&FromChild::Failed(error.to_string())),
    };
    let (function, instruction, code) = call_code(watched.call.number);
    link.send(&FromChild::Ready {
        instruction,
        function,
        code: hex::encode(code),
        marking_instruction: marking_instruction(),
    })?;
    loop {
        match link.receive()? {
            ToChild::Time(calls) => match watched.measure_time(operands, calls) {
                Ok((time, ready)) => {
                    operands = ready;
                    link.send(&FromChild::Timed(time))?;
                }
                Err(error) => return link.send(&FromChild::Failed(error.to_string())),
            },
            ToChild::Go => break,
            ToChild::Release => return Ok(()),
            other => return Err(io::Error::other(format!("{other:?} at the gate"))),
        }
    }
    let made = if job.threads > 1 {
        // SAFETY: as in `Operands::make_call`; buffers are bytes without meaning to this process.
        let returned = unsafe { call_in_threads(operands.words, job.threads) }?;
        Ok(CallResults {
            operands,
            returned,
            earlier: Vec::new(),
            elapsed_ns: 0,
        })
    } else {
        watched.make_calls(operands, Operands::make_call)
    };
    link.send(&FromChild::Returned)?;
    report_outcome(made, link)
}

/// Report the outcome of the calls whenever the collector asks, until it releases the process.
fn report_outcome(made: Result<CallResults, OperandsError>, link: &mut Link) -> io::Result<()> {
    loop {
        match link.receive()? {
            ToChild::Report => link.send(&match &made {
                Ok(made) => FromChild::Done {
                    returned: made.returned,
                    earlier: made.earlier.clone(),
                    buffers: (made.operands.buffers())
                        .map(|(name, bytes)| (name.to_owned(), hex::encode(bytes)))
                        .collect(),
                },
                Err(error) => FromChild::Failed(error.to_string()),
            })?,
            ToChild::Release => return Ok(()),
            other => return Err(io::Error::other(format!("{other:?} after the call"))),
        }
    }
}
