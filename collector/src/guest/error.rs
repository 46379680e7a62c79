//! Failures of guests.

use std::path::PathBuf;
use std::time::Duration;

use super::wire::FrameError;

/// A guest that could not be fetched or started, or did not deliver its result.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A program that this needs is not installed.
    #[error(
        "cannot {doing}: `{program}` was not found in PATH; install it with `apt-get install {package}`"
    )]
    MissingProgram {
        /// The operation.
        doing: &'static str,
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// This machine's apt sources name no mirror of Debian.
    #[error(
        "cannot look for kernels: this machine's apt sources name no mirror of Debian; name one with {variable}=URI (and {security}=URI for \
         security updates), or boot a kernel image of your own with guest:PATH-TO-VMLINUZ"
    )]
    NoMirror {
        /// The variable that names the main mirror.
        variable: &'static str,
        /// The variable that names the mirror of security updates.
        security: &'static str,
    },
    /// The signed index names another file than the one that is expected.
    #[error(
        "Debian's signed index names {package} with SHA-256 {found}, but {expected} was expected; the cached package list is out of date: \
         run again with --refresh"
    )]
    WrongDigest {
        /// Name and version.
        package: String,
        /// The expected digest, hex.
        expected: String,
        /// The digest in the index, hex.
        found: String,
    },
    /// A package that arrived otherwise than the signed index names it.
    #[error(
        "the downloaded {package} does not match Debian's signed index: SHA-256 {found}, expected {expected}. It was removed. \
         Start again; if the error persists, the mirror or a proxy before it is broken: name another one with {variable}=URI"
    )]
    Damaged {
        /// Name and version.
        package: String,
        /// The digest in the index, hex.
        expected: String,
        /// The digest of what arrived, hex.
        found: String,
        /// The variable that names the main mirror.
        variable: &'static str,
    },
    /// A package that did not arrive whole.
    #[error("cannot download {package}: {reason}. {}", download_advice(.reason))]
    Download {
        /// Name and version.
        package: String,
        /// The answer of apt.
        reason: String,
    },
    /// No kernel, neither served nor cached.
    #[error(
        "no kernel for guest:debian-{selector}: {reason}; none is cached in {cache}. `qed-collector kernels` lists what is served; a kernel image of your own is guest:PATH-TO-VMLINUZ"
    )]
    NoKernel {
        /// `6.1`
        selector: String,
        /// The answer of the distribution or the network.
        reason: String,
        /// The cache folder.
        cache: PathBuf,
    },
    /// A lock file names a kernel that is unavailable.
    #[error("{machine} is pinned to {pin} by {file}, and {reason}")]
    Pinned {
        /// `guest:debian-6.1`
        machine: String,
        /// Package and version, or the digest of an image.
        pin: String,
        /// The name of the lock file.
        file: &'static str,
        /// The reason why it is unavailable, and what to do.
        reason: String,
    },
    /// The package lists were never fetched and cannot be.
    #[error(
        "Debian cannot be asked which kernels it serves: {reason}. {}, or name a mirror with {variable}=URI",
        missing_lists_advice(.reason)
    )]
    NoLists {
        /// The answer of the network.
        reason: String,
        /// The variable that names the main mirror.
        variable: &'static str,
    },
    /// A kernel that a lock file names is not cached, and there is no network to download it.
    #[error(
        "{machine} is pinned to {pin} by {file}, which is not cached here, and Debian could not be asked for it: {reason}"
    )]
    PinnedUnreachable {
        /// `guest:debian-6.1`
        machine: String,
        /// Package and version.
        pin: String,
        /// The name of the lock file.
        file: &'static str,
        /// The answer of the network.
        reason: String,
    },
    /// The disk of the cache is full.
    #[error(
        "{doing}: no space is left on the disk of {cache}. Free some, for example with `qed-collector kernels prune`, and start again: a \
         download goes on where it stopped"
    )]
    DiskFull {
        /// The operation.
        doing: String,
        /// The cache folder.
        cache: PathBuf,
    },
    /// No debug information.
    #[error(
        "cannot get the debug information of kernel {release}: {reason}; go on without it with --debuginfo none, or name a vmlinux of the same build with --debuginfo PATH"
    )]
    NoDebugInfo {
        /// The kernel's release.
        release: String,
        /// The answer of the distribution or the network.
        reason: String,
    },
    /// No modules.
    #[error("Debian serves no package with the modules of kernel {release}")]
    NoModules {
        /// The kernel's release.
        release: String,
    },
    /// A kernel's lock file does not say which modules.
    #[error(
        "{file} pins no package with the modules of kernel {release}, and the investigation asks for modules: run `qed-collector \
         kernels update --book BOOK`, which pins it, too"
    )]
    UnpinnedModules {
        /// The kernel's release.
        release: String,
        /// The name of the lock file.
        file: &'static str,
    },
    /// No list of the modules that are built in.
    #[error(
        "Debian serves no package with the list of modules that are built into kernel {release}"
    )]
    NoBuiltInList {
        /// The kernel's release.
        release: String,
    },
    /// A program that was started failed.
    #[error("{doing}: `{program}` failed ({status}): {output}")]
    Program {
        /// The operation.
        doing: String,
        /// The program.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// A file or folder.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The user's cache folder cannot be found.
    #[error(
        "there is no folder to keep kernels in: set HOME or XDG_CACHE_HOME to a folder that you may write to"
    )]
    NoCache,
    /// The kernel image or the binary is unsuitable.
    #[error("cannot boot {path}: {reason}")]
    Unbootable {
        /// The file.
        path: PathBuf,
        /// The mistake, and the remedy.
        reason: String,
    },
    /// The archive could not be built.
    #[error(transparent)]
    Initramfs(#[from] super::initramfs::InitramfsError),
    /// KVM was asked for and cannot be used.
    #[error(
        "KVM was asked for and cannot be used: {reason}; leave the choice to the collector, or ask for emulation"
    )]
    Kvm {
        /// The cause.
        reason: String,
    },
    /// QEMU itself failed.
    #[error("QEMU could not run the guest ({status}): {output}")]
    Qemu {
        /// Its exit status.
        status: String,
        /// Its standard error.
        output: String,
    },
    /// QEMU's monitor failed while the guest was being saved.
    #[error("the guest could not be made to go on after it was saved: {reason}")]
    Monitor {
        /// The monitor's answer.
        reason: String,
    },
    /// The job cannot be handed to a guest that waits for it.
    #[error("the guest cannot be handed its job: {reason}")]
    Delivery {
        /// The cause.
        reason: String,
    },
    /// The kernel panicked.
    #[error("the guest's kernel panicked ({accelerator}). The last lines of its console:\n{tail}")]
    Panic {
        /// KVM or emulation.
        accelerator: &'static str,
        /// The console's last lines.
        tail: String,
    },
    /// The guest ran into the time limit.
    #[error(
        "the guest made no progress for {limit:?} ({accelerator}) and was killed; last heard: {last}. Allow more time with --limit, or see the last lines of its console:\n{tail}"
    )]
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// KVM or emulation.
        accelerator: &'static str,
        /// The last progress line.
        last: String,
        /// The console's last lines.
        tail: String,
    },
    /// A guest that powered off without a whole result.
    #[error("{frame} ({accelerator}); last heard: {last}. The last lines of its console:\n{tail}")]
    Frame {
        /// The mistake in the result.
        frame: FrameError,
        /// KVM or emulation.
        accelerator: &'static str,
        /// The last progress line.
        last: String,
        /// The console's last lines.
        tail: String,
    },
    /// The job inside the guest found a mistake in the investigation.
    #[error("{message}")]
    Refused {
        /// The diagnostics.
        message: String,
    },
    /// The job inside the guest failed and said why.
    #[error("in the guest: {message}")]
    Job {
        /// The message of the job.
        message: String,
        /// The console's last lines.
        tail: String,
    },
}

