//! Loading the object, filling its maps, attaching and detaching.

use std::{mem, os::fd::AsFd as _};

use aya::{
    Ebpf, EbpfError, EbpfLoader, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
    programs::{
        KProbe, Lsm, ProgramError, RawTracePoint, kprobe::KProbeLinkId, lsm::LsmLinkId,
        raw_trace_point::RawTracePointLinkId,
    },
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use qed_collector_ebpf::{
    Call, CallKey, Control, FdWalk, LSM_SLOTS, Layout, MAX_ARGS, MAX_EXPERIMENTS, MAX_PROBES,
    Object, ProbeKey, ProbeSpec, SlotKey, TRACEPOINT_SLOTS, act, attachment,
};
use thiserror::Error;

use super::attach::Attach;
use super::attach_error::{Action, Machine, Refusal};
use super::events::EventReader;
use super::hook_btf;
use super::kernel_log::KernelLog;
use super::missed::{Hits, KprobeTable};
use super::object::OBJECT;
use super::pod::{Raw, Record};

/// What one experiment reads at one attachment.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// Number of the experiment, below [`MAX_EXPERIMENTS`].
    pub experiment: u32,
    /// Index in [`Setup::attaches`]. An experiment has one spec per attachment.
    pub attach: usize,
    /// What to read and to do. The loader fills in what the attachment knows: [`act::RETURNS`] and `arg_count`.
    pub spec: ProbeSpec,
}

/// All that one capture needs to be loaded, as data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// What to attach.
    pub attaches: Vec<Attach>,
    /// What to read there. [`Event::probe`](qed_collector_ebpf::Event::probe) is an index in this list.
    pub uses: Vec<Use>,
    /// Offsets for reads that start at a file descriptor; `None`: there are no such reads.
    pub fd_walk: Option<FdWalk>,
    /// Where the kernel keeps what the programs ask of each task and each CPU; zeros: not known.
    pub layout: Layout,
    /// Where the kernel keeps its kprobes, with what it skipped of each; `None`: not known.
    pub kprobes: Option<KprobeTable>,
    /// Size of the ring buffer in bytes, a power of two of at least a page; 0: 1 MiB (about 350 events).
    pub ring_bytes: u32,
}

/// The programs could not be loaded at all.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The object, or the kernel's answer to its maps.
    #[error("cannot load the eBPF object: {source}; {hint}")]
    Object {
        /// What aya says.
        source: Box<EbpfError>,
        /// What to do.
        hint: String,
    },
    /// A map refused an entry.
    #[error("cannot write to the eBPF map {map}: {source}")]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// What aya says.
        source: MapError,
    },
    /// The object has no such map or program.
    #[error("the eBPF object has no `{0}`; build the collector again")]
    Missing(String),
    /// The setup contradicts itself or the limits.
    #[error("cannot set the probes up: {0}")]
    Setup(String),
}

/// What holds an attachment.
enum Links {
    Kprobe(Option<KProbeLinkId>, Option<KProbeLinkId>),
    Tracepoint(Vec<(usize, RawTracePointLinkId)>),
    Lsm(usize, LsmLinkId),
}

/// The loaded programs. Dropping it detaches everything and unloads it.
pub struct Probes {
    pub(super) ebpf: Ebpf,
    pub(super) peek_loaded: bool,
    pub(super) attaches: Vec<Attach>,
    /// Per attachment: the first program slot that is its own (tracepoints and LSM hooks).
    pub(super) slots: Vec<Option<usize>>,
    links: Vec<Option<Links>>,
    pub(super) kprobes: Option<KprobeTable>,
    /// The kernel's counters of what it skipped, of the kprobes that were attached when they were looked for.
    pub(super) counters: Hits,
    layout: Layout,
    machine: Machine,
    log: KernelLog,
    /// The numbers of all hooks of the setup, made at the first.
    hooks: Option<aya::Btf>,
}

impl Probes {
    /// Load the object and fill its maps. Attaches nothing.
    pub fn load(setup: &Setup) -> Result<Self, LoadError> {
        let slots = slots(&setup.attaches);
        check(setup)?;
        let machine = Machine::read();
        let mut loader = loader_without_btf();
        loader.map_max_entries("SPECS", setup.uses.len().max(1) as u32);
        if setup.ring_bytes != 0 {
            loader.map_max_entries("EVENTS", setup.ring_bytes);
        }
        let ebpf = loader.load(OBJECT).map_err(|source| LoadError::Object {
            hint: match machine.missing_capabilities() {
                missing if missing.is_empty() => {
                    "`qed-collector doctor` says what this machine allows".to_owned()
                }
                missing => format!("run it as root or with {}", missing.join(", ")),
            },
            source: Box::new(source),
        })?;
        let mut probes = Self {
            ebpf,
            peek_loaded: false,
            links: setup.attaches.iter().map(|_| None).collect(),
            attaches: setup.attaches.clone(),
            slots,
            kprobes: setup.kprobes,
            counters: Hits::new(),
            layout: setup.layout,
            machine,
            log: KernelLog::from_now(),
            hooks: None,
        };
        probes.fill(setup)?;
        Ok(probes)
    }

