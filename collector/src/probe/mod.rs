//! Loading the eBPF programs, attaching them, telling them what to read, and reading what they saw.
//!
//! The caller says as data what to attach ([`Attach`]) and what to read there in which experiment
//! ([`Use`]); nothing here knows a kernel function. A refused attachment is an answer, not a failure:
//! it comes back as a [`Refusal`] with the kernel's reason, and the rest goes on.

mod attach;
mod attach_error;
mod capability;
mod events;
mod hook_btf;
pub mod kprobe_list;
mod kread;
mod life;
mod load;
mod losses;
mod missed;
mod pod;

pub use attach::Attach;
pub use attach_error::{Machine, Refusal, explain};
pub use capability::{Capabilities, Capability, capabilities};
pub use events::EventReader;
pub use kread::PeekError;
pub use life::Life;
pub use load::{LoadError, Probes, Setup, Use};
pub use losses::{LiveObject, Losses};
pub use missed::{Hits, KprobeTable, Memory};
pub use pod::{RecordError, parse_event};

/// The compiled programs, as they are embedded in this binary.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/qed-ebpf.o"));

/// SHA-256 of [`OBJECT`], in lower-case hexadecimal: says in the evidence which programs looked.
pub const OBJECT_SHA256: &str = env!("QED_EBPF_SHA256");
/// The version of this program with that digest. `mdbook-qed` looks for it in this program's file, so that it knows, without
/// running anything, by which object evidence would be captured now.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\neBPF object sha256:",
    env!("QED_EBPF_SHA256")
);
