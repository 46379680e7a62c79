//! Commands of an investigation: ordinary programs that readers can run themselves, and the parts of their output to take.

use std::ops::Range;

use regex_lite::Regex;

use crate::document::Reader;
use crate::document::value::{Integer, Value};

/// The part of a command's output that is stored by default, in bytes.
pub const OUTPUT_OF_COMMAND: u32 = 4096;

/// Files of the captured kernel that a command of the builder can be given, by the words that stand for them.
pub const ARTEFACTS: &[&str] = &["vmlinux", "system_map", "config"];

/// One program to run once.
#[derive(Clone, Debug)]
pub struct PlannedCommand {
    /// Second segment of its paths: `commands.NAME.…`.
    pub name: String,
    /// The place of the name in the file.
    pub span: Range<usize>,
    /// The program and its arguments. On the builder, `{vmlinux}` stands for the name of that file.
    pub run: Vec<String>,
    /// The machine that it runs on.
    pub on: Reader,
    /// True if it runs in guests alone: of a host the evidence says that it was not run.
    pub guests_only: bool,
    /// The time limit, in milliseconds.
    pub timeout_ms: u64,
    /// The part of its output that is stored, in bytes. Patterns are not searched for in a longer output, because the rest
    /// could match, too.
    pub max_output: u32,
    /// The values to look for in its output.
    pub values: Vec<CommandValue>,
}

impl PlannedCommand {
    /// True if this is the command that was run as `argv`.
    pub fn matches(&self, by: Reader, argv: &[String]) -> bool {
        let same = |(word, run): (&String, &String)| match split_placeholder(word) {
            Some((before, _, after)) => {
                run.len() >= before.len() + after.len()
                    && run.starts_with(before)
                    && run.ends_with(after)
            }
            None => word == run,
        };
        self.on == by && self.run.len() == argv.len() && self.run.iter().zip(argv).all(same)
    }
}

/// The text before the word in braces, the word, and the text after it, for example of `--exec={vmlinux}`.
pub fn split_placeholder(word: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = word.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    ARTEFACTS.contains(&name).then_some((before, name, after))
}

/// A value to look for in a command's output.
#[derive(Clone, Debug)]
pub struct CommandValue {
    /// Last segment of its path.
    pub name: String,
    /// Matches in one place, which is the value, or the group in it.
    pub pattern: Regex,
    /// Its kind.
    pub kind: CommandValueKind,
}

/// The meaning of a piece of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandValueKind {
    /// Text, as it is.
    #[default]
    Text,
    /// A number, decimal, or hexadecimal behind `0x`.
    Int,
    /// An address, in hexadecimal digits.
    Address,
    /// A distance in bytes, or a place in physical memory, in hexadecimal digits: behind `0x`, padded with zeros, or matched as `[0-9a-f]+`,
    /// because it could be decimal otherwise.
    Offset,
}

/// The reasons why an output does not have the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nothing matches this pattern.
    #[error("nothing in its output matches `{0}`")]
    Nothing(String),
    /// Several places match it.
    #[error("its output matches `{0}` in more than one place")]
    Several(String),
    /// The match is not a number.
    #[error("what matches `{0}` is not a number")]
    Number(String),
    /// The match is not a hexadecimal number.
    #[error("what matches `{0}` is not a hexadecimal number")]
    Hexadecimal(String),
    /// The match has neither `0x` nor another sign of being hexadecimal.
    #[error(
        "what matches `{0}` can be a decimal number or a hexadecimal one: `kind = \"int\"` reads decimal numbers; for an offset, let the \
         pattern match its `0x`, or its digits as `[0-9a-f]+`"
    )]
    Ambiguous(String),
    /// The match begins with a zero, as octal numbers do.
    #[error(
        "what matches `{0}` begins with a zero: it can be an octal number, and `kind = \"int\"` reads decimal ones; let the pattern leave \
         the zeros out, or take it as `kind = \"text\"`"
    )]
    Octal(String),
    /// The match is not an address.
    #[error("what matches `{0}` is not an address")]
    Address(String),
    /// The match is an address of zeros (`kptr_restrict`).
    #[error("it printed zeros: the kernel hides its addresses from who ran it")]
    Hidden,
}

