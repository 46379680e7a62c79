//! Modules that the running kernel has loaded, and their types.

use std::fs;
use std::path::Path;

use crate::btf::{Btf, BtfError, merge};

/// The folder with the types of the kernel and of each module that has some.
const TYPES: &str = "/sys/kernel/btf";

/// The modules of `wanted` that are neither loaded nor, as far as is known, built into the running kernel.
pub fn missing_modules<'w>(wanted: impl Iterator<Item = &'w str>) -> Vec<&'w str> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lists = ["/lib/modules", "/usr/lib/modules"].iter().map(|base| {
        let list = Path::new(base).join(release.trim()).join("modules.builtin");
        fs::read_to_string(list)
    });
    let built_in = lists.find_map(Result::ok).unwrap_or_default();
    let is_there = |name: &str| {
        Path::new("/sys/module").join(name).exists()
            || built_in.lines().any(|line| {
                let file = line.rsplit('/').next().unwrap_or_default();
                file.strip_suffix(".ko")
                    .is_some_and(|stem| stem.replace('-', "_") == name)
            })
    };
    wanted.filter(|name| !is_there(name)).collect()
}

/// The types of the modules, merged to those of one module on top of the kernel's; empty if none has types of its own.
///
/// # Errors
/// When the kernel's types, or a module's, cannot be understood.
pub fn read_types(kernel: &[u8], modules: &[String]) -> Result<Vec<u8>, BtfError> {
    let blobs: Vec<Vec<u8>> = modules
        .iter()
        // A module that was built without types has no file here.
        .filter_map(|name| fs::read(Path::new(TYPES).join(name)).ok())
        .collect();
    if blobs.is_empty() {
        return Ok(Vec::new());
    }
    let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    merge(&Btf::parse(kernel)?, &blobs)
}
