//! One capture, from the investigation to the evidence file.
//!
//! `perform` runs on the machine that is watched and brings back what it saw, raw; `finish` runs on the
//! host, where debug information is, and makes evidence of it. In between the raw capture is plain data:
//! out of a guest it travels as bytes.

pub mod artefacts;
pub mod assemble;
pub mod chosen;
pub mod commands;
pub mod copies;
mod descendants;
pub mod facts;
pub mod finish;
pub mod names;
pub mod oracle;
pub mod perform;
pub mod private;
pub mod privileges;
pub mod programs;
pub mod raw;
pub mod readings;
pub mod store;
pub mod workload_spec;
