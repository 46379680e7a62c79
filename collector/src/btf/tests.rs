//! Golden tests on a small BTF made here, property tests on damaged BTF, and the running kernel's own.

use super::build::Builder;
use super::*;
use proptest::prelude::*;

const HOST: &str = "/sys/kernel/btf/vmlinux";

/// The running kernel's BTF, or `None` where it has none, said past the harness, which hides what macros print.
pub(crate) fn host() -> Option<Vec<u8>> {
    std::fs::read(HOST)
        .inspect_err(|error| qed_layers::note_skipped(&format!("cannot read {HOST}: {error}")))
        .ok()
}

/// A structure that can be an argument of a system call.
pub(crate) fn sample_arguments() -> Vec<u8> {
    let mut b = Builder::default();
    let short = b.int("short int", 2, true);
    let unsigned = b.int("short unsigned int", 2, false);
    let port = b.typedef("__be16", unsigned);
    let word = b.int("unsigned int", 4, false);
    let address = b.typedef("__be32", word);
    let byte = b.int("unsigned char", 1, false);
    let character = b.int("char", 1, true);
    let state = b.enumeration("", 1, false, &[("SS_FREE", 0), ("SS_UNCONNECTED", 1)]);
    let pair = b.array(unsigned, 2);
    let name = b.array(character, 8);
    let inner = b.structure("", 8, &[("low", word, 0, 0)]);
    let pointer = b.pointer(TypeId::VOID);
    let last = b.composite(
        true,
        "",
        8,
        &[
            ("pointer", pointer, 0, 0),
            ("name", name, 0, 0),
            ("inner", inner, 0, 0),
        ],
    );
    b.structure(
        "given",
        24,
        &[
            ("port", port, 0, 0),
            ("small", short, 16, 0),
            ("address", address, 32, 0),
            ("first", byte, 64, 4),
            ("second", byte, 68, 4),
            ("state", state, 72, 0),
            ("pair", pair, 80, 0),
            ("", last, 128, 0),
        ],
    );
    b.bytes()
}