    fn fill(&mut self, setup: &Setup) -> Result<(), LoadError> {
        if let Some(walk) = setup.fd_walk {
            self.set("FD_WALK", 0, walk)?;
        }
        for (index, using) in setup.uses.iter().enumerate() {
            let attach = &setup.attaches[using.attach];
            self.set("SPECS", index as u32, complete(using.spec, attach))?;
            for (site, attachment) in sites(attach, self.slots[using.attach]) {
                let key = ProbeKey {
                    site,
                    experiment: using.experiment,
                    attachment,
                };
                self.hash::<ProbeKey, u32>("KEYS")?
                    .insert(Raw(key), index as u32, 0)
                    .map_err(|source| LoadError::Map {
                        map: "KEYS",
                        source,
                    })?;
            }
        }
        Ok(())
    }

    fn set<T: Record>(&mut self, map: &'static str, at: u32, value: T) -> Result<(), LoadError> {
        let data = self.ebpf.map_mut(map);
        let data = data.ok_or_else(|| LoadError::Missing(map.to_owned()))?;
        Array::<_, Raw<T>>::try_from(data)
            .and_then(|mut array| array.set(at, Raw(value), 0))
            .map_err(|source| LoadError::Map { map, source })
    }

    fn hash<K: Record, V: Pod>(
        &mut self,
        map: &'static str,
    ) -> Result<HashMap<&mut MapData, Raw<K>, V>, LoadError> {
        let data = self.ebpf.map_mut(map);
        let data = data.ok_or_else(|| LoadError::Missing(map.to_owned()))?;
        HashMap::try_from(data).map_err(|source| LoadError::Map { map, source })
    }

    /// Attach those of [`Setup::attaches`] that `which` names, and say for each how it went. One that is
    /// attached already stays so.
    pub fn attach(&mut self, which: &[usize]) -> Vec<(usize, Result<(), Refusal>)> {
        which
            .iter()
            .map(|&index| (index, self.attach_one(index)))
            .collect()
    }

