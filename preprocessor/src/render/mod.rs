//! Filling chapters with values and blocks.

pub mod fill;
