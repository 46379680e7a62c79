//! The evidence of a live machine before it was redacted.

use std::fmt;

use qed_evidence::Evidence;

/// The raw evidence of a machine, if what may be shown of it is redacted. It says where a running kernel is, so nothing may be
/// done with it but the two things that this type is for: judging claims, and searching what is published for what it withholds.
/// The test `layers` names the modules that do so; no other asks for the content.
#[derive(Default)]
pub struct RawEvidence(Option<Evidence>);

impl RawEvidence {
    /// True if there is some: what is shown was redacted here.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }

    /// What claims are judged on, if it is not what is shown.
    pub fn for_judging(&self) -> Option<&Evidence> {
        self.0.as_ref()
    }

    /// What must not be found in anything that is published. Without raw evidence, what is `shown` is all that is known.
    pub fn for_searching<'a>(&'a self, shown: &'a Evidence) -> &'a Evidence {
        self.0.as_ref().unwrap_or(shown)
    }
}

impl From<Option<Evidence>> for RawEvidence {
    fn from(raw: Option<Evidence>) -> Self {
        RawEvidence(raw)
    }
}

impl fmt::Debug for RawEvidence {
    /// Without its content, which could get into a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.exists() {
            "raw evidence"
        } else {
            "none"
        })
    }
}
