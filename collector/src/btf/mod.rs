//! Types, offsets and signatures from the running kernel’s BTF.
