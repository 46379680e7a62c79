//! What a capture could not see.

pub mod copies;
mod limits;
#[cfg(test)]
mod tests;

pub(crate) use limits::*;
