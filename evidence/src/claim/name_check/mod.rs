//! Checks of the words in a claim. Nothing is ever called `confidental`, so a claim that something is *not* called so is always
//! true, as is every claim whose condition a misspelt word turns off. So a PASS needs words that are known to be possible where
//! they are compared: some capture, the investigation, or a table holds them.

use crate::diagnostic::nearest;
use crate::document::value::Value;
use crate::path_index::resolve::{Catalog, Indexed};

mod absent;
mod comparisons;
mod possible;
mod unplaced;
mod vocabulary;

use super::ast::Node;
use super::obstacle::Obstacle;
use comparisons::{TextComparison, WrittenText, comparisons};
use possible::{Relation, Words, find_unlisted_function};

/// A text in an expression that proves nothing.
pub(super) enum UnresolvedName {
    /// Nothing has it.
    Unknown(Obstacle),
    /// This machine's evidence does not decide it: the kernel of another machine has it, or it may have more places.
    Elsewhere(Obstacle),
}

/// The first text in an expression that proves nothing by being compared.
pub(super) fn find_unresolved_name(
    root: &Node,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<UnresolvedName> {
    let mut found = None;
    root.walk(&mut |node| {
        if found.is_none() {
            found = comparisons(node)
                .iter()
                .find_map(|comparison| comparison.find_unresolved_name(catalog, machine));
        }
    });
    found
        .or_else(|| {
            vocabulary::find_vocabulary_mismatch(root, machine).map(UnresolvedName::Unknown)
        })
        .or_else(|| absent::find_absent_name(root, catalog, machine).map(UnresolvedName::Elsewhere))
        .or_else(|| unplaced::find_unplaced_name(root, machine).map(UnresolvedName::Elsewhere))
}

impl TextComparison<'_> {
    fn find_unresolved_name(
        &self,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> Option<UnresolvedName> {
        if self.with.is_empty() {
            return None;
        }
        self.written.iter().find_map(|written| {
            let known =
                |words: &Words<'_>| words.allows(written.text, written.relation, catalog, machine);
            if written.text.is_empty() {
                return None;
            }
            if self.with.iter().any(known) {
                return self.find_unlisted_copies(written, catalog, machine);
            }
            let elsewhere = self
                .with
                .iter()
                .find_map(|words| find_foreign_enumerator(words, written, catalog, machine));
            Some(elsewhere.unwrap_or_else(|| self.unknown_name(written, catalog, machine)))
        })
    }

    /// A name of a symbol whose other places the evidence does not tell.
    fn find_unlisted_copies(
        &self,
        written: &WrittenText<'_>,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> Option<UnresolvedName> {
        if !self.is_with_symbols() {
            return None;
        }
        let function = find_unlisted_function(written.text, written.relation, catalog, machine)?;
        Some(UnresolvedName::Elsewhere(Obstacle {
            message: format!(
                "this evidence does not list the copies of `{function}`, so it is not known which addresses have this name, too"
            ),
            range: written.range.clone(),
            help: None,
        }))
    }

    fn unknown_name(
        &self,
        written: &WrittenText<'_>,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> UnresolvedName {
        let text = written.text;
        let mut candidates: Vec<String> = Vec::new();
        for words in &self.with {
            words.any_text(catalog, machine, &mut |word| {
                candidates.push(word.to_owned());
                false
            });
        }
        candidates.sort_unstable();
        candidates.dedup();
        let fixed = self.with.iter().find_map(|words| match words {
            Words::Leaf(path) => Some((*path, crate::path_index::leaf_words(path)?)),
            _ => None,
        });
        let (message, help) = match fixed {
            Some((path, words)) => (
                format!("`{path}` is never `{text}`: that it is something else proves nothing"),
                format!("it is one of `{}`", words.join("`, `")),
            ),
            None => {
                let message = format!(
                    "nothing that was captured or is planned {} `{text}`: that it does not occur proves nothing",
                    self.verb(written.relation)
                );
                let words = candidates.iter().flat_map(|text| {
                    let parts = text.split(|c: char| c.is_whitespace() || c == ',');
                    std::iter::once(text.as_str()).chain(parts)
                });
                let help = match nearest(text, words.filter(|word| !word.is_empty())) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => self.advice().into(),
                };
                (message, help)
            }
        };
        UnresolvedName::Unknown(Obstacle {
            message,
            range: written.range.clone(),
            help: Some(help),
        })
    }

    fn verb(&self, relation: Relation) -> &'static str {
        let names = !self
            .with
            .iter()
            .any(|words| matches!(words, Words::Leaf(_)));
        match relation {
            Relation::Is if names => "is called",
            Relation::Is => "holds the word",
            Relation::Contains => "contains",
            Relation::StartsWith => "starts with",
            Relation::EndsWith => "ends with",
            Relation::Holds => "is a part of",
        }
    }

    fn advice(&self) -> &'static str {
        match self.with.as_slice() {
            [Words::Leaf("kernel.lsm"), ..] => {
                "correct the word, or have the investigation keep `config = [\"lsm\"]`, which names the modules that this \
                 kernel knows"
            }
            [Words::Leaf(_), ..] => {
                "correct the word, or say what the text is; that it is not something else can be said of words that some \
                 capture holds"
            }
            _ => {
                "correct the name, or plan a probe or a symbol of that name, which shows that there is one"
            }
        }
    }
}

/// An enumerator that only the kernels of other machines have: whatever this one calls the number, it is not that.
fn find_foreign_enumerator(
    words: &Words<'_>,
    written: &WrittenText<'_>,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<UnresolvedName> {
    let Words::Name(Some(path)) = words else {
        return None;
    };
    let Some(Value::Enum { type_name, .. }) = machine.leaves.get(path)?.datum.value() else {
        return None;
    };
    let tables = catalog
        .machines
        .iter()
        .map(|other| &other.evidence.names.enums);
    let mut names = tables
        .filter_map(|tables| tables.get(type_name))
        .flat_map(|list| list.keys());
    names.any(|name| written.relation.holds(name, written.text)).then(|| {
        UnresolvedName::Elsewhere(Obstacle {
            message: format!(
                "the kernel of another machine has such a name in {type_name}, and this machine's has none: that it does \
                 not occur here proves nothing"
            ),
            range: written.range.clone(),
            help: None,
        })
    })
}
