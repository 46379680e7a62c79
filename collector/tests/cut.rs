//! Values that were cut, elements that are not there, pointers that lead nowhere and objects that a function returns: on
//! real kernels.

use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::captured_from;

/// The kernels whose structures the investigations below name.
const GUESTS_OF_6: [&str; 2] = ["debian-6.1", "debian-6.12"];

const PATH: &str = "/a/path/that/is/longer/than/sixty/three/bytes/so/that/it/is/cut/off/etc/shadow";

fn captured(guest: &str, text: &str) -> Evidence {
    captured_from(guest, text).0
}

fn datum(evidence: &Evidence, path: &str) -> Datum {
    let leaves = leaves(evidence);
    let leaf = leaves
        .get(path)
        .unwrap_or_else(|| panic!("nothing at {path}"));
    leaf.datum.clone().into_owned()
}

fn value(evidence: &Evidence, path: &str) -> Value {
    match datum(evidence, path) {
        Datum::Value(value) => value,
        Datum::Missing(why) => panic!("{path}: {}", why),
    }
}

fn reason(evidence: &Evidence, path: &str) -> String {
    match datum(evidence, path) {
        Datum::Missing(why) => why.to_string(),
        Datum::Value(value) => panic!("{path} is {value}"),
    }
}

/// Check that a text which is longer than what was read of it is marked as cut, that it is read whole where that is asked
/// for, that an element of an array without a length is read only if it is there, and that outputs are kept as far as was
/// asked.
#[test]
fn cut_and_whole() {
    let text = format!(
        r#"
[[experiment]]
name = "open"
workload = {{ syscall = "openat", args = [-100, {{ text = "{PATH}" }}, 0, 0] }}
[[experiment.probe]]
function = "do_filp_open"
reads = [
  {{ at = "entry", name = "path", path = "pathname->name" }},
  {{ at = "entry", name = "whole", path = "pathname->name", max = 200 }},
  {{ at = "entry", name = "exact", path = "pathname->name", max = {length} }},
  {{ at = "entry", name = "user", path = "(const char __user *)pathname->uptr", max = 100 }},
  {{ at = "entry", name = "groups", path = "task->cred->group_info->ngroups" }},
  {{ at = "entry", name = "group", path = "task->cred->group_info->gid[0].val", elements = "task->cred->group_info->ngroups" }},
  {{ at = "entry", name = "unchecked", path = "task->cred->group_info->gid[0].val" }},
]
[[experiment]]
name = "much"
workload = {{ command = ["sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; i=$((i+1)); done"] }}
[[experiment.probe]]
tracepoint = "sys_enter"
name = "calls"
[[experiment]]
name = "all"
workload = {{ command = ["sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; i=$((i+1)); done"] }}
max-output = 200000
[[experiment.probe]]
tracepoint = "sys_enter"
name = "calls"
[[command]]
name = "long"
run = ["sh", "-c", "i=0; while [ $i -lt 50 ]; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; i=$((i+1)); done"]
values = [{{ name = "first", pattern = '\Ay' }}]
[[command]]
name = "longer"
run = ["sh", "-c", "i=0; while [ $i -lt 50 ]; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; i=$((i+1)); done"]
max-output = 5000
values = [{{ name = "first", pattern = '\Ay' }}]
"#,
        length = PATH.len()
    );
    for guest in GUESTS_OF_6 {
        let seen = captured(guest, &text);
        let at = |name: &str| value(&seen, &format!("open.do_filp_open.entry.{name}"));
        match at("path") {
            Value::CutText { value, cut } => {
                assert_eq!((value.as_str(), cut.whole), (&PATH[..63], None), "{guest}");
            }
            other => panic!("{guest}: {other:?}"),
        }
        for name in ["whole", "exact", "user"] {
            assert_eq!(at(name), Value::text(PATH), "{guest}: {name}");
        }
        // The workload of a guest belongs to no further group.
        let groups = at("groups").as_integer().unwrap();
        let group = datum(&seen, "open.do_filp_open.entry.group");
        assert_eq!(groups > 0, group.value().is_some(), "{guest}: {group:?}");
        if groups == 0 {
            let reason = reason(&seen, "open.do_filp_open.entry.group");
            assert!(reason.contains("no element 0"), "{guest}: {reason}");
        }
        let probe = &seen.experiments["open"].probes["do_filp_open"];
        let refused = &probe.refused_reads.entry["unchecked"];
        assert!(refused.contains("elements = "), "{guest}: {refused}");
        match value(&seen, "much.outcome.stdout") {
            Value::CutText { value, cut } => {
                assert_eq!(
                    (value.len(), cut.whole),
                    (64 << 10, Some(100_000)),
                    "{guest}"
                );
            }
            other => panic!("{guest}: {other:?}"),
        }
        match value(&seen, "all.outcome.stdout") {
            Value::Text { value } => assert_eq!(value.len(), 100_000, "{guest}"),
            other => panic!("{guest}: {other:?}"),
        }
        let long = value(&seen, "commands.long.output");
        assert_eq!(
            long.describe_cut().as_deref(),
            Some("cut after 4096 of 5000 bytes")
        );
        assert!(reason(&seen, "commands.long.values.first").contains("max-output"));
        assert_eq!(value(&seen, "commands.longer.output").describe_cut(), None);
        assert_eq!(
            value(&seen, "commands.longer.values.first"),
            Value::text("y")
        );
    }
}

