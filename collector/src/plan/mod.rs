//! From an investigation and a kernel's BTF to what the eBPF programs are told. Pure: it opens nothing.
//!
//! What this kernel cannot do is planned as unavailable, with the reason, and the rest goes on. Only what
//! is wrong on every kernel, such as a read path that does not parse, is an error of the investigation.

mod attachments;
pub mod expr;
mod layout;
mod paths;
mod probe;
mod types;

use qed_collector_ebpf::{MAX_EXPERIMENTS, MAX_PROBES};
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::Investigation;

pub use types::{
    PlannedElements, PlannedExperiment, PlannedInstruction, PlannedParameter, PlannedProbe,
    PlannedRead, PlannedReturn, Refused, Source,
};

pub use layout::fd_walk;
pub use paths::wrong_paths;
pub use probe::NO_SUCH;

use crate::btf::Btf;
use crate::probe::Setup;
use crate::symbols::disasm::Instruction;
use attachments::Attachments;

/// A question for the live addresses of the copies of a function that one file defines.
pub type CopiesInFile<'s> = dyn Fn(&str, &str) -> Result<Vec<u64>, String> + 's;

/// What the kernel offers, as data.
#[derive(Clone, Copy)]
pub struct Offer<'s, 'a> {
    /// Its types.
    pub btf: &'s Btf<'a>,
    /// Live addresses of a symbol; several for static functions of one name.
    pub symbols: &'s dyn Fn(&str) -> Vec<u64>,
    /// What a per-CPU symbol is, to which the offset of a CPU is added: an offset itself, or an address.
    pub per_cpu: &'s dyn Fn(&str) -> Option<u64>,
    /// Symbol and live address of each copy of a function: itself, namesakes, and the clones that the compiler made.
    pub copies: &'s dyn Fn(&str) -> Vec<(String, u64)>,
    /// Live addresses of the copies of a function that one file defines, or why that is not known.
    pub chosen: &'s CopiesInFile<'s>,
    /// Why no symbol has an address here, if so.
    pub no_symbols: Option<&'s str>,
    /// Where nothing is that a pointer could lead to, although it can be read: first address and one behind the last.
    pub nowhere: Option<(u64, u64)>,
    /// Why kprobes are not possible here, if so.
    pub no_kprobes: Option<&'s str>,
    /// Why LSM programs are not possible here, if so.
    pub no_lsm: Option<&'s str>,
    /// The instructions of the function at an address, or why they cannot be had.
    pub code: &'s dyn Fn(u64) -> Result<Vec<Instruction>, String>,
    /// How far the running image was moved, in bytes, as the kernel states it, or why it is not known.
    pub slide: &'s dyn Fn() -> Result<u64, String>,
    /// The number of a system call.
    pub syscall_number: &'s dyn Fn(&str) -> Option<u32>,
}

/// Everything that a capture will do in the kernel.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the programs are told.
    pub setup: Setup,
    /// What their events will mean.
    pub experiments: Vec<PlannedExperiment>,
    /// Per experiment: the use whose events mark the workload's system call going in, and coming out.
    pub markers: Vec<Option<(usize, usize)>>,
}

/// Plans a capture.
pub fn plan(investigation: &Investigation, offer: &Offer<'_, '_>) -> Result<Plan, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    if investigation.experiments.len() > MAX_EXPERIMENTS {
        problems.push(Diagnostic::error_without_place(format!(
            "the investigation has {} experiments, one capture can run {MAX_EXPERIMENTS}",
            investigation.experiments.len()
        )));
        return Err(problems);
    }
    let mut attachments = Attachments::default();
    let mut experiments = Vec::new();
    let mut markers = Vec::new();
    for (number, experiment) in investigation.experiments.iter().enumerate() {
        let mut planner = probe::Planner {
            investigation,
            offer,
            experiment,
            number: number as u32,
            attachments: &mut attachments,
            problems: &mut problems,
        };
        markers.push(planner.markers());
        let probes = experiment
            .probes
            .iter()
            .map(|probe| planner.probe(probe))
            .collect();
        experiments.push(PlannedExperiment {
            name: experiment.name.clone(),
            isolated: experiment.isolated,
            probes,
        });
    }
    let uses = attachments.uses.len();
    if uses > MAX_PROBES {
        problems.push(Diagnostic::error_without_place(format!(
            "the investigation has {uses} probes in all its experiments, one capture can use {MAX_PROBES}"
        )));
    }
    if !problems.is_empty() {
        qed_evidence::diagnostic::sort(&mut problems);
        problems.dedup();
        return Err(problems);
    }
    if let Some((start, end)) = offer.nowhere {
        for usage in &mut attachments.uses {
            usage.spec.nowhere = start;
            usage.spec.nowhere_size = end.saturating_sub(start);
        }
    }
    // A kernel without these members cannot walk a descriptor; the reads that want it then fail one by one.
    let fd_walk = fd_walk(offer.btf);
    Ok(Plan {
        setup: Setup {
            attaches: attachments.attaches,
            uses: attachments.uses,
            fd_walk,
            layout: layout::layout(offer),
            kprobes: layout::kprobes(offer),
            ring_bytes: 8 << 20,
        },
        experiments,
        markers,
    })
}
