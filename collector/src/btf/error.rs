//! Errors of reading BTF.

use super::kinds::TypeId;

/// Unreadable BTF. The kernel makes its BTF when it is built, so this is a damaged or
/// truncated copy, or a format newer than this reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The header does not say that this is BTF of a known version.
    #[error("cannot read BTF: {reason}; pass the unchanged content of /sys/kernel/btf/vmlinux")]
    Header {
        /// The mistake.
        reason: String,
    },
    /// A type does not fit into its section, or says something that cannot be.
    #[error(
        "cannot read BTF type {id}: {reason}; the BTF is damaged or newer than this program: compare it with `bpftool btf dump`"
    )]
    Type {
        /// Number of the type.
        id: u32,
        /// The mistake.
        reason: String,
    },
}

impl BtfError {
    pub(crate) fn header(reason: impl Into<String>) -> Self {
        Self::Header {
            reason: reason.into(),
        }
    }

    pub(crate) fn of_type(id: TypeId, reason: impl Into<String>) -> Self {
        Self::Type {
            id: id.0,
            reason: reason.into(),
        }
    }
}
