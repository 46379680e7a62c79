//! The running kernel's memory, through `/proc/kcore`.

use std::fs::File;

use crate::symbols::kcore::{self, KcoreError};

/// `/proc/kcore`, opened while that is allowed, or why it could not be.
#[derive(Debug)]
pub struct CoreMemory(Result<File, String>);

impl CoreMemory {
    /// Open it. A failure is told by each read.
    pub fn open() -> Self {
        Self(File::open("/proc/kcore").map_err(|error| KcoreError::from(error).to_string()))
    }

    /// Read `size` bytes at `address`.
    ///
    /// # Errors
    /// A sentence that says why they cannot be had.
    pub fn read(&self, address: u64, size: usize) -> Result<Vec<u8>, String> {
        let mut core = self.0.as_ref().map_err(Clone::clone)?;
        kcore::read(&mut core, address, size).map_err(|error| error.to_string())
    }
}
