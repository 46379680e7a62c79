//! Look-ups by address in the captured kernel, as the assembly of evidence needs them.

use std::collections::{BTreeMap, BTreeSet};

use qed_evidence::instances::Instances;
use qed_evidence::names::Symbol;
use qed_evidence::value::Location;

use crate::reason::Reason;
use crate::symbols::disasm::CallTarget;

/// Names and places in the source for addresses of the captured kernel.
pub trait Names {
    /// The symbol that holds a live address, and the distance from its start.
    fn symbol(&self, address: u64) -> Option<(String, u64)>;
    /// The whole symbol that holds a live address.
    fn extent(&self, address: u64) -> Option<Symbol>;
    /// The source line of the call that returns to a live address, or why it is not known.
    fn call_site(&self, return_address: u64) -> Result<Location, Reason>;
    /// True if an interrupt or an exception enters the kernel in the code at a live address. `None`: where that code
    /// is, is not known.
    fn is_interrupt_entry(&self, address: u64) -> Option<bool>;
    /// The definition of the function at a live address, or why it is not known.
    fn definition(&self, address: u64) -> Result<Location, Reason>;
    /// The target of the call before a live return address, or why it is not known.
    fn call_target(&self, return_address: u64) -> Result<CallTarget, Reason>;
    /// The copies of each of these functions.
    fn instances(&self, functions: &[&str]) -> BTreeMap<String, Instances>;
    /// Facts about a function whose frame may be missing from a stack.
    fn frame_elision(&self, function: &str) -> FrameElision;
    /// An error with the reason why there is no function of this name, if that is certain.
    fn check_exists(&self, function: &str) -> Result<(), Reason>;
    /// The reason why there may be no function of this name, if it is not certain that there is none.
    fn existence_doubt(&self, function: &str) -> Option<Reason>;
}

/// Facts about a function that was running although its frame may be missing from a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameElision {
    /// Live addresses of the functions into which it is inlined; `None`: not known.
    pub holders: Option<BTreeSet<u64>>,
    /// True if one of its copies can end in a jump to another function; `None`: not known.
    pub leaves_by_jump: Option<bool>,
    /// Live addresses of its copies with code of their own, where frames may have another of their names.
    pub own: BTreeSet<u64>,
}
