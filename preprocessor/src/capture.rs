//! Capturing at build time, where the book's owner asks for it.

use std::path::Path;

use crate::config::{Capture, Config};
use crate::store::Here;

/// Captures what is missing or stale, if the book says `capture = "if-stale"`.
pub fn refresh(_root: &Path, config: &Config, _here: &Here) {
    if config.capture == Capture::Never {}
}
