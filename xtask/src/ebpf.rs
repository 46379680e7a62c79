//! The object of the eBPF programs that is part of the collector's package.

use std::path::Path;

#[path = "../../collector/build/sources.rs"]
mod sources;

/// Writes the object that is in this program to `collector/ebpf`, with the digest of the sources that are there now. Built
/// with the collector's feature `build-ebpf`, it is of those sources.
pub fn write() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("collector/ebpf");
    std::fs::create_dir_all(&folder)?;
    let digest = sources::digest(&root)?.unwrap_or_default();
    std::fs::write(folder.join("qed-ebpf.o"), qed_collector::probe::OBJECT)?;
    // The usual one. Another compiler may give other bytes.
    let compiler = std::process::Command::new("/usr/bin/rustc")
        .arg("--version")
        .output()?;
    std::fs::write(folder.join("compiler.txt"), compiler.stdout)?;
    std::fs::write(folder.join("sources.sha256"), format!("{digest}\n"))
}
