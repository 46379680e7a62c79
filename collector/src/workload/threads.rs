//! The same system call in several threads at once, for experiments that need many calls in progress together.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction,
};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;

use super::invoke::invoke;

/// The signal that wakes a thread that sleeps in its call.
const WAKE: Signal = Signal::SIGUSR1;
/// The time that a thread sleeps before its call, and the delay until it is woken: by then the thread that waits for it sleeps
/// itself.
const APART: Duration = Duration::from_millis(2);
/// The interval at which the state of the threads is polled: longer than [`APART`] and the way into the call.
const PAUSE: Duration = Duration::from_millis(10);
/// The interval at which a thread that went on sleeping is woken again.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest wait for a thread that neither sleeps in its call nor returns, before the next one starts: calls that compute
/// are to overlap as well.
const COMPUTES: Duration = Duration::from_millis(100);

extern "C" fn on_wake_signal(_: i32) {}

struct Caller {
    handle: JoinHandle<i64>,
    /// 0 until the thread is about to make its call, then its number.
    tid: Arc<AtomicI32>,
}

/// Make the call in `count` threads. When each has returned from it or sleeps in it, those that sleep are woken by a
/// signal, so that a call that would wait forever ends with EINTR. Return what all the calls returned.
///
/// The threads enter their calls one after the other, and are woken one after the other, each time while the thread that waits
/// for them sleeps: timers do both. A thread that enters the kernel while another is preempted inside of a probe's program, on
/// the same processor, is not seen by that program: Linux 7.3 runs those of `sys_enter` and `sys_exit` with preemption on, and
/// skips a program that is under way there.
///
/// # Errors
/// When a thread cannot be started, or the calls did not all return the same.
///
/// # Safety
/// As of [`invoke`]; and the pointers among the arguments must bear being used by all threads at once.
pub(super) unsafe fn call_in_threads(words: [i64; 7], count: u32) -> io::Result<i64> {
    let action = SigAction::new(
        SigHandler::Handler(on_wake_signal),
        // Without SA_RESTART: the call has to end.
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing.
    unsafe { sigaction(WAKE, &action) }?;
    let mut callers = Vec::new();
    for _ in 0..count {
        // SAFETY: promised by the caller.
        let caller = unsafe { Caller::start(words) }?;
        let started = Instant::now();
        while !caller.is_settled() && started.elapsed() < COMPUTES {
            thread::sleep(PAUSE);
        }
        callers.push(caller);
    }
    while !callers.iter().all(Caller::is_settled) {
        thread::sleep(PAUSE);
    }
    let mut returned = Vec::new();
    for caller in callers {
        let value = caller.wake_and_join()?;
        returned.push(value);
    }
    returned.dedup();
    match returned[..] {
        [one] => Ok(one),
        _ => Err(io::Error::other(format!(
            "the calls of the threads returned different values: {returned:?}"
        ))),
    }
}

impl Caller {
    /// Start a thread that makes the call.
    ///
    /// # Safety
    /// As of [`call_in_threads`].
    unsafe fn start(words: [i64; 7]) -> io::Result<Self> {
        let tid = Arc::new(AtomicI32::new(0));
        let says = Arc::clone(&tid);
        let call = move || {
            thread::sleep(APART);
            says.store(nix::unistd::gettid().as_raw(), Ordering::Release);
            // SAFETY: promised by the caller.
            unsafe { invoke(&words) }
        };
        let handle = thread::Builder::new().stack_size(64 << 10).spawn(call)?;
        Ok(Self { handle, tid })
    }

    /// True if the thread has returned from its call or sleeps in it.
    fn is_settled(&self) -> bool {
        self.is_finished() || self.is_asleep()
    }

    /// Wake the thread if it sleeps in its call. Returns what the call returned.
    fn wake_and_join(self) -> io::Result<i64> {
        let _timer = if self.is_finished() {
            None
        } else {
            self.wake_later()?
        };
        self.handle
            .join()
            .map_err(|_| io::Error::other("a thread of the workload panicked"))
    }

    /// Start the timer that sends the thread the signal, until it is dropped; `None`: the thread has ended.
    fn wake_later(&self) -> io::Result<Option<Timer>> {
        let event = SigevNotify::SigevThreadId {
            signal: WAKE,
            thread_id: self.tid.load(Ordering::Acquire),
            si_value: 0,
        };
        let mut timer = match Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(event)) {
            Err(Errno::EINVAL) => return Ok(None),
            timer => timer?,
        };
        let times = Expiration::IntervalDelayed(APART.into(), AGAIN.into());
        timer.set(times, TimerSetTimeFlags::empty())?;
        Ok(Some(timer))
    }

    fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// True if the thread sleeps in its call: it has said that it is about to make it, and the kernel has it asleep.
    fn is_asleep(&self) -> bool {
        let tid = self.tid.load(Ordering::Acquire);
        tid != 0
            && fs::read_to_string(format!("/proc/self/task/{tid}/stat"))
                .is_ok_and(|stat| parse_state(&stat) == Some('S'))
    }
}

/// The state in a line of `/proc/PID/stat`: it follows the name, which may contain any characters.
fn parse_state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the state is found after a name that contains text like a state.
    #[test]
    fn states() {
        assert_eq!(parse_state("12 (a) S) R 1 2"), Some('R'));
        assert_eq!(parse_state("12 (sleep) S 1 2"), Some('S'));
        assert_eq!(parse_state(""), None);
    }

    /// Check that calls that return are made in each thread, and calls that would wait forever are ended.
    #[test]
    fn calls_end() {
        let call = |number, count| {
            // SAFETY: no pointers.
            unsafe { call_in_threads([number, 0, 0, 0, 0, 0, 0], count) }
        };
        assert_eq!(
            call(libc::SYS_getpid, 3).unwrap(),
            i64::from(std::process::id())
        );
        assert_eq!(call(libc::SYS_pause, 12).unwrap(), -i64::from(libc::EINTR));
        let error = call(libc::SYS_gettid, 2).unwrap_err().to_string();
        assert!(error.contains("different values"), "{error}");
    }
}
