//! Parsing of TOML text to an [`Investigation`](super::Investigation), or to the list of all its mistakes.

mod argument;
mod call;
mod check;
mod command;
mod experiment;
mod facts;
mod file;
mod probe;
mod raw;
mod raw_path;
mod schema;
mod spanned;
mod surroundings;
#[cfg(test)]
mod tests;
mod workload;

pub use file::parse;
pub use schema::schema;
