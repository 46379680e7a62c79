use super::*;
use crate::testing::{evidence, evidence_text};

/// Reads `text` with `from` replaced by `to`, which must occur.
fn changed(from: &str, to: &str) -> Result<Evidence, ReadError> {
    let text = evidence_text();
    assert!(text.contains(from), "{from}");
    read(text.replacen(from, to, 1).as_bytes())
}

/// Check that each way to be malformed is refused at its place with its reason.
#[test]
fn refusals() {
    let fd = r#"{"kind": "fd", "value": 3}"#;
    for (from, to, pointer, reason) in [
        (
            fd,
            r#"{"kind": "fd", "value": -1}"#,
            "/experiments/create/outcome/returned",
            "cannot be -1",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": 2147483648}"#,
            "/experiments/create/outcome/returned/value",
            "i32",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": "3"}"#,
            "/experiments/create/outcome/returned/value",
            "invalid type",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": 3.0}"#,
            "/experiments/create/outcome/returned/value",
            "invalid type",
        ),
        (
            fd,
            r#"{"kind": "fd"}"#,
            "/experiments/create/outcome/returned",
            "missing field `value`",
        ),
        (
            fd,
            r#"{"kind": "fdd", "value": 3}"#,
            "/experiments/create/outcome/returned/kind",
            "unknown variant `fdd`",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": 3, "value": 4}"#,
            "/experiments/create/outcome/returned",
            "duplicate field `value`",
        ),
        (
            fd,
            r#"{"kind": "fd", "kind": "fd", "value": 3}"#,
            "/experiments/create/outcome/returned",
            "duplicate field `kind`",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": 3, "type": "int"}"#,
            "/experiments/create/outcome/returned",
            "unknown field `type`",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": 3, "more": 1}"#,
            "/experiments/create/outcome/returned/more",
            "unknown field `more`",
        ),
        (
            fd,
            r#"{"value": 3, "kind": "fd"}"#,
            "/experiments/create/outcome/returned",
            "before `value`",
        ),
        (
            fd,
            r#"{"kind": "fd", "value": 3, "unavailable": "x"}"#,
            "/experiments/create/outcome/returned",
            "unknown field `unavailable`",
        ),
        (
            fd,
            r#"{"unavailable": "x", "name": "y"}"#,
            "/experiments/create/outcome/returned",
            "unknown field `name`",
        ),
        (fd, "{}", "/experiments/create/outcome/returned", "neither"),
        (
            fd,
            "3",
            "/experiments/create/outcome/returned",
            "invalid type",
        ),
        (
            fd,
            "null",
            "/experiments/create/outcome/returned",
            "invalid type",
        ),
        (
            fd,
            r#"{"kind": "errno", "value": -24, "name": "ENFILE"}"#,
            "/experiments/create/outcome/returned",
            "is `EMFILE`",
        ),
        (
            fd,
            r#"{"kind": "errno", "value": 4096, "name": "E4096"}"#,
            "/experiments/create/outcome/returned",
            "out of range",
        ),
        (
            fd,
            r#"{"kind": "int", "value": 9007199254740993}"#,
            "/experiments/create/outcome/returned/value",
            "decimal string",
        ),
        (
            fd,
            r#"{"kind": "int", "value": "7"}"#,
            "/experiments/create/outcome/returned/value",
            "out of range",
        ),
        (
            fd,
            r#"{"kind": "int", "value": "18446744073709551616"}"#,
            "/experiments/create/outcome/returned/value",
            "out of range",
        ),
        (
            fd,
            r#"{"kind": "int", "value": "0018446744073709551615"}"#,
            "/experiments/create/outcome/returned/value",
            "not a decimal",
        ),
        (
            "0xffff888004aa1000\"",
            "0xFFFF888004AA1000\"",
            "/experiments/create/objects/allocations/0/address",
            "not an address",
        ),
        (
            "0xffff888004aa1000\"",
            "0xffff888004aa100\"",
            "/experiments/create/objects/allocations/0/address",
            "not an address",
        ),
        (
            "0xffff888004aa1000\"",
            "18446612682150744064\"",
            "/experiments/create/objects/allocations/0/address",
            "not an address",
        ),
        (
            "\"0102\"",
            "\"010\"",
            "/experiments/create/probes/sock_alloc/hits/0/exit/raw/value",
            "bytes `010`",
        ),
        (
            "\"0102\"",
            "\"0A02\"",
            "/experiments/create/probes/sock_alloc/hits/0/exit/raw/value",
            "lower-case",
        ),
        (
            "\"line\": 1540",
            "\"line\": 0",
            "/experiments/create/probes/sock_alloc/hits/0/site",
            "counted from 1",
        ),
        (
            "\"role\": \"call\"",
            "\"role\": \"callee\"",
            "/experiments/create/probes/sock_alloc/hits/0/site/value/role",
            "unknown variant",
        ),
        ("\"cpus\": 1", "\"cpus\": -1", "/machine/cpus", "u32"),
        (
            "\"cpus\": 1",
            "\"cpus\": 1, \"hostname\": \"x\"",
            "/machine/hostname",
            "unknown field `hostname`",
        ),
        (
            "\"cpus\": 1",
            "\"cpus\": 1, \"cpus\": 2",
            "/machine",
            "duplicate field `cpus`",
        ),
        (
            "\"ephemeral\": true,",
            "",
            "/machine",
            "missing field `ephemeral`",
        ),
        (
            "\"nowhere_else\":",
            "\"fd_install\":",
            "/experiments/exhausted/probes",
            "duplicate key `fd_install`",
        ),
        (
            "\"nowhere_else\":",
            "\"a.b\":",
            "/experiments/exhausted/probes",
            "`a.b` is not a name",
        ),
        (
            "\"nowhere_else\":",
            "\"quality\":",
            "/experiments/exhausted/probes/quality",
            "reserved",
        ),
        (
            "\"exhausted\":",
            "\"kaslr\":",
            "/experiments/kaslr",
            "reserved",
        ),
        (
            "\"name\": {\"kind\": \"text\", \"value\": \"TCP\"}",
            "\"state\": {\"kind\": \"text\", \"value\": \"TCP\"}",
            "/experiments/create/probes/sock_alloc/hits/0/exit",
            "duplicate key `state`",
        ),
        (
            "{\"function\": \"nowhere_else\"}, \"backend\": \"kprobe\"",
            "{\"function\": \"nowhere_else\"}",
            "/experiments/exhausted/probes/nowhere_else",
            "says its back-end",
        ),
        (
            "{\"function\": \"nowhere_else\"}, \"backend\"",
            "{\"function\": \"nowhere_else\"}, \"unavailable\": \"x\", \"backend\"",
            "/experiments/exhausted/probes/nowhere_else",
            "not both",
        ),
    ] {
        match changed(from, to) {
            Ok(_) => panic!("{to} was read"),
            Err(ReadError::Form {
                pointer: found,
                reason: why,
            }) => {
                assert!(why.to_string().contains(reason), "{to}: {why}");
                assert_eq!(found, pointer, "{to}: {why}");
            }
            Err(ReadError::Contradiction {
                pointer: found,
                reason: why,
            }) => {
                assert!(why.contains(reason), "{to}: {why}");
                assert_eq!(found, pointer, "{to}");
            }
            Err(other) => panic!("{to}: {other}"),
        }
    }
}

