//! Saved guests: resuming one in the place of a boot, and saving one after a boot.
//!
//! A guest that is to be saved has an initramfs without its job, and waits for it once it is set up. There it is stopped, QEMU
//! writes its whole state into the cache (a migration to a file), and it runs on with its job. A later guest of the same key is
//! not booted: QEMU reads the state, and the guest is handed another job. Each resumed guest is the same kernel in the same moment
//! of one boot, which is why its evidence says so.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use qed_programs::digest_cache::DigestCache;
use sha2::{Digest as _, Sha256};

use super::delivery::{self, AWAKE, DeliveryError, READY};
use super::machine::{HandOverError, Machine, Opened, QemuExit, memory_file};
use super::pipes::{Heard, Limits};
use super::process::join_lines;
use super::qemu_args::Paths;
use super::qmp::{Qmp, QmpError};
use super::states::{SavedGuest, StateError, StateKey, States, UnfinishedState};
use super::wire::FrameKind;
use super::{Accelerator, GuestError};

/// Time within which a resumed guest has to say that it is awake. It takes some milliseconds; beyond this a boot is the better
/// choice.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The accelerator of saved guests.
const ACCELERATOR: Accelerator = Accelerator::Tcg;

/// A guest that cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResumeError {
    /// What identifies its state cannot be read.
    #[error("what a saved guest depends on cannot be read: {0}")]
    Key(io::Error),
    /// The state is damaged, or another guest's.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its files cannot be handed over.
    #[error("its job cannot be handed to a guest that runs: {0}")]
    Delivery(#[from] DeliveryError),
    /// The window cannot be written.
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    /// QEMU does not take the state.
    #[error("{error}{}", said(.stderr))]
    Qemu {
        /// What its monitor said.
        error: QmpError,
        /// What it said besides.
        stderr: String,
    },
    /// QEMU could not be started.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The guest does not go on.
    #[error("the resumed guest showed no sign of life{}", said(.0))]
    NoLife(String),
    /// The check of the state did not end.
    #[error("the check of the saved guest did not end")]
    Check,
}

fn said(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!(" ({text})"),
    }
}

/// The saved state of a guest's machine, or the place for it.
pub(super) struct Warm<'m> {
    machine: &'m Machine<'m>,
    states: States,
    key: StateKey,
}

impl<'m> Warm<'m> {
    /// Find out which saved guest this would be.
    ///
    /// # Errors
    /// When it cannot be handed its job, or what it depends on cannot be read.
    pub(super) fn new(machine: &'m Machine<'m>) -> Result<Self, ResumeError> {
        delivery::check(&machine.spec.own_files, &machine.spec.files)?;
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").map_err(ResumeError::Key)?;
        Ok(Self {
            machine,
            states: States::of(&machine.spec.cache),
            key: key(machine, &cpuinfo).map_err(ResumeError::Key)?,
        })
    }

    /// Remove the saved guest, which is of no use.
    pub(super) fn discard(&self) {
        self.states.remove(&self.key);
    }

    /// Resume a saved guest, and wait for its end. Returns the time of the boot that it comes from, too; `None`: none is saved. One that
    /// cannot be resumed is removed.
    ///
    /// # Errors
    /// The reason why the guest has to be booted.
    pub(super) async fn resume(
        &self,
        progress: &dyn Fn(&str),
    ) -> Result<Option<(QemuExit, String)>, ResumeError> {
        let outcome = match self.states.find(&self.key) {
            Ok(None) => return Ok(None),
            Ok(Some(saved)) => self.wake(&saved, progress).await.map(|end| (end, saved)),
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok((end, saved)) => Ok(Some((end?, saved.header.booted))),
            Err(error) => {
                self.discard();
                Err(error)
            }
        }
    }

