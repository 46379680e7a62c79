//! Boots each guest kernel with a first process that only answers, set up by the collector's own code. Needs QEMU, and the network or cached kernels.

use std::path::PathBuf;
use std::time::Duration;

use qed_collector::guest::cache::Cache;
use qed_collector::guest::{
    Accelerator, AcceleratorChoice, GuestError, GuestRun, GuestSpec, KernelSource, fetch, run,
};

fn spec(name: &str) -> GuestSpec {
    let cache = Cache::for_user().expect("a cache folder");
    let source = KernelSource::parse(name).expect("a guest's name");
    let kernel =
        fetch::find_kernel(&source, &cache, false, &|line| eprintln!("{line}")).expect("a kernel");
    let mut spec = GuestSpec::new(
        kernel,
        PathBuf::from(env!("CARGO_BIN_EXE_qed-test-guest")),
        cache,
    );
    spec.limit = Duration::from_secs(60);
    spec
}

fn boot(spec: &GuestSpec) -> Result<GuestRun, GuestError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(spec, &|line| eprintln!("guest: {line}")))
}

/// The release and the address of the first symbol, from a pong.
fn pong(run: &GuestRun) -> (String, u64) {
    let text = String::from_utf8(run.payload.clone()).expect("text");
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[0], "pong", "{text}");
    (
        words[1].to_owned(),
        u64::from_str_radix(words[2], 16).expect("an address"),
    )
}

fn answers(name: &str) {
    let spec = spec(name);
    let first = boot(&spec).expect("a first boot");
    let second = boot(&spec).expect("a second boot");
    let (release, _) = pong(&first);
    assert_eq!(
        spec.kernel.package.as_ref().map(|p| &p.release),
        Some(&release)
    );
    assert!(first.append.contains("qed.guest"));
    assert!(first.boot_to_init.expect("a time") < first.boot_to_exit);
    eprintln!(
        "{name}: {:?} and {:?} ({:?}: {:?})",
        first.boot_to_exit, second.boot_to_exit, second.accelerator, second.accelerator_note
    );
}

/// Check that the 6.1 kernel boots the first process, which answers.
#[test]
fn debian_6_1() {
    answers("debian-6.1");
}

/// Check that the 6.12 kernel boots the first process, which answers.
#[test]
fn debian_6_12() {
    answers("debian-6.12");
}
/// Check that the 7.3 kernel boots the first process, which answers.
#[test]
fn debian_7_3() {
    answers("debian-7.3");
}

/// Check that a guest which does not finish in time is killed, soon, and that the error says so.
#[test]
fn time_limit() {
    let mut spec = spec("debian-6.1");
    spec.accel = AcceleratorChoice::Tcg;
    spec.limit = Duration::from_millis(300);
    let start = std::time::Instant::now();
    let error = boot(&spec).expect_err("killed");
    assert!(matches!(error, GuestError::TimeLimit { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(error.exit_status(), 3);
}

/// Check that a kernel that panics is reported with the end of its console.
#[test]
fn panic() {
    let mut spec = spec("debian-6.1");
    spec.accel = AcceleratorChoice::Tcg;
    spec.append = "rdinit=/missing".to_owned();
    let error = boot(&spec).expect_err("no init, no root");
    let GuestError::Panic { tail, .. } = &error else {
        panic!("{error}")
    };
    assert!(tail.contains("Kernel panic - not syncing"), "{tail}");
}

/// Check that emulation is used where it is asked for, whatever the machine offers.
#[test]
fn emulation() {
    let mut spec = spec("debian-6.1");
    spec.accel = AcceleratorChoice::Tcg;
    let run = boot(&spec).expect("a boot");
    assert_eq!(
        (run.accelerator, run.accelerator_note),
        (Accelerator::Tcg, None)
    );
}
