//! Loading and attaching the eBPF programs, and taking their events.
