//! The eBPF programs in the kernel: loading, attaching and configuring them, and reading their events.
//!
//! The caller describes as data what to attach ([`AttachTarget`]) and what to read there in which experiment ([`AttachmentUse`]); no
//! kernel function is named in this module. A refused attachment is an answer, not a failure: it is returned as a [`Refusal`]
//! with the kernel's reason, and the rest goes on.

mod attach_error;
mod attach_target;
mod attacher;
mod capability;
mod events;
mod hook_btf;
mod kernel_log;
pub mod kprobe_list;
mod kread;
mod life;
mod links;
mod load;
mod losses;
mod missed;
mod object;
mod pod;
mod setup;
mod slots;

pub use attach_error::{AttachEnvironment, Refusal, explain};
pub use attach_target::AttachTarget;
pub use capability::{Capabilities, Capability, test_capabilities};
pub use events::EventReader;
pub use kread::KernelReadError;
pub use life::Lifecycle;
pub use load::Probes;
pub use losses::{LiveObject, Losses};
pub use missed::{Counters, CountersByAddress, KprobeEvents, KprobeTable, MemoryReader};
pub use object::{OBJECT, OBJECT_COMPILER, OBJECT_SHA256, VERSION};
pub use pod::{RecordError, parse_event};
pub use setup::{AttachmentUse, LoadError, Setup};
