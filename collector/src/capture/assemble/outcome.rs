//! How the workload ended, as values.

use std::collections::BTreeMap;

use qed_evidence::document::{self, Outcome};
use qed_evidence::investigation::{Action, Argument, BufferElements, Experiment, Returns};
use qed_evidence::value::{Address, Bytes, Datum, Integer, Value};

use super::values::errno;
use crate::capture::raw::RawOutcome;
use crate::code::disassemble;
use crate::workload::CallSite;

/// Why a process has no exit status that ran into its time limit.
pub const TIMED_OUT: &str = "the process did not end in time and was killed";

/// The workload as a reader would write it.
pub fn workload(experiment: &Experiment) -> String {
    match &experiment.workload.action {
        Action::Command(command) => command.join(" "),
        Action::Syscall { name, args, .. } => {
            let args: Vec<String> = args
                .iter()
                .map(|arg| match arg {
                    Argument::Int(value) => value.to_string(),
                    Argument::Constant { text, .. } => text.clone(),
                    Argument::Text(text) => format!("{text:?}"),
                    Argument::Buffer { name, .. } => name.clone(),
                })
                .collect();
            let threads = match experiment.workload.threads {
                0 | 1 => String::new(),
                threads => format!(" in {threads} threads"),
            };
            format!("{name}({}){threads}", args.join(", "))
        }
    }
}

/// The workload's own code, taken apart. A call inside of it has no name that would mean anything.
pub fn call(raw: &CallSite) -> document::CallSite {
    document::CallSite {
        function: Address(raw.function),
        instruction: Address(raw.instruction),
        code: disassemble(&raw.code, raw.function, &|_| None)
            .into_iter()
            .map(|one| document::Instruction {
                offset: one.offset,
                bytes: Bytes(one.bytes),
                text: one.text,
            })
            .collect(),
    }
}

/// The outcome of an experiment.
pub fn outcome(experiment: &Experiment, raw: &Result<RawOutcome, String>) -> Outcome {
    let raw = match raw {
        Ok(raw) => raw,
        Err(reason) => {
            let none = || Datum::unavailable(reason.clone());
            return Outcome {
                returned: none(),
                errno: none(),
                exit: none(),
                signal: none(),
                stdout: none(),
                buffers: BTreeMap::new(),
            };
        }
    };
    let (returned, number) = match (&experiment.workload.action, raw.returned) {
        (Action::Command(_), _) => {
            let none = "a command has no return value";
            (Datum::unavailable(none), Datum::unavailable(none))
        }
        (_, None) => {
            let none = "the process was killed before it could see what the system call returned";
            (Datum::unavailable(none), Datum::unavailable(none))
        }
        (Action::Syscall { returns, .. }, Some(value)) => match i32::try_from(value) {
            Ok(error @ -4095..0) => (errno(error).into(), errno(-error).into()),
            Ok(fd) if *returns == Returns::Fd => (Value::Fd { value: fd }.into(), errno(0).into()),
            _ => {
                let value = Value::Int {
                    value: Integer::from(value),
                    type_name: Some("long".into()),
                };
                (value.into(), errno(0).into())
            }
        },
    };
    Outcome {
        returned,
        errno: number,
        exit: match raw.exit {
            Some(status) => Value::int(status).into(),
            None if raw.timed_out => Datum::unavailable(TIMED_OUT),
            None => Datum::unavailable("the process did not exit, a signal ended it"),
        },
        signal: match raw.signal.map(nix::sys::signal::Signal::try_from) {
            Some(Ok(signal)) => Value::Enum {
                value: Integer::from(i64::from(signal as i32)),
                type_name: "signal".into(),
                name: Some(signal.as_str().into()),
            }
            .into(),
            Some(Err(error)) => Datum::unavailable(error.to_string()),
            None => Datum::unavailable("no signal ended the process"),
        },
        stdout: Value::text(String::from_utf8_lossy(&raw.stdout)).into(),
        buffers: buffers(experiment, raw),
    }
}

fn buffers(experiment: &Experiment, raw: &RawOutcome) -> BTreeMap<String, Datum> {
    let Action::Syscall { args, .. } = &experiment.workload.action else {
        return BTreeMap::new();
    };
    args.iter()
        .filter_map(|arg| {
            let Argument::Buffer { name, elements, .. } = arg else {
                return None;
            };
            let found = raw.buffers.iter().find(|(found, _)| found == name);
            let datum = match (found, elements) {
                (None, _) => Datum::unavailable("the workload did not give the buffer back"),
                (Some((_, bytes)), BufferElements::Bytes) => Value::Bytes {
                    value: Bytes(bytes.clone()),
                }
                .into(),
                (Some((_, bytes)), BufferElements::Ints) => {
                    let numbers: Vec<String> = bytes
                        .as_chunks::<4>()
                        .0
                        .iter()
                        .map(|chunk| i32::from_le_bytes(*chunk).to_string())
                        .collect();
                    Value::text(numbers.join(", ")).into()
                }
            };
            Some((name.clone(), datum))
        })
        .collect()
}
