//! Refusals of the kernel to load or attach a program: the reason in words, and what would have to change.

use std::{fmt, fs, io};

use aya::programs::ProgramError;

/// Facts about this machine that turn an errno into a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachEnvironment {
    /// Does the kernel offer kprobes to perf (`/sys/bus/event_source/devices/kprobe/type`)?
    pub kprobe_pmu: bool,
    /// `/proc/sys/kernel/perf_event_paranoid`, where readable.
    pub perf_event_paranoid: Option<i32>,
    /// The chosen mode in `/sys/kernel/security/lockdown`, where readable: `none`, `integrity`, `confidentiality`.
    pub lockdown: Option<String>,
    /// The list in `/sys/kernel/security/lsm`, where readable.
    pub lsm: Option<Vec<String>>,
    /// Effective capabilities of this process, as a mask (`CapEff` in `/proc/self/status`).
    pub capabilities: u64,
}

const CAP_SYSLOG: u32 = 34;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

impl AttachEnvironment {
    /// The facts of the running machine.
    pub fn read() -> Self {
        Self {
            kprobe_pmu: fs::exists("/sys/bus/event_source/devices/kprobe/type").unwrap_or(false),
            perf_event_paranoid: read("/proc/sys/kernel/perf_event_paranoid")
                .and_then(|text| text.trim().parse().ok()),
            lockdown: read("/sys/kernel/security/lockdown").and_then(|text| parse_selected(&text)),
            lsm: read("/sys/kernel/security/lsm")
                .map(|text| text.trim().split(',').map(str::to_owned).collect()),
            capabilities: read("/proc/self/status").map_or(0, |text| parse_effective(&text)),
        }
    }

    fn has(&self, capability: u32) -> bool {
        self.capabilities & (1 << capability) != 0
    }

    /// The capabilities that tracing wants and this process lacks.
    pub fn missing_capabilities(&self) -> Vec<&'static str> {
        if self.has(CAP_SYS_ADMIN) {
            return Vec::new();
        }
        [
            (CAP_BPF, "CAP_BPF"),
            (CAP_PERFMON, "CAP_PERFMON"),
            (CAP_SYSLOG, "CAP_SYSLOG"),
        ]
        .into_iter()
        .filter(|(capability, _)| !self.has(*capability))
        .map(|(_, name)| name)
        .collect()
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// `none [integrity] confidentiality` → `integrity`
fn parse_selected(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// The mask in a line such as `CapEff:\t000001ffffffffff`.
fn parse_effective(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// Something that the kernel would not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The attempt, e.g. "attach a kprobe to fd_install".
    pub what: String,
    /// The kernel's errno, where there was one.
    pub errno: Option<i32>,
    /// The reason, in words.
    pub reason: String,
    /// The remedy.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}; {}", self.what, self.reason, self.remedy)
    }
}

impl std::error::Error for Refusal {}

/// The kind of attempt: the same errno means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Load a program.
    Load,
    /// Attach a kprobe or kretprobe.
    Kprobe,
    /// Attach a raw tracepoint.
    Tracepoint,
    /// Load or attach an LSM program.
    Lsm,
}

impl Refusal {
    /// From aya's error.
    pub(super) fn from_error(
        what: String,
        action: Action,
        error: &ProgramError,
        machine: &AttachEnvironment,
    ) -> Self {
        let errno = errno_of(error);
        let (mut reason, remedy) = explain(action, errno, machine);
        if let ProgramError::LoadError { verifier_log, .. } = error {
            let log = verifier_log.to_string();
            // The last line of the verifier's log gives the reason; everything before it is its trace. A refusal for missing
            // privileges has no log.
            let statistics = ["processed ", "stack depth ", "verification time ", "live "];
            let says = |line: &&str| {
                !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start))
            };
            if let Some(line) = log.lines().rev().find(says) {
                reason = format!("{reason}; the verifier says: {line}");
            }
        } else if errno.is_none() {
            reason = error.to_string();
        }
        Self {
            what,
            errno,
            reason,
            remedy,
        }
    }
}

/// The errno at the root of an error chain.
fn errno_of(error: &ProgramError) -> Option<i32> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(errno) = io.raw_os_error()
        {
            return Some(errno);
        }
        next = error.source();
    }
    None
}

