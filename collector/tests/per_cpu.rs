//! Per-CPU variables and pointers on real kernels, each held to what is known of the CPU and the task from elsewhere.

use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::{captured_from, captured_in_guest, number};

/// The reads of a probe: the running task in three ways, which each kernel has some of, the CPU's number, a counter behind a per-CPU
/// pointer that the kernel's types may not mark, and such a pointer that is NULL.
const READS: &str = r#"
  { at = "entry", name = "task", path = "task" },
  { at = "entry", name = "curr", path = "this_cpu_ptr(&runqueues)->curr" },
  { at = "entry", name = "curr_of_0", path = "per_cpu(runqueues, 0).curr" },
  { at = "entry", name = "current", path = "*this_cpu_ptr(&current_task)" },
  { at = "entry", name = "hot", path = "this_cpu_ptr(&pcpu_hot)->current_task" },
  { at = "entry", name = "entry_task", path = "*this_cpu_ptr(&__entry_task)" },
  { at = "entry", name = "cpu", path = "this_cpu_ptr(&runqueues)->cpu" },
  { at = "entry", name = "cpu_of_0", path = "per_cpu(runqueues, 0).cpu" },
  { at = "entry", name = "cpu_of_1", path = "per_cpu(runqueues, 1).cpu" },
  { at = "entry", name = "cpu_of_9999", path = "per_cpu(runqueues, 9999).cpu" },
  { at = "entry", name = "null", path = "*this_cpu_ptr((unsigned long *)task->journal_info)" },
  { at = "entry", name = "plain", path = "this_cpu_ptr(task->cred)->uid.val" },
  { at = "entry", name = "misspelt", path = "per_cpu(runqueue, 0).cpu" },
"#;

const INVESTIGATION: &str = r#"
[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/proc/version" }, "O_RDONLY"] }
[[experiment.probe]]
function = "fd_install"
reads = [
  READS
  { at = "entry", name = "writers", path = "this_cpu_ptr(container_of(file->f_path.mnt, struct mount, mnt)->mnt_pcp)->mnt_writers" },
]
"#;

/// A value, or the reason why it was not read or could not be.
fn read(evidence: &Evidence, probe: &str, name: &str) -> Result<Value, String> {
    let refused = &evidence.experiments["open"].probes[probe]
        .refused_reads
        .entry;
    if let Some(refused) = refused.get(name) {
        return Err(refused.clone());
    }
    let path = format!("open.{probe}.entry.{name}");
    match leaves(evidence).get(&path) {
        Some(leaf) => match leaf.datum.clone().into_owned() {
            Datum::Value(value) => Ok(value),
            Datum::Missing(why) => Err(why.to_string()),
        },
        None => panic!("nothing at {path}"),
    }
}

/// Hold the reads of a probe to the task and the CPU of its hit. `ways`: the variables in which this kernel keeps the running task.
fn check(evidence: &Evidence, probe: &str, ways: &[&str]) {
    let here = &evidence.kernel.release;
    let value = |name| read(evidence, probe, name);
    let known = |name| value(name).unwrap_or_else(|why| panic!("{here}: {name}: {why}"));
    let pointer = |name| match known(name) {
        Value::Address { value, .. } => value,
        other => panic!("{here}: {name}: {other:?}"),
    };
    let hit = &evidence.experiments["open"].probes[probe].hits[0];
    for name in [&["curr"], ways].concat() {
        assert_eq!(pointer(name), pointer("task"), "{here}: {name}");
    }
    for name in ["current", "hot", "entry_task"] {
        if !ways.contains(&name) {
            let why = value(name).unwrap_err();
            assert!(why.contains("no per-CPU variable"), "{here}: {name}: {why}");
        }
    }
    assert_eq!(number(&known("cpu")), Some(hit.cpu.into()), "{here}");
    assert_eq!(number(&known("cpu_of_0")), Some(0), "{here}");
    if hit.cpu == 0 {
        assert_eq!(pointer("curr_of_0"), pointer("task"), "{here}");
    }
    for (name, cpu) in [("cpu_of_1", 1), ("cpu_of_9999", 9999)] {
        match value(name) {
            Ok(found) => assert_eq!(number(&found), Some(cpu), "{here}"),
            Err(why) => assert!(why.contains(&format!("no CPU {cpu}")), "{here}: {why}"),
        }
    }
    for name in ["null", "plain"] {
        let why = value(name).unwrap_err();
        assert!(why.contains("NULL, bad"), "{here}: {name}: {why}");
    }
    let why = value("misspelt").unwrap_err();
    assert!(why.contains("did you mean `runqueues`"), "{here}: {why}");
}

/// Check on three kernels that a per-CPU variable and a per-CPU pointer are followed on the CPU of the hit and on one by its number.
#[test]
fn in_guests() {
    let text = INVESTIGATION.replace("READS", READS);
    for (guest, ways) in [
        ("debian-6.1", ["current"]),
        ("debian-6.12", ["hot"]),
        ("debian-7.3", ["current"]),
    ] {
        let evidence = captured_from(guest, &text).0;
        check(&evidence, "fd_install", &ways);
        let writers = read(&evidence, "fd_install", "writers").expect(guest);
        assert!(number(&writers).is_some(), "{guest}: {writers:?}");
        let why = read(&evidence, "fd_install", "cpu_of_1").unwrap_err();
        assert!(why.contains("it can have 1"), "{guest}: {why}");
    }
}

/// Check the same on a machine with two processors: the copy of each is another one.
#[test]
fn on_two_processors() {
    let text = INVESTIGATION.replace("READS", READS);
    let evidence = captured_in_guest(&text, |spec| spec.cpus = 2).expect("a capture");
    check(&evidence, "fd_install", &["hot"]);
    let cpu = |name| number(&read(&evidence, "fd_install", name).expect(name));
    assert_eq!((cpu("cpu_of_0"), cpu("cpu_of_1")), (Some(0), Some(1)));
    let why = read(&evidence, "fd_install", "cpu_of_9999").unwrap_err();
    assert!(why.contains("it can have 2"), "{why}");
}

/// Check the same on arm64, whose kernel keeps the running task in a register, and the one to come in a variable.
#[test]
fn in_a_guest_for_arm64() {
    let text = INVESTIGATION.replace("READS", READS);
    let Some(evidence) = crate::arm64::captured(&text) else {
        return;
    };
    check(&evidence, "fd_install", &["entry_task"]);
}

/// Check the same on this machine, which may have several CPUs, at a tracepoint.
#[test]
fn on_this_machine() {
    let folder = support::folder_with(&format!(
        r#"
[[experiment]]
name = "open"
workload = {{ syscall = "openat", args = ["AT_FDCWD", {{ text = "/proc/version" }}, "O_RDONLY"] }}
[[experiment.probe]]
tracepoint = "sys_enter"
syscall = "openat"
name = "gate"
reads = [{READS}]
"#
    ));
    let output = support::capture_on("host", folder.path(), "i.toml")
        .output()
        .unwrap();
    let (status, stderr) = support::status_and_message(&output);
    if status != Some(0) {
        support::note_skipped(&format!("this machine captures nothing: {stderr}"));
        return;
    }
    let evidence = support::evidence_in(folder.path());
    if let Err(why) = read(&evidence, "gate", "curr") {
        assert!(why.contains("is not known"), "{why}");
        support::note_skipped(&format!("no variable can be read here: {why}"));
        return;
    }
    let ways = ["current", "hot", "entry_task"]
        .into_iter()
        .filter(|name| read(&evidence, "gate", name).is_ok())
        .collect::<Vec<_>>();
    check(&evidence, "gate", &ways);
}
