//! Parsing of a path's text to its tree.
//!
//! Own code: a recursive descent of a few levels. A parser of C would accept what has no meaning here, and a generator's messages say which token
//! it expected and not what to write.

use super::list_kind::ListKind;
use super::tokens::{Token, syntax_error, tokenize};
use super::types::ExprError;
use std::ops::Range;

/// Levels of nesting that a path may have.
const MAX_DEPTH: usize = 32;
/// Bytes that a path may have.
const MAX_BYTES: usize = 1024;

/// A path, with where in the text each part stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expr {
    pub span: Range<usize>,
    pub node: ExprNode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExprNode {
    /// A parameter or a built-in.
    Name(String),
    /// `regs()`, `fd(3)`, `text(SYMBOL, 5)`: a built-in with its arguments.
    Call(String, Vec<ExprArgument>),
    /// `of.name` or `of->name`
    Member {
        of: Box<Expr>,
        arrow: bool,
        name: Name,
    },
    Index(Box<Expr>, i128),
    Load(Box<Expr>),
    AddressOf(Box<Expr>),
    Cast(TypeText, Box<Expr>),
    ContainerOf(Box<Expr>, TypeText, Vec<Name>),
    /// An element of a list, by the pointer to the list's head, the type of its elements and the member that links them.
    ListEntry(ListKind, Box<Expr>, TypeText, Vec<Name>),
    /// A per-CPU pointer, followed to a CPU's own memory; without a number to that of the hit.
    OnCpu(Box<Expr>, Option<CpuNumber>),
}

/// The number of a CPU, with where in the text it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CpuNumber {
    pub span: Range<usize>,
    pub number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub span: Range<usize>,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExprArgument {
    Name(Name),
    Number(Range<usize>, u64),
}

/// A type as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeText {
    pub span: Range<usize>,
    /// `struct`, `union` or `enum`, if one is written.
    pub tag: Option<&'static str>,
    /// A tag or typedef, or the words of an integer type.
    pub words: Vec<String>,
    pub stars: u32,
    /// `__user` is written.
    pub user: bool,
}

const QUALIFIERS: [&str; 3] = ["const", "volatile", "__user"];
const TAGS: [&str; 3] = ["struct", "union", "enum"];
/// Words of C's integer types.
const INTEGERS: [&str; 10] = [
    "unsigned", "signed", "char", "short", "int", "long", "__int128", "bool", "_Bool", "void",
];

/// Parse a whole path.
pub(super) fn parse(text: &str) -> Result<Expr, ExprError> {
    if text.len() > MAX_BYTES {
        return Err(syntax_error(
            &(0..text.len()),
            format!(
                "the path has {} bytes, at most {MAX_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
    };
    let expr = parser.parse_expr()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected_error("the end of the path, `->`, `.` or `[`")),
    }
}

/// A step after a primary expression.
enum PostfixStep {
    Member(Name),
    Index(i128),
}

struct Parser<'p, 't> {
    tokens: &'p [(Range<usize>, Token<'t>)],
    at: usize,
    depth: usize,
}

