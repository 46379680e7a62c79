//! Attaching and detaching of programs.

use aya::Ebpf;
use aya::programs::{
    KProbe, Lsm, ProgramError, RawTracePoint, kprobe::KProbeLinkId, lsm::LsmLinkId,
    raw_trace_point::RawTracePointLinkId,
};
use qed_collector_ebpf::{LSM_SLOTS, TRACEPOINT_SLOTS};

use crate::arch::Arch;

use super::attach_error::{Action, Refusal, explain};
use super::attach_target::AttachTarget;
use super::hook_btf;
use super::links::Links;
use super::load::Probes;
use super::slots::copy_count;

impl Probes {
    /// Attach the targets of [`Setup::attaches`] that `which` names, and return the outcome for each. One that is already
    /// attached stays attached.
    pub fn attach(&mut self, which: &[usize]) -> Vec<(usize, Result<(), Refusal>)> {
        which
            .iter()
            .map(|&index| (index, self.attach_one(index)))
            .collect()
    }

    fn attach_one(&mut self, index: usize) -> Result<(), Refusal> {
        let Some(attach) = self.attaches.get(index).cloned() else {
            return Err(no_such_refusal(index));
        };
        if self.links[index].is_some() {
            return Ok(());
        }
        let links = match &attach {
            AttachTarget::Kprobe {
                address,
                offset,
                entry,
                return_probe,
                ..
            } => {
                let (at, what) = (address.wrapping_add(*offset), attach.describe());
                // The newest handler of a function runs first: attached in this order, the entry program
                // still finds the caller's address in the slot that the return probe is about to take.
                // https://elixir.bootlin.com/linux/v6.1/source/kernel/kprobes.c#L1297
                let on_return = return_probe
                    .then(|| self.attach_kprobe(Arch::HOST.return_program(), at, &what))
                    .transpose()?;
                if *entry {
                    // The kernel counts the hits of each probe from 0, also where there was one before.
                    self.count_runs_from_now(at);
                }
                let on_entry =
                    entry.then(|| self.attach_kprobe(Arch::HOST.entry_program(), at, &what));
                match on_entry.transpose() {
                    Ok(on_entry) => Links::Kprobe(on_entry, on_return),
                    Err(refusal) => {
                        self.detach_links(Links::Kprobe(None, on_return));
                        return Err(refusal);
                    }
                }
            }
            AttachTarget::Tracepoint { name, copies, .. } => {
                let first =
                    self.slots[index].ok_or_else(|| no_slot_refusal(&attach, TRACEPOINT_SLOTS))?;
                let mut links = Vec::new();
                for slot in first..first + copy_count(*copies) {
                    match self.attach_tracepoint(slot, name) {
                        Ok(link) => links.push((slot, link)),
                        Err(refusal) => {
                            self.detach_links(Links::Tracepoint(links));
                            return Err(refusal);
                        }
                    }
                }
                Links::Tracepoint(links)
            }
            AttachTarget::Lsm { hook, function } => {
                let slot = self.slots[index].ok_or_else(|| no_slot_refusal(&attach, LSM_SLOTS))?;
                Links::Lsm(slot, self.attach_lsm(slot, hook, *function)?)
            }
        };
        self.links[index] = Some(links);
        Ok(())
    }

    fn attach_kprobe(
        &mut self,
        program: &str,
        address: u64,
        what: &str,
    ) -> Result<KProbeLinkId, Refusal> {
        let machine = self.machine.clone();
        let refused = |verb: &str, action, error: &ProgramError| {
            Refusal::from_error(format!("{verb} {what}"), action, error, &machine)
        };
        if !machine.kprobe_pmu {
            let (reason, remedy) = explain(Action::Kprobe, None, &machine);
            return Err(Refusal {
                what: format!("attach the {what}"),
                errno: None,
                reason,
                remedy,
            });
        }
        let program: &mut KProbe = typed_program(&mut self.ebpf, program)?;
        if program.fd().is_err() {
            program
                .load()
                .map_err(|e| refused("load the program of the", Action::Load, &e))?;
        }
        // An empty name makes the kernel take the offset as an absolute address.
        // https://elixir.bootlin.com/linux/v6.1/source/kernel/trace/trace_event_perf.c#L262
        let attached = program.attach("", address);
        attached.map_err(|error| {
            let refusal = refused("attach the", Action::Kprobe, &error);
            if refusal.errno != Some(libc::EINVAL) {
                return refusal;
            }
            let (reason, remedy) = self.log.einval_reason(address);
            Refusal {
                reason,
                remedy,
                ..refusal
            }
        })
    }

    fn attach_tracepoint(
        &mut self,
        slot: usize,
        name: &str,
    ) -> Result<RawTracePointLinkId, Refusal> {
        let machine = self.machine.clone();
        let refused = |verb: &str, action, error: &ProgramError| {
            Refusal::from_error(format!("{verb} tracepoint {name}"), action, error, &machine)
        };
        let program: &mut RawTracePoint = typed_program(&mut self.ebpf, &format!("tp_{slot}"))?;
        if program.fd().is_err() {
            program
                .load()
                .map_err(|e| refused("load the program of", Action::Load, &e))?;
        }
        if name.contains('\0') {
            return Err(Refusal {
                what: "attach a tracepoint".into(),
                errno: None,
                reason: "its name holds a NUL".into(),
                remedy: "correct the name".into(),
            });
        }
        program
            .attach(name)
            .map_err(|e| refused("attach to", Action::Tracepoint, &e))
    }

