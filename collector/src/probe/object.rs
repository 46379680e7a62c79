//! The compiled programs, and how evidence and other programs call them.

/// The compiled programs, as they are embedded in this binary.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/qed-ebpf.o"));

/// SHA-256 of [`OBJECT`], in lower-case hexadecimal: says in the evidence which programs looked.
pub const OBJECT_SHA256: &str = env!("QED_EBPF_SHA256");
/// The version of the compiler of [`OBJECT`], as it prints it.
pub const OBJECT_COMPILER: &str = env!("QED_EBPF_COMPILER");
/// The version of this program with that digest. `mdbook-qed` looks for it in this program's file, so that it knows, without
/// running anything, by which object evidence would be captured now.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\neBPF object sha256:",
    env!("QED_EBPF_SHA256")
);
