//! The sections of BTF and where each type starts in them.

use super::error::BtfError;
use super::index::NameIndex;
use super::kinds::{TypeId, kind};
use std::sync::OnceLock;

/// Bytes of `struct btf_type`, which opens every type.
const RECORD: usize = 12;
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// More than any BTF has, and little enough that sums of two such sizes fit 32 bits.
const MAX_BYTES: usize = 1 << 30;
/// Bits of `btf_type.info` that have a meaning: vlen, kind, kind_flag.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/btf.h#L40>
const INFO_MASK: u32 = 0x9f00_ffff;

/// Per kind: bytes after the record, once and per `vlen`.
const SHAPES: [(u8, u8); kind::LAST as usize + 1] = [
    (0, 0),
    (4, 0),
    (0, 0),
    (12, 0),
    (0, 12),
    (0, 12),
    (0, 8),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 8),
    (4, 0),
    (0, 12),
    (0, 0),
    (4, 0),
    (0, 0),
    (0, 12),
];

/// One type record of the BTF, undecoded.
pub(super) struct TypeRecord<'a> {
    pub name: u32,
    pub kind: u8,
    pub vlen: u32,
    pub flag: bool,
    /// Size in bytes or a type number, as the kind has it.
    pub size_or_type: u32,
    /// The part after the fixed one: `vlen` complete entries.
    pub body: &'a [u8],
}

/// BTF, opened: of the kernel itself, or of a module on top of the kernel's.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Start of each type in `types`.
    offsets: Vec<u32>,
    first_id: u32,
    first_string: u32,
    base: Option<&'a Btf<'a>>,
    pub(super) index: OnceLock<NameIndex>,
}

/// The little-endian number at `at`.
pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

impl<'a> Btf<'a> {
    /// Open the content of `/sys/kernel/btf/vmlinux`, or of the `.BTF` section of a vmlinux.
    pub fn parse(data: &'a [u8]) -> Result<Self, BtfError> {
        Self::open(data, None)
    }

    /// Open the content of `/sys/kernel/btf/MODULE`, whose types continue those of `base`.
    pub fn parse_module(data: &'a [u8], base: &'a Btf<'a>) -> Result<Self, BtfError> {
        Self::open(data, Some(base))
    }

    fn open(data: &'a [u8], base: Option<&'a Btf<'a>>) -> Result<Self, BtfError> {
        let field = |at: usize| {
            read_u32(data, at).ok_or_else(|| {
                BtfError::header(format!(
                    "it has {} bytes, which is less than a header",
                    data.len()
                ))
            })
        };
        if data.len() > MAX_BYTES {
            return Err(BtfError::header(format!(
                "it has {} bytes, a kernel's BTF has a few million",
                data.len()
            )));
        }
        let opening = field(0)?;
        let magic = (opening & 0xffff) as u16;
        if magic == MAGIC.swap_bytes() {
            return Err(BtfError::header(
                "it is of a big-endian machine, this program reads little-endian BTF only",
            ));
        }
        if magic != MAGIC {
            return Err(BtfError::header(format!(
                "it starts with {magic:#06x} instead of {MAGIC:#06x}"
            )));
        }
        let version = (opening >> 16) as u8;
        if version != VERSION {
            return Err(BtfError::header(format!(
                "its format version is {version}, this program knows {VERSION}"
            )));
        }
        let header = field(4)?;
        if header < 24 {
            return Err(BtfError::header(format!(
                "its header says that it has {header} bytes, it must have 24 or more"
            )));
        }
        let section = |name: &str, offset: u32, length: u32| {
            let start = header as usize + offset as usize;
            data.get(start..start + length as usize).ok_or_else(|| {
                BtfError::header(format!(
                    "its {name} section ends at byte {}, the data at byte {}",
                    start + length as usize,
                    data.len()
                ))
            })
        };
        let types = section("type", field(8)?, field(12)?)?;
        let strings = section("string", field(16)?, field(20)?)?;
        if strings.last().is_some_and(|&byte| byte != 0)
            || (base.is_none() && strings.first() != Some(&0))
        {
            return Err(BtfError::header(
                "its string section does not start and end with a NUL",
            ));
        }
        if base.is_some_and(|base| base.base.is_some()) {
            return Err(BtfError::header(
                "a module's BTF continues the kernel's, not another module's",
            ));
        }
        let first_id = base.map_or(1, |base| base.end_id());
        let first_string = base.map_or(0, |base| base.strings.len() as u32);
        Ok(Self {
            types,
            strings,
            offsets: find_type_starts(types, first_id)?,
            first_id,
            first_string,
            base,
            index: OnceLock::new(),
        })
    }

