//! The negative control: a claim that passes has to fail on other values, and each of its parts has to change its result on
//! some.

use crate::document::value::Value;
use crate::path_index::resolve::{Catalog, Indexed};

use super::alternatives::{Alternatives, Changed, Leaf};
use super::ast::{Node, key_text};
use super::bind::{Bindings, Inputs, bind};
use super::definition::Claim;
use super::eval::evaluate;
use super::evaluator::Evaluator;
use super::hints::Hints;
use super::mutants::mutants;
use super::outside;
use super::parse::{Expression, ReadPath, collect_reads};
use super::parts::{ExpressionPart, negated_conjuncts, parts};
use super::value::{Failure, Typed};
use super::verdict::{Control, Verdict};

/// Other values that each leaf of the claim, its condition's included, could have had on this machine: for mutation
/// tests. Nothing where a leaf is missing.
pub fn mutants_of(
    claim: &Claim,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
) -> Vec<(String, Vec<Value>)> {
    let negated = outside::claim_to_judge(claim, machine, &[]);
    let claim = negated
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .unwrap_or(claim);
    let mut all: Vec<(String, Vec<Value>)> = Vec::new();
    for expression in claim.when.iter().chain([&claim.expression]) {
        let gathered = bind(expression, catalog, machine, (&[], &[]));
        let hints = collect_hints(expression, &gathered, machine);
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

fn collect_hints<'m>(
    expression: &Expression,
    gathered: &Inputs<'_>,
    machine: &'m Indexed<'_>,
) -> Hints<'m> {
    let values = gathered.values.values();
    Hints::new(expression, gathered.constants(), values, machine)
}

/// The outcome of the negative control.
pub(super) struct ControlOutcome<'n> {
    pub control: Option<Control>,
    /// Values that did not matter alone.
    pub insensitive_to: Vec<String>,
    /// True if any values made the expression false, with or without the condition.
    pub seen_false: bool,
    /// Parts that were the same whenever the whole was false.
    pub unturned: Vec<ExpressionPart<'n>>,
}

impl<'a> Evaluator<'a> {
    /// Change what the expression reads until the claim is false: first each value alone, then all of them.
    pub(super) fn control(&self, body: &Inputs<'_>) -> ControlOutcome<'a> {
        let expression: &'a Expression = &self.claim.expression;
        let hints = collect_hints(expression, body, self.machine);
        let others = self.alternatives(expression.reads(), body);
        let mut bindings = body.bindings();
        let unturned = parts(&expression.root, &|node| truth(node, &bindings));
        let mut found = ControlOutcome {
            control: None,
            insensitive_to: Vec::new(),
            seen_false: false,
            unturned,
        };
        for leaf in &others.leaves {
            // Most often the first of them does it, and the others are never made.
            let mut killers = leaf.mutants(&hints).filter_map(|mutant| {
                let changed = others.bind(&[(leaf, &mutant)], &mut bindings)?;
                evaluates_to(&expression.root, &bindings, false).then_some((mutant, changed))
            });
            // One control of the whole decision is enough; of the other values, whether they matter where the claim applies.
            let killer = match found.control {
                Some(_) => killers.find(|(_, changed)| self.applies_with(changed)),
                None => killers.find(|(_, changed)| {
                    found.seen_false = true;
                    self.fails_with(changed, body)
                }),
            };
            match killer {
                Some((mutant, _)) => {
                    let same = |part: &ExpressionPart<'_>| {
                        !evaluates_to(part.node, &bindings, !part.truth)
                    };
                    found.unturned.retain(same);
                    found.control.get_or_insert_with(|| Control {
                        path: key_text(leaf.keys[0]),
                        was: leaf.value.to_string(),
                        became: mutant.to_string(),
                        verdict: Verdict::Fail,
                    });
                }
                // Another value leaves the claim undecided, so the leaf matters.
                None if leaf.mutants(&hints).any(|mutant| {
                    others.bind(&[(leaf, &mutant)], &mut bindings);
                    is_open(&expression.root, &bindings)
                }) => {}
                None => found.insensitive_to.push(key_text(leaf.keys[0])),
            }
            others.restore(leaf, &mut bindings);
        }
        if found.control.is_none() {
            self.change_all(&others, &hints, (body, bindings), &mut found);
        }
        found
    }

    fn alternatives<'g>(&self, reads: &[ReadPath], gathered: &'g Inputs<'g>) -> Alternatives<'g> {
        Alternatives::new(reads, gathered, self.catalog, self.machine)
    }