/// The advice for package lists that could not be downloaded.
fn missing_lists_advice(reason: &str) -> &'static str {
    match ["GPG error", "signature", "is not signed"]
        .iter()
        .any(|word| reason.contains(word))
    {
        true => "Nothing of it is used: bring the Debian package debian-archive-keyring up to date",
        false => "See whether the network works",
    }
}

/// The advice for a download that failed.
fn download_advice(reason: &str) -> &'static str {
    match reason.contains("404") {
        true => "The archive has something newer by now: ask it again with --refresh",
        false => "Start again when the network works: the download goes on where it stopped",
    }
}

impl GuestError {
    /// The process's exit status for this error: 3 where this machine cannot do what was asked, 2 for
    /// bad input.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Initramfs(_)
            | Self::Unbootable { .. }
            | Self::Refused { .. }
            | Self::Pinned { .. }
            | Self::UnpinnedModules { .. } => 2,
            _ => 3,
        }
    }

    /// The same error, or [`GuestError::DiskFull`] if a full disk is its cause.
    #[must_use]
    pub(crate) fn on_full_disk(self, cache: &std::path::Path) -> Self {
        let full = std::io::Error::from_raw_os_error(nix::libc::ENOSPC);
        // The system's words, without the number that Rust adds. apt passes on what the system says.
        let words = full.to_string();
        let words = words.split(" (os error").next().unwrap_or(&words);
        match self {
            Self::Program { doing, output, .. } if output.contains(words) => Self::DiskFull {
                doing,
                cache: cache.to_owned(),
            },
            Self::Download { package, reason } if reason.contains(words) => Self::DiskFull {
                doing: format!("download {package}"),
                cache: cache.to_owned(),
            },
            Self::NoLists { reason, .. } if reason.contains(words) => Self::DiskFull {
                doing: "fetch the package lists".into(),
                cache: cache.to_owned(),
            },
            Self::Io {
                doing,
                path,
                source,
            } if source.kind() == full.kind() => Self::DiskFull {
                doing: format!("{doing} {}", path.display()),
                cache: cache.to_owned(),
            },
            other => other,
        }
    }

    pub(super) fn monitor(error: super::qmp::QmpError) -> Self {
        Self::Monitor {
            reason: error.to_string(),
        }
    }

    pub(crate) fn io(
        doing: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a full disk is told apart from other failures, in the words of apt and of this program.
    #[test]
    fn full_disk() {
        let program = |output: &str| GuestError::Program {
            doing: "download x".into(),
            program: "apt-get".into(),
            status: "exit status: 100".into(),
            output: output.into(),
        };
        let cache = std::path::Path::new("/c");
        let report = |error: GuestError| error.on_full_disk(cache).to_string();
        let apt = "Err:1 http://m/debian x; Write error - write (28: No space left on device)";
        assert!(
            report(program(apt)).starts_with("download x: no space is left on the disk of /c.")
        );
        let source = std::io::Error::from_raw_os_error(nix::libc::ENOSPC);
        let io = GuestError::io("write", std::path::Path::new("/c/x"))(source);
        assert!(report(io).contains("no space is left"));
        let lists = |reason: &str| GuestError::NoLists {
            reason: reason.into(),
            variable: "V",
        };
        assert!(report(lists(apt)).starts_with("fetch the package lists: no space is left"));
        assert!(report(lists("W: GPG error: http://m")).contains("debian-archive-keyring"));
        let unsigned = "E: The repository 'http://m bookworm Release' is not signed.";
        assert!(report(lists(unsigned)).contains("debian-archive-keyring"));
        assert!(report(lists("E: Unable to connect")).contains("network works"));
        let download = |reason: &str| GuestError::Download {
            package: "x 1".into(),
            reason: reason.into(),
        };
        assert!(report(download(apt)).starts_with("download x 1: no space is left"));
        assert!(report(download("404  Not Found")).ends_with("with --refresh"));
        assert!(report(download("Connection refused")).contains("goes on where it stopped"));
    }
}
