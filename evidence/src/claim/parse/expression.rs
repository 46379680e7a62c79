//! Parsing of a claim's text to its tree; the parts of CEL that claims may not use are refused.

use std::ops::Range;

use crate::diagnostic::Diagnostic;

use crate::claim::ast::{Node, NodeKind};
use crate::claim::coverage::BookMentions;
use crate::claim::source_map::SourceMap;

use super::lower::Lowering;
use super::reads::{ReadPath, collect_reads};

/// The longest expression that is parsed, in bytes. 100,000 chained terms overflow the parser's stack and abort the process, so
/// the length is checked first.
pub const MAX_BYTES: usize = 4096;

/// The most operators, brackets, commas and dots of one expression: a bound for the depth of its tree. With
/// [`MAX_NESTING`], parsing and judging stay within a stack of 256 KiB; the longest claim of the flagship book has 47.
const MAX_MARKS: usize = 160;

/// The greatest depth of parentheses, calls and conditions.
const MAX_NESTING: u16 = 12;

/// A parsed expression and where it stands.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    place: SourceMap,
    pub(in crate::claim) root: Node,
    reads: Vec<ReadPath>,
    /// The mentions of functions in the texts whose coverage it asks for.
    pub(in crate::claim) book_mentions: BookMentions,
}

impl Expression {
    /// Parse `text`, which is at `place`. The errors point there.
    pub fn parse(text: &str, place: SourceMap) -> Result<Self, Vec<Diagnostic>> {
        let whole = 0..text.len();
        if text.len() > MAX_BYTES {
            let message = format!(
                "the expression has {} bytes, more than the {MAX_BYTES} that are looked at",
                text.len()
            );
            return Err(vec![
                place
                    .error(&(0..1), message)
                    .help("split the claim into several"),
            ]);
        }
        if text.trim().is_empty() {
            return Err(vec![place.error(&whole, "the expression is empty")]);
        }
        if let Some((at, hidden)) = text.char_indices().find(|(_, c)| is_hidden(*c)) {
            let message = format!(
                "the expression holds {}, which nobody sees and which can make it look like another one",
                hidden.escape_unicode()
            );
            let here = at..at + hidden.len_utf8();
            return Err(vec![place.error(&here, message).help("take it out")]);
        }
        let marks = text
            .bytes()
            .filter(|b| b.is_ascii_punctuation() && !matches!(b, b'_' | b'\'' | b'"'))
            .count();
        if marks > MAX_MARKS {
            let message = format!(
                "the expression has {marks} operators, brackets and dots, more than the {MAX_MARKS} that are looked at"
            );
            return Err(vec![
                place
                    .error(&whole, message)
                    .help("split the claim into several"),
            ]);
        }
        let plain = super::lex::lex(text, &place)?;
        let (parsed, offsets) = parse_cel(&plain, &place)?;
        let mut lowering = Lowering::new(text, &place, &offsets);
        let root = lowering.node(&parsed);
        let mut diagnostics = lowering.finish();
        let Some(root) = root.filter(|_| diagnostics.is_empty()) else {
            crate::diagnostic::sort(&mut diagnostics);
            return Err(diagnostics);
        };
        Ok(Expression {
            reads: collect_reads(&root),
            book_mentions: BookMentions::new(),
            text: text.into(),
            place,
            root,
        })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its place.
    pub fn place(&self) -> &SourceMap {
        &self.place
    }

    /// Its reads, in the order of the text; a path that is read twice comes twice.
    pub fn reads(&self) -> &[ReadPath] {
        &self.reads
    }

    /// The named constants and where they stand.
    pub(in crate::claim) fn constants(&self) -> Vec<(&str, Range<usize>)> {
        let mut constants = Vec::new();
        self.root.walk(&mut |node| {
            if let NodeKind::Constant(name) = &node.kind {
                constants.push((name.as_str(), node.range.clone()));
            }
        });
        constants
    }
}

/// True if a character changes how the text around it is shown, or is not shown itself: what a reader sees would not be
/// what was judged (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
fn is_hidden(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    control
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{3164}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

type ParsedCel = (cel::IdedExpr, cel::common::ast::SourceInfo);

/// Run the parser of the `cel` crate and turn its errors into ours.
fn parse_cel(text: &str, place: &SourceMap) -> Result<ParsedCel, Vec<Diagnostic>> {
    // The grammar's run time is third-party code that reads untrusted text: a panic in it is an error of the claim, and must
    // not end the program.
    let outcome = std::panic::catch_unwind(|| {
        let parser = cel::parser::Parser::new().max_recursion_depth(MAX_NESTING);
        // An error holds trait objects that must not cross the unwind boundary.
        parser.parse_with_source_info(text).map_err(|errors| {
            let plain = |error: cel::ParseError| (error.pos, error.msg);
            errors.errors.into_iter().map(plain).collect::<Vec<_>>()
        })
    });
    let errors = match outcome {
        Ok(Ok(parsed)) => return Ok(parsed),
        Ok(Err(errors)) => errors,
        Err(_) => {
            let message = "the CEL parser gave up on this expression";
            return Err(vec![place.error(&(0..text.len()), message)]);
        }
    };
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for ((line, column), message) in errors {
        let start = byte_at(text, line, column);
        let end = text[start..]
            .chars()
            .next()
            .map_or(start, |c| start + c.len_utf8());
        let (message, help) = explain(&message, text, start);
        // The parser's later complaints at the same place follow from the first.
        if diagnostics
            .iter()
            .any(|d| d.place.as_ref().map(|p| p.1.start) == Some(place.locate(&(start..end)).start))
        {
            continue;
        }
        let mut diagnostic = place.error(&(start..end), message);
        let understood = help.is_some();
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        diagnostics.push(diagnostic);
        // What we can explain is the cause; what the parser says after it is mostly consequence.
        if understood || diagnostics.len() == 3 {
            break;
        }
    }
    Err(diagnostics)
}

/// The byte of a line and column, both from 1, as the parser counts them; the start where it gives none.
fn byte_at(text: &str, line: isize, column: isize) -> usize {
    let (Ok(line), Ok(column)) = (usize::try_from(line - 1), usize::try_from(column - 1)) else {
        return 0;
    };
    let Some(start) = text
        .split_inclusive('\n')
        .take(line)
        .map(str::len)
        .reduce(|a, b| a + b)
        .or(Some(0))
    else {
        return 0;
    };
    let rest = &text[start.min(text.len())..];
    start.min(text.len())
        + rest
            .char_indices()
            .nth(column)
            .map_or(rest.len(), |(at, _)| at)
}

/// The parser's message in our words, and what to do next.
fn explain(message: &str, text: &str, at: usize) -> (String, Option<String>) {
    if message.contains("ecursion") {
        return (
            "the expression is nested too deeply".into(),
            Some("split the claim into several".into()),
        );
    }
    let message = message.trim_start_matches("Syntax error: ");
    let message = message.split(" expecting {").next().unwrap_or(message);
    let rest = &text[at..];
    if let Some(name) = message.strip_prefix("reserved identifier: ") {
        return (
            format!("`{name}` is a keyword of CEL"),
            Some("give the experiment or probe another `name` in the investigation".into()),
        );
    }
    let help = if rest.starts_with("&") {
        Some("bits are masked with `mask(a, m)`; \"and\" is `&&`")
    } else if rest.starts_with("|") {
        Some("\"or\" is `||`")
    } else if rest.starts_with('=') {
        Some("equality is `==`")
    } else if rest.starts_with("in") {
        Some("`in` is not part of the claim language: write `a == x || a == y`")
    } else if rest.starts_with('\'') || rest.starts_with('"') {
        Some("the text is not closed")
    } else if message.contains("<EOF>") && rest.is_empty() {
        Some("the expression ends too early")
    } else {
        None
    };
    let message = match message {
        _ if message.starts_with("Incomplete") => "something is missing here",
        "invalid int literal" => {
            "the number does not fit into 64 bits; above 2^63 it needs the suffix u"
        }
        "invalid uint literal" => "the number does not fit into 64 bits",
        other => other,
    };
    (
        format!("not a CEL expression: {message}"),
        help.map(Into::into),
    )
}
