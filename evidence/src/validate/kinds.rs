//! Check of the kinds of values that were read against those that the investigation asks for.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::document::pointer::escape;
use crate::document::value::Datum;
use crate::investigation::{Read, ReadKind, element_name};

/// Check that numbers mean what the investigation says that they do. A pointer or a text may be what the type of a path makes of it.
pub(super) fn check_kinds(
    at: impl Fn() -> String,
    reads: &[Read],
    found: &BTreeMap<String, Datum>,
) -> Option<Finding> {
    let mut values = reads.iter().flat_map(|read| {
        let elements = 0..read.limit.unwrap_or_default() as usize;
        let elements = elements.map(|index| format!("{}.{}", read.name, element_name(index)));
        let own = read.limit.is_none().then(|| read.name.clone());
        own.into_iter()
            .chain(elements)
            .map(move |name| (read, name))
    });
    values.find_map(|(read, name)| {
        let kind = found.get(&name)?.value()?.kind();
        let wanted = read.kind.map(ReadKind::value_kind);
        let possible = match (wanted, &read.names) {
            (Some(wanted), _) => kind == wanted || !NUMBERS.contains(&kind),
            (None, Some(_)) => !["fd", "pid", "size", "offset", "time"].contains(&kind),
            (None, None) => kind == "int" || !NUMBERS.contains(&kind),
        };
        (!possible).then(|| {
            let reason = match wanted {
                Some(wanted) => {
                    format!("the value is of kind `{kind}`, and the read asks for `{wanted}`")
                }
                None => format!("the value is of kind `{kind}`, and the read asks for none"),
            };
            (format!("{}/{}", at(), escape(&name)), reason)
        })
    })
}

/// The kinds of values that are numbers which a read's `kind` tells apart.
const NUMBERS: &[&str] = &[
    "int", "fd", "pid", "errno", "size", "offset", "flags", "time",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::{Integer, Value};

    fn finding(keys: &str, value: Value) -> Option<String> {
        let text = format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"dup\", args = [0] }}\n[[experiment.probe]]\nfunction = \"f\"\n\
             reads = [{{ at = \"entry\", name = \"value\", path = \"regs->ax\"{keys} }}]\n"
        );
        let investigation = crate::investigation::parse("i.toml", &text).unwrap();
        let reads = &investigation.experiments[0].probes[0].entry;
        let found = BTreeMap::from([("value".to_owned(), Datum::Value(value))]);
        check_kinds(|| "/at".into(), reads, &found).map(|(at, reason)| format!("{at}: {reason}"))
    }

    /// Check that a number is refused that is of another kind than the read asks for, or of one where it asks for none, and that what the
    /// type of a path makes of it is not.
    #[test]
    fn numbers_of_other_kinds() {
        let int = || Value::Int {
            value: Integer::from(3_i64),
            type_name: None,
        };
        let fd = || Value::Fd { value: 3 };
        let size = || Value::Size { value: 3 };
        assert_eq!(finding("", int()), None);
        assert_eq!(finding(", kind = \"fd\"", fd()), None);
        assert_eq!(finding(", kind = \"fd\"", Value::text("3")), None);
        for (keys, value, reason) in [
            (
                "",
                fd(),
                "the value is of kind `fd`, and the read asks for none",
            ),
            (
                ", kind = \"size\"",
                fd(),
                "the value is of kind `fd`, and the read asks for `size`",
            ),
            (
                ", kind = \"fd\"",
                int(),
                "the value is of kind `int`, and the read asks for `fd`",
            ),
            (
                ", kind = \"ip\"",
                size(),
                "the value is of kind `size`, and the read asks for `text`",
            ),
            (
                ", names = \"errno\"",
                size(),
                "the value is of kind `size`, and the read asks for none",
            ),
        ] {
            assert_eq!(
                finding(keys, value),
                Some(format!("/at/value: {reason}")),
                "{keys}"
            );
        }
    }
}
