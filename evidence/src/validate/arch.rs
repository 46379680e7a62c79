//! Check of the kernel's architecture: that it is known, and that it is not another one than the release says.

use super::finding::Finding;
use crate::document::{ARCHITECTURES, Evidence};

/// Words of Debian's releases, `6.12.90+deb13-arm64`, and the architectures that they name.
const WORDS: [(&str, &str); 2] = [("amd64", "x86_64"), ("arm64", "aarch64")];

/// Check that the architecture is one that is known: claims compare it with names that they may not misspell. And that a word of the
/// release does not name another one.
pub(super) fn check_arch(evidence: &Evidence) -> Option<Finding> {
    let arch = evidence.kernel.arch.as_ref()?;
    let found = |reason| Some(("/kernel/arch".into(), reason));
    if !ARCHITECTURES.contains(&arch.as_str()) {
        return found(format!("it is one of `{}`", ARCHITECTURES.join("`, `")));
    }
    let release = &evidence.kernel.release;
    let named = release
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find_map(|word| WORDS.iter().find(|(known, _)| *known == word));
    match named {
        Some((word, of)) if of != arch => {
            found(format!("the release, `{release}`, is one for {word}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a known architecture is accepted, and that of older evidence, which does not say it; and no other.
    #[test]
    fn known() {
        let mut evidence = crate::testing::evidence();
        evidence.kernel.release = "6.12.1".into();
        for arch in ARCHITECTURES
            .iter()
            .map(|arch| Some((*arch).to_owned()))
            .chain([None])
        {
            evidence.kernel.arch = arch;
            assert_eq!(check_arch(&evidence), None);
        }
        evidence.kernel.release = "6.12.90+deb13-arm64".into();
        for (arch, is_wrong) in [("aarch64", false), ("x86_64", true)] {
            evidence.kernel.arch = Some(arch.into());
            assert_eq!(check_arch(&evidence).is_some(), is_wrong, "{arch}");
        }
        evidence.kernel.release = "6.12.90+deb13-cloud-amd64".into();
        evidence.kernel.arch = Some("aarch64".into());
        assert!(check_arch(&evidence).is_some());
        evidence.kernel.arch = Some("sparc".into());
        assert!(check_arch(&evidence).is_some_and(|(at, _)| at == "/kernel/arch"));
    }
}