/// A structure of everything that a member can be, and functions that take it.
pub(crate) fn sample() -> Vec<u8> {
    let mut b = Builder::default();
    let int = b.int("int", 4, true);
    let uint = b.int("unsigned int", 4, false);
    let long = b.int("long int", 8, true);
    let character = b.int("char", 1, true);
    let byte = b.int("unsigned char", 1, false);
    let boolean = b.int("_Bool", 1, false);
    let u32_ = b.typedef("u32", uint);
    b.typedef("__be32", u32_);
    let u32_ = b.typedef("__portpair_half", u32_);
    let text = b.constant(character);
    let text = b.pointer(text);
    let comm = b.array(character, 16);
    let mac = b.array(byte, 6);
    let long_text = b.array(character, 200);
    let table = b.array(uint, 40);
    let flexible = b.array(uint, 0);
    let flexible_text = b.array(character, 0);
    let state = b.enumeration("", 4, false, &[("SS_FREE", 0), ("SS_UNCONNECTED", 1)]);
    let state = b.typedef("socket_state", state);
    let level = b.enumeration("level", 4, true, &[("LOW", -1), ("HIGH", 1)]);
    let wide = b.enumeration64("wide", false, &[("BIG", -1), ("FLAG", 1 << 40)]);
    let inner = b.structure("", 8, &[("low", u32_, 0, 0), ("high", int, 32, 0)]);
    let both = b.composite(true, "", 8, &[("whole", long, 0, 0), ("", inner, 0, 0)]);
    let opaque = b.pointer(TypeId::VOID);
    let callback = b.prototype(int, &[("", opaque), ("", TypeId::VOID)]);
    let callback = b.pointer(callback);
    let small = b.structure("small", 16, &[("a", long, 0, 0), ("b", boolean, 64, 1)]);
    let pair = b.structure("pair", 16, &[("a", long, 0, 0), ("b", long, 64, 0)]);
    let large = b.structure("large", 24, &[]);
    let user = b.tag("user", character);
    let user = b.pointer(user);
    let percpu = b.tag("percpu", int);
    let percpu = b.pointer(percpu);
    let list = b.forward("thing");
    let list = b.pointer(list);
    let thing = b.structure(
        "thing",
        144,
        &[
            ("next", list, 0, 0),
            ("", both, 64, 0),
            ("one", uint, 128, 1),
            ("three", int, 129, 3),
            ("straddle", uint, 150, 10),
            ("mode", level, 132, 2),
            ("state", state, 160, 0),
            ("name", text, 192, 0),
            ("comm", comm, 256, 0),
            ("mac", mac, 384, 0),
            ("ready", boolean, 432, 0),
            ("call", callback, 448, 0),
            ("wide", wide, 512, 0),
            ("data", opaque, 576, 0),
            ("buffer", user, 640, 0),
            ("counts", percpu, 704, 0),
            ("pair", pair, 768, 0),
            ("things", list, 896, 0),
        ],
    );
    // Reached with a cast, so that `thing` stays what it is.
    b.structure(
        "list",
        364,
        &[
            ("count", int, 0, 0),
            ("title", long_text, 32, 0),
            ("table", table, 1632, 0),
            ("items", flexible, 2912, 0),
        ],
    );
    let common = b.structure("sock_common", 4, &[("skc_family", int, 0, 0)]);
    b.structure("sock", 4, &[("__sk_common", common, 0, 0)]);
    b.structure(
        "note",
        4,
        &[("length", int, 0, 0), ("text", flexible_text, 32, 0)],
    );
    let pairs = b.array(pair, 4);
    b.structure("grid", 64, &[("pairs", pairs, 0, 0)]);
    let pointer = b.pointer(thing);
    let get = b.prototype(
        pointer,
        &[("thing", pointer), ("count", int), ("name", text)],
    );
    b.function("thing_get", get);
    let by_value = b.prototype(
        TypeId::VOID,
        &[
            ("l", large),
            ("a", int),
            ("p", pair),
            ("b", int),
            ("s", small),
            ("c", int),
        ],
    );
    b.function("by_value", by_value);
    let many = [
        ("a", int),
        ("b", int),
        ("c", int),
        ("d", int),
        ("e", int),
        ("p", pair),
        ("f", int),
        ("g", int),
    ];
    let many = b.prototype(int, &many);
    b.function("many", many);
    let traced = b.prototype(
        int,
        &[("__data", opaque), ("thing", pointer), ("ret", long)],
    );
    b.function("__traceiter_thing", traced);
    let unnamed = b.prototype(TypeId::VOID, &[("", opaque), ("", pointer)]);
    let unnamed = b.pointer(unnamed);
    b.typedef("btf_trace_quiet", unnamed);
    b.function("bpf_lsm_thing_create", get);
    b.function("twice", get);
    b.function("twice", many);
    b.bytes()
}

fn composite<'a>(btf: &Btf<'a>, name: &str) -> Composite<'a> {
    let id = btf.find(NameKind::Struct, name)[0];
    match btf.get(id).unwrap() {
        Type::Struct(composite) => composite,
        other => panic!("{other:?}"),
    }
}

/// Check that members of anonymous members are found at their place from the outermost start, and bit fields at theirs.
#[test]
fn members_have_cumulative_offsets() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let thing = composite(&btf, "thing");
    let place = |name| {
        let member = btf.find_member(&thing, name).unwrap().unwrap();
        (
            member.bit_offset,
            member.bits,
            btf.type_name(member.type_id).unwrap(),
        )
    };
    assert_eq!(place("whole"), (64, 0, "long".into()));
    assert_eq!(place("high"), (96, 0, "int".into()));
    assert_eq!(place("low"), (64, 0, "__portpair_half".into()));
    assert_eq!(place("three"), (129, 3, "int".into()));
    assert_eq!(place("state"), (160, 0, "socket_state".into()));
    assert_eq!(btf.find_member(&thing, "nothing").unwrap(), None);
    let names = btf.member_names(&thing).unwrap();
    assert_eq!(names[..4], ["next", "whole", "low", "high"]);
}

