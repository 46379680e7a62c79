//! A second, independent look at one experiment, for tests: the kernel's own kprobe events, formatted by the
//! kernel (tracefs), and its memory through `/proc/kcore`. No eBPF program and no decoder of ours takes part.
//!
//! Format of the events:
//! <https://docs.kernel.org/trace/kprobetrace.html>

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use anyhow::{Context as _, bail};
use qed_evidence::document::Target;

use qed_collector::btf::{Btf, NameKind, Type};
use qed_collector::plan::PlannedExperiment;
use qed_collector::session::Observer;

use crate::job::{Chain, View};
use crate::trace;

/// The place of tracefs in a guest.
const TRACEFS: &str = "/sys/kernel/tracing";
/// The group of our events there.
const GROUP: &str = "qed_oracle";

/// Looks at one experiment.
#[derive(Debug)]
pub struct Oracle {
    experiment: String,
    events: String,
    chains: Vec<(Chain, Vec<u64>)>,
    /// Empty before the experiment.
    view: RefCell<View>,
}

impl Oracle {
    /// Will look at the functions that `planned` probes.
    pub fn new(
        planned: &PlannedExperiment,
        chains: Vec<Chain>,
        btf: &[u8],
    ) -> anyhow::Result<Self> {
        let btf = Btf::parse(btf).context("failed to understand the kernel's BTF")?;
        let chains = chains.into_iter().map(|chain| {
            let offsets = chain.steps.iter().map(|(s, m)| offset(&btf, s, m));
            let offsets = offsets.collect::<anyhow::Result<Vec<u64>>>()?;
            Ok((chain, offsets))
        });
        Ok(Self {
            experiment: planned.name.clone(),
            events: definitions(planned),
            chains: chains.collect::<anyhow::Result<_>>()?,
            view: RefCell::default(),
        })
    }

    /// The view.
    pub fn into_view(self) -> View {
        self.view.into_inner()
    }
}

impl Observer for Oracle {
    fn begin(&self, experiment: &str, pid: u32) -> anyhow::Result<()> {
        if experiment != self.experiment {
            return Ok(());
        }
        write("tracing_on", "0")?;
        write("trace_clock", "mono")?;
        write("trace", "")?;
        if !fs::exists(format!("{TRACEFS}/events/{GROUP}"))? {
            self.define()?;
        }
        write("set_event_pid", &pid.to_string())?;
        for event in [GROUP, "raw_syscalls"] {
            write(&format!("events/{event}/enable"), "1")?;
        }
        write("tracing_on", "1")
    }

    fn end(&self, experiment: &str) -> anyhow::Result<()> {
        if experiment != self.experiment {
            return Ok(());
        }
        write("tracing_on", "0")?;
        for event in [GROUP, "raw_syscalls"] {
            write(&format!("events/{event}/enable"), "0")?;
        }
        let path = format!("{TRACEFS}/trace");
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
        let events = trace::parse(&text);
        let kcore = Kcore::open()?;
        let mut followed = Vec::new();
        for (chain, offsets) in &self.chains {
            let name = format!("{}_in", chain.function);
            let field = format!("a{}", chain.argument);
            let mut at = events
                .iter()
                .find(|event| event.name == name)
                .and_then(|event| event.fields.get(&field).copied())
                .with_context(|| format!("the kernel traced no {name}"))?;
            let mut seen = vec![at];
            for offset in offsets {
                at = kcore.word(at.wrapping_add(*offset))?;
                seen.push(at);
            }
            followed.push(seen);
        }
        let mut view = self.view.borrow_mut();
        view.trace = text;
        view.chains = followed;
        Ok(())
    }
}

impl Oracle {
    /// Define the events. That the kernel takes one for invalid is an answer.
    fn define(&self) -> anyhow::Result<()> {
        for line in self.events.lines() {
            let Err(error) = write("kprobe_events", line) else {
                continue;
            };
            let function = line.split(' ').nth(1).unwrap_or_default();
            let invalid = error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidInput);
            if !invalid {
                return Err(error.context(format!("the line was `{line}`")));
            }
            let refused = &mut self.view.borrow_mut().refused;
            if !refused.iter().any(|known| known == function) {
                refused.push(function.to_owned());
            }
        }
        Ok(())
    }
}

