//! The JSON Schema of our part of `book.toml`: the table `[preprocessor.qed]`.

use serde_json::{Value, json};

use super::Config;

/// The JSON Schema (draft 2020-12) of `book.toml`. Every key outside of `[preprocessor.qed]` is mdBook's, and allowed.
pub fn schema() -> Value {
    let mut table = schemars::schema_for!(Config).to_value();
    let definitions = table["$defs"].take();
    if let Some(table) = table.as_object_mut() {
        table.remove("$schema");
        table.remove("$defs");
        table.remove("title");
    }
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    for (key, of_mdbook) in [
        ("command", json!({ "type": "string" })),
        ("before", texts.clone()),
        ("after", texts.clone()),
        ("renderers", texts),
        ("renderer", json!({ "type": "object" })),
        ("optional", json!({ "type": "boolean" })),
    ] {
        table["properties"][key] = of_mdbook;
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:qed:book:1",
        "title": "book.toml of a QED book",
        "type": "object",
        "properties": {
            "preprocessor": { "type": "object", "properties": { "qed": table } },
        },
        "$defs": definitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reader::{MDBOOK_KEYS, read};

    /// Check that the table has exactly the keys that are read, mdBook's own and ours.
    #[test]
    fn keys_are_those_that_are_read() {
        let schema = schema();
        let table = &schema["properties"]["preprocessor"]["properties"]["qed"];
        assert_eq!(table["additionalProperties"], false);
        let printed = read(&json!({ "no-such-key": 1 }), None)
            .unwrap_err()
            .message;
        let expected = &printed[printed.find("expected").unwrap()..];
        let mut known: Vec<&str> = expected
            .split('`')
            .skip(1)
            .step_by(2)
            .chain(MDBOOK_KEYS.iter().copied())
            .collect();
        let mut listed: Vec<&str> = table["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, known);
    }

    /// Check that settings are valid where they are read, and that a wrong form is refused by both.
    #[test]
    fn agrees_with_what_is_read() {
        let validator =
            jsonschema::validator_for(&schema()).unwrap_or_else(|error| panic!("{error}"));
        let valid = |table: &Value| {
            validator.is_valid(
                &json!({ "book": { "title": 7 }, "preprocessor": { "qed": table, "links": 1 } }),
            )
        };
        for good in [
            json!({}),
            json!({ "command": "mdbook-qed", "after": ["links"], "optional": false, "renderer": { "html": {} } }),
            json!({ "investigation": "a.toml", "machines": ["host", "guest:debian-6.1"], "capture": "if-stale" }),
            json!({ "machines": [{ "guest": "/boot/vmlinuz", "name": "mine" }], "max-age": "7d" }),
            json!({ "deny": ["typed-literal", "undefined-name"], "on-fail": "warn", "on-unverified": "error" }),
            json!({ "guests": "cold" }),
            json!({ "on-stale": "show", "addresses": "pseudonym", "active-html": true }),
        ] {
            assert!(valid(&good), "{good}");
            assert!(read(&good, None).is_ok(), "{good}");
        }
        for bad in [
            json!({ "machine": ["host"] }),
            json!({ "machines": "host" }),
            json!({ "machines": [{ "path": "/boot/vmlinuz" }] }),
            json!({ "capture": "always" }),
            json!({ "guests": "hot" }),
            json!({ "max-age": "7 days" }),
            json!({ "deny": ["everything"] }),
            json!({ "on-fail": "ignore" }),
            json!({ "active-html": "yes" }),
        ] {
            assert!(!valid(&bad), "{bad}");
            assert!(read(&bad, None).is_err(), "{bad}");
        }
    }
}
