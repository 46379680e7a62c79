//! The offsets and sizes of the fields of a trace record, from tracefs's `format` files.
//!
//! ```text
//! ID: 11
//! format:
//!     field:unsigned short common_type;    offset:0;    size:2;    signed:0;
//!     field:unsigned long func;    offset:8;    size:8;    signed:0;
//! ```

use super::error::GraphError;
use super::raw::Formats;

/// Most argument registers of a function (`FTRACE_REGS_MAX_ARGS` on x86-64).
const REGISTERS: usize = 6;

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordField {
    /// In bytes from the start of the record.
    offset: usize,
    /// 1, 2, 4 or 8 bytes.
    size: usize,
    signed: bool,
}

impl RecordField {
    /// The value, sign-extended where the field is signed; `None` if the record is too short for it.
    pub(super) fn read(self, record: &[u8]) -> Option<u64> {
        let bytes = record.get(self.offset..self.offset.checked_add(self.size)?)?;
        let mut word = [0; 8];
        word[..self.size].copy_from_slice(bytes);
        let value = u64::from_le_bytes(word);
        let unused = 64 - 8 * self.size as u32;
        Some(match self.signed {
            true => (((value << unused) as i64) >> unused) as u64,
            false => value,
        })
    }
}

/// The layout of the records that are read.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Bytes of a page of the ring buffer, header and all.
    pub page: usize,
    /// Of a page: the time of its first record.
    pub time: RecordField,
    /// Of a page: the bytes of records in it, and flags.
    pub commit: RecordField,
    /// Of a page: where records begin.
    pub data: usize,
    /// Of every record.
    pub kind: RecordField,
    pub flags: RecordField,
    pub tid: RecordField,
    pub entry: EntryRecord,
    pub exit: ExitRecord,
    pub enter: Syscall,
    pub leave: Syscall,
}

/// A function begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryRecord {
    pub id: u64,
    pub function: RecordField,
    pub depth: RecordField,
    /// Where the argument registers begin, in bytes from the start of the record, on kernels that can record them (6.16 and later).
    pub registers: Option<usize>,
}

impl EntryRecord {
    /// The argument registers at the entry of the function, as many as the record has; none where the kernel did not record them.
    pub(super) fn registers(&self, record: &[u8]) -> Vec<u64> {
        let words = self.registers.and_then(|start| record.get(start..));
        let words = words.unwrap_or_default().chunks_exact(8);
        words
            .filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?)))
            .take(REGISTERS)
            .collect()
    }
}

/// A function returns.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExitRecord {
    pub id: u64,
    pub function: RecordField,
    pub depth: RecordField,
    pub overrun: RecordField,
    /// When it began and ended, where the record says so itself.
    pub times: Option<(RecordField, RecordField)>,
    /// The value that it returned, where the kernel records that (CONFIG_FUNCTION_GRAPH_RETVAL).
    pub returned: Option<RecordField>,
}

/// A system call begins or ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syscall {
    pub id: u64,
    pub number: RecordField,
    /// The first argument, or the return value.
    pub value: RecordField,
}

impl Syscall {
    /// The fields of the six arguments.
    pub(super) fn argument_fields(&self) -> impl Iterator<Item = RecordField> {
        let first = self.value;
        (0..6).map(move |nth| RecordField {
            offset: first.offset + nth * first.size,
            ..first
        })
    }
}

impl Layout {
    /// Read the layout from the kernel's own description.
    ///
    /// # Errors
    /// When a field that is needed is not described.
    pub(super) fn from_formats(formats: &Formats) -> Result<Self, GraphError> {
        let page = EventFormat::new("a page", &formats.page);
        let data = page.line("data").ok_or(page.missing_field_error("data"))?;
        let entry = EventFormat::new("funcgraph_entry", &formats.entry);
        let exit = EventFormat::new("funcgraph_exit", &formats.exit);
        let enter = EventFormat::new("sys_enter", &formats.sys_enter);
        let leave = EventFormat::new("sys_exit", &formats.sys_exit);
        Ok(Self {
            page: data.0 + data.1,
            time: page.field("timestamp")?,
            commit: page.field("commit")?,
            data: data.0,
            kind: entry.field("common_type")?,
            flags: entry.field("common_flags")?,
            tid: entry.field("common_pid")?,
            entry: EntryRecord {
                id: entry.id()?,
                function: entry.field("func")?,
                depth: entry.field("depth")?,
                registers: entry.rest("args"),
            },
            exit: ExitRecord {
                id: exit.id()?,
                function: exit.field("func")?,
                depth: exit.field("depth")?,
                overrun: exit.field("overrun")?,
                times: exit.field("calltime").ok().zip(exit.field("rettime").ok()),
                returned: exit.field("retval").ok(),
            },
            enter: Syscall {
                id: enter.id()?,
                number: enter.field("id")?,
                value: enter.first_element("args", 6)?,
            },
            leave: Syscall {
                id: leave.id()?,
                number: leave.field("id")?,
                value: leave.field("ret")?,
            },
        })
    }
}

/// The text of one `format` file.
struct EventFormat<'a> {
    event: &'static str,
    text: &'a str,
}

impl<'a> EventFormat<'a> {
    fn new(event: &'static str, text: &'a str) -> Self {
        Self { event, text }
    }

    fn missing_field_error(&self, field: &'static str) -> GraphError {
        GraphError::Field {
            event: self.event,
            field,
        }
    }

    fn id(&self) -> Result<u64, GraphError> {
        let line = self.text.lines().find_map(|line| line.strip_prefix("ID:"));
        let number = line.and_then(|number| number.trim().parse().ok());
        number.ok_or(self.missing_field_error("ID"))
    }

    /// Offset, size and sign of a field, by its name without `[…]`.
    fn line(&self, name: &str) -> Option<(usize, usize, bool)> {
        self.text.lines().find_map(|line| {
            let mut parts = line.trim().split(';').map(str::trim);
            let declared = parts.next()?.strip_prefix("field:")?;
            let word = declared.rsplit(char::is_whitespace).next()?;
            if word.split('[').next()?.trim_start_matches('*') != name {
                return None;
            }
            let mut number = |key: &str| -> Option<usize> {
                parts.next()?.strip_prefix(key)?.trim().parse().ok()
            };
            Some((
                number("offset:")?,
                number("size:")?,
                number("signed:")? != 0,
            ))
        })
    }

    fn field(&self, name: &'static str) -> Result<RecordField, GraphError> {
        match self.line(name) {
            Some((offset, size @ (1 | 2 | 4 | 8), signed)) => Ok(RecordField {
                offset,
                size,
                signed,
            }),
            _ => Err(self.missing_field_error(name)),
        }
    }

    /// Where an array begins that takes the rest of the record.
    fn rest(&self, name: &str) -> Option<usize> {
        let (offset, size, _) = self.line(name)?;
        (size == 0).then_some(offset)
    }

    /// The first of an array of `count` words.
    fn first_element(&self, name: &'static str, count: usize) -> Result<RecordField, GraphError> {
        match self.line(name) {
            Some((offset, size, signed)) if size == 8 * count => Ok(RecordField {
                offset,
                size: 8,
                signed,
            }),
            _ => Err(self.missing_field_error(name)),
        }
    }
}
