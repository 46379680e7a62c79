//! System calls with the memory behind their arguments, and those that come before the one that is watched.

use std::io;

use nix::errno::Errno;

use super::fd_conflicts::endangers_link;
use super::invoke::{invoke, invoke_unmarked};
use super::spec::{Arg, Memory, SyscallInvocation, errno_of};

/// A system call that cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperandsError {
    /// More arguments than a system call has.
    #[error("a system call takes at most 6 arguments, not {0}")]
    TooManyArguments(usize),
    /// A text that C cannot hold.
    #[error("the text {0:?} holds a NUL")]
    Nul(String),
    /// A result of a call that is not among those before.
    #[error("there is no earlier call number {0}")]
    NoResult(usize),
    /// A value that does not lie in its memory.
    #[error("{size} bytes at offset {offset} exceed the argument's memory")]
    Outside { offset: usize, size: usize },
    /// A call that takes the result of one that failed.
    #[error("{call} was not made, because it takes the result of a call that failed: {head}{}", io::Error::from(*.error))]
    FailedResult {
        call: String,
        nth: usize,
        head: String,
        error: Errno,
    },
    /// A call before the one that is watched failed.
    #[error("a call before the one that is watched failed: {head}{}", io::Error::from(*.error))]
    Before { head: String, error: Errno },
}

/// The calls that were made before one that is being prepared.
#[derive(Clone, Copy)]
enum EarlierCalls<'a> {
    /// What they returned, and what they left in memory.
    Made {
        results: &'a [i64],
        operands: &'a [Operands],
    },
    /// They were not made yet.
    Unmade,
}

impl EarlierCalls<'_> {
    /// The result of a call. Of one that was not made, a number that is no descriptor of ours.
    fn result(self, call: usize) -> Result<i64, OperandsError> {
        match self {
            Self::Made { results, .. } => {
                (results.get(call).copied()).ok_or(OperandsError::NoResult(call))
            }
            Self::Unmade => Ok(i64::from(i32::MAX)),
        }
    }

    /// The integer at `index` in the buffer of a call. Of one that was not made, a number that is no descriptor of ours.
    fn element(self, call: usize, buffer: &str, index: usize) -> Result<i64, OperandsError> {
        let Self::Made { operands, .. } = self else {
            return Ok(i64::from(i32::MAX));
        };
        let operands = operands.get(call).ok_or(OperandsError::NoResult(call))?;
        let mut buffers = operands.buffers.iter();
        let bytes = buffers.find(|(name, _)| name == buffer);
        bytes
            .and_then(|(_, bytes)| bytes.as_chunks::<4>().0.get(index))
            .map(|bytes| i32::from_ne_bytes(*bytes).into())
            .ok_or(OperandsError::Outside {
                offset: index.saturating_mul(4),
                size: 4,
            })
    }
}

/// A system call that is ready to be made.
pub(super) struct Operands {
    /// The number of the call, and its arguments.
    pub words: [i64; 7],
    /// Memory that is read back, by name.
    buffers: Vec<(String, Vec<u8>)>,
    /// The beginning of the line with the result of the call: `socket(2, 1, 0) = `.
    pub head: String,
    /// Memory that the arguments point to.
    memory: Vec<Vec<u8>>,
    /// The operands of the calls that were made before, kept alive as long.
    earlier: Vec<Operands>,
    /// The results of these calls.
    results: Vec<i64>,
}

impl Operands {
    /// Make the calls of `before`, and `call` ready.
    pub(super) fn prepare(
        before: &[SyscallInvocation],
        call: &SyscallInvocation,
    ) -> Result<Self, OperandsError> {
        let mut results = Vec::new();
        let mut earlier = Vec::new();
        for one in before {
            let made = EarlierCalls::Made {
                results: &results,
                operands: &earlier,
            };
            let operands = Self::new(one, made)?;
            let returned = operands.make_call();
            if errno_of(returned) != 0 {
                return Err(OperandsError::Before {
                    head: operands.head,
                    error: Errno::from_raw(errno_of(returned)),
                });
            }
            results.push(returned);
            earlier.push(operands);
        }
        let made = EarlierCalls::Made {
            results: &results,
            operands: &earlier,
        };
        let operands = Self::new(call, made)?;
        Ok(Self {
            earlier,
            results,
            ..operands
        })
    }

