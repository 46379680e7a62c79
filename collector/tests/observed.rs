//! Limits of what an experiment as a whole could see, in guests: what the kernel skipped, children, time limits, 32-bit
//! calls, interrupts. Needs QEMU, and the network or cached kernels.

use crate::support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use qed_evidence::claim::{Claim, Judgement, SourceMap, Verdict, judge};
use qed_evidence::diagnostic::SourceText;
use qed_evidence::document::{Context, Descendants, Evidence};
use qed_evidence::investigation::{Investigation, parse};
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::value::{Datum, Value};
use support::{GUESTS, evidence_in, folder_with, resumed_capture_on, status_and_message};

/// A program of 64 bits that goes through the 32-bit gate, `int 0x80`, where 20 is getpid and 39 is mkdir; 20 is writev
/// in a 64-bit call. Then it ends with status 0.
const THROUGH_THE_OTHER_GATE: &[u8] = &[
    0xb8, 20, 0, 0, 0, 0xcd, 0x80, // mov eax, 20; int 0x80
    0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, // mov eax, 60; xor edi, edi; syscall
];

/// Starts a thread, which makes a directory, and ends when the directory is there.
const MAKES_A_THREAD: &[u8] = &[
    0xb8, 0x38, 0, 0, 0, 0xbf, 0, 0x0f, 5,
    0, // mov eax, 56 (clone); mov edi, 0x50f00 (CLONE_THREAD and what it needs)
    0x48, 0x8d, 0xb4, 0x24, 0, 0xf0, 0xff, 0xff, // lea rsi, [rsp-4096]
    0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0, 0x0f, 5, // zeros in rdx, r10, r8; syscall
    0x85, 0xc0, 0x75, 0x1c, // test eax, eax; jne PARENT
    0xb8, 0x53, 0, 0, 0, 0x48, 0x8d, 0x3d, 0x2d, 0, 0,
    0, // mov eax, 83 (mkdir); lea rdi, PATH
    0xbe, 0xed, 1, 0, 0, 0x0f, 5, // mov esi, 0755; syscall
    0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 5, // mov eax, 60 (exit); xor edi, edi; syscall
    // PARENT:
    0xb8, 0x15, 0, 0, 0, 0x48, 0x8d, 0x3d, 0x11, 0, 0,
    0, // mov eax, 21 (access); lea rdi, PATH
    0x31, 0xf6, 0x0f, 5, 0x85, 0xc0, 0x75,
    0xec, // xor esi, esi; syscall; test eax, eax; jne PARENT
    0xb8, 0xe7, 0, 0, 0, 0x31, 0xff, 0x0f,
    5, // mov eax, 231 (exit_group); xor edi, edi; syscall
    b'/', b'm', b'a', b'd', b'e', b'-', b'b', b'y', b'-', b'a', b'-', b't', b'h', b'r', b'e', b'a',
    b'd', 0,
];

/// Makes a hash table by bpf(2), puts an element into it, and ends with the error of that.
const UPDATES_A_MAP: &[u8] = &[
    0x48, 0x81, 0xec, 0, 1, 0, 0, // sub rsp, 256
    0x48, 0x89, 0xe7, 0x31, 0xc0, 0xb9, 0x20, 0, 0, 0, 0xf3, 0x48, 0xab, // all of it zeros
    0xc7, 0x04, 0x24, 1, 0, 0, 0, // BPF_MAP_TYPE_HASH
    0xc7, 0x44, 0x24, 4, 4, 0, 0, 0, // bytes of a key
    0xc7, 0x44, 0x24, 8, 8, 0, 0, 0, // bytes of a value
    0xc7, 0x44, 0x24, 12, 4, 0, 0, 0, // elements
    0xb8, 0x41, 1, 0, 0, 0x31, 0xff, // mov eax, 321; xor edi, edi
    0x48, 0x89, 0xe6, 0xba, 0x48, 0, 0, 0, 0x0f, 0x05, // mov rsi, rsp; mov edx, 72; syscall
    0x89, 0xc3, // mov ebx, eax
    0x48, 0x89, 0xe7, 0x31, 0xc0, 0xb9, 0x20, 0, 0, 0, 0xf3, 0x48, 0xab, // zeros again
    0x89, 0x1c, 0x24, // the table
    0x48, 0x8d, 0x84, 0x24, 0x80, 0, 0, 0, // lea rax, [rsp+128]
    0x48, 0x89, 0x44, 0x24, 8, 0x48, 0x89, 0x44, 0x24, 16, // key and value
    0xb8, 0x41, 1, 0, 0, 0xbf, 2, 0, 0, 0, // mov eax, 321; mov edi, 2
    0x48, 0x89, 0xe6, 0xba, 0x20, 0, 0, 0, 0x0f, 0x05, // mov rsi, rsp; mov edx, 32; syscall
    0xf7, 0xd8, 0x89, 0xc7, 0xb8, 0x3c, 0, 0, 0, 0x0f,
    0x05, // neg eax; mov edi, eax; mov eax, 60; syscall
];

