//! The functions of a traced call by their names, with the places of their definitions.

use std::collections::HashMap;

use serde::Serialize;

use crate::graph::{Call, Frame};
use crate::symbols::Kallsyms;
use crate::symbols::lines::LineResolver;

/// Farthest that the call of the tracer stands behind the start of its function, in bytes: behind an `endbr64` and, where the compiler
/// puts them there, no-ops.
const TRACER_CALL: u64 = 32;

/// A function that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// Its live address; `None` where no symbol is known for it.
    #[serde(skip)]
    pub address: Option<u64>,
    /// The module that it is of; `None`: the kernel itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The file that defines it, relative to the kernel's source, and the line, where debug information is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<(String, u32)>,
}

/// The functions of a call, each once, and which of them each frame is a run of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions {
    /// In the order in which they ran first.
    pub table: Vec<Function>,
    /// Per frame, its place in the table.
    pub of_frame: Vec<usize>,
}

/// Name the functions of `call`. `slide` is the distance between live and static addresses; `lines` is asked for definitions where
/// it is known.
pub fn functions(
    call: &Call,
    kallsyms: &Kallsyms,
    slide: Option<u64>,
    mut lines: Option<&mut LineResolver>,
) -> Functions {
    let mut known: HashMap<u64, usize> = HashMap::new();
    let mut table: Vec<Function> = Vec::new();
    let mut of_frame = Vec::with_capacity(call.frames.len());
    for Frame { address, .. } in &call.frames {
        let at = *known.entry(*address).or_insert_with(|| {
            let function = function(*address, kallsyms, slide, lines.as_deref_mut());
            table.push(function.unwrap_or_else(|| nameless(table.len())));
            table.len() - 1
        });
        of_frame.push(at);
    }
    Functions { table, of_frame }
}

fn function(
    address: u64,
    kallsyms: &Kallsyms,
    slide: Option<u64>,
    lines: Option<&mut LineResolver>,
) -> Option<Function> {
    let resolved = kallsyms.resolve(address).ok();
    let symbol = resolved.filter(|symbol| symbol.offset <= TRACER_CALL)?;
    let start = address - symbol.offset;
    let in_kernel = slide.filter(|_| symbol.module.is_none());
    let fixed = in_kernel.and_then(|slide| start.checked_sub(slide));
    let source = fixed.zip(lines).and_then(|(fixed, lines)| {
        let definition = lines.definition_at(fixed).ok()??;
        Some((definition.file, definition.line))
    });
    Some(Function {
        name: symbol.name.to_owned(),
        address: Some(start),
        module: symbol.module.map(str::to_owned),
        source,
    })
}

/// A function without a symbol: told apart from others by a number, and not by its address, which may be a secret.
fn nameless(number: usize) -> Function {
    Function {
        name: format!("[no symbol {number}]"),
        address: None,
        module: None,
        source: None,
    }
}