/// Check that a document of another version is called that, whatever else is in it, and that what is no document
/// at all is refused.
#[test]
fn whole_documents() {
    let version =
        |text: &str| matches!(read(text.as_bytes()), Err(ReadError::Version { found: 2 }));
    assert!(version(&evidence_text().replacen(
        "\"schema\": 1",
        "\"schema\": 2",
        1
    )));
    assert!(version("{\"schema\": 2, \"all\": \"different\"}"));
    assert!(matches!(read(b"\xff"), Err(ReadError::Encoding(_))));
    assert!(matches!(
        read(&vec![b' '; MAX_BYTES + 1]),
        Err(ReadError::TooLarge(_))
    ));
    let text = evidence_text().trim_end();
    for end in (0..text.len()).step_by(97) {
        assert!(
            matches!(read(&text.as_bytes()[..end]), Err(ReadError::Form { .. })),
            "{end}"
        );
    }
    let twice = format!("{text}{text}");
    let error = read(twice.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("trailing"), "{error}");
    for deep in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        assert!(read(deep.as_bytes()).is_err());
        let inside = evidence_text().replacen("{\"kind\": \"fd\", \"value\": 3}", &deep, 1);
        assert!(read(inside.as_bytes()).is_err());
    }
}

/// Check that what is written is read back as it was.
#[test]
fn round_trip_of_the_sample() {
    let text = write(&evidence()).unwrap();
    assert_eq!(read(text.as_bytes()).unwrap(), evidence());
}

mod round_trip {
    use proptest::prelude::*;

    use super::super::{read, write};
    use crate::testing::evidence;
    use crate::value::{
        Address, Bytes, Datum, Frame, InlineFrame, Integer, LineRole, Location, Value,
    };

