use super::*;
use proptest::prelude::*;

/// A minimal vmlinux: one loaded segment at the usual static base and one segment of notes with a build id.
pub(crate) fn vmlinux(build_id: &[u8]) -> Vec<u8> {
    let mut notes = Vec::new();
    for word in [4, build_id.len() as u32, 3] {
        notes.extend(word.to_le_bytes());
    }
    notes.extend(b"GNU\0");
    notes.extend(build_id);
    notes.resize(notes.len().next_multiple_of(4), 0);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend(2_u16.to_le_bytes()); // ET_EXEC
    elf.extend(62_u16.to_le_bytes()); // x86-64
    elf.extend(1_u32.to_le_bytes());
    elf.extend(0x100_0000_u64.to_le_bytes());
    elf.extend(64_u64.to_le_bytes()); // program headers
    elf.extend(0_u64.to_le_bytes()); // no section headers
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 2, 64, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    for (kind, offset, address, len) in [
        (1_u32, 0, 0xffff_ffff_8100_0000, 64),
        (
            4,
            64 + 2 * 56_u64,
            0xffff_ffff_8200_0000_u64,
            notes.len() as u64,
        ),
    ] {
        elf.extend(kind.to_le_bytes());
        elf.extend(4_u32.to_le_bytes());
        for field in [offset, address, address & 0xffff_ffff, len, len, 4] {
            elf.extend(field.to_le_bytes());
        }
    }
    elf.extend(notes);
    elf
}

/// An ELF file with one section of content, and the section of the names of sections.
pub(crate) fn with_section(name: &str, content: &[u8]) -> Vec<u8> {
    const HEADER: u64 = 64;
    let names = format!("\0{name}\0.shstrtab\0");
    let names_at = HEADER + content.len() as u64;
    let headers_at = (names_at + names.len() as u64).next_multiple_of(8);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend(2_u16.to_le_bytes()); // ET_EXEC
    elf.extend(62_u16.to_le_bytes()); // x86-64
    elf.extend(1_u32.to_le_bytes());
    for word in [0, 0, headers_at] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 0, 0, 64, 3, 2] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(content);
    elf.extend(names.as_bytes());
    elf.resize(headers_at as usize, 0);
    let named_at = 1 + name.len() as u32 + 1;
    for (name, kind, offset, size) in [
        (0, 0_u32, 0, 0),
        (1_u32, 1, HEADER, content.len() as u64), // SHT_PROGBITS
        (named_at, 3, names_at, names.len() as u64), // SHT_STRTAB
    ] {
        elf.extend(name.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        for word in [0, 0, offset, size, 0, 0, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf
}

/// Check that a section is found by its whole name.
#[test]
fn sections() {
    let elf = with_section(".BTF", b"the types");
    assert_eq!(section(&elf, ".BTF").unwrap(), Some(&b"the types"[..]));
    for other in [".BT", ".BTF_ids", "BTF"] {
        assert_eq!(section(&elf, other).unwrap(), None);
    }
    assert_eq!(section(&vmlinux(&[1; 20]), ".BTF").unwrap(), None);
    assert!(section(b"no ELF file", ".BTF").is_err());
}

/// Check that a file without section headers, as a kernel image holds, gives its build id and base by its segments.
#[test]
fn segments_only() {
    let elf = vmlinux(&[0xab; 20]);
    assert_eq!(build_id(&elf[..]).unwrap().to_string(), "ab".repeat(20));
    assert_eq!(image_base(&elf).unwrap(), Some(0xffff_ffff_8100_0000));
    assert!(matches!(
        StaticSymbols::parse(&elf),
        Err(ElfError::Stripped)
    ));
}

/// Check that the build id is found behind another note, through a cache that does not read the whole file, and that its
/// absence is said.
#[test]
fn among_notes() {
    let mut elf = vmlinux(&[0xde, 0xad, 0, 1]);
    let note = elf.split_off(elf.len() - 20);
    let other = [&note[..8], &[9; 4], b"Xen\0", &note[16..]].concat();
    elf.extend([&other[..], &note].concat());
    // The size of the second segment, in the file and in memory.
    for at in [64 + 56 + 32, 64 + 56 + 40] {
        elf[at] = 40;
    }
    let read = |elf: &[u8]| {
        let cache = object::read::ReadCache::new(std::io::Cursor::new(elf.to_vec()));
        build_id(&cache).map(|id| id.to_string())
    };
    assert_eq!(read(&elf).unwrap(), "dead0001");
    let kind = elf.len() - 12;
    elf[kind] = 4;
    assert!(matches!(
        read(&elf),
        Err(ElfError::Notes(NoteError::Missing))
    ));
}

/// Check that symbols of a real ELF file, this test's own, are found by name and by address.
#[test]
fn own_symbols() {
    let own = std::fs::read("/proc/self/exe").unwrap();
    let symbols = StaticSymbols::parse(&own).unwrap();
    let main = *symbols.find_by_name(["main"]).rows("main")[0];
    assert!(main.is_function && main.address > 0 && !main.is_absolute);
    assert!(symbols.functions_at(main.address).any(|s| s.name == "main"));
    assert!(
        symbols
            .functions_at(main.address + main.size)
            .all(|s| s.name != "main")
    );
}

proptest! {
    /// Check that no bytes, and no damage to a sound file, make the readers panic.
    #[test]
    fn never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..230, byte in any::<u8>()) {
        let mut damaged = vmlinux(&[7; 20]);
        let at = at % damaged.len();
        damaged[at] = byte;
        for data in [noise, damaged] {
            let _ = (build_id(&data[..]), image_base(&data), StaticSymbols::parse(&data));
        }
    }
}
