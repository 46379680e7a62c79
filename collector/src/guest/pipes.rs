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

/// The reason why listening stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The progress line that was waited for.
    Line,
    /// All pipes have ended, as QEMU did.
    End,
    /// A limit is over.
    Limit,
}

/// One who listens to a running guest.
pub(super) struct Listener {
    pipes: Pipes,
    pub(super) seen: GuestOutput,
    lines: Console,
    /// Of the console and the progress lines; that of errors is whether there is such a pipe.
    open: [bool; 2],
    heard: Instant,
}

impl Listener {
    pub(super) fn new(pipes: Pipes) -> Self {
        Self {
            pipes,
            seen: GuestOutput {
                console: Console::new(CONSOLE_CAP, TAIL),
                last: "nothing".to_owned(),
                stderr: Vec::new(),
                timed_out: false,
                panicked: false,
                to_init: None,
            },
            lines: Console::new(CONSOLE_CAP, 1),
            open: [true; 2],
            heard: Instant::now(),
        }
    }

    /// Count the time of silence from now on.
    pub(super) fn expect(&mut self) {
        self.heard = Instant::now();
    }

    /// Read all pipes until the progress line `until` comes, they end, which they do when QEMU does, or a limit is over: so
    /// nothing that it wrote is lost.
    pub(super) async fn listen(
        &mut self,
        until: Option<&str>,
        limits: &Limits,
        progress: &dyn Fn(&str),
    ) -> Heard {
        let (mut console_buffer, mut lines_buffer, mut errors_buffer) =
            ([0; 4096], [0; 512], [0; 1024]);
        let (pipes, seen, started) = (&mut self.pipes, &mut self.seen, limits.started);
        let [console_open, lines_open] = &mut self.open;
        while *console_open || *lines_open || pipes.errors.is_some() {
            let mut deadline = self.heard + limits.silence;
            if let (Some(limit), None) = (limits.sign_of_life, seen.to_init) {
                deadline = deadline.min(started + limit);
            }
            let errors_open = pipes.errors.is_some();
            tokio::select! {
                n = read(&mut pipes.console, &mut console_buffer), if *console_open => {
                    *console_open = n > 0;
                    let new = seen.console.push(&console_buffer[..n]);
                    seen.panicked |= new.iter().any(|l| l.contains("Kernel panic"));
                }
                n = read(&mut pipes.lines, &mut lines_buffer), if *lines_open => {
                    *lines_open = n > 0;
                    let mut is_there = false;
                    for text in self.lines.push(&lines_buffer[..n]) {
                        seen.to_init.get_or_insert_with(|| started.elapsed());
                        self.heard = Instant::now();
                        progress(&text);
                        is_there |= until == Some(text.as_str());
                        seen.last = text;
                    }
                    if is_there {
                        return Heard::Line;
                    }
                }
                n = read_some(&mut pipes.errors, &mut errors_buffer), if errors_open => {
                    if n == 0 {
                        pipes.errors = None;
                    }
                    let room = 4096usize.saturating_sub(seen.stderr.len()).min(n);
                    seen.stderr.extend_from_slice(&errors_buffer[..room]);
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    seen.timed_out = true;
                    return Heard::Limit;
                }
            }
        }
        Heard::End
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

    /// Check that a guest may take longer than the limit as long as it makes progress, but not once it falls silent; and that the line
    /// that was waited for ends the wait once.
    #[tokio::test]
    async fn silence() {
        let (console, console_out) = std::io::pipe().unwrap();
        let (lines, mut lines_out) = std::io::pipe().unwrap();
        let mut listener = Listener::new(Pipes {
            console: receiver(console).unwrap(),
            lines: receiver(lines).unwrap(),
            errors: None,
        });
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
        let heard = listener.listen(Some("line 2"), &limits, &|_| {}).await;
        assert_eq!(
            (heard, listener.seen.last.as_str()),
            (Heard::Line, "line 2")
        );
        let heard = listener.listen(Some("line 2"), &limits, &|_| {}).await;
        assert_eq!((heard, listener.seen.timed_out), (Heard::Limit, true));
        assert_eq!(listener.seen.last, "line 4");
        assert!(limits.started.elapsed() >= Duration::from_millis(3500));
        drop(guest.join().unwrap());
    }
}
