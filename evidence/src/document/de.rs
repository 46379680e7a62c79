//! Strict deserialization of maps, in which derived code would let the last of two equal keys win, and of short texts.
//!
//! Own code: `serde_with` refuses equal keys, too, and would be a dependency for this rule alone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Read a map; a key that comes twice is an error.
pub(crate) fn unique_map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Unique<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Unique<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = access.next_key::<String>()? {
                match map.entry(key) {
                    Entry::Vacant(place) => _ = place.insert(access.next_value()?),
                    Entry::Occupied(known) => {
                        let key = known.key();
                        return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
                    }
                }
            }
            Ok(map)
        }
    }
    deserializer.deserialize_map(Unique(PhantomData))
}

/// Like [`unique_map`], with keys that can be part of a path.
pub(crate) fn named_map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map = unique_map(deserializer)?;
    match map.keys().find(|key| !crate::path::is_name(key)) {
        Some(key) => Err(D::Error::custom(format_args!(
            "`{key}` is not a name: it does not match [a-z_][a-z0-9_]*"
        ))),
        None => Ok(map),
    }
}

/// Maps by name, in which no key comes twice on either level.
pub(crate) fn map_of_maps<'de, D, T>(
    deserializer: D,
) -> Result<BTreeMap<String, BTreeMap<String, T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(serde::Deserialize)]
    #[serde(transparent, bound(deserialize = "T: Deserialize<'de>"))]
    struct Inner<T>(#[serde(deserialize_with = "unique_map")] BTreeMap<String, T>);
    let map = unique_map::<D, Inner<T>>(deserializer)?;
    Ok(map
        .into_iter()
        .map(|(name, inner)| (name, inner.0))
        .collect())
}

/// Text that is parsed in place, without a copy.
pub(crate) fn parse_text<'de, D, T, F>(
    deserializer: D,
    expected: &'static str,
    parse: fn(&str) -> Result<T, F>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: fmt::Display,
{
    struct Text<T, F>(&'static str, fn(&str) -> Result<T, F>);
    impl<T, F: fmt::Display> Visitor<'_> for Text<T, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(expected, parse))
}
