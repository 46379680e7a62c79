//! The files that a program consists of on this machine: the program or script, its interpreters, its libraries.
//!
//! The collector packs them into guests and writes their digests into evidence; the preprocessor compares those with what
//! is here now. Both ask this crate, so that they find the same files. What else a workload is given, its files and its input,
//! is in [`workload`]; how files are read, in [`source`]; digests of files that have not changed since, in
//! [`digest_cache`]. What both programs need to write files whole is in [`atomic`], and what differs between systems in [`platform`].

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod atomic;
pub mod digest_cache;
mod error;
mod file;
mod loader;
mod parts;
pub mod platform;
pub mod source;
pub mod workload;

pub use error::ProgramError;
pub use file::{cache_folder, digest, is_of_system};
pub use parts::{
    FileCache, ProgramPart, argument_files, file_records, find_program, parts, parts_from,
};
