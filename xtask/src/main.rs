//! Tasks that need the programs as libraries: pages and completions of a release, and the packaged eBPF object.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

mod ebpf;
mod files;
mod pages;

/// Makes what is shipped beside the programs
#[derive(Parser)]
enum Task {
    /// Writes manual pages to DIR/man/man1, and completions to DIR/completions, by shell
    Pages {
        /// The folder; what is there by the same name is replaced
        dir: PathBuf,
    },
    /// Writes the object that this program was built with, and the digest of its sources, to collector/ebpf
    Ebpf,
}

fn main() -> ExitCode {
    let result: Result<(), Box<dyn Error>> = match Task::parse() {
        Task::Pages { dir } => pages::write(&dir).map_err(Into::into),
        Task::Ebpf => ebpf::package().map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
