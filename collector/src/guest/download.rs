//! The part of a download that has arrived.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::archive::Served;

/// Says what is being done, in a few words. Called from several threads.
pub type ProgressFn<'a> = &'a (dyn Fn(&str) + Sync);

/// Prefix of the message that tells of a download.
pub const DOWNLOADING: &str = "downloading ";

/// Time between two looks at the folder.
const EVERY: Duration = Duration::from_millis(500);

/// The next share of a download that is told, in percent.
const STEP: u64 = 10;

/// Say what is downloaded, and how much of it has arrived in `folder`, while `work` runs.
pub fn watched<T>(
    package: &Served,
    folder: &Path,
    progress: ProgressFn<'_>,
    work: impl FnOnce() -> T,
) -> T {
    let before = arrived(package, folder);
    progress(&message(package, before));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut told = percent(package, before);
            while !done.load(Ordering::Relaxed) {
                std::thread::park_timeout(EVERY);
                let bytes = arrived(package, folder);
                if percent(package, bytes) >= told + STEP {
                    told = percent(package, bytes);
                    progress(&message(package, bytes));
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
fn message(package: &Served, bytes: u64) -> String {
    let Served {
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

fn percent(package: &Served, bytes: u64) -> u64 {
    (bytes * 100 / package.size.max(1)).min(100)
}

/// Bytes of a package that are there.
fn arrived(package: &Served, folder: &Path) -> u64 {
    let prefix = format!("{}_", package.package().folder());
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with(&prefix))
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Check that a download tells where it goes on, then each tenth, and nothing of other packages' files.
    #[test]
    fn shares() {
        let folder = tempfile::tempdir().unwrap();
        let package = Served {
            name: "a".into(),
            version: "1-1".into(),
            size: 4_000_000,
            ..Served::default()
        };
        let write = |name: &str, bytes: usize| {
            std::fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        };
        write("a-dbg_1-1_amd64.deb", 3_900_000);
        write("a_1-1_amd64.deb", 1_000_000);
        let told = Mutex::new(Vec::new());
        let say = |text: &str| told.lock().unwrap().push(text.to_owned());
        watched(&package, folder.path(), &say, || {
            write("a_1-1_amd64.deb", 3_000_000);
            while told.lock().unwrap().len() < 2 {
                std::thread::yield_now();
            }
        });
        let told = told.into_inner().unwrap();
        assert_eq!(told[0], "downloading a 1-1: 1 of 4 MB (25 %)");
        assert_eq!(told[1], "downloading a 1-1: 3 of 4 MB (75 %)");
        assert_eq!(message(&package, 0), "downloading a 1-1 (4 MB)");
    }
}
