//! The workload's connection to the collector: lines in on descriptor 0, lines out on 2.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;

use super::keeper::{Keeper, write_all};
use super::protocol::{FromChild, MESSAGE};

/// The way to the collector.
pub(super) enum Link {
    /// Its pipes, which we never close: descriptor 0 stays open.
    Pipe(ManuallyDrop<BufReader<File>>),
    /// Another process, which has the pipes.
    Kept(Keeper),
}

impl Link {
    pub(super) fn open() -> Self {
        // SAFETY: descriptor 0 is the collector's pipe, and nothing else uses it.
        let pipe = unsafe { File::from_raw_fd(0) };
        Self::Pipe(ManuallyDrop::new(BufReader::new(pipe)))
    }

    /// The next message from the collector.
    pub(super) fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        match self {
            Self::Pipe(pipe) => {
                pipe.read_line(&mut line)?;
            }
            Self::Kept(keeper) => line = keeper.read_line()?,
        }
        if line.is_empty() {
            return Err(io::Error::other("the collector is gone"));
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    /// Send a message, in one write without a lock or a buffer between. Its first byte distinguishes it from output of the call on the
    /// same pipe.
    pub(super) fn send(&self, message: &FromChild) -> io::Result<()> {
        let mut line = vec![MESSAGE];
        serde_json::to_writer(&mut line, message).map_err(io::Error::other)?;
        line.push(b'\n');
        match self {
            Self::Pipe(_) => write_all(2, &line),
            Self::Kept(keeper) => keeper.write(2, &line),
        }
    }
}
