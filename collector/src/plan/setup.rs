//! All experiments of an investigation, planned together.

use qed_collector_ebpf::{MAX_EXPERIMENTS, MAX_PROBES};
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::Investigation;
use serde::{Deserialize, Serialize};

use super::argument_counts::find_few_arguments;
use super::attachments::Attachments;
use super::layout;
use super::planner::Planner;
use super::target_kernel::TargetKernel;
use super::types::PlannedExperiment;
use super::workload::plan_workload;
use crate::probe::Setup;
use crate::reason::Reason;
use crate::workload::WorkloadKind;

/// Everything that a capture will do in the kernel.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The setup of the programs.
    pub setup: Setup,
    /// The meaning of their events.
    pub experiments: Vec<PlannedExperiment>,
    /// Per experiment: the uses whose events mark the workload's system calls, where it makes them itself.
    pub markers: Vec<Option<Markers>>,
    /// Per experiment: its workload, in the form that is sent to its process.
    pub workloads: Vec<Result<WorkloadKind, Reason>>,
}

/// The uses whose events mark a workload's system calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Markers {
    /// The watched calls, in the order in which they are made.
    pub calls: Vec<CallMarkers>,
    /// The next system call of the task after each of them goes in: it has been back in user space.
    pub next_call: Option<usize>,
}

/// The uses whose events mark one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallMarkers {
    /// The use that marks its entry.
    pub enter: usize,
    /// The use that marks its exit, before what the kernel does on the way back to user space.
    pub exit: usize,
}

impl Markers {
    /// All uses that mark where calls begin and end.
    pub fn uses(&self) -> impl Iterator<Item = usize> {
        self.calls.iter().flat_map(|call| [call.enter, call.exit])
    }
}

/// Plan a capture.
pub fn plan(
    investigation: &Investigation,
    offer: &TargetKernel<'_, '_>,
) -> Result<Plan, Vec<Diagnostic>> {
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
    let mut workloads = Vec::new();
    for (number, experiment) in investigation.experiments.iter().enumerate() {
        let mut planner = Planner {
            investigation,
            offer,
            experiment,
            number: number as u32,
            attachments: &mut attachments,
            problems: &mut problems,
            filters: Vec::new(),
        };
        markers.push(planner.add_markers());
        let probes = experiment
            .probes
            .iter()
            .map(|probe| planner.plan_probe(probe))
            .collect();
        let workload = plan_workload(offer.btf, &experiment.workload).map_err(Reason::from_error);
        experiments.push(PlannedExperiment {
            name: experiment.name.clone(),
            isolated: experiment.isolated,
            refused: workload.as_ref().err().cloned(),
            few: find_few_arguments(offer, &experiment.workload),
            probes,
        });
        workloads.push(workload);
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
    let layout = layout::task_layout(offer);
    for usage in &mut attachments.uses {
        usage.spec.cpu_offsets = layout.cpu_offsets;
    }
    if let Some((start, end)) = offer.unmapped {
        for usage in &mut attachments.uses {
            usage.spec.unmapped_start = start;
            usage.spec.unmapped_size = end.saturating_sub(start);
        }
    }
    // A kernel without these members cannot walk a descriptor; the reads that want it then fail one by one.
    let fd_walk = layout::find_fd_walk(offer.btf);
    Ok(Plan {
        setup: Setup {
            attaches: attachments.attaches,
            uses: attachments.uses,
            fd_walk,
            layout,
            kprobes: layout::find_kprobe_table(offer),
            ring_bytes: 8 << 20,
        },
        experiments,
        markers,
        workloads,
    })
}
