//! The copies of all functions of the tests' kernels; of 50 random ones, what other programs say of them, and what silence may prove.
//!
//! Those are llvm-dwarfdump and objdump (Debian packages llvm and binutils), and System.map as text.
//!
//! By hand: `cargo test --release -p qed-collector --test integration instances -- --ignored --nocapture`. `QED_SEED` repeats a
//! choice.

use crate::binutils;
use crate::support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use binutils::{Described, Map, described};
use qed_collector::assemble::instances::SymbolTables;
use qed_collector::guest::cache::Cache;
use qed_collector::guest::{KernelSource, debuginfo, fetch};
use qed_collector::symbols::Kallsyms;
use qed_collector::symbols::debuginfo::open;
use qed_collector::symbols::kallsyms::copies::{is_cold, is_copy};
use qed_collector::symbols::lines::LineResolver;
use qed_collector::symbols::system_map::SystemMap;
use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, SourceMap, Verdict, judge};
use qed_evidence::diagnostic::SourceText as Text;
use qed_evidence::document::{Experiment, Target};
use qed_evidence::instances::Instances;
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::value::{Datum, Frame, Value};
use support::{GUESTS, collector, folder_with, status_and_message};

/// Functions that are tried.
const TRIED: usize = 50;
/// The workloads: calls that go through different parts of the kernel.
const WORKLOADS: [(&str, &str); 5] = [
    (
        "sock",
        r#"{ syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }"#,
    ),
    (
        "make",
        r#"{ syscall = "mkdir", args = [{ text = "/tmp-a" }, 448] }"#,
    ),
    ("copy", r#"{ syscall = "dup", args = [1] }"#),
    (
        "folder",
        r#"{ syscall = "chdir", args = [{ text = "/" }] }"#,
    ),
    (
        "stat",
        r#"{ syscall = "newfstatat", args = [-100, { text = "/" }, { buffer = "st", size = 256 }, 0] }"#,
    ),
];

/// The functions of one kernel by what makes a probe on them see less than all.
#[derive(Default)]
struct Census {
    functions: BTreeSet<String>,
    clones: BTreeSet<String>,
    namesakes: BTreeSet<String>,
    inlined: BTreeSet<String>,
    jumps: BTreeSet<String>,
}

impl Census {
    /// Write the name of each function, a line each, with what it has; return the file.
    fn write(&self, kernel: &str) -> PathBuf {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("instances-{kernel}.txt"));
        let kinds = [
            ("clones", &self.clones),
            ("namesakes", &self.namesakes),
            ("inlined", &self.inlined),
            ("jumps", &self.jumps),
        ];
        let text: String = (self.functions.iter())
            .filter_map(|name| {
                let has = kinds.iter().filter(|(_, names)| names.contains(name));
                let has: Vec<&str> = has.map(|(kind, _)| *kind).collect();
                (!has.is_empty()).then(|| format!("{name} {}\n", has.join(" ")))
            })
            .collect();
        std::fs::write(&file, text).expect("a list");
        file
    }
}

fn census(table: &Kallsyms, lines: &RefCell<LineResolver>) -> Census {
    let mut census = Census::default();
    let mut places: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for symbol in table
        .symbols()
        .filter(|s| table.is_code(s) && !is_cold(s.name))
    {
        if table.is_discarded(symbol.address) || !table.image().contains(&symbol.address) {
            continue;
        }
        // Room ahead of functions, in which there is no code.
        if symbol.name.starts_with("__pfx_") {
            continue;
        }
        match symbol.name.split_once('.') {
            Some((function, _)) => drop(census.clones.insert(function.to_owned())),
            None => drop(
                places
                    .entry(symbol.name)
                    .or_default()
                    .insert(symbol.address),
            ),
        }
    }
    let looking = SymbolTables {
        arch: qed_collector::arch::Arch::X86_64,
        kallsyms: Some(table),
        slide: Some(0),
        lines: Ok(lines),
    };
    for (name, addresses) in &places {
        census.functions.insert((*name).to_owned());
        if addresses.len() > 1 {
            census.namesakes.insert((*name).to_owned());
        }
        if addresses
            .iter()
            .any(|at| looking.leaves_by_jump(*at) == Some(true))
        {
            census.jumps.insert((*name).to_owned());
        }
    }
    let inlined = lines.borrow().inlined_names().expect("debug info");
    census.inlined.extend(
        inlined
            .into_iter()
            .filter(|name| places.contains_key(name.as_str())),
    );
    census
}

/// Counts of what was compared, and the differences.
#[derive(Default)]
struct Compared {
    copies: usize,
    holders: usize,
    jumps: usize,
    /// Functions of which the collector says that it does not know where they are inlined.
    unknown: usize,
    problems: Vec<String>,
}