/// Check that a stack is marked as cut where the kernel itself gives fewer frames than usual, that it decides nothing about what would
/// be below, and that an array and what a command says on its standard error are marked as cut, too.
#[test]
fn cut_by_the_kernel() {
    let text = r#"
guest.setup = ["echo 4 > /proc/sys/kernel/perf_event_max_stack"]
[[experiment]]
name = "socket"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }
[[experiment.probe]]
function = "inet_create"
stack = true
reads = [
  { at = "entry", name = "auxv", path = "task->mm->saved_auxv", max = 128 },
]
[[experiment]]
name = "below"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }
[[experiment.probe]]
function = "inet_create"
within = "do_syscall_64"
[[experiment]]
name = "near"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }
[[experiment.probe]]
function = "inet_create"
within = "__sock_create"
[[experiment]]
name = "loud"
workload = { command = ["sh", "-c", "i=0; while [ $i -lt 1000 ]; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy >&2; i=$((i+1)); done"] }
[[experiment.probe]]
function = "do_exit"
return = false
"#;
    for guest in GUESTS_OF_6 {
        let seen = captured(guest, text);
        match value(&seen, "socket.inet_create.stack") {
            Value::CutStack { value, .. } => assert_eq!(value.len(), 4, "{guest}: {value:?}"),
            other => panic!("{guest}: {other:?}"),
        }
        match value(&seen, "socket.inet_create.entry.auxv") {
            Value::CutBytes { value, .. } => assert_eq!(value.0.len(), 128, "{guest}"),
            other => panic!("{guest}: {other:?}"),
        }
        match value(&seen, "loud.outcome.stderr") {
            Value::CutText { value, cut } => {
                assert_eq!(
                    (value.len(), cut.whole),
                    (64 << 10, Some(100_000)),
                    "{guest}"
                );
            }
            other => panic!("{guest}: {other:?}"),
        }
        for (experiment, hits, undecided) in [("below", 0, 1), ("near", 1, 0)] {
            let probe = &seen.experiments[experiment].probes["inet_create"];
            let within = probe.within.as_ref().unwrap();
            // A return is seen from one frame further out.
            let entries = probe.hits.iter().filter(|hit| hit.order.is_some());
            let found = (entries.count(), within.undecided);
            assert_eq!(
                found,
                (hits, undecided),
                "{guest}: {experiment}: {within:?}"
            );
        }
    }
}

/// Check that an object which a function returns has its line in the ledger, that it is found again when another function
/// frees it, and that an error in the place of a pointer does not count as an object.
#[test]
fn objects_that_are_returned() {
    let text = r#"
[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/proc/version" }, "O_RDONLY"] }
until = "exit"
[[experiment.probe]]
function = "alloc_empty_file"
allocates = "return"
[[experiment.probe]]
tracepoint = "kmem_cache_free"
name = "free"
frees = "ptr"
[[experiment]]
name = "nothing"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/nothing/there" }, "O_RDONLY"] }
[[experiment.probe]]
function = "do_filp_open"
allocates = "return"
[[experiment.probe]]
tracepoint = "kmem_cache_free"
name = "free"
frees = "ptr"
"#;
    for guest in GUESTS_OF_6 {
        let seen = captured(guest, text);
        let ledger = seen.experiments["open"].objects.as_ref().unwrap();
        let [allocation] = &ledger.allocations[..] else {
            panic!("{guest}: {ledger:?}");
        };
        let hit = &seen.experiments["open"].probes["alloc_empty_file"].hits[0];
        assert_eq!(Some(allocation.order), hit.return_order, "{guest}");
        match hit.return_value.as_ref().and_then(|datum| datum.value()) {
            Some(Value::Address { value, .. }) => assert_eq!(*value, allocation.address),
            other => panic!("{guest}: {other:?}"),
        }
        assert!(allocation.freed.is_some(), "{guest}: {allocation:?}");
        let nothing = &seen.experiments["nothing"];
        assert_eq!(nothing.probes["do_filp_open"].hits.len(), 1, "{guest}");
        assert_eq!(nothing.objects.as_ref().unwrap().allocations, [], "{guest}");
    }
}

/// Check that a per-CPU pointer is never followed, on a kernel on which it looks like any other (7.3), and on those on which it does
/// not.
#[test]
fn per_cpu_pointers() {
    let text = r#"
[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/proc/version" }, "O_RDONLY"] }
[[experiment.probe]]
function = "fd_install"
reads = [
  { at = "entry", name = "mnt_writers", path = "container_of(file->f_path.mnt, struct mount, mnt)->mnt_pcp->mnt_writers" },
  { at = "entry", name = "freeze_count", path = "*file->f_inode->i_sb->s_writers.rw_sem[0].read_count" },
  { at = "entry", name = "itself", path = "file->f_inode->i_sb->s_writers.rw_sem[0].read_count" },
  { at = "entry", name = "image", path = "file->f_op->owner" },
  { at = "entry", name = "tag", path = "task->cgroups->subsys[0]->cgroup" },
]
"#;
    for guest in GUESTS_OF_6.into_iter().chain(["debian-7.3"]) {
        let seen = captured(guest, text);
        let probe = &seen.experiments["open"].probes["fd_install"];
        for name in ["mnt_writers", "freeze_count"] {
            let why = match probe.refused_reads.entry.get(name) {
                Some(refused) => refused.clone(),
                None => reason(&seen, &format!("open.fd_install.entry.{name}")),
            };
            let reported = why.contains("per-CPU pointer") || why.contains("NULL or bad");
            assert!(reported, "{guest}: {name}: {why}");
        }
        // Other pointers into the image, and around, are followed.
        for name in ["itself", "image", "tag"] {
            value(&seen, &format!("open.fd_install.entry.{name}"));
        }
    }
}
