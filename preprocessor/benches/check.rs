//! The cost of checking a book, beside merely parsing the same evidence: CPU time of whole processes, in one run.
//!
//!     cargo bench -p mdbook-qed --bench check [-- BOOKDIR]
//!
//! One process is `mdbook-qed check BOOKDIR`: it loads the book, reads and verifies all evidence, judges every claim on
//! every machine with its negative control, fills every chapter and runs the lints. The other reads the same evidence
//! files and has `serde_json` parse them into its own tree, which is all that it does; it has the allocator that a program
//! has which chooses none, `mdbook-qed` has its own. They run in turn, and what is
//! printed is the median of the pairs' ratios. Without BOOKDIR it is the flagship book.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

const PAIRS: usize = 31;
/// So that the start of a process does not weigh on the side of the parser.
const PARSES: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, files @ ..] = arguments.as_slice()
        && command == "parse"
    {
        return parse(files);
    }
    let flagship = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = arguments
        .iter()
        .find(|word| !word.starts_with('-'))
        .map_or(flagship, PathBuf::from);
    measure(&root);
}

/// Parse each file as often as a pair asks for.
fn parse(files: &[String]) {
    for _ in 0..PARSES {
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            let parsed: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            std::hint::black_box(parsed);
        }
    }
}

/// CPU time of all children so far, user and system.
fn spent() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap()
    };
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// CPU time of one process, in milliseconds.
fn cost(command: &mut Command) -> f64 {
    let before = spent();
    let output = command.stdout(Stdio::null()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    (spent() - before).as_secs_f64() * 1e3
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn measure(root: &Path) {
    let evidence = root.join(".qed/evidence");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&evidence)
        .map(|entries| {
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
                .collect()
        })
        .unwrap_or_default();
    files.sort();
    if files.is_empty() {
        println!(
            "there is no evidence in {}: run `make capture`",
            evidence.display()
        );
        return;
    }
    let bytes: u64 = files.iter().map(|f| f.metadata().unwrap().len()).sum();
    let check = || {
        let program = env!("CARGO_BIN_EXE_mdbook-qed");
        let mut command = Command::new(program);
        command.arg("check").arg(root);
        // cargo sets it for benches, no shell does; where it is set, libraries are looked up every time.
        cost(command.env_remove("LD_LIBRARY_PATH"))
    };
    let parse = || {
        let own = std::env::current_exe().unwrap();
        cost(Command::new(own).arg("parse").args(&files)) / PARSES as f64
    };
    let (mut checks, mut parses, mut ratios) = (vec![], vec![], vec![]);
    for pair in 0..PAIRS {
        let (a, b) = if pair % 2 == 0 {
            let a = check();
            (a, parse())
        } else {
            let b = parse();
            (check(), b)
        };
        checks.push(a);
        parses.push(b);
        ratios.push(a / b);
    }
    println!(
        "check of {} machines, {bytes} bytes of JSON: {:.1} ms of CPU; merely parsing it {:.1} ms; ratio {:.2}, goal 2.50",
        files.len(),
        median(checks),
        median(parses),
        median(ratios)
    );
}
