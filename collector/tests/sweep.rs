//! Sweeps that go wrong: killed in the middle, with damaged evidence, of a series that is not served. Needs QEMU, and cached kernels or
//! the network.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{collector, investigation, status_and_message};

/// A sweep of these series, one guest at a time, into `out` of this folder.
fn sweep(folder: &Path, series: &[&str]) -> Command {
    sweep_at_once(folder, "1", series)
}

/// The same, so many guests at a time.
fn sweep_at_once(folder: &Path, jobs: &str, series: &[&str]) -> Command {
    let mut command = collector(
        folder,
        ["sweep", "--jobs", jobs, "-o", "out", "--investigation"],
    );
    command.arg(investigation("pipe.toml"));
    for one in series {
        command.args(["--series", one]);
    }
    command
}

/// Check that a sweep that was killed goes on with the kernels that are missing, captures a damaged one again, and leaves the others as
/// they are.
#[test]
fn goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let [first, second] = ["6.1", "6.12"].map(|one| out.join(format!("guest-debian-{one}.json")));
    let mut running = sweep(folder.path(), &["6.1", "6.12"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(300);
    while !first.exists() {
        assert!(running.try_wait().unwrap().is_none() && Instant::now() < limit);
        std::thread::sleep(Duration::from_millis(50));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(!second.exists());
    let kept = fs::read(&first).unwrap();
    let again = || status_and_message(&sweep(folder.path(), &["6.1", "6.12"]).output().unwrap());
    let (status, reported) = again();
    assert_eq!(status, Some(0), "{reported}");
    assert!(second.exists());
    assert_eq!(fs::read(&first).unwrap(), kept);

    let half = &kept[..kept.len() / 2];
    fs::write(&first, half).unwrap();
    let untouched = fs::read(&second).unwrap();
    let (status, reported) = again();
    assert_eq!(status, Some(0), "{reported}");
    assert!(qed_evidence::reader::read(&fs::read(&first).unwrap()).is_ok());
    assert_eq!(fs::read(&second).unwrap(), untouched);
}

/// The number of guests that a process runs at this moment.
fn guests_of(parent: u32) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let of_parent = stats.filter(|stat| {
        // The name stands in parentheses and may hold any character; state and parent follow.
        let Some((head, rest)) = stat.rsplit_once(')') else {
            return false;
        };
        head.contains("(qemu") && rest.split_whitespace().nth(1) == Some(&parent.to_string())
    });
    of_parent.count()
}

/// Check that two guests at a time really run at once, and that each kernel's evidence is its own.
#[test]
fn two_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let series = ["6.1", "6.12"];
    let mut running = sweep_at_once(folder.path(), "2", &series)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(600);
    let mut most = 0;
    let status = loop {
        most = most.max(guests_of(running.id()));
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < limit, "the sweep does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
    assert_eq!(most, 2, "guests at once");
    let evidence = series.map(|one| {
        let file = folder.path().join(format!("out/guest-debian-{one}.json"));
        let evidence = qed_evidence::reader::read(&fs::read(file).unwrap()).unwrap();
        assert_eq!(evidence.machine.name, format!("guest:debian-{one}"));
        let release = &evidence.kernel.release;
        assert!(release.starts_with(&format!("{one}.")), "{one}: {release}");
        evidence
    });
    assert_ne!(evidence[0].machine.boot_id, evidence[1].machine.boot_id);
    assert_ne!(evidence[0].kernel.build_id, evidence[1].kernel.build_id);
}

/// Check that a series that is not served is refused with those that are, before anything boots.
#[test]
fn unknown_series() {
    let folder = tempfile::tempdir().unwrap();
    let output = sweep(folder.path(), &["6.1", "6.2"]).output().unwrap();
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("Debian serves no kernel 6.2; the nearest series is 6.1")
            && message.contains("6.12 ("),
        "{message}"
    );
    assert!(!folder.path().join("out").exists());
}
