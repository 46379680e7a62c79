//! `typed-literal`: values that were typed by hand instead of being filled in from evidence.

pub mod literal;
pub mod measured;

use std::ops::Deref;

use qed_evidence::diagnostic::Diagnostic;

use crate::config::Lint;
use crate::lint::findings::LintFindings;
use crate::lint::hardcoded::literal::{Literal, LiteralKind, find_literals};
use crate::lint::hardcoded::measured::{MeasuredValues, MeasurementSite};
use crate::lint::text_map::{ChapterText, Mark, MarkKind, Stretch};
use crate::markdown::chapter::Chapter;

/// Complain once about each stretch that holds typed values, and about marks that excuse none.
pub fn check(
    chapter: &Chapter,
    reading: &ChapterText,
    measured: &impl Deref<Target = MeasuredValues>,
    found: &mut LintFindings<'_>,
) {
    let marks: Vec<_> = reading
        .marks
        .iter()
        .filter(|mark| mark.kind == MarkKind::Literal)
        .collect();
    let mut needed = vec![false; marks.len()];
    for stretch in &reading.stretches {
        let literals = find_literals(&stretch.text, stretch.code);
        let mut typed = literals.iter().filter_map(|literal| {
            let place = stretch.locate(&literal.range);
            let mark = marks
                .iter()
                .position(|mark| mark.covers.start <= place.start && place.end <= mark.covers.end);
            if let Some(index) = mark {
                needed[index] = true;
                return None;
            }
            let origin = measured.find(&stretch.text[literal.range.clone()], literal.number);
            (!is_harmless(literal, stretch, origin)).then(|| (literal, place, origin.cloned()))
        });
        let Some((literal, place, origin)) = typed.next() else {
            continue;
        };
        let text = &stretch.text[literal.range.clone()];
        let more = match typed.count() {
            0 => String::new(),
            count => format!(", and {count} more in the same block"),
        };
        let message = format!(
            "`{text}` is typed by hand and looks like {}{more}",
            literal.kind.as_phrase()
        );
        let help = match origin {
            Some(MeasurementSite { path, machine }) => format!(
                "this is `{path}` of {machine}: write {{{{qed {path}}}}}, or say before the block why it is quoted: \
                 <!-- qed:literal REASON -->"
            ),
            None => "write {{qed PATH}} and let it be measured, or say before the block why it is quoted: \
                     <!-- qed:literal REASON -->"
                .to_owned(),
        };
        let complaint = Diagnostic::error(&chapter.source, place, message).help(help);
        found.report(Lint::TypedLiteral, complaint);
    }
    let text = chapter.source.text.as_str();
    let unused =
        |(mark, needed): &(&&Mark, bool)| !needed && !holds_number(&text[mark.covers.clone()]);
    for (mark, _) in marks.iter().zip(needed).filter(unused) {
        let message =
            "the mark excuses nothing: the block behind it holds no value that looks measured";
        let complaint = Diagnostic::error(&chapter.source, mark.range.clone(), message)
            .help("delete it, or put it before the paragraph or block that it is about");
        found.report(Lint::TypedLiteral, complaint);
    }
}

/// True if a text has a number of three digits or more. It may be a slide of the kernel, in bytes or MiB, on some machine, and
/// the search for leaks lets it by in marked blocks only.
fn holds_number(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|three| three.iter().all(u8::is_ascii_digit))
}

/// True for a value that may be typed by hand: a constant, or one with a citation. It does not matter whether a number happens
/// to equal a measured one, because that would be different after the next boot. An id or a digest that equals a measured one
/// is reported: such a value is never typed by chance.
fn is_harmless(literal: &Literal, stretch: &Stretch, origin: Option<&MeasurementSite>) -> bool {
    let vouched = literal.kind == LiteralKind::Line || literal.round;
    literal.constant
        || vouched && stretch.cites
        || literal.kind == LiteralKind::Measured && origin.is_none()
}