    /// One more than the greatest type number.
    pub fn end_id(&self) -> u32 {
        self.first_id + self.offsets.len() as u32
    }

    /// The strings that only this BTF (not its base) holds.
    pub(super) fn strings(&self) -> &'a [u8] {
        self.strings
    }

    /// The length of the strings of a kernel's BTF; offsets of a module's strings begin there.
    pub(super) fn strings_len(&self) -> u32 {
        // `open` refuses longer ones.
        self.strings.len() as u32
    }

    /// The kernel's BTF, if this is a module's.
    pub fn base(&self) -> Option<&'a Btf<'a>> {
        self.base
    }

    /// Number, kind and name offset of every type of this BTF (not of its base), in order.
    pub(super) fn type_headers(&self) -> impl Iterator<Item = (TypeId, u8, u32)> + '_ {
        self.offsets.iter().zip(self.first_id..).map(|(&at, id)| {
            let head: &[u8] = self.types.get(at as usize..).unwrap_or_default();
            let name = read_u32(head, 0).unwrap_or(0);
            let kind = head.get(7).map_or(0, |byte| byte & 0x1f);
            (TypeId(id), kind, name)
        })
    }

    /// The strings that only this BTF (not its base) holds, from the name offset `name` on, if it is among them.
    pub(super) fn own_string(&self, name: u32) -> Option<&'a [u8]> {
        self.strings
            .get(name.checked_sub(self.first_string)? as usize..)
    }

    /// The name at offset `name`, of type `id`. `""` for anonymous types.
    pub(super) fn name(&self, id: TypeId, name: u32) -> Result<&'a str, BtfError> {
        if let (Some(base), true) = (self.base, name < self.first_string) {
            return base.name(id, name);
        }
        let text = self
            .own_string(name)
            .and_then(|rest| Some(&rest[..rest.iter().position(|&byte| byte == 0)?]))
            .ok_or_else(|| {
                BtfError::of_type(
                    id,
                    format!("its name is at byte {name}, after the end of the strings"),
                )
            })?;
        std::str::from_utf8(text)
            .map_err(|_| BtfError::of_type(id, format!("its name at byte {name} is not UTF-8")))
    }

    /// The record of type `id`, which is not `void`.
    pub(super) fn record(&self, id: TypeId) -> Result<TypeRecord<'a>, BtfError> {
        if let (Some(base), true) = (self.base, id.0 < self.first_id) {
            return base.record(id);
        }
        let missing = || {
            BtfError::of_type(
                id,
                format!("there are types 1 to {} only", self.end_id() - 1),
            )
        };
        let slot = id.0.checked_sub(self.first_id).ok_or_else(missing)?;
        let at = *self.offsets.get(slot as usize).ok_or_else(missing)? as usize;
        let end = self
            .offsets
            .get(slot as usize + 1)
            .map_or(self.types.len(), |&next| next as usize);
        let bytes = self.types.get(at..end).ok_or_else(missing)?;
        let word = |at| read_u32(bytes, at).ok_or_else(missing);
        let info = word(4)?;
        Ok(TypeRecord {
            name: word(0)?,
            kind: ((info >> 24) & 0x1f) as u8,
            vlen: info & 0xffff,
            flag: info >> 31 == 1,
            size_or_type: word(8)?,
            body: bytes.get(RECORD..).unwrap_or_default(),
        })
    }
}

/// The start of each type; an error unless the records fill the section exactly.
fn find_type_starts(types: &[u8], first_id: u32) -> Result<Vec<u32>, BtfError> {
    // Types of a kernel take 28 to 30 bytes on average.
    let mut offsets = Vec::with_capacity(types.len() / 24);
    let mut at = 0;
    while at < types.len() {
        let id = TypeId(first_id + offsets.len() as u32);
        let info = read_u32(types, at + 4)
            .ok_or_else(|| BtfError::of_type(id, "the type section ends inside it"))?;
        let kind = ((info >> 24) & 0x1f) as usize;
        if kind == 0 || kind >= SHAPES.len() || info & !INFO_MASK != 0 {
            return Err(BtfError::of_type(
                id,
                format!("its kind word {info:#010x} is of no known kind"),
            ));
        }
        let (once, each) = SHAPES[kind];
        let end = at + RECORD + once as usize + each as usize * (info & 0xffff) as usize;
        if end > types.len() {
            return Err(BtfError::of_type(id, "the type section ends inside it"));
        }
        offsets.push(at as u32);
        at = end;
    }
    Ok(offsets)
}
