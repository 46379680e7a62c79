//! Workloads that are more than one harmless call: on real kernels.

use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::{
    capture_on, captured_from, collector, evidence_in, folder_with, resumed_capture_on,
    status_and_message,
};

const GUESTS: [&str; 2] = ["debian-6.1", "debian-6.12"];

/// The value at a path as text, or the reason why there is none.
fn shown(evidence: &Evidence, path: &str) -> Result<String, String> {
    let leaves = leaves(evidence);
    let leaf = leaves
        .get(path)
        .unwrap_or_else(|| panic!("nothing at {path}"));
    match leaf.datum.as_ref() {
        Datum::Value(Value::Text { value }) => Ok(value.clone()),
        Datum::Value(value) => Ok(value.to_string()),
        Datum::Missing(why) => Err(why.to_string()),
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
        let (evidence, stderr) = captured_from(guest, text);
        assert_eq!(stderr, "", "{guest}");
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

/// A folder with an investigation, and a script and data beside it.
fn folder_with_files(text: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with(text);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("script"),
        "#!/usr/bin/env -S sh -e\ncat\necho $GREETING\npwd\ncat data/*\n",
    )
    .unwrap();
    std::fs::set_permissions(at("script"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(at("data")).unwrap();
    std::fs::write(at("data/one"), "uno\n").unwrap();
    std::fs::write(at("data/two"), "due\n").unwrap();
    std::fs::write(at("in"), "in\n").unwrap();
    folder
}

/// Check that a script that `env` starts runs in a guest with its files, programs, environment, folder and input, that a
/// call opens a file that was given, that a guest is prepared, and that what fails says how.
#[test]
fn surroundings() {
    let text = r#"
[guest]
setup = ["mkdir /prepared && echo yes > /prepared/it", ["cp", "/prepared/it", "/copy"]]
programs = ["mkdir"]

[[experiment]]
name = "script"
until = "exit"
workload = { command = ["./script"], programs = ["cat"], files = [{ from = "data" }], env = { GREETING = "hello" }, cwd = "/", stdin = { file = "in" } }
[[experiment.probe]]
function = "do_group_exit"
return = false

[[experiment]]
name = "text"
workload = { command = ["cat"], stdin = { text = "typed" } }
[[experiment.probe]]
function = "do_group_exit"
return = false

[[experiment]]
name = "given"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "one" }, "O_RDONLY"], files = [{ from = "data/one", to = "/given/one", mode = "0400" }], cwd = "/given" }
[[experiment.probe]]
function = "do_sys_openat2"

[[experiment]]
name = "prepared"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/copy" }, "O_RDONLY"] }
[[experiment.probe]]
function = "do_sys_openat2"

[[experiment]]
name = "read"
workload = { syscall = "read", args = [0, { buffer = "b", size = 8 }, 8], stdin = { text = "eight by" } }
[[experiment.probe]]
function = "ksys_read"

[[experiment]]
name = "absent"
workload = { command = ["sh", "-c", "no-such-program"] }
[[experiment.probe]]
function = "do_group_exit"
return = false

[[experiment]]
name = "meant"
workload = { command = ["sh", "-c", "no-such-program 2>/dev/null; exit 4"] }
[[experiment.probe]]
function = "do_group_exit"
return = false
"#;
    let folder = folder_with_files(text);
    let output = resumed_capture_on("guest:debian-6.12", folder.path(), "i.toml").output();
    let (status, stderr) = status_and_message(&output.unwrap());
    assert_eq!(status, Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.starts_with(
            "error: guest:debian-6.12: experiment `absent`: its command ended with status 127: sh: 1: no-such-program: not found"
        ) && stderr.contains("The evidence was written"),
        "{stderr}"
    );
    assert!(!stderr.contains("`meant`"), "{stderr}");
    let evidence = evidence_in(folder.path());
    let at = |path: &str| shown(&evidence, path).unwrap();
    assert_eq!(at("script.outcome.stdout"), "in\nhello\n/\nuno\ndue\n");
    assert_eq!(at("script.outcome.stderr"), "");
    assert_eq!(at("text.outcome.stdout"), "typed");
    for name in ["given", "prepared"] {
        assert_eq!(at(&format!("{name}.outcome.returned")), "3", "{name}");
    }
    assert_eq!(at("read.outcome.returned"), "8");
    assert!(at("absent.outcome.stderr").contains("no-such-program"));
    let files = &evidence.experiments["script"].files;
    for name in [
        "script", "env", "sh", "cat", "one", "two", "in", "mkdir", "cp",
    ] {
        assert!(
            files
                .iter()
                .any(|file| file.name.rsplit('/').next() == Some(name)),
            "{name}: {files:?}"
        );
    }
}

