//! The row of a leaf, by its path, and the key of a field.

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
use crate::path::{FACTS, SECTIONS, hit_number};

/// What is true of the leaf under a path; `None` of one that no table has. A test holds this to the paths of the index.
pub(crate) fn leaf_rule(path: &str) -> Option<LeafRule> {
    // Claims ask for rules so often that an allocation for each path would be felt.
    let mut room = [""; MOST_SEGMENTS];
    let mut count = 0;
    for segment in path.split('.') {
        match room.get_mut(count) {
            Some(place) => *place = segment,
            None => return rule_of(&path.split('.').collect::<Vec<_>>()),
        }
        count += 1;
    }
    rule_of(&room[..count])
}

/// More segments than all but a few paths have.
const MOST_SEGMENTS: usize = 12;

fn rule_of(segments: &[&str]) -> Option<LeafRule> {
    match *segments {
        ["run", ref rest @ ..] => within::<Run>(rest),
        ["machine", ref rest @ ..] => within::<Machine>(rest),
        ["kernel", ref rest @ ..] => within::<Kernel>(rest),
        ["kaslr", "symbols", _, ref rest @ ..] => within::<SymbolPlaces>(rest),
        ["kaslr", ref rest @ ..] => within::<Kaslr>(rest),
        ["boots", sum] => computed::<Boot>(sum),
        ["boots", _, leaf] => listed::<Boot>(leaf),
        ["commands", _, ref rest @ ..] => within::<CommandRun>(rest),
        [section, _, ref rest @ ..] if FACTS.contains(&section) => of_fact(section, rest),
        [section, ..] if SECTIONS.contains(&section) => None,
        [_, "outcome", ref rest @ ..] => within::<Outcome>(rest),
        [_, "quality", ref rest @ ..] => within::<Quality>(rest),
        [_, "objects", ref rest @ ..] => within::<Ledger>(rest),
        [_, "cost", ref rest @ ..] => within::<Cost>(rest),
        [_, "call", _, leaf] => computed::<Instruction>(leaf),
        [_, "call", ref rest @ ..] => within::<CallSite>(rest),
        [_, "graph", ..] => None,
        [_, leaf] => within::<Experiment>(&[leaf]),
        [_, _, "members", _, _, .., leaf] => within::<Member>(&[leaf]),
        [_, _, hit, ref rest @ ..] if hit_number(hit).is_some() => of_hit(rest),
        [_, _, ref rest @ ..] => within::<Probe>(rest).or_else(|| of_hit(rest)),
        _ => None,
    }
}

/// What is true of a leaf of the ledger: of the whole, and of the objects of one probe.
pub(crate) fn ledger_rule(leaf: &str) -> Option<LeafRule> {
    within::<Ledger>(&[leaf])
}

fn of_fact(section: &str, rest: &[&str]) -> Option<LeafRule> {
    match (section, rest) {
        // A member of a member has a name with dots.
        ("types", ["members", _, .., leaf]) => within::<MemberFacts>(&[leaf]),
        ("types", ["enumerators", _, leaf]) => within::<EnumeratorFacts>(&[leaf]),
        // Short for its value.
        ("types", [leaf]) => {
            within::<TypeFacts>(&[leaf]).or_else(|| within::<EnumeratorFacts>(&["value"]))
        }
        ("functions", rest) => within::<FunctionFacts>(rest),
        ("tracepoints", ["fields", _, leaf]) => within::<FieldFacts>(&[leaf]),
        ("tracepoints", rest) => within::<TracepointFacts>(rest),
        ("syscalls", rest) => within::<SyscallFacts>(rest),
        ("config", rest) => within::<OptionFacts>(rest),
        _ => None,
    }
}

fn of_hit(rest: &[&str]) -> Option<LeafRule> {
    within::<Hit>(rest).or_else(|| within::<Task>(rest))
}

/// A value of a structure, or an entry of one of its maps. The name of an entry may have dots.
fn within<S: Structure>(rest: &[&str]) -> Option<LeafRule> {
    match rest {
        [leaf] => listed::<S>(leaf).or_else(|| computed::<S>(leaf)),
        [map, _, ..] => S::FIELDS.iter().find_map(|field| match field.leaf {
            PathRule::Map(rule) if field.key == *map => Some(rule),
            _ => None,
        }),
        [] => None,
    }
}

fn listed<S: Structure>(leaf: &str) -> Option<LeafRule> {
    S::FIELDS.iter().find_map(|field| match field.leaf {
        PathRule::Listed { rule, .. } if Field::listed(field) == Some(leaf) => Some(rule),
        _ => None,
    })
}

fn computed<S: Structure>(leaf: &str) -> Option<LeafRule> {
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
