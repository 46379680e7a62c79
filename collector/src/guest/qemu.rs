//! One guest, from its start to its answer.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::accel::{self, Accelerator, Decision, KvmFailure};
use super::find_program::find_in_path;
use super::machine::{Machine, QemuExit};
use super::pipes::{GuestOutput, Limits};
use super::process::join_lines;
use super::spec::{GuestSpec, Start};
use super::warm::Warm;
use super::wire::FrameKind;
use super::{GuestError, KernelSource, qemu_args};
use crate::arch::Arch;

/// The result of a guest.
#[derive(Debug, Clone)]
pub struct GuestRun {
    /// The bytes that its job returned.
    pub payload: Vec<u8>,
    /// Its console.
    pub console: String,
    /// The accelerator that ran it.
    pub accelerator: Accelerator,
    /// The reason for not using KVM, where that was not the user's wish.
    pub accelerator_note: Option<String>,
    /// When the guest was booted that this one was resumed from, UTC, RFC 3339; `None`: it was booted itself.
    pub resumed: Option<String>,
    /// The reasons why it was not resumed, or not saved, where that was wished.
    pub notes: Vec<String>,
    /// From starting QEMU to the start of the guest's init, or to its first word after it was resumed.
    pub boot_to_init: Option<Duration>,
    /// From starting QEMU to its end.
    pub boot_to_exit: Duration,
    /// The kernel's command line.
    pub append: String,
}

/// The file of the emulator that guests of an architecture run in.
///
/// # Errors
/// When it is not in `PATH`.
pub fn find_emulator(arch: Arch) -> Result<PathBuf, GuestError> {
    find_in_path(arch.emulator()).ok_or(GuestError::MissingProgram {
        doing: "boot a guest",
        program: arch.emulator(),
        package: arch.emulator_package(),
    })
}

/// Check that guests of a source can be emulated, as far as it says which emulator that takes.
///
/// # Errors
/// When the emulator is not in `PATH`.
pub fn check_emulator(source: &KernelSource) -> Result<(), GuestError> {
    source
        .arch()
        .map_or(Ok(()), |arch| find_emulator(arch).map(drop))
}

/// Start a guest, wait until it has powered off, and return its answer. QEMU is killed and reaped when the future is dropped,
/// and dies with this thread.
///
/// # Errors
/// When it cannot be started, panics, exceeds its limit, or its job fails.
pub async fn run(spec: &GuestSpec, progress: &dyn Fn(&str)) -> Result<GuestRun, GuestError> {
    let arch = spec.kernel.arch;
    let qemu = find_emulator(arch)?;
    let kernel = File::open(&spec.kernel.path)
        .map_err(GuestError::io("open the kernel", &spec.kernel.path))?;
    let machine = Machine {
        qemu: &qemu,
        spec,
        kernel: &kernel,
    };
    let boot_id = accel::boot_id();
    let known = accel::remembered_failure(&spec.cache);
    match accel::decide(
        spec.accel,
        accel::check_device(arch),
        known.as_ref(),
        &boot_id,
        &qemu,
    ) {
        Decision::Refuse(reason) => Err(GuestError::Kvm { reason }),
        Decision::Emulate(note) => emulate(&machine, note, progress).await,
        Decision::TryKvm { fall_back } => match try_kvm(&machine, progress).await? {
            Attempt::Ended(end) => {
                let mut how = How::new(Accelerator::Kvm, None);
                if spec.start == Start::Resume {
                    // Nobody has looked what a processor of the host's keeps beyond the guest's state.
                    how.notes.push(
                        "guests under KVM are booted: only emulated ones are saved and resumed"
                            .into(),
                    );
                }
                guest_run(spec, end, how)
            }
            Attempt::NoLife(reason) if fall_back => {
                progress(&format!("{reason}; falling back to emulation"));
                accel::remember_failure(
                    &spec.cache,
                    &KvmFailure {
                        boot_id,
                        qemu: qemu.clone(),
                        reason: reason.clone(),
                    },
                );
                emulate(&machine, Some(reason), progress).await
            }
            Attempt::NoLife(reason) => Err(GuestError::Kvm { reason }),
        },
    }
}

