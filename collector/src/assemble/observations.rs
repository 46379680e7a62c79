//! The observations of one experiment, before they are turned into hits.

use std::collections::BTreeSet;

use qed_collector_ebpf::Event;
use qed_evidence::investigation::Experiment;

use super::names::Names;
use crate::arch::Arch;
use crate::plan::{Markers, PlannedExperiment};
use crate::reason::Reason;
use crate::session::raw::AttachFailure;
use crate::workload::CallSite;

/// Everything that was seen in one experiment.
pub struct RawObservation<'a> {
    pub planned: &'a PlannedExperiment,
    pub requested: &'a Experiment,
    pub events: &'a [Box<Event>],
    /// The processes of the collector itself.
    pub own: &'a [u32],
    /// The uses that mark the workload's system call; `None`: it is a command.
    pub markers: Option<&'a Markers>,
    /// All that marks where the workload begins and ends was attached.
    pub marked: bool,
    /// The code that makes the workload's system call.
    pub call: Option<&'a CallSite>,
    /// The architecture of the kernel.
    pub arch: Arch,
    /// True if 32-bit system calls could be told from others.
    pub tells_compat: bool,
    /// Per attachment: the hits that the kernel skipped.
    pub skipped: &'a [Option<u64>],
    /// Probes of functions were called for what came by.
    pub armed: bool,
    pub pid: u32,
    /// The process ended in its call, or by a signal.
    pub ended_inside: bool,
    /// A call replaced the program of the process (`execve`).
    pub replaced: bool,
    pub refusals: &'a [Option<AttachFailure>],
    /// Per attachment: its entries in the kernel's list of probes, or why they are not known.
    pub listed: &'a [Result<String, Reason>],
    /// The reason why the workload did not run, if so: then nothing was watched.
    pub not_run: Option<&'a str>,
    /// The most frames of a stack that the captured kernel can have given.
    pub max_frames: usize,
    pub names: &'a dyn Names,
    /// Functions that do not return: a return of theirs is not missed.
    pub never_return: &'a BTreeSet<String>,
}
