//! Claims: boolean expressions over evidence, and the verdicts on them.
//!
//! The language is a subset of CEL (parsed by the `cel` crate) with exact integers that have units. These rules give a PASS its
//! worth:
//!
//! - Every value that the expression reads is looked up first. A missing value makes the claim UNVERIFIED, a broken one makes
//!   it an ERROR, even where `&&`, `||` or `?:` would not have evaluated it.
//! - Different kinds are never compared: an address with a number, an fd with an errno, a text with an enumerator.
//! - Floating point, `has`, `in`, lists and quantifiers are refused. The claim that something did not happen is made with
//!   [`never`](FUNCTIONS).
//! - The absence of a name that occurs nowhere in captures or plans proves nothing: a PASS that relies on one is an ERROR. So
//!   is a PASS that compares a leaf with a fixed set of words with a word outside the set, and a condition that does either:
//!   the claim would apply to the wrong machines, or to none.
//! - Of a truncated value only what its stored beginning decides is known; any other question about it is UNVERIFIED.
//! - A comparison by `!=` or by order of two values with different units, such as a process id and a flag, proves nothing
//!   either, and makes a PASS an ERROR.
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
mod read_result;
mod relations;
mod shown;
mod silence;
mod source_map;
mod units;
mod value;
mod verdict;

#[cfg(test)]
mod tests;

use crate::diagnostic::{Diagnostic, Severity};

pub use bind::Replaced;
pub use builtins::{ArgumentKind, FUNCTIONS, Function, help};
pub use control::mutants_of;
pub use coverage::{Coverage, Mention, Mentions, Scope};
pub use definition::Claim;
pub use export::export;
pub use holds::{KernelInterval, KernelVersion, ReleaseOrder};
pub use judge::{judge, judge_replacing};
pub use parse::{Expression, MAX_BYTES, ReadPath};
pub use source_map::SourceMap;
pub use verdict::{Control, Judgement, Operand, Verdict};

/// True if any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity == Severity::Error)
}
