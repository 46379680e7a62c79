//! Facts of the build that an investigation names, from the kernel's own tables. Pure.
//!
//! - `types`: structures, unions, enumerations and typedefs, from BTF
//! - `declared`: functions, tracepoints, system calls and options

mod declared;
mod types;

pub(super) use declared::collect_facts;
pub use types::{member_facts, type_facts};
