//! Kernel symbols, source lines and inlined frames.
