//! The records of an execution trace: one line of ASCII for each step.
//!
//! ```text
//! record = "#" NUMBER "." KIND "." NAME
//!          ".Values." TEXT ".Data." TEXT ".Work." TEXT ".Errors." TEXT ".RealValue." TEXT
//!          ".RealData." TEXT ".Caller." TEXT ".Current." TEXT ".Resumed." TEXT
//! KIND   = "Call" | "Event" | "Return"
//! NUMBER = digits, counted from 1
//! TEXT   = bytes from 0x20 to 0x7e; "\x" and two hexadecimal digits stand for any other byte
//! ```
//!
//! A text ends where the name of the next field begins, so it may contain dots. A backslash, a byte that is not printable
//! ASCII, and a dot that could be taken for the beginning of a field are written as `\x` and two digits.

use std::fmt;

/// The names of the fields, in order.
pub const FIELDS: [&str; 9] = [
    "Values",
    "Data",
    "Work",
    "Errors",
    "RealValue",
    "RealData",
    "Caller",
    "Current",
    "Resumed",
];

/// The kind of a step: into a function, out of it, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A function is called.
    Call,
    /// The kernel comes by a tracepoint or an LSM hook.
    Event,
    /// The system call returns.
    Return,
}

impl RecordKind {
    fn as_str(self) -> &'static str {
        match self {
            RecordKind::Call => "Call",
            RecordKind::Event => "Event",
            RecordKind::Return => "Return",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// Counted from 1.
    pub number: usize,
    /// Entering, leaving or coming by.
    pub kind: RecordKind,
    /// The function.
    pub name: String,
    /// The texts of [`FIELDS`].
    pub fields: [String; 9],
}

/// A line that is not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A byte that no record has.
    #[error("a record holds the byte {0:#04x}, which is not printable ASCII")]
    Byte(u8),
    /// A text that does not begin as records do.
    #[error("a record begins with # and its number")]
    Begin,
    /// Its number is not one.
    #[error("`{0}` is not a number")]
    Number(String),
    /// A text that ends before its kind.
    #[error("a record has a kind")]
    NoKind,
    /// Its kind is not known.
    #[error("`{0}` is not a kind of record")]
    Kind(String),
    /// A field is not there.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A text with more or fewer fields.
    #[error("a record has nine fields")]
    Fields,
    /// A text has an escape that cannot be read.
    #[error("`{0}` has a backslash without x and two digits")]
    Escape(String),
    /// A text is not UTF-8.
    #[error("`{0}` is not UTF-8")]
    Utf8(String),
}

/// Write a text so that it is ASCII and can be read back.
fn write_escaped(text: &str, out: &mut String) {
    for (at, byte) in text.bytes().enumerate() {
        let begins_a_field = byte == b'.'
            && FIELDS.iter().any(|name| {
                text.as_bytes()[at + 1..]
                    .strip_prefix(name.as_bytes())
                    .is_some_and(|rest| rest.first().is_none_or(|next| *next == b'.'))
            });
        if begins_a_field || byte == b'\\' || !(0x20..=0x7e).contains(&byte) {
            out.push_str(&format!("\\x{byte:02x}"));
        } else {
            out.push(char::from(byte));
        }
    }
}

/// Read a text back.
fn unescape(text: &str) -> Result<String, RecordError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'\\' {
            let digits = tail.strip_prefix(b"x").and_then(|tail| tail.get(..2));
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(byte.ok_or_else(|| RecordError::Escape(text.to_owned()))?);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| RecordError::Utf8(text.to_owned()))
}

impl fmt::Display for StepRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("#{}.{}.", self.number, self.kind.as_str());
        write_escaped(&self.name, &mut line);
        for (name, text) in FIELDS.iter().zip(&self.fields) {
            line.push_str(&format!(".{name}."));
            write_escaped(text, &mut line);
        }
        f.write_str(&line)
    }
}

impl std::str::FromStr for StepRecord {
    type Err = RecordError;

    fn from_str(line: &str) -> Result<Self, RecordError> {
        if let Some(other) = line.bytes().find(|byte| !(0x20..=0x7e).contains(byte)) {
            return Err(RecordError::Byte(other));
        }
        let parts = line.strip_prefix('#').and_then(|rest| rest.split_once('.'));
        let (number, rest) = parts.ok_or(RecordError::Begin)?;
        let number = number
            .parse()
            .map_err(|_| RecordError::Number(number.to_owned()))?;
        let (kind, mut rest) = rest.split_once('.').ok_or(RecordError::NoKind)?;
        let kind = match kind {
            "Call" => RecordKind::Call,
            "Event" => RecordKind::Event,
            "Return" => RecordKind::Return,
            other => return Err(RecordError::Kind(other.to_owned())),
        };
        let mut texts = Vec::with_capacity(10);
        for name in FIELDS {
            let mark = format!(".{name}.");
            let (text, tail) = rest.split_once(&mark).ok_or(RecordError::Missing(name))?;
            texts.push(unescape(text)?);
            rest = tail;
        }
        texts.push(unescape(rest)?);
        let name = texts.remove(0);
        let fields = texts.try_into().map_err(|_| RecordError::Fields)?;
        Ok(StepRecord {
            number,
            kind,
            name,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts that look like the marks of fields, whole and in part.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "(\\.|Data|Work|Real|Value|Values|\\\\|x2e|[a-z]){0,8}",
            ".{0,12}",
        ]
    }

    fn kinds() -> impl Strategy<Value = RecordKind> {
        prop_oneof![
            Just(RecordKind::Call),
            Just(RecordKind::Event),
            Just(RecordKind::Return)
        ]
    }

    proptest! {
        /// Check that whatever a record holds, its line is printable ASCII and reads back as the same record.
        #[test]
        fn reads_back(number in 1..10_000_usize, kind in kinds(), name in text(), fields in proptest::array::uniform9(text())) {
            let record = StepRecord { number, kind, name, fields };
            let line = record.to_string();
            prop_assert!(line.bytes().all(|b| (0x20..0x80).contains(&b)), "{}", line);
            prop_assert_eq!(line.parse::<StepRecord>(), Ok(record), "{}", line);
        }
    }

    /// Check the form of a record to the byte, and that lines of another form are refused with the reason.
    #[test]
    fn form() {
        let fields = [
            "2,1",
            "AF_INET,x.Work",
            "makes µ",
            "None",
            "3",
            "int",
            "net/socket.c:1706",
            "a",
            "b+0x1",
        ];
        let record = StepRecord {
            number: 7,
            kind: RecordKind::Return,
            name: "sock_alloc".into(),
            fields: fields.map(str::to_owned),
        };
        let line = "#7.Return.sock_alloc.Values.2,1.Data.AF_INET,x\\x2eWork.Work.makes \\xc2\\xb5.Errors.None\
                    .RealValue.3.RealData.int.Caller.net/socket.c:1706.Current.a.Resumed.b+0x1";
        assert_eq!(record.to_string(), line);
        for (bad, why) in [
            ("7.Call.x", "begins with #"),
            ("#x.Call.y", "not a number"),
            ("#1.Jump.y", "not a kind"),
            ("#1.Call.y.Values.1", "the field Data is missing"),
            ("#1.Call.µ", "not printable ASCII"),
            (&line.replace("\\x2e", "\\q"), "backslash"),
        ] {
            let error = bad.parse::<StepRecord>().unwrap_err().to_string();
            assert!(
                error.contains(why) || error.contains("missing"),
                "{bad}: {error}"
            );
        }
    }
}
