//! Commands that go wrong, on this machine and in a guest: each is told, and all else goes on.

use std::path::Path;
use std::time::Instant;

use qed_evidence::document::Evidence;
use qed_evidence::value::{Datum, Value};

use crate::support;

const COMMANDS: &str = r#"
[[command]]
name = "good"
run = ["uname", "-r"]
values = [{ name = "release", pattern = '^(\S+)$' }, { name = "number", pattern = '^(\d+)\.', kind = "int" }]

[[command]]
name = "missing"
run = ["no-such-program-at-all", "x"]
values = [{ name = "x", pattern = "x" }]

[[command]]
name = "fails"
run = ["sh", "-c", "echo 7; exit 3"]
values = [{ name = "x", pattern = '\d', kind = "int" }]

[[command]]
name = "hangs"
run = ["sh", "-c", "while :; do :; done"]
timeout-ms = 300

[[command]]
name = "talks"
run = ["sh", "-c", "while echo much too much; do :; done"]
timeout-ms = 300

[[command]]
name = "private"
run = ["sh", "-c", "echo at 0x$(echo ffff)8880$(echo 1234)5678"]
values = [{ name = "all", pattern = ".+" }, { name = "address", pattern = "0x([0-9a-f]+)", kind = "address" }]

[[command]]
name = "guests"
run = ["sh", "-c", "(: > MARK) 2>/dev/null; echo ran"]
values = [{ name = "what", pattern = "ran" }]
on = "guest"

[[command]]
name = "no_file"
run = ["grep", "_text", "{system_map}"]
on = "builder"

[[experiment]]
name = "call"
workload = { syscall = "getpid" }

[[experiment.probe]]
tracepoint = "sys_exit"
name = "result"
"#;

fn capture(machine: &str) -> Evidence {
    let folder = tempfile::tempdir().expect("a folder");
    let investigation = folder.path().join("i.toml");
    let mark = folder.path().join("mark");
    let text = COMMANDS.replace("MARK", &mark.display().to_string());
    std::fs::write(&investigation, text).expect("an investigation");
    let output = folder.path().join("e.json");
    let arguments = ["capture", "--on", machine, "--debuginfo", "none"];
    let result = support::collector(folder.path(), arguments)
        .args(support::RESUMED)
        .arg("--investigation")
        .arg(&investigation)
        .arg("-o")
        .arg(&output)
        .output()
        .expect("the program runs");
    let (status, message) = support::status_and_message(&result);
    assert_eq!(status, Some(0), "{message}");
    let note = format!("note: {machine}: command `missing`: it could not be started: No such file");
    assert!(message.contains(&note), "{message}");
    assert!(!mark.exists(), "it was run on this host");
    let bytes = std::fs::read(Path::new(&output)).expect("evidence");
    qed_evidence::reader::read(&bytes).expect("strictly valid evidence")
}

/// A value as text, or why there is none.
fn show(datum: &Datum) -> String {
    match datum {
        Datum::Value(value) => value.to_string(),
        Datum::Missing(why) => format!("none: {}", why),
    }
}

fn check(evidence: &Evidence) {
    let commands = &evidence.commands;
    assert_eq!(commands.len(), 8);
    let release = &commands["good"].values["release"];
    assert_eq!(show(release), evidence.kernel.release);
    assert!(matches!(
        commands["good"].values["number"],
        Datum::Value(Value::Int { .. })
    ));
    for (name, exit, value) in [
        (
            "missing",
            "could not be started: No such file",
            "could not be started",
        ),
        ("fails", "3", "status 3"),
        ("hangs", "did not end within 300ms", ""),
        ("talks", "did not end within 300ms", ""),
        ("no_file", "System.map", ""),
    ] {
        let command = &commands[name];
        let message = show(&command.exit);
        assert!(message.contains(exit), "{name}: {message}");
        for datum in command.values.values() {
            let message = show(datum);
            assert!(
                message.starts_with("none: ") && message.contains(value),
                "{name}: {message}"
            );
        }
    }
    let experiment = &evidence.experiments["call"];
    assert_eq!(experiment.unavailable, None);
}

/// Check that commands which are missing, fail, hang or say too much are told in a guest's evidence, and that what a good
/// one says is kept.
#[test]
fn in_a_guest() {
    let evidence = capture("guest:debian-6.1");
    check(&evidence);
    assert_eq!(show(&evidence.commands["guests"].values["what"]), "ran");
    let private = &evidence.commands["private"];
    assert_eq!(show(&private.output), "at 0xffff888012345678\n");
    assert_eq!(show(&private.values["address"]), "0xffff888012345678");
}

/// Check the same on this machine; that of its output nothing is kept but typed values and what is known anyway; and
/// that a command which hangs is not waited for.
#[test]
fn on_this_machine() {
    let machine = qed_collector::probe::AttachEnvironment::read();
    if !machine.missing_capabilities().is_empty() {
        let missing = machine.missing_capabilities().join(", ");
        return support::note_skipped(&format!("on_this_machine lacks {missing}"));
    }
    let started = Instant::now();
    let evidence = capture("host");
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    check(&evidence);
    let guests = &evidence.commands["guests"];
    for datum in [&guests.exit, &guests.output, &guests.values["what"]] {
        let message = show(datum);
        assert!(
            message.starts_with("none: ")
                && message.contains("it is for guests alone (`on = \"guest\"`)"),
            "{message}"
        );
    }
    let private = &evidence.commands["private"];
    for datum in [&private.output, &private.values["all"]] {
        assert!(
            show(datum).starts_with("none: not written down"),
            "{datum:?}"
        );
    }
    assert_eq!(show(&private.values["address"]), "0xffff888012345678");
    let text = qed_evidence::reader::write(&evidence).expect("evidence");
    // Once, as the value: not in a text.
    assert_eq!(text.matches("ffff888012345678").count(), 1);
    let redacted = qed_evidence::redact::redact(&evidence).expect("it can be redacted");
    let text = qed_evidence::reader::write(&redacted).expect("evidence");
    assert!(!text.contains("ffff888012345678"));
    assert!(
        redacted.commands["private"].values["address"]
            .value()
            .is_some()
    );
}
