//! `discover` as a user calls it: what it refuses before a machine is started, and the investigations that it writes.

use crate::support;

use std::path::Path;

use qed_evidence::investigation::{Investigation, parse};
use serde_json::Value;
use support::{collector, folder_with, note_skipped, status_and_message};

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

/// The answer as JSON, and as it was printed.
fn json(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let mut command = collector(folder, ["discover", "--format", "json"]);
    let output = command.args(arguments).output().unwrap();
    let (status, stderr) = status_and_message(&output);
    assert_eq!(status, Some(0), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    (serde_json::from_str(&text).expect("JSON"), text)
}

/// Check that the runs of a system call in JSON are a tree, in the order of time, of functions that are all in its table and all ran;
/// and give back the names of the runs.
fn runs(call: &Value) -> Vec<&str> {
    let functions = call["functions"].as_array().unwrap();
    let name = |function: &Value| function["name"].as_str().unwrap().to_owned();
    let names: Vec<String> = functions.iter().map(name).collect();
    let (mut ran, mut levels, mut before, mut found) = (vec![false; names.len()], 0, 0, Vec::new());
    for run in call["calls"].as_array().unwrap() {
        let function = run["function"].as_u64().unwrap() as usize;
        let (depth, start) = (
            run["depth"].as_u64().unwrap(),
            run["start_ns"].as_u64().unwrap(),
        );
        assert!(depth <= levels && start >= before, "{run}");
        let duration = &run["duration_ns"];
        assert!(duration.is_u64() || duration.is_null(), "{run}");
        assert!(run["interrupt"].is_boolean(), "{run}");
        ran[function] = true;
        (levels, before) = (depth + 1, start);
        found.push(functions[function]["name"].as_str().unwrap());
    }
    assert!(ran.iter().all(|ran| *ran), "{names:?}");
    found
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

/// Check that JSON has the whole call with what it returned, and where the kernel records them, arguments by name and by type.
#[test]
fn json_of_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let call = ["--", "socket", "AF_INET", "SOCK_STREAM", "0"];
    for (guest, release, has_arguments) in [
        ("guest:debian-6.12", "6.12.", false),
        ("guest:debian-7.3", "7.3.", true),
    ] {
        let (found, text) = json(folder.path(), &[&["--on", guest], &call[..]].concat());
        assert_eq!(found["machine"], guest);
        assert!(found["release"].as_str().unwrap().starts_with(release));
        let [socket] = found["system_calls"].as_array().unwrap().as_slice() else {
            panic!("{text}")
        };
        assert_eq!(
            (&socket["name"], &socket["number"]),
            (&Value::from("socket"), &Value::from(41))
        );
        assert!(socket["returned"].as_i64().unwrap() >= 3, "{text}");
        let names = runs(socket);
        assert!(names.contains(&"__sys_socket"), "{names:?}");
        let at = names
            .iter()
            .position(|name| *name == "inet_create")
            .unwrap();
        let run = &socket["calls"][at];
        assert_eq!(run.get("arguments").is_some(), has_arguments, "{run}");
        if !has_arguments {
            continue;
        }
        let function = &socket["functions"][run["function"].as_u64().unwrap() as usize];
        let each = function["parameters"].as_array().unwrap().iter();
        let parameters: Vec<(&str, &str)> = each
            .map(|one| (one["name"].as_str().unwrap(), one["type"].as_str().unwrap()))
            .collect();
        assert_eq!(
            parameters,
            [
                ("net", "struct net *"),
                ("sock", "struct socket *"),
                ("protocol", "int"),
                ("kern", "int")
            ]
        );
        let arguments = run["arguments"].as_array().unwrap();
        assert!(arguments[1].as_str().unwrap().starts_with("0xff"), "{run}");
        assert_eq!(arguments[2..], [Value::from(0), Value::from(0)]);
    }
}

/// Check that the text has arguments behind the names where the kernel records them, and none elsewhere.
#[test]
fn arguments_in_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |guest: &str| {
        let call = ["--", "socket", "AF_INET", "SOCK_STREAM", "0"];
        let arguments = [
            &["discover", "--on", guest, "--below", "__sys_socket"],
            &call[..],
        ];
        let output = collector(folder.path(), arguments.concat())
            .output()
            .unwrap();
        let (status, stderr) = status_and_message(&output);
        assert_eq!(status, Some(0), "{stderr}");
        String::from_utf8(output.stdout).unwrap()
    };
    let new = shown("guest:debian-7.3");
    assert!(
        new.contains(" __sys_socket(family=2, type=1, protocol=0)"),
        "{new}"
    );
    assert!(new.contains("protocol=0, kern=0)"), "{new}");
    let old = shown("guest:debian-6.12");
    assert!(!old.contains("family=") && !old.contains("?"), "{old}");
}