/// The reason for an errno, and its remedy.
pub fn explain(
    action: Action,
    errno: Option<i32>,
    machine: &AttachEnvironment,
) -> (String, String) {
    let missing = machine.missing_capabilities();
    let locked = machine.lockdown.as_deref() == Some("confidentiality");
    if action == Action::Kprobe && !machine.kprobe_pmu {
        return (
            "this kernel is built without kprobes (no /sys/bus/event_source/devices/kprobe)".into(),
            "use a kernel with CONFIG_KPROBE_EVENTS, for example a guest".into(),
        );
    }
    match (action, errno) {
        (_, Some(libc::EPERM | libc::EACCES)) if locked => (
            "the kernel is locked down for confidentiality".into(),
            "boot with lockdown=integrity or without lockdown".into(),
        ),
        (_, Some(libc::EPERM | libc::EACCES)) if !missing.is_empty() => (
            format!("this process lacks {}", missing.join(", ")),
            format!(
                "run it as root or with {}{}",
                missing.join(", "),
                paranoid_hint(action, machine)
            ),
        ),
        (Action::Kprobe, Some(libc::EACCES)) => (
            format!(
                "perf_event_open is refused; kernel.perf_event_paranoid is {}",
                machine
                    .perf_event_paranoid
                    .map_or("unknown".to_owned(), |level| level.to_string())
            ),
            "set kernel.perf_event_paranoid=2, or add CAP_SYS_ADMIN".into(),
        ),
        (_, Some(libc::EPERM | libc::EACCES)) => (
            "the kernel refuses it even with these capabilities: its configuration or a security \
             module forbids it"
                .into(),
            "use another kernel, for example a guest".into(),
        ),
        (Action::Kprobe, Some(libc::ENOENT)) => (
            "the kernel's symbol table has nothing by this name or at this address, or no instruction starts there".into(),
            "compare the name with /proc/kallsyms: it may be inlined or named otherwise".into(),
        ),
        (Action::Kprobe, Some(libc::EINVAL)) => (
            "the kernel does not allow a probe there (marked notrace or NOKPROBE, or not kernel text)".into(),
            "probe its caller or one of its callees".into(),
        ),
        (Action::Kprobe, Some(libc::EILSEQ)) => (
            "the address is not the start of an instruction".into(),
            "probe the function's entry, or an offset at which an instruction starts".into(),
        ),
        (Action::Tracepoint, Some(libc::ENOENT)) => (
            "this kernel has no such tracepoint".into(),
            "compare the name with the btf_trace_ types of the kernel's BTF".into(),
        ),
        (Action::Lsm, Some(libc::ENOENT)) => (
            "this kernel has no such LSM hook for eBPF".into(),
            "compare the name with the bpf_lsm_ functions of the kernel's BTF".into(),
        ),
        (_, Some(libc::ENOMEM)) => (
            "the kernel has no memory for it".into(),
            "give the machine more memory, or raise RLIMIT_MEMLOCK".into(),
        ),
        (_, Some(errno)) => (
            io::Error::from_raw_os_error(errno).to_string(),
            "see the kernel log".into(),
        ),
        (_, None) => (
            "the kernel gave no reason".into(),
            "see the kernel log".into(),
        ),
    }
}

fn paranoid_hint(action: Action, machine: &AttachEnvironment) -> String {
    match machine.perf_event_paranoid {
        Some(level) if level > 2 && action == Action::Kprobe => {
            format!(", and set kernel.perf_event_paranoid=2 (it is {level}) or add CAP_SYS_ADMIN")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> AttachEnvironment {
        AttachEnvironment {
            kprobe_pmu: true,
            capabilities: u64::MAX,
            ..AttachEnvironment::default()
        }
    }

    /// Check that a kernel without kprobes is named as such, whatever the errno was.
    #[test]
    fn missing_kprobes_come_first() {
        let machine = AttachEnvironment {
            kprobe_pmu: false,
            ..root()
        };
        for errno in [None, Some(libc::ENOENT), Some(libc::EPERM)] {
            let (reason, _) = explain(Action::Kprobe, errno, &machine);
            assert!(reason.contains("without kprobes"), "{reason}");
        }
    }

    /// Check that a refusal of rights names the capabilities that are missing, and only those.
    #[test]
    fn missing_capabilities_are_named() {
        let machine = AttachEnvironment {
            capabilities: 1 << CAP_BPF,
            perf_event_paranoid: Some(3),
            ..root()
        };
        let (reason, remedy) = explain(Action::Kprobe, Some(libc::EACCES), &machine);
        assert_eq!(reason, "this process lacks CAP_PERFMON, CAP_SYSLOG");
        assert!(remedy.contains("paranoid=2 (it is 3)"), "{remedy}");
    }

    /// Check that the paranoid level is blamed when capabilities suffice for the rest.
    #[test]
    fn paranoid_level_is_blamed() {
        let machine = AttachEnvironment {
            capabilities: 1 << CAP_BPF | 1 << CAP_PERFMON | 1 << CAP_SYSLOG,
            perf_event_paranoid: Some(3),
            ..root()
        };
        let (reason, _) = explain(Action::Kprobe, Some(libc::EACCES), &machine);
        assert!(reason.ends_with("paranoid is 3"), "{reason}");
    }

    /// Check that lockdown is blamed only in the mode that forbids reading.
    #[test]
    fn lockdown_mode_counts() {
        for (mode, blamed) in [
            ("confidentiality", true),
            ("integrity", false),
            ("none", false),
        ] {
            let machine = AttachEnvironment {
                lockdown: Some(mode.into()),
                ..root()
            };
            let (reason, _) = explain(Action::Load, Some(libc::EPERM), &machine);
            assert_eq!(reason.contains("locked down"), blamed, "{mode}: {reason}");
        }
    }

    /// Check the parsers of the two kernel files against real lines.
    #[test]
    fn kernel_files_are_parsed() {
        assert_eq!(
            parse_selected("none [integrity] confidentiality\n").as_deref(),
            Some("integrity")
        );
        assert_eq!(parse_selected("none"), None);
        assert_eq!(
            parse_effective("Name:\tx\nCapEff:\t000001ffffffffff\n"),
            0x1ff_ffff_ffff
        );
        assert_eq!(parse_effective(""), 0);
    }
}
