//! Throwaway guests: stock distribution kernels in QEMU.
