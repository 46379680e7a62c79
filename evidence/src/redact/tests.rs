use proptest::prelude::*;
use sha2::Digest as _;

use super::tasks::generalize_thread_name;
use super::*;
use crate::claim::Verdict;
use crate::document::Reader;
use crate::document::value::{Bytes, Datum, Integer, Value};
use crate::path_index::leaves;
use crate::testing::{claim, evidence, investigation, judge_on};

mod canaries;
mod tables;

fn pointer(number: u64) -> Datum {
    Datum::Value(Value::address(number))
}

/// Evidence with these pointers among what a hit read, in this order of paths.
fn with_pointers(numbers: &[u64]) -> Evidence {
    let mut evidence = evidence();
    let probe = evidence
        .experiments
        .get_mut("create")
        .unwrap()
        .probes
        .get_mut("sock_alloc")
        .unwrap();
    for (index, number) in numbers.iter().enumerate() {
        probe.hits[0]
            .exit
            .insert(format!("p{index:03}"), pointer(*number));
    }
    evidence
}

fn text(evidence: &Evidence) -> String {
    crate::validate::reader::write(evidence).unwrap()
}

proptest! {
    /// Check that equal pointers stay equal and different ones different, and that nothing else of them survives:
    /// any other pointers that are equal in the same places give the same document.
    #[test]
    fn only_equality_survives(
        pattern in proptest::collection::vec(0_usize..6, 1..12),
        one in proptest::collection::hash_set(0xffff_8880_0000_1000_u64..0xffff_ffff_fe00_0000, 6),
        other in proptest::collection::hash_set(0xffff_8880_0000_1000_u64..0xffff_ffff_fe00_0000, 6),
    ) {
        let make = |set: &std::collections::HashSet<u64>| {
            let set: Vec<u64> = set.iter().copied().collect();
            let numbers: Vec<u64> = pattern.iter().map(|index| set[*index]).collect();
            redact(&with_pointers(&numbers)).unwrap()
        };
        let (a, b) = (make(&one), make(&other));
        prop_assert_eq!(text(&a), text(&b));
        let all = leaves(&a);
        let shown: Vec<String> = (0..pattern.len())
            .map(|i| all.get(&format!("create.sock_alloc.exit.p{i:03}")).unwrap().datum.value().unwrap().to_string())
            .collect();
        for (i, x) in pattern.iter().enumerate() {
            for (j, y) in pattern.iter().enumerate() {
                prop_assert_eq!(x == y, shown[i] == shown[j]);
            }
        }
    }

    /// Check that it does not matter where anything was: after the image slid elsewhere, and everything else lies in
    /// other places, in another order and at other distances, the document comes out the same, byte for byte.
    #[test]
    fn places_do_not_survive(
        slide in 0_u64..200,
        modules in 0_u64..0x1000,
        heap in proptest::collection::hash_set(0x111_u64..0x3f_ffff_ffff, 24),
    ) {
        let heap: Vec<u64> = heap.into_iter().collect();
        let before = busy();
        let after = elsewhere(&before, slide << 21, modules << 12, &heap);
        let (a, b) = (redact(&before).unwrap(), redact(&after).unwrap());
        prop_assert_eq!(text(&a), text(&b));
        prop_assert!(text(&before) != text(&after));
    }

    /// Check that a text keeps everything but addresses.
    #[test]
    fn scrub_takes_addresses_alone(before in "[a-z ./:]{0,12}", number in 0xffff_8880_0000_1000_u64..0xffff_ffff_fe00_0000) {
        let text = format!("{before} {number:#x}, {number:X}; {number} 7 deadbeef");
        prop_assert_eq!(remove_addresses(&text), format!("{before} …, …; … 7 deadbeef"));
    }
}

