//! The part of the collector that runs as process 1 of a guest.
//!
//! Nothing here may hang or return: any outcome is sent to the host, and then the machine is powered off. Nothing is detached
//! or unmounted before that, because detaching the probes of one capture takes about 900 ms.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use anyhow::Context as _;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use qed_evidence::diagnostic::Diagnostic;

use super::channel::Channel;
use super::delivery;
use super::qemu_args::{LAST_WORDS, MARK};
use super::system::set_up_system;
use super::wire::FrameKind;
use crate::arch::Arch;

/// File systems that init mounts: source and type, place, and true if a job can do without.
const MOUNTS: [(&str, &str, bool); 9] = [
    ("sysfs", "/sys", false),
    ("devtmpfs", "/dev", false),
    ("devpts", "/dev/pts", true),
    ("tmpfs", "/dev/shm", true),
    ("debugfs", "/sys/kernel/debug", true),
    ("tracefs", "/sys/kernel/tracing", true),
    ("securityfs", "/sys/kernel/security", true),
    ("bpf", "/sys/fs/bpf", true),
    ("cgroup2", "/sys/fs/cgroup", true),
];

/// The lockdown mode of the kernel: the word in brackets.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// The device for progress lines.
const PROGRESS: &str = Arch::HOST.progress_device();

static OUT: OnceLock<Mutex<Option<Channel>>> = OnceLock::new();
static FINISHER: OnceLock<ThreadId> = OnceLock::new();
static LINES: OnceLock<Mutex<File>> = OnceLock::new();

/// True if this process is a guest's init: process 1, with our word on the kernel's command line. Mounts `/proc` if that is
/// needed to find out, which is only the case, and only permitted, for such a process.
#[must_use]
pub fn is_guest_init() -> bool {
    if std::process::id() != 1 {
        return false;
    }
    if !Path::new("/proc/cmdline").exists() {
        // Fails in a container without privileges, which is not a guest.
        let _ = mount_one("proc", "/proc");
    }
    has_mark(&fs::read_to_string("/proc/cmdline").unwrap_or_default())
}

fn has_mark(line: &str) -> bool {
    line.split_whitespace().any(|word| word == MARK)
}

/// Set up the machine, run `job`, send its result (or the reason why it failed) to the host, power off.
pub fn run(job: impl FnOnce() -> anyhow::Result<Vec<u8>>) -> ! {
    std::panic::set_hook(Box::new(|what| {
        send_and_power_off(
            FrameKind::Error,
            format!("the collector panicked: {what}").as_bytes(),
        )
    }));
    let outcome = set_up().and_then(|()| wait()).and_then(|()| job());
    match outcome {
        Ok(payload) => send_and_power_off(FrameKind::Payload, &payload),
        Err(error) => {
            let kind = match error.is::<Refusal>() {
                true => FrameKind::Refusal,
                false => FrameKind::Error,
            };
            send_and_power_off(kind, format!("{error:#}").as_bytes())
        }
    }
}

/// What is wrong with an investigation, as a job found out that began with it: diagnostics without colours, because they are printed on
/// another machine.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(String);

impl Refusal {
    /// All of these in one message.
    pub fn new(problems: &[Diagnostic]) -> Self {
        let each: Vec<String> = problems.iter().map(|p| p.render(false)).collect();
        Self(each.join("\n\n"))
    }
}

/// Report the current step to the host, in one line. Never fails: a guest without a second serial port works.
pub fn report_progress(line: &str) {
    if let Some(Ok(mut port)) = LINES.get().map(|port| port.lock()) {
        let _ = port.write_all(format!("{}\n", line.replace('\n', " ")).as_bytes());
    }
}

fn set_up() -> anyhow::Result<()> {
    for (kind, target, optional) in MOUNTS {
        // Some folders are on a file system that was mounted before. If one could not be made, its mount reports the failure.
        if optional {
            let _ = fs::create_dir_all(target);
        }
        match mount_one(kind, target) {
            Ok(()) | Err(nix::errno::Errno::EBUSY) => {}
            Err(_) if optional => {}
            Err(error) => anyhow::bail!("cannot mount {kind} on {target}: {error}"),
        }
    }
    set_up_system();
    // Attaching and detaching probes waits for grace periods again and again. Nobody else is here whom hurrying
    // them would disturb, and what frees objects later (`call_rcu`) keeps its pace.
    // https://docs.kernel.org/admin-guide/kernel-parameters.html, rcupdate.rcu_expedited
    let _ = fs::write("/sys/kernel/rcu_expedited", "1");
    if let Ok(port) = open_raw(PROGRESS) {
        let _ = LINES.set(Mutex::new(port));
    }
    report_progress("init started");
    let channel = Channel::open().map_err(|error| {
        let lockdown = fs::read_to_string(LOCKDOWN).unwrap_or_default();
        anyhow::anyhow!(no_channel_reason(&error, &lockdown))
    })?;
    let _ = OUT.set(Mutex::new(Some(channel)));
    Ok(())
}

