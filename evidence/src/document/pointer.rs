//! JSON pointers (RFC 6901): the place of a value in a document.
//!
//! Own code: two replacements in a key. `jsonptr` would parse and resolve pointers, too; here they are only written.

use std::fmt::Write;

/// One step of a JSON pointer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The place of a value. Its text is only made where somebody wants to read it.
#[derive(Debug, Default)]
pub(crate) struct Pointer<'a>(pub(super) Vec<Step<'a>>);

impl Pointer<'_> {
    /// As RFC 6901 writes it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.0 {
            // Writing into a string cannot fail.
            let _ = match step {
                Step::Key(key) => write!(text, "/{}", escape(key)),
                Step::Index(index) => write!(text, "/{index}"),
            };
        }
        text
    }
}

/// A key in a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    match key.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        true => key.replace('~', "~0").replace('/', "~1"),
        false => key.to_owned(),
    }
}
