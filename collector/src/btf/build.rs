//! A builder of small BTF for tests.

use super::kinds::{TypeId, kind};

/// A builder of types; each method returns the new type's number.
pub struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
    first_string: u32,
}

/// Name, type, offset in bits, width in bits (0: not a bit field).
pub type Field<'n> = (&'n str, TypeId, u32, u32);

impl Default for Builder {
    fn default() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            count: 0,
            first_string: 0,
        }
    }
}

impl Builder {
    /// BTF of a module, on top of a BTF of `types` types and `strings` bytes of strings.
    pub fn module(types: u32, strings: u32) -> Self {
        Self {
            types: Vec::new(),
            strings: Vec::new(),
            count: types,
            first_string: strings,
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.first_string + self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn push(
        &mut self,
        name: &str,
        kind: u8,
        vlen: usize,
        flag: bool,
        word: u32,
        body: &[u32],
    ) -> TypeId {
        let name = self.string(name);
        let info = u32::from(kind) << 24 | vlen as u32 | u32::from(flag) << 31;
        for word in [name, info, word].iter().chain(body) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        TypeId(self.count)
    }

    pub fn int(&mut self, name: &str, size: u32, signed: bool) -> TypeId {
        let boolean = name == "_Bool";
        let encoding = u32::from(signed) << 24 | u32::from(boolean) << 26 | (size * 8);
        self.push(name, kind::INT, 0, false, size, &[encoding])
    }

    pub fn pointer(&mut self, to: TypeId) -> TypeId {
        self.push("", kind::PTR, 0, false, to.0, &[])
    }

    pub fn constant(&mut self, to: TypeId) -> TypeId {
        self.push("", kind::CONST, 0, false, to.0, &[])
    }

    pub fn typedef(&mut self, name: &str, to: TypeId) -> TypeId {
        self.push(name, kind::TYPEDEF, 0, false, to.0, &[])
    }

    pub fn tag(&mut self, tag: &str, to: TypeId) -> TypeId {
        self.push(tag, kind::TYPE_TAG, 0, false, to.0, &[])
    }

    pub fn forward(&mut self, name: &str) -> TypeId {
        self.push(name, kind::FWD, 0, false, 0, &[])
    }

    pub fn array(&mut self, element: TypeId, count: u32) -> TypeId {
        self.push("", kind::ARRAY, 0, false, 0, &[element.0, element.0, count])
    }

    pub fn composite(&mut self, union: bool, name: &str, size: u32, fields: &[Field]) -> TypeId {
        let flag = fields.iter().any(|field| field.3 != 0);
        let mut body = Vec::new();
        for &(name, type_id, offset, bits) in fields {
            body.extend([self.string(name), type_id.0, offset | bits << 24]);
        }
        let kind = if union { kind::UNION } else { kind::STRUCT };
        self.push(name, kind, fields.len(), flag, size, &body)
    }

    pub fn structure(&mut self, name: &str, size: u32, fields: &[Field]) -> TypeId {
        self.composite(false, name, size, fields)
    }

    pub fn enumeration(
        &mut self,
        name: &str,
        size: u32,
        signed: bool,
        values: &[(&str, i32)],
    ) -> TypeId {
        let mut body = Vec::new();
        for &(name, value) in values {
            body.extend([self.string(name), value as u32]);
        }
        self.push(name, kind::ENUM, values.len(), signed, size, &body)
    }

    pub fn enumeration64(&mut self, name: &str, signed: bool, values: &[(&str, i64)]) -> TypeId {
        let mut body = Vec::new();
        for &(name, value) in values {
            body.extend([self.string(name), value as u32, (value as u64 >> 32) as u32]);
        }
        self.push(name, kind::ENUM64, values.len(), signed, 8, &body)
    }

    pub fn prototype(&mut self, result: TypeId, parameters: &[(&str, TypeId)]) -> TypeId {
        let mut body = Vec::new();
        for &(name, type_id) in parameters {
            body.extend([self.string(name), type_id.0]);
        }
        self.push(
            "",
            kind::FUNC_PROTO,
            parameters.len(),
            false,
            result.0,
            &body,
        )
    }

    pub fn function(&mut self, name: &str, prototype: TypeId) -> TypeId {
        self.push(name, kind::FUNC, 0, false, prototype.0, &[])
    }

    pub fn variable(&mut self, name: &str, of: TypeId) -> TypeId {
        self.push(name, kind::VAR, 0, false, of.0, &[0])
    }

    /// A section of variables, each with its offset and size in bytes.
    pub fn section(&mut self, name: &str, variables: &[(TypeId, u32, u32)]) -> TypeId {
        let entries = variables
            .iter()
            .flat_map(|&(id, offset, size)| [id.0, offset, size]);
        let body: Vec<u32> = entries.collect();
        self.push(name, kind::DATASEC, variables.len(), false, 0, &body)
    }

    /// The bytes, as in `/sys/kernel/btf/vmlinux`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}