enum Attempt {
    Ended(QemuExit),
    /// The reason for giving up KVM.
    NoLife(String),
}

/// Boot under KVM.
async fn try_kvm(machine: &Machine<'_>, progress: &dyn Fn(&str)) -> Result<Attempt, GuestError> {
    let sign_of_life = Some(accel::SIGN_OF_LIFE);
    let end = boot(machine, Accelerator::Kvm, sign_of_life, progress).await?;
    if end.seen.to_init.is_none() && end.to_exit < machine.spec.limit {
        return Ok(Attempt::NoLife(no_life_reason(&end.seen, end.status)));
    }
    Ok(Attempt::Ended(end))
}

async fn boot(
    machine: &Machine<'_>,
    accelerator: Accelerator,
    sign_of_life: Option<Duration>,
    progress: &dyn Fn(&str),
) -> Result<QemuExit, GuestError> {
    let initrd = machine.build_initramfs(&machine.spec.files)?;
    let opened = machine.open(accelerator, &initrd, None)?;
    let limits = Limits {
        started: opened.started,
        sign_of_life,
        silence: machine.spec.limit,
    };
    opened.end(&limits, progress).await
}

/// Resume an emulated guest, if that is wished and one is saved; else boot one.
async fn emulate(
    machine: &Machine<'_>,
    note: Option<String>,
    progress: &dyn Fn(&str),
) -> Result<GuestRun, GuestError> {
    let spec = machine.spec;
    let mut how = How::new(Accelerator::Tcg, note);
    let warm = match spec.start {
        Start::Boot => None,
        Start::Resume => Some(Warm::new(machine)),
    };
    let end = match warm {
        None => boot(machine, Accelerator::Tcg, None, progress).await?,
        Some(Err(why)) => {
            how.booted_because(&why);
            boot(machine, Accelerator::Tcg, None, progress).await?
        }
        Some(Ok(warm)) => match warm.resume(progress).await {
            Ok(Some((end, booted))) => {
                let mut resumed = How::new(Accelerator::Tcg, how.accelerator_note.clone());
                resumed.resumed = Some(booted);
                match guest_run(spec, end, resumed) {
                    Err(error) if may_be_of_state(&error) => {
                        let why = format!("it was resumed first, and {}", describe_end(&error));
                        progress(&format!("{why}; booting"));
                        how.booted_because(&why);
                        warm.discard();
                        warm.boot_and_save(&mut how.notes, progress).await?
                    }
                    outcome => return outcome,
                }
            }
            Ok(None) => warm.boot_and_save(&mut how.notes, progress).await?,
            Err(why) => {
                progress(&format!("{why}; booting"));
                how.booted_because(&why);
                warm.boot_and_save(&mut how.notes, progress).await?
            }
        },
    };
    guest_run(spec, end, how)
}

/// True if a resumed guest ended in a way that its saved state may be to blame for. A job that gives its reason is not.
fn may_be_of_state(error: &GuestError) -> bool {
    matches!(
        error,
        GuestError::TimeLimit { .. }
            | GuestError::Qemu { .. }
            | GuestError::Panic { .. }
            | GuestError::Frame { .. }
    )
}

/// What happened to a guest, in one line: without advice, and without its console.
fn describe_end(error: &GuestError) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.split(". ").next().unwrap_or_default().to_owned()
}

/// How a guest came to run.
struct How {
    accelerator: Accelerator,
    accelerator_note: Option<String>,
    resumed: Option<String>,
    notes: Vec<String>,
}

impl How {
    fn new(accelerator: Accelerator, accelerator_note: Option<String>) -> Self {
        Self {
            accelerator,
            accelerator_note,
            resumed: None,
            notes: Vec::new(),
        }
    }

    fn booted_because(&mut self, why: &dyn std::fmt::Display) {
        self.notes
            .push(format!("the guest was booted and not resumed: {why}"));
    }
}

