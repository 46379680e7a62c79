//! A sweep of the flagship investigation over several kernels, against bare boots of the same kernels one after the other.
//!
//! `cargo bench -p qed-collector --bench sweep [-- -n ROUNDS] [--jobs GUESTS]`. Kernels are cached, and no debug information is wanted. The sweep
//! boots two guests at a time where there are two processors; the ratio is that of wall times, the median of the rounds' ratios.

mod common;

use common::{
    GUESTS, boot, collector, guest, investigation, kernel, median, ms, option, ratio, rounds,
};

/// One kernel more: of another packaging, and so many that not each has another one beside it.
const NEWEST: &str = "debian-7.3";

/// The most that the ratio should be.
const GOAL: f64 = 1.2;

fn main() -> anyhow::Result<()> {
    if qed_collector::guest::find_program::find_in_path("qemu-system-x86_64").is_none() {
        common::skip("there is no qemu-system-x86_64; install the Debian package qemu-system-x86");
    }
    let mut images = Vec::new();
    let mut series = Vec::new();
    for name in GUESTS.into_iter().chain([NEWEST]) {
        match (kernel(name), name.strip_prefix("debian-")) {
            (Ok(found), Some(one)) => {
                images.push(found);
                series.extend(["--series", one]);
            }
            (Err(error), _) => println!("{name}: not measured: {error}"),
            (Ok(_), None) => println!("{name}: not measured: it is not of a series"),
        }
    }
    if images.is_empty() {
        common::skip("there is no kernel to sweep");
    }
    let file = investigation();
    let file = file.to_string_lossy();
    let jobs = option("--jobs");
    let (mut bare, mut sweep) = (Vec::new(), Vec::new());
    for _ in 0..rounds(3) {
        let mut sum = std::time::Duration::ZERO;
        for (cache, image) in &images {
            sum += boot(&guest(image, cache))?.0.boot_to_exit;
        }
        bare.push(sum);
        // What is there already would be kept.
        let folder = tempfile::tempdir()?;
        let output = folder.path().to_string_lossy();
        let mut arguments = vec!["sweep", "--investigation", &file, "-o", &output];
        arguments.extend(&series);
        if let Some(jobs) = &jobs {
            arguments.extend(["--jobs", jobs]);
        }
        sweep.push(collector(&arguments)?);
    }
    println!(
        "{} kernels: bare boots {:.0} ms in all, sweep {:.0} ms, RATIO {:.2}, goal {GOAL}",
        images.len(),
        ms(median(&bare)),
        ms(median(&sweep)),
        ratio(&sweep, &bare)
    );
    Ok(())
}
