//! The JSON Schema of evidence, generated from the types that the reader fills.

use serde_json::Value;

use crate::document::{Evidence, SCHEMA_VERSION};

/// The JSON Schema (draft 2020-12) of one evidence document. A validator cannot know all that the reader checks
/// (that an error's name belongs to its number, that a probe is not both attached and unavailable); whatever the
/// reader accepts, the schema accepts.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Evidence).to_value();
    schema["$id"] = format!("urn:qed:evidence:{SCHEMA_VERSION}").into();
    schema["title"] = "QED evidence".into();
    schema["properties"]["schema"]["const"] = SCHEMA_VERSION.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::evidence;

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(&schema()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Check that the schema is the one under review in the snapshot.
    #[test]
    fn golden() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&schema()).unwrap_or_default());
    }

    /// Check that every object of the schema that is not a map refuses other fields, as the reader does.
    #[test]
    fn objects_are_closed() {
        fn open(value: &Value, at: &str, found: &mut Vec<String>) {
            if let Value::Object(object) = value {
                let closed = object.contains_key("additionalProperties")
                    || object.contains_key("unevaluatedProperties");
                if object.contains_key("properties") && !closed {
                    found.push(at.to_owned());
                }
                for (key, below) in object {
                    open(below, &format!("{at}/{key}"), found);
                }
            } else if let Value::Array(list) = value {
                for (index, below) in list.iter().enumerate() {
                    open(below, &format!("{at}/{index}"), found);
                }
            }
        }
        let mut found = Vec::new();
        open(&schema(), "", &mut found);
        assert_eq!(found, [] as [&str; 0]);
    }

    /// Check that a real document validates, and that what the reader refuses by its form, the schema refuses too.
    #[test]
    fn validates() {
        let validator = validator();
        let document = serde_json::to_value(evidence()).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, [] as [&str; 0]);
        let returned = "/experiments/create/outcome/returned";
        for bad in [
            serde_json::json!({"kind": "fd", "value": -1}),
            serde_json::json!({"kind": "fd", "value": 3, "more": 1}),
            serde_json::json!({"kind": "fd"}),
            serde_json::json!({"kind": "fdd", "value": 3}),
            serde_json::json!({"kind": "address", "value": "0xFFFF888004AA1000"}),
            serde_json::json!({"kind": "address", "value": 7}),
            serde_json::json!({"kind": "bytes", "value": "0A"}),
            serde_json::json!({"kind": "int", "value": 1.5}),
            serde_json::json!({"kind": "int", "value": "seven"}),
            serde_json::json!({"unavailable": "x", "kind": "fd"}),
            serde_json::json!({}),
        ] {
            let mut document = document.clone();
            *document.pointer_mut(returned).unwrap() = bad.clone();
            assert!(!validator.is_valid(&document), "{bad}");
            let text = document.to_string();
            assert!(
                crate::validate::reader::read(text.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }
}
