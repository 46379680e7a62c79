//! Errors for paths that name nothing, with the name that was probably meant.

use crate::diagnostic::nearest;
use crate::path::Path;

use super::resolved::PathError;

/// Accept a path whose segment `last`, the name of a value, is its last one.
pub(super) fn check_last_segment(segments: &[&str], last: usize) -> Result<(), PathError> {
    if segments.len() == last + 1 {
        return Ok(());
    }
    let value = segments[..=last].join(".");
    Err(PathError {
        message: format!("`{value}` is a value and has nothing below it"),
        segment: last + 1,
        nearest: Some(value),
    })
}

/// The error for segment `at`, with the `known` names that would be valid there.
pub(super) fn unknown_segment_error<'n>(
    segments: &[&str],
    at: usize,
    what: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> PathError {
    let known: Vec<&str> = known.into_iter().collect();
    let near = nearest(segments[at], known.iter().copied());
    let place = segments[..at].join(".");
    let place = if place.is_empty() {
        String::new()
    } else {
        format!(" in `{place}`")
    };
    let list = if known.is_empty() || near.is_some() {
        String::new()
    } else {
        let mut names = known;
        names.sort_unstable();
        names.dedup();
        names.truncate(12);
        format!(" (there is {})", names.join(", "))
    };
    PathError {
        message: format!("no {what} `{}`{place}{list}", segments[at]),
        segment: at,
        nearest: near.map(|near| {
            let mut fixed: Vec<&str> = segments.to_vec();
            fixed[at] = near;
            fixed.join(".")
        }),
    }
}

/// The refusal of a path that ends before a value.
pub(super) fn not_a_leaf_error(path: &Path, what: &str) -> PathError {
    PathError {
        message: format!("`{path}` is not a value: {what}"),
        segment: path.segments().count(),
        nearest: None,
    }
}
