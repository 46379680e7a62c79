//! Processes that a workload started and that still run.

use std::fs;

/// Count those of `processes` that have a running thread. A process that has ended but was not waited for yet (a zombie) does
/// not count.
pub fn running(processes: &[u32]) -> usize {
    processes.iter().filter(|&&process| runs(process)).count()
}

fn runs(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| !has_ended(&stat))
    })
}

/// True if a line of `stat` is that of a thread that has released everything: a zombie, or one that is being removed. The name
/// before the state may contain any characters. <https://elixir.bootlin.com/linux/v6.1/source/fs/proc/array.c#L131>
fn has_ended(stat: &str) -> bool {
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Check that the state is found after a name that looks like a state.
    #[test]
    fn the_state_is_behind_the_name() {
        assert!(has_ended("12 (a) R b) Z 1 12 12"));
        assert!(has_ended("12 (a) X 1"));
        assert!(!has_ended("12 (a) Z b) S 1 12 12"));
        assert!(!has_ended(""));
    }

    /// Check that this process counts as running, that a zombie does not, and that there is no process 0.
    #[test]
    fn a_zombie_has_ended() {
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let processes = [std::process::id(), child.id(), 0];
        let over = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            running(&processes) == 1
        });
        assert!(over);
        child.wait().unwrap();
    }
}
