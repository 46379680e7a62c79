//! The object of the eBPF programs that is part of the collector's package.

use std::path::Path;

use qed_collector::probe::{OBJECT, OBJECT_COMPILER};

use crate::files::{WriteError, create, write};

#[path = "../../collector/build/sources.rs"]
mod sources;

/// A package that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The sources of the object are not there.
    #[error("collector-ebpf/ is not beside this crate: run this in a checkout")]
    NoCheckout,
    /// A source cannot be read.
    #[error("failed to read the sources of the eBPF programs: {0}")]
    Sources(std::io::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Write the object that is in this program to `collector/ebpf`, with its compiler and with the digest of the sources that are
/// there now. Built with the collector's feature `build-ebpf`, it is of those sources.
pub fn package() -> Result<(), PackageError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let digest = sources::digest(&root).map_err(PackageError::Sources)?;
    let digest = digest.ok_or(PackageError::NoCheckout)?;
    let folder = root.join("collector/ebpf");
    create(&folder)?;
    write(&folder.join("qed-ebpf.o"), OBJECT)?;
    // Another compiler may give other bytes.
    write(&folder.join("compiler.txt"), format!("{OBJECT_COMPILER}\n"))?;
    write(&folder.join("sources.sha256"), format!("{digest}\n"))?;
    Ok(())
}
