//! Words that a claim writes. That something is *not* called `confidental` is true of every misspelt word, and so is every
//! condition that a misspelt word takes away. So a PASS needs words that are known to be possible where they are compared:
//! some capture, the investigation, or a table holds them.

use std::ops::Range;

use crate::diagnostic::nearest;
use crate::document::value::Value;
use crate::path_index::resolve::{Catalog, Indexed};

mod possible;
mod unplaced;
mod vocabulary;

use super::ast::{Binary, Literal, Node, NodeKind};
use super::obstacle::Obstacle;
use possible::{Relation, Words, without_copies};

/// A text in an expression that proves nothing.
pub(super) enum Strange {
    /// Nothing has it.
    Unknown(Obstacle),
    /// This machine's evidence does not decide it: the kernel of another machine has it, or it may have more places.
    Elsewhere(Obstacle),
}

/// The first text in an expression that proves nothing by being compared.
pub(super) fn strange(
    root: &Node,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<Strange> {
    let mut found = None;
    root.walk(&mut |node| {
        if found.is_none() {
            found = comparisons(node)
                .iter()
                .find_map(|comparison| comparison.strange(catalog, machine));
        }
    });
    found
        .or_else(|| vocabulary::strangers(root, machine).map(Strange::Unknown))
        .or_else(|| unplaced::unplaced(root, machine).map(Strange::Elsewhere))
}

/// Texts that are compared with something.
struct Comparison<'n> {
    written: Vec<Written<'n>>,
    with: Vec<Words<'n>>,
}

/// A text of the claim.
#[derive(Clone, Copy)]
struct Written<'n> {
    text: &'n str,
    range: &'n Range<usize>,
    relation: Relation,
}

/// Texts with what they are compared with.
fn compare<'n>(texts: &[&'n Node], with: Option<&'n Node>, relation: Relation) -> Comparison<'n> {
    let mut written = Vec::new();
    for node in texts {
        collect_texts(node, relation, &mut written);
    }
    let mut words = Vec::new();
    if let Some(node) = with {
        collect_words(node, &mut words);
    }
    Comparison {
        written,
        with: words,
    }
}

/// The relation of a text to what it is to be equal to: of a sum it holds a part.
fn equal_to(other: &Node) -> Relation {
    match &other.kind {
        NodeKind::Binary(Binary::Add, _) => Relation::Holds,
        NodeKind::Conditional(parts) => match (equal_to(&parts[1]), equal_to(&parts[2])) {
            (Relation::Is, Relation::Is) => Relation::Is,
            _ => Relation::Holds,
        },
        _ => Relation::Is,
    }
}

/// The comparisons of a node.
fn comparisons(node: &Node) -> Vec<Comparison<'_>> {
    match &node.kind {
        NodeKind::Binary(Binary::Equal | Binary::NotEqual, sides) => {
            let [a, b] = sides.as_ref();
            vec![
                compare(&[a], Some(b), equal_to(b)),
                compare(&[b], Some(a), equal_to(a)),
            ]
        }
        NodeKind::Call(function, args) => {
            let relation = match function.name {
                "contains" => Relation::Contains,
                "starts_with" => Relation::StartsWith,
                "ends_with" => Relation::EndsWith,
                "on_stack" | "calls" | "ran" | "never_ran" | "calls_of" | "parent" => {
                    let names: Vec<&Node> = args.iter().skip(1).collect();
                    let mut comparison = compare(&names, None, Relation::Is);
                    comparison.with.push(Words::Function);
                    return vec![comparison];
                }
                _ => return Vec::new(),
            };
            let [text, part] = args.as_slice() else {
                return Vec::new();
            };
            vec![
                compare(&[part], Some(text), relation),
                compare(&[text], Some(part), Relation::Holds),
            ]
        }
        _ => Vec::new(),
    }
}

