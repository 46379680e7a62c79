//! `qed-collector kernels`: lists the kernels that Debian serves and those in the cache, and changes the cache.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::failure::Failure;
use super::output::{Format, print};
use super::progress::Progress;
use super::target::TargetMachine;
use super::update::update;
use crate::guest::apt::Apt;
use crate::guest::archive::{self, ServedKernel};
use crate::guest::cache::{Cache, Sidecar};
use crate::guest::{KernelSource, debuginfo, fetch};

/// Kernels that guests can boot.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<KernelsSubcommand>,
    /// List the newest patch release of each series only, not all
    #[arg(long)]
    newest: bool,
    /// Ask Debian's archive even if it was asked today
    #[arg(long)]
    refresh: bool,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum KernelsSubcommand {
    /// Download kernels now, so that later captures need no network
    Fetch {
        /// Guests: guest:debian-6.12, guest:debian-7.3.4, guest:debian-newest
        #[arg(required = true, value_name = "MACHINE")]
        machines: Vec<TargetMachine>,
        /// Download their debug information, too, where it is served (300 MB each)
        #[arg(long)]
        debuginfo: bool,
    },
    /// Pin the guests of a book to the kernels that are served now, in qed.lock beside its book.toml, and say what
    /// moved
    Update {
        /// The book, or its book.toml
        #[arg(long, value_name = "BOOK", default_value = ".")]
        book: PathBuf,
        /// Move only these guests [default: all of the book]
        #[arg(value_name = "MACHINE")]
        machines: Vec<String>,
        /// Only say what would move
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove cached kernels and debug information: all but the newest of each series
    Prune {
        /// Remove the newest of each series, too, and downloads that were interrupted
        #[arg(long)]
        all: bool,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// Run the command.
///
/// # Errors
/// When the archive can neither be asked nor has been asked before, or a file cannot be written or removed.
pub fn run(args: &Args) -> Result<(), Failure> {
    let cache = Cache::of_user()?;
    match &args.command {
        None => list(args, &cache),
        Some(KernelsSubcommand::Fetch {
            machines,
            debuginfo,
        }) => fetch(machines, *debuginfo, &cache),
        Some(KernelsSubcommand::Update {
            book,
            machines,
            dry_run,
        }) => update(book, machines, *dry_run, &cache),
        Some(KernelsSubcommand::Prune { all, dry_run }) => prune(*all, *dry_run, &cache),
    }
}

fn list(args: &Args, cache: &Cache) -> Result<(), Failure> {
    let progress = Progress::new("kernels");
    let say = |text: &str| progress.say(text);
    let cache_lock = cache.lock(&say)?;
    let (kernels, note) = fetch::served(cache, args.refresh, &cache_lock, &say)?;
    drop(progress);
    if let Some(note) = note {
        eprintln!("warning: {note}");
    }
    let rows = rows(&kernels, &cache.packages(), args.newest);
    print(&match args.format {
        Format::Text => table(&rows),
        Format::Json => format!(
            "{}\n",
            serde_json::to_string_pretty(&rows)
                .map_err(|error| Failure::unable(format!("failed to write JSON: {error}")))?
        ),
    })
}

/// One kernel, served or cached.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    /// Its name in an investigation: `guest:debian-6.12.117`.
    machine: String,
    /// Its release, as `uname -r` prints it.
    release: String,
    /// The package with the image and its version; `None`: served no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    /// Bytes to download for image and configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_bytes: Option<u64>,
    /// Bytes to download for the debug information; `None`: not served.
    #[serde(skip_serializing_if = "Option::is_none")]
    debuginfo_bytes: Option<u64>,
    /// The mirrors and suites that serve it, as apt names them; empty: not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    origins: Vec<String>,
    /// Bytes on this disk: image and configuration.
    cached_image_bytes: u64,
    /// Bytes on this disk: modules.
    cached_modules_bytes: u64,
    /// Bytes on this disk: debug information.
    cached_debuginfo_bytes: u64,
}

/// The kernels that are served, and then those that are only cached.
fn rows(kernels: &[ServedKernel], cached: &[(PathBuf, Sidecar)], newest: bool) -> Vec<Row> {
    let on_disk = |release: &str, image: bool| -> u64 {
        let folders = folders(cached, release, image);
        folders.map(size).sum()
    };
    let modules = |release: &str| -> u64 {
        let folders = folders(cached, release, true);
        folders.map(|folder| size(&modules_of(folder))).sum()
    };
    let last = |index: usize, kernel: &ServedKernel| {
        kernels
            .get(index + 1)
            .is_none_or(|next| next.series != kernel.series)
    };
    let served = kernels
        .iter()
        .enumerate()
        .filter(|(index, kernel)| !newest || last(*index, kernel))
        .map(|(_, kernel)| Row {
            machine: format!("guest:debian-{}.{}", kernel.series, kernel.patch),
            release: kernel.release.clone(),
            package: Some(format!("{} {}", kernel.image.name, kernel.image.version)),
            image_bytes: Some(kernel.image.size + kernel.base.as_ref().map_or(0, |base| base.size)),
            debuginfo_bytes: kernel.debug.as_ref().map(|debug| debug.size),
            origins: kernel.image.origins.clone(),
            cached_image_bytes: on_disk(&kernel.release, true),
            cached_modules_bytes: modules(&kernel.release),
            cached_debuginfo_bytes: on_disk(&kernel.release, false),
        });
    let removed = cached.iter().filter(|(_, sidecar)| {
        archive::holds_image(&sidecar.package)
            && kernels
                .iter()
                .all(|kernel| kernel.release != sidecar.release)
    });
    let removed = removed.map(|(_, sidecar)| Row {
        machine: archive::upstream(&sidecar.package.version)
            .map_or_else(String::new, |(series, patch)| {
                format!("guest:debian-{series}.{patch}")
            }),
        release: sidecar.release.clone(),
        package: None,
        image_bytes: None,
        debuginfo_bytes: None,
        origins: Vec::new(),
        cached_image_bytes: on_disk(&sidecar.release, true),
        cached_modules_bytes: modules(&sidecar.release),
        cached_debuginfo_bytes: on_disk(&sidecar.release, false),
    });
    served.chain(removed).collect()
}

/// The folders of a release's packages: those with an image, or the others.
fn folders<'c>(
    cached: &'c [(PathBuf, Sidecar)],
    release: &str,
    image: bool,
) -> impl Iterator<Item = &'c Path> {
    let of_release = cached.iter().filter(move |(_, sidecar)| {
        sidecar.release == release && archive::holds_image(&sidecar.package) == image
    });
    of_release.map(|(folder, _)| folder.as_path())
}

