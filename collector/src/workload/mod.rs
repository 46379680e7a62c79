//! Running the workload in a process of its own.
