//! The output of a workload, read from a pipe and cut at a limit, and the messages of its protocol that come on the same pipe.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::protocol::MessageMarker;

/// The most bytes of one message. The results of all calls with their buffers are far smaller; more than that is output.
const LONGEST_MESSAGE: usize = 1 << 20;

/// Output read from a pipe.
pub(super) struct CapturedOutput<R> {
    pipe: R,
    splitter: OutputSplitter,
    pub(super) closed: bool,
}

impl<R: AsyncRead + Unpin> CapturedOutput<R> {
    /// Keep at most `limit` bytes of output. With a marker, what follows it up to the end of its line is a message.
    pub(super) fn new(pipe: R, limit: usize, marker: Option<MessageMarker>) -> Self {
        Self {
            pipe,
            splitter: OutputSplitter::new(limit, marker),
            closed: false,
        }
    }

    pub(super) async fn read_more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let count = self.pipe.read(&mut bytes).await?;
        self.closed = count == 0;
        if self.closed {
            self.splitter.finish();
        } else {
            self.splitter.push(&bytes[..count]);
        }
        Ok(())
    }

    /// The output so far, cut at the limit.
    pub(super) fn retained(&self) -> &[u8] {
        &self.splitter.retained
    }

    /// The output, cut at the limit.
    pub(super) fn into_retained(mut self) -> Vec<u8> {
        self.splitter.finish();
        self.splitter.retained
    }

    /// Number of bytes of output, with those behind the limit and without messages. What may still become a message is not counted.
    pub(super) fn printed(&self) -> u64 {
        self.splitter.printed
    }

    /// The next message, without its marker and its end of line.
    pub(super) fn take_message(&mut self) -> Option<Vec<u8>> {
        self.splitter.messages.pop_front()
    }
}

/// Separates messages from output in a stream of bytes, however it is cut into pieces.
#[derive(Debug)]
struct OutputSplitter {
    marker: Option<MessageMarker>,
    /// The most bytes of output to keep.
    limit: usize,
    retained: Vec<u8>,
    printed: u64,
    messages: VecDeque<Vec<u8>>,
    /// The bytes that may be the beginning of a message.
    undecided: Vec<u8>,
}

impl OutputSplitter {
    fn new(limit: usize, marker: Option<MessageMarker>) -> Self {
        Self {
            marker,
            limit,
            retained: Vec::new(),
            printed: 0,
            messages: VecDeque::new(),
            undecided: Vec::new(),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let Some(marker) = self.marker.clone() else {
            return self.keep(bytes);
        };
        let marker = marker.as_bytes();
        // A message that has begun is not searched again before its end of line is there.
        let unfinished = self.undecided.starts_with(marker) && !bytes.contains(&b'\n');
        self.undecided.extend_from_slice(bytes);
        if unfinished && self.undecided.len() <= LONGEST_MESSAGE {
            return;
        }
        let mut rest = std::mem::take(&mut self.undecided);
        loop {
            let start = find_start(&rest, marker);
            self.keep(&rest[..start]);
            rest.drain(..start);
            if !rest.starts_with(marker) {
                break;
            }
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.messages.push_back(rest[marker.len()..end].to_vec());
                    rest.drain(..=end);
                }
                None if rest.len() > LONGEST_MESSAGE => {
                    self.keep(&rest);
                    rest.clear();
                }
                None => break,
            }
        }
        self.undecided = rest;
    }

    /// Nothing follows: what could have become a message is output.
    fn finish(&mut self) {
        let rest = std::mem::take(&mut self.undecided);
        self.keep(&rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.printed += bytes.len() as u64;
        let room = self.limit.saturating_sub(self.retained.len());
        self.retained
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// The first place in `bytes` at which the marker begins, or may begin once more bytes are there; their number if there is none.
fn find_start(bytes: &[u8], marker: &[u8]) -> usize {
    (0..bytes.len())
        .find(|start| {
            let rest = &bytes[*start..];
            let compared = rest.len().min(marker.len());
            rest[..compared] == marker[..compared]
        })
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marker() -> MessageMarker {
        MessageMarker::new("0123456789abcdef")
    }

    fn split(limit: usize, pieces: &[&[u8]]) -> (Vec<u8>, u64, Vec<Vec<u8>>) {
        let mut splitter = OutputSplitter::new(limit, Some(marker()));
        for piece in pieces {
            splitter.push(piece);
        }
        splitter.finish();
        let messages = splitter.messages.into_iter().collect();
        (splitter.retained, splitter.printed, messages)
    }

    /// Check that a message behind more output than is kept is still received, and does not count as output.
    #[test]
    fn messages_behind_long_output() {
        let long = vec![b'x'; 100_000];
        let message = [marker().as_bytes(), b"\"Returned\"\n"].concat();
        let (retained, printed, messages) = split(65_536, &[&long, &message, b"end"]);
        assert_eq!((retained.len(), printed), (65_536, 100_003));
        assert_eq!(messages, [b"\"Returned\"".to_vec()]);
    }

    /// Check that what a call writes in the form of a message, without the marker of this workload, is output.
    #[test]
    fn forged_messages() {
        let other = MessageMarker::new("0123456789abcdee");
        let text = [other.as_bytes(), b"\"Returned\"\n\x1e\"Returned\"\n"].concat();
        let (retained, printed, messages) = split(65_536, &[&text]);
        assert_eq!((&retained, printed), (&text, text.len() as u64));
        assert!(messages.is_empty());
    }

    /// Check that a message without an end is output.
    #[test]
    fn unfinished_messages() {
        let text = [b"a".as_slice(), marker().as_bytes(), b"{"].concat();
        assert_eq!(split(65_536, &[&text]).0, text);
    }

    /// Check that without a marker everything is output.
    #[test]
    fn without_marker() {
        let mut splitter = OutputSplitter::new(4, None);
        splitter.push(marker().as_bytes());
        assert_eq!((splitter.retained.len(), splitter.printed), (4, 18));
    }

    proptest! {
        /// Check that output and messages are the same however the stream is cut into pieces.
        #[test]
        fn pieces(parts in prop::collection::vec((any::<bool>(), prop::collection::vec(prop::sample::select(&b"\x1e01a\n"[..]), 0..6)), 0..6),
                  cuts in prop::collection::vec(0_usize..200, 0..8)) {
            let mut stream = Vec::new();
            for (is_message, bytes) in &parts {
                if *is_message {
                    stream.extend_from_slice(marker().as_bytes());
                }
                stream.extend_from_slice(bytes);
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            prop_assert_eq!(split(1000, &pieces), split(1000, &[&stream]));
        }
    }
}
