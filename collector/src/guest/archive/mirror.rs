//! The suites of Debian that are asked, and on which mirrors. No I/O.

use std::fmt::Write as _;

/// Releases of Debian whose kernels are used, the oldest first. A suite that a mirror does not have is skipped.
const CODENAMES: &[&str] = &["bookworm", "trixie", "forky"];

/// Suites of one release on the main mirror, by what follows the codename.
const SUITES: &[&str] = &["", "-updates", "-backports"];

/// The suite that packages enter first.
const UNSTABLE: &str = "sid";

/// Other words for a release of Debian that sources may use.
const ALIASES: &[&str] = &[
    "bullseye",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    UNSTABLE,
];

/// Addresses of Debian's two archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// The archive with `dists/CODENAME`.
    pub main: String,
    /// The archive with `dists/CODENAME-security`.
    pub security: Option<String>,
}

/// The mirrors that this machine's own sources name, from lines of `URI SUITE COMPONENT`, as `apt-get indextargets
/// --format '$(REPO_URI) $(RELEASE) $(COMPONENT)'` prints them.
///
/// Third-party archives also use Debian's names of suites. A mirror whose path ends like Debian's is preferred; anything that
/// is not signed with Debian's keys is refused later.
#[must_use]
pub fn from_targets(targets: &str) -> Option<Mirrors> {
    let rows: Vec<(&str, &str)> = targets
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let row = (words.next()?, words.next()?);
            (words.next() == Some("main")).then_some(row)
        })
        .collect();
    let first = |is_suite: fn(&str) -> bool, end: &str| {
        let named = |with_end: bool| {
            rows.iter().find(|(uri, suite)| {
                is_suite(suite) && (!with_end || uri.trim_end_matches('/').ends_with(end))
            })
        };
        let found = named(true).or_else(|| named(false));
        found.map(|(uri, _)| (*uri).to_owned())
    };
    let main = first(is_main, "/debian")?;
    // Sources without a line for it would hide every update of a stable series. Mirrors mostly have both archives side by side.
    let beside = || {
        let base = main.trim_end_matches('/').strip_suffix("/debian")?;
        Some(format!("{base}/debian-security/"))
    };
    Some(Mirrors {
        security: first(is_security, "/debian-security").or_else(beside),
        main,
    })
}

fn is_release(word: &str) -> bool {
    CODENAMES.contains(&word) || ALIASES.contains(&word)
}

fn is_main(suite: &str) -> bool {
    SUITES
        .iter()
        .any(|end| suite.strip_suffix(end).is_some_and(is_release))
}

fn is_security(suite: &str) -> bool {
    suite.strip_suffix("-security").is_some_and(is_release)
}

/// A sources.list(5) of all suites on these mirrors, verified with the keys in `keyring`, else with those that apt
/// trusts.
#[must_use]
pub fn sources_list(mirrors: &Mirrors, keyring: Option<&str>) -> String {
    let options = keyring.map_or_else(String::new, |path| format!("[signed-by={path}] "));
    let mut list = String::new();
    let mut add = |uri: &str, suite: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(list, "deb {options}{uri} {suite} main");
    };
    for codename in CODENAMES {
        for suite in SUITES {
            add(&mirrors.main, &format!("{codename}{suite}"));
        }
        if let Some(security) = &mirrors.security {
            add(security, &format!("{codename}-security"));
        }
    }
    add(&mirrors.main, UNSTABLE);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that Debian's mirrors are found among the archives of others, whatever the order.
    #[test]
    fn mirrors() {
        let rows = [
            "https://packages.example.org/tool/ stable main",
            "http://mirror.example.org/debian/ bookworm-updates main",
            "http://mirror.example.org/debian/ bookworm main",
            "http://security.example.org/debian-security/ bookworm-security main",
            "https://other.example.org/linux/debian/ bookworm stable",
            "https://other.example.org/apt/ bookworm-pgdg main",
            "",
        ];
        let expected = Mirrors {
            main: "http://mirror.example.org/debian/".into(),
            security: Some("http://security.example.org/debian-security/".into()),
        };
        assert_eq!(from_targets(&rows.join("\n")), Some(expected.clone()));
        let reversed: Vec<&str> = rows.into_iter().rev().collect();
        assert_eq!(from_targets(&reversed.join("\n")), Some(expected));
        let alone = from_targets("http://mirror.example.org/debian trixie main\n").unwrap();
        let beside = "http://mirror.example.org/debian-security/";
        assert_eq!(alone.security.as_deref(), Some(beside));
        assert_eq!(from_targets("https://x.example.org/ jammy main\n"), None);
        let odd = from_targets("file:/srv/pool trixie main\n").unwrap();
        assert_eq!((odd.main.as_str(), odd.security), ("file:/srv/pool", None));
    }

    /// Check that the list holds every suite once, with the keyring.
    #[test]
    fn list() {
        let mirrors = Mirrors {
            main: "http://m/debian".into(),
            security: Some("http://s".into()),
        };
        let list = sources_list(&mirrors, Some("/k.gpg"));
        assert!(list.contains("deb [signed-by=/k.gpg] http://m/debian trixie-backports main\n"));
        assert!(list.contains("deb [signed-by=/k.gpg] http://s bookworm-security main\n"));
        assert!(list.ends_with("http://m/debian sid main\n"));
        let lines: std::collections::BTreeSet<&str> = list.lines().collect();
        assert_eq!(lines.len(), list.lines().count());
        let without = sources_list(
            &Mirrors {
                security: None,
                ..mirrors
            },
            None,
        );
        assert!(
            without
                .lines()
                .all(|l| l.starts_with("deb http://m/debian "))
        );
    }
}
