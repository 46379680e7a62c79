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
//! - Nor does a difference or an order of two things that count something else, such as a process id and a flag.
//! - A claim that reads nothing, or that no change of what it reads can make FAIL, is an ERROR.

mod alternatives;
mod ast;
mod bind;
mod builtins;
mod c_types;
mod computed;
mod constants;
mod control;
mod coverage;
mod definition;
mod eval;
mod evaluator;
mod export;
mod found;
mod graph;
mod hints;
mod holds;
mod invariants;
mod judge;
mod mutants;
mod name_check;
mod obstacle;
mod operands;
mod outside;
mod parse;
mod parts;
mod planned;
mod relations;
mod silence;
mod source_map;
mod units;
mod value;
mod verdict;

#[cfg(test)]
mod tests;

use crate::diagnostic::{Diagnostic, Severity};

pub use bind::Replaced;
pub use builtins::{Argument, FUNCTIONS, Function, help};
pub use control::mutants_of;
pub use coverage::{Coverage, Mention, Mentions, Scope};
pub use definition::Claim;
pub use export::export;
pub use holds::{Holds, ReleaseOrder, release_order};
pub use judge::{judge, judge_replacing};
pub use parse::{Expression, MAX_BYTES, ReadPath};
pub use source_map::SourceMap;
pub use verdict::{Control, Judgement, Operand, Verdict};

/// True if any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
