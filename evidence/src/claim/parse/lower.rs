//! Conversion of the `cel` crate's tree to ours: places in bytes, and only the subset of CEL that claims may use.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SourceInfo};

use crate::diagnostic::{Diagnostic, nearest};

use crate::claim::ast::{Binary, Literal, Node, NodeKind, Unary};
use crate::claim::builtins::{self, ArgumentKind, FUNCTIONS};
use crate::claim::coverage::Scope;
use crate::claim::source_map::SourceMap;

use super::lex;
use super::reads::collect_reads;

/// Converts one expression, collecting all complaints.
pub(super) struct Lowering<'a> {
    text: &'a str,
    place: &'a SourceMap,
    offsets: &'a SourceInfo,
    diagnostics: Vec<Diagnostic>,
}

/// CEL functions and macros that claims may not use, with the reason and what to write instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "has",
        "absence of data is not a fact: a missing value is UNVERIFIED by itself; that a probe did not fire is `never(EXPERIMENT.PROBE)`",
    ),
    ("double", "floating point makes different addresses equal"),
    (
        "uint",
        "addresses and their literals (`0x…u`) are unsigned already",
    ),
    ("string", "compare values, not their texts"),
    ("bytes", "compare values, not their bytes"),
    ("dyn", "it would hide the kind of a value"),
    ("type", "it would hide the kind of a value"),
    ("size", "write `length(x)`"),
    ("startsWith", "write `starts_with(t, u)`"),
    ("endsWith", "write `ends_with(t, u)`"),
    (
        "matches",
        "regular expressions are not part of the claim language; there are `contains`, `starts_with` and `ends_with`",
    ),
];

impl<'a> Lowering<'a> {
    pub fn new(text: &'a str, place: &'a SourceMap, offsets: &'a SourceInfo) -> Self {
        Lowering {
            text,
            place,
            offsets,
            diagnostics: Vec::new(),
        }
    }

    /// The complaints.
    pub fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    fn refuse(
        &mut self,
        range: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = help.into();
        let diagnostic = self.place.error(range, message);
        self.diagnostics.push(if help.is_empty() {
            diagnostic
        } else {
            diagnostic.help(help)
        });
    }

    /// The bytes of the token that the parser noted for a node.
    fn token(&self, id: u64) -> Range<usize> {
        let boundary = |at: u32| self.text.floor_char_boundary(at as usize);
        match self.offsets.offset_for(id) {
            Some((start, stop)) => {
                let start = boundary(start);
                start..boundary(stop.saturating_add(1)).max(start)
            }
            None => 0..self.text.len(),
        }
    }

    /// Our node for one of CEL's; `None` if it was refused.
    pub fn node(&mut self, expr: &cel::IdedExpr) -> Option<Node> {
        let token = self.token(expr.id);
        match &expr.expr {
            Expr::Ident(_) | Expr::Select(_) => self.name(expr),
            Expr::Literal(literal) => self.literal(literal, token),
            Expr::Call(call) => self.call(call, token),
            Expr::Comprehension(_) => {
                self.refuse(&token, "`all`, `exists`, `map` and `filter` are not part of the claim language",
                    "over an empty list they say yes about nothing: write the conditions out, joined by `&&`");
                None
            }
            Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => {
                self.refuse(
                    &token,
                    "lists and maps are not part of the claim language",
                    "write `a == x || a == y`",
                );
                None
            }
            Expr::Unspecified => {
                self.refuse(&token, "not an expression", "");
                None
            }
        }
    }

    fn literal(&mut self, literal: &LiteralValue, token: Range<usize>) -> Option<Node> {
        let mut range = token;
        let literal = match literal {
            LiteralValue::Boolean(value) => Literal::Bool(*value.inner()),
            LiteralValue::Int(value) => {
                // The parser folds the sign into the number and notes only the digits.
                if *value.inner() < 0 {
                    range.start = self.text[..range.start].rfind('-').unwrap_or(range.start);
                }
                Literal::Int(*value.inner())
            }
            LiteralValue::UInt(value) => Literal::Uint(*value.inner()),
            LiteralValue::String(value) => Literal::Text(value.inner().into()),
            LiteralValue::Bytes(value) => Literal::Bytes(value.inner().into()),
            LiteralValue::Double(_) => {
                self.refuse(
                    &range,
                    "floating point is not part of the claim language",
                    "it makes different addresses equal; use integers",
                );
                return None;
            }
            LiteralValue::Null => {
                self.refuse(
                    &range,
                    "`null` is not part of the claim language",
                    "a null pointer is `0u`; a missing value is UNVERIFIED by itself",
                );
                return None;
            }
        };
        Some(Node {
            range,
            kind: NodeKind::Literal(literal),
        })
    }

