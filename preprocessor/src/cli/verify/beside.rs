//! Files in the verified folder that are not part of the site.

use crate::publish::manifest;
use crate::util::files::SiteFile;

/// The file by which GitHub Pages knows the domain of a site. Its settings put it into the branch that is served.
pub(super) const CNAME: &str = "CNAME";

/// The domain in such a file that was added after publication, if it contains a domain and nothing else.
pub(super) fn cname_domain(files: &[SiteFile]) -> Option<String> {
    let named = |name: &str| files.iter().find(|file| file.name == name);
    let manifest: serde_json::Value =
        serde_json::from_slice(&named(manifest::MANIFEST)?.bytes).ok()?;
    let sealed = |value: &serde_json::Value| value.to_string().contains(&format!("\"{CNAME}\""));
    let text = std::str::from_utf8(&named(CNAME)?.bytes).ok()?;
    let domain = text.strip_suffix('\n').unwrap_or(text);
    let is_domain = (1..=253).contains(&domain.len())
        && domain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    (is_domain && !sealed(&manifest)).then(|| domain.to_owned())
}
