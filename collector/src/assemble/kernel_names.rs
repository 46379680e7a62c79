//! Names and source lines for live addresses of one captured kernel.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use qed_evidence::instances::Instances;
use qed_evidence::names::Symbol;
use qed_evidence::value::{Address, InlineFrame, LineRole, Location};

use super::instances;
use super::names::{FrameElision, Names};
use crate::arch::Arch;
use crate::reason::Reason;
use crate::symbols::disasm::{CallTarget, LONGEST_INSTRUCTION, call_target};
use crate::symbols::{Kallsyms, lines::LineResolver};

/// Kernel symbols, and source lines if a vmlinux of the same build is available.
pub struct KernelNames<'a> {
    arch: Arch,
    kallsyms: Option<&'a Kallsyms>,
    /// Live minus static.
    slide: Option<u64>,
    lines: Result<RefCell<LineResolver>, Reason>,
    /// The code at which interrupts and exceptions enter, once it was asked for.
    entries: OnceCell<Option<Range<u64>>>,
    /// The bytes in front of return addresses, as they stood in memory.
    code: HashMap<u64, &'a [u8]>,
    frame_elisions: RefCell<HashMap<String, FrameElision>>,
}

/// Prefixes of the names of entries outside those bounds, on x86-64: that of NMIs (the other exceptions with this prefix are inside), and
/// those that newer processors (FRED) use from inside the kernel. <https://elixir.bootlin.com/linux/v6.12/source/arch/x86/entry/entry_64.S#L1138>,
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/x86/entry/entry_64_fred.S#L45>
const BESIDES: &[&str] = &["asm_exc_", "asm_fred_entrypoint_kernel"];

/// The same on arm64, where the bounds hold handlers of interrupts alone: the vectors of exceptions that come from inside the kernel. What
/// follows them on a stack is what they interrupted; what they call has the same prefix and this end.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/kernel/entry.S#L602>
const VECTORS: &[&str] = &["el1h_64_", "el1t_64_"];
const HANDLER: &str = "_handler";

/// True if a function of this name is an entry of interrupts or exceptions that the kernel's bounds do not hold.
fn is_entry_beside(arch: Arch, name: &str) -> bool {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match arch {
        Arch::X86_64 => begins(BESIDES),
        Arch::Aarch64 => begins(VECTORS) && !name.ends_with(HANDLER),
    }
}

impl<'a> KernelNames<'a> {
    /// Names by `kallsyms`, lines by `lines` at static addresses, which are live ones less `slide`.
    pub fn new(
        arch: Arch,
        kallsyms: Option<&'a Kallsyms>,
        slide: Option<u64>,
        lines: Result<LineResolver, Reason>,
    ) -> Self {
        Self {
            arch,
            kallsyms,
            slide,
            lines: lines.map(RefCell::new),
            entries: OnceCell::new(),
            code: HashMap::new(),
            frame_elisions: RefCell::default(),
        }
    }

    /// With the bytes in front of return addresses, as they stood in memory.
    pub fn with_code(mut self, code: &'a [(u64, Vec<u8>)]) -> Self {
        let code = code
            .iter()
            .map(|(address, bytes)| (*address, bytes.as_slice()));
        self.code = code.collect();
        self
    }

    /// Keep what was derived for the next capture of the same build.
    pub fn save(&self) -> std::io::Result<()> {
        match &self.lines {
            Ok(lines) => lines.borrow_mut().save(),
            Err(_) => Ok(()),
        }
    }

    fn static_address(&self, live: u64) -> Result<u64, Reason> {
        let slide = self
            .slide
            .ok_or("the slide is not known, so neither is the static address")?;
        live.checked_sub(slide)
            .ok_or_else(|| "the address is below the kernel image".into())
    }

    fn resolver(&self) -> Result<&RefCell<LineResolver>, Reason> {
        self.lines.as_ref().map_err(Clone::clone)
    }
}