    /// All values changed at once, for claims such as `a || b` where both hold.
    fn change_all<'g>(
        &self,
        others: &Alternatives<'g>,
        hints: &Hints<'_>,
        (body, bindings): (&Inputs<'_>, Bindings<'g>),
        found: &mut ControlOutcome<'_>,
    ) {
        let root = &self.claim.expression.root;
        let control = find_joint_change(others, hints, bindings, &mut |changed, bindings| {
            if !evaluates_to(root, bindings, false) {
                return false;
            }
            found.seen_false = true;
            self.fails_with(changed, body)
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
    pub(super) fn negated_parts<'e>(
        &self,
        expression: &'e Expression,
        gathered: &Inputs<'_>,
    ) -> Vec<ExpressionPart<'e>> {
        let bindings = gathered.bindings();
        negated_conjuncts(&expression.root, &|node| truth(node, &bindings))
    }

    /// All parts of an expression, and itself.
    pub(super) fn all_parts<'e>(
        &self,
        expression: &'e Expression,
        gathered: &Inputs<'_>,
    ) -> Vec<ExpressionPart<'e>> {
        let bindings = gathered.bindings();
        let root = &expression.root;
        let whole = truth(root, &bindings).map(|truth| ExpressionPart { node: root, truth });
        let below = parts(root, &|node| truth(node, &bindings));
        whole.into_iter().chain(below).collect()
    }

    /// The first of these parts of an expression that comes out the same whatever the values are that it reads, of those that
    /// `counts`.
    pub(super) fn constant_part<'e>(
        &self,
        (expression, gathered): (&Expression, &Inputs<'_>),
        all: Vec<ExpressionPart<'e>>,
        counts: &dyn Fn(&Changed<'_>) -> bool,
    ) -> Option<ExpressionPart<'e>> {
        if all.is_empty() {
            return None;
        }
        let mut bindings = gathered.bindings();
        let hints = collect_hints(expression, gathered, self.machine);
        all.into_iter().find(|part| {
            let others = self.alternatives(&collect_reads(part.node), gathered);
            let flipped = |bindings: &Bindings<'_>| evaluates_to(part.node, bindings, !part.truth);
            let alone = others.leaves.iter().any(|leaf| {
                let found = leaf.mutants(&hints).any(|mutant| {
                    let changed = others.bind(&[(leaf, &mutant)], &mut bindings);
                    changed.is_some_and(|changed| flipped(&bindings) && counts(&changed))
                });
                others.restore(leaf, &mut bindings);
                found
            });
            let together = || {
                let other = gathered.bindings();
                find_joint_change(&others, &hints, other, &mut |changed, bindings| {
                    flipped(bindings) && counts(changed)
                })
                .is_some()
            };
            let turned = alone || (others.leaves.len() > 1 && together());
            !turned
        })
    }
}

/// A question about changed leaves and what the expression reads then.
type Test<'t, 'g> = dyn FnMut(&Changed<'g>, &Bindings<'g>) -> bool + 't;

/// Change all leaves at once, in as many ways as the leaf with the most mutants has, until `test` accepts one. Returns that
/// change.
fn find_joint_change<'l, 'g>(
    others: &'l Alternatives<'g>,
    hints: &Hints<'_>,
    mut bindings: Bindings<'g>,
    test: &mut Test<'_, 'g>,
) -> Option<Vec<(&'l Leaf<'g>, Value)>> {
    let lists = others.leaves.iter().map(|leaf| {
        let list: Vec<Value> = leaf.mutants(hints).collect();
        (leaf, list)
    });
    let lists: Vec<_> = lists.filter(|(_, list)| !list.is_empty()).collect();
    let rounds = lists.iter().map(|(_, list)| list.len()).max()?;
    (0..rounds).find_map(|round| {
        let picked = lists
            .iter()
            .map(|(leaf, list)| (*leaf, &list[round % list.len()]));
        let picked: Vec<(&Leaf<'g>, &Value)> = picked.collect();
        let changed = others.bind(&picked, &mut bindings)?;
        test(&changed, &bindings).then(|| {
            let picked = picked.iter();
            picked
                .map(|(leaf, value)| (*leaf, (*value).clone()))
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
fn evaluates_to(node: &Node, bindings: &Bindings<'_>, wanted: bool) -> bool {
    matches!(evaluate(node, bindings), Ok(Typed::Bool(value)) if value == wanted)
}
