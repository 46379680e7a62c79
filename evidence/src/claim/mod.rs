//! Claims: boolean expressions over evidence, and the verdicts on them.
//!
//! The language is a part of CEL (its parser is the `cel` crate's) with exact integers that know what they count.
//! The rules that make a PASS worth something:
//!
//! - Every value that the expression reads is looked up first. One that is missing makes the claim UNVERIFIED, one
//!   that is broken makes it an ERROR, even where `&&`, `||` or `?:` would not have looked at it.
//! - Different kinds are never compared: an address with a number, an fd with an errno, a text with an enumerator.
//! - Floating point, `has`, `in`, lists and quantifiers are refused. That something did not happen is claimed with
//!   [`never`](FUNCTIONS).
//! - A name that nothing has which was captured or is planned proves nothing by its absence: a PASS with one is an ERROR.
//!   So is one that compares a leaf of a few words with another word, and a condition that does either: the claim would
//!   apply to the wrong machines, or to none.
//! - Of a value that was cut, only what its kept beginning decides is known; any other question to it is UNVERIFIED.
//! - A claim that reads nothing, or that no change of what it reads can make FAIL, is an ERROR.

mod compute;
mod constants;
mod control;
mod convert;
mod cut;
mod eval;
mod export;
mod expression;
mod functions;
mod gather;
mod holds;
mod judge;
mod lex;
mod mutants;
mod node;
mod operands;
mod parts;
mod place;
mod possible;
mod returned;
mod silence;
mod typed;
mod written;

#[cfg(test)]
mod tests;

use crate::diagnostic::{Diagnostic, Severity};
use crate::path_index::resolve::Catalog;

pub use control::mutants_of;
pub use export::export;
pub use expression::{Expression, MAX_BYTES, ReadPath};
pub use functions::{Argument, FUNCTIONS, Function, help};
pub use gather::Replaced;
pub use holds::{Holds, ReleaseOrder, release_order};
pub use judge::{Control, Judgement, Operand, Verdict, judge, judge_replacing};
pub use place::Place;

/// A claim of a chapter.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its name, unique in the book.
    pub id: String,
    /// It says nothing about machines where this is false.
    pub when: Option<Expression>,
    /// What is claimed.
    pub expression: Expression,
    /// The kernels on which it is true; it is false on all others.
    pub holds: Option<Holds>,
    /// It is the negation of a claim that has to be false here.
    negated: bool,
}

impl Claim {
    /// Why `id` cannot name a claim, if it cannot.
    pub fn refuse_id(id: &str) -> Option<String> {
        let good = crate::path::is_name(id) && !id.starts_with('_');
        (!good).then(|| format!("`{id}` cannot name a claim: it does not match [a-z][a-z0-9_]*"))
    }

    /// Parses a claim: its id, its text and where that stands, and its condition likewise. All complaints are
    /// reported at once.
    pub fn parse(
        id: &str,
        body: &str,
        body_place: Place,
        when: Option<(&str, Place)>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        if let Some(message) = Claim::refuse_id(id) {
            diagnostics.push(body_place.error(&(0..0), message));
        }
        let when = when.and_then(|(text, place)| {
            Expression::parse(text, place)
                .map_err(|errors| diagnostics.extend(errors))
                .ok()
        });
        let expression = Expression::parse(body, body_place)
            .map_err(|errors| diagnostics.extend(errors))
            .ok();
        for expression in when.iter().chain(&expression) {
            if expression.reads().is_empty() {
                let whole = 0..expression.text().len();
                diagnostics.push(
                    expression
                        .place()
                        .error(&whole, "the expression reads no evidence")
                        .help("name a value that was measured, such as `create.outcome.returned`"),
                );
            }
        }
        match expression {
            Some(expression) if diagnostics.is_empty() => Ok(Claim {
                id: id.into(),
                when,
                expression,
                holds: None,
                negated: false,
            }),
            _ => Err(diagnostics),
        }
    }

    /// Restricts the claim to the kernels of an interval, such as `..7.0`: inside it has to be true, outside it has to be
    /// false.
    ///
    /// # Errors
    /// All that is wrong with the interval, which stands at `place`.
    pub fn holding(self, interval: &str, place: &Place) -> Result<Self, Vec<Diagnostic>> {
        let holds = Holds::parse(interval, place, &self.expression)?;
        Ok(Claim {
            holds: Some(holds),
            ..self
        })
    }

    /// Checks every name against what is planned and captured, without evaluating anything.
    pub fn check(&self, catalog: &Catalog<'_>) -> Vec<Diagnostic> {
        self.when
            .iter()
            .chain([&self.expression])
            .flat_map(|expression| gather::check(expression, catalog))
            .collect()
    }

    /// Every path that the claim reads, its condition's included.
    pub fn reads(&self) -> impl Iterator<Item = &ReadPath> {
        self.when
            .iter()
            .flat_map(Expression::reads)
            .chain(self.expression.reads())
    }
}

/// Whether any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
