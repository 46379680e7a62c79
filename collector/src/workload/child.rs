//! The workload's side.

use std::{
    env,
    ffi::CString,
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

use super::endangers::endangers_link;
use super::invoke::{code, invoke};
use super::keeper::Keeper;
use super::link::Link;
use super::protocol::{FromChild, Job, ToChild};
use super::spec::{Arg, Around, WorkloadKind, errno_of};
use super::surroundings::{SurroundingsError, enter, read_from};
use super::threads::together;

/// The first argument that makes this program a workload. The second is its parent's process id.
pub const HIDDEN_ARGUMENT: &str = "__workload";

/// The exit status of a workload that could not do what it was told.
pub(super) const GAVE_UP: i32 = 126;
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
    if let Err(error) = guard(parent).and_then(|()| work()) {
        // The collector takes this as the reason.
        eprintln!("{WHY}{error}");
        exit(GAVE_UP);
    }
    exit(0);
}

/// Die with the collector, and start with nothing open but 0, 1 and 2.
fn guard(parent: Option<i32>) -> io::Result<()> {
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

fn work() -> io::Result<()> {
    let mut link = Link::open();
    let job: Job = link.receive()?;
    let input = match prepare(&job).and_then(|()| Ok(enter(&job.around)?)) {
        Ok(input) => input,
        Err(error) => return link.send(&FromChild::Failed(error.to_string())),
    };
    match &job.kind {
        WorkloadKind::Command(argv) => command(argv, &job.around, input, &mut link),
        WorkloadKind::Syscall { number, name, args } => {
            call(*number, name, args, &job, input, &mut link)
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
    /// More arguments than a system call has.
    #[error("{0} arguments, and 6 is the limit")]
    TooManyArguments(usize),
    /// A folder or an input that is not there.
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    /// A text that C cannot hold.
    #[error("the text {0:?} holds a NUL")]
    Nul(String),
}

fn prepare(job: &Job) -> Result<(), PrepareError> {
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
        if holds(Capability::CAP_SETPCAP) {
            sets.insert(0, CapSet::Bounding);
        }
        for set in sets {
            caps::clear(None, set).map_err(|error| PrepareError::Capabilities { set, error })?;
        }
    }
    Ok(())
}

fn holds(capability: Capability) -> bool {
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

/// Stop until the collector continues us, then execute, in a process group of our own. The pipe is closed before,
/// because closing it later would be part of what is traced.
fn command(
    argv: &[String],
    around: &Around,
    input: Option<File>,
    link: &mut Link,
) -> io::Result<()> {
    let Some((program, args)) = argv.split_first() else {
        return link.send(&FromChild::Failed("the command is empty".into()));
    };
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    leave_guard()?;
    let mut command = Command::new(around.program(program));
    command.arg0(program).args(args).envs(around.env.clone());
    // The link is not used again.
    read_from(input)?;
    raise(Signal::SIGSTOP)?;
    let error = command.exec();
    eprintln!("cannot execute {program}: {error}");
    exit(127);
}

/// Leave a process behind that kills our process group when the collector lets go of its pipe, also by dying: what
/// the command has started is not killed with it. It is not a child of ours, because the command may wait for all its
/// children.
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
            Ok(ForkResult::Parent { .. }) => leave(0),
            Ok(ForkResult::Child) => guard_group(group),
            Err(_) => leave(1),
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
    // Nobody may be left, which is what is wanted.
    let _ = killpg(group, Signal::SIGKILL);
    leave(0)
}

/// End a copy of this process without what the original does at its end.
fn leave(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// The memory behind the pointer arguments.
struct Operands {
    words: [i64; 7],
    buffers: Vec<(String, Vec<u8>)>,
    _texts: Vec<CString>,
}

impl Operands {
    fn new(number: i64, args: &[Arg]) -> Result<Self, PrepareError> {
        if args.len() > 6 {
            return Err(PrepareError::TooManyArguments(args.len()));
        }
        let mut operands = Self {
            words: [number, 0, 0, 0, 0, 0, 0],
            buffers: Vec::new(),
            _texts: Vec::new(),
        };
        for (arg, word) in args.iter().zip(&mut operands.words[1..]) {
            *word = match arg {
                Arg::Int(value) => *value,
                Arg::Str(text) => {
                    let text =
                        CString::new(text.as_str()).map_err(|_| PrepareError::Nul(text.clone()))?;
                    let address = text.as_ptr() as i64;
                    operands._texts.push(text);
                    address
                }
                Arg::Buffer { size, name } => {
                    let mut buffer = vec![0u8; *size];
                    let address = buffer.as_mut_ptr() as i64;
                    operands.buffers.push((name.clone(), buffer));
                    address
                }
            };
        }
        Ok(operands)
    }

    fn call(&self) -> i64 {
        // SAFETY: pointers among the words are to memory of ours that lives as long as `self`; what the
        // call does with it, and with the numbers, is what the author of the investigation asked for.
        unsafe { invoke(&self.words) }
    }

    /// What [`call`](Self::call) opened is closed, and what it closed is open again, though not on the same file.
    fn tidy(&self) {
        close_all();
        if endangers_link(&self.words) {
            stand_in();
        }
    }
}

/// Give descriptors 0, 1 and 2 something where they are closed.
fn stand_in() {
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

fn call(
    number: i64,
    name: &str,
    args: &[Arg],
    job: &Job,
    input: Option<File>,
    link: &mut Link,
) -> io::Result<()> {
    let operands = match Operands::new(number, args) {
        Ok(operands) => operands,
        Err(error) => return link.send(&FromChild::Failed(error.to_string())),
    };
    if input.is_some() || endangers_link(&operands.words) {
        // Hand the pipes to a process that the call does not reach.
        *link = Link::Kept(Keeper::start()?);
        read_from(input)?;
    }
    for _ in 0..job.warm_up {
        operands.call();
        operands.tidy();
    }
    let head = head(name, args);
    let (function, instruction, code) = code(number);
    link.send(&FromChild::Ready {
        instruction,
        function,
        code: hex::encode(code),
    })?;
    loop {
        match link.receive()? {
            ToChild::Time(calls) => link.send(&FromChild::Timed(time(&operands, calls)))?,
            ToChild::Go => break,
            ToChild::Release => return Ok(()),
            other => return Err(io::Error::other(format!("{other:?} at the gate"))),
        }
    }
    let returned = if job.threads > 1 {
        // SAFETY: as in `Operands::call`; buffers are bytes without meaning to this process.
        unsafe { together(operands.words, job.threads) }?
    } else {
        operands.call()
    };
    link.print(&line(&head, returned))?;
    loop {
        match link.receive()? {
            ToChild::Report => {
                let buffers = operands.buffers.iter();
                let buffers = buffers.map(|(name, bytes)| (name.clone(), hex::encode(bytes)));
                link.send(&FromChild::Done {
                    returned,
                    buffers: buffers.collect(),
                })?;
            }
            ToChild::Release => return Ok(()),
            other => return Err(io::Error::other(format!("{other:?} after the call"))),
        }
    }
}

/// Median time of one call in nanoseconds.
fn time(operands: &Operands, calls: u32) -> u64 {
    let mut times: Vec<u64> = (0..calls.max(1))
        .map(|_| {
            let start = Instant::now();
            operands.call();
            let elapsed = start.elapsed();
            operands.tidy();
            u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// `socket(2, 1, 0) = `
pub(super) fn head(name: &str, args: &[Arg]) -> String {
    let args: Vec<String> = args
        .iter()
        .map(|arg| match arg {
            Arg::Int(value) => value.to_string(),
            Arg::Str(text) => format!("{text:?}"),
            Arg::Buffer { name, .. } => name.clone(),
        })
        .collect();
    format!("{name}({}) = ", args.join(", "))
}

fn line(head: &str, returned: i64) -> String {
    match errno_of(returned) {
        0 => format!("{head}{returned}\n"),
        errno => format!("{head}-1 {:?}\n", nix::errno::Errno::from_raw(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check the line that the reader of a book sees, for success and failure.
    #[test]
    fn lines_look_like_strace() {
        let args = [Arg::Int(2), Arg::Str("a\"b".into())];
        assert_eq!(
            line(&head("socket", &args), 3),
            "socket(2, \"a\\\"b\") = 3\n"
        );
        let failed = line(&head("pipe2", &[]), -i64::from(libc::EMFILE));
        assert_eq!(failed, "pipe2() = -1 EMFILE\n");
    }

    /// Check that arguments go into the words in order, the rest being 0, and that a seventh is refused.
    #[test]
    fn operands_are_in_order() {
        let operands = Operands::new(9, &[Arg::Int(5), Arg::Int(-1)]).unwrap();
        assert_eq!(operands.words, [9, 5, -1, 0, 0, 0, 0]);
        assert!(Operands::new(9, &vec![Arg::Int(0); 7]).is_err());
        assert!(Operands::new(9, &[Arg::Str("a\0b".into())]).is_err());
    }
}
