//! The QED collector: runs a workload under eBPF probes and writes what the kernel did as typed evidence.
//!
//! Pure modules take data in and give data out; the thin layers that open files, load programs, start
//! processes and guests are named in `docs/architecture.md`.

// The limit is in clippy.toml. Tables of cases in tests may be as long as they are.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod arch;
pub mod assemble;
pub mod btf;
pub mod cli;
pub mod graph;
pub mod guest;
pub mod kaslr;
pub mod plan;
pub mod probe;
pub mod random;
pub mod reason;
pub mod session;
pub mod symbols;
pub mod workload;
