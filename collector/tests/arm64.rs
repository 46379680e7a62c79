//! A guest for arm64 on a machine for x86-64. Needs QEMU for arm64, a collector for arm64 of the same sources (`make arm64`, with the
//! profile of the tests), and the network or a cached kernel.

use crate::oracle::agree;
use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::value::{Datum, Value};
use support::{
    Captured, capture_on, collector, evidence_in, folder_with, note_skipped, status_and_message,
};

const MACHINE: &str = "guest:debian-7.3-arm64";

/// One call, from its gate to its return. Nothing but `arch` and lists of paths says that there is more than one architecture.
const INVESTIGATION: &str = r#"
[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
tracepoint = "sys_enter"
name = "gate"
syscall = "socket"
reads = [
    { at = "entry", name = "number", path = ["regs->orig_ax", "regs->syscallno"] },
    { at = "entry", name = "family", path = ["regs->di", "regs->regs[0]"] },
    { at = "entry", name = "code", path = "regs->cs", arch = "x86_64" },
]

[[experiment.probe]]
function = "__x64_sys_socket"
arch = "x86_64"

[[experiment.probe]]
function = "__arm64_sys_socket"
arch = "aarch64"

[[experiment.probe]]
function = "__sys_socket"

[[experiment.probe]]
function = "sock_alloc"

[[experiment.probe]]
function = "inet_create"
reads = [{ at = "exit", name = "sk", path = "sock->sk" }]

[[experiment.probe]]
tracepoint = "sys_exit"
name = "result"
syscall = "socket"
reads = [
    { at = "exit", name = "private_data", path = "fd->private_data" },
    { at = "exit", name = "sk", path = "((struct socket *)fd->private_data)->sk" },
    { at = "exit", name = "back", path = "((struct socket *)fd->private_data)->sk->sk_socket" },
]
"#;

/// The evidence of an investigation of this text; `None`, with a note, where this machine lacks what such a guest needs.
pub fn captured(text: &str) -> Option<Evidence> {
    let folder = folder_with(text);
    let output = capture_on(MACHINE, folder.path(), "i.toml")
        .output()
        .unwrap();
    let (status, message) = status_and_message(&output);
    for lacking in [
        "qemu-system-aarch64",
        "a qed-collector for arm64",
        "made from the sources",
    ] {
        if status != Some(0) && message.contains(lacking) {
            note_skipped(&message);
            return None;
        }
    }
    assert_eq!(status, Some(0), "{message}");
    Some(evidence_in(folder.path()))
}

/// The names on the stack of the first hit of a probe, the innermost first.
fn stack(evidence: &Evidence, probe: &str) -> Vec<String> {
    let hit = &evidence.experiments["create"].probes[probe].hits[0];
    match hit.stack.as_ref() {
        Some(Datum::Value(Value::Stack { value, .. } | Value::CutStack { value, .. })) => value
            .iter()
            .map(|frame| frame.symbol.clone().unwrap_or_default())
            .collect(),
        other => panic!("{probe}: {other:?}"),
    }
}

/// Check that a call on arm64 is seen as it is on x86-64: its number and registers, arguments, results, objects and where they are kept, and
/// on the stack each function that was called, with the caller that only a register knew of; that what is of x86-64 alone
/// says so; and that the evidence names the architecture.
#[test]
fn one_call() {
    let Some(evidence) = captured(INVESTIGATION) else {
        return;
    };
    let quality = &evidence.experiments["create"].quality;
    assert_eq!(
        (quality.lost, quality.marked),
        (0, Some(true)),
        "{quality:?}"
    );
    assert_eq!(evidence.kernel.arch.as_deref(), Some("aarch64"));
    let names = stack(&evidence, "sock_alloc");
    let wanted = [
        "sock_alloc",
        "__sock_create",
        "__sys_socket",
        "__arm64_sys_socket",
    ];
    let mut called = names.iter();
    for name in wanted {
        assert!(
            called.any(|found| found.starts_with(name)),
            "{name}: {names:?}"
        );
    }
    assert!(names.iter().any(|name| name == "el0_svc"), "{names:?}");
    let innermost = stack(&evidence, "__sys_socket");
    assert_eq!(innermost[..2], ["__sys_socket", "__arm64_sys_socket"]);

    let seen = Captured::of(evidence);
    assert_eq!(seen.number("create.gate.entry.number"), 198);
    assert_eq!(seen.number("create.gate.entry.family"), 2);
    let arguments = ["family", "type", "protocol"]
        .map(|name| seen.number(&format!("create.__sys_socket.args.{name}")));
    assert_eq!(arguments, [2, 1, 0]);
    let descriptor = seen.number("create.outcome.returned");
    assert!(descriptor >= 0);
    assert_eq!(seen.number("create.__sys_socket.return"), descriptor);
    let socket = seen.pointer("create.sock_alloc.return");
    for path in [
        "inet_create.args.sock",
        "result.exit.private_data",
        "result.exit.back",
    ] {
        assert_eq!(seen.pointer(&format!("create.{path}")), socket, "{path}");
    }
    assert_eq!(
        seen.pointer("create.inet_create.exit.sk"),
        seen.pointer("create.result.exit.sk")
    );
    let gate = &seen.evidence.experiments["create"].probes["gate"];
    let refused = &gate.refused_reads.entry["code"];
    assert!(
        refused.contains("on x86_64 alone, and this kernel is for aarch64"),
        "{refused}"
    );
}

/// Check that on arm64 our evidence says what the kernel's own events and memory say.
#[test]
fn oracle() {
    // The two programs are built together: where one can be used, the other can.
    if captured(INVESTIGATION).is_some() {
        agree(MACHINE.trim_start_matches("guest:"), 198);
    }
}

/// The return address of one function in all places that it passes through, and probes inside of functions.
const RETURN_ADDRESSES: &str = r#"
[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
function = "__sys_socket"
reads = [
    { at = "entry", name = "slot", path = "return_slot(__sys_socket)" },
    { at = "entry", name = "stack_pointer", path = "regs->sp", kind = "address" },
]

[[experiment.probe]]
function = "__sys_socket"
name = "body"
body = true
reads = [{ at = "entry", name = "slot", path = "return_slot(__sys_socket)" }]

[[experiment.probe]]
function = "__arm64_sys_socket"
name = "before"
before-call = "__sys_socket"
reads = [{ at = "entry", name = "own", path = "regs->regs[30]", kind = "address" }]

[[experiment.probe]]
function = "sock_alloc"
return = false
reads = [
    { at = "entry", name = "slot", path = "return_slot(__sys_socket)" },
    { at = "entry", name = "place", path = "&return_slot(__sys_socket)" },
]

[[experiment.probe]]
function = "sk_alloc"
name = "third"
instruction = 3

[[experiment.probe]]
tracepoint = "kmem_cache_alloc"
name = "allocation"
reads = [{ at = "entry", name = "slot", path = "return_slot(__sys_socket)" }]
"#;

/// Check that the return address of a function on arm64 is read where it is: in the link register at the entry, there changed by the
/// return probe behind it, and in the frame record from a callee, without the signature; that stacks of probes inside of functions
/// hold the caller, whether the register or a record has it, and end where a return probe has replaced it; and that a tracepoint, which
/// knows no stack pointer, is refused such a read.
#[test]
fn return_addresses() {
    let Some(evidence) = captured(RETURN_ADDRESSES) else {
        return;
    };
    let names = |probe| stack(&evidence, probe);
    assert_eq!(
        names("before")[..2],
        ["__arm64_sys_socket", "invoke_syscall"]
    );
    assert_eq!(names("third")[..2], ["sk_alloc", "inet_create"]);
    let hijacked = names("body");
    assert_eq!(hijacked.len(), 2, "{hijacked:?}");
    assert!(
        hijacked[1].ends_with("kretprobe_trampoline"),
        "{hijacked:?}"
    );

    let probes = &evidence.experiments["create"].probes;
    let symbol = |probe: &str, read: &str| match &probes[probe].hits[0].entry[read] {
        Datum::Value(Value::Address { symbol, .. }) => symbol.clone().unwrap_or_default(),
        other => panic!("{probe}.{read}: {other:?}"),
    };
    assert!(symbol("__sys_socket", "slot").starts_with("__arm64_sys_socket+"));
    for hijacked in ["body", "sock_alloc"] {
        let name = symbol(hijacked, "slot");
        assert!(
            name.ends_with("kretprobe_trampoline+0x0"),
            "{hijacked}: {name}"
        );
    }
    let refused = &probes["allocation"].refused_reads.entry["slot"];
    assert!(refused.contains("stack pointer"), "{refused}");

    let seen = Captured::of(evidence);
    // The record is in the frame, below the stack pointer of the entry.
    let below = seen.pointer("create.__sys_socket.entry.stack_pointer")
        - seen.pointer("create.sock_alloc.entry.place");
    assert!((8..4096).contains(&below), "{below}");
}

/// Programs of this machine in each place that an investigation has for them, and a script.
const PROGRAMS: &str = r#"
[[command]]
name = "release"
run = ["uname", "-r"]

[[experiment]]
name = "call"
workload = { syscall = "getpid" }
[[experiment.probe]]
tracepoint = "sys_enter"
syscall = "getpid"

[[experiment]]
name = "program"
workload = { command = ["cat", "/etc/passwd"] }
[[experiment.probe]]
function = "ksys_read"

[[experiment]]
name = "script"
workload = { command = ["./hello"] }
[[experiment.probe]]
function = "ksys_write"
"#;

/// Check that programs for x86-64 are told as such, by a plan, by a capture and in evidence, and that the rest is captured.
#[test]
fn programs_for_another_processor() {
    if captured(INVESTIGATION).is_none() {
        return;
    }
    let folder = folder_with(PROGRAMS);
    let script = folder.path().join("hello");
    std::fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let output = capture_on(MACHINE, folder.path(), "i.toml").output();
    let (status, message) = status_and_message(&output.unwrap());
    assert_eq!(status, Some(0), "{message}");
    let processor = "and this guest's processor is for arm64";
    let of_cat = format!("`cat` is a program for x86-64, {processor}");
    let told = format!("`program` was not run: {of_cat} (i.toml:");
    assert!(message.contains(&told), "{message}");
    let evidence = evidence_in(folder.path());
    let reason = |experiment: &str| match &evidence.experiments[experiment].outcome.exit {
        Datum::Missing(why) => why.reason().to_owned(),
        Datum::Value(value) => panic!("{experiment}: {value:?}"),
    };
    assert_eq!(reason("program"), format!("not run: {of_cat}"));
    assert_eq!(
        reason("script"),
        format!("not run: `./hello` is a script for `/bin/sh`, a program for x86-64, {processor}")
    );
    let call = &evidence.experiments["call"].outcome.returned;
    assert!(matches!(call, Datum::Value(_)), "{call:?}");
    match &evidence.commands["release"].exit {
        Datum::Missing(why) => assert_eq!(
            why.reason(),
            format!("not run: `uname` is a program for x86-64, {processor}")
        ),
        Datum::Value(value) => panic!("{value:?}"),
    }
    let arguments = ["plan", "--investigation", "i.toml", "--on", MACHINE];
    let output = collector(folder.path(), arguments).output().unwrap();
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(plan.contains(&format!("REFUSED: {of_cat}")), "{plan}");
    assert!(
        plan.contains("commands.release: is not run: `uname` is a program for x86-64"),
        "{plan}"
    );

    let arguments = ["discover", "--on", MACHINE, "--", "/bin/cat", "/etc/passwd"];
    let output = collector(folder.path(), arguments).output().unwrap();
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("`/bin/cat` is a program for x86-64"),
        "{message}"
    );

    // Nothing is what it should be in a guest that was not set up.
    let folder = folder_with(&format!("[guest]\nsetup = [\"mkdir /data\"]\n{PROGRAMS}"));
    let output = capture_on(MACHINE, folder.path(), "i.toml").output();
    let (status, message) = status_and_message(&output.unwrap());
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message
            .contains("`sh -c mkdir /data` of `setup` cannot be run: `sh` is a program for x86-64"),
        "{message}"
    );
    assert!(message.contains("i.toml:2:10"), "{message}");
}

