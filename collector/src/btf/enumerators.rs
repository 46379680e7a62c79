//! Constants of the kernel's enumerations by name, in any enumeration.

use std::collections::BTreeSet;

use super::error::BtfError;
use super::index::NameKind;
use super::nearest::nearest;
use super::raw::Btf;
use super::types::Type;

/// Names and values of an enumeration, in the order of their declaration.
type Enumerators<'a> = Vec<(&'a str, i128)>;

impl<'a> Btf<'a> {
    /// The values that the enumerations of this BTF and its base give `name`, each once. Anonymous enumerations are included:
    /// most constants of the kernel's interface are defined in one.
    pub fn enumerator_values(&self, name: &str) -> Result<Vec<i128>, BtfError> {
        let mut found = Vec::new();
        self.for_each_enumerator(&mut |other, value| {
            if other == name && !found.contains(&value) {
                found.push(value);
            }
        })?;
        Ok(found)
    }

    /// The names of enumerators that resemble `name`, the best first. For messages only: damaged names are never suggested.
    pub fn nearest_enumerators(&self, name: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        let _ = self.for_each_enumerator(&mut |other, _| {
            names.insert(other);
        });
        nearest(name, names)
    }

    /// The different enumerations that are called `name` or have an enumerator of that name: tag (`""` for an anonymous one) and all
    /// enumerators with their values.
    pub fn enumerations_with(
        &self,
        name: &str,
    ) -> Result<Vec<(&'a str, Enumerators<'a>)>, BtfError> {
        let mut found = match self.base() {
            Some(base) => base.enumerations_with(name)?,
            None => Vec::new(),
        };
        for (id, kind, _) in self.type_headers() {
            if NameKind::Enum.accepts(kind)
                && let Type::Enum(enumeration) = self.get(id)?
            {
                let all = enumeration.values(self)?;
                let one = (enumeration.name, all);
                let is_meant = one.0 == name || one.1.iter().any(|(other, _)| *other == name);
                if is_meant && !found.contains(&one) {
                    found.push(one);
                }
            }
        }
        Ok(found)
    }

    /// Visit the name and value of every enumerator, those of the base first.
    ///
    /// # Errors
    /// Where an enumeration cannot be read.
    pub fn for_each_enumerator(
        &self,
        visit: &mut dyn FnMut(&'a str, i128),
    ) -> Result<(), BtfError> {
        if let Some(base) = self.base() {
            base.for_each_enumerator(visit)?;
        }
        for (id, kind, _) in self.type_headers() {
            if NameKind::Enum.accepts(kind)
                && let Type::Enum(enumeration) = self.get(id)?
            {
                for (name, value) in enumeration.values(self)? {
                    visit(name, value);
                }
            }
        }
        Ok(())
    }
}
