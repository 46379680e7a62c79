//! The request on the command line to capture or to plan, completed from the book.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qed_evidence::lock::Lock;

use super::failure::Failure;
use super::guests::Guests;
use super::kernel_files::{DebugInfo, DebugInfoChoice};
use super::lock;
use super::target::{TargetMachine, find_book_around, find_nearest_book, read_book};

/// Seconds without progress after which a guest is given up.
pub const LIMIT_S: u64 = 120;

/// Arguments of `capture` and `plan`: the investigation, the machines, and how a guest is booted.
#[derive(Clone, Debug, clap::Args)]
pub struct RequestArgs {
    /// The investigation: which experiments to run and what to watch [default: that of the book]
    #[arg(long, value_name = "FILE", conflicts_with = "book")]
    pub investigation: Option<PathBuf>,
    /// A machine to capture on: host, guest:debian-6.1, guest:debian-6.12, guest:PATH-TO-VMLINUZ,
    /// guest:WORD=PATH-TO-VMLINUZ. Can be repeated [default: all machines of the book, with --investigation those of the book in this
    /// folder or the nearest one above, or host without one]
    #[arg(long, value_name = "MACHINE")]
    pub on: Vec<TargetMachine>,
    /// Take the investigation and the machines from this book: its folder, or its book.toml [default without
    /// --investigation: the book in this folder or the nearest one above]
    #[arg(long, value_name = "BOOK")]
    pub book: Option<PathBuf>,
    /// Take the kernels of guests from this lock file, which `kernels update` writes [default with a book: qed.lock
    /// beside its book.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Source lines: find or download matching debug information (auto), do without (none), or use this vmlinux [default: the
    /// book's setting for the machine, or auto]
    #[arg(long, value_name = "auto|none|VMLINUX")]
    pub debuginfo: Option<DebugInfo>,
    /// Seconds without progress after which a guest is given up
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT_S)]
    pub limit: u64,
    /// Ask the distribution for a newer kernel even if it was asked today
    #[arg(long)]
    pub refresh: bool,
}

impl RequestArgs {
    /// The source of source lines.
    pub fn debuginfo(&self) -> &DebugInfo {
        self.debuginfo.as_ref().unwrap_or(&DebugInfo::Auto)
    }
}

/// A book that is named by a word of its own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NamedBook {
    /// The same as --book
    #[arg(value_name = "BOOK", conflicts_with_all = ["book", "investigation"])]
    word: Option<PathBuf>,
}

impl NamedBook {
    /// Take it for the value of `--book`, if there is none.
    pub fn apply_to(&self, book: &mut Option<PathBuf>) {
        if book.is_none() {
            book.clone_from(&self.word);
        }
    }
}

/// The request of a book or of the command line.
pub struct CaptureRequest {
    /// The investigation file.
    pub investigation: PathBuf,
    /// The machines.
    pub machines: Vec<TargetMachine>,
    /// The folder of the evidence.
    pub evidence: PathBuf,
    /// The kernels that guests are pinned to.
    pub lock: Option<Lock>,
    /// The sources of source lines.
    pub debuginfo: DebugInfoChoice,
    /// How the book's guests start.
    pub guests: Guests,
    /// True if these are all machines of a book: one that cannot be captured may have recorded evidence.
    pub is_book: bool,
}

/// Read the request of a command line.
pub fn read_request(args: &RequestArgs) -> Result<CaptureRequest, Failure> {
    let lock = args.lock.as_deref().map(lock::read_lock).transpose()?;
    let path = match (&args.book, &args.investigation) {
        (Some(path), _) => path.clone(),
        (None, None) => find_nearest_book()?,
        (None, Some(investigation)) => return request_of_investigation(args, investigation, lock),
    };
    let book = read_book(&path)?;
    let of_book = |target: &TargetMachine| {
        let same = book.machines.iter().find(|one| one.name() == target.name());
        same.unwrap_or(target).clone()
    };
    let machines = match args.on.is_empty() {
        true => book.machines.clone(),
        false => args.on.iter().map(of_book).collect(),
    };
    Ok(CaptureRequest {
        machines,
        investigation: book.investigation,
        evidence: book.evidence,
        guests: book.guests,
        lock: lock.or(book.lock),
        debuginfo: DebugInfoChoice::new(args.debuginfo.clone(), book.debuginfo),
        is_book: args.on.is_empty(),
    })
}

/// The request of an investigation that is named: on the machines that are named, or on those of the book around, or on the host where
/// there is no book.
fn request_of_investigation(
    args: &RequestArgs,
    investigation: &Path,
    lock: Option<Lock>,
) -> Result<CaptureRequest, Failure> {
    let mut request = CaptureRequest {
        investigation: investigation.to_owned(),
        machines: args.on.clone(),
        evidence: PathBuf::from(".qed/evidence"),
        lock,
        debuginfo: DebugInfoChoice::new(args.debuginfo.clone(), BTreeMap::new()),
        guests: Guests::Auto,
        is_book: false,
    };
    if request.machines.is_empty() {
        match find_book_around()? {
            Some(book) => {
                request.machines = book.machines;
                request.guests = book.guests;
                request.lock = request.lock.or(book.lock);
                request.debuginfo = DebugInfoChoice::new(args.debuginfo.clone(), book.debuginfo);
            }
            None => request.machines.push(TargetMachine::Host),
        }
    }
    Ok(request)
}

/// How guests start for evidence that goes where a book in this folder, or the nearest one above, has its own: as that book says,
/// whichever investigation and machines were named; `None` without a book.
pub fn guests_of_book_around() -> Result<Option<Guests>, Failure> {
    Ok(find_book_around()?.map(|book| book.guests))
}

/// Refuse to put the evidence of another investigation in the place of that of the book in this folder.
pub fn refuse_overwriting_book_evidence(args: &RequestArgs) -> Result<(), Failure> {
    let Some(named) = &args.investigation else {
        return Ok(());
    };
    let Ok(book) = read_book(Path::new("book.toml")) else {
        return Ok(());
    };
    let same = match (named.canonicalize(), book.investigation.canonicalize()) {
        (Ok(named), Ok(own)) => named == own,
        // A missing file is reported when it is read.
        _ => true,
    };
    if same {
        return Ok(());
    }
    Err(Failure::input(format!(
        "the evidence of {} would replace that of this folder's book, whose investigation is {}: name another file with -o FILE, or \
         say --force",
        named.display(),
        book.investigation.display()
    )))
}
