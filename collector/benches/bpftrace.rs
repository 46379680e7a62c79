//! The capture step against bpftrace: the same eight functions, entry and return, in the same guest.
//!
//! `cargo bench -p qed-collector --bench bpftrace [-- -n ROUNDS]`. Ours: from the start of the guest's init to the
//! finished answer, so with types, symbols, plan, verifier, attachment, workload and the facts about the machine.
//! bpftrace: its process, from start to end; it is started as the command of an experiment. Its program and libraries
//! are those that are installed here. Both guests get the same files, and run in turns.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use common::{GUESTS, boot, guest, kernel, median, ms, ratio, rounds};
use qed_collector::guest::protocol::{GuestJob, Unrunnable, parse_capture_answer};
use qed_collector::guest::{GuestSpec, find_program::find_in_path};

const FUNCTIONS: [&str; 8] = [
    "__sys_socket",
    "__sock_create",
    "security_socket_create",
    "sock_alloc",
    "inet_create",
    "get_unused_fd_flags",
    "sock_alloc_file",
    "fd_install",
];

/// The place of the workload for bpftrace in the guest.
const CALLER: &str = "/qed/socket";

fn main() -> anyhow::Result<()> {
    if find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    let Some(bpftrace) = find_in_path("bpftrace") else {
        common::skip("there is no bpftrace; install the Debian package bpftrace");
    };
    let mut files = with_libraries(&bpftrace)?;
    files.push((CALLER.into(), caller()));
    for name in GUESTS {
        let (cache, image) = match kernel(name) {
            Ok(found) => found,
            Err(error) => {
                println!("{name}: not measured: {error}");
                continue;
            }
        };
        let guest_for = |text: String| -> anyhow::Result<GuestSpec> {
            let mut spec = guest(&image, &cache);
            // The archive and what is unpacked from it are in memory at once.
            spec.memory_mib = 1024;
            spec.files.clone_from(&files);
            let job = GuestJob::Capture {
                name: "benchmark".into(),
                text,
                chosen: Ok(Vec::new()),
                modules: Vec::new(),
                unrunnable: Unrunnable::default(),
            };
            spec.files.push(job.to_file()?);
            Ok(spec)
        };
        let (our_guest, their_guest) = (guest_for(ours())?, guest_for(theirs(&bpftrace))?);
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..rounds(3) {
            our_times.push(run_ours(&our_guest)?);
            their_times.push(run_theirs(&their_guest)?);
        }
        println!(
            "{name}: bpftrace {:.0} ms, whole capture step {:.0} ms, RATIO {:.2} times faster",
            ms(median(&their_times)),
            ms(median(&our_times)),
            ratio(&their_times, &our_times)
        );
    }
    Ok(())
}

fn ours() -> String {
    let probes: String = FUNCTIONS
        .iter()
        .map(|name| format!("\n[[experiment.probe]]\nfunction = \"{name}\"\n"))
        .collect();
    format!(
        "[[experiment]]\nname = \"create\"\nworkload = {{ syscall = \"socket\", args = [\"AF_INET\", \"SOCK_STREAM\", 0] }}\n{probes}"
    )
}

/// An experiment has a probe; this one is never hit, so that it costs bpftrace nothing.
fn theirs(bpftrace: &Path) -> String {
    let hits: String = FUNCTIONS
        .iter()
        .map(|name| {
            format!(
                r#"kprobe:{name} /pid == cpid/ {{ printf("%s\n", probe); }} kretprobe:{name} /pid == cpid/ {{ printf("%s %lx\n", probe, retval); }} "#
            )
        })
        .collect();
    let program = bpftrace.display();
    format!(
        "[[experiment]]\nname = \"bpftrace\"\ntimeout-ms = 60000\n\
         workload = {{ command = [\"{program}\", \"-c\", \"{CALLER}\", \"-e\", '''{hits}'''] }}\n\n\
         [[experiment.probe]]\nfunction = \"__x64_sys_reboot\"\n"
    )
}

/// The time between the line that starts with `from` (its last one) and the one that starts with `to`.
fn between(lines: &[(Duration, String)], from: &str, to: &str) -> anyhow::Result<Duration> {
    let at = |start: &str| {
        let line = lines.iter().rfind(|(_, line)| line.starts_with(start));
        line.map(|(at, _)| *at)
            .with_context(|| format!("the guest did not say `{start}`: {lines:?}"))
    };
    Ok(at(to)?.saturating_sub(at(from)?))
}

fn run_ours(spec: &GuestSpec) -> anyhow::Result<Duration> {
    let (run, lines) = boot(spec)?;
    let raw = parse_capture_answer(&run.payload)?;
    let refused: Vec<_> = raw.refusals.iter().flatten().collect();
    anyhow::ensure!(
        refused.is_empty(),
        "not everything was attached: {refused:?}"
    );
    let events = raw.experiments.first().map_or(0, |e| e.events.len());
    anyhow::ensure!(
        events >= 2 * FUNCTIONS.len(),
        "only {events} events were seen"
    );
    between(&lines, "init started", "wrote the answer")
}

fn run_theirs(spec: &GuestSpec) -> anyhow::Result<Duration> {
    let (run, lines) = boot(spec)?;
    let raw = parse_capture_answer(&run.payload)?;
    let outcome = raw
        .experiments
        .first()
        .context("no experiment")?
        .outcome
        .clone();
    let outcome = outcome.map_err(|error| anyhow::anyhow!("bpftrace was not run: {error}"))?;
    let message = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let hits = message.lines().filter(|line| line.starts_with('k')).count();
    anyhow::ensure!(
        outcome.exit == Some(0) && hits == 2 * FUNCTIONS.len(),
        "bpftrace ended with {:?} after {hits} hits: {message}{}",
        outcome.exit,
        run.console
    );
    between(&lines, "attached ", "bpftrace: ")
}

/// A program and all that its loader loads, under their own names.
fn with_libraries(program: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let output = std::process::Command::new("ldd")
        .arg(program)
        .output()
        .context("failed to start ldd")?;
    let text = String::from_utf8(output.stdout)?;
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    let mut paths: Vec<PathBuf> = words.map(PathBuf::from).collect();
    paths.push(program.to_owned());
    paths.sort();
    paths.dedup();
    let read = |path: &PathBuf| {
        let content =
            std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        Ok((path.display().to_string(), content))
    };
    paths.iter().map(read).collect()
}

/// An executable that does `socket(AF_INET, SOCK_STREAM, 0)` and ends: one segment, header and code.
fn caller() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    // mov eax,41; mov edi,2; mov esi,1; xor edx,edx; syscall; mov eax,60; xor edi,edi; syscall
    let code: &[u8] = &[
        0xb8, 41, 0, 0, 0, 0xbf, 2, 0, 0, 0, 0xbe, 1, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x05, 0xb8, 60, 0,
        0, 0, 0x31, 0xff, 0x0f, 0x05,
    ];
    let size = HEADERS + code.len() as u64;
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    // Executable, x86-64, version 1.
    out.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0; 4]);
    // Sizes: header 64, program header 56, one of them; no sections.
    for half in [64u16, 56, 1, 0, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    // Loadable, readable and executable.
    out.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 0x1000] {
        out.extend(word.to_le_bytes());
    }
    out.extend(code);
    out
}
