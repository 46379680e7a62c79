//! The workflow of a new book on GitHub, which installs the programs from the same source as this one.

use crate::cli::init::guest_arch::GuestArch;
use crate::cli::init::release::{Release, archive_name};

/// The source from which this program can be installed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowSource<'a> {
    /// The archive of a release, installed by the action of QED's repository.
    Release {
        /// The place of the action; `None`: it is not known.
        action: Option<ActionRef<'a>>,
        /// The version of the release.
        version: &'a str,
        /// SHA-256 of the archive, hex.
        sha256: &'a str,
    },
    /// This commit of a repository of Git.
    Git {
        /// Its public address.
        url: &'a str,
        /// The whole commit.
        commit: &'a str,
    },
    /// The registry of crates, in which a version never changes.
    Registry,
    /// The source is not known. The crate's name alone does not identify it: a registry may have something else under that
    /// name.
    Unknown,
}

/// A repository on GitHub at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionRef<'a> {
    /// Its name, `OWNER/REPOSITORY`.
    pub repository: &'a str,
    /// The whole commit.
    pub commit: &'a str,
}

impl<'a> ActionRef<'a> {
    /// Stands for a place that is not known. No repository has such a commit.
    pub const UNKNOWN: ActionRef<'static> = ActionRef {
        repository: "OWNER/REPOSITORY",
        commit: "0000000000000000000000000000000000000000",
    };

    /// The place of a repository with this address; `None` if it is not on GitHub, from where alone actions are taken.
    fn from_url(url: &'a str, commit: &'a str) -> Option<Self> {
        let path = url.strip_prefix("https://github.com/")?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let repository = path.strip_suffix(".git").unwrap_or(path);
        let (owner, name) = repository.split_once('/')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_word = |word: &str| !word.is_empty() && word.chars().all(plain);
        let place = ActionRef { repository, commit };
        (is_word(owner) && is_word(name)).then_some(place)
    }
}

impl<'a> WorkflowSource<'a> {
    /// The source from what the build was told (`make install`: `URL COMMIT`) and whether it was built where cargo unpacks
    /// what it gets from a registry ([`is_in_registry`]).
    pub fn from_build(built_from: Option<&'a str>, in_registry: bool) -> Self {
        let reported = built_from.and_then(|reported| reported.split_once(' '));
        match reported.filter(|(url, commit)| is_address(url) && is_commit(commit)) {
            Some((url, commit)) => WorkflowSource::Git { url, commit },
            None if in_registry => WorkflowSource::Registry,
            None => WorkflowSource::Unknown,
        }
    }

    /// The source of a program that was installed from `release`: its archive, unless the program came from a repository
    /// that is not on GitHub, or from a registry of crates.
    pub fn with_release(self, release: Option<&'a Release>) -> Self {
        let Some(release) = release else {
            return self;
        };
        let action = match self {
            WorkflowSource::Git { url, commit } => ActionRef::from_url(url, commit),
            _ => None,
        };
        if action.is_none() && self != WorkflowSource::Unknown {
            return self;
        }
        WorkflowSource::Release {
            action,
            version: &release.version,
            sha256: &release.sha256,
        }
    }
}

/// True for a folder where cargo unpacks what it gets from a registry. Known when the program is compiled, so that the folder
/// itself is not in it: the same program has the same bytes wherever it was built.
pub const fn is_in_registry(manifest: &str) -> bool {
    let (folder, sought) = (manifest.as_bytes(), b"/registry/src/");
    let mut start = 0;
    while start + sought.len() <= folder.len() {
        let mut same = 0;
        while same < sought.len() && folder[start + same] == sought[same] {
            same += 1;
        }
        if same == sought.len() {
            return true;
        }
        start += 1;
    }
    false
}

/// True for an address that can be put into a workflow without quoting.
fn is_address(url: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
    url.strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
}

