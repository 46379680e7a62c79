//! A client of QEMU's monitor (<https://www.qemu.org/docs/master/interop/qmp-spec.html>), as far as a guest is saved and resumed
//! with it. Our own code because it is a hundred lines, and a file has to be handed over beside a command.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The time within which QEMU answers any command, and finishes a migration that makes progress.
const LIMIT: Duration = Duration::from_secs(30);

/// The time between two looks at whether a migration has been put away.
const SETTLING: Duration = Duration::from_millis(1);

/// The name under which QEMU keeps the file that is handed to it.
const FILE: &str = "state";

/// A monitor that does not do what it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The connection ended, or failed.
    #[error("QEMU does not answer: {0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("QEMU did not answer within {LIMIT:?}")]
    Silent,
    /// What came is not the protocol.
    #[error("QEMU's monitor answered with something else: {0}")]
    Form(#[from] serde_json::Error),
    /// A command was refused.
    #[error("QEMU refuses `{command}`: {reason}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's answer.
        reason: String,
    },
    /// A migration that ended, and not well.
    #[error("QEMU could not {doing} the guest ({status}){}", .reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Migration {
        /// `save` or `load`.
        doing: &'static str,
        /// QEMU's word for how it ended.
        status: String,
        /// The reason, if it gave one.
        reason: Option<String>,
    },
}

/// A line from the monitor.
#[derive(Deserialize)]
struct Line {
    event: Option<String>,
    data: Option<Value>,
    #[serde(rename = "return")]
    answer: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

/// A connection to a monitor.
pub(super) struct Qmp {
    lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    out: OwnedWriteHalf,
    /// Ends of migrations that were told while an answer was waited for.
    statuses: VecDeque<String>,
}

impl Qmp {
    /// The monitor's end for QEMU to inherit, and our end.
    ///
    /// # Errors
    /// When there are no more files.
    pub(super) fn pair() -> io::Result<(OwnedFd, std::os::unix::net::UnixStream)> {
        let (theirs, ours) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((theirs.into(), ours))
    }

    /// Begin to speak with a monitor, and make migrations fast and told of.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn open(ours: std::os::unix::net::UnixStream) -> Result<Self, QmpError> {
        let (read, out) = UnixStream::from_std(ours)?.into_split();
        let mut qmp = Self {
            lines: BufReader::new(read).lines(),
            out,
            statuses: VecDeque::new(),
        };
        // The greeting.
        qmp.line().await?;
        qmp.ask("qmp_capabilities", json!({})).await?;
        // The window is saved with the rest, and written back before a job is put there: without it (`x-ignore-shared`) QEMU wants it
        // where the guest had mapped it, and there it is only after it was resumed.
        let told = json!({ "capabilities": [{ "capability": "events", "state": true }] });
        qmp.ask("migrate-set-capabilities", told).await?;
        // Nobody else needs the disk while the guest is stopped.
        let bandwidth = json!({ "max-bandwidth": 1_u64 << 40 });
        qmp.ask("migrate-set-parameters", bandwidth).await?;
        Ok(qmp)
    }

    /// Stop the guest.
    ///
    /// # Errors
    /// When QEMU does not.
    pub(super) async fn stop(&mut self) -> Result<(), QmpError> {
        self.ask("stop", json!({})).await.map(drop)
    }

    /// Let the guest run.
    ///
    /// # Errors
    /// When QEMU does not.
    pub(super) async fn cont(&mut self) -> Result<(), QmpError> {
        let began = tokio::time::Instant::now();
        // A migration that was told to be complete is put away a little later, and until then the guest cannot run.
        while began.elapsed() < LIMIT {
            let state = self.ask("query-status", json!({})).await?;
            match state.get("status").and_then(Value::as_str) {
                Some("finish-migrate" | "inmigrate") => tokio::time::sleep(SETTLING).await,
                _ => break,
            }
        }
        self.ask("cont", json!({})).await.map(drop)
    }

    /// Write the state of a guest that is stopped into a file, from its current position on.
    ///
    /// # Errors
    /// When it cannot be saved, or the disk is full. The guest can run on.
    pub(super) async fn save(&mut self, to: &File) -> Result<(), QmpError> {
        self.hand_over(to).await?;
        self.ask("migrate", json!({ "uri": format!("fd:{FILE}") }))
            .await?;
        self.migrated("save").await
    }

    /// Read the state of a guest from a file, from its current position on. QEMU was started to wait for it.
    ///
    /// # Errors
    /// When it is not the state of such a guest.
    pub(super) async fn load(&mut self, from: &File) -> Result<(), QmpError> {
        self.hand_over(from).await?;
        self.ask("migrate-incoming", json!({ "uri": format!("fd:{FILE}") }))
            .await?;
        self.migrated("load").await
    }

    async fn migrated(&mut self, doing: &'static str) -> Result<(), QmpError> {
        loop {
            while let Some(status) = self.statuses.pop_front() {
                match status.as_str() {
                    "completed" => return Ok(()),
                    "failed" | "cancelled" => {
                        let answer = self.ask("query-migrate", json!({})).await?;
                        let reason = answer.get("error-desc").and_then(Value::as_str);
                        return Err(QmpError::Migration {
                            doing,
                            reason: reason.map(str::to_owned),
                            status,
                        });
                    }
                    _ => {}
                }
            }
            let line = self.line().await?;
            self.note(line);
        }
    }

