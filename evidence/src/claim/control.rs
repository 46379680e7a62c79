//! The negative control: a claim that passes has to fail on other values, and each of its parts has to come out otherwise.

use std::borrow::Cow;

use crate::document::value::Value;
use crate::path_index::resolve::{Catalog, Indexed};

use super::ast::{Node, key_text};
use super::bind::{Bindings, Gathered, gather};
use super::definition::Claim;
use super::eval::evaluate;
use super::evaluator::Evaluator;
use super::hints::Hints;
use super::invariants::Relations;
use super::mutants::mutants;
use super::outside;
use super::parse::{Expression, ReadPath, reads};
use super::parts::{Part, denied, parts};
use super::value::{Failure, Typed};
use super::verdict::{Control, Verdict};

/// Other values that each leaf of the claim, its condition's included, could have had on this machine: for mutation
/// tests. Nothing where a leaf is missing.
pub fn mutants_of(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<(String, Vec<Value>)> {
    let negated = outside::stated(claim, machine, &[]);
    let claim = negated
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .unwrap_or(claim);
    let mut all: Vec<(String, Vec<Value>)> = Vec::new();
    for expression in claim.when.iter().chain([&claim.expression]) {
        let gathered = gather(expression, catalog, machine, (&[], &[]));
        let hints = hints(expression, &gathered, machine);
        for (path, value) in &gathered.values {
            let more: Vec<Value> = mutants(path, value, &hints).collect();
            match all.iter_mut().find(|(known, _)| known == path) {
                Some((_, list)) => list.extend(more),
                None => all.push((path.clone(), more)),
            }
        }
    }
    all
}

fn hints<'m>(
    expression: &Expression,
    gathered: &Gathered<'_>,
    machine: &'m Indexed<'_>,
) -> Hints<'m> {
    let values = gathered.values.values();
    Hints::new(expression, gathered.constants(), values, machine)
}

/// The relations that hold between the leaves that an expression reads, whatever the evidence says.
fn relations<'g>(gathered: &'g Gathered<'_>) -> Relations<'g> {
    let paths: Vec<&str> = gathered.values.keys().map(String::as_str).collect();
    Relations::among(&paths)
}

/// The outcome of the negative control.
pub(super) struct Controlled<'n> {
    pub control: Option<Control>,
    /// Values that did not matter alone.
    pub idle: Vec<String>,
    /// True if any values made the expression false, with or without the condition.
    pub seen_false: bool,
    /// Parts that were the same whenever the whole was false.
    pub unturned: Vec<Part<'n>>,
}

/// A measured value under all paths by which an expression reads it.
struct Leaf<'g> {
    keys: Vec<&'g str>,
    value: &'g Value,
}

impl<'g> Leaf<'g> {
    /// Lets the evaluation see another value in its place, or its own again.
    fn bind(&self, value: &Value, bindings: &mut Bindings<'g>) {
        for key in &self.keys {
            bindings.bind(key, value);
        }
    }

    fn changed<'v>(&self, value: &'v Value) -> Vec<(&'g str, &'v Value)> {
        self.keys.iter().map(|key| (*key, value)).collect()
    }
}