/// Evidence with pointers of every kind wherever the document can hold one, in no order: into the image, into a
/// module, and to objects next to each other.
fn busy() -> Evidence {
    use crate::document::value::Frame;
    use crate::document::{Allocation, Hit};
    const OBJECTS: u64 = 0xffff_8880_04aa_2000;
    let mut busy = with_pointers(&[
        OBJECTS + 0x80,
        OBJECTS,
        OBJECTS + 0x40,
        OBJECTS + 8,
        0xffff_c900_0001_3e58,
        0xffff_ffff_c020_1010,
        0xffff_ffff_92a0_0010,
        OBJECTS,
    ]);
    let symbol = |address: u64, size: u64, name: &str| crate::document::names::Symbol {
        address: Address(address),
        size,
        name: name.into(),
    };
    busy.names.symbols.extend([
        // Its end is where another module begins: a distance.
        symbol(0xffff_ffff_c020_1000, 0x2_3000, "in_module"),
        symbol(0xffff_ffff_c022_4000, 0x40, "in_another"),
    ]);
    let frame = |address: u64, symbol: &str, offset: u64| Frame {
        address: Address(address),
        symbol: Some(symbol.into()),
        offset: Some(offset),
        site: None,
        interrupts: false,
    };
    let create = busy.experiments.get_mut("create").unwrap();
    create.quality.events = 12;
    // What a ledger says, a probe has to have seen.
    let seen = &mut create.probes.get_mut("allocation").unwrap().hits;
    for order in 10..=12 {
        seen.push(Hit {
            order: Some(order),
            ..seen[0].clone()
        });
    }
    let ledger = create.objects.as_mut().unwrap();
    for (order, address) in [
        (10, OBJECTS + 0x40),
        (11, OBJECTS + 0xc0),
        (12, OBJECTS + 0x100),
    ] {
        ledger.allocations.push(Allocation {
            address: Address(address),
            order,
            stack: vec![
                frame(0xffff_ffff_c020_1010, "in_module", 0x10),
                frame(0xffff_ffff_c022_4008, "in_another", 8),
                frame(0xffff_ffff_92a0_0023, "__sock_create", 0x23),
                Frame {
                    address: Address(0xffff_ffff_c0f0_0000 + order),
                    symbol: None,
                    offset: None,
                    site: None,
                    interrupts: false,
                },
            ],
            freed: None,
            ..ledger.allocations[0].clone()
        });
    }
    crate::validate::reader::read(text(&busy).as_bytes()).unwrap()
}

/// The same document of another boot: the image slid, the modules elsewhere, everything else anywhere.
fn elsewhere(evidence: &Evidence, slide: u64, modules: u64, heap: &[u64]) -> Evidence {
    /// The slide that the document tells.
    const TOLD: u64 = 0x1120_0000;
    fn walk(node: &mut Json, slide: u64, place: &mut dyn FnMut(u64) -> u64) {
        match node {
            Json::Object(map) => map.values_mut().for_each(|child| walk(child, slide, place)),
            Json::Array(list) => list.iter_mut().for_each(|child| walk(child, slide, place)),
            Json::String(text) => {
                if let Ok(address) = text.parse::<Address>() {
                    *text = Address(place(address.0)).to_string();
                }
            }
            Json::Number(number) if number.as_u64() == Some(TOLD) => *node = json!(TOLD + slide),
            _ => {}
        }
    }
    let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
    let mut place = |address: u64| match address {
        0xffff_ffff_9200_0000..0xffff_ffff_9300_0000 => address + slide,
        0xffff_ffff_c020_0000..0xffff_ffff_c022_4000 => address + modules,
        0xffff_ffff_c022_4000..0xffff_ffff_c030_0000 => address + 0x0123_4000 + 3 * modules,
        address if is_pointer(address) && !address.is_multiple_of(1 << 24) => {
            let next = moved.len();
            *moved
                .entry(address)
                .or_insert_with(|| 0xffff_8880_0000_0000 + (heap[next] << 3) + 0x1000)
        }
        address => address,
    };
    let mut document = serde_json::to_value(evidence).unwrap();
    walk(&mut document, slide, &mut place);
    crate::validate::reader::read(document.to_string().as_bytes()).unwrap()
}

