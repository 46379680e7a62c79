//! The rules for publishing a live machine's evidence: everything that is known to be harmless, and nothing else.
//!
//! The tables of the document ([`fields`](crate::document::fields)) name the rule of each field. The rules are defined here,
//! and those that depend on other fields in [`in_context`](super::in_context).
//!
//! Addresses are not removed here: they are replaced by pseudonyms afterwards.

use crate::document::Evidence;
use crate::document::fields::{Field, Publish, Structure, VisitMut};
use crate::document::value::{Datum, Frame, Value};

use super::in_context::redact_in_context;
use super::keep::{keep_if, redact_reason, withhold_value};
use super::kind::{check_kind, is_setting, is_source, is_source_file};
use super::parts::AddressParts;
use super::phrase::{PublicTexts, is_hex, is_list};
use super::reason::WithholdReason;

/// Removes everything from the evidence of a live machine that is not known to be harmless. A number that is one of the `parts`
/// of an address is withheld, whatever its declared meaning.
pub(super) fn withhold(evidence: &mut Evidence, parts: &AddressParts) {
    let known = PublicTexts::from_evidence(evidence, parts);
    redact_in_context(evidence, &known);
    evidence.visit_mut(&mut PublicRules { known: &known });
}

/// The rules that need no other field.
struct PublicRules<'k> {
    known: &'k PublicTexts<'k>,
}

impl VisitMut for PublicRules<'_> {
    fn leaves_out(&self, field: &'static Field) -> bool {
        field.publish == Publish::Nothing
    }

    fn datum(&mut self, field: &'static Field, datum: &mut Datum) {
        let known = self.known;
        match field.publish {
            // These have been handled together with the fields around them.
            Publish::InContext | Publish::Declared => {}
            Publish::Value | Publish::Pseudonyms => keep_if(datum, known, |_| Ok(())),
            Publish::Withheld(why) => withhold_value(datum, why.into(), known),
            Publish::Kind => keep_if(datum, known, |value| check_kind(value, false, known)),
            Publish::Frames => match datum {
                Datum::Value(Value::Stack { value } | Value::CutStack { value, .. }) => {
                    value.iter_mut().for_each(|one| self.frame(field, one));
                }
                datum => keep_if(datum, known, |value| check_kind(value, false, known)),
            },
            Publish::Hex => keep_text(datum, known, WithholdReason::Text, is_hex),
            Publish::List => keep_text(datum, known, WithholdReason::Text, is_list),
            Publish::Phrase => keep_text(datum, known, WithholdReason::Text, |text| {
                known.redact_words(text) == text
            }),
            Publish::Setting => keep_text(datum, known, WithholdReason::Setting, is_setting),
            Publish::Empty => keep_text(datum, known, WithholdReason::Output, str::is_empty),
            Publish::Printed => keep_if(datum, known, |value| match value {
                Value::Address { .. } => Ok(()),
                Value::Text { value } if known.contains_text(value.trim_end()) => Ok(()),
                _ => Err(WithholdReason::Command),
            }),
            // No rule for a value: it stays behind.
            Publish::Public
            | Publish::Below
            | Publish::Nothing
            | Publish::Sentence
            | Publish::SourceFile
            | Publish::FileName => withhold_value(datum, WithholdReason::Text, known),
        }
    }

    fn frame(&mut self, _field: &'static Field, frame: &mut Frame) {
        let Frame {
            address: _,
            // From the kernel's own table.
            symbol: _,
            offset: _,
            site,
            interrupts: _,
        } = frame;
        site.take_if(|site| !is_source(site));
    }

    fn text(&mut self, field: &'static Field, text: &mut String) -> bool {
        match field.publish {
            Publish::Public | Publish::InContext => {}
            Publish::Withheld(why) => *text = WithholdReason::from(why).text(),
            Publish::Sentence => *text = redact_reason(text, self.known),
            Publish::SourceFile => return is_source_file(text),
            Publish::FileName => {
                if let Some((_, name)) = text.rsplit_once('/') {
                    *text = name.to_owned();
                }
            }
            // No rule for a text: it stays behind.
            _ => *text = WithholdReason::Text.text(),
        }
        true
    }
}

/// Keeps a text that fits.
fn keep_text(
    datum: &mut Datum,
    known: &PublicTexts<'_>,
    why: WithholdReason,
    fits: impl FnOnce(&str) -> bool,
) {
    keep_if(datum, known, |value| match value {
        Value::Text { value } if fits(value) => Ok(()),
        _ => Err(why),
    });
}