    /// Resume a saved guest. The inner error is one of its job.
    async fn wake(
        &self,
        saved: &SavedGuest,
        progress: &dyn Fn(&str),
    ) -> Result<Result<QemuExit, GuestError>, ResumeError> {
        progress("resuming a saved guest");
        let check = saved.check().map_err(StateError::Io)?;
        let check = tokio::task::spawn_blocking(check);
        // QEMU wants a kernel and an initramfs for the devices that bring them into memory, where they are by now.
        let initrd = memory_file("initrd", &[0; 4096])?;
        let (theirs, ours) = Qmp::pair().map_err(QmpError::Io).map_err(plain)?;
        let mut opened = self
            .machine
            .open(ACCELERATOR, &initrd, Some((&theirs, true)))?;
        drop(theirs);
        let loaded = async {
            let mut qmp = Qmp::open(ours).await?;
            qmp.load(saved.file()).await?;
            Ok(qmp)
        };
        let mut qmp = match loaded.await {
            Ok(qmp) => qmp,
            Err(error) => return Err(with_errors(error, opened).await),
        };
        check.await.map_err(|_| ResumeError::Check)??;
        opened.hand_over(&self.pack()?)?;
        if let Err(error) = qmp.cont().await {
            return Err(with_errors(error, opened).await);
        }
        opened.listener.expect();
        let limits = Limits {
            started: opened.started,
            sign_of_life: None,
            silence: SIGN_OF_LIFE,
        };
        match opened.listener.listen(Some(AWAKE), &limits, progress).await {
            Heard::Line => Ok(self.end(opened, progress).await),
            Heard::Limit => Err(ResumeError::NoLife(format!("within {SIGN_OF_LIFE:?}"))),
            Heard::End => {
                let end = opened.end(&limits, progress).await?;
                let said = match end.answer()? {
                    Ok((FrameKind::Error, message)) => {
                        String::from_utf8_lossy(&message).into_owned()
                    }
                    _ => join_lines(&end.seen.stderr),
                };
                Err(ResumeError::NoLife(said))
            }
        }
    }

