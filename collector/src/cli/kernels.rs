//! `qed-collector kernels`: lists the kernels that Debian serves and those in the cache, and changes the cache.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use qed_evidence::lock::Lock;
use serde::Serialize;

use super::failure::Failure;
use super::investigation::read_investigation;
use super::lock;
use super::modules::failure_constructor;
use super::output::{Format, print};
use super::progress::Progress;
use super::prune::{folder_size, prune};
use super::target::{self, TargetMachine};
use super::update::update;
use crate::arch::Arch;
use crate::guest::archive::{self, ServedKernel};
use crate::guest::cache::{Cache, Sidecar};
use crate::guest::source::{Selector, Series, VersionSelector};
use crate::guest::{KernelSource, debuginfo, fetch, modules};

/// Kernels that guests can boot.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<KernelsSubcommand>,
    /// List the newest patch release of each series only, not all
    #[arg(long)]
    newest: bool,
    /// List the kernels of this architecture: amd64 or arm64
    #[arg(long, default_value = "amd64", value_name = "ARCH")]
    arch: Arch,
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
        #[arg(required_unless_present = "book", value_name = "MACHINE")]
        machines: Vec<TargetMachine>,
        /// Download what the guests of this book need: the kernels that its lock file pins, and their modules where its
        /// investigation asks for some
        #[arg(long, value_name = "BOOK", conflicts_with = "machines")]
        book: Option<PathBuf>,
        /// Download their modules, too (25 MB each and more, where they do not come with the image)
        #[arg(long)]
        modules: bool,
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
    /// Remove saved guests, and cached kernels and debug information: all but the newest of each series, and those that a book pins
    Prune {
        /// Remove the newest of each series, too, and downloads that were interrupted
        #[arg(long)]
        all: bool,
        /// Keep the kernels that the lock file of this book pins [default: the book in this folder or the nearest one
        /// above]. Can be repeated
        #[arg(long, value_name = "BOOK")]
        book: Vec<PathBuf>,
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
    let cache = Cache::for_user()?;
    match &args.command {
        None => list(args, &cache),
        Some(KernelsSubcommand::Fetch {
            machines,
            book,
            modules,
            debuginfo,
        }) => {
            let mut wanted = FetchRequest {
                modules: *modules,
                debuginfo: *debuginfo,
                lock: None,
            };
            match book {
                None => fetch(machines, &wanted, &cache),
                Some(book) => {
                    let guests = guests_of_book(book, &mut wanted)?;
                    fetch(&guests, &wanted, &cache)
                }
            }
        }
        Some(KernelsSubcommand::Update {
            book,
            machines,
            dry_run,
        }) => update(book, machines, *dry_run, &cache),
        Some(KernelsSubcommand::Prune { all, book, dry_run }) => {
            prune(*all, *dry_run, book, &cache)
        }
    }
}