fn guest_run(spec: &GuestSpec, end: QemuExit, how: How) -> Result<GuestRun, GuestError> {
    let tail = end.seen.console.tail();
    let tail = if tail.is_empty() {
        "(it printed nothing)".to_owned()
    } else {
        tail.join("\n")
    };
    let answer = end.answer()?;
    let (accel, last) = (how.accelerator.label(), end.seen.last);
    if end.seen.timed_out {
        return Err(GuestError::TimeLimit {
            limit: spec.limit,
            accelerator: accel,
            last,
            tail,
        });
    }
    if !end.status.success() {
        return Err(GuestError::Qemu {
            status: end.status.to_string(),
            output: join_lines(&end.seen.stderr),
        });
    }
    if end.seen.panicked {
        return Err(GuestError::Panic {
            accelerator: accel,
            tail,
        });
    }
    match answer {
        Ok((FrameKind::Payload, payload)) => Ok(GuestRun {
            payload,
            console: end.seen.console.into_text(),
            accelerator: how.accelerator,
            accelerator_note: how.accelerator_note,
            resumed: how.resumed,
            notes: how.notes,
            boot_to_init: end.seen.to_init,
            boot_to_exit: end.to_exit,
            append: qemu_args::kernel_command_line(spec.kernel.arch, &spec.append),
        }),
        Ok((FrameKind::Refusal, message)) => Err(GuestError::Refused {
            message: String::from_utf8_lossy(&message).into_owned(),
        }),
        Ok((_, message)) => Err(GuestError::Job {
            message: String::from_utf8_lossy(&message).into_owned(),
            tail,
        }),
        Err(frame) => Err(match find_last_words(&tail) {
            Some(message) => GuestError::Job { message, tail },
            None => GuestError::Frame {
                frame,
                accelerator: accel,
                last,
                tail,
            },
        }),
    }
}

/// The words of a guest's init on the console, where it had no other way out.
fn find_last_words(console: &str) -> Option<String> {
    let mut lines = console.lines().rev();
    lines.find_map(|line| {
        line.trim()
            .strip_prefix(qemu_args::LAST_WORDS)
            .map(str::to_owned)
    })
}

/// The reason for giving up KVM after a guest that did not show a sign of life.
fn no_life_reason(seen: &GuestOutput, status: ExitStatus) -> String {
    match (seen.timed_out, seen.stderr.is_empty()) {
        (true, _) => format!(
            "a guest under KVM showed no sign of life within {:?}",
            accel::SIGN_OF_LIFE
        ),
        (false, true) => {
            format!("QEMU under KVM ended before the guest's init started ({status})")
        }
        (false, false) => format!("QEMU cannot use KVM: {}", join_lines(&seen.stderr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a resumed guest which came to an end of its own is booted, one whose job refused is not, and that either is told in one line.
    #[test]
    fn ends_of_resumed_guests() {
        let (accelerator, tail, last) = ("emulated", "line\nline".to_owned(), "a. b".to_owned());
        let panic = GuestError::Panic {
            accelerator,
            tail: tail.clone(),
        };
        let limit = GuestError::TimeLimit {
            limit: Duration::from_secs(9),
            accelerator,
            last: "x".into(),
            tail: tail.clone(),
        };
        let frame = GuestError::Frame {
            frame: crate::guest::wire::FrameError::Absent,
            accelerator,
            last,
            tail: tail.clone(),
        };
        let qemu = GuestError::Qemu {
            status: "signal: 6".into(),
            output: "assertion".into(),
        };
        for error in [&panic, &limit, &frame, &qemu] {
            assert!(may_be_of_state(error), "{error}");
            let told = describe_end(error);
            assert!(!told.contains('\n') && !told.contains("console"), "{told}");
            assert!(error.to_string().starts_with(&told) && told.len() > 20);
        }
        let message = "no such function".into();
        assert!(!may_be_of_state(&GuestError::Job { message, tail }));
        let message = "error: no such command".into();
        assert!(!may_be_of_state(&GuestError::Refused { message }));
    }
}
