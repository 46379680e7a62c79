//! The kernel's own list of the probes that are attached.

use std::borrow::Cow;
use std::path::Path;
use std::{fs, io};

/// In debugfs, for root.
const LIST: &str = "/sys/kernel/debug/kprobes/list";

/// The mark of a probe whose breakpoint the kernel replaces by a jump. It is there before the jump is.
/// <https://elixir.bootlin.com/linux/v6.1/A/ident/optimize_kprobe>
pub const WILL_JUMP: &str = "[OPTIMIZED]";

/// The mark of a probe that the function tracer calls, without a breakpoint or a jump of its own.
pub const BY_TRACER: &str = "[FTRACE]";

/// A probe's entry could not be read from the kernel's list.
#[derive(Debug, thiserror::Error)]
pub enum KprobeListError {
    /// The file could not be read.
    #[error("failed to read the kernel's list of probes, {LIST}: {0}; it needs root and debugfs")]
    Read(std::io::Error),
    /// The kernel shows zeros instead of addresses.
    #[error("the kernel hides the addresses in its list of probes")]
    Hidden,
    /// No entry is at the probe's address.
    #[error("the kernel's list of probes does not hold it")]
    NotListed,
}

/// The current list, or the reason why it cannot be read.
pub fn read() -> Result<String, KprobeListError> {
    fs::read_to_string(LIST).map_err(KprobeListError::Read)
}

/// Switches that disable function probes silently when they hold a zero, and what each does: the probes stay attached, but no
/// program runs and no miss is counted.
/// <https://elixir.bootlin.com/linux/v6.1/A/ident/ftrace_enable_sysctl>,
/// <https://elixir.bootlin.com/linux/v6.1/A/ident/disarm_all_kprobes>
const SWITCHES: &[(&str, &str)] = &[
    (
        "/proc/sys/kernel/ftrace_enabled",
        "the function tracer, by which probes at the entries of functions are called, is switched off: `sysctl kernel.ftrace_enabled=1` switches it on",
    ),
    (
        "/sys/kernel/debug/kprobes/enabled",
        "all kprobes are switched off: write 1 to /sys/kernel/debug/kprobes/enabled",
    ),
];

/// The reason why probes of functions that are attached see nothing now, or may see nothing. A switch that this process may not read
/// says nothing: what may not be read under lockdown or without privileges may not be written either.
pub fn why_probes_are_disarmed() -> Option<Cow<'static, str>> {
    SWITCHES
        .iter()
        .find_map(|(file, reason)| disarmed_reason(Path::new(file), reason))
}

/// The reason by one switch. A file that is not there says that the kernel has no such switch, if the folder is: a file system that is
/// gone says nothing.
fn disarmed_reason(file: &Path, when_off: &'static str) -> Option<Cow<'static, str>> {
    match fs::read_to_string(file) {
        Ok(text) => (text.trim() == "0").then_some(when_off.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_mounted = file.parent().is_some_and(Path::is_dir);
            (!is_mounted).then(|| {
                let file = file.display();
                format!("{file}, which says whether probes are switched on, is not there: is its file system mounted?").into()
            })
        }
        Err(_) => None,
    }
}

/// The entries of `list` for a probe `offset` bytes into the function at `address`, joined by `; `: what kind each is (`k` at
/// the entry, `r` at the return), the place as the kernel names it, and marks such as `[FTRACE]`. Without the address. At a
/// function's entry the kernel may have moved the probe past an `endbr64`.
/// <https://elixir.bootlin.com/linux/v6.1/A/ident/report_probe>
pub fn find_entries(list: &str, address: u64, offset: u64) -> Result<String, KprobeListError> {
    const ENDBR64: u64 = 4;
    let wanted = [
        Some(address.wrapping_add(offset)),
        (offset == 0).then(|| address.wrapping_add(ENDBR64)),
    ];
    let mut found = Vec::new();
    let mut hidden = false;
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let place = words
            .next()
            .and_then(|word| u64::from_str_radix(word, 16).ok());
        hidden |= matches!(place, None | Some(0));
        if place.is_some() && wanted.contains(&place) {
            found.push(words.collect::<Vec<_>>().join(" "));
        }
    }
    match found.is_empty() {
        false => Ok(found.join("; ")),
        true if hidden => Err(KprobeListError::Hidden),
        true => Err(KprobeListError::NotListed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a switch that is off is a reason, one that the kernel does not have is none, and one whose file system is gone is.
    #[test]
    fn switches() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kprobes/enabled");
        let reason = || disarmed_reason(&file, "off").map(Cow::into_owned);
        assert!(reason().unwrap().contains("is its file system mounted?"));
        fs::create_dir(folder.path().join("kprobes")).unwrap();
        assert_eq!(reason(), None);
        for (text, expected) in [("1\n", None), ("0\n", Some("off".to_owned()))] {
            fs::write(&file, text).unwrap();
            assert_eq!(reason(), expected);
        }
    }

    const LIST: &str = "ffffffff8d86c2d4  r  __sys_socket+0x4    [FTRACE]\n\
        ffffffff8d86c2d4  k  __sys_socket+0x4    [FTRACE]\n\
        ffffffff8d8697b1  k  sock_alloc+0x11    [OPTIMIZED]\n\
        ffffffff8d8697c0  k  sock_close+0x0    \n";

    /// Check that all entries at an address are found, with their marks and without the address; past an `endbr64` only for an
    /// entry; and that probes that are not listed, or hidden, are reported as such.
    #[test]
    fn found_by_place() {
        assert_eq!(
            find_entries(LIST, 0xffff_ffff_8d86_c2d0, 0).unwrap(),
            "r __sys_socket+0x4 [FTRACE]; k __sys_socket+0x4 [FTRACE]"
        );
        assert_eq!(
            find_entries(LIST, 0xffff_ffff_8d86_97a0, 0x11).unwrap(),
            "k sock_alloc+0x11 [OPTIMIZED]"
        );
        assert_eq!(
            find_entries(LIST, 0xffff_ffff_8d86_97c0, 0).unwrap(),
            "k sock_close+0x0"
        );
        assert!(find_entries(LIST, 0xffff_ffff_8d86_97bc, 4 + 4).is_err());
        let hidden = find_entries("0000000000000000  k  x+0x0\n", 1, 0);
        assert!(matches!(hidden, Err(KprobeListError::Hidden)));
        let absent = find_entries("", 1, 0);
        assert!(matches!(absent, Err(KprobeListError::NotListed)));
    }
}
