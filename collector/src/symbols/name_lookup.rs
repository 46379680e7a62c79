//! Look-up of several names in one pass over a symbol table.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// The rows of a table under each of a few names.
pub struct RowsByName<'n, T>(HashMap<&'n str, Vec<T>, FixedState>);

impl<'n, T> RowsByName<'n, T> {
    /// Read each row of `table` once; a row is a name and the data that is wanted for it.
    pub fn collect<'t>(
        names: impl IntoIterator<Item = &'n str>,
        table: impl IntoIterator<Item = (&'t str, T)>,
    ) -> Self {
        let mut found: HashMap<_, Vec<T>, _> =
            names.into_iter().map(|name| (name, Vec::new())).collect();
        for (name, row) in table {
            if let Some(rows) = found.get_mut(name) {
                rows.push(row);
            }
        }
        RowsByName(found)
    }

    /// The rows of `name`, in the order of the table; none of a name that was not asked for.
    pub fn rows(&self, name: &str) -> &[T] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that rows stay in order, that a name may have several or none, and that asking twice is harmless.
    #[test]
    fn rows_of_names() {
        let table = [("a", 1), ("b", 2), ("a", 3)];
        let found = RowsByName::collect(["a", "c", "a"], table);
        assert_eq!(found.rows("a"), [1, 3]);
        assert_eq!(found.rows("b"), [] as [i32; 0]);
        assert_eq!(found.rows("c"), [] as [i32; 0]);
    }
}
