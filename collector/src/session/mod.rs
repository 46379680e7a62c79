//! One capture on the machine that is watched, from the plan to the raw capture.
//!
//! The raw capture is plain data, which a guest sends to the host as bytes. On the host, which has the debug information,
//! [`assemble`](crate::assemble) turns it into evidence.
//!
//! | module | content | I/O |
//! | --- | --- | --- |
//! | [`kernel`](ThisKernel) | the running kernel's types and symbols, for the plan | reads `/proc`, `/sys` |
//! | [`capture`](capture()) | the order of things | none: asks the boundary |
//! | `attempt` | one run of one experiment | none: asks the boundary |
//! | `cost` | the time of a call without probes | none: asks the boundary |
//! | `restore` | waiting until the kernel has rewritten its code | none: asks the boundary |
//! | `boundary` | everything that a session does to the machine, as traits | none |
//! | `live` | the machine that this process runs on | eBPF, processes, `/proc/kcore` |
//! | [`loaded_modules`] | modules of the running kernel, and their types | reads `/proc`, `/sys` |
//! | [`discovery`] | one call under the tracer, without a probe | as its parts |
//! | [`tracer`] | the kernel's function-graph tracer | tracefs |
//! | [`raw`] | what a capture brings back | none |
//! | [`machine_facts`], [`commands`] | what the machine says of itself; commands of the investigation | reads `/proc`; processes |

mod attempt;
mod boundary;
pub mod build_facts;
mod capture;
pub mod commands;
mod core_memory;
mod cost;
mod cpu_mask;
mod descendants;
pub mod discovery;
mod graphs;
mod kernel;
mod live;
pub mod loaded_modules;
pub mod machine_facts;
mod own_processes;
mod privileges;
pub mod raw;
mod restore;
mod return_sites;
#[cfg(test)]
mod tests;
pub mod tracer;
pub mod tracer_error;
mod tracer_writes;
mod unmapped_range;
pub mod workload_spec;

pub use boundary::Observer;
pub use capture::{CaptureOptions, capture};
pub use commands::NOT_STARTED;
pub use kernel::ThisKernel;
