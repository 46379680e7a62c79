//! Reading kernel memory on demand.

use aya::{
    TestRun as _,
    maps::{Array, MapError},
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions},
};
use qed_collector_ebpf::{MAX_READ_BYTES, ReadRequest};
use thiserror::Error;

use super::{load::Probes, pod::MapRecord};

/// A read on demand that did not work.
#[derive(Debug, Error)]
pub enum KernelReadError {
    /// The kernel could not read there.
    #[error(
        "cannot read {size} bytes of kernel memory at {address:#x}: errno {errno}; nothing is mapped there"
    )]
    Unreadable {
        /// Kernel address.
        address: u64,
        /// Bytes wanted.
        size: usize,
        /// Positive errno.
        errno: i32,
    },
    /// The program could not be loaded or run.
    #[error(
        "cannot run the program that reads kernel memory: {0}; `qed-collector doctor` says what this machine allows"
    )]
    Program(#[from] ProgramError),
    /// The request could not be written or the answer not be read.
    #[error("cannot use the map of the program that reads kernel memory: {0}")]
    Map(#[from] MapError),
    /// The program ran and did not answer.
    #[error("the program that reads kernel memory did not answer; run the capture again")]
    NoAnswer,
    /// The object lacks the program or its map.
    #[error("the eBPF object has no `{0}`; build it again")]
    Missing(&'static str),
}

impl Probes {
    /// `size` bytes of kernel memory at `address`, read by the kernel's own fault-tolerant copy.
    pub fn read_kernel(&mut self, address: u64, size: usize) -> Result<Vec<u8>, KernelReadError> {
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let part = (size - bytes.len()).min(MAX_READ_BYTES);
            let at = address.wrapping_add(bytes.len() as u64);
            bytes.extend_from_slice(&self.read_kernel_part(at, part)?);
        }
        Ok(bytes)
    }

    fn read_kernel_part(&mut self, address: u64, size: usize) -> Result<Vec<u8>, KernelReadError> {
        let request = ReadRequest {
            address,
            size: size as u32,
            reserved: 0,
            result: 1,
            reserved2: 0,
            bytes: [0; MAX_READ_BYTES],
        };
        let map = self
            .ebpf
            .map_mut("READ_REQUEST")
            .ok_or(KernelReadError::Missing("READ_REQUEST"))?;
        Array::<_, MapRecord<ReadRequest>>::try_from(map)?.set(0, MapRecord(request), 0)?;
        let program: &mut RawTracePoint = self
            .ebpf
            .program_mut("read_kernel")
            .ok_or(KernelReadError::Missing("read_kernel"))?
            .try_into()?;
        if !self.reader_loaded {
            program.load()?;
            self.reader_loaded = true;
        }
        // Run once, here and now: nothing needs to be attached, so no other process is slowed down.
        program.test_run(RawTracePointRunOptions::new())?;
        let map = self
            .ebpf
            .map("READ_REQUEST")
            .ok_or(KernelReadError::Missing("READ_REQUEST"))?;
        let MapRecord(answer) = Array::<_, MapRecord<ReadRequest>>::try_from(map)?.get(&0, 0)?;
        match answer.result {
            0 => Ok(answer.bytes[..size].to_vec()),
            1 => Err(KernelReadError::NoAnswer),
            errno => Err(KernelReadError::Unreadable {
                address,
                size,
                errno: -errno,
            }),
        }
    }
}
