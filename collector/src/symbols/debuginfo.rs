//! Debug info of a host's kernels, and the search for the one that matches a given kernel.

use std::io;
use std::path::{Path, PathBuf};

use super::build_id::BuildId;
use super::elf;
use super::mapping::Mapping;

/// Files that may hold the debug info of a kernel, most specific first.
///
/// `release` is that of `uname -r`. By build id: `.build-id/xx/yyyy.debug`, as `gdb` looks it up; by release: where
/// Debian, Fedora and a kernel's own build tree put it.
pub fn vmlinux_candidates(release: &str, build_id: Option<&BuildId>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(path) = build_id.and_then(BuildId::debug_path) {
        paths.push(Path::new("/usr/lib/debug/.build-id").join(path));
    }
    // A release that would leave the folder is none that a kernel has.
    if !release.is_empty() && !release.contains('/') && release != ".." {
        paths.push(PathBuf::from(format!(
            "/usr/lib/debug/boot/vmlinux-{release}"
        )));
        paths.push(PathBuf::from(format!(
            "/usr/lib/debug/lib/modules/{release}/vmlinux"
        )));
        paths.push(PathBuf::from(format!(
            "/lib/modules/{release}/build/vmlinux"
        )));
        paths.push(PathBuf::from(format!("/boot/vmlinux-{release}")));
    }
    paths
}

/// Files that may hold the static symbol table of a kernel, the real one of a debug package first.
pub fn system_map_candidates(release: &str) -> Vec<PathBuf> {
    if release.is_empty() || release.contains('/') || release == ".." {
        return Vec::new();
    }
    ["/usr/lib/debug/boot/System.map-", "/boot/System.map-"]
        .iter()
        .map(|p| PathBuf::from(format!("{p}{release}")))
        .collect()
}

/// A file that was passed over.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The file does not exist.
    #[error("{path}: not there")]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be opened or mapped.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Not a vmlinux that states a build id.
    #[error("{path}: {source}")]
    NotAVmlinux {
        /// The file.
        path: PathBuf,
        /// The mistake in it.
        source: elf::ElfError,
    },
    /// A file of another build.
    #[error("{path}: has build id {found}, the kernel at hand {wanted}")]
    OtherBuild {
        /// The file.
        path: PathBuf,
        /// Its build id.
        found: BuildId,
        /// The build id asked for.
        wanted: BuildId,
    },
}

impl Mismatch {
    /// The text for evidence, without folders: the name of a folder that a user has chosen reveals something about that user.
    pub fn evidence_text(&self) -> String {
        let (Self::Absent { path }
        | Self::Unreadable { path, .. }
        | Self::NotAVmlinux { path, .. }
        | Self::OtherBuild { path, .. }) = self;
        let usual = ["/usr", "/lib", "/boot"];
        let text = self.to_string();
        if usual.iter().any(|folder| path.starts_with(folder)) {
            return text;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        text.replace(&path.display().to_string(), &name)
    }
}

/// A vmlinux whose build id is known.
#[derive(Debug)]
pub struct Vmlinux {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub data: Mapping,
    /// Its build id.
    pub build_id: BuildId,
}

/// Open one file and read its build id.
pub fn open(path: &Path) -> Result<Vmlinux, Mismatch> {
    let data = Mapping::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Mismatch::Absent { path: path.into() },
        _ => Mismatch::Unreadable {
            path: path.into(),
            source,
        },
    })?;
    let build_id = elf::build_id(&data[..]).map_err(|source| Mismatch::NotAVmlinux {
        path: path.into(),
        source,
    })?;
    Ok(Vmlinux {
        path: path.into(),
        data,
        build_id,
    })
}

/// Open the first of `candidates` that has the build id `wanted`, and give the reason for each one that was skipped before it.
pub fn open_matching(candidates: &[PathBuf], wanted: &BuildId) -> (Option<Vmlinux>, Vec<Mismatch>) {
    let mut passed = Vec::new();
    for path in candidates {
        match open(path) {
            Ok(vmlinux) if vmlinux.build_id == *wanted => return (Some(vmlinux), passed),
            Ok(vmlinux) => passed.push(Mismatch::OtherBuild {
                path: path.clone(),
                found: vmlinux.build_id,
                wanted: wanted.clone(),
            }),
            Err(mismatch) => passed.push(mismatch),
        }
    }
    (None, passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that evidence names a file of a user without its folder, and one of the system with it.
    #[test]
    fn folders_of_users() {
        let report = |path: &str| Mismatch::Absent { path: path.into() }.evidence_text();
        assert_eq!(report("/home/alice/vmlinux"), "vmlinux: not there");
        let usual = "/usr/lib/debug/boot/vmlinux-6.1";
        assert_eq!(report(usual), format!("{usual}: not there"));
    }

    /// Check that the build id comes first, and that a release cannot lead out of the folders.
    #[test]
    fn candidates() {
        let id: BuildId = "3b43fad5".parse().unwrap();
        let paths = vmlinux_candidates("6.1.0-1-test", Some(&id));
        assert_eq!(
            paths[0],
            Path::new("/usr/lib/debug/.build-id/3b/43fad5.debug")
        );
        assert_eq!(
            paths[1],
            Path::new("/usr/lib/debug/boot/vmlinux-6.1.0-1-test")
        );
        assert!(vmlinux_candidates("../../x", None).is_empty());
        assert!(system_map_candidates("").is_empty());
    }

    /// Check that absent, broken and foreign files are passed over, each with its own reason, and the right one opened.
    #[test]
    fn first_match_wins() {
        let dir = tempfile::tempdir().unwrap();
        let wanted: BuildId = "aabb".parse().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let candidates = [
            dir.path().join("absent"),
            write("broken", b"not an ELF file"),
            write("other", &elf::tests::vmlinux(&[1, 2])),
            write("right", &elf::tests::vmlinux(&[0xaa, 0xbb])),
        ];
        let (found, passed) = open_matching(&candidates, &wanted);
        assert_eq!(found.unwrap().path, candidates[3]);
        assert!(matches!(
            passed.as_slice(),
            [
                Mismatch::Absent { .. },
                Mismatch::NotAVmlinux { .. },
                Mismatch::OtherBuild { .. }
            ]
        ));
        assert!(open_matching(&candidates[..3], &wanted).0.is_none());
    }
}
