//! Loading of modules into the kernel of a guest, from its initramfs.

use std::fs;

use anyhow::Context as _;
use nix::errno::Errno;

use super::init::report_progress;
use super::modules::Module;

/// The place of a module in the initramfs. It is unpacked there: not every kernel unpacks modules itself.
fn module_path(name: &str) -> String {
    format!("/qed/modules/{name}.ko")
}

/// The files that bring modules into a guest.
pub fn module_files(modules: Vec<Module>) -> Vec<(String, Vec<u8>)> {
    modules
        .into_iter()
        .map(|module| (module_path(&module.name), module.bytes))
        .collect()
}

/// Load modules in this order. Runs in the guest.
///
/// # Errors
/// When the kernel refuses one, with its answer.
pub fn load(modules: &[String]) -> anyhow::Result<()> {
    for name in modules {
        let module = fs::read(module_path(name)).with_context(|| format!("the module `{name}`"))?;
        match nix::kmod::init_module(&module, c"") {
            Ok(()) => report_progress(&format!("loaded the module {name}")),
            // The kernel has loaded it itself by now, or has it built in.
            Err(Errno::EEXIST) => {}
            Err(errno) => anyhow::bail!(
                "the kernel refuses to load the module `{name}` ({}): {}. Its own message is on the console",
                errno.desc(),
                explain_errno(errno)
            ),
        }
    }
    Ok(())
}

/// The usual cause of an answer (<https://man7.org/linux/man-pages/man2/init_module.2.html>).
fn explain_errno(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOEXEC => "it was built for another kernel, or is damaged",
        Errno::ENOENT => "it uses a symbol that this kernel does not have",
        Errno::EKEYREJECTED | Errno::ENOKEY => {
            "it is not signed with this kernel's key, or was changed after it was signed"
        }
        Errno::EPERM => "this kernel is locked down, or loads no modules any more",
        Errno::ENODEV => "the device that it drives is not in this guest",
        Errno::ENOSYS => "it was built without loadable modules",
        _ => "its initialization failed",
    }
}
