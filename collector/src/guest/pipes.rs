//! The output of a running guest, read from its pipes.

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe::Receiver;
use tokio::process::ChildStderr;

use super::console::Console;

/// Console text kept, in bytes.
const CONSOLE_CAP: usize = 1 << 20;
/// Console lines shown in an error.
const TAIL: usize = 40;

/// Everything that came out of a guest besides its result.
pub(super) struct GuestOutput {
    pub(super) console: Console,
    /// The last progress line.
    pub(super) last: String,
    pub(super) stderr: Vec<u8>,
    pub(super) timed_out: bool,
    pub(super) panicked: bool,
    /// Time to the first progress line.
    pub(super) to_init: Option<Duration>,
}

/// The pipes of a QEMU that runs.
pub(super) struct Pipes {
    pub(super) console: Receiver,
    pub(super) lines: Receiver,
    pub(super) errors: Option<ChildStderr>,
}

/// The limits on a guest.
pub(super) struct Limits {
    pub(super) started: Instant,
    /// Time within which the first progress line has to come.
    pub(super) sign_of_life: Option<Duration>,
    /// The longest time without a progress line. A guest that makes progress may take as long as its job needs: that depends on
    /// the investigation, and on the load of the machine.
    pub(super) silence: Duration,
}

impl Pipes {
    /// Read all pipes until they end, which they do when QEMU does, or a limit is over: so nothing that it wrote is
    /// lost.
    pub(super) async fn read_all(
        &mut self,
        limits: &Limits,
        progress: &dyn Fn(&str),
    ) -> GuestOutput {
        let mut seen = GuestOutput {
            console: Console::new(CONSOLE_CAP, TAIL),
            last: "nothing".to_owned(),
            stderr: Vec::new(),
            timed_out: false,
            panicked: false,
            to_init: None,
        };
        let mut lines = Console::new(CONSOLE_CAP, 1);
        let (mut console_buffer, mut lines_buffer, mut errors_buffer) =
            ([0; 4096], [0; 512], [0; 1024]);
        let (mut console_open, mut lines_open, mut errors_open) =
            (true, true, self.errors.is_some());
        let started = limits.started;
        let mut heard = started;
        while console_open || lines_open || errors_open {
            let mut deadline = heard + limits.silence;
            if let (Some(limit), None) = (limits.sign_of_life, seen.to_init) {
                deadline = deadline.min(started + limit);
            }
            tokio::select! {
                n = read(&mut self.console, &mut console_buffer), if console_open => {
                    console_open = n > 0;
                    let new = seen.console.push(&console_buffer[..n]);
                    seen.panicked |= new.iter().any(|l| l.contains("Kernel panic"));
                }
                n = read(&mut self.lines, &mut lines_buffer), if lines_open => {
                    lines_open = n > 0;
                    for text in lines.push(&lines_buffer[..n]) {
                        seen.to_init.get_or_insert_with(|| started.elapsed());
                        heard = Instant::now();
                        progress(&text);
                        seen.last = text;
                    }
                }
                n = read_some(&mut self.errors, &mut errors_buffer), if errors_open => {
                    errors_open = n > 0;
                    let room = 4096usize.saturating_sub(seen.stderr.len()).min(n);
                    seen.stderr.extend_from_slice(&errors_buffer[..room]);
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    seen.timed_out = true;
                    break;
                }
            }
        }
        seen
    }
}

/// The reading end of a pipe, for tokio.
pub(super) fn receiver(pipe: PipeReader) -> std::io::Result<Receiver> {
    Receiver::from_owned_fd(OwnedFd::from(pipe))
}

/// The number of bytes read; 0 at the end, and on an error, after which nothing more would come either.
async fn read(from: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> usize {
    from.read(buffer).await.unwrap_or(0)
}

async fn read_some(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match from {
        Some(from) => read(from, buffer).await,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Check that a guest may take longer than the limit as long as it makes progress, but not once it falls silent.
    #[tokio::test]
    async fn silence() {
        let (console, console_out) = std::io::pipe().unwrap();
        let (lines, mut lines_out) = std::io::pipe().unwrap();
        let mut pipes = Pipes {
            console: receiver(console).unwrap(),
            lines: receiver(lines).unwrap(),
            errors: None,
        };
        let limits = Limits {
            started: Instant::now(),
            sign_of_life: None,
            silence: Duration::from_millis(1500),
        };
        // Open until the end, like those of a guest that hangs.
        let guest = std::thread::spawn(move || {
            for line in 0..5 {
                std::thread::sleep(Duration::from_millis(400));
                writeln!(lines_out, "line {line}").unwrap();
            }
            (console_out, lines_out)
        });
        let seen = pipes.read_all(&limits, &|_| {}).await;
        assert!(seen.timed_out);
        assert_eq!(seen.last, "line 4");
        assert!(limits.started.elapsed() >= Duration::from_millis(3500));
        drop(guest.join().unwrap());
    }
}
