//! Paths: the grammar for names of values, common to placeholders, claims, exhibits and drift.

use std::fmt;
use std::str::FromStr;

/// First names of paths that are not experiments; no experiment may be called so.
pub const SECTIONS: &[&str] = &[
    "kaslr",
    "kernel",
    "machine",
    "run",
    "boots",
    "commands",
    "claims",
    "types",
    "functions",
    "tracepoints",
    "syscalls",
    "config",
];

/// Those of them that are facts of a kernel's build.
pub const FACTS: &[&str] = &["types", "functions", "tracepoints", "syscalls", "config"];

/// Words that CEL or handlebars keep for themselves; no experiment may be called so.
const KEYWORDS: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "this",
    "true",
    "var",
    "void",
    "while",
    "each",
    "with",
    "lookup",
    "log",
    "size",
    "has",
    "int",
    "uint",
    "string",
    "double",
    "bytes",
    "bool",
    "type",
    "dyn",
    "map",
    "list",
    "timestamp",
    "duration",
    "matches",
    "contains",
];

/// Names below an experiment that are not probes; no probe may be called so.
pub const EXPERIMENT_SECTIONS: &[&str] = &[
    "outcome", "quality", "objects", "cost", "workload", "call", "graph",
];

/// The longest path that is parsed, in bytes.
const MAX_LENGTH: usize = 512;

/// The names between the dots of a text: what `split('.')` gives. Paths are taken apart so often, and their names are so short,
/// that its search for each dot, which is made for long texts, would take a tenth of the time of a check.
pub(crate) fn split_path(text: &str) -> Segments<'_> {
    Segments { rest: Some(text) }
}

/// The names between dots that are left.
#[derive(Clone, Debug)]
pub(crate) struct Segments<'t> {
    rest: Option<&'t str>,
}

impl<'t> Iterator for Segments<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest?;
        match rest.bytes().position(|byte| byte == b'.') {
            Some(dot) => {
                self.rest = Some(&rest[dot + 1..]);
                Some(&rest[..dot])
            }
            None => self.rest.take(),
        }
    }
}

impl DoubleEndedIterator for Segments<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        match rest.bytes().rposition(|byte| byte == b'.') {
            Some(dot) => {
                self.rest = Some(&rest[..dot]);
                Some(&rest[dot + 1..])
            }
            None => self.rest.take(),
        }
    }
}

/// A dotted name of a value: `create.sock_alloc.exit.state`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    text: String,
}

impl Path {
    /// The names between the dots; never empty.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        split_path(&self.text)
    }

    /// The first name: an experiment or one of [`SECTIONS`].
    pub fn first(&self) -> &str {
        split_path(&self.text).next().unwrap_or_default()
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is not a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePathError {
    /// A path of this many bytes.
    #[error("a path of {0} bytes is too long (at most {MAX_LENGTH})")]
    Length(usize),
    /// A path that begins or ends with a dot, or has two in a row.
    #[error("`{0}` is not a path: a name is missing beside a dot")]
    Empty(String),
    /// Its first name.
    #[error(
        "`{0}` is not a name: the first name of a path has lower-case letters, digits and underscores, and does not start with a digit"
    )]
    First(String),
    /// Another name.
    #[error(
        "`{0}` is not a name: names have letters, digits and underscores, and do not start with a digit"
    )]
    Name(String),
}

impl FromStr for Path {
    type Err = ParsePathError;

    fn from_str(text: &str) -> Result<Self, ParsePathError> {
        if text.len() > MAX_LENGTH {
            return Err(ParsePathError::Length(text.len()));
        }
        for (number, segment) in split_path(text).enumerate() {
            if segment.is_empty() {
                return Err(ParsePathError::Empty(text.into()));
            }
            if number == 0 && !is_name(segment) {
                return Err(ParsePathError::First(segment.into()));
            }
            if !is_identifier(segment) {
                return Err(ParsePathError::Name(segment.into()));
            }
        }
        Ok(Path { text: text.into() })
    }
}

/// True if `text` matches `[a-z_][a-z0-9_]*`.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// True if `text` matches `[A-Za-z_][A-Za-z0-9_]*`, as C names its parameters.
pub fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The reason why an experiment cannot have this name, if so.
pub fn refuse_experiment_name(name: &str) -> Option<String> {
    if !is_name(name) {
        return Some(format!("`{name}` does not match [a-z_][a-z0-9_]*"));
    }
    (SECTIONS.contains(&name) || KEYWORDS.contains(&name)).then(|| format!("`{name}` is reserved"))
}

/// The reason why a probe cannot have this name, if so.
pub fn refuse_probe_name(name: &str) -> Option<String> {
    if !is_name(name) {
        return Some(format!(
            "`{name}` does not match [a-z_][a-z0-9_]*; give the probe a `name`"
        ));
    }
    EXPERIMENT_SECTIONS
        .contains(&name)
        .then(|| format!("`{name}` is reserved below an experiment"))
}

/// The number of a `hitN` name, from 1.
pub fn hit_number(segment: &str) -> Option<usize> {
    let digits = segment.strip_prefix("hit")?;
    if digits.starts_with('0') {
        return None;
    }
    digits.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that paths are taken apart as `split` does it, from both ends.
    #[test]
    fn taken_apart() {
        for text in ["", ".", "a", "a.b", ".a..bc.", "ä.ö", "a.b.c.d"] {
            let expected: Vec<&str> = text.split('.').collect();
            assert_eq!(split_path(text).collect::<Vec<_>>(), expected, "{text}");
            let mut backwards: Vec<&str> = split_path(text).rev().collect();
            backwards.reverse();
            assert_eq!(backwards, expected, "{text}");
            let mut both = split_path(text);
            let ends = [both.next(), both.next_back()];
            let mut known = text.split('.');
            assert_eq!(ends, [known.next(), known.next_back()], "{text}");
        }
    }

    /// Check that the grammar takes what the design shows and refuses everything else with its reason.
    #[test]
    fn grammar() {
        for good in [
            "create.sock_alloc.exit.state",
            "kaslr.slide",
            "a.__sys_socket.return",
            "_x",
            "link.keyring_detect_cycle.args.A",
            "sp.do_splice.args.in",
            "a.true.null",
        ] {
            assert_eq!(good.parse::<Path>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A.b",
            "a.é",
            "a.foo.isra-0",
            "a b",
            "a.1x",
            "ä.b",
        ] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
        assert!("a".repeat(513).parse::<Path>().is_err());
        assert_eq!(hit_number("hit12"), Some(12));
        assert_eq!(hit_number("hit0"), None);
        assert_eq!(hit_number("hit01"), None);
        assert_eq!(hit_number("hits"), None);
        assert!(refuse_experiment_name("kaslr").is_some());
        assert!(refuse_probe_name("quality").is_some());
        assert!(refuse_experiment_name("create").is_none());
    }
}
