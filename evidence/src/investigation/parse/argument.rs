//! Arguments of system calls.

use std::collections::BTreeSet;
use std::ops::Range;

use indexmap::IndexMap;

use super::check::FileChecker;
use super::raw::RawArgument;
use super::spanned::Spanned;
use crate::investigation::{
    Argument, BufferElements, EarlierCall, FilledStructure, MemberValue, Workload,
};
use crate::path::is_name;

/// The largest buffer, in bytes.
const MAX_BUFFER: usize = 4096;

/// The forms of an argument.
const FORMS: &str = "an argument is a number, a named constant, `\"$RESULT\"`, `\"$BUFFER[0]\"`, `{ text = \"…\" }`, `{ bytes = \"HEX\" }`, \
    `{ buffer = \"name\", size = N }`, `{ struct = \"NAME\", MEMBER = VALUE, … }` or `{ sizeof = \"NAME\" }`";

type Table = IndexMap<String, RawArgument>;

impl FileChecker {
    /// The arguments of one call; `before` are the calls whose results it may use.
    pub(super) fn arguments(
        &mut self,
        raw: Vec<Spanned<RawArgument>>,
        before: &[EarlierCall],
    ) -> Option<Vec<Argument>> {
        if let Some(seventh) = raw.get(6) {
            self.error(seventh.span(), "a system call has at most six arguments");
            return None;
        }
        let args: Vec<Option<Argument>> = raw
            .into_iter()
            .map(|raw| {
                let span = raw.span();
                self.argument(raw.into_inner(), &span, before)
            })
            .collect();
        args.into_iter().collect()
    }

