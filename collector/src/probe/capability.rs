//! Capabilities of this machine, found out by using them.

use qed_collector_ebpf::Control;

use super::attach_error::{AttachEnvironment, Refusal};
use super::attach_target::AttachTarget;
use super::load::Probes;
use super::setup::{LoadError, Setup};

/// One capability that a capture may need.
#[derive(Clone, Debug)]
pub struct Capability {
    /// Its name, e.g. "kretprobe".
    pub name: &'static str,
    /// An error that says why it does not work.
    pub result: Result<(), Refusal>,
}

/// All attempts, and the facts that explain them.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Facts about this machine.
    pub machine: AttachEnvironment,
    /// Each capability with its result: `load`, `ring buffer`, `raw tracepoint`, `read kernel memory`, `kprobe`, `kretprobe`,
    /// `LSM`.
    pub list: Vec<Capability>,
}

impl Capabilities {
    /// Does the capability of this name work?
    pub fn works(&self, name: &str) -> bool {
        self.list
            .iter()
            .any(|capability| capability.name == name && capability.result.is_ok())
    }
}

/// Try everything with the real programs, which report nothing meanwhile, and detach again.
///
/// `function` is the live address of some function that a kprobe may sit on (from kallsyms), 0 if
/// unknown: then a name that every x86-64 kernel has is not needed and kprobes are judged untried.
/// `readable` is an address that can be read (the same will do).
pub fn test_capabilities(function: u64) -> Capabilities {
    let machine = AttachEnvironment::read();
    let mut list = Vec::new();
    let kprobe = |entry, return_probe| AttachTarget::Kprobe {
        function: "a kernel function".into(),
        address: function,
        offset: 0,
        entry,
        return_probe,
    };
    let setup = Setup {
        attaches: vec![
            kprobe(true, false),
            kprobe(false, true),
            AttachTarget::Tracepoint {
                name: "sys_enter".into(),
                arguments: 2,
                copies: 1,
                nth: 0,
            },
            AttachTarget::Lsm {
                hook: "socket_create".into(),
                function: None,
            },
        ],
        ..Setup::default()
    };
    let mut probes = match Probes::load(&setup) {
        Ok(probes) => probes,
        Err(error) => {
            list.push(Capability {
                name: "load",
                result: Err(load_refusal(&error)),
            });
            return Capabilities { machine, list };
        }
    };
    list.push(Capability {
        name: "load",
        result: probes
            .set_control(Control::default())
            .map_err(|e| load_refusal(&e)),
    });
    list.push(Capability {
        name: "ring buffer",
        result: probes.events().map(drop).map_err(|e| load_refusal(&e)),
    });
    for (name, index) in [
        ("raw tracepoint", 2),
        ("kprobe", 0),
        ("kretprobe", 1),
        ("LSM", 3),
    ] {
        let unknown = function == 0 && machine.kprobe_pmu && index < 2;
        let result = if unknown {
            Err(hidden_refusal(name))
        } else {
            let mut results = probes.attach(&[index]);
            results.pop().map_or(Ok(()), |(_, result)| result)
        };
        probes.detach(&[index]);
        list.push(Capability { name, result });
    }
    if function != 0 {
        list.push(Capability {
            name: "read kernel memory",
            result: probes
                .read_kernel(function, 16)
                .map(drop)
                .map_err(|error| Refusal {
                    what: "read kernel memory".into(),
                    errno: None,
                    reason: error.to_string(),
                    remedy: "read with less privilege-bound means, or in a guest".into(),
                }),
        });
    }
    Capabilities { machine, list }
}

fn hidden_refusal(name: &str) -> Refusal {
    Refusal {
        what: format!("try a {name}"),
        errno: None,
        reason: "no function's address is known: /proc/kallsyms shows zeros".into(),
        remedy: "run as root or with CAP_SYSLOG, with kernel.kptr_restrict below 2".into(),
    }
}

fn load_refusal(error: &LoadError) -> Refusal {
    Refusal {
        what: "load the eBPF programs".into(),
        errno: None,
        reason: error.to_string(),
        remedy: "give the process CAP_BPF, CAP_PERFMON and CAP_SYSLOG".into(),
    }
}
