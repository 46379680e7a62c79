//! The workflow of a new book on GitHub, which installs the programs from the same source as this one.

/// The source from which this program can be installed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowSource<'a> {
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

impl<'a> WorkflowSource<'a> {
    /// The source from what the build was told (`make install`: `URL COMMIT`) and whether it was built where cargo unpacks
    /// what it gets from a registry ([`is_in_registry`]).
    pub fn of(built_from: Option<&'a str>, in_registry: bool) -> Self {
        let reported = built_from.and_then(|reported| reported.split_once(' '));
        match reported.filter(|(url, commit)| is_address(url) && is_commit(commit)) {
            Some((url, commit)) => WorkflowSource::Git { url, commit },
            None if in_registry => WorkflowSource::Registry,
            None => WorkflowSource::Unknown,
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

/// The workflow of a book whose site is built to `site`, and which lies in `folder` of its repository (empty: at the top).
pub fn workflow(source: WorkflowSource<'_>, site: &str, folder: &str) -> String {
    let variable = |name: &str, value: &str| format!("      {name}: {value}\n");
    let git = "cargo install --locked --git \"$QED_REPOSITORY\" --rev \"$QED_COMMIT\" qed-collector mdbook-qed";
    let (variables, install) = match source {
        WorkflowSource::Git { url, commit } => (
            variable("QED_REPOSITORY", url) + &variable("QED_COMMIT", commit),
            git.to_owned(),
        ),
        WorkflowSource::Registry => (
            String::new(),
            format!(
                "cargo install --locked qed-collector@{version} mdbook-qed@{version}",
                version = env!("CARGO_PKG_VERSION")
            ),
        ),
        WorkflowSource::Unknown => (
            "      # Where QED comes from, which the program that wrote this did not know: the address of its repository,\n      \
             # and a commit. Write both here, or into the variables of your repository.\n"
                .to_owned()
                + &variable("QED_REPOSITORY", "${{ vars.QED_REPOSITORY }}")
                + &variable("QED_COMMIT", "${{ vars.QED_COMMIT }}"),
            format!(
                "|\n          : \"${{QED_REPOSITORY:?say above where QED comes from}}\" \"${{QED_COMMIT:?say above which commit}}\"\n          {git}"
            ),
        ),
    };
    let pages = match folder {
        "" => site.to_owned(),
        folder => format!("{folder}/{site}"),
    };
    let folder = match folder {
        "" => String::new(),
        folder => format!(
            "    defaults:\n      run:\n        working-directory: {}\n",
            quoted(folder)
        ),
    };
    include_str!("../../../templates/init/book.yml")
        .replace("@MDBOOK@", mdbook_preprocessor::MDBOOK_VERSION)
        .replace("@SOURCE@", &variables)
        .replace("@INSTALL@", &install)
        .replace("@SITE@", &quoted(site))
        .replace("@PAGES@", &quoted(&pages))
        .replace("@FOLDER@", &folder)
}

/// A text as YAML, with any content: a JSON string is a YAML string.
fn quoted(text: &str) -> String {
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
            WorkflowSource::of(Some(&reported), checkout),
            WorkflowSource::Git {
                url: "https://git.example.org/a/qed",
                commit: COMMIT
            }
        );
        let registry = is_in_registry("/home/a/.cargo/registry/src/registry-1/mdbook-qed-0.1.0");
        assert_eq!(WorkflowSource::of(None, registry), WorkflowSource::Registry);
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
                WorkflowSource::of(Some(bad), checkout),
                WorkflowSource::Unknown,
                "{bad}"
            );
        }
    }

    /// Check that nothing is left to be replaced, and that each source is installed from where it is.
    #[test]
    fn workflows() {
        let git = WorkflowSource::Git {
            url: "https://git.example.org/a/qed",
            commit: COMMIT,
        };
        for (source, with, without) in [
            (git, COMMIT, "vars."),
            (WorkflowSource::Registry, "mdbook-qed@", "QED_COMMIT"),
            (WorkflowSource::Unknown, ":?say above", "mdbook-qed@"),
        ] {
            let text = workflow(source, "site", "");
            assert!(text.contains(with) && !text.contains(without), "{text}");
            let left = text.split('@').skip(1).filter(|rest| {
                let word = rest.split(|c: char| !c.is_ascii_uppercase()).next();
                word.is_some_and(|word| !word.is_empty())
            });
            assert_eq!(left.count(), 0, "{text}");
        }
        let text = workflow(git, "a \"b\"\nc", "docs/book");
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
