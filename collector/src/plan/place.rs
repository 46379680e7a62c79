//! The target of a probe, with the kernel's facts about it.

use qed_evidence::document::Target;
use qed_evidence::investigation::{Position, Probe, ProbeAddress};

use super::error::PlaceError;
use super::expr::ReturnMeaning;
use super::planner::Planner;
use crate::btf::{KernelFunction, Parameter};
use crate::probe::AttachTarget;
use crate::reason::Reason;
use crate::symbols::disasm::{Instruction, Located, ReturnAddress, entry_return_address, locate};

/// The kernel's facts about the place of a probe.
pub(super) struct ProbePlace<'a> {
    pub attach: AttachTarget,
    pub address: u64,
    pub parameters: Vec<Parameter<'a>>,
    pub returned: ReturnMeaning,
    /// The reason why the type of a function's result is not known here, if it returns at all.
    pub untyped: Option<Reason>,
    /// The instruction, for a probe inside a function.
    pub instruction: Option<Instruction>,
    /// The place of the function's return address when the probe is hit.
    pub return_address: ReturnAddress,
    /// Copies of the function that the compiler made are watched, which may take and return something else.
    pub has_clones: bool,
    /// Symbols and addresses of further copies of the function.
    pub others: Vec<(String, u64)>,
}

