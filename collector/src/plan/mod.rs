//! From an investigation and a kernel’s BTF to what the eBPF programs are told.

pub mod expr;
