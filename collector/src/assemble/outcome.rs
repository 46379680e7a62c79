//! The end of the workload, as values.

use std::collections::BTreeMap;

use qed_evidence::document::{self, Outcome};
use qed_evidence::investigation::{Action, BufferElements, Experiment, Returns};
use qed_evidence::value::{Address, Bytes, Cut, Datum, Integer, Value};

use super::values::errno_value;
use crate::arch::Arch;
use crate::reason::Reason;
use crate::session::raw::RawOutcome;
use crate::symbols::disasm::disassemble;
use crate::workload::CallSite;

/// The reason why a process that ran into its time limit has no exit status.
pub use qed_evidence::observation::TIMED_OUT;

/// The workload's own code, disassembled. The target of a call in it has no meaningful name.
pub fn disassemble_call_site(arch: Arch, raw: &CallSite) -> document::CallSite {
    document::CallSite {
        function: Address(raw.function),
        instruction: Address(raw.instruction),
        code: disassemble(arch, &raw.code, raw.function, &|_| None)
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
pub fn assemble_outcome(experiment: &Experiment, raw: &Result<RawOutcome, Reason>) -> Outcome {
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
                stderr: None,
                results: BTreeMap::new(),
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
            let none = no_return_reason(raw);
            (Datum::unavailable(none.clone()), Datum::unavailable(none))
        }
        (Action::Syscall { returns, .. }, Some(value)) => {
            let number = i32::try_from(value).ok().filter(|v| (-4095..0).contains(v));
            (
                result_value(value, *returns).into(),
                errno_value(number.map_or(0, |error| -error)).into(),
            )
        }
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
        stdout: output_datum(&raw.stdout, raw.printed.filter(|_| !raw.timed_out)),
        stderr: Some(output_datum(
            &raw.stderr,
            raw.complained.filter(|_| !raw.timed_out),
        )),
        results: results(experiment, raw),
        buffers: buffers(experiment, raw),
    }
}

/// The result of a system call, as a value.
fn result_value(returned: i64, means: Returns) -> Value {
    match i32::try_from(returned) {
        Ok(error @ -4095..0) => errno_value(error),
        Ok(fd) if means == Returns::Fd => Value::Fd { value: fd },
        _ => Value::Int {
            value: Integer::from(returned),
            type_name: Some("long".into()),
        },
    }
}

/// The results of the calls, of those whose result has a name.
fn results(experiment: &Experiment, raw: &RawOutcome) -> BTreeMap<String, Datum> {
    let last = experiment.workload.call_count().saturating_sub(1);
    let named = experiment.workload.named_results();
    named
        .map(|(nth, name, returns)| {
            let returned = match nth == last {
                true => raw.returned,
                false => raw.earlier.get(nth).copied(),
            };
            let datum = match returned {
                Some(value) => result_value(value, returns).into(),
                None => Datum::unavailable(no_return_reason(raw)),
            };
            (name.to_owned(), datum)
        })
        .collect()
}

/// The reason why a system call has no return value.
fn no_return_reason(raw: &RawOutcome) -> String {
    let signal = raw.signal.map(nix::sys::signal::Signal::try_from);
    match (raw.exit, signal) {
        (Some(status), _) => {
            format!("the system call did not return: the process ended in it, with status {status}")
        }
        (None, Some(Ok(signal))) => {
            format!("{signal} ended the process before it could see what the system call returned")
        }
        _ if raw.timed_out => format!("the system call did not return: {TIMED_OUT}"),
        _ => "the process was killed before it could see what the system call returned".into(),
    }
}

/// What a process printed. `whole`: the number of bytes, unless more would have followed, as of a process that was killed because its
/// time was over.
fn output_datum(retained: &[u8], whole: Option<u64>) -> Datum {
    decode_output(retained, whole).map_or_else(Datum::unavailable, Datum::from)
}

/// The printed output, of which `retained` are the first bytes, or the error that it is not text.
pub fn decode_output(retained: &[u8], printed: Option<u64>) -> Result<Value, Reason> {
    let is_whole = printed == Some(retained.len() as u64);
    let text = match std::str::from_utf8(retained) {
        Ok(text) => text,
        // The truncation may have split a character, which is then not known.
        Err(error) if error.error_len().is_none() && !is_whole => {
            std::str::from_utf8(&retained[..error.valid_up_to()]).unwrap_or_default()
        }
        // With its bytes replaced it would look like any other.
        Err(_) => return Err("its output is not text in UTF-8".into()),
    };
    Ok(match is_whole {
        true => Value::text(text),
        false => Value::CutText {
            value: text.to_owned(),
            cut: Cut { whole: printed },
        },
    })
}

fn buffers(experiment: &Experiment, raw: &RawOutcome) -> BTreeMap<String, Datum> {
    let buffers = experiment.workload.buffers().into_iter();
    buffers
        .map(|(name, elements)| {
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
            (name.to_owned(), datum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a complete output is distinguished from a truncated one, with its length if that is known, and that a split
    /// character is left out.
    #[test]
    fn cut_outputs() {
        let cut = |value: &str, whole| Value::CutText {
            value: value.into(),
            cut: Cut { whole },
        };
        let text = |retained, whole| decode_output(retained, whole).unwrap();
        assert_eq!(text(b"abc", Some(3)), Value::text("abc"));
        assert_eq!(text(b"", Some(0)), Value::text(""));
        assert_eq!(text(b"abc", Some(7)), cut("abc", Some(7)));
        assert_eq!(text(b"abc", None), cut("abc", None));
        assert_eq!(text("aé".as_bytes(), Some(9)), cut("aé", Some(9)));
        assert_eq!(text(&"aé".as_bytes()[..2], Some(9)), cut("a", Some(9)));
        for (retained, whole) in [
            (&b"\xff\xfe\xff"[..], Some(4)),
            (b"\xff\xfe", Some(2)),
            // Nothing was cut off: the character was never whole.
            (&"aé".as_bytes()[..2], Some(2)),
        ] {
            assert!(decode_output(retained, whole).is_err(), "{retained:?}");
        }
    }
}
