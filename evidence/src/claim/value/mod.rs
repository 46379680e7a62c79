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

pub(super) use compare::{compare, different, is_opaque, one_text, ordered, several_names};
pub(super) use cut::{Beginning, Prefix};
pub(super) use error_value::Returned;
pub(super) use failure::Failure;
pub(super) use number::{Kind, Number, common_kind, errno_signs, is_bare_uint};
pub(super) use partial::{Haystack, contains, ends_with, starts_with};
pub(super) use pointer::Pointer;
pub(super) use typed::Typed;
pub(super) use version::Version;
