//! Lists of real kernels, each held to what is known of its elements from elsewhere.

use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::{captured_from, number};

/// The reads of lists of tasks: children of the task, which has none, those of its parent, of which the task is one, all tasks in the way
/// of a reader who takes the task for the head, and what starts at a pointer that is NULL.
const TASKS: &str = r#"
  { at = "entry", name = "none", path = "list_for_each_entry(struct task_struct, &task->children, sibling)->pid", limit = 1 },
  { at = "entry", name = "siblings", path = "list_for_each_entry(struct task_struct, &task->real_parent->children, sibling)->pid", limit = 3, kind = "pid" },
  { at = "entry", name = "names", path = "list_for_each_entry(struct task_struct, &task->real_parent->children, sibling)->comm", limit = 3 },
  { at = "entry", name = "all", path = "list_for_each_entry(struct task_struct, &task->tasks, tasks)->pid", limit = 1 },
  { at = "entry", name = "null", path = "list_for_each_entry(struct task_struct, &((struct task_struct *)task->journal_info)->children, sibling)->pid", limit = 1 },
  { at = "entry", name = "unlimited", path = "list_for_each_entry(struct task_struct, &task->children, sibling)->pid" },
"#;

/// The reads of the entries of a folder with three files: a ring before 6.8, and since then a list that NULL ends.
/// <https://elixir.bootlin.com/linux/v6.8/source/include/linux/dcache.h#L104>
const FILES: &str = r#"
  { at = "entry", name = "files", path = ["list_for_each_entry(struct dentry, &FOLDER->d_subdirs, d_child)->d_name", "hlist_for_each_entry(struct dentry, &FOLDER->d_children, d_sib)->d_name"], kind = "text", limit = 4 },
  { at = "entry", name = "hashes", path = ["list_for_each_entry(struct dentry, &FOLDER->d_subdirs, d_child)->d_name.len", "hlist_for_each_entry(struct dentry, &FOLDER->d_children, d_sib)->d_name.len"], limit = 2 },
"#;

fn investigation(tasks: &str, files: &str) -> String {
    let files = files.replace("FOLDER", "path->dentry->d_parent");
    format!(
        r#"
[[experiment]]
name = "open"
workload = {{ syscall = "openat", args = ["AT_FDCWD", {{ text = "beta" }}, "O_RDONLY"], files = [{{ from = "i.toml", to = "/given/a" }}, {{ from = "i.toml", to = "/given/beta" }}, {{ from = "i.toml", to = "/given/a-long-name" }}], cwd = "/given" }}
[[experiment.probe]]
function = "fd_install"
reads = [{tasks}]
[[experiment.probe]]
function = "vfs_open"
reads = [{files}]
"#
    )
}

/// A value, or the reason why it was not read or could not be.
fn read(evidence: &Evidence, path: &str) -> Result<Value, String> {
    match leaves(evidence).get(&format!("open.{path}")) {
        Some(leaf) => match leaf.datum.clone().into_owned() {
            Datum::Value(value) => Ok(value),
            Datum::Missing(why) => Err(why.to_string()),
        },
        None => panic!("nothing at {path}"),
    }
}

/// Hold lists of tasks to the task of the hit.
fn check_tasks(evidence: &Evidence) {
    let here = &evidence.kernel.release;
    let read = |name: &str| read(evidence, &format!("fd_install.entry.{name}"));
    let task = &evidence.experiments["open"].probes["fd_install"].hits[0].task;
    assert_eq!(number(&read("none.count").unwrap()), Some(0), "{here}");
    let why = read("none.e0").unwrap_err();
    assert!(why.contains("the list has 0"), "{here}: {why}");
    let count = number(&read("siblings.count").unwrap()).unwrap();
    let siblings: Vec<Value> = (0..count)
        .map(|index| read(&format!("siblings.e{index}")).unwrap())
        .collect();
    let own = siblings
        .iter()
        .position(|pid| matches!(pid, Value::Pid { value } if *value == task.tid));
    let own = own.unwrap_or_else(|| panic!("{here}: {} is none of {siblings:?}", task.tid));
    let name = read(&format!("names.e{own}")).unwrap();
    assert_eq!(name, Value::text(task.name.clone()), "{here}");
    let next = number(&read("all.e0").unwrap()).unwrap();
    assert_ne!(next, task.tid.into(), "{here}");
    let why = read("all.count").unwrap_err();
    assert!(
        why.contains("more elements than were read"),
        "{here}: {why}"
    );
    for value in ["null.count", "null.e0"] {
        let why = read(value).unwrap_err();
        assert!(why.contains("to the pointer to element 0"), "{here}: {why}");
    }
    let refused = &evidence.experiments["open"].probes["fd_install"]
        .refused_reads
        .entry;
    assert!(refused["unlimited"].contains("`limit = 4`"), "{refused:?}");
}

/// Hold the list of the files in a folder to those that were put there.
fn check_files(evidence: &Evidence) {
    let here = &evidence.kernel.release;
    let read = |name: &str| read(evidence, &format!("vfs_open.entry.{name}"));
    assert_eq!(number(&read("files.count").unwrap()), Some(3), "{here}");
    let mut names: Vec<Value> = (0..3)
        .map(|index| read(&format!("files.e{index}")).unwrap())
        .collect();
    names.sort_by_key(|name| format!("{name:?}"));
    assert_eq!(
        names,
        ["a", "a-long-name", "beta"].map(Value::text),
        "{here}"
    );
    let why = read("files.e3").unwrap_err();
    assert!(why.contains("the list has 3"), "{here}: {why}");
    let why = read("hashes.count").unwrap_err();
    assert!(
        why.contains("more elements than were read"),
        "{here}: {why}"
    );
    let lengths = [0, 1].map(|index| number(&read(&format!("hashes.e{index}")).unwrap()));
    assert!(
        lengths
            .iter()
            .all(|length| [1, 4, 11].map(Some).contains(length)),
        "{here}: {lengths:?}"
    );
}

/// Check on three kernels that a list is walked to its end and no further, in both forms of a list.
#[test]
fn in_guests() {
    for guest in ["debian-6.1", "debian-6.12", "debian-7.3"] {
        let evidence = captured_from(guest, &investigation(TASKS, FILES)).0;
        check_tasks(&evidence);
        check_files(&evidence);
    }
}

/// Check the same on arm64.
#[test]
fn in_a_guest_for_arm64() {
    let Some(evidence) = crate::arm64::captured(&investigation(TASKS, FILES)) else {
        return;
    };
    check_tasks(&evidence);
    check_files(&evidence);
}
