//! A log in SARIF 2.1.0, which code scanning and editors read
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
//!
//! Own structures: `serde-sarif` is generated from the whole schema, of which this writes a small part.

use std::collections::BTreeSet;

use serde::Serialize;

use super::finding::{Finding, Weight};
use crate::cli::common::BAD_INPUT;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    invocations: [Invocation; 1],
    column_kind: &'static str,
    results: Vec<SarifResult<'a>>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
struct Rule {
    id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    exit_code: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'static str,
    kind: &'static str,
    level: &'static str,
    message: Message<'a>,
    locations: [Location; 1],
}

#[derive(Serialize)]
struct Message<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
}

/// The log. `settings` is the file that stands for the book as a whole: code scanning takes no result without a file.
pub fn render(findings: &[Finding], settings: &str, status: u8) -> serde_json::Result<String> {
    let rules: BTreeSet<&'static str> = findings.iter().map(|finding| finding.rule).collect();
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: env!("CARGO_PKG_NAME"),
                    version: env!("CARGO_PKG_VERSION"),
                    rules: rules.into_iter().map(|id| Rule { id }).collect(),
                },
            },
            invocations: [Invocation {
                execution_successful: status != BAD_INPUT,
                exit_code: status,
            }],
            column_kind: "unicodeCodePoints",
            results: findings
                .iter()
                .map(|finding| sarif_result(finding, settings))
                .collect(),
        }],
    };
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

fn sarif_result<'a>(finding: &'a Finding, settings: &str) -> SarifResult<'a> {
    // "Open": the rule was evaluated, but there was not enough data to decide it. Then the level has to be "none" (3.27.10).
    let (kind, level) = match finding.weight {
        Weight::Error => ("fail", "error"),
        Weight::Warning => ("fail", "warning"),
        Weight::Open => ("open", "none"),
    };
    SarifResult {
        rule_id: finding.rule,
        kind,
        level,
        message: Message {
            text: &finding.message,
        },
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation {
                    uri: relative_uri(finding.file.as_deref().unwrap_or(settings)),
                    uri_base_id: "%SRCROOT%",
                },
                region: finding.at.map(|(line, column)| Region {
                    start_line: line,
                    start_column: column,
                }),
            },
        }],
    }
}

/// A path as a relative reference (RFC 3986): all characters that are not unreserved are escaped, so that no name can be parsed
/// as a scheme.
fn relative_uri(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    path.bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a name of a file is one reference, whatever is in it.
    #[test]
    fn references() {
        assert_eq!(relative_uri("docs/a b:c%.md"), "docs/a%20b%3Ac%25.md");
        assert_eq!(relative_uri("ü.md"), "%C3%BC.md");
    }
}
