//! Search for the other parts of a kernel near an image of the user's. Parts of another build are refused.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::kernel_layout::{CandidatePaths, HEADER_BYTES, is_headers_config, parse_stated_release};
use super::module_files;
use crate::kaslr::config::{ConfigError, KernelConfig};
use crate::kaslr::vmlinuz::{self, VmlinuzError};
use crate::symbols::BuildId;
use crate::symbols::debuginfo;

/// The files found around an image.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CompanionFiles {
    /// The release that `uname -r` will print, as the image's header says.
    pub release: Option<String>,
    /// The configuration.
    pub config: Option<PathBuf>,
    /// Files that may be the symbol table, the likeliest first.
    pub system_map: Vec<PathBuf>,
    /// Files that may be the uncompressed kernel, the likeliest first. They state a build id, which is compared later.
    pub vmlinux: Vec<PathBuf>,
    /// The folders of the modules, or of lists of them, the likeliest first.
    pub modules: Vec<PathBuf>,
    /// Files that were passed over, and why: sentences for the user, with paths.
    pub notes: Vec<String>,
}

/// Find the files around the image at `path`. What is not there, or cannot be read, is left out.
#[must_use]
pub fn find_companion_files(path: &Path) -> CompanionFiles {
    let release = read_header(path).as_deref().and_then(parse_stated_release);
    let mut places = CandidatePaths::for_image(path, release.as_deref());
    // A link such as /vmlinuz or arch/x86_64/boot/bzImage is in another folder than its target.
    if let Ok(real) = path.canonicalize()
        && real != path
    {
        places = places.chain(CandidatePaths::for_image(&real, release.as_deref()));
    }
    let mut found = CompanionFiles {
        system_map: existing_files(places.system_map),
        vmlinux: existing_files(places.vmlinux),
        modules: places
            .modules
            .into_iter()
            .filter(|folder| module_files::is_tree(folder))
            .collect(),
        ..CompanionFiles::default()
    };
    // The running system may have the debug package of a kernel image in another place; the build id decides.
    let system = debuginfo::vmlinux_candidates(release.as_deref().unwrap_or_default(), None);
    for candidate in existing_files(system) {
        if !found.vmlinux.contains(&candidate) {
            found.vmlinux.push(candidate);
        }
    }
    for config in existing_files(places.config) {
        match check_config(&config, path, release.as_deref()) {
            Ok(()) => {
                found.config = Some(config);
                break;
            }
            Err(reason) => found
                .notes
                .push(format!("{} is not used: {reason}", config.display())),
        }
    }
    found.release = release;
    found
}

fn existing_files(places: Vec<PathBuf>) -> Vec<PathBuf> {
    places.into_iter().filter(|path| path.is_file()).collect()
}

/// The beginning of an image.
fn read_header(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    let file = File::open(path).ok()?;
    file.take(HEADER_BYTES).read_to_end(&mut start).ok()?;
    Some(start)
}

