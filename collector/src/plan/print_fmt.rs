//! Names of numbers in the format of a tracepoint: the tables behind `__print_flags` and `__print_symbolic` in its `print fmt`
//! (<https://elixir.bootlin.com/linux/v6.12/source/include/trace/stages/stage3_trace_output.h>).
//!
//! The tables are C: constant expressions with casts and enumerators. `cexpr`, the crate for C's constant expressions, knows
//! no casts, so that those are evaluated here.

use qed_evidence::constants::Flag;
use thiserror::Error;

/// The names that a tracepoint's format has for the numbers of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldNames {
    /// Of bits, in the order in which the kernel looks for them.
    Flags(Vec<Flag>),
    /// Of whole numbers.
    Numbers(Vec<(String, i128)>),
}

/// The reason why a field has no names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum FormatError {
    /// No table is applied to this field.
    #[error("its format has no names for `{field}`{}", other_fields_text(.others))]
    NoTable {
        /// The field.
        field: String,
        /// The fields that have a table.
        others: Vec<String>,
    },
    /// An entry that cannot be understood.
    #[error("the table of names of `{field}` cannot be understood at `{entry}`")]
    Entry {
        /// The field.
        field: String,
        /// The expression.
        entry: String,
    },
}

fn other_fields_text(fields: &[String]) -> String {
    match fields {
        [] => ", nor for another field".into(),
        fields => format!("; it has some for `{}`", fields.join("`, `")),
    }
}

/// The names of the numbers of `field`. `enumerator` is the number of an enumerator of the kernel.
///
/// # Errors
/// [`FormatError`], where the format has no table for it, or one with an expression that is not constant.
pub(super) fn field_names(
    format: &str,
    field: &str,
    enumerator: &dyn Fn(&str) -> Option<i128>,
) -> Result<FieldNames, FormatError> {
    let mut fields = Vec::new();
    for table in find_tables(format) {
        let Some(own) = table.field() else {
            continue;
        };
        if own == field {
            return table.names(field, enumerator);
        }
        if !fields.iter().any(|known| known == own) {
            fields.push(own.to_owned());
        }
    }
    Err(FormatError::NoTable {
        field: field.into(),
        others: fields,
    })
}

/// The fields that have a table of names.
pub(super) fn fields_with_names(format: &str) -> impl Iterator<Item = &str> {
    find_tables(format)
        .into_iter()
        .filter_map(|table| table.field())
}

/// One use of a table.
struct Table<'f> {
    /// The names are those of bits.
    flags: bool,
    /// The expression whose number is named.
    subject: &'f str,
    /// The arguments that follow it.
    rest: &'f str,
}

/// The uses of tables in a format.
fn find_tables(format: &str) -> Vec<Table<'_>> {
    let print = format
        .split_once("print fmt:")
        .map_or("", |(_, print)| print);
    let mut found = Vec::new();
    for (flags, call) in [(true, "__print_flags("), (false, "__print_symbolic(")] {
        for (at, _) in print.match_indices(call) {
            let arguments = &print[at + call.len()..];
            let Some(end) = find_end(arguments, ')') else {
                continue;
            };
            let arguments = &arguments[..end];
            if let Some(comma) = find_end(arguments, ',') {
                found.push(Table {
                    flags,
                    subject: arguments[..comma].trim(),
                    rest: &arguments[comma + 1..],
                });
            }
        }
    }
    found
}

