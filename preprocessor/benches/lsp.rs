//! Benchmark of the language server: an author's wait for its answers, against a plain `check` of the same book in the same
//! run.
//!
//!     cargo bench -p mdbook-qed --bench lsp
//!
//! The book is the flagship on its recorded evidence. One of its machines is copied as a fourth, live one, so that redaction is
//! measured, too. Times are medians of wall time, from sending a request to its answer.

#[path = "../tests/common/editor.rs"]
mod editor;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use editor::Editor;
use qed_evidence::document::MachineKind;
use qed_evidence::reader;

const ROUNDS: usize = 41;

/// The most milliseconds for an answer, and the most memory in MiB.
const TARGETS: (f64, u64) = (20.0, 150);

fn main() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for name in ["book", "investigations", "recorded", "theme"] {
        copy(&checkout.join(name), &root.join(name));
    }
    for name in ["book.toml", "qed.lock"] {
        let _ = std::fs::copy(checkout.join(name), root.join(name));
    }
    let host = live(&checkout.join("recorded/guest-debian-6.1.json"));
    std::fs::create_dir_all(root.join(".qed/evidence")).unwrap();
    std::fs::write(root.join(".qed/evidence/host.json"), host).unwrap();
    measure(&root);
}

fn copy(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    std::fs::create_dir_all(to).unwrap();
    for entry in entries {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}

/// Recorded evidence as if its machine lived on.
fn live(file: &Path) -> String {
    let mut evidence = reader::read(&std::fs::read(file).unwrap()).unwrap();
    evidence.machine.name = "host".into();
    evidence.machine.kind = MachineKind::Host;
    evidence.machine.ephemeral = false;
    evidence.machine.accelerator = None;
    evidence.kernel.command_line = None;
    evidence.boots.clear();
    reader::write(&evidence).unwrap()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Wall time of a plain check.
fn check(root: &Path) -> f64 {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .arg("check")
        .arg(root)
        .env_remove("LD_LIBRARY_PATH")
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let time = milliseconds(start);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{message}");
    time
}

/// A number of `/proc/PID/status`, in MiB.
fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

fn measure(root: &Path) {
    let checked = median((0..ROUNDS / 4).map(|_| check(root)).collect());
    println!("check of the flagship on four machines: {checked:.1} ms");
    let start = Instant::now();
    let mut editor = Editor::start(Some(root));
    let file = root.join("book/forensic-evidence.md");
    let text = editor.open(&file);
    editor.wait("forensic-evidence.md", |_| true);
    print_time(
        "the first diagnostics, from the start",
        milliseconds(start),
        checked,
        None,
    );

    let requested: PathBuf = file.clone();
    for (what, typed) in [
        ("completion of a first name", "{{qed "),
        ("completion below an experiment", "{{qed create."),
        (
            "completion of values of a probe",
            "{{qed create.sock_alloc.",
        ),
        (
            "completion in a claim",
            "```qed-claim new\nnever(create.sock_alloc) && ",
        ),
    ] {
        editor.set(&requested, &format!("{text}\n{typed}"));
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let offered = editor.complete(&requested, &format!("\n{typed}"));
            times.push(milliseconds(start));
            assert!(offered.len() > 3, "{what}: {offered:?}");
        }
        print_time(what, median(times), checked, Some(TARGETS.0));
    }
    editor.set(
        &requested,
        &format!("{text}\n{{{{qed create.sock_alloc.return}}}}\n"),
    );
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let about = editor.hover(&requested, "\n{{qed create.sock_alloc.ret");
        times.push(milliseconds(start));
        assert!(about.contains("host"), "{about}");
    }
    print_time("hover on a value", median(times), checked, Some(TARGETS.0));

    let (mut times, mut seen) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let typed = format!("{text}\nround {round}: {{{{qed create.");
        let start = Instant::now();
        editor.set(&requested, &typed);
        let offered = editor.complete(&requested, &format!("round {round}: {{{{qed create."));
        times.push(milliseconds(start));
        assert!(offered.len() > 3, "{offered:?}");
        if round % 8 == 0 {
            editor.shown.clear();
            editor.wait("forensic-evidence.md", |_| true);
            seen.push(milliseconds(start));
        }
    }
    print_time(
        "completion while the book is checked",
        median(times),
        checked,
        Some(TARGETS.0),
    );
    print_time("diagnostics after a change", median(seen), checked, None);

    let pid = editor.pid();
    let (now, peak) = (memory(pid, "VmRSS"), memory(pid, "VmHWM"));
    println!(
        "{:<40} {now:8} MiB, at most {peak} (goal of {} MiB)",
        "memory", TARGETS.1
    );
    assert_eq!(editor.end(), Some(0));
}

/// Print a time beside that of a plain check.
fn print_time(what: &str, time: f64, check: f64, target: Option<f64>) {
    let target = target.map_or_else(String::new, |most| format!(" (goal of {most} ms)"));
    println!(
        "{what:<40} {time:8.2} ms, {:6.3} of a check{target}",
        time / check
    );
}