    /// A path or a constant.
    fn name(&mut self, expr: &cel::IdedExpr) -> Option<Node> {
        let mut segments = 1;
        let mut at = expr;
        let start = loop {
            match &at.expr {
                Expr::Select(select) if select.test => {
                    let token = self.token(at.id);
                    let range = self.with_call_name(token);
                    return self.refuse_function("has", &range);
                }
                Expr::Select(select) => {
                    segments += 1;
                    at = &select.operand;
                }
                Expr::Ident(_) => break self.token(at.id).start,
                _ => {
                    let range = self.token(expr.id);
                    self.refuse(
                        &range,
                        "only evidence has names below it",
                        "write a path such as `create.sock_alloc.return`",
                    );
                    return None;
                }
            }
        };
        let Some((written, end)) = lex::path_at(self.text, start, segments) else {
            let range = start..self.token(expr.id).end.max(start);
            self.refuse(
                &range,
                "a path is names with dots between them, and nothing else",
                "write it as `paths` lists it: `create.sock_alloc.return`",
            );
            return None;
        };
        let range = start..end;
        if segments == 1 && is_constant(&written) {
            return Some(Node {
                range,
                kind: NodeKind::Constant(written),
            });
        }
        match written.parse() {
            Ok(path) => Some(Node {
                range,
                kind: NodeKind::Path(path),
            }),
            Err(error) => {
                self.refuse(&range, error.to_string(), "");
                None
            }
        }
    }

    fn call(&mut self, call: &CallExpr, token: Range<usize>) -> Option<Node> {
        if let Some(node) = self.operator(call, &token) {
            return node;
        }
        let name = call.func_name.as_str();
        let mut range = self.with_call_name(token);
        let Some(function) = builtins::find(name) else {
            return self.refuse_function(name, &range);
        };
        let args: Vec<&cel::IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        if args.len() != function.arguments.len() {
            let message = format!(
                "`{name}` takes {} arguments, not {}",
                function.arguments.len(),
                args.len()
            );
            self.refuse(
                &range,
                message,
                format!("{}: {}", function.usage, function.help),
            );
            return None;
        }
        let mut nodes = Vec::with_capacity(args.len());
        for (arg, shape) in args.iter().zip(function.arguments) {
            let node = self.node(arg);
            if let Some(node) = &node {
                self.check_shape(function, node, *shape);
            }
            nodes.push(node);
        }
        let nodes: Vec<Node> = nodes.into_iter().collect::<Option<_>>()?;
        self.check_events(function, &nodes);
        if call.target.is_some()
            && let Some(first) = nodes.first()
        {
            range.start = range.start.min(first.range.start);
        }
        let function = match nodes.iter().all(|node| collect_reads(node).is_empty()) {
            true => builtins::without_reads(function),
            false => function,
        };
        Some(Node {
            range,
            kind: NodeKind::Call(function, nodes),
        })
    }

    /// Events are ordered within one experiment only.
    fn check_events(&mut self, function: &builtins::Function, nodes: &[Node]) {
        let experiment = |node: &Node| match &node.kind {
            NodeKind::Path(path) => Some(path.first().to_owned()),
            _ => None,
        };
        let mut events = nodes
            .iter()
            .zip(function.arguments)
            .filter(|(_, shape)| **shape == ArgumentKind::Event)
            .map(|(node, _)| node);
        let Some(first) = events.next().and_then(experiment) else {
            return;
        };
        for other in events {
            if let Some(name) = experiment(other)
                && name != first
            {
                let message = format!(
                    "events of `{first}` and of `{name}` have no order: each experiment counts its own"
                );
                self.refuse(&other.range, message, function.help);
            }
        }
    }

    fn check_shape(&mut self, function: &builtins::Function, node: &Node, shape: ArgumentKind) {
        let segments = match &node.kind {
            NodeKind::Path(path) => path.segments().count(),
            _ => 0,
        };
        let numbered = matches!(&node.kind, NodeKind::Path(path)
            if path.segments().next_back().is_some_and(|last| crate::path::hit_number(last).is_some()));
        let wanted = match shape {
            ArgumentKind::Value => return,
            ArgumentKind::Literal if matches!(node.kind, NodeKind::Literal(Literal::Text(_))) => {
                return;
            }
            ArgumentKind::Scope if matches!(&node.kind, NodeKind::Literal(Literal::Text(text)) if Scope::parse(text).is_some()) =>
            {
                return;
            }
            ArgumentKind::Event if segments == 2 || (segments == 3 && numbered) => return,
            ArgumentKind::Probe if segments == 2 => return,
            ArgumentKind::Ledger if segments == 1 || segments == 2 => return,
            ArgumentKind::Graph
                if matches!(&node.kind, NodeKind::Path(path)
                    if segments == 2 && path.segments().next_back() == Some("graph")) =>
            {
                return;
            }
            ArgumentKind::Graph => "the tree of an experiment's call, `EXPERIMENT.graph`",
            ArgumentKind::Literal => "a text in quotes",
            ArgumentKind::Scope => "`'chapter'` or `'book'`",
            ArgumentKind::Event => "an event, `EXPERIMENT.PROBE` or `EXPERIMENT.PROBE.hit1`",
            ArgumentKind::Probe => "a probe, `EXPERIMENT.PROBE`",
            ArgumentKind::Ledger => "an experiment, or a probe of it that watches allocations",
        };
        self.refuse(
            &node.range,
            format!("`{}` takes {wanted}", function.name),
            format!("{}: {}", function.usage, function.help),
        );
    }

