//! Guests that are saved and resumed, with the real QEMU and kernels. Needs QEMU, and the network or cached kernels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qed_collector::guest::cache::Cache;
use qed_collector::guest::states::States;
use qed_collector::guest::{
    AcceleratorChoice, GuestError, GuestRun, GuestSpec, KernelSource, Start, fetch, run,
};
use qed_evidence::Evidence;
use qed_evidence::document::Experiment;
use qed_evidence::path_index::leaves;
use qed_evidence::value::Datum;

use crate::job::{Moment, TestJob};
use crate::support::{
    cache_with_kernels, captured, collector, evidence_in, folder_with, investigation, note_skipped,
    status_and_message,
};

/// A guest that says what tells it from others, and whose saved states are in a cache of its own.
fn spec(name: &str, folder: &Path) -> GuestSpec {
    let of_user = Cache::for_user().expect("a cache folder");
    let source = KernelSource::parse(name).expect("a guest's name");
    let kernel = fetch::find_kernel(&source, &of_user, false, &|_| {}).expect("a kernel");
    let helper = PathBuf::from(env!("CARGO_BIN_EXE_qed-test-guest"));
    let mut spec = GuestSpec::new(kernel, helper, Cache::new(folder.to_owned()));
    spec.accel = AcceleratorChoice::Tcg;
    spec.start = Start::Resume;
    spec.files.push(TestJob::Moment.file().expect("a job"));
    spec.files.push(("/qed/file".into(), b"first".to_vec()));
    spec.modes.insert("/qed/file".into(), 0o640);
    spec
}

fn try_start(spec: &GuestSpec) -> Result<GuestRun, GuestError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run(spec, &|_| {}))
}

fn start(spec: &GuestSpec) -> (GuestRun, Moment) {
    let run = try_start(spec).expect("an answer");
    let moment = postcard::from_bytes(&run.payload).expect("a moment");
    (run, moment)
}

fn now() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock after 1970").as_nanos()
}

/// True if a guest's clock was right between the two times, to a tenth of a second.
fn is_right(moment: &Moment, from: u128, to: u128) -> bool {
    let slack = 100_000_000;
    (from - slack..=to + slack).contains(&moment.time_ns)
}

fn the_state(folder: &Path) -> PathBuf {
    let states = States::of(&Cache::new(folder.to_owned())).list();
    assert_eq!(states.len(), 1, "{states:?}");
    states[0].0.clone()
}

fn resumes(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec(name, folder.path());
    let (booted, first) = start(&spec);
    assert_eq!(
        (booted.resumed.as_ref(), booted.notes.len()),
        (None, 0),
        "{:?}",
        booted.notes
    );
    assert_eq!(first.file, Some((0o640, "first".into())));
    let saved = the_state(folder.path());
    let from = now();
    let (resumed, second) = start(&spec);
    let between = now();
    assert!(resumed.notes.is_empty(), "{:?}", resumed.notes);
    let boot: jiff::Timestamp = resumed.resumed.as_ref().expect("resumed").parse().unwrap();
    assert!((boot.as_nanosecond() as u128) < from);
    assert!(is_right(&second, from, between), "{second:?}");
    // Another job, after a while.
    spec.files[1].1 = b"second".to_vec();
    std::thread::sleep(Duration::from_secs(2));
    let from = now();
    let (again, third) = start(&spec);
    assert!(is_right(&third, from, now()), "{third:?}");
    assert_eq!(again.resumed, resumed.resumed);
    assert_eq!(third.file, Some((0o640, "second".into())));
    assert_eq!(the_state(folder.path()), saved);
    // The boot is the same, with what it drew; what is drawn now is not.
    for (one, other) in [(&first, &second), (&second, &third)] {
        assert_eq!((&one.boot_id, &one.text), (&other.boot_id, &other.text));
        assert!(!one.text.is_empty() && !one.hashed_pointer.is_empty());
        assert_eq!(one.hashed_pointer, other.hashed_pointer);
        assert_ne!(one.random, other.random);
        assert_ne!(one.uuid, other.uuid);
        assert_ne!(one.process_random, other.process_random);
        assert_ne!(one.process_map, other.process_map);
    }
}

