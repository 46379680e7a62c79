//! The running kernel's memory, through `/proc/kcore`.

use std::fs::File;

use crate::reason::Reason;
use crate::symbols::kcore::{self, KcoreError};

/// `/proc/kcore`, opened while that is allowed, or why it could not be.
#[derive(Debug)]
pub struct CoreMemory(Result<File, Reason>);

impl CoreMemory {
    /// Open it. A failure is returned by each read.
    pub fn open() -> Self {
        Self(File::open("/proc/kcore").map_err(|error| Reason::from_error(KcoreError::from(error))))
    }

    /// Read `size` bytes at `address`.
    ///
    /// # Errors
    /// The reason why they are unavailable.
    pub fn read(&self, address: u64, size: usize) -> Result<Vec<u8>, Reason> {
        let mut core = self.0.as_ref().map_err(Clone::clone)?;
        kcore::read_memory(&mut core, address, size).map_err(Reason::from_error)
    }
}
