//! Sweeps that go wrong: killed in the middle, with damaged evidence, of a series that is not served. Needs QEMU, and cached kernels or
//! the network.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{collector, investigation, status_and_message};

/// A sweep of these series, one guest at a time, into `out` of this folder.
fn sweep(folder: &Path, series: &[&str]) -> Command {
    let mut command = collector(
        folder,
        ["sweep", "--jobs", "1", "-o", "out", "--investigation"],
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
