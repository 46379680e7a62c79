//! One symbol, and the reasons why a table of symbols cannot be used.

use serde::Serialize;
use thiserror::Error;

/// An unusable text of a symbol table.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum KallsymsError {
    /// A line does not have the form `ADDRESS TYPE NAME [MODULE]`.
    #[error(
        "failed to parse the kernel's symbol table: line {line} is {text:?}, expected `ADDRESS TYPE NAME`"
    )]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// The offending line, at most 80 characters of it.
        text: String,
    },
    /// The text holds no symbol at all.
    #[error(
        "failed to parse the kernel's symbol table: it is empty (a kernel without CONFIG_KALLSYMS?)"
    )]
    Empty,
    /// The text is longer than the index can address.
    #[error("failed to parse the kernel's symbol table: {bytes} bytes is more than 4 GiB")]
    TooLarge {
        /// Length of the text.
        bytes: usize,
    },
    /// The kernel shows every address as zero to this reader.
    #[error("the kernel shows every symbol's address as zero: {0}")]
    Zeroed(ZeroedReason),
}

/// The reason why addresses read as zero.
///
/// The rule is `kallsyms_show_value()`, in <https://elixir.bootlin.com/linux/v6.1/source/kernel/kallsyms.c>, since 6.4
/// in <https://elixir.bootlin.com/linux/v6.12/source/kernel/ksyms_common.c>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum ZeroedReason {
    /// `kernel.kptr_restrict` is 2: addresses are hidden from all users.
    #[error(
        "kernel.kptr_restrict is 2, which hides them from everyone; leave it so and capture in a guest"
    )]
    KptrRestrict,
    /// `kernel.kptr_restrict` is 0 or 1 and the reader lacks CAP_SYSLOG.
    #[error(
        "the reader has no CAP_SYSLOG (kernel.kptr_restrict is {kptr_restrict}); run with CAP_SYSLOG, or capture in a guest"
    )]
    NoCapSyslog {
        /// The value of the sysctl.
        kptr_restrict: u8,
    },
    /// `kernel.kptr_restrict` could not be read, so the cause is not known.
    #[error("kernel.kptr_restrict could not be read, so it may be that or a missing CAP_SYSLOG")]
    Unknown,
}

impl ZeroedReason {
    /// The cause, from the content of `/proc/sys/kernel/kptr_restrict` when it could be read.
    pub fn from_kptr_restrict(content: Option<&str>) -> Self {
        match content.and_then(|text| text.trim().parse::<u8>().ok()) {
            Some(2..) => Self::KptrRestrict,
            Some(kptr_restrict) => Self::NoCapSyslog { kptr_restrict },
            None => Self::Unknown,
        }
    }
}

/// One symbol, borrowed from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Address as the kernel shows it: live for a running kernel.
    pub address: u64,
    /// Type letter as `nm` prints it: `t`/`T` text, `d`/`D` data, `r`/`R` read-only, `b`/`B` bss, `a`/`A` absolute…
    pub kind: char,
    /// Name.
    pub name: &'a str,
    /// The module that owns it, `None` for the core image. Programs appear as `bpf`, trampolines as `__builtin__…`.
    pub module: Option<&'a str>,
}

/// True if the type letter says code. Weak symbols (`w`/`W`) are code in practice: weak objects are `v`/`V`.
pub(super) fn is_text(kind: u8) -> bool {
    matches!(kind, b't' | b'T' | b'w' | b'W')
}

pub(super) fn is_absolute(kind: u8) -> bool {
    matches!(kind, b'a' | b'A')
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SymbolEntry {
    pub address: u64,
    pub name: u32,
    pub name_len: u16,
    /// Length of the module's name, which follows the symbol's name, a tab and `[`; 0 for the core image.
    pub module_len: u8,
    pub kind: u8,
}
