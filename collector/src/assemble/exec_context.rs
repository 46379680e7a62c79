//! The execution context of a CPU, from its preemption count.

use qed_collector_ebpf::UNKNOWN_CONTEXT;
use qed_evidence::document::Context;

/// The bit that is set while the CPU runs softirqs. It is the same in all layouts of the count:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/preempt.h#L34>
const SERVING_SOFTIRQ: u32 = 0x100;
/// All bits that count interrupts, in all layouts; older layouts use the lower half of these bits. The highest bit of the word
/// is not part of a count.
const INTERRUPTS: u32 = 0x7fff_0000;
/// The count that a breakpoint adds, which interrupts as an NMI does, in the older layout and in the newer one.
const TRAPS: [u32; 2] = [0x0011_0000, 0x1100_0000];

/// The way that may have led to a probe's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryMechanism {
    /// A call or a jump, which the preemption count does not know of.
    Direct,
    /// Perhaps a breakpoint, which it counts as an NMI and which is not an interrupt.
    Breakpoint,
    /// A breakpoint or, if a jump has replaced it, an NMI: the two cannot be distinguished.
    Unknown,
}

/// The context of a hit, from the CPU's preemption count.
pub fn execution_context(count: u32, way: EntryMechanism) -> Option<Context> {
    if count == UNKNOWN_CONTEXT {
        return None;
    }
    let interrupts = count & INTERRUPTS;
    match (interrupts, way) {
        (0, _) => {}
        (_, EntryMechanism::Breakpoint) if TRAPS.contains(&interrupts) => {}
        (_, EntryMechanism::Unknown) if TRAPS.contains(&interrupts) => return None,
        _ => return Some(Context::Hardirq),
    }
    Some(match count & SERVING_SOFTIRQ {
        0 => Context::Task,
        _ => Context::Softirq,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check counts as kernels have them: a task with preemption off and softirqs disabled, a softirq, an interrupt on
    /// top of it, a breakpoint in a task and in a softirq, in both layouts.
    #[test]
    fn counts_tell_the_context() {
        assert_eq!(
            execution_context(0x8000_0002, EntryMechanism::Direct),
            Some(Context::Task)
        );
        assert_eq!(
            execution_context(0x0000_0201, EntryMechanism::Direct),
            Some(Context::Task)
        );
        assert_eq!(
            execution_context(0x8000_0101, EntryMechanism::Direct),
            Some(Context::Softirq)
        );
        assert_eq!(
            execution_context(0x0001_0001, EntryMechanism::Direct),
            Some(Context::Hardirq)
        );
        assert_eq!(
            execution_context(0x0100_0101, EntryMechanism::Direct),
            Some(Context::Hardirq)
        );
        for trap in TRAPS {
            assert_eq!(
                execution_context(trap, EntryMechanism::Direct),
                Some(Context::Hardirq)
            );
            assert_eq!(
                execution_context(trap + 1, EntryMechanism::Breakpoint),
                Some(Context::Task)
            );
            assert_eq!(
                execution_context(trap + 0x101, EntryMechanism::Breakpoint),
                Some(Context::Softirq)
            );
            assert_eq!(
                execution_context(trap * 2, EntryMechanism::Breakpoint),
                Some(Context::Hardirq)
            );
            assert_eq!(execution_context(trap, EntryMechanism::Unknown), None);
            assert_eq!(
                execution_context(trap * 2, EntryMechanism::Unknown),
                Some(Context::Hardirq)
            );
        }
        assert_eq!(
            execution_context(1, EntryMechanism::Unknown),
            Some(Context::Task)
        );
        assert_eq!(
            execution_context(UNKNOWN_CONTEXT, EntryMechanism::Breakpoint),
            None
        );
    }
}
