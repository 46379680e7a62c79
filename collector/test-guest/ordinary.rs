//! The program as an ordinary user runs it: with the capabilities of its file, and no others.
//!
//! It is the way in which a self-hosted runner captures: the file carries the capabilities (`setcap`), the user has
//! none.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use caps::Capability;
use nix::mount::{MsFlags, mount};

use crate::job::{PROGRAM, Ran, Runs};

/// The folder for copies of the program and their files: a file system that keeps file capabilities.
const PLACE: &str = "/run";

/// The attribute that holds a file's capabilities, see capabilities(7).
const ATTRIBUTE: &std::ffi::CStr = c"security.capability";

/// Does the runs, one after the other, each in a working folder of its own.
///
/// # Errors
/// When something cannot be set up, or a run cannot be started. A run that fails is an answer, not an error.
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
    fs::copy(PROGRAM, &program).with_context(|| format!("failed to copy {PROGRAM}"))?;
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

/// Give a file its capabilities, as `setcap CAPABILITIES=ep FILE` does.
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
            .map_err(|_| anyhow::anyhow!("unknown capability {name}"))?;
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
