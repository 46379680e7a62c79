//! A merge of the BTF of several modules into one. The type ids of each module continue those of the kernel, so they overlap:
//! all but the first module's are renumbered to follow those of the modules before.

use super::error::BtfError;
use super::kinds::{TypeId, kind};
use super::raw::{Btf, TypeRecord};

/// Types and strings of modules, one after the other.
struct MergedModules {
    types: Vec<u8>,
    strings: Vec<u8>,
}

/// The offset that is added to a module's own type ids; those of the kernel stay.
struct IndexShift {
    first_type: u32,
    types: u32,
    first_string: u32,
    strings: u32,
}

impl IndexShift {
    fn id(&self, id: u32) -> u32 {
        if id < self.first_type {
            id
        } else {
            id.saturating_add(self.types)
        }
    }

    fn name(&self, name: u32) -> u32 {
        if name < self.first_string {
            name
        } else {
            name.saturating_add(self.strings)
        }
    }
}

/// The BTF of all `modules` on top of `base`, for [`Btf::parse_module`].
///
/// # Errors
/// When one of them cannot be read.
pub fn merge(base: &Btf<'_>, modules: &[&[u8]]) -> Result<Vec<u8>, BtfError> {
    let mut merged = MergedModules {
        types: Vec::new(),
        strings: Vec::new(),
    };
    let mut count = 0;
    for module in modules {
        let btf = Btf::parse_module(module, base)?;
        let shift = IndexShift {
            first_type: base.end_id(),
            types: count,
            first_string: base.strings_len(),
            strings: merged.strings.len() as u32,
        };
        for id in base.end_id()..btf.end_id() {
            let record = btf.record(TypeId(id))?;
            merged.push(&record, &shift);
        }
        count += btf.end_id() - base.end_id();
        merged.strings.extend(btf.strings());
    }
    Ok(merged.into_bytes())
}

