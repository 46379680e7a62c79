//! `discover` as a user calls it: what it refuses before a machine is started, and the investigations that it writes.

use crate::support;

use std::path::Path;

use qed_evidence::investigation::{Investigation, parse};
use support::{collector, status_and_message};

/// A call that every kernel has, and that runs through some levels.
const CALL: [&str; 4] = ["--", "pipe2", "buffer:8", "0"];

/// The status and messages of `discover` with these arguments.
fn discover(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = collector(folder, ["discover"]);
    let output = command.args(arguments).output().unwrap();
    status_and_message(&output)
}

/// The investigation that was written for a call in a guest, and its text.
fn written(arguments: &[&str]) -> (Investigation, String) {
    let folder = tempfile::tempdir().unwrap();
    let on = ["--on", "guest:debian-6.12", "--write", "new.toml"];
    let (status, stderr) = discover(folder.path(), &[&on, arguments, &CALL].concat());
    assert_eq!(status, Some(0), "{stderr}");
    let text = std::fs::read_to_string(folder.path().join("new.toml")).unwrap();
    let investigation = parse("new.toml", &text).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    (investigation, text)
}

/// Names of the functions with a probe.
fn functions(investigation: &Investigation) -> Vec<String> {
    let probes = &investigation.experiments[0].probes;
    probes.iter().map(|probe| probe.name.clone()).collect()
}

/// Check that an impossible request is refused at once: the kernel that is named here does not exist, and nobody looks for it.
#[test]
fn refused_before_a_machine_is_started() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("there.toml"), "mine").unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, "no kernel").unwrap();
    let on = ["--on", &format!("guest:{}", image.display())];
    let (_, stderr) = discover(folder.path(), &[&on[..], &["--", "getpid"]].concat());
    assert!(stderr.contains("image"), "{stderr}");
    let json = ["--format", "json"];
    for (arguments, wanted) in [
        (
            &["--write", "new.toml", "--", "/bin/true"][..],
            "this is a program",
        ),
        (&["--write", "there.toml", "--", "getpid"], "exists already"),
        (
            &["--write", "new.toml", "--experiment", "x"],
            "cannot be used with",
        ),
        (
            &["--investigation", "x.toml", "--", "getpid"],
            "cannot be used with",
        ),
        (&["--depth", "0", "--", "getpid"], "1.."),
        (
            &[&json[..], &["--depth", "2", "--", "getpid"]].concat(),
            "leave out --depth",
        ),
        (
            &[&json[..], &["--below", "f", "--", "getpid"]].concat(),
            "leave out --depth",
        ),
        (
            &[&json[..], &["--all", "--", "getpid"]].concat(),
            "leave out --depth",
        ),
        (&["--", "getpidd"], "did you mean `getpid`? (a program is"),
    ] {
        let (status, stderr) = discover(folder.path(), &[&on, arguments].concat());
        assert_eq!(status, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(wanted), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("image"), "{arguments:?}: {stderr}");
    }
    assert!(!folder.path().join("new.toml").exists());
    // Nobody has written the text that these words are made into.
    for (arguments, wanted) in [
        (
            &[
                "--on", "host", "--", "getpid", "1", "2", "3", "4", "5", "6", "7",
            ][..],
            "six arguments",
        ),
        (
            &["--on", "host", "--", "/no/such/program"],
            "/no/such/program",
        ),
    ] {
        let (_, stderr) = discover(folder.path(), arguments);
        assert!(stderr.contains(wanted), "{arguments:?}: {stderr}");
        assert!(
            !stderr.contains("discover:") && !stderr.contains("name ="),
            "{arguments:?}: {stderr}"
        );
    }
}

/// Check that each call of a sequence is shown, in order, though another experiment lacks its program.
#[test]
fn all_calls_of_a_sequence() {
    let text = r#"
[[experiment]]
name = "sequence"
workload = { calls = [
    { result = "fd", syscall = "socket", args = ["AF_INET", "SOCK_DGRAM", 0] },
    { syscall = "listen", args = ["$fd", 1] },
    { syscall = "socket", args = ["AF_UNIX", "SOCK_STREAM", 0] },
] }
[[experiment.probe]]
tracepoint = "sys_exit"

[[experiment]]
name = "absent"
workload = { command = ["no-such-program"] }
[[experiment.probe]]
tracepoint = "sys_exit"
"#;
    let folder = support::folder_with(text);
    let on = [
        "discover",
        "--investigation",
        "i.toml",
        "--on",
        "guest:debian-6.12",
    ];
    let trace = |name: &str| {
        let arguments = [&on[..], &["--experiment", name, "--depth", "2"]].concat();
        let output = collector(folder.path(), arguments).output().unwrap();
        (
            status_and_message(&output),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let ((status, stderr), shown) = trace("sequence");
    assert_eq!(status, Some(0), "{stderr}");
    let at = |function: &str| {
        let found = shown.match_indices(function).map(|(at, _)| at);
        found.collect::<Vec<_>>()
    };
    let (sockets, listen) = (at("__x64_sys_socket"), at("__x64_sys_listen"));
    let [first, second] = sockets[..] else {
        panic!("{shown}")
    };
    assert!(
        listen.len() == 1 && first < listen[0] && listen[0] < second,
        "{shown}"
    );
    let ((status, stderr), _) = trace("absent");
    assert_eq!(status, Some(2), "{stderr}");
    assert!(stderr.contains("no-such-program"), "{stderr}");
}

/// Check that an investigation has the functions that are shown and no others, and says how many levels they are.
#[test]
fn writes_the_shown_functions() {
    let (all, text) = written(&["--all"]);
    assert!(text.contains("ran through, all levels.\n"), "{text}");
    let (two, text) = written(&["--depth", "2"]);
    assert!(text.contains("ran through, 2 levels deep.\n"), "{text}");
    let (all, two) = (functions(&all), functions(&two));
    assert!(!two.is_empty() && two.len() < all.len(), "{two:?} {all:?}");
    // Each time the call is traced anew, and on the way back not always the same functions run.
    let root = two.iter().find(|name| name.contains("pipe2")).unwrap();
    let (below, text) = written(&["--below", root, "--depth", "1"]);
    assert!(
        text.contains(&format!("from {root} on, 1 level deep.\n")),
        "{text}"
    );
    assert_eq!(functions(&below), [root.as_str()]);
}
