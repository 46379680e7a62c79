//! Names and source lines for live addresses of one captured kernel.

use std::cell::RefCell;

use qed_evidence::names::Symbol;
use qed_evidence::value::{Address, InlineFrame, LineRole, Location};

use super::assemble::Names;
use crate::symbols::{Kallsyms, lines::LineResolver};

/// Kernel symbols, and lines where a vmlinux of the same build is at hand.
pub struct KernelNames<'a> {
    kallsyms: Option<&'a Kallsyms>,
    /// Live minus static.
    slide: Option<u64>,
    lines: Result<RefCell<LineResolver>, String>,
}

impl<'a> KernelNames<'a> {
    /// Names by `kallsyms`, lines by `lines` at static addresses, which are live ones less `slide`.
    pub fn new(
        kallsyms: Option<&'a Kallsyms>,
        slide: Option<u64>,
        lines: Result<LineResolver, String>,
    ) -> Self {
        Self {
            kallsyms,
            slide,
            lines: lines.map(RefCell::new),
        }
    }

    /// Keeps what was derived for the next capture of the same build.
    pub fn save(&self) -> std::io::Result<()> {
        match &self.lines {
            Ok(lines) => lines.borrow_mut().save(),
            Err(_) => Ok(()),
        }
    }

    fn fixed(&self, live: u64) -> Result<u64, String> {
        let slide = self
            .slide
            .ok_or("the slide is not known, so neither is the static address")?;
        live.checked_sub(slide)
            .ok_or_else(|| "the address is below the kernel image".into())
    }

    fn resolver(&self) -> Result<&RefCell<LineResolver>, String> {
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
            size: kallsyms.end_of(address) - start,
            name,
        })
    }

    fn call_site(&self, return_address: u64) -> Result<Location, String> {
        // eBPF programs and trampolines lie elsewhere at each boot: asking for them would open the debug info every time.
        let image = self.kallsyms.map(Kallsyms::image).unwrap_or_default();
        if !image.is_empty() && !image.contains(&return_address) {
            return Err("the debug info has no line for this address".into());
        }
        // The return address is the instruction after the call and may belong to another line; the byte
        // before it belongs to the call.
        let address = self
            .fixed(return_address)?
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

    fn definition(&self, address: u64) -> Result<Location, String> {
        let fixed = self.fixed(address)?;
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
}
