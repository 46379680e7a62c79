//! Obstacles: the reasons why an expression cannot be evaluated.

use std::ops::Range;

/// A thing that stands in the way of evaluating, and where.
pub(super) struct Obstacle {
    pub message: String,
    pub range: Range<usize>,
    pub help: Option<String>,
}