/// Check that a guest is a system: a connection to its own loopback device is refused by nobody but the missing server,
/// a user has a name, and the usual folders and devices are there.
#[test]
fn a_guest_is_a_system() {
    let text = r#"
[[experiment]]
name = "look"
workload = { command = ["bash", "-c", "id -un; cat /etc/hostname /dev/fd/0; ls -d /tmp /dev/pts/ptmx /dev/shm /var/tmp; cat /sys/class/net/lo/operstate; : > /dev/tcp/127.0.0.1/9"], programs = ["id", "cat", "ls"], stdin = { text = "in\n" } }
[[experiment.probe]]
function = "tcp_connect"
reads = [
    { at = "entry", name = "port", path = "sk->__sk_common.skc_dport" },
    { at = "entry", name = "peer", path = "sk->__sk_common.skc_daddr" },
    { at = "entry", name = "own", path = "sk->__sk_common.skc_num" },
]

[[experiment]]
name = "no_file"
workload = { syscall = "socket", args = [-1, 1, 0] }
[[experiment.probe]]
tracepoint = "sys_exit"
name = "result"
reads = [{ at = "exit", name = "data", path = "fd->private_data" }]
"#;
    if std::process::Command::new("bash")
        .arg("--version")
        .output()
        .is_err()
    {
        support::note_skipped("there is no bash here");
        return;
    }
    for guest in GUESTS {
        let folder = folder_with(text);
        let machine = format!("guest:{guest}");
        let output = capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{guest}: {stderr}");
        let evidence = evidence_in(folder.path());
        let complaint = shown(&evidence, "look.outcome.stderr").unwrap();
        assert!(
            complaint.contains("Connection refused"),
            "{guest}: {complaint}"
        );
        assert_eq!(complaint.lines().count(), 2, "{guest}: {complaint}");
        // Network byte order is not the machine's.
        let at = |leaf: &str| shown(&evidence, &format!("look.tcp_connect.entry.{leaf}")).unwrap();
        assert_eq!(
            (at("port"), at("peer")),
            ("9".into(), 0x7f00_0001u32.to_string())
        );
        let own: u32 = at("own").parse().unwrap();
        assert!(own > 1024, "{own}");
        let why = shown(&evidence, "no_file.result.exit.data").unwrap_err();
        assert!(why.contains("the call returned none"), "{why}");
        assert_eq!(
            shown(&evidence, "look.outcome.stdout").unwrap(),
            "root\nguest\nin\n/dev/pts/ptmx\n/dev/shm\n/tmp\n/var/tmp\nunknown\n",
            "{guest}"
        );
    }
}

