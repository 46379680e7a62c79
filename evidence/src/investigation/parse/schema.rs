//! The JSON Schema of an investigation, generated from the tables that the parser fills.

use serde_json::Value;

use super::raw::File;

/// The JSON Schema (draft 2020-12) of an investigation as TOML, for editors and checkers of TOML files. The parser refuses
/// more: names that are none, keys that exclude each other. Whatever it accepts, the schema accepts.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    schema["$id"] = "urn:qed:investigation:1".into();
    schema["title"] = "QED investigation".into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::investigation::parse;

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(&schema()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn json(text: &str) -> Value {
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}"));
        serde_json::to_value(table).unwrap()
    }

    /// The tables of a schema, each with the way to it in a document: all objects whose keys are listed.
    fn tables<'a>(
        schema: &'a Value,
        all: &'a Value,
        at: &[String],
        found: &mut Vec<(Vec<String>, &'a Value)>,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/$defs/");
            // An argument may hold arguments.
            if name != "RawArgument" {
                tables(&all["$defs"][name], all, at, found);
            }
        }
        for either in ["anyOf", "oneOf"] {
            for one in schema[either].as_array().into_iter().flatten() {
                tables(one, all, at, found);
            }
        }
        if schema["items"].is_object() {
            let at = [at, &["0".to_owned()]].concat();
            tables(&schema["items"], all, &at, found);
        }
        if let Some(keys) = schema["properties"].as_object() {
            found.push((at.to_vec(), schema));
            for (key, below) in keys {
                tables(below, all, &[at, std::slice::from_ref(key)].concat(), found);
            }
        }
    }

    /// A document with one key at a place, and nothing else; keys and `0` for an element of a list.
    fn document(at: &[String], key: &str) -> toml::Value {
        let last = toml::Value::Table(
            [(key.to_owned(), toml::Value::Boolean(true))]
                .into_iter()
                .collect(),
        );
        at.iter()
            .rev()
            .fold(last, |below, name| match name.as_str() {
                "0" => toml::Value::Array(vec![below]),
                name => toml::Value::Table([(name.to_owned(), below)].into_iter().collect()),
            })
    }

    /// The complaint of the parser about a document.
    fn complaint(at: &[String], key: &str) -> String {
        let text = toml::to_string(&document(at, key)).unwrap();
        let problems = parse("t.toml", &text).err().unwrap_or_default();
        problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    /// Check that in every table the parser knows exactly the keys that the schema lists: it refuses an unknown one, naming all
    /// that it would take, and refuses none of them as unknown.
    #[test]
    fn keys_are_those_of_the_parser() {
        let schema = schema();
        let mut found = Vec::new();
        tables(&schema, &schema, &[], &mut found);
        assert!(found.len() >= 12, "{found:?}");
        for (at, table) in found {
            assert_eq!(table["additionalProperties"], false, "{at:?}");
            let printed = complaint(&at, "no-such-key");
            assert!(
                printed.contains("unknown field `no-such-key`"),
                "{at:?}: {printed}"
            );
            let expected = &printed[printed.find("expected").unwrap()..];
            let mut known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            let mut listed: Vec<&str> = table["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            known.sort_unstable();
            listed.sort_unstable();
            assert_eq!(listed, known, "{at:?}");
        }
    }

    /// Check that every investigation of the repository validates, and that what the parser refuses by its form, the schema
    /// refuses too.
    #[test]
    fn validates() {
        let validator = validator();
        for text in [
            include_str!("../../../../investigations/socket.toml"),
            include_str!("../../../../investigations/pipe.toml"),
            include_str!("../../../../preprocessor/templates/init/first.toml"),
        ] {
            let errors: Vec<String> = validator
                .iter_errors(&json(text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert_eq!(errors, [] as [&str; 0]);
        }
        for bad in [
            "symbols = \"_text\"",
            "boots = -1",
            "experiments = []",
            "[[experiment]]",
            "[[experiment]]\nname = 7",
            "[[experiment]]\nname = \"a\"\nuntil = \"end\"",
            "[[experiment]]\nname = \"a\"\nworkload = { system-call = \"getpid\" }",
            "[[experiment]]\nname = \"a\"\n[[experiment.probe]]\nreads = [{ at = \"begin\", name = \"a\", path = \"b\" }]",
            "[[experiment]]\nname = \"a\"\n[[experiment.probe]]\nreads = [{ at = \"entry\", name = \"a\", path = \"b\", kind = \"word\" }]",
            "[[command]]\nname = \"a\"\nrun = [1]",
        ] {
            assert!(!validator.is_valid(&json(bad)), "{bad}");
            assert!(parse("t.toml", bad).is_err(), "{bad}");
        }
    }
}