/// The collector for arm64 that stands where cargo builds it, or is named, and a program that runs it here. `None`, with a note, where one of them
/// is missing, or the collector is of other sources.
fn emulated_collector() -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let emulator = std::env::split_paths(&path)
        .flat_map(|folder| ["qemu-aarch64", "qemu-aarch64-static"].map(|name| folder.join(name)))
        .find(|file| file.is_file());
    let named = std::env::var_os("QED_COLLECTOR_AARCH64").map(Into::into);
    let built = || {
        let profile = support::program().parent()?;
        let target = profile.parent()?.parent()?;
        let built = target.join("aarch64-unknown-linux-gnu");
        Some(built.join(profile.file_name()?).join("qed-collector"))
    };
    let twin = named.or_else(built).filter(|file| file.is_file());
    if emulator.is_none() || twin.is_none() {
        note_skipped(
            "there is no qemu-aarch64 (Debian: qemu-user), or no collector for arm64 (`make arm64`)",
        );
    }
    emulator.zip(twin)
}

/// Check that the static program for arm64 runs in the user land of an emulator: that `doctor` says what it finds, that a capture of a kernel that
/// is not there to be probed is refused, and that a plan for a guest is the one that the program for x86-64 makes.
#[test]
fn under_user_emulation() {
    let Some((emulator, twin)) = emulated_collector() else {
        return;
    };
    if captured(INVESTIGATION).is_none() {
        return;
    }
    let folder = folder_with(INVESTIGATION);
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&emulator);
        let command = command.arg(&twin).args(arguments);
        command.current_dir(folder.path()).output().unwrap()
    };
    let doctor = run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(0), "{said}");
    for line in ["host", "guest", "qemu-system-aarch64", "guests for x86-64"] {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    // The system call `bpf` is not emulated.
    let capture = ["capture", "--investigation", "i.toml", "--on", "host"];
    let (status, message) = status_and_message(&run(&capture));
    assert_eq!(status, Some(3), "{message}");
    let plan = ["plan", "--investigation", "i.toml", "--on", MACHINE];
    let native = collector(folder.path(), plan).output().unwrap();
    let emulated = run(&plan);
    let (status, message) = status_and_message(&emulated);
    assert_eq!(status, Some(0), "{message}");
    assert_eq!(
        String::from_utf8_lossy(&emulated.stdout),
        String::from_utf8_lossy(&native.stdout)
    );
}

