//! Per-CPU variables: the only variables that a kernel's BTF has to describe.

use super::error::BtfError;
use super::index::NameKind;
use super::kinds::TypeId;
use super::raw::{Btf, read_u32};

/// The section that holds all of them, `PER_CPU_BASE_SECTION`,
/// <https://elixir.bootlin.com/linux/v6.12/source/include/asm-generic/percpu.h#L55>.
const SECTION: &str = ".data..percpu";
/// Bytes of `struct btf_var_secinfo`: type number of the variable, offset, size.
const ENTRY: usize = 12;

/// A per-CPU variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerCpuVariable {
    /// Its type.
    pub ty: TypeId,
    /// Bytes from the start of the section.
    pub offset: u32,
}

impl Btf<'_> {
    /// The per-CPU variables of the kernel itself that are called `name`: usually none or one, as static ones may be namesakes.
    ///
    /// # Errors
    /// For BTF that contradicts itself.
    pub fn per_cpu_variables(&self, name: &str) -> Result<Vec<PerCpuVariable>, BtfError> {
        if let Some(base) = self.base() {
            return base.per_cpu_variables(name);
        }
        let named = self.find(NameKind::Variable, name);
        let mut found = Vec::new();
        for section in self.find(NameKind::Section, SECTION) {
            for entry in self.record(section)?.body.chunks_exact(ENTRY) {
                let (Some(variable), Some(offset)) = (read_u32(entry, 0), read_u32(entry, 4))
                else {
                    continue;
                };
                if named.contains(&TypeId(variable)) {
                    let ty = TypeId(self.record(TypeId(variable))?.size_or_type);
                    found.push(PerCpuVariable { ty, offset });
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::build::Builder;

    /// Check that a per-CPU variable is found with its type and offset, and that a variable of another section is none.
    #[test]
    fn of_the_section() {
        let mut b = Builder::default();
        let int = b.int("int", 4, true);
        let long = b.int("long int", 8, true);
        let (count, other, twin) = (
            b.variable("count", int),
            b.variable("other", long),
            b.variable("count", long),
        );
        b.section(".data..percpu", &[(count, 16, 4), (twin, 32, 8)]);
        b.section(".data", &[(other, 0, 8)]);
        let data = b.bytes();
        let btf = Btf::parse(&data).unwrap();
        assert_eq!(
            btf.per_cpu_variables("count").unwrap(),
            [(int, 16), (long, 32)].map(|(ty, offset)| PerCpuVariable { ty, offset })
        );
        for name in ["other", "int", "absent", ""] {
            assert_eq!(btf.per_cpu_variables(name).unwrap(), [], "{name}");
        }
        let module = Builder::module(btf.end_id() - 1, btf.strings_len()).bytes();
        let module = Btf::parse_module(&module, &btf).unwrap();
        assert_eq!(module.per_cpu_variables("count").unwrap().len(), 2);
    }
}
