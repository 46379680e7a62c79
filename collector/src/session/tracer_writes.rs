//! Writes to the files of the tracer, seen by inotify.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// A watch for writes to files, by any process and through any mount.
pub struct WriteWatch {
    inotify: Inotify,
    files: Vec<(WatchDescriptor, PathBuf)>,
}

impl WriteWatch {
    /// Watch those of `files` that exist.
    ///
    /// # Errors
    /// When the kernel has no inotify, or no room for more watches; with the file.
    pub fn watch(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, (PathBuf, Errno)> {
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
        let inotify = Inotify::init(flags).map_err(|error| (PathBuf::from("inotify"), error))?;
        let mut watched = Vec::new();
        for file in files {
            match inotify.add_watch(&file, AddWatchFlags::IN_MODIFY) {
                Ok(descriptor) => watched.push((descriptor, file)),
                // Some are newer than some kernels.
                Err(Errno::ENOENT) => {}
                Err(error) => return Err((file, error)),
            }
        }
        Ok(WriteWatch {
            inotify,
            files: watched,
        })
    }

    /// The first of the files that was written to since this was last asked; `None` if none was.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn first_written(&self) -> Result<Option<&Path>, Errno> {
        let mut first = None;
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(first),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
            };
            for event in events {
                let file = self.files.iter().find(|(watch, _)| *watch == event.wd);
                // More happened than the kernel has room for: which file it was does not matter.
                let file = file.or(self.files.first());
                first = first.or(file.map(|(_, file)| file.as_path()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a write is reported once, with its file, also if the old content was written back, and that reads are not
    /// reported.
    #[test]
    fn tells_writes() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, missing] = ["a", "b", "missing"].map(|name| folder.path().join(name));
        std::fs::write(&a, "1").unwrap();
        std::fs::write(&b, "0").unwrap();
        let writes = WriteWatch::watch([a.clone(), b.clone(), missing]).unwrap();
        assert_eq!(std::fs::read_to_string(&a).unwrap(), "1");
        assert_eq!(writes.first_written(), Ok(None));
        std::fs::write(&b, "1").unwrap();
        std::fs::write(&b, "0").unwrap();
        assert_eq!(writes.first_written(), Ok(Some(b.as_path())));
        assert_eq!(writes.first_written(), Ok(None));
    }
}
