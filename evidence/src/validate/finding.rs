//! A contradiction in a document.

use crate::document::value::Datum;

/// A JSON pointer (RFC 6901) and the problem there.
pub type Finding = (String, String);

pub(super) fn number(datum: &Datum) -> Option<i128> {
    datum.value()?.as_integer()
}