/// The folder with the modules of the kernel whose image is in `folder`.
fn modules_of(folder: &Path) -> PathBuf {
    let mut modules = folder.as_os_str().to_owned();
    modules.push(".modules");
    modules.into()
}

/// Bytes of the files in a folder; 0 if there is none.
fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

fn table(rows: &[Row]) -> String {
    let megabytes = |bytes: u64| format!("{} MB", bytes.div_ceil(1_000_000));
    let served = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), megabytes);
    let cached = |row: &Row| {
        let parts = [
            ("image", row.cached_image_bytes),
            ("modules", row.cached_modules_bytes),
            ("debug information", row.cached_debuginfo_bytes),
        ];
        let there = parts.iter().filter(|(_, bytes)| *bytes > 0);
        let (names, sizes): (Vec<&str>, Vec<u64>) = there.copied().unzip();
        match names.is_empty() {
            true => "-".to_owned(),
            false => format!("{} ({})", names.join(", "), megabytes(sizes.iter().sum())),
        }
    };
    let cells: Vec<[String; 6]> = rows
        .iter()
        .map(|row| {
            [
                row.machine.clone(),
                row.package
                    .clone()
                    .unwrap_or_else(|| "(served no more)".into()),
                served(row.image_bytes),
                served(row.debuginfo_bytes),
                cached(row),
                match row.origins.is_empty() {
                    true => "-".to_owned(),
                    false => row.origins.join(", "),
                },
            ]
        })
        .collect();
    let head = [
        "machine",
        "package",
        "image",
        "debug info",
        "cached",
        "from",
    ]
    .map(String::from);
    let all: Vec<&[String; 6]> = std::iter::once(&head).chain(&cells).collect();
    let width = |column: usize| all.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut out = String::new();
    for row in all {
        let padded: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", padded.join("  ").trim_end());
    }
    out
}

fn fetch(machines: &[TargetMachine], debuginfo: bool, cache: &Cache) -> Result<(), Failure> {
    for machine in machines {
        let name = machine.name();
        let TargetMachine::Guest(_, source @ KernelSource::Debian(_)) = machine else {
            return Err(Failure::input(format!(
                "cannot fetch `{name}`: only Debian's kernels are fetched, such as guest:debian-6.12"
            )));
        };
        let progress = Progress::new(name);
        let kernel = fetch::kernel(source, cache, false, &|text| progress.say(text))?;
        if debuginfo {
            debuginfo::of_package(&kernel, cache, true, &|text| progress.say(text))?;
        }
        drop(progress);
        if let Some(note) = &kernel.note {
            eprintln!("warning: {note}");
        }
        print(&format!("{name}: {}\n", kernel.path.display()))?;
    }
    Ok(())
}

