//! Evidence in the folder of the chapters: mdBook copies every file there that is not a chapter into the site.

use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::machine::HOST;

use crate::config::{BookPaths, Config, evidence_file_name};
use crate::evidence::locations::CAPTURED;

/// The folder of a book's evidence and state.
const OWN: &str = ".qed";

/// An error where mdBook would copy evidence of a live machine, raw, into the site; a warning where it would copy that of guests.
pub fn find_exposed(paths: &BookPaths, config: &Config) -> Option<Diagnostic> {
    let real = |path: &Path| path.canonicalize().ok();
    let src = real(&paths.root.join(&paths.src))?;
    // Also where it is a link to another place: mdBook follows links.
    let named = real(&paths.root)?.join(OWN);
    let place = real(&named)?;
    if !place.starts_with(&src) && !named.starts_with(&src) {
        return None;
    }
    let live = config.machines.iter().any(|machine| machine == HOST)
        || paths
            .root
            .join(CAPTURED)
            .join(evidence_file_name(HOST))
            .exists();
    let message = format!(
        "the folder of the chapters (`src = \"{}\"`) holds `{OWN}`, and mdBook copies all of it into the site, raw evidence included",
        paths.src.display()
    );
    let problem = Diagnostic::error_without_place(message)
        .help("give the chapters a folder of their own: `src = \"src\"` in book.toml");
    Some(match live {
        true => problem,
        false => problem.warning(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a folder of chapters that holds the evidence is an error where a live machine is captured, a warning where
    /// none is, and that one beside it is neither.
    #[test]
    fn folders_of_chapters() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::create_dir_all(root.join(CAPTURED)).unwrap();
        let found = |src: &str, machine: &str| {
            let paths = BookPaths {
                root: root.to_owned(),
                src: src.into(),
                theme: "theme".into(),
            };
            let mut config = Config::lenient();
            config.machines = vec![machine.to_owned()];
            find_exposed(&paths, &config).map(|problem| problem.severity)
        };
        use qed_evidence::diagnostic::Severity::{Error, Warning};
        assert_eq!(found("src", HOST), None);
        assert_eq!(found(".", HOST), Some(Error));
        assert_eq!(found("", HOST), Some(Error));
        assert_eq!(found("src/..", HOST), Some(Error));
        assert_eq!(found(".qed", HOST), Some(Error));
        assert_eq!(found(".", "guest:debian-6.1"), Some(Warning));
        std::fs::write(root.join(CAPTURED).join("host.json"), "").unwrap();
        assert_eq!(found(".", "guest:debian-6.1"), Some(Error));
        assert_eq!(found("src", HOST), None);
        std::fs::rename(root.join(OWN), root.join("src/moved")).unwrap();
        std::os::unix::fs::symlink(root.join("src/moved"), root.join(OWN)).unwrap();
        assert_eq!(found("src", HOST), Some(Error));
        // A book without evidence has nothing to hide.
        std::fs::remove_file(root.join(OWN)).unwrap();
        assert_eq!(found(".", HOST), None);
    }
}
