//! Facts of a build, `[facts]`, on real kernels. Needs QEMU, and the network or cached kernels.

use crate::support;

use qed_evidence::investigation::parse;
use qed_evidence::path_index::resolve::{Catalog, Indexed, Resolved};
use qed_evidence::value::Value;
use support::{GUESTS, captured_from};

/// Names that some kernel has and another does not, and invented ones.
const FACTS: &str = r#"
[facts]
types = ["socket", "socket_state", "gfp_t", "sokket"]
functions = ["sock_alloc", "sock_allok", "dentry_stat"]
tracepoints = ["kmem_cache_alloc", "sys_enter_socket", "kmem_cache_allok"]
syscalls = ["socket", "fstat", "mseal", "create_module"]
config = ["net", "no_such_option"]

[[experiment]]
name = "e"
workload = { syscall = "getpid" }
[[experiment.probe]]
tracepoint = "sys_exit"
"#;

/// Check that what is there has its size, offsets, numbers, prototype and format, that what is not there is said not to be where no module can have it, and that
/// nothing is said of names that the investigation does not have.
#[test]
fn of_each_kernel() {
    let investigation = parse("i.toml", FACTS).unwrap();
    for guest in GUESTS {
        let (evidence, _) = captured_from(guest, FACTS);
        let machines = [Indexed::new(&evidence)];
        let catalog = Catalog {
            investigation: &investigation,
            machines: &machines,
        };
        let value = |path: &str| match catalog.resolve(&machines[0], &path.parse().unwrap()) {
            Ok(Resolved::Value(value, _)) => value.into_owned(),
            other => panic!("{guest}: {path}: {other:?}"),
        };
        for (path, exists) in [
            ("types.socket.exists", true),
            ("types.socket.members.sk.exists", true),
            ("types.socket.members.skk.exists", false),
            ("types.socket_state.enumerators.SS_CONNECTED.exists", true),
            ("types.socket_state.enumerators.SS_CONNEKTED.exists", false),
            ("functions.sock_alloc.exists", true),
            ("tracepoints.kmem_cache_alloc.exists", true),
            ("tracepoints.kmem_cache_alloc.fields.ptr.exists", true),
            ("tracepoints.kmem_cache_alloc.fields.pointer.exists", false),
            ("tracepoints.sys_enter_socket.exists", true),
            ("syscalls.socket.exists", true),
            // Its function has another name than the call.
            ("syscalls.fstat.exists", true),
            ("syscalls.create_module.exists", false),
            ("config.net.exists", true),
            ("config.no_such_option.exists", false),
        ] {
            assert_eq!(
                value(path),
                Value::Bool { value: exists },
                "{guest}: {path}"
            );
        }
        for (path, text) in [
            ("types.socket.kind", "struct"),
            ("types.socket.members.sk.type", "struct sock *"),
            ("types.gfp_t.names", "unsigned int"),
            (
                "functions.sock_alloc.prototype",
                "struct socket *sock_alloc(void)",
            ),
            (
                "tracepoints.kmem_cache_alloc.fields.ptr.type",
                "const void *",
            ),
            ("tracepoints.kmem_cache_alloc.group", "kmem"),
            ("config.net.value", "y"),
        ] {
            assert_eq!(value(path), Value::text(text), "{guest}: {path}");
        }
        for (path, number) in [
            ("types.socket_state.SS_CONNECTED", 3),
            ("syscalls.socket.number", 41),
        ] {
            assert_eq!(value(path).as_integer(), Some(number), "{guest}: {path}");
        }
        // Debian's kernels have modules, and any of those that are not loaded may have it.
        for path in [
            "types.sokket.exists",
            "types.sokket.members.sk.exists",
            "tracepoints.kmem_cache_allok.exists",
            "functions.sock_allok.exists",
            // A variable, which has the letter of code from 6.18 on at the latest.
            "functions.dentry_stat.exists",
        ] {
            let found = catalog.resolve(&machines[0], &path.parse().unwrap());
            assert!(
                matches!(found, Ok(Resolved::Missing(_))),
                "{guest}: {path}: {found:?}"
            );
        }
        // A member that no machine has, and a name that the investigation does not have, are mistakes.
        for path in [
            "types.socket.members.skk.offset",
            "types.sock.size",
            "types.socket_state.SS_CONNEKTED",
        ] {
            assert!(
                catalog
                    .resolve(&machines[0], &path.parse().unwrap())
                    .is_err(),
                "{guest}: {path}"
            );
        }
    }
}
