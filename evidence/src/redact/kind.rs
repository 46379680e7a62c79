//! Values that are harmless because of their kind, in any leaf.

use crate::document::value::{Location, Value};

use super::phrase::PublicTexts;
use super::reason::WithholdReason;

/// The folders at the root of the kernel's source tree
/// (<https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/?h=v6.12>).
const SOURCE_FOLDERS: &[&str] = &[
    "arch", "block", "certs", "crypto", "drivers", "fs", "include", "init", "io_uring", "ipc",
    "kernel", "lib", "mm", "net", "rust", "samples", "scripts", "security", "sound", "tools",
    "ubuntu", "usr", "virt",
];

/// C's own names of types whose numbers are amounts of memory.
const SIZES: &[&str] = &["size_t", "ssize_t"];

/// The largest amount of bytes that is taken for one on the word of a type or an author: a number beyond it can be anything.
const MOST_BYTES: i128 = 1 << 20;

/// The highest descriptor that is taken for one on the word of an author: the default limit of a process (`INR_OPEN_CUR`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/fs.h#L42>).
const MOST_DESCRIPTORS: i32 = 1023;

/// The highest number of a process (`PID_MAX_LIMIT`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/threads.h#L34>).
const MOST_PIDS: i32 = 4 * 1024 * 1024;

/// The lowest number that a size, a descriptor or a process can be: an error (`MAX_ERRNO`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/err.h#L18>). One below it can be anything.
const LEAST: i32 = -4095;

/// Accept a value that is harmless by its kind. `declared`: the investigation says so.
///
/// # Errors
/// The reason why it is withheld.
pub(super) fn check_kind(
    value: &Value,
    declared: bool,
    known: &PublicTexts<'_>,
) -> Result<(), WithholdReason> {
    let elsewhere = |value: i128| {
        let bits = u64::try_from(value).or(i64::try_from(value).map(i64::cast_unsigned));
        match bits {
            Ok(bits) if known.parts.leak_in(bits) || known.parts.space.is_of_program(bits) => {
                Err(WithholdReason::PartOfAddress)
            }
            _ => Ok(()),
        }
    };
    let number = |value: i128| match declared || value == 0 {
        true => elsewhere(value),
        false => Err(WithholdReason::Number),
    };
    let amount = |value: i128| match (i128::from(LEAST)..=MOST_BYTES).contains(&value) {
        true => elsewhere(value),
        false => number(value),
    };
    match value {
        // Pointers become pseudonyms. What is none keeps its number, which could be anything but an error.
        Value::Address { value, .. } if is_small(value.0) => number(value.0.into()),
        Value::Address { .. }
        | Value::Bool { .. }
        | Value::Errno { .. }
        | Value::Symbol { .. }
        | Value::Stack { .. }
        | Value::CutStack { .. }
        | Value::Enum { name: Some(_), .. } => Ok(()),
        Value::Size { value } => amount((*value).into()),
        // The collector's own times are public fields. One that was read is any number that its author calls a time.
        Value::Time { ns } => number((*ns).into()),
        Value::Fd { value } if !(LEAST..=MOST_DESCRIPTORS).contains(value) => {
            number((*value).into())
        }
        Value::Pid { value } if !(LEAST..=MOST_PIDS).contains(value) => number((*value).into()),
        Value::Fd { value } | Value::Pid { value } => elsewhere((*value).into()),
        Value::Int {
            type_name: Some(name),
            value,
        } if SIZES.contains(&name.as_str()) => amount(value.get()),
        Value::Int { value, .. } | Value::Offset { value } | Value::Enum { value, .. } => {
            number(value.get())
        }
        Value::Flags { value, names, .. } => {
            // Bits without a name are a number of their own.
            let nameless = names.iter().filter_map(|name| {
                let digits = name.strip_prefix("0x")?;
                i128::from_str_radix(digits, 16).ok()
            });
            std::iter::once(value.get())
                .chain(nameless)
                .try_for_each(number)
        }
        Value::Bytes { value } if declared || value.0.is_empty() => Ok(()),
        Value::CutBytes { .. } if declared => Ok(()),
        Value::Bytes { .. } | Value::CutBytes { .. } => Err(WithholdReason::Bytes),
        Value::Text { value } if declared || known.contains_text(value) => Ok(()),
        // The beginning of something known may go on as something else.
        Value::CutText { .. } if declared => Ok(()),
        Value::Text { .. } | Value::CutText { .. } => Err(WithholdReason::Text),
        Value::Location { value } if is_source(value) => Ok(()),
        Value::Location { .. } => Err(WithholdReason::File),
    }
}

/// Accept of what may be a part of an address only a whole one, which becomes a pseudonym.
///
/// # Errors
/// The reason why it is withheld.
pub(super) fn check_whole_address(value: &Value) -> Result<(), WithholdReason> {
    match value {
        Value::Address { value, .. } if crate::secrets::is_pointer(value.0) => Ok(()),
        _ => Err(WithholdReason::Retyped),
    }
}

/// True if a number of pointer type is neither a pointer nor one of the kernel's marks: null, an empty allocation
/// (`ZERO_SIZE_PTR`, <https://elixir.bootlin.com/linux/v6.12/source/include/linux/slab.h#L172>) and errors.
fn is_small(number: u64) -> bool {
    const EMPTY: u64 = 16;
    (1..crate::secrets::FIRST_PAGE).contains(&number) && number != EMPTY
}

/// True if all files that a place names are of the kernel's own source.
pub(super) fn is_source(location: &Location) -> bool {
    let Location {
        file,
        line: _,
        function: _,
        role: _,
        inlined_into,
    } = location;
    let callers = inlined_into.iter().map(|caller| &caller.file);
    callers.chain([file]).all(|file| is_source_file(file))
}

/// True if a file is of the kernel's own source.
pub(super) fn is_source_file(file: &str) -> bool {
    let folder = file.split('/').next().unwrap_or_default();
    SOURCE_FOLDERS.contains(&folder) && !file.split('/').any(|part| part == "..")
}

/// True if a value of the kernel's configuration is a choice or a number, and no text that somebody wrote.
pub(super) fn is_setting(value: &str) -> bool {
    let digits = value.strip_prefix("0x").unwrap_or(value);
    ["y", "m", "n"].contains(&value)
        || !digits.is_empty()
            && digits.len() <= 16
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
            && (value.starts_with("0x") || digits.bytes().all(|b| b.is_ascii_digit()))
}

/// True if a line says no more than an option's setting, or an address that is the same everywhere, of what was looked
/// for.
pub(super) fn is_listed(line: &str, key: &str) -> bool {
    if let Some(setting) = line.strip_prefix(key).and_then(|l| l.strip_prefix('=')) {
        return is_setting(setting);
    }
    if line == format!("# {key} is not set") {
        return true;
    }
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [address, kind @ .., name] = words.as_slice() else {
        return false;
    };
    *name == key
        && (kind.is_empty() || kind.len() == 1 && kind[0].len() == 1)
        && address.len() == 16
        && address.bytes().all(|b| b.is_ascii_hexdigit())
}
