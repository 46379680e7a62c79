//! Files with static facts of a kernel: its debug information, System.map and configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qed_evidence::investigation::Investigation;

use crate::assemble::symbolize::StaticFiles;
use crate::guest::cache::Cache;
use crate::guest::{self, KernelImage, companion_files, kernel_layout};
use crate::reason::Reason;
use crate::symbols::functions_by_file::{FunctionInFile, find_functions_in_files};
use crate::symbols::{debuginfo, running};

/// The source of source lines.
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

/// The sources of source lines of several machines.
#[derive(Clone, Debug)]
pub struct DebugInfoChoice {
    /// Of all, where the command line names one.
    all: Option<DebugInfo>,
    /// The choices for machines for which the book makes one.
    by_machine: BTreeMap<String, DebugInfo>,
}

impl DebugInfoChoice {
    /// The choice of the command line, and that of the book by machines.
    pub fn new(all: Option<DebugInfo>, by_machine: BTreeMap<String, DebugInfo>) -> Self {
        Self { all, by_machine }
    }

    /// The source for one machine, by its name.
    pub fn for_machine(&self, machine: &str) -> &DebugInfo {
        let own = || self.by_machine.get(machine);
        self.all.as_ref().or_else(own).unwrap_or(&DebugInfo::Auto)
    }
}

/// Find files that may hold the debug information of the running kernel.
pub fn host_debuginfo_files(wanted: &DebugInfo) -> Vec<PathBuf> {
    match wanted {
        DebugInfo::None => Vec::new(),
        DebugInfo::Path(path) => vec![path.clone()],
        DebugInfo::Auto => {
            let Ok(id) = running::read_build_id() else {
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

/// Find the static facts of a guest's kernel. Never fails: without them there are no source lines, and the reason is recorded.
pub fn static_sources(
    kernel: &KernelImage,
    cache: &Cache,
    wanted: &DebugInfo,
    download: bool,
    say: &(dyn Fn(&str) + Sync),
) -> StaticFiles {
    let mut fixed = StaticFiles {
        package: kernel
            .package
            .as_ref()
            .map(|sidecar| format!("{} {}", sidecar.package.name, sidecar.package.version)),
        config: kernel.config(),
        image: Some(kernel.path.clone()),
        ..StaticFiles::default()
    };
    if fixed.config.is_none() {
        let why = match &kernel.package {
            Some(_) => "Debian serves no package with the configuration of this kernel".to_owned(),
            None => no_config_reason(&kernel.path, kernel.companions.release.as_deref()),
        };
        fixed.no_config = Some(why.into());
    }
    let found = match wanted {
        DebugInfo::None => {
            fixed.no_debuginfo = Some("no debug information was wanted (--debuginfo none)".into());
            return fixed;
        }
        DebugInfo::Auto if kernel.package.is_none() => {
            fixed.vmlinux.clone_from(&kernel.companions.vmlinux);
            fixed.system_map.clone_from(&kernel.companions.system_map);
            compare_builds(&mut fixed, &kernel.path);
            return fixed;
        }
        DebugInfo::Path(path) => guest::debuginfo::debuginfo_from_path(path).map(Some),
        DebugInfo::Auto => {
            guest::debuginfo::fetch_package_debuginfo(kernel, cache, download, &|line| say(line))
        }
    };
    match found {
        Ok(Some(info)) => {
            fixed.vmlinux = vec![info.vmlinux];
            fixed.system_map = info.system_map.into_iter().collect();
            if matches!(wanted, DebugInfo::Path(_)) {
                compare_builds(&mut fixed, &kernel.path);
            }
        }
        Ok(None) => fixed.no_debuginfo = Some("the debug package is not cached".into()),
        Err(error) => fixed.no_debuginfo = Some(Reason::from_error(error)),
    }
    fixed
}

/// The reason why there is no configuration around an image, and where to put it.
fn no_config_reason(image: &Path, release: Option<&str>) -> String {
    let advice = match kernel_layout::config_place_text(image, release) {
        Some(place) => format!("put the one that it was built with {place}"),
        None => "call the image `vmlinuz-WORD`, and put the one that it was built with beside it, as `config-WORD`".into(),
    };
    format!("no configuration of this kernel was found around its image: {advice}")
}

/// Put the vmlinux that is of the image's build to the front, and note if none is known to be: which copy of a
/// function is meant must not be looked up in another kernel's.
fn compare_builds(fixed: &mut StaticFiles, image: &Path) {
    if fixed.vmlinux.is_empty() {
        return;
    }
    match companion_files::build_id(image) {
        Ok(id) => {
            let (order, others) = companion_files::sort_by_build(&fixed.vmlinux, &id);
            if others.len() == order.len() {
                fixed.unchecked =
                    Some("no vmlinux at hand is of the build of the kernel image".into());
            }
            fixed.vmlinux = order;
        }
        Err(why) => {
            let reason =
                format!("the build of the kernel image is not known before it runs: {why}");
            fixed.unchecked = Some(reason.into());
        }
    }
}

/// The functions that `investigation` names together with a file, by debug information that is known to fit.
pub fn functions_in_files(
    investigation: &Investigation,
    fixed: &StaticFiles,
) -> Result<Vec<FunctionInFile>, Reason> {
    match &fixed.unchecked {
        Some(why) => find_functions_in_files(investigation, &[], Some(why)),
        None => {
            find_functions_in_files(investigation, &fixed.vmlinux, fixed.no_debuginfo.as_deref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a configuration that is missing is asked for under the names that are looked for, whatever the image is called.
    #[test]
    fn where_to_put_a_configuration() {
        for (image, release, names) in [
            (
                "vmlinuz",
                None,
                "beside the image, as `config` or `.config`",
            ),
            (
                "x/bzImage",
                Some("6.1.2"),
                "beside the image, as `config` or `config-6.1.2` or `.config`",
            ),
            ("vmlinuz-mine", None, "beside the image, as `config-mine`"),
            (
                "/boot/vmlinuz-6.1.2",
                Some("6.1.2"),
                "beside the image, as `config-6.1.2`",
            ),
            (
                "arch/x86/boot/bzImage",
                None,
                "at the top of its build tree, as `config` or `.config`",
            ),
            (
                "kernel",
                None,
                "call the image `vmlinuz-WORD`, and put the one that it was built with beside it, as `config-WORD`",
            ),
        ] {
            let message = no_config_reason(Path::new(image), release);
            assert!(message.ends_with(names), "{image}: {message}");
        }
    }
}
