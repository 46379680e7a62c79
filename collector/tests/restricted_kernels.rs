//! Captures in guests whose command line takes something away: each is told for what it is. Needs QEMU, and the network or
//! a cached kernel.

use crate::support;

use qed_evidence::Evidence;
use qed_evidence::value::{Datum, Value};
use support::{
    captured_in_guest, evidence_in, folder_with, resumed_capture_on, status_and_message,
};

const INVESTIGATION: &str = r#"
symbols = ["_text"]
[[experiment]]
name = "create"
workload = { syscall = "pipe2", args = [{ buffer = "descriptors", ints = 2 }, "O_CLOEXEC"] }
[[experiment.probe]]
function = "do_pipe2"
"#;

/// The evidence of a capture in a guest with more words on its command line, or what stopped it.
fn captured(append: &str) -> Result<Evidence, String> {
    captured_in_guest(INVESTIGATION, |spec| spec.append = append.into())
}

fn offset(value: i64) -> Value {
    Value::Offset {
        value: value.into(),
    }
}

/// Check that a kernel whose place is not random says so, and that the slide is 0 by every source or unknown.
#[test]
fn nokaslr() {
    let kaslr = captured("nokaslr").unwrap().kaslr;
    let status = kaslr.status.value().map(ToString::to_string);
    assert_eq!(status.as_deref(), Some("disabled"));
    assert_eq!(kaslr.slide, Datum::Value(offset(0)));
    assert_eq!(kaslr.agree, Datum::Value(Value::Bool { value: true }));
    for (name, source) in &kaslr.sources {
        let known = source.value();
        assert!(
            known.is_none_or(|slide| *slide == offset(0)),
            "{name}: {source:?}"
        );
    }
}

/// Check that a kernel that is locked down is named as the reason why nothing comes out of the guest.
#[test]
fn lockdown() {
    for mode in ["integrity", "confidentiality"] {
        let error = captured(&format!("lockdown={mode}")).unwrap_err();
        assert!(error.contains(&format!("locked down ({mode})")), "{error}");
    }
}

/// A capture in a guest after these commands have hidden something: its status and message, and the folder of its evidence.
fn hidden(setup: &str) -> (Option<i32>, String, tempfile::TempDir) {
    let guest = format!("[guest]\nsetup = [\"{setup}\"]\nprograms = [\"mount\"]\n");
    let result = "[[experiment.probe]]\ntracepoint = \"sys_exit\"\nname = \"result\"\n";
    let text = INVESTIGATION.replacen("[[experiment]]", &format!("{guest}[[experiment]]"), 1);
    let folder = folder_with(&(text + result));
    let output = resumed_capture_on("guest:debian-6.12", folder.path(), "i.toml").output();
    let (status, message) = status_and_message(&output.expect("the program runs"));
    (status, message, folder)
}

/// Check that a kernel without types is an error that names the option which it lacks, and leaves no evidence.
#[test]
fn without_btf() {
    let (status, message, folder) = hidden("mount --bind /run /sys/kernel/btf");
    assert_eq!(status, Some(3), "{message}");
    for part in [
        "in the guest: ",
        "without CONFIG_DEBUG_INFO_BTF",
        "Build it with that option",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!folder.path().join("e.json").exists());
}

/// Check that a kernel without kprobes is captured by tracepoints, and that the note about a function names the option.
#[test]
fn without_kprobes() {
    let (status, message, folder) =
        hidden("mount --bind /run /sys/bus/event_source/devices/kprobe");
    assert_eq!(status, Some(0), "{message}");
    assert!(
        message.contains(
            "nothing was watched by `create.do_pipe2`: this kernel is built without kprobes; one with CONFIG_KPROBE_EVENTS has them"
        ),
        "{message}"
    );
    let probes = &evidence_in(folder.path()).experiments["create"].probes;
    assert!(probes["do_pipe2"].unavailable.is_some());
    assert_eq!(probes["result"].hits.len(), 1);
}
