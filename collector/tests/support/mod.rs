//! Helpers of the end-to-end tests: running the real program, and captures that are made once per process.
#![allow(dead_code)] // each test file uses its part

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use qed_collector::arch::Arch;
use qed_collector::assemble::symbolize::{StaticFiles, make_evidence};
use qed_collector::guest::cache::Cache;
use qed_collector::guest::protocol::{GuestJob, Unrunnable, parse_capture_answer};
use qed_collector::guest::{GuestSpec, KernelSource, fetch, run};
use qed_evidence::Evidence;
use qed_evidence::document::{Machine, MachineKind};
use qed_evidence::investigation::parse;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
pub use qed_layers::note_skipped;

pub const GUESTS: [&str; 3] = ["debian-6.1", "debian-6.12", "debian-7.3"];

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_qed-collector"))
}

/// An investigation of the repository.
pub fn investigation(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../investigations")
        .join(name)
}

/// The program with these arguments, in a folder of its own.
pub fn collector<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program());
    command.args(args).current_dir(folder);
    command
}

/// A folder that holds an investigation of this text as `i.toml`.
pub fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("i.toml"), text).unwrap();
    folder
}

/// A capture on a machine, without source lines, to `e.json` in the folder.
pub fn capture_on(machine: &str, folder: &Path, investigation: impl AsRef<OsStr>) -> Command {
    let args = [
        "capture",
        "--on",
        machine,
        "--debuginfo",
        "none",
        "-o",
        "e.json",
    ];
    let mut command = collector(folder, args);
    command.arg("--investigation").arg(investigation);
    command
}

/// The same in a guest that is resumed if one was saved: what it shows is the same, and a boot takes longer than the capture.
pub fn resumed_capture_on(
    machine: &str,
    folder: &Path,
    investigation: impl AsRef<OsStr>,
) -> Command {
    let mut command = capture_on(machine, folder, investigation);
    command.args(RESUMED);
    command
}

/// Arguments of a capture that resumes a guest if one was saved.
pub const RESUMED: [&str; 2] = ["--guests", "warm"];

/// A cache with this user's kernels, and nothing saved; gives back what the variable for it is set to.
pub fn cache_with_kernels(folder: &Path) -> PathBuf {
    let of_user = Cache::for_user().expect("a cache folder");
    let own = folder.join("qed");
    std::fs::create_dir_all(&own).unwrap();
    for name in ["kernels", "apt", "lines"] {
        let source = of_user.root().join(name);
        if source.exists() {
            std::os::unix::fs::symlink(source, own.join(name)).unwrap();
        }
    }
    let _ = std::fs::copy(of_user.root().join("kvm.json"), own.join("kvm.json"));
    folder.to_owned()
}

/// The evidence that a capture left in `e.json` of the folder.
pub fn evidence_in(folder: &Path) -> Evidence {
    let bytes = std::fs::read(folder.join("e.json")).unwrap();
    qed_evidence::reader::read(&bytes).unwrap()
}

/// The evidence of an investigation of this text from a guest, booted or resumed, without source lines, and what was printed beside it.
pub fn captured_from(guest: &str, text: &str) -> (Evidence, String) {
    let folder = folder_with(text);
    let machine = format!("guest:{guest}");
    let output = resumed_capture_on(&machine, folder.path(), "i.toml")
        .output()
        .unwrap();
    let (status, stderr) = status_and_message(&output);
    assert_eq!(status, Some(0), "{guest}: {stderr}");
    (evidence_in(folder.path()), stderr)
}

/// The evidence of a capture in a guest that `change` makes another one, or what stopped it.
pub fn captured_in_guest(
    text: &str,
    change: impl FnOnce(&mut GuestSpec),
) -> Result<Evidence, String> {
    let investigation = parse("i.toml", text).map_err(|wrong| format!("{wrong:?}"))?;
    let cache = Cache::for_user().expect("a cache folder");
    let source = KernelSource::parse("debian-6.12").expect("a guest's name");
    let kernel = fetch::find_kernel(&source, &cache, false, &|_| {}).expect("a kernel");
    let image = kernel.path.clone();
    let mut spec = GuestSpec::new(kernel, PathBuf::from(program()), cache);
    let job = GuestJob::Capture {
        name: "i.toml".into(),
        text: text.into(),
        chosen: Ok(Vec::new()),
        modules: Vec::new(),
        unrunnable: Unrunnable::default(),
    };
    spec.files.push(job.to_file().expect("a job"));
    spec.limit = Duration::from_secs(120);
    change(&mut spec);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let run = runtime
        .block_on(run(&spec, &|_| {}))
        .map_err(|error| error.to_string())?;
    let raw = parse_capture_answer(&run.payload).map_err(|error| error.to_string())?;
    let machine = Machine {
        name: "guest:test".into(),
        kind: MachineKind::Guest,
        ephemeral: true,
        boot_id: raw.facts.boot_id.clone(),
        cpu_model: raw.facts.cpu_model.clone(),
        cpus: raw.facts.cpus,
        accelerator: None,
        resumed: None,
    };
    let fixed = StaticFiles {
        image: Some(image),
        console: Some(run.console),
        no_debuginfo: Some("it is not wanted".into()),
        ..StaticFiles::default()
    };
    let evidence = make_evidence(&raw, &investigation, machine, &fixed);
    let text = qed_evidence::reader::write(&evidence).expect("JSON");
    qed_evidence::reader::read(text.as_bytes()).map_err(|error| error.to_string())
}

