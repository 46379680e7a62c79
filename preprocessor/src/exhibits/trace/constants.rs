//! Names of the constants that the workload passed, for functions that receive them unchanged.

use std::collections::HashMap;

use qed_evidence::document::Target;
use qed_evidence::investigation::{self, Action};

use crate::exhibits::tree::ProbedCall;

/// The prefixes that turn the name of a system call into names of the kernel's functions that take its arguments.
const OWN: [&str; 5] = ["__sys_", "__do_sys_", "__se_sys_", "do_sys_", "ksys_"];

/// Names for the values of parameters: what the workload asked for, as the first function that takes the system call's own
/// arguments received it. Others with as many parameters may mean something else by them.
pub(super) fn find_constants(
    calls: &[&ProbedCall<'_>],
    workload: &investigation::Workload,
    requested: &[String],
) -> HashMap<String, (i128, String)> {
    let Action::Syscall { name, .. } = &workload.action else {
        return HashMap::new();
    };
    let first = calls.iter().find(|call| {
        matches!(&call.probe.target, Target::Function(function) if takes_arguments_of(function, name))
            && call.probe.parameters.len() == requested.len()
    });
    let Some(call) = first else {
        return HashMap::new();
    };
    let pairs = call.probe.parameters.iter().zip(requested);
    pairs
        .filter(|(_, name)| name.starts_with(|c: char| c.is_ascii_alphabetic()))
        .filter_map(|(parameter, name)| {
            let value = call.hit.args.get(&parameter.name)?.value()?.as_integer()?;
            Some((parameter.name.clone(), (value, name.clone())))
        })
        .collect()
}

/// True if the function takes the arguments of the system call, and is not one of those that only have its name in theirs.
fn takes_arguments_of(function: &str, syscall: &str) -> bool {
    let mut own = OWN.iter().filter_map(|own| function.strip_prefix(own));
    own.any(|rest| rest == syscall)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a function whose name only holds that of the system call, and that has as many parameters, is not taken for it:
    /// the `flags` of `path_openat` are another set than those of `openat`.
    #[test]
    fn only_its_own() {
        for function in ["__sys_openat", "do_sys_openat", "ksys_openat"] {
            assert!(takes_arguments_of(function, "openat"), "{function}");
        }
        for function in [
            "path_openat",
            "do_sys_openat2",
            "openat",
            "__x64_sys_openat",
        ] {
            assert!(!takes_arguments_of(function, "openat"), "{function}");
        }
    }
}
