//! Alternative evidence for an expression: the values that it reads, with some leaves changed and everything that follows from
//! them.

use crate::document::value::Value;
use crate::path_index::resolve::{Catalog, Indexed};

use super::bind::{Bindings, Inputs};
use super::computed::{Derived, ReadLeaf, canonical_name, derived_leaves};
use super::hints::Hints;
use super::invariants::is_possible;
use super::mutants::mutants;
use super::parse::ReadPath;
use super::relations::Relations;

/// A measured value under all paths by which an expression reads it.
pub(super) struct Leaf<'g> {
    pub keys: Vec<&'g str>,
    pub value: &'g Value,
}

impl<'g> Leaf<'g> {
    /// The other values that it could have had.
    pub fn mutants<'v>(
        &'v self,
        hints: &'v Hints<'_>,
    ) -> impl Iterator<Item = Value> + use<'v, 'g> {
        mutants(self.keys[0], self.value, hints)
    }
}

/// The leaves that an expression, or a part of one, reads, and those that every document derives from them.
pub(super) struct Alternatives<'g> {
    gathered: &'g Inputs<'g>,
    /// The leaves that can be changed, each once, under the path that is read first.
    pub leaves: Vec<Leaf<'g>>,
    derived: Vec<Derived<'g>>,
    relations: Relations<'g>,
}

/// Changed leaves, and those that follow from them.
pub(super) type Changed<'g> = Vec<(&'g str, Value)>;

impl<'g> Alternatives<'g> {
    /// The alternatives for these reads.
    pub fn new(
        reads: &[ReadPath],
        gathered: &'g Inputs<'g>,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> Self {
        let name = |path| canonical_name(path, catalog.investigation, machine.evidence);
        let mut read: Vec<ReadLeaf<'g>> = Vec::new();
        for one in reads {
            let Some((path, _)) = gathered.values.get_key_value(&one.path) else {
                continue;
            };
            if read.iter().all(|known| known.path != path) {
                let name = name(path);
                read.push(ReadLeaf { path, name });
            }
        }
        let derived = derived_leaves(&gathered.values, &read, &|path| {
            canonical_name(path, catalog.investigation, machine.evidence).into_owned()
        });
        let mut leaves: Vec<Leaf<'g>> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for ReadLeaf { path, name } in &read {
            let value = &gathered.values[*path];
            if derived.iter().any(|one| one.leaf() == *path) {
                continue;
            }
            let known = names.iter().position(|known| known == name);
            match known.filter(|index| leaves[*index].value == value) {
                Some(index) => leaves[index].keys.push(path),
                None => {
                    names.push(name);
                    leaves.push(Leaf {
                        keys: vec![path],
                        value,
                    });
                }
            }
        }
        let paths: Vec<&str> = read.iter().map(|leaf| leaf.path).collect();
        Alternatives {
            gathered,
            leaves,
            derived,
            relations: Relations::among(&paths, machine.evidence, catalog.investigation),
        }
    }

    /// Give the next evaluation other values for some leaves, and for those that follow from them. Return all changes; `None`
    /// if no document can have these values together.
    pub fn bind(
        &self,
        changes: &[(&Leaf<'g>, &Value)],
        bindings: &mut Bindings<'g>,
    ) -> Option<Changed<'g>> {
        let mut all: Changed<'g> = Vec::new();
        for (leaf, value) in changes {
            for key in &leaf.keys {
                bindings.bind(key, value);
                all.push((key, (*value).clone()));
            }
        }
        for one in &self.derived {
            let read = |path: &str| {
                let changed = all.iter().find(|(key, _)| *key == path);
                changed
                    .map(|(_, value)| value)
                    .or_else(|| self.gathered.values.get(path))
            };
            let value = one.value(&read)?;
            if !is_possible(one.leaf(), &value) {
                return None;
            }
            bindings.bind(one.leaf(), &value);
            all.push((one.leaf(), value));
        }
        self.relations.are_satisfied(bindings).then_some(all)
    }

    /// Give the next evaluation the measured values again.
    pub fn restore(&self, leaf: &Leaf<'g>, bindings: &mut Bindings<'g>) {
        let derived = self.derived.iter().map(Derived::leaf);
        for key in leaf.keys.iter().copied().chain(derived) {
            bindings.bind(key, &self.gathered.values[key]);
        }
    }
}
