//! Control paragraphs as `apt-cache show` prints them (deb-control(5)).
//!
//! Own code: a few fields of lines `Name: value`. Crates for Debian's control files, such as `deb822-lossless`, keep the text as a syntax tree
//! to edit it.

use super::package::Package;

/// A package that the archive serves, with the fields of its index entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServedPackage {
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
    /// The mirrors and suites that serve it, such as `http://mirror.example.org/debian trixie`; empty: not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
}

impl ServedPackage {
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
pub fn parse(text: &str) -> Vec<ServedPackage> {
    text.split("\n\n").filter_map(parse_paragraph).collect()
}

fn parse_paragraph(text: &str) -> Option<ServedPackage> {
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
    Some(ServedPackage {
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
        origins: Vec::new(),
    })
}

/// Add to packages where they come from, as `apt-cache madison` prints it:
/// ```text
/// linux-binary-7.3.4 | 7.3.4-1 | http://mirror.example.org/debian sid/main amd64 Packages
/// ```
pub fn add_origins(packages: &mut [ServedPackage], printed: &str) {
    for (name, version, origin) in printed.lines().filter_map(parse_origin) {
        let of_line =
            |served: &&mut ServedPackage| served.name == name && served.version == version;
        for served in packages.iter_mut().filter(of_line) {
            if !served.origins.contains(&origin) {
                served.origins.push(origin.clone());
            }
        }
    }
}

fn parse_origin(line: &str) -> Option<(&str, &str, String)> {
    let mut columns = line.split('|').map(str::trim);
    let (name, version) = (columns.next()?, columns.next()?);
    let mut words = columns.next()?.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let suite = suite.rsplit_once('/').map_or(suite, |(suite, _)| suite);
    (words.next_back() == Some("Packages"))
        .then(|| (name, version, format!("{} {suite}", strip_user(uri))))
}

/// An address without the name and password of a user.
fn strip_user(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
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
        let expected = ServedPackage {
            name: "a".into(),
            version: "1:2-3".into(),
            size: 417,
            sha256: digest,
            depends: ["kmod", "b", "c"].map(String::from).into(),
            origins: Vec::new(),
        };
        assert_eq!(parse(&text), [expected]);
        assert_eq!(parse(""), []);
    }

    /// Check that a package gets each mirror and suite that serves this version of it once, without a password.
    #[test]
    fn origins() {
        let served = |version: &str| ServedPackage {
            name: "a".into(),
            version: version.into(),
            ..ServedPackage::default()
        };
        let mut packages = [served("2"), served("1")];
        let printed = "    a | 2 | http://m/debian trixie-backports/main amd64 Packages\n\
             a | 2 | https://user:secret@s:8080/security trixie-security/main amd64 Packages\n\
             a | 2 | http://m/debian trixie-backports/main amd64 Packages\n\
             a | 2 | http://m/debian trixie/main Sources\n\
             b | 1 | http://m/debian trixie/main amd64 Packages\n\
             a | 1\n";
        add_origins(&mut packages, printed);
        assert_eq!(
            packages[0].origins,
            [
                "http://m/debian trixie-backports",
                "https://s:8080/security trixie-security"
            ]
        );
        assert_eq!(packages[1].origins, [""; 0]);
    }

    proptest::proptest! {
        /// Check that no text makes the parser fail, and that what it finds has a name and a version.
        #[test]
        fn any_text(text in "([A-Za-z0-9: .\n-]{0,40}\n){0,12}") {
            let mut found = parse(&text);
            add_origins(&mut found, &text.replace('-', "|"));
            for served in found {
                proptest::prop_assert!(!served.sha256.is_empty());
            }
        }
    }
}
