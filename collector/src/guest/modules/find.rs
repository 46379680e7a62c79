//! The modules of one guest's kernel.

use super::error::ModuleError;
use super::info;
use super::order::{Module, ModuleLookup, load_order};
use super::package;
use super::tree::Tree;
use crate::guest::cache::Cache;
use crate::guest::{KernelImage, ProgressFn};

/// The modules `wanted` of a guest's kernel, with all that they depend on, in the order in which they have to be loaded. Those that
/// are built into the kernel are left out. Blocking.
///
/// # Errors
/// When one is unavailable, or does not fit.
pub fn find_modules<'w>(
    kernel: &KernelImage,
    wanted: impl Iterator<Item = &'w str>,
    cache: &Cache,
    say: ProgressFn<'_>,
) -> Result<Vec<Module>, ModuleError> {
    let wanted: Vec<&str> = wanted.collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let (folder, release) = match &kernel.package {
        Some(sidecar) => {
            let folder = package::folder(sidecar, cache, say).map_err(Box::new)?;
            (folder, Some(sidecar.release.as_str()))
        }
        None => {
            let folder = kernel.companions.modules.clone();
            let release = kernel.companions.release.as_deref();
            (folder.ok_or(ModuleError::NoTree)?, release)
        }
    };
    let tree = Tree::read(&folder)?;
    load_order(&wanted, &mut |name| {
        let Some(bytes) = tree.module(name)? else {
            return Ok(match tree.is_built_in(name) {
                true => ModuleLookup::BuiltIn,
                false => ModuleLookup::Nothing(tree.nearest(name)),
            });
        };
        let damaged = |reason: String| ModuleError::Damaged {
            name: name.to_owned(),
            reason,
        };
        let info = info::Info::read(&bytes).map_err(|error| damaged(error.to_string()))?;
        if let (Some(of), Some(release)) = (&info.release, release)
            && of != release
        {
            return Err(ModuleError::Misfit {
                name: name.to_owned(),
                of: of.clone(),
                release: release.to_owned(),
            });
        }
        Ok(ModuleLookup::Module {
            bytes,
            depends: info.depends,
        })
    })
}
