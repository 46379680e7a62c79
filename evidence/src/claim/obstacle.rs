//! Obstacles: the reasons why an expression cannot be evaluated.

use std::ops::Range;

/// One reason why an expression cannot be evaluated, and its place.
#[derive(Clone)]
pub(super) struct Obstacle {
    pub message: String,
    pub range: Range<usize>,
    pub help: Option<String>,
}
