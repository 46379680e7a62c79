//! Values that redaction keeps because they are harmless, and the reasons in place of all others.

use crate::document::Missing;
use crate::document::value::{Datum, Value};
use crate::document::withheld::withheld_reason;

use super::phrase::PublicTexts;
use super::reason::WithholdReason;

/// Withholds a value in any case; unknown words are removed from a reason.
pub(super) fn withhold_value(datum: &mut Datum, why: WithholdReason, known: &PublicTexts<'_>) {
    keep_if(datum, known, |_| Err(why));
}

/// Keeps a value unless `harmless` returns a reason against it; unknown words are removed from a reason.
pub(super) fn keep_if(
    datum: &mut Datum,
    known: &PublicTexts<'_>,
    harmless: impl FnOnce(&Value) -> Result<(), WithholdReason>,
) {
    match datum {
        Datum::Value(value) => {
            if let Err(why) = harmless(value) {
                *datum = Datum::withheld(why.to_string());
            }
        }
        Datum::Missing(Missing::Unavailable(reason)) => *reason = known.redact_words(reason),
        // Redaction itself wrote it, before.
        Datum::Missing(Missing::Withheld(_)) => {}
    }
}

/// A reason that is stored as text, without unknown words.
pub(super) fn redact_reason(text: &str, known: &PublicTexts<'_>) -> String {
    match withheld_reason(text) {
        Some(_) => text.to_owned(),
        None => known.redact_words(text),
    }
}
