//! The data that loading the programs for one capture needs.

use aya::EbpfError;
use aya::maps::MapError;
use qed_collector_ebpf::{FdWalk, Layout, ProbeSpec};
use thiserror::Error;

use super::attach_target::AttachTarget;
use super::missed::KprobeTable;

/// The reads of one experiment at one attachment.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachmentUse {
    /// Number of the experiment, below [`MAX_EXPERIMENTS`](qed_collector_ebpf::MAX_EXPERIMENTS).
    pub experiment: u32,
    /// Index in [`Setup::attaches`]. An experiment has one spec per attachment.
    pub attach: usize,
    /// Reads and acts. The loader fills in what the attachment knows: [`act::RETURNS`](qed_collector_ebpf::act::RETURNS) and `arg_count`.
    pub spec: ProbeSpec,
}

/// All that one capture needs to be loaded, as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// The attachments.
    pub attaches: Vec<AttachTarget>,
    /// The reads there. [`Event::probe`](qed_collector_ebpf::Event::probe) is an index in this list.
    pub uses: Vec<AttachmentUse>,
    /// Offsets for reads that start at a file descriptor; `None`: there are no such reads.
    pub fd_walk: Option<FdWalk>,
    /// The places of what the programs ask of each task and each CPU; zeros: not known.
    pub layout: Layout,
    /// The kernel's table of kprobes, which has the number of skipped hits of each; `None`: not known.
    pub kprobes: Option<KprobeTable>,
    /// Size of the ring buffer in bytes, a power of two of at least a page; 0: 1 MiB (about 350 events).
    pub ring_bytes: u32,
}

/// The programs could not be loaded at all.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The object, or the kernel's answer to its maps.
    #[error("cannot load the eBPF object: {source}; {hint}")]
    Object {
        /// The error of aya.
        source: Box<EbpfError>,
        /// The remedy.
        hint: String,
    },
    /// A map refused an entry.
    #[error("cannot write to the eBPF map {map}: {source}")]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// The error of aya.
        source: MapError,
    },
    /// The object has no such map or program.
    #[error("the eBPF object has no `{0}`; build the collector again")]
    Missing(String),
    /// The setup contradicts itself or the limits.
    #[error("cannot set the probes up: {0}")]
    Setup(String),
}