/// Check that a guest which cannot be prepared is not captured, and that the command is told with its place, its status and what it
/// said, as a mistake in the investigation.
#[test]
fn a_guest_that_cannot_be_prepared() {
    let text = r#"
[guest]
setup = [
  "echo well",
  "echo some output; echo nothing works >&2; exit 4",
]
[[experiment]]
name = "e"
workload = { syscall = "getpid" }
[[experiment.probe]]
function = "__x64_sys_getpid"
"#;
    let folder = folder_with(text);
    let output = capture_on("guest:debian-6.12", folder.path(), "i.toml").output();
    let (status, stderr) = status_and_message(&output.unwrap());
    assert_eq!(status, Some(2), "{stderr}");
    for part in [
        "error: the guest cannot be prepared: `echo some output; echo nothing works >&2; exit 4` of `setup` ended with exit status: 4\n",
        "i.toml:5:3",
        "nothing works",
        "some output",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    assert!(!folder.path().join("e.json").exists());
}

/// Check that calls come one after the other with the results of those before, that structures are filled as the
/// kernel's own types have them, with ports and addresses in the order of the network, and that the probes see the last
/// call alone. A member that does not exist leaves its experiment out, with the nearest name.
#[test]
fn calls_in_sequence() {
    let text = r#"
[[experiment]]
name = "refused"
workload = { before = [{ syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" }], syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_family = "AF_INET", sin_port = 999, sin_addr.s_addr = "127.0.0.1", buffer = "address" }, { sizeof = "sockaddr_in" }] }
[[experiment.probe]]
function = "inet_stream_connect"
reads = [{ at = "entry", name = "port", path = "((struct sockaddr_in *)uaddr)->sin_port" }]
[[experiment.probe]]
function = "__sys_socket"

[[experiment]]
name = "served"
cost = true
warm-up = 2
workload = { syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_family = "AF_INET", sin_port = 999, sin_addr.s_addr = "127.0.0.1" }, 16], before = [
  { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "server" },
  { syscall = "bind", args = ["$server", { struct = "sockaddr_in", sin_family = "AF_INET", sin_port = 999 }, 16] },
  { syscall = "listen", args = ["$server", 1] },
  { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" },
] }
[[experiment.probe]]
function = "tcp_v4_connect"

[[experiment]]
name = "array"
workload = { syscall = "bpf", args = ["BPF_MAP_CREATE", { struct = "bpf_attr", map_type = "BPF_MAP_TYPE_ARRAY", key_size = 4, value_size = 8, max_entries = 1, map_name = { text = "hello" } }, { sizeof = "bpf_attr" }] }
[[experiment.probe]]
function = "__sys_bpf"

[[experiment]]
name = "gathered"
workload = { before = [{ syscall = "memfd_create", args = [{ text = "x" }, 0], result = "file" }], syscall = "writev", args = ["$file", { struct = "iovec", iov_base = { bytes = "68 69" }, iov_len = 2 }, 1] }
[[experiment.probe]]
function = "vfs_writev"

[[experiment]]
name = "misspelt"
workload = { syscall = "connect", args = [3, { struct = "sockaddr_in", sin_famly = "AF_INET" }, 16] }
[[experiment.probe]]
function = "tcp_v4_connect"

[[experiment]]
name = "failed"
workload = { before = [{ syscall = "close", args = [99] }], syscall = "getpid" }
[[experiment.probe]]
function = "__x64_sys_getpid"
"#;
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, text);
        let at = |path: &str| shown(&evidence, path).unwrap();
        assert_eq!(
            (
                at("refused.outcome.stdout").as_str(),
                at("refused.outcome.errno").as_str()
            ),
            ("", "ECONNREFUSED"),
            "{guest}"
        );
        assert_eq!(
            at("refused.inet_stream_connect.entry.port"),
            "999",
            "{guest}"
        );
        // 2 in the order of the processor, 999 and the address in that of the network.
        let bytes = at("refused.outcome.buffers.address");
        assert!(
            bytes.contains("02 00 03 e7 7f 00 00 01"),
            "{guest}: {bytes}"
        );
        assert_eq!(at("refused.__sys_socket.hits"), "0", "{guest}");
        assert_eq!(at("served.outcome.returned"), "0", "{guest}");
        assert_eq!(at("served.tcp_v4_connect.hits"), "1", "{guest}");
        assert_eq!(at("array.outcome.returned"), "3", "{guest}");
        assert_eq!(at("gathered.outcome.returned"), "2", "{guest}");
        let why = |path: &str| shown(&evidence, path).unwrap_err();
        let reason = why("misspelt.outcome.returned");
        assert!(
            reason.contains(
                "argument 2 of `connect`: `sockaddr_in`: it has no member `sin_famly`; the nearest name is `sin_family`"
            ),
            "{guest}: {reason}"
        );
        let reason = why("failed.outcome.returned");
        assert!(
            reason.contains("close(99) = Bad file descriptor"),
            "{guest}: {reason}"
        );
    }
}

/// Check that what a kernel refuses in arguments of calls is told at the very name, by `plan`, which fails, and by `capture`: a
/// constant, a member, a structure, and a value that does not fit.
#[test]
fn places_of_what_is_refused() {
    let text = r#"
[[experiment]]
name = "constant"
workload = { syscall = "bpf", args = ["BPF_MAP_CREAT", 0, 0] }
[[experiment.probe]]
function = "__sys_bpf"

[[experiment]]
name = "member"
[experiment.workload]
before = [{ syscall = "socket", args = ["AF_INET", "SOCK_STREAM", "NULL"], result = "sock" }]
calls = [
  { syscall = "getpid" },
  { syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_prt = 999 }, 16] },
]
[[experiment.probe]]
function = "__sys_connect"