impl Compared {
    /// Compare what the collector says of a function with what other programs do.
    fn one(&mut self, function: &str, ours: &Instances, others: &Described, map: &Map) {
        let discarded = map.discarded();
        // A weak function that another file's has replaced has code without a symbol, which nothing calls.
        let kept = |starts: &&BTreeSet<u64>| {
            !starts.iter().any(|at| discarded.contains(at)) && map.names_any(starts)
        };
        let own: BTreeSet<u64> = ours.copies.iter().map(|copy| copy.address.0).collect();
        let named = map.copies(function).into_iter().map(|(at, _)| at);
        let named: BTreeSet<u64> = named.filter(|at| !discarded.contains(at)).collect();
        let mut problem = |what: &str, at: &dyn std::fmt::Debug| {
            self.problems.push(format!("`{function}`: {what}: {at:x?}"));
        };
        for at in named.difference(&own) {
            problem("a symbol and no copy", at);
        }
        for starts in others.own.iter().filter(kept) {
            if starts.is_disjoint(&own) {
                problem("code of its own and no copy", starts);
            }
        }
        for at in own.difference(&named) {
            if !others.own.iter().any(|starts| starts.contains(at)) {
                problem("a copy and nothing there", at);
            }
        }
        self.copies += own.len();
        let Some(inlined) = &ours.inlined else {
            self.unknown += 1;
            return;
        };
        let holders = inlined.iter().filter_map(|copy| Some(copy.address?.0));
        let holders: BTreeSet<u64> = holders.collect();
        let mut problem = |what: &str, at: &dyn std::fmt::Debug| {
            self.problems.push(format!("`{function}`: {what}: {at:x?}"));
        };
        for starts in others.holders.iter().filter(kept) {
            if starts.is_disjoint(&holders) {
                problem("inlined, and no holder", starts);
            }
        }
        for at in &holders {
            if !others.holders.iter().any(|starts| starts.contains(at)) {
                problem("a holder, and nothing inlined", at);
            }
        }
        self.holders += holders.len();
    }

    /// Compare whether a function's own copies can end in a jump to another function.
    fn jumps(&mut self, function: &str, looking: &SymbolTables<'_>, vmlinux: &Path, map: &Map) {
        for (at, symbol) in map.copies(function) {
            let Some(ours) = looking.leaves_by_jump(at) else {
                continue;
            };
            self.jumps += 1;
            // A jump to code that only returns does not enter another function.
            let Some(others) = map.leaves_by_jump(vmlinux, at, symbol) else {
                continue;
            };
            if others != ours {
                self.problems.push(format!(
                    "`{symbol}` at {at:x}: can be left by a jump: {ours}, and objdump says {others}"
                ));
            }
        }
    }
}

/// Numbers that look random, the same ones for the same seed (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}

/// An investigation that probes these functions in every workload, and keeps the stacks of allocations.
fn investigation(functions: &[String]) -> String {
    let mut text = String::new();
    for (name, workload) in WORKLOADS {
        text += &format!("[[experiment]]\nname = \"{name}\"\nworkload = {workload}\n");
        for tracepoint in ["kmem_cache_alloc", "kmem_cache_free", "kfree"] {
            text += &format!("[[experiment.probe]]\ntracepoint = \"{tracepoint}\"\n");
        }
        for (at, function) in functions.iter().enumerate() {
            text += &format!(
                "[[experiment.probe]]\nfunction = \"{function}\"\nname = \"f{at}\"\noptional = true\nreturn = false\n"
            );
        }
    }
    text
}

/// The stacks of all hits of an experiment.
fn stacks(experiment: &Experiment) -> impl Iterator<Item = &[Frame]> {
    let hits = experiment.probes.values().flat_map(|probe| &probe.hits);
    hits.filter_map(|hit| match hit.stack.as_ref()? {
        Datum::Value(Value::Stack { value }) => Some(value.as_slice()),
        _ => None,
    })
}

fn on_stack(frames: &[Frame], function: &str) -> bool {
    frames.iter().any(|frame| {
        let own = frame
            .symbol
            .as_deref()
            .is_some_and(|symbol| is_copy(symbol, function));
        let inlined = frame.site.as_ref().is_some_and(|site| {
            site.function == function
                || site.inlined_into.iter().any(|one| one.function == function)
        });
        own || inlined
    })
}

/// The verdict on each function's silence, and the number of stacks that contradict it.
fn judged(evidence: &Evidence, text: &str) -> (BTreeMap<&'static str, usize>, usize) {
    let plan = qed_evidence::investigation::parse("i.toml", text).expect("an investigation");
    let machines = [Indexed::new(evidence)];
    let catalog = Catalog {
        investigation: &plan,
        machines: &machines,
    };
    let (mut verdicts, mut contradicted) = (BTreeMap::new(), 0);
    for (name, experiment) in &evidence.experiments {
        for (probe_name, probe) in &experiment.probes {
            let Target::Function(function) = &probe.target else {
                continue;
            };
            if probe.backend.is_none() || !probe.hits.is_empty() {
                continue;
            }
            let body = format!("never({name}.{probe_name})");
            let source = Text {
                name: "t".into(),
                text: body.clone(),
            };
            let claim =
                Claim::parse("c", &body, SourceMap::new(source.into(), 0), None).expect("a claim");
            let judgement = judge(&claim, &catalog, &machines[0]);
            *verdicts.entry(judgement.verdict.name()).or_insert(0) += 1;
            if stacks(experiment).any(|frames| on_stack(frames, function)) {
                contradicted += 1;
                assert_ne!(
                    judgement.verdict,
                    Verdict::Pass,
                    "{name}: `{function}` is on a stack, and its probe is silent"
                );
            }
        }
    }
    (verdicts, contradicted)
}

