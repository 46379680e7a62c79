//! `qed-collector doctor`: reports what this machine can capture, by which back-end, and what would have to change.

use std::path::Path;

use serde::Serialize;

use super::failure::Failure;
use super::output::{Format, json, print};
use crate::arch::Arch;
use crate::guest::accel::{self, AcceleratorChoice, Decision, DeviceError, KvmFailure};
use crate::guest::{cache::Cache, find_program};
use crate::kaslr;
use crate::probe::test_capabilities;
use crate::session::machine_facts::BTF;
use crate::symbols::running;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// The checks of both kinds of machines.
#[derive(Debug, Serialize)]
struct Report {
    host: MachineChecks,
    guest: MachineChecks,
}

/// The checks of one kind of machine.
#[derive(Debug, Serialize)]
struct MachineChecks {
    /// True if a capture works.
    captures: bool,
    checks: Vec<Check>,
    conclusion: &'static str,
}

/// One facility that a capture needs, or would use.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    works: bool,
    /// The finding, or the reason why it does not work and what would have to change.
    detail: String,
}

impl Check {
    fn new<E: std::fmt::Display>(name: &str, result: Result<String, E>) -> Self {
        let (works, detail) = match result {
            Ok(text) => (true, text),
            Err(reason) => (false, reason.to_string()),
        };
        Self {
            name: name.to_owned(),
            works,
            detail,
        }
    }
}

impl MachineChecks {
    fn text(&self, title: &str) -> String {
        let lines = self.checks.iter().map(|check| {
            let word = if check.works { "ok" } else { "no" };
            format!("  {word}  {}: {}\n", check.name, check.detail)
        });
        format!(
            "{title}\n{}  => {}\n",
            lines.collect::<String>(),
            self.conclusion
        )
    }
}

/// Run the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let report = Report {
        host: check_host(),
        guest: check_guest(),
    };
    print(&match args.format {
        Format::Text => report.host.text("host") + &report.guest.text("guest"),
        Format::Json => json(&report)?,
    })?;
    if report.host.captures || report.guest.captures {
        return Ok(());
    }
    Err(Failure::machine(
        "this machine can capture nothing: books here build from recorded evidence",
    ))
}

/// Check this machine's own kernel.
fn check_host() -> MachineChecks {
    let mut checks = vec![Check::new(
        "kernel types (BTF)",
        match Path::new(BTF).exists() {
            true => Ok(BTF.to_owned()),
            false => Err(format!(
                "{BTF} does not exist: a kernel with CONFIG_DEBUG_INFO_BTF is needed"
            )),
        },
    )];
    let symbols = running::read_kallsyms();
    checks.push(Check::new(
        "kernel addresses",
        match &symbols {
            Ok(table) => Ok(format!("{} symbols", table.len())),
            Err(error) => Err(error.to_string()),
        },
    ));
    let function = symbols
        .ok()
        .and_then(|table| table.lookup("ksys_read").first().copied())
        .unwrap_or(0);
    let found = test_capabilities(function);
    checks.extend(found.list.iter().map(|capability| {
        let result = capability.result.as_ref();
        Check::new(capability.name, result.map(|()| "works".to_owned()))
    }));
    checks.push(Check::new(
        "slide stated by the kernel (VMCOREINFO)",
        kaslr::running::read_vmcoreinfo().map(|_| "readable".to_owned()),
    ));
    let (kprobes, tracepoints) = (found.works("kprobe"), found.works("raw tracepoint"));
    MachineChecks {
        captures: kprobes || tracepoints,
        checks,
        conclusion: match (kprobes, tracepoints) {
            (true, _) => "captures everything here, by kprobes and tracepoints",
            (false, true) => "captures here what tracepoints show; the rest in a guest",
            (false, false) => "captures nothing here; capture in a guest",
        },
    }
}

/// The reason why guests are emulated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum EmulationReason {
    /// KVM cannot be used, or was found not to work.
    #[error("{0}; guests are emulated")]
    Unusable(String),
    /// Nobody asked for it.
    #[error("guests are emulated")]
    Unwanted,
}

/// Check whether a guest would run under KVM; `known` is a failure of it that is remembered.
fn check_kvm(
    device: Result<(), DeviceError>,
    known: Option<&KvmFailure>,
    boot_id: &str,
    qemu: &Path,
) -> Result<String, EmulationReason> {
    match accel::decide(AcceleratorChoice::Auto, device, known, boot_id, qemu) {
        Decision::TryKvm { .. } => {
            Ok("/dev/kvm can be opened; it is tried first, with a short limit".to_owned())
        }
        Decision::Emulate(Some(reason)) | Decision::Refuse(reason) => {
            Err(EmulationReason::Unusable(reason))
        }
        Decision::Emulate(None) => Err(EmulationReason::Unwanted),
    }
}

/// Check what guests need.
fn check_guest() -> MachineChecks {
    let emulator = find_program::find_in_path(Arch::HOST.emulator());
    let cache = Cache::for_user();
    let known = cache.as_ref().ok().and_then(accel::remembered_failure);
    let kvm = check_kvm(
        accel::check_device(Arch::HOST),
        known.as_ref(),
        &accel::boot_id(),
        emulator.as_deref().unwrap_or(Path::new("")),
    );
    let checks = vec![
        Check::new(
            "QEMU",
            match &emulator {
                Some(path) => Ok(path.display().to_string()),
                None => Err(format!(
                    "{} is not in PATH: apt-get install {}",
                    Arch::HOST.emulator(),
                    Arch::HOST.emulator_package()
                )),
            },
        ),
        Check::new("KVM", kvm),
        Check::new(
            "kernel cache",
            match &cache {
                Ok(cache) => Ok(cache.kernels_folder().display().to_string()),
                Err(error) => Err(error.to_string()),
            },
        ),
    ];
    MachineChecks {
        captures: emulator.is_some(),
        checks,
        conclusion: match emulator.is_some() {
            true => "captures in guests",
            false => "captures in no guest",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a failure of KVM in this boot is reported with its reason instead of an open device, that one of another boot or of
    /// another QEMU is not, and that a missing device is.
    #[test]
    fn remembered_failure() {
        let (boot, qemu) = ("b1", Path::new("/usr/bin/q"));
        let known = KvmFailure {
            boot_id: boot.into(),
            qemu: qemu.into(),
            reason: "QEMU cannot use KVM: it is refused".into(),
        };
        let with = |device, boot, qemu| check_kvm(device, Some(&known), boot, qemu);
        assert_eq!(
            with(Ok(()), boot, qemu).unwrap_err().to_string(),
            "QEMU cannot use KVM: it is refused (found earlier in this boot of the host); guests are emulated"
        );
        for (boot, qemu) in [("b2", qemu), (boot, Path::new("/opt/q"))] {
            assert!(with(Ok(()), boot, qemu).unwrap().contains("tried first"));
        }
        let absent = with(Err(DeviceError::Absent), boot, qemu)
            .unwrap_err()
            .to_string();
        assert!(
            absent.starts_with("this machine has no /dev/kvm; "),
            "{absent}"
        );
    }
}