impl<'a> Evaluator<'a> {
    /// Changes what the expression reads until the claim is false: first each value alone, then all of them.
    pub(super) fn control(&self, body: &Gathered<'_>) -> Controlled<'a> {
        let expression: &'a Expression = &self.claim.expression;
        let hints = hints(expression, body, self.machine);
        let relations = relations(body);
        let mut bindings = body.bindings();
        let unturned = parts(&expression.root, &|node| truth(node, &bindings));
        let mut found = Controlled {
            control: None,
            idle: Vec::new(),
            seen_false: false,
            unturned,
        };
        let leaves = self.leaves(expression.reads(), body);
        for leaf in &leaves {
            let key = leaf.keys[0];
            // Most often the first of them does it, and the others are never made.
            let mut killers = mutants(key, leaf.value, &hints).filter(|mutant| {
                leaf.bind(mutant, &mut bindings);
                relations.hold(&bindings) && is(&expression.root, &bindings, false)
            });
            // One control of the whole decision is enough; of the other values, whether they matter.
            let killer = match found.control {
                Some(_) => killers.next(),
                None => killers.find(|mutant| {
                    found.seen_false = true;
                    self.fails_with(&leaf.changed(mutant))
                }),
            };
            match killer {
                Some(mutant) => {
                    let same = |part: &Part<'_>| !is(part.node, &bindings, !part.truth);
                    found.unturned.retain(same);
                    found.control.get_or_insert_with(|| Control {
                        path: key_text(key),
                        was: leaf.value.to_string(),
                        became: mutant.to_string(),
                        verdict: Verdict::Fail,
                    });
                }
                // Without what it counts the claim would not be decided: it matters.
                None if mutants(key, leaf.value, &hints).any(|mutant| {
                    leaf.bind(&mutant, &mut bindings);
                    is_open(&expression.root, &bindings)
                }) => {}
                None => found.idle.push(key_text(key)),
            }
            leaf.bind(leaf.value, &mut bindings);
        }
        if found.control.is_none() {
            self.together(&leaves, (&hints, &relations), bindings, &mut found);
        }
        found
    }

    /// The values that an expression reads, each once, under the path that is read first.
    fn leaves<'g>(&self, reads: &[ReadPath], gathered: &'g Gathered<'_>) -> Vec<Leaf<'g>> {
        let mut leaves: Vec<Leaf<'g>> = Vec::new();
        for read in reads {
            let Some((key, value)) = gathered.values.get_key_value(&read.path) else {
                continue;
            };
            if leaves.iter().any(|leaf| leaf.keys.contains(&key.as_str())) {
                continue;
            }
            let mut keys = self.same_leaf(key, gathered);
            keys.sort_by_key(|other| *other != key);
            leaves.push(Leaf { keys, value });
        }
        leaves
    }

    /// The paths that the claim reads and that lead to the same value as this one: of a probe that fired once, each value
    /// has two, with `hit1` and without.
    fn same_leaf<'g>(&self, key: &'g str, gathered: &'g Gathered<'_>) -> Vec<&'g str> {
        let short = |path: &'g str| match path.split_once(".hit1.") {
            Some((probe, rest)) => {
                let short = format!("{probe}.{rest}");
                match self.machine.leaves.contains(&short) {
                    true => Cow::Owned(short),
                    false => Cow::Borrowed(path),
                }
            }
            None => Cow::Borrowed(path),
        };
        let wanted = short(key);
        let read = gathered.values.keys().map(String::as_str);
        read.filter(|path| short(path) == wanted).collect()
    }

    /// All values changed at once, for claims such as `a || b` where both hold.
    fn together<'g>(
        &self,
        leaves: &[Leaf<'g>],
        (hints, relations): (&Hints<'_>, &Relations<'_>),
        bindings: Bindings<'g>,
        found: &mut Controlled<'_>,
    ) {
        let root = &self.claim.expression.root;
        let control = all_at_once(leaves, hints, bindings, &mut |changed, bindings| {
            if !relations.hold(bindings) || !is(root, bindings, false) {
                return false;
            }
            found.seen_false = true;
            let values: Vec<_> = changed
                .iter()
                .flat_map(|(leaf, mutant)| leaf.changed(mutant))
                .collect();
            self.fails_with(&values)
        });
        let Some(changed) = control else {
            return;
        };
        let mut texts = [const { Vec::new() }; 3];
        for (leaf, mutant) in &changed {
            for key in &leaf.keys {
                let text = [key_text(key), leaf.value.to_string(), mutant.to_string()];
                for (list, text) in texts.iter_mut().zip(text) {
                    list.push(text);
                }
            }
        }
        let [path, was, became] = texts.map(|list| list.join(", "));
        found.control = Some(Control {
            path,
            was,
            became,
            verdict: Verdict::Fail,
        });
    }

    /// The sides of the conjunction that a negated claim denies.
    pub(super) fn denied_parts<'e>(
        &self,
        expression: &'e Expression,
        gathered: &Gathered<'_>,
    ) -> Vec<Part<'e>> {
        let bindings = gathered.bindings();
        denied(&expression.root, &|node| truth(node, &bindings))
    }

    /// All parts of an expression, and itself.
    pub(super) fn all_parts<'e>(
        &self,
        expression: &'e Expression,
        gathered: &Gathered<'_>,
    ) -> Vec<Part<'e>> {
        let bindings = gathered.bindings();
        let root = &expression.root;
        let whole = truth(root, &bindings).map(|truth| Part { node: root, truth });
        let below = parts(root, &|node| truth(node, &bindings));
        whole.into_iter().chain(below).collect()
    }

    /// The first of these parts of an expression that comes out the same whatever the values are that it reads.
    pub(super) fn idle_part<'e>(
        &self,
        expression: &Expression,
        gathered: &Gathered<'_>,
        all: Vec<Part<'e>>,
    ) -> Option<Part<'e>> {
        if all.is_empty() {
            return None;
        }
        let mut bindings = gathered.bindings();
        let hints = hints(expression, gathered, self.machine);
        let relations = relations(gathered);
        all.into_iter().find(|part| {
            let leaves = self.leaves(&reads(part.node), gathered);
            let flipped = |bindings: &Bindings<'_>| {
                relations.hold(bindings) && is(part.node, bindings, !part.truth)
            };
            let alone = leaves.iter().any(|leaf| {
                let found = mutants(leaf.keys[0], leaf.value, &hints).any(|mutant| {
                    leaf.bind(&mutant, &mut bindings);
                    flipped(&bindings)
                });
                leaf.bind(leaf.value, &mut bindings);
                found
            });
            let together = || {
                let other = gathered.bindings();
                all_at_once(&leaves, &hints, other, &mut |_, bindings| flipped(bindings)).is_some()
            };
            let turned = alone || (leaves.len() > 1 && together());
            !turned
        })
    }
}