fn is_commit(commit: &str) -> bool {
    commit.len() == 40 && commit.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// The parts of a workflow that depend on where QED comes from.
struct WorkflowParts {
    /// Variables of the job.
    variables: String,
    /// The steps that install QED, capture, judge and build.
    steps: String,
}

impl WorkflowParts {
    fn for_source(source: WorkflowSource<'_>) -> Self {
        let git = "cargo install --locked --git \"$QED_REPOSITORY\" --rev \"$QED_COMMIT\" qed-collector mdbook-qed";
        match source {
            WorkflowSource::Release {
                action,
                version,
                sha256,
            } => WorkflowParts {
                variables: String::new(),
                steps: with_action(action, version, sha256),
            },
            WorkflowSource::Git { url, commit } => {
                WorkflowParts::with_cargo(variable("QED_REPOSITORY", url) + &variable("QED_COMMIT", commit), git)
            }
            WorkflowSource::Registry => WorkflowParts::with_cargo(
                String::new(),
                &format!(
                    "cargo install --locked qed-collector@{version} mdbook-qed@{version}",
                    version = env!("CARGO_PKG_VERSION")
                ),
            ),
            WorkflowSource::Unknown => WorkflowParts::with_cargo(
                "      # Where QED comes from, which the program that wrote this did not know: the address of its repository,\n      \
                 # and a commit. Write both here, or into the variables of your repository.\n"
                    .to_owned()
                    + &variable("QED_REPOSITORY", "${{ vars.QED_REPOSITORY }}")
                    + &variable("QED_COMMIT", "${{ vars.QED_COMMIT }}"),
                &format!(
                    "|\n          : \"${{QED_REPOSITORY:?say above where QED comes from}}\" \"${{QED_COMMIT:?say above which commit}}\"\n          {git}"
                ),
            ),
        }
    }

    fn with_cargo(variables: String, install: &str) -> Self {
        WorkflowParts {
            variables,
            steps: include_str!("../../../templates/init/book-cargo.yml")
                .replace("@INSTALL@", install),
        }
    }
}

fn variable(name: &str, value: &str) -> String {
    format!("      {name}: {value}\n")
}

/// The steps with the action of QED's repository.
fn with_action(action: Option<ActionRef<'_>>, version: &str, sha256: &str) -> String {
    let place = action.unwrap_or(ActionRef::UNKNOWN);
    let origin = match action {
        Some(_) => "",
        None => {
            "      # The program that wrote this did not know where QED comes from. Replace OWNER/REPOSITORY, twice, by its repository on\n      \
             # GitHub, and the zeros by the commit of the release.\n"
        }
    };
    let ActionRef { repository, commit } = place;
    let archive = archive_name(version);
    include_str!("../../../templates/init/book-action.yml")
        .replace("@ORIGIN@", origin)
        .replace("@ACTION@", &format!("{repository}@{commit} # v{version}"))
        .replace(
            "@ARCHIVE@",
            &format!("https://github.com/{repository}/releases/download/v{version}/{archive}"),
        )
        .replace("@SHA256@", sha256)
}

/// The workflow of a book whose site is built to `site`, and which lies in `folder` of its repository (empty: at the top).
pub fn render_workflow(
    source: WorkflowSource<'_>,
    arch: GuestArch,
    site: &str,
    folder: &str,
) -> String {
    let WorkflowParts { variables, steps } = WorkflowParts::for_source(source);
    let (pages, book, default) = match folder {
        "" => (site.to_owned(), ".", String::new()),
        folder => (
            format!("{folder}/{site}"),
            folder,
            format!(
                "    defaults:\n      run:\n        working-directory: {}\n",
                yaml_quote(folder)
            ),
        ),
    };
    include_str!("../../../templates/init/book.yml")
        .replace("@STEPS@", &steps)
        .replace("@QEMU@", arch.emulator_package())
        .replace("@MDBOOK@", mdbook_preprocessor::MDBOOK_VERSION)
        .replace("@SOURCE@", &variables)
        .replace("@SITE@", &yaml_quote(site))
        .replace("@PAGES@", &yaml_quote(&pages))
        .replace("@BOOK@", &yaml_quote(book))
        .replace("@FOLDER@", &default)
}

/// A text as YAML, with any content: a JSON string is a YAML string.
fn yaml_quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// Check that a source is believed only if it can stand in a workflow, and that the registry is named only by a
    /// program that came from it.
    #[test]
    fn sources() {
        let checkout = is_in_registry("/home/a/registry/qed/preprocessor");
        let reported = format!("https://git.example.org/a/qed {COMMIT}");
        assert_eq!(
            WorkflowSource::from_build(Some(&reported), checkout),
            WorkflowSource::Git {
                url: "https://git.example.org/a/qed",
                commit: COMMIT
            }
        );
        let registry = is_in_registry("/home/a/.cargo/registry/src/registry-1/mdbook-qed-0.1.0");
        assert_eq!(
            WorkflowSource::from_build(None, registry),
            WorkflowSource::Registry
        );
        for bad in [
            "",
            "https://git.example.org/a/qed",
            "https://git.example.org/a/qed main",
            &format!("/home/a/qed {COMMIT}"),
            &format!("https:// {COMMIT}"),
            &format!("https://a:secret@git.example.org/qed {COMMIT}"),
            &format!("https://x/${{{{vars.x}}}} {COMMIT}"),
            &format!("https://git.example.org/a/qed {COMMIT}0"),
        ] {
            assert_eq!(
                WorkflowSource::from_build(Some(bad), checkout),
                WorkflowSource::Unknown,
                "{bad}"
            );
        }
    }

    /// Check that a program from a release has its archive installed, by the action of the repository on GitHub that it was built
    /// from, or of one that has to be named; and that one from elsewhere has not.
    #[test]
    fn releases() {
        let release = Release {
            version: "1.2.3".into(),
            sha256: "ab".repeat(32),
        };
        let git = |url| WorkflowSource::Git {
            url,
            commit: COMMIT,
        };
        let released = |action| WorkflowSource::Release {
            action,
            version: "1.2.3",
            sha256: &release.sha256,
        };
        let place = ActionRef {
            repository: "a/qed.book",
            commit: COMMIT,
        };
        for url in [
            "https://github.com/a/qed.book",
            "https://github.com/a/qed.book.git",
            "https://github.com/a/qed.book/",
        ] {
            let source = git(url).with_release(Some(&release));
            assert_eq!(source, released(Some(place)), "{url}");
        }
        let unknown = WorkflowSource::Unknown;
        assert_eq!(unknown.with_release(Some(&release)), released(None));
        for other in [
            git("https://git.example.org/a/qed"),
            git("https://github.com/a"),
            git("https://github.com/a/b/c"),
            git("https://github.com/a:b/c"),
            WorkflowSource::Registry,
        ] {
            assert_eq!(other.with_release(Some(&release)), other);
        }
        assert_eq!(unknown.with_release(None), unknown);
    }

    /// Check that nothing is left to be replaced, and that each source is installed from where it is.
    #[test]
    fn workflows() {
        let git = WorkflowSource::Git {
            url: "https://git.example.org/a/qed",
            commit: COMMIT,
        };
        let digest = "ab".repeat(32);
        let place = ActionRef {
            repository: "a/qed",
            commit: COMMIT,
        };
        let released = |action| WorkflowSource::Release {
            action,
            version: "1.2.3",
            sha256: &digest,
        };
        let uses = format!("        uses: a/qed@{COMMIT} # v1.2.3\n");
        let archive = format!(
            "          archive: https://github.com/a/qed/releases/download/v1.2.3/qed-1.2.3-x86_64-linux.tar.gz\n          \
             # Of the archive: anything else is refused.\n          sha256: {digest}\n          book: \".\"\n"
        );
        for (source, with, without) in [
            (git, COMMIT, "vars."),
            (WorkflowSource::Registry, "mdbook-qed@", "QED_COMMIT"),
            (WorkflowSource::Unknown, ":?say above", "mdbook-qed@"),
            (released(Some(place)), &uses, "OWNER/"),
            (released(Some(place)), &archive, "QED_COMMIT"),
            (released(None), "uses: OWNER/REPOSITORY@000", "vars."),
        ] {
            let text = render_workflow(source, GuestArch::default(), "site", "");
            assert!(text.contains(with) && !text.contains(without), "{text}");
            let left = text.split('@').skip(1).filter(|rest| {
                let word = rest.split(|c: char| !c.is_ascii_alphanumeric()).next();
                word.is_some_and(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
            });
            assert_eq!(left.count(), 0, "{text}");
        }
        let text = render_workflow(git, GuestArch::Arm64, "a \"b\"\nc", "docs/book");
        assert!(text.contains("SITE: \"a \\\"b\\\"\\nc\"\n"), "{text}");
        assert!(
            text.contains("working-directory: \"docs/book\"\n"),
            "{text}"
        );
        assert!(
            text.contains("path: \"docs/book/a \\\"b\\\"\\nc\"\n"),
            "{text}"
        );
    }
}
