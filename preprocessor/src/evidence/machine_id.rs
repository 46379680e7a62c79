//! The machines of a book that have evidence, by their place in it.

/// A machine: its place among those that have evidence, in the book's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(usize);

impl MachineId {
    /// The machine at this place, from 0.
    pub fn new(index: usize) -> Self {
        MachineId(index)
    }

    /// Its place, from 0.
    pub fn index(self) -> usize {
        self.0
    }

    /// The machines of a book in which `count` have evidence.
    pub fn all(count: usize) -> impl DoubleEndedIterator<Item = MachineId> + Clone {
        (0..count).map(MachineId)
    }
}
