//! The path of a read: one expression, or several, of which the first that a kernel has is read.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::spanned::Spanned;

/// What stands behind `path =`.
pub(super) enum RawPath {
    /// One text.
    One(String),
    /// A list of them.
    Several(Vec<Spanned<String>>),
}

/// A path, or several, of which the first that a kernel has is read.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum PathSchema {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for RawPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathVisitor)
    }
}

struct PathVisitor;

impl<'de> Visitor<'de> for PathVisitor {
    type Value = RawPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or a list of paths of which the first that a kernel has is read")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawPath, E> {
        Ok(RawPath::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawPath, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(RawPath::Several(all))
    }
}
