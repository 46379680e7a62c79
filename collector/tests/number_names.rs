//! Names of numbers that an author declared: on real kernels.

use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::{evidence_in, folder_with, resumed_capture_on, status_and_message};

const INVESTIGATION: &str = r#"
[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/etc/passwd" }, "O_RDONLY|O_NONBLOCK"], returns = "fd" }
[[experiment.probe]]
function = "vfs_open"
reads = [
  { at = "entry", name = "flags", path = "file->f_flags", names = "O" },
  { at = "entry", name = "bits", path = "file->f_flags" },
  { at = "entry", name = "mode", path = "path->dentry->d_inode->i_mode", names = "S" },
  { at = "entry", name = "started", path = "task->start_time", kind = "time" },
  { at = "entry", name = "nanoseconds", path = "task->start_time" },
  { at = "entry", name = "name", path = "path->dentry->d_name", kind = "text" },
  { at = "entry", name = "name_by_pointer", path = "path->dentry->d_name.name", kind = "text" },
  { at = "entry", name = "no_text", path = "file->f_flags", kind = "text" },
  { at = "entry", name = "misspelt", path = "file->f_flags", names = "kmem_cache_alloc.gfp_flag" },
  { at = "entry", name = "unknown", path = "file->f_flags", names = "kmem_cache_allocate.gfp_flags" },
  { at = "entry", name = "pointer", path = "file->f_op", names = "O" },
  { at = "entry", name = "no_address", path = "file->f_flags", kind = "ip" },
]
[[experiment.probe]]
tracepoint = "kmem_cache_alloc"
name = "allocated"
names = { gfp_flags = "kmem_cache_alloc.gfp_flags" }

[[experiment]]
name = "walk"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/etc/passwd" }, "O_RDONLY"], returns = "fd" }
[[experiment.probe]]
function = "__d_lookup_rcu"
reads = [
  { at = "entry", name = "part", path = "*name", kind = "text" },
  { at = "entry", name = "rest", path = "name->name", kind = "text" },
]

[[experiment]]
name = "status"
workload = { syscall = "statx", args = ["AT_FDCWD", { text = "/etc/passwd" }, 0, 0x7ff, { buffer = "status", size = 256 }] }
[[experiment.probe]]
function = "cp_statx"
reads = [
  { at = "entry", name = "changed", path = "stat->mtime", kind = "time" },
  { at = "entry", name = "seconds", path = "stat->mtime.tv_sec" },
  { at = "entry", name = "part", path = "stat->mtime.tv_nsec" },
  { at = "entry", name = "no_time", path = "stat->uid", kind = "time" },
]

[[experiment]]
name = "closed"
workload = { before = [{ syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" }], syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_family = "AF_INET", sin_port = 999, sin_addr.s_addr = "127.0.0.1" }, { sizeof = "sockaddr_in" }] }
[[experiment.probe]]
function = "tcp_v4_connect"
reads = [
  { at = "exit", name = "to", path = "sk->__sk_common.skc_daddr", kind = "ip" },
  { at = "exit", name = "state", path = "sk->__sk_common.skc_state", names = "inet_sock_set_state.newstate" },
]

[[experiment]]
name = "root"
workload = { syscall = "setuid", args = [0] }
[[experiment.probe]]
function = "cap_capable"
names = { cap = "CAP" }
reads = [{ at = "entry", name = "effective", path = "cred->cap_effective.val", kind = "flags", names = "CAP" }]

[[experiment]]
name = "timer"
workload = { before = [{ syscall = "timerfd_create", args = ["CLOCK_MONOTONIC", 0], result = "timer" }], syscall = "timerfd_settime", args = ["$timer", 0, { struct = "__kernel_itimerspec", it_value.tv_sec = 9 }, "NULL"] }
[[experiment.probe]]
function = "__x64_sys_timerfd_settime"
reads = [{ at = "entry", name = "descriptor", path = "((struct pt_regs *)regs->di)->di", kind = "fd" }]
[[experiment.probe]]
function = "hrtimer_start_range_ns"
names = { mode = "hrtimer_mode" }
"#;

fn value(evidence: &Evidence, path: &str) -> Value {
    let leaves = leaves(evidence);
    let leaf = leaves.get(path);
    let leaf = leaf.unwrap_or_else(|| panic!("nothing at {path}"));
    match leaf.datum.as_ref() {
        Datum::Value(value) => value.clone(),
        missing => panic!("{path}: {missing:?}"),
    }
}

/// Check that flags of system calls, modes of files, capabilities, the kernel's flags of allocations, states and addresses have
/// their names, that the tables behind them are in the evidence, and that what has no names is told with what is meant.
#[test]
fn of_three_kernels() {
    for guest in ["debian-6.1", "debian-6.12", "debian-7.3"] {
        let folder = folder_with(INVESTIGATION);
        let machine = format!("guest:{guest}");
        let output = resumed_capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{guest}: {stderr}");
        for expected in [
            "`open.vfs_open.entry.misspelt` is not read: `names`: of the tracepoint `kmem_cache_alloc`: its format has no names for \
             `gfp_flag`; it has some for `gfp_flags`",
            "this kernel has no tracepoint `kmem_cache_allocate`",
            "is not a plain number that `names = \"O\"` could name",
            "and an IP address is `__be32`, or 4 or 16 bytes",
            "and a text is a pointer to `char` or `unsigned char`, an array of `char`, or a `struct qstr`",
            "`stat->uid` is `kuid_t`, a structure: `kind` and `names` are for one value",
        ] {
            assert!(stderr.contains(expected), "{guest}: {expected}: {stderr}");
        }
        // The parameter is `const`, which does not make it another enumeration. Linux 7.3 starts this timer otherwise.
        let enumeration =
            "`enum hrtimer_mode` is an enumeration, whose names are known without `names`";
        assert!(
            guest == "debian-7.3" || stderr.contains(enumeration),
            "{guest}: {stderr}"
        );
        let evidence = evidence_in(folder.path());
        let shown = |path: &str| value(&evidence, path).to_string();
        let open = |name: &str| value(&evidence, &format!("open.vfs_open.entry.{name}"));
        assert_eq!(
            open("flags").to_string(),
            "O_RDONLY|O_NONBLOCK|O_LARGEFILE",
            "{guest}"
        );
        assert_eq!(open("flags").as_integer(), open("bits").as_integer());
        // As the guide has it: an argument of a system call, in the registers that its function gets.
        let settime = "timer.__x64_sys_timerfd_settime.entry.descriptor";
        assert_eq!(shown(settime), "3", "{guest}");
        assert_eq!(open("mode").to_string(), "S_IFREG|0644", "{guest}");
        let Value::Time { ns } = open("started") else {
            panic!("{guest}: no time");
        };
        assert_eq!(open("nanoseconds").as_integer(), Some(ns.into()), "{guest}");
        assert_eq!(open("name"), Value::text("passwd"), "{guest}");
        assert_eq!(open("name_by_pointer"), Value::text("passwd"), "{guest}");
        let lookup =
            |name: &str| value(&evidence, &format!("walk.__d_lookup_rcu.hit1.entry.{name}"));
        // The name is a part of the path, and no NUL ends it.
        assert_eq!(lookup("part"), Value::text("etc"), "{guest}");
        assert_eq!(lookup("rest"), Value::text("etc/passwd"), "{guest}");
        let status = |name: &str| value(&evidence, &format!("status.cp_statx.entry.{name}"));
        let Value::Time { ns } = status("changed") else {
            panic!("{guest}: no time");
        };
        let number = |name: &str| status(name).as_integer().unwrap();
        assert_eq!(
            i128::from(ns),
            number("seconds") * 1_000_000_000 + number("part"),
            "{guest}"
        );
        assert!(ns > 0, "{guest}");
        let allocated = shown("open.allocated.hit1.args.gfp_flags");
        assert!(allocated.starts_with("GFP_KERNEL"), "{guest}: {allocated}");
        let to = value(&evidence, "closed.tcp_v4_connect.exit.to");
        assert_eq!(to, Value::text("127.0.0.1"), "{guest}");
        assert_eq!(shown("closed.tcp_v4_connect.exit.state"), "TCP_SYN_SENT");
        assert_eq!(shown("root.cap_capable.hit1.args.cap"), "CAP_SETUID");
        if guest != "debian-6.1" {
            let effective = shown("root.cap_capable.hit1.entry.effective");
            assert!(effective.starts_with("CAP_CHOWN|"), "{guest}: {effective}");
            assert!(effective.contains("|CAP_SYS_ADMIN|"), "{guest}");
        }
        let sets = &evidence.names.flags;
        assert!(sets.contains_key("O") && sets.contains_key("kmem_cache_alloc.gfp_flags"));
    }
}
