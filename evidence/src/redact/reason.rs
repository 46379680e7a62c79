//! Reasons why something of a live machine is withheld.

use crate::document::fields::FieldWithholdReason;
use crate::document::withheld::WITHHELD;

/// The reason why something is withheld, a phrase that can follow "because".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WithholdReason {
    #[error("it would tell where this live machine's kernel is")]
    Slide,
    #[error("it tells this boot of a live machine from its others")]
    Boot,
    #[error("this number is an address of this live machine, or a part of one")]
    PartOfAddress,
    #[error(
        "a cast gives memory of this live machine another type than the kernel's, so it may be a part of an address; or it is a secret of the kernel"
    )]
    Retyped,
    #[error("memory of this live machine can hold addresses")]
    Memory,
    #[error("this text holds an address of this live machine")]
    AddressInText,
    #[error("a command printed it on this live machine")]
    Command,
    #[error("what a workload prints may tell who or where this live machine is")]
    Output,
    #[error("what a system call writes into a buffer may tell who or where this live machine is")]
    Buffer,
    #[error("a text in the configuration of a live machine's kernel may name its owner")]
    Setting,
    #[error("the name of another task of this live machine")]
    Task,
    #[error(
        "this text comes from the memory of this live machine, and the investigation does not declare it public"
    )]
    Text,
    #[error(
        "this number comes from this live machine, nothing says what it means, and the investigation does not declare it public"
    )]
    Number,
    #[error(
        "these bytes come from the memory of this live machine, and the investigation does not declare them public"
    )]
    Bytes,
    #[error("this file is not in the kernel's source tree")]
    File,
}

impl WithholdReason {
    /// The text in the place of another.
    pub(super) fn text(self) -> String {
        format!("{WITHHELD}{self}")
    }
}

impl From<FieldWithholdReason> for WithholdReason {
    fn from(field: FieldWithholdReason) -> Self {
        match field {
            FieldWithholdReason::Boot => WithholdReason::Boot,
            FieldWithholdReason::Slide => WithholdReason::Slide,
            FieldWithholdReason::Buffer => WithholdReason::Buffer,
        }
    }
}
