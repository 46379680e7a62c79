//! The QEMU process.

use std::os::fd::RawFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::GuestError;

/// QEMU, killed and reaped when dropped.
pub(super) struct RunningQemu(pub(super) Child);

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

/// Start QEMU, which inherits these files under their numbers and dies with this thread.
pub(super) fn start(
    qemu: &Path,
    args: &[String],
    inherited: Vec<RawFd>,
) -> Result<RunningQemu, GuestError> {
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
        for fd in &inherited {
            // SAFETY: the parent holds these open until the child has been started.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
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

/// The end of QEMU's output in one line.
pub(super) fn join_lines(output: &[u8]) -> String {
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
