//! Workloads that are more than one harmless call: on real kernels.

mod support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::{capture_on, evidence_in, folder_with, said};

const GUESTS: [&str; 2] = ["debian-6.1", "debian-6.12"];

/// What stands at a path: the value as text, or why there is none.
fn shown(evidence: &Evidence, path: &str) -> Result<String, String> {
    let leaves = leaves(evidence);
    let leaf = leaves
        .get(path)
        .unwrap_or_else(|| panic!("nothing at {path}"));
    match leaf.datum.as_ref() {
        Datum::Value(Value::Text { value }) => Ok(value.clone()),
        Datum::Value(value) => Ok(value.to_string()),
        Datum::Unavailable(why) => Err(why.unavailable.clone()),
    }
}

/// Check that calls that share the stack, take the collector's pipes away, or do not return are captured like any other:
/// with what they returned, or why they did not, and without a loss.
#[test]
fn calls_that_break_a_careless_collector() {
    let text = r#"
[[experiment]]
name = "vfork"
workload = { syscall = "vfork" }
[[experiment.probe]]
function = "kernel_clone"

[[experiment]]
name = "shared"
workload = { syscall = "clone", args = ["CLONE_VFORK|CLONE_VM|SIGCHLD"] }
[[experiment.probe]]
function = "kernel_clone"

[[experiment]]
name = "all_closed"
workload = { syscall = "close_range", args = [0, 0xffffffff, 0] }
[[experiment.probe]]
function = "filp_close"

[[experiment]]
name = "ended"
workload = { syscall = "exit_group", args = [3] }
[[experiment.probe]]
function = "do_group_exit"
"#;
    for guest in GUESTS {
        let folder = folder_with(text);
        let machine = format!("guest:{guest}");
        let output = capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = said(&output.unwrap());
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{guest}");
        let evidence = evidence_in(folder.path());
        for name in ["vfork", "shared"] {
            let at = |leaf: &str| shown(&evidence, &format!("{name}.{leaf}")).unwrap();
            assert_eq!(at("kernel_clone.return"), at("outcome.returned"), "{guest}");
            assert_eq!(at("outcome.exit"), "0", "{guest}");
            assert_eq!(at("quality.missed"), "0", "{guest}");
        }
        let at = |path: &str| shown(&evidence, path);
        assert_eq!(at("all_closed.outcome.returned").unwrap(), "0", "{guest}");
        assert_eq!(at("all_closed.filp_close.hits").unwrap(), "3", "{guest}");
        assert_eq!(at("ended.outcome.exit").unwrap(), "3", "{guest}");
        assert_eq!(at("ended.quality.missed").unwrap(), "0", "{guest}");
        let why = at("ended.outcome.returned").unwrap_err();
        assert!(why.contains("with status 3"), "{guest}: {why}");
    }
}
