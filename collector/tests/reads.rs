//! Reads whose value a careless reader would take for something else: on real kernels.

use crate::support;

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;
use qed_evidence::value::{Datum, Value};
use support::{
    RESUMED, collector, evidence_in, folder_with, note_skipped, resumed_capture_on,
    status_and_message,
};

const INVESTIGATION: &str = r#"
symbols = ["do_exit", "cpu_info"]

[[experiment]]
name = "open"
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/etc/passwd" }, "O_RDONLY"], returns = "fd" }
[[experiment.probe]]
function = "vfs_open"
reads = [
  { at = "entry", name = "plain", path = "path->dentry->d_name.name" },
  { at = "entry", name = "text", path = "(const char *)path->dentry->d_name.name" },
  { at = "entry", name = "meant", path = "(void *)path->dentry->d_name.name" },
  { at = "entry", name = "whole", path = "path->dentry->d_name", choose = ["hash"] },
  { at = "entry", name = "length", path = "path->dentry->d_name.len" },
  { at = "entry", name = "unsaid", path = "path->dentry->d_name" },
  { at = "entry", name = "both", path = "*path" },
  { at = "entry", name = "mount", path = "path->mnt" },
  { at = "entry", name = "task", path = "*task" },
]
[[experiment.probe]]
function = "I_BDEV"
optional = true

[[experiment]]
name = "refused"
workload = { syscall = "socket", args = ["AF_INET", 77, 0] }
[[experiment.probe]]
function = "__x64_sys_socket"
reads = [{ at = "exit", name = "bare", path = "(long)regs->ax" }]
[[experiment.probe]]
tracepoint = "sys_exit"
name = "result"
"#;

fn datum(evidence: &Evidence, path: &str) -> Datum {
    let leaves = leaves(evidence);
    let leaf = leaves.get(path);
    let leaf = leaf.unwrap_or_else(|| panic!("nothing at {path}"));
    leaf.datum.clone().into_owned()
}

/// Check that an address of a name is told as one with the path of its text, that an error number has its name also at a
/// tracepoint, that a result of unknown type is told with the way to the bare register, and that live addresses need no static
/// table.
#[test]
fn what_is_meant() {
    for guest in ["debian-6.1", "debian-6.12"] {
        let folder = folder_with(INVESTIGATION);
        let machine = format!("guest:{guest}");
        let output = resumed_capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{stderr}");
        for expected in [
            "`open.vfs_open.entry.plain` is an address: `const unsigned char *` may point to a text",
            "(i.toml:10:43); `(const char *)path->dentry->d_name.name` reads the text",
            "`open.vfs_open.entry.task` is not read",
            "and a read brings back 1 to 1024: name a member",
        ] {
            assert!(stderr.contains(expected), "{guest}: {expected}: {stderr}");
        }
        // The name inside of `whole` and of `unsaid` is read by `text`.
        assert_eq!(stderr.lines().count(), 2, "{guest}: {stderr}");
        let evidence = evidence_in(folder.path());
        let at = |path: &str| datum(&evidence, path);
        let text = at("open.vfs_open.entry.text");
        assert_eq!(text, Datum::Value(Value::text("passwd")), "{guest}");
        assert!(at("open.vfs_open.entry.plain").value().is_some());
        let entry = |name: &str| at(&format!("open.vfs_open.entry.{name}"));
        assert_eq!(entry("whole.len"), entry("length"), "{guest}");
        let number = entry("whole.len").value().and_then(Value::as_integer);
        assert_eq!(number, Some(6), "{guest}");
        assert_eq!(entry("whole.name"), entry("plain"), "{guest}");
        assert_eq!(entry("both.mnt"), entry("mount"), "{guest}");
        for (name, reason) in [
            ("whole.hash_len", "another member of its union was chosen"),
            ("unsaid.len", "nothing says which one counts"),
        ] {
            assert!(
                matches!(entry(name), Datum::Missing(why) if why.to_string().contains(reason)),
                "{guest}: {name}"
            );
        }
        let errno = Datum::Value(Value::Errno {
            value: -22,
            name: "EINVAL".into(),
        });
        assert_eq!(at("refused.result.args.ret"), errno, "{guest}");
        let bare = at("refused.__x64_sys_socket.exit.bare");
        assert_eq!(
            bare.value().and_then(Value::as_integer),
            Some(-22),
            "{guest}"
        );
        match at("refused.__x64_sys_socket.return") {
            Datum::Missing(why) => {
                let why = why.to_string();
                assert!(why.contains("type of its result is not known"), "{why}");
                assert!(why.contains("regs->ax"), "{why}");
            }
            known => assert_eq!(known, errno, "{guest}"),
        }
        assert!(
            at("kaslr.symbols.do_exit.live").value().is_some(),
            "{guest}"
        );
        let why = at("kaslr.symbols.do_exit.static");
        assert!(
            matches!(&why, Datum::Missing(why) if why.to_string().contains("static symbol table"))
        );
        let why = at("kaslr.symbols.cpu_info.live");
        assert!(matches!(&why, Datum::Missing(why) if why.to_string().contains("per-CPU")));
    }
}

