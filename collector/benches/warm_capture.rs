//! A capture of one experiment in a resumed guest, against the same capture in one that boots.
//!
//! `cargo bench -p qed-collector --bench warm_capture [-- -n ROUNDS]`. Both are the command as a user types it, from its start to its
//! end, with the kernel cached, without source lines and further boots. They run in turns; the ratio is the median of the turns'
//! ratios. The same is said of processor time, which is steadier on a busy machine. The steps of the last resumed capture follow.

mod common;

use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use common::{COLLECTOR, children, collector, kernel, median, ms, ratio, rounds};

/// One experiment, with one probe and one read: what an author changes.
const INVESTIGATION: &str = r#"
[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
function = "sock_alloc"
name = "alloc"
reads = [{ name = "state", path = "return->state", at = "exit" }]
"#;

/// The guests.
const GUESTS: [&str; 3] = ["debian-6.1", "debian-6.12", "debian-7.3"];

fn main() -> anyhow::Result<()> {
    if qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    let folder = tempfile::tempdir()?;
    let investigation = folder.path().join("i.toml");
    std::fs::write(&investigation, INVESTIGATION)?;
    let (investigation, output) = (
        investigation.to_string_lossy(),
        folder.path().join("evidence.json"),
    );
    let output = output.to_string_lossy();
    for name in GUESTS {
        if let Err(error) = kernel(name) {
            println!("{name}: not measured: {error}");
            continue;
        }
        let machine = format!("guest:{name}");
        let arguments = |guests| {
            let fixed = ["capture", "--on", &machine, "-o", &output, "--boots", "0"];
            let more = [
                "--debuginfo",
                "none",
                "--investigation",
                &investigation,
                "--guests",
                guests,
            ];
            [&fixed[..], &more].concat()
        };
        // Once each for the caches; the first one is saved, if none is.
        collector(&arguments("cold"))?;
        collector(&arguments("warm"))?;
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        let (mut cold_cpu, mut warm_cpu) = (Vec::new(), Vec::new());
        for _ in 0..rounds(5) {
            let before = children();
            cold.push(collector(&arguments("cold"))?);
            let between = children();
            warm.push(collector(&arguments("warm"))?);
            cold_cpu.push(between - before);
            warm_cpu.push(children() - between);
            let evidence = qed_evidence::reader::read(&std::fs::read(&*output)?)
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            anyhow::ensure!(
                evidence.machine.resumed.is_some(),
                "{name}: the guest was not resumed; guests under KVM never are"
            );
        }
        println!(
            "{name}: cold {:.0} ms, resumed {:.0} ms, RATIO {:.2}",
            ms(median(&cold)),
            ms(median(&warm)),
            ratio(&warm, &cold)
        );
        println!(
            "  processor time: cold {:.0} ms, resumed {:.0} ms, RATIO {:.2}",
            ms(median(&cold_cpu)),
            ms(median(&warm_cpu)),
            ratio(&warm_cpu, &cold_cpu)
        );
        steps(&arguments("warm"))?;
    }
    Ok(())
}

/// Print when each step of a capture was reported.
fn steps(arguments: &[&str]) -> anyhow::Result<()> {
    use std::io::BufRead as _;
    let start = Instant::now();
    let mut child = Command::new(COLLECTOR)
        .arg("-v")
        .args(arguments)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .context("failed to start the collector")?;
    let lines = child.stderr.take().context("the collector has no output")?;
    for line in std::io::BufReader::new(lines).lines() {
        println!("  {:6.0} ms  {}", ms(start.elapsed()), line?);
    }
    println!("  {:6.0} ms  done", ms(start.elapsed()));
    anyhow::ensure!(child.wait()?.success(), "the collector failed");
    Ok(())
}
