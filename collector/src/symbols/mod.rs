//! Kernel symbols, build ids, source lines and inlined frames.
//!
//! All parsers work on slices; only [`mapping`] maps a file, and [`debuginfo`] and [`running`] are the thin layers that find
//! and open the machine's files.

pub use qed_evidence::build_id;
pub mod debuginfo;
pub mod disasm;
pub mod elf;
pub mod functions_by_file;
pub mod kallsyms;
pub mod kcore;
pub mod lines;
pub mod mapping;
pub mod name_lookup;
pub mod running;
pub mod system_map;

pub use build_id::BuildId;
pub use kallsyms::{Kallsyms, Symbol};
