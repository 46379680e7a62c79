//! The choice of KVM where it works, and of emulation where it does not.
//!
//! KVM may exist and still not boot a guest (nested virtualisation that hangs in firmware, an MSR that
//! is refused), so it must show a first sign of life soon; a failure is remembered until this host
//! reboots, so that only the first capture pays for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cache::{Cache, read_json, write_json};
use crate::arch::Arch;

/// Time within which a guest under KVM has to start its init. It boots faster than an emulated one, which
/// takes about two seconds; so beyond this, emulation would have been the better choice anyway.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(4);

/// The user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcceleratorChoice {
    /// KVM where it works.
    #[default]
    Auto,
    /// Emulation.
    Tcg,
    /// KVM or nothing.
    Kvm,
}

/// The accelerator in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Hardware virtualisation.
    Kvm,
    /// QEMU's software emulation.
    Tcg,
}

impl Accelerator {
    /// A word for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Kvm => "under KVM",
            Self::Tcg => "emulated",
        }
    }
}

/// A remembered failure of KVM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvmFailure {
    /// The host's boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// The QEMU that was tried.
    pub qemu: PathBuf,
    /// The observation.
    pub reason: String,
}

/// A `/dev/kvm` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The kernel has no KVM, or no processor for it.
    #[error("this machine has no /dev/kvm")]
    Absent,
    /// The guest is of another architecture.
    #[error("this machine is not {0}")]
    OtherArch(Arch),
    /// The user lacks the permission.
    #[error("this user may not open /dev/kvm (on Debian the group `kvm` may)")]
    Forbidden,
    /// Something else.
    #[error("/dev/kvm does not open: {0}")]
    Open(std::io::Error),
}

/// The accelerators to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// KVM; on no sign of life, emulation if allowed.
    TryKvm {
        /// True if emulation may follow.
        fall_back: bool,
    },
    /// Emulation, and why not KVM (nothing where the user asked for it).
    Emulate(Option<String>),
    /// KVM was asked for and cannot be used.
    Refuse(String),
}

/// Choose from what was asked, whether `/dev/kvm` opens (or why not), and an earlier failure.
#[must_use]
pub fn decide(
    requested: AcceleratorChoice,
    device: Result<(), DeviceError>,
    known: Option<&KvmFailure>,
    boot_id: &str,
    qemu: &Path,
) -> Decision {
    let known = known.filter(|f| !boot_id.is_empty() && f.boot_id == boot_id && f.qemu == qemu);
    match (requested, device) {
        (AcceleratorChoice::Tcg, _) => Decision::Emulate(None),
        (AcceleratorChoice::Kvm, Err(error)) => Decision::Refuse(error.to_string()),
        (AcceleratorChoice::Kvm, Ok(())) => Decision::TryKvm { fall_back: false },
        (AcceleratorChoice::Auto, Err(error)) => Decision::Emulate(Some(error.to_string())),
        (AcceleratorChoice::Auto, Ok(())) => match known {
            Some(failure) => Decision::Emulate(Some(format!(
                "{} (found earlier in this boot of the host)",
                failure.reason
            ))),
            None => Decision::TryKvm { fall_back: true },
        },
    }
}

/// Check that this user may use `/dev/kvm`, for a guest of this architecture.
///
/// # Errors
/// The reason why not.
pub fn check_device(arch: Arch) -> Result<(), DeviceError> {
    if arch != Arch::HOST {
        return Err(DeviceError::OtherArch(arch));
    }
    let opened = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    opened.map(drop).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DeviceError::Absent,
        std::io::ErrorKind::PermissionDenied => DeviceError::Forbidden,
        _ => DeviceError::Open(error),
    })
}

/// This host's boot, empty where it cannot be read.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The remembered failure, if any.
#[must_use]
pub fn remembered_failure(cache: &Cache) -> Option<KvmFailure> {
    read_json(&cache.root().join("kvm.json"))
}

/// Remember a failure. Not being able to only costs the next capture some seconds.
pub fn remember_failure(cache: &Cache, failure: &KvmFailure) {
    let _ = std::fs::create_dir_all(cache.root());
    let _ = write_json(&cache.root().join("kvm.json"), failure);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(boot_id: &str, qemu: &str) -> KvmFailure {
        KvmFailure {
            boot_id: boot_id.into(),
            qemu: qemu.into(),
            reason: "hung".into(),
        }
    }

    /// Check that an earlier failure counts for the same boot and the same QEMU, and for nothing else.
    #[test]
    fn earlier_failure() {
        let qemu = Path::new("/usr/bin/q");
        let with =
            |f: &KvmFailure, boot| decide(AcceleratorChoice::Auto, Ok(()), Some(f), boot, qemu);
        assert!(
            matches!(with(&failure("b1", "/usr/bin/q"), "b1"), Decision::Emulate(Some(why)) if why.starts_with("hung"))
        );
        assert_eq!(
            with(&failure("b1", "/usr/bin/q"), "b2"),
            Decision::TryKvm { fall_back: true }
        );
        assert_eq!(
            with(&failure("b1", "/opt/q"), "b1"),
            Decision::TryKvm { fall_back: true }
        );
        assert_eq!(
            with(&failure("", "/usr/bin/q"), ""),
            Decision::TryKvm { fall_back: true }
        );
    }

    /// Check that what was asked for explicitly is never swapped for something else.
    #[test]
    fn explicit() {
        let qemu = Path::new("/usr/bin/q");
        let known = failure("b", "/usr/bin/q");
        assert_eq!(
            decide(AcceleratorChoice::Kvm, Ok(()), Some(&known), "b", qemu),
            Decision::TryKvm { fall_back: false }
        );
        assert_eq!(
            decide(
                AcceleratorChoice::Kvm,
                Err(DeviceError::Absent),
                None,
                "b",
                qemu
            ),
            Decision::Refuse("this machine has no /dev/kvm".into())
        );
        assert_eq!(
            decide(AcceleratorChoice::Tcg, Ok(()), None, "b", qemu),
            Decision::Emulate(None)
        );
        assert_eq!(
            decide(
                AcceleratorChoice::Auto,
                Err(DeviceError::Absent),
                None,
                "b",
                qemu
            ),
            Decision::Emulate(Some("this machine has no /dev/kvm".into()))
        );
    }
}