impl CommandValue {
    /// True if its pattern names the digits of hexadecimal numbers.
    fn asks_for_hexadecimal(&self) -> bool {
        let pattern = self.pattern.as_str().to_ascii_lowercase();
        ["a-f", "xdigit"]
            .iter()
            .any(|digits| pattern.contains(digits))
    }

    /// The value in `output`.
    ///
    /// # Errors
    /// [`NotFound`] says why there is none.
    pub fn find(&self, output: &str) -> Result<Value, NotFound> {
        let pattern = || self.pattern.as_str().to_owned();
        let mut found = self.pattern.captures_iter(output);
        let first = found.next().ok_or_else(|| NotFound::Nothing(pattern()))?;
        if found.next().is_some() {
            return Err(NotFound::Several(pattern()));
        }
        let text = first.get(1).or(first.get(0)).map_or("", |m| m.as_str());
        // What was printed is not quoted: it may be an address of a live machine.
        match self.kind {
            CommandValueKind::Text => Ok(Value::text(text)),
            CommandValueKind::Int => {
                let number = match split_sign(text) {
                    (_, digits)
                        if digits.len() > 1
                            && digits.bytes().all(|byte| byte.is_ascii_digit())
                            && digits.starts_with('0') =>
                    {
                        return Err(NotFound::Octal(pattern()));
                    }
                    (_, digits) if digits.starts_with("0x") => read_hexadecimal(text),
                    _ => text.parse().ok(),
                };
                let number = number.and_then(Integer::new);
                let value = number.ok_or_else(|| NotFound::Number(pattern()))?;
                Ok(Value::Int {
                    value,
                    type_name: None,
                })
            }
            CommandValueKind::Offset => {
                let number = read_hexadecimal(text).and_then(Integer::new);
                let value = number.ok_or_else(|| NotFound::Hexadecimal(pattern()))?;
                if may_be_decimal(text) && !self.asks_for_hexadecimal() {
                    return Err(NotFound::Ambiguous(pattern()));
                }
                Ok(Value::Offset { value })
            }
            CommandValueKind::Address => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                match u64::from_str_radix(digits, 16) {
                    Ok(0) => Err(NotFound::Hidden),
                    Ok(address) => Ok(Value::address(address)),
                    Err(_) => Err(NotFound::Address(pattern())),
                }
            }
        }
    }
}

/// The sign of a number that was printed, true for minus, and the rest.
fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// The hexadecimal number `-0x1f`, with or without sign and `0x`.
fn read_hexadecimal(text: &str) -> Option<i128> {
    let (is_negative, rest) = split_sign(text);
    let digits = rest.strip_prefix("0x").unwrap_or(rest);
    // The standard library would take another sign here.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(digits, 16).ok()?;
    Some(if is_negative { -number } else { number })
}

/// True if a hexadecimal number looks like a decimal one (`10`, `1e3`): it has no `0x`, and is not padded as kernels pad theirs.
fn may_be_decimal(text: &str) -> bool {
    let (_, digits) = split_sign(text);
    let padded = digits.len() > 1 && digits.starts_with('0');
    let is_decimal =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = digits.split_once(['e', 'E']);
    !padded
        && digits != "0"
        && (is_decimal(digits) || mantissa.is_some_and(|(a, b)| is_decimal(a) && is_decimal(b)))
}

