//! Values that have exactly the length limit of the investigation, and no mark that they were truncated. Removing such a mark
//! from evidence leaves exactly such a value; so it is treated as truncated.
//!
//! Such a value is rarely complete (an array of exactly as many bytes as were requested, an output that ends there). Then the
//! author can request one byte more.

use crate::document::value::{Cut, Value};
use crate::investigation::{Investigation, ONE_LOAD};
use crate::path::hit_number;

/// The number of bytes that a split UTF-8 character can lose: the longest has this many after its first, and its remainder is
/// dropped.
const REST_OF_CHARACTER: usize = 3;

/// The name of a task: the kernel keeps this many bytes of it, and a NUL.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched.h#L330>
const TASK_NAME: Lengths = Lengths {
    string: 15,
    array: None,
    most: 15,
};

/// The value under this path, marked as truncated if it may have been.
pub(super) fn mark_if_truncated(
    investigation: &Investigation,
    segments: &[&str],
    value: &Value,
) -> Option<Value> {
    let cut = Cut::default();
    let lengths = || lengths(investigation, segments);
    match value {
        Value::Text { value } => {
            let split = if value.is_ascii() {
                0
            } else {
                REST_OF_CHARACTER
            };
            lengths()?
                .reaches(value.len(), split)
                .then(|| Value::CutText {
                    value: value.clone(),
                    cut,
                })
        }
        Value::Bytes { value } => lengths()?
            .reaches(value.0.len(), 0)
            .then(|| Value::CutBytes {
                value: value.clone(),
                cut,
            }),
        _ => None,
    }
}

/// The lengths to which longer values are truncated.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// Of a string, or of an output.
    string: usize,
    /// Of an array; `None` if it is only read whole.
    array: Option<usize>,
    /// The maximum length: no stored value is longer.
    most: usize,
}

impl Lengths {
    /// True if a value of this many bytes is as long as a truncated one, or up to `split` bytes shorter.
    fn reaches(self, length: usize, split: usize) -> bool {
        let near = |end: usize| (end.saturating_sub(split)..=end).contains(&length);
        near(self.string) || self.array.is_some_and(near) || length > self.most
    }
}

/// The lengths to which values under this path are truncated; `None` if they never are.
fn lengths(investigation: &Investigation, segments: &[&str]) -> Option<Lengths> {
    let output = |most: u32| {
        let most = usize::try_from(most).ok()?;
        Some(Lengths {
            string: most,
            array: None,
            most,
        })
    };
    match segments {
        ["commands", name, "output"] => output(investigation.command(name)?.max_output),
        [experiment, "outcome", "stdout" | "stderr"] => {
            output(investigation.experiment(experiment)?.max_output)
        }
        [experiment, probe, rest @ ..] => {
            let probe = investigation.experiment(experiment)?.probe(probe)?;
            let rest = match rest {
                [hit, rest @ ..] if hit_number(hit).is_some() => rest,
                rest => rest,
            };
            let reads = match rest {
                ["task"] => return Some(TASK_NAME),
                ["args", _] => return Some(read_lengths(None)),
                ["entry", _] | ["entry", _, _] => &probe.entry,
                ["exit", _] | ["exit", _, _] => &probe.exit,
                // Of a structure that is read whole nothing is cut; a longer one is not read at all.
                _ => return None,
            };
            let read = reads
                .iter()
                .find(|read| Some(&read.name.as_str()) == rest.get(1))?;
            let is_element = rest.len() == 3;
            (is_element == read.limit.is_some()).then(|| read_lengths(read.max))
        }
        _ => None,
    }
}

/// The lengths for a read for which the investigation requests this many bytes. A string is read in as many loads as that
/// takes, and the last byte of each load does not belong to it.
fn read_lengths(requested: Option<u32>) -> Lengths {
    let load = ONE_LOAD - 1;
    let loads = requested.map_or(1, |requested| requested / load + 1);
    let bytes = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let string = bytes(loads.saturating_mul(load));
    Lengths {
        string,
        array: requested.map(bytes),
        most: string.max(bytes(ONE_LOAD)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::Bytes;

    /// Check the lengths at which a value of a read, of an argument and of an output counts as truncated, and those at which it
    /// does not.
    #[test]
    fn lengths_of_what_was_cut() {
        let mut plan = crate::testing::investigation();
        plan.experiments[0].max_output = 1000;
        let reads = &mut plan.experiments[0].probes;
        let probe = reads
            .iter_mut()
            .find(|probe| probe.name == "sock_alloc")
            .unwrap();
        let read = probe
            .exit
            .iter_mut()
            .find(|read| read.name == "name")
            .unwrap();
        read.max = Some(200);
        let mut list = read.clone();
        (list.name, list.limit) = ("names".into(), Some(3));
        probe.exit.push(list);
        let is_cut = |path: &str, value: &Value| {
            let segments: Vec<&str> = path.split('.').collect();
            mark_if_truncated(&plan, &segments, value).is_some()
        };
        let text = |length: usize| Value::text("x".repeat(length));
        for (path, cut, whole) in [
            (
                "create.sock_alloc.exit.name",
                vec![200, 252, 253, 300],
                vec![0, 63, 64, 199, 201, 251],
            ),
            (
                "create.sock_alloc.hit1.exit.name",
                vec![200, 252],
                vec![199, 201],
            ),
            (
                "create.sock_alloc.exit.raw",
                vec![63, 65],
                vec![0, 15, 60, 62, 64],
            ),
            ("create.sock_alloc.args.name", vec![63, 65], vec![62, 64]),
            ("create.sock_alloc.exit.names.e2", vec![200, 252], vec![199]),
            ("create.sock_alloc.hit1.exit.names.e2", vec![252], vec![251]),
            ("create.sock_alloc.exit.names.e2.name", vec![], vec![252]),
            ("create.sock_alloc.exit.name.member", vec![], vec![252]),
            ("create.outcome.stdout", vec![1000, 1001], vec![63, 64, 999]),
            ("create.sock_alloc.task", vec![15, 16], vec![1, 14]),
            ("create.sock_alloc.hit1.task", vec![15], vec![14]),
            ("create.workload", vec![], vec![63, 64, 1000]),
            ("kernel.version", vec![], vec![63, 64, 1000]),
            ("create.outcome.buffers.name", vec![], vec![63, 64]),
        ] {
            for length in cut {
                assert!(is_cut(path, &text(length)), "{path}: {length}");
            }
            for length in whole {
                assert!(!is_cut(path, &text(length)), "{path}: {length}");
            }
        }
        let name = "create.sock_alloc.exit.raw";
        let split = |retained: usize| Value::text(format!("ä{}", "x".repeat(retained - 2)));
        assert!(is_cut(name, &split(60)) && !is_cut(name, &split(59)));
        let bytes = |length: usize| Value::Bytes {
            value: Bytes(vec![0xff; length]),
        };
        assert!(is_cut(name, &bytes(63)) && !is_cut(name, &bytes(64)));
    }
}