/// The byte at which `wanted` stands outside of all parentheses, braces and texts.
fn find_end(text: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ if c == wanted && depth == 0 => return Some(at),
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

impl<'f> Table<'f> {
    /// The field whose number is named; `None`: it is a number computed from fields.
    fn field(&self) -> Option<&'f str> {
        let mut subject = self.subject;
        loop {
            subject = subject.trim();
            if let Some(field) = subject.strip_prefix("REC->") {
                let end = field.find(|c: char| !is_name(c)).unwrap_or(field.len());
                let (field, rest) = field.split_at(end);
                // Bits that are masked out have no names here.
                return (rest.is_empty() || rest.trim_start().starts_with('&')).then_some(field);
            }
            let inner = subject.strip_prefix('(')?;
            let end = find_end(inner, ')')?;
            // Parentheses around all of it, or a cast.
            subject = match &inner[end + 1..] {
                "" => &inner[..end],
                rest if inner[..end].chars().all(|c| is_name(c) || c == ' ') => rest,
                _ => return None,
            };
        }
    }

    fn names(
        &self,
        field: &str,
        enumerator: &dyn Fn(&str) -> Option<i128>,
    ) -> Result<FieldNames, FormatError> {
        let wrong = |entry: &str| FormatError::Entry {
            field: field.into(),
            entry: entry.trim().into(),
        };
        let mut entries = Vec::new();
        let mut rest = self.rest;
        while let Some((_, entry)) = rest.split_once('{') {
            let end = find_end(entry, '}').ok_or_else(|| wrong(entry))?;
            let (inner, after) = (&entry[..end], &entry[end + 1..]);
            let comma = find_end(inner, ',').ok_or_else(|| wrong(inner))?;
            let (expression, name) = (&inner[..comma], inner[comma + 1..].trim());
            // Tables that are not only used in the format end with a null pointer in the place of a name.
            if ["NULL", "((void *)0)"].contains(&name) {
                break;
            }
            let name = name
                .strip_prefix('"')
                .and_then(|name| name.strip_suffix('"'));
            let name = name.ok_or_else(|| wrong(inner))?;
            let number = evaluate(expression, enumerator).ok_or_else(|| wrong(expression))?;
            entries.push((name.to_owned(), number));
            rest = after;
        }
        if !self.flags {
            return Ok(FieldNames::Numbers(entries));
        }
        // A name without bits is that of nothing.
        let flags = entries.into_iter().filter(|(_, number)| *number != 0);
        let flags = flags.map(|(name, number)| Flag {
            name,
            value: number as u64,
            mask: None,
        });
        Ok(FieldNames::Flags(flags.collect()))
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A word of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FmtToken {
    Number(i128),
    Name(String),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 10] = ["<<", ">>", "(", ")", "|", "&", "^", "~", "+", "-"];

/// The most nested parentheses that are followed: those of formats are some 20 deep.
const MAX_DEPTH: usize = 64;

/// The number of a constant expression of C; `None`: it is none, or uses what is not known here.
fn evaluate(text: &str, enumerator: &dyn Fn(&str) -> Option<i128>) -> Option<i128> {
    let mut parser = Parser {
        tokens: tokenize(text)?,
        at: 0,
        enumerator,
    };
    let number = parser.evaluate_binary(0, 0)?;
    (parser.at == parser.tokens.len()).then_some(number)
}

fn tokenize(text: &str) -> Option<Vec<FmtToken>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_ascii_digit() {
            parse_number(rest)?
        } else if is_name(first) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (FmtToken::Name(rest[..end].into()), end)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            (FmtToken::Sign(sign), sign.len())
        };
        found.push(token);
        rest = rest[length..].trim_start();
    }
    Some(found)
}

/// A number with its suffixes, and its length.
fn parse_number(text: &str) -> Option<(FmtToken, usize)> {
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let word = text[..end].trim_end_matches(['u', 'U', 'l', 'L']);
    let (digits, radix) = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if word.len() > 1 && word.starts_with('0') => (&word[1..], 8),
        None => (word, 10),
    };
    let number = u64::from_str_radix(digits, radix).ok()?;
    Some((FmtToken::Number(number.into()), end))
}

struct Parser<'e> {
    tokens: Vec<FmtToken>,
    at: usize,
    enumerator: &'e dyn Fn(&str) -> Option<i128>,
}

