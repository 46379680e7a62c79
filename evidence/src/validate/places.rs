//! Check of locations in the kernel's code: one address has one name and one line, on all stacks of a document.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::document::pointer::escape;
use crate::document::value::{Address, Datum, Frame, LineRole, Location, Value};
use crate::document::{Evidence, Experiment};

/// An address with what its line is the line of: that of a call is looked up one byte before the address.
type Key = (Address, Option<LineRole>);

/// The statement of a document about an address, and its first place.
struct Statement<'e> {
    symbol: Option<(&'e str, Option<u64>)>,
    site: Option<&'e Location>,
    at: String,
}

/// Find a frame that contradicts another one, or whose line cannot be one.
pub(super) fn check_places(evidence: &Evidence) -> Option<Finding> {
    let mut known: BTreeMap<Key, Statement<'_>> = BTreeMap::new();
    evidence.experiments.iter().find_map(|(name, experiment)| {
        let at = format!("/experiments/{}", escape(name));
        collect_stacks(&at, experiment)
            .into_iter()
            .find_map(|(at, frames)| check_stack(&at, frames, &mut known))
    })
}

/// All stacks of an experiment, with where they stand.
fn collect_stacks<'e>(at: &str, experiment: &'e Experiment) -> Vec<(String, &'e [Frame])> {
    let mut found: Vec<(String, &[Frame])> = Vec::new();
    for (name, probe) in &experiment.probes {
        for (index, hit) in probe.hits.iter().enumerate() {
            if let Some(Value::Stack { value }) = hit.stack.as_ref().and_then(Datum::value) {
                let name = escape(name);
                found.push((
                    format!("{at}/probes/{name}/hits/{index}/stack/value"),
                    value,
                ));
            }
        }
    }
    let rows = experiment
        .objects
        .iter()
        .flat_map(|ledger| &ledger.allocations);
    for (index, row) in rows.enumerate() {
        let at = format!("{at}/objects/allocations/{index}");
        found.push((format!("{at}/stack"), &row.stack));
        if let Some(freed) = &row.freed {
            found.push((format!("{at}/freed/stack"), &freed.stack));
        }
    }
    found
}

fn check_stack<'e>(
    at: &str,
    frames: &'e [Frame],
    known: &mut BTreeMap<Key, Statement<'e>>,
) -> Option<Finding> {
    frames.iter().enumerate().find_map(|(index, frame)| {
        let symbol = frame.symbol.as_deref().map(|name| (name, frame.offset));
        let site = frame.site.as_ref();
        let at = || format!("{at}/{index}");
        if site.is_some_and(|site| site.line == 0) {
            let reason = "lines are counted from 1".into();
            return Some((format!("{}/site/line", at()), reason));
        }
        let reported = known
            .entry((frame.address, site.map(|site| site.role)))
            .or_insert_with(|| Statement {
                symbol,
                site,
                at: at(),
            });
        let leaf = if reported.symbol != symbol {
            "symbol"
        } else if reported.site != site {
            "site"
        } else {
            return None;
        };
        let reason = format!("`{}` says something else of the same address", reported.at);
        Some((format!("{}/{leaf}", at()), reason))
    })
}
