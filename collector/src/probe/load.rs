//! Loading of the eBPF object, and filling of the maps that configure its programs.

use std::{mem, os::fd::AsFd as _};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use qed_collector_ebpf::{Call, CallKey, Control, Layout, Object, ProbeKey, SlotKey};

use super::attach_error::AttachEnvironment;
use super::attach_target::AttachTarget;
use super::events::EventReader;
use super::kernel_log::KernelLog;
use super::links::Links;
use super::missed::{CountersByAddress, KprobeTable};
use super::object::OBJECT;
use super::pod::{BoundaryRecord, MapRecord};
use super::setup::{LoadError, Setup};
use super::slots::{assign_slots, check_setup, complete_spec, spec_keys};

/// The loaded programs. Dropping it detaches everything and unloads it.
pub struct Probes {
    pub(super) ebpf: Ebpf,
    pub(super) reader_loaded: bool,
    pub(super) attaches: Vec<AttachTarget>,
    /// Per attachment: the first program slot that is its own (tracepoints and LSM hooks).
    pub(super) slots: Vec<Option<usize>>,
    pub(super) links: Vec<Option<Links>>,
    pub(super) kprobes: Option<KprobeTable>,
    /// The kernel's counters of skipped hits, for the kprobes that were attached when the counters were searched for.
    pub(super) counters: CountersByAddress,
    layout: Layout,
    pub(super) machine: AttachEnvironment,
    pub(super) log: KernelLog,
    /// The numbers of all hooks of the setup, made at the first.
    pub(super) hooks: Option<aya::Btf>,
}

impl Probes {
    /// Load the object and fill its maps. Attaches nothing.
    pub fn load(setup: &Setup) -> Result<Self, LoadError> {
        let slots = assign_slots(&setup.attaches);
        check_setup(setup)?;
        let machine = AttachEnvironment::read();
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
            reader_loaded: false,
            links: setup.attaches.iter().map(|_| None).collect(),
            attaches: setup.attaches.clone(),
            slots,
            kprobes: setup.kprobes,
            counters: CountersByAddress::new(),
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
            self.set("SPECS", index as u32, complete_spec(using.spec, attach))?;
            for (site, attachment) in spec_keys(attach, self.slots[using.attach]) {
                let key = ProbeKey {
                    site,
                    experiment: using.experiment,
                    attachment,
                };
                self.hash_map::<ProbeKey, u32>("KEYS")?
                    .insert(MapRecord(key), index as u32, 0)
                    .map_err(|source| LoadError::Map {
                        map: "KEYS",
                        source,
                    })?;
            }
        }
        Ok(())
    }

    fn set<T: BoundaryRecord>(
        &mut self,
        map: &'static str,
        at: u32,
        value: T,
    ) -> Result<(), LoadError> {
        let data = self.ebpf.map_mut(map);
        let data = data.ok_or_else(|| LoadError::Missing(map.to_owned()))?;
        Array::<_, MapRecord<T>>::try_from(data)
            .and_then(|mut array| array.set(at, MapRecord(value), 0))
            .map_err(|source| LoadError::Map { map, source })
    }

    fn hash_map<K: BoundaryRecord, V: Pod>(
        &mut self,
        map: &'static str,
    ) -> Result<HashMap<&mut MapData, MapRecord<K>, V>, LoadError> {
        let data = self.ebpf.map_mut(map);
        let data = data.ok_or_else(|| LoadError::Missing(map.to_owned()))?;
        HashMap::try_from(data).map_err(|source| LoadError::Map { map, source })
    }

    /// Report from now on what `control` says.
    pub fn set_control(&mut self, mut control: Control) -> Result<(), LoadError> {
        control.layout = self.layout;
        self.set("CONTROL", 0, control)
    }

    /// Report nothing any more.
    pub fn stop(&mut self) -> Result<(), LoadError> {
        self.set_control(Control::default())
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
    pub fn reset(&mut self) -> Result<(), LoadError> {
        clear_map(self.hash_map::<CallKey, MapRecord<Call>>("CALLS")?);
        clear_map(self.hash_map::<SlotKey, u64>("SLOTS")?);
        let followed = self.ebpf.map_mut("FOLLOWED");
        let followed = followed.ok_or_else(|| LoadError::Missing("FOLLOWED".to_owned()))?;
        clear_map(
            HashMap::<_, u32, u32>::try_from(followed).map_err(|source| LoadError::Map {
                map: "FOLLOWED",
                source,
            })?,
        );
        let map = self.ebpf.map_mut("OBJECTS");
        let map = map.ok_or_else(|| LoadError::Missing("OBJECTS".to_owned()))?;
        clear_map(
            HashMap::<_, u64, MapRecord<Object>>::try_from(map).map_err(|source| {
                LoadError::Map {
                    map: "OBJECTS",
                    source,
                }
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

/// A loader that has not parsed the kernel's BTF. The programs need no relocation against the kernel's types, but
/// `EbpfLoader::new` parses all of them before it can be told not to: 20 of 21 ms on a host, 100 of 110 ms in an emulated
/// guest. It continues without them if it cannot open the file, so the limit of open files is lowered for that moment.
fn loader_without_btf() -> EbpfLoader<'static> {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).ok();
    let closed = limit.is_some_and(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, 0, hard).is_ok());
    let mut loader = EbpfLoader::new();
    if let (true, Some((soft, hard))) = (closed, limit) {
        // Raising the soft limit to its old value is always allowed.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
    loader.btf(None);
    loader
}

fn clear_map<K: Pod, V: Pod>(mut map: HashMap<&mut MapData, K, V>) {
    let keys: Vec<K> = map.keys().flatten().collect();
    for key in keys {
        // Another CPU may have been faster.
        let _ = map.remove(&key);
    }
}
