//! Source lines of every call site that a capture saw, from the kernel's whole debug information.
//!
//! `cargo bench -p qed-collector --bench lines [-- -n ROUNDS]`. The addresses are all return addresses on the stacks
//! of a real capture in a guest, and the functions that were probed. First: with an empty cache, to the written cache. Again:
//! with that cache. The goals are 1 s and 50 ms, and for the first time on 7.3, whose debug information is larger, 1.5 times that on 6.12.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use common::{GUESTS, boot, guest, investigation, kernel, median, ms, ratio, rounds};
use qed_collector::guest::debuginfo;
use qed_collector::guest::protocol::{GuestJob, Unrunnable, parse_capture_answer};
use qed_collector::probe::parse_event;
use qed_collector::symbols::debuginfo::open;
use qed_collector::symbols::lines::LineResolver;

const FIRST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(50);

/// The kernels whose ratio is printed: the first time of the later one to that of the earlier one.
const COMPARED: (&str, &str) = ("debian-6.12", "debian-7.3");

/// The most that this ratio should be.
const COMPARED_GOAL: f64 = 1.5;

/// The addresses that a capture saw, and times of their lines.
struct Work {
    name: &'static str,
    vmlinux: PathBuf,
    calls: BTreeSet<u64>,
    functions: BTreeSet<u64>,
    first: Vec<Duration>,
    again: Vec<Duration>,
    found: usize,
}

fn main() -> anyhow::Result<()> {
    if qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    let mut works = Vec::new();
    for name in GUESTS.into_iter().chain([COMPARED.1]) {
        match captured(name) {
            Ok(work) => works.push(work),
            Err(error) => println!("{name}: not measured: {error:#}"),
        }
    }
    // In turn, so that what the machine does besides counts for all.
    for _ in 0..rounds(5) {
        for work in &mut works {
            work.measure()?;
        }
    }
    for work in &works {
        work.print()?;
    }
    let of = |name: &str| works.iter().find(|work| work.name == name);
    if let (Some(earlier), Some(later)) = (of(COMPARED.0), of(COMPARED.1)) {
        println!(
            "first time of {} to that of {}: RATIO {:.2}, goal {COMPARED_GOAL}",
            later.name,
            earlier.name,
            ratio(&later.first, &earlier.first)
        );
    }
    Ok(())
}

/// Capture once on a guest: the addresses whose lines are wanted.
fn captured(name: &'static str) -> anyhow::Result<Work> {
    let (cache, image) = kernel(name)?;
    let info =
        debuginfo::fetch_package_debuginfo(&image, &cache, true, &|line| eprintln!("{line}"))?;
    let info = info.context("no debug information")?;
    let mut spec = guest(&image, &cache);
    let job = GuestJob::Capture {
        name: "socket.toml".into(),
        text: std::fs::read_to_string(investigation())?,
        chosen: Ok(Vec::new()),
        modules: Vec::new(),
        unrunnable: Unrunnable::default(),
    };
    spec.files.push(job.to_file()?);
    let raw = parse_capture_answer(&boot(&spec)?.0.payload)?;
    let stated = raw.facts.vmcoreinfo.map_err(|e| anyhow::anyhow!("{e}"))?;
    let slide = stated.kernel_offset.context("no slide")?;
    let (mut calls, mut functions) = (BTreeSet::new(), BTreeSet::new());
    for record in raw.experiments.iter().flat_map(|e| &e.events) {
        let event = parse_event(&record.0)?;
        calls.extend(event.frames().iter().map(|live| live.wrapping_sub(slide)));
        functions.insert(event.site.wrapping_sub(slide));
    }
    Ok(Work {
        name,
        vmlinux: info.vmlinux,
        calls,
        functions,
        first: Vec::new(),
        again: Vec::new(),
        found: 0,
    })
}

impl Work {
    /// Look all lines up with an empty cache, and then with the one that this wrote.
    fn measure(&mut self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        for times in [&mut self.first, &mut self.again] {
            let start = Instant::now();
            let mut lines = LineResolver::new(open(&self.vmlinux)?, Some(folder.path()));
            self.found = 0;
            for address in &self.calls {
                self.found += usize::from(!lines.frames(address.wrapping_sub(1))?.is_empty());
            }
            for address in &self.functions {
                self.found += usize::from(lines.definition_at(*address)?.is_some());
            }
            lines.save()?;
            times.push(start.elapsed());
        }
        Ok(())
    }

    fn print(&self) -> anyhow::Result<()> {
        let (first, again) = (median(&self.first), median(&self.again));
        println!(
            "{}: {} lines of {} call sites and {} functions in {} MB: first {:.0} ms, RATIO to the goal of {:.0} ms: {:.2}; \
             cached {:.1} ms, RATIO to the goal of {:.0} ms: {:.2}",
            self.name,
            self.found,
            self.calls.len(),
            self.functions.len(),
            std::fs::metadata(&self.vmlinux)?.len() / 1_000_000,
            ms(first),
            ms(FIRST),
            first.as_secs_f64() / FIRST.as_secs_f64(),
            ms(again),
            ms(AGAIN),
            again.as_secs_f64() / AGAIN.as_secs_f64(),
        );
        Ok(())
    }
}