/// Exit status and standard error of a finished run.
pub fn status_and_message(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// One capture, as a reader of its evidence sees it.
pub struct Captured {
    pub evidence: Evidence,
    leaves: HashMap<String, Datum>,
}

impl Captured {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("an evidence file");
        Self::of(qed_evidence::reader::read(&bytes).expect("strictly valid evidence"))
    }

    /// The leaves of evidence.
    pub fn of(evidence: Evidence) -> Self {
        let leaves = leaves(&evidence)
            .iter()
            .map(|(path, leaf)| (path.to_owned(), leaf.datum.clone().into_owned()))
            .collect();
        Self { evidence, leaves }
    }

    /// The datum at a path.
    pub fn datum(&self, path: &str) -> &Datum {
        self.leaves
            .get(path)
            .unwrap_or_else(|| panic!("{}: nothing at {path}", self.evidence.machine.name))
    }

    /// The value at a path.
    pub fn value(&self, path: &str) -> &Value {
        match self.datum(path) {
            Datum::Value(value) => value,
            Datum::Missing(why) => panic!("{path}: {}", why),
        }
    }

    /// The address at a path, which must not be 0.
    pub fn pointer(&self, path: &str) -> u64 {
        match self.value(path) {
            Value::Address { value, .. } if value.0 != 0 => value.0,
            other => panic!("{path}: {other:?} is not a pointer"),
        }
    }

    /// The number at a path.
    pub fn number(&self, path: &str) -> i128 {
        number(self.value(path)).unwrap_or_else(|| panic!("{path} is not a number"))
    }

    /// The name of an error number.
    pub fn errno(&self, experiment: &str) -> &str {
        match self.value(&format!("{experiment}.outcome.errno")) {
            Value::Errno { name, .. } => name,
            other => panic!("{experiment}: {other:?}"),
        }
    }

    /// The reason why there is no value at a path.
    pub fn reason(&self, path: &str) -> &str {
        match self.datum(path) {
            Datum::Missing(why) => why.reason(),
            Datum::Value(value) => panic!("{path} is {value:?}"),
        }
    }
}

/// A value as a number, whatever it is a number of.
pub fn number(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Address { value, .. } => i128::from(value.0),
        Value::Symbol { address, .. } => i128::from(address.0),
        Value::Int { value, .. } | Value::Offset { value } | Value::Flags { value, .. } => {
            value.get()
        }
        Value::Enum { value, .. } => value.get(),
        Value::Fd { value } | Value::Pid { value } | Value::Errno { value, .. } => {
            i128::from(*value)
        }
        Value::Size { value } => i128::from(*value),
        Value::Bool { value } => i128::from(*value),
        _ => return None,
    })
}

/// Captures by machine and investigation.
type Captures = HashMap<(String, String), Arc<OnceLock<Arc<Captured>>>>;

/// The evidence of one capture; made once per process, whoever asks.
pub fn captured(machine: &str, file: &str) -> Arc<Captured> {
    static DONE: OnceLock<Mutex<Captures>> = OnceLock::new();
    let cell = {
        let mut done = DONE
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(|e| e.into_inner());
        Arc::clone(done.entry((machine.into(), file.into())).or_default())
    };
    let made = cell.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().join("evidence.json");
        let result = collector(folder.path(), ["capture", "--on", machine, "-o"])
            .arg(&output)
            .arg("--investigation")
            .arg(investigation(file))
            // The picture of many boots has a test of its own.
            .args(["--boots", "0"])
            .output()
            .expect("the program runs");
        assert!(
            result.status.success(),
            "{machine}: {}",
            status_and_message(&result).1
        );
        Arc::new(Captured::read(&output))
    });
    Arc::clone(made)
}

/// The first process of test guests of an architecture. For another one than this machine's it is where `make arm64` builds it.
pub fn test_guest(arch: Arch) -> PathBuf {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_qed-test-guest"));
    if arch == Arch::HOST {
        return own;
    }
    let target = format!("{}-unknown-linux-gnu", arch.machine());
    let mut parts = own.iter().rev();
    let (name, profile) = (parts.next().unwrap(), parts.next().unwrap());
    let folder = own.ancestors().nth(3).unwrap();
    folder.join(target).join(profile).join(name)
}

/// Give a guest whose first process is the helper of tests a job, and return its answer. `files` come along.
pub fn guest_job(name: &str, job: (String, Vec<u8>), files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let cache = Cache::for_user().expect("a cache folder");
    let source = KernelSource::parse(name).expect("a guest's name");
    let kernel = fetch::find_kernel(&source, &cache, false, &|_| {}).expect("a kernel");
    let helper = test_guest(source.arch().unwrap_or(Arch::HOST));
    let mut spec = GuestSpec::new(kernel, helper, cache);
    spec.files.push(job);
    spec.files.extend(files);
    spec.limit = Duration::from_secs(120);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(run(&spec, &|_| {}))
        .expect("an answer")
        .payload
}
