//! The output of a workload, stored up to a limit.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::protocol::MESSAGE;

/// The first bytes of a pipe; the others are read and dropped, so that the writer is not held up.
pub(super) struct CapturedOutput<R> {
    pipe: R,
    pub(super) retained: Vec<u8>,
    /// The most bytes to keep.
    limit: usize,
    /// Number in all.
    pub(super) printed: u64,
    pub(super) closed: bool,
}

impl<R: AsyncRead + Unpin> CapturedOutput<R> {
    pub(super) fn new(pipe: R, limit: usize) -> Self {
        Self {
            pipe,
            retained: Vec::new(),
            limit,
            printed: 0,
            closed: false,
        }
    }

    pub(super) async fn read_more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let count = self.pipe.read(&mut bytes).await?;
        self.closed = count == 0;
        self.printed += count as u64;
        let room = self.limit.saturating_sub(self.retained.len());
        self.retained.extend_from_slice(&bytes[..count.min(room)]);
        Ok(())
    }
}

/// The first message that is there as a whole: where it begins, and where its line ends.
pub(super) fn find_message(bytes: &[u8]) -> Option<(usize, usize)> {
    let start = bytes.iter().position(|byte| *byte == MESSAGE)?;
    let length = bytes[start..].iter().position(|byte| *byte == b'\n')?;
    Some((start, start + length))
}
