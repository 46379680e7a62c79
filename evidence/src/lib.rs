//! Typed evidence of kernel captures.
