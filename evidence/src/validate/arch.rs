//! Check of the kernel's architecture.

use super::finding::Finding;
use crate::document::{ARCHITECTURES, Evidence};

/// Check that the architecture is one that is known: claims compare it with names that they may not misspell.
pub(super) fn check_arch(evidence: &Evidence) -> Option<Finding> {
    let arch = evidence.kernel.arch.as_ref()?;
    (!ARCHITECTURES.contains(&arch.as_str())).then(|| {
        let reason = format!("it is one of `{}`", ARCHITECTURES.join("`, `"));
        ("/kernel/arch".into(), reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a known architecture is accepted, and that of older evidence, which does not say it; and no other.
    #[test]
    fn known() {
        let mut evidence = crate::testing::evidence();
        for arch in ARCHITECTURES
            .iter()
            .map(|arch| Some((*arch).to_owned()))
            .chain([None])
        {
            evidence.kernel.arch = arch;
            assert_eq!(check_arch(&evidence), None);
        }
        evidence.kernel.arch = Some("sparc".into());
        assert!(check_arch(&evidence).is_some_and(|(at, _)| at == "/kernel/arch"));
    }
}
