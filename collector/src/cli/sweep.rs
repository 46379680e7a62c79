//! `qed-collector sweep`: captures one investigation on a kernel of each series, several at a time; evidence that exists
//! already is not captured again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use qed_evidence::investigation::Investigation;
use qed_evidence::lock::{self, Lock};
use qed_evidence::machine::{evidence_file_name, guest_name};
use qed_evidence::sweep::{self, Plan, SweepPart};

use super::capture_machine::capture_machine;
use super::failure::Failure;
use super::guests::Guests;
use super::investigation::read_investigation;
use super::kernel_files::DebugInfo;
use super::machine_options::MachineOptions;
use super::output::print;
use super::progress::Progress;
use super::store::Store;
use super::target::{self, TargetMachine};
use crate::arch::Arch;
use crate::guest::archive::{self, ServedKernel};
use crate::guest::cache::Cache;
use crate::guest::source::{Selector, VersionSelector};
use crate::guest::{KernelSource, fetch};
use crate::probe::OBJECT_SHA256;

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The investigation: which experiments to run and what to watch [default: that of the book]
    #[arg(long, value_name = "FILE", conflicts_with = "book")]
    investigation: Option<PathBuf>,
    /// Take the investigation and the lock file from this book, and write below it: its folder, or its book.toml [default
    /// without --investigation: the book in this folder or the nearest one above]
    #[arg(long, value_name = "BOOK", conflicts_with = "output")]
    pub(super) book: Option<PathBuf>,
    #[command(flatten)]
    pub(super) named: super::request::NamedBook,
    /// Of a series that this lock file pins (guest:debian-6.12), take the pinned kernel instead of the newest
    /// [default with a book: qed.lock beside its book.toml, if there is one]
    #[arg(long, value_name = "FILE", conflicts_with = "book")]
    lock: Option<PathBuf>,
    /// Kernels for this architecture: amd64 or arm64 [default: amd64]. Can be repeated
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,
    /// Only these series, such as 6.12 [default: all that Debian serves]. Can be repeated
    #[arg(long, value_name = "SERIES")]
    series: Vec<String>,
    /// Only a part of the series, such as 2/5: for a matrix of machines
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Guests at a time [default: one for each processor, at most 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Source lines: download debug information that is served (auto), or do without (none)
    #[arg(long, value_name = "auto|none", default_value = "none", value_parser = ["auto", "none"])]
    debuginfo: String,
    /// Folder for the evidence of each kernel [default: .qed/evidence/sweep in the book's folder, or in this one with
    /// --investigation]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Seconds without progress after which a guest is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
    /// Ask the distribution for newer kernels even if it was asked today
    #[arg(long)]
    refresh: bool,
}

/// A part of a sweep that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part is written I/N, such as 2/5, with I from 1 to N")]
struct ShardError;

/// A series of kernels that cannot be swept.
#[derive(Debug, thiserror::Error)]
enum SeriesError {
    /// The text is not a selector of kernels.
    #[error("{0}")]
    Syntax(&'static str),
    /// The text selects something else.
    #[error("`{0}` does not name a series; one is written 6.12, and its architecture --arch")]
    Other(String),
    /// The distribution has no kernel of the series.
    #[error("{0}")]
    NotServed(String),
}

/// One part of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    /// From 1.
    part: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let numbers = text
            .split_once('/')
            .and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if 1 <= part && part <= of => Ok(Self { part, of }),
            _ => Err(ShardError),
        }
    }
}

/// The object of a sweep, from the command line or the book that it names.
struct SweepRequest {
    investigation: PathBuf,
    lock: Option<(Lock, String)>,
    output: PathBuf,
}

impl SweepRequest {
    fn from_args(args: &Args) -> Result<Self, Failure> {
        let (investigation, lock, output) = match &args.investigation {
            Some(path) => (path.clone(), None, PathBuf::from(".qed/evidence/sweep")),
            None => {
                let path = args
                    .book
                    .clone()
                    .map_or_else(target::find_nearest_book, Ok)?;
                let book = target::read_book(&path)?;
                let lock = book.lock.map(|_| book.root.join(lock::FILE));
                (book.investigation, lock, book.evidence.join("sweep"))
            }
        };
        let output = args.output.clone().unwrap_or(output);
        let lock = match args.lock.clone().or(lock) {
            None => None,
            Some(path) => {
                let digest = qed_programs::digest(&path).map_err(|error| {
                    Failure::input(format!("failed to read {}: {error}", path.display()))
                })?;
                Some((super::lock::read_lock(&path)?, digest))
            }
        };
        Ok(Self {
            investigation,
            lock,
            output,
        })
    }

    fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref().map(|(lock, _)| lock)
    }
}

/// Run the command.
///
/// # Errors
/// When no kernel can be found, or one could not be captured; the others are written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let request = SweepRequest::from_args(args)?;
    let investigation = read_investigation(&request.investigation)?;
    let cache = Cache::for_user()?;
    let mut served = Vec::new();
    for arch in wanted_architectures(&args.arch) {
        served.push((arch, served_kernels(arch, &cache, args.refresh)?));
    }
    let mut wanted = Vec::new();
    for (arch, served) in &served {
        let kernels = select_kernels(*arch, served, &args.series)
            .map_err(|error| Failure::input(error.to_string()))?;
        wanted.extend(kernels);
    }
    let part = sweep_part(&wanted, &investigation, &request, args.shard);
    let store =
        Store::open(&request.output).map_err(|error| Failure::machine(error.to_string()))?;
    let text = part.text().context("failed to describe the sweep")?;
    store
        .write(&part.file_name(), &text)
        .context("failed to describe the sweep")?;
    let mut queue = VecDeque::new();
    for kernel in part.own_kernels() {
        let file = request.output.join(evidence_file_name(&kernel.machine));
        let Some(served) = wanted
            .iter()
            .find(|wanted| wanted.guest_name() == kernel.machine)
        else {
            continue;
        };
        if is_done(&file, kernel, served.kernel, &part.plan, args) {
            let name = &kernel.machine;
            print(&format!("{name}: {} (is there already)\n", file.display()))?;
        } else {
            let source = KernelSource::Debian(served.selector());
            queue.push_back((kernel.machine.clone(), source));
        }
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(processors.min(2), usize::from);
    let (queue, failed) = (Mutex::new(queue), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = lock_unpoisoned(&queue).pop_front();
                    let Some((name, source)) = next else {
                        break;
                    };
                    let captured =
                        capture_kernel(&name, source, &investigation, &request, args, &store);
                    if let Err(failure) = captured {
                        eprintln!("error: cannot capture on {name}: {}", failure.message);
                        lock_unpoisoned(&failed).push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::machine(format!(
            "not every kernel could be captured: {}; see above. The same command goes on with these",
            failed.join(", ")
        ))),
    }
}

/// The newest kernel of a series for an architecture.
#[derive(Clone, Copy, Debug)]
struct NewestKernel<'a> {
    arch: Arch,
    kernel: &'a ServedKernel,
}

impl NewestKernel<'_> {
    fn selector(self) -> Selector {
        Selector {
            version: VersionSelector::Series(self.kernel.series),
            arch: self.arch,
        }
    }

    /// The guest that boots it.
    fn guest_name(self) -> String {
        guest_name(&format!("debian-{}", self.selector()))
    }
}

/// The architectures that are asked for, each once and in a fixed order.
fn wanted_architectures(asked: &[Arch]) -> Vec<Arch> {
    let wanted = |arch: &Arch| match asked {
        [] => *arch == Arch::X86_64,
        asked => asked.contains(arch),
    };
    Arch::ALL.into_iter().filter(wanted).collect()
}

