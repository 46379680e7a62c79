//! A process that holds the pipes to the collector for a workload whose call may close, replace or read them. Workload and
//! keeper talk through shared memory, which no call on descriptors affects.

use std::io::{self, BufRead as _, BufReader};
use std::os::fd::FromRawFd as _;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, fork, getpid, getppid};

/// The longest line: what six buffers of the most bytes give, in hexadecimal.
const ROOM: usize = 64 << 10;

/// Nothing is asked for.
const IDLE: u32 = 0;
/// Read a line from descriptor 0.
const READ: u32 = 3;
/// The pipe is gone, or the line is too long.
const FAILED: u32 = 4;

/// The shared memory. `task` is [`IDLE`], [`READ`], [`FAILED`], or the descriptor to write to.
#[repr(C)]
struct Shared {
    task: AtomicU32,
    length: AtomicU32,
    bytes: [u8; ROOM],
}

/// The workload's handle to the keeper process.
pub(super) struct Keeper(NonNull<Shared>);

impl Keeper {
    /// Start it. What comes from the collector has to be read through it from then on.
    pub(super) fn start() -> io::Result<Self> {
        // SAFETY: new memory, all zero, which is a valid `Shared`; it is never unmapped.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let shared = NonNull::new(memory.cast::<Shared>())
            .filter(|_| memory != libc::MAP_FAILED)
            .ok_or_else(io::Error::last_os_error)?;
        let workload = getpid();
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => Ok(Self(shared)),
            ForkResult::Child => {
                // The keeper ends with the workload, so that the collector sees the pipes closed.
                let dies = prctl::set_pdeathsig(Signal::SIGKILL);
                if dies.is_ok() && getppid() == workload {
                    serve(shared);
                }
                // SAFETY: ends the process.
                unsafe { libc::_exit(0) }
            }
        }
    }

    pub(super) fn read_line(&mut self) -> io::Result<String> {
        let length = self.request(READ, 0)?;
        // SAFETY: the other process has written so many bytes, and waits.
        let bytes = unsafe { slice::from_raw_parts(self.bytes(), length.min(ROOM)) };
        String::from_utf8(bytes.to_vec()).map_err(io::Error::other)
    }

    pub(super) fn write(&self, descriptor: i32, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > ROOM {
            return Err(io::Error::other("the line is too long"));
        }
        // SAFETY: there is room for them, and the other process waits.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.bytes(), bytes.len()) };
        self.request(descriptor.unsigned_abs(), bytes.len())
            .map(drop)
    }

    fn bytes(&self) -> *mut u8 {
        // SAFETY: the memory is mapped as long as the process lives.
        unsafe { (&raw mut (*self.0.as_ptr()).bytes).cast() }
    }

    /// Have it done, and wait until it is. Returns the length that it left.
    fn request(&self, task: u32, length: usize) -> io::Result<usize> {
        let (state, size) = state_and_length(self.0);
        size.store(length as u32, Ordering::Relaxed);
        state.store(task, Ordering::Release);
        wake(state);
        loop {
            match state.load(Ordering::Acquire) {
                IDLE => return Ok(size.load(Ordering::Relaxed) as usize),
                FAILED => return Err(io::Error::other("the collector is gone")),
                busy => wait(state, busy),
            }
        }
    }
}

fn state_and_length(shared: NonNull<Shared>) -> (&'static AtomicU32, &'static AtomicU32) {
    // SAFETY: the memory is mapped as long as the process lives, and both are atomic.
    unsafe { (&(*shared.as_ptr()).task, &(*shared.as_ptr()).length) }
}

/// The keeper process: serve requests until the workload ends, which ends this process as well, or until the collector is gone.
fn serve(shared: NonNull<Shared>) {
    let (state, size) = state_and_length(shared);
    // SAFETY: the memory is mapped as long as the process lives.
    let bytes: *mut u8 = unsafe { (&raw mut (*shared.as_ptr()).bytes).cast() };
    // SAFETY: descriptor 0 is the collector's pipe, and nothing else in this process uses it.
    let mut pipe = BufReader::new(unsafe { std::fs::File::from_raw_fd(0) });
    loop {
        let task = state.load(Ordering::Acquire);
        let done = match task {
            IDLE => {
                wait(state, IDLE);
                continue;
            }
            READ => {
                let mut line = Vec::new();
                let read = pipe.read_until(b'\n', &mut line);
                // SAFETY: as many bytes as there is room for; the workload waits.
                unsafe { ptr::copy_nonoverlapping(line.as_ptr(), bytes, line.len().min(ROOM)) };
                size.store(line.len().min(ROOM) as u32, Ordering::Relaxed);
                read.is_ok() && line.len() <= ROOM
            }
            descriptor => {
                let length = (size.load(Ordering::Relaxed) as usize).min(ROOM);
                // SAFETY: the workload has written so many bytes, and waits.
                let line = unsafe { slice::from_raw_parts(bytes, length) };
                write_all(descriptor as i32, line).is_ok()
            }
        };
        state.store(if done { IDLE } else { FAILED }, Ordering::Release);
        wake(state);
    }
}

/// Write to a descriptor that no Rust value owns.
pub(super) fn write_all(descriptor: i32, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are valid for reading.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written) => bytes = &bytes[written..],
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

/// Sleep as long as the word has this value; may wake early.
fn wait(word: &AtomicU32, value: u32) {
    // SAFETY: the word is valid, and there is no time limit.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            ptr::null::<libc::timespec>(),
        )
    };
}

fn wake(word: &AtomicU32) {
    // SAFETY: the word is valid.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
