//! Checks of the widths of numbers: each belongs to a place in a hit, and no measured number needs more bits.

use crate::document::pointer::escape;
use crate::document::value::{Datum, Value};
use crate::document::{Experiment, Hit};

use super::finding::Finding;

/// The most bits of a C integer.
const MOST_BITS: u32 = 128;

/// Find the first width that cannot be, or that a measured number of its place does not fit into.
pub(super) fn check_widths(at: &str, experiment: &Experiment) -> Option<Finding> {
    experiment.probes.iter().find_map(|(name, probe)| {
        probe.widths.iter().find_map(|(place, width)| {
            let here = || format!("{at}/probes/{}/widths/{}", escape(name), escape(place));
            if !(1..=MOST_BITS).contains(&width.bits) {
                let reason = format!("no number is {} bits wide", width.bits);
                return Some((here(), reason));
            }
            if !is_place(place) {
                let reason = "it is none of `args.NAME`, `return`, `entry.READ` and `exit.READ`";
                return Some((here(), reason.into()));
            }
            let mut hits = probe.hits.iter().enumerate();
            hits.find_map(|(index, hit)| {
                // Numbers of other kinds are converted: an unsigned register can hold an error, or a descriptor.
                let number = match value_at(hit, place)?.value()? {
                    Value::Int { value, .. } | Value::Enum { value, .. } => value.get(),
                    _ => return None,
                };
                (!width.holds(number)).then(|| {
                    let reason = format!("the number of hit {} is wider", index + 1);
                    (here(), reason)
                })
            })
        })
    })
}

fn is_place(place: &str) -> bool {
    match place.split_once('.') {
        Some(("args" | "entry" | "exit", name)) => !name.is_empty(),
        Some(_) => false,
        None => place == "return",
    }
}

/// The value of a hit at a place.
fn value_at<'h>(hit: &'h Hit, place: &str) -> Option<&'h Datum> {
    match place.split_once('.') {
        Some(("args", name)) => hit.args.get(name),
        Some(("entry", name)) => hit.entry.get(name),
        Some(("exit", name)) => hit.exit.get(name),
        _ => hit.return_value.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use crate::document::Width;
    use crate::document::value::{Integer, Value};
    use crate::testing::evidence;

    use super::check_widths;

    /// Check that a width without bits, one of no place of a hit, and one that a measured number does not fit into are refused.
    #[test]
    fn wrong() {
        let sample = evidence();
        let create = &sample.experiments["create"];
        let with = |place: &str, bits: u32, signed: bool, number: i64| {
            let mut create = create.clone();
            let probe = create.probes.get_mut("sock_alloc").unwrap();
            let value = Value::Int {
                value: Integer::from(number),
                type_name: None,
            };
            (probe.hits[0].exit).insert("read".into(), value.into());
            probe.widths = [(place.to_owned(), Width { bits, signed })].into();
            check_widths("", &create).map(|(at, reason)| format!("{at}: {reason}"))
        };
        for (place, bits, signed, number) in [
            ("exit.read", 8, false, 255),
            ("exit.read", 8, true, -128),
            ("exit.read", 128, true, i64::MIN),
            ("exit.read.member", 1, false, 9),
            ("return", 64, false, 9),
        ] {
            assert_eq!(with(place, bits, signed, number), None);
        }
        for (place, bits, signed, number, reason) in [
            ("exit.read", 8, false, 256, "wider"),
            ("exit.read", 8, false, -1, "wider"),
            ("exit.read", 8, true, 128, "wider"),
            ("exit.read", 0, false, 0, "0 bits"),
            ("exit.read", 129, false, 0, "129 bits"),
            ("read", 8, false, 0, "none of"),
            ("hits.read", 8, false, 0, "none of"),
        ] {
            let found = with(place, bits, signed, number).unwrap_or_default();
            assert!(found.contains(reason), "{place} {bits} {number}: {found}");
        }
    }
}
