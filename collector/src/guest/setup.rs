//! The preparation of a guest that an investigation asks for: folders, and commands that run before anything is captured.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use qed_evidence::investigation::{Investigation, Setup};

use super::init::report_progress;

/// Make the folders in which workloads start, and run the commands of `[guest] setup`, one after the other.
///
/// # Errors
/// When a command cannot be run or fails: a capture after that would not match the investigation.
pub(super) fn set_up(investigation: &Investigation) -> anyhow::Result<()> {
    for line in &investigation.setup {
        run(line)?;
    }
    for experiment in &investigation.experiments {
        if let Some(cwd) = &experiment.workload.around.cwd {
            let folder = Path::new("/").join(cwd);
            fs::create_dir_all(&folder)
                .with_context(|| format!("failed to make the folder {}", folder.display()))?;
        }
    }
    Ok(())
}

fn run(setup: &Setup) -> anyhow::Result<()> {
    let line = setup.words.join(" ");
    let (program, arguments) = setup
        .words
        .split_first()
        .context("a command of `setup` is empty")?;
    report_progress(&format!("preparing: {line}"));
    // A path begins at the root, where the guest has what lies beside the investigation.
    let path = match program.contains('/') {
        true => Path::new("/").join(program),
        false => program.into(),
    };
    let output = Command::new(path)
        .args(arguments)
        .current_dir("/")
        .output()
        .with_context(|| format!("failed to prepare the guest: cannot run `{line}` of `setup`"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = [output.stderr, output.stdout].concat();
    anyhow::bail!(
        "failed to prepare the guest: `{line}` of `setup` ended with {}{}{}",
        output.status,
        if message.is_empty() { "" } else { ": " },
        String::from_utf8_lossy(&message).trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a command that succeeds is silent, and that one which fails or is not there is told with its line and
    /// what it said.
    #[test]
    fn commands() {
        let words = |words: &[&str]| Setup {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            span: 0..0,
        };
        run(&words(&["sh", "-c", "true"])).unwrap();
        let error = format!(
            "{:#}",
            run(&words(&["sh", "-c", "echo no >&2; exit 3"])).unwrap_err()
        );
        assert!(
            error.contains("echo no") && error.contains("3: no"),
            "{error}"
        );
        let error = format!("{:#}", run(&words(&["/no-such"])).unwrap_err());
        assert!(error.contains("cannot run `/no-such`"), "{error}");
    }
}
