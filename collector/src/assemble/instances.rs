//! The copies of functions in one kernel, from its symbol table and its debug info together.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use qed_evidence::instances::{InlinedCopy, Instances, OwnCopy};
use qed_evidence::value::Address;

use super::names::FrameElision;
use crate::arch::Arch;
use crate::reason::Reason;
use crate::symbols::Kallsyms;
use crate::symbols::disasm::{find_jumps, only_returns};
use crate::symbols::kallsyms::copies::is_cold;
use crate::symbols::lines::{Copies, LineResolver, OwnCopy as Own};

/// Tail calls are searched for only if a function is inlined into at most this many others.
const MAX_HOLDERS: usize = 64;
/// Bytes of code that are examined to see whether a function only returns.
const RETURN_BYTES: usize = 16;

/// The tables to look in.
pub struct SymbolTables<'a> {
    /// The architecture of the kernel.
    pub arch: Arch,
    /// The symbols, at live addresses.
    pub kallsyms: Option<&'a Kallsyms>,
    /// Live minus static.
    pub slide: Option<u64>,
    /// The debug info, or why there is none.
    pub lines: Result<&'a RefCell<LineResolver>, Reason>,
}

/// The name of a function in the source, to which a clone's symbol adds a suffix.
fn source_name(symbol: &str) -> &str {
    symbol.split('.').next().unwrap_or(symbol)
}

/// Addresses at which the functions begin that hold inlined copies; `None` if one is not known.
fn holder_addresses(inlined: &[InlinedCopy]) -> Option<BTreeSet<u64>> {
    let addresses = inlined.iter().map(|copy| copy.address);
    addresses.map(|address| Some(address?.0)).collect()
}

