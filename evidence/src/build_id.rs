//! GNU build ids: the identity that a kernel, its debug info and its derived data share.
//!
//! Own code: `object` reads notes, too, and would be a dependency of the crate that judges claims for this alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A GNU build id: 20 bytes from a usual linker, never empty and at most 64.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(Vec<u8>);

/// The reason why bytes or a text are not a build id.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{0:?} is not a build id: expected 1 to 64 bytes in hexadecimal")]
pub struct BuildIdError(String);

/// The reason why notes hold no build id.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum NoteError {
    /// A note's header claims more bytes than there are.
    #[error(
        "failed to parse ELF notes: the note at byte {at} claims more bytes than the {len} there are"
    )]
    Truncated {
        /// Offset of the note.
        at: usize,
        /// Length of all notes.
        len: usize,
    },
    /// No `NT_GNU_BUILD_ID` among the notes.
    #[error("the ELF notes hold no GNU build id (a kernel linked without --build-id?)")]
    Missing,
    /// A build id of an impossible length.
    #[error(transparent)]
    Bad(#[from] BuildIdError),
}

impl BuildId {
    /// From its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildIdError> {
        match bytes.len() {
            1..=64 => Ok(Self(bytes.to_vec())),
            _ => Err(BuildIdError(hex::encode(&bytes[..bytes.len().min(65)]))),
        }
    }

    /// The first GNU build id among ELF notes, such as `/sys/kernel/notes` or a vmlinux's `.notes`.
    ///
    /// The notes are those of a little-endian machine with 4-byte alignment, as x86-64 kernels have them.
    pub fn from_notes(notes: &[u8]) -> Result<Self, NoteError> {
        for note in Notes::new(notes) {
            let note = note?;
            if note.kind == NT_GNU_BUILD_ID && note.name == b"GNU" {
                return Ok(Self::from_bytes(note.desc)?);
            }
        }
        Err(NoteError::Missing)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path of this build's debug info below a `.build-id` folder: `3b/43fa….debug`. `None` for a one-byte id.
    pub fn debug_path(&self) -> Option<String> {
        let (first, rest) = self.0.split_first()?;
        (!rest.is_empty()).then(|| format!("{first:02x}/{}.debug", hex::encode(rest)))
    }
}

/// The kernel searches for the same note: <https://elixir.bootlin.com/linux/v6.1/source/lib/buildid.c#L12>.
const NT_GNU_BUILD_ID: u32 = 3;

/// One ELF note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note<'a> {
    /// Its owner, without the closing NUL.
    pub name: &'a [u8],
    /// Its type, which the owner defines.
    pub kind: u32,
    /// Its content.
    pub desc: &'a [u8],
}

/// The notes of a note section or segment: little-endian, 4-byte aligned.
#[derive(Debug, Clone)]
pub struct Notes<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Notes<'a> {
    /// Walk the notes in `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    fn read_note(&mut self) -> Option<Note<'a>> {
        let word = |at: usize| {
            Some(u32::from_le_bytes(
                self.data.get(at..at.checked_add(4)?)?.try_into().ok()?,
            ))
        };
        let (name_len, desc_len, kind) = (
            word(self.at)? as usize,
            word(self.at + 4)? as usize,
            word(self.at + 8)?,
        );
        let name_at = self.at + 12;
        let desc_at = name_at.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let name = self.data.get(name_at..name_at.checked_add(name_len)?)?;
        let desc = self.data.get(desc_at..desc_at.checked_add(desc_len)?)?;
        self.at = desc_at
            .checked_add(desc_len.checked_next_multiple_of(4)?)?
            .min(self.data.len());
        Some(Note {
            name: name.strip_suffix(b"\0").unwrap_or(name),
            kind,
            desc,
        })
    }
}

impl<'a> Iterator for Notes<'a> {
    type Item = Result<Note<'a>, NoteError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.data.len() - self.at < 12 {
            return None;
        }
        let at = self.at;
        let note = self.read_note();
        if note.is_none() {
            self.at = self.data.len();
        }
        Some(note.ok_or(NoteError::Truncated {
            at,
            len: self.data.len(),
        }))
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    fn from_str(text: &str) -> Result<Self, BuildIdError> {
        let bad = || BuildIdError(text.chars().take(130).collect());
        Self::from_bytes(&hex::decode(text).map_err(|_| bad())?).map_err(|_| bad())
    }
}

impl TryFrom<String> for BuildId {
    type Error = BuildIdError;

    fn try_from(text: String) -> Result<Self, BuildIdError> {
        text.parse()
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [name.len() as u32, desc.len() as u32, kind] {
            out.extend(word.to_le_bytes());
        }
        for part in [name, desc] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    /// Check that the build id is found behind notes of other owners and types, and one of another owner is not it.
    #[test]
    fn found_among_others() {
        let mut notes = note(b"Xen\0", 3, b"xyz");
        notes.extend(note(b"GNU\0", 1, b"1234"));
        notes.extend(note(b"GNU\0", 3, &[0x3b, 0x43, 0xfa]));
        assert_eq!(BuildId::from_notes(&notes).unwrap().to_string(), "3b43fa");
        assert_eq!(
            BuildId::from_notes(&note(b"Xen\0", 3, b"xyz")),
            Err(NoteError::Missing)
        );
        assert_eq!(
            BuildId::from_notes(&notes).unwrap().debug_path().unwrap(),
            "3b/43fa.debug"
        );
    }

    /// Check that a note that claims more than there is, is an error and not a short build id.
    #[test]
    fn truncated() {
        let whole = note(b"GNU\0", 3, &[7; 20]);
        assert_eq!(
            BuildId::from_notes(&whole[..30]),
            Err(NoteError::Truncated { at: 0, len: 30 })
        );
    }

    /// Check that a text which is not a build id is refused.
    #[test]
    fn refused() {
        for text in ["", "3", "zz", &"00".repeat(65)] {
            assert!(text.parse::<BuildId>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Check that no bytes make the reader of notes panic or loop.
        #[test]
        fn never_panics(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Notes::new(&data).count() <= data.len() / 12 + 1);
            let _ = BuildId::from_notes(&data);
        }

        /// Check that a build id survives its text form.
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 1..65)) {
            let id = BuildId::from_bytes(&bytes).unwrap();
            prop_assert_eq!(id.to_string().parse::<BuildId>().unwrap(), id);
        }
    }
}