/// Check that nothing that says where something is comes out, of whatever kind, and that harmless values do.
#[test]
fn no_address_gets_out() {
    const SECRET: u64 = 0xffff_ffff_9123_4568;
    let mut live = with_pointers(&[SECRET, SECRET + 8]);
    let hit = &mut live
        .experiments
        .get_mut("create")
        .unwrap()
        .probes
        .get_mut("sock_alloc")
        .unwrap()
        .hits[0];
    let mut bytes = vec![0; 3];
    bytes.extend(SECRET.to_le_bytes());
    let low = SECRET & 0xffff_ffff;
    for (name, value) in [
        (
            "s_int",
            Value::Int {
                value: Integer::from(SECRET),
                type_name: None,
            },
        ),
        (
            "s_negative",
            Value::Int {
                value: Integer::from(SECRET.cast_signed()),
                type_name: Some("long".into()),
            },
        ),
        (
            "s_low",
            Value::Int {
                value: Integer::from(low),
                type_name: Some("u32".into()),
            },
        ),
        (
            "s_flags",
            Value::Flags {
                value: Integer::from(SECRET),
                set: None,
                names: vec![],
            },
        ),
        (
            "s_bytes",
            Value::Bytes {
                value: Bytes(bytes),
            },
        ),
        ("s_text", Value::text(format!("at {SECRET:016x}."))),
        ("s_decimal", Value::text(format!("at {SECRET}"))),
        ("s_slide", Value::int(287_309_824)),
        ("s_undeclared", Value::int(-24)),
        ("s_text_of_memory", Value::text("6.1.0 deadbeef")),
        (
            "s_byte",
            Value::Bytes {
                value: Bytes(vec![0x68]),
            },
        ),
        ("s_time", Value::Time { ns: SECRET }),
        ("s_time_undeclared", Value::Time { ns: 192_168 }),
        (
            "s_flags_without_names",
            Value::Flags {
                value: Integer::from(192_168_i64),
                set: None,
                names: vec![],
            },
        ),
        (
            "s_enum_without_name",
            Value::Enum {
                value: Integer::from(7_i64),
                type_name: "socket_state".into(),
                name: None,
            },
        ),
        (
            "s_offset",
            Value::Offset {
                value: Integer::from(12_i64),
            },
        ),
        ("s_small_pointer", Value::address(0x68)),
        ("h_fd", Value::Fd { value: 3 }),
        ("h_zero", Value::int(0)),
        ("h_size", Value::Size { value: 192 }),
        ("h_most_bytes", Value::Size { value: 1 << 20 }),
        (
            "s_many_bytes",
            Value::Size {
                value: (1 << 20) + 1,
            },
        ),
        ("s_pid_called_descriptor", Value::Fd { value: 20_741 }),
        ("s_stack_of_a_task", Value::int(0x7ffc_1234_5678_i64)),
        ("s_library", Value::int(0x7f12_3456_7000_i64)),
        ("s_program", Value::int(0x55d0_1234_5000_i64)),
        (
            "s_swapped",
            Value::Size {
                value: u64::from((SECRET as u32).swap_bytes()),
            },
        ),
        ("h_int", Value::int(-24)),
        ("h_min", Value::int(i64::from(i32::MIN))),
        ("h_null", Value::address(0)),
        ("h_error", Value::address(0xffff_ffff_ffff_fff4)),
        ("h_text", Value::text("6.1.0 deadbeef")),
        (
            "h_bytes",
            Value::Bytes {
                value: Bytes(vec![0xcc]),
            },
        ),
    ] {
        hit.exit.insert(name.into(), Datum::Value(value));
    }
    hit.task.pid = 7;
    // What the investigation declares public is published, unless it is an address or a part of one.
    let public = [
        "s_int",
        "s_low",
        "s_flags",
        "s_text",
        "h_int",
        "h_min",
        "h_text",
        "h_bytes",
        "s_stack_of_a_task",
        "s_library",
        "s_program",
        "s_swapped",
    ];
    live.experiments
        .get_mut("create")
        .unwrap()
        .probes
        .get_mut("sock_alloc")
        .unwrap()
        .public = public.map(|name| format!("exit.{name}")).to_vec();
    let command = |by, values: &[(&str, Value)]| crate::document::CommandRun {
        by,
        argv: vec!["grep".into(), "_text".into()],
        files: Vec::new(),
        exit: Value::int(0).into(),
        output: Datum::unavailable("not written down"),
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect(),
    };
    let found = [
        ("h_live", Value::address(SECRET)),
        ("s_distance", Value::int(SECRET.cast_signed() - 0x1234)),
        ("s_exit", Value::int(7)),
        ("s_name", Value::text("zebra.example")),
        ("h_release", Value::text(live.kernel.release.clone())),
    ];
    live.commands = [
        ("live".to_owned(), command(Reader::Machine, &found)),
        (
            "fixed".to_owned(),
            command(
                Reader::Builder,
                &[("s_static", Value::address(0xffff_ffff_8123_4560))],
            ),
        ),
    ]
    .into();
    live.machine.boot_id = "937aeb08-b86d-4dda-9ab3-a778cf47275c".into();
    let redacted = redact(&live).unwrap();
    assert!(is_redacted(&redacted) && !is_redacted(&live));
    let all = leaves(&redacted);
    for (path, leaf) in all.iter() {
        let name = path.rsplit('.').next().unwrap();
        match leaf.datum.as_ref() {
            Datum::Value(_) => assert!(!name.starts_with("s_"), "{path} is shown"),
            Datum::Missing(reason) => {
                assert!(!name.starts_with("h_"), "{path}: {}", reason)
            }
        }
    }
    // A live address in a command's output is a stand-in like all others, and the same wherever it stands.
    let stand_in = |path: &str| all.get(path).unwrap().datum.value().map(Value::to_string);
    let Some(Value::Address { value, .. }) = all
        .get("commands.live.values.h_live")
        .unwrap()
        .datum
        .value()
    else {
        panic!("no address")
    };
    assert!(value.is_pseudonym());
    assert_eq!(stand_in("commands.live.exit").as_deref(), Some("0"));
    assert_eq!(stand_in("commands.live.run").as_deref(), Some("grep _text"));
    for path in [
        "commands.fixed.values.s_static",
        "kaslr.slide",
        "kaslr.symbols._text.live",
        "kaslr.symbols._text.static",
        "machine.boot_id",
    ] {
        let Datum::Missing(reason) = all.get(path).unwrap().datum.as_ref() else {
            panic!("{path} is shown");
        };
        assert!(withheld_reason(&reason.to_string()).is_some(), "{path}");
    }
    assert_eq!(
        all.get("kaslr.agree").unwrap().datum.value(),
        Some(&Value::Bool { value: true })
    );
    // Names of symbols and lines say nothing about a place in memory.
    assert_eq!(
        all.get("create.sock_alloc.caller")
            .unwrap()
            .datum
            .value()
            .unwrap()
            .to_string(),
        "__sock_create+0x1f"
    );
}

