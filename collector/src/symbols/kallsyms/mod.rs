//! The running kernel's symbol table, `/proc/kallsyms`.
//!
//! The whole text stays in one buffer and every symbol is a range of it: a table of 90,000 to 155,000 names costs one
//! allocation for the text, one for the index, and at the first look-up by name one for the hashes. A capture looks up some
//! sixty names in each table, and a scan for each would take longer than all the rest of planning.
//!
//! Own code: each line is three words, and what is asked of them (sizes, clones, the bounds of the image, which of several symbols of one
//! name) is this program's own question.

pub mod copies;
mod entry;
mod parse;
mod resolve;
mod table;
#[cfg(test)]
mod tests;

pub use entry::{KallsymsError, Symbol, ZeroedReason};
pub use resolve::{ResolveError, ResolvedSymbol};
pub use table::Kallsyms;
