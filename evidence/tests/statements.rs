//! The first edition's statements, and what stands for each of them in the book.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
    axiom: Option<String>,
    exhibit: Option<String>,
    correction: Option<u32>,
    at: String,
}

/// The number of statements of each section of the first edition. It is finished and never changes, so a statement that
/// is missing here was dropped from our list.
const FIRST_EDITION: &[(&str, usize)] = &[
    ("1.1", 10), // live probe verification
    ("1.2", 3),  // memory linkage map
    ("1.3", 7),  // the harder puzzle: the question and six steps
    ("1.4", 4),  // new things introduced
    ("1.5", 4),  // rejection status, and its three reasons
    ("2.1", 5),  // the proof in five steps
    ("2.2", 6),  // the axiomatic chain
    ("2.3", 1),  // the symmetry map
    ("2.4", 3),  // new things, new inference, rejection status
    ("3.1", 11), // the records
    ("4.0", 3),  // definitions
    ("4.1", 40), // the forty steps
    ("4.2", 6),  // the summary of evidence
    ("5.1", 4),  // axioms
    ("5.2", 3),  // the setup, T=0, T=1
    ("5.3", 4),  // the trap, T=2
    ("5.4", 7),  // the hijack, T=3
    ("5.5", 4),  // the execution, T=4
    ("5.6", 5),  // the return, T=5, T=6
    ("6.1", 3),  // the target
    ("6.2", 2),  // the addresses
    ("6.3", 4),  // the difference
    ("6.4", 3),  // probing strategy
    ("6.5", 5),  // reproducibility log
    ("6.6", 3),  // the starting point
    ("6.7", 4),  // the physical address
    ("6.8", 3),  // the virtual address
    ("6.9", 3),  // the security problem
    ("6.10", 2), // KASLR
    ("6.11", 3), // the evidence
    ("6.12", 3), // relevance to probing
    ("6.13", 1), // the final equation
    ("6.14", 2), // System.map
    ("6.15", 4), // live execution verification
];

fn book() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../book")).to_owned()
}

fn statements() -> Vec<Statement> {
    let text = std::fs::read_to_string(book().join("statements.toml")).unwrap();
    toml::from_str::<File>(&text).unwrap().statement
}

/// The chapters by file name, with line breaks and quotation marks taken out of their sentences.
fn chapters() -> BTreeMap<String, String> {
    let pages = std::fs::read_dir(book())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    pages
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// A text with one blank between two words.
fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Check that no statement of the first edition was dropped from the list or counted twice, and that the list says in
/// the first edition's order what each was.
#[test]
fn none_is_dropped() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for s in &statements() {
        let (section, number) = s.id.rsplit_once('.').unwrap();
        assert!(
            number.len() == 2 && number.parse::<u8>().is_ok(),
            "{}",
            s.id
        );
        assert!(ids.insert(s.id.clone()), "{} is there twice", s.id);
        assert!(!s.first.is_empty(), "{} says nothing", s.id);
        *counts.entry(section.to_owned()).or_default() += 1;
    }
    let expected = FIRST_EDITION
        .iter()
        .map(|(section, count)| ((*section).to_owned(), *count));
    assert_eq!(counts, expected.collect());
}

/// Check that every statement of the first edition has a claim, a citation, an axiom, an exhibit or a correction, and
/// that the chapter which is named has it: makes the claim or speaks of it, links to the line, says the axiom.
#[test]
fn every_statement_stands() {
    let chapters = chapters();
    let mut claims = BTreeSet::new();
    for text in chapters.values() {
        for line in text.lines() {
            if let Some(info) = line.trim_start().strip_prefix("```qed-claim ") {
                let id = info.split_whitespace().next().unwrap().to_owned();
                assert!(claims.insert(id.clone()), "claim {id} is there twice");
            }
        }
    }
    let mut problems = Vec::new();
    for s in &statements() {
        let mut complain = |what: String| problems.push(format!("{} ({}): {what}", s.id, s.first));
        let stands = !s.claims.is_empty()
            || s.source.is_some()
            || s.axiom.is_some()
            || s.exhibit.is_some()
            || s.correction.is_some();
        if !stands {
            complain("nothing stands for it".into());
        }
        let Some(chapter) = chapters.get(&s.at) else {
            complain(format!("there is no chapter `{}`", s.at));
            continue;
        };
        for claim in s.claims.iter().filter(|claim| !claims.contains(*claim)) {
            complain(format!("the book has no claim `{claim}`"));
        }
        let spoken_of = |claim: &String| {
            chapter.contains(&format!("```qed-claim {claim}\n"))
                || chapter.contains(&format!("```qed-claim {claim} "))
                || chapter.contains(&format!("claims.{claim}"))
        };
        if !s.claims.is_empty() && !s.claims.iter().any(spoken_of) {
            complain(format!("{} speaks of none of its claims", s.at));
        }
        if let Some(source) = &s.source
            && !chapter.contains(&format!("({source})"))
        {
            complain(format!("{} does not link to {source}", s.at));
        }
        if let Some(axiom) = &s.axiom
            && !flowing(chapter).contains(&flowing(axiom))
        {
            complain(format!("{} does not say `{axiom}`", s.at));
        }
        if let Some(exhibit) = &s.exhibit
            && !chapter.contains(&format!("```qed-exhibit {exhibit}"))
        {
            complain(format!("{} has no exhibit `{exhibit}`", s.at));
        }
        if let Some(number) = s.correction
            && !chapters["corrections.md"].contains(&format!("\n## {number}. "))
        {
            complain(format!("there is no correction {number}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Check that every correction belongs to a statement, says what was wrong and what guards it, and that the
/// corrections are numbered without a gap.
#[test]
fn every_correction_is_of_a_statement() {
    let text = &chapters()["corrections.md"];
    let of: BTreeSet<u32> = statements().iter().filter_map(|s| s.correction).collect();
    // Number 8 adds what the first edition did not say at all.
    let added = BTreeSet::from([8]);
    let mut number = 0;
    for section in text.split("\n## ").skip(1) {
        number += 1;
        assert!(section.starts_with(&format!("{number}. ")), "{section}");
        assert!(
            of.contains(&number) || added.contains(&number),
            "nobody said {number}"
        );
        for part in ["**Old**: ", "**Guard**: "] {
            assert!(section.contains(part), "{number} has no {part}");
        }
    }
    assert_eq!(of.iter().max(), Some(&number));
}
