//! Types, offsets and signatures from the running kernel’s BTF.
//!
//! [`Btf::parse`] takes the bytes of `/sys/kernel/btf/vmlinux` (the caller reads the file) and makes one linear pass, which
//! checks every record's length and stores where each type starts. Everything else is decoded on demand. A name index is built
//! at the first look-up.
//!
//! Our own code instead of a library, because none fits: aya-obj keeps member offsets private; the MIT licensed `btf` crate
//! takes over 1 s and aya 98 ms to parse a distribution kernel's BTF in an emulated guest, whose whole capture is to take a few
//! seconds; `btf-rs` takes 290 ms and is under the LGPL, which a static binary cannot easily honour. This one opens Debian
//! 6.1's BTF and resolves 30 functions and 42 read paths there in 30 ms cold and 9–16 ms warm, in 2–4 ms natively
//! (`cargo bench -p qed-collector --bench btf`).
//!
//! The bytes are not trusted: truncated, cyclic or otherwise malformed BTF gives a [`BtfError`], in
//! bounded time, and never a panic.
//!
//! Format: <https://docs.kernel.org/6.12/bpf/btf.html>,
//! <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/btf.h#L11>.

mod abi;
#[cfg(test)]
pub(crate) mod build;
mod enumerators;
mod error;
mod functions;
mod index;
mod kinds;
mod lookup;
mod members;
mod merge;
mod names;
mod nearest;
mod raw;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod variables;

pub use abi::ArgumentLocation;
pub use error::BtfError;
pub use functions::{KernelFunction, Linkage, Parameter, Signature, Tracepoint};
pub use index::NameKind;
pub use kinds::TypeId;
pub use members::{BtfMember, Members};
pub use merge::merge;
pub use nearest::nearest;
pub use raw::Btf;
pub use types::{Composite, Enumeration, Int, Prototype, StrippedType, Type};
pub use variables::PerCpuVariable;
