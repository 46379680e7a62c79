//! The block that replaces a claim or an exhibit in a chapter.

use std::sync::Arc;

use qed_evidence::diagnostic::Diagnostic;

use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::Use;
use crate::markdown::chapter::{Chapter, to_diagnostic};
use crate::markdown::syntax::SyntaxError;

/// The mark of a value or verdict that is out of date; in HTML the style sheet puts it there, so that it is neither copied nor searched.
pub const MARK: char = '†';

/// The kind of output that a page becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// HTML, through mdBook's own renderer.
    Html,
    /// Anything else: plain text in Markdown.
    Text,
    /// None: only what there is to complain about is wanted, and what would be shown.
    Nothing,
}

/// The words that appear in place of a value.
pub const GAPS: &[&str] = &["UNVERIFIED", "ERROR", "WITHHELD"];

/// A block that replaces a claim or an exhibit.
#[derive(Debug, Default)]
pub struct RenderedBlock {
    /// One line of HTML.
    pub html: String,
    /// The same as plain text.
    pub text: String,
    /// Machines that it shows.
    pub machines: Vec<MachineId>,
    /// Values that it shows.
    pub uses: Vec<Use>,
    /// The complaints to the author.
    pub problems: Vec<Diagnostic>,
}

/// Report a problem at a place of the chapter.
pub fn report(problems: &mut Vec<Diagnostic>, chapter: &Chapter, error: SyntaxError) {
    problems.push(to_diagnostic(&Arc::clone(&chapter.source), error));
}