/// The part of the sweep that this run captures, which says what the other parts do.
fn sweep_part(
    wanted: &[NewestKernel<'_>],
    investigation: &Investigation,
    request: &SweepRequest,
    shard: Option<Shard>,
) -> SweepPart {
    let kernels = wanted.iter().map(|kernel| {
        let (machine, kernel) = (kernel.guest_name(), kernel.kernel);
        let package = match request.lock().and_then(|lock| lock.get(&machine)) {
            Some(pin) => pin.to_string(),
            None => format!("{} {}", kernel.image.name, kernel.image.version),
        };
        sweep::SweepKernel { machine, package }
    });
    let plan = Plan {
        investigation: investigation.digest.clone(),
        collector: env!("CARGO_PKG_VERSION").into(),
        object: OBJECT_SHA256.into(),
        lock: request.lock.as_ref().map(|(_, digest)| digest.clone()),
        kernels: kernels.collect(),
    };
    let Shard { part, of } = shard.unwrap_or(Shard { part: 1, of: 1 });
    SweepPart::new(part, of, plan)
}

/// The contents of a mutex, also after a panic elsewhere.
fn lock_unpoisoned<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernels for an architecture that are served, or where that is not known those that are cached.
fn served_kernels(arch: Arch, cache: &Cache, refresh: bool) -> Result<Vec<ServedKernel>, Failure> {
    let progress = Progress::new("kernels");
    let say = |text: &str| progress.show_step(text);
    let held = cache.lock(&say)?;
    let available = fetch::available_kernels(arch, cache, refresh, &held, &say)?;
    if let Some(note) = available.note {
        eprintln!("warning: {note}");
    }
    Ok(available.kernels)
}

/// The newest kernel of each series that is wanted, the oldest first.
fn select_kernels<'a>(
    arch: Arch,
    served: &'a [ServedKernel],
    series: &[String],
) -> Result<Vec<NewestKernel<'a>>, SeriesError> {
    let mut kernels: Vec<&ServedKernel> = Vec::new();
    for kernel in served {
        kernels.retain(|other| other.series != kernel.series);
        kernels.push(kernel);
    }
    if !series.is_empty() {
        let mut only = Vec::new();
        for text in series {
            // The architecture is said by `--arch`.
            let Selector {
                version: version @ VersionSelector::Series(wanted),
                arch: Arch::X86_64,
            } = text.parse().map_err(SeriesError::Syntax)?
            else {
                return Err(SeriesError::Other(text.clone()));
            };
            if kernels.iter().all(|kernel| kernel.series != wanted) {
                let reason = archive::not_served_reason(served, Selector { version, arch });
                return Err(SeriesError::NotServed(reason));
            }
            only.push(wanted);
        }
        kernels.retain(|kernel| only.contains(&kernel.series));
    }
    let newest = kernels.into_iter();
    Ok(newest.map(|kernel| NewestKernel { arch, kernel }).collect())
}

/// True if a file holds what a capture of this kernel would bring now.
fn is_done(
    file: &Path,
    kernel: &sweep::SweepKernel,
    served: &ServedKernel,
    plan: &Plan,
    args: &Args,
) -> bool {
    let evidence = std::fs::read(file)
        .ok()
        .and_then(|bytes| qed_evidence::reader::read(&bytes).ok());
    evidence.is_some_and(|evidence| {
        plan.check_evidence(kernel, &evidence).is_ok()
            && (args.debuginfo == "none"
                || served.debug.is_none()
                || evidence.kernel.debuginfo.value().is_some())
    })
}

