//! Obstacles: what keeps an expression from being evaluated.

use std::ops::Range;

/// A thing that stands in the way of evaluating, and where.
pub(super) struct Obstacle {
    pub message: String,
    pub range: Range<usize>,
    pub help: Option<String>,
}
