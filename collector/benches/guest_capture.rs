//! A whole capture of the flagship investigation in a guest, against the bare boot of the same guest.
//!
//! `cargo bench -p qed-collector --bench guest_capture [-- -n ROUNDS]`. Bare: from the start of QEMU until it
//! has ended, with a job that only says hello. Whole: the command as a user types it, from its start to its end, with
//! kernel and debug information cached. Both run in turns; the ratio is the median of the turns' ratios. The same is
//! said of processor time, which is steadier on a busy machine: a guest of one processor hardly ever waits.

mod common;

use std::time::Duration;

use common::{
    GUESTS, boot, children, collector, guest, investigation, kernel, median, ms, ratio, rounds,
};
use qed_collector::guest::protocol::{GuestJob, Unrunnable};

fn main() -> anyhow::Result<()> {
    if qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    let text = std::fs::read_to_string(investigation())?;
    let folder = tempfile::tempdir()?;
    let output = folder.path().join("evidence.json");
    let output = output.to_string_lossy();
    for name in GUESTS {
        let (cache, image) = match kernel(name) {
            Ok(found) => found,
            Err(error) => {
                println!("{name}: not measured: {error}");
                continue;
            }
        };
        let machine = format!("guest:{name}");
        let arguments = ["capture", "--on", &machine, "-o", &output, "--boots", "0"];
        // Once for the caches: debug information, lines, and whether KVM works.
        collector(&arguments)?;
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        let (mut bare_cpu, mut whole_cpu) = (Vec::new(), Vec::new());
        for _ in 0..rounds(5) {
            let before = children();
            bare.push(boot(&guest(&image, &cache))?.0.boot_to_exit);
            let between = children();
            whole.push(collector(&arguments)?);
            bare_cpu.push(between - before);
            whole_cpu.push(children() - between);
        }
        println!(
            "{name}: bare boot {:.0} ms, whole capture {:.0} ms, RATIO {:.2}",
            ms(median(&bare)),
            ms(median(&whole)),
            ratio(&whole, &bare)
        );
        println!(
            "  processor time: bare {:.0} ms, whole {:.0} ms, RATIO {:.2}; least of each {:.0} and {:.0} ms",
            ms(median(&bare_cpu)),
            ms(median(&whole_cpu)),
            ratio(&whole_cpu, &bare_cpu),
            ms(bare_cpu.iter().min().copied().unwrap_or_default()),
            ms(whole_cpu.iter().min().copied().unwrap_or_default())
        );
        let mut spec = guest(&image, &cache);
        let job = GuestJob::Capture {
            name: "socket.toml".into(),
            text: text.clone(),
            chosen: Ok(Vec::new()),
            modules: Vec::new(),
            unrunnable: Unrunnable::default(),
        };
        spec.files.push(job.to_file()?);
        let (run, lines) = boot(&spec)?;
        let mut before = Duration::ZERO;
        for (at, line) in &lines {
            println!("  {:6.0} ms  +{:4.0}  {line}", ms(*at), ms(*at - before));
            before = *at;
        }
        println!(
            "  {:6.0} ms  +{:4.0}  sent {} bytes and powered off",
            ms(run.boot_to_exit),
            ms(run.boot_to_exit.saturating_sub(before)),
            run.payload.len()
        );
        println!(
            "  {:6.0} ms  +{:4.0}  in the host's process, before and after (medians)",
            ms(median(&whole)),
            ms(median(&whole).saturating_sub(run.boot_to_exit))
        );
    }
    Ok(())
}