/// Check that the program for arm64 captures in a guest for x86-64, with the collector for that as its first process: the same hits as
/// the program for x86-64 sees there.
#[test]
fn guest_for_x86_64_on_arm64() {
    let Some((emulator, twin)) = emulated_collector() else {
        return;
    };
    let machine = "guest:debian-6.1";
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(emulator);
    command.arg(twin).current_dir(folder.path());
    command.args(["capture", "--on", machine, "--debuginfo", "none"]);
    command.args(["--boots", "0", "-o", "e.json", "--investigation"]);
    command.arg(support::investigation("pipe.toml"));
    command.env("QED_COLLECTOR_X86_64", support::program());
    let (status, message) = status_and_message(&command.output().unwrap());
    assert_eq!(status, Some(0), "{message}");
    let evidence = evidence_in(folder.path());
    assert_eq!(evidence.kernel.arch.as_deref(), Some("x86_64"));
    let accelerator = evidence.machine.accelerator.clone().unwrap_or_default();
    assert!(
        accelerator.contains("this machine is not x86-64"),
        "{accelerator}"
    );
    let hits = |evidence: &Evidence| -> Vec<(String, usize)> {
        let probes = evidence.experiments["pipe"].probes.iter();
        probes
            .map(|(name, probe)| (name.clone(), probe.hits.len()))
            .collect()
    };
    let native = support::captured(machine, "pipe.toml");
    assert_eq!(hits(&evidence), hits(&native.evidence));
    assert!(hits(&evidence).iter().any(|(_, count)| *count > 0));
}

