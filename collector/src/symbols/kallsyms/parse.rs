//! One pass over the text of a symbol table.

use super::entry::{KallsymsError, SymbolEntry};

const INVALID: u8 = 0xff;

const HEX: [u8; 256] = {
    let mut table = [INVALID; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

/// The index of a text of lines such as
/// ```text
/// ffffffff9c200000 T _stext
/// ffffffffc0a5b010 t virtio_net_driver_init [virtio_net]
/// ```
/// in the order of the text. A tab stands before a module's name.
pub(super) fn parse_entries(text: &str) -> Result<Vec<SymbolEntry>, KallsymsError> {
    let bytes = text.as_bytes();
    if u32::try_from(bytes.len()).is_err() {
        return Err(KallsymsError::TooLarge { bytes: bytes.len() });
    }
    // The shortest line is "0 t a\n", a typical one 38 bytes: never more memory than twice the text.
    let mut entries = Vec::with_capacity(bytes.len() / 36);
    let mut at = 0;
    while at < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n);
        if end > at {
            let entry =
                parse_line(&bytes[at..end], at).ok_or_else(|| malformed_error(text, at, end))?;
            entries.push(entry);
        }
        at = end + 1;
    }
    Ok(entries)
}

fn parse_line(line: &[u8], offset: usize) -> Option<SymbolEntry> {
    let (mut address, mut digits) = (0_u64, 0);
    loop {
        let value = HEX[usize::from(*line.get(digits)?)];
        if value == INVALID {
            break;
        }
        if digits == 16 {
            return None;
        }
        address = address << 4 | u64::from(value);
        digits += 1;
    }
    let [b' ', kind, b' ', rest @ ..] = &line[digits..] else {
        return None;
    };
    if digits == 0 || !kind.is_ascii_graphic() {
        return None;
    }
    // A module's symbol ends with a tab and its name in brackets.
    let (name_len, module_len) = match rest.last() {
        Some(b']') => {
            let tab = memchr::memchr(b'\t', rest)?;
            let module = rest
                .get(tab + 1..)?
                .strip_prefix(b"[")?
                .strip_suffix(b"]")?;
            (
                tab,
                if module.is_empty() {
                    return None;
                } else {
                    module.len()
                },
            )
        }
        _ => (rest.len(), 0),
    };
    if name_len == 0 || memchr::memchr2(b' ', b'\t', &rest[..name_len]).is_some() {
        return None;
    }
    Some(SymbolEntry {
        address,
        name: u32::try_from(offset + digits + 3).ok()?,
        name_len: u16::try_from(name_len).ok()?,
        module_len: u8::try_from(module_len).ok()?,
        kind: *kind,
    })
}

fn malformed_error(text: &str, at: usize, end: usize) -> KallsymsError {
    KallsymsError::Malformed {
        line: text.as_bytes()[..at]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1,
        text: String::from_utf8_lossy(&text.as_bytes()[at..end])
            .chars()
            .take(80)
            .collect(),
    }
}