/// True if a value can have been found in `output`: the output contains it, in one of the accepted forms.
pub(crate) fn occurs_in(value: &Value, output: &str) -> bool {
    // Leading zeros, `0x` and capital letters make no other number.
    let hexadecimal = |digits: String| output.to_ascii_lowercase().contains(&digits);
    // `0x` and zeros can stand between a sign and the digits.
    let number = |number: i128| {
        (number >= 0 || output.contains('-')) && hexadecimal(format!("{:x}", number.unsigned_abs()))
    };
    match value {
        Value::Address { value, .. } => hexadecimal(format!("{:x}", value.0)),
        Value::Offset { value } => number(value.get()),
        Value::Int { value, .. } => {
            output.contains(&value.get().to_string()) || number(value.get())
        }
        Value::Text { value } => output.contains(value.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, kind: CommandValueKind, output: &str) -> Result<String, NotFound> {
        let pattern = regex_lite::RegexBuilder::new(pattern)
            .multi_line(true)
            .build()
            .unwrap();
        let name = "x".to_owned();
        let wanted = CommandValue {
            name,
            pattern,
            kind,
        };
        wanted.find(output).map(|value| {
            assert!(occurs_in(&value, output), "{value}");
            value.to_string()
        })
    }

    /// Check that a value is what its group matches, that it has to be in one place, and that hidden addresses, and
    /// what is none, are not values.
    #[test]
    fn one_place() {
        use CommandValueKind::{Address, Int, Offset, Text};
        let symbols = "ffffffff81000000 T _text\nffffffff81898d90 t inet_create\n";
        let line = "^([0-9a-f]+) . inet_create$";
        assert_eq!(find(line, Address, symbols).unwrap(), "0xffffffff81898d90");
        assert_eq!(
            find(
                "([0-9a-f]+)-[0-9a-f]+ : Kernel code",
                Offset,
                "  05600000-065fffff : Kernel code"
            )
            .unwrap(),
            "0x5600000"
        );
        assert_eq!(
            find(r"=(\S+)$", Int, "START=0x1000000\n").unwrap(),
            "16777216"
        );
        assert_eq!(find(r"= (-?\d+)", Int, "x = -3").unwrap(), "-3");
        assert_eq!(find(r"= (\S+)", Int, "x = 0x001A").unwrap(), "26");
        assert_eq!(find(r"\S+", Text, "6.1.0\n").unwrap(), "6.1.0");
        for (pattern, kind, output, wanted) in [
            ("v=(.*)$", Offset, "v=-0x5", "-0x5"),
            ("v=([-0-9a-f]+)$", Offset, "v=-5", "-0x5"),
            ("v=([-0-9a-f]+)$", Offset, "v=-10", "-0x10"),
            ("v=(.*)$", Offset, "v=-0x0005", "-0x5"),
            ("v=(.*)$", Offset, "v=3f8", "0x3f8"),
            ("v=(.*)$", Offset, "v=00001000", "0x1000"),
            ("v=(.*)$", Offset, "v=0x10", "0x10"),
            ("v=(.*)$", Offset, "v=0", "0x0"),
            ("v=(.*)$", Int, "v=-0x10", "-16"),
            ("v=(.*)$", Int, "v=-16", "-16"),
        ] {
            assert_eq!(find(pattern, kind, output).unwrap(), wanted, "{output}");
        }
        for (pattern, kind, output, why) in [
            ("^([0-9a-f]+) ", Address, symbols, "more than one place"),
            ("nothing", Text, symbols, "nothing in its output"),
            ("^(0+) T", Address, "0000000000000000 T _text", "hides"),
            ("_(text)", Address, "_text", "not an address"),
            ("_(text)", Int, "_text", "not a number"),
            ("v=(.*)$", Offset, "v=0x-5", "not a hexadecimal"),
            ("v=(.*)$", Int, "v=0x-5", "not a number"),
            ("v=(.*)$", Offset, "v=0x", "not a hexadecimal"),
            ("v=(.*)$", Offset, "v=+5", "not a hexadecimal"),
            ("v=(.*)$", Offset, "v=10", "decimal number or a hexadecimal"),
            ("v=(.*)$", Offset, "v=-5", "decimal number or a hexadecimal"),
            (
                "v=(.*)$",
                Offset,
                "v=1e3",
                "decimal number or a hexadecimal",
            ),
        ] {
            let found = find(pattern, kind, output);
            assert!(
                found.as_ref().is_err_and(|e| e.to_string().contains(why)),
                "{found:?}"
            );
        }
    }

    /// Check that a value that does not stand in the output is told from one that does.
    #[test]
    fn elsewhere() {
        let output = "ffffffff81000000 T _text 7 0x1000000";
        for value in [
            Value::address(0xffff_ffff_8100_0001),
            Value::int(9),
            Value::text("_stext"),
            Value::Bool { value: true },
        ] {
            assert!(!occurs_in(&value, output), "{value}");
        }
        assert!(occurs_in(&Value::int(0x100_0000), output));
        let offset = |value: i128| Value::Offset {
            value: Integer::new(value).unwrap(),
        };
        assert!(occurs_in(&offset(-5), "v=-0x0005"));
        assert!(!occurs_in(&offset(-5), "v=5"));
        assert!(!occurs_in(&offset(-5), "v=-6"));
    }
}