/// The texts that come out of a node as they are written, or as parts of what comes out.
fn collect_texts<'n>(node: &'n Node, relation: Relation, texts: &mut Vec<Written<'n>>) {
    let range = &node.range;
    match &node.kind {
        NodeKind::Literal(Literal::Text(text)) => texts.push(Written {
            text,
            range,
            relation,
        }),
        // Bytes that are a word. Others are numbers, which may be anything.
        NodeKind::Literal(Literal::Bytes(bytes)) => {
            let printable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
            if let Ok(text) = std::str::from_utf8(bytes)
                && bytes.iter().all(printable)
                && bytes.iter().any(u8::is_ascii_alphabetic)
            {
                texts.push(Written {
                    text,
                    range,
                    relation,
                });
            }
        }
        NodeKind::Conditional(parts) => {
            collect_texts(&parts[1], relation, texts);
            collect_texts(&parts[2], relation, texts);
        }
        NodeKind::Binary(Binary::Add, sides) => {
            for side in sides.iter() {
                collect_texts(side, Relation::Contains, texts);
            }
        }
        _ => {}
    }
}

/// The owner of the words that come out of a node.
fn collect_words<'n>(node: &'n Node, words: &mut Vec<Words<'n>>) {
    match &node.kind {
        NodeKind::Path(path) => words.push(Words::Leaf(path.as_str())),
        NodeKind::Conditional(parts) => {
            collect_words(&parts[1], words);
            collect_words(&parts[2], words);
        }
        NodeKind::Binary(Binary::Add, sides) => {
            sides.iter().for_each(|side| collect_words(side, words));
        }
        NodeKind::Call(function, args) => words.extend(match function.name {
            "file" => Some(Words::File),
            "function_name" => Some(Words::Function),
            "symbol_name" => Some(Words::Symbol),
            "parent" => Some(Words::Function),
            "symbol" => Some(Words::SymbolWithOffset),
            "name" => Some(Words::Name(match args.first().map(|arg| &arg.kind) {
                Some(NodeKind::Path(path)) => Some(path.as_str()),
                _ => None,
            })),
            _ => None,
        }),
        _ => {}
    }
}

impl Comparison<'_> {
    fn strange(&self, catalog: &Catalog<'_>, machine: &Indexed<'_>) -> Option<Strange> {
        if self.with.is_empty() {
            return None;
        }
        self.written.iter().find_map(|written| {
            let known =
                |words: &Words<'_>| words.know(written.text, written.relation, catalog, machine);
            if written.text.is_empty() {
                return None;
            }
            if self.with.iter().any(known) {
                return self.unlisted(written, catalog, machine);
            }
            let elsewhere = self
                .with
                .iter()
                .find_map(|words| elsewhere(words, written, catalog, machine));
            Some(elsewhere.unwrap_or_else(|| self.unknown(written, catalog, machine)))
        })
    }

    /// A name of a symbol whose other places the evidence does not tell.
    fn unlisted(
        &self,
        written: &Written<'_>,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> Option<Strange> {
        let of_symbols =
            |words: &Words<'_>| matches!(words, Words::Symbol | Words::SymbolWithOffset);
        if !self.with.iter().any(of_symbols) {
            return None;
        }
        let function = without_copies(written.text, written.relation, catalog, machine)?;
        Some(Strange::Elsewhere(Obstacle {
            message: format!(
                "this evidence does not list the copies of `{function}`, so it is not known which addresses have this name, too"
            ),
            range: written.range.clone(),
            help: None,
        }))
    }

    fn unknown(
        &self,
        written: &Written<'_>,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> Strange {
        let text = written.text;
        let mut candidates: Vec<String> = Vec::new();
        for words in &self.with {
            words.each(catalog, machine, &mut |word| {
                candidates.push(word.to_owned());
                false
            });
        }
        candidates.sort_unstable();
        candidates.dedup();
        let fixed = self.with.iter().find_map(|words| match words {
            Words::Leaf(path) => Some((*path, crate::path_index::words(path)?)),
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
        Strange::Unknown(Obstacle {
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
fn elsewhere(
    words: &Words<'_>,
    written: &Written<'_>,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Option<Strange> {
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
        Strange::Elsewhere(Obstacle {
            message: format!(
                "the kernel of another machine has such a name in {type_name}, and this machine's has none: that it does \
                 not occur here proves nothing"
            ),
            range: written.range.clone(),
            help: None,
        })
    })
}