/// Check that silence about a function that stands on a stack of the same run proves nothing, for 50 random functions
/// that have clones, namesakes, inlined copies or tail calls, and that other programs find the same copies, holders and
/// jumps; and tell how many of each there are.
#[test]
#[ignore = "takes minutes, needs QEMU and debug packages: see the head of this file"]
fn random_functions() {
    let seed = std::env::var("QED_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("QED_SEED={seed}");
    for name in GUESTS {
        let cache = Cache::for_user().expect("a cache folder");
        let source = KernelSource::parse(name).expect("a guest's name");
        let kernel = fetch::find_kernel(&source, &cache, false, &|_| {}).expect("a kernel");
        let info =
            debuginfo::fetch_package_debuginfo(&kernel, &cache, true, &|_| {}).expect("debug info");
        let info = info.expect("debug info");
        let map_file = info.system_map.expect("a System.map");
        let map = std::fs::read(&map_file).expect("a System.map");
        let table = SystemMap::parse(map).expect("a System.map");
        let lines = RefCell::new(LineResolver::new(
            open(&info.vmlinux).expect("a vmlinux"),
            None,
        ));
        let census = census(table.table(), &lines);
        println!(
            "{name}: {} functions with an address; {} have clones, {} namesakes, {} inlined copies, {} tail calls",
            census.functions.len(),
            census.clones.len(),
            census.namesakes.len(),
            census.inlined.len(),
            census.jumps.len()
        );
        println!(
            "{name}: their names are in {}",
            census.write(name).display()
        );
        let all = [
            &census.clones,
            &census.namesakes,
            &census.inlined,
            &census.jumps,
        ];
        let odd: BTreeSet<&String> = all.into_iter().flatten().collect();
        let odd: Vec<&String> = odd
            .into_iter()
            .filter(|name| census.functions.contains(*name))
            .collect();
        let mut random = Random(seed);
        // Half of them from files through which the workloads go: others rarely run.
        let likely: Vec<&String> = odd
            .iter()
            .filter(|name| {
                ["fd", "path", "file", "sock", "name", "inode", "dentry"]
                    .iter()
                    .any(|part| name.contains(part))
            })
            .copied()
            .collect();
        let mut chosen: BTreeSet<String> = BTreeSet::new();
        while chosen.len() < TRIED {
            let from = if chosen.len().is_multiple_of(2) {
                &likely
            } else {
                &odd
            };
            chosen.insert(from[random.below(from.len())].clone());
        }
        let map = Map::read(&std::fs::read_to_string(&map_file).expect("a System.map"));
        let others = described(&info.vmlinux, &chosen);
        let looking = SymbolTables {
            arch: qed_collector::arch::Arch::X86_64,
            kallsyms: Some(table.table()),
            slide: Some(0),
            lines: Ok(&lines),
        };
        let mut compared = Compared::default();
        let names: Vec<&str> = chosen.iter().map(String::as_str).collect();
        for (function, ours) in looking.instances(&names) {
            let nothing = Described::default();
            let others = others.get(&function).unwrap_or(&nothing);
            compared.one(&function, &ours, others, &map);
            compared.jumps(&function, &looking, &info.vmlinux, &map);
        }
        println!(
            "{name}: of {} functions {} copies, {} holders and {} codes are as other programs say; of {} it is not known where \
             they are inlined",
            names.len(),
            compared.copies,
            compared.holders,
            compared.jumps,
            compared.unknown
        );
        let problems = compared.problems.join("\n");
        assert!(problems.is_empty(), "{name}:\n{problems}");
        let chosen: Vec<String> = chosen.into_iter().collect();
        let text = investigation(&chosen);
        let folder = folder_with(&text);
        let output = collector(
            folder.path(),
            [
                "capture",
                "--investigation",
                "i.toml",
                "-o",
                "e.json",
                "--on",
            ],
        )
        .arg(format!("guest:{name}"))
        .output()
        .expect("the program runs");
        assert!(output.status.success(), "{}", status_and_message(&output).1);
        let evidence = support::evidence_in(folder.path());
        let (verdicts, contradicted) = judged(&evidence, &text);
        println!(
            "{name}: silent probes by verdict: {verdicts:?}; {contradicted} of them contradicted by a stack"
        );
    }
}
