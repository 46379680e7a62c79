//! `System.map`, the static symbol table that a kernel's build leaves behind.

use thiserror::Error;

use super::kallsyms::{Kallsyms, KallsymsError, Symbol};

/// An unusable `System.map`.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum SystemMapError {
    /// A distribution's placeholder: one line that names where the real file is.
    #[error(
        "this System.map is a stub that says {says:?}; install the kernel's debug package, or give a vmlinux"
    )]
    Stub {
        /// The text of the placeholder.
        says: String,
    },
    /// The file is not UTF-8 text.
    #[error("failed to parse System.map: it is not text (invalid UTF-8 at byte {0})")]
    NotText(usize),
    /// The file is not a symbol table, or an empty one.
    #[error("failed to parse System.map: {0}")]
    Malformed(#[source] KallsymsError),
    /// The table names no `_text`, so that it cannot be a kernel's.
    #[error("this System.map names no `_text`: it is not the map of a whole kernel")]
    NoText,
}

/// A parsed `System.map`. It holds no build id: whether it belongs to a kernel has to be known otherwise, from the
/// package or from the vmlinux beside it.
#[derive(Debug)]
pub struct SystemMap(Kallsyms);

impl SystemMap {
    /// Parse the content of the file.
    ///
    /// Debian's image package ships a stub, whose only line is
    /// ```text
    /// ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package
    /// ```
    pub fn parse(content: Vec<u8>) -> Result<Self, SystemMapError> {
        let text = String::from_utf8(content)
            .map_err(|error| SystemMapError::NotText(error.utf8_error().valid_up_to()))?;
        if let Some(says) = stub_text(&text) {
            return Err(SystemMapError::Stub { says });
        }
        let table = Kallsyms::parse(text, None).map_err(SystemMapError::Malformed)?;
        if table.lookup("_text").is_empty() && table.lookup("_stext").is_empty() {
            return Err(SystemMapError::NoText);
        }
        Ok(Self(table))
    }

    /// The table of static addresses.
    pub fn table(&self) -> &Kallsyms {
        &self.0
    }

    /// All symbols by static address.
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = Symbol<'_>> + Clone {
        self.0.symbols()
    }
}

/// The text of a placeholder: its first line is prose where a symbol's name would be.
fn stub_text(text: &str) -> Option<String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next()?;
    let (_address, rest) = first.split_once(' ')?;
    let (_kind, name) = rest.split_once(' ')?;
    (name.contains(' ') && lines.next().is_none()).then(|| name.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Check that Debian's placeholder is told apart from a broken file, and quoted.
    #[test]
    fn debian_stub() {
        let stub =
            b"ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n"
                .to_vec();
        let says = "The real System.map is in the linux-image-<version>-dbg package".to_owned();
        assert_eq!(
            SystemMap::parse(stub).unwrap_err(),
            SystemMapError::Stub { says }
        );
    }

    /// Check that a map gives static addresses, aliases and per-CPU offsets apart.
    #[test]
    fn static_addresses() {
        let map = b"0000000000000000 D __per_cpu_start\n0000000001000000 A phys_startup_64\n\
                    ffffffff81000000 T _stext\nffffffff81000000 T _text\nffffffff8177f940 T sock_alloc\n"
            .to_vec();
        let map = SystemMap::parse(map).unwrap();
        assert_eq!(map.table().lookup("sock_alloc"), [0xffff_ffff_8177_f940]);
        assert_eq!(map.table().lookup("phys_startup_64"), [0_u64; 0]);
        assert_eq!(map.symbols().len(), 5);
    }

    /// Check that a table of something else, a broken line and no text at all are refused.
    #[test]
    fn refused() {
        assert_eq!(
            SystemMap::parse(b"ffffffffc0000000 t init\n".to_vec()).unwrap_err(),
            SystemMapError::NoText
        );
        assert!(matches!(
            SystemMap::parse(b"hello\nworld\n".to_vec()),
            Err(SystemMapError::Malformed(_))
        ));
        assert_eq!(
            SystemMap::parse(vec![]).unwrap_err(),
            SystemMapError::Malformed(KallsymsError::Empty)
        );
        assert_eq!(
            SystemMap::parse(vec![b'a', 0xff]).unwrap_err(),
            SystemMapError::NotText(1)
        );
    }

    proptest! {
        /// Check that no content makes the parser panic.
        #[test]
        fn never_panics(content in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = SystemMap::parse(content);
        }
    }
}
