//! Source lines of every call site that a capture saw, from the kernel's whole debug information.
//!
//! `cargo bench -p qed-collector --bench lines [-- -n ROUNDS]`. The addresses are all return addresses on the stacks
//! of a real capture in a guest, and the functions that were probed. First: with an empty cache, to the written cache. Again:
//! with that cache. The goals are 1 s and 50 ms.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use common::{GUESTS, boot, guest, investigation, kernel, median, ms, rounds};
use qed_collector::guest::debuginfo;
use qed_collector::guest::protocol::{Job, capture_answer};
use qed_collector::probe::parse_event;
use qed_collector::symbols::debuginfo::open;
use qed_collector::symbols::lines::LineResolver;

const FIRST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(50);

fn main() -> anyhow::Result<()> {
    if qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    for name in GUESTS {
        if let Err(error) = measure(name) {
            println!("{name}: not measured: {error:#}");
        }
    }
    Ok(())
}

fn measure(name: &str) -> anyhow::Result<()> {
    let (cache, image) = kernel(name)?;
    let info = debuginfo::of_package(&image, &cache, true, &|line| eprintln!("{line}"))?;
    let info = info.context("no debug information")?;
    let mut spec = guest(&image, &cache);
    let job = Job::Capture {
        name: "socket.toml".into(),
        text: std::fs::read_to_string(investigation())?,
        chosen: Ok(Vec::new()),
        modules: Vec::new(),
    };
    spec.files.push(job.file()?);
    let raw = capture_answer(&boot(&spec)?.0.payload)?;
    let stated = raw.facts.vmcoreinfo.map_err(|e| anyhow::anyhow!("{e}"))?;
    let slide = stated.kernel_offset.context("no slide")?;
    let (mut calls, mut functions) = (BTreeSet::new(), BTreeSet::new());
    for record in raw.experiments.iter().flat_map(|e| &e.events) {
        let event = parse_event(&record.0)?;
        calls.extend(event.frames().iter().map(|live| live.wrapping_sub(slide)));
        functions.insert(event.site.wrapping_sub(slide));
    }
    let (mut first, mut again, mut found) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds(5) {
        let folder = tempfile::tempdir()?;
        for times in [&mut first, &mut again] {
            let start = Instant::now();
            let mut lines = LineResolver::new(open(&info.vmlinux)?, Some(folder.path()));
            found = 0;
            for address in &calls {
                found += usize::from(!lines.frames(address.wrapping_sub(1))?.is_empty());
            }
            for address in &functions {
                found += usize::from(lines.definition_at(*address)?.is_some());
            }
            lines.save()?;
            times.push(start.elapsed());
        }
    }
    println!(
        "{name}: {found} lines of {} call sites and {} functions in {} MB: first {:.0} ms, RATIO to the goal of {:.0} ms: {:.2}; \
         cached {:.1} ms, RATIO to the goal of {:.0} ms: {:.2}",
        calls.len(),
        functions.len(),
        std::fs::metadata(&info.vmlinux)?.len() / 1_000_000,
        ms(median(&first)),
        ms(FIRST),
        median(&first).as_secs_f64() / FIRST.as_secs_f64(),
        ms(median(&again)),
        ms(AGAIN),
        median(&again).as_secs_f64() / AGAIN.as_secs_f64(),
    );
    Ok(())
}
