//! The running kernel's statement of its own offset: the thin layer that opens it.

use std::fs::{self, File};

use super::config::KernelConfig;
use super::report::KaslrSourceError;
use super::vmcoreinfo::{Vmcoreinfo, VmcoreinfoError};

use crate::reason::Reason;
use crate::symbols::kcore::KcoreError;

/// VMCOREINFO of the running kernel, from `/proc/kcore`: 12 KiB, 1 ms, with CAP_SYS_RAWIO.
pub fn read_vmcoreinfo() -> Result<Vmcoreinfo, KaslrSourceError> {
    let core = File::open("/proc/kcore")
        .map_err(|error| KaslrSourceError::Unavailable(KcoreError::from(error).to_string()))?;
    Vmcoreinfo::read_core(core).map_err(|error| match error {
        VmcoreinfoError::Read(_) | VmcoreinfoError::Missing => {
            KaslrSourceError::Unavailable(error.to_string())
        }
        _ => KaslrSourceError::Broken(error.to_string()),
    })
}

/// The running kernel's configuration: `/proc/config.gz`, else `/boot/config-RELEASE`.
pub fn read_config(release: &str) -> Result<KernelConfig, Reason> {
    let by_proc = match fs::read("/proc/config.gz") {
        Ok(content) => {
            return KernelConfig::parse_gz(&content)
                .map_err(|error| format!("/proc/config.gz: {error}").into());
        }
        Err(error) => format!("/proc/config.gz: {error}"),
    };
    if release.is_empty() || release.contains('/') {
        return Err(by_proc.into());
    }
    let path = format!("/boot/config-{release}");
    let text = fs::read_to_string(&path)
        .map_err(|error| Reason::from(format!("{by_proc}; {path}: {error}")))?;
    KernelConfig::parse(&text).map_err(|error| format!("{path}: {error}").into())
}
