//! Functions of one name in several source files, told apart by debug information. Needs QEMU, and the network or cached kernels.

use crate::support;

use qed_evidence::document::Evidence;
use support::{RESUMED, collector, evidence_in, folder_with, number, status_and_message};

/// `c_start` begins the list of processors in one file, and that of algorithms in another.
const INVESTIGATION: &str = r#"
[[experiment]]
name = "processors"
workload = { command = ["cat", "/proc/cpuinfo"] }
[[experiment.probe]]
function = "c_start"
name = "cpu"
file = "arch/x86/kernel/cpu/proc.c"
[[experiment.probe]]
function = "c_start"
name = "crypto"
file = "crypto/proc.c"

[[experiment]]
name = "algorithms"
inherit = "processors"
workload = { command = ["cat", "/proc/crypto"] }
"#;

/// The evidence of an investigation of this text from a guest, with this debug information.
fn captured(text: &str, debuginfo: &str) -> Evidence {
    let folder = folder_with(text);
    let args = [
        "capture",
        "--on",
        "guest:debian-6.12",
        "--investigation",
        "i.toml",
        "-o",
        "e.json",
    ];
    let output = collector(folder.path(), args)
        .args(["--boots", "0", "--debuginfo", debuginfo])
        .args(RESUMED)
        .output()
        .unwrap();
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(0), "{message}");
    evidence_in(folder.path())
}

fn hits(evidence: &Evidence, experiment: &str, probe: &str) -> usize {
    evidence.experiments[experiment].probes[probe].hits.len()
}

/// Check that `plan` lists the copies of a function with their files, says what the silence of each probe would prove, and refuses a
/// probe that does not say which of them it means.
#[test]
fn planned() {
    let text = format!(
        "{INVESTIGATION}\n[[experiment]]\nname = \"other\"\nworkload = {{ syscall = \"dup\", args = [1] }}\n\
         [[experiment.probe]]\nfunction = \"c_start\"\nname = \"any\"\noptional = true\n\
         [[experiment.probe]]\nfunction = \"get_unused_fd_flags\"\n"
    );
    let folder = folder_with(&text);
    let args = [
        "plan",
        "--on",
        "guest:debian-6.12",
        "--investigation",
        "i.toml",
    ];
    let output = collector(folder.path(), args).output().unwrap();
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(0), "{message}\n{plan}");
    // The lines of a probe, which follow the one with its name.
    let lines_of = |probe: &str| {
        let (_, rest) = plan.split_once(&format!("    {probe}")).expect("the probe");
        rest.lines().skip(1).take(2).collect::<Vec<_>>().join("\n")
    };
    let copies = "copies: c_start (arch/x86/kernel/cpu/proc.c), c_start (";
    for (probe, silence) in [
        (
            "cpu: ",
            "silence would prove nothing: inlined copies of `c_start` were not watched: in `c_next`",
        ),
        ("crypto: ", "silence would prove that it did not run"),
    ] {
        let lines = lines_of(probe);
        assert!(
            lines.contains(copies) && lines.contains("c_start (crypto/proc.c)"),
            "{plan}"
        );
        assert!(lines.contains(silence), "{plan}");
    }
    assert!(
        lines_of("any: ").contains("3 functions of this kernel are called `c_start`"),
        "{plan}"
    );
    let dup = lines_of("function get_unused_fd_flags");
    assert!(
        dup.contains("inlined in __ia32_sys_dup, __x64_sys_dup, receive_fd"),
        "{plan}"
    );
    assert!(dup.contains("silence would prove nothing"), "{plan}");
}

/// Check that a probe with `file` sees the function of that file alone, and that without debug information, which tells them apart,
/// it sees nothing and says why.
#[test]
fn chosen_by_file() {
    let evidence = captured(INVESTIGATION, "auto");
    for (experiment, ran, other) in [
        ("processors", "cpu", "crypto"),
        ("algorithms", "crypto", "cpu"),
    ] {
        assert!(hits(&evidence, experiment, ran) > 0, "{experiment}");
        assert_eq!(hits(&evidence, experiment, other), 0, "{experiment}");
        let probes = &evidence.experiments[experiment].probes;
        assert_ne!(probes[ran].address, probes[other].address);
    }
    let blind = captured(INVESTIGATION, "none");
    for experiment in ["processors", "algorithms"] {
        for probe in ["cpu", "crypto"] {
            let probe = &blind.experiments[experiment].probes[probe];
            let reason = probe.unavailable.as_deref().unwrap_or_default();
            assert!(reason.contains("debug information"), "{reason}");
        }
    }
}

/// Check that the return of a hit is seen, too, whose condition names a function that is inlined into the caller.
#[test]
fn returns_within_an_inlined_function() {
    let text = r#"
[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/etc/passwd" }, "O_RDONLY", 0], returns = "fd" }
[[experiment.probe]]
function = "vfs_open"
within = "do_open"
[[experiment.probe]]
function = "vfs_open"
name = "elsewhere"
within = "vfs_mkdir"
"#;
    let evidence = captured(text, "auto");
    let open = &evidence.experiments["open"];
    assert_eq!(hits(&evidence, "open", "elsewhere"), 0);
    assert_eq!(hits(&evidence, "open", "vfs_open"), 1);
    assert!(open.probes["vfs_open"].hits[0].return_order.is_some());
    assert_eq!(open.quality.missed, 0, "{:?}", open.quality.notes);
}

/// Check that what a probe on all copies of a function reads is read at each of them, on both sides, also where another probe on one copy
/// has reads of its own.
#[test]
fn read_at_each_copy() {
    let text = r#"
[[experiment]]
name = "processors"
workload = { command = ["cat", "/proc/cpuinfo"] }
[[experiment.probe]]
function = "c_start"
name = "crypto"
file = "crypto/proc.c"
within = "seq_read_iter"
reads = [{ at = "entry", name = "parent", path = "task->real_parent->tgid" }, { at = "entry", name = "leader", path = "task->group_leader->pid" }]
[[experiment.probe]]
function = "c_start"
name = "all"
clones = true
reads = [{ at = "entry", name = "pid", path = "task->pid" }, { at = "exit", name = "later", path = "task->pid" }]

[[experiment]]
name = "algorithms"
inherit = "processors"
workload = { command = ["cat", "/proc/crypto"] }
"#;
    let evidence = captured(text, "auto");
    let mut copies = Vec::new();
    for experiment in ["processors", "algorithms"] {
        let hits = &evidence.experiments[experiment].probes["all"].hits;
        assert!(!hits.is_empty(), "{experiment}");
        copies.push(hits[0].instance.clone());
        for hit in hits {
            for value in [&hit.entry["pid"], &hit.exit["later"]] {
                let pid = value.value().and_then(number);
                assert_eq!(pid, Some(hit.task.tid.into()), "{experiment}");
            }
        }
    }
    assert_ne!(copies[0], copies[1]);
    for hit in &evidence.experiments["algorithms"].probes["crypto"].hits {
        let leader = hit.entry["leader"].value().and_then(number);
        assert_eq!(leader, Some(hit.task.pid.into()));
        let parent = hit.entry["parent"].value().and_then(number);
        assert!(parent.is_some_and(|parent| parent > 0), "{parent:?}");
    }
}