/// Wait for what the host hands over, if this guest was not booted with its job. While it waits it may be saved, and what follows
/// may happen several times.
fn wait() -> anyhow::Result<()> {
    if !Path::new(delivery::WAIT).exists() {
        return Ok(());
    }
    // The kernel draws it when it is read for the first time: resumed guests, which are copies of one boot, shall have one.
    let _ = fs::read("/proc/sys/kernel/random/boot_id");
    let mut channel = OUT
        .get()
        .and_then(|out| out.lock().unwrap_or_else(PoisonError::into_inner).take())
        .context("there is no channel to the host")?;
    report_progress(delivery::READY);
    let job = channel.take_job();
    if let Some(out) = OUT.get() {
        *out.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel);
    }
    let job = job.context("failed to take the job from the host")?;
    delivery::unpack(&job, || report_progress(delivery::AWAKE))
}

/// The reason why the guest cannot send an answer; `lockdown` is text such as `none integrity [confidentiality]`.
fn no_channel_reason(error: &std::io::Error, lockdown: &str) -> String {
    let why = format!("cannot open the channel to the host: {error}");
    let mode = lockdown
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    match mode {
        Some((mode, _))
            if mode != "none" && error.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            format!(
                "{why}. The kernel is locked down ({mode}), and then nobody may map a device's memory, through which evidence \
                 leaves a guest: boot a kernel that is not"
            )
        }
        _ => why,
    }
}

fn mount_one(kind: &str, target: &str) -> nix::Result<()> {
    mount(
        Some(kind),
        target,
        Some(kind),
        MsFlags::empty(),
        None::<&str>,
    )
}

/// A terminal that passes bytes on as they are.
fn open_raw(path: &str) -> std::io::Result<File> {
    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
    use std::os::unix::fs::OpenOptionsExt;
    let port = File::options()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open(path)?;
    let mut mode = tcgetattr(&port)?;
    cfmakeraw(&mut mode);
    tcsetattr(&port, SetArg::TCSANOW, &mode)?;
    Ok(port)
}

/// Send and power off. The first caller wins: a panic on another thread neither overwrites a result
/// that is being sent nor cuts it off, and one while sending ends in a frame that fails its check.
fn send_and_power_off(kind: FrameKind, body: &[u8]) -> ! {
    let me = thread::current().id();
    if *FINISHER.get_or_init(|| me) != me {
        loop {
            thread::park();
        }
    }
    let channel = OUT
        .get()
        .and_then(|out| out.lock().unwrap_or_else(PoisonError::into_inner).take());
    match channel {
        Some(mut channel) => channel.send(kind, body),
        // No channel: the console is all there is.
        None => eprintln!("{LAST_WORDS}{}", String::from_utf8_lossy(body)),
    }
    power_off()
}

fn power_off() -> ! {
    if let Some(Ok(port)) = LINES.get().map(|port| port.try_lock()) {
        let _ = nix::sys::termios::tcdrain(&*port);
    }
    // Succeeds for process 1; should it not, ending process 1 panics the kernel, which ends QEMU too.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that lockdown is blamed for a refusal, and for nothing else.
    #[test]
    fn no_way_out() {
        let refused = std::io::Error::from_raw_os_error(nix::libc::EPERM);
        let locked = "none integrity [confidentiality]\n";
        assert!(no_channel_reason(&refused, locked).contains("locked down (confidentiality)"));
        for lockdown in ["[none] integrity confidentiality\n", ""] {
            assert!(!no_channel_reason(&refused, lockdown).contains("locked down"));
        }
        let absent = std::io::Error::from_raw_os_error(nix::libc::ENOENT);
        assert!(!no_channel_reason(&absent, locked).contains("locked down"));
    }

    /// Check that only the whole word marks a guest, and that this test is none.
    #[test]
    fn mark() {
        assert!(has_mark("console=ttyS0 qed.guest quiet\n"));
        assert!(!has_mark("qed.guests xqed.guest qed.guest=0"));
        assert!(!is_guest_init());
    }
}
