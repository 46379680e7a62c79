//! The maps: what the collector tells the programs, what they remember, and what comes back.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use qed_collector_ebpf::{
    Call, CallKey, Control, FdWalk, MAX_EXPERIMENTS, MAX_FOLLOWED, MAX_PROBES, Object, ProbeKey,
    ProbeSpec, ReadRequest, SlotKey, counter,
};

/// The current settings.
#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, 0);
/// The specs that hits follow.
#[map]
pub static KEYS: HashMap<ProbeKey, u32> =
    HashMap::with_max_entries((MAX_PROBES * MAX_EXPERIMENTS / 16) as u32, 0);
/// The specs; the loader makes the table as large as the capture needs.
#[map]
pub static SPECS: Array<ProbeSpec> = Array::with_max_entries(MAX_PROBES as u32, 0);
/// Offsets for the walk from a descriptor to its file.
#[map]
pub static FD_WALK: Array<FdWalk> = Array::with_max_entries(1, 0);
/// Runs of `kernel_entry` at each probed place, whoever's hit it was. The loader makes an entry for each.
#[map]
pub static RUNS: PerCpuHashMap<u64, u64> = PerCpuHashMap::with_max_entries(MAX_PROBES as u32, 0);
/// Calls that have been entered and not left.
#[map]
pub static CALLS: HashMap<CallKey, Call> = HashMap::with_max_entries(1024, 0);
/// The newest return-address slot of each function and thread.
#[map]
pub static SLOTS: HashMap<SlotKey, u64> = HashMap::with_max_entries(1024, 0);
/// Objects that the workload allocated and nobody has freed.
#[map]
pub static OBJECTS: HashMap<u64, Object> = HashMap::with_max_entries(8192, 0);
/// Thread-group ids of processes that belong to the workload, besides its own.
#[map]
pub static FOLLOWED: HashMap<u32, u32> = HashMap::with_max_entries(MAX_FOLLOWED as u32, 0);
/// Events, in the order in which they happened.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);
/// [`counter`]
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);
/// The read on demand.
#[map]
pub static READ_REQUEST: Array<ReadRequest> = Array::with_max_entries(1, 0);

/// Add one to counter `index` of this CPU.
#[inline(always)]
pub fn count(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the verifier holds the pointer to this CPU's value; programs are not preempted by
        // another on the same CPU in the middle of an increment, except by an interrupt's, which at
        // worst hides one of two losses.
        unsafe { *counter += 1 }
    }
}