/// Check that a guest of 6.1 is saved and resumed with another job, the right time and random numbers of its own.
#[test]
fn debian_6_1() {
    resumes("debian-6.1");
}

/// Check that a guest of 6.12 is saved and resumed with another job, the right time and random numbers of its own.
#[test]
fn debian_6_12() {
    resumes("debian-6.12");
}

/// Check that a guest of 7.3 is saved and resumed with another job, the right time and random numbers of its own.
#[test]
fn debian_7_3() {
    resumes("debian-7.3");
}

/// Check that a saved guest that was damaged, and one that QEMU does not take, is told, booted instead, and saved anew; and that a guest
/// that cannot be saved is told and does its job.
#[test]
fn falls_back() {
    use std::os::unix::fs::FileExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("debian-6.12", folder.path());
    start(&spec);
    let saved = the_state(folder.path());
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&saved)
        .unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    let (booted, _) = start(&spec);
    assert_eq!(booted.resumed, None);
    assert!(
        booted.notes[0].contains("its digest differs"),
        "{:?}",
        booted.notes
    );
    let (resumed, _) = start(&spec);
    assert!(resumed.resumed.is_some() && resumed.notes.is_empty());

    // The state of a machine with less memory, under the name of this one.
    let header = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(bytes[..end].to_vec()).unwrap()
    };
    let key = |header: &str| -> String {
        let header: serde_json::Value = serde_json::from_str(header).unwrap();
        header["key"].as_str().unwrap().to_owned()
    };
    let own = key(&header(&saved));
    let elsewhere = tempfile::tempdir().unwrap();
    spec.cache = Cache::new(elsewhere.path().to_owned());
    spec.memory_mib = 384;
    start(&spec);
    let other = the_state(elsewhere.path());
    let text = header(&other);
    let renamed = text.replace(&key(&text), &own);
    assert_ne!(text, renamed);
    let file = fs::File::options().write(true).open(&other).unwrap();
    file.write_all_at(renamed.as_bytes(), 0).unwrap();
    fs::rename(&other, &saved).unwrap();
    spec.memory_mib = 512;
    spec.cache = Cache::new(folder.path().to_owned());
    let (booted, _) = start(&spec);
    assert_eq!(booted.resumed, None);
    assert!(
        booted.notes[0].contains("booted and not resumed: QEMU"),
        "{:?}",
        booted.notes
    );

    // No place for it.
    spec.cache = Cache::new(folder.path().join("elsewhere"));
    fs::create_dir(spec.cache.root()).unwrap();
    fs::write(spec.cache.root().join("guests"), "a file").unwrap();
    let (booted, moment) = start(&spec);
    assert!(
        booted.notes[1].contains("was not saved"),
        "{:?}",
        booted.notes
    );
    assert!(moment.file.is_some());
}

/// Check that guests which are saved at the same time do not disturb each other, and that a booted one is never a resumed one.
#[test]
fn side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("debian-6.1", folder.path());
    let both = std::thread::scope(|scope| {
        [(); 2]
            .map(|()| scope.spawn(|| start(&spec)))
            .map(|one| one.join().unwrap())
    });
    for (run, _) in &both {
        assert!(
            run.notes.is_empty() && run.resumed.is_none(),
            "{:?}",
            run.notes
        );
    }
    the_state(folder.path());
    let (resumed, moment) = start(&spec);
    assert!(resumed.resumed.is_some());
    assert!(both.iter().any(|(_, one)| one.boot_id == moment.boot_id));
    spec.start = Start::Boot;
    let (booted, cold) = start(&spec);
    assert_eq!(booted.resumed, None);
    assert_ne!(cold.boot_id, moment.boot_id);
    // What a guest is handed looks as what it boots with.
    assert_eq!(cold.job_folder, moment.job_folder);
    let names = moment.job_folder.iter().map(|(name, _)| name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), [".", "file", "test-job.json"]);
}

