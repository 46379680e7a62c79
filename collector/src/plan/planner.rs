//! The state of planning one experiment, and its attachments.

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Target;
use qed_evidence::investigation::{Action, Experiment, Investigation, Probe};

use super::attachments::Attachments;
use super::error::PlaceError;
use super::target_kernel::TargetKernel;

/// A planner of the probes of one experiment.
pub struct Planner<'p, 'o, 's, 'a> {
    pub investigation: &'p Investigation,
    pub offer: &'o TargetKernel<'s, 'a>,
    pub experiment: &'p Experiment,
    pub number: u32,
    pub attachments: &'p mut Attachments,
    pub problems: &'p mut Vec<Diagnostic>,
    /// Tracepoints to attach to, with the system call that each filters for, in this order.
    pub filters: Vec<(String, Option<u32>)>,
}

impl Planner<'_, '_, '_, '_> {
    /// The number of the system call that a probe of system calls wants; `None`: any (where the workload makes several in
    /// sequence, all of these), or the probe is not one of system calls.
    pub(super) fn syscall_filter(&self, probe: &Probe) -> Result<Option<u32>, PlaceError> {
        let Target::Tracepoint(tracepoint) = &probe.target else {
            return Ok(None);
        };
        if !["sys_enter", "sys_exit"].contains(&tracepoint.as_str()) {
            return Ok(None);
        }
        let workload = &self.experiment.workload;
        let wanted = match (&probe.syscall, &workload.action) {
            (None, _) if workload.call_count() > 1 => return Ok(None),
            (Some(name), _) | (None, Action::Syscall { name, .. }) => name,
            (None, Action::Command(_)) => return Ok(None),
        };
        (self.offer.syscall_number)(wanted)
            .map(Some)
            .ok_or_else(|| PlaceError::NoSystemCall(wanted.clone()))
    }

    /// The number of the attachment to `tracepoint` that has the hits of `syscall` in this experiment: a program filters for
    /// one system call, or sees all.
    pub(super) fn assign_nth_attachment(&mut self, tracepoint: &str, syscall: Option<u32>) -> u32 {
        let wanted = (tracepoint.to_owned(), syscall);
        let before = |filters: &[(String, Option<u32>)]| {
            let same = filters.iter().filter(|(name, _)| name == tracepoint);
            same.count() as u32
        };
        match self.filters.iter().position(|one| *one == wanted) {
            Some(at) => before(&self.filters[..at]),
            None => {
                let nth = before(&self.filters);
                self.filters.push(wanted);
                nth
            }
        }
    }
}
