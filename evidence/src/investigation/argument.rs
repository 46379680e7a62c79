//! System calls of a workload and their arguments, up to structures that are filled by the names of their members.

use std::ops::Range;

/// A system call that the workload's process makes before its last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierCall {
    /// The name under which later calls use its result, as `$NAME`.
    pub result: Option<String>,
    /// Its name, `socket`.
    pub name: String,
    /// The place of the name in the file.
    pub span: Range<usize>,
    /// At most six.
    pub args: Vec<Argument>,
    /// The meaning of a non-negative return value.
    pub returns: Returns,
}

impl EarlierCall {
    /// The call as a reader would write it: `$sock = socket(AF_INET, SOCK_STREAM, 0)`.
    pub fn text(&self) -> String {
        named_call_text(self.result.as_ref(), &self.name, &self.args)
    }
}

/// The return value of a system call that succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// A number.
    Int,
    /// A file descriptor.
    Fd,
}

/// A call as C has it, with the name of its result, if it has one.
pub(super) fn named_call_text(result: Option<&String>, name: &str, args: &[Argument]) -> String {
    let call = call_text(name, args);
    match result {
        Some(result) => format!("${result} = {call}"),
        None => call,
    }
}

/// A call as C has it.
fn call_text(name: &str, args: &[Argument]) -> String {
    let args: Vec<String> = args.iter().map(Argument::text).collect();
    format!("{name}({})", args.join(", "))
}

/// One argument of a system call, or one value in a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Int(i64),
    /// Named constants joined by `|`: `O_CLOEXEC|O_NONBLOCK`. In a structure also an IPv4 address.
    Constant {
        /// The text.
        text: String,
        /// Its place in the file.
        span: Range<usize>,
    },
    /// The address of a NUL-terminated string.
    Text(String),
    /// The address of these bytes.
    Bytes(Vec<u8>),
    /// The address of a zeroed buffer, which is read back afterwards.
    Buffer {
        /// Name in the evidence.
        name: String,
        /// Bytes.
        size: usize,
        /// Its form on a page.
        elements: BufferElements,
    },
    /// The address of a structure of the kernel's types.
    Structure(FilledStructure),
    /// The size of a structure of the kernel's types, in bytes.
    SizeOf {
        /// The name of the structure or union.
        name: String,
        /// The place of the argument in the file.
        span: Range<usize>,
    },
    /// The result of an earlier call of the workload.
    Result {
        /// The name that the call gave it.
        name: String,
        /// The place of the argument in the file.
        span: Range<usize>,
    },
    /// One of the 32-bit integers that an earlier call of the workload left in its buffer: a descriptor of `pipe2`.
    Element {
        /// The name of the buffer.
        buffer: String,
        /// Its place among them, from 0.
        index: usize,
        /// The place of the argument in the file.
        span: Range<usize>,
    },
}

/// A structure that is filled before the call. Members that are not named are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledStructure {
    /// The name of the structure or union among the kernel's types, `sockaddr_in`.
    pub name: String,
    /// The place of the argument in the file.
    pub span: Range<usize>,
    /// Values of its members, in the order in which they are written.
    pub members: Vec<(String, MemberValue)>,
    /// The name in the evidence under which its bytes after the call are stored.
    pub buffer: Option<String>,
}

/// The value of a member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberValue {
    /// A number, or what a pointer points to.
    One(Argument),
    /// Members of a member.
    Members(Vec<(String, MemberValue)>),
    /// The first elements of an array.
    Elements(Vec<MemberValue>),
}

/// The content of a buffer that is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferElements {
    /// Bytes.
    Bytes,
    /// 32-bit integers, as one text `3, 4`.
    Ints,
}

impl FilledStructure {
    /// Its members as C has them: `{.sin_family = AF_INET, .sin_port = 999}`.
    pub fn members_text(&self) -> String {
        members_text(&self.members)
    }
}

impl Argument {
    /// Visit this argument and all that it holds.
    pub(super) fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a Argument)) {
        visit(self);
        if let Self::Structure(structure) = self {
            for (_, value) in &structure.members {
                value.for_each(visit);
            }
        }
    }

    /// The argument as C has it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Constant { text, .. } => text.clone(),
            Self::Text(text) => format!("{text:?}"),
            Self::Bytes(bytes) => bytes_text(bytes),
            Self::Buffer { name, .. } => name.clone(),
            Self::Structure(structure) => {
                format!("&({}){}", structure.name, structure.members_text())
            }
            Self::SizeOf { name, .. } => format!("sizeof({name})"),
            Self::Result { name, .. } => format!("${name}"),
            Self::Element { buffer, index, .. } => format!("${buffer}[{index}]"),
        }
    }
}

impl MemberValue {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a Argument)) {
        match self {
            Self::One(argument) => argument.for_each(visit),
            Self::Members(members) => members.iter().for_each(|(_, value)| value.for_each(visit)),
            Self::Elements(values) => values.iter().for_each(|value| value.for_each(visit)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::One(argument) => argument.text(),
            Self::Members(members) => members_text(members),
            Self::Elements(values) => {
                let values: Vec<String> = values.iter().map(Self::text).collect();
                format!("{{{}}}", values.join(", "))
            }
        }
    }
}

/// Bytes as C has them: `{0x0a, 0xff}`.
pub fn bytes_text(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
    format!("{{{}}}", bytes.join(", "))
}

fn members_text(members: &[(String, MemberValue)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!(".{name} = {}", value.text()))
        .collect();
    format!("{{{}}}", members.join(", "))
}
