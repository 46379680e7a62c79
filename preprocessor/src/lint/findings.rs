//! The complaints of the lints.

use qed_evidence::diagnostic::Diagnostic;

use crate::config::{Config, Lint};

/// Complaints as they are found.
pub struct LintFindings<'a> {
    pub config: &'a Config,
    pub problems: Vec<Diagnostic>,
}

impl LintFindings<'_> {
    pub fn report(&mut self, lint: Lint, complaint: Diagnostic) {
        self.problems
            .push(self.config.apply_severity(lint, complaint));
    }
}
