//! The release that this program was installed from, as `install.sh` and the Debian package recorded it beside the program.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The record, in the folder above that of the program.
const RECORD: &str = "share/qed/release";

/// The largest record that is read, in bytes.
const MAX_BYTES: u64 = 4096;

/// A release, known by its archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// SHA-256 of `qed-VERSION-x86_64-linux.tar.gz`, hex.
    pub sha256: String,
}

/// The reasons why a record of a release is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file that cannot be read.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// A record of another form.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
    /// A record of another program.
    #[error("{} is of another mdbook-qed than this one", .0.display())]
    OtherProgram(PathBuf),
}

impl Release {
    /// The release that the program in the file `program` was installed from; `None` if nothing says that it was.
    ///
    /// # Errors
    /// If there is a record, and it cannot be read, is not whole, or is not of this program.
    pub fn from_program(program: &Path) -> Result<Option<Self>, ReleaseError> {
        let Some(prefix) = program.parent().and_then(Path::parent) else {
            return Ok(None);
        };
        let path = prefix.join(RECORD);
        let unreadable = |path: &Path, error| ReleaseError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&path, error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&path, error))?;
        let parsed = std::str::from_utf8(&bytes).ok().and_then(parse);
        let Some((release, digest)) = parsed else {
            return Err(ReleaseError::Damaged(path));
        };
        let own = qed_programs::digest(program).map_err(|error| unreadable(program, error))?;
        if own != digest {
            return Err(ReleaseError::OtherProgram(path));
        }
        Ok(Some(release))
    }
}

/// The release in a record, and the digest of its `mdbook-qed`.
fn parse(record: &str) -> Option<(Release, &str)> {
    let mut lines = record.strip_suffix('\n')?.split('\n');
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
    let (archive, version) = (value("archive")?, value("version")?);
    let (sha256, program) = (value("sha256")?, value("mdbook-qed")?);
    let is_version = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(plain)
    };
    let is_digest =
        |text: &str| text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let is_good = lines.next().is_none()
        && is_version(version)
        && archive == archive_name(version)
        && is_digest(sha256)
        && is_digest(program);
    is_good.then(|| {
        let release = Release {
            version: version.to_owned(),
            sha256: sha256.to_owned(),
        };
        (release, program)
    })
}

/// The name of the archive of a version.
pub fn archive_name(version: &str) -> String {
    format!("qed-{version}-x86_64-linux.tar.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a record is believed if it is whole and of the program beside it, and that each line of it counts.
    #[test]
    fn records() {
        let prefix = tempfile::tempdir().unwrap();
        let program = prefix.path().join("bin/mdbook-qed");
        let record = prefix.path().join(RECORD);
        for (path, text) in [(&program, "a program"), (&record, "")] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let digest = qed_programs::digest(&program).unwrap();
        let archive = "ab".repeat(32);
        let good = format!(
            "archive qed-1.2.3-rc.1-x86_64-linux.tar.gz\nversion 1.2.3-rc.1\nsha256 {archive}\nmdbook-qed {digest}\n"
        );
        let read = |text: &str| {
            std::fs::write(&record, text).unwrap();
            Release::from_program(&program)
        };
        let release = Release {
            version: "1.2.3-rc.1".into(),
            sha256: archive.clone(),
        };
        assert_eq!(read(&good).unwrap(), Some(release));
        let other = good.replace(&digest, &archive);
        assert!(matches!(read(&other), Err(ReleaseError::OtherProgram(_))));
        let without = |key: &str| {
            let lines = good.split_inclusive('\n');
            lines.filter(|line| !line.starts_with(key)).collect()
        };
        for damaged in [
            String::new(),
            "\0".repeat(5000),
            good.trim_end().to_owned(),
            good[..good.len() - 9].to_owned() + "\n",
            good.clone() + "more\n",
            good.replace("version 1.2.3-rc.1", "version 1.2.4"),
            good.replace("1.2.3-rc.1", "1.2.3 ${{ x }}"),
            good.replace("1.2.3-rc.1", "../../x"),
            good.replace(&archive, &archive.to_uppercase()),
            without("archive"),
            without("sha256"),
            without("mdbook-qed"),
        ] {
            assert!(
                matches!(read(&damaged), Err(ReleaseError::Damaged(_))),
                "{damaged}"
            );
        }
        std::fs::remove_file(&record).unwrap();
        assert!(matches!(Release::from_program(&program), Ok(None)));
        std::fs::create_dir(&record).unwrap();
        let unreadable = Release::from_program(&program);
        assert!(matches!(unreadable, Err(ReleaseError::Unreadable { .. })));
    }
}