const STATES: &str = r#"
[[experiment]]
name = "closed"
workload = { before = [{ syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0], result = "sock" }], syscall = "connect", args = ["$sock", { struct = "sockaddr_in", sin_family = "AF_INET", sin_port = 999, sin_addr.s_addr = "127.0.0.1" }, { sizeof = "sockaddr_in" }] }
[[experiment.probe]]
tracepoint = "inet_sock_set_state"
name = "state"
names = { oldstate = "TCP_ESTABLISHED", newstate = "TCP_ESTABLISHED" }
[[experiment.probe]]
function = "tcp_v4_connect"
reads = [
  { at = "exit", name = "state", path = "sk->__sk_common.skc_state", names = "TCP_ESTABLISHED" },
  { at = "exit", name = "number", path = "sk->__sk_common.skc_state" },
  { at = "exit", name = "by_tag", path = "sk->__sk_common.skc_state", names = "bpf_cmd" },
  { at = "exit", name = "swapped", path = "sk->__sk_common.skc_dport", names = "TCP_ESTABLISHED" },
  { at = "exit", name = "misspelt", path = "sk->__sk_common.skc_state", names = "TCP_ESTABLISHD" },
]

[[experiment]]
name = "ends"
until = "exit"
workload = { command = ["true"] }
[[experiment.probe]]
function = "do_exit"
"#;

/// Check that a plain number gets the names of an enumeration of the kernel that runs, by one of its enumerators or by its tag, that
/// what cannot be named so is told with the nearest name, and that a return which never comes is told with what to write.
#[test]
fn names_of_the_kernel() {
    for guest in ["debian-6.1", "debian-6.12"] {
        let folder = folder_with(STATES);
        let machine = format!("guest:{guest}");
        let output = resumed_capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = status_and_message(&output.unwrap());
        assert_eq!(status, Some(0), "{stderr}");
        for expected in [
            "`closed.tcp_v4_connect.exit.misspelt` is not read: no enumeration of this kernel is called `TCP_ESTABLISHD`",
            "the nearest name is `TCP_ESTABLISHED`",
            "`closed.tcp_v4_connect.exit.swapped` is not read: `__be16` is not a plain number",
            "experiment `ends`: 1 return of do_exit was not seen; a function that never returns needs `return = false`",
        ] {
            assert!(stderr.contains(expected), "{guest}: {expected}: {stderr}");
        }
        let evidence = evidence_in(folder.path());
        let named = |path: &str| match datum(&evidence, path) {
            Datum::Value(Value::Enum {
                name, type_name, ..
            }) => (type_name, name.unwrap_or_default()),
            other => panic!("{guest}: {path}: {other:?}"),
        };
        let of_tcp = |name: &str| ("TCP_ESTABLISHED".to_owned(), name.to_owned());
        assert_eq!(
            named("closed.state.hit1.args.oldstate"),
            of_tcp("TCP_CLOSE")
        );
        assert_eq!(
            named("closed.state.hit1.args.newstate"),
            of_tcp("TCP_SYN_SENT")
        );
        assert_eq!(
            named("closed.tcp_v4_connect.exit.state"),
            of_tcp("TCP_SYN_SENT")
        );
        let (tag, name) = named("closed.tcp_v4_connect.exit.by_tag");
        assert!(tag == "bpf_cmd" && name.starts_with("BPF_"), "{tag} {name}");
        let number = datum(&evidence, "closed.tcp_v4_connect.exit.number");
        assert_eq!(
            number.value().and_then(Value::as_integer),
            Some(2),
            "{guest}"
        );
    }
}