    /// Make `next` ready, which the process makes after this call `returned`.
    pub(super) fn prepare_next(
        mut self,
        returned: i64,
        next: &SyscallInvocation,
    ) -> Result<Self, OperandsError> {
        let mut results = std::mem::take(&mut self.results);
        results.push(returned);
        let mut earlier = std::mem::take(&mut self.earlier);
        earlier.push(self);
        let made = EarlierCalls::Made {
            results: &results,
            operands: &earlier,
        };
        let mut operands = Self::new(next, made).map_err(|error| match error {
            OperandsError::FailedResult {
                call, nth, error, ..
            } => OperandsError::FailedResult {
                call,
                nth,
                head: earlier
                    .get(nth)
                    .map_or_else(String::new, |one| one.head.clone()),
                error,
            },
            other => other,
        })?;
        (operands.earlier, operands.results) = (earlier, results);
        Ok(operands)
    }

    fn new(call: &SyscallInvocation, made: EarlierCalls<'_>) -> Result<Self, OperandsError> {
        if call.args.len() > 6 {
            return Err(OperandsError::TooManyArguments(call.args.len()));
        }
        let mut operands = Self {
            words: [call.number, 0, 0, 0, 0, 0, 0],
            buffers: Vec::new(),
            head: String::new(),
            memory: Vec::new(),
            earlier: Vec::new(),
            results: Vec::new(),
        };
        let mut texts = Vec::new();
        for (nth, arg) in call.args.iter().enumerate() {
            operands.words[nth + 1] = operands.argument_word(&call.name, arg, made)?;
            texts.push(argument_text(arg, operands.words[nth + 1]));
        }
        operands.head = format!("{}({}) = ", call.name, texts.join(", "));
        Ok(operands)
    }

    /// The word that stands for `arg`.
    fn argument_word(
        &mut self,
        call: &str,
        arg: &Arg,
        made: EarlierCalls<'_>,
    ) -> Result<i64, OperandsError> {
        Ok(match arg {
            Arg::Int(value) => *value,
            Arg::Str(text) if text.contains('\0') => return Err(OperandsError::Nul(text.clone())),
            Arg::Str(text) => self.store_bytes([text.as_bytes(), b"\0"].concat(), None),
            Arg::Buffer { size, name } => self.store_bytes(vec![0; *size], Some(name)),
            Arg::Memory(memory) => {
                let bytes = self.patched_bytes(call, memory, made)?;
                self.store_bytes(bytes, memory.name.as_ref())
            }
            Arg::Result(nth) => successful_result(call, *nth, made)?,
            Arg::Element {
                call: nth,
                buffer,
                index,
            } => {
                // A call that failed leaves zeros there, which would be the first descriptor.
                successful_result(call, *nth, made)?;
                made.element(*nth, buffer, *index)?
            }
        })
    }

    fn patched_bytes(
        &mut self,
        call: &str,
        memory: &Memory,
        made: EarlierCalls<'_>,
    ) -> Result<Vec<u8>, OperandsError> {
        let mut bytes = memory.bytes.clone();
        for patch in &memory.patches {
            let word = self.argument_word(call, &patch.value, made)?.to_le_bytes();
            let (offset, size) = (patch.offset, patch.size);
            let place = offset
                .checked_add(size)
                .and_then(|end| bytes.get_mut(offset..end));
            match (place, word.get(..size)) {
                (Some(place), Some(word)) => place.copy_from_slice(word),
                _ => return Err(OperandsError::Outside { offset, size }),
            }
        }
        Ok(bytes)
    }

