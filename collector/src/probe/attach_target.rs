//! The targets that programs can be attached to.

/// One target to attach to, once per capture, however many experiments use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttachTarget {
    /// A kernel function, or an instruction in it.
    Kprobe {
        /// Its name, for messages.
        function: String,
        /// Its live address: the probe is placed by address, so that the right one of several functions with the same name is
        /// probed, and hits are distinguished by it.
        address: u64,
        /// Bytes from `address` to the probed instruction. Not 0: entry only, without return probe.
        offset: u64,
        /// Probe the entry.
        entry: bool,
        /// Probe the return.
        return_probe: bool,
    },
    /// A raw tracepoint.
    Tracepoint {
        /// Its name, e.g. `sys_exit`.
        name: String,
        /// Number of arguments (its `TP_PROTO`; in BTF, the parameters of `btf_trace_NAME` but the first).
        arguments: u32,
        /// Programs to attach. A program that an interrupt finds running on the same CPU is skipped for
        /// the interrupt's own event; with a second copy one of the two is free. 2 for frees, else 1.
        copies: u32,
        /// Number, from 0, among the attachments to this tracepoint: probes of one experiment that want different
        /// system calls have programs of their own.
        nth: u32,
    },
    /// An LSM hook, e.g. `socket_create`.
    Lsm {
        /// Its name without `bpf_lsm_`.
        hook: String,
        /// The number of `bpf_lsm_HOOK` in the kernel's BTF; `None`: look it up when it is attached.
        function: Option<u32>,
    },
}

impl AttachTarget {
    /// In words, for messages: "kprobe on fd_install".
    pub fn describe(&self) -> String {
        match self {
            Self::Kprobe {
                function,
                offset,
                entry,
                return_probe,
                ..
            } => {
                let kind = match (entry, return_probe) {
                    (false, true) => "kretprobe",
                    (true, true) => "kprobe and kretprobe",
                    _ => "kprobe",
                };
                match offset {
                    0 => format!("{kind} on {function}"),
                    offset => format!("{kind} on {function}+{offset:#x}"),
                }
            }
            Self::Tracepoint { name, .. } => format!("tracepoint {name}"),
            Self::Lsm { hook, .. } => format!("LSM hook {hook}"),
        }
    }
}
