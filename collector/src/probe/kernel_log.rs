//! The kernel's explanation of a probe that it refused: its log, and its blacklist of addresses.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

/// The log, a record for each read (<https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg>).
const LOG: &str = "/dev/kmsg";

/// In debugfs, for root (<https://elixir.bootlin.com/linux/v6.1/A/ident/kprobe_blacklist_seq_show>).
const FORBIDDEN: &str = "/sys/kernel/debug/kprobes/blacklist";

/// The longest record, in bytes (`CONSOLE_EXT_LOG_MAX`).
const RECORD: usize = 8192;

/// The number of records after which reading stops, because the log fills faster than it is read.
const MAX_RECORDS: usize = 10_000;

/// The log from one moment on.
#[derive(Debug)]
pub(super) struct KernelLog(Option<File>);

impl KernelLog {
    /// The log from now on; empty if it cannot be read.
    pub(super) fn from_now() -> Self {
        let open = || -> std::io::Result<File> {
            let mut file = File::options()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(LOG)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        Self(open().ok())
    }

    /// The records that came since the last call, without their heads; `None`: they cannot be read.
    fn read_new(&mut self) -> Option<Vec<String>> {
        let file = self.0.as_mut()?;
        let mut records = Vec::new();
        let mut buffer = vec![0; RECORD];
        for _ in 0..MAX_RECORDS {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    records.push(record_message(&String::from_utf8_lossy(&buffer[..length])))
                }
                // The oldest records were overwritten; the next read continues after the gap.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return None,
            }
        }
        Some(records)
    }

    /// The reason why the kernel answered EINVAL to a probe at `address`, and what would have to change.
    pub(super) fn einval_reason(&mut self, address: u64) -> (String, String) {
        let log = self.read_new();
        let forbidden = fs::read_to_string(FORBIDDEN).ok();
        let reason = einval_reason_text(log.as_deref(), forbidden.as_deref(), address);
        (
            reason.into(),
            "probe its caller or one of its callees".into(),
        )
    }
}

/// The text of a record such as `4,812,5140900,-;trace_kprobe: Could not probe …\n SUBSYSTEM=…`.
fn record_message(record: &str) -> String {
    let text = record.split_once(';').map_or(record, |(_, text)| text);
    text.lines().next().unwrap_or_default().to_owned()
}

/// The reason for EINVAL, from the log records since the probe was requested and from the blacklist.
///
/// The kernel refuses a function marked notrace with a line in its log alone: it is on no list
/// (<https://elixir.bootlin.com/linux/v6.1/A/ident/within_notrace_func>).
fn einval_reason_text(
    log: Option<&[String]>,
    forbidden: Option<&str>,
    address: u64,
) -> &'static str {
    let says = |word: &str| {
        log.is_some_and(|records| {
            records
                .iter()
                .any(|record| record.starts_with("trace_kprobe:") && record.contains(word))
        })
    };
    if says("notrace") {
        return "the kernel's log says that the function is marked notrace: this kernel lets probes look only where its \
                function tracer may (CONFIG_KPROBE_EVENTS_ON_NOTRACE is not set)";
    }
    match forbidden.map(|list| holds_address(list, address)) {
        Some(true) => "it is on the kernel's list of places where no probe may be (NOKPROBE)",
        Some(false) if log.is_some() => {
            "the kernel does not allow a probe there, and neither its log nor its list of forbidden places says why"
        }
        _ => {
            "the kernel does not allow a probe there (marked notrace or NOKPROBE, or not kernel text), and what it says about \
             that cannot be read here"
        }
    }
}

/// True if a list with lines such as `0xffffffff81001000-0xffffffff81001040\tname` has a range that holds `address`.
fn holds_address(list: &str, address: u64) -> bool {
    let number = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    list.lines().any(|line| {
        let range = line.split_whitespace().next().and_then(|range| {
            let (start, end) = range.split_once('-')?;
            Some(number(start)?..number(end)?)
        });
        range.is_some_and(|range| range.contains(&address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTRACE: &str = "4,812,5140900,-;trace_kprobe: Could not probe notrace function x64_sys_call\n SUBSYSTEM=x\n";
    const LIST: &str = "0xffffffff81001000-0xffffffff81001040\tasm_exc_nmi\n0x0000000000000000-0x0000000000000000\thidden\n";

    /// Check that the log takes precedence over the blacklist, that the blacklist is searched by address, and that only what
    /// was read is reported.
    #[test]
    fn reasons() {
        let notrace = [record_message(NOTRACE)];
        let other = [record_message("6,1,2,-;usb 1-1: notrace")];
        let (inside, outside) = (0xffff_ffff_8100_1010, 0xffff_ffff_8100_1040);
        for (log, list, address, word) in [
            (Some(&notrace[..]), Some(LIST), inside, "marked notrace:"),
            (Some(&other[..]), Some(LIST), inside, "(NOKPROBE)"),
            (Some(&[][..]), Some(LIST), outside, "neither its log"),
            (Some(&[][..]), Some(LIST), 0, "neither its log"),
            (None, Some(LIST), outside, "cannot be read here"),
            (Some(&[][..]), None, outside, "cannot be read here"),
            (None, None, inside, "cannot be read here"),
        ] {
            let reported = einval_reason_text(log, list, address);
            assert!(reported.contains(word), "{reported}");
        }
    }

    /// Check that a log that cannot be opened is not treated as an empty one.
    #[test]
    fn without_a_log() {
        assert_eq!(KernelLog(None).read_new(), None);
    }
}
