//! Failures of a command: the message and the exit status.

use crate::guest::GuestError;

/// A command that did not succeed, and the process's exit status for it.
#[derive(Debug)]
pub struct Failure {
    /// 2: bad usage or bad input; 3: this machine cannot do what was asked.
    pub status: u8,
    /// The message for the user.
    pub message: String,
}

impl Failure {
    /// Bad usage or bad input.
    pub fn input(message: impl Into<String>) -> Self {
        Self {
            status: 2,
            message: message.into(),
        }
    }

    /// This machine cannot do what was asked.
    pub fn machine(message: impl Into<String>) -> Self {
        Self {
            status: 3,
            message: message.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::machine(format!("{error:#}"))
    }
}

impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        Self {
            status: error.exit_status(),
            message: error.to_string(),
        }
    }
}
