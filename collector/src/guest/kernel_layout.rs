//! The locations of a kernel's other parts relative to its image. No I/O.
//!
//! `R` is the release, what `uname -r` prints; `ROOT` is `/`, or the folder into which a package was unpacked.
//!
//! | layout | image | configuration | symbols and debug information |
//! | --- | --- | --- | --- |
//! | Debian to 7.1, Ubuntu | `ROOT/boot/vmlinuz-R` | `boot/config-R` | `usr/lib/debug/boot/{vmlinux,System.map}-R` |
//! | Debian from 7.2 | `ROOT/usr/lib/modules/R/vmlinuz` | `config` beside it | `usr/lib/debug/lib/modules/R/{vmlinux,System.map}` |
//! | Fedora | `ROOT/usr/lib/modules/R/vmlinuz`, `ROOT/lib/…` | `config` beside it | `System.map` beside it, `usr/lib/debug/lib/modules/R/vmlinux` |
//! | Arch | `ROOT/usr/lib/modules/R/vmlinuz`, `boot/vmlinuz-linux` | `build/.config` beside it | `build/{vmlinux,System.map}` |
//! | a build tree | `TREE/arch/x86/boot/bzImage` | `TREE/.config` | `TREE/{vmlinux,System.map}` |
//! | one folder | `bzImage`, `vmlinuz` or `vmlinuz-WORD` | `.config`, `config` or `config-WORD` | `vmlinux`, `System.map`, or these with `-WORD` |

use std::path::{Path, PathBuf};

/// Files and folders that may belong to a kernel image, the likeliest first. Nothing says that they exist.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CandidatePaths {
    /// The configuration.
    pub config: Vec<PathBuf>,
    /// The symbol table.
    pub system_map: Vec<PathBuf>,
    /// The uncompressed kernel with debug information.
    pub vmlinux: Vec<PathBuf>,
    /// The folder of the modules.
    pub modules: Vec<PathBuf>,
}

/// Names that an image has where it is the only one of its folder.
const PLAIN: &[&str] = &["bzImage", "vmlinuz", "vmlinuz.unsigned", "vmlinuz.efi"];

impl CandidatePaths {
    /// The places around `image`, whose header or name says `release`.
    #[must_use]
    pub fn for_image(image: &Path, release: Option<&str>) -> Self {
        let mut places = Self::default();
        let folder = image.parent().unwrap_or(Path::new(""));
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let release = release.filter(|release| is_release(release));
        if let Some(tree) = find_build_tree(folder) {
            places.add_plain(tree);
            places.modules.push(tree.to_owned());
            return places;
        }
        if PLAIN.contains(&name.as_ref()) {
            places.add_plain(folder);
        } else if let Some((_, word)) = name.split_once('-') {
            places.add_suffixed(folder, word);
        }
        let Some(release) = release else {
            return places;
        };
        places.add_suffixed(folder, release);
        if let Some(root) = find_root(folder, release) {
            places.add_system_root(root, release);
        }
        places
    }

    /// Both, these first, each place once.
    #[must_use]
    pub fn chain(mut self, other: Self) -> Self {
        let add = |these: &mut Vec<PathBuf>, those: Vec<PathBuf>| {
            for path in those {
                if !these.contains(&path) {
                    these.push(path);
                }
            }
        };
        add(&mut self.config, other.config);
        add(&mut self.system_map, other.system_map);
        add(&mut self.vmlinux, other.vmlinux);
        add(&mut self.modules, other.modules);
        self
    }

    /// Add a folder that holds one kernel.
    fn add_plain(&mut self, folder: &Path) {
        self.config
            .extend([".config", "config"].map(|name| folder.join(name)));
        self.system_map.push(folder.join("System.map"));
        self.vmlinux.push(folder.join("vmlinux"));
    }

    /// Add a folder in which names end with the kernel's.
    fn add_suffixed(&mut self, folder: &Path, word: &str) {
        self.config.push(folder.join(format!("config-{word}")));
        self.system_map
            .push(folder.join(format!("System.map-{word}")));
        self.vmlinux.push(folder.join(format!("vmlinux-{word}")));
    }