/// Check that a resumed guest which crashes is told, booted instead, and saved anew, and that one whose job fails keeps its state.
#[test]
fn crashes() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec("debian-6.12", folder.path());
    let (_, first) = start(&spec);
    let boot_id = first.boot_id.clone();
    spec.files[0] = TestJob::CrashIn { boot_id }.file().unwrap();
    let (booted, second) = start(&spec);
    assert_eq!(booted.resumed, None);
    assert_eq!(booted.notes.len(), 1, "{:?}", booted.notes);
    assert!(
        booted.notes[0].contains("it was resumed first, and the guest's kernel panicked"),
        "{:?}",
        booted.notes
    );
    assert_ne!(second.boot_id, first.boot_id);
    let (resumed, third) = start(&spec);
    assert!(resumed.resumed.is_some() && resumed.notes.is_empty());
    assert_eq!(third.boot_id, second.boot_id);
    let saved = fs::metadata(the_state(folder.path())).unwrap();
    spec.files[0].1 = b"no job".to_vec();
    let refused = try_start(&spec).unwrap_err();
    assert!(matches!(refused, GuestError::Job { .. }), "{refused}");
    let still = fs::metadata(the_state(folder.path())).unwrap();
    assert_eq!(still.created().unwrap(), saved.created().unwrap());
}

/// The leaves of a capture that do not depend on how often something was hit: outcomes, quality, how probes were attached, and what is
/// said of machine, kernel and slide. What says that a guest was resumed is left out, and so is the probe at an address that is not moved
/// by the slide: in one boot of some dozens the kernel's code begins before it, and the probe is attached.
fn steady_leaves(evidence: &Evidence) -> BTreeMap<String, Datum> {
    let of_hits = |path: &str| {
        let (experiment, rest) = path.split_once('.').unwrap_or_default();
        let rest = rest.split_once('.');
        evidence.experiments.contains_key(experiment)
            && rest.is_some_and(|(probe, leaf)| {
                !["outcome", "quality", "call"].contains(&probe)
                    && !["backend", "function", "listed", "note_skipped"].contains(&leaf)
            })
    };
    let all = leaves(evidence);
    all.iter()
        .filter(|(path, _)| !of_hits(path) && *path != "machine.resumed")
        .filter(|(path, _)| !path.starts_with("static_address.attempt."))
        .map(|(path, leaf)| (path.to_owned(), leaf.datum.clone().into_owned()))
        .collect()
}