    /// Boot the guest, save it where it waits for its job, and wait for its end. Why it was not saved is added to `notes`.
    ///
    /// # Errors
    /// When QEMU cannot be started.
    pub(super) async fn boot_and_save(
        &self,
        notes: &mut Vec<String>,
        progress: &dyn Fn(&str),
    ) -> Result<QemuExit, GuestError> {
        let booted = jiff::Timestamp::now().to_string();
        let initrd = self
            .machine
            .build_initramfs(&[(delivery::WAIT.to_owned(), Vec::new())])?;
        let (theirs, ours) = monitor()?;
        let mut opened = self
            .machine
            .open(ACCELERATOR, &initrd, Some((&theirs, false)))?;
        drop(theirs);
        let limits = self.limits(&opened);
        match opened.listener.listen(Some(READY), &limits, progress).await {
            Heard::Line => {}
            Heard::End | Heard::Limit => return opened.end(&limits, progress).await,
        }
        progress("saving the guest");
        let mut qmp = Qmp::open(ours).await.map_err(GuestError::monitor)?;
        qmp.stop().await.map_err(GuestError::monitor)?;
        let saved = self.save(&mut qmp).await;
        let job = self.pack().map_err(|error| GuestError::Delivery {
            reason: error.to_string(),
        })?;
        opened
            .hand_over(&job)
            .map_err(|error| GuestError::Delivery {
                reason: error.to_string(),
            })?;
        qmp.cont().await.map_err(GuestError::monitor)?;
        // The digest takes a while, and the guest has another processor.
        let published = saved
            .map(|unfinished| tokio::task::spawn_blocking(move || unfinished.publish(&booted)));
        let end = self.end(opened, progress).await;
        let published = match published {
            Err(error) => Err(error.to_string()),
            Ok(task) => match task.await {
                Ok(published) => published.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(why) = published {
            notes.push(format!("the guest was not saved for the next time: {why}"));
        }
        end
    }

    async fn save(&self, qmp: &mut Qmp) -> Result<UnfinishedState, SaveError> {
        let unfinished = self.states.begin(self.key.clone())?;
        qmp.save(unfinished.file()).await?;
        Ok(unfinished)
    }

    fn pack(&self) -> Result<Vec<u8>, DeliveryError> {
        delivery::pack(&self.machine.spec.files, &self.machine.spec.modes)
    }

    fn limits(&self, opened: &Opened) -> Limits {
        Limits {
            started: opened.started,
            sign_of_life: None,
            silence: self.machine.spec.limit,
        }
    }

    async fn end(
        &self,
        mut opened: Opened,
        progress: &dyn Fn(&str),
    ) -> Result<QemuExit, GuestError> {
        opened.listener.expect();
        let limits = self.limits(&opened);
        opened.end(&limits, progress).await
    }
}

/// A guest that is not saved.
#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error("no file can be made in the cache: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Qemu(#[from] QmpError),
}

fn monitor() -> Result<(OwnedFd, std::os::unix::net::UnixStream), GuestError> {
    Qmp::pair().map_err(|error| GuestError::monitor(error.into()))
}

fn plain(error: QmpError) -> ResumeError {
    let stderr = String::new();
    ResumeError::Qemu { error, stderr }
}

/// An error of the monitor, with what QEMU said about it.
async fn with_errors(error: QmpError, mut opened: Opened) -> ResumeError {
    opened.kill();
    let limits = Limits {
        started: opened.started,
        sign_of_life: None,
        silence: SIGN_OF_LIFE,
    };
    opened.listener.expect();
    opened.listener.listen(None, &limits, &|_| {}).await;
    let stderr = &opened.listener.seen.stderr;
    let stderr = match stderr.is_empty() {
        true => String::new(),
        false => join_lines(stderr),
    };
    ResumeError::Qemu { error, stderr }
}

/// The key of a machine: its kernel, all that its init consists of, its devices, memory, processors and command line, QEMU itself, and
/// the processors that run QEMU; `cpuinfo` is `/proc/cpuinfo`.
fn key(machine: &Machine<'_>, cpuinfo: &str) -> io::Result<StateKey> {
    let spec = machine.spec;
    let digests = DigestCache::for_user();
    let mut parts = vec![
        digests.sha256(&spec.kernel.path)?,
        digests.sha256(&spec.init)?,
        digests.sha256(&machine.qemu.canonicalize()?)?,
    ];
    digests.save();
    for (name, content) in &spec.own_files {
        parts.push(name.clone());
        parts.push(hex::encode(Sha256::digest(content)));
    }
    let paths = Paths {
        kernel: "kernel",
        initrd: "initrd",
        window: "window",
        console: "console",
        progress: "progress",
    };
    parts.extend(machine.arguments(ACCELERATOR, &paths));
    parts.push(describe_processors(cpuinfo));
    let label = match &spec.kernel.package {
        Some(package) => package.release.clone(),
        None => spec.kernel.path.display().to_string(),
    };
    Ok(StateKey::new(&label, parts.iter().map(String::as_str)))
}

/// The processors of this machine, without what changes from one moment to the next. An emulated guest has measured their time stamp
/// counter, which it reads, and on another machine that runs at another pace.
fn describe_processors(cpuinfo: &str) -> String {
    const STEADY: [&str; 5] = ["vendor_id", "cpu family", "model", "model name", "stepping"];
    let lines = cpuinfo.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().trim();
        STEADY.contains(&name)
    });
    let different: BTreeSet<&str> = lines.collect();
    let is_processor = |line: &&str| line.starts_with("processor");
    let count = cpuinfo.lines().filter(is_processor).count();
    let different: Vec<&str> = different.into_iter().collect();
    format!("{count}\n{}", different.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use super::super::cache::Cache;
    use super::super::{GuestSpec, KernelImage};
    use super::*;

    /// Check that a guest is not resumed on a machine with other processors, or with another number of them, and that how fast they run
    /// just now makes no difference.
    #[test]
    fn other_processors() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, name).unwrap();
            path
        };
        let kernel = KernelImage {
            arch: crate::arch::Arch::X86_64,
            path: file("kernel"),
            package: None,
            note: None,
            companions: Box::default(),
            debug: None,
            modules: Default::default(),
        };
        let cache = Cache::new(folder.path().join("cache"));
        let spec = GuestSpec::new(kernel, file("init"), cache);
        let qemu = file("qemu");
        let opened = File::open(Path::new("/dev/null")).unwrap();
        let machine = Machine {
            qemu: &qemu,
            spec: &spec,
            kernel: &opened,
        };
        let processor = |number: u32, model: &str, mhz: &str| {
            format!(
                "processor\t: {number}\nvendor_id\t: GenuineIntel\nmodel\t\t: 85\nmodel name\t: {model}\ncpu MHz\t\t: {mhz}\n\n"
            )
        };
        let key = |cpuinfo: &str| key(&machine, cpuinfo).unwrap();
        let own = key(&processor(0, "Xeon", "2000.000"));
        assert_eq!(own, key(&processor(0, "Xeon", "2100.000")));
        assert_ne!(own, key(&processor(0, "EPYC", "2000.000")));
        let two = processor(0, "Xeon", "2000.000") + &processor(1, "Xeon", "2000.000");
        assert_ne!(own, key(&two));
    }
}
