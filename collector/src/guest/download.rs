//! Progress of a download: the bytes that have arrived.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::archive::ServedPackage;

/// Reports the current step, in a few words. Called from several threads.
pub type ProgressFn<'a> = &'a (dyn Fn(&str) + Sync);

/// Prefix of the progress message of a download.
pub const DOWNLOADING: &str = "downloading ";

/// The interval at which the size of the file is polled.
const EVERY: Duration = Duration::from_millis(500);

/// The interval between progress messages, in percent of the download.
const STEP: u64 = 10;

/// Report the download, and how much of it has arrived in `file`, while `work` runs.
pub fn report_download<T>(
    package: &ServedPackage,
    file: &Path,
    progress: ProgressFn<'_>,
    work: impl FnOnce() -> T,
) -> T {
    let before = downloaded_bytes(file);
    progress(&progress_message(package, before));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut reported = percent(package, before);
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(EVERY);
                let bytes = downloaded_bytes(file);
                if percent(package, bytes) >= reported + STEP {
                    reported = percent(package, bytes);
                    progress(&progress_message(package, bytes));
                }
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    })
}

/// `downloading linux-binary-… 7.3.4-1: 3 of 15 MB (20 %)`
fn progress_message(package: &ServedPackage, bytes: u64) -> String {
    let ServedPackage {
        name,
        version,
        size,
        ..
    } = package;
    let all = size.div_ceil(1_000_000);
    match percent(package, bytes) {
        0 => format!("{DOWNLOADING}{name} {version} ({all} MB)"),
        percent => format!(
            "{DOWNLOADING}{name} {version}: {} of {all} MB ({percent} %)",
            bytes / 1_000_000
        ),
    }
}

fn percent(package: &ServedPackage, bytes: u64) -> u64 {
    (bytes * 100 / package.size.max(1)).min(100)
}

/// Bytes of a file that are there.
fn downloaded_bytes(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Check that a download tells where it goes on, then each tenth.
    #[test]
    fn shares() {
        let folder = tempfile::tempdir().unwrap();
        let package = ServedPackage {
            name: "a".into(),
            version: "1-1".into(),
            size: 4_000_000,
            ..ServedPackage::default()
        };
        let file = folder.path().join("a_1-1.deb");
        let write = |bytes: usize| std::fs::write(&file, vec![0; bytes]).unwrap();
        write(1_000_000);
        let reported = Mutex::new(Vec::new());
        let say = |text: &str| reported.lock().unwrap().push(text.to_owned());
        report_download(&package, &file, &say, || {
            write(3_000_000);
            while reported.lock().unwrap().len() < 2 {
                std::thread::yield_now();
            }
        });
        let reported = reported.into_inner().unwrap();
        assert_eq!(reported[0], "downloading a 1-1: 1 of 4 MB (25 %)");
        assert_eq!(reported[1], "downloading a 1-1: 3 of 4 MB (75 %)");
        assert_eq!(progress_message(&package, 0), "downloading a 1-1 (4 MB)");
    }
}