[[experiment]]
name = "number"
workload = { syscall = "connect", args = [3, { struct = "sockaddr_in", sin_port = 70000 }, 16] }
[[experiment.probe]]
function = "__sys_connect"

[[experiment]]
name = "structure"
workload = { syscall = "connect", args = [3, { struct = "sockadr_in" }, 16] }
[[experiment.probe]]
function = "__sys_connect"

[[experiment]]
name = "nested"
workload = { syscall = "bpf", args = ["BPF_MAP_CREATE", { struct = "bpf_attr", map_type = "BPF_MAP_TYPE_ARAY" }, { sizeof = "bpf_attr" }] }
[[experiment.probe]]
function = "__sys_bpf"

[[experiment]]
name = "known"
workload = { syscall = "kcmp", args = [1, 1, "KCMP_FILE", 0, 0] }
[[experiment.probe]]
tracepoint = "sys_exit"
"#;
    let folder = folder_with(text);
    let place = |at: &str, name: &str| {
        let start = text.find(at).unwrap() + at.find(name).unwrap();
        let line = text[..start].matches('\n').count() + 1;
        let column = start - text[..start].rfind('\n').unwrap();
        format!("i.toml:{line}:{column}")
    };
    let told = [
        (
            "argument 1 of `bpf`: constant `BPF_MAP_CREAT` is not known",
            "the nearest name is `BPF_MAP_CREATE`",
            place("BPF_MAP_CREAT\"", "BPF"),
        ),
        (
            "argument 2 of call 3, `connect`: `sockaddr_in`: it has no member `sin_prt`",
            "the nearest name is `sin_port`",
            place("sin_prt", "sin_prt"),
        ),
        (
            "argument 2 of `connect`: `sockaddr_in`: 70000 does not fit into its member `sin_port`",
            "which is `__be16`",
            place("sin_port = 70000", "sin"),
        ),
        (
            "argument 2 of `connect`: this kernel has no structure or union `sockadr_in`",
            "the nearest name is `sockaddr_in`",
            place("\"sockadr_in", "\""),
        ),
        (
            "argument 2 of `bpf`: `bpf_attr`: constant `BPF_MAP_TYPE_ARAY` is not known",
            "the nearest name is `BPF_MAP_TYPE_ARRAY`",
            place("BPF_MAP_TYPE_ARAY", "BPF"),
        ),
    ];
    let arguments = [
        "plan",
        "--on",
        "guest:debian-6.12",
        "--investigation",
        "i.toml",
    ];
    let plan = collector(folder.path(), arguments).output().unwrap();
    let (status, errors) = status_and_message(&plan);
    let listed = String::from_utf8(plan.stdout).unwrap();
    assert_eq!(status, Some(2), "{errors}");
    let output = capture_on("guest:debian-6.12", folder.path(), "i.toml").output();
    let (status, notes) = status_and_message(&output.unwrap());
    assert_eq!(status, Some(0), "{notes}");
    for (reason, near, place) in told {
        assert!(
            errors.contains(&format!(": {reason}")),
            "{reason}: {errors}"
        );
        assert!(
            errors.contains(&format!("--> {place}\n")),
            "{place}: {errors}"
        );
        for lines in [&listed, &notes] {
            let line = lines.lines().find(|line| line.contains(reason));
            let line = line.unwrap_or_else(|| panic!("{reason}: {lines}"));
            assert!(
                line.contains(near) && line.contains(&format!("({place})")),
                "{place}: {line}"
            );
        }
    }
    assert!(!notes.contains("`known`"), "{notes}");
}

