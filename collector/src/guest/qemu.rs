//! The QEMU process of one guest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::accel::{self, Accelerator, AcceleratorChoice, Decision, KvmFailure};
use super::cache::Cache;
use super::find_program::find_in_path;
use super::pipes::{GuestOutput, Limits, Pipes, receiver};
use super::qemu_args::{self, Paths};
use super::wire::{self, BODY, FrameError, FrameKind, HEADER, WINDOW};
use super::{GuestError, KernelImage, elf, initramfs};
use crate::symbols::mapping::Mapping;

/// A guest to boot.
#[derive(Debug, Clone)]
pub struct GuestSpec {
    /// The kernel.
    pub kernel: KernelImage,
    /// An x86-64 executable that becomes `/init`: the collector itself (`std::env::current_exe()`). It is static, or its loader
    /// and its libraries are among the files.
    pub init: PathBuf,
    /// More files for the initramfs: absolute name, content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Permissions of those that are not programs.
    pub modes: BTreeMap<String, u32>,
    /// More words for the kernel's command line.
    pub append: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// After so long without a progress line the guest is killed.
    pub limit: Duration,
    /// KVM or emulation.
    pub accel: AcceleratorChoice,
    /// The cache, which remembers a failure of KVM.
    pub cache: Cache,
}

impl GuestSpec {
    /// One processor, 512 MiB, two minutes of silence, KVM where it works.
    #[must_use]
    pub fn new(kernel: KernelImage, init: PathBuf, cache: Cache) -> Self {
        let limit = Duration::from_secs(120);
        Self {
            kernel,
            init,
            files: Vec::new(),
            modes: BTreeMap::new(),
            append: String::new(),
            memory_mib: 512,
            cpus: 1,
            limit,
            accel: AcceleratorChoice::Auto,
            cache,
        }
    }
}

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
    /// From starting QEMU to the start of the guest's init.
    pub boot_to_init: Option<Duration>,
    /// From starting QEMU to its end.
    pub boot_to_exit: Duration,
    /// The kernel's command line.
    pub append: String,
}

/// The file of the emulator that guests run in.
///
/// # Errors
/// When it is not in `PATH`.
pub fn find_emulator() -> Result<PathBuf, GuestError> {
    find_in_path("qemu-system-x86_64").ok_or(GuestError::MissingProgram {
        doing: "boot a guest",
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
    })
}

/// Boot a guest, wait until it has powered off, and return its answer. QEMU is killed and reaped when the future is dropped,
/// and dies with this thread.
///
/// # Errors
/// When it cannot be started, panics, exceeds its limit, or its job fails.
pub async fn run(spec: &GuestSpec, progress: &dyn Fn(&str)) -> Result<GuestRun, GuestError> {
    let qemu = find_emulator()?;
    let kernel = File::open(&spec.kernel.path)
        .map_err(GuestError::io("open the kernel", &spec.kernel.path))?;
    let initrd = memory_file("initrd", &build_initramfs(spec)?)?;
    let machine = Machine {
        qemu: &qemu,
        spec,
        kernel: &kernel,
        initrd: &initrd,
    };
    let boot_id = accel::boot_id();
    let known = accel::remembered_failure(&spec.cache);
    match accel::decide(
        spec.accel,
        accel::check_device(),
        known.as_ref(),
        &boot_id,
        &qemu,
    ) {
        Decision::Refuse(reason) => Err(GuestError::Kvm { reason }),
        Decision::Emulate(note) => machine.emulate(note, progress).await,
        Decision::TryKvm { fall_back } => match machine
            .attempt(Accelerator::Kvm, Some(accel::SIGN_OF_LIFE), progress)
            .await?
        {
            Attempt::Ended(end) => machine.guest_run(end, Accelerator::Kvm, None),
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
                machine.emulate(Some(reason), progress).await
            }
            Attempt::NoLife(reason) => Err(GuestError::Kvm { reason }),
        },
    }
}

fn build_initramfs(spec: &GuestSpec) -> Result<Vec<u8>, GuestError> {
    // Only the part that is loaded is packed, an eighth of a program with its debug information.
    let binary =
        Mapping::open(&spec.init).map_err(GuestError::io("read the guest's init", &spec.init))?;
    let unbootable = |e: elf::ExecutableError| GuestError::Unbootable {
        path: spec.init.clone(),
        reason: e.to_string(),
    };
    let holds = |loader: &str| spec.files.iter().any(|(name, _)| name == loader);
    elf::check_init(&binary, holds).map_err(unbootable)?;
    let loaded = elf::loaded_part(&binary).map_err(unbootable)?;
    Ok(initramfs::build(&loaded, &spec.files, &spec.modes)?)
}

/// A file that exists in memory only: nothing to clean up, and no disk to fill.
fn memory_file(name: &'static str, content: &[u8]) -> Result<File, GuestError> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let make = || -> std::io::Result<File> {
        let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
        file.write_all(content)?;
        Ok(file)
    };
    make().map_err(GuestError::io("make a file in memory for", Path::new(name)))
}

struct Machine<'a> {
    qemu: &'a Path,
    spec: &'a GuestSpec,
    kernel: &'a File,
    initrd: &'a File,
}

/// The end of QEMU.
struct QemuExit {
    status: ExitStatus,
    window: File,
    seen: GuestOutput,
    to_exit: Duration,
}

enum Attempt {
    Ended(QemuExit),
    /// The reason for giving up KVM.
    NoLife(String),
}

