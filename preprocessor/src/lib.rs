//! The QED preprocessor for mdBook: it fills chapters from measured evidence, judges their claims, and states the origin of
//! every value.

// Functions fit on a screen and a half (`clippy.toml` has the number). Tables of cases in tests may be longer.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod claims;
#[cfg(feature = "commands")]
pub mod cli;
pub mod config;
pub mod evidence;
pub mod exhibits;
pub mod lint;
#[cfg(feature = "commands")]
pub mod lsp;
pub mod markdown;
pub mod mdbook;
pub mod publish;
pub mod render;
pub mod templates;
pub mod util;