    fn attach_lsm(
        &mut self,
        slot: usize,
        hook: &str,
        function: Option<u32>,
    ) -> Result<LsmLinkId, Refusal> {
        let machine = self.machine.clone();
        let what = format!("attach to LSM hook {hook}");
        // Without this the kernel attaches the program and never runs it.
        if let Some(lsm) = &machine.lsm
            && !lsm.iter().any(|name| name == "bpf")
        {
            return Err(Refusal {
                what,
                errno: None,
                reason: format!(
                    "the list of active security modules ({}) lacks bpf",
                    lsm.join(",")
                ),
                remedy: "boot with bpf in the parameter lsm=".into(),
            });
        }
        let unknown = |error: hook_btf::HookError| Refusal {
            what: what.clone(),
            errno: None,
            reason: error.to_string(),
            remedy: "use a kernel with CONFIG_DEBUG_INFO_BTF".into(),
        };
        if function.is_some() && self.hooks.is_none() {
            let all = self.attaches.iter().filter_map(|attach| match attach {
                AttachTarget::Lsm { hook, function } => Some((hook.as_str(), (*function)?)),
                _ => None,
            });
            self.hooks = Some(hook_btf::btf_with_hooks(&all.collect::<Vec<_>>()).map_err(unknown)?);
        }
        let single;
        let btf = match (function, &self.hooks) {
            (Some(_), Some(all)) => all,
            _ => {
                let number = hook_btf::find_hook_id(hook).map_err(unknown)?;
                single = hook_btf::btf_with_hooks(&[(hook, number)]).map_err(unknown)?;
                &single
            }
        };
        let program: &mut Lsm = typed_program(&mut self.ebpf, &format!("lsm_{slot}"))?;
        let loaded = if program.fd().is_err() {
            program.load(hook, btf)
        } else {
            Ok(())
        };
        let link = loaded.and_then(|()| program.attach());
        link.map_err(|error| Refusal::from_error(what, Action::Lsm, &error, &machine))
    }

    /// Let attachment `to` have what `from` holds, if both are the same probe of a function; says whether it was.
    /// Spares an emulated guest detaching and attaching it again.
    pub fn hand_over(&mut self, from: usize, to: usize) -> bool {
        let same = match (self.attaches.get(from), self.attaches.get(to)) {
            // Programs of tracepoints and hooks find their spec by a slot, which belongs to one attachment.
            (Some(one @ AttachTarget::Kprobe { .. }), Some(other)) => one == other,
            _ => false,
        };
        if !same || from == to || self.links[from].is_none() || self.links[to].is_some() {
            return false;
        }
        self.links[to] = self.links[from].take();
        true
    }

    /// Detach those that `which` names. In an emulated guest this takes 36 to 44 ms for each link.
    pub fn detach(&mut self, which: &[usize]) {
        for &index in which {
            if let Some(links) = self.links.get_mut(index).and_then(Option::take) {
                self.detach_links(links);
            }
        }
    }

    /// A link that will not go is gone when the process is: the kernel closes it.
    fn detach_links(&mut self, links: Links) {
        match links {
            Links::Kprobe(entry, on_return) => {
                for (name, link) in [
                    (Arch::HOST.entry_program(), entry),
                    (Arch::HOST.return_program(), on_return),
                ] {
                    if let (Ok(program), Some(link)) =
                        (typed_program::<KProbe>(&mut self.ebpf, name), link)
                    {
                        let _ = program.detach(link);
                    }
                }
            }
            Links::Tracepoint(links) => {
                for (slot, link) in links {
                    if let Ok(program) =
                        typed_program::<RawTracePoint>(&mut self.ebpf, &format!("tp_{slot}"))
                    {
                        let _ = program.detach(link);
                    }
                }
            }
            Links::Lsm(slot, link) => {
                if let Ok(program) = typed_program::<Lsm>(&mut self.ebpf, &format!("lsm_{slot}")) {
                    let _ = program.detach(link);
                }
            }
        }
    }

    /// The attachments that are attached now.
    pub fn attached_indices(&self) -> Vec<usize> {
        let attached = self.links.iter().enumerate();
        attached
            .filter(|(_, links)| links.is_some())
            .map(|(index, _)| index)
            .collect()
    }
}

/// A program of the object, converted to its own type.
fn typed_program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, Refusal>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| Refusal {
            what: format!("use the eBPF program {name}"),
            errno: None,
            reason: "the object does not hold it".into(),
            remedy: "build the collector again".into(),
        })
}

fn no_such_refusal(index: usize) -> Refusal {
    Refusal {
        what: format!("attach number {index}"),
        errno: None,
        reason: "the setup has no such attachment".into(),
        remedy: "this is a mistake in the collector".into(),
    }
}

fn no_slot_refusal(attach: &AttachTarget, slots: usize) -> Refusal {
    Refusal {
        what: format!("attach to {}", attach.describe()),
        errno: None,
        reason: format!("all {slots} programs of this kind are in use"),
        remedy: "split the investigation".into(),
    }
}
