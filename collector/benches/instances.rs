//! The copies of every function that the flagship's investigation probes, from the kernel's symbols and its whole debug
//! information: what `plan` adds to a plan.
//!
//! `cargo bench -p qed-collector --bench instances [-- -n ROUNDS]`. First: with an empty cache, to the written cache. Again:
//! with that cache. The goals are 300 ms and 30 ms.

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use common::{GUESTS, investigation, kernel, median, ms, rounds};
use qed_collector::assemble::instances::SymbolTables;
use qed_collector::guest::debuginfo;
use qed_collector::symbols::debuginfo::open;
use qed_collector::symbols::lines::LineResolver;
use qed_collector::symbols::system_map::SystemMap;
use qed_evidence::document::Target;

const FIRST: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_millis(30);

fn main() -> anyhow::Result<()> {
    for name in GUESTS {
        if let Err(error) = measure(name) {
            println!("{name}: not measured: {error:#}");
        }
    }
    Ok(())
}

fn measure(name: &str) -> anyhow::Result<()> {
    let (cache, image) = kernel(name)?;
    let info =
        debuginfo::fetch_package_debuginfo(&image, &cache, true, &|line| eprintln!("{line}"))?;
    let info = info.context("no debug information")?;
    let map = info.system_map.context("no System.map")?;
    let text = std::fs::read_to_string(investigation())?;
    let plan = qed_evidence::investigation::parse("socket.toml", &text)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let probes = plan.experiments.iter().flat_map(|e| &e.probes);
    let names = probes.flat_map(|probe| {
        let own = match &probe.target {
            Target::Function(name) => Some(name.as_str()),
            _ => None,
        };
        own.into_iter().chain(probe.within.as_deref())
    });
    let names: BTreeSet<&str> = names.collect();
    let names: Vec<&str> = names.into_iter().collect();
    let (mut first, mut again, mut found) = (Vec::new(), Vec::new(), 0_u64);
    for _ in 0..rounds(5) {
        let folder = tempfile::tempdir()?;
        for times in [&mut first, &mut again] {
            let start = Instant::now();
            let table = SystemMap::parse(std::fs::read(&map)?)?;
            let lines = RefCell::new(LineResolver::new(open(&info.vmlinux)?, Some(folder.path())));
            let look = SymbolTables {
                arch: qed_collector::arch::Arch::X86_64,
                kallsyms: Some(table.table()),
                slide: Some(0),
                lines: Ok(&lines),
            };
            let instances = look.instances(&names);
            found = instances.values().map(|one| one.count).sum();
            lines.borrow_mut().save()?;
            times.push(start.elapsed());
        }
    }
    println!(
        "{name}: {found} copies of {} functions in {} MB: first {:.0} ms, RATIO to the goal of {:.0} ms: {:.2}; \
         cached {:.1} ms, RATIO to the goal of {:.0} ms: {:.2}",
        names.len(),
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
