//! `qed-collector`: the command line.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

use std::process::ExitCode;

use qed_collector::{cli, guest, workload};

fn main() -> ExitCode {
    // Before anything else: as the first process of a guest, or as a workload, there is no command line.
    workload::child_main();
    if guest::init::is_guest_init() {
        guest::init::run(guest::agent::run_job);
    }
    match cli::args::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What is printed ends up in logs: no address of this machine may.
            let message = qed_evidence::redact::remove_addresses(failure.message.trim_end());
            // A diagnostic already says what it is.
            if message.starts_with("error") || message.starts_with("\u{1b}") {
                eprintln!("{message}");
            } else {
                eprintln!("error: {message}");
            }
            ExitCode::from(failure.status)
        }
    }
}
