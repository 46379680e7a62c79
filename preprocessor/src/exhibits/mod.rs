//! Exhibits: views of evidence by name.
//!
//! An exhibit is a module here, a row in [`registry`] and a template in `templates/`; `docs/architecture.md` lists all places to change.

mod architectures;
pub mod block;
mod bytes;
mod calltree;
pub mod claim_block;
mod claims;
mod coverage;
mod derivation;
mod disassembly;
mod evidence;
mod exhibit_value;
pub mod explanation;
mod gap;
mod graph;
mod history;
mod layout;
mod ledger;
mod linkage;
mod log;
mod machines;
mod pieces;
pub mod registry;
pub mod request;
mod slides;
mod slot;
mod space;
mod steps;
mod table;
mod thread;
mod timeline;
mod trace;
pub mod trace_record;
mod tree;
