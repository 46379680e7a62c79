//! Assembly of evidence from a raw capture. Pure, except `symbolize`, which reads files, and `kernel_file_commands`, which runs programs:
//! a recorded capture gives the same evidence on any machine.

pub mod arguments;
pub mod commands;
mod context;
mod correlate;
mod evidence;
mod exec_context;
pub mod facts;
pub mod graph;
mod hit;
pub mod instances;
mod kaslr;
mod kernel;
pub mod kernel_file_commands;
pub mod kernel_names;
mod ledger;
mod name_tables;
mod names;
mod observations;
mod outcome;
mod own_work;
pub mod private;
mod probe_facts;
pub mod program_files;
pub mod provenance_lines;
mod stack;
pub mod symbolize;
mod values;
mod window;

pub use commands::is_withheld_output;
pub use context::Context;
pub use correlate::NOT_SEEN;
pub use evidence::assemble;
pub use names::{FrameElision, Names};
pub use outcome::TIMED_OUT;
