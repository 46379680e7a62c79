//! The processes of the collector itself, whose work is none of the workload's.

use std::path::Path;

use crate::workload::HIDDEN_ARGUMENT;

/// Those that run now: this one, and all that it started as a workload and that have not become another program. What cannot be read
/// is left out.
pub(super) fn list_processes() -> Vec<u32> {
    let own = std::process::id();
    let others = std::fs::read_dir("/proc").into_iter().flatten();
    let others = others.filter_map(|entry| {
        let entry = entry.ok()?;
        let id = entry.file_name().to_str()?.parse().ok()?;
        is_started_by(own, &entry.path()).then_some(id)
    });
    others.filter(|id| *id != own).chain([own]).collect()
}

/// True if the process of this folder of `/proc` was started by the collector `parent` to become a workload, or is a copy of such a
/// one: a copy has the same command line until it executes another program.
fn is_started_by(parent: u32, folder: &Path) -> bool {
    let Ok(line) = std::fs::read(folder.join("cmdline")) else {
        return false;
    };
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    arguments.next() == Some(HIDDEN_ARGUMENT.as_bytes())
        && arguments.next() == Some(parent.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that this process is one, another program is none, and a process that was started as a workload is one, but not of
    /// another collector.
    #[test]
    fn which_are_ours() {
        let own = std::process::id();
        assert!(list_processes().contains(&own));
        let mut other = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let is_ours = |line: &str| {
            std::fs::write(folder.path().join("cmdline"), line).unwrap();
            is_started_by(7, folder.path())
        };
        assert!(is_ours(&format!(
            "/proc/self/exe\0{HIDDEN_ARGUMENT}\x007\0"
        )));
        assert!(!is_ours(&format!(
            "/proc/self/exe\0{HIDDEN_ARGUMENT}\x0077\0"
        )));
        assert!(!is_ours("/proc/self/exe\0plan\x007\0"));
        assert!(!is_ours(""));
        assert!(!list_processes().contains(&other.id()));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
