//! The leaves of a document by path.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::OnceLock;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::drift::Drift;
use crate::document::value::Datum;

/// A value, or the reason why there is none, and when it may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The value or the reason.
    pub datum: Cow<'a, Datum>,
    /// When it may change.
    pub drift: Drift,
}

/// All leaves of a document by path.
#[derive(Clone, Debug, Default)]
pub struct Leaves<'a> {
    /// All paths, concatenated.
    text: String,
    /// Each leaf with the place of its path in the text, in the order in which they were listed.
    rows: Vec<(Range<usize>, Leaf<'a>)>,
    /// Rows by the hash of their paths.
    hashed: HashTable<usize>,
    /// Rows in path order. Who judges claims needs no order, and it takes longer than the rest.
    ordered: OnceLock<Vec<usize>>,
}

/// A fixed hash without a random seed: an attacker who could choose names in evidence would gain nothing from slowing this
/// down.
fn hash(path: &str) -> u64 {
    FixedState::default().hash_one(path)
}

/// About how long a path is, in bytes.
const PATH: usize = 48;

impl<'a> Leaves<'a> {
    /// None yet, with room for so many: growing by doubling would move all of them several times, through fresh memory.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Leaves {
            text: String::with_capacity(rows * PATH),
            rows: Vec::with_capacity(rows),
            ..Leaves::default()
        }
    }

    /// The leaf under this path.
    pub fn get(&self, path: &str) -> Option<&Leaf<'a>> {
        let found = self.hashed.find(hash(path), |row| self.path(*row) == path);
        found.map(|row| &self.rows[*row].1)
    }

    /// True if there is a leaf under this path.
    pub fn contains(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    /// All paths and leaves, in path order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Leaf<'a>)> {
        let ordered = self.ordered.get_or_init(|| {
            let mut ordered: Vec<usize> = (0..self.rows.len()).collect();
            ordered.sort_by_key(|row| self.path(*row));
            ordered
        });
        ordered
            .iter()
            .map(|row| (self.path(*row), &self.rows[*row].1))
    }

    /// All paths, in order.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(path, _)| path)
    }

    /// All leaves, always in the same order.
    pub(crate) fn data(&self) -> impl Iterator<Item = &Datum> {
        self.rows.iter().map(|(_, leaf)| leaf.datum.as_ref())
    }

    fn path(&self, row: usize) -> &str {
        &self.text[self.rows[row].0.clone()]
    }

    pub(super) fn push(&mut self, path: &[&str], datum: Cow<'a, Datum>, drift: Drift) {
        let start = self.text.len();
        for segment in path {
            if self.text.len() > start {
                self.text.push('.');
            }
            self.text.push_str(segment);
        }
        let place = start..self.text.len();
        self.rows.push((place, Leaf { datum, drift }));
    }

    /// Build the look-up by path, when everything is listed.
    pub(super) fn build_index(mut self) -> Self {
        let mut hashed = HashTable::with_capacity(self.rows.len());
        for row in 0..self.rows.len() {
            hashed.insert_unique(hash(self.path(row)), row, |row| hash(self.path(*row)));
        }
        self.hashed = hashed;
        self
    }
}

impl<'a, P: AsRef<str>> FromIterator<(P, Leaf<'a>)> for Leaves<'a> {
    fn from_iter<I: IntoIterator<Item = (P, Leaf<'a>)>>(rows: I) -> Self {
        let mut leaves = Leaves::default();
        for (path, leaf) in rows {
            leaves.push(&[path.as_ref()], leaf.datum, leaf.drift);
        }
        leaves.build_index()
    }
}