/// Check that JSON of a program has all system calls of its process, in order, the last of which does not return.
#[test]
fn json_of_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--on", "guest:debian-6.12", "--", "/bin/true"];
    let (found, text) = json(folder.path(), &arguments);
    assert_eq!(found["workload"], "/bin/true");
    let calls = found["system_calls"].as_array().unwrap();
    let names: Vec<&str> = calls
        .iter()
        .filter_map(|call| call["name"].as_str())
        .collect();
    let at = |name: &str| names.iter().position(|one| *one == name);
    let (exec, exit) = (at("execve").unwrap(), at("exit_group").unwrap());
    assert!(exec < exit && exit + 1 == names.len(), "{names:?}");
    assert!(at("mmap").is_some_and(|mmap| exec < mmap), "{names:?}");
    assert!(calls[exit]["returned"].is_null(), "{text}");
    assert!(runs(&calls[exec]).len() > 100);
    assert!(runs(&calls[exit]).contains(&"do_exit"));
}

/// Check that JSON of an experiment has each watched call of its sequence and none of those before.
#[test]
fn json_of_an_experiment() {
    let folder = folder_with(
        r#"
[[experiment]]
name = "listens"
[experiment.workload]
before = [{ result = "fd", syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }]
calls = [
    { syscall = "listen", args = ["$fd", 1] },
    { syscall = "close", args = ["$fd"] },
]
[[experiment.probe]]
tracepoint = "sys_exit"
"#,
    );
    let on = ["--investigation", "i.toml", "--on", "guest:debian-6.12"];
    let (found, text) = json(
        folder.path(),
        &[&on[..], &["--experiment", "listens"]].concat(),
    );
    let calls = found["system_calls"].as_array().unwrap();
    let names: Vec<&Value> = calls.iter().map(|call| &call["name"]).collect();
    assert_eq!(names, ["listen", "close"], "{text}");
    assert_eq!(
        calls
            .iter()
            .map(|call| &call["returned"])
            .collect::<Vec<_>>(),
        [0, 0]
    );
    assert!(runs(&calls[0]).contains(&"inet_listen"), "{text}");
    assert!(runs(&calls[1]).contains(&"__x64_sys_close"), "{text}");
}

/// Check that `plan` accepts what `--write` wrote, on the same kernel, and puts a probe on each of its functions.
#[test]
fn plan_of_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let on = ["--on", "guest:debian-6.12"];
    let write = ["--write", "new.toml", "--depth", "6"];
    let (status, stderr) = discover(folder.path(), &[&on[..], &write, &CALL].concat());
    assert_eq!(status, Some(0), "{stderr}");
    let text = std::fs::read_to_string(folder.path().join("new.toml")).unwrap();
    let written = parse("new.toml", &text).unwrap();
    let plan = ["plan", "--investigation", "new.toml", "--format", "json"];
    let output = collector(folder.path(), [&plan[..], &on].concat())
        .output()
        .unwrap();
    let (status, stderr) = status_and_message(&output);
    assert_eq!(status, Some(0), "{stderr}");
    let planned: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [experiment] = planned[0]["experiments"].as_array().unwrap().as_slice() else {
        panic!("{planned}")
    };
    assert!(experiment.get("refused").is_none(), "{planned}");
    let functions = functions(&written);
    assert!(functions.len() >= 8, "{text}");
    let probes = experiment["probes"].as_array().unwrap();
    let names: Vec<&str> = probes
        .iter()
        .filter_map(|probe| probe["name"].as_str())
        .collect();
    assert_eq!(names, functions);
    for probe in probes {
        assert!(probe.get("refused").is_none(), "{probe}");
    }
}