/// Check that all of several calls are seen by the probes, and nothing between them: each tracepoint has as many hits as there are
/// calls, in their order, with results as evidence keeps them, objects are followed from the first call into the last, and counts
/// are complete.
#[test]
fn watched_calls_in_sequence() {
    let text = r#"
[[experiment]]
name = "life"
workload = { calls = [
  { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" },
  { syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_family = "AF_INET", sin_port = 999, sin_addr.s_addr = "127.0.0.1" }, 16], result = "connected" },
  { syscall = "close", args = ["$sock"] },
] }
[[experiment.probe]]
tracepoint = "sys_enter"
[[experiment.probe]]
tracepoint = "sys_exit"
[[experiment.probe]]
function = "sock_alloc_file"
reads = [{ at = "exit", name = "file", path = "return" }]
[[experiment.probe]]
function = "inet_stream_connect"
[[experiment.probe]]
function = "inet_release"
[[experiment.probe]]
function = "mmap_region"
return = false
[[experiment.probe]]
tracepoint = "sys_enter"
name = "connecting"
syscall = "connect"

[[experiment]]
name = "piped"
workload = { calls = [
  { syscall = "pipe2", args = [{ buffer = "fds", ints = 2 }, 0] },
  { syscall = "write", args = ["$fds[1]", { text = "abc" }, 3], result = "written" },
  { syscall = "read", args = ["$fds[0]", { buffer = "got", size = 8 }, 8] },
] }
[[experiment.probe]]
tracepoint = "sys_enter"

[[experiment]]
name = "spoilt"
workload = { calls = [{ syscall = "dup", args = [99], result = "copy" }, { syscall = "close", args = ["$copy"] }] }
[[experiment.probe]]
function = "ksys_dup"
optional = true
[[experiment.probe]]
tracepoint = "sys_enter"
"#;
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, text);
        let at = |path: &str| shown(&evidence, path).unwrap();
        assert_eq!(at("life.outcome.results.sock"), "3", "{guest}");
        assert_eq!(
            at("life.outcome.results.connected"),
            "-ECONNREFUSED",
            "{guest}"
        );
        assert_eq!(at("life.outcome.returned"), "0", "{guest}");
        for (path, hits) in [
            ("sys_enter", "3"),
            ("sys_exit", "3"),
            ("connecting", "1"),
            ("sock_alloc_file", "1"),
            ("inet_stream_connect", "1"),
            ("inet_release", "1"),
            ("mmap_region", "0"),
        ] {
            assert_eq!(at(&format!("life.{path}.hits")), hits, "{guest}: {path}");
        }
        let numbers = ["41", "42", "3"];
        for (nth, number) in (1..).zip(numbers) {
            assert_eq!(
                at(&format!("life.sys_enter.hit{nth}.args.id")),
                number,
                "{guest}"
            );
        }
        assert_eq!(at("life.quality.lost"), "0", "{guest}");
        let quality = &evidence.experiments["life"].quality;
        assert_eq!(quality.marked, Some(true), "{guest}: {:?}", quality.notes);
        assert_eq!(quality.until_user_space, Some(true), "{guest}");
        for (path, value) in [
            ("outcome.results.written", "3"),
            ("outcome.returned", "3"),
            ("outcome.buffers.got", "61 62 63 00 00 00 00 00"),
            ("sys_enter.hits", "3"),
        ] {
            assert_eq!(at(&format!("piped.{path}")), value, "{guest}: {path}");
        }
        let reason = shown(&evidence, "spoilt.outcome.returned").unwrap_err();
        assert!(
            reason.contains(
                "it takes the result of a call that failed: dup(99) = Bad file descriptor"
            ),
            "{guest}: {reason}"
        );
    }
}

