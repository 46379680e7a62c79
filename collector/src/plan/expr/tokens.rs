//! Splitting of a path's text into words and signs.
//!
//! Own code: a generator of lexers for eleven signs would be one more language to read, and each token needs its place for messages anyway.

use super::types::{ErrorClass, ExprError};
use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    Number(u64),
    Sign(&'t str),
    End,
}

/// An [`ErrorClass::Syntax`] error.
pub(super) fn syntax_error(span: &Range<usize>, reason: impl Into<String>) -> ExprError {
    ExprError::new(ErrorClass::Syntax, span, reason)
}

/// The failure for a number that C would read as an octal one, and most readers as a decimal one.
fn octal_error(range: &Range<usize>, digits: &str) -> ExprError {
    let decimal = match digits.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    let meant = match u64::from_str_radix(digits, 8) {
        Ok(octal) => format!(": write {octal}, or {decimal} if it is meant to be decimal"),
        Err(_) => format!(": write {decimal}"),
    };
    syntax_error(
        range,
        format!("`{digits}` looks like an octal number{meant}"),
    )
}

/// The tokens of `text` with their places, [`Token::End`] last.
pub(super) fn tokenize(text: &str) -> Result<Vec<(Range<usize>, Token<'_>)>, ExprError> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &text[at..];
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (length, token) = match byte {
            b' ' | b'\t' => {
                at += 1;
                continue;
            }
            b'0'..=b'9' => {
                let digits = &rest[..length];
                if digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit()) && byte == b'0' {
                    return Err(octal_error(&(at..at + length), digits));
                }
                let number = digits
                    .strip_prefix("0x")
                    .map_or_else(|| digits.parse(), |hex| u64::from_str_radix(hex, 16))
                    .map_err(|_| {
                        syntax_error(&(at..at + length), format!("`{digits}` is not a number"))
                    })?;
                (length, Token::Number(number))
            }
            _ if length > 0 => (length, Token::Word(&rest[..length])),
            b'-' if rest.starts_with("->") => (2, Token::Sign("->")),
            b'-' => (1, Token::Sign("-")),
            b'.' | b'[' | b']' | b'(' | b')' | b'*' | b'&' | b',' => (1, Token::Sign(&rest[..1])),
            _ => {
                let sign = rest.chars().next().unwrap_or(' ');
                return Err(syntax_error(
                    &(at..at + sign.len_utf8()),
                    format!(
                        "`{}` means nothing in a read path, which has only names, `->`, `.`, `[N]`, `*`, `&` and casts",
                        sign.escape_debug()
                    ),
                ));
            }
        };
        found.push((at..at + length, token));
        at += length;
    }
    found.push((text.len()..text.len(), Token::End));
    Ok(found)
}