/// Check that inlined calls are shown if they are asked for, in JSON always, that they are not counted as calls, and that a function
/// which is only inlined is found in what ran. Needs the debug information of a kernel in the cache.
#[test]
fn inlined_calls() {
    let folder = tempfile::tempdir().unwrap();
    let on = ["--on", "guest:debian-6.1"];
    let call = ["--", "socket", "AF_INET", "SOCK_STREAM", "0"];
    let (found, _) = json(folder.path(), &[&on[..], &call].concat());
    let socket = &found["system_calls"][0];
    let functions = socket["functions"].as_array().unwrap();
    let named = |name: &str| {
        let mut all = functions.iter();
        all.find(|function| function["name"] == name).unwrap()
    };
    let outer = named("__sys_socket");
    if outer.get("source").is_none() {
        return note_skipped("no debug information of this kernel in the cache");
    }
    let inlined = outer["inlined"].as_array().unwrap();
    let map = inlined.iter().find(|one| one["function"] == "sock_map_fd");
    let map = map.unwrap_or_else(|| panic!("{outer}"));
    assert_eq!(map["depth"], 0);
    let site = map["site"].as_str().unwrap();
    assert!(site.starts_with("net/socket.c:"), "{site}");
    assert!(!runs(socket).contains(&"sock_map_fd"));
    let text = |more: &[&str]| {
        let output = collector(
            folder.path(),
            [&["discover"], &on[..], more, &call].concat(),
        )
        .output()
        .unwrap();
        (
            status_and_message(&output),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let ((status, stderr), with) = text(&["--inlined"]);
    assert_eq!(status, Some(0), "{stderr}");
    let line = with
        .lines()
        .find(|line| line.contains("inlined sock_map_fd "));
    assert!(line.is_some_and(|line| line.ends_with(site)), "{with}");
    let (_, without) = text(&[]);
    assert!(!without.contains("inlined "), "{without}");
    let ((status, stderr), _) = text(&["--below", "sock_map_fd"]);
    assert_eq!(status, Some(2), "{stderr}");
    assert!(
        stderr.contains("is inlined into __sys_socket, which ran"),
        "{stderr}"
    );
}

/// Check that a trace of a live machine comes with one line on standard error which says that it may not be published, whatever its
/// form, and that one of a guest does not.
#[test]
fn of_a_live_machine() {
    let folder = tempfile::tempdir().unwrap();
    let warning =
        "note: the output is of a live machine and holds its addresses: publish nothing of it";
    for form in ["text", "json"] {
        let arguments = |on| [&["--format", form, "--on", on], &CALL[..]].concat();
        let (status, told) = discover(folder.path(), &arguments("guest:debian-6.12"));
        assert_eq!(status, Some(0), "{told}");
        assert!(!told.contains("live machine"), "{told}");
        let (status, told) = discover(folder.path(), &arguments("host"));
        if status == Some(3) {
            return note_skipped(&format!("this machine cannot be traced: {told}"));
        }
        assert_eq!(status, Some(0), "{told}");
        let lines = told.lines().filter(|line| line.contains("live machine"));
        let lines: Vec<&str> = lines.collect();
        assert!(lines.len() == 1 && lines[0].starts_with(warning), "{told}");
    }
}
