//! The evidence in which paths are looked up, and the investigation that plans them.

use std::sync::{Arc, OnceLock};

use super::captured_words::CapturedWords;
use super::index::leaves;
use super::leaves::Leaves;
use crate::document::Evidence;
use crate::investigation::Investigation;

/// The evidence of one machine with its index of leaves, which clones share.
#[derive(Clone, Debug)]
pub struct Indexed<'a> {
    /// The document.
    pub evidence: &'a Evidence,
    /// Its leaves.
    pub leaves: Arc<Leaves<'a>>,
    /// Its words, once somebody asked for them.
    words: Arc<OnceLock<CapturedWords>>,
}

impl<'a> Indexed<'a> {
    /// Index a document.
    pub fn new(evidence: &'a Evidence) -> Self {
        Indexed {
            evidence,
            leaves: Arc::new(leaves(evidence)),
            words: Arc::default(),
        }
    }

    /// The words of its values and frames.
    pub(crate) fn captured_words(&self) -> &CapturedWords {
        self.words
            .get_or_init(|| CapturedWords::from_evidence(self.evidence))
    }
}

/// Everything an author can name: the investigation and the evidence of all machines.
#[derive(Debug)]
pub struct Catalog<'a> {
    /// The plan.
    pub investigation: &'a Investigation,
    /// The evidence of each machine.
    pub machines: &'a [Indexed<'a>],
}