/// Check that two probes of one function with different conditions have their own hits, reads and returns, and that the evidence is
/// read back.
#[test]
fn one_function_under_two_conditions() {
    let text = r#"
[[experiment]]
name = "pipe"
workload = { syscall = "pipe2", args = [{ buffer = "fds", size = 8 }, 0] }
[[experiment.probe]]
function = "alloc_empty_file"
name = "read_end"
within = "alloc_file_clone"
return = false
reads = [{ at = "entry", name = "asked", path = "flags" }]
[[experiment.probe]]
function = "alloc_empty_file"
name = "write_end"
within = "alloc_file_pseudo"
reads = [{ at = "exit", name = "mode", path = "return->f_mode" }]
[[experiment.probe]]
function = "alloc_empty_file"
name = "both"
"#;
    for guest in GUESTS {
        let (evidence, stderr) = captured_from(guest, text);
        assert_eq!(stderr, "", "{guest}");
        let at = |path: &str| shown(&evidence, &format!("pipe.{path}"));
        assert_eq!(at("read_end.hits").unwrap(), "1", "{guest}");
        assert_eq!(at("write_end.hits").unwrap(), "1", "{guest}");
        assert_eq!(at("both.hits").unwrap(), "2", "{guest}");
        assert!(at("read_end.entry.asked").is_ok(), "{guest}");
        assert!(at("write_end.exit.mode").is_ok(), "{guest}");
        let probes = &evidence.experiments["pipe"].probes;
        let hit = |name: &str, number: usize| &probes[name].hits[number];
        assert_eq!(hit("write_end", 0).order, hit("both", 0).order, "{guest}");
        assert_eq!(hit("read_end", 0).order, hit("both", 1).order, "{guest}");
        let (read, write) = (hit("read_end", 0), hit("write_end", 0));
        assert_eq!(read.return_order, None, "{guest}");
        assert_eq!(write.return_order, hit("both", 0).return_order, "{guest}");
        assert!(write.return_order.is_some(), "{guest}");
        assert_eq!(at("quality.missed").unwrap(), "0", "{guest}");
    }
}

/// Check that what the kernel does for the collector's own processes is not among the hits of a probe on every task, and is told.
#[test]
fn hits_of_the_collector() {
    let text = r#"
[[experiment]]
name = "sleep"
workload = { command = ["sleep", "0.2"] }
[[experiment.probe]]
tracepoint = "sched_switch"
any-task = true
stack = false
"#;
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, text);
        let sleep = &evidence.experiments["sleep"];
        let names: std::collections::BTreeSet<&str> = sleep.probes["sched_switch"]
            .hits
            .iter()
            .map(|hit| hit.task.name.as_str())
            .collect();
        assert!(names.contains("sleep"), "{guest}: {names:?}");
        assert!(
            !names.contains("exe") && !names.contains("init"),
            "{guest}: {names:?}"
        );
        let notes = sleep.quality.notes.join("\n");
        assert!(
            notes.contains("of sched_switch in processes of the collector itself are left out"),
            "{guest}: {notes}"
        );
        let counted: std::collections::BTreeSet<u64> = sleep
            .probes
            .values()
            .flat_map(|probe| &probe.hits)
            .filter_map(|hit| hit.order)
            .collect();
        assert_eq!(counted.len() as u64, sleep.quality.events, "{guest}");
    }
}