    fn argument(
        &mut self,
        raw: RawArgument,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<Argument> {
        match raw {
            RawArgument::Int(value) => Some(Argument::Int(value)),
            RawArgument::Word(text) => self.word(text, span, before),
            RawArgument::Table(table) => self.pointer(table, span, before),
            RawArgument::List(_) => {
                self.error(
                    span.clone(),
                    format!("a list is the value of an array in a structure; {FORMS}"),
                );
                None
            }
        }
    }

    fn word(
        &mut self,
        text: String,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<Argument> {
        let Some(name) = text.strip_prefix('$') else {
            // Without the quotes, so that a message can point into it.
            let span = span.start + 1..span.end.saturating_sub(1);
            return Some(Argument::Constant { text, span });
        };
        if let Some((buffer, index)) = name.split_once('[') {
            return self.element(buffer, index, span, before);
        }
        let known: Vec<&str> = before
            .iter()
            .filter_map(|call| call.result.as_deref())
            .collect();
        if !known.contains(&name) {
            let known = match known.is_empty() {
                true => "no call before this one has a `result`".to_owned(),
                false => format!("the calls before this one have {}", known.join(", ")),
            };
            self.error(
                span.clone(),
                format!("there is no result `{name}`: {known}"),
            );
            return None;
        }
        Some(Argument::Result {
            name: name.to_owned(),
            span: span.clone(),
        })
    }

    /// `$BUFFER[INDEX]`, one of the integers in a buffer of a call before this one.
    fn element(
        &mut self,
        buffer: &str,
        index: &str,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<Argument> {
        let buffers = before.iter().flat_map(|call| &call.args);
        let known: Vec<(&str, usize)> = buffers
            .filter_map(|argument| match argument {
                Argument::Buffer {
                    name,
                    size,
                    elements: BufferElements::Ints,
                } => Some((name.as_str(), size / 4)),
                _ => None,
            })
            .collect();
        let Some((_, count)) = known.iter().find(|(name, _)| *name == buffer) else {
            let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let known = match known.is_empty() {
                true => "no call before this one has a buffer of `ints`".to_owned(),
                false => format!("the calls before this one have {}", known.join(", ")),
            };
            let reason = format!("there is no buffer `{buffer}` of integers: {known}");
            self.error(span.clone(), reason);
            return None;
        };
        let number = index.strip_suffix(']').and_then(|digits| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<usize>().ok()).flatten()
        });
        match number {
            Some(index) if index < *count => Some(Argument::Element {
                buffer: buffer.to_owned(),
                index,
                span: span.clone(),
            }),
            Some(index) => {
                let reason =
                    format!("`{buffer}` has {count} integers, from 0: there is none at {index}");
                self.error(span.clone(), reason);
                None
            }
            None => {
                let reason = format!("an integer of `{buffer}` is written `${buffer}[0]`");
                self.error(span.clone(), reason);
                None
            }
        }
    }

    fn pointer(
        &mut self,
        table: Table,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<Argument> {
        use RawArgument::{Int, Word};
        let only = |key: &str| match (table.len(), table.get(key)) {
            (1, Some(Word(value))) => Some(value.clone()),
            _ => None,
        };
        if table.contains_key("struct") {
            return self.structure(table, span, before);
        }
        if let Some(text) = only("text") {
            return self.text(text, span);
        }
        if let Some(digits) = only("bytes") {
            return self.bytes(&digits, span);
        }
        if let Some(name) = only("sizeof") {
            let span = span.clone();
            return Some(Argument::SizeOf { name, span });
        }
        if let Some(Word(name)) = table.get("buffer") {
            match (table.get("size"), table.get("ints"), table.len()) {
                (Some(Int(size)), None, 2) => {
                    return self.buffer(name, *size, BufferElements::Bytes, span);
                }
                (None, Some(Int(count)), 2) => {
                    return self.buffer(name, count.saturating_mul(4), BufferElements::Ints, span);
                }
                (None, None, 1) | (Some(_), Some(_), 3) => {
                    let reason = "a buffer needs either `size` (bytes) or `ints` (32-bit integers)";
                    self.error(span.clone(), reason);
                    return None;
                }
                _ => {}
            }
        }
        self.error(span.clone(), FORMS);
        None
    }

    fn text(&mut self, text: String, span: &Range<usize>) -> Option<Argument> {
        if text.contains('\0') {
            let reason = "a text of a system call ends at its first NUL, and this one holds one: give its bytes, \
                as `{ bytes = \"61 00\" }`";
            self.error(span.clone(), reason);
            return None;
        }
        Some(Argument::Text(text))
    }

    fn bytes(&mut self, text: &str, span: &Range<usize>) -> Option<Argument> {
        let digits: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        match hex::decode(&digits) {
            Ok(bytes) if (1..=MAX_BUFFER).contains(&bytes.len()) => Some(Argument::Bytes(bytes)),
            Ok(bytes) => {
                let count = bytes.len();
                self.error(
                    span.clone(),
                    format!("`bytes` are 1 to {MAX_BUFFER}, not {count}"),
                );
                None
            }
            Err(error) => {
                let reason = format!("`bytes` are hexadecimal digits, two for each byte: {error}");
                self.error(span.clone(), reason);
                None
            }
        }
    }

    fn buffer(
        &mut self,
        name: &str,
        size: i64,
        elements: BufferElements,
        span: &Range<usize>,
    ) -> Option<Argument> {
        self.buffer_name(name, span);
        match usize::try_from(size) {
            Ok(size @ 1..=MAX_BUFFER) => Some(Argument::Buffer {
                name: name.to_owned(),
                size,
                elements,
            }),
            _ => {
                self.error(
                    span.clone(),
                    format!("a buffer has 1 to {MAX_BUFFER} bytes, not {size}"),
                );
                None
            }
        }
    }

    fn buffer_name(&mut self, name: &str, span: &Range<usize>) {
        if !is_name(name) {
            self.error(
                span.clone(),
                format!("buffer name `{name}` does not match [a-z_][a-z0-9_]*"),
            );
        }
    }

    fn structure(
        &mut self,
        mut table: Table,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<Argument> {
        let (Some(RawArgument::Word(name)), buffer) =
            (table.shift_remove("struct"), table.shift_remove("buffer"))
        else {
            self.error(
                span.clone(),
                "`struct` is the name of a structure or union of the kernel",
            );
            return None;
        };
        let buffer = match buffer {
            None => None,
            Some(RawArgument::Word(name)) => {
                self.buffer_name(&name, span);
                Some(name)
            }
            Some(_) => {
                self.error(
                    span.clone(),
                    "`buffer` is the name under which the structure is kept",
                );
                return None;
            }
        };
        let members = self.members(table, span, before)?;
        Some(Argument::Structure(FilledStructure {
            name,
            span: span.clone(),
            members,
            buffer,
        }))
    }

    fn members(
        &mut self,
        table: Table,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<Vec<(String, MemberValue)>> {
        table
            .into_iter()
            .map(|(name, value)| Some((name, self.member(value, span, before)?)))
            .collect()
    }

    /// A table with a key that only a pointer has is one; any other has the members of a member.
    fn member(
        &mut self,
        raw: RawArgument,
        span: &Range<usize>,
        before: &[EarlierCall],
    ) -> Option<MemberValue> {
        const POINTERS: [&str; 5] = ["text", "bytes", "buffer", "struct", "sizeof"];
        match raw {
            RawArgument::List(values) => {
                let values = values.into_iter();
                let values: Option<Vec<_>> = values
                    .map(|value| self.member(value, span, before))
                    .collect();
                Some(MemberValue::Elements(values?))
            }
            RawArgument::Table(table) if !POINTERS.iter().any(|key| table.contains_key(*key)) => {
                Some(MemberValue::Members(self.members(table, span, before)?))
            }
            other => Some(MemberValue::One(self.argument(other, span, before)?)),
        }
    }

    /// Check that no two buffers have one name: the evidence has one buffer of a name.
    pub(super) fn check_buffer_names(&mut self, workload: &Workload, span: Range<usize>) {
        let mut known = BTreeSet::new();
        let buffers = workload.buffers();
        let twice = buffers.iter().find(|(name, _)| !known.insert(*name));
        if let Some((name, _)) = twice {
            self.error(span, format!("two buffers are named `{name}`"));
        }
    }
}
