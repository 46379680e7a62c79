//! Addresses; those of a live machine are pseudonyms.

use crate::document::value::Address;

use super::failure::Failure;

/// An address and, where it leads into the kernel image, its symbol.
#[derive(Clone, Debug)]
pub(in crate::claim) struct Pointer {
    pub value: u64,
    /// Names of the symbol, the usual one first, and bytes from its start. One address can have several.
    pub symbol: Option<(Vec<String>, u64)>,
}

impl Pointer {
    /// Its numeric address; a pseudonym has none.
    pub fn number(&self) -> Result<u64, Failure> {
        if Address(self.value).is_pseudonym() {
            return Err(withheld_failure());
        }
        Ok(self.value)
    }

    /// True if a pointer that stands for a real address can be `number`: it is neither null nor an error.
    pub fn cannot_be(number: i128) -> bool {
        (0..=LAST_NO_POINTER).contains(&number) || number >= FIRST_ERROR
    }
}

/// The highest number that redaction does not replace, below the first page that can hold an address ([`crate::redact`]).
const LAST_NO_POINTER: i128 = 0xfff;
/// The lowest number that is an error in the place of a pointer (`ERR_PTR`), which redaction leaves as it is.
const FIRST_ERROR: i128 = (u64::MAX - 4094) as i128;

/// The failure where more would have to be known of a pointer than which others are equal to it.
pub(super) fn withheld_failure() -> Failure {
    Failure::Missing(
        "the addresses of this live machine are withheld; of two it can only be said whether they are equal".into(),
    )
}