/// Check that of several paths each kernel reads the first that it has, that the evidence says which member that is, and that the
/// reasons of all are told where it has none.
#[test]
fn first_path_that_a_kernel_has() {
    let text = r#"
[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/etc/passwd" }, "O_RDONLY"] }
[[experiment.probe]]
function = "fd_install"
optional = true
reads = [
    { at = "entry", name = "cred", path = ["file->f_no_such", "file->f_cred"] },
    { at = "entry", name = "count", path = ["file->f_ref.refcnt.counter", "file->f_count.counter"] },
    { at = "entry", name = "none", path = ["file->f_no_such", "file->f_nor_this"] },
]
"#;
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, text);
        let probe = &evidence.experiments["open"].probes["fd_install"];
        let at = |name: &str| shown(&evidence, &format!("open.fd_install.entry.{name}"));
        assert!(at("cred").is_ok() && at("count").is_ok(), "{guest}");
        let taken = |name: &str| probe.members.entry[name].name.clone();
        assert_eq!(taken("cred"), "f_cred", "{guest}");
        assert!(taken("count").ends_with("counter"), "{guest}");
        let why = &probe.refused_reads.entry["none"];
        assert!(
            why.contains("`file->f_no_such` cannot be read") && why.contains("`file->f_nor_this`"),
            "{guest}: {why}"
        );
    }
}

/// Check what captures say of excuses whose functions a kernel lacks: of one machine that it lacks it, without more, and nothing of
/// that where another machine of the folder has the function; of one that no machine has, to look at the spelling.
#[test]
fn excuses_of_other_kernels() {
    // Linux 6.5 has it first.
    let text = r#"
[[experiment]]
name = "e"
workload = { syscall = "eventfd2", args = [0, 0] }
[[experiment.excuse]]
within = "alloc_empty_backing_file"
reason = "of newer kernels"
[[experiment.excuse]]
within = "anon_inode_getfil"
reason = "misspelt"
[[experiment.probe]]
function = "alloc_empty_file"
allocates = "return"
"#;
    let folder = folder_with(text);
    let capture = |machines: &[&str]| {
        let command = ["capture", "--guests", "warm", "--investigation", "i.toml"];
        let on = machines.iter().flat_map(|machine| ["--on", machine]);
        let output = collector(folder.path(), command.into_iter().chain(on)).output();
        let (status, told) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{told}");
        let notes = told
            .lines()
            .filter(|line| line.contains("the excuse within"));
        notes.map(str::to_owned).collect::<Vec<_>>()
    };
    let newer = "the excuse within `alloc_empty_backing_file` may never hold: ";
    let misspelt = "the excuse within `anon_inode_getfil` may never hold: ";
    let told = capture(&["guest:debian-6.1"]);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[0].contains(&format!("guest:debian-6.1: {newer}")),
        "{told:#?}"
    );
    assert!(told[1].contains(misspelt), "{told:#?}");
    for note in &told {
        assert!(
            note.ends_with("unless another kernel of the book has it, look at the spelling"),
            "{note}"
        );
    }
    // The other one is there by now, and both at once, the one that lacks it first.
    for machines in [
        &["guest:debian-6.12"][..],
        &["guest:debian-6.1"],
        &["guest:debian-6.1", "guest:debian-6.12"],
    ] {
        let told = capture(machines);
        assert_eq!(told.len(), machines.len(), "{told:#?}");
        for note in &told {
            assert!(note.contains(misspelt), "{note}");
            assert!(note.contains("so on each of the 2 machines"), "{note}");
            assert!(
                note.ends_with(" count as a leak: look at the spelling"),
                "{note}"
            );
        }
    }
}
