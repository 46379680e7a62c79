//! The claim of a chapter: its id, its condition and its expression.

use crate::diagnostic::Diagnostic;

use super::coverage::{BookMentions, Mentions, Scope};
use super::graph::{COVERAGE, GRAPH};
use super::holds::{KernelInterval, KernelVersion};
use super::parse::{Expression, ReadPath};
use super::source_map::SourceMap;

/// A claim of a chapter.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its name, unique in the book.
    pub id: String,
    /// The condition of the claim, which says nothing about machines where this is false.
    pub when: Option<Expression>,
    /// The statement itself.
    pub expression: Expression,
    /// The kernels on which it is true; it is false on all others.
    pub holds: Option<KernelInterval>,
    /// True if it is the negation of a claim that has to be false here.
    pub(super) negated: bool,
}

impl Claim {
    /// The reason why `id` cannot name a claim, if it cannot.
    pub fn refuse_id(id: &str) -> Option<String> {
        let good = crate::path::is_name(id) && !id.starts_with('_');
        (!good).then(|| format!("`{id}` cannot name a claim: it does not match [a-z][a-z0-9_]*"))
    }

    /// Parse a claim: its id, its text, its condition, and the places of both. All complaints are reported at once.
    pub fn parse(
        id: &str,
        body: &str,
        body_place: SourceMap,
        when: Option<(&str, SourceMap)>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        if let Some(message) = Claim::refuse_id(id) {
            diagnostics.push(body_place.error(&(0..0), message));
        }
        let when = when.and_then(|(text, place)| {
            Expression::parse(text, place)
                .map_err(|errors| diagnostics.extend(errors))
                .ok()
        });
        let expression = Expression::parse(body, body_place)
            .map_err(|errors| diagnostics.extend(errors))
            .ok();
        for expression in when.iter().chain(&expression) {
            if expression.reads().is_empty() {
                let whole = 0..expression.text().len();
                diagnostics.push(
                    expression
                        .place()
                        .error(&whole, "the expression reads no evidence")
                        .help("name a value that was measured, such as `create.outcome.returned`"),
                );
            }
        }
        match expression {
            Some(expression) if diagnostics.is_empty() => Ok(Claim {
                id: id.into(),
                when,
                expression,
                holds: None,
                negated: false,
            }),
            _ => Err(diagnostics),
        }
    }

    /// Restrict the claim to the kernels of an interval, such as `..7.0`: inside it has to be true, outside it has to be
    /// false.
    ///
    /// # Errors
    /// All mistakes in the interval, which is at `place`.
    pub fn with_interval(self, interval: &str, place: &SourceMap) -> Result<Self, Vec<Diagnostic>> {
        let holds = KernelInterval::parse(interval, place, &self.expression)?;
        Ok(Claim {
            holds: Some(holds),
            ..self
        })
    }

    /// The truth that the expression must have on this kernel; `None` if that is not known.
    pub fn expected_truth(&self, kernel: KernelVersion<'_>) -> Option<bool> {
        match &self.holds {
            None => Some(true),
            Some(holds) => holds.contains(kernel).ok(),
        }
    }

    /// Give the claim the mentions in the texts whose coverage it asks for: `tell` returns the mentions of an experiment's
    /// functions in the text of a scope. Must be called last: an interval that is added later would not have them.
    pub fn with_mentions(mut self, tell: &dyn Fn(Scope, &str) -> Mentions) -> Self {
        let all: BookMentions = self
            .reads()
            .filter_map(|read| {
                let (experiment, rest) = read.path.split_once(GRAPH)?;
                let (scope, COVERAGE) = rest.split_once('#')? else {
                    return None;
                };
                Some((read.path.clone(), tell(Scope::parse(scope)?, experiment)))
            })
            .collect();
        if all.is_empty() {
            return self;
        }
        if let Some(holds) = &mut self.holds {
            holds.negation.book_mentions.clone_from(&all);
        }
        if let Some(when) = &mut self.when {
            when.book_mentions.clone_from(&all);
        }
        self.expression.book_mentions = all;
        self
    }

    /// Every path that the claim reads, its condition's included.
    pub fn reads(&self) -> impl Iterator<Item = &ReadPath> {
        self.when
            .iter()
            .flat_map(Expression::reads)
            .chain(self.expression.reads())
    }
}
