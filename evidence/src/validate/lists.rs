//! Checks of lists that reads walked: how many elements a list has, and the elements that there are.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::document::pointer::escape;
use crate::document::value::{Datum, Value};
use crate::investigation::{LIST_COUNT, Read, element_name};

/// Check that the values of a list are those that its read asks for, that it has no more elements than were to be read, and that there
/// is none behind the last one.
pub(super) fn check_lists(
    at: impl Fn() -> String,
    reads: &[Read],
    found: &BTreeMap<String, Datum>,
) -> Option<Finding> {
    let mut lists = reads.iter().filter(|read| read.limit.is_some());
    lists.find_map(|read| {
        let place = |name: &str| format!("{}/{}", at(), escape(name));
        let known: Vec<String> = read.list_values().collect();
        let unknown = found.keys().find(|name| {
            let below = name.split_once('.').filter(|(own, _)| *own == read.name);
            let is_known = below.is_some_and(|(_, below)| {
                let first = below.split('.').next().unwrap_or_default();
                known.iter().any(|value| value == first)
            });
            (**name == read.name || below.is_some()) && !is_known
        });
        if let Some(name) = unknown {
            let reason = format!("`{}` is a list, and has no such value", read.name);
            return Some((place(name), reason));
        }
        let count = format!("{}.{LIST_COUNT}", read.name);
        let Value::Int { value, .. } = found.get(&count)?.value()? else {
            return Some((place(&count), "it is no number".into()));
        };
        let limit = read.limit.unwrap_or_default();
        let Some(length) = u32::try_from(value.get()).ok().filter(|it| *it <= limit) else {
            let reason = format!("at most {limit} elements were to be read");
            return Some((place(&count), reason));
        };
        (length..limit).find_map(|index| {
            let element = format!("{}.{}", read.name, element_name(index as usize));
            let mut values = found.iter().filter(|(name, _)| {
                let rest = name.strip_prefix(&element);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            let (name, _) = values.find(|(_, datum)| datum.value().is_some())?;
            let reason = format!("the list has {length} elements, counted from 0");
            Some((place(name), reason))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(values: &[(&str, Option<i64>)]) -> Option<String> {
        let text = "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"dup\", args = [0] }\n[[experiment.probe]]\nfunction = \"f\"\n\
                    reads = [{ at = \"entry\", name = \"pids\", path = \"list_for_each_entry(struct task_struct, &task->children, sibling)->pid\", limit = 3 },\n\
                    { at = \"entry\", name = \"pid\", path = \"task->pid\" }]\n";
        let investigation = crate::investigation::parse("i.toml", text).unwrap();
        let found = values.iter().map(|(name, value)| {
            let datum = match value {
                Some(value) => Datum::Value(Value::Int {
                    value: (*value).into(),
                    type_name: None,
                }),
                None => Datum::unavailable("it is not there"),
            };
            ((*name).to_owned(), datum)
        });
        let reads = &investigation.experiments[0].probes[0].entry;
        check_lists(|| "/entry".into(), reads, &found.collect())
            .map(|(at, reason)| format!("{at}: {reason}"))
    }

    /// Check that a list may be empty, full, longer than what is read of it, or unreadable, and have structures for elements, and that one
    /// with values that it cannot have is refused.
    #[test]
    fn values_of_lists() {
        for values in [
            &[][..],
            &[("pid", Some(7))],
            &[("pids.count", Some(0)), ("pids.e0", None), ("pid", Some(7))],
            &[
                ("pids.count", Some(2)),
                ("pids.e0", Some(1)),
                ("pids.e1", None),
                ("pids.e2", None),
            ],
            &[
                ("pids.count", Some(3)),
                ("pids.e0", Some(1)),
                ("pids.e2", Some(5)),
            ],
            &[
                ("pids.count", None),
                ("pids.e0", Some(1)),
                ("pids.e1", Some(1)),
                ("pids.e2", Some(1)),
            ],
            &[
                ("pids.count", Some(1)),
                ("pids.e0.x.y", Some(1)),
                ("pids.e1.x.y", None),
            ],
        ] {
            assert_eq!(finding(values), None, "{values:?}");
        }
        for (values, reason) in [
            (&[("pids", Some(1))][..], "/entry/pids: `pids` is a list"),
            (&[("pids.e3", Some(1))], "/entry/pids.e3: `pids` is a list"),
            (&[("pids.x", None)], "/entry/pids.x: `pids` is a list"),
            (&[("pids.count", Some(4))], "at most 3"),
            (&[("pids.count", Some(-1))], "at most 3"),
            (
                &[("pids.count", Some(0)), ("pids.e0", Some(1))],
                "/entry/pids.e0: the list has 0",
            ),
            (
                &[("pids.count", Some(1)), ("pids.e2.x", Some(1))],
                "/entry/pids.e2.x: the list has 1",
            ),
        ] {
            let found = finding(values).unwrap_or_default();
            assert!(found.contains(reason), "{values:?}: {found}");
        }
    }
}
