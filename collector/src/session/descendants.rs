//! Processes and threads that a workload started and that still run.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Count those of `processes` that have a running thread. A process that has ended but was not waited for yet (a zombie) does
/// not count; one of which it is not known does.
pub fn count_running(processes: &[u32]) -> usize {
    processes
        .iter()
        .filter(|&&process| list_threads(process).map_or(true, |threads| !threads.is_empty()))
        .count()
}

/// The ids of the running threads of a process, those among them that the kernel started in it (workers of io_uring), too; none of a
/// process that is gone.
///
/// # Errors
/// When /proc cannot be read, or is not there: a workload may have unmounted it.
pub fn list_threads(process: u32) -> io::Result<BTreeSet<u32>> {
    threads_below(Path::new("/proc"), process)
}

fn threads_below(proc: &Path, process: u32) -> io::Result<BTreeSet<u32>> {
    let listed = match fs::read_dir(proc.join(process.to_string()).join("task")) {
        Ok(listed) => listed,
        // Only a folder that holds this process itself says that another one is gone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::metadata(proc.join(std::process::id().to_string()).join("task"))?;
            return Ok(BTreeSet::new());
        }
        Err(error) => return Err(error),
    };
    let mut running = BTreeSet::new();
    for thread in listed {
        let thread = thread?;
        let runs =
            fs::read_to_string(thread.path().join("stat")).is_ok_and(|stat| !has_ended(&stat));
        let name = thread.file_name();
        let tid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        running.extend(tid.filter(|_| runs));
    }
    Ok(running)
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

    /// Check that a thread is among those of this process while it runs, and that a process that is not there has none.
    #[test]
    fn threads_that_run() {
        let before = list_threads(std::process::id()).unwrap();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let (started, tid) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            started.send(nix::unistd::gettid().as_raw() as u32).unwrap();
            let _ = wait.recv();
        });
        let tid = tid.recv().unwrap();
        assert!(!before.contains(&tid));
        assert!(list_threads(std::process::id()).unwrap().contains(&tid));
        drop(end);
        thread.join().unwrap();
        assert!(list_threads(u32::MAX).unwrap().is_empty());
    }

    /// Check that without /proc nothing is said to have ended.
    #[test]
    fn without_proc() {
        let folder = tempfile::tempdir().unwrap();
        assert!(threads_below(folder.path(), 1).is_err());
        assert!(threads_below(&folder.path().join("none"), 1).is_err());
    }

    /// Check that this process counts as running, that a zombie does not, and that there is no process 0.
    #[test]
    fn a_zombie_has_ended() {
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let processes = [std::process::id(), child.id(), 0];
        let over = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            count_running(&processes) == 1
        });
        assert!(over);
        child.wait().unwrap();
    }
}
