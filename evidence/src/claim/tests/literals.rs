//! The names of leaves that code matches by their text, held to the tables of the document: of a field that is renamed, no
//! relation, no reason and no look-up may go on asking for the old name without a word.

use std::collections::BTreeSet;
use std::path::Path;

use crate::document::Missing;
use crate::document::fields::{
    COMPUTED, EXPERIMENT_COMPUTED, EXPERIMENT_STRUCTURES, FACT_COMPUTED, FACT_STRUCTURES,
    STRUCTURES,
};
use crate::document::value::KINDS;
use crate::path::{EXPERIMENT_SECTIONS, SECTIONS};

/// The files that match segments of paths, below `src`.
const FILES: &[&str] = &[
    "claim/ast.rs",
    "claim/bind.rs",
    "claim/c_types.rs",
    "claim/computed.rs",
    "claim/graph.rs",
    "claim/invariants.rs",
    "claim/name_check/possible.rs",
    "claim/outside.rs",
    "claim/relations.rs",
    "claim/silence/bounds.rs",
    "claim/silence/experiment.rs",
    "claim/silence/grounds.rs",
    "claim/silence/ledger.rs",
    "claim/silence/mod.rs",
    "claim/value/typed.rs",
    "document/fields/lookup.rs",
    "path_index/boot_stats.rs",
    "path_index/fact_paths.rs",
    "path_index/index.rs",
    "path_index/leaf_names.rs",
    "path_index/limits.rs",
    "path_index/planned.rs",
    "path_index/probe_leaves.rs",
    "path_index/resolve.rs",
    "redact/mod.rs",
    "redact/parts.rs",
    "redact/public.rs",
    "secrets/collect.rs",
];

/// Words in these files that are no fields of the document.
const OTHERS: &[&str] = &[
    // Of the numbering of hits and instructions.
    "hit",
    "hit1",
    "insn",
    "insn1",
    // Of the keys under which claims read the tree of a call.
    "all",
    "book",
    "chapter",
    "coverage",
    "parent",
    // The symbol at the beginning of the kernel's image.
    "_text",
    // Types of C.
    "char",
    "long",
    "short",
    // Values.
    "host",
    "kvm",
    "tcg",
    // Of complaints.
    "argument",
    "command",
    "experiment",
    "fact",
    "part",
    "read",
    "side",
];

/// The names that the tables and the grammar of paths have, and the words in the JSON of a value.
fn names() -> BTreeSet<&'static str> {
    let tables = STRUCTURES
        .iter()
        .chain(EXPERIMENT_STRUCTURES)
        .chain(FACT_STRUCTURES);
    let fields = tables.flat_map(|(_, fields)| *fields);
    let computed = COMPUTED
        .iter()
        .chain(EXPERIMENT_COMPUTED)
        .chain(FACT_COMPUTED);
    fields
        .flat_map(|field| [Some(field.key), field.leaf_name()])
        .flatten()
        .chain(computed.flat_map(|leaves| *leaves).map(|leaf| leaf.name))
        .chain(SECTIONS.iter().chain(EXPERIMENT_SECTIONS).copied())
        .chain(KINDS.iter().copied())
        .chain(Missing::KEYS)
        .collect()
}

/// The texts in quotes of the code before the tests, of which each is of lower-case words alone.
fn literals(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let quoted = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_name = |text: &&str| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.#".contains(c);
        !text.is_empty() && text.chars().all(is_part)
    };
    let words = quoted
        .filter(is_name)
        .flat_map(|text| text.split(['.', '#']));
    words
        .filter(|word| word.len() > 1 && !word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// Check that each such name is one of the document.
#[test]
fn names_are_of_the_tables() {
    let names = names();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut others = BTreeSet::new();
    for file in FILES {
        let code = std::fs::read_to_string(src.join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = literals(&code);
        let unknown = found
            .into_iter()
            .filter(|word| !names.contains(word.as_str()));
        others.extend(unknown.map(|word| (word, *file)));
    }
    let strange: Vec<_> = others
        .iter()
        .filter(|(word, _)| !OTHERS.contains(&word.as_str()))
        .collect();
    assert!(strange.is_empty(), "no field has such a name: {strange:?}");
    for word in OTHERS {
        assert!(
            others.iter().any(|(other, _)| other == word),
            "{word} stands nowhere"
        );
    }
}