    /// Hand over an open file, to be called [`FILE`].
    async fn hand_over(&mut self, file: &File) -> Result<(), QmpError> {
        let text = command("getfd", json!({ "fdname": FILE }));
        let fds = [file.as_raw_fd()];
        let send = || {
            let socket = self.out.as_ref().as_raw_fd();
            let message = [IoSlice::new(text.as_bytes())];
            let rights = [ControlMessage::ScmRights(&fds)];
            sendmsg::<()>(socket, &message, &rights, MsgFlags::empty(), None)
                .map_err(io::Error::from)
        };
        self.out.writable().await?;
        let sent = self
            .out
            .as_ref()
            .try_io(tokio::io::Interest::WRITABLE, send)?;
        // A command is shorter than what a socket takes at once.
        if sent != text.len() {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        self.answer("getfd").await.map(drop)
    }

    async fn ask(&mut self, name: &'static str, arguments: Value) -> Result<Value, QmpError> {
        self.out
            .write_all(command(name, arguments).as_bytes())
            .await?;
        self.answer(name).await
    }

    async fn answer(&mut self, command: &'static str) -> Result<Value, QmpError> {
        loop {
            let line = self.line().await?;
            if let Some(refusal) = line.error {
                let reason = refusal.desc;
                return Err(QmpError::Refused { command, reason });
            }
            if let Some(answer) = line.answer {
                return Ok(answer);
            }
            self.note(line);
        }
    }

    /// Remember what an event says about a migration.
    fn note(&mut self, line: Line) {
        if line.event.as_deref() == Some("MIGRATION")
            && let Some(status) = line
                .data
                .as_ref()
                .and_then(|data| data.get("status")?.as_str())
        {
            self.statuses.push_back(status.to_owned());
        }
    }

    async fn line(&mut self) -> Result<Line, QmpError> {
        let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await;
        let line = line.map_err(|_| QmpError::Silent)??;
        let line = line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok(serde_json::from_str(&line)?)
    }
}

fn command(name: &str, arguments: Value) -> String {
    format!("{}\n", json!({ "execute": name, "arguments": arguments }))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, Read as _, Write as _};
    use std::os::unix::net::UnixStream as Blocking;

    use super::*;

    /// Answer each command of a client with the next of `answers`, after an event; give back the commands.
    fn monitor(
        theirs: OwnedFd,
        answers: &'static [&'static str],
    ) -> std::thread::JoinHandle<Vec<String>> {
        let mut stream = Blocking::from(theirs);
        std::thread::spawn(move || {
            writeln!(
                stream,
                r#"{{"QMP": {{"version": {{}}, "capabilities": []}}}}"#
            )
            .unwrap();
            let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
            let mut heard = Vec::new();
            for answer in answers {
                heard.extend(lines.next().map(Result::unwrap));
                writeln!(stream, r#"{{"event": "STOP", "data": {{}}}}"#).unwrap();
                writeln!(stream, "{answer}").unwrap();
            }
            let _ = stream.set_nonblocking(true);
            let _ = stream.read(&mut [0; 1]);
            heard
        })
    }

    const OK: &str = r#"{"return": {}}"#;

    /// Check that events between answers are passed over, that a guest goes on only once QEMU lets it, and that a failed migration is
    /// told with QEMU's reason.
    #[tokio::test]
    async fn fails_to_save() {
        let (theirs, ours) = Qmp::pair().unwrap();
        let heard = monitor(
            theirs,
            &[
                OK,
                OK,
                OK,
                OK,
                r#"{"return": {"status": "finish-migrate"}}"#,
                r#"{"return": {"status": "postmigrate"}}"#,
                OK,
                OK,
                concat!(
                    r#"{"return": {}}"#,
                    "\n",
                    r#"{"event": "MIGRATION", "data": {"status": "setup"}}"#,
                    "\n",
                    r#"{"event": "MIGRATION", "data": {"status": "failed"}}"#
                ),
                r#"{"return": {"status": "failed", "error-desc": "No space left on device"}}"#,
            ],
        );
        let mut qmp = Qmp::open(ours).await.unwrap();
        qmp.stop().await.unwrap();
        qmp.cont().await.unwrap();
        let error = qmp.save(&tempfile::tempfile().unwrap()).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            "QEMU could not save the guest (failed): No space left on device"
        );
        drop(qmp);
        let heard = heard.join().unwrap();
        let names: Vec<String> = heard
            .iter()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["execute"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(
            names,
            [
                "qmp_capabilities",
                "migrate-set-capabilities",
                "migrate-set-parameters",
                "stop",
                "query-status",
                "query-status",
                "cont",
                "getfd",
                "migrate",
                "query-migrate"
            ]
        );
    }

    /// Check that a QEMU which ends instead of answering is an error, not a wait.
    #[tokio::test]
    async fn ends() {
        let (theirs, ours) = Qmp::pair().unwrap();
        drop(theirs);
        assert!(matches!(Qmp::open(ours).await, Err(QmpError::Io(_))));
    }
}