fn prune(all: bool, dry_run: bool, cache: &Cache) -> Result<(), Failure> {
    let progress = Progress::new("kernels");
    let _lock = cache.lock(&|text| progress.say(text))?;
    drop(progress);
    let packages = cache.packages();
    let mut bytes = 0;
    let with_modules = |folder: &Path| [folder.to_owned(), modules_of(folder)];
    // Without --all a download can still go on.
    let unfinished = all.then(|| Apt::at(cache.root()).downloads());
    let folders = removable(&packages, all)
        .into_iter()
        .flat_map(with_modules)
        .chain(unfinished);
    for folder in folders.filter(|folder| folder.is_dir()) {
        let size = size(&folder);
        bytes += size;
        let verb = if dry_run { "would remove" } else { "removed" };
        if !dry_run {
            std::fs::remove_dir_all(&folder).map_err(|error| {
                Failure::unable(format!("failed to remove {}: {error}", folder.display()))
            })?;
        }
        print(&format!(
            "{verb} {} ({} MB)\n",
            folder.display(),
            size.div_ceil(1_000_000)
        ))?;
    }
    print(&format!("{} MB in all\n", bytes.div_ceil(1_000_000)))
}

/// The folders of packages to remove: all but those of the newest kernel of each series.
fn removable(packages: &[(PathBuf, Sidecar)], all: bool) -> Vec<&Path> {
    let version = |sidecar: &Sidecar| archive::upstream(&sidecar.package.version);
    let superseded = |sidecar: &Sidecar| {
        packages.iter().any(|(_, other)| {
            archive::holds_image(&other.package)
                && match (version(other), version(sidecar)) {
                    (Some(other), Some(this)) => other.0 == this.0 && other.1 > this.1,
                    _ => false,
                }
        })
    };
    let goes = packages
        .iter()
        .filter(|(_, sidecar)| all || superseded(sidecar));
    goes.map(|(folder, _)| folder.as_path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::archive::{Package, ServedPackage};
    use crate::guest::source::Series;

    fn kernel(minor: u32, patch: u32, debug: bool) -> ServedKernel {
        let served = |name: String, size| ServedPackage {
            name,
            version: format!("6.{minor}.{patch}-1"),
            size,
            origins: vec!["http://m/debian trixie".into()],
            ..ServedPackage::default()
        };
        let release = format!("6.{minor}.{patch}+deb13-cloud-amd64");
        ServedKernel {
            series: Series { major: 6, minor },
            patch,
            image: served(format!("linux-image-{release}"), 49_000_000),
            base: None,
            debug: debug.then(|| served(format!("linux-image-{release}-dbg"), 300_000_000)),
            release,
        }
    }

    fn cached(kernel: &ServedKernel, debug: bool) -> (PathBuf, Sidecar) {
        let suffix = if debug { "-dbg" } else { "" };
        let package = Package {
            name: format!("{}{suffix}", kernel.image.name),
            version: kernel.image.version.clone(),
        };
        let sidecar = Sidecar {
            release: kernel.release.clone(),
            deb_sha256: String::new(),
            base_sha256: None,
            fetched: String::new(),
            package,
        };
        (
            PathBuf::from(format!("/{}", sidecar.package.folder())),
            sidecar,
        )
    }

    /// Check the table: every kernel that is served with its sizes, the newest of each series on demand, and what is
    /// only cached.
    #[test]
    fn lists() {
        let kernels = [
            kernel(12, 3, true),
            kernel(12, 9, true),
            kernel(16, 1, false),
        ];
        let old = kernel(5, 1, false);
        let rows_of = |newest| rows(&kernels, &[cached(&old, false)], newest);
        let machines: Vec<String> = rows_of(true).into_iter().map(|row| row.machine).collect();
        assert_eq!(
            machines,
            [
                "guest:debian-6.12.9",
                "guest:debian-6.16.1",
                "guest:debian-6.5.1"
            ]
        );
        let text = table(&rows_of(false));
        assert_eq!(
            text.lines().nth(1),
            Some(
                "guest:debian-6.12.3  linux-image-6.12.3+deb13-cloud-amd64 6.12.3-1  49 MB  300 MB      -       http://m/debian trixie"
            )
        );
        assert_eq!(
            text.lines().last(),
            Some(
                "guest:debian-6.5.1   (served no more)                               -      -           -       -"
            )
        );
    }

    /// Check that the newest kernel of each series and its debug information stay.
    #[test]
    fn prunes() {
        let (old, new, other) = (
            kernel(12, 3, true),
            kernel(12, 9, true),
            kernel(16, 1, false),
        );
        let packages = [
            cached(&old, false),
            cached(&old, true),
            cached(&new, false),
            cached(&new, true),
            cached(&other, false),
        ];
        let folders = |all| removable(&packages, all).len();
        assert_eq!(
            removable(&packages, false),
            [&packages[0].0, &packages[1].0]
        );
        assert_eq!(folders(true), 5);
    }
}
