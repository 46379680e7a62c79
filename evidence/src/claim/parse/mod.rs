//! Parsing of claims.

mod expression;
mod lex;
mod lower;
mod reads;

pub use expression::{Expression, MAX_BYTES};
pub use reads::ReadPath;
pub(super) use reads::collect_reads;
