//! One capture on the machine that is watched, from the plan to the raw capture.
//!
//! The raw capture is plain data: out of a guest it travels as bytes. On the host, where debug information is,
//! [`assemble`](crate::assemble) makes evidence of it.

pub mod commands;
mod descendants;
pub mod machine_facts;
pub mod oracle;
pub mod privileges;
pub mod raw;
pub mod run;
pub mod workload_spec;