/// Check that the tables of the kernel's enumerators can be published of a live machine, whatever their numbers: they are those of
/// its build. What a value says of them is published by its name alone.
#[test]
fn tables_of_enumerators() {
    const SLIDE: u64 = 0x1220_0000;
    let mut live = slid(&evidence(), SLIDE);
    let pointer = 0xffff_8881_8a3b_5c78_u64;
    let low = i64::from((pointer & 0xffff_ffff) as u32);
    let table: BTreeMap<String, Integer> = [
        ("T_NONE", 0),
        ("T_ERROR", -1),
        ("T_SLIDE", SLIDE.cast_signed()),
        ("T_LOW", low),
        ("T_LAST", i64::from(u32::MAX)),
    ]
    .map(|(name, number)| (name.to_owned(), Integer::from(number)))
    .into();
    // One whose values were not read, and one that has values.
    live.names.enums.insert("unread".into(), table.clone());
    live.names.enums.insert("read".into(), table.clone());
    let create = live.experiments.get_mut("create").unwrap();
    let hit = &mut create.probes.get_mut("sock_alloc").unwrap().hits[0];
    hit.exit
        .insert("pointer".into(), Value::address(pointer).into());
    let named = |name: Option<&str>, number: i64| {
        Datum::from(Value::Enum {
            value: Integer::from(number),
            type_name: "read".into(),
            name: name.map(str::to_owned),
        })
    };
    for (read, value) in [
        ("h_named", named(Some("T_ERROR"), -1)),
        ("h_zero", named(Some("T_NONE"), 0)),
        // The number of one enumerator is a part of an address of this boot.
        ("s_low", named(Some("T_LOW"), low)),
        ("s_slide", named(Some("T_SLIDE"), SLIDE.cast_signed())),
        // One that the kernel's type does not have can be any number.
        ("s_nameless", named(None, 54_321)),
    ] {
        hit.exit.insert(read.into(), value);
    }
    let redacted = redact(&live).unwrap();
    for name in ["unread", "read"] {
        assert_eq!(redacted.names.enums.get(name), Some(&table), "{name}");
    }
    assert_eq!(redacted.names.enums, live.names.enums);
    let exit = &redacted.experiments["create"].probes["sock_alloc"].hits[0].exit;
    for (name, datum) in exit {
        let is_shown = datum.value().is_some();
        assert!(!is_shown || !name.starts_with("s_"), "{name} is shown");
        assert!(is_shown || !name.starts_with("h_"), "{name} is withheld");
    }
    assert!(!text(&redacted).contains("54321"));
}

