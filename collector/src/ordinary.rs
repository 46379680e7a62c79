//! This program as an ordinary user runs it: with the capabilities of its file, and no others. For tests, inside a guest.
//!
//! It is the way in which a self-hosted runner captures: the file carries the capabilities (`setcap`), the user has none.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use caps::Capability;
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

/// Where the copies of the program and their files lie: a file system that keeps file capabilities.
const PLACE: &str = "/run";

/// The attribute that holds a file's capabilities, see capabilities(7).
const ATTRIBUTE: &std::ffi::CStr = c"security.capability";

/// What to run, and as whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runs {
    /// The user and group that run it. Nobody needs to know them.
    pub user: u32,
    /// Files that are written first, such as `/proc/sys/kernel/perf_event_paranoid`, and what goes into them.
    pub settings: Vec<(String, String)>,
    /// Files that are put into the working folder: name and text.
    pub files: Vec<(String, String)>,
    /// One run of the program each, with the capabilities that its file has for it (`CAP_BPF`).
    pub capabilities: Vec<Vec<String>>,
    /// The arguments.
    pub args: Vec<String>,
    /// A file in the working folder that is brought back after each run.
    pub result: String,
}

/// What one run did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
    /// The file that was asked for, if it is there.
    pub result: Option<Vec<u8>>,
}

/// Does the runs, one after the other, each in a working folder of its own.
///
/// # Errors
/// Where something cannot be set up, or a run cannot be started. A run that fails is an answer, not an error.
pub fn answer(runs: &Runs) -> anyhow::Result<Vec<Ran>> {
    fs::create_dir_all(PLACE).with_context(|| format!("failed to create {PLACE}"))?;
    mount(
        Some("tmpfs"),
        PLACE,
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .with_context(|| format!("failed to mount a tmpfs on {PLACE}"))?;
    for (file, text) in &runs.settings {
        fs::write(file, text).with_context(|| format!("failed to write {text:?} to {file}"))?;
    }
    runs.capabilities
        .iter()
        .enumerate()
        .map(|(n, capabilities)| one(runs, &Path::new(PLACE).join(n.to_string()), capabilities))
        .collect()
}

fn one(runs: &Runs, folder: &Path, capabilities: &[String]) -> anyhow::Result<Ran> {
    let program = folder.join("qed-collector");
    fs::create_dir(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    for (name, text) in &runs.files {
        fs::write(folder.join(name), text).with_context(|| format!("failed to write {name}"))?;
    }
    chown(folder, Some(runs.user), Some(runs.user)).context("failed to give the folder away")?;
    fs::copy("/proc/self/exe", &program).context("failed to copy this program")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    set_file_capabilities(&program, capabilities)?;
    let mut command = Command::new(&program);
    command.args(&runs.args).current_dir(folder);
    command.env("HOME", folder);
    as_user(&mut command, runs.user);
    let output = command
        .output()
        .with_context(|| format!("failed to start {}", program.display()))?;
    Ok(Ran {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        result: fs::read(folder.join(&runs.result)).ok(),
    })
}

/// The standard library also gives up the supplementary groups where the caller is root.
fn as_user(command: &mut Command, user: u32) {
    use std::os::unix::process::CommandExt as _;
    command.uid(user).gid(user);
}

/// What `setcap CAPABILITIES=ep FILE` does.
fn set_file_capabilities(file: &Path, capabilities: &[String]) -> anyhow::Result<()> {
    let value = attribute(capabilities)?;
    let path = CString::new(file.as_os_str().as_bytes())?;
    // SAFETY: the two strings end with a zero, and `value` is valid for its length.
    let result = unsafe {
        libc::setxattr(
            path.as_ptr(),
            ATTRIBUTE.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error())
            .with_context(|| format!("failed to give {} its capabilities", file.display()));
    }
    Ok(())
}

/// The attribute's value: `struct vfs_cap_data` of revision 2, with the effective flag
/// (<https://elixir.bootlin.com/linux/v6.1/source/include/uapi/linux/capability.h#L60>).
fn attribute(capabilities: &[String]) -> anyhow::Result<Vec<u8>> {
    const REVISION_2: u32 = 0x0200_0000;
    const EFFECTIVE: u32 = 1;
    let mut permitted = 0_u64;
    for name in capabilities {
        let capability: Capability = name
            .parse()
            .map_err(|_| anyhow::anyhow!("there is no capability {name}"))?;
        permitted |= 1 << capability.index();
    }
    let words = [
        REVISION_2 | EFFECTIVE,
        permitted as u32,
        0,
        (permitted >> 32) as u32,
        0,
    ];
    Ok(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

/// The investigation and the arguments of a capture, for [`Runs`]: on the machine that the guest is for its own users.
#[must_use]
pub fn capture(investigation: &str, capabilities: &[&[&str]]) -> Runs {
    let file = PathBuf::from("investigation.toml").display().to_string();
    Runs {
        user: 1000,
        settings: Vec::new(),
        files: vec![(file.clone(), investigation.to_owned())],
        capabilities: capabilities
            .iter()
            .map(|set| set.iter().map(ToString::to_string).collect())
            .collect(),
        args: [
            "capture",
            "--on",
            "host",
            "--debuginfo",
            "none",
            "--investigation",
            &file,
            "-o",
            "evidence.json",
        ]
        .map(str::to_owned)
        .to_vec(),
        result: "evidence.json".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that capabilities above and below the 32nd land in their words, and that a wrong name is refused.
    #[test]
    fn attribute_words() {
        let value = attribute(&["CAP_SYSLOG".into(), "CAP_DAC_READ_SEARCH".into()]).unwrap();
        let words: Vec<u32> = value
            .chunks(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(words, [0x0200_0001, 1 << 2, 0, 1 << (34 - 32), 0]);
        assert!(attribute(&["CAP_NONE".into()]).is_err());
    }
}
