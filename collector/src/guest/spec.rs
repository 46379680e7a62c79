//! The description of a guest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::KernelImage;
use super::accel::AcceleratorChoice;
use super::cache::Cache;

/// A guest.
#[derive(Debug, Clone)]
pub struct GuestSpec {
    /// The kernel.
    pub kernel: KernelImage,
    /// The executable that becomes `/init`: the collector, for the kernel's architecture. It is static, or its loader
    /// and its libraries are among the files.
    pub init: PathBuf,
    /// The loader and the libraries of that executable: absolute name, content. They are in the initramfs of every guest.
    pub own_files: Vec<(String, Vec<u8>)>,
    /// The files of its job: absolute name, content. A guest that boots has them in its initramfs, and one that can be resumed is
    /// handed them afterwards.
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
    /// The cache, which remembers a failure of KVM, and has the saved guests.
    pub cache: Cache,
    /// How it starts.
    pub start: Start,
}

/// How a guest starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// It is booted for its job.
    #[default]
    Boot,
    /// It is resumed where it was saved after an earlier boot; where none was saved it is booted, and saved before its job.
    Resume,
}

impl GuestSpec {
    /// One processor, 512 MiB, two minutes of silence, KVM where it works; booted.
    #[must_use]
    pub fn new(kernel: KernelImage, init: PathBuf, cache: Cache) -> Self {
        let limit = Duration::from_secs(120);
        Self {
            kernel,
            init,
            own_files: Vec::new(),
            files: Vec::new(),
            modes: BTreeMap::new(),
            append: String::new(),
            memory_mib: 512,
            cpus: 1,
            limit,
            accel: AcceleratorChoice::Auto,
            cache,
            start: Start::Boot,
        }
    }
}
