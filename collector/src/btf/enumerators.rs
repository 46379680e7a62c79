//! Constants of the kernel's enumerations by name, whatever enumeration has them.

use super::error::BtfError;
use super::index::Wanted;
use super::raw::Btf;
use super::types::Type;

impl<'a> Btf<'a> {
    /// The values that the enumerations of this BTF and its base give `name`, each once. Anonymous enumerations count:
    /// most constants of the kernel's interface stand in one.
    pub fn enumerator(&self, name: &str) -> Result<Vec<i128>, BtfError> {
        let mut found = match self.base() {
            Some(base) => base.enumerator(name)?,
            None => Vec::new(),
        };
        for (id, kind, _) in self.heads() {
            if !Wanted::Enum.accepts(kind) {
                continue;
            }
            let Type::Enum(enumeration) = self.get(id)? else {
                continue;
            };
            for (other, value) in enumeration.values(self)? {
                if other == name && !found.contains(&value) {
                    found.push(value);
                }
            }
        }
        Ok(found)
    }
}
