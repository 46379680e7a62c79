//! The QED collector: runs a workload under eBPF probes and writes what the kernel did as typed evidence.
//!
//! Pure modules take data in and give data out; the thin layers that open files, load programs, start
//! processes and guests are named in `docs/architecture.md`.

pub mod assemble;
pub mod btf;
pub mod cli;
pub mod guest;
pub mod kaslr;
pub mod plan;
pub mod probe;
pub mod session;
pub mod symbols;
pub mod workload;
