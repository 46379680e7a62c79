//! Planning one probe.

use std::collections::BTreeMap;

use qed_collector_ebpf::{MAX_ARGS, OBJECT_IS_RETURN, act, side};
use qed_evidence::document::Target;
use qed_evidence::investigation::{Action, Probe, other_arch_reason};

use super::error::PlaceError;
use super::expr::ReturnMeaning;
use super::place::ProbePlace;
use super::planner::Planner;
use super::setup::{CallMarkers, Markers};
use super::types::{EventSource, PlannedInstruction, PlannedProbe, PlannedRead, RefusedReads};
use crate::probe::AttachTarget;
use crate::reason::Reason;
use crate::symbols::disasm::ReturnAddress;
use crate::workload::MARKING_SYSCALL;

impl<'a> Planner<'_, '_, '_, 'a> {
    /// Add the markers: probes at entry and exit of the workload's own system calls, so that what the process does before,
    /// between and after them can be cut off, and at the entry of the next system call after each, until which the kernel may
    /// still do work for it. Only if the workload makes its calls itself.
    pub fn add_markers(&mut self) -> Option<Markers> {
        let workload = &self.experiment.workload;
        let Action::Syscall { name, .. } = &workload.action else {
            return None;
        };
        let names = workload.sequence.iter().map(|call| &call.name);
        let numbers: Vec<u32> = (names.chain([name]))
            .map(|name| (self.offer.syscall_number)(name))
            .collect::<Option<_>>()?;
        let next = (self.offer.syscall_number)(MARKING_SYSCALL);
        let mut marked: BTreeMap<u32, CallMarkers> = BTreeMap::new();
        let mut calls = Vec::new();
        for number in numbers {
            let markers = match marked.get(&number) {
                Some(markers) => *markers,
                None => CallMarkers {
                    enter: self.add_marker("sys_enter", number),
                    exit: self.add_marker("sys_exit", number),
                },
            };
            marked.insert(number, markers);
            calls.push(markers);
        }
        Some(Markers {
            calls,
            next_call: next.map(|next| self.add_marker("sys_enter", next)),
        })
    }

    /// Add the use of a tracepoint for one system call, and return its number.
    fn add_marker(&mut self, tracepoint: &str, number: u32) -> usize {
        let attach = AttachTarget::Tracepoint {
            name: tracepoint.into(),
            arguments: 2,
            copies: 1,
            nth: self.assign_nth_attachment(tracepoint, Some(number)),
        };
        let usage = self.add_source(attach, 0).usage;
        let spec = &mut self.attachments.uses[usage].spec;
        spec.acts |= act::SYSCALL;
        spec.syscall = number;
        usage
    }

    /// Plan one probe; what cannot be is planned as unavailable.
    pub fn plan_probe(&mut self, probe: &Probe) -> PlannedProbe {
        let mut planned = unplaced_probe(probe);
        let arch = self.offer.btf.arch().machine();
        if let Some(reason) = other_arch_reason(probe.arch.as_deref(), arch) {
            self.check_syntax(probe);
            planned.source = Err(reason.into());
            return planned;
        }
        let place = match self.find_place(probe) {
            Ok(place) => place,
            Err(error) => {
                self.check_syntax(probe);
                planned.source = Err(Reason::from_error(error));
                return planned;
            }
        };
        planned.parameters = self.plan_parameters(&place, probe);
        if let Some(instruction) = &place.instruction {
            planned.offset = instruction.offset;
            planned.instruction = Some(PlannedInstruction {
                bytes: instruction.bytes.clone(),
                text: instruction.text.clone(),
            });
        }
        let source = self.add_source(place.attach.clone(), place.address);
        let others = self.add_other_sources(probe, &place);
        // What the probe does and reads, it does and reads at each copy of its function.
        let sources = std::iter::once(&source).chain(&others);
        let usages: Vec<usize> = sources.map(|source| source.usage).collect();
        if let Err(error) = self.plan_actions(probe, &place, &usages) {
            planned.source = Err(Reason::from_error(error));
            return planned;
        }
        planned.returns = self.plan_return(probe, &place);
        self.plan_reads(probe, &place, &usages, &mut planned);
        planned.source = Ok(source);
        planned.others = others;
        planned
    }

    /// Attach to the further copies of a probe's function.
    fn add_other_sources(&mut self, probe: &Probe, place: &ProbePlace<'a>) -> Vec<EventSource> {
        let copies = place.others.iter();
        let sources = copies.map(|(symbol, address)| {
            let attach = AttachTarget::Kprobe {
                function: symbol.clone(),
                address: *address,
                offset: 0,
                entry: true,
                return_probe: probe.watch_return,
            };
            self.add_source(attach, *address)
        });
        sources.collect()
    }

    /// Attach to something for this experiment.
    fn add_source(&mut self, attach: AttachTarget, address: u64) -> EventSource {
        let owner = self.experiment.isolated.then_some(self.number);
        let attach = self.attachments.attach(attach, owner);
        let usage = self.attachments.add_use(self.number, attach);
        EventSource {
            attach,
            usage,
            address,
        }
    }

    /// Plan the reads of a probe.
    fn plan_reads(
        &mut self,
        probe: &Probe,
        place: &ProbePlace<'a>,
        usages: &[usize],
        planned: &mut PlannedProbe,
    ) {
        let is_function = matches!(probe.target, Target::Function(_));
        let arch = self.offer.btf.arch().machine();
        for (reads, exit) in [(&probe.entry, false), (&probe.exit, true)] {
            for read in reads {
                // A tracepoint has one side; there `at` only says under which name the value goes.
                let planned_read = match other_arch_reason(read.arch.as_deref(), arch) {
                    Some(reason) => Err(Some(reason.into())),
                    None => self.plan_read(read, place, usages, exit, exit && is_function),
                };
                match planned_read.and_then(|planned| refuse_public_secret(planned, probe, exit)) {
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
    }

    fn plan_actions(
        &mut self,
        probe: &Probe,
        place: &ProbePlace<'a>,
        usages: &[usize],
    ) -> Result<(), PlaceError> {
        let mut acts = 0;
        let mut object_arg = 0;
        if let Some(object) = probe.allocates.as_ref().or(probe.frees.as_ref()) {
            acts |= if probe.allocates.is_some() {
                act::ALLOCATE
            } else {
                act::FREE
            };
            if object == "return" {
                if place.has_clones {
                    return Err(PlaceError::ObjectOfClones);
                }
                object_arg = OBJECT_IS_RETURN;
            } else {
                let position = place
                    .parameters
                    .iter()
                    .enumerate()
                    .position(|(at, parameter)| parameter.name_or_position(at) == *object)
                    .ok_or_else(|| {
                        let others = place.parameters.iter().enumerate();
                        let others = others.map(|(at, parameter)| parameter.name_or_position(at));
                        PlaceError::NoArgument {
                            name: object.clone(),
                            others: others.collect(),
                        }
                    })?;
                if position >= MAX_ARGS {
                    return Err(PlaceError::OnStack {
                        name: object.clone(),
                        number: position + 1,
                        registers: MAX_ARGS,
                    });
                }
                object_arg = position as u32;
            }
        }
        if place.instruction.is_some() && place.return_address == ReturnAddress::LinkRegister {
            acts |= act::LINK_REGISTER;
        }
        if probe.any_task {
            acts |= act::ANY_TASK;
        }
        if matches!(place.returned, ReturnMeaning::SystemCall) {
            acts |= act::SYSCALL_RESULT;
        }
        let syscall = self.syscall_filter(probe)?;
        let signal = probe.signal.as_ref().map(|signal| {
            let number: Result<nix::sys::signal::Signal, _> = signal.name.parse();
            let number = number.map_err(|_| PlaceError::NoSignal(signal.name.clone()))?;
            Ok::<_, PlaceError>((number as u32, u32::from(signal.at_exit)))
        });
        let signal = signal.transpose()?;
        for usage in usages {
            let spec = &mut self.attachments.uses[*usage].spec;
            spec.acts |= acts;
            if let Some(number) = syscall {
                spec.acts |= act::SYSCALL;
                spec.syscall = number;
            }
            if acts & (act::ALLOCATE | act::FREE) != 0 {
                spec.object_arg = object_arg;
                let by_function = matches!(probe.target, Target::Function(_));
                if by_function && object_arg == OBJECT_IS_RETURN {
                    spec.object_side = side::RETURN;
                }
            }
            if let Some((number, side)) = signal {
                spec.acts |= act::SIGNAL;
                (spec.signal, spec.signal_side) = (number, side);
            }
            if let Some(errno) = probe.deny {
                spec.acts |= act::DENY;
                spec.deny_errno = errno;
            }
        }
        Ok(())
    }
}

/// Refuse to declare a secret of the kernel public.
fn refuse_public_secret(
    planned: PlannedRead,
    probe: &Probe,
    exit: bool,
) -> Result<PlannedRead, Option<Reason>> {
    let side = if exit { "exit" } else { "entry" };
    if planned.secret && probe.public.contains(&format!("{side}.{}", planned.name)) {
        let reason = format!(
            "`{}` is a secret of the kernel, and nothing publishes that of a live machine: leave out `public`",
            planned.path
        );
        return Err(Some(reason.into()));
    }
    Ok(planned)
}

/// A probe before its place is known.
fn unplaced_probe(probe: &Probe) -> PlannedProbe {
    PlannedProbe {
        name: probe.name.clone(),
        target: probe.target.clone(),
        offset: 0,
        instruction: None,
        optional: probe.optional,
        source: Err(Reason::from("its place was not looked for")),
        others: Vec::new(),
        file: probe.file.clone(),
        parameters: Vec::new(),
        returns: None,
        entry: Vec::new(),
        exit: Vec::new(),
        refused: RefusedReads::default(),
        within: probe.within.clone(),
        acts: probe.signal.is_some() || probe.deny.is_some(),
        allocates: probe.allocates.is_some(),
        frees: probe.frees.is_some(),
        stack: probe.stack,
    }
}
