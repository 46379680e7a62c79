//! Claims and their values as plain JSON, so that a second, independent implementation of CEL can check them.

use serde_json::{Map, Value as Json, json};

use crate::path_index::resolve::{Catalog, Indexed};

use super::bind::{Replaced, bind};
use super::definition::Claim;
use super::outside;
use super::value::Typed;

/// The claim with all that it reads on one machine: `expression` and `when` as written; `leaves` by path, each the
/// whole value as in evidence; `constants` by name, each with its `value` as a decimal string and the `kind` of what it
/// counts (`errno`, `enum TYPE`, or nothing); `missing`, the paths that have no value. The ledger of a single probe has
/// the paths `EXPERIMENT.PROBE#allocated` and `#leaked`. Some leaves may be replaced. Of a claim that has to be false on
/// this machine, the expression is its negation.
pub fn export(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    replaced: Replaced<'_>,
) -> Json {
    let negated = outside::claim_to_judge(claim, machine, replaced);
    let claim = negated
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .unwrap_or(claim);
    let mut leaves = Map::new();
    let mut constants = Map::new();
    let mut missing = Vec::new();
    for expression in claim.when.iter().chain([&claim.expression]) {
        let gathered = bind(expression, catalog, machine, (replaced, &[]));
        for (path, value) in &gathered.values {
            leaves.insert(
                path.clone(),
                serde_json::to_value(value).unwrap_or_default(),
            );
        }
        for (name, typed) in gathered.named_constants() {
            constants.insert(name.to_owned(), constant(typed));
        }
        missing.extend(
            gathered
                .missing
                .iter()
                .map(|(read, _)| Json::from(read.path.as_str())),
        );
    }
    json!({
        "id": claim.id,
        "expression": claim.expression.text(),
        "when": claim.when.as_ref().map(|when| when.text()),
        "leaves": leaves,
        "constants": constants,
        "missing": missing,
    })
}

fn constant(typed: &Typed) -> Json {
    match typed {
        Typed::Number(number) => {
            let kind = number.kind.constant_name();
            json!({"value": number.value.to_string(), "kind": kind})
        }
        _ => Json::Null,
    }
}