impl MergedModules {
    fn push(&mut self, record: &TypeRecord<'_>, shift: &IndexShift) {
        let info = u32::from(record.kind) << 24 | record.vlen | u32::from(record.flag) << 31;
        let third = match record.kind {
            kind::PTR
            | kind::TYPEDEF
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FUNC
            | kind::FUNC_PROTO
            | kind::VAR
            | kind::DECL_TAG
            | kind::TYPE_TAG => shift.id(record.size_or_type),
            _ => record.size_or_type,
        };
        for word in [shift.name(record.name), info, third] {
            self.types.extend(word.to_le_bytes());
        }
        let (words, names, ids) = entry_layout(record.kind);
        for (at, word) in record.body.chunks_exact(4).enumerate() {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            let word = match at % words {
                at if names.contains(&at) => shift.name(word),
                at if ids.contains(&at) => shift.id(word),
                _ => word,
            };
            self.types.extend(word.to_le_bytes());
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(self.types);
        bytes.extend(self.strings);
        bytes
    }
}

/// The layout of the entries that follow the record of a kind: the words of one entry, and which of them are names and which
/// are types. <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/btf.h#L94>
fn entry_layout(kind: u8) -> (usize, &'static [usize], &'static [usize]) {
    match kind {
        kind::ARRAY => (3, &[], &[0, 1]),
        kind::STRUCT | kind::UNION => (3, &[0], &[1]),
        kind::ENUM => (2, &[0], &[]),
        kind::ENUM64 => (3, &[0], &[]),
        kind::FUNC_PROTO => (2, &[0], &[1]),
        kind::DATASEC => (3, &[], &[0]),
        _ => (1, &[], &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::build::Builder;
    use crate::btf::{NameKind, Type};

    /// The kernel's own types, and a module with a structure, a function and an enumeration of its own, named after `word`.
    fn kernel() -> Vec<u8> {
        let mut kernel = Builder::default();
        let int = kernel.int("int", 4, true);
        kernel.structure("sock", 8, &[("state", int, 0, 0)]);
        kernel.bytes()
    }

    fn module(kernel: &Btf<'_>, word: &str, padding: usize) -> Vec<u8> {
        let mut module = Builder::module(kernel.end_id() - 1, kernel.strings_len());
        // So that numbers of the second module differ.
        for number in 0..padding {
            module.forward(&format!("pad{number}_{word}"));
        }
        let int = kernel.find(NameKind::Int, "int")[0];
        let sock = kernel.find(NameKind::Struct, "sock")[0];
        let pointer = module.pointer(sock);
        let table = module.array(int, 4);
        let own = module.structure(
            &format!("{word}_state"),
            24,
            &[
                ("owner", pointer, 0, 0),
                (&format!("{word}_table"), table, 64, 0),
            ],
        );
        let to_own = module.pointer(own);
        module.enumeration(
            &format!("{word}_mode"),
            4,
            false,
            &[(&format!("{word}_ON"), 1)],
        );
        let prototype = module.prototype(int, &[(&format!("{word}_arg"), to_own)]);
        module.function(&format!("{word}_init"), prototype);
        module.bytes()
    }

    /// Check that types of every module keep their names, members and parameters beside those of others and of the kernel.
    #[test]
    fn several_modules() {
        let bytes = kernel();
        let base = Btf::parse(&bytes).unwrap();
        let modules = [
            module(&base, "alpha", 0),
            module(&base, "beta", 3),
            module(&base, "gamma", 1),
        ];
        let all: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
        let merged = merge(&base, &all).unwrap();
        let btf = Btf::parse_module(&merged, &base).unwrap();
        for word in ["alpha", "beta", "gamma"] {
            let functions = btf.functions(&format!("{word}_init")).unwrap();
            let [function] = &functions[..] else {
                panic!("{functions:?}");
            };
            let parameter = &function.signature.parameters[0];
            assert_eq!(parameter.name, Some(&*format!("{word}_arg")));
            assert_eq!(
                btf.type_name(parameter.type_id).unwrap(),
                format!("struct {word}_state *")
            );
            let Type::Struct(composite) = btf
                .get(btf.find(NameKind::Struct, &format!("{word}_state"))[0])
                .unwrap()
            else {
                panic!("not a structure");
            };
            let names = btf.member_names(&composite).unwrap();
            assert_eq!(names, ["owner", &format!("{word}_table")]);
            let Type::Enum(mode) = btf
                .get(btf.find(NameKind::Enum, &format!("{word}_mode"))[0])
                .unwrap()
            else {
                panic!("not an enumeration");
            };
            let values = mode.values(&btf).unwrap();
            assert_eq!(values[0].0, format!("{word}_ON"));
        }
        assert_eq!(btf.find(NameKind::Struct, "sock").len(), 1);
    }

    /// Check that one module alone stays what it was, and that a damaged one is an error.
    #[test]
    fn one_and_none() {
        let bytes = kernel();
        let base = Btf::parse(&bytes).unwrap();
        let one = module(&base, "alpha", 2);
        assert_eq!(merge(&base, &[&one]).unwrap(), one);
        let none = merge(&base, &[]).unwrap();
        assert_eq!(
            Btf::parse_module(&none, &base).unwrap().end_id(),
            base.end_id()
        );
        assert!(merge(&base, &[&one, &one[..30]]).is_err());
    }

    proptest::proptest! {
        /// Check that no bytes make the merge fail in another way than with an error.
        #[test]
        fn any_bytes(tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let bytes = kernel();
            let base = Btf::parse(&bytes).unwrap();
            let mut one = module(&base, "alpha", 0);
            let at = 24.min(one.len());
            for (to, from) in one[at..].iter_mut().zip(&tail) {
                *to ^= from;
            }
            if let Ok(merged) = merge(&base, &[&one, &one]) {
                proptest::prop_assert!(Btf::parse_module(&merged, &base).is_ok());
            }
        }
    }
}