impl<'t> Parser<'_, 't> {
    fn peek_ahead(&self, by: usize) -> &Token<'t> {
        self.tokens.get(self.at + by).map_or(&Token::End, |t| &t.1)
    }

    fn peek(&self) -> &Token<'t> {
        self.peek_ahead(0)
    }

    fn span(&self) -> Range<usize> {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .map_or(0..0, |t| t.0.clone())
    }

    /// From byte `start` to the end of the last token taken.
    fn span_since(&self, start: usize) -> Range<usize> {
        let end = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        start..end.map_or(start, |t| t.0.end)
    }

    fn unexpected_error(&self, wanted: &str) -> ExprError {
        let found = match self.peek() {
            Token::Word(word) => format!("`{word}`"),
            Token::Number(number) => format!("`{number}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end of the path".into(),
        };
        syntax_error(&self.span(), format!("expected {wanted}, found {found}"))
    }

    fn eat(&mut self, sign: &str) -> bool {
        let here = *self.peek() == Token::Sign(sign);
        self.at += usize::from(here);
        here
    }

    fn expect(&mut self, sign: &str) -> Result<(), ExprError> {
        if self.eat(sign) {
            Ok(())
        } else {
            Err(self.unexpected_error(&format!("`{sign}`")))
        }
    }

    fn parse_name(&mut self, what: &str) -> Result<Name, ExprError> {
        let span = self.span();
        match *self.peek() {
            Token::Word(word) => {
                self.at += 1;
                Ok(Name {
                    span,
                    text: word.to_owned(),
                })
            }
            _ => Err(self.unexpected_error(what)),
        }
    }

    fn parse_expr(&mut self) -> Result<Expr, ExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax_error(
                &self.span(),
                format!("the path nests more than {MAX_DEPTH} levels deep"),
            ));
        }
        let start = self.span().start;
        let node = if self.eat("*") {
            ExprNode::Load(Box::new(self.parse_expr()?))
        } else if self.eat("&") {
            ExprNode::AddressOf(Box::new(self.parse_expr()?))
        } else if self.is_at_cast() {
            self.expect("(")?;
            let ty = self.parse_type_text()?;
            self.expect(")")?;
            ExprNode::Cast(ty, Box::new(self.parse_expr()?))
        } else {
            let expr = self.parse_postfix()?;
            self.depth -= 1;
            return Ok(expr);
        };
        self.depth -= 1;
        Ok(Expr {
            span: self.span_since(start),
            node,
        })
    }

    /// `(` opens a cast if a type's keyword follows, or if what it holds is a lone name with stars and an
    /// operand comes after it. The language has no binary operators, so that is never something else.
    fn is_at_cast(&self) -> bool {
        if *self.peek() != Token::Sign("(") {
            return false;
        }
        let Token::Word(word) = *self.peek_ahead(1) else {
            return false;
        };
        if [&QUALIFIERS[..], &TAGS, &INTEGERS].concat().contains(&word) {
            return true;
        }
        let mut by = 2;
        while matches!(
            self.peek_ahead(by),
            Token::Sign("*") | Token::Word("__user" | "const")
        ) {
            by += 1;
        }
        *self.peek_ahead(by) == Token::Sign(")")
            && (by > 2
                || matches!(
                    self.peek_ahead(by + 1),
                    Token::Word(_) | Token::Sign("(" | "*" | "&")
                ))
    }

    fn parse_type_text(&mut self) -> Result<TypeText, ExprError> {
        let start = self.span().start;
        let mut ty = TypeText {
            span: 0..0,
            tag: None,
            words: Vec::new(),
            stars: 0,
            user: false,
        };
        loop {
            match *self.peek() {
                Token::Word(word) if QUALIFIERS.contains(&word) => {
                    if word == "__user" {
                        ty.user = true;
                    }
                }
                Token::Word(word) if ty.stars == 0 => {
                    let tag = TAGS.iter().find(|&&tag| tag == word);
                    let integer = INTEGERS.contains(&word);
                    match tag {
                        Some(tag) if ty.tag.is_none() && ty.words.is_empty() => ty.tag = Some(tag),
                        None if ty.words.is_empty()
                            || integer
                                && ty.tag.is_none()
                                && INTEGERS.contains(&ty.words[0].as_str()) =>
                        {
                            ty.words.push(word.to_owned());
                        }
                        _ => return Err(self.unexpected_error("`*` or the end of the type")),
                    }
                }
                Token::Sign("*") if !ty.words.is_empty() => ty.stars += 1,
                _ => break,
            }
            self.at += 1;
        }
        ty.span = self.span_since(start);
        if ty.words.is_empty() {
            return Err(self.unexpected_error("the name of a type"));
        }
        if ty.stars > 4 {
            return Err(syntax_error(&ty.span, "a type with more than four stars"));
        }
        if ty.user && ty.stars == 0 {
            return Err(syntax_error(
                &ty.span,
                "`__user` says where a pointer points, so a `*` must follow",
            ));
        }
        Ok(ty)
    }

    /// A symbol; that of a clone has dots: `f.part.0`.
    fn parse_symbol(&mut self) -> Result<Name, ExprError> {
        let mut name = self.parse_name("a symbol or a number")?;
        while self.eat(".") {
            let part = match *self.peek() {
                Token::Word(word) => word.to_owned(),
                Token::Number(number) => number.to_string(),
                _ => return Err(self.unexpected_error("the rest of the symbol")),
            };
            self.at += 1;
            name.text = format!("{}.{part}", name.text);
            name.span = self.span_since(name.span.start);
        }
        Ok(name)
    }

    fn parse_postfix(&mut self) -> Result<Expr, ExprError> {
        let start = self.span().start;
        let mut expr = self.parse_primary()?;
        // Each member or index is one level of the tree, which the compiler descends by recursion.
        let mut steps = 0;
        loop {
            let arrow = *self.peek() == Token::Sign("->");
            let step = if self.eat("->") || self.eat(".") {
                PostfixStep::Member(self.parse_name("the name of a member")?)
            } else if self.eat("[") {
                let before = self.eat("-");
                let Token::Number(number) = *self.peek() else {
                    return Err(self.unexpected_error("a number, the index of an element"));
                };
                self.at += 1;
                self.expect("]")?;
                let number = i128::from(number);
                PostfixStep::Index(if before { -number } else { number })
            } else {
                return Ok(expr);
            };
            let of = Box::new(expr);
            let node = match step {
                PostfixStep::Member(name) => ExprNode::Member { of, arrow, name },
                PostfixStep::Index(number) => ExprNode::Index(of, number),
            };
            steps += 1;
            if steps > MAX_DEPTH {
                return Err(syntax_error(
                    &self.span_since(start),
                    format!("the path has more than {MAX_DEPTH} steps"),
                ));
            }
            expr = Expr {
                span: self.span_since(start),
                node,
            };
        }
    }

    /// What stands in the parentheses of `this_cpu_ptr(POINTER)`, `per_cpu_ptr(POINTER, CPU)` or `per_cpu(VARIABLE, CPU)`.
    fn parse_on_cpu(&mut self, name: &str) -> Result<ExprNode, ExprError> {
        let start = self.span().start;
        let pointer = match name {
            "per_cpu" => {
                let variable = self.parse_name("the name of a per-CPU variable")?;
                let span = variable.span;
                let node = ExprNode::Name(variable.text);
                let named = Box::new(Expr {
                    span: span.clone(),
                    node,
                });
                Box::new(Expr {
                    span,
                    node: ExprNode::AddressOf(named),
                })
            }
            _ => Box::new(self.parse_expr()?),
        };
        let cpu = match name {
            "this_cpu_ptr" => None,
            _ => {
                self.expect(",")?;
                let Token::Number(number) = *self.peek() else {
                    return Err(self.unexpected_error("the number of a CPU"));
                };
                let span = self.span();
                self.at += 1;
                Some(CpuNumber { span, number })
            }
        };
        let node = ExprNode::OnCpu(pointer, cpu);
        let span = self.span_since(start);
        self.expect(")")?;
        Ok(match name {
            "per_cpu" => ExprNode::Load(Box::new(Expr { span, node })),
            _ => node,
        })
    }

    /// The last argument of `container_of` and the like: a member, by its names, and the parenthesis.
    fn parse_last_members(&mut self) -> Result<Vec<Name>, ExprError> {
        self.expect(",")?;
        let mut members = vec![self.parse_name("the name of a member")?];
        while self.eat(".") {
            members.push(self.parse_name("the name of a member")?);
        }
        self.expect(")")?;
        Ok(members)
    }

    fn parse_primary(&mut self) -> Result<Expr, ExprError> {
        let start = self.span().start;
        if self.eat("(") {
            let inner = self.parse_expr()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.parse_name("a parameter, `return`, `task`, `regs` or `fd`")?;
        let node = if !self.eat("(") {
            ExprNode::Name(name.text)
        } else if name.text == "container_of" {
            let pointer = self.parse_expr()?;
            self.expect(",")?;
            let ty = self.parse_type_text()?;
            let members = self.parse_last_members()?;
            ExprNode::ContainerOf(Box::new(pointer), ty, members)
        } else if let Some(kind) = ListKind::of_macro(&name.text) {
            let ty = self.parse_type_text()?;
            self.expect(",")?;
            let head = self.parse_expr()?;
            let members = self.parse_last_members()?;
            ExprNode::ListEntry(kind, Box::new(head), ty, members)
        } else if let "this_cpu_ptr" | "per_cpu_ptr" | "per_cpu" = name.text.as_str() {
            self.parse_on_cpu(&name.text)?
        } else {
            let mut arguments = Vec::new();
            while !self.eat(")") {
                if !arguments.is_empty() {
                    self.expect(",")?;
                }
                arguments.push(match *self.peek() {
                    Token::Number(number) => {
                        let span = self.span();
                        self.at += 1;
                        ExprArgument::Number(span, number)
                    }
                    _ => ExprArgument::Name(self.parse_symbol()?),
                });
            }
            ExprNode::Call(name.text, arguments)
        };
        Ok(Expr {
            span: self.span_since(start),
            node,
        })
    }
}
