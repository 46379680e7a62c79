//! The kernel modules that the experiments of an investigation need.

use std::collections::BTreeMap;

use qed_evidence::investigation::Investigation;
use qed_evidence::value::{Datum, Value};
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use crate::guest::cache::Cache;
use crate::guest::modules::{ModuleError, find_modules};
use crate::guest::{KernelImage, ProgressFn, load};
use crate::session::loaded_modules;

/// Modules on their way into a guest.
#[derive(Debug, Default)]
pub struct Modules {
    /// Their files, by their names in the guest.
    pub files: Vec<(String, Vec<u8>)>,
    /// Their names, in the order in which they are loaded.
    pub names: Vec<String>,
    /// The evidence of them: SHA-256, hex, or why there is none.
    pub digests: BTreeMap<String, Datum>,
}

/// The kind of failure that modules which are not to be had are.
pub fn failure_constructor(error: &ModuleError) -> fn(String) -> Failure {
    match error {
        ModuleError::Package(error) if error.exit_status() == 2 => Failure::input,
        ModuleError::Package(_) | ModuleError::Read { .. } => Failure::machine,
        _ => Failure::input,
    }
}

/// The modules of a guest's own kernel, with all that they depend on.
///
/// # Errors
/// When one is unavailable, or does not fit.
pub fn for_guest(
    investigation: &Investigation,
    kernel: &KernelImage,
    cache: &Cache,
    say: ProgressFn<'_>,
) -> Result<Modules, Failure> {
    let modules = find_modules(kernel, investigation.modules(), cache, say).map_err(|error| {
        let message = format!("`modules` of {}: {error}", investigation.source.name);
        failure_constructor(&error)(message)
    })?;
    let names = modules.iter().map(|module| module.name.clone()).collect();
    let mut digests: BTreeMap<String, Datum> = modules
        .iter()
        .map(|module| {
            let digest = hex::encode(Sha256::digest(&module.bytes));
            (module.name.clone(), Value::text(digest).into())
        })
        .collect();
    for name in investigation.modules() {
        digests.entry(name.to_owned()).or_insert_with(|| {
            Datum::unavailable("it is a part of this kernel, and no file of its own")
        });
    }
    Ok(Modules {
        files: load::module_files(modules),
        names,
        digests,
    })
}

/// The modules on a machine that lives on, into which nothing is loaded.
///
/// # Errors
/// When one is not loaded.
pub fn for_host(investigation: &Investigation) -> Result<Modules, Failure> {
    let missing = loaded_modules::missing_modules(investigation.modules());
    if let Some(name) = missing.first() {
        return Err(Failure::input(format!(
            "`modules` of {}: the module `{name}` is not loaded on this machine, and QED loads none into a machine that lives on: \
             load it yourself (`modprobe {name}`), or capture in a guest",
            investigation.source.name
        )));
    }
    let digests = investigation.modules().map(|name| {
        let reason = "it was there before the capture, which does not know its file";
        (name.to_owned(), Datum::unavailable(reason))
    });
    Ok(Modules {
        files: Vec::new(),
        names: investigation.modules().map(str::to_owned).collect(),
        digests: digests.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a module that is not loaded on this machine is refused with what to do, and that none needs nothing.
    #[test]
    fn only_loaded_ones() {
        let text = "[[experiment]]\nname = \"a\"\nworkload = { syscall = \"getpid\", args = [] }\nMODULES\n\
            [[experiment.probe]]\nfunction = \"ksys_read\"\n";
        let of = |modules: &str| {
            let text = text.replace("MODULES", modules);
            for_host(&qed_evidence::investigation::parse("a.toml", &text).unwrap())
        };
        assert!(of("").unwrap().names.is_empty());
        let error = of("modules = [\"no-such-module\"]").unwrap_err();
        assert_eq!(error.status, 2);
        assert!(
            error
                .message
                .contains("`no_such_module` is not loaded on this machine"),
            "{}",
            error.message
        );
        assert!(error.message.contains("modprobe no_such_module"));
    }
}
