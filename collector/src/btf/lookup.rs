//! Types by name.

use super::error::BtfError;
use super::index::{INDEXED, NameIndex, NameKind};
use super::kinds::TypeId;
use super::raw::Btf;

impl<'a> Btf<'a> {
    /// The bytes from name offset `name` on, in the section that holds it.
    pub(super) fn string(&self, name: u32) -> Option<&'a [u8]> {
        self.own_string(name).or_else(|| self.base()?.string(name))
    }

    /// All types called `name`, in the order of their numbers, those of the base included. Usually none
    /// or one; compilation units that disagree about a structure give several.
    pub fn find(&self, wanted: NameKind, name: &str) -> Vec<TypeId> {
        let mut found = self
            .base()
            .map_or_else(Vec::new, |base| base.find(wanted, name));
        // A NUL ends a name in BTF, so no name holds one.
        if name.is_empty() || name.contains('\0') {
            return found;
        }
        let index = self.index.get_or_init(|| self.index_names());
        found.extend(index.find(wanted, name, |offset| self.string(offset)));
        found
    }

    /// Call `visit` with the number and name of each `wanted` type of this BTF and its base.
    pub(super) fn for_each(
        &self,
        wanted: NameKind,
        visit: &mut dyn FnMut(TypeId, &'a str),
    ) -> Result<(), BtfError> {
        if let Some(base) = self.base() {
            base.for_each(wanted, visit)?;
        }
        for (id, kind, name) in self.type_headers() {
            if name != 0 && wanted.accepts(kind) {
                visit(id, self.name(id, name)?);
            }
        }
        Ok(())
    }

    /// Call `visit` with the bytes from each `wanted` name on, of this BTF and its base: the name, a NUL, and more.
    pub(super) fn for_each_text(&self, wanted: NameKind, visit: &mut dyn FnMut(&'a [u8])) {
        if let Some(base) = self.base() {
            base.for_each_text(wanted, visit);
        }
        for (_, kind, name) in self.type_headers() {
            if name != 0
                && wanted.accepts(kind)
                && let Some(text) = self.string(name)
            {
                visit(text);
            }
        }
    }

    fn index_names(&self) -> NameIndex {
        let count = self.end_id() - self.base().map_or(1, Btf::end_id);
        let named = self.type_headers().filter_map(|(id, kind, name)| {
            let indexed = name != 0 && INDEXED >> kind & 1 != 0;
            Some((id, kind, name, indexed.then(|| self.string(name))??))
        });
        NameIndex::build(count as usize, named)
    }
}