fn write(file: &str, text: &str) -> anyhow::Result<()> {
    let path = format!("{TRACEFS}/{file}");
    // Appending is what adds an event; an empty text truncates, which is what clears the trace.
    let mut options = File::options();
    options.write(true);
    if text.is_empty() {
        options.truncate(true);
    } else if file == "kprobe_events" {
        options.append(true);
    }
    options
        .open(&path)
        .and_then(|mut opened| {
            std::io::Write::write_all(&mut opened, format!("{text}\n").as_bytes())
        })
        .with_context(|| format!("failed to write `{text}` to {path}"))
}

/// One event at the entry and one at the return of each probed function: all arguments that come in
/// registers, and the return value, each as 64 bits.
fn definitions(planned: &PlannedExperiment) -> String {
    let mut out = String::new();
    for probe in &planned.probes {
        let (Target::Function(function), Ok(_), 0) = (&probe.target, &probe.source, probe.offset)
        else {
            continue;
        };
        out += &format!("p:{GROUP}/{function}_in {function}");
        for register in probe
            .parameters
            .iter()
            .filter_map(|p| p.register.as_ref().ok())
        {
            out += &format!(" a{register}=$arg{}:x64", register + 1);
        }
        // 6.12 knows from its BTF that a `void` function has no value, and refuses to look.
        let value = if probe.returns.is_some() {
            " ret=$retval:x64"
        } else {
            ""
        };
        out += &format!("\nr:{GROUP}/{function}_out {function}{value}\n");
    }
    out
}

fn offset(btf: &Btf<'_>, structure: &str, member: &str) -> anyhow::Result<u64> {
    let unknown = || format!("this kernel has no {structure}.{member}");
    let id = *btf
        .find(NameKind::Struct, structure)
        .first()
        .with_context(unknown)?;
    let Type::Struct(composite) = btf.get(id)? else {
        bail!("{structure} is not a structure");
    };
    let member = btf.find_member(&composite, member)?.with_context(unknown)?;
    Ok(member.bit_offset / 8)
}

/// The kernel's memory as an ELF core file.
struct Kcore {
    file: File,
    /// Address, size and place in the file of each segment.
    segments: Vec<(u64, u64, u64)>,
}

impl Kcore {
    fn open() -> anyhow::Result<Self> {
        let file = File::open("/proc/kcore").context("failed to open /proc/kcore")?;
        let mut header = [0; 64];
        file.read_exact_at(&mut header, 0)?;
        let count = usize::from(u16::from_le_bytes([header[56], header[57]]));
        let mut table = vec![0; count * 56];
        file.read_exact_at(&mut table, number(&header, 32))?;
        Ok(Self {
            file,
            segments: segments(&table),
        })
    }

    fn word(&self, address: u64) -> anyhow::Result<u64> {
        let place = place(&self.segments, address)
            .with_context(|| format!("/proc/kcore does not hold {address:#x}"))?;
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, place)
            .with_context(|| format!("failed to read {address:#x} from /proc/kcore"))?;
        Ok(u64::from_le_bytes(bytes))
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// The loaded segments of a table of 64-bit program headers.
fn segments(table: &[u8]) -> Vec<(u64, u64, u64)> {
    const LOAD: [u8; 4] = [1, 0, 0, 0];
    let headers = table.as_chunks::<56>().0.iter();
    headers
        .filter(|header| header[..4] == LOAD)
        .map(|header| (number(header, 16), number(header, 40), number(header, 8)))
        .collect()
}

/// The place of the 8 bytes at `address` in the file.
fn place(segments: &[(u64, u64, u64)], address: u64) -> Option<u64> {
    segments.iter().find_map(|&(start, size, offset)| {
        let distance = address.checked_sub(start)?;
        (distance.checked_add(8)? <= size).then_some(offset + distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that an address is found in the segment that holds all 8 bytes, and in no other.
    #[test]
    fn places() {
        let mut table = vec![0u8; 112];
        table[0] = 4;
        table[56] = 1;
        table[56 + 8..56 + 16].copy_from_slice(&0x1000u64.to_le_bytes());
        table[56 + 16..56 + 24].copy_from_slice(&0xffff_8000_0000_0000u64.to_le_bytes());
        table[56 + 40..56 + 48].copy_from_slice(&0x100u64.to_le_bytes());
        let segments = segments(&table);
        assert_eq!(place(&segments, 0xffff_8000_0000_0010), Some(0x1010));
        assert_eq!(place(&segments, 0xffff_8000_0000_00f8), Some(0x10f8));
        assert_eq!(place(&segments, 0xffff_8000_0000_00f9), None);
        assert_eq!(place(&segments, 0), None);
    }
}