    /// Store `bytes` for the lifetime of `self`, and return their address. They do not move when more bytes are stored.
    fn store_bytes(&mut self, mut bytes: Vec<u8>, name: Option<&String>) -> i64 {
        let address = bytes.as_mut_ptr() as i64;
        match name {
            Some(name) => self.buffers.push((name.clone(), bytes)),
            None => self.memory.push(bytes),
        }
        address
    }

    /// Name and content of each buffer of this call and those before it.
    pub(super) fn buffers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let all = self
            .earlier
            .iter()
            .chain([self])
            .flat_map(|one| &one.buffers);
        all.map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Make the call; returns what the kernel returns.
    pub(super) fn make_call(&self) -> i64 {
        // SAFETY: pointers among the words are to memory of ours that lives as long as `self`; what the
        // call does with it, and with the numbers, is what the author of the investigation asked for.
        unsafe { invoke(&self.words) }
    }

    /// Make the call without the marking call after it, for timing.
    pub(super) fn make_call_unmarked(&self) -> i64 {
        // SAFETY: as in `make_call`.
        unsafe { invoke_unmarked(&self.words) }
    }
}

/// What an earlier call returned, for the call `taker`, which is not made if that one failed.
fn successful_result(
    taker: &str,
    nth: usize,
    made: EarlierCalls<'_>,
) -> Result<i64, OperandsError> {
    let result = made.result(nth)?;
    match errno_of(result) {
        0 => Ok(result),
        errno => Err(OperandsError::FailedResult {
            call: taker.to_owned(),
            nth,
            head: String::new(),
            error: Errno::from_raw(errno),
        }),
    }
}

