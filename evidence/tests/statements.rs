//! The first edition's statements, and what stands for each of them in the book.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    id: String,
    first: String,
    #[serde(default)]
    claims: Vec<String>,
    source: Option<String>,
    #[serde(default)]
    axiom: bool,
    correction: Option<u32>,
    at: String,
}

/// Check that every statement of the first edition has a claim, a citation, an axiom or a correction, and that
/// each of these exists in the book.
#[test]
fn every_statement_stands() {
    let book = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../book"));
    let read = |name: &str| std::fs::read_to_string(book.join(name)).unwrap();
    let file: File = toml::from_str(&read("statements.toml")).unwrap();
    let mut claims = BTreeSet::new();
    for entry in std::fs::read_dir(book).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") {
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines() {
                if let Some(info) = line.trim_start().strip_prefix("```qed-claim ") {
                    let id = info.split_whitespace().next().unwrap().to_owned();
                    assert!(claims.insert(id.clone()), "claim {id} is there twice");
                }
            }
        }
    }
    let corrections = read("corrections.md");
    let mut ids = BTreeSet::new();
    let mut problems = Vec::new();
    for s in &file.statement {
        let mut complain = |what: String| problems.push(format!("{} ({}): {what}", s.id, s.first));
        if !ids.insert(&s.id) {
            complain("the id is there twice".into());
        }
        if s.claims.is_empty() && s.source.is_none() && !s.axiom && s.correction.is_none() {
            complain("nothing stands for it".into());
        }
        for claim in s.claims.iter().filter(|claim| !claims.contains(*claim)) {
            complain(format!("the book has no claim `{claim}`"));
        }
        if let Some(number) = s.correction
            && !corrections.contains(&format!("\n## {number}. "))
        {
            complain(format!("there is no correction {number}"));
        }
        if !book.join(&s.at).exists() {
            complain(format!("there is no chapter `{}`", s.at));
        }
        if let Some(source) = &s.source
            && !(source.starts_with("https://")
                && source.contains("/source/")
                && source.contains("#L"))
        {
            complain(format!("`{source}` is no permalink to a line"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // The forty steps of the full flow, which the first edition numbered itself.
    let flow = file.statement.iter().filter(|s| s.id.starts_with("4.1."));
    assert_eq!(flow.count(), 40);
}
