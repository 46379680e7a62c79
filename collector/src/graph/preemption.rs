//! Preemption: work of the scheduler that runs in the task's own context, inside of the call, because an interrupt wanted the processor
//! for another task. It is not of the call. A call that sleeps enters the scheduler by itself, through `schedule`, which is of the call.

use super::error::GraphError;
use super::tree::{Frame, TracedCall};

/// The functions that an interrupt or an exception leaves through where it may give the processor to another task. They begin when
/// the interrupt is counted out already, so that no flag of their records tells them from the call's own.
/// <https://elixir.bootlin.com/linux/v6.12/A/ident/raw_irqentry_exit_cond_resched>,
/// <https://elixir.bootlin.com/linux/v6.12/A/ident/preempt_schedule_irq>
const EXITS: [&str; 4] = [
    "raw_irqentry_exit_cond_resched",
    "irqentry_exit_cond_resched",
    "preempt_schedule_irq",
    // Sets the timer of the processor again behind those; seen from 7.1 on.
    "__hrtimer_rearm_deferred",
];

/// The functions through which a task gives the processor up by itself.
/// <https://elixir.bootlin.com/linux/v6.12/A/ident/schedule_rtlock>
const VOLUNTARY: [&str; 5] = [
    "schedule",
    "schedule_rtlock",
    "schedule_idle",
    "rt_mutex_schedule",
    "do_task_dead",
];

/// The first and the last function that a change of tasks runs through which the tracer sees: `__schedule` itself and what takes a task
/// to it against its will, such as `preempt_schedule`, are not traced.
/// <https://elixir.bootlin.com/linux/v6.12/A/ident/__schedule>
const SWITCH: (&str, &str) = ("rcu_note_context_switch", "finish_task_switch");

/// The functions on the way back to user space in which a task may be preempted, where the tracer sees them.
/// <https://elixir.bootlin.com/linux/v6.1/A/ident/exit_to_user_mode_prepare>
const TO_USER_SPACE: [&str; 4] = [
    "exit_to_user_mode_prepare",
    "exit_to_user_mode_loop",
    "syscall_exit_to_user_mode",
    "do_syscall_64",
];

/// Beginnings of the names of what a change of tasks that stays with the same task ends with: it gives the processor's lock back.
const UNLOCK: [&str; 2] = ["_raw_spin_unlock", "raw_spin_rq_unlock"];

/// Mark what the scheduler ran against the task's will as an interrupt's. `symbol` names the function at an address.
///
/// # Errors
/// When it is not seen where a change of tasks ends: then it is not known which of the functions behind it are the call's.
pub fn mark_preemption(
    call: &mut TracedCall,
    symbol: &dyn Fn(u64) -> Option<String>,
) -> Result<(), GraphError> {
    let names: Vec<Option<String>> = (call.frames.iter())
        .map(|frame| symbol(frame.address))
        .collect();
    let mut open: Vec<Option<&str>> = Vec::new();
    let mut until = 0;
    for at in 0..call.frames.len() {
        let depth = call.frames[at].depth;
        open.truncate(depth as usize);
        let name = names[at].as_deref();
        if at >= until && !call.frames[at].interrupt {
            let caller = open.last().copied().flatten();
            let back = at >= call.before_exit
                && (open.iter()).all(|one| one.is_some_and(|one| TO_USER_SPACE.contains(&one)));
            if name.is_some_and(|name| EXITS.contains(&name) || (back && name == VOLUNTARY[0])) {
                until = subtree_end(&call.frames, at);
            } else if name == Some(SWITCH.0)
                && caller.is_none_or(|caller| !VOLUNTARY.contains(&caller))
            {
                until = switch_end(&call.frames, &names, at).ok_or(GraphError::Preempted)?;
            }
        }
        call.frames[at].interrupt |= at < until;
        open.push(name);
    }
    Ok(())
}

/// The place of the first frame behind this one and all below it.
fn subtree_end(frames: &[Frame], at: usize) -> usize {
    let depth = frames[at].depth;
    let behind = frames[at + 1..].iter();
    at + 1 + behind.take_while(|frame| frame.depth > depth).count()
}

/// The place of the first frame behind the change of tasks that begins here; `None`: that is not seen.
fn switch_end(frames: &[Frame], names: &[Option<String>], at: usize) -> Option<usize> {
    let depth = frames[at].depth;
    let mut unlocked = None;
    for next in at + 1..frames.len() {
        if frames[next].depth < depth {
            break;
        }
        let name = names[next].as_deref().unwrap_or_default();
        if frames[next].depth > depth || frames[next].interrupt {
            continue;
        }
        if is_switch_end(Some(name)) {
            return Some(subtree_end(frames, next));
        }
        if name == SWITCH.0 {
            break;
        }
        if unlocked.is_none() && UNLOCK.iter().any(|unlock| name.starts_with(unlock)) {
            unlocked = Some(subtree_end(frames, next));
        }
    }
    unlocked
}

/// True of the end of a change of tasks, also as the compiler's clone of it.
fn is_switch_end(name: Option<&str>) -> bool {
    name.and_then(|name| name.strip_prefix(SWITCH.1))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The functions that are marked, of a tree written as lines that are indented by their depth. `before_exit`: how many of them ran
    /// before `sys_exit`.
    fn marked(tree: &str, before_exit: usize) -> Vec<&str> {
        try_marked(tree, before_exit).unwrap()
    }

    fn try_marked(tree: &str, before_exit: usize) -> Result<Vec<&str>, GraphError> {
        let names: Vec<&str> = tree.lines().map(str::trim_start).collect();
        let frames = tree.lines().enumerate().map(|(at, line)| Frame {
            address: at as u64,
            depth: (line.len() - line.trim_start().len()) as u32,
            start_ns: 0,
            duration_ns: None,
            registers: Vec::new(),
            returned: None,
            interrupt: false,
        });
        let mut call = TracedCall {
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
        })?;
        let frames = call.frames.iter().zip(names);
        let marked = frames.filter(|(frame, _)| frame.interrupt);
        Ok(marked.map(|(_, name)| name).collect())
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
        // One that stays with the same task ends with the lock, and what the caller does then is the call's.
        assert_eq!(
            marked(
                "f\n rcu_note_context_switch\n pick\n raw_spin_rq_unlock\n sock_sendmsg\n  tcp_sendmsg\n fput",
                7
            ),
            ["rcu_note_context_switch", "pick", "raw_spin_rq_unlock"]
        );
        let unseen = try_marked("f\n rcu_note_context_switch\n pick\n fput", 4);
        assert!(matches!(unseen, Err(GraphError::Preempted)));
    }

    /// Check that a task which another one replaces on its way back to user space does not do it for its call.
    #[test]
    fn back_to_user_space() {
        let tree = "a\n schedule\nschedule\n pick\nb";
        assert_eq!(marked(tree, 1), ["schedule", "pick"]);
        assert_eq!(marked(tree, 5), [""; 0]);
        // 6.1 traces the function that does it.
        let old = "a\nexit_to_user_mode_prepare\n schedule\n  pick\n switch_fpu_return";
        assert_eq!(marked(old, 1), ["schedule", "pick"]);
        assert_eq!(marked("task_work_run\n schedule", 0), [""; 0]);
    }
}
