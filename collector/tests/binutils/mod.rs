//! Readings of a kernel's files by other programs: llvm-dwarfdump its debug info, objdump its code, and its System.map as text.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// Copies of one function by the debug info.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Addresses at which the parts of each copy begin that has code of its own.
    pub own: Vec<BTreeSet<u64>>,
    /// Addresses at which the parts of each function begin that holds an inlined copy.
    pub holders: Vec<BTreeSet<u64>>,
}

/// An entry of the debug info whose end has not come yet.
struct Open {
    depth: usize,
    inlined: bool,
    name: Option<String>,
    starts: BTreeSet<u64>,
}

/// Run llvm-dwarfdump for these functions. It writes gigabytes, which takes minutes.
pub fn described(vmlinux: &Path, wanted: &BTreeSet<String>) -> BTreeMap<String, Described> {
    let mut child = Command::new("llvm-dwarfdump")
        .arg("--debug-info")
        .arg(vmlinux)
        .stdout(Stdio::piped())
        .spawn()
        .expect("llvm-dwarfdump, of the package llvm");
    let mut lines = BufReader::with_capacity(1 << 20, child.stdout.take().expect("a pipe"));
    let mut found = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let (mut line, mut relevant) = (Vec::new(), false);
    while lines.read_until(b'\n', &mut line).expect("a line") > 0 {
        if line.starts_with(b"0x") {
            let text = String::from_utf8_lossy(&line);
            let (_, rest) = text.split_once(':').unwrap_or_default();
            let depth = rest.len() - rest.trim_start().len();
            while let Some(last) = open.pop_if(|one| one.depth >= depth) {
                close(last, &open, wanted, &mut found);
            }
            let inlined = rest.contains("DW_TAG_inlined_subroutine");
            relevant = inlined || rest.trim() == "DW_TAG_subprogram";
            if relevant {
                open.push(Open {
                    depth,
                    inlined,
                    name: None,
                    starts: BTreeSet::new(),
                });
            }
        } else if let (true, Some(entry)) = (relevant, open.last_mut()) {
            attribute(&String::from_utf8_lossy(&line), entry);
        }
        line.clear();
    }
    while let Some(last) = open.pop() {
        close(last, &open, wanted, &mut found);
    }
    assert!(child.wait().expect("an exit status").success());
    found
}

fn attribute(line: &str, entry: &mut Open) {
    let line = line.trim();
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    if let Some(range) = line.strip_prefix("[0x") {
        entry.starts.extend(range.split(',').next().and_then(hex));
    } else if let Some(value) = line.strip_prefix("DW_AT_low_pc\t(") {
        entry.starts.extend(hex(value.trim_end_matches(')')));
    } else if ["DW_AT_name", "DW_AT_abstract_origin", "DW_AT_specification"]
        .iter()
        .any(|name| line.starts_with(name))
    {
        let name = line.split('"').nth(1);
        entry.name = entry.name.take().or(name.map(str::to_owned));
    }
}

fn close(
    entry: Open,
    around: &[Open],
    wanted: &BTreeSet<String>,
    found: &mut BTreeMap<String, Described>,
) {
    let Some(name) = entry.name.filter(|name| wanted.contains(name)) else {
        return;
    };
    let described: &mut Described = found.entry(name).or_default();
    let holder = || around.iter().rev().find(|one| !one.inlined);
    let (list, starts) = match entry.inlined {
        false => (&mut described.own, entry.starts),
        true => match holder() {
            Some(holder) => (&mut described.holders, holder.starts.clone()),
            None => return,
        },
    };
    // Without code it is a declaration, or a copy in the abstract.
    if !starts.is_empty() && !starts.contains(&0) && !list.contains(&starts) {
        list.push(starts);
    }
}

/// System.map, line by line.
pub struct Map(Vec<(u64, char, String)>);

impl Map {
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((address, words.next()?.chars().next()?, words.next()?.into()))
        });
        Self(lines.collect())
    }

    /// The symbols of code that are a function's, or a clone's that a compiler made of it, with their addresses.
    pub fn copies(&self, function: &str) -> Vec<(u64, &str)> {
        let is_copy = |name: &str| {
            let suffix = name.strip_prefix(function);
            suffix.is_some_and(|suffix| suffix.is_empty() || suffix.starts_with('.'))
                && !name.ends_with(".cold")
        };
        let code = self.0.iter().filter(|(_, kind, _)| "tTwW".contains(*kind));
        let named = code.filter(|(_, _, name)| is_copy(name));
        named.map(|(at, _, name)| (*at, name.as_str())).collect()
    }

    /// True if one of these addresses has a symbol.
    pub fn names_any(&self, addresses: &BTreeSet<u64>) -> bool {
        self.0.iter().any(|symbol| addresses.contains(&symbol.0))
    }

    /// Addresses that the kernel gives back after boot.
    pub fn discarded(&self) -> Range<u64> {
        let at = |wanted: &str| {
            self.0
                .iter()
                .find(|(_, _, name)| name == wanted)
                .map(|s| s.0)
        };
        at("__init_begin").expect("a bound")..at("__init_end").expect("a bound")
    }

    fn end(&self, start: u64) -> u64 {
        let next = self.0.iter().map(|symbol| symbol.0);
        next.filter(|at| *at > start).min().unwrap_or(start)
    }

    /// True if objdump sees a jump from the code of this symbol to another function's.
    pub fn leaves_by_jump(&self, vmlinux: &Path, start: u64, symbol: &str) -> Option<bool> {
        let cold = format!("{symbol}.cold");
        let parts = self.0.iter().filter(|(_, _, name)| *name == cold);
        let starts: Vec<u64> = [start]
            .into_iter()
            .chain(parts.map(|part| part.0))
            .collect();
        let parts: Vec<Range<u64>> = starts.iter().map(|at| *at..self.end(*at)).collect();
        let answers: Vec<Option<bool>> = (parts.iter())
            .map(|part| self.jumps_out(vmlinux, part, &parts))
            .collect();
        let known = answers.iter().all(Option::is_some);
        known.then(|| answers.contains(&Some(true)))
    }

    /// `None` for data, of which nothing is disassembled.
    fn jumps_out(&self, vmlinux: &Path, part: &Range<u64>, parts: &[Range<u64>]) -> Option<bool> {
        let output = Command::new("objdump")
            .arg("-d")
            .arg(format!("--start-address={:#x}", part.start))
            .arg(format!("--stop-address={:#x}", part.end))
            .arg(vmlinux)
            .output()
            .expect("objdump, of the package binutils");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut instructions = (text.lines().filter_map(|line| line.split('\t').nth(2))).peekable();
        instructions.peek()?;
        Some(instructions.any(|instruction| {
            let instruction = instruction
                .trim_start_matches("cs ")
                .trim_start_matches("notrack ");
            let mut words = instruction.split_whitespace();
            let Some(jump) = words.next().filter(|word| word.starts_with('j')) else {
                return false;
            };
            let Some(target) = words.next() else {
                return false;
            };
            if target.starts_with('*') {
                return true;
            }
            let Ok(target) = u64::from_str_radix(target, 16) else {
                panic!("{jump} {target}");
            };
            let returns = instruction.contains("x86_return_thunk>");
            !returns && !parts.iter().any(|part| part.contains(&target))
        }))
    }
}
