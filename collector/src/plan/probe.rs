//! Planning one probe.

use qed_collector_ebpf::{MAX_ARGS, MAX_READ_BYTES, MAX_READS, OBJECT_IS_RETURN, act, side};
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Target;
use qed_evidence::investigation::{
    Action, Experiment, Investigation, Place as At, Position, Probe, Read,
};

use super::attachments::Attachments;
use super::expr::{Compiled, Decode, ErrorClass, Returned, Scope, Wanted, compile, compile_wanted};
use super::offer::Offer;
use super::paths::not_a_path;
use super::types::{
    PlannedElements, PlannedInstruction, PlannedParameter, PlannedProbe, PlannedRead,
    PlannedReturn, Refused, Source,
};
use crate::btf::{Parameter, Passing, TypeId};
use crate::probe::Attach;
use crate::symbols::disasm::{Instruction, locate};

/// How the reason begins where the kernel has nothing of a name.
pub const NO_SUCH: &str = "this kernel has no";

/// Plans the probes of one experiment.
pub struct Planner<'p, 'o, 's, 'a> {
    pub investigation: &'p Investigation,
    pub offer: &'o Offer<'s, 'a>,
    pub experiment: &'p Experiment,
    pub number: u32,
    pub attachments: &'p mut Attachments,
    pub problems: &'p mut Vec<Diagnostic>,
    /// Tracepoints that are attached to, with the system call that is looked for there, in this order.
    pub filters: Vec<(String, Option<u32>)>,
}

/// Compiles the path that says how many elements there are.
fn number_of_elements(path: &str, scope: &Scope<'_, '_>) -> Result<Compiled, String> {
    let wrong = |why: String| format!("`{path}` does not say how many elements there are: {why}");
    let compiled = compile(path, scope).map_err(|error| wrong(error.to_string()))?;
    match compiled.decode {
        Decode::Int { .. } => Ok(compiled),
        other => Err(wrong(format!(
            "it is no integer but `{}`",
            other.type_name()
        ))),
    }
}

/// What the kernel says about the place of a probe.
struct Place<'a> {
    attach: Attach,
    address: u64,
    parameters: Vec<Parameter<'a>>,
    returned: Returned,
    /// Of a probe inside of a function.
    instruction: Option<Instruction>,
    /// Symbols and addresses of further copies of the function.
    others: Vec<(String, u64)>,
}

