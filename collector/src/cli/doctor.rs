//! `qed-collector doctor`: reports what this machine can capture, by which back-end, and what would have to change.

use std::collections::BTreeMap;
use std::path::Path;

use super::doctor_report::{CACHE, Check, MachineChecks, Report, lack_warning};
use super::failure::Failure;
use super::guest_boot;
use super::output::{Format, json, print};
use super::progress::print_note;
use super::target::{TargetMachine, find_book_around};
use crate::arch::Arch;
use crate::guest::accel::{self, AcceleratorChoice, Decision, DeviceError, KvmFailure};
use crate::guest::{KernelSource, cache::Cache, fetch, find_program};
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

/// Run the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let named = named_guests();
    let guests: BTreeMap<&str, MachineChecks> = Arch::ALL
        .into_iter()
        .map(|arch| {
            let named = named.get(&arch).cloned().unwrap_or_default();
            (arch.machine(), check_guest(arch, named))
        })
        .collect();
    let report = Report {
        host: check_host(),
        guest: guests[Arch::HOST.machine()].clone(),
        guests,
    };
    print(&match args.format {
        Format::Text => report.text(),
        Format::Json => json(&report)?,
    })?;
    for (arch, guests) in report.others() {
        if let Some(warning) = lack_warning(arch, guests) {
            print_note(&warning);
        }
    }
    let captures = report.guests.values().any(|guests| guests.captures);
    if report.host.captures || captures {
        return Ok(());
    }
    Err(Failure::machine(
        "this machine can capture nothing: books here build from recorded evidence",
    ))
}

/// The guests that the book here names, if there is one, by the architecture of their kernels.
fn named_guests() -> BTreeMap<Arch, Vec<String>> {
    let mut named: BTreeMap<Arch, Vec<String>> = BTreeMap::new();
    // A book that cannot be read is told where it is used.
    let Ok(Some(book)) = find_book_around() else {
        return named;
    };
    for machine in &book.machines {
        let TargetMachine::Guest(name, source) = machine else {
            continue;
        };
        let arch = match source {
            KernelSource::Path(path) => fetch::arch_of_image(path),
            KernelSource::Debian(_) => source.arch(),
        };
        if let Some(arch) = arch {
            named.entry(arch).or_default().push(name.clone());
        }
    }
    named
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
        named: Vec::new(),
        checks,
        conclusion: match (kprobes, tracepoints) {
            (true, _) => "captures everything here, by kprobes and tracepoints",
            (false, true) => "captures here what tracepoints show; the rest in a guest",
            (false, false) => "captures nothing here; capture in a guest",
        }
        .to_owned(),
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

/// Check what guests of an architecture need. `named`: those that a book names.
fn check_guest(arch: Arch, named: Vec<String>) -> MachineChecks {
    let emulator = find_program::find_in_path(arch.emulator());
    let cache = Cache::for_user();
    let known = cache.as_ref().ok().and_then(accel::remembered_failure);
    let kvm = check_kvm(
        accel::check_device(arch),
        known.as_ref(),
        &accel::boot_id(),
        emulator.as_deref().unwrap_or(Path::new("")),
    );
    let mut checks = vec![Check::needed(
        "QEMU",
        match &emulator {
            Some(path) => Ok(path.display().to_string()),
            None => Err(format!(
                "{} is not in PATH: apt-get install {}",
                arch.emulator(),
                arch.emulator_package()
            )),
        },
    )];
    // The first process of guests of this machine's architecture is this program.
    if arch != Arch::HOST {
        let twin = guest_boot::find_init(arch).map_err(|failure| failure.message);
        checks.push(Check::needed(
            &format!("qed-collector for {arch}"),
            twin.map(|path| format!("{}, made from the same sources", path.display())),
        ));
    }
    checks.push(Check::new("KVM", kvm));
    checks.push(Check::new(
        CACHE,
        match &cache {
            Ok(cache) => Ok(cache.kernels_folder().display().to_string()),
            Err(error) => Err(error.to_string()),
        },
    ));
    let captures = checks.iter().all(|check| check.works || !check.needed);
    let of = match arch == Arch::HOST {
        true => String::new(),
        false => format!(" for {arch}"),
    };
    MachineChecks {
        captures,
        named,
        checks,
        conclusion: match captures {
            true => format!("captures in guests{of}"),
            false => format!("captures in no guest{of}"),
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
