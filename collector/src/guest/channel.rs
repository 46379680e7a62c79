//! The guest's end of the shared window: a PCI device whose memory needs no driver.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use super::qemu_args::WINDOW_DEVICE;
use super::wire::{self, BODY, FrameError, FrameKind, HEADER, MAGIC_END};
use crate::arch::Arch;

/// The time between two looks for a job. The machine is saved while it sleeps between them.
const POLL: std::time::Duration = std::time::Duration::from_millis(1);

/// The shared window, mapped.
pub struct Channel {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only written through `&mut self`.
unsafe impl Send for Channel {}

impl Channel {
    /// Find and map it.
    ///
    /// # Errors
    /// When sysfs shows no such device, or its memory cannot be mapped.
    pub fn open() -> io::Result<Self> {
        let device = find_device(Path::new("/sys/bus/pci/devices"))?;
        switch_on(&device);
        let file = File::options()
            .read(true)
            .write(true)
            .open(device.join(Arch::HOST.window_file()))?;
        let size = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if size <= BODY {
            return Err(io::Error::other(format!(
                "the shared window has only {size} bytes"
            )));
        }
        let length = std::num::NonZeroUsize::new(size).ok_or(io::ErrorKind::InvalidData)?;
        use nix::sys::mman::{MapFlags, ProtFlags, mmap};
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing else refers to it.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &file, 0) }?;
        Ok(Self {
            start: start.cast(),
            size,
        })
    }

    /// Hand out a body; what does not fit is replaced by an error that says so.
    pub fn send(&mut self, kind: FrameKind, body: &[u8]) {
        match wire::make_header(kind, body, self.size) {
            Ok(header) => self.write_body(&header, body),
            Err(too_large) => {
                let message = too_large.to_string();
                if let Ok(header) =
                    wire::make_header(FrameKind::Error, message.as_bytes(), self.size)
                {
                    self.write_body(&header, message.as_bytes());
                }
            }
        }
    }

    /// Wait for the job that the host puts into the window, and take it: the window is empty afterwards.
    ///
    /// # Errors
    /// When what is there is not a whole job.
    pub fn take_job(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; HEADER];
        let header = loop {
            self.read(0, &mut header);
            match wire::parse_header(&header, self.size) {
                Err(FrameError::Absent) => std::thread::sleep(POLL),
                opened => break opened.map_err(io::Error::other)?,
            }
        };
        fence(Ordering::SeqCst);
        if header.kind != FrameKind::Job {
            return Err(io::Error::other("what the host sent is not a job"));
        }
        let mut body = vec![0; header.length];
        self.read(BODY, &mut body);
        wire::check_body(&header, &body).map_err(io::Error::other)?;
        // A guest that dies now has left no frame.
        self.write(0, &[0; HEADER]);
        Ok(body)
    }

    fn write_body(&mut self, header: &[u8; HEADER], body: &[u8]) {
        self.write(BODY, body);
        self.write(MAGIC_END, &header[MAGIC_END..]);
        fence(Ordering::SeqCst);
        self.write(0, &header[..MAGIC_END]);
        fence(Ordering::SeqCst);
    }

    fn read(&self, at: usize, bytes: &mut [u8]) {
        assert!(
            at.checked_add(bytes.len())
                .is_some_and(|end| end <= self.size)
        );
        // SAFETY: the range lies in the mapping, as just checked, which lives as long as the process. The host writes only while
        // this machine is stopped.
        unsafe {
            self.start
                .as_ptr()
                .add(at)
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len())
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        assert!(
            at.checked_add(bytes.len())
                .is_some_and(|end| end <= self.size)
        );
        // SAFETY: the range lies in the mapping, as just checked, which lives as long as the process.
        unsafe {
            self.start
                .as_ptr()
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        }
    }
}

/// Let a device answer at its memory. Firmware does that on x86-64; where there is none, older kernels (6.1) leave it to a driver. Best
/// effort: a window that does not answer is told when it is used.
fn switch_on(device: &Path) {
    if Arch::HOST == Arch::Aarch64 {
        let _ = fs::write(device.join("enable"), "1");
    }
}

fn find_device(devices: &Path) -> io::Result<PathBuf> {
    let wanted = [("vendor", WINDOW_DEVICE.0), ("device", WINDOW_DEVICE.1)];
    for entry in fs::read_dir(devices)? {
        let folder = entry?.path();
        let is = |(name, id): &(&str, u16)| {
            let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
            u16::from_str_radix(text.trim().trim_start_matches("0x"), 16) == Ok(*id)
        };
        if wanted.iter().all(is) {
            return Ok(folder);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "no PCI device {:04x}:{:04x}",
            WINDOW_DEVICE.0, WINDOW_DEVICE.1
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the device is found by both ids, as sysfs writes them.
    #[test]
    fn found() {
        let folder = tempfile::tempdir().unwrap();
        for (name, vendor, device) in [
            ("a", "0x1af4", "0x1000"),
            ("b", "0x8086", "0x1110"),
            ("c", "0x1af4", "0x1110"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("vendor"), format!("{vendor}\n")).unwrap();
            fs::write(path.join("device"), format!("{device}\n")).unwrap();
        }
        assert_eq!(find_device(folder.path()).unwrap(), folder.path().join("c"));
        fs::remove_dir_all(folder.path().join("c")).unwrap();
        assert_eq!(
            find_device(folder.path()).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
