//! The command line.

pub mod args;
pub mod bisect;
pub mod check;
pub mod common;
pub mod diff;
pub mod explain;
pub mod init;
pub mod merge;
pub mod paths;
pub mod publish;
pub mod redact;
pub mod since;
mod swept_book;
pub mod verify;
