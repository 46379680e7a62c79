//! On whose behalf a CPU ran, by its preemption count.

use qed_collector_ebpf::UNKNOWN_CONTEXT;
use qed_evidence::document::Context;

/// The bit that is set while the CPU serves work that interrupts have put off. It has been there in all layouts of the count:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/preempt.h#L34>
const SERVING_SOFTIRQ: u32 = 0x100;
/// All bits that count interrupts, in all layouts; those of the older ones are the lower half of these. The highest bit of
/// the word counts nothing.
const INTERRUPTS: u32 = 0x7fff_0000;
/// What a breakpoint adds, which interrupts as an NMI does, in the older layout and in the newer one.
const TRAPS: [u32; 2] = [0x0011_0000, 0x1100_0000];

/// The context of a hit, from the CPU's preemption count. `trap`: a breakpoint led to the program, which is no interrupt of anybody's. (Where a jump has
/// replaced it, a real NMI would be taken for it.)
pub fn context(count: u32, trap: bool) -> Option<Context> {
    if count == UNKNOWN_CONTEXT {
        return None;
    }
    let interrupts = count & INTERRUPTS;
    if interrupts != 0 && !(trap && TRAPS.contains(&interrupts)) {
        return Some(Context::Hardirq);
    }
    Some(match count & SERVING_SOFTIRQ {
        0 => Context::Task,
        _ => Context::Softirq,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check counts as kernels have them: a task with preemption off and softirqs disabled, a softirq, an interrupt on top
    /// of it, a breakpoint in a task and in a softirq, in both layouts.
    #[test]
    fn counts_tell_the_context() {
        assert_eq!(context(0x8000_0002, false), Some(Context::Task));
        assert_eq!(context(0x0000_0201, false), Some(Context::Task));
        assert_eq!(context(0x8000_0101, false), Some(Context::Softirq));
        assert_eq!(context(0x0001_0001, false), Some(Context::Hardirq));
        assert_eq!(context(0x0100_0101, false), Some(Context::Hardirq));
        for trap in TRAPS {
            assert_eq!(context(trap, false), Some(Context::Hardirq));
            assert_eq!(context(trap + 1, true), Some(Context::Task));
            assert_eq!(context(trap + 0x101, true), Some(Context::Softirq));
            assert_eq!(context(trap * 2, true), Some(Context::Hardirq));
        }
        assert_eq!(context(UNKNOWN_CONTEXT, true), None);
    }
}