/// True if one of the calls may take the workload's pipes away. A result of an earlier one is not a descriptor of theirs,
/// unless that one was given it.
pub(super) fn may_endanger_link<'c>(
    calls: impl Iterator<Item = &'c SyscallInvocation>,
) -> Result<bool, OperandsError> {
    for call in calls {
        if endangers_link(&Operands::new(call, EarlierCalls::Unmade)?.words) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An argument as the line that the workload prints has it; `word` is what the call gets.
fn argument_text(arg: &Arg, word: i64) -> String {
    match arg {
        Arg::Int(_) | Arg::Result(_) | Arg::Element { .. } => word.to_string(),
        Arg::Str(text) => format!("{text:?}"),
        Arg::Buffer { name, .. } => name.clone(),
        Arg::Memory(memory) => memory.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::Patch;
    use super::*;

    fn call(number: i64, name: &str, args: Vec<Arg>) -> SyscallInvocation {
        SyscallInvocation {
            number,
            name: name.into(),
            args,
        }
    }

    fn returned(results: &[i64]) -> EarlierCalls<'_> {
        EarlierCalls::Made {
            results,
            operands: &[],
        }
    }

    /// Check how a call is named where it fails.
    #[test]
    fn heads_look_like_strace() {
        let args = vec![Arg::Int(2), Arg::Str("a\"b".into())];
        let operands = Operands::new(&call(41, "socket", args), returned(&[])).unwrap();
        assert_eq!(operands.head, "socket(2, \"a\\\"b\") = ");
        let operands = Operands::new(&call(293, "pipe2", Vec::new()), returned(&[])).unwrap();
        assert_eq!(operands.head, "pipe2() = ");
    }

    /// Check that arguments go into the words in order, the rest being 0, and that what cannot be is refused.
    #[test]
    fn operands_are_in_order() {
        let new = |args| Operands::new(&call(9, "mmap", args), returned(&[7]));
        let operands = new(vec![Arg::Int(5), Arg::Result(0)]).unwrap();
        assert_eq!(operands.words, [9, 5, 7, 0, 0, 0, 0]);
        assert!(new(vec![Arg::Int(0); 7]).is_err());
        assert!(new(vec![Arg::Str("a\0b".into())]).is_err());
        assert!(new(vec![Arg::Result(1)]).is_err());
    }

    /// Check that addresses and results are written into memory where they belong, and nowhere beside it.
    #[test]
    fn memory_is_patched() {
        let patch = |offset, size, value| Patch {
            offset,
            size,
            value,
        };
        let memory = |patches| {
            Arg::Memory(Memory {
                bytes: vec![0xff; 16],
                patches,
                name: Some("it".into()),
                text: "{}".into(),
            })
        };
        let pointer = Arg::Str("x".into());
        let arg = memory(vec![patch(2, 2, Arg::Result(0)), patch(8, 8, pointer)]);
        let operands = Operands::new(&call(0, "read", vec![arg]), returned(&[0x1234])).unwrap();
        let (name, bytes) = &operands.buffers[0];
        assert_eq!(
            (name.as_str(), &bytes[..8]),
            ("it", &[255, 255, 0x34, 0x12, 255, 255, 255, 255][..])
        );
        let address = operands.memory[0].as_ptr() as u64;
        assert_eq!(bytes[8..], address.to_le_bytes());
        for (offset, size) in [(9, 8), (0, 9), (usize::MAX, 2)] {
            let arg = memory(vec![patch(offset, size, Arg::Int(1))]);
            assert!(Operands::new(&call(0, "read", vec![arg]), returned(&[])).is_err());
        }
    }

    /// Check that the result of an earlier call is an argument of the next, and that a failed call is reported.
    #[test]
    fn results_are_handed_on() {
        let socket = call(
            libc::SYS_socket,
            "socket",
            vec![Arg::Int(2), Arg::Int(1), Arg::Int(0)],
        );
        let close = |arg| call(libc::SYS_close, "close", vec![arg]);
        let operands = Operands::prepare(&[socket], &close(Arg::Result(0))).unwrap();
        assert!(operands.words[1] > 2);
        assert_eq!(operands.make_call(), 0);
        let failed = Operands::prepare(&[close(Arg::Int(-1))], &close(Arg::Int(-1)));
        let message = failed.err().unwrap().to_string();
        assert!(
            message.contains("close(-1) = Bad file descriptor"),
            "{message}"
        );
    }
    /// Check that the integers which a call leaves in its buffer are arguments of the next, and that those of a call that failed, zeros,
    /// are not.
    #[test]
    fn integers_of_a_buffer_are_handed_on() {
        let pipe = |flags| {
            let buffer = Arg::Buffer {
                size: 8,
                name: "fds".into(),
            };
            call(libc::SYS_pipe2, "pipe2", vec![buffer, Arg::Int(flags)])
        };
        let close = |index| {
            let element = Arg::Element {
                call: 0,
                buffer: "fds".into(),
                index,
            };
            call(libc::SYS_close, "close", vec![element])
        };
        let first = Operands::prepare(&[pipe(0)], &close(0)).unwrap();
        assert!(first.words[1] > 2);
        let second = first.words[1] + 1;
        assert_eq!(first.make_call(), 0);
        let operands = first.prepare_next(0, &close(1));
        // The pipe is the first call of both.
        let operands = operands.unwrap();
        assert!(operands.words[1] >= second);
        assert_eq!(operands.make_call(), 0);
        assert!(Operands::prepare(&[pipe(0)], &close(2)).is_err());
        let unmade = Operands::new(&close(1), EarlierCalls::Unmade).unwrap();
        assert!(!endangers_link(&unmade.words));

        let failing = Operands::new(&pipe(-1), EarlierCalls::Unmade).unwrap();
        let returned = failing.make_call();
        let refused = failing.prepare_next(returned, &close(0)).err().unwrap();
        let message = refused.to_string();
        assert!(
            message.starts_with(
                "close was not made, because it takes the result of a call that failed: pipe2("
            ),
            "{message}"
        );
    }
}
