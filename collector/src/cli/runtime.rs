//! The async runtime of a command.

use super::failure::Failure;

/// A runtime for one thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::machine(format!("failed to start the runtime: {error}")))
}
