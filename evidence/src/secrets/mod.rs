//! Secrets in a live machine's evidence, and a search for them in any bytes.
//!
//! A leaf is secret if it reveals where the kernel, its data or a process is in memory: every pointer, every number that can
//! hardly be anything else, every such word inside text and bytes, and the slide. Numbers that reveal little are not secrets
//! ([`is_pointer`]), because they would be found everywhere: null and the first page, error numbers, patterns such as all ones,
//! and the addresses in the kernel's documentation.

mod collect;
mod members;
mod multi_matcher;
mod patterns;
mod secret;
mod space;
mod spellings;

pub(crate) use collect::{
    SHORTEST_NUMBER, collect_document_secrets, integer, numbers_in, path_of, value_kind,
};
pub use collect::{collect_secrets, known_secrets};
pub use members::{is_secret_member, is_secret_variable};
pub use patterns::{Searcher, SecretMatch};
pub(crate) use secret::FIRST_PAGE;
pub use secret::{Secret, SecretKind, is_pointer, slides};
pub(crate) use space::AddressSpace;

#[cfg(test)]
pub(crate) mod tests;
