//! The kinds of the kernel's linked lists: their macros, their structures, and where they end.

use serde::{Deserialize, Serialize};

/// A kind of the kernel's linked lists. <https://elixir.bootlin.com/linux/v6.12/source/include/linux/types.h#L193>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListKind {
    /// `struct list_head`: a ring, which the head is a part of.
    Ring,
    /// `struct hlist_head`: NULL ends it.
    Hash,
    /// `struct hlist_nulls_head`: an odd number ends it.
    HashNulls,
    /// `struct llist_head`: NULL ends it.
    LockLess,
}

impl ListKind {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Ring, Self::Hash, Self::HashNulls, Self::LockLess];

    /// The macro that walks such a list.
    pub(super) fn macro_name(self) -> &'static str {
        match self {
            Self::Ring => "list_for_each_entry",
            Self::Hash => "hlist_for_each_entry",
            Self::HashNulls => "hlist_nulls_for_each_entry",
            Self::LockLess => "llist_for_each_entry",
        }
    }

    /// The kind that a macro of this name walks.
    pub(super) fn of_macro(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.macro_name() == name)
    }

    /// The structure of the head, and its member that points to the first element.
    pub(super) fn head(self) -> (&'static str, &'static str) {
        match self {
            Self::Ring => ("list_head", "next"),
            Self::Hash => ("hlist_head", "first"),
            Self::HashNulls => ("hlist_nulls_head", "first"),
            Self::LockLess => ("llist_head", "first"),
        }
    }

    /// The structure that links an element to the `next` one.
    pub(super) fn node(self) -> &'static str {
        match self {
            Self::Ring => "list_head",
            Self::Hash => "hlist_node",
            Self::HashNulls => "hlist_nulls_node",
            Self::LockLess => "llist_node",
        }
    }

    /// True if a list with this head has no element at `node`, but ends there.
    pub fn ends_at(self, node: u64, head: u64) -> bool {
        match self {
            Self::Ring => node == head,
            Self::Hash | Self::LockLess => node == 0,
            Self::HashNulls => node & 1 == 1,
        }
    }
}