    fn integer() -> impl Strategy<Value = Integer> {
        prop_oneof![
            any::<i64>().prop_map(Integer::from),
            any::<u64>().prop_map(Integer::from)
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["\\PC{0,12}", any::<String>()]
    }

    fn location() -> impl Strategy<Value = Location> {
        let inlined = proptest::collection::vec((text(), text(), any::<u32>()), 0..3);
        (text(), 1..u32::MAX, text(), any::<bool>(), inlined).prop_map(
            |(file, line, function, call, inlined)| Location {
                file,
                line,
                function,
                role: if call {
                    LineRole::Call
                } else {
                    LineRole::Definition
                },
                inlined_into: inlined
                    .into_iter()
                    .map(|(function, file, line)| InlineFrame {
                        function,
                        file,
                        line,
                    })
                    .collect(),
            },
        )
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let site = proptest::option::of(location());
        (
            any::<u64>(),
            proptest::option::of(text()),
            proptest::option::of(any::<u64>()),
            site,
        )
            .prop_map(|(address, symbol, offset, site)| Frame {
                address: Address(address),
                symbol,
                offset,
                site,
            })
    }

    /// Values of every kind.
    fn value() -> impl Strategy<Value = Value> {
        let maybe = || proptest::option::of(text());
        prop_oneof![
            (any::<u64>(), maybe(), maybe()).prop_map(|(value, type_name, symbol)| {
                Value::Address {
                    value: Address(value),
                    type_name,
                    symbol,
                }
            }),
            (integer(), maybe()).prop_map(|(value, type_name)| Value::Int { value, type_name }),
            any::<bool>().prop_map(|value| Value::Bool { value }),
            integer().prop_map(|value| Value::Offset { value }),
            any::<u64>().prop_map(|value| Value::Size { value }),
            (0..=i32::MAX).prop_map(|value| Value::Fd { value }),
            (0..=i32::MAX).prop_map(|value| Value::Pid { value }),
            (-4095..=4095i32).prop_map(|value| Value::Errno {
                value,
                name: crate::constants::errno_name(value.unsigned_abs())
                    .unwrap()
                    .into_owned(),
            }),
            (integer(), text(), maybe()).prop_map(|(value, type_name, name)| Value::Enum {
                value,
                type_name,
                name
            }),
            (integer(), proptest::collection::vec(text(), 0..3))
                .prop_map(|(value, names)| Value::Flags { value, names }),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(|value| Value::Bytes {
                value: Bytes(value)
            }),
            text().prop_map(|value| Value::Text { value }),
            (text(), any::<u64>(), any::<u64>()).prop_map(|(name, offset, address)| {
                Value::Symbol {
                    name,
                    offset,
                    address: Address(address),
                }
            }),
            location().prop_map(|value| Value::Location { value }),
            proptest::collection::vec(frame(), 0..3).prop_map(|value| Value::Stack { value }),
            any::<u64>().prop_map(|ns| Value::Time { ns }),
        ]
    }

    fn datum() -> impl Strategy<Value = Datum> {
        prop_oneof![4 => value().prop_map(Datum::Value), 1 => text().prop_map(Datum::unavailable)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Check that evidence comes back from JSON as it went in, whatever its values are.
        #[test]
        fn identity(
            data in proptest::collection::btree_map(text(), datum(), 0..6),
            returned in datum(),
            config in proptest::collection::btree_map(text(), datum(), 0..4),
            names in (text(), text(), any::<u64>()),
            frames in proptest::collection::vec(frame(), 0..3),
        ) {
            let mut document = evidence();
            document.kernel.config = config;
            document.machine.cpu_model = names.0;
            let create = document.experiments.get_mut("create").unwrap();
            create.workload = names.1;
            create.quality.events = names.2;
            create.outcome.returned = returned.clone();
            let ledger = create.objects.as_mut().unwrap();
            ledger.allocations[0].stack = frames;
            let hit = &mut create.probes.get_mut("sock_alloc").unwrap().hits[0];
            hit.args = data.clone();
            hit.entry = data;
            hit.return_value = Some(returned);
            let text = write(&document).unwrap();
            prop_assert_eq!(read(text.as_bytes()).unwrap(), document);
        }

        /// Check that damaged documents never panic, and that what is still read says what was read.
        #[test]
        fn damaged(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = crate::testing::evidence_text().as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(document) = read(&bytes) {
                let text = write(&document).unwrap();
                prop_assert_eq!(read(text.as_bytes()).unwrap(), document);
            }
        }
    }
}
