//! String literals in a claim, with the operands that they are compared with.

use std::ops::Range;

use super::possible::{Relation, Words};
use crate::claim::ast::{Binary, Literal, Node, NodeKind};

/// Texts that are compared with something.
pub(super) struct TextComparison<'n> {
    pub(super) written: Vec<WrittenText<'n>>,
    pub(super) with: Vec<Words<'n>>,
}

impl TextComparison<'_> {
    /// True if one of the sides is the symbol of an address.
    pub(super) fn is_with_symbols(&self) -> bool {
        let mut with = self.with.iter();
        with.any(|words| matches!(words, Words::Symbol | Words::SymbolWithOffset))
    }
}

/// A text of the claim.
#[derive(Clone, Copy)]
pub(super) struct WrittenText<'n> {
    pub(super) text: &'n str,
    pub(super) range: &'n Range<usize>,
    pub(super) relation: Relation,
}

/// Texts with what they are compared with.
fn new_comparison<'n>(
    texts: &[&'n Node],
    with: Option<&'n Node>,
    relation: Relation,
) -> TextComparison<'n> {
    let mut written = Vec::new();
    for node in texts {
        collect_texts(node, relation, &mut written);
    }
    let mut words = Vec::new();
    if let Some(node) = with {
        collect_words(node, &mut words);
    }
    TextComparison {
        written,
        with: words,
    }
}

/// The relation of a text to what it is to be equal to: of a sum it holds a part.
fn equality_relation(other: &Node) -> Relation {
    match &other.kind {
        NodeKind::Binary(Binary::Add, _) => Relation::Holds,
        NodeKind::Conditional(parts) => {
            match (equality_relation(&parts[1]), equality_relation(&parts[2])) {
                (Relation::Is, Relation::Is) => Relation::Is,
                _ => Relation::Holds,
            }
        }
        _ => Relation::Is,
    }
}

/// The comparisons of a node.
pub(super) fn comparisons(node: &Node) -> Vec<TextComparison<'_>> {
    match &node.kind {
        NodeKind::Binary(Binary::Equal | Binary::NotEqual, sides) => {
            let [a, b] = sides.as_ref();
            vec![
                new_comparison(&[a], Some(b), equality_relation(b)),
                new_comparison(&[b], Some(a), equality_relation(a)),
            ]
        }
        NodeKind::Call(function, args) => {
            let relation = match function.name {
                "contains" => Relation::Contains,
                "starts_with" => Relation::StartsWith,
                "ends_with" => Relation::EndsWith,
                "on_stack" | "calls" | "ran" | "never_ran" | "calls_of" | "parent" => {
                    let names: Vec<&Node> = args.iter().skip(1).collect();
                    let mut comparison = new_comparison(&names, None, Relation::Is);
                    comparison.with.push(Words::Function);
                    return vec![comparison];
                }
                _ => return Vec::new(),
            };
            let [text, part] = args.as_slice() else {
                return Vec::new();
            };
            vec![
                new_comparison(&[part], Some(text), relation),
                new_comparison(&[text], Some(part), Relation::Holds),
            ]
        }
        _ => Vec::new(),
    }
}

/// The texts that come out of a node as they are written, or as parts of what comes out.
fn collect_texts<'n>(node: &'n Node, relation: Relation, texts: &mut Vec<WrittenText<'n>>) {
    let range = &node.range;
    match &node.kind {
        NodeKind::Literal(Literal::Text(text)) => texts.push(WrittenText {
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
                texts.push(WrittenText {
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