/// Check that the names of other tasks do not come out, and the workload's does.
#[test]
fn tasks() {
    let mut live = evidence();
    let create = live.experiments.get_mut("create").unwrap();
    create.quality.events = 11;
    let hits = &mut create.probes.get_mut("sock_alloc").unwrap().hits;
    let mut other = hits[0].clone();
    (other.order, other.return_order) = (Some(10), Some(11));
    (other.time_ns, other.return_time_ns) = (Some(100), Some(110));
    (other.task.tid, other.stack) = (4242, None);
    (other.caller, other.site) = (None, None);
    (other.task.pid, other.task.name) = (4242, "jbd2/sda1-8".into());
    hits.push(other);
    let allocation = &mut create.objects.as_mut().unwrap().allocations[0];
    let freed = allocation.freed.as_mut().unwrap();
    (freed.same_task, freed.task) = (false, "customer-backup".into());
    create.probes.get_mut("release").unwrap().hits[0].task.pid = 4242;
    create.probes.get_mut("release").unwrap().hits[0].task.tid = 4242;
    let text = text(&redact(&live).unwrap());
    assert!(
        !text.contains("customer") && !text.contains("sda1"),
        "{text}"
    );
    assert!(text.contains("\"another task\"") && text.contains("\"qed\""));
    for (name, expected) in [
        ("swapper/0", Some("swapper")),
        ("kworker/u8:2-x", Some("kworker")),
        ("kworkerx", None),
    ] {
        assert_eq!(generalize_thread_name(name).as_deref(), expected);
    }
}

