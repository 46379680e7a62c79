//! The collector as an external program: it lists the kernels that it can boot, and captures on one of them. Building the book
//! itself needs no privileges.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;

use crate::evidence::local_files;

/// A run of the collector that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// No collector.
    #[error(
        "there is no qed-collector in PATH or beside this program: install it, it boots the kernels"
    )]
    Missing,
    /// A collector that cannot be started.
    #[error("{} cannot be run: {error}", .program.display())]
    Start {
        /// Its file.
        program: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// A collector that said on standard error why it failed.
    #[error("qed-collector ended with {status}; it says why above")]
    Failed {
        /// Its end.
        status: ExitStatus,
    },
    /// Its answer is not understood.
    #[error("the list of kernels that qed-collector wrote is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

/// A kernel that the collector can have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BootableKernel {
    /// The guest that boots it, `guest:debian-7.0.13`.
    pub machine: String,
    /// Its release, `7.0.13+deb13-cloud-amd64`.
    pub release: String,
    /// Name and version of its package; `None`: it is in the cache, and not known to be served.
    #[serde(default)]
    pub package: Option<String>,
}

/// The capture of one guest.
#[derive(Clone, Copy, Debug)]
pub struct CaptureRequest<'a> {
    /// The book's folder, from where it runs.
    pub root: &'a Path,
    /// The investigation, relative to it.
    pub investigation: &'a Path,
    /// The guest.
    pub machine: &'a str,
    /// The file for the evidence, relative to the folder.
    pub file: &'a Path,
    /// `auto` or `none`: whether to fetch debug information.
    pub debuginfo: &'a str,
}

/// The collector of this machine.
#[derive(Clone, Debug)]
pub struct Collector {
    program: PathBuf,
}

impl Collector {
    /// The collector in `PATH`, else beside this program.
    ///
    /// # Errors
    /// [`CollectorError::Missing`].
    pub fn find() -> Result<Self, CollectorError> {
        let program = local_files::find_collector().ok_or(CollectorError::Missing)?;
        // Where PATH names a folder relative to here, and the program is run elsewhere.
        let program = std::path::absolute(&program).unwrap_or(program);
        Ok(Self { program })
    }

    /// All kernels for an architecture, by its name in Debian, that are served or cached.
    ///
    /// # Errors
    /// When it cannot be run, or says why it has no list.
    pub fn kernels(&self, arch: &str) -> Result<Vec<BootableKernel>, CollectorError> {
        let mut command = Command::new(&self.program);
        command
            .args(["kernels", "--format", "json", "--arch", arch])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let output = command.output().map_err(|error| self.start_error(error))?;
        if !output.status.success() {
            return Err(CollectorError::Failed {
                status: output.status,
            });
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Capture on one guest, without the picture of many boots. What it has to say goes to standard error.
    ///
    /// # Errors
    /// When it cannot be run, or fails.
    pub fn capture(&self, request: CaptureRequest<'_>) -> Result<(), CollectorError> {
        let status = Command::new(&self.program)
            .args(["capture", "--boots", "0", "--debuginfo", request.debuginfo])
            .arg("--investigation")
            .arg(request.investigation)
            .args(["--on", request.machine, "-o"])
            .arg(request.file)
            .current_dir(request.root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| self.start_error(error))?;
        match status.success() {
            true => Ok(()),
            false => Err(CollectorError::Failed { status }),
        }
    }

    fn start_error(&self, error: std::io::Error) -> CollectorError {
        CollectorError::Start {
            program: self.program.clone(),
            error,
        }
    }
}