/// Capture on one kernel and write its evidence.
fn capture_kernel(
    name: &str,
    source: KernelSource,
    investigation: &Investigation,
    request: &SweepRequest,
    args: &Args,
    store: &Store,
) -> Result<(), Failure> {
    let target = TargetMachine::Guest(name.to_owned(), source);
    let options = MachineOptions {
        debuginfo: match args.debuginfo.as_str() {
            "auto" => DebugInfo::Auto,
            _ => DebugInfo::None,
        },
        guests: Guests::Cold,
        // The picture of many boots belongs to a book, not to a comparison of kernels.
        boots: Some(0),
        refresh: false,
        limit: args.limit,
    };
    // A lock pins the machines of a book, and a sweep has others, too.
    let lock = request.lock().filter(|lock| lock.get(name).is_some());
    let text = capture_machine(&target, investigation, None, lock, &options)?.text;
    let path = store
        .write(&evidence_file_name(name), &text)
        .context("failed to write the evidence")?;
    print(&format!("{name}: {}\n", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::archive::ServedPackage;
    use crate::guest::source::Series;

    fn kernel(minor: u32, patch: u32) -> ServedKernel {
        ServedKernel {
            series: Series { major: 7, minor },
            patch,
            release: format!("7.{minor}.{patch}-x"),
            image: ServedPackage {
                name: "linux-image-x".into(),
                version: format!("7.{minor}.{patch}-1"),
                ..ServedPackage::default()
            },
            base: None,
            modules: None,
            debug: None,
        }
    }

    /// Check that each series is there once with its newest kernel, and that only some can be asked for.
    #[test]
    fn kernels_of_a_sweep() {
        let served = [
            kernel(0, 1),
            kernel(0, 2),
            kernel(1, 5),
            kernel(2, 1),
            kernel(3, 4),
        ];
        let names = |series: &[&str]| -> Vec<String> {
            let series: Vec<String> = series.iter().map(|one| (*one).to_owned()).collect();
            let kernels = select_kernels(Arch::X86_64, &served, &series).unwrap();
            kernels
                .iter()
                .map(|k| format!("{}.{}", k.kernel.series, k.kernel.patch))
                .collect()
        };
        assert_eq!(names(&[]), ["7.0.2", "7.1.5", "7.2.1", "7.3.4"]);
        assert_eq!(names(&["7.3", "7.0"]), ["7.0.2", "7.3.4"]);
        let refused = |text: &str| {
            let error = select_kernels(Arch::X86_64, &served, &[text.to_owned()]).unwrap_err();
            error.to_string()
        };
        assert!(refused("6.9").contains("the nearest series is"));
        for bad in ["7.3.4", "7.3-arm64"] {
            assert!(refused(bad).contains("does not name a series"), "{bad}");
        }
        for bad in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    /// Check that a sweep is of x86-64 unless it is told otherwise, and takes each architecture once.
    #[test]
    fn architectures() {
        let (x86, arm) = (Arch::X86_64, Arch::Aarch64);
        assert_eq!(wanted_architectures(&[]), [x86]);
        assert_eq!(wanted_architectures(&[arm]), [arm]);
        assert_eq!(wanted_architectures(&[arm, x86, arm]), [x86, arm]);
    }

    /// Check that a part names the kernels of the whole sweep, and of a pinned series the pinned one.
    #[test]
    fn pinned_kernels() {
        let served = [kernel(0, 2), kernel(1, 5)];
        let of = |arch| {
            served
                .iter()
                .map(move |kernel| NewestKernel { arch, kernel })
        };
        let wanted: Vec<NewestKernel<'_>> = of(Arch::X86_64).chain(of(Arch::Aarch64)).collect();
        let package = lock::LockedPackage {
            package: "linux-image-x".into(),
            version: "7.1.3-1".into(),
            size: 1,
            sha256: "0".repeat(64),
        };
        let mut pins = Lock::default();
        pins.set(
            "guest:debian-7.1",
            lock::Pin::Packages(Box::new(lock::Packages {
                release: "7.1.3-x".into(),
                image: package,
                config: None,
                modules: None,
                debug_info: None,
            })),
        );
        let request = SweepRequest {
            investigation: PathBuf::new(),
            lock: Some((pins, "ab".into())),
            output: PathBuf::new(),
        };
        let text = "[[experiment]]\nname = \"a\"\nworkload = { syscall = \"getpid\", args = [] }\n\
            [[experiment.probe]]\nfunction = \"ksys_read\"\n";
        let investigation = qed_evidence::investigation::parse("a.toml", text).unwrap();
        let part = sweep_part(
            &wanted,
            &investigation,
            &request,
            Some(Shard { part: 2, of: 2 }),
        );
        let packages: Vec<&str> = part.plan.kernels.iter().map(|k| &*k.package).collect();
        // The pin of a kernel for one architecture is none of another's.
        let [first, pinned, last] =
            ["7.0.2-1", "7.1.3-1", "7.1.5-1"].map(|version| format!("linux-image-x {version}"));
        assert_eq!(packages, [&first, &pinned, &first, &last]);
        let own: Vec<&str> = part.own_kernels().map(|k| &*k.machine).collect();
        assert_eq!(own, ["guest:debian-7.1", "guest:debian-7.1-arm64"]);
        assert_eq!(part.plan.lock.as_deref(), Some("ab"));
    }
}
