//! Tests on real files, which environment variables name; they print the time that they take.

use std::path::PathBuf;
use std::time::Instant;

use super::compare::{StaticTable, compare_symbols};
use crate::symbols::elf::StaticSymbols;
use crate::symbols::system_map::SystemMap;
use crate::symbols::{Kallsyms, debuginfo};

/// Check that a real System.map and the vmlinux beside it agree on every symbol of the core image, that a live table
/// made from the map by adding a slide gives that slide, and that every function resolves to its own name.
#[test]
#[ignore = "needs a vmlinux in QED_TEST_VMLINUX, with its System.map beside it"]
fn real_tables() {
    const SLIDE: u64 = 0x1b20_0000;
    let path = PathBuf::from(std::env::var_os("QED_TEST_VMLINUX").expect("QED_TEST_VMLINUX"));
    let map = path.to_str().unwrap().replace("/vmlinux-", "/System.map-");
    let text = std::fs::read_to_string(map).unwrap();
    let shift = |line: &str| {
        let address = u64::from_str_radix(&line[..16], 16).unwrap();
        let moves = address >> 63 == 1 && &line[17..18] != "A";
        format!(
            "{:016x}{}\n",
            if moves { address + SLIDE } else { address },
            &line[16..]
        )
    };
    let live: String = text.lines().map(shift).collect();
    let start = Instant::now();
    let live = Kallsyms::parse(live, Some("0")).unwrap();
    println!("parse of {} symbols: {:?}", live.len(), start.elapsed());
    let start = Instant::now();
    let found: usize = (0..20).map(|_| live.lookup("__sock_create").len()).sum();
    println!(
        "lookup of a name: {:?} ({found} found in 20)",
        start.elapsed() / 20
    );

    let map = SystemMap::parse(text.into_bytes()).unwrap();
    let vmlinux = debuginfo::open(&path).unwrap();
    let start = Instant::now();
    let symbols = StaticSymbols::parse(&vmlinux.data).unwrap();
    println!(
        "symtab of {}: {:?}",
        symbols.symbols().len(),
        start.elapsed()
    );
    for fixed in [
        StaticTable::from_system_map(&map).unwrap(),
        StaticTable::from_elf(&symbols).unwrap(),
    ] {
        let start = Instant::now();
        let comparison = compare_symbols(&live, &fixed).unwrap();
        println!("{comparison:?} in {:?}", start.elapsed());
        assert_eq!((comparison.slide, comparison.differing), (SLIDE, 0));
        assert!(comparison.checked > 50_000 && comparison.absent * 100 < comparison.checked);
    }

    let (mut checked, mut wrong) = (0_u64, Vec::new());
    let start = Instant::now();
    for symbol in symbols
        .symbols()
        .iter()
        .filter(|s| s.is_function && s.size > 0 && s.address >> 63 == 1 && !s.is_absolute)
    {
        checked += 1;
        match live.resolve(symbol.address + SLIDE + symbol.size - 1) {
            Ok(found) if found.name == symbol.name || found.aliases.contains(&symbol.name) => {}
            other => wrong.push(format!(
                "{} -> {:?}",
                symbol.name,
                other.map(|found| found.name)
            )),
        }
    }
    println!(
        "last byte of {checked} functions: {} not its own name, {:?} each",
        wrong.len(),
        start.elapsed() / checked as u32
    );
    println!("{:?}", &wrong[..wrong.len().min(12)]);
    assert!((wrong.len() as u64) * 100 < checked);
}

/// Check that the sources of this machine agree, and that each that gives nothing says why. `QED_TEST_SYSTEM_MAP` and `QED_TEST_VMLINUZ` may
/// name files of the running kernel.
#[test]
#[ignore = "reads the running kernel"]
fn this_machine() {
    let unavailable = |why: &str| super::KaslrSourceError::Unavailable(why.to_owned());
    let file = |name: &str| std::env::var_os(name).map(|path| std::fs::read(path).unwrap());
    let start = Instant::now();
    let live = crate::symbols::running::read_kallsyms();
    println!("kallsyms in {:?}", start.elapsed());
    let start = Instant::now();
    let vmcoreinfo = super::running::read_vmcoreinfo();
    println!("vmcoreinfo in {:?}", start.elapsed());
    let map = file("QED_TEST_SYSTEM_MAP").map(|content| SystemMap::parse(content).unwrap());
    let fixed = map.iter().map(|map| super::report::StaticSource {
        name: "kallsyms-systemmap",
        build_id: None,
        table: StaticTable::from_system_map(map).map_err(|error| unavailable(&error.to_string())),
    });
    let image =
        file("QED_TEST_VMLINUZ").map(|image| super::vmlinuz::read_image_base(&image).unwrap());
    let config = super::running::read_config("");
    let start = Instant::now();
    let report = super::judge(&super::KaslrInputs {
        arch: crate::arch::Arch::X86_64,
        build_id: crate::symbols::running::read_build_id()
            .map_err(crate::reason::Reason::from_error),
        live: live
            .as_ref()
            .map_err(|error| unavailable(&error.to_string())),
        statics: fixed.collect(),
        image: image.ok_or_else(|| unavailable("no image was given")),
        vmcoreinfo,
        console: Err(unavailable("it has not panicked")),
        config: config.as_ref().map_err(Clone::clone),
        command_line: std::fs::read_to_string("/proc/cmdline").ok().as_deref(),
        names: &["_text", "__sys_socket", "inet_stream_ops"],
    });
    println!("judged in {:?}: {report:#x?}", start.elapsed());
    assert!(
        !matches!(report.status, super::KaslrStatus::Error { .. }),
        "the sources of this machine contradict each other: {:?}",
        report.status
    );
    // A slide is only given by a source, and everything without one has its reason.
    assert_eq!(
        report.slide.is_some(),
        report.sources.iter().any(|s| s.slide.is_ok())
    );
    assert!(report.sources.iter().all(|source| match &source.slide {
        Ok(slide) => Some(*slide) == report.slide,
        Err(reason) => !reason.to_string().is_empty(),
    }));
}
