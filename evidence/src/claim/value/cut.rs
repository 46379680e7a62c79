//! Truncated values, of which only the beginning was stored.

use crate::document::value::{Cut, Frame};

use super::failure::Failure;

/// A value that was cut.
#[derive(Clone, Debug)]
pub(in crate::claim) struct TruncatedValue {
    pub prefix: Prefix,
    pub cut: Cut,
}

/// The part that was kept.
#[derive(Clone, Debug)]
pub(in crate::claim) enum Prefix {
    Text(String),
    Bytes(Vec<u8>),
    Stack(Vec<Frame>),
}

impl Prefix {
    /// Bytes, or frames of a stack.
    fn length(&self) -> usize {
        match self {
            Prefix::Text(text) => text.len(),
            Prefix::Bytes(bytes) => bytes.len(),
            Prefix::Stack(frames) => frames.len(),
        }
    }
}

impl TruncatedValue {
    /// Its kind with an article, for complaints.
    pub fn kind(&self) -> &'static str {
        match self.prefix {
            Prefix::Text(_) => "a text",
            Prefix::Bytes(_) => "bytes",
            Prefix::Stack(_) => "a stack",
        }
    }

    /// The failure of a question that only the whole value could answer.
    pub fn unknown_end_failure(&self) -> Failure {
        let (what, unit, remedy) = match &self.prefix {
            Prefix::Text(_) => ("the text", "byte", "; a longer one can be asked for"),
            Prefix::Bytes(_) => ("the memory", "byte", "; more of it can be asked for"),
            Prefix::Stack(_) => ("the stack", "frame", ""),
        };
        let retained = self.prefix.length();
        let plural = if retained == 1 { "" } else { "s" };
        Failure::Missing(format!(
            "{what} was cut after {retained} {unit}{plural}, and what was kept does not decide this{remedy}"
        ))
    }

    /// Its length, where that is known.
    pub fn length(&self) -> Result<u64, Failure> {
        self.cut.whole.ok_or_else(|| self.unknown_end_failure())
    }
}
