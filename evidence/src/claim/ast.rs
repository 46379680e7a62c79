//! The expression tree of a claim: the part of CEL that claims may use, with the bytes where each node stands.

use std::ops::Range;

use super::builtins::{Function, Reads};

/// A node of the tree and where it stands in the expression's text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub range: Range<usize>,
    pub kind: NodeKind,
}

/// The kind of a node.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Literal(Literal),
    /// A dotted lower-case name: a value of the evidence, or, as an argument of some functions, a probe or an
    /// experiment.
    Path(crate::path::Path),
    /// An upper-case name.
    Constant(String),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<[Node; 2]>),
    /// Condition, value if it is true, value if it is false.
    Conditional(Box<[Node; 3]>),
    Call(&'static Function, Vec<Node>),
}

/// A value written in the expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(String),
    Bytes(Vec<u8>),
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Negate,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    /// The comparison with its sides exchanged.
    pub fn swap_operands(self) -> Self {
        match self {
            Binary::Less => Binary::Greater,
            Binary::LessEqual => Binary::GreaterEqual,
            Binary::Greater => Binary::Less,
            Binary::GreaterEqual => Binary::LessEqual,
            other => other,
        }
    }

    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::And => "&&",
            Binary::Or => "||",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
        }
    }
}

impl Node {
    /// Call `visit` on the node and all nodes below it, from left to right.
    pub fn walk<'n>(&'n self, visit: &mut dyn FnMut(&'n Node)) {
        visit(self);
        match &self.kind {
            NodeKind::Literal(_) | NodeKind::Path(_) | NodeKind::Constant(_) => {}
            NodeKind::Unary(_, operand) => operand.walk(visit),
            NodeKind::Binary(_, operands) => operands.iter().for_each(|node| node.walk(visit)),
            NodeKind::Conditional(parts) => parts.iter().for_each(|node| node.walk(visit)),
            NodeKind::Call(_, args) => args.iter().for_each(|node| node.walk(visit)),
        }
    }
}

/// The key of a value as a reader of the claim knows it: a path, or what a function counts.
pub(super) fn key_text(key: &str) -> String {
    match key.split_once('#') {
        Some((tree, rest)) if tree.ends_with(".graph") => match rest.split_once('#') {
            Some((scope, "coverage")) => format!("coverage({tree}, '{scope}')"),
            Some((function, "parent")) => format!("parent({tree}, '{function}')"),
            Some((function, _)) => format!("calls_of({tree}, '{function}')"),
            None => key.to_owned(),
        },
        Some((probe, leaf)) => format!("{leaf} of {probe}"),
        None => key.to_owned(),
    }
}

/// The keys of what a call of `function` reads, in the order in which the function gets them.
pub(super) fn call_reads(function: &Function, args: &[Node]) -> Vec<String> {
    let names = || {
        args.iter().filter_map(|arg| match &arg.kind {
            NodeKind::Path(path) => Some(path.as_str()),
            _ => None,
        })
    };
    match function.reads {
        Reads::Nothing => Vec::new(),
        Reads::Release => vec!["kernel.release".into()],
        Reads::Leaves(leaves) => names()
            .flat_map(|name| leaves.iter().map(move |leaf| [name, ".", leaf].concat()))
            .collect(),
        Reads::Hits | Reads::Absence => names().map(|name| [name, ".hits"].concat()).collect(),
        Reads::Runs => graph_key(args, super::graph::RUNS).into_iter().collect(),
        Reads::AllRuns => graph_key(args, "all#runs").into_iter().collect(),
        Reads::Coverage => graph_key(args, "coverage").into_iter().collect(),
        Reads::Parent => graph_key(args, "parent").into_iter().collect(),
        Reads::Ledger => names()
            .flat_map(|name| {
                let below = if name.contains('.') { "#" } else { ".objects." };
                ["allocated", "leaked"].map(|leaf| [name, below, leaf].concat())
            })
            .collect(),
    }
}

/// The key of something in a tree about one function: `EXPERIMENT.graph#FUNCTION#LEAF`.
fn graph_key(args: &[Node], leaf: &str) -> Option<String> {
    match args {
        [
            Node {
                kind: NodeKind::Path(path),
                ..
            },
            Node {
                kind: NodeKind::Literal(Literal::Text(function)),
                ..
            },
        ] => Some([path.as_str(), "#", function, "#", leaf].concat()),
        _ => None,
    }
}
