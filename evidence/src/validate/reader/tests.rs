use super::*;
use crate::testing::{evidence, evidence_text};

/// Read `text` with `from` replaced by `to`, which must occur.
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
            r#"{"kind": "int", "value": 3, "cut": {}}"#,
            "/experiments/create/outcome/returned",
            "unknown field `cut`",
        ),
        (
            fd,
            r#"{"kind": "text", "value": "abc", "cut": true}"#,
            "/experiments/create/outcome/returned/cut",
            "invalid type",
        ),
        (
            fd,
            r#"{"kind": "text", "value": "abc", "cut": {"whole": 3}}"#,
            "/experiments/create/outcome/returned",
            "cannot be the beginning",
        ),
        (
            fd,
            r#"{"kind": "stack", "value": [], "cut": {"whole": 3}}"#,
            "/experiments/create/outcome/returned",
            "never known",
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
            "\"nowhere_else\": { \"target\"",
            "\"fd_install\": { \"target\"",
            "/experiments/exhausted/probes",
            "duplicate key `fd_install`",
        ),
        (
            "\"nowhere_else\": { \"target\"",
            "\"a.b\": { \"target\"",
            "/experiments/exhausted/probes",
            "`a.b` is not a name",
        ),
        (
            "\"nowhere_else\": { \"target\"",
            "\"quality\": { \"target\"",
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
            ", \"watched\": [\"0xffffffff92b30000\"], \"backend\": \"kprobe\", \"skipped\": 0",
            "",
            "/experiments/exhausted/probes/nowhere_else",
            "says its back-end",
        ),
        (
            "\"name\": \"SS_UNCONNECTED\", \"value\": 1",
            "\"name\": \"SS_UNCONNECTED\", \"value\": 2",
            "/experiments/create/probes/sock_alloc/hits/0/exit/state",
            "is 1 in this document, not 2",
        ),
        (
            "\"symbol\": \"__sock_create\", \"offset\": 31",
            "\"symbol\": \"__sock_create\", \"offset\": 30",
            "/experiments/create/probes/sock_alloc/hits/0/stack",
            "is `__sock_create+0x1f` by this document's symbols",
        ),
        (
            "\"offset\": 31, \"address\": \"0xffffffff92a0001f\"",
            "\"offset\": 32, \"address\": \"0xffffffff92a00020\"",
            "/experiments/create/probes/sock_alloc/hits/0",
            "the caller is not where the call returns to",
        ),
        (
            "\"symbol\": \"sock_alloc\", \"offset\": 0",
            "\"symbol\": \"fd_install\", \"offset\": 0",
            "/experiments/create/probes/sock_alloc/hits/0/stack",
            "is `sock_alloc+0x0` by this document's symbols",
        ),
        (
            "\"stack\": [],",
            "\"stack\": [{\"address\": \"0xffffffff92c00000\", \"symbol\": \"sock_alloc\", \"offset\": 0}],",
            "/experiments/create/objects/allocations/0/stack/0",
            "belongs to no symbol",
        ),
        (
            "\"size\": 288",
            "\"size\": 4097",
            "/names/symbols/1",
            "begins before",
        ),
        (
            "\"SS_FREE\": 0",
            "\"SS_CONNECTED\": 0",
            "/names/enums/socket_state",
            "duplicate key `SS_CONNECTED`",
        ),
        (
            "\"watched\": [\"0xffffffff92b30000\"], \"backend\"",
            "\"unavailable\": \"x\", \"backend\"",
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

/// Check that a document of another version is called that, whatever else is in it, and that what is not a document
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

    use std::collections::BTreeMap;

    use super::super::{read, write};
    use crate::document::names::{Names, Symbol};
    use crate::document::value::{
        Address, Bytes, Cut, Datum, Frame, InlineFrame, Integer, LineRole, Location, Value,
    };
    use crate::document::*;

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
            any::<bool>(),
        )
            .prop_map(|(address, symbol, offset, site, interrupts)| Frame {
                address: Address(address),
                symbol,
                offset,
                site,
                interrupts,
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
            (integer(), maybe()).prop_map(|(value, set)| Value::Flags {
                value,
                set,
                names: Vec::new(),
            }),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(|value| Value::Bytes {
                value: Bytes(value)
            }),
            text().prop_map(|value| Value::Text { value }),
            (text(), maybe_longer()).prop_map(|(value, more)| Value::CutText {
                cut: beyond(value.len(), more),
                value,
            }),
            (proptest::collection::vec(any::<u8>(), 0..9), maybe_longer()).prop_map(
                |(value, more)| Value::CutBytes {
                    cut: beyond(value.len(), more),
                    value: Bytes(value),
                }
            ),
            proptest::collection::vec(frame(), 0..3).prop_map(|value| Value::CutStack {
                value,
                cut: Cut::default(),
            }),
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

    /// The number of bytes that were cut off, where that is known.
    fn maybe_longer() -> impl Strategy<Value = Option<u32>> {
        proptest::option::of(1..=u32::MAX)
    }

    fn beyond(retained: usize, more: Option<u32>) -> Cut {
        Cut {
            whole: more.map(|more| retained as u64 + u64::from(more)),
        }
    }

    fn datum() -> impl Strategy<Value = Datum> {
        prop_oneof![4 => value().prop_map(Datum::Value), 1 => text().prop_map(Datum::unavailable)]
    }

    fn data() -> impl Strategy<Value = BTreeMap<String, Datum>> {
        proptest::collection::btree_map(text(), datum(), 0..3)
    }

    fn maybe<T: std::fmt::Debug>(
        some: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Option<T>> {
        proptest::option::of(some)
    }

    fn hit() -> impl Strategy<Value = Hit> {
        let orders = proptest::collection::vec(maybe(any::<u64>()), 4);
        let context = maybe(proptest::sample::select(vec![
            Context::Task,
            Context::Softirq,
            Context::Hardirq,
            Context::Act,
        ]));
        let task = (any::<i32>(), any::<i32>(), text(), any::<u32>(), context);
        let single = proptest::collection::vec(maybe(datum()), 6);
        (orders, task, data(), data(), data(), single).prop_map(
            |(orders, (pid, tid, name, cpu, context), args, entry, exit, single)| {
                let [return_value, instance, returns_to, caller, site, stack] =
                    single.try_into().unwrap();
                Hit {
                    order: orders[0],
                    time_ns: orders[1],
                    return_order: orders[2],
                    return_time_ns: orders[3],
                    task: Task { pid, tid, name },
                    cpu,
                    context,
                    args,
                    entry,
                    exit,
                    return_value,
                    instance,
                    returns_to,
                    caller,
                    site,
                    stack,
                }
            },
        )
    }

    fn within() -> impl Strategy<Value = crate::document::instances::Within> {
        let counts = (any::<u64>(), maybe(any::<u64>()));
        (text(), counts, maybe(text())).prop_map(|(function, (undecided, settled), why)| {
            crate::document::instances::Within {
                function,
                undecided,
                settled,
                why,
            }
        })
    }

    fn instruction() -> impl Strategy<Value = crate::document::Instruction> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..16);
        (any::<u64>(), bytes, text()).prop_map(|(offset, bytes, text)| {
            crate::document::Instruction {
                offset,
                bytes: crate::document::value::Bytes(bytes),
                text,
            }
        })
    }

    fn call() -> impl Strategy<Value = crate::document::CallSite> {
        let code = proptest::collection::vec(instruction(), 0..3);
        (any::<u64>(), any::<u64>(), code).prop_map(|(function, instruction, code)| {
            crate::document::CallSite {
                function: Address(function),
                instruction: Address(instruction),
                code,
            }
        })
    }

    fn probe() -> impl Strategy<Value = Probe> {
        let target = prop_oneof![
            text().prop_map(Target::Function),
            text().prop_map(Target::Tracepoint),
            text().prop_map(Target::Lsm),
            text().prop_map(Target::Address),
        ];
        let backend =
            proptest::sample::select(vec![Backend::Kprobe, Backend::Tracepoint, Backend::Lsm]);
        let hits = proptest::collection::vec(hit(), 0..3);
        // Attached with hits, or unavailable without.
        let state = prop_oneof![
            (backend, hits).prop_map(|(backend, hits)| (Some(backend), None, hits)),
            text().prop_map(|reason| (None, Some(reason), Vec::new())),
        ];
        let refused = || proptest::collection::btree_map(text(), text(), 0..2);
        let parameters = proptest::collection::vec((text(), text()), 0..2);
        (
            (target, any::<bool>(), state),
            (
                parameters,
                maybe(text()),
                maybe(datum()),
                maybe(datum()),
                maybe(datum()),
            ),
            (refused(), refused()),
            (
                maybe(instruction()),
                maybe(datum()),
                maybe(any::<u64>()),
                proptest::collection::vec(any::<u64>().prop_map(Address), 0..3),
                maybe(within()),
            ),
        )
            .prop_map(
                |(
                    (target, optional, (backend, unavailable, hits)),
                    (parameters, returns, address, definition, attach_errno),
                    (entry, exit),
                    (instruction, listed, skipped, watched, within),
                )| Probe {
                    target,
                    optional,
                    backend,
                    unavailable,
                    attach_errno,
                    parameters: parameters
                        .into_iter()
                        .map(|(name, type_name)| Parameter { name, type_name })
                        .collect(),
                    returns,
                    address,
                    watched,
                    file: within.as_ref().map(|within| within.function.clone()),
                    within,
                    definition,
                    instruction,
                    listed,
                    refused_reads: Reads { entry, exit },
                    members: Members::default(),
                    widths: BTreeMap::new(),
                    public: Vec::new(),
                    retyped: Vec::new(),
                    skipped: skipped.filter(|_| backend.is_some()),
                    hits,
                },
            )
    }

    fn allocation() -> impl Strategy<Value = Allocation> {
        let frames = || proptest::collection::vec(frame(), 0..3);
        let freed = (
            text(),
            any::<u64>(),
            any::<u64>(),
            any::<bool>(),
            text(),
            frames(),
        );
        let freed = freed.prop_map(|(probe, order, time_ns, same_task, task, stack)| Free {
            probe,
            order,
            time_ns,
            same_task,
            task,
            stack,
        });
        (
            (any::<u64>(), text(), maybe(text()), maybe(any::<u64>())),
            (
                any::<u64>(),
                any::<u64>(),
                frames(),
                maybe(freed),
                maybe(text()),
            ),
        )
            .prop_map(
                |((address, probe, cache, size), (order, time_ns, stack, freed, excused))| {
                    Allocation {
                        address: Address(address),
                        probe,
                        cache,
                        size,
                        order,
                        time_ns,
                        stack,
                        freed,
                        excused,
                    }
                },
            )
    }

    fn experiment() -> impl Strategy<Value = Experiment> {
        let outcome = (proptest::collection::vec(datum(), 6), data(), data()).prop_map(
            |(single, results, buffers)| {
                let [returned, errno, exit, signal, stdout, stderr] = single.try_into().unwrap();
                Outcome {
                    returned,
                    errno,
                    exit,
                    signal,
                    stdout,
                    stderr: Some(stderr),
                    results,
                    buffers,
                }
            },
        );
        let notes = proptest::collection::vec(text(), 0..2);
        let descendants =
            (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(running, ended, lost)| {
                let [running, ended, lost] = [running, ended, lost].map(u64::from);
                Descendants {
                    started: running + ended + lost,
                    followed: running + ended,
                    running,
                }
            });
        let whole = (
            maybe(descendants),
            maybe(any::<u64>()),
            maybe(any::<bool>()),
            maybe(any::<bool>()),
            maybe(any::<u64>()),
            maybe(any::<u32>()),
        );
        let quality = (any::<u64>(), any::<u64>(), any::<u64>(), whole, notes).prop_map(
            |(events, lost, missed, whole, notes)| {
                let (
                    descendants,
                    threads_running,
                    marked,
                    until_user_space,
                    compat_calls,
                    attempts,
                ) = whole;
                Quality {
                    events,
                    lost,
                    missed,
                    descendants,
                    threads_running,
                    marked,
                    until_user_space,
                    compat_calls,
                    attempts,
                    notes,
                }
            },
        );
        let allocations = proptest::collection::vec(allocation(), 0..3);
        let objects = (any::<u64>(), allocations).prop_map(|(waited_ns, allocations)| Ledger {
            waited_ns,
            allocations,
        });
        let cost = (any::<u64>(), any::<u64>(), any::<u32>()).prop_map(
            |(bare_ns, probed_ns, iterations)| Cost {
                bare_ns,
                probed_ns,
                iterations,
            },
        );
        let probes = proptest::collection::btree_map("p_[a-z0-9_]{0,5}", probe(), 0..3);
        (
            (text(), maybe(text()), outcome, quality),
            (maybe(objects), maybe(cost), probes, maybe(call())),
        )
            .prop_map(
                |((workload, unavailable, outcome, quality), (objects, cost, probes, call))| {
                    Experiment {
                        workload,
                        files: Vec::new(),
                        unavailable,
                        call,
                        outcome,
                        quality,
                        objects,
                        cost,
                        graph: None,
                        probes,
                    }
                },
            )
    }

    fn kaslr() -> impl Strategy<Value = Kaslr> {
        let places = proptest::collection::vec(datum(), 3).prop_map(|single| {
            let [live, static_address, slide] = single.try_into().unwrap();
            SymbolPlaces {
                live,
                static_address,
                slide,
            }
        });
        let symbols = proptest::collection::btree_map(text(), places, 0..3);
        let by = proptest::sample::select(vec![Reader::Machine, Reader::Builder]);
        let reading = (by, text(), text(), maybe(any::<u64>()), datum());
        let reading = reading.prop_map(|(by, file, key, line, text)| Reading {
            by,
            file,
            key,
            line,
            text,
        });
        let readings = proptest::collection::vec(reading, 0..3);
        let single = proptest::collection::vec(datum(), 8);
        (single, data(), symbols, readings).prop_map(|(single, sources, symbols, readings)| {
            let [status, slide, agree, checked, differing, start, align, live] =
                single.try_into().unwrap();
            Kaslr {
                status,
                slide,
                agree,
                sources,
                symbols,
                checked,
                differing,
                physical_start: start,
                physical_align: align,
                live_physical_start: live,
                readings,
            }
        })
    }

    fn commands() -> impl Strategy<Value = BTreeMap<String, CommandRun>> {
        let by = proptest::sample::select(vec![Reader::Machine, Reader::Builder]);
        let argv = proptest::collection::vec(text(), 0..3);
        let command = (by, argv, datum(), datum(), data());
        let command = command.prop_map(|(by, argv, exit, output, values)| CommandRun {
            by,
            argv,
            files: Vec::new(),
            exit,
            output,
            values: values
                .into_iter()
                .filter(|(name, _)| crate::path::is_name(name))
                .collect(),
        });
        proptest::collection::btree_map("c_[a-z0-9_]{0,5}", command, 0..3)
    }

    fn kernel() -> impl Strategy<Value = Kernel> {
        let texts = proptest::collection::vec(text(), 3);
        let single = proptest::collection::vec(datum(), 4);
        (texts, single, data(), maybe(text()), maybe(text())).prop_map(
            |(texts, single, config, package, command_line)| {
                let [release, version, btf_digest] = texts.try_into().unwrap();
                let [build_id, lockdown, lsm, debuginfo] = single.try_into().unwrap();
                Kernel {
                    arch: None,
                    release,
                    version,
                    package,
                    build_id,
                    image_digest: None,
                    modules: BTreeMap::new(),
                    btf_digest,
                    config,
                    lockdown,
                    lsm,
                    command_line,
                    debuginfo,
                }
            },
        )
    }

    /// Symbols in order that do not overlap: each a gap after the last.
    fn symbols() -> impl Strategy<Value = Vec<Symbol>> {
        let symbol = (0..u64::MAX / 16, 1..u64::MAX / 16, text());
        proptest::collection::vec(symbol, 1..6).prop_map(|list| {
            let mut free = 0;
            let mut out = Vec::new();
            for (gap, size, name) in list {
                out.push(Symbol {
                    address: Address(free + gap),
                    size,
                    name,
                });
                free += gap + size;
            }
            out
        })
    }

    /// Make the names in a value those of its numbers, or the numbers those of its names.
    fn settle(value: &mut Value, names: &mut Names) {
        let place = |at: &mut Address| {
            let symbol = &names.symbols[(at.0 % names.symbols.len() as u64) as usize];
            let offset = at.0 % symbol.size;
            at.0 = symbol.address.0 + offset;
            (symbol.name.clone(), offset)
        };
        match value {
            Value::Address {
                value,
                symbol: Some(symbol),
                ..
            } => {
                let (name, offset) = place(value);
                *symbol = format!("{name}+{offset:#x}");
            }
            Value::Symbol {
                name,
                offset,
                address,
            } => (*name, *offset) = place(address),
            Value::Stack { value } | Value::CutStack { value, .. } => value
                .iter_mut()
                .for_each(|frame| settle_frame(frame, names)),
            Value::Enum {
                value,
                type_name,
                name: Some(name),
            } => {
                let list = names.enums.entry(type_name.clone()).or_default();
                *value = *list.entry(name.clone()).or_insert(*value);
            }
            Value::Flags {
                value,
                set: Some(set),
                names: of_value,
            } => {
                let prot = || crate::constants::flag_set("PROT").unwrap();
                names.flags.entry(set.clone()).or_insert_with(prot);
                *of_value = names.flag_names(set, *value).unwrap();
            }
            _ => {}
        }
    }

    fn settle_frame(frame: &mut Frame, names: &mut Names) {
        let mut value = Value::Symbol {
            name: String::new(),
            offset: 0,
            address: frame.address,
        };
        settle(&mut value, names);
        if let (
            Some(_),
            Value::Symbol {
                name,
                offset,
                address,
            },
        ) = (&frame.symbol, value)
        {
            (frame.symbol, frame.offset, frame.address) = (Some(name), Some(offset), address);
        } else {
            frame.offset = None;
        }
    }

    /// Settle every value of a document.
    fn settle_all(document: &mut Evidence) {
        let mut names = document.names.clone();
        let mut list: Vec<&mut Datum> = Vec::new();
        let kernel = &mut document.kernel;
        list.extend([&mut kernel.build_id, &mut kernel.lockdown, &mut kernel.lsm]);
        list.push(&mut kernel.debuginfo);
        list.extend(kernel.config.values_mut());
        list.extend(kernel.modules.values_mut());
        let kaslr = &mut document.kaslr;
        list.extend([&mut kaslr.status, &mut kaslr.slide, &mut kaslr.agree]);
        list.extend([&mut kaslr.checked, &mut kaslr.differing]);
        list.extend([&mut kaslr.physical_start, &mut kaslr.physical_align]);
        list.push(&mut kaslr.live_physical_start);
        list.extend(kaslr.sources.values_mut());
        list.extend(kaslr.readings.iter_mut().map(|reading| &mut reading.text));
        for places in kaslr.symbols.values_mut() {
            list.extend([
                &mut places.live,
                &mut places.static_address,
                &mut places.slide,
            ]);
        }
        for command in document.commands.values_mut() {
            list.extend([&mut command.exit, &mut command.output]);
            list.extend(command.values.values_mut());
        }
        for boot in &mut document.boots {
            list.extend([&mut boot.slide, &mut boot.text, &mut boot.physical]);
        }
        for experiment in document.experiments.values_mut() {
            let outcome = &mut experiment.outcome;
            list.extend([&mut outcome.returned, &mut outcome.errno, &mut outcome.exit]);
            list.extend([&mut outcome.signal, &mut outcome.stdout]);
            list.extend(&mut outcome.stderr);
            list.extend(outcome.results.values_mut());
            list.extend(outcome.buffers.values_mut());
            for allocation in experiment
                .objects
                .iter_mut()
                .flat_map(|o| &mut o.allocations)
            {
                for frame in &mut allocation.stack {
                    settle_frame(frame, &mut names);
                }
                for frame in allocation
                    .freed
                    .iter_mut()
                    .flat_map(|freed| &mut freed.stack)
                {
                    settle_frame(frame, &mut names);
                }
            }
            for probe in experiment.probes.values_mut() {
                list.extend(probe.address.iter_mut().chain(&mut probe.definition));
                list.extend(probe.listed.iter_mut().chain(&mut probe.attach_errno));
                for hit in &mut probe.hits {
                    list.extend(hit.args.values_mut());
                    list.extend(hit.entry.values_mut().chain(hit.exit.values_mut()));
                    list.extend(hit.return_value.iter_mut().chain(&mut hit.caller));
                    list.extend(hit.site.iter_mut().chain(&mut hit.stack));
                }
            }
        }
        for datum in list {
            if let Datum::Value(value) = datum {
                settle(value, &mut names);
            }
        }
        document.names = names;
    }

    /// Make a document say the same wherever it says something twice.
    fn agree(document: &mut Evidence) {
        let machine = &mut document.machine;
        match machine.kind {
            MachineKind::Host => {
                (machine.name, machine.ephemeral) = ("host".into(), false);
                (machine.accelerator, document.kernel.command_line) = (None, None);
                machine.resumed = None;
                document.boots.clear();
            }
            // A word: whatever the text was.
            MachineKind::Guest => {
                machine.name = format!("guest:{:.32}", hex::encode(format!("x{}", machine.name)));
                // A time: whatever the text was.
                let booted = |_| "2026-11-23T11:00:00Z".to_owned();
                machine.resumed = machine.resumed.take().map(booted);
            }
        }
        machine.cpus = machine.cpus.saturating_add(1);
        document.kaslr.slide = Datum::unavailable("one source");
        document.kaslr.agree = Datum::unavailable("one source");
        document.kaslr.differing = Datum::unavailable("not compared");
        for places in document.kaslr.symbols.values_mut() {
            places.slide = Datum::unavailable("no two addresses");
        }
        for (index, boot) in document.boots.iter_mut().enumerate() {
            boot.slide = Datum::unavailable("not stated");
            boot.physical = Datum::unavailable("not stated");
            boot.boot_id = format!("{}-{index}", document.machine.boot_id);
        }
        for command in document.commands.values_mut() {
            command.exit = Value::int(0).into();
            command.output = Datum::unavailable("not kept");
        }
        let cpus = document.machine.cpus;
        for experiment in document.experiments.values_mut() {
            agree_in(experiment, cpus);
        }
    }

    /// The same for one experiment.
    fn agree_in(experiment: &mut Experiment, cpus: u32) {
        let outcome = &mut experiment.outcome;
        outcome.errno = Datum::unavailable("a command has none");
        outcome.returned = Datum::unavailable("a command has none");
        outcome.signal = Datum::unavailable("it ended by itself");
        if let Some(call) = &mut experiment.call {
            let mut next = 0;
            for one in &mut call.code {
                one.offset = next;
                next += one.bytes.0.len() as u64;
            }
            call.code.retain(|one| !one.bytes.0.is_empty());
            call.function = Address(call.function.0 % (1 << 32));
            call.instruction = call.function;
        }
        if experiment.call.as_ref().is_some_and(|c| c.code.is_empty()) {
            experiment.call = None;
        }
        let mut events = 0;
        let mut next = || {
            events += 1;
            Some(events)
        };
        let mut seen = Vec::new();
        for (name, probe) in &mut experiment.probes {
            let function = matches!(probe.target, Target::Function(_) | Target::Address(_));
            probe.backend = probe.backend.map(|_| match probe.target {
                Target::Function(_) | Target::Address(_) => Backend::Kprobe,
                Target::Tracepoint(_) => Backend::Tracepoint,
                Target::Lsm(_) => Backend::Lsm,
            });
            // Two names for one place would see the same events.
            probe.address = None;
            probe.attach_errno = None;
            probe.parameters.clear();
            probe.returns = None;
            for hit in &mut probe.hits {
                hit.order = next();
                hit.return_order = hit.return_order.filter(|_| function).and_then(|_| next());
                hit.time_ns = hit.time_ns.and(hit.order);
                hit.return_time_ns = hit.return_time_ns.and(hit.return_order);
                hit.task.pid = hit.task.tid;
                hit.cpu %= cpus;
                (hit.caller, hit.site, hit.returns_to) = (None, None, None);
                hit.instance = None;
                seen.push((name.clone(), hit.order.unwrap(), hit.time_ns));
            }
        }
        experiment.quality.events = events;
        let Some(ledger) = &mut experiment.objects else {
            return;
        };
        // Each row has the stack of its own event, and nobody else's.
        ledger.allocations.truncate(seen.len());
        for (allocation, (probe, order, time)) in ledger.allocations.iter_mut().zip(&seen) {
            (allocation.probe, allocation.order) = (probe.clone(), *order);
            allocation.time_ns = time.unwrap_or(allocation.time_ns);
            allocation.stack.clear();
            allocation.freed = None;
        }
    }

    /// Documents of every form that there is.
    fn document() -> impl Strategy<Value = Evidence> {
        let run = (proptest::collection::vec(text(), 6), any::<bool>()).prop_map(
            |(texts, marks_cuts)| {
                let [
                    id,
                    time,
                    investigation,
                    investigation_digest,
                    collector,
                    object_digest,
                ] = texts.try_into().unwrap();
                Run {
                    id,
                    time,
                    investigation,
                    investigation_digest,
                    collector,
                    object_digest,
                    marks_cuts,
                }
            },
        );
        let machine = (
            text(),
            any::<bool>(),
            any::<bool>(),
            text(),
            text(),
            any::<u32>(),
            maybe(text()),
            maybe(text()),
        );
        let machine = machine.prop_map(
            |(name, host, ephemeral, boot_id, cpu_model, cpus, accelerator, resumed)| Machine {
                name,
                kind: if host {
                    MachineKind::Host
                } else {
                    MachineKind::Guest
                },
                ephemeral,
                boot_id,
                cpu_model,
                cpus,
                accelerator,
                resumed,
            },
        );
        let boot = (text(), text(), datum(), datum(), datum()).prop_map(
            |(boot_id, time, slide, text, physical)| Boot {
                boot_id,
                time,
                slide,
                text,
                physical,
            },
        );
        let experiments = proptest::collection::btree_map("e_[a-z0-9_]{0,5}", experiment(), 0..3);
        (
            (run, machine, kernel(), kaslr()),
            (
                proptest::collection::vec(boot, 0..2),
                commands(),
                symbols(),
                experiments,
            ),
        )
            .prop_map(
                |((run, machine, kernel, kaslr), (boots, commands, symbols, experiments))| {
                    let mut document = Evidence {
                        schema: SCHEMA_VERSION,
                        run,
                        machine,
                        kernel,
                        kaslr,
                        boots,
                        commands,
                        instances: BTreeMap::new(),
                        facts: None,
                        names: Names {
                            symbols,
                            enums: BTreeMap::new(),
                            integers: BTreeMap::new(),
                            flags: BTreeMap::new(),
                        },
                        experiments,
                    };
                    settle_all(&mut document);
                    agree(&mut document);
                    document
                },
            )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Check that evidence comes back from JSON as it went in, whatever it is.
        #[test]
        fn identity(document in document()) {
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
