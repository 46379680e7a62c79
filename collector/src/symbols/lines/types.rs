//! Results from the debug info, as the cache stores them.

use serde::{Deserialize, Serialize};

/// The meaning of a line number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The code at the address itself. For a return address minus 1 that is the call.
    Code,
    /// The place in this function where the frame before it, an inlined function, is called.
    InlinedCall,
    /// The definition of the function.
    Definition,
}

/// One frame of source code, of which several can share an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFrame {
    /// Name of the function.
    pub function: String,
    /// File, relative to the root of the kernel's source: `net/socket.c`.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, where the compiler said one.
    pub column: Option<u16>,
    /// The meaning of `line`: `Code` for the innermost frame, `InlinedCall` for those around it.
    pub kind: LineKind,
    /// True if this function was inlined into that of the next frame.
    pub inlined: bool,
}

/// The definition of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Name of the function as in the source, without a compiler's suffix.
    pub function: String,
    /// File, relative to the root of the kernel's source.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Always [`LineKind::Definition`].
    pub kind: LineKind,
    /// Static address of the code; `None` where the function exists only inlined.
    pub address: Option<u64>,
}

/// The inlined copies of a function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inlining {
    /// Functions with code of their own that hold an inlined copy, sorted; never the function itself.
    pub into: Vec<String>,
    /// True if the function has code of its own as well.
    pub out_of_line: bool,
    /// True if there were too many units to look through all of them, as for a helper of a common header.
    pub incomplete: bool,
}

/// The copies of the functions of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Copies {
    /// True if a compiler described a function of this name. A compiler does not know the functions of an assembler,
    /// and may have put code of its own where it was asked to call one of that name.
    pub described: bool,
    /// True if there were too many units to look through all of them, as for a helper of a common header.
    pub incomplete: bool,
    /// Copies with code of their own.
    pub own: Vec<OwnCopy>,
    /// Copies inlined into functions with code of their own.
    pub inlined: Vec<InlinedCopy>,
}

/// A copy with code of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnCopy {
    /// Static addresses at which its parts begin; one of them is its entry.
    pub starts: Vec<u64>,
    /// The file that defines the function, relative to the root of the kernel's source.
    pub file: Option<String>,
    /// True if it does not return (`noreturn`).
    pub never_returns: bool,
}

/// A copy inlined into another function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InlinedCopy {
    /// The function that holds it, as the source calls it.
    pub holder: String,
    /// Static addresses at which the holder's parts begin; one of them is its entry.
    pub starts: Vec<u64>,
    /// The file that defines the inlined function, relative to the root of the kernel's source.
    pub file: Option<String>,
    /// File and line of the inlined call: `fs/file.c:566`.
    pub site: Option<String>,
}

/// A call that the compiler inlined into a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlinedCallee {
    /// Number of inlined calls around it.
    pub depth: u32,
    /// The function that is called, as the source names it.
    pub function: String,
    /// File and line of the call: `fs/file.c:566`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}
