//! The architecture of a new book's guest.

use std::fmt;

/// An architecture, by Debian's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum GuestArch {
    /// x86-64.
    #[default]
    Amd64,
    /// arm64, emulated.
    Arm64,
}

impl GuestArch {
    /// The guest of a new book.
    #[must_use]
    pub const fn guest(self) -> &'static str {
        match self {
            Self::Amd64 => "guest:debian-6.1",
            Self::Arm64 => "guest:debian-6.1-arm64",
        }
    }

    /// The package of QEMU in Debian that emulates it.
    #[must_use]
    pub const fn emulator_package(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-system-x86",
            Self::Arm64 => "qemu-system-arm",
        }
    }
}

impl fmt::Display for GuestArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}
