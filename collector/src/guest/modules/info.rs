//! The section `.modinfo` of a module: strings `key=value`, each terminated by a NUL.
//!
//! `depends` lists what `depmod` would find as well: the build derives it from the symbols that a module uses
//! (<https://elixir.bootlin.com/linux/v6.12/source/scripts/mod/modpost.c#L1888>). `modules.dep` is not read: Debian's packages
//! come without it, because it is made where they are installed.

use object::{Object as _, ObjectSection as _};

/// The description of itself that a module holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleInfo {
    /// The modules that have to be loaded before it, as the kernel calls them.
    pub depends: Vec<String>,
    /// The release of the kernel that it was built for: the first word of `vermagic`.
    pub release: Option<String>,
}

/// A file that says nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// Not a readable ELF file.
    #[error("it is not an ELF file")]
    Elf,
    /// A file without such a section.
    #[error("it is not a kernel module: it has no section .modinfo")]
    NoSection,
}

impl ModuleInfo {
    /// Read an unpacked module.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(module: &[u8]) -> Result<Self, InfoError> {
        let file = object::File::parse(module).map_err(|_| InfoError::Elf)?;
        let section = file.section_by_name(".modinfo");
        let data = section.and_then(|section| section.data().ok());
        Ok(Self::parse(data.ok_or(InfoError::NoSection)?))
    }

    /// Read the section.
    fn parse(section: &[u8]) -> Self {
        let mut info = Self::default();
        for text in section.split(|byte| *byte == 0) {
            let Ok(text) = std::str::from_utf8(text) else {
                continue;
            };
            if let Some(list) = text.strip_prefix("depends=") {
                let names = list.split(',').filter(|name| !name.is_empty());
                info.depends
                    .extend(names.map(|name| name.replace('-', "_")));
            } else if let Some(magic) = text.strip_prefix("vermagic=") {
                info.release = magic.split(' ').next().map(str::to_owned);
            }
        }
        info
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A made-up module: an ELF file with a section `.modinfo` and nothing else.
    pub fn module(release: &str, depends: &str) -> Vec<u8> {
        let text = format!(
            "license=GPL\0depends={depends}\0name=x\0vermagic={release} SMP preempt mod_unload modversions \0"
        );
        let names = b"\0.modinfo\0.shstrtab\0";
        let at = 64 + text.len() as u64;
        let headers = at + names.len() as u64;
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        // e_type, e_machine; e_version; e_entry, e_phoff, e_shoff; e_flags; sizes and numbers of the headers.
        file.extend([1u16, 62].iter().flat_map(|n| n.to_le_bytes()));
        file.extend(1u32.to_le_bytes());
        file.extend([0u64, 0, headers].iter().flat_map(|n| n.to_le_bytes()));
        file.extend(0u32.to_le_bytes());
        file.extend([64u16, 0, 0, 64, 3, 2].iter().flat_map(|n| n.to_le_bytes()));
        file.extend(text.as_bytes());
        file.extend(names);
        // sh_name, sh_type; sh_flags, sh_addr, sh_offset, sh_size; sh_link, sh_info; sh_addralign, sh_entsize.
        for (name, kind, offset, size) in [
            (0u32, 0u32, 0u64, 0u64),
            (1, 1, 64, text.len() as u64),
            (10, 3, at, names.len() as u64),
        ] {
            file.extend([name, kind].iter().flat_map(|n| n.to_le_bytes()));
            file.extend([0, 0, offset, size].iter().flat_map(|n| n.to_le_bytes()));
            file.extend([0u32, 0].iter().flat_map(|n| n.to_le_bytes()));
            file.extend([1u64, 0].iter().flat_map(|n| n.to_le_bytes()));
        }
        file
    }

    /// Check that dependencies and release are found, and that another file than a module is refused.
    #[test]
    fn says() {
        let info = ModuleInfo::read(&module("6.12.1+deb13-amd64", "inet-diag,udp_diag")).unwrap();
        assert_eq!(info.depends, ["inet_diag", "udp_diag"]);
        assert_eq!(info.release.as_deref(), Some("6.12.1+deb13-amd64"));
        assert!(
            ModuleInfo::read(&module("6.1", ""))
                .unwrap()
                .depends
                .is_empty()
        );
        assert_eq!(ModuleInfo::read(b"text"), Err(InfoError::Elf));
        let program = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(ModuleInfo::read(&program), Err(InfoError::NoSection));
    }

    proptest::proptest! {
        /// Check that any bytes are read.
        #[test]
        fn any_section(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = ModuleInfo::parse(&bytes);
            let _ = ModuleInfo::read(&bytes);
        }
    }
}