/// A question about changed leaves and what the expression reads then.
type Test<'t, 'g> = dyn FnMut(&[(&Leaf<'g>, &Value)], &Bindings<'g>) -> bool + 't;

/// Changes all leaves at once, in as many ways as the one with the most mutants has, until `test` is content. The change
/// that it was content with.
fn all_at_once<'l, 'g>(
    leaves: &'l [Leaf<'g>],
    hints: &Hints<'_>,
    mut bindings: Bindings<'g>,
    test: &mut Test<'_, 'g>,
) -> Option<Vec<(&'l Leaf<'g>, Value)>> {
    let lists = leaves.iter().map(|leaf| {
        let list: Vec<Value> = mutants(leaf.keys[0], leaf.value, hints).collect();
        (leaf, list)
    });
    let lists: Vec<_> = lists.filter(|(_, list)| !list.is_empty()).collect();
    let rounds = lists.iter().map(|(_, list)| list.len()).max()?;
    (0..rounds).find_map(|round| {
        let pick = |list: &'_ Vec<Value>| round % list.len();
        let changed: Vec<(&Leaf<'g>, &Value)> = lists
            .iter()
            .map(|(leaf, list)| (*leaf, &list[pick(list)]))
            .collect();
        for (leaf, mutant) in &changed {
            leaf.bind(mutant, &mut bindings);
        }
        test(&changed, &bindings).then(|| {
            let lists = lists.iter();
            lists
                .map(|(leaf, list)| (*leaf, list[pick(list)].clone()))
                .collect()
        })
    })
}

/// The truth of a node; `None` of one that is neither.
fn truth(node: &Node, bindings: &Bindings<'_>) -> Option<bool> {
    match evaluate(node, bindings) {
        Ok(Typed::Bool(truth)) => Some(truth),
        _ => None,
    }
}

/// True if the values do not decide a node.
fn is_open(node: &Node, bindings: &Bindings<'_>) -> bool {
    matches!(evaluate(node, bindings), Err(located) if matches!(located.failure, Failure::Missing(_)))
}

/// True if a node comes out as `wanted`.
fn is(node: &Node, bindings: &Bindings<'_>, wanted: bool) -> bool {
    matches!(evaluate(node, bindings), Ok(Typed::Bool(value)) if value == wanted)
}
