//! A workload and its end, as data.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadSpec {
    /// A system call or a command.
    pub kind: WorkloadKind,
    /// Soft resource limits, by number ([`names::resource_number`](super::names::resource_number)) and value.
    pub limits: Vec<(u32, u64)>,
    /// Give up all capabilities first.
    pub drop_capabilities: bool,
    /// Number of calls to make, closing what they open, before the gate. Of system calls only.
    pub warm_up: u32,
    /// The number of threads that make the call at once; 0 or 1: only the process's own one. For system calls only.
    pub threads: u32,
    /// The most of its output to keep, in bytes.
    pub max_output: usize,
    /// The longest that each step (start, call, end) may take.
    pub timeout: Duration,
    /// Its surroundings.
    pub around: WorkloadEnvironment,
}

/// The surroundings of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadEnvironment {
    /// The folder in which it starts and paths begin; `None`: that of the collector.
    pub folder: Option<PathBuf>,
    /// The folder in which it starts, if another one.
    pub cwd: Option<String>,
    /// Variables of its environment, besides those of the collector.
    pub env: Vec<(String, String)>,
    /// Its standard input; `None`: nothing.
    pub stdin: Option<Input>,
}

/// The standard input of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// This text.
    Text(String),
    /// This file.
    File(String),
}

/// The workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// System calls.
    Syscall {
        /// Calls that the process makes before the gate. Each must succeed.
        before: Vec<SyscallInvocation>,
        /// Calls that are watched, too, and are made after the gate, before the last one.
        sequence: Vec<SyscallInvocation>,
        /// The last call that is watched, or the only one.
        call: SyscallInvocation,
    },
    /// A program, searched in `PATH`, with its arguments.
    Command(Vec<String>),
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyscallInvocation {
    /// Its number.
    pub number: i64,
    /// Its name, for the line that the workload prints.
    pub name: String,
    /// At most six arguments; the others are 0.
    pub args: Vec<Arg>,
}

impl SyscallInvocation {
    /// The arguments that are numbers, in their places: `None` is one that is known in the process alone.
    pub fn known_args(&self) -> Vec<Option<i64>> {
        let known = |arg: &Arg| match arg {
            Arg::Int(value) => Some(*value),
            Arg::Str(_)
            | Arg::Buffer { .. }
            | Arg::Memory(_)
            | Arg::Result(_)
            | Arg::Element { .. } => None,
        };
        self.args.iter().map(known).collect()
    }
}

/// An argument of a system call, or a value in memory that one points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arg {
    /// A number.
    Int(i64),
    /// The address of this text, NUL-terminated.
    Str(String),
    /// The address of a zeroed buffer, which is read back after the call.
    Buffer {
        /// Bytes.
        size: usize,
        /// Name in [`WorkloadOutcome::buffers`].
        name: String,
    },
    /// The address of these bytes.
    Memory(Memory),
    /// The result of the call with this index in [`WorkloadKind::Syscall::before`] followed by
    /// [`WorkloadKind::Syscall::sequence`].
    Result(usize),
    /// One of the 32-bit integers in the buffer of an earlier call, counted as in [`Arg::Result`].
    Element {
        /// The call.
        call: usize,
        /// The name of its buffer.
        buffer: String,
        /// The place of the integer, from 0.
        index: usize,
    },
}

/// Bytes that a call gets the address of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Values that are known in the process alone.
    pub patches: Vec<Patch>,
    /// Name in [`WorkloadOutcome::buffers`], where they are read back after the call.
    pub name: Option<String>,
    /// The content as the line that the workload prints has it.
    pub text: String,
}

/// A value that is written into [`Memory`] before the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Its first byte.
    pub offset: usize,
    /// Bytes, 1 to 8; the lowest of the value, lowest first.
    pub size: usize,
    /// The value.
    pub value: Arg,
}

/// The end of the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadOutcome {
    /// The result of the system call, as the kernel returns it: a value, or a negative errno. `None`: it
    /// never returned to user space, or the workload is a command.
    pub returned: Option<i64>,
    /// The positive error number that user space sees; 0 after success. `None` as above.
    pub errno: Option<i32>,
    /// The end of the process.
    pub exit: Exit,
    /// Its output, cut at [`WorkloadSpec::max_output`].
    pub stdout: Vec<u8>,
    /// Length of its output in bytes; `None`: somebody that it started still has its output open and may print more.
    pub printed: Option<u64>,
    /// Its standard error, cut at 64 KiB.
    pub stderr: Vec<u8>,
    /// Length of its standard error in bytes, as [`printed`](Self::printed).
    pub complained: Option<u64>,
    /// Name and content of each buffer argument after the call, in order.
    pub buffers: Vec<(String, Vec<u8>)>,
    /// The results of the calls of [`WorkloadKind::Syscall::sequence`], as the kernel returned them.
    pub earlier: Vec<i64>,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// Killed, because it did not end in time.
    TimedOut,
}

/// The negative numbers that are errors: -4095 to -1.
/// <https://elixir.bootlin.com/linux/v6.1/source/include/linux/err.h#L18>
pub(super) fn errno_of(returned: i64) -> i32 {
    match returned {
        -4095..=-1 => -returned as i32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that exactly the kernel's error range counts as errors: high addresses do not.
    #[test]
    fn errors_are_told_from_values() {
        for (returned, errno) in [
            (0, 0),
            (3, 0),
            (-1, 1),
            (-24, 24),
            (-4095, 4095),
            (-4096, 0),
        ] {
            assert_eq!(errno_of(returned), errno);
        }
    }
}
