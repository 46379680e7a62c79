//! Values during the evaluation of a claim.

mod compare;
mod cut;
mod error_value;
mod failure;
mod number;
mod partial;
mod pointer;
mod typed;
mod version;

pub(super) use compare::{
    ambiguous_name_failure, check_orderable, compare, is_opaque, kind_mismatch_failure, one_text,
};
pub(super) use cut::{Prefix, TruncatedValue};
pub(super) use error_value::ReturnedError;
pub(super) use failure::Failure;
pub(super) use number::{Kind, Number, common_kind, errno_sign_failure, is_bare_uint};
pub(super) use partial::{Haystack, contains, ends_with, starts_with};
pub(super) use pointer::Pointer;
pub(super) use typed::Typed;
pub(super) use version::{Version, test_versions};
