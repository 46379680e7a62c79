//! The modules of one guest's kernel.

use super::error::{ListError, ModuleError};
use super::info;
use super::order::{Module, ModuleLookup, load_order};
use super::package;
use super::tree::ModuleTree;
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
    let (folders, release) = match &kernel.package {
        Some(sidecar) => {
            let folder = package::fetch_modules_folder(sidecar, &kernel.modules, cache, say)
                .map_err(Box::new)?;
            (vec![folder], Some(sidecar.release.as_str()))
        }
        None => {
            let folders = kernel.companions.modules.clone();
            if folders.is_empty() {
                return Err(ModuleError::NoTree);
            }
            (folders, kernel.companions.release.as_deref())
        }
    };
    let mut tree = ModuleTree::read(&folders)?;
    load_order(&wanted, &mut |name| {
        let Some(bytes) = tree.read_module(name)? else {
            let list = add_built_in(&mut tree, kernel, cache, say);
            return Ok(match tree.is_built_in(name) {
                true => ModuleLookup::BuiltIn,
                false => ModuleLookup::Nothing {
                    near: tree.nearest(name),
                    unlisted: list.err(),
                },
            });
        };
        let damaged = |reason: String| ModuleError::Damaged {
            name: name.to_owned(),
            reason,
        };
        let info = info::ModuleInfo::read(&bytes).map_err(|error| damaged(error.to_string()))?;
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

/// Fetch all modules of a guest's kernel, and the list of those that are a part of it, so that later captures need no network.
/// Blocking.
///
/// # Errors
/// When they are unavailable, or the image is not Debian's.
pub fn fetch_modules(
    kernel: &KernelImage,
    cache: &Cache,
    say: ProgressFn<'_>,
) -> Result<(), ModuleError> {
    let image = kernel.package.as_ref().ok_or(ModuleError::NoTree)?;
    let folder =
        package::fetch_modules_folder(image, &kernel.modules, cache, say).map_err(Box::new)?;
    let mut tree = ModuleTree::read(&[folder])?;
    match add_built_in(&mut tree, kernel, cache, say) {
        Err(ListError::Package(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Have a tree know which modules are a part of the kernel, from another package if need be.
fn add_built_in(
    tree: &mut ModuleTree,
    kernel: &KernelImage,
    cache: &Cache,
    say: ProgressFn<'_>,
) -> Result<(), ListError> {
    if tree.lists_built_in() {
        return Ok(());
    }
    let image = kernel.package.as_ref().ok_or(ListError::Absent)?;
    let list = package::fetch_built_in_list(image, cache, say).map_err(Box::new)?;
    tree.set_built_in(&list);
    Ok(())
}
