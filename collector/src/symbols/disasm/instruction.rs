//! Instructions, calls and jumps, as each decoder finds them.

/// One machine instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Bytes from the start of the code.
    pub offset: u64,
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// In Intel's syntax for x86-64 and ARM's for arm64; the target of a jump or call has the name that was given for it.
    pub text: String,
    /// The address that it calls, if it names one.
    pub calls: Option<u64>,
}

/// The target of the instruction before a return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTarget {
    /// The code at this address.
    Address(u64),
    /// The target of a pointer: it may be anything.
    Pointer,
}

/// The place of a function's return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnAddress {
    /// On the stack, where the kernel's unwinder finds it.
    Frame,
    /// In the register in which a call leaves it. An unwinder that goes by frames does not see it there.
    LinkRegister,
}

/// The ways out of a function's code without coming back to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jumps {
    /// Addresses outside the function to which it jumps.
    pub to: Vec<u64>,
    /// True if it jumps to where a pointer leads.
    pub through_pointer: bool,
}

impl Jumps {
    /// Sort the targets, each once.
    pub(super) fn sorted(mut self) -> Self {
        self.to.sort_unstable();
        self.to.dedup();
        self
    }
}