/// Check the C names of types that are hard to spell.
#[test]
fn types_have_c_names() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let thing = composite(&btf, "thing");
    let name = |member| {
        let member = btf.find_member(&thing, member).unwrap().unwrap();
        btf.type_name(member.type_id).unwrap()
    };
    assert_eq!(name("name"), "const char *");
    assert_eq!(name("next"), "struct thing *");
    assert_eq!(name("comm"), "char [16]");
    assert_eq!(name("call"), "int (*)(void *, ...)");
    assert_eq!(name("buffer"), "char __user *");
    assert_eq!(name("mode"), "enum level");
    assert_eq!(name("ready"), "bool");
    assert_eq!(
        btf.declaration(btf.find(NameKind::Typedef, "u32")[0], "x")
            .unwrap(),
        "u32 x"
    );
}

/// Check that enumerations of both forms keep sign and width.
#[test]
fn enumerations_keep_their_values() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let values = |name| match btf.get(btf.find(NameKind::Enum, name)[0]).unwrap() {
        Type::Enum(enumeration) => enumeration.values(&btf).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(values("level"), [("LOW", -1), ("HIGH", 1)]);
    assert_eq!(
        values("wide"),
        [("BIG", i128::from(u64::MAX)), ("FLAG", 1 << 40)]
    );
}

/// Check that argument registers follow the System V ABI around structures passed by value: large ones take
/// none, plain ones up to 16 bytes take theirs, and after others no place is claimed.
#[test]
fn arguments_arrive_where_the_abi_says() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let registers = |name| -> Vec<Option<u32>> {
        let function = btf.functions(name).unwrap().remove(0);
        let parameters = function.signature.parameters;
        let place = |parameter: &Parameter| match parameter.location {
            ArgumentLocation::Register(register) => Some(register),
            ArgumentLocation::Unreadable(_) => None,
        };
        parameters.iter().map(place).collect()
    };
    assert_eq!(registers("thing_get"), [Some(0), Some(1), Some(2)]);
    assert_eq!(
        registers("by_value"),
        [None, Some(0), None, Some(3), None, None]
    );
    // The pair needs two registers where one is left: it goes to the stack, and `f` gets that one.
    assert_eq!(
        registers("many"),
        [
            Some(0),
            Some(1),
            Some(2),
            Some(3),
            Some(4),
            None,
            Some(5),
            None
        ]
    );
}

/// Check that tracepoints drop `__data`, with names from the function and without from the typedef.
#[test]
fn tracepoints_and_hooks_are_found() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let arguments = |name| -> Vec<String> {
        let parameters = btf.tracepoint(name).unwrap().unwrap().parameters;
        let named = parameters.iter().enumerate();
        named
            .map(|(at, parameter)| parameter.name_or_position(at))
            .collect()
    };
    assert_eq!(arguments("thing"), ["thing", "ret"]);
    assert_eq!(arguments("quiet"), ["arg0"]);
    assert_eq!(btf.tracepoint("nothing").unwrap(), None);
    assert_eq!(btf.lsm_hook_names().unwrap(), ["thing_create"]);
    assert_eq!(
        btf.lsm_hook("thing_create")
            .unwrap()
            .unwrap()
            .signature
            .parameters
            .len(),
        3
    );
    assert_eq!(btf.lsm_hook("nothing").unwrap(), None);
    assert_eq!(btf.nearest(NameKind::Function, "thing_gte"), ["thing_get"]);
}

/// Check that functions of the same name stay apart.
#[test]
fn duplicates_stay_apart() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let twice = btf.functions("twice").unwrap();
    assert_eq!(twice.len(), 2);
    assert!(twice[0].id < twice[1].id);
    assert_ne!(twice[0].signature, twice[1].signature);
}