    /// The node of an operator, or `None` if the call is none.
    fn operator(&mut self, call: &CallExpr, token: &Range<usize>) -> Option<Option<Node>> {
        use cel::common::ast::operators as op;
        let binary = match call.func_name.as_str() {
            op::LOGICAL_AND => Binary::And,
            op::LOGICAL_OR => Binary::Or,
            op::EQUALS => Binary::Equal,
            op::NOT_EQUALS => Binary::NotEqual,
            op::LESS => Binary::Less,
            op::LESS_EQUALS => Binary::LessEqual,
            op::GREATER => Binary::Greater,
            op::GREATER_EQUALS => Binary::GreaterEqual,
            op::ADD => Binary::Add,
            op::SUBSTRACT => Binary::Subtract,
            op::MULTIPLY => Binary::Multiply,
            op::DIVIDE => Binary::Divide,
            op::MODULO => Binary::Remainder,
            op::LOGICAL_NOT | op::NEGATE => {
                let operator = if call.func_name == op::NEGATE {
                    Unary::Negate
                } else {
                    Unary::Not
                };
                return Some(call.args.first().and_then(|operand| {
                    let operand = self.node(operand)?;
                    Some(Node {
                        range: token.start.min(operand.range.start)
                            ..operand.range.end.max(token.end),
                        kind: NodeKind::Unary(operator, Box::new(operand)),
                    })
                }));
            }
            op::CONDITIONAL => {
                let nodes: Vec<Option<Node>> = call.args.iter().map(|arg| self.node(arg)).collect();
                let nodes: Option<Vec<Node>> = nodes.into_iter().collect();
                return Some(nodes.and_then(|nodes| {
                    let parts: [Node; 3] = nodes.try_into().ok()?;
                    Some(Node {
                        range: parts[0].range.start..parts[2].range.end,
                        kind: NodeKind::Conditional(Box::new(parts)),
                    })
                }));
            }
            op::IN => {
                self.refuse(
                    token,
                    "`in` is not part of the claim language",
                    "write `a == x || a == y`",
                );
                return Some(None);
            }
            op::INDEX | op::OPT_INDEX | op::OPT_SELECT => {
                self.refuse(
                    token,
                    "indexing is not part of the claim language",
                    "all values have dotted names: `create.probe.hit2.return`",
                );
                return Some(None);
            }
            _ => return None,
        };
        let nodes: Vec<Option<Node>> = call.args.iter().map(|arg| self.node(arg)).collect();
        Some(
            nodes
                .into_iter()
                .collect::<Option<Vec<Node>>>()
                .and_then(|nodes| {
                    let operands: [Node; 2] = nodes.try_into().ok()?;
                    Some(Node {
                        range: operands[0].range.start..operands[1].range.end,
                        kind: NodeKind::Binary(binary, Box::new(operands)),
                    })
                }),
        )
    }

    /// From the token of a call, its opening parenthesis, to all bytes from the function's name to the closing one.
    fn with_call_name(&self, token: Range<usize>) -> Range<usize> {
        let before = self.text[..token.start].trim_end();
        let name = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |at| {
                at + before[at..].chars().next().map_or(1, char::len_utf8)
            });
        let mut depth = 0usize;
        let mut quote = None;
        let mut escaped = false;
        for (at, c) in self.text[token.start..].char_indices() {
            if std::mem::take(&mut escaped) {
                continue;
            }
            match (quote, c) {
                (Some(_), '\\') => escaped = true,
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return name..token.start + at + 1;
                    }
                }
                _ => {}
            }
        }
        name..token.end
    }

    fn refuse_function(&mut self, name: &str, range: &Range<usize>) -> Option<Node> {
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            self.refuse(
                range,
                format!("`{name}` is not part of the claim language"),
                *reason,
            );
            return None;
        }
        let help = match nearest(name, FUNCTIONS.iter().map(|function| function.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
                format!("there are {}", names.join(", "))
            }
        };
        self.refuse(range, format!("there is no function `{name}`"), help);
        None
    }
}

/// True for a name of C's constants, `AF_INET` or `__GFP_ZERO`: names of evidence have lower-case letters.
fn is_constant(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    name.starts_with(|c: char| c.is_ascii_uppercase())
}