/// Check that it is said at once, and with what to do, that this machine lacks the emulator, or a collector for arm64 of the same sources:
/// by each command that would boot a guest for arm64, and of an image for arm64 as well.
#[test]
fn lacking_machines() {
    let folder = folder_with(INVESTIGATION);
    let mut image = vec![0; 0x206];
    image[56..60].copy_from_slice(b"ARM\x64");
    std::fs::write(folder.path().join("vmlinuz"), image).unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let run = |arguments: &[&str], twin: &str| {
        let mut command = collector(folder.path(), arguments);
        let twin = folder.path().join(twin);
        command.env("PATH", &bin).env("QED_COLLECTOR_AARCH64", twin);
        // Whatever is downloaded goes nowhere.
        command.env("XDG_CACHE_HOME", folder.path().join("cache"));
        let output = command.output().unwrap();
        assert!(
            !folder.path().join("cache/qed/kernels").exists(),
            "{arguments:?}"
        );
        let (status, message) = status_and_message(&output);
        assert_eq!(status, Some(3), "{message}");
        message
    };
    let capture = [
        "capture",
        "--investigation",
        "i.toml",
        "-o",
        "e.json",
        "--on",
    ];
    let plan = ["plan", "--investigation", "i.toml", "--on", MACHINE];
    let discover = ["discover", "--on", MACHINE, "--", "getpid"];
    let of = |machine: &'static str| [&capture[..], &[machine]].concat();
    let package = "`qemu-system-aarch64` was not found in PATH; install it with `apt-get install qemu-system-arm`";
    for arguments in [&of(MACHINE)[..], &of("guest:own=vmlinuz"), &plan, &discover] {
        let message = run(arguments, "none");
        let found = message.contains(package) || message.contains("a qed-collector for arm64");
        assert!(found, "{arguments:?}: {message}");
    }
    assert!(run(&of(MACHINE), "none").contains(package));
    std::fs::write(bin.join("qemu-system-aarch64"), "#!/bin/sh\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("qemu-system-aarch64"), executable).unwrap();
    for arguments in [&of(MACHINE)[..], &of("guest:own=vmlinuz"), &plan, &discover] {
        let message = run(arguments, "none");
        assert!(
            message.contains("a guest of arm64 needs a qed-collector for arm64, and there is none"),
            "{message}"
        );
        // Any file of other sources.
        let message = run(arguments, "i.toml");
        assert!(
            message.contains("i.toml was not made from the sources of this qed-collector")
                && message.contains("`make arm64`"),
            "{message}"
        );
    }
}