impl Names for KernelNames<'_> {
    fn symbol(&self, address: u64) -> Option<(String, u64)> {
        let resolved = self.kallsyms?.resolve(address).ok()?;
        Some((resolved.name.to_owned(), resolved.offset))
    }

    fn extent(&self, address: u64) -> Option<Symbol> {
        let kallsyms = self.kallsyms?;
        let (name, offset) = self.symbol(address)?;
        let start = address - offset;
        Some(Symbol {
            address: Address(start),
            size: kallsyms.symbol_end(address) - start,
            name,
        })
    }

    fn call_site(&self, return_address: u64) -> Result<Location, Reason> {
        // eBPF programs and trampolines lie elsewhere at each boot: asking for them would open the debug info every time.
        let image = self.kallsyms.map(Kallsyms::image).unwrap_or_default();
        if !image.is_empty() && !image.contains(&return_address) {
            return Err("the debug info has no line for this address".into());
        }
        // The return address is the instruction after the call and may belong to another line; the byte
        // before it belongs to the call.
        let address = self
            .static_address(return_address)?
            .checked_sub(1)
            .ok_or("the address is 0")?;
        let frames = self
            .resolver()?
            .borrow_mut()
            .frames(address)
            .map_err(|error| error.to_string())?;
        let (first, rest) = frames
            .split_first()
            .ok_or("the debug info has no line for this address")?;
        Ok(Location {
            file: first.file.clone(),
            line: first.line,
            function: first.function.clone(),
            role: LineRole::Call,
            inlined_into: rest
                .iter()
                .map(|frame| InlineFrame {
                    function: frame.function.clone(),
                    file: frame.file.clone(),
                    line: frame.line,
                })
                .collect(),
        })
    }

    fn is_interrupt_entry(&self, address: u64) -> Option<bool> {
        // The kernel's own bounds of what its stacks must not be taken apart across: the entries of all interrupts and
        // exceptions, and no system calls.
        // https://elixir.bootlin.com/linux/v6.12/source/arch/x86/entry/entry_64.S#L430
        let bound = |name| match self.kallsyms?.lookup(name).as_slice() {
            [address] => Some(*address),
            _ => None,
        };
        let bounds = self
            .entries
            .get_or_init(|| Some(bound("__irqentry_text_start")?..bound("__irqentry_text_end")?));
        let bounds = bounds.as_ref()?;
        // On arm64 more functions follow before what was interrupted, the vector last.
        if self.arch == Arch::X86_64 && bounds.contains(&address) {
            return Some(true);
        }
        let beside = |(name, _): (String, u64)| is_entry_beside(self.arch, &name);
        Some(self.symbol(address).is_some_and(beside))
    }

    fn definition(&self, address: u64) -> Result<Location, Reason> {
        let fixed = self.static_address(address)?;
        let found = self
            .resolver()?
            .borrow_mut()
            .definition_at(fixed)
            .map_err(|error| error.to_string())?
            .ok_or("the debug info does not say where this function is defined")?;
        Ok(Location {
            file: found.file,
            line: found.line,
            function: found.function,
            role: LineRole::Definition,
            inlined_into: Vec::new(),
        })
    }

    fn call_target(&self, return_address: u64) -> Result<CallTarget, Reason> {
        let live = self.code.get(&return_address);
        if let Some(found) = live.and_then(|before| call_target(self.arch, before, return_address))
        {
            return Ok(found);
        }
        // What stood in memory can be a probe.
        let start = self
            .static_address(return_address)?
            .checked_sub(LONGEST_INSTRUCTION as u64)
            .ok_or("the address is below the kernel image")?;
        let lines = self.resolver()?.borrow();
        let before = lines
            .code(start, LONGEST_INSTRUCTION)
            .filter(|before| before.len() == LONGEST_INSTRUCTION)
            .ok_or("the code before the return address is not known")?;
        match call_target(self.arch, before, start + LONGEST_INSTRUCTION as u64) {
            Some(CallTarget::Address(target)) => Ok(CallTarget::Address(
                target.wrapping_add(self.slide.unwrap_or(0)),
            )),
            Some(CallTarget::Pointer) => Ok(CallTarget::Pointer),
            None => Err("no call stands before the return address".into()),
        }
    }

    fn instances(&self, functions: &[&str]) -> BTreeMap<String, Instances> {
        let tables = self.symbol_tables();
        tables.instances(functions)
    }

    fn frame_elision(&self, function: &str) -> FrameElision {
        if let Some(known) = self.frame_elisions.borrow().get(function) {
            return known.clone();
        }
        let frame_elision = self.symbol_tables().frame_elision(function);
        self.frame_elisions
            .borrow_mut()
            .insert(function.to_owned(), frame_elision.clone());
        frame_elision
    }

    fn check_exists(&self, function: &str) -> Result<(), Reason> {
        self.symbol_tables().check_exists(function)
    }

    fn existence_doubt(&self, function: &str) -> Option<Reason> {
        self.symbol_tables().existence_doubt(function)
    }
}

impl KernelNames<'_> {
    fn symbol_tables(&self) -> instances::SymbolTables<'_> {
        instances::SymbolTables {
            arch: self.arch,
            kallsyms: self.kallsyms,
            slide: self.slide,
            lines: self.resolver(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that on arm64 the vectors of exceptions from inside the kernel are entries, and neither their handlers nor the way of a system
    /// call from user space; and that names of one architecture mean nothing on the other.
    #[test]
    fn entries() {
        let arm = |name| is_entry_beside(Arch::Aarch64, name);
        assert!(arm("el1h_64_irq") && arm("el1h_64_sync") && arm("el1t_64_error"));
        assert!(!arm("el1h_64_irq_handler") && !arm("el0t_64_sync") && !arm("el0_svc"));
        assert!(!arm("asm_exc_nmi") && is_entry_beside(Arch::X86_64, "asm_exc_nmi"));
        assert!(!is_entry_beside(Arch::X86_64, "el1h_64_irq"));
    }
}