/// Check that a module's types and names continue the kernel's.
#[test]
fn modules_continue_the_kernel() {
    let data = sample();
    let kernel = Btf::parse(&data).unwrap();
    let strings = u32::from_le_bytes(data[20..24].try_into().unwrap());
    let mut b = Builder::module(kernel.end_id() - 1, strings);
    let thing = kernel.find(NameKind::Struct, "thing")[0];
    let pointer = b.pointer(thing);
    let added = b.structure("added", 8, &[("thing", pointer, 0, 0)]);
    let module = b.bytes();
    let module = Btf::parse_module(&module, &kernel).unwrap();
    assert_eq!(module.find(NameKind::Struct, "added"), [added]);
    assert_eq!(module.find(NameKind::Struct, "thing"), [thing]);
    assert_eq!(module.type_name(pointer).unwrap(), "struct thing *");
}

/// Check that circles are reported, in each of the ways that types refer to each other.
#[test]
fn circles_are_errors() {
    let mut b = Builder::default();
    let own = b.typedef("own", TypeId(1));
    let array = b.array(TypeId(2), 2);
    let nested = b.structure("nested", 8, &[("", TypeId(3), 0, 0)]);
    let pointer = b.pointer(TypeId(4));
    let taker = b.prototype(TypeId(5), &[("a", TypeId(5)), ("b", TypeId(5))]);
    let data = b.bytes();
    let btf = Btf::parse(&data).unwrap();
    assert!(btf.strip(own).is_err());
    assert!(btf.size_of(array).is_err());
    assert!(btf.type_name(array).is_err());
    assert!(btf.find_member(&composite(&btf, "nested"), "x").is_err());
    assert!(btf.type_name(pointer).is_err());
    assert!(btf.type_name(taker).is_err());
    assert_eq!(nested, TypeId(3));
}

/// Check that bytes that are not BTF are refused with the reason.
#[test]
fn other_data_is_refused() {
    let refuse = |data: &[u8]| Btf::parse(data).unwrap_err().to_string();
    assert!(refuse(b"").contains("0 bytes"));
    assert!(refuse(b"\x7fELF\x02\x01\x01\x00 and so on").contains("0x457f"));
    let mut data = sample();
    data[2] = 9;
    assert!(refuse(&data).contains("version is 9"));
    data[..2].reverse();
    assert!(refuse(&data).contains("big-endian"));
    let data = sample();
    assert!(refuse(&data[..data.len() - 1]).contains("string section"));
}

/// Ask everything of every type: only a panic or an endless loop is wrong.
fn exercise(data: &[u8]) {
    let Ok(btf) = Btf::parse(data) else { return };
    for id in (0..btf.end_id() + 2).map(TypeId) {
        let _ = btf.size_of(id);
        let _ = btf.type_name(id);
        let _ = btf.function(id);
        match btf.get(id) {
            Ok(Type::Struct(composite) | Type::Union(composite)) => {
                let _ = btf.find_member(&composite, "none");
            }
            Ok(Type::Enum(enumeration)) => {
                let _ = enumeration.values(&btf);
            }
            Ok(Type::Prototype(prototype)) => {
                let _ = btf.signature(&prototype);
            }
            _ => {}
        }
    }
    for name in ["thing", "thing_get", "twice", ""] {
        let _ = btf.find(NameKind::Struct, name);
        let _ = btf.functions(name);
        let _ = btf.tracepoint(name);
        let _ = btf.nearest(NameKind::Function, name);
    }
    let _ = btf.lsm_hook_names();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Check that no change of a few words of a good BTF, and no cut, makes the reader panic or hang.
    #[test]
    fn damaged_btf_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![0u32..100, any::<u32>(), (0u32..20).prop_map(|kind| kind << 24)]), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut data = sample();
        for (at, word) in changes {
            let at = at.index(data.len() / 4) * 4;
            data[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let end = cut.map_or(data.len(), |cut| cut.index(data.len()));
        exercise(&data[..end]);
    }

    /// Check that arbitrary bytes after a good header never make the reader panic or hang.
    #[test]
    fn arbitrary_types_never_panic(types in proptest::collection::vec(0u32..40, 0..200), kinds in proptest::collection::vec(1u32..20, 67)) {
        let mut words: Vec<u32> = types;
        for (at, kind) in (1..words.len()).step_by(3).zip(kinds) {
            words[at] |= kind << 24;
        }
        let mut data = vec![0x9f, 0xeb, 1, 0];
        let size = words.len() as u32 * 4;
        for word in [24, 0, size, size, 4].into_iter().chain(words).chain([0x0061_6200]) {
            data.extend(word.to_le_bytes());
        }
        exercise(&data);
    }
}