/// Check that what is redacted can be redacted again without a change, and is of the schema.
#[test]
fn stays_evidence() {
    let once = redact(&evidence()).unwrap();
    assert_eq!(redact(&once).unwrap(), once);
    let schema = serde_json::to_value(schemars::schema_for!(Evidence)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document = serde_json::from_str(&text(&once)).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// Check that claims about equality keep their verdicts, that claims that need more are UNVERIFIED, and that none
/// gets another verdict than on the raw evidence.
#[test]
fn claims_on_redacted_evidence() {
    let raw = evidence();
    let redacted = redact(&raw).unwrap();
    for (text, kept) in [
        (
            "create.sock_alloc.return != 0u && create.outcome.returned == 3",
            true,
        ),
        ("create.sock_alloc.return != 0u", true),
        ("create.sock_alloc.return == 0u", true),
        (
            "create.sock_alloc.return != create.sock_alloc.exit.file",
            true,
        ),
        (
            "create.sock_alloc.return == create.sock_alloc.exit.file",
            true,
        ),
        (
            "symbol_name(create.sock_alloc.caller) == 'sock_create'",
            true,
        ),
        (
            "create.sock_alloc.return < create.sock_alloc.exit.file",
            false,
        ),
        ("create.sock_alloc.return == 0xffff888004aa1000u", false),
        (
            "delta(create.sock_alloc.exit.file, create.sock_alloc.return) > 0",
            false,
        ),
        ("aligned(create.sock_alloc.return, 8)", false),
        ("mask(create.sock_alloc.return, 0xfffu) == 0u", false),
        ("create.sock_alloc.return % 16u == 0u", false),
        (
            "create.sock_alloc.return + 16u == create.sock_alloc.exit.file",
            false,
        ),
        ("kaslr.slide > 0", false),
        (
            "delta(kaslr.symbols._text.live, kaslr.symbols._text.static) == kaslr.slide",
            false,
        ),
    ] {
        claim(text)
            .unwrap()
            .check(&crate::path_index::resolve::Catalog {
                investigation: &investigation(),
                machines: &[crate::path_index::resolve::Indexed::new(&raw)],
            });
        let (a, b) = (judge_on(text, &raw), judge_on(text, &redacted));
        assert!(
            matches!(a.verdict, Verdict::Pass | Verdict::Fail),
            "{text}: {:?}",
            a.reason
        );
        let expected = if kept { a.verdict } else { Verdict::Unverified };
        assert_eq!(b.verdict, expected, "{text}: {:?}", b.reason);
    }
}

/// A live machine's document, made of the recorded one of a guest: everything else in it is as real as it can be.
fn recorded_as_host(text: &[u8]) -> Evidence {
    let mut evidence = crate::validate::reader::read(text).unwrap();
    evidence.machine.name = "host".into();
    evidence.machine.kind = crate::document::MachineKind::Host;
    evidence.machine.ephemeral = false;
    evidence.boots.clear();
    // Two of its experiments have all that there is, and take less time.
    evidence
        .experiments
        .retain(|name, _| ["create", "text_before"].contains(&name.as_str()));
    evidence
}

/// Where an arm64 kernel is linked to be.
const ARM64_IMAGE: u64 = 0xffff_8000_8000_0000;

/// The same document of a kernel for arm64: its image and its objects lie elsewhere.
fn on_arm64(evidence: &Evidence) -> Evidence {
    fn walk(node: &mut Json) {
        let elsewhere = |address: u64| match address {
            0xffff_8880_0000_0000..0xffff_9000_0000_0000 => {
                Some(0xffff_0000_0000_0000 | address & 0x7f_ffff_ffff)
            }
            0xffff_ffff_8000_0000..0xffff_ffff_c000_0000 => {
                Some(ARM64_IMAGE + (address & 0x7fff_ffff))
            }
            _ => None,
        };
        match node {
            Json::Object(map) => map.values_mut().for_each(walk),
            Json::Array(list) => list.iter_mut().for_each(walk),
            Json::String(text) => {
                if let Some(address) = Address::parse(text).and_then(|a| elsewhere(a.0)) {
                    *text = Address(address).to_string();
                } else if let Some(address) = text.parse().ok().and_then(elsewhere) {
                    *text = address.to_string();
                }
            }
            _ => {}
        }
    }
    let mut document = serde_json::to_value(evidence).unwrap();
    document["kernel"]["arch"] = json!("aarch64");
    document["kernel"]["release"] = json!("6.12.90+deb13-arm64");
    for name in ["physical_start", "physical_align"] {
        document["kaslr"][name] = json!({"unavailable": "not on arm64"});
    }
    walk(&mut document);
    crate::validate::reader::read(document.to_string().as_bytes()).unwrap()
}

/// The same document with the kernel elsewhere: live addresses of the image, the slide, and where it is in memory.
fn slid(evidence: &Evidence, slide: u64) -> Evidence {
    let told = match evidence.kaslr.slide.value() {
        Some(Value::Offset { value }) => u64::try_from(value.get()).unwrap(),
        other => panic!("{other:?}"),
    };
    let image = match evidence.kernel.architecture() {
        "x86_64" => 0xffff_ffff_8000_0000..0xffff_ffff_c000_0000,
        _ => ARM64_IMAGE + told..ARM64_IMAGE + told + (1 << 30),
    };
    let moved = |live: u64| image.contains(&live).then(|| live - told + slide);
    fn walk(
        node: &mut Json,
        is_static: bool,
        number: &dyn Fn(u64) -> Option<u64>,
        offset: &dyn Fn(u64) -> u64,
    ) {
        match node {
            Json::Object(map) => {
                let kind = value_kind(map).map(str::to_owned);
                for (key, child) in map.iter_mut() {
                    match (kind.as_deref(), key.as_str(), child.as_u64()) {
                        (Some("offset"), "value", Some(bytes)) => *child = json!(offset(bytes)),
                        _ => walk(child, is_static || key == "static", number, offset),
                    }
                }
            }
            Json::Array(list) => list
                .iter_mut()
                .for_each(|child| walk(child, is_static, number, offset)),
            Json::String(text) if !is_static => {
                if let Some(address) = Address::parse(text).and_then(|a| number(a.0)) {
                    *text = Address(address).to_string();
                } else if let Some(address) = text.parse().ok().and_then(number) {
                    *text = address.to_string();
                }
            }
            _ => {}
        }
    }
    let mut document = serde_json::to_value(evidence).unwrap();
    // Commands and readings repeat all of this as text, and are looked at by a test of their own.
    document["commands"] = json!({});
    document["kaslr"]["readings"] = json!([]);
    walk(&mut document, false, &moved, &|bytes| {
        if bytes == told { slide } else { bytes }
    });
    if slide == 0 {
        document["kaslr"]["status"]["value"] = json!(crate::document::DISABLED);
    }
    crate::validate::reader::read(document.to_string().as_bytes())
        .unwrap_or_else(|e| panic!("{slide:#x}: {e}"))
}

/// Check that lines of a withheld output are searched for, but for one that the redacted document shows in another place and one of
/// common words; a line with a live address is not shown, wherever it stands.
#[test]
fn withheld_lines() {
    const SETTING: &str = "CONFIG_ZEBRA_CASTLE=0x1000";
    const LIVE: &str = "ffffffff9f345678 T zebra_castle";
    let mut host = evidence();
    for (key, line) in [("CONFIG_ZEBRA_CASTLE", SETTING), ("zebra_castle", LIVE)] {
        host.kaslr.readings.push(crate::document::Reading {
            by: crate::document::Reader::Machine,
            file: "/proc/zebra".into(),
            key: key.into(),
            line: Some(1),
            text: Value::text(line).into(),
        });
    }
    let outcome = &mut host.experiments.get_mut("create").unwrap().outcome;
    let lines = [SETTING, LIVE, "it is not known", "zebra7 of zacharias"];
    outcome.stdout = Value::text(lines.join("\n")).into();
    let texts = withheld_texts(&host);
    let searcher = Searcher::new(&texts, &BTreeSet::new());
    let found = lines.map(|line| !searcher.find(line.as_bytes()).is_empty());
    assert_eq!(found, [false, true, false, true], "{texts:?}");
}

/// Check that no slide of all that a kernel can have keeps a real document from being published, and that what is
/// published does not depend on it.
#[test]
fn every_slide() {
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../recorded/guest-debian-6.1.json"
    );
    let Ok(text) = std::fs::read(recorded) else {
        return qed_layers::note_skipped("there is no recorded evidence here");
    };
    let host = recorded_as_host(&text);
    every_slide_of(&host, (0..512).map(|number| number << 21));
}

/// Check the same of an arm64 kernel, at slides of each alignment.
#[test]
fn every_alignment_on_arm64() {
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../recorded/guest-debian-7.3-arm64.json"
    );
    let Ok(text) = std::fs::read(recorded) else {
        return qed_layers::note_skipped("there is no recorded evidence here");
    };
    let slides = (0..64).map(|number| 0x1000_0000_0000 + number * 0x7f_fb60_0000 + (number << 16));
    every_slide_of(&recorded_as_host(&text), slides);
}

fn every_slide_of(host: &Evidence, slides: impl Iterator<Item = u64>) {
    let mut first = None;
    for slide in slides {
        let redacted = redact(&slid(host, slide)).unwrap_or_else(|e| panic!("{slide:#x}: {e}"));
        let digest = sha2::Sha256::digest(crate::redact::tests::text(&redacted).as_bytes());
        // Without a slide the source of the addresses is known to all.
        if slide > 0 {
            assert_eq!(*first.get_or_insert(digest), digest, "{slide:#x}");
        }
    }
}
