//! The kernel to plan for, as data: its types, symbols and other facts.

use crate::btf::Btf;
use crate::reason::Reason;
use crate::symbols::disasm::Instruction;

/// A look-up of the live addresses of the copies of a function that one source file defines.
pub type CopiesInFile<'s> = dyn Fn(&str, &str) -> Result<Vec<u64>, Reason> + 's;

/// The groups of events that have a tracepoint, each with its format.
pub type TracepointFormats = Vec<(String, String)>;

/// A look-up of the formats of a tracepoint, by its name.
pub type FormatsOf<'s> = dyn Fn(&str) -> Result<TracepointFormats, Reason> + 's;

/// Everything that planning needs of a kernel, as data.
#[derive(Clone, Copy)]
pub struct TargetKernel<'s, 'a> {
    /// Its types.
    pub btf: &'s Btf<'a>,
    /// Live addresses of a symbol; several for static functions of one name.
    pub symbols: &'s dyn Fn(&str) -> Vec<u64>,
    /// The value of a per-CPU symbol, to which the offset of a CPU is added: an offset itself, or an address.
    pub per_cpu: &'s dyn Fn(&str) -> Option<u64>,
    /// Number of CPUs that the machine can have, which are numbered from 0; `None` if it is not known.
    pub cpus: Option<u32>,
    /// Symbol and live address of each copy of a function: itself, namesakes, and the clones that the compiler made.
    pub copies: &'s dyn Fn(&str) -> Vec<(String, u64)>,
    /// Live addresses of the copies of a function that one source file defines, or the reason why they are not known.
    pub chosen: &'s CopiesInFile<'s>,
    /// The reason why no symbol has an address here, if so.
    pub no_symbols: Option<&'s str>,
    /// Readable memory to which no valid pointer leads: the first address, and the one after the last.
    pub unmapped: Option<(u64, u64)>,
    /// The reason why kprobes are not possible here, if so.
    pub no_kprobes: Option<&'s str>,
    /// The reason why LSM programs are not possible here, if so.
    pub no_lsm: Option<&'s str>,
    /// The instructions of the function at an address, or the reason why they are not available.
    pub code: &'s dyn Fn(u64) -> Result<Vec<Instruction>, Reason>,
    /// The KASLR slide of the running image, in bytes, as the kernel states it, or the reason why it is not known.
    pub slide: &'s dyn Fn() -> Result<u64, Reason>,
    /// The formats of a tracepoint, or the reason why they cannot be read.
    pub formats: &'s FormatsOf<'s>,
    /// The number of a system call.
    pub syscall_number: &'s dyn Fn(&str) -> Option<u32>,
}
