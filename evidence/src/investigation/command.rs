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
    /// A distance in bytes, or a place in physical memory, in hexadecimal digits.
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
    /// The match is not an address.
    #[error("what matches `{0}` is not an address")]
    Address(String),
    /// The match is an address of zeros (`kptr_restrict`).
    #[error("it printed zeros: the kernel hides its addresses from who ran it")]
    Hidden,
}

impl CommandValue {
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
                let number = match text.strip_prefix("0x") {
                    Some(digits) => i128::from_str_radix(digits, 16).ok(),
                    None => text.parse().ok(),
                };
                let number = number.and_then(Integer::new);
                let value = number.ok_or_else(|| NotFound::Number(pattern()))?;
                Ok(Value::Int {
                    value,
                    type_name: None,
                })
            }
            CommandValueKind::Offset => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let number = i128::from_str_radix(digits, 16).ok().and_then(Integer::new);
                let value = number.ok_or_else(|| NotFound::Hexadecimal(pattern()))?;
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

/// True if a value can have been found in `output`: the output contains it, in one of the accepted forms.
pub(crate) fn occurs_in(value: &Value, output: &str) -> bool {
    // Leading zeros, `0x` and capital letters make no other number.
    let hexadecimal = |digits: String| output.to_ascii_lowercase().contains(&digits);
    match value {
        Value::Address { value, .. } => hexadecimal(format!("{:x}", value.0)),
        Value::Offset { value } => hexadecimal(format!("{:x}", value.get())),
        Value::Int { value, .. } => {
            output.contains(&value.get().to_string()) || hexadecimal(format!("{:x}", value.get()))
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
        for (pattern, kind, output, why) in [
            ("^([0-9a-f]+) ", Address, symbols, "more than one place"),
            ("nothing", Text, symbols, "nothing in its output"),
            ("^(0+) T", Address, "0000000000000000 T _text", "hides"),
            ("_(text)", Address, "_text", "not an address"),
            ("_(text)", Int, "_text", "not a number"),
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
    }
}
