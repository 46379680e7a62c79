//! The machines of a book by their architecture, for exhibits that show all of them.

use qed_evidence::document::architecture_words;
use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;

/// Machines of one architecture, in the book's order.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ArchitectureGroup {
    /// Its name, as pages have it.
    pub(super) name: &'static str,
    /// The number of the machines.
    pub(super) width: usize,
    #[serde(skip)]
    pub(super) machines: Vec<MachineId>,
}

/// The machines that have evidence, by architecture, that of the first one first.
pub(super) fn group_machines(book_data: &BookData<'_>) -> Vec<ArchitectureGroup> {
    group(book_data.machine_ids().map(|machine| {
        let kernel = &book_data.machine(machine).evidence.kernel;
        (architecture_words(kernel.architecture()), machine)
    }))
}

fn group(machines: impl Iterator<Item = (&'static str, MachineId)>) -> Vec<ArchitectureGroup> {
    let mut groups: Vec<ArchitectureGroup> = Vec::new();
    for (name, machine) in machines {
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => {
                group.machines.push(machine);
                group.width += 1;
            }
            None => groups.push(ArchitectureGroup {
                name,
                width: 1,
                machines: vec![machine],
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that machines of one architecture stand together, each in the book's order, and that the first machine's comes first.
    #[test]
    fn groups() {
        let id = MachineId::new;
        let found = group(
            ["arm64", "x86-64", "arm64", "x86-64"]
                .into_iter()
                .zip(MachineId::all(4)),
        );
        let seen: Vec<_> = found
            .iter()
            .map(|group| (group.name, group.width, &*group.machines))
            .collect();
        let (arm, x86) = ([id(0), id(2)], [id(1), id(3)]);
        assert_eq!(seen, [("arm64", 2, &arm[..]), ("x86-64", 2, &x86[..])]);
        assert_eq!(group(std::iter::empty()), []);
    }
}
