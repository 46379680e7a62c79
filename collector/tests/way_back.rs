//! Work of the kernel for a call on the way back to user space, behind `sys_exit`, on real kernels.

use crate::support;

use qed_evidence::document::{Evidence, Target};
use qed_evidence::value::Value;
use support::{GUESTS, captured_from};

fn hits(evidence: &Evidence, experiment: &str, probe: &str) -> usize {
    evidence.experiments[experiment].probes[probe].hits.len()
}

/// Check that a call which the kernel takes back on its way to user space is seen to be taken back, by a kprobe and by a
/// tracepoint; that neither the mark behind the call nor what the process does after it counts; and that of threads each
/// counts in its own call only, and the one that waits for them in none.
#[test]
fn behind_sys_exit() {
    // The address 8 cannot be written to: both ends of the pipe are released, by task work.
    let text = r#"
[[experiment]]
name = "taken_back"
workload = { syscall = "pipe2", args = [8, 0] }
[[experiment.probe]]
function = "pipe_release"
[[experiment.probe]]
tracepoint = "kmem_cache_free"
name = "frees"
within = "__fput"
[[experiment.probe]]
tracepoint = "sys_exit"
name = "out"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "next"
syscall = "write"

[[experiment]]
name = "same_number"
workload = { syscall = "write", args = [-1, 0, 0] }
[[experiment.probe]]
function = "ksys_write"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "into"

[[experiment]]
name = "threads"
workload = { syscall = "pause", args = [], threads = 4 }
[[experiment.probe]]
tracepoint = "sys_enter"
name = "into"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "reads"
syscall = "read"
"#;
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, text);
        for (name, experiment) in &evidence.experiments {
            let quality = &experiment.quality;
            assert_eq!(quality.marked, Some(true), "{guest} {name}: {quality:?}");
            assert_eq!(quality.until_user_space, Some(true), "{guest} {name}");
        }
        let back = &evidence.experiments["taken_back"].probes;
        for (probe, count) in [("pipe_release", 2), ("out", 1), ("next", 0)] {
            assert_eq!(hits(&evidence, "taken_back", probe), count, "{guest}");
        }
        // Not by a function alone.
        assert_eq!(
            back["frees"].target,
            Target::Tracepoint("kmem_cache_free".into())
        );
        assert!(!back["frees"].hits.is_empty(), "{guest}");
        let out = back["out"].hits[0].order;
        for hit in back["pipe_release"].hits.iter().chain(&back["frees"].hits) {
            assert!(hit.order > out, "{guest}: {:?} {out:?}", hit.order);
        }
        assert_eq!(hits(&evidence, "same_number", "ksys_write"), 1, "{guest}");
        assert_eq!(hits(&evidence, "same_number", "into"), 1, "{guest}");
        assert_eq!(hits(&evidence, "threads", "into"), 4, "{guest}");
        assert_eq!(hits(&evidence, "threads", "reads"), 0, "{guest}");
    }
}

/// Check that silence is not known to be one where somebody switched the function tracer off, which leaves probes attached and
/// counts nothing that they do not see.
#[test]
fn switched_off() {
    let pipe = r#"syscall = "pipe2", args = [{ buffer = "fds", ints = 2 }, 0]"#;
    let switch = r#"command = ["sh", "-c", "echo 0 > /proc/sys/kernel/ftrace_enabled"]"#;
    let text: String = [("on", pipe), ("switch", switch), ("off", pipe)]
        .map(|(name, workload)| {
            format!(
                r#"
[[experiment]]
name = "{name}"
workload = {{ {workload} }}
[[experiment.probe]]
function = "create_pipe_files"
[[experiment.probe]]
tracepoint = "sys_exit"
name = "out"
"#
            )
        })
        .concat();
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, &text);
        let probe =
            |experiment: &str| &evidence.experiments[experiment].probes["create_pipe_files"];
        assert_eq!(probe("on").hits.len(), 1, "{guest}");
        assert_eq!(probe("on").skipped, Some(0), "{guest}");
        let status = &evidence.experiments["switch"].outcome.exit;
        if status.value().and_then(Value::as_integer) != Some(0) {
            // Linux 7.3 does not let it be switched off while probes need it: EIO.
            assert_eq!(guest, "debian-7.3");
            assert_eq!(probe("off").hits.len(), 1, "{guest}");
            assert_eq!(probe("off").skipped, Some(0), "{guest}");
            continue;
        }
        assert_eq!(probe("off").hits.len(), 0, "{guest}");
        for experiment in ["switch", "off"] {
            assert_eq!(probe(experiment).skipped, None, "{guest} {experiment}");
            let quality = &evidence.experiments[experiment].quality;
            let message = quality.notes.concat();
            assert!(
                message.contains("kernel.ftrace_enabled=1"),
                "{guest}: {message}"
            );
            let seen = &evidence.experiments[experiment].probes["out"];
            assert!(!seen.hits.is_empty() && seen.skipped == Some(0), "{guest}");
        }
    }
}