    /// Add all usual places below the root of a system.
    fn add_system_root(&mut self, root: &Path, release: &str) {
        // The symbol table beside an image may be a stub; that of the debug package is none.
        let debug = root.join("usr/lib/debug");
        self.add_suffixed(&debug.join("boot"), release);
        for tail in ["lib/modules", "usr/lib/modules"] {
            self.add_plain(&debug.join(tail).join(release));
        }
        self.add_suffixed(&root.join("boot"), release);
        for tail in ["usr/lib/modules", "lib/modules"] {
            let folder = root.join(tail).join(release);
            self.add_plain(&folder);
            self.add_plain(&folder.join("build"));
            self.modules.push(folder);
        }
        for tail in ["usr/src/linux-headers-", "usr/src/kernels/"] {
            self.config
                .push(root.join(format!("{tail}{release}/.config")));
        }
    }
}

/// True if a configuration stands where a package of the kernel's headers has it: no build was made there.
#[must_use]
pub fn is_headers_config(config: &Path, release: &str) -> bool {
    let tails = [
        format!("lib/modules/{release}/build/.config"),
        format!("usr/src/linux-headers-{release}/.config"),
        format!("usr/src/kernels/{release}/.config"),
    ];
    tails.iter().any(|tail| config.ends_with(tail))
}

/// The places for the configuration of an image, in words; `None` if the image's name has no form that says so.
#[must_use]
pub fn config_place_text(image: &Path, release: Option<&str>) -> Option<String> {
    let folder = image.parent().unwrap_or(Path::new(""));
    let (place, folder) = match find_build_tree(folder) {
        Some(tree) => ("at the top of its build tree", tree),
        None => ("beside the image", folder),
    };
    let mut names: Vec<String> = Vec::new();
    for path in CandidatePaths::for_image(image, release).config {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("`{name}`");
        if path.parent() == Some(folder) && !names.contains(&name) {
            names.push(name);
        }
    }
    // A build's own file counts only if it is older than the image.
    names.sort_by_key(|name| name == "`.config`");
    (!names.is_empty()).then(|| format!("{place}, as {}", names.join(" or ")))
}

/// The root of the system or package whose kernels are in `folder`.
fn find_root<'a>(folder: &'a Path, release: &str) -> Option<&'a Path> {
    let tails = [
        "boot".into(),
        format!("usr/lib/modules/{release}"),
        format!("lib/modules/{release}"),
    ];
    let tail = tails.iter().find(|tail| folder.ends_with(tail))?;
    folder.ancestors().nth(Path::new(tail).components().count())
}

/// The kernel's build tree, of which `folder` is `arch/x86/boot`.
fn find_build_tree(folder: &Path) -> Option<&Path> {
    let arch = folder.parent()?.parent()?;
    let is_one = folder.ends_with("boot") && arch.ends_with("arch");
    is_one.then(|| arch.parent()).flatten()
}

/// True if a text can be a release: it becomes a part of paths.
#[must_use]
pub fn is_release(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-._~".contains(c))
}

/// The release that the header of a bzImage states, before the builder's name.
///
/// `start` is the image's beginning. At 0x20e is the place of the text, less 0x200; 0: there is none
/// (<https://docs.kernel.org/arch/x86/boot.html>, `kernel_version`).
#[must_use]
pub fn parse_stated_release(start: &[u8]) -> Option<String> {
    let at = start
        .get(0x20e..0x210)
        .map(|at| usize::from(u16::from_le_bytes([at[0], at[1]])))
        .filter(|&at| at != 0)?;
    let text = start.get(at + 0x200..)?;
    let word = text
        .iter()
        .take_while(|byte| byte.is_ascii_graphic())
        .take(65);
    let word: String = word.map(|&byte| char::from(byte)).collect();
    is_release(&word).then_some(word)
}

/// Most bytes of an image that [`parse_stated_release`] may have to look at.
pub const HEADER_BYTES: u64 = 0x200 + 0x1_0000 + 65;

#[cfg(test)]
mod tests;
