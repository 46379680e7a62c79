//! Machine code that a document quotes.

use super::value::{Address, Bytes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The workload's own code around its system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallSite {
    /// The address of the code in the workload's memory.
    pub function: Address,
    /// The address of the instruction that makes the call.
    pub instruction: Address,
    /// Its instructions, in order and without gaps.
    pub code: Vec<Instruction>,
}

impl CallSite {
    /// The instruction that makes the call.
    pub fn call_instruction(&self) -> Option<&Instruction> {
        // Of stand-ins only equality is known.
        let known = !self.instruction.is_pseudonym() && !self.function.is_pseudonym();
        let offset = known.then(|| self.instruction.0.checked_sub(self.function.0))??;
        self.code.iter().find(|one| one.offset == offset)
    }
}

/// One machine instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// Bytes from the start of its function.
    pub offset: u64,
    /// Its encoding.
    pub bytes: Bytes,
    /// In Intel's notation.
    pub text: String,
}