/// A configuration that is passed over.
#[derive(Debug, thiserror::Error)]
enum ConfigMismatch {
    /// An unreadable file.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A file that cannot be parsed.
    #[error(transparent)]
    Damaged(#[from] ConfigError),
    /// A file of another series of kernels.
    #[error("it says that it is of Linux {of}, and the image is {release}")]
    OtherRelease { of: String, release: String },
    /// A file of a build or package that names another release.
    #[error("the release beside it, in {}, is {of}, and the image is {release}", .file.display())]
    OtherBuild {
        file: PathBuf,
        of: String,
        release: String,
    },
    /// A file that is newer than the image.
    #[error("it was changed after the image was built; build again, or remove it")]
    Edited,
}

/// Check that a configuration can be the one that the image was built with, although it contains no build id.
fn check_config(config: &Path, image: &Path, release: Option<&str>) -> Result<(), ConfigMismatch> {
    let text = std::fs::read_to_string(config)?;
    KernelConfig::parse(&text)?;
    if let (Some(of), Some(release)) = (parse_stated_version(&text), release)
        && parse_series(of) != parse_series(release)
    {
        return Err(ConfigMismatch::OtherRelease {
            of: of.to_owned(),
            release: release.to_owned(),
        });
    }
    if let (Some((file, of)), Some(release)) = (read_built_release(config), release)
        && of != release
    {
        return Err(ConfigMismatch::OtherBuild {
            file,
            of,
            release: release.to_owned(),
        });
    }
    // A build writes the image after it has read its `.config`; a later edit of that file is not in the image. A package of headers
    // has the same file, with the time at which it was unpacked.
    if config.file_name().is_some_and(|name| name == ".config")
        && !is_headers_package_config(config, release)
    {
        let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
        match (changed(config), changed(image)) {
            (Ok(config), Ok(image)) if config <= image => {}
            _ => return Err(ConfigMismatch::Edited),
        }
    }
    Ok(())
}

/// The release that a build writes beside its configuration, and the file with it. Packages of headers have this file, too.
fn read_built_release(config: &Path) -> Option<(PathBuf, String)> {
    let file = config.parent()?.join("include/config/kernel.release");
    let release = std::fs::read_to_string(&file).ok()?.trim().to_owned();
    Some((file, release))
}

/// True if a configuration is that of a package of headers. A link can lead from the place of such a package to a build tree.
fn is_headers_package_config(config: &Path, release: Option<&str>) -> bool {
    let real = config.canonicalize();
    let real = real.as_deref().unwrap_or(config);
    release.is_some_and(|release| is_headers_config(real, release))
}

/// The version in the head of a configuration.
/// ```text
/// # Linux/x86 6.12.117 Kernel Configuration
/// ```
fn parse_stated_version(config: &str) -> Option<&str> {
    let line = config
        .lines()
        .take(8)
        .find(|line| line.starts_with("# Linux/") && line.ends_with(" Kernel Configuration"))?;
    line.split(' ').nth(2)
}

/// The first two numbers of a version.
fn parse_series(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// An image whose build id is unavailable. The message does not name the path.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// An unreadable file.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A file that cannot be parsed.
    #[error(transparent)]
    Damaged(#[from] VmlinuzError),
}

/// The build id of the kernel in an image, which takes 0.1 to 0.3 s to unpack.
///
/// # Errors
/// When the image cannot be read, or not be understood.
pub fn build_id(image: &Path) -> Result<BuildId, ImageError> {
    let bytes = std::fs::read(image)?;
    let found = vmlinuz::read_image_base(&bytes)?;
    Ok(found.build_id)
}

/// Those of `candidates` that are of the build `wanted`, and then the others; and why those are not, with paths.
#[must_use]
pub fn sort_by_build(candidates: &[PathBuf], wanted: &BuildId) -> (Vec<PathBuf>, Vec<String>) {
    let mut of_this = Vec::new();
    let (mut others, mut notes) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match debuginfo::open_matching(std::slice::from_ref(candidate), wanted) {
            (Some(_), _) => of_this.push(candidate.clone()),
            (None, passed) => {
                others.push(candidate.clone());
                notes.extend(passed.iter().map(ToString::to_string));
            }
        }
    }
    of_this.append(&mut others);
    (of_this, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::elf::tests::vmlinux;

    const CONFIG: &str = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.117 Kernel Configuration\n#\nCONFIG_BPF=y\n";

    /// An image whose header states a release.
    fn image(release: &str) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        bytes[0x300..0x300 + release.len()].copy_from_slice(release.as_bytes());
        bytes
    }

    fn write(path: &Path, bytes: &[u8]) -> PathBuf {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        path.to_owned()
    }

    /// Check that the parts are found on a disk: in a build tree, through a link, and in an unpacked package.
    #[test]
    fn on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("linux");
        let config = write(&tree.join(".config"), CONFIG.as_bytes());
        let map = write(&tree.join("System.map"), b"x");
        write(&tree.join("vmlinux"), &vmlinux(&[1]));
        write(&tree.join("modules.order"), b"");
        let built = write(&tree.join("arch/x86/boot/bzImage"), &image("6.12.117+"));
        let link = folder.path().join("current");
        std::os::unix::fs::symlink(&built, &link).unwrap();
        for path in [&built, &link] {
            let found = find_companion_files(path);
            assert_eq!(found.release.as_deref(), Some("6.12.117+"));
            let real = |path: &Path| path.canonicalize().unwrap();
            assert_eq!(found.config.as_deref().map(real), Some(real(&config)));
            assert_eq!(real(&found.system_map[0]), real(&map));
            assert_eq!(found.vmlinux.len(), 1);
            assert_eq!(real(&found.modules[0]), real(&tree));
            assert!(found.notes.is_empty(), "{:?}", found.notes);
        }
        let root = folder.path().join("unpacked");
        let packed = write(
            &root.join("usr/lib/modules/6.12.9-x/vmlinuz"),
            &image("6.12.9-x"),
        );
        let config = write(
            &root.join("usr/lib/modules/6.12.9-x/config"),
            CONFIG.as_bytes(),
        );
        let found = find_companion_files(&packed);
        assert_eq!(found.config, Some(config));
        assert_eq!((found.modules.len(), found.vmlinux.len()), (0, 0));
        // Debian from 7.2 on has the lists in another package than the modules.
        let folder = root.join("usr/lib/modules/6.12.9-x");
        write(&folder.join("kernel/net/tun.ko.xz"), b"");
        assert_eq!(find_companion_files(&packed).modules, [folder]);
    }

