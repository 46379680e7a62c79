//! The problems of an investigation, and checks that several tables share.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::spanned::Spanned;
use crate::constants::{constant_sets, flag_sets};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::investigation::MAX_OUTPUT;
use crate::path::is_identifier;

/// The longest time a workload may be given, in milliseconds.
pub(super) const MAX_TIMEOUT_MS: u64 = 60_000;

/// The checker of the tables of one file, with their mistakes.
pub(super) struct FileChecker {
    pub source: Arc<SourceText>,
    pub problems: Vec<Diagnostic>,
    /// The names of experiments that were refused: those that inherit from them are refused for nothing else.
    pub refused: BTreeSet<String>,
}

impl FileChecker {
    pub(super) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.problems
            .push(Diagnostic::error(&self.source, span, message));
        self.problems.last_mut().expect("just pushed")
    }

    pub(super) fn line_of(&self, at: usize) -> usize {
        self.source.text[..at].matches('\n').count() + 1
    }

    /// The part of an output to keep, in bytes.
    pub(super) fn max_output(&mut self, limit: Option<Spanned<u32>>) -> Option<u32> {
        let limit = limit?;
        if !(1..=MAX_OUTPUT).contains(limit.get_ref()) {
            let message = format!("max-output is 1 to {MAX_OUTPUT} bytes");
            self.error(limit.span(), message);
        }
        Some(limit.into_inner())
    }

    pub(super) fn constant_set(&mut self, set: &Spanned<String>) {
        let name = set.get_ref();
        // Names of enumerations, enumerators and tracepoints are the kernel's, and a plan looks them up.
        let of_kernel = |name: &str| {
            is_identifier(name) && name.contains(|c: char| c == '_' || c.is_ascii_lowercase())
        };
        let of_field = |name: &str| {
            let parts = name.split_once('.');
            parts.is_some_and(|(tracepoint, field)| {
                let tracepoint = tracepoint
                    .split_once(':')
                    .map_or(tracepoint, |(_, event)| event);
                is_identifier(tracepoint) && is_identifier(field)
            })
        };
        let sets = || constant_sets().chain(flag_sets());
        if sets().any(|known| known == name) || of_kernel(name) || of_field(name) {
            return;
        }
        let list: Vec<&str> = sets().collect();
        let message = format!("there is no set of constants `{}`", set.get_ref());
        let list = list.join(", ");
        self.error(set.span(), message).help = Some(format!(
            "there is {list}; or write an enumerator of the kernel, such as one of its states, the name of its enumeration, or a tracepoint and its field, as `kmalloc.gfp_flags`"
        ));
    }
}
