//! What a capture could not see.

pub mod copies;
mod limits;
mod public;
#[cfg(test)]
mod tests;

pub(crate) use limits::*;
pub use public::unknown_public;