impl Machine<'_> {
    async fn emulate(
        &self,
        note: Option<String>,
        progress: &dyn Fn(&str),
    ) -> Result<GuestRun, GuestError> {
        match self.attempt(Accelerator::Tcg, None, progress).await? {
            Attempt::Ended(end) => self.guest_run(end, Accelerator::Tcg, note),
            Attempt::NoLife(output) => Err(GuestError::Qemu {
                status: "not started".into(),
                output,
            }),
        }
    }

    async fn attempt(
        &self,
        accelerator: Accelerator,
        sign_of_life: Option<Duration>,
        progress: &dyn Fn(&str),
    ) -> Result<Attempt, GuestError> {
        let window = memory_file("window", &[])?;
        window.set_len(WINDOW as u64).map_err(GuestError::io(
            "size a file in memory for",
            Path::new("window"),
        ))?;
        let limits = Limits {
            started: Instant::now(),
            sign_of_life,
            silence: self.spec.limit,
        };
        let (mut running, mut pipes) = self.start(accelerator, &window)?;
        let seen = pipes.read_all(&limits, progress).await;
        if seen.timed_out {
            // It is not an error if it has ended already.
            let _ = running.0.start_kill();
        }
        let status = running
            .0
            .wait()
            .await
            .map_err(GuestError::io("wait for", self.qemu))?;
        let to_exit = limits.started.elapsed();
        if sign_of_life.is_some() && seen.to_init.is_none() && to_exit < self.spec.limit {
            return Ok(Attempt::NoLife(no_life_reason(&seen, status)));
        }
        Ok(Attempt::Ended(QemuExit {
            status,
            window,
            seen,
            to_exit,
        }))
    }

    /// Start QEMU, with a pipe for each of its outputs.
    fn start(
        &self,
        accelerator: Accelerator,
        window: &File,
    ) -> Result<(RunningQemu, Pipes), GuestError> {
        let pipe_error = |source| GuestError::Io {
            doing: "make a pipe to",
            path: self.qemu.to_owned(),
            source,
        };
        let (console_in, console_out) = std::io::pipe().map_err(pipe_error)?;
        let (lines_in, lines_out) = std::io::pipe().map_err(pipe_error)?;
        let inherited = [
            self.kernel.as_raw_fd(),
            self.initrd.as_raw_fd(),
            window.as_raw_fd(),
            console_out.as_raw_fd(),
            lines_out.as_raw_fd(),
        ];
        let [kernel, initrd, shared, console, lines] =
            inherited.map(|fd| format!("/proc/self/fd/{fd}"));
        let paths = Paths {
            kernel: &kernel,
            initrd: &initrd,
            window: &shared,
            console: &console,
            progress: &lines,
        };
        let args = qemu_args::qemu_arguments(
            accelerator,
            self.spec.memory_mib,
            self.spec.cpus,
            &paths,
            &qemu_args::kernel_command_line(&self.spec.append),
        );
        let mut running = start(self.qemu, &args, inherited)?;
        let pipes = Pipes {
            console: receiver(console_in).map_err(pipe_error)?,
            lines: receiver(lines_in).map_err(pipe_error)?,
            errors: running.0.stderr.take(),
        };
        Ok((running, pipes))
    }

    fn guest_run(
        &self,
        end: QemuExit,
        accelerator: Accelerator,
        accelerator_note: Option<String>,
    ) -> Result<GuestRun, GuestError> {
        let tail = end.seen.console.tail();
        let tail = if tail.is_empty() {
            "(it printed nothing)".to_owned()
        } else {
            tail.join("\n")
        };
        let (accel, last) = (accelerator.label(), end.seen.last);
        if end.seen.timed_out {
            return Err(GuestError::TimeLimit {
                limit: self.spec.limit,
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
        match read_frame(&end.window)? {
            Ok((FrameKind::Payload, payload)) => Ok(GuestRun {
                payload,
                console: end.seen.console.into_text(),
                accelerator,
                accelerator_note,
                boot_to_init: end.seen.to_init,
                boot_to_exit: end.to_exit,
                append: qemu_args::kernel_command_line(&self.spec.append),
            }),
            Ok((FrameKind::Error, message)) => Err(GuestError::Job {
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

fn read_frame(window: &File) -> Result<Result<(FrameKind, Vec<u8>), FrameError>, GuestError> {
    let failed = |source| GuestError::Io {
        doing: "read",
        path: "the guest's window".into(),
        source,
    };
    let mut header = [0; HEADER];
    window.read_exact_at(&mut header, 0).map_err(failed)?;
    let header = match wire::parse_header(&header, WINDOW) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let mut body = vec![0; header.length];
    window
        .read_exact_at(&mut body, BODY as u64)
        .map_err(failed)?;
    Ok(wire::check_body(&header, &body).map(|()| (header.kind, body)))
}

/// QEMU, killed and reaped when dropped.
struct RunningQemu(Child);

impl Drop for RunningQemu {
    fn drop(&mut self) {
        let _ = self.0.start_kill();
        // A killed QEMU is gone within milliseconds; the limit only keeps this from ever hanging.
        for _ in 0..2000 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn start(qemu: &Path, args: &[String], inherited: [RawFd; 5]) -> Result<RunningQemu, GuestError> {
    let parent = nix::unistd::getpid();
    let mut command = Command::new(qemu);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let prepare = move || {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        if nix::unistd::getppid() != parent {
            // The collector died before the line above.
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        for fd in inherited {
            // SAFETY: the parent holds these open until the child has been started.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing allocates or locks.
    unsafe { command.pre_exec(prepare) };
    command
        .spawn()
        .map(RunningQemu)
        .map_err(GuestError::io("start", qemu))
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

fn join_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    if lines.is_empty() {
        "it said nothing".to_owned()
    } else {
        lines.join("; ")
    }
}
