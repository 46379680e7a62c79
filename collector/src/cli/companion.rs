//! The collector for guests of another architecture: this program's twin, made from the same sources.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::symbols::mapping::Mapping;

/// The beginning of the name of the variable that names the twin, before its architecture in capitals.
const VARIABLE: &str = "QED_COLLECTOR_";

/// The mark by which a twin is recognised: jobs and answers have a form that only the same sources share.
static MARK: &str = concat!("qed-collector sources sha256:", env!("QED_SOURCES_SHA256"));

/// A twin that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CompanionError {
    /// There is none.
    #[error(
        "a guest of {arch} needs a qed-collector for {arch}, and there is none: {tried}. Build it with `make {}` and put it beside this \
         one, as {name}, or name its file in {variable}",
        .arch.debian()
    )]
    Missing {
        arch: Arch,
        /// Where it was looked for.
        tried: String,
        name: String,
        variable: String,
    },
    /// It cannot be read.
    #[error("the qed-collector for guests, {}, cannot be read: {error}", .path.display())]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    /// It was made from other sources.
    #[error(
        "{} was not made from the sources of this qed-collector, and the two would not understand each other: build it again with \
         `make {}`",
        .path.display(),
        .arch.debian()
    )]
    OtherSources { path: PathBuf, arch: Arch },
}

/// The file that becomes the first process of a guest of `arch`: `own` where that is this program's architecture.
///
/// # Errors
/// When there is no other collector for it, or one of other sources.
pub fn find_init(own: &Path, arch: Arch) -> Result<PathBuf, CompanionError> {
    if arch == Arch::HOST {
        return Ok(own.to_owned());
    }
    let variable = format!("{VARIABLE}{}", arch.machine().to_uppercase());
    let named = std::env::var_os(&variable).filter(|file| !file.is_empty());
    let places = places(own, arch, named);
    let Some(path) = places.iter().find(|path| path.is_file()) else {
        let shown: Vec<String> = places
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(CompanionError::Missing {
            arch,
            tried: format!("no {}", shown.join(" and no ")),
            name: file_name(arch),
            variable,
        });
    };
    let unreadable = |error| CompanionError::Unreadable {
        path: path.clone(),
        error,
    };
    let file = Mapping::open(path).map_err(unreadable)?;
    match memchr::memmem::find(&file, MARK.as_bytes()) {
        Some(_) => Ok(path.clone()),
        None => Err(CompanionError::OtherSources {
            path: path.clone(),
            arch,
        }),
    }
}

fn file_name(arch: Arch) -> String {
    format!("qed-collector-{}", arch.machine())
}

/// The files that may be the twin of `own`: the one that is named, or that beside it, in the library folder of the same installation,
/// and where cargo builds it in a checkout.
fn places(own: &Path, arch: Arch, named: Option<OsString>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.into()];
    }
    let Some(folder) = own.parent() else {
        return Vec::new();
    };
    let name = file_name(arch);
    let mut places = vec![folder.join(&name), folder.join("../lib/qed").join(&name)];
    // TARGET/PROFILE/qed-collector, for each target.
    if let (Some(profile), Some(root)) =
        (folder.file_name(), folder.parent().and_then(Path::parent))
    {
        let target = format!("{}-unknown-linux-gnu", arch.machine());
        places.push(root.join(target).join(profile).join("qed-collector"));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the twin is looked for beside the program, in its installation and in cargo's folders, and that a named one is
    /// the only one.
    #[test]
    fn known_places() {
        let own = Path::new("/t/x86_64-unknown-linux-gnu/release/qed-collector");
        let found = places(own, Arch::Aarch64, None);
        let name = "qed-collector-aarch64";
        assert_eq!(
            found,
            [
                Path::new("/t/x86_64-unknown-linux-gnu/release").join(name),
                Path::new("/t/x86_64-unknown-linux-gnu/release/../lib/qed").join(name),
                "/t/aarch64-unknown-linux-gnu/release/qed-collector".into(),
            ]
        );
        assert_eq!(
            places(own, Arch::Aarch64, Some("/x/y".into())),
            [PathBuf::from("/x/y")]
        );
    }

    /// Check that this program itself is the init of a guest of its own architecture, that a missing twin says what to do, and that a
    /// program of other sources is refused.
    #[test]
    fn twins() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("qed-collector");
        assert_eq!(find_init(&own, Arch::HOST).unwrap(), own);
        let other = Arch::ALL
            .into_iter()
            .find(|arch| *arch != Arch::HOST)
            .unwrap();
        let missing = find_init(&own, other).unwrap_err().to_string();
        assert!(missing.contains("`make "), "{missing}");
        let twin = folder.path().join(file_name(other));
        std::fs::write(&twin, "qed-collector sources sha256:00").unwrap();
        let refused = find_init(&own, other).unwrap_err();
        assert!(
            matches!(refused, CompanionError::OtherSources { .. }),
            "{refused}"
        );
        std::fs::write(&twin, format!("\u{1}{MARK}\0")).unwrap();
        assert_eq!(find_init(&own, other).unwrap(), twin);
    }
}
