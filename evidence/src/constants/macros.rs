//! Tables of constants whose numbers the compiler checks or supplies.

/// Names and numbers of constants on x86-64, whatever this program runs on. Where that is x86-64 Linux, its tests are not
/// compiled with a number that differs from the C library's.
macro_rules! constants {
    ($($name:ident = $number:literal)*) => {{
        #[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
        const _: () = {
            $(assert!(libc::$name as i64 == $number, stringify!($name));)*
        };
        &[$(($number, stringify!($name))),*]
    }};
}
pub(super) use constants;

/// Names and numbers of constants that the C library lacks, and that are the same on all architectures.
macro_rules! kernel_numbers {
    ($($name:ident)*) => { &[$((linux_raw_sys::general::$name as i64, stringify!($name))),*] };
}
pub(super) use kernel_numbers;
