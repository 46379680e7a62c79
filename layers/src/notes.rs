//! What a test says although it passes.

use std::fmt::Display;
use std::io::Write as _;

/// Says that a test, or a part of it, did not run for want of something. The harness hides what macros such as `println!` print of a
/// test that passes, so this does not go through them.
pub fn note_skipped(why: &str) {
    note(format_args!("skipped: {why}"));
}

/// Says something on standard error, past the harness.
pub fn note(text: impl Display) {
    // A test that cannot say this can still pass.
    let _ = writeln!(std::io::stderr(), "{text}");
}
