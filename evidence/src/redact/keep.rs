//! Keeping values that are harmless, and the reason in the place of others.

use crate::document::value::{Datum, Value};
use crate::document::withheld::withheld;

use super::phrase::Known;

/// Withholds a value, whatever it is; a reason loses what is not known.
pub(super) fn refuse(datum: &mut Datum, reason: &str, known: &Known<'_>) {
    keep_if(datum, known, |_| Err(reason.to_owned()));
}

/// Keeps a value for which `harmless` has no reason against; a reason loses what is not known.
pub(super) fn keep_if(
    datum: &mut Datum,
    known: &Known<'_>,
    harmless: impl FnOnce(&Value) -> Result<(), String>,
) {
    let reason = match datum {
        Datum::Value(value) => match harmless(value) {
            Ok(()) => return,
            Err(reason) => reason,
        },
        Datum::Unavailable(why) => reason(&why.unavailable, known),
    };
    *datum = Datum::unavailable(reason);
}

/// A reason, without what is not known.
pub(super) fn reason(text: &str, known: &Known<'_>) -> String {
    match withheld(text) {
        Some(_) => text.to_owned(),
        None => known.phrase(text),
    }
}
