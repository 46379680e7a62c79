//! Control paragraphs as `apt-cache show` prints them (deb-control(5)).

use super::package::Package;

/// A package that the archive serves, with the fields of its index entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Served {
    /// e.g. `linux-image-6.1.0-56-cloud-amd64-unsigned`
    pub name: String,
    /// e.g. `6.1.192-2`
    pub version: String,
    /// Size of the `.deb` in bytes.
    pub size: u64,
    /// SHA-256 of the `.deb`, hex, from the signed index.
    pub sha256: String,
    /// Names of the packages that it depends on, alternatives included.
    pub depends: Vec<String>,
}

impl Served {
    /// Name and version.
    #[must_use]
    pub fn package(&self) -> Package {
        Package {
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }

    /// True if it depends on a package whose name `matches`.
    pub fn depends_on(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.depends.iter().any(|name| matches(name))
    }
}

/// The packages of a text of control paragraphs. A paragraph without name, version, size and digest comes from the
/// local dpkg status, cannot be downloaded, and is left out; continuation lines are passed over.
///
/// ```text
/// Package: linux-base-7.2.13+deb14-cloud-amd64
/// Version: 7.2.13-1
/// Depends: kmod, linux-base (>= 4.3~) | linux-other
/// Size: 417436
/// SHA256: c41b217e…
/// ```
#[must_use]
pub fn parse(text: &str) -> Vec<Served> {
    text.split("\n\n").filter_map(paragraph).collect()
}

fn paragraph(text: &str) -> Option<Served> {
    let field = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name == wanted).then(|| value.trim())
        })
    };
    let names = |value: &str| -> Vec<String> {
        let relations = value.split([',', '|']);
        let words = relations.filter_map(|relation| relation.split_whitespace().next());
        // `name:any` names an architecture, too.
        words
            .map(|word| word.split(':').next().unwrap_or(word).to_owned())
            .collect()
    };
    Some(Served {
        name: field("Package")?.to_owned(),
        version: field("Version")?.to_owned(),
        size: field("Size")?.parse().ok()?,
        sha256: field("SHA256")
            .filter(|digest| digest.len() == 64)?
            .to_owned(),
        depends: ["Depends", "Pre-Depends"]
            .into_iter()
            .filter_map(field)
            .flat_map(names)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check a paragraph with everything in it, and that one of the local status does not count.
    #[test]
    fn paragraphs() {
        let digest = "c".repeat(64);
        let text = format!(
            "Package: a\nSource: linux\nVersion: 1:2-3\nDepends: kmod, b (= 2) | c:any\nDescription: x\n Size: 9\nSize: 417\nSHA256: {digest}\n\n\
             Package: installed\nStatus: install ok installed\nVersion: 1\n"
        );
        let expected = Served {
            name: "a".into(),
            version: "1:2-3".into(),
            size: 417,
            sha256: digest,
            depends: ["kmod", "b", "c"].map(String::from).into(),
        };
        assert_eq!(parse(&text), [expected]);
        assert_eq!(parse(""), []);
    }

    proptest::proptest! {
        /// Check that no text makes the parser fail, and that what it finds has a name and a version.
        #[test]
        fn any_text(text in "([A-Za-z0-9: .\n-]{0,40}\n){0,12}") {
            for served in parse(&text) {
                proptest::prop_assert!(!served.sha256.is_empty());
            }
        }
    }
}
