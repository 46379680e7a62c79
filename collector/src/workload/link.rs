//! The workload's connection to the collector: lines in on descriptor 0, lines out on 2.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;

use super::keeper::{Keeper, write_all};
use super::protocol::{FromChild, MessageMarker, WorkloadJob};

/// The way to the collector.
pub(super) struct Link {
    channel: Channel,
    marker: MessageMarker,
}

/// Where lines are read and written.
enum Channel {
    /// Its pipes, which we never close: descriptor 0 stays open.
    Pipe(ManuallyDrop<BufReader<File>>),
    /// Another process, which has the pipes.
    Kept(Keeper),
}

impl Channel {
    fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
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
}

impl Link {
    /// The connection, and the first line on it: what to run.
    pub(super) fn open() -> io::Result<(Self, WorkloadJob)> {
        // SAFETY: descriptor 0 is the collector's pipe, and nothing else uses it.
        let pipe = unsafe { File::from_raw_fd(0) };
        let mut channel = Channel::Pipe(ManuallyDrop::new(BufReader::new(pipe)));
        let job: WorkloadJob = channel.receive()?;
        let marker = job.marker.clone();
        Ok((Self { channel, marker }, job))
    }

    /// Go on through another process, which holds the pipes.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        self.channel = Channel::Kept(Keeper::start()?);
        Ok(())
    }

    /// The next message from the collector.
    pub(super) fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
        self.channel.receive()
    }

    /// Send a message, in one write without a lock or a buffer between.
    pub(super) fn send(&self, message: &FromChild) -> io::Result<()> {
        let mut line = self.marker.as_bytes().to_vec();
        serde_json::to_writer(&mut line, message).map_err(io::Error::other)?;
        line.push(b'\n');
        match &self.channel {
            Channel::Pipe(_) => write_all(2, &line),
            Channel::Kept(keeper) => keeper.write(2, &line),
        }
    }
}