/// Check that the investigation of the guide's page on finding what to watch is captured without a note, and sees what the page says.
#[test]
fn the_guides_example() {
    let page = include_str!("../../guide/src/find.md");
    let start = page.find("```toml\n").unwrap() + "```toml\n".len();
    let text = &page[start..start + page[start..].find("\n```").unwrap()];
    for guest in ["debian-6.1", "debian-6.12"] {
        let folder = folder_with(text);
        let machine = format!("guest:{guest}");
        let output = resumed_capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = status_and_message(&output.unwrap());
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{guest}");
        let evidence = evidence_in(folder.path());
        let at = |path: &str| datum(&evidence, path);
        let name = Datum::Value(Value::text("passwd"));
        assert_eq!(at("openat.vfs_open.entry.file_name"), name, "{guest}");
        let given = at("openat.fd_install.args.fd");
        assert_eq!(given, at("openat.outcome.returned"), "{guest}");
    }
}

/// Check that a function of which the debug info says that it does not return misses no return, so that silence and counts in its
/// experiment prove something.
#[test]
fn functions_that_never_return() {
    let text = r#"
[[experiment]]
name = "ends"
until = "exit"
workload = { command = ["true"] }
[[experiment.probe]]
function = "do_exit"
[[experiment.probe]]
function = "do_task_dead"
"#;
    let folder = folder_with(text);
    let args = [
        "capture",
        "--on",
        "guest:debian-6.12",
        "--investigation",
        "i.toml",
        "-o",
        "e.json",
    ];
    let output = collector(folder.path(), args)
        .args(RESUMED)
        .output()
        .unwrap();
    let (status, stderr) = status_and_message(&output);
    assert_eq!(status, Some(0), "{stderr}");
    let evidence = evidence_in(folder.path());
    if let Datum::Missing(why) = &evidence.kernel.debuginfo {
        return note_skipped(&format!("no debug info: {why}"));
    }
    assert_eq!(evidence.instances["do_exit"].never_returns, Some(true));
    let experiment = &evidence.experiments["ends"];
    assert_eq!(experiment.probes["do_exit"].hits.len(), 1);
    assert_eq!(
        experiment.quality.missed, 0,
        "{:?}",
        experiment.quality.notes
    );
    assert!(!stderr.contains("was not seen"), "{stderr}");
}

/// Check that the address of a member is missing where the pointer to its structure is NULL, instead of being the member's offset.
#[test]
fn inside_of_null() {
    let investigation = r#"
[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }
[[experiment.probe]]
function = "sock_alloc"
reads = [{ at = "exit", name = "lock", path = "&return->sk->sk_lock" }, { at = "exit", name = "state", path = "&return->state" }]
[[experiment.probe]]
function = "inet_create"
reads = [{ at = "exit", name = "lock", path = "&sock->sk->sk_lock" }]
"#;
    for guest in ["debian-6.1", "debian-6.12"] {
        let folder = folder_with(investigation);
        let machine = format!("guest:{guest}");
        let output = resumed_capture_on(&machine, folder.path(), "i.toml").output();
        let (status, stderr) = status_and_message(&output.unwrap());
        if status == Some(3) {
            note_skipped(&stderr);
            return;
        }
        assert_eq!(status, Some(0), "{guest}: {stderr}");
        let evidence = evidence_in(folder.path());
        let unlinked = datum(&evidence, "create.sock_alloc.exit.lock");
        assert!(
            matches!(&unlinked, Datum::Missing(why) if why.to_string().contains("points into is NULL")),
            "{guest}: {unlinked:?}"
        );
        for path in [
            "create.sock_alloc.exit.state",
            "create.inet_create.exit.lock",
        ] {
            let linked = datum(&evidence, path);
            assert!(
                matches!(linked, Datum::Value(Value::Address { .. })),
                "{guest}: {path}: {linked:?}"
            );
        }
    }
}