impl<'a> Planner<'_, '_, '_, 'a> {
    /// Find the place of a probe, or say why there is none.
    pub(super) fn find_place(&mut self, probe: &Probe) -> Result<ProbePlace<'a>, PlaceError> {
        match &probe.target {
            Target::Function(name) => self.function_place(probe, name),
            Target::Address(text) => self.static_place(text),
            Target::Tracepoint(name) => self.tracepoint_place(probe, name),
            Target::Lsm(hook) => self.lsm_hook_place(hook),
        }
    }

    fn function_place(&mut self, probe: &Probe, name: &str) -> Result<ProbePlace<'a>, PlaceError> {
        let found = self.offer.btf.functions(name)?;
        let mut copies = self.find_copies(probe, name)?;
        let address = self.function_address(name, &copies, probe.clones, !found.is_empty())?;
        let is_clone = copies.remove(0).0 != name;
        if let Some(reason) = self.offer.no_kprobes {
            return Err(not_offered_error(reason));
        }
        let (instruction, return_address) = self.find_instruction(address, &probe.position)?;
        // Inside of a function the registers hold other things; and a clone can take its arguments in other ones.
        let has_clones = is_clone || !copies.is_empty();
        let (parameters, returned) = match (&instruction, has_clones) {
            (Some(_), _) => (Vec::new(), ReturnMeaning::NotYet),
            (None, true) => (Vec::new(), ReturnMeaning::Unknown),
            (None, false) => common_signature(&found),
        };
        let untyped = (returned == ReturnMeaning::Unknown)
            .then(|| untyped_reason(name, found.len(), has_clones));
        Ok(ProbePlace {
            attach: AttachTarget::Kprobe {
                function: name.to_owned(),
                address,
                offset: instruction.as_ref().map_or(0, |at| at.offset),
                entry: true,
                return_probe: probe.watch_return,
            },
            address,
            parameters,
            returned,
            untyped,
            instruction,
            return_address,
            has_clones,
            others: copies,
        })
    }

    /// The address of the copy that a probe sits on first, or why there is none.
    fn function_address(
        &mut self,
        name: &str,
        copies: &[(String, u64)],
        clones: bool,
        in_btf: bool,
    ) -> Result<u64, PlaceError> {
        match copies {
            [(_, address)] => Ok(*address),
            [(_, address), ..] if clones => Ok(*address),
            // Still say what is more to the point.
            [] if self.offer.no_symbols.is_some() => {
                let reason = self.offer.no_kprobes.or(self.offer.no_symbols);
                Err(not_offered_error(reason.unwrap_or_default()))
            }
            [] if !(self.offer.copies)(name).is_empty() => {
                Err(only_clones_error(name, &(self.offer.copies)(name)))
            }
            [] if !in_btf => {
                let btf = self.offer.btf;
                // Looks at every name of the kernel, so once per name and not once per experiment.
                let near = self
                    .attachments
                    .nearest(name, || btf.nearest(crate::btf::NameKind::Function, name));
                Err(no_such_error("function", name, near))
            }
            [] => Err(PlaceError::Inlined(name.to_owned())),
            many => Err(PlaceError::SeveralFunctions {
                name: name.to_owned(),
                count: many.len(),
            }),
        }
    }

    fn static_place(&self, text: &str) -> Result<ProbePlace<'a>, PlaceError> {
        if let Some(reason) = self.offer.no_kprobes {
            return Err(not_offered_error(reason));
        }
        let (address, what) = self.resolve_address(text)?;
        Ok(ProbePlace {
            attach: AttachTarget::Kprobe {
                function: what,
                address,
                offset: 0,
                entry: true,
                return_probe: false,
            },
            address,
            parameters: Vec::new(),
            returned: ReturnMeaning::NotYet,
            untyped: None,
            instruction: None,
            return_address: ReturnAddress::Frame,
            has_clones: false,
            others: Vec::new(),
        })
    }

    fn tracepoint_place(
        &mut self,
        probe: &Probe,
        name: &str,
    ) -> Result<ProbePlace<'a>, PlaceError> {
        let btf = self.offer.btf;
        let Some(tracepoint) = btf.tracepoint(name)? else {
            let names = btf.tracepoint_names()?;
            let near = qed_evidence::diagnostic::nearest(name, names);
            return Err(no_such_error("tracepoint", name, near.map(str::to_owned)));
        };
        Ok(ProbePlace {
            attach: AttachTarget::Tracepoint {
                name: name.to_owned(),
                arguments: tracepoint.parameters.len() as u32,
                // A free may come in an interrupt that finds the program busy: a second copy is then free.
                copies: if probe.frees.is_some() { 2 } else { 1 },
                nth: {
                    let syscall = self.syscall_filter(probe)?;
                    self.assign_nth_attachment(name, syscall)
                },
            },
            address: 0,
            parameters: tracepoint.parameters,
            returned: if name == "sys_exit" {
                ReturnMeaning::SystemCall
            } else {
                ReturnMeaning::NotYet
            },
            untyped: None,
            instruction: None,
            return_address: ReturnAddress::Frame,
            has_clones: false,
            others: Vec::new(),
        })
    }

    fn lsm_hook_place(&self, hook: &str) -> Result<ProbePlace<'a>, PlaceError> {
        let btf = self.offer.btf;
        if let Some(reason) = self.offer.no_lsm {
            return Err(not_offered_error(reason));
        }
        let Some(function) = btf.lsm_hook(hook)? else {
            let names = btf.lsm_hook_names()?;
            let near = qed_evidence::diagnostic::nearest(hook, names);
            return Err(no_such_error("LSM hook", hook, near.map(str::to_owned)));
        };
        Ok(ProbePlace {
            attach: AttachTarget::Lsm {
                hook: hook.to_owned(),
                function: Some(function.id.0),
            },
            address: 0,
            parameters: function.signature.parameters,
            returned: ReturnMeaning::NotYet,
            untyped: None,
            instruction: None,
            return_address: ReturnAddress::Frame,
            has_clones: false,
            others: Vec::new(),
        })
    }

    /// The copies of a function that a probe is to sit on: symbol and address of each, the function itself first.
    fn find_copies(&self, probe: &Probe, name: &str) -> Result<Vec<(String, u64)>, PlaceError> {
        let mut copies = (self.offer.copies)(name);
        if !probe.clones {
            let named = (self.offer.symbols)(name);
            copies = named
                .into_iter()
                .map(|address| (name.to_owned(), address))
                .collect();
        }
        if let Some(file) = &probe.file
            && !copies.is_empty()
        {
            let chosen = (self.offer.chosen)(name, file)?;
            copies.retain(|(_, address)| chosen.contains(address));
            if copies.is_empty() {
                return Err(PlaceError::NotInFile {
                    name: name.to_owned(),
                    file: file.clone(),
                });
            }
        }
        // The function itself is the one that a reader means.
        copies.sort_by_key(|(symbol, address)| (symbol != name, *address));
        Ok(copies)
    }

    /// The address that an investigation names, and what to call it in messages, or why it is not known here.
    fn resolve_address(&self, text: &str) -> Result<(u64, String), PlaceError> {
        let live = |name: &str| match (self.offer.symbols)(name).as_slice() {
            [address] => Ok(*address),
            [] => Err(match self.offer.no_symbols {
                Some(reason) => not_offered_error(reason),
                None => PlaceError::NoSymbol {
                    name: name.to_owned(),
                },
            }),
            many => Err(PlaceError::SeveralSymbols {
                name: name.to_owned(),
                count: many.len(),
            }),
        };
        match text.parse::<ProbeAddress>()? {
            ProbeAddress::Live(name) => Ok((live(&name)?, format!("the live address of {name}"))),
            ProbeAddress::Number(address) => Ok((address.0, address.to_string())),
            ProbeAddress::Static(name) => {
                let slide = (self.offer.slide)()?;
                let address = live(&name)?.checked_sub(slide);
                let address = address.ok_or_else(|| PlaceError::BelowSlide(name.clone()))?;
                Ok((address, format!("the static address of {name}")))
            }
        }
    }

    /// The instruction that the position means; `None` at the entry.
    fn find_instruction(
        &mut self,
        address: u64,
        position: &Position,
    ) -> Result<(Option<Instruction>, ReturnAddress), PlaceError> {
        let arch = self.offer.btf.arch();
        let target = match position {
            Position::Entry => return Ok((None, entry_return_address(arch))),
            Position::BeforeCall(name) | Position::AfterCall(name) => {
                match (self.offer.symbols)(name).as_slice() {
                    [address] => Some(*address),
                    // One that is inlined everywhere has no address, and is no mistake in the name.
                    [] if self.offer.no_symbols.is_none()
                        && self.offer.btf.functions(name)?.is_empty() =>
                    {
                        let btf = self.offer.btf;
                        let near = self
                            .attachments
                            .nearest(name, || btf.nearest(crate::btf::NameKind::Function, name));
                        return Err(no_such_error("function", name, near));
                    }
                    _ => None,
                }
            }
            Position::Offset(_) | Position::Instruction(_) | Position::Body => None,
        };
        Ok(
            match locate(arch, &(self.offer.code)(address)?, position, target)? {
                Some(Located {
                    instruction,
                    return_address,
                }) => (Some(instruction), return_address),
                None => (None, entry_return_address(arch)),
            },
        )
    }
}

