//! The locations of kernel data that the eBPF programs and the collector read: offsets from BTF, addresses from the symbols.

use qed_collector_ebpf::{FdWalk, Layout};

use super::expr::PerCpuSymbol;
use super::target_kernel::TargetKernel;
use crate::btf::{Btf, NameKind, Type, TypeId};
use crate::probe::{KprobeEvents, KprobeTable};

/// Buckets of the kernel's table of kprobes: `KPROBE_TABLE_SIZE`,
/// <https://elixir.bootlin.com/linux/v6.1/source/kernel/kprobes.c#L48>. If the kernel had more buckets, some probes' skipped
/// hits would be unknown.
const BUCKETS: usize = 64;

/// The offset in bytes of `path`, a member of a structure, a member of that one, and so on.
fn member_offset(btf: &Btf<'_>, structure: &str, path: &[&str]) -> Option<u64> {
    let mut id: TypeId = *btf.find(NameKind::Struct, structure).first()?;
    let mut total = 0;
    for name in path {
        let (Type::Struct(composite) | Type::Union(composite)) = btf.strip(id).ok()?.ty else {
            return None;
        };
        let member = btf.find_member(&composite, name).ok()??;
        total += member.bit_offset / 8;
        id = member.type_id;
    }
    Some(total)
}

fn to_u32(offset: Option<u64>) -> Option<u32> {
    u32::try_from(offset?).ok()
}

/// Offsets of what the programs ask of each task and each CPU. What is not known is 0.
pub(super) fn task_layout(offer: &TargetKernel<'_, '_>) -> Layout {
    let btf = offer.btf;
    // A variable of its own up to 6.1 and from 6.15 on, a member of a hot structure between.
    let preempt_count = (offer.per_cpu)("__preempt_count").or_else(|| {
        let hot = (offer.per_cpu)("pcpu_hot")?;
        Some(hot + member_offset(btf, "pcpu_hot", &["preempt_count"])?)
    });
    let places = btf.arch().places();
    let status = to_u32(member_offset(btf, "task_struct", places.task_status));
    let register = |name| to_u32(member_offset(btf, "pt_regs", &[name])).unwrap_or(0);
    Layout {
        cpu_offsets: single_address(offer, "__per_cpu_offset").unwrap_or(0),
        preempt_count: preempt_count.unwrap_or(0),
        task_tgid: to_u32(member_offset(btf, "task_struct", &["tgid"])).unwrap_or(0),
        task_status: status.unwrap_or(0),
        compat_mask: status.map_or(0, |_| 1 << places.compat_bit),
        task_preempt: places
            .task_preempt
            .and_then(|path| to_u32(member_offset(btf, "task_struct", path)))
            .unwrap_or(0),
        syscall_number: register(places.syscall_number),
        syscall_result: register(places.result),
        user_address: register(places.instruction_pointer),
        reserved: 0,
    }
}

/// The kernel's table of kprobes.
pub(super) fn find_kprobe_table(offer: &TargetKernel<'_, '_>) -> Option<KprobeTable> {
    let btf = offer.btf;
    let member = |name| member_offset(btf, "kprobe", &[name]);
    let events = || {
        Some(KprobeEvents {
            handler: member("pre_handler")?,
            dispatcher: single_address(offer, "kprobe_dispatcher")?,
            probe: member_offset(btf, "trace_kprobe", &["rp", "kp"])?,
            hits: member_offset(btf, "trace_kprobe", &["nhit"])?,
            cpu_offsets: single_address(offer, "__per_cpu_offset")?,
        })
    };
    Some(KprobeTable {
        events: events(),
        buckets: single_address(offer, "kprobe_table")?,
        bucket_count: BUCKETS,
        link: member("hlist")?,
        list: member("list")?,
        address: member("addr")?,
        missed: member("nmissed")?,
    })
}

/// A per-CPU symbol; `None` also where the kernel does not say what leads to a CPU's copies.
pub(super) fn per_cpu_symbol(offer: &TargetKernel<'_, '_>, name: &str) -> Option<PerCpuSymbol> {
    single_address(offer, "__per_cpu_offset")?;
    let value = (offer.per_cpu)(name)?;
    // Where per-CPU symbols count from the start of a CPU's memory, that of the start itself is 0, like one that is hidden.
    let start = (offer.per_cpu)("__per_cpu_start").unwrap_or(0);
    let offset = value.checked_sub(start)?;
    Some(PerCpuSymbol { value, offset })
}

fn single_address(offer: &TargetKernel<'_, '_>, symbol: &str) -> Option<u64> {
    match (offer.symbols)(symbol).as_slice() {
        [address] => Some(*address),
        _ => None,
    }
}

/// The offsets of the walk task → files → descriptor table → file; `None` where this kernel's BTF lacks one.
pub fn find_fd_walk(btf: &Btf<'_>) -> Option<FdWalk> {
    let member = |structure, name| to_u32(member_offset(btf, structure, &[name]));
    Some(FdWalk {
        task_files: member("task_struct", "files")?,
        files_fdt: member("files_struct", "fdt")?,
        fdt_fd: member("fdtable", "fd")?,
        fdt_max_fds: member("fdtable", "max_fds")?,
    })
}