impl SymbolTables<'_> {
    /// The copies of each of these functions.
    pub fn instances(&self, functions: &[&str]) -> BTreeMap<String, Instances> {
        let mut described = self.described_copies(functions);
        if let Ok(known) = &mut described {
            self.add_alias_copies(functions, known);
        }
        let one = |function: &&str| {
            let described = described
                .as_ref()
                .map_err(Clone::clone)
                .map(|all| all.get(source_name(function)).cloned().unwrap_or_default());
            (
                (*function).to_owned(),
                self.function_instances(function, described),
            )
        };
        functions.iter().map(one).collect()
    }

    fn described_copies(&self, functions: &[&str]) -> Result<BTreeMap<String, Copies>, Reason> {
        self.slide
            .ok_or("the slide is not known, so neither are static addresses")?;
        let lines = self.lines.as_ref().map_err(Clone::clone)?;
        let functions: Vec<&str> = functions.iter().map(|name| source_name(name)).collect();
        lines
            .borrow_mut()
            .find_copies(&functions)
            .map_err(Reason::from_error)
    }

    /// Add the debug info that describes a function under another name of its address: system calls without arguments are
    /// aliases of the function that the source defines.
    fn add_alias_copies(&self, functions: &[&str], known: &mut BTreeMap<String, Copies>) {
        let undescribed = functions.iter().filter(|function| {
            !function.contains('.') && known.get(**function).is_none_or(|copies| !copies.described)
        });
        let aliases: Vec<(&str, OwnCopy)> = undescribed
            .flat_map(|function| {
                let own = self.find_own_copies(function, &[]).into_iter();
                own.map(|copy| (*function, copy))
            })
            .collect();
        let names: Vec<&str> = aliases
            .iter()
            .flat_map(|(_, copy)| copy.aliases.iter().map(String::as_str))
            .collect();
        if names.is_empty() {
            return;
        }
        let (Ok(found), Some(slide)) = (self.described_copies(&names), self.slide) else {
            return;
        };
        for (function, copy) in &aliases {
            let fixed = copy.address.0.wrapping_sub(slide);
            for alias in &copy.aliases {
                let Some(under) = found.get(source_name(alias)).filter(|copies| {
                    copies.described && copies.own.iter().any(|own| own.starts.contains(&fixed))
                }) else {
                    continue;
                };
                let entry = known.entry((*function).to_owned()).or_default();
                entry.described = true;
                entry.incomplete |= under.incomplete;
                entry.own.extend(under.own.iter().cloned());
                entry.inlined.extend(under.inlined.iter().cloned());
            }
        }
    }

    fn function_instances(&self, function: &str, described: Result<Copies, Reason>) -> Instances {
        let own = described
            .as_ref()
            .map_or(&[][..], |described| &described.own);
        let mut copies = self.find_own_copies(function, own);
        if !function.contains('.') {
            self.add_renamed_copies(own, &mut copies);
        }
        let never_returns = self.never_returns(&copies, own);
        let inlined =
            described.and_then(|described| self.find_inlined_copies(function, &described));
        let (inlined, unknown) = match inlined {
            Ok(inlined) => (Some(inlined), None),
            Err(reason) => (None, Some(reason.into())),
        };
        let holders = inlined.as_deref().and_then(holder_addresses);
        Instances {
            leaves_by_jump: holders.and_then(|holders| self.any_leaves_by_jump(&copies, &holders)),
            count: (copies.len() + inlined.as_ref().map_or(0, Vec::len)) as u64,
            copies,
            inlined,
            never_returns,
            unknown,
        }
    }

    /// True if according to the debug info none of `copies` returns; `None` if it does not describe all of them.
    fn never_returns(&self, copies: &[OwnCopy], described: &[Own]) -> Option<bool> {
        let slide = self.slide?;
        let of = |copy: &OwnCopy| {
            let fixed = copy.address.0.wrapping_sub(slide);
            let own = described.iter().find(|own| own.starts.contains(&fixed));
            own.map(|own| own.never_returns)
        };
        let all: Vec<bool> = copies.iter().map(of).collect::<Option<_>>()?;
        (!all.is_empty()).then(|| all.iter().all(|never| *never))
    }

    /// The copies that the symbol table names.
    fn find_own_copies(&self, function: &str, described: &[Own]) -> Vec<OwnCopy> {
        let Some(kallsyms) = self.kallsyms else {
            return Vec::new();
        };
        let found = kallsyms.copies_of(function).into_iter();
        let retained = found.filter(|symbol| !kallsyms.is_discarded(symbol.address));
        retained
            .map(|symbol| self.own_copy(symbol.address, symbol.name, described))
            .collect()
    }

    fn own_copy(&self, address: u64, symbol: &str, described: &[Own]) -> OwnCopy {
        let fixed = self.slide.map(|slide| address.wrapping_sub(slide));
        let described = described
            .iter()
            .find(|own| own.starts.iter().any(|start| Some(*start) == fixed));
        let resolved = self.kallsyms.and_then(|table| table.resolve(address).ok());
        let names = resolved
            .iter()
            .flat_map(|r| [r.name].into_iter().chain(r.aliases.iter().copied()));
        OwnCopy {
            symbol: symbol.to_owned(),
            address: Address(address),
            file: described.and_then(|own| own.file.clone()),
            aliases: names
                .filter(|name| *name != symbol)
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Add copies that have code and no symbol of the function's name, as where two functions that are alike were
    /// merged.
    fn add_renamed_copies(&self, described: &[Own], copies: &mut Vec<OwnCopy>) {
        for own in described {
            let Some((address, symbol)) = self.entry(&own.starts) else {
                continue;
            };
            if copies.iter().all(|copy| copy.address.0 != address) && !self.is_discarded(address) {
                copies.push(self.own_copy(address, &symbol, described));
            }
        }
        copies.sort_by_key(|copy| copy.address);
    }

    /// The entry among the static addresses at which a function's parts begin: its live address, and its symbol.
    fn entry(&self, starts: &[u64]) -> Option<(u64, String)> {
        let kallsyms = self.kallsyms?;
        let slide = self.slide?;
        starts.iter().find_map(|start| {
            let live = start.wrapping_add(slide);
            let symbol = kallsyms.resolve(live).ok()?;
            (symbol.offset == 0 && !is_cold(symbol.name)).then(|| (live, symbol.name.to_owned()))
        })
    }

    fn is_discarded(&self, address: u64) -> bool {
        self.kallsyms
            .is_some_and(|table| table.is_discarded(address))
    }

    /// The inlined copies, or why not all of them are known.
    fn find_inlined_copies(
        &self,
        function: &str,
        described: &Copies,
    ) -> Result<Vec<InlinedCopy>, Reason> {
        if function.contains('.') {
            // What is inlined is the function, and never a clone that the compiler made of it.
            return Ok(Vec::new());
        }
        let own = self.kallsyms.map(|table| table.copies_of(function));
        if let Some(module) = own.iter().flatten().find_map(|symbol| symbol.module) {
            let reason = format!("it stands in the module {module}, whose debug info was not read");
            return Err(reason.into());
        }
        if !described.described {
            return Err("the debug info describes no function of this name".into());
        }
        if described.incomplete {
            return Err("more files can hold copies of it than are looked through".into());
        }
        let of_header =
            |file: &Option<String>| file.as_ref().is_some_and(|file| file.ends_with(".h"));
        let files = described.own.iter().map(|copy| &copy.file);
        let mut files = files.chain(described.inlined.iter().map(|copy| &copy.file));
        let modules = self.kallsyms.is_some_and(Kallsyms::has_modules);
        if modules && files.any(of_header) {
            return Err(
                "it is defined in a header, and modules are loaded, whose debug info was not read"
                    .into(),
            );
        }
        let mut inlined: Vec<InlinedCopy> = Vec::new();
        for copy in &described.inlined {
            if copy.starts.is_empty() {
                continue; // The linker dropped the code that held it.
            }
            let entry = self.entry(&copy.starts);
            if entry
                .as_ref()
                .is_some_and(|(live, _)| self.is_discarded(*live))
            {
                continue;
            }
            let holder = entry.as_ref().map_or(&copy.holder, |(_, symbol)| symbol);
            let address = entry.as_ref().map(|(live, _)| Address(*live));
            let known = inlined.iter().any(|other| {
                (&other.holder, other.address, &other.file) == (holder, address, &copy.file)
            });
            if !known {
                inlined.push(InlinedCopy {
                    holder: holder.clone(),
                    address,
                    file: copy.file.clone(),
                    site: copy.site.clone(),
                });
            }
        }
        Ok(inlined)
    }

    /// Facts about a function whose frame may be missing from a stack.
    pub fn frame_elision(&self, function: &str) -> FrameElision {
        let instances = self.instances(&[function]).remove(function);
        let Some(instances) = instances else {
            return FrameElision::default();
        };
        FrameElision {
            holders: instances.inlined.as_deref().and_then(holder_addresses),
            leaves_by_jump: instances.leaves_by_jump,
            own: instances.copies.iter().map(|copy| copy.address.0).collect(),
        }
    }

    /// True if one of a function's copies, or of the functions that hold one, can end in a jump to another function.
    fn any_leaves_by_jump(&self, copies: &[OwnCopy], holders: &BTreeSet<u64>) -> Option<bool> {
        if holders.len() > MAX_HOLDERS {
            return None;
        }
        let own = copies.iter().map(|copy| copy.address.0);
        let mut leaves = false;
        for start in own.chain(holders.iter().copied()) {
            leaves |= self.leaves_by_jump(start)?;
        }
        Some(leaves)
    }

    /// True if the code of the function at a live address can end in a jump to another function, which then returns in
    /// its place. `None`: its code is not known.
    pub fn leaves_by_jump(&self, start: u64) -> Option<bool> {
        let kallsyms = self.kallsyms?;
        let slide = self.slide?;
        let name = kallsyms.resolve(start).ok()?.name;
        let cold = kallsyms.cold_parts_of(name);
        let parts: Vec<Range<u64>> = [start]
            .into_iter()
            .chain(cold)
            .map(|part| part..kallsyms.symbol_end(part))
            .collect();
        let lines = self.lines.as_ref().ok()?.borrow();
        let code = |live: u64, size: usize| lines.code(live.checked_sub(slide)?, size);
        let mut leaves = false;
        for part in &parts {
            let size = usize::try_from(part.end - part.start).ok()?;
            let bytes = code(part.start, size).filter(|bytes| bytes.len() == size)?;
            let jumps = find_jumps(self.arch, bytes, part.start);
            leaves |= jumps.through_pointer;
            for target in jumps.to {
                let within = parts.iter().any(|part| part.contains(&target));
                let returns =
                    || code(target, RETURN_BYTES).is_some_and(|code| only_returns(self.arch, code));
                leaves |= !within && !returns();
            }
        }
        Some(leaves)
    }

    /// An error with the reason why there is no function of this name, if that is certain.
    pub fn check_exists(&self, function: &str) -> Result<(), Reason> {
        let Some(kallsyms) = self.kallsyms else {
            return Ok(());
        };
        if !kallsyms.copies_of(function).is_empty() {
            return Ok(());
        }
        let described = match self.described_copies(&[function]) {
            Ok(mut all) => all.remove(source_name(function)).unwrap_or_default(),
            // It may be inlined everywhere.
            Err(_) => return Ok(()),
        };
        let anything = !described.own.is_empty() || !described.inlined.is_empty();
        if described.described || described.incomplete || anything {
            return Ok(());
        }
        Err(format!(
            "{} function `{function}`, neither as a symbol nor inlined{}",
            crate::plan::NO_SUCH,
            nearest_function(kallsyms, function)
        )
        .into())
    }

    /// The reason why there may be no function of this name; `None` if there is one, or [`Self::check_exists`] knows that there is
    /// none.
    pub fn existence_doubt(&self, function: &str) -> Option<Reason> {
        let kallsyms = self.kallsyms?;
        if !kallsyms.copies_of(function).is_empty() {
            return None;
        }
        let reason = self.described_copies(&[function]).err()?;
        let doubt = format!(
            "no symbol of this kernel is called `{function}`, and it is not known whether it is inlined: {reason}{}",
            nearest_function(kallsyms, function)
        );
        Some(doubt.into())
    }
}

/// The function whose name is most like this one, as the end of a reason.
fn nearest_function(kallsyms: &Kallsyms, function: &str) -> String {
    let names = kallsyms.symbols().filter(|symbol| kallsyms.is_code(symbol));
    let near = qed_evidence::diagnostic::nearest(function, names.map(|symbol| symbol.name));
    near.map_or_else(String::new, |near| {
        format!("; the nearest name is `{near}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a function without a symbol is in doubt where no debug information says whether it is inlined, with the nearest
    /// name, and that one with a symbol is not.
    #[test]
    fn existence_in_doubt() {
        let text = "ffffffff81000000 T _text\nffffffff81000010 T do_open\nffffffff81000100 T getname\n\
                    ffffffff82000000 T _etext\n";
        let kallsyms = Kallsyms::parse(text.into(), None).unwrap();
        let tables = SymbolTables {
            arch: Arch::X86_64,
            kallsyms: Some(&kallsyms),
            slide: Some(0),
            lines: Err("no debug information was wanted (--debuginfo none)".into()),
        };
        assert!(tables.check_exists("do_openn").is_ok());
        assert_eq!(
            tables.existence_doubt("do_openn").unwrap().to_string(),
            "no symbol of this kernel is called `do_openn`, and it is not known whether it is inlined: no debug information was \
             wanted (--debuginfo none); the nearest name is `do_open`"
        );
        assert!(tables.existence_doubt("do_open").is_none());
    }
}
