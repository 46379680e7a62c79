//! Parsing of claims.

mod expression;
mod lex;
mod lower;

pub(super) use expression::collect_reads;
pub use expression::{Expression, MAX_BYTES, ReadPath};
