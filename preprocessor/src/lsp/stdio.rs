//! The connection to an editor over standard input and output: one frame after the other, each with one message.
//!
//! A frame that holds no message is answered with an error, and the next one is read. Only without the length of a frame does
//! nobody know where the next one begins.

use std::io::{self, BufRead, Read, Write};
use std::thread::JoinHandle;

use lsp_server::{Connection, ErrorCode, Message};
use lsp_types::notification::{Exit, Notification as _};

/// The threads that read and write.
pub struct IoThreads {
    reader: JoinHandle<io::Result<()>>,
    writer: JoinHandle<io::Result<()>>,
}

impl IoThreads {
    /// Wait for the end of both.
    ///
    /// # Errors
    /// When a frame cannot be read or a message cannot be written.
    pub fn join(self) -> io::Result<()> {
        for thread in [self.reader, self.writer] {
            match thread.join() {
                Ok(ended) => ended?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    }
}

/// Connect to the editor.
pub fn connect() -> (Connection, IoThreads) {
    let (Connection { sender, receiver }, connection) = Connection::memory();
    let writer = std::thread::spawn(move || {
        let mut messages = receiver.into_iter();
        messages.try_for_each(|message| message.write(&mut io::stdout().lock()))
    });
    let reader = std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Some(frame) = read_frame(&mut input)? {
            let message = match read_message(&frame) {
                Ok(message) => message,
                Err(error) => {
                    error.write(&mut io::stdout().lock())?;
                    continue;
                }
            };
            let is_exit =
                matches!(&message, Message::Notification(one) if one.method == Exit::METHOD);
            sender.send(message).map_err(io::Error::other)?;
            if is_exit {
                break;
            }
        }
        Ok(())
    });
    (connection, IoThreads { reader, writer })
}

/// A frame that holds no message.
#[derive(Debug, PartialEq, Eq)]
struct BadFrame {
    code: i32,
    message: String,
}

impl BadFrame {
    /// Answer the editor. Nobody knows which request it was, so the answer names none.
    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let body = serde_json::json!({
            "jsonrpc": "2.0",
            "id": null,
            "error": { "code": self.code, "message": self.message },
        });
        let body = body.to_string();
        write!(output, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        output.flush()
    }
}

/// The message in a frame.
fn read_message(frame: &[u8]) -> Result<Message, BadFrame> {
    let bad = |code: ErrorCode, message: String| BadFrame {
        code: code as i32,
        message,
    };
    serde_json::from_slice::<serde_json::Value>(frame)
        .map_err(|error| bad(ErrorCode::ParseError, format!("this is not JSON: {error}")))?;
    let no_message = |error: &dyn std::fmt::Display| {
        bad(
            ErrorCode::InvalidRequest,
            format!("this is not a message of the protocol: {error}"),
        )
    };
    serde_json::from_slice(frame).map_err(|error| no_message(&error))
}

/// The content of the next frame; `None` at the end of the input.
///
/// # Errors
/// When its header cannot be read, or says no length, or the input ends inside of it.
fn read_frame(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut length: Option<u64> = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if !line.ends_with("\r\n") {
            return Err(invalid(format!("malformed header: {line:?}")));
        }
        let line = line.trim_end_matches("\r\n");
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else {
            return Err(invalid(format!("malformed header: {line:?}")));
        };
        if name.eq_ignore_ascii_case("Content-Length") {
            length = Some(
                value
                    .parse()
                    .map_err(|error| invalid(format!("malformed header: {line:?}: {error}")))?,
            );
        }
    }
    let length = length.ok_or_else(|| invalid("no Content-Length".to_owned()))?;
    let mut content = Vec::new();
    let read = input.take(length).read_to_end(&mut content)? as u64;
    match read == length {
        true => Ok(Some(content)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that frames are read one after the other, whatever they hold, and that a header without a length, or an end inside of
    /// a frame, is an error.
    #[test]
    fn frames() {
        let mut input: &[u8] = b"Content-Length: 2\r\n\r\n{]content-length: 3\r\nA: b\r\n\r\nabc";
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"{]");
        assert_eq!(read_frame(&mut input).unwrap().unwrap(), b"abc");
        assert_eq!(read_frame(&mut input).unwrap(), None);
        for bad in [
            "A: b\r\n\r\n",
            "Content-Length 2\r\n\r\n{}",
            "Content-Length: two\r\n\r\n{}",
            "Content-Length: 3\r\n\r\n{}",
            "{}\n",
        ] {
            assert!(read_frame(&mut bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// Check that what is not JSON and what is no message are told apart.
    #[test]
    fn messages() {
        let code = |frame: &[u8]| read_message(frame).map_err(|error| error.code).err();
        assert_eq!(code(b"{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}"), None);
        assert_eq!(code(b"{"), Some(-32700));
        assert_eq!(code(b"\"\xff\""), Some(-32700));
        assert_eq!(code(b"{\"jsonrpc\":\"2.0\"}"), Some(-32600));
    }
}
