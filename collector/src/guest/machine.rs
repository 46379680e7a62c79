//! The machine that QEMU runs for a guest: started, watched, and waited for.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::pipes::{GuestOutput, Limits, Listener, Pipes, receiver};
use super::process::{self, RunningQemu};
use super::qemu_args::{self, Monitor, Paths};
use super::spec::GuestSpec;
use super::wire::{self, BODY, FrameError, FrameKind, HEADER, WINDOW};
use super::{Accelerator, GuestError, elf, initramfs};
use crate::symbols::mapping::Mapping;

/// What a guest's machine is made of.
pub(super) struct Machine<'a> {
    pub(super) qemu: &'a Path,
    pub(super) spec: &'a GuestSpec,
    pub(super) kernel: &'a File,
}

/// A QEMU that runs.
pub(super) struct Opened {
    running: RunningQemu,
    pub(super) listener: Listener,
    pub(super) window: File,
    pub(super) started: Instant,
}

/// The end of QEMU.
pub(super) struct QemuExit {
    pub(super) status: ExitStatus,
    pub(super) window: File,
    pub(super) seen: GuestOutput,
    /// From its start to its end.
    pub(super) to_exit: Duration,
}

impl Machine<'_> {
    /// An initramfs with the guest's init, the files of its own, and `files`.
    pub(super) fn build_initramfs(&self, files: &[(String, Vec<u8>)]) -> Result<File, GuestError> {
        let spec = self.spec;
        // Only the part that is loaded is packed, an eighth of a program with its debug information.
        let binary = Mapping::open(&spec.init)
            .map_err(GuestError::io("read the guest's init", &spec.init))?;
        let unbootable = |e: elf::ExecutableError| GuestError::Unbootable {
            path: spec.init.clone(),
            reason: e.to_string(),
        };
        let all = || spec.own_files.iter().chain(files);
        let holds = |loader: &str| all().any(|(name, _)| name == loader);
        elf::check_init(&binary, spec.kernel.arch, holds).map_err(unbootable)?;
        let loaded = elf::loaded_part(&binary).map_err(unbootable)?;
        let archive = initramfs::build(&loaded, all(), &spec.modes)?;
        memory_file("initrd", &archive)
    }

    /// The arguments for QEMU, without those of a monitor.
    pub(super) fn arguments(&self, accelerator: Accelerator, paths: &Paths<'_>) -> Vec<String> {
        qemu_args::qemu_arguments(
            self.spec.kernel.arch,
            accelerator,
            self.spec.memory_mib,
            self.spec.cpus,
            paths,
            &qemu_args::kernel_command_line(self.spec.kernel.arch, &self.spec.append),
        )
    }

    /// Start QEMU, with a pipe for each of its outputs, and with this end of a monitor, if it is to have one: true if it has to
    /// wait for a saved guest.
    pub(super) fn open(
        &self,
        accelerator: Accelerator,
        initrd: &File,
        monitor: Option<(&OwnedFd, bool)>,
    ) -> Result<Opened, GuestError> {
        let window = memory_file("window", &[])?;
        window.set_len(WINDOW as u64).map_err(GuestError::io(
            "size a file in memory for",
            Path::new("window"),
        ))?;
        let pipe_error = |source| GuestError::Io {
            doing: "make a pipe to",
            path: self.qemu.to_owned(),
            source,
        };
        let (console_in, console_out) = std::io::pipe().map_err(pipe_error)?;
        let (lines_in, lines_out) = std::io::pipe().map_err(pipe_error)?;
        let inherited = [
            self.kernel.as_raw_fd(),
            initrd.as_raw_fd(),
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
        let mut args = self.arguments(accelerator, &paths);
        let mut inherited = inherited.to_vec();
        if let Some((socket, resumes)) = monitor {
            let fd = socket.as_raw_fd();
            args.extend(qemu_args::monitor(Monitor { fd, resumes }));
            inherited.push(fd);
        }
        let started = Instant::now();
        let mut running = process::start(self.qemu, &args, inherited)?;
        let listener = Listener::new(Pipes {
            console: receiver(console_in).map_err(pipe_error)?,
            lines: receiver(lines_in).map_err(pipe_error)?,
            errors: running.0.stderr.take(),
        });
        Ok(Opened {
            running,
            listener,
            window,
            started,
        })
    }
}

impl Opened {
    /// Hand a job to a guest that is stopped.
    pub(super) fn hand_over(&self, job: &[u8]) -> Result<(), HandOverError> {
        let header = wire::make_header(FrameKind::Job, job, WINDOW)?;
        self.window.write_all_at(job, BODY as u64)?;
        self.window.write_all_at(&header, 0)?;
        Ok(())
    }

    /// Listen until QEMU has ended, which is killed if the guest falls silent for longer than `limits` allow.
    pub(super) async fn end(
        mut self,
        limits: &Limits,
        progress: &dyn Fn(&str),
    ) -> Result<QemuExit, GuestError> {
        self.listener.listen(None, limits, progress).await;
        if self.listener.seen.timed_out {
            self.kill();
        }
        let status = self.running.0.wait().await;
        Ok(QemuExit {
            status: status.map_err(GuestError::io("wait for", Path::new("QEMU")))?,
            window: self.window,
            seen: self.listener.seen,
            to_exit: self.started.elapsed(),
        })
    }

    /// QemuExit QEMU.
    pub(super) fn kill(&mut self) {
        // It is not an error if it has ended already.
        let _ = self.running.0.start_kill();
    }
}

/// A job that cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// It does not fit.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The window cannot be written.
    #[error("the window to the guest cannot be written: {0}")]
    Window(#[from] std::io::Error),
}

impl QemuExit {
    /// The guest's answer.
    pub(super) fn answer(&self) -> Result<Result<(FrameKind, Vec<u8>), FrameError>, GuestError> {
        let failed = |source| GuestError::Io {
            doing: "read",
            path: "the guest's window".into(),
            source,
        };
        let mut header = [0; HEADER];
        self.window.read_exact_at(&mut header, 0).map_err(failed)?;
        let header = match wire::parse_header(&header, WINDOW) {
            // A job that the guest did not take.
            Ok(header) if header.kind == FrameKind::Job => return Ok(Err(FrameError::Absent)),
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        let mut body = vec![0; header.length];
        self.window
            .read_exact_at(&mut body, BODY as u64)
            .map_err(failed)?;
        Ok(wire::check_body(&header, &body).map(|()| (header.kind, body)))
    }
}

/// A file that exists in memory only: nothing to clean up, and no disk to fill.
pub(super) fn memory_file(name: &'static str, content: &[u8]) -> Result<File, GuestError> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let make = || -> std::io::Result<File> {
        let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
        file.write_all(content)?;
        Ok(file)
    };
    make().map_err(GuestError::io("make a file in memory for", Path::new(name)))
}
