//! Notes of a capture that its evidence does not hold.

use qed_evidence::document::MachineKind;
use qed_evidence::investigation::Investigation;
use qed_evidence::observation::format_one_line;

use super::command_warnings::missing_program_warnings;
use super::plan_notes::few_argument_notes;
use super::progress::print_note;
use crate::session::raw::RawCapture;

/// Print notes about what evidence does not say: system calls that are made with fewer arguments than the kernel takes, and programs
/// that commands did not find.
pub fn print_unwritten_notes(
    machine: &str,
    kind: MachineKind,
    investigation: &Investigation,
    raw: &RawCapture,
) {
    let few = raw.plan.iter().flat_map(|experiment| &experiment.few);
    let few = few_argument_notes(investigation, few);
    let missing = missing_program_warnings(investigation, kind, &raw.commands);
    for note in few.iter().map(format_one_line).chain(missing) {
        print_note(&format!("{machine}: {note}"));
    }
}
