//! Helpers of the benchmarks: paired runs, medians, and ways to say what is missing.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use qed_collector::guest::cache::Cache;
use qed_collector::guest::{GuestRun, GuestSpec, KernelImage, KernelSource, fetch, run};

/// The collector of the same build.
pub const COLLECTOR: &str = env!("CARGO_BIN_EXE_qed-collector");
/// The first process of guests without a capture.
const TEST_GUEST: &str = env!("CARGO_BIN_EXE_qed-test-guest");

/// The guests that the benchmarks boot.
pub const GUESTS: [&str; 2] = ["debian-6.1", "debian-6.12"];

/// The word behind an option of this benchmark: `cargo bench … -- -n 7`.
pub fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|word| word != name).nth(1)
}

/// Number of runs of each side, `-n`, by default `usual`.
pub fn rounds(usual: usize) -> usize {
    option("-n")
        .and_then(|number| number.parse().ok())
        .unwrap_or(usual)
        .max(1)
}

/// The middle one; of an even number the lower of both.
pub fn median<T: Copy + Ord>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) / 2]
}

/// Median of the quotients of pairs that ran one after the other, which cancels what the machine does besides.
pub fn ratio(of: &[Duration], to: &[Duration]) -> f64 {
    let quotients = of
        .iter()
        .zip(to)
        .map(|(a, b)| a.as_secs_f64() / b.as_secs_f64());
    let mut sorted: Vec<f64> = quotients.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// Processor time of all children that have ended, and of theirs: what a busy machine does besides is not in it.
pub fn children() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Duration::ZERO;
    };
    let spent = usage.user_time() + usage.system_time();
    Duration::from_micros(spent.num_microseconds().try_into().unwrap_or(0))
}

/// In milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Say why a benchmark measures nothing, and end it: an absent program does not count as a failure of the project.
pub fn skip(reason: impl std::fmt::Display) -> ! {
    println!("not measured: {reason}");
    std::process::exit(0)
}

/// The root of the workspace: `cargo bench` starts a benchmark in its crate.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The flagship investigation.
pub fn investigation() -> PathBuf {
    root().join("investigations/socket.toml")
}

/// The user's cache and the kernel of a guest in it, fetched if need be.
pub fn kernel(guest: &str) -> anyhow::Result<(Cache, KernelImage)> {
    let cache = Cache::for_user()?;
    let kernel = fetch::find_kernel(&KernelSource::parse(guest)?, &cache, false, &|line| {
        eprintln!("{line}")
    })?;
    Ok((cache, kernel))
}

/// Boot a guest and note when each of its progress lines arrived, counted from the start of QEMU.
pub fn boot(spec: &GuestSpec) -> anyhow::Result<(GuestRun, Vec<(Duration, String)>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let lines = std::cell::RefCell::new(Vec::new());
    let start = Instant::now();
    let answer = runtime.block_on(run(spec, &|line| {
        lines.borrow_mut().push((start.elapsed(), line.to_owned()));
    }))?;
    Ok((answer, lines.into_inner()))
}

/// A guest of this kernel as a capture boots it, with a first process that only answers.
pub fn guest(kernel: &KernelImage, cache: &Cache) -> GuestSpec {
    let mut spec = GuestSpec::new(kernel.clone(), TEST_GUEST.into(), cache.clone());
    spec.append = "slab_nomerge".into();
    spec
}

/// Run the collector with these arguments in the workspace's root; the wall time.
pub fn collector(arguments: &[&str]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let output = std::process::Command::new(COLLECTOR)
        .args(arguments)
        .current_dir(root())
        .output()
        .context("failed to start the collector")?;
    let time = start.elapsed();
    anyhow::ensure!(
        output.status.success(),
        "qed-collector {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(time)
}
