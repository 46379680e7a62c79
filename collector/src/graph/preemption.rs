//! Preemption: work of the scheduler that runs in the task's own context, inside of the call, because an interrupt wanted the processor
//! for another task. It is not of the call. A call that sleeps enters the scheduler by itself, through `schedule`, which is of the call.

use super::tree::Call;

/// The functions that an interrupt or an exception leaves through where it may give the processor to another task. They begin when
/// the interrupt is counted out already, so that no flag of their records tells them from the call's own.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/entry/common.c#L279>,
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/sched/core.c#L7010>
const EXITS: [&str; 3] = [
    "raw_irqentry_exit_cond_resched",
    "irqentry_exit_cond_resched",
    "preempt_schedule_irq",
];

/// The functions through which a task gives the processor up by itself.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/sched/core.c#L6771>
const VOLUNTARY: [&str; 5] = [
    "schedule",
    "schedule_rtlock",
    "schedule_idle",
    "rt_mutex_schedule",
    "do_task_dead",
];

/// The first and the last function that a change of tasks runs through which the tracer sees: `__schedule` itself and what takes a task
/// to it against its will, such as `preempt_schedule`, are not traced.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/sched/core.c#L6595>
const SWITCH: (&str, &str) = ("rcu_note_context_switch", "finish_task_switch");

/// The part of a tree that is being marked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marking {
    Nothing,
    /// What is deeper than this.
    Below(u32),
    /// What is as deep as this or deeper, up to the end of the change of tasks.
    Switch(u32),
}

/// Mark what the scheduler ran against the task's will as an interrupt's. `symbol` names the function at an address.
pub fn mark_preemption(call: &mut Call, symbol: &dyn Fn(u64) -> Option<String>) {
    let mut marking = Marking::Nothing;
    let mut open: Vec<Option<String>> = Vec::new();
    for (at, frame) in call.frames.iter_mut().enumerate() {
        let depth = frame.depth;
        let name = symbol(frame.address);
        let is = |wanted: &str| name.as_deref() == Some(wanted);
        open.truncate(depth as usize);
        marking = match marking {
            Marking::Below(above) if depth <= above => Marking::Nothing,
            Marking::Switch(beside) if depth < beside => Marking::Nothing,
            Marking::Switch(beside) if depth == beside && is_end(name.as_deref()) => {
                Marking::Below(depth)
            }
            other => other,
        };
        let marked = marking != Marking::Nothing;
        if !marked && !frame.interrupt {
            let caller = open.last().and_then(Option::as_deref);
            let back_to_user_space = depth == 0 && at >= call.before_exit;
            if EXITS.into_iter().any(is) || (back_to_user_space && is(VOLUNTARY[0])) {
                marking = Marking::Below(depth);
            } else if is(SWITCH.0) && caller.is_none_or(|caller| !VOLUNTARY.contains(&caller)) {
                marking = Marking::Switch(depth);
            }
        }
        frame.interrupt |= marking != Marking::Nothing;
        open.push(name);
    }
}

/// True of the end of a change of tasks, also as the compiler's clone of it.
fn is_end(name: Option<&str>) -> bool {
    name.and_then(|name| name.strip_prefix(SWITCH.1))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Frame;

    /// The functions that are marked, of a tree written as lines that are indented by their depth. `before_exit`: how many of them ran
    /// before `sys_exit`.
    fn marked(tree: &str, before_exit: usize) -> Vec<&str> {
        let names: Vec<&str> = tree.lines().map(str::trim_start).collect();
        let frames = tree.lines().enumerate().map(|(at, line)| Frame {
            address: at as u64,
            depth: (line.len() - line.trim_start().len()) as u32,
            start_ns: 0,
            duration_ns: None,
            returned: None,
            interrupt: false,
        });
        let mut call = Call {
            number: 41,
            args: [0; 6],
            returned: Some(3),
            duration_ns: 0,
            before_exit,
            until_user_space: true,
            frames: frames.collect(),
        };
        mark_preemption(&mut call, &|address| {
            names.get(address as usize).map(|name| (*name).to_owned())
        });
        let frames = call.frames.iter().zip(names);
        let marked = frames.filter(|(frame, _)| frame.interrupt);
        marked.map(|(_, name)| name).collect()
    }

    /// Check that all below the exit of an interrupt is taken for the interrupt's, and nothing beside it.
    #[test]
    fn exits_of_interrupts() {
        let tree = "a\n raw_irqentry_exit_cond_resched\n  preempt_schedule_irq\n   pick\n b\npreempt_schedule_irq\nc";
        let exits = [
            "raw_irqentry_exit_cond_resched",
            "preempt_schedule_irq",
            "pick",
        ];
        assert_eq!(
            marked(tree, 7),
            [&exits[..], &["preempt_schedule_irq"]].concat()
        );
    }

    /// Check that a change of tasks against the task's will is marked from its first function to its last, and one that the call asks
    /// for is not.
    #[test]
    fn changes_of_tasks() {
        let switch = "  rcu_note_context_switch\n   x\n  pick\n  finish_task_switch.isra.0\n   y\n";
        let names = [
            "rcu_note_context_switch",
            "x",
            "pick",
            "finish_task_switch.isra.0",
            "y",
        ];
        assert_eq!(marked(&format!("a\n f\n{switch}  g\n h"), 9), names);
        assert_eq!(marked(&format!("a\n __cond_resched\n{switch} h"), 8), names);
        assert_eq!(marked(&format!("a\n schedule\n{switch} h"), 8), [""; 0]);
        // One whose end is not seen ends with its caller.
        assert_eq!(
            marked("a\n f\n  rcu_note_context_switch\n  pick\n h", 5),
            ["rcu_note_context_switch", "pick"]
        );
    }

    /// Check that a task which another one replaces on its way back to user space does not do it for its call.
    #[test]
    fn back_to_user_space() {
        let tree = "a\n schedule\nschedule\n pick\nb";
        assert_eq!(marked(tree, 1), ["schedule", "pick"]);
        assert_eq!(marked(tree, 5), [""; 0]);
    }
}