impl<'a> Planner<'_, '_, '_, 'a> {
    /// Watches the workload's own system call going in and coming out, so that what the process does before
    /// and after it can be told apart. Only where the workload is one system call.
    pub fn markers(&mut self) -> Option<(usize, usize)> {
        let Action::Syscall { name, .. } = &self.experiment.workload.action else {
            return None;
        };
        let number = (self.offer.syscall_number)(name)?;
        let [enter, exit] = ["sys_enter", "sys_exit"].map(|tracepoint| {
            let attach = Attach::Tracepoint {
                name: tracepoint.into(),
                arguments: 2,
                copies: 1,
                nth: self.nth(tracepoint, Some(number)),
            };
            let usage = self.usage(attach);
            let spec = &mut self.attachments.uses[usage].spec;
            spec.acts |= act::SYSCALL;
            spec.syscall = number;
            usage
        });
        Some((enter, exit))
    }

    /// Plans one probe; what cannot be is planned as unavailable.
    pub fn probe(&mut self, probe: &Probe) -> PlannedProbe {
        let mut planned = PlannedProbe {
            name: probe.name.clone(),
            target: probe.target.clone(),
            offset: 0,
            instruction: None,
            optional: probe.optional,
            source: Err(String::new()),
            others: Vec::new(),
            file: probe.file.clone(),
            parameters: Vec::new(),
            returns: None,
            entry: Vec::new(),
            exit: Vec::new(),
            refused: Refused::default(),
            within: probe.within.clone(),
            acts: probe.signal.is_some() || probe.deny.is_some(),
            allocates: probe.allocates.is_some(),
            frees: probe.frees.is_some(),
            stack: probe.stack,
        };
        let place = match self.place(probe) {
            Ok(place) => place,
            Err(reason) => {
                self.syntax_only(probe);
                planned.source = Err(reason);
                return planned;
            }
        };
        planned.parameters = self.parameters(&place, probe);
        if let Some(instruction) = &place.instruction {
            planned.offset = instruction.offset;
            planned.instruction = Some(PlannedInstruction {
                bytes: instruction.bytes.clone(),
                text: instruction.text.clone(),
            });
        }
        let attach_index_owner = self.experiment.isolated.then_some(self.number);
        let attach = self
            .attachments
            .attach(place.attach.clone(), attach_index_owner);
        let usage = self.attachments.usage(self.number, attach);
        if let Err(reason) = self.acts(probe, &place, usage) {
            planned.source = Err(reason);
            return planned;
        }
        planned.returns = self.returns(probe, &place);
        let is_function = matches!(probe.target, Target::Function(_));
        for (reads, exit) in [(&probe.entry, false), (&probe.exit, true)] {
            for read in reads {
                // A tracepoint has one side; there `at` only says under which name the value goes.
                match self.read(read, &place, usage, exit, exit && is_function) {
                    Ok(read) if exit => planned.exit.push(read),
                    Ok(read) => planned.entry.push(read),
                    Err(Some(reason)) => {
                        let side = if exit {
                            &mut planned.refused.exit
                        } else {
                            &mut planned.refused.entry
                        };
                        side.insert(read.name.clone(), reason);
                    }
                    Err(None) => {}
                }
            }
        }
        planned.source = Ok(Source {
            attach,
            usage,
            address: place.address,
        });
        planned.others = place
            .others
            .iter()
            .map(|(symbol, address)| {
                let attach = Attach::Kprobe {
                    function: symbol.clone(),
                    address: *address,
                    offset: 0,
                    entry: true,
                    return_probe: probe.watch_return,
                };
                let attach = self.attachments.attach(attach, attach_index_owner);
                let usage = self.attachments.usage(self.number, attach);
                Source {
                    attach,
                    usage,
                    address: *address,
                }
            })
            .collect();
        planned
    }

    /// The number of the system call that a probe of system calls wants; `None`: any, or it is no such probe.
    fn syscall(&self, probe: &Probe) -> Result<Option<u32>, String> {
        let Target::Tracepoint(tracepoint) = &probe.target else {
            return Ok(None);
        };
        if !["sys_enter", "sys_exit"].contains(&tracepoint.as_str()) {
            return Ok(None);
        }
        let wanted = match (&probe.syscall, &self.experiment.workload.action) {
            (Some(name), _) | (None, Action::Syscall { name, .. }) => name,
            (None, Action::Command(_)) => return Ok(None),
        };
        (self.offer.syscall_number)(wanted)
            .map(Some)
            .ok_or_else(|| format!("there is no system call `{wanted}`"))
    }

    /// Which of the attachments to `tracepoint` has the hits of `syscall` in this experiment: a program looks for one system
    /// call, or for all.
    fn nth(&mut self, tracepoint: &str, syscall: Option<u32>) -> u32 {
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

    fn usage(&mut self, attach: Attach) -> usize {
        let owner = self.experiment.isolated.then_some(self.number);
        let attach = self.attachments.attach(attach, owner);
        self.attachments.usage(self.number, attach)
    }

    /// Where the probe goes, or why it cannot.
    fn place(&mut self, probe: &Probe) -> Result<Place<'a>, String> {
        let btf = self.offer.btf;
        let damaged = |error: crate::btf::BtfError| format!("the kernel's BTF is damaged: {error}");
        match &probe.target {
            Target::Function(name) => {
                let found = btf.functions(name).map_err(damaged)?;
                let mut copies = self.copies(probe, name)?;
                let address = match copies.as_slice() {
                    [(_, address)] => *address,
                    [(_, address), ..] if probe.clones => *address,
                    [] if self.offer.no_symbols.is_some() => {
                        // Still say what is more to the point.
                        if let Some(reason) = self.offer.no_kprobes {
                            return Err(reason.into());
                        }
                        return Err(self.offer.no_symbols.unwrap_or_default().into());
                    }
                    [] if !(self.offer.copies)(name).is_empty() => {
                        return Err(only_clones(name, &(self.offer.copies)(name)));
                    }
                    [] if found.is_empty() => {
                        // Looks at every name of the kernel, so once per name and not once per experiment.
                        let near = self
                            .attachments
                            .nearest(name, || btf.nearest(crate::btf::Wanted::Function, name));
                        let near = near.map(|n| format!("; the nearest name is `{n}`"));
                        return Err(format!(
                            "{NO_SUCH} function `{name}`{}",
                            near.unwrap_or_default()
                        ));
                    }
                    [] => {
                        return Err(format!(
                            "`{name}` has no address of its own in this kernel: the compiler inlined it everywhere or changed its name"
                        ));
                    }
                    many => {
                        return Err(format!(
                            "{} functions of this kernel are called `{name}`: say which with `file`, or `clones = true` for all",
                            many.len()
                        ));
                    }
                };
                copies.remove(0);
                if let Some(reason) = self.offer.no_kprobes {
                    return Err(reason.into());
                }
                let instruction = self.instruction(address, &probe.position)?;
                let (parameters, returned) = match found.as_slice() {
                    // The registers hold other things by then; and a clone can take its arguments in other ones.
                    _ if instruction.is_some() || !copies.is_empty() => {
                        (Vec::new(), Returned::NotYet)
                    }
                    [] => (Vec::new(), Returned::NotYet),
                    [one] => (
                        one.signature.parameters.clone(),
                        Returned::Function(one.signature.result),
                    ),
                    [first, rest @ ..] if rest.iter().all(|f| f.signature == first.signature) => (
                        first.signature.parameters.clone(),
                        Returned::Function(first.signature.result),
                    ),
                    // Which of them is at this address cannot be told: watch it, and claim nothing of its parameters.
                    _ => (Vec::new(), Returned::NotYet),
                };
                Ok(Place {
                    attach: Attach::Kprobe {
                        function: name.clone(),
                        address,
                        offset: instruction.as_ref().map_or(0, |at| at.offset),
                        entry: true,
                        return_probe: probe.watch_return,
                    },
                    address,
                    parameters,
                    returned,
                    instruction,
                    others: copies,
                })
            }
            Target::Address(text) => {
                if let Some(reason) = self.offer.no_kprobes {
                    return Err(reason.into());
                }
                let (address, what) = self.address(text)?;
                Ok(Place {
                    attach: Attach::Kprobe {
                        function: what,
                        address,
                        offset: 0,
                        entry: true,
                        return_probe: false,
                    },
                    address,
                    parameters: Vec::new(),
                    returned: Returned::NotYet,
                    instruction: None,
                    others: Vec::new(),
                })
            }
            Target::Tracepoint(name) => {
                let Some(tracepoint) = btf.tracepoint(name).map_err(damaged)? else {
                    let names = btf.tracepoint_names().map_err(damaged)?;
                    let near = qed_evidence::diagnostic::nearest(name, names);
                    let near = near
                        .map(|n| format!("; the nearest name is `{n}`"))
                        .unwrap_or_default();
                    return Err(format!("{NO_SUCH} tracepoint `{name}`{near}"));
                };
                Ok(Place {
                    attach: Attach::Tracepoint {
                        name: name.clone(),
                        arguments: tracepoint.parameters.len() as u32,
                        // A free may come in an interrupt that finds the program busy: a second copy is then free.
                        copies: if probe.frees.is_some() { 2 } else { 1 },
                        nth: {
                            let syscall = self.syscall(probe)?;
                            self.nth(name, syscall)
                        },
                    },
                    address: 0,
                    parameters: tracepoint.parameters,
                    returned: if name == "sys_exit" {
                        Returned::SystemCall
                    } else {
                        Returned::NotYet
                    },
                    instruction: None,
                    others: Vec::new(),
                })
            }
            Target::Lsm(hook) => {
                if let Some(reason) = self.offer.no_lsm {
                    return Err(reason.into());
                }
                let Some(function) = btf.lsm_hook(hook).map_err(damaged)? else {
                    let names = btf.lsm_hook_names().map_err(damaged)?;
                    let near = qed_evidence::diagnostic::nearest(hook, names);
                    let near = near
                        .map(|n| format!("; the nearest name is `{n}`"))
                        .unwrap_or_default();
                    return Err(format!("{NO_SUCH} LSM hook `{hook}`{near}"));
                };
                Ok(Place {
                    attach: Attach::Lsm {
                        hook: hook.clone(),
                        function: Some(function.id.0),
                    },
                    address: 0,
                    parameters: function.signature.parameters,
                    returned: Returned::NotYet,
                    instruction: None,
                    others: Vec::new(),
                })
            }
        }
    }

    /// The copies of a function that a probe is to sit on: symbol and address of each, the function itself first.
    fn copies(&self, probe: &Probe, name: &str) -> Result<Vec<(String, u64)>, String> {
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
                return Err(format!(
                    "{NO_SUCH} function `{name}` of {file} with an address of its own: the debug info places none there"
                ));
            }
        }
        // The function itself is the one that a reader means.
        copies.sort_by_key(|(symbol, address)| (symbol != name, *address));
        Ok(copies)
    }

    /// The address that an investigation names, and what to call it in messages, or why it is not known here.
    fn address(&self, text: &str) -> Result<(u64, String), String> {
        let live = |name: &str| match (self.offer.symbols)(name).as_slice() {
            [address] => Ok(*address),
            [] => Err(match self.offer.no_symbols {
                Some(reason) => reason.to_owned(),
                None => format!("{NO_SUCH} symbol `{name}`"),
            }),
            many => Err(format!(
                "{} symbols of this kernel are called `{name}`",
                many.len()
            )),
        };
        match text.parse::<At>()? {
            At::Live(name) => Ok((live(&name)?, format!("the live address of {name}"))),
            At::Number(address) => Ok((address.0, address.to_string())),
            At::Static(name) => {
                let slide = (self.offer.slide)()?;
                let address = live(&name)?.checked_sub(slide).ok_or_else(|| {
                    format!("`{name}` is below the distance by which the kernel says it was moved")
                })?;
                Ok((address, format!("the static address of {name}")))
            }
        }
    }

    fn scope<'x>(
        &'x self,
        place: &'x Place<'a>,
        exit: bool,
        symbols: &'x dyn Fn(&str) -> Option<u64>,
    ) -> Scope<'x, 'a> {
        let system_call = matches!(place.returned, Returned::SystemCall);
        Scope {
            btf: self.offer.btf,
            parameters: &place.parameters,
            returned: if exit || system_call {
                place.returned
            } else {
                Returned::NotYet
            },
            symbols,
        }
    }

    /// The instruction that the position means; `None` at the entry.
    fn instruction(
        &self,
        address: u64,
        position: &Position,
    ) -> Result<Option<Instruction>, String> {
        let target = match position {
            Position::Entry => return Ok(None),
            Position::BeforeCall(name) | Position::AfterCall(name) => {
                match (self.offer.symbols)(name).as_slice() {
                    [address] => Some(*address),
                    _ => None,
                }
            }
            Position::Offset(_) | Position::Instruction(_) | Position::Body => None,
        };
        locate(&(self.offer.code)(address)?, position, target)
    }

    fn parameters(&self, place: &Place<'a>, probe: &Probe) -> Vec<PlannedParameter> {
        let mut parameters = self.own_parameters(place, probe);
        let unknown: Vec<PlannedParameter> = probe
            .names
            .keys()
            .filter(|name| !parameters.iter().any(|p| p.name == **name))
            .map(|name| PlannedParameter {
                name: name.clone(),
                type_name: String::new(),
                register: Err(format!("there is no argument `{name}` here")),
                decode: None,
                names: None,
            })
            .collect();
        parameters.extend(unknown);
        parameters
    }

    fn own_parameters(&self, place: &Place<'a>, probe: &Probe) -> Vec<PlannedParameter> {
        let symbols = |_: &str| None;
        let scope = self.scope(place, false, &symbols);
        place
            .parameters
            .iter()
            .enumerate()
            .map(|(position, parameter)| {
                let name = parameter.name_or_position(position);
                let decode = compile(&name, &scope).map(|compiled| compiled.decode);
                PlannedParameter {
                    type_name: self
                        .offer
                        .btf
                        .type_name(parameter.type_id)
                        .unwrap_or_default(),
                    register: match (parameter.passing, &decode) {
                        (Passing::Unreadable(why), _) => Err(why.into()),
                        (_, Err(error)) => Err(error.to_string()),
                        (Passing::Register(register), Ok(_)) => Ok(register as usize),
                    },
                    // A `char *` argument is shown as the pointer that it is.
                    decode: match self.pointer(parameter.type_id) {
                        Some(pointer) => Some(pointer),
                        None => decode.ok(),
                    },
                    names: probe.names.get(&name).cloned(),
                    name,
                }
            })
            .collect()
    }

    /// How to show a pointer of this type, if it is one.
    fn pointer(&self, id: TypeId) -> Option<super::expr::Decode> {
        let stripped = self.offer.btf.strip(id).ok()?;
        matches!(stripped.ty, crate::btf::Type::Pointer { .. }).then(|| {
            super::expr::Decode::Pointer {
                type_name: self.offer.btf.type_name(id).unwrap_or_default(),
                to_function: false,
            }
        })
    }

    fn returns(&self, probe: &Probe, place: &Place<'a>) -> Option<PlannedReturn> {
        let Returned::Function(id) = place.returned else {
            return None;
        };
        if id == TypeId::VOID || !probe.watch_return {
            return None;
        }
        let symbols = |_: &str| None;
        let decode = match self.pointer(id) {
            Some(pointer) => Ok(pointer),
            None => compile("return", &self.scope(place, true, &symbols))
                .map(|compiled| compiled.decode)
                .map_err(|error| error.to_string()),
        };
        Some(PlannedReturn {
            type_name: self.offer.btf.type_name(id).unwrap_or_default(),
            decode,
        })
    }

    fn acts(&mut self, probe: &Probe, place: &Place<'a>, usage: usize) -> Result<(), String> {
        let mut acts = 0;
        let mut object_arg = 0;
        if let Some(object) = probe.allocates.as_ref().or(probe.frees.as_ref()) {
            acts |= if probe.allocates.is_some() {
                act::ALLOCATE
            } else {
                act::FREE
            };
            if object == "return" {
                object_arg = OBJECT_IS_RETURN;
            } else {
                let position = place
                    .parameters
                    .iter()
                    .enumerate()
                    .position(|(at, parameter)| parameter.name_or_position(at) == *object)
                    .ok_or_else(|| {
                        let names: Vec<String> = place
                            .parameters
                            .iter()
                            .enumerate()
                            .map(|(at, parameter)| parameter.name_or_position(at))
                            .collect();
                        format!(
                            "it has no argument `{object}` here (there is {})",
                            names.join(", ")
                        )
                    })?;
                if position >= MAX_ARGS {
                    return Err(format!(
                        "its argument `{object}` is number {}, and only {MAX_ARGS} come in registers",
                        position + 1
                    ));
                }
                object_arg = position as u32;
            }
        }
        if probe.any_task {
            acts |= act::ANY_TASK;
        }
        let syscall = self.syscall(probe)?;
        let spec = &mut self.attachments.uses[usage].spec;
        if let Some(number) = syscall {
            acts |= act::SYSCALL;
            spec.syscall = number;
        }
        if acts & (act::ALLOCATE | act::FREE) != 0 {
            spec.object_arg = object_arg;
            let by_function = matches!(probe.target, Target::Function(_));
            if by_function && object_arg == OBJECT_IS_RETURN {
                spec.object_side = side::RETURN;
            }
        }
        if let Some(signal) = &probe.signal {
            let number: nix::sys::signal::Signal = signal
                .name
                .parse()
                .map_err(|_| format!("there is no signal `{}`", signal.name))?;
            acts |= act::SIGNAL;
            spec.signal = number as u32;
            spec.signal_side = u32::from(signal.at_exit);
        }
        if let Some(errno) = probe.deny {
            acts |= act::DENY;
            spec.deny_errno = errno;
        }
        spec.acts |= acts;
        Ok(())
    }

    /// Plans one read; `Err(None)` means that it was reported as a problem of the investigation.
    fn read(
        &mut self,
        read: &Read,
        place: &Place<'a>,
        usage: usize,
        exit: bool,
        at_return: bool,
    ) -> Result<PlannedRead, Option<String>> {
        let symbols = |name: &str| match (self.offer.symbols)(name).as_slice() {
            [address] => Some(*address),
            _ => None,
        };
        let wanted = Wanted {
            max: read.max,
            elements: read.elements.is_some(),
        };
        let scope = self.scope(place, exit, &symbols);
        let compiled = match compile_wanted(&read.expression, &scope, wanted) {
            Ok(compiled) => compiled,
            Err(error) if error.class == ErrorClass::Syntax => {
                self.problems
                    .push(not_a_path(self.investigation, read, &error));
                return Err(None);
            }
            Err(error) => {
                return Err(Some(format!(
                    "`{}` cannot be read here: {error}",
                    read.expression
                )));
            }
        };
        let number = match (&read.elements, &compiled.elements) {
            (Some(path), Some(element)) => {
                let number = number_of_elements(path, &scope).map_err(Some)?;
                Some((path, number, element.index))
            }
            _ => None,
        };
        let mut slot = |spec| {
            self.attachments.read(usage, at_return, spec).map_err(|_| {
                Some(format!(
                    "more than one probe can read: there is room for {MAX_READS} loads of {MAX_READ_BYTES} bytes at its \
                     entry, and as many at its return"
                ))
            })
        };
        let slots = std::iter::once(compiled.spec)
            .chain(compiled.more)
            .map(&mut slot)
            .collect::<Result<Vec<_>, _>>()?;
        let elements = match number {
            Some((path, number, index)) => Some(PlannedElements {
                path: path.clone(),
                slot: slot(number.spec)?,
                decode: number.decode,
                index,
            }),
            None => None,
        };
        Ok(PlannedRead {
            name: read.name.clone(),
            path: read.expression.clone(),
            slots,
            elements,
            decode: compiled.decode,
            kind: read.kind,
            names: read.names.clone(),
            member: compiled.member,
        })
    }

    /// Where a probe is not possible its paths are still checked for what is wrong on every kernel.
    fn syntax_only(&mut self, probe: &Probe) {
        let symbols = |_: &str| None;
        let nothing = Place {
            attach: Attach::Lsm {
                hook: String::new(),
                function: None,
            },
            address: 0,
            parameters: Vec::new(),
            returned: Returned::NotYet,
            instruction: None,
            others: Vec::new(),
        };
        for read in probe.entry.iter().chain(&probe.exit) {
            let result = compile(&read.expression, &self.scope(&nothing, false, &symbols));
            if let Err(error) = result
                && error.class == ErrorClass::Syntax
            {
                self.problems
                    .push(not_a_path(self.investigation, read, &error));
            }
        }
    }
}

/// Why there is no probe on a function of which there are only clones.
fn only_clones(name: &str, clones: &[(String, u64)]) -> String {
    let names: Vec<String> = clones
        .iter()
        .map(|(symbol, _)| format!("`{symbol}`"))
        .collect();
    format!(
        "`{name}` has no code under that name in this kernel: the compiler made {} of it; probe that by its name, or say `clones = true`",
        names.join(", ")
    )
}
