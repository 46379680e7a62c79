//! Files with static facts of a kernel: its debug information, System.map and configuration.

use std::path::PathBuf;

use crate::assemble::symbolize::Static;
use crate::guest::cache::Cache;
use crate::guest::{self, KernelImage};
use crate::symbols::{debuginfo, running};

/// Where source lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugInfo {
    /// From the distribution's debug package, or from the usual places of this machine.
    Auto,
    /// From nowhere.
    None,
    /// From this vmlinux.
    Path(PathBuf),
}

impl std::str::FromStr for DebugInfo {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => DebugInfo::Auto,
            "none" => DebugInfo::None,
            path => DebugInfo::Path(path.into()),
        })
    }
}

/// Where the debug information of the running kernel may be.
pub fn of_this_machine(wanted: &DebugInfo) -> Vec<PathBuf> {
    match wanted {
        DebugInfo::None => Vec::new(),
        DebugInfo::Path(path) => vec![path.clone()],
        DebugInfo::Auto => {
            let Ok(id) = running::build_id() else {
                return Vec::new();
            };
            let release = nix::sys::utsname::uname().ok();
            let release = release.and_then(|name| Some(name.release().to_str()?.to_owned()));
            let candidates = debuginfo::vmlinux_candidates(&release.unwrap_or_default(), Some(&id));
            let (found, _) = debuginfo::open_matching(&candidates, &id);
            found.map(|vmlinux| vmlinux.path).into_iter().collect()
        }
    }
}

/// Where static facts of a guest's kernel are. Never fails: without them there are no lines, and it is said why.
pub fn static_sources(
    kernel: &KernelImage,
    cache: &Cache,
    wanted: &DebugInfo,
    download: bool,
    say: &(dyn Fn(&str) + Sync),
) -> Static {
    let mut fixed = Static {
        package: kernel
            .package
            .as_ref()
            .map(|sidecar| format!("{} {}", sidecar.package.name, sidecar.package.version)),
        config: kernel.config(),
        image: Some(kernel.path.clone()),
        ..Static::default()
    };
    let found = match wanted {
        DebugInfo::None => {
            fixed.no_debuginfo = Some("no debug information was wanted (--debuginfo none)".into());
            return fixed;
        }
        DebugInfo::Path(path) => guest::debuginfo::of_path(path).map(Some),
        DebugInfo::Auto => guest::debuginfo::of_package(kernel, cache, download, &|line| say(line)),
    };
    match found {
        Ok(Some(info)) => {
            fixed.vmlinux = vec![info.vmlinux];
            fixed.system_map = info.system_map.into_iter().collect();
        }
        Ok(None) => fixed.no_debuginfo = Some("the debug package is not cached".into()),
        Err(error) => fixed.no_debuginfo = Some(error.to_string()),
    }
    fixed
}
