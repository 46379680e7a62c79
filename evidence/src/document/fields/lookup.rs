//! The row of a leaf, by its path, and the key of a field.

use std::cell::RefCell;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::model::{Field, LeafRule, PathRule};
use super::visitor::Structure;
use crate::document::facts::{
    EnumeratorFacts, FieldFacts, FunctionFacts, MemberFacts, OptionFacts, SyscallFacts,
    TracepointFacts, TypeFacts,
};
use crate::document::{
    Boot, CallSite, CommandRun, Cost, Experiment, Hit, Instruction, Kaslr, Kernel, Ledger, Machine,
    Member, Outcome, Probe, Quality, Run, SymbolPlaces, Task,
};
use crate::path::{FACTS, SECTIONS, hit_number, split_path};

/// The most paths whose rules are remembered. A book asks for those of some hundred.
const MOST_REMEMBERED: usize = 4096;

thread_local! {
    /// Rules that were asked for, by path: claims ask for those of the same few paths with each value that the control tries.
    static REMEMBERED: RefCell<HashMap<Box<str>, Option<LeafRule>, FixedState>> = RefCell::default();
}

/// What is true of the leaf under a path; `None` of one that no table has. A test holds this to the paths of the index.
pub(crate) fn leaf_rule(path: &str) -> Option<LeafRule> {
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(rule) = remembered.get(path) {
            return *rule;
        }
        if remembered.len() == MOST_REMEMBERED {
            remembered.clear();
        }
        let rule = find_leaf_rule(path);
        remembered.insert(path.into(), rule);
        rule
    })
}

fn find_leaf_rule(path: &str) -> Option<LeafRule> {
    let mut room = [""; MOST_SEGMENTS];
    let mut count = 0;
    for segment in split_path(path) {
        match room.get_mut(count) {
            Some(place) => *place = segment,
            None => return rule_of(&split_path(path).collect::<Vec<_>>()),
        }
        count += 1;
    }
    rule_of(&room[..count])
}

/// More segments than all but a few paths have.
const MOST_SEGMENTS: usize = 12;

fn rule_of(segments: &[&str]) -> Option<LeafRule> {
    match *segments {
        ["run", ref rest @ ..] => structure_rule::<Run>(rest),
        ["machine", ref rest @ ..] => structure_rule::<Machine>(rest),
        ["kernel", ref rest @ ..] => structure_rule::<Kernel>(rest),
        ["kaslr", "symbols", _, ref rest @ ..] => structure_rule::<SymbolPlaces>(rest),
        ["kaslr", ref rest @ ..] => structure_rule::<Kaslr>(rest),
        ["boots", sum] => computed_rule::<Boot>(sum),
        ["boots", _, leaf] => listed_rule::<Boot>(leaf),
        ["commands", _, ref rest @ ..] => structure_rule::<CommandRun>(rest),
        [section, _, ref rest @ ..] if FACTS.contains(&section) => fact_rule(section, rest),
        [section, ..] if SECTIONS.contains(&section) => None,
        [_, "outcome", ref rest @ ..] => structure_rule::<Outcome>(rest),
        [_, "quality", ref rest @ ..] => structure_rule::<Quality>(rest),
        [_, "objects", ref rest @ ..] => structure_rule::<Ledger>(rest),
        [_, "cost", ref rest @ ..] => structure_rule::<Cost>(rest),
        [_, "call", _, leaf] => computed_rule::<Instruction>(leaf),
        [_, "call", ref rest @ ..] => structure_rule::<CallSite>(rest),
        [_, "graph", ..] => None,
        [_, leaf] => structure_rule::<Experiment>(&[leaf]),
        [_, _, "members", _, _, .., leaf] => structure_rule::<Member>(&[leaf]),
        [_, _, hit, ref rest @ ..] if hit_number(hit).is_some() => hit_rule(rest),
        [_, _, ref rest @ ..] => structure_rule::<Probe>(rest).or_else(|| hit_rule(rest)),
        _ => None,
    }
}

/// What is true of a leaf of the ledger: of the whole, and of the objects of one probe.
pub(crate) fn ledger_rule(leaf: &str) -> Option<LeafRule> {
    structure_rule::<Ledger>(&[leaf])
}

fn fact_rule(section: &str, rest: &[&str]) -> Option<LeafRule> {
    match (section, rest) {
        // A member of a member has a name with dots.
        ("types", ["members", _, .., leaf]) => structure_rule::<MemberFacts>(&[leaf]),
        ("types", ["enumerators", _, leaf]) => structure_rule::<EnumeratorFacts>(&[leaf]),
        // Short for its value.
        ("types", [leaf]) => structure_rule::<TypeFacts>(&[leaf])
            .or_else(|| structure_rule::<EnumeratorFacts>(&["value"])),
        ("functions", rest) => structure_rule::<FunctionFacts>(rest),
        ("tracepoints", ["fields", _, leaf]) => structure_rule::<FieldFacts>(&[leaf]),
        ("tracepoints", rest) => structure_rule::<TracepointFacts>(rest),
        ("syscalls", rest) => structure_rule::<SyscallFacts>(rest),
        ("config", rest) => structure_rule::<OptionFacts>(rest),
        _ => None,
    }
}

fn hit_rule(rest: &[&str]) -> Option<LeafRule> {
    structure_rule::<Hit>(rest).or_else(|| structure_rule::<Task>(rest))
}

/// A value of a structure, or an entry of one of its maps. The name of an entry may have dots.
fn structure_rule<S: Structure>(rest: &[&str]) -> Option<LeafRule> {
    match rest {
        [leaf] => listed_rule::<S>(leaf).or_else(|| computed_rule::<S>(leaf)),
        [map, _, ..] => S::FIELDS.iter().find_map(|field| match field.leaf {
            PathRule::Map(rule) if field.key == *map => Some(rule),
            _ => None,
        }),
        [] => None,
    }
}

fn listed_rule<S: Structure>(leaf: &str) -> Option<LeafRule> {
    S::FIELDS.iter().find_map(|field| match field.leaf {
        PathRule::Listed { rule, .. } if Field::leaf_name(field) == Some(leaf) => Some(rule),
        _ => None,
    })
}

fn computed_rule<S: Structure>(leaf: &str) -> Option<LeafRule> {
    let found = S::COMPUTED.iter().find(|computed| computed.name == leaf);
    found.map(|computed| computed.rule)
}

/// The key of a field in JSON, for code that reads evidence as JSON. Of a field that is renamed it does not compile, so that no
/// such code goes on looking for the old name.
macro_rules! key_of {
    ($structure:ty, $key:literal) => {
        const {
            $crate::document::fields::key(
                <$structure as $crate::document::fields::Structure>::FIELDS,
                $key,
            )
        }
    };
}

pub(crate) use key_of;
