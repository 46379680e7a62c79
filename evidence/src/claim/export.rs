//! Claims and their values as plain JSON, for a second, independent implementation of CEL to check.

use serde_json::{Map, Value as Json, json};

use crate::resolve::{Catalog, Indexed};
use crate::value::{Datum, Value};

use super::Claim;
use super::gather::gather;
use super::typed::Typed;

/// The claim's expression with all that it reads on one machine: `expression`, `bindings` by path (`cel` is the type
/// to bind it as, `value` the value, integers as decimal strings, `kind` the kind of the evidence, `leaf` the whole
/// value as in evidence), and `constants` by name. `replaced` stands instead of what was measured.
pub fn export(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    replaced: Option<(&str, &Datum)>,
) -> Json {
    let gathered = gather(&claim.expression, catalog, machine, replaced);
    let bindings: Map<String, Json> = gathered
        .values
        .iter()
        .map(|(path, value)| (path.clone(), binding(value)))
        .collect();
    let constants: Map<String, Json> = gathered
        .named_constants()
        .map(|(name, typed)| (name.to_owned(), cel(typed)))
        .collect();
    let missing: Vec<&str> = gathered
        .missing
        .iter()
        .map(|(read, _)| read.path.as_str())
        .collect();
    json!({
        "id": claim.id,
        "expression": claim.expression.text(),
        "bindings": bindings,
        "constants": constants,
        "missing": missing,
    })
}

fn binding(value: &Value) -> Json {
    let mut binding = cel(&Typed::from(value));
    binding["kind"] = value.kind().into();
    binding["leaf"] = serde_json::to_value(value).unwrap_or_default();
    binding
}

/// The type and the value that CEL binds.
fn cel(typed: &Typed) -> Json {
    match typed {
        Typed::Bool(value) => json!({"cel": "bool", "value": value}),
        Typed::Number(number) => {
            let name = if number.unsigned { "uint" } else { "int" };
            json!({"cel": name, "value": number.value.to_string()})
        }
        Typed::Address(pointer) => json!({"cel": "uint", "value": pointer.value.to_string()}),
        Typed::Text(text) => json!({"cel": "string", "value": text}),
        Typed::Bytes(bytes) => json!({"cel": "bytes", "value": hex::encode(bytes)}),
        Typed::Version(_) | Typed::Location(_) | Typed::Stack(_) => {
            json!({"cel": null, "value": null})
        }
    }
}