/// C's binary operators that formats use, the loosest first.
const LEVELS: [&[&str]; 5] = [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"]];

impl Parser<'_> {
    fn take(&mut self, sign: &str) -> bool {
        let found =
            matches!(self.tokens.get(self.at), Some(FmtToken::Sign(known)) if *known == sign);
        self.at += usize::from(found);
        found
    }

    fn evaluate_binary(&mut self, level: usize, depth: usize) -> Option<i128> {
        let Some(signs) = LEVELS.get(level) else {
            return self.evaluate_unary(depth);
        };
        let mut left = self.evaluate_binary(level + 1, depth)?;
        loop {
            let Some(sign) = signs.iter().find(|sign| self.take(sign)) else {
                return Some(left);
            };
            let right = self.evaluate_binary(level + 1, depth)?;
            let places = u32::try_from(right).ok().filter(|places| *places < 64);
            left = match *sign {
                "|" => left | right,
                "^" => left ^ right,
                "&" => left & right,
                "<<" => left.checked_shl(places?)?,
                ">>" => left >> places?,
                "+" => left.checked_add(right)?,
                _ => left.checked_sub(right)?,
            };
        }
    }

    fn evaluate_unary(&mut self, depth: usize) -> Option<i128> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.take("~") {
            return Some(!self.evaluate_unary(depth + 1)?);
        }
        if self.take("-") {
            return self.evaluate_unary(depth + 1)?.checked_neg();
        }
        if self.take("(") {
            if self.skip_cast() {
                return self.evaluate_unary(depth + 1);
            }
            let number = self.evaluate_binary(0, depth + 1)?;
            return self.take(")").then_some(number);
        }
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        match token {
            FmtToken::Number(number) => Some(number),
            FmtToken::Name(name) => (self.enumerator)(&name),
            FmtToken::Sign(_) => None,
        }
    }

    /// Skip the type of a cast: names alone, none of them an enumerator, and something to cast after the parenthesis.
    fn skip_cast(&mut self) -> bool {
        let inside = &self.tokens[self.at..];
        let length = inside
            .iter()
            .take_while(|token| matches!(token, FmtToken::Name(_)))
            .count();
        let is_type = inside[..length].iter().all(
            |token| matches!(token, FmtToken::Name(name) if (self.enumerator)(name).is_none()),
        );
        let closed = inside.get(length) == Some(&FmtToken::Sign(")"));
        let casts = match inside.get(length + 1) {
            Some(FmtToken::Number(_) | FmtToken::Name(_)) => true,
            Some(FmtToken::Sign(sign)) => ["(", "~", "-"].contains(sign),
            None => false,
        };
        let found = length > 0 && is_type && closed && casts;
        if found {
            self.at += length + 1;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats of Linux 6.12 and 6.18, shortened.
    const KMALLOC: &str = r#"name: kmalloc
format:
	field:unsigned long gfp_flags;	offset:40;	size:8;	signed:0;

print fmt: "ptr=%p gfp_flags=%s node=%d", REC->ptr, (REC->gfp_flags) ? __print_flags(REC->gfp_flags, "|", {( unsigned long)((( gfp_t)(((((1UL))) << (10))|((((1UL))) << (11)))) | (( gfp_t)((((1UL))) << (6))) | (( gfp_t)((((1UL))) << (7)))), "GFP_KERNEL"}, {( unsigned long)(( gfp_t)0), "GFP_NOTHING"}, {( unsigned long)((((( gfp_t)0xc0u))) & ~(( gfp_t)0x40u)), "__GFP_FS"}, { 0, ((void *)0)}) : "none", REC->node"#;
    const STATE: &str = r#"print fmt: "%s %s", __print_symbolic((( u32)REC->oldstate), { TCP_ESTABLISHED, "TCP_ESTABLISHED" }, { 2, "TCP_SYN_SENT, or so" }, { (-1), "NONE" }), __print_flags(REC->flags & (0x00040000 | 0x00080000), "|", { 0x00040000, "M" }, { 0x00080000, "D" }), __print_symbolic(((REC->ioprio) >> 13) & (8 - 1), { 0, "none" }), __print_symbolic(REC->broken, { sizeof(int), "x" })"#;

    fn enumerators(name: &str) -> Option<i128> {
        (name == "TCP_ESTABLISHED").then_some(1)
    }

    fn of(format: &str, field: &str) -> Result<FieldNames, FormatError> {
        field_names(format, field, &enumerators)
    }

    fn flag(name: &str, value: u64) -> Flag {
        Flag {
            name: name.into(),
            value,
            mask: None,
        }
    }

    /// Check that flags and numbers are read with their casts, shifts and enumerators, and that a name of no bits is left out.
    #[test]
    fn tables_are_evaluated() {
        assert_eq!(
            of(KMALLOC, "gfp_flags"),
            Ok(FieldNames::Flags(vec![
                flag("GFP_KERNEL", 0xcc0),
                flag("__GFP_FS", 0x80)
            ]))
        );
        assert_eq!(
            of(STATE, "oldstate"),
            Ok(FieldNames::Numbers(vec![
                ("TCP_ESTABLISHED".into(), 1),
                ("TCP_SYN_SENT, or so".into(), 2),
                ("NONE".into(), -1),
            ]))
        );
        assert_eq!(
            of(STATE, "flags"),
            Ok(FieldNames::Flags(vec![
                flag("M", 0x40000),
                flag("D", 0x80000)
            ]))
        );
    }

    /// Check that a number computed from a field is not taken for the field, and that the message names the fields that have
    /// names.
    #[test]
    fn other_fields_have_no_names() {
        assert_eq!(
            of(STATE, "ioprio").unwrap_err().to_string(),
            "its format has no names for `ioprio`; it has some for `flags`, `oldstate`, `broken`"
        );
        assert_eq!(
            of("print fmt: \"%d\", REC->x", "x")
                .unwrap_err()
                .to_string(),
            "its format has no names for `x`, nor for another field"
        );
    }

    /// Check that a table with an entry that is not understood gives no names at all, and that no format is too deep or
    /// too short.
    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(
            of(STATE, "broken").unwrap_err().to_string(),
            "the table of names of `broken` cannot be understood at `sizeof(int)`"
        );
        let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(evaluate(&deep, &enumerators), None);
        for text in [
            "",
            "1 +",
            "(1",
            "1)",
            "UNKNOWN",
            "1 << 64",
            "09",
            "1 ? 2 : 3",
        ] {
            assert_eq!(evaluate(text, &enumerators), None, "{text}");
        }
        for cut in 0..KMALLOC.len() {
            _ = of(&KMALLOC[..cut], "gfp_flags");
        }
    }

    /// Check C's precedence, its number formats, and casts beside parentheses around enumerators.
    #[test]
    fn expressions() {
        for (text, wanted) in [
            ("1 | 2 << 4", 0x21),
            ("0x10UL + 010 - 1", 23),
            ("~0x1 & 0xff", 0xfe),
            ("(u32)(1ULL << 31)", 1 << 31),
            ("(TCP_ESTABLISHED) << 1", 2),
            ("( unsigned long)TCP_ESTABLISHED", 1),
            ("-(3)", -3),
            ("7 ^ 2", 5),
        ] {
            assert_eq!(evaluate(text, &enumerators), Some(wanted), "{text}");
        }
    }
}