/// Check on the running kernel what every kernel has: functions, tracepoints, structures, and that every type can be read.
#[test]
fn host_btf_is_read_whole() {
    let Some(data) = host() else { return };
    let btf = Btf::parse(&data).unwrap();
    let function = btf.functions("fd_install").unwrap().remove(0);
    let names: Vec<_> = function
        .signature
        .parameters
        .iter()
        .map(|p| p.name)
        .collect();
    assert_eq!(names, [Some("fd"), Some("file")]);
    let sys_exit = btf.tracepoint("sys_exit").unwrap().unwrap();
    let names: Vec<_> = sys_exit.parameters.iter().map(|p| p.name).collect();
    assert_eq!(names, [Some("regs"), Some("ret")]);
    assert!(btf.functions("no_such_function").unwrap().is_empty());
    for id in (1..btf.end_id()).map(TypeId) {
        let ty = btf.get(id).unwrap();
        if !matches!(ty, Type::Other) {
            btf.type_name(id).unwrap();
        }
        btf.size_of(id).unwrap();
        match ty {
            Type::Struct(composite) | Type::Union(composite) => {
                btf.member_names(&composite).unwrap();
            }
            Type::Function { name, .. } => {
                assert!(
                    btf.functions(name).unwrap().iter().any(|f| f.id == id),
                    "{name}"
                );
            }
            _ => {}
        }
    }
}

/// Check that every name which a parameter of the running kernel has can be written in a path and in a claim, whatever the
/// claim language keeps it for.
#[test]
fn every_parameter_can_be_written() {
    use qed_evidence::claim::{Claim, SourceMap};
    let Some(data) = host() else { return };
    let btf = Btf::parse(&data).unwrap();
    let mut names = std::collections::BTreeMap::<&str, usize>::new();
    for id in (1..btf.end_id()).map(TypeId) {
        if matches!(btf.get(id), Ok(Type::Function { .. })) {
            let function = btf.function(id).unwrap();
            for name in function.signature.parameters.iter().filter_map(|p| p.name) {
                *names.entry(name).or_default() += 1;
            }
        }
    }
    assert!(names.len() > 1000, "{}", names.len());
    for name in names.keys() {
        let path = format!("e.p.args.{name}");
        assert_eq!(path.parse::<qed_evidence::Path>().unwrap().as_str(), path);
        let text = format!("{path} != e.p.hit2.args.{name}");
        let source = qed_evidence::diagnostic::SourceText {
            name: "chapter.md".into(),
            text: text.clone(),
        };
        let claim = Claim::parse("a", &text, SourceMap::new(source.into(), 0), None)
            .unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
        let reads: Vec<&str> = claim.reads().map(|read| read.path.as_str()).collect();
        assert_eq!(reads, [path.as_str(), &format!("e.p.hit2.args.{name}")]);
    }
    let upper = names
        .keys()
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
    eprintln!(
        "{} names, {} of them with upper case, `in` {} times",
        names.len(),
        upper.count(),
        names.get("in").unwrap_or(&0)
    );
}

/// Check that a type for numbers of packets is told from its namesake in size.
#[test]
fn big_endian_types() {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    for (name, expected) in [("__be32", true), ("__portpair_half", false)] {
        let id = btf.find(NameKind::Typedef, name)[0];
        assert_eq!(btf.strip(id).unwrap().big_endian, expected, "{name}");
    }
}