    fn attach_one(&mut self, index: usize) -> Result<(), Refusal> {
        let Some(attach) = self.attaches.get(index).cloned() else {
            return Err(no_such(index));
        };
        if self.links[index].is_some() {
            return Ok(());
        }
        let links = match &attach {
            Attach::Kprobe {
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
                    .then(|| self.attach_kprobe("kernel_return", at, &what))
                    .transpose()?;
                if *entry {
                    // The kernel counts the hits of each probe from 0, also where there was one before.
                    self.count_runs_from_now(at);
                }
                let on_entry = entry.then(|| self.attach_kprobe("kernel_entry", at, &what));
                match on_entry.transpose() {
                    Ok(on_entry) => Links::Kprobe(on_entry, on_return),
                    Err(refusal) => {
                        self.detach_links(Links::Kprobe(None, on_return));
                        return Err(refusal);
                    }
                }
            }
            Attach::Tracepoint { name, copies, .. } => {
                let first = self.slots[index].ok_or_else(|| no_slot(&attach, TRACEPOINT_SLOTS))?;
                let mut links = Vec::new();
                for slot in first..first + copies_of(*copies) {
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
            Attach::Lsm { hook, function } => {
                let slot = self.slots[index].ok_or_else(|| no_slot(&attach, LSM_SLOTS))?;
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
            let (reason, remedy) = super::attach_error::explain(Action::Kprobe, None, &machine);
            return Err(Refusal {
                what: format!("attach the {what}"),
                errno: None,
                reason,
                remedy,
            });
        }
        let program: &mut KProbe = typed(&mut self.ebpf, program)?;
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
            let (reason, remedy) = self.log.why_invalid(address);
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
        let program: &mut RawTracePoint = typed(&mut self.ebpf, &format!("tp_{slot}"))?;
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
        let unknown = |reason| Refusal {
            what: what.clone(),
            errno: None,
            reason,
            remedy: "use a kernel with CONFIG_DEBUG_INFO_BTF".into(),
        };
        if function.is_some() && self.hooks.is_none() {
            let all = self.attaches.iter().filter_map(|attach| match attach {
                Attach::Lsm { hook, function } => Some((hook.as_str(), (*function)?)),
                _ => None,
            });
            self.hooks = Some(hook_btf::naming(&all.collect::<Vec<_>>()).map_err(unknown)?);
        }
        let single;
        let btf = match (function, &self.hooks) {
            (Some(_), Some(all)) => all,
            _ => {
                let number = hook_btf::look_up(hook).map_err(unknown)?;
                single = hook_btf::naming(&[(hook, number)]).map_err(unknown)?;
                &single
            }
        };
        let program: &mut Lsm = typed(&mut self.ebpf, &format!("lsm_{slot}"))?;
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
            (Some(one @ Attach::Kprobe { .. }), Some(other)) => one == other,
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
                for (name, link) in [("kernel_entry", entry), ("kernel_return", on_return)] {
                    if let (Ok(program), Some(link)) = (typed::<KProbe>(&mut self.ebpf, name), link)
                    {
                        let _ = program.detach(link);
                    }
                }
            }
            Links::Tracepoint(links) => {
                for (slot, link) in links {
                    if let Ok(program) =
                        typed::<RawTracePoint>(&mut self.ebpf, &format!("tp_{slot}"))
                    {
                        let _ = program.detach(link);
                    }
                }
            }
            Links::Lsm(slot, link) => {
                if let Ok(program) = typed::<Lsm>(&mut self.ebpf, &format!("lsm_{slot}")) {
                    let _ = program.detach(link);
                }
            }
        }
    }

    /// Which attachments are attached now.
    pub fn attached(&self) -> Vec<usize> {
        let attached = self.links.iter().enumerate();
        attached
            .filter(|(_, links)| links.is_some())
            .map(|(index, _)| index)
            .collect()
    }

    /// Report from now on what `control` says.
    pub fn control(&mut self, mut control: Control) -> Result<(), LoadError> {
        control.layout = self.layout;
        self.set("CONTROL", 0, control)
    }

    /// Report nothing any more.
    pub fn stop(&mut self) -> Result<(), LoadError> {
        self.control(Control::default())
    }

    /// The consumer of the ring buffer. Take one: two would steal each other's events.
    pub fn events(&self) -> Result<EventReader, LoadError> {
        let fail = |source| LoadError::Map {
            map: "EVENTS",
            source,
        };
        // A copy of the descriptor: programs that are loaded later name the original.
        let map = match self.ebpf.map("EVENTS") {
            Some(Map::RingBuf(data)) => data.fd().as_fd().try_clone_to_owned(),
            _ => return Err(LoadError::Missing("EVENTS".to_owned())),
        };
        let fd = map.map_err(|error| fail(MapError::IoError(error)))?;
        let data = MapData::from_fd(fd).map_err(fail)?;
        let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(fail)?;
        Ok(EventReader::new(ring))
    }

    /// Forget entered calls, live objects and followed processes, between two experiments.
    pub fn forget(&mut self) -> Result<(), LoadError> {
        empty(self.hash::<CallKey, Raw<Call>>("CALLS")?);
        empty(self.hash::<SlotKey, u64>("SLOTS")?);
        let followed = self.ebpf.map_mut("FOLLOWED");
        let followed = followed.ok_or_else(|| LoadError::Missing("FOLLOWED".to_owned()))?;
        empty(
            HashMap::<_, u32, u32>::try_from(followed).map_err(|source| LoadError::Map {
                map: "FOLLOWED",
                source,
            })?,
        );
        let map = self.ebpf.map_mut("OBJECTS");
        let map = map.ok_or_else(|| LoadError::Missing("OBJECTS".to_owned()))?;
        empty(
            HashMap::<_, u64, Raw<Object>>::try_from(map).map_err(|source| LoadError::Map {
                map: "OBJECTS",
                source,
            })?,
        );
        Ok(())
    }

    /// Keep everything attached until the machine is powered off: in a guest, detaching would take
    /// longer than all the rest. For a process that is about to end the machine, and no other.
    pub fn leak(self) {
        mem::forget(self);
    }
}

/// A loader that has not parsed the kernel's BTF. The programs need no relocation against the kernel's
/// types, and `EbpfLoader::new` parses them all before one can say so: 20 of 21 ms on a host, 100 of
/// 110 ms in an emulated guest. It goes on without when it cannot open the file, so for that moment no
/// file can be opened.
fn loader_without_btf() -> EbpfLoader<'static> {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).ok();
    let closed = limit.is_some_and(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, 0, hard).is_ok());
    let mut loader = EbpfLoader::new();
    if let (true, Some((soft, hard))) = (closed, limit) {
        // Raising the soft limit to what it was is always allowed.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
    loader.btf(None);
    loader
}