    /// Check that a configuration of another series, one that was edited after the build, and one that is none are
    /// refused.
    #[test]
    fn configurations_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |release: &str, name: &str, config: &str, before: bool| {
            let dir = tempfile::tempdir_in(folder.path()).unwrap();
            let kernel = dir.path().join("bzImage");
            let order: [(&Path, Vec<u8>); 2] = [
                (&dir.path().join(name), config.as_bytes().to_vec()),
                (&kernel, image(release)),
            ];
            let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
            for (index, (path, bytes)) in order.iter().enumerate() {
                write(path, bytes);
                if (index == 0) == before {
                    let file = File::options().write(true).open(path).unwrap();
                    file.set_modified(old).unwrap();
                }
            }
            let found = find_companion_files(&kernel);
            assert_eq!(found.config.is_none(), !found.notes.is_empty());
            found.notes.join("")
        };
        assert_eq!(refused("6.12.1", ".config", CONFIG, true), "");
        assert_eq!(refused("6.12.1", "config", CONFIG, false), "");
        assert!(refused("6.1.9", "config", CONFIG, true).contains("is of Linux 6.12.117"));
        assert!(refused("6.12.1", ".config", CONFIG, false).contains("changed after"));
        assert!(!refused("6.12.1", "config", "nonsense", true).is_empty());
    }

    /// Check that the configuration of a package of headers is used whenever it was unpacked, as Arch and Fedora have it, that one that
    /// names another release is not, and that a link in that place to a build tree leaves the tree's rule in force.
    #[test]
    fn packages_of_headers() {
        let folder = tempfile::tempdir().unwrap();
        let release = "6.12.117-arch1-1";
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        let fresh = |path: &Path| {
            write(path, CONFIG.as_bytes());
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(later).unwrap();
        };
        for (number, headers) in [
            format!("usr/lib/modules/{release}/build"),
            format!("usr/src/kernels/{release}"),
            format!("usr/src/linux-headers-{release}"),
        ]
        .iter()
        .enumerate()
        {
            let root = folder.path().join(number.to_string());
            let kernel = root.join(format!("usr/lib/modules/{release}/vmlinuz"));
            write(&kernel, &image(release));
            let config = root.join(headers).join(".config");
            fresh(&config);
            let found = find_companion_files(&kernel);
            assert_eq!(found.config.as_deref(), Some(config.as_path()), "{headers}");
            let stated = root.join(headers).join("include/config/kernel.release");
            write(&stated, b"6.12.117-arch1-2\n");
            let found = find_companion_files(&kernel);
            assert_eq!(found.config, None, "{headers}");
            assert!(
                found.notes[0].contains("6.12.117-arch1-2, and the image is 6.12.117-arch1-1"),
                "{:?}",
                found.notes
            );
            write(&stated, format!("{release}\n").as_bytes());
            assert_eq!(
                find_companion_files(&kernel).config,
                Some(config),
                "{headers}"
            );
        }
        let root = folder.path().join("linked");
        let kernel = root.join(format!("usr/lib/modules/{release}/vmlinuz"));
        write(&kernel, &image(release));
        fresh(&root.join("linux/.config"));
        let link = kernel.with_file_name("build");
        std::os::unix::fs::symlink(root.join("linux"), link).unwrap();
        let found = find_companion_files(&kernel);
        assert_eq!(found.config, None);
        assert!(
            found.notes[0].contains("changed after"),
            "{:?}",
            found.notes
        );
    }

    /// Check that a vmlinux of another build goes behind, and is named with both build ids.
    #[test]
    fn other_builds() {
        let folder = tempfile::tempdir().unwrap();
        let other = write(&folder.path().join("a"), &vmlinux(&[1, 2]));
        let right = write(&folder.path().join("b"), &vmlinux(&[0xaa, 0xbb]));
        let wanted = "aabb".parse().unwrap();
        let (order, notes) = sort_by_build(&[other.clone(), right.clone()], &wanted);
        assert_eq!(order, [right, other]);
        assert!(
            notes[0].contains("0102") && notes[0].contains("aabb"),
            "{notes:?}"
        );
    }
}