fn not_offered_error(reason: &str) -> PlaceError {
    PlaceError::NotOffered(Reason::from(reason))
}

fn no_such_error(kind: &'static str, name: &str, near: Option<String>) -> PlaceError {
    PlaceError::NoSuch {
        kind,
        name: name.to_owned(),
        near,
    }
}

/// Parameters and result of the functions of one name, if they agree: it is not known which of them is at an address, so
/// otherwise neither is stated.
fn common_signature<'a>(functions: &[KernelFunction<'a>]) -> (Vec<Parameter<'a>>, ReturnMeaning) {
    match functions {
        [first, rest @ ..] if rest.iter().all(|f| f.signature == first.signature) => (
            first.signature.parameters.clone(),
            ReturnMeaning::Function(first.signature.result),
        ),
        _ => (Vec::new(), ReturnMeaning::Unknown),
    }
}

/// The reason why the result of a function is not known, if this many prototypes have its name. `has_clones`: copies that the compiler
/// made are watched.
fn untyped_reason(name: &str, prototypes: usize, has_clones: bool) -> Reason {
    let why = match (prototypes, has_clones) {
        (0, _) => format!("this kernel's BTF has no prototype of `{name}`"),
        (_, false) => {
            format!("the {prototypes} functions called `{name}` in this kernel's BTF differ")
        }
        _ => format!(
            "copies of `{name}` that the compiler made are watched, and may return something else"
        ),
    };
    format!("{why}, so the type of its result is not known: read the bare register as `(long)regs->ax`, with `at = \"exit\"`")
        .into()
}

/// The error for a function of which only clones exist.
fn only_clones_error(name: &str, clones: &[(String, u64)]) -> PlaceError {
    let clones = clones.iter().map(|(symbol, _)| format!("`{symbol}`"));
    PlaceError::OnlyClones {
        name: name.to_owned(),
        clones: clones.collect(),
    }
}