fn captures_the_same(guest: &str) {
    let (folder, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = cache_with_kernels(cache.path());
    let machine = format!("guest:{guest}");
    let capture = |file: &str| -> (Evidence, String) {
        let usual = ["capture", "--on", &machine, "-o", "e.json", "--boots", "0"];
        let mut command = collector(folder.path(), usual);
        command.args(["--guests", "warm", "--investigation"]);
        command.arg(investigation(file));
        let output = command.env("XDG_CACHE_HOME", &cache).output().unwrap();
        let (status, message) = status_and_message(&output);
        assert_eq!(status, Some(0), "{guest}: {message}");
        (evidence_in(folder.path()), message)
    };
    // A guest is saved before it knows an investigation.
    let (saved, message) = capture("pipe.toml");
    if message.contains("guests under KVM are booted") {
        note_skipped("guests run under KVM here, where they are booted");
        return;
    }
    let cold = captured(&machine, "socket.toml");
    let cold = &cold.evidence;
    assert!(cold.machine.resumed.is_none() && saved.machine.resumed.is_none());
    let (warm, message) = capture("socket.toml");
    assert!(warm.machine.resumed.is_some(), "{message}");
    assert_eq!(warm.machine.boot_id, saved.machine.boot_id);
    assert_ne!(warm.run.id, saved.run.id);
    assert!(warm.run.time > saved.run.time);
    for (name, experiment) in &cold.experiments {
        let other = &warm.experiments[name];
        assert_eq!(experiment.unavailable, other.unavailable, "{guest}: {name}");
        assert_eq!(experiment.quality.lost, other.quality.lost);
        assert_eq!(experiment.quality.missed, other.quality.missed);
        let hit = |experiment: &Experiment| -> Vec<(String, bool)> {
            let probes = experiment.probes.iter();
            probes
                .map(|(name, probe)| (name.clone(), !probe.hits.is_empty()))
                .collect()
        };
        assert_eq!(hit(experiment), hit(other), "{guest}: {name}");
    }
    let (cold, warm) = (steady_leaves(cold), steady_leaves(&warm));
    assert!(cold.len() > 100, "{cold:?}");
    let paths: BTreeSet<&String> = cold.keys().chain(warm.keys()).collect();
    for path in paths {
        let is_there = |all: &BTreeMap<String, Datum>| Some(all.get(path)?.value().is_some());
        assert_eq!(
            is_there(&cold),
            is_there(&warm),
            "{guest}: {path}: {:?} {:?}",
            cold.get(path),
            warm.get(path)
        );
    }
}

/// Check that a capture of the flagship in a resumed guest of 6.1 has the leaves of one that booted, no error more, and says that it was
/// resumed.
#[test]
fn capture_6_1() {
    captures_the_same("debian-6.1");
}

/// Check the same of 6.12.
#[test]
fn capture_6_12() {
    captures_the_same("debian-6.12");
}

/// Check the same of 7.3.
#[test]
fn capture_7_3() {
    captures_the_same("debian-7.3");
}

/// Check that a book that says `cold` decides about evidence that goes where its own does, also where investigation and machine are
/// named, and not about a file that is named.
#[test]
fn book_around() {
    let text = "[[experiment]]\nname = \"pid\"\nworkload = { syscall = \"getpid\", args = [] }\n[[experiment.probe]]\nfunction = \"do_pipe2\"\n";
    let folder = folder_with(text);
    let toml = "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"guest:debian-6.12\"]\nguests = \"cold\"\n";
    fs::write(folder.path().join("book.toml"), toml).unwrap();
    let named = [
        "capture",
        "--guests",
        "warm",
        "--investigation",
        "i.toml",
        "--on",
        "guest:debian-6.12",
    ];
    let told = |more: &[&str]| {
        let mut command = collector(folder.path(), named.iter().chain(more));
        let output = command.env("PATH", "/nonexistent").output().unwrap();
        let (status, message) = status_and_message(&output);
        assert_eq!(status, Some(3), "{message}");
        assert!(message.contains("qemu-system-x86_64"), "{message}");
        message.contains("guests = \"cold\"")
    };
    assert!(told(&[]));
    assert!(!told(&["-o", "e.json"]));
}

/// Check that a book that says `cold` boots whatever the command line says, and is told so; and that one that says `warm` resumes.
#[test]
fn books() {
    let text = "[[experiment]]\nname = \"pipe\"\nworkload = { syscall = \"pipe2\", args = [{ buffer = \"fds\", ints = 2 }, 0] }\n[[experiment.probe]]\nfunction = \"do_pipe2\"\n";
    let (folder, cache) = (folder_with(text), tempfile::tempdir().unwrap());
    let cache = cache_with_kernels(cache.path());
    let capture = |guests: &str, args: &[&str]| -> (Evidence, String) {
        let toml = format!(
            "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"guest:debian-6.12\"]\nguests = \"{guests}\"\n"
        );
        fs::write(folder.path().join("book.toml"), toml).unwrap();
        let mut command = collector(
            folder.path(),
            ["capture", "--debuginfo", "none", "-o", "e.json"],
        );
        let output = command
            .args(args)
            .env("XDG_CACHE_HOME", &cache)
            .output()
            .unwrap();
        let (status, message) = status_and_message(&output);
        assert_eq!(status, Some(0), "{message}");
        (evidence_in(folder.path()), message)
    };
    let (_, message) = capture("warm", &[]);
    if message.contains("guests under KVM are booted") {
        note_skipped("guests run under KVM here, where they are booted");
        return;
    }
    assert!(capture("warm", &[]).0.machine.resumed.is_some());
    assert!(
        capture("warm", &["--guests", "cold"])
            .0
            .machine
            .resumed
            .is_none()
    );
    assert!(capture("auto", &[]).0.machine.resumed.is_none());
    let (evidence, message) = capture("cold", &["--guests", "warm"]);
    assert!(evidence.machine.resumed.is_none());
    assert!(message.contains("guests = \"cold\""), "{message}");
}
