//! The compiled programs, and the names for them in evidence and in other programs.

/// The compiled programs, as they are embedded in this binary.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/qed-ebpf.o"));

/// SHA-256 of [`OBJECT`], in lower-case hexadecimal; in evidence it identifies the programs that ran.
pub const OBJECT_SHA256: &str = env!("QED_EBPF_SHA256");
/// The version of the compiler of [`OBJECT`], as the compiler prints it.
pub const OBJECT_COMPILER: &str = env!("QED_EBPF_COMPILER");
/// The version of this program with that digest. `mdbook-qed` searches this program's file for it, so that it knows, without
/// running anything, with which object evidence would be captured now.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\neBPF object sha256:",
    env!("QED_EBPF_SHA256")
);