fn list(args: &Args, cache: &Cache) -> Result<(), Failure> {
    let progress = Progress::new("kernels");
    let say = |text: &str| progress.show_step(text);
    let cache_lock = cache.lock(&say)?;
    let available = fetch::available_kernels(args.arch, cache, args.refresh, &cache_lock, &say)?;
    drop(progress);
    if let Some(note) = available.note {
        eprintln!("warning: {note}");
    }
    // Of those that are only known from the cache, nothing is known of the archive.
    let served = match available.cached_only {
        true => &[],
        false => &available.kernels[..],
    };
    let mut cached = cache.packages();
    cached.retain(|(_, sidecar)| Arch::of_release(&sidecar.release) == Some(args.arch));
    let rows = list_rows(served, &cached, args.newest);
    print(&match args.format {
        Format::Text => format_table(&rows, available.cached_only),
        Format::Json => format!(
            "{}\n",
            serde_json::to_string_pretty(&rows)
                .map_err(|error| Failure::machine(format!("failed to write JSON: {error}")))?
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
    /// The package with the image and its version; `None`: served no more, or not known to be.
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
fn list_rows(kernels: &[ServedKernel], cached: &[(PathBuf, Sidecar)], newest: bool) -> Vec<Row> {
    let on_disk = |release: &str, image: bool| -> u64 {
        let folders = package_folders(cached, release, image);
        folders.map(folder_size).sum()
    };
    let modules = |release: &str| -> u64 {
        let folders = package_folders(cached, release, true);
        folders
            .map(|folder| folder_size(&modules_folder(folder)))
            .sum()
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
            machine: guest_name(kernel.series, kernel.patch, &kernel.release),
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
        machine: archive::parse_upstream_version(&sidecar.package.version)
            .map_or_else(String::new, |(series, patch)| {
                guest_name(series, patch, &sidecar.release)
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

/// The guest that boots a release: `guest:debian-6.12.117`.
fn guest_name(series: Series, patch: u32, release: &str) -> String {
    let selector = Selector {
        version: VersionSelector::Release(series, patch),
        arch: Arch::of_release(release).unwrap_or(Arch::X86_64),
    };
    format!("guest:debian-{selector}")
}

/// The folders of a release's packages: those with an image, or the others.
fn package_folders<'c>(
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
fn modules_folder(folder: &Path) -> PathBuf {
    let mut modules = folder.as_os_str().to_owned();
    modules.push(".modules");
    modules.into()
}

/// The list as text; `cached_only`: the archive could not be asked.
fn format_table(rows: &[Row], cached_only: bool) -> String {
    let unserved = match cached_only {
        true => "(not known to be served)",
        false => "(served no more)",
    };
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
                row.package.clone().unwrap_or_else(|| unserved.into()),
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

/// The parts of kernels to fetch.
struct FetchRequest {
    modules: bool,
    debuginfo: bool,
    lock: Option<Lock>,
}

/// The guests of a book that boot Debian's kernels, and what its lock file and investigation add to `wanted`.
fn guests_of_book(path: &Path, wanted: &mut FetchRequest) -> Result<Vec<TargetMachine>, Failure> {
    let book = target::read_book(path)?;
    wanted.lock = book.lock;
    let investigation = read_investigation(&book.investigation)?;
    wanted.modules |= investigation.modules().next().is_some();
    let guests: Vec<TargetMachine> = book
        .machines
        .into_iter()
        .filter(|machine| matches!(machine, TargetMachine::Guest(_, KernelSource::Debian(_))))
        .collect();
    match guests.is_empty() {
        true => Err(Failure::input(
            "the book has no guest that boots a kernel of Debian's: there is nothing to fetch",
        )),
        false => Ok(guests),
    }
}

fn fetch(machines: &[TargetMachine], wanted: &FetchRequest, cache: &Cache) -> Result<(), Failure> {
    for machine in machines {
        let name = machine.name();
        let TargetMachine::Guest(_, source @ KernelSource::Debian(_)) = machine else {
            return Err(Failure::input(format!(
                "cannot fetch `{name}`: only Debian's kernels are fetched, such as guest:debian-6.12"
            )));
        };
        let progress = Progress::new(name);
        let say = |text: &str| progress.show_step(text);
        let kernel = lock::find_kernel(wanted.lock.as_ref(), name, source, cache, false, &say)?;
        if wanted.modules {
            modules::fetch_modules(&kernel, cache, &say)
                .map_err(|error| failure_constructor(&error)(error.to_string()))?;
        }
        if wanted.debuginfo {
            debuginfo::fetch_package_debuginfo(&kernel, cache, true, &say)?;
        }
        drop(progress);
        if let Some(note) = &kernel.note {
            eprintln!("warning: {note}");
        }
        print(&format!("{name}: {}\n", kernel.path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::archive::{Package, ServedPackage};

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
            modules: None,
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
        let rows_of = |newest| list_rows(&kernels, &[cached(&old, false)], newest);
        let machines: Vec<String> = rows_of(true).into_iter().map(|row| row.machine).collect();
        assert_eq!(
            machines,
            [
                "guest:debian-6.12.9",
                "guest:debian-6.16.1",
                "guest:debian-6.5.1"
            ]
        );
        let text = format_table(&rows_of(false), false);
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
        let text = format_table(&list_rows(&[], &[cached(&old, false)], false), true);
        assert!(text.contains("(not known to be served)"), "{text}");
    }
}