/// A static program of this code, and nothing else.
fn program(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    let size = 120 + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    for word in [BASE + 120, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // To be loaded, readable and executable.
    for half in [1_u32, 5] {
        file.extend(half.to_le_bytes());
    }
    for word in [0, BASE, BASE, size, size, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

const INVESTIGATION: &str = r#"
[[command]]
name = "tools"
run = ["mkdir", "--version"]

[[command]]
name = "more"
run = ["sleep", "0"]

# A probe raises a signal; sending it calls a function with a probe, inside of the first one's program.
[[experiment]]
name = "sent"
workload = { syscall = "getppid" }
[[experiment.probe]]
function = "__x64_sys_getppid"
signal = { name = "SIGURG", at = "entry" }
[[experiment.probe]]
function = "do_send_sig_info"
[[experiment.probe]]
tracepoint = "signal_generate"
name = "generated"

[[experiment]]
name = "killed"
workload = { syscall = "kill", args = [0, 23] }
[[experiment.probe]]
function = "do_send_sig_info"
[[experiment.probe]]
function = "__x64_sys_getppid"

# So is a first call of it, and a second one is not.
[[experiment]]
name = "twice"
workload = { command = ["sh", "-c", "echo $PPID; kill -URG $$"] }
[[experiment.probe]]
function = "__x64_sys_kill"
[[experiment.probe]]
function = "__x64_sys_getppid"
signal = { name = "SIGURG", at = "entry" }
[[experiment.probe]]
function = "do_send_sig_info"

# A child makes a directory.
[[experiment]]
name = "child"
workload = { command = ["sh", "-c", "mkdir /made-by-a-child; true"] }
[[experiment.probe]]
function = "vfs_mkdir"
[[experiment.probe]]
function = "kernel_clone"

# A thread does.
[[experiment]]
name = "thread"
workload = { command = ["THREAD"] }
[[experiment.probe]]
function = "vfs_mkdir"

# A grandchild does, when its parents have ended.
[[experiment]]
name = "followed"
workload = { command = ["sh", "-c", "(sleep 0.2; mkdir /made-by-a-grandchild) & true"] }
until = "exit"
follow = true
[[experiment.probe]]
function = "vfs_mkdir"

[[experiment]]
name = "direct"
workload = { syscall = "mkdir", args = [{ text = "/tmp-a" }, 448] }
[[experiment.probe]]
function = "vfs_mkdir"

[[experiment]]
name = "slow"
workload = { command = ["sleep", "100"] }
timeout-ms = 1500
[[experiment.probe]]
function = "vfs_mkdir"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "enter"

[[experiment]]
name = "crashed"
workload = { command = ["sh", "-c", "kill -SEGV $$"] }
[[experiment.probe]]
function = "vfs_mkdir"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "enter"

# 20 is writev, and another call at the 32-bit gate.
[[experiment]]
name = "gate"
workload = { command = ["PROGRAM"] }
[[experiment.probe]]
tracepoint = "sys_enter"
name = "writev"
syscall = "writev"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "any"
reads = [
  { at = "entry", name = "number", path = "regs->orig_ax" },
  { at = "entry", name = "again", path = "id" },
  { at = "entry", name = "task", path = "task->tgid" },
]
[[experiment.probe]]
tracepoint = "sys_exit"
name = "any_exit"
reads = [{ at = "exit", name = "number", path = "regs->orig_ax" }]
[[experiment.probe]]
function = "__x64_sys_exit"
[[experiment.probe]]
function = "do_exit"
return = false

# Long enough for a clock's tick.
[[experiment]]
name = "busy"
workload = { command = ["sh", "-c", "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"] }
[[experiment.probe]]
function = "update_process_times"
name = "tick"
stack = true
return = false

# What bpf(2) runs while it keeps programs out.
[[experiment]]
name = "update"
workload = { command = ["UPDATES"] }
[[experiment.probe]]
function = "htab_map_update_elem"
[[experiment.probe]]
function = "do_exit"
return = false

# System calls other than the workload's.
[[experiment]]
name = "others"
workload = { syscall = "mkdir", args = [{ text = "/tmp-b" }, 448] }
[[experiment.probe]]
tracepoint = "sys_enter"
name = "rmdir_in"
syscall = "rmdir"
[[experiment.probe]]
tracepoint = "sys_exit"
name = "rmdir_out"
syscall = "rmdir"
[[experiment.probe]]
tracepoint = "sys_exit"
name = "out"

# One system call, and all of them.
[[experiment]]
name = "all"
workload = { command = ["mkdir", "/made-by-a-command"] }
[[experiment.probe]]
tracepoint = "sys_enter"
name = "mkdir_in"
syscall = "mkdir"
[[experiment.probe]]
tracepoint = "sys_enter"
name = "any"

# The call that the process itself makes, too, when it reports.
[[experiment]]
name = "written"
workload = { syscall = "write", args = [1, { text = "x" }, 1] }
[[experiment.probe]]
function = "__x64_sys_write"
"#;

struct Observed {
    evidence: Evidence,
    investigation: Investigation,
}

impl Observed {
    fn in_guest(name: &str) -> Self {
        let folder = folder_with("");
        let mut text = INVESTIGATION.to_owned();
        for (word, name, code) in [
            ("PROGRAM", "through-the-other-gate", THROUGH_THE_OTHER_GATE),
            ("UPDATES", "updates-a-map", UPDATES_A_MAP),
            ("THREAD", "makes-a-thread", MAKES_A_THREAD),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, program(code)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            text = text.replace(word, path.to_str().unwrap());
        }
        std::fs::write(folder.path().join("i.toml"), &text).unwrap();
        let output = resumed_capture_on(&format!("guest:{name}"), folder.path(), "i.toml")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", status_and_message(&output).1);
        Self::of(folder.path(), &text)
    }

    fn of(folder: &Path, text: &str) -> Self {
        Self {
            evidence: evidence_in(folder),
            investigation: parse("i.toml", text).unwrap(),
        }
    }

    fn judge(&self, text: &str) -> Judgement {
        let source = Arc::new(SourceText {
            name: "chapter.md".into(),
            text: text.into(),
        });
        let claim = Claim::parse("a_claim", text, SourceMap::new(source, 0), None).unwrap();
        let machines = [Indexed::new(&self.evidence)];
        let catalog = Catalog {
            investigation: &self.investigation,
            machines: &machines,
        };
        judge(&claim, &catalog, &machines[0])
    }

    #[track_caller]
    fn is(&self, claim: &str, verdict: Verdict, reason: &str) {
        let found = self.judge(claim);
        let message = found.reason.unwrap_or_default();
        let machine = &self.evidence.machine.name;
        assert_eq!(found.verdict, verdict, "{machine}: {claim}: {message}");
        assert!(message.contains(reason), "{machine}: {claim}: {message}");
    }
}

/// Check that what an experiment could not see makes no claim pass, on both kernels: a hit that the kernel skipped,
/// children that nobody followed, a run that a limit or a signal cut short, a 32-bit call that only has a number in
/// common, and interrupts on top of the task; and that what it saw is judged.
#[test]
fn what_was_not_seen_proves_nothing() {
    for name in GUESTS {
        let seen = Observed::in_guest(name);
        let experiments = &seen.evidence.experiments;

        seen.is(
            "never(sent.do_send_sig_info)",
            Verdict::Unverified,
            "skipped 1 hit",
        );
        seen.is(
            "sent.quality.lost == 0",
            Verdict::Unverified,
            "skipped 1 hit",
        );
        seen.is("fired(sent.generated) == 1", Verdict::Pass, "");
        let sent = &experiments["sent"].probes;
        assert_eq!(sent["generated"].hits[0].context, Some(Context::Act));
        assert_eq!(sent["__x64_sys_getppid"].skipped, Some(0), "{name}");

        for claim in [
            "before(twice.__x64_sys_kill, twice.do_send_sig_info)",
            "inside(twice.do_send_sig_info.hit1, twice.__x64_sys_kill)",
            "twice.do_send_sig_info.hit1.order > twice.__x64_sys_getppid.return_order",
        ] {
            seen.is(claim, Verdict::Unverified, "which hit");
        }

        seen.is(
            "never(child.vfs_mkdir)",
            Verdict::Unverified,
            "was not watched",
        );
        // A thread belongs to the process.
        seen.is("never(thread.vfs_mkdir)", Verdict::Fail, "");
        let task = &experiments["thread"].probes["vfs_mkdir"].hits[0].task;
        assert_ne!(task.pid, task.tid, "{name}");
        seen.is("never(followed.vfs_mkdir)", Verdict::Fail, "");
        // Without debug information it is not known where it is inlined: at least once is what was seen.
        seen.is("fired(followed.vfs_mkdir) >= 1", Verdict::Pass, "");
        seen.is(
            "fired(followed.vfs_mkdir) == 1",
            Verdict::Unverified,
            "is inlined",
        );
        let followed = experiments["followed"].quality.descendants;
        let Some(Descendants {
            started,
            followed,
            running: 0,
        }) = followed
        else {
            panic!("{name}: {followed:?}");
        };
        assert!(
            started >= 2 && followed == started,
            "{name}: {started} {followed}"
        );
        let hit = &experiments["followed"].probes["vfs_mkdir"].hits[0];
        assert_eq!(hit.task.name, "mkdir");

        for cut in ["slow", "crashed"] {
            let claim = format!("never({cut}.vfs_mkdir)");
            seen.is(&claim, Verdict::Unverified, "may be shorter");
        }

        // Until it is executed, a command's process is the collector's own program.
        for hit in &experiments["slow"].probes["enter"].hits {
            assert_eq!(hit.task.name, "sleep", "{name}");
        }

        seen.is("never(gate.writev)", Verdict::Unverified, "32-bit");
        assert!(
            experiments["gate"].probes["writev"].hits.is_empty(),
            "{name}"
        );
        assert_eq!(experiments["gate"].quality.compat_calls, Some(1), "{name}");
        // A probe of all calls sees it, and its number is not that of a 64-bit call.
        let any = &experiments["gate"].probes["any"].hits;
        let numbers: Vec<_> = any.iter().map(|hit| hit.args["id"].value()).collect();
        let other = numbers
            .iter()
            .position(Option::is_none)
            .expect("a 32-bit call");
        let others = (numbers.iter().flatten()).map(|number| number.as_integer());
        assert_eq!(numbers.len() - others.clone().count(), 1, "{name}: {any:?}");
        assert!(
            others.flatten().all(|number| number != 20),
            "{name}: {any:?}"
        );
        let claim = format!("gate.any.hit{}.args.id == 20", other + 1);
        seen.is(&claim, Verdict::Unverified, "a 32-bit system call");
        let read = |name: &str| any[other].entry[name].value();
        assert_eq!(
            (read("number"), read("again")),
            (None, None),
            "{name}: {any:?}"
        );
        assert!(read("task").is_some(), "{name}: {any:?}");
        let exits = &experiments["gate"].probes["any_exit"].hits;
        assert!(exits.iter().all(|hit| hit.args["ret"].value().is_some()));
        let unknown = exits
            .iter()
            .filter(|hit| hit.exit["number"].value().is_none());
        assert_eq!(unknown.count(), 1, "{name}: {exits:?}");
        seen.is("fired(gate.do_exit) >= 1", Verdict::Pass, "");

        seen.is("fired(busy.tick) > 0", Verdict::Unverified, "interrupt");
        for hit in &experiments["busy"].probes["tick"].hits {
            assert_eq!(hit.context, Some(Context::Hardirq), "{name}");
            let Some(Datum::Value(Value::Stack { value })) = &hit.stack else {
                panic!("{name}: no stack");
            };
            assert!(
                value.iter().any(|frame| frame.interrupts),
                "{name}: {value:?}"
            );
        }

        // The element was put in, and no program saw it.
        let update = &experiments["update"];
        let exit = update.outcome.exit.value().and_then(Value::as_integer);
        assert_eq!(exit, Some(0), "{name}");
        seen.is(
            "never(update.htab_map_update_elem)",
            Verdict::Unverified,
            "the kernel skipped",
        );
        assert!(update.probes["htab_map_update_elem"].hits.is_empty());
        // It is told of that function alone.
        assert_eq!(update.probes["do_exit"].skipped, Some(0), "{name}");
        seen.is("fired(update.do_exit) >= 1", Verdict::Pass, "");

        let others = &experiments["others"];
        assert_eq!(others.quality.lost, 0, "{name}: {:?}", others.quality);
        let hits = |probe: &str| others.probes[probe].hits.len();
        let seen_calls = [hits("rmdir_in"), hits("rmdir_out"), hits("out")];
        assert_eq!(seen_calls, [0, 0, 1], "{name}");
        seen.is("fired(others.out) == 1", Verdict::Pass, "");
        let all = &experiments["all"].probes;
        assert_eq!(all["mkdir_in"].hits.len(), 1, "{name}");
        assert!(all["any"].hits.len() > 5, "{name}");

        // The line that it reports by is written from elsewhere.
        seen.is("fired(written.__x64_sys_write) >= 1", Verdict::Pass, "");
        let writes = &experiments["written"].probes["__x64_sys_write"].hits;
        assert_eq!(writes.len(), 1, "{name}");
    }
}