fn empty<K: Pod, V: Pod>(mut map: HashMap<&mut MapData, K, V>) {
    let keys: Vec<K> = map.keys().flatten().collect();
    for key in keys {
        // Another CPU may have been faster.
        let _ = map.remove(&key);
    }
}

/// A program of the object, as what it is.
fn typed<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, Refusal>
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

fn no_such(index: usize) -> Refusal {
    Refusal {
        what: format!("attach number {index}"),
        errno: None,
        reason: "the setup has no such attachment".into(),
        remedy: "this is a mistake in the collector".into(),
    }
}

fn no_slot(attach: &Attach, slots: usize) -> Refusal {
    Refusal {
        what: format!("attach to {}", attach.describe()),
        errno: None,
        reason: format!("all {slots} programs of this kind are in use"),
        remedy: "split the investigation".into(),
    }
}

fn copies_of(copies: u32) -> usize {
    copies.max(1) as usize
}

/// The first program slot of each tracepoint and LSM hook; `None` where it needs none, or none is left.
fn slots(attaches: &[Attach]) -> Vec<Option<usize>> {
    let (mut tracepoints, mut hooks) = (0, 0);
    let take = |next: &mut usize, count: usize, limit: usize| {
        let first = *next;
        (first + count <= limit).then(|| {
            *next += count;
            first
        })
    };
    attaches
        .iter()
        .map(|attach| match attach {
            Attach::Kprobe { .. } => None,
            Attach::Tracepoint { copies, .. } => {
                take(&mut tracepoints, copies_of(*copies), TRACEPOINT_SLOTS)
            }
            Attach::Lsm { .. } => take(&mut hooks, 1, LSM_SLOTS),
        })
        .collect()
}

/// The keys under which the programs of an attachment look for their spec.
fn sites(attach: &Attach, slot: Option<usize>) -> Vec<(u64, u32)> {
    match (attach, slot) {
        (
            Attach::Kprobe {
                address, offset, ..
            },
            _,
        ) => vec![(address.wrapping_add(*offset), attachment::KPROBE)],
        (Attach::Tracepoint { copies, .. }, Some(first)) => (first..first + copies_of(*copies))
            .map(|slot| (slot as u64, attachment::TRACEPOINT))
            .collect(),
        (Attach::Lsm { .. }, Some(slot)) => vec![(slot as u64, attachment::LSM)],
        (_, None) => Vec::new(),
    }
}

/// Add to a spec what its attachment knows.
fn complete(mut spec: ProbeSpec, attach: &Attach) -> ProbeSpec {
    match attach {
        Attach::Kprobe {
            entry: true,
            return_probe: true,
            ..
        } => spec.acts |= act::RETURNS,
        Attach::Tracepoint { arguments, .. } => spec.arg_count = (*arguments).min(MAX_ARGS as u32),
        _ => {}
    }
    spec
}

fn check(setup: &Setup) -> Result<(), LoadError> {
    let fail = |message: String| Err(LoadError::Setup(message));
    if setup.uses.len() > MAX_PROBES {
        return fail(format!(
            "{} probes are asked for, and {MAX_PROBES} is the limit; split the investigation",
            setup.uses.len()
        ));
    }
    let mut seen = std::collections::HashSet::new();
    for using in &setup.uses {
        let Some(attach) = setup.attaches.get(using.attach) else {
            return fail(format!(
                "a probe is at attachment {}, which is not there",
                using.attach
            ));
        };
        if using.experiment as usize >= MAX_EXPERIMENTS {
            return fail(format!(
                "more than {MAX_EXPERIMENTS} experiments; split the investigation"
            ));
        }
        if !seen.insert((using.experiment, using.attach)) {
            return fail(format!(
                "experiment {} has two probes at the {}; put their reads into one",
                using.experiment,
                attach.describe()
            ));
        }
    }
    for attach in &setup.attaches {
        if let Attach::Kprobe {
            offset,
            return_probe,
            entry,
            ..
        } = attach
            && (*offset != 0 && *return_probe || !entry && !return_probe)
        {
            return fail(format!(
                "the {} must have an entry or a return, and in mid-function only an entry",
                attach.describe()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
