//! Paths over the sample BTF, mistakes in paths, and paths over the running kernel's BTF.

use super::*;
use crate::btf::Btf;
use crate::btf::tests::{host, sample};
use proptest::prelude::*;
use qed_collector_ebpf::{MAX_READ_BYTES, form, root};
use qed_evidence::value::Cut;

const SYMBOL: u64 = 0xffff_ffff_8120_0000;

fn symbol(name: &str) -> Option<u64> {
    matches!(name, "thing_get" | "thing_get.part.0.constprop.1").then_some(SYMBOL)
}

/// Check that each path which the guide lists is one of the language.
#[test]
fn paths_of_the_guide() {
    let page = include_str!("../../../../guide/src/investigation.md");
    let table =
        &page[page.find("## The language of reads").unwrap()..page.find("## Lists").unwrap()];
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = cells.map(|line| line.split(" |").next().unwrap());
    let paths: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').step_by(2))
        .filter(|path| !path.is_empty())
        .collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        check(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// Compile `path` at the return of `thing_get(struct thing *thing, int count, const char *name)`.
fn at_return(path: &str) -> Result<CompiledPath, ExprError> {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let signature = btf.functions("thing_get").unwrap().remove(0).signature;
    let scope = Scope {
        btf: &btf,
        parameters: &signature.parameters,
        returned: ReturnMeaning::Function(signature.result),
        code: Code {
            symbols: &symbol,
            return_slot: &|_| Ok(ReturnSlot::Stack(0)),
            ..Code::UNKNOWN
        },
    };
    compile(path, &scope)
}

/// Root, register, hops, offset, form and size of a path.
fn shape(path: &str) -> (u32, u32, Vec<i32>, i32, u32, u32) {
    let spec = at_return(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .spec;
    let hops = spec.hops[..spec.hop_count as usize].to_vec();
    (
        spec.root,
        spec.root_index,
        hops,
        spec.offset,
        spec.form,
        spec.size,
    )
}

fn decoding(path: &str) -> Decoder {
    at_return(path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .decode
}

fn mistake(path: &str) -> ExprError {
    match at_return(path) {
        Err(error) => error,
        Ok(compiled) => panic!("{path} compiled to {compiled:?}"),
    }
}

/// The same for a read that is asked for more.
fn wanted(path: &str, max: Option<u32>, elements: bool) -> Result<CompiledPath, ExprError> {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let signature = btf.functions("thing_get").unwrap().remove(0).signature;
    let scope = Scope {
        btf: &btf,
        parameters: &signature.parameters,
        returned: ReturnMeaning::Function(signature.result),
        code: Code {
            symbols: &symbol,
            return_slot: &|_| Ok(ReturnSlot::Stack(0)),
            ..Code::UNKNOWN
        },
    };
    compile_wanted(
        path,
        &scope,
        ReadOptions {
            max,
            elements,
            ..ReadOptions::default()
        },
    )
}

fn bytes(start: &[u8]) -> [u8; MAX_READ_BYTES] {
    let mut bytes = [0; MAX_READ_BYTES];
    bytes[..start.len()].copy_from_slice(start);
    bytes
}

/// Check that each operator of the language becomes the loads that C would do.
#[test]
fn paths_become_loads() {
    use form::{ADDRESS, BYTES, STRING, USER_STRING};
    use root::{ARGUMENT, RETURN};
    assert_eq!(shape("thing"), (ARGUMENT, 0, vec![], 0, ADDRESS, 8));
    assert_eq!(shape("count"), (ARGUMENT, 1, vec![], 0, ADDRESS, 8));
    assert_eq!(shape("return"), (RETURN, 0, vec![], 0, ADDRESS, 8));
    assert_eq!(shape("return->state"), (RETURN, 0, vec![], 20, BYTES, 4));
    assert_eq!(shape("thing->high"), (ARGUMENT, 0, vec![], 12, BYTES, 4));
    assert_eq!(
        shape("thing->next->next->state"),
        (ARGUMENT, 0, vec![0, 0], 20, BYTES, 4)
    );
    assert_eq!(
        shape("&thing->next->state"),
        (ARGUMENT, 0, vec![0], 20, ADDRESS, 8)
    );
    assert_eq!(shape("(*thing).state"), (ARGUMENT, 0, vec![], 20, BYTES, 4));
    assert_eq!(
        shape("(&thing->pair)->b"),
        (ARGUMENT, 0, vec![], 104, BYTES, 8)
    );
    assert_eq!(shape("thing->mac[5]"), (ARGUMENT, 0, vec![], 53, BYTES, 1));
    assert_eq!(
        shape("thing->things[2].state"),
        (ARGUMENT, 0, vec![112], 308, BYTES, 4)
    );
    assert_eq!(
        shape("thing->things[-1].state"),
        (ARGUMENT, 0, vec![112], -124, BYTES, 4)
    );
    assert_eq!(shape("thing->name"), (ARGUMENT, 0, vec![24], 0, STRING, 64));
    assert_eq!(shape("name"), (ARGUMENT, 2, vec![], 0, STRING, 64));
    assert_eq!(
        shape("(void *)thing->name"),
        (ARGUMENT, 0, vec![], 24, BYTES, 8)
    );
    assert_eq!(
        shape("thing->buffer"),
        (ARGUMENT, 0, vec![80], 0, USER_STRING, 64)
    );
    assert_eq!(
        shape("(const char __user *)thing->data"),
        (ARGUMENT, 0, vec![72], 0, USER_STRING, 64)
    );
    assert_eq!(
        shape("((struct thing *)thing->data)->high"),
        (ARGUMENT, 0, vec![72], 12, BYTES, 4)
    );
    // It is no longer than that.
    assert_eq!(
        shape("(char *)thing->mac"),
        (ARGUMENT, 0, vec![], 48, BYTES, 6)
    );
    assert_eq!(shape("thing->mode"), (ARGUMENT, 0, vec![], 16, BYTES, 1));
    assert_eq!(
        shape("thing->straddle"),
        (ARGUMENT, 0, vec![], 18, BYTES, 2)
    );
    assert_eq!(
        shape("container_of(&thing->pair, struct thing, pair)->state"),
        (ARGUMENT, 0, vec![], 20, BYTES, 4)
    );
    assert_eq!(
        shape("container_of(thing->data, struct thing, pair.b)"),
        (ARGUMENT, 0, vec![72], -104, ADDRESS, 8)
    );
}

/// Check that a number whose highest byte comes first is what it stands for, with its sign, and none else is turned round.
#[test]
fn numbers_of_packets() {
    let number = |size, signed, big_endian| {
        let how = Decoder::Int {
            size,
            signed,
            big_endian,
            type_name: "__be".into(),
        };
        match decode(&[(&bytes(&[0xff, 0, 0, 1, 2, 3, 4, 5]), 0)], &how) {
            DecodedValue::Int { value, .. } => value,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number(2, false, true), 0xff00);
    assert_eq!(number(2, true, true), -0x100);
    assert_eq!(number(4, false, true), 0xff00_0001);
    assert_eq!(number(8, false, true), 0xff00_0001_0203_0405);
    assert_eq!(number(2, false, false), 0xff);
}

/// Check the built-ins that need the address of a symbol.
#[test]
fn symbols_become_constants() {
    let text = at_return("text(thing_get, 5)").unwrap().spec;
    assert_eq!(
        (text.root, text.constant, text.form, text.size),
        (root::ADDRESS, SYMBOL, form::BYTES, 5)
    );
    let slot = at_return("return_slot(thing_get)").unwrap();
    assert_eq!(
        (slot.spec.root, slot.spec.constant, slot.spec.form),
        (root::RETURN_SLOT, SYMBOL, form::BYTES)
    );
    assert!(matches!(
        slot.decode,
        Decoder::Pointer {
            to_function: true,
            ..
        }
    ));
    let place = at_return("&return_slot(thing_get)").unwrap().spec;
    assert_eq!((place.root, place.form), (root::RETURN_SLOT, form::ADDRESS));
    // Where a call leaves the return address in a register, and where a frame has it.
    let slot = |slot: ReturnSlot| {
        let data = sample();
        let btf = Btf::parse(&data).unwrap();
        let scope = Scope {
            btf: &btf,
            parameters: &[],
            returned: ReturnMeaning::NotYet,
            code: Code {
                symbols: &symbol,
                return_slot: &|_| Ok(slot),
                ..Code::UNKNOWN
            },
        };
        compile("&return_slot(thing_get)", &scope).unwrap().spec
    };
    let register = slot(ReturnSlot::Register(240));
    assert_eq!(
        (
            register.root,
            register.offset,
            register.hop_count,
            register.form
        ),
        (root::REGISTERS, 240, 0, form::ADDRESS)
    );
    let frame = slot(ReturnSlot::Stack(-24));
    assert_eq!(
        (frame.root, frame.constant, frame.offset),
        (root::RETURN_SLOT, SYMBOL, -24)
    );
    // That of a clone has dots.
    for clone in [
        "text(thing_get.part.0.constprop.1, 5)",
        "return_slot(thing_get.part.0.constprop.1)",
    ] {
        assert_eq!(at_return(clone).unwrap().spec.constant, SYMBOL, "{clone}");
    }
    let unknown = mistake("text(elsewhere.part.0)");
    assert_eq!((unknown.class, unknown.span), (ErrorClass::Symbol, 5..21));
    assert_eq!(mistake("text(thing_get.)").class, ErrorClass::Syntax);
    let unknown = mistake("text(elsewhere)");
    assert_eq!((unknown.class, unknown.span), (ErrorClass::Symbol, 5..14));
}

/// Check that values come out typed: signs, names, bit fields, text, bytes.
#[test]
fn bytes_become_values() {
    let value =
        |path: &str, start: &[u8], result| decode(&[(&bytes(start), result)], &decoding(path));
    let int = |value, type_name: &str| DecodedValue::Int {
        value,
        type_name: type_name.into(),
    };
    assert_eq!(
        value("count", &[0xff, 0xff, 0xff, 0xff, 1], 0),
        int(-1, "int")
    );
    assert_eq!(
        value("thing->low", &[0xff; 4], 0),
        int(0xffff_ffff, "__portpair_half")
    );
    assert_eq!(value("thing->three", &[0b1010], 0), int(-3, "int"));
    assert_eq!(value("thing->one", &[0b1], 0), int(1, "unsigned int"));
    assert_eq!(
        value("thing->straddle", &[0b1100_0000, 0b0100_0001], 0),
        int(0b01_0000_0111, "unsigned int")
    );
    let named = |value, name: Option<&str>, ty: &str| DecodedValue::Enum {
        value,
        name: name.map(str::to_owned),
        type_name: ty.into(),
    };
    assert_eq!(
        value("thing->state", &[1], 0),
        named(1, Some("SS_UNCONNECTED"), "socket_state")
    );
    assert_eq!(
        value("thing->state", &[7], 0),
        named(7, None, "socket_state")
    );
    assert_eq!(
        value("thing->mode", &[0b11_0000], 0),
        named(-1, Some("LOW"), "enum level")
    );
    assert_eq!(
        value("thing->wide", &[0, 0, 0, 0, 0, 1], 0),
        named(1 << 40, Some("FLAG"), "enum wide")
    );
    assert_eq!(value("thing->ready", &[1], 0), DecodedValue::Bool(true));
    assert!(matches!(
        value("thing->ready", &[2], 0),
        DecodedValue::Broken { .. }
    ));
    let text = |text: &str, cut: bool| DecodedValue::Text {
        text: text.into(),
        cut: cut.then(Cut::default),
    };
    assert_eq!(value("thing->comm", b"qed\0rest", 0), text("qed", false));
    assert_eq!(
        value("thing->comm", &[b'x'; 17], 0),
        text(&"x".repeat(16), false)
    );
    assert_eq!(
        value("thing->name", b"TCP\0old bytes", 4),
        text("TCP", false)
    );
    assert_eq!(
        value("thing->name", &[b'x'; 63], 64),
        text(&"x".repeat(63), true)
    );
    assert!(matches!(
        value("thing->name", &[0xff, 0xfe, 0], 3),
        DecodedValue::Bytes { .. }
    ));
    assert_eq!(
        value("thing->mac", &[1, 2, 3, 4, 5, 6, 7], 0),
        DecodedValue::Bytes {
            bytes: vec![1, 2, 3, 4, 5, 6],
            cut: None,
            type_name: "unsigned char [6]".into()
        }
    );
    assert_eq!(
        value("thing->state", &[1], -14),
        DecodedValue::Unread { errno: 14 }
    );
    let pointer = |ty: &str, to_function| DecodedValue::Pointer {
        address: 0x0102,
        type_name: ty.into(),
        to_function,
    };
    assert_eq!(
        value("thing->next", &[2, 1], 0),
        pointer("struct thing *", false)
    );
    assert_eq!(
        value("thing->call", &[2, 1], 0),
        pointer("int (*)(void *, ...)", true)
    );
    assert_eq!(
        value("&thing->next", &[2, 1], 0),
        pointer("struct thing **", false)
    );
}

/// Check that mistakes are told with their place, their class and what was probably meant.
#[test]
fn mistakes_are_explained() {
    let expect_error = |path: &str, class, span: std::ops::Range<usize>, words: &str| {
        let error = mistake(path);
        assert_eq!(
            (error.class, error.span.clone()),
            (class, span),
            "{path}: {error}"
        );
        assert!(error.to_string().contains(words), "{path}: {error}");
    };
    use ErrorClass::{Limit, Syntax, Type, Unknown};
    expect_error(
        "thing->sttae",
        Unknown,
        7..12,
        "`struct thing` has no member `sttae`; did you mean `state`?",
    );
    expect_error(
        "((struct sock *)thing)->sk_family",
        Unknown,
        24..33,
        "`struct sock` has no member `sk_family`; a member that ends alike is `__sk_common.skc_family`",
    );
    expect_error("thnig->state", Unknown, 0..5, "did you mean `thing`?");
    expect_error("thing->data->x", Type, 0..11, "void *");
    expect_error("*thing", Type, 0..6, "name a member: `next`, `whole`");
    expect_error("thing.state", Type, 6..11, "write `->state`");
    expect_error("thing->pair->a", Type, 13..14, "not a pointer");
    expect_error("(*thing)->state", Type, 10..15, "not a pointer");
    expect_error(
        "((struct thign *)thing)->state",
        Unknown,
        2..16,
        "did you mean `thing`?",
    );
    expect_error("thing->mac[6]", Type, 0..13, "element 6");
    expect_error("thing->buffer[0]->x", Type, 18..19, "not a pointer");
    expect_error("&thing->three", Type, 1..13, "bit field");
    expect_error("&thing", Type, 1..6, "register");
    expect_error("*thing->counts", Type, 0..14, "per-CPU");
    expect_error("(long)count", Type, 0..11, "widen");
    expect_error("(int)thing->next", Type, 0..16, "as a whole");
    expect_error("*(int *)&thing->next", Type, 1..20, "as a whole");
    expect_error("((int *)&thing->next)[1]", Type, 1..20, "as a whole");
    expect_error("*(struct thing *)&thing->next", Type, 1..29, "as a whole");
    expect_error("(struct thing)count", Type, 1..13, "a cast goes to");
    expect_error(
        "container_of(&thing->state, struct thing, pair)",
        Type,
        13..26,
        "points to `enum {…}`",
    );
    expect_error(
        "thing->next->next->next->next->next->next->next->next->next->state",
        Limit,
        0..59,
        "more than 8",
    );
    expect_error(
        "thing->things[100000000].state",
        Limit,
        0..24,
        "more than a read can reach",
    );
    expect_error("text(thing_get, 1025)", Limit, 16..20, "1 to 1024");
    for (path, class, words) in [
        ("(&thing->mac)[1]", Type, "bytes 6 to 12 of 6"),
        ("(&thing->state)[1]", Type, "bytes 4 to 8 of 4"),
        ("(&thing->mac[5])[1]", Type, "bytes 6 to 7 of 6"),
        ("(&thing->mac[5])[-6]", Type, "bytes -1 to 0 of 6"),
        ("((unsigned int *)thing->mac)[1]", Type, "bytes 4 to 8 of 6"),
        (
            "((struct list *)thing->data)->items[0]",
            Type,
            "elements = ",
        ),
        (
            "((struct list *)thing->data)->items",
            Type,
            "another member says",
        ),
        (
            "(&((struct list *)thing->data)->items[0])[-1]",
            Type,
            "before the array",
        ),
        (
            "((struct list *)thing->data)->table[40]",
            Type,
            "element 40",
        ),
        (
            "((struct list *)thing->data)->table[1][2]",
            Type,
            "R * COLUMNS + C",
        ),
        (
            "((struct grid *)thing->data)->pairs[1][1]",
            Type,
            "`struct pair` is neither a pointer nor an array; the kernel's types have a table of rows as one array",
        ),
        ("((struct list *)thing->data)->table", Limit, "max = 160"),
    ] {
        expect_error(path, class, 0..path.len(), words);
    }
    expect_error("fd", Type, 0..2, "descriptor");
    expect_error("thing->", Syntax, 7..7, "the end of the path");
    expect_error("thing + 1", Syntax, 6..7, "`+` means nothing");
    expect_error("thing - 1", Syntax, 6..7, "`-`");
    expect_error("thing state", Syntax, 6..11, "found `state`");
    expect_error("tetx(thing_get)", Syntax, 0..15, "did you mean `text`?");
    expect_error("thing->é", Syntax, 7..9, "`é`");
    // C reads these as octal numbers, and most readers do not.
    for (index, help) in [
        ("010", "write 8, or 10 if"),
        ("00", "write 0"),
        ("09", "write 9"),
    ] {
        let end = 12 + index.len();
        expect_error(&format!("thing->name[{index}]"), Syntax, 12..end, "octal");
        expect_error(&format!("thing->name[{index}]"), Syntax, 12..end, help);
    }
    let deep = format!("{}thing{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(mistake(&deep).class, Syntax);
}

/// Check that a built-in that a parameter hides stays reachable, and that `return` waits for the exit.
#[test]
fn scopes_decide_names() {
    let Some(data) = host() else { return };
    let btf = Btf::parse(&data).unwrap();
    let sys_exit = btf.tracepoint("sys_exit").unwrap().unwrap();
    let scope = Scope {
        btf: &btf,
        parameters: &sys_exit.parameters,
        returned: ReturnMeaning::NotYet,
        code: Code {
            symbols: &symbol,
            return_slot: &|_| Ok(ReturnSlot::Stack(0)),
            ..Code::UNKNOWN
        },
    };
    let root_of = |path: &str| compile(path, &scope).unwrap().spec.root;
    assert_eq!(root_of("regs->orig_ax"), root::ARGUMENT);
    assert_eq!(root_of("regs()->orig_ax"), root::REGISTERS);
    assert_eq!(
        compile("return", &scope).unwrap_err().class,
        ErrorClass::Type
    );
    assert_eq!(compile("fd", &scope).unwrap_err().class, ErrorClass::Type);
    let scope = Scope {
        returned: ReturnMeaning::SystemCall,
        ..scope
    };
    let file = compile("fd->private_data", &scope).unwrap().spec;
    assert_eq!(
        (file.root, file.hop_count, file.form),
        (root::RETURNED_FD, 0, form::BYTES)
    );
    let third = compile("fd(3)->private_data", &scope).unwrap().spec;
    assert_eq!((third.root, third.constant), (root::FD, 3));
    assert!(matches!(
        compile("return", &scope).unwrap().decode,
        Decoder::Int {
            size: 8,
            signed: true,
            ..
        }
    ));
}

/// Offset, form and size of each load of a read.
fn loads(compiled: &CompiledPath) -> Vec<(i32, u32, u32)> {
    std::iter::once(&compiled.spec)
        .chain(&compiled.more)
        .map(|spec| (spec.offset, spec.form, spec.size))
        .collect()
}

/// Check that a read which is asked for more is made of as many loads as it takes, none of which leads behind what there
/// is, and that `max` is refused where there is nothing to be longer.
#[test]
fn longer_reads() {
    use form::{BYTES, STRING};
    let of = |path: &str, max| wanted(path, Some(max), false).unwrap();
    let name = of("thing->name", 126);
    assert_eq!(
        loads(&name),
        [(0, STRING, 64), (63, STRING, 64), (126, STRING, 64)]
    );
    assert_eq!(loads(&of("thing->name", 62)).len(), 1);
    assert_eq!(loads(&of("thing->name", 63)).len(), 2);
    assert_eq!(loads(&of("thing->name", 1024)).len(), 17);
    let table = of("((struct list *)thing->data)->table", 1024);
    assert_eq!(
        loads(&table),
        [(204, BYTES, 64), (268, BYTES, 64), (332, BYTES, 32)]
    );
    assert!(matches!(
        table.decode,
        Decoder::Bytes {
            len: 160,
            of: 160,
            ..
        }
    ));
    let part = of("((struct list *)thing->data)->table", 100);
    assert_eq!(loads(&part), [(204, BYTES, 64), (268, BYTES, 36)]);
    let title = of("((struct list *)thing->data)->title", 1024);
    assert_eq!(
        loads(&title),
        [
            (4, BYTES, 64),
            (68, BYTES, 64),
            (132, BYTES, 64),
            (196, BYTES, 8)
        ]
    );
    assert_eq!(
        title.decode,
        Decoder::Text {
            max: 200,
            whole: true
        }
    );
    // Without a wish, less than there is.
    let short = wanted("((struct list *)thing->data)->title", None, false).unwrap();
    assert_eq!(loads(&short), [(4, STRING, 64)]);
    let code = wanted("text(thing_get, 100)", None, false).unwrap();
    assert_eq!(loads(&code), [(0, BYTES, 64), (64, BYTES, 36)]);
    for path in ["thing->state", "count", "thing->next", "text(thing_get)"] {
        let error = wanted(path, Some(100), false).unwrap_err();
        assert!(error.to_string().contains("neither"), "{path}: {error}");
    }
}

/// Check that text of several loads is put together up to its end, and that what may have been cut is marked.
#[test]
fn loads_are_put_together() {
    let three = wanted("thing->name", Some(126), false).unwrap().decode;
    let full = bytes(&[b'x'; 63]);
    let rest = bytes(b"yz\0old");
    let empty = bytes(b"\0old");
    let text = |loads: &[LoadedBytes<'_>]| match decode(loads, &three) {
        DecodedValue::Text { text, cut } => (text.len(), cut),
        other => panic!("{other:?}"),
    };
    let cut = Some(Cut::default());
    assert_eq!(text(&[(&rest, 3), (&full, 64), (&full, 64)]), (2, None));
    assert_eq!(text(&[(&full, 64), (&rest, 3), (&full, 64)]), (65, None));
    assert_eq!(text(&[(&full, 64), (&full, 64), (&empty, 1)]), (126, None));
    assert_eq!(text(&[(&full, 64), (&full, 64), (&full, 64)]), (189, cut));
    // What lies behind a page that is not there is not known.
    assert_eq!(text(&[(&full, 64), (&rest, -14), (&rest, -14)]), (63, cut));
    assert_eq!(text(&[(&rest, 3), (&rest, -14), (&rest, -14)]), (2, None));
    assert!(matches!(
        decode(&[(&rest, -14), (&rest, 3), (&rest, 3)], &three),
        DecodedValue::Unread { errno: 14 }
    ));
    let broken = bytes(&[0xff; 63]);
    assert!(matches!(
        decode(&[(&broken, 64), (&full, 64), (&full, 64)], &three),
        DecodedValue::Bytes { cut: Some(_), .. }
    ));
    let part = wanted("((struct list *)thing->data)->table", Some(100), false).unwrap();
    match decode(&[(&full, 0), (&full, 0)], &part.decode) {
        DecodedValue::Bytes { bytes, cut, .. } => {
            assert_eq!((bytes.len(), cut), (100, Some(Cut { whole: Some(160) })));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        decode(&[(&full, 0), (&full, -14)], &part.decode),
        DecodedValue::Unread { .. }
    ));
}

/// Check that an element of an array without a length is read where something says how many there are, and remembered
/// with its place, however it is reached.
#[test]
fn elements_of_unknown_arrays() {
    let index = |path: &str| {
        let element = wanted(path, None, true)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .elements
            .unwrap();
        (element.index, element.flexible)
    };
    let items = "((struct list *)thing->data)->items";
    assert_eq!(index(&format!("{items}[0]")), (0, true));
    assert_eq!(index(&format!("{items}[7]")), (7, true));
    assert_eq!(index(&format!("(&{items}[2])[1]")), (3, true));
    assert_eq!(index(&format!("((unsigned int *){items})[5]")), (5, true));
    assert_eq!(index(&format!("*(unsigned int *){items}")), (0, true));
    assert_eq!(index("thing->things[2].state"), (2, false));
    for path in ["thing->state", "thing->mac[1]"] {
        let error = wanted(path, None, true).unwrap_err();
        assert!(error.to_string().contains("`elements` is for"), "{error}");
    }
}

/// Check the paths of a socket investigation against the running kernel, whose offsets `bpftool` also prints.
#[test]
fn host_paths_compile() {
    let Some(data) = host() else { return };
    let btf = Btf::parse(&data).unwrap();
    let function = btf.functions("fd_install").unwrap().remove(0);
    let scope = Scope {
        btf: &btf,
        parameters: &function.signature.parameters,
        returned: ReturnMeaning::NotYet,
        code: Code {
            symbols: &symbol,
            return_slot: &|_| Ok(ReturnSlot::Stack(0)),
            ..Code::UNKNOWN
        },
    };
    let compiled =
        |path: &str| compile(path, &scope).unwrap_or_else(|error| panic!("{path}: {error}"));
    let back = compiled("((struct socket *)file->private_data)->sk->sk_socket");
    assert_eq!((back.spec.root_index, back.spec.hop_count), (1, 2));
    assert_eq!(
        back.decode,
        Decoder::Pointer {
            type_name: "struct socket *".into(),
            to_function: false,
            signature_bits: 0,
        }
    );
    let Decoder::Enum {
        values, type_name, ..
    } = compiled("((struct socket *)file->private_data)->state").decode
    else {
        panic!("a socket's state is not an enumeration");
    };
    assert_eq!(type_name, "socket_state");
    assert!(values.contains(&("SS_UNCONNECTED".into(), 1)));
    assert_eq!(
        compiled("task->comm").decode,
        Decoder::Text {
            max: 16,
            whole: true
        }
    );
    assert!(matches!(
        compiled("file->f_op->release").decode,
        Decoder::Pointer {
            to_function: true,
            ..
        }
    ));
    let wrong = compile("((struct socket *)file->private_data)->skk", &scope).unwrap_err();
    assert_eq!(wrong.nearest.first().map(String::as_str), Some("sk"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Check that no text makes the compiler panic, and that error places are places in the text.
    #[test]
    fn any_text_is_compiled_or_explained(parts in proptest::collection::vec(prop_oneof![
        Just("thing".to_owned()), Just("->".into()), Just("next".into()), Just("(".into()), Just(")".into()),
        Just("*".into()), Just("&".into()), Just("[3]".into()), Just(".".into()), Just("struct thing".into()),
        Just("container_of(".into()), Just(",".into()), Just("pair".into()), Just("return".into()),
        Just("(char *)".into()), Just("data".into()), "\\PC{0,3}",
    ], 0..14)) {
        let path = parts.concat();
        if let Err(error) = at_return(&path) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= path.len());
            prop_assert!(path.get(error.span).is_some());
            prop_assert!(!error.reason.is_empty());
        }
    }

    /// Check that whatever bytes come back, decoding gives a value or says why not.
    #[test]
    fn any_bytes_are_decoded(start in proptest::collection::vec(any::<u8>(), MAX_READ_BYTES), result in any::<i32>(),
        path in prop_oneof![Just("thing->name"), Just("thing->three"), Just("thing->wide"), Just("thing->mac"), Just("thing->comm")]) {
        let decoded = decode(&[(&bytes(&start), result)], &decoding(path));
        prop_assert_eq!(result < 0, matches!(decoded, DecodedValue::Unread { .. }));
    }

    /// Check that no damage to the BTF makes the compiler panic.
    #[test]
    fn damaged_btf_is_compiled_or_explained(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![0u32..100, any::<u32>()]), 1..6),
        path in prop_oneof![
            Just("thing->next->things[4294967295].state"), Just("thing->straddle"), Just("thing->comm"),
            Just("container_of(&thing->pair, struct thing, pair)->mode"), Just("thing->mac"), Just("*thing->call"),
            Just("((struct thing *)thing->data)->whole"), Just("thing->name"), Just("thing->pair"), Just("return->wide"),
        ],
    ) {
        let mut data = sample();
        for (at, word) in changes {
            let at = at.index(data.len() / 4) * 4;
            data[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        if let Ok(btf) = Btf::parse(&data)
            && let Ok(functions) = btf.functions("thing_get")
            && let [function] = functions.as_slice()
        {
            let scope = Scope {
                btf: &btf,
                parameters: &function.signature.parameters,
                returned: ReturnMeaning::Function(function.signature.result),
                code: Code {
symbols: &symbol,
return_slot: &|_| Ok(ReturnSlot::Stack(0)),
..Code::UNKNOWN
},
            };
            if let Ok(compiled) = compile(path, &scope) {
                prop_assert!(compiled.spec.size as usize <= MAX_READ_BYTES);
                let decoded = decode(&[(&[0xff; MAX_READ_BYTES], 0)], &compiled.decode);
                let unread = matches!(decoded, DecodedValue::Unread { .. });
                prop_assert!(!unread);
            }
        }
    }
}

/// Compile `path`, where structures are read whole and these members of unions count.
fn whole(path: &str, choose: &[&str]) -> Result<CompiledPath, ExprError> {
    let data = sample();
    let btf = Btf::parse(&data).unwrap();
    let signature = btf.functions("thing_get").unwrap().remove(0).signature;
    let scope = Scope {
        btf: &btf,
        parameters: &signature.parameters,
        returned: ReturnMeaning::Function(signature.result),
        code: Code {
            symbols: &symbol,
            return_slot: &|_| Ok(ReturnSlot::Stack(0)),
            ..Code::UNKNOWN
        },
    };
    let choose: Vec<String> = choose.iter().map(|name| (*name).to_owned()).collect();
    let options = ReadOptions {
        whole: true,
        choose: &choose,
        ..ReadOptions::default()
    };
    compile_wanted(path, &scope, options)
}

/// Check that a structure is brought back in as many loads as it takes, each of its values with its own bytes, and that of a union
/// only the member counts that was chosen.
#[test]
fn whole_structures() {
    let compiled = whole("*thing", &["low"]).unwrap();
    let list: Vec<_> = loads(&compiled)
        .iter()
        .map(|load| (load.0, load.2))
        .collect();
    assert_eq!(list, [(0, 64), (64, 64), (128, 16)]);
    let Decoder::Structure { type_name, fields } = &compiled.decode else {
        panic!("{:?}", compiled.decode);
    };
    assert_eq!(type_name, "struct thing");
    let mut memory = [0_u8; 192];
    memory[..8].copy_from_slice(&0xffff_8880_0000_1000_u64.to_le_bytes());
    memory[8..12].copy_from_slice(&7_u32.to_le_bytes());
    memory[12..16].copy_from_slice(&(-9_i32).to_le_bytes());
    // one = 1, three = -3, mode = 1.
    memory[16] = 1 | 0b101 << 1 | 1 << 4;
    memory[20..24].copy_from_slice(&1_u32.to_le_bytes());
    memory[32..37].copy_from_slice(b"hello");
    memory[48..54].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
    memory[54] = 1;
    memory[96..104].copy_from_slice(&5_i64.to_le_bytes());
    memory[104..112].copy_from_slice(&6_i64.to_le_bytes());
    let pieces: Vec<[u8; MAX_READ_BYTES]> = memory
        .chunks(64)
        .map(|piece| piece.try_into().unwrap())
        .collect();
    let loaded = |result: i32| -> Vec<LoadedBytes<'_>> {
        pieces.iter().map(|piece| (piece, result)).collect()
    };
    let decoded = decode_fields(&loaded(0), fields);
    let value = |name: &str| {
        let found = decoded.iter().find(|(field, _)| *field == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.clone()
    };
    let number = |name: &str| match value(name) {
        Ok(DecodedValue::Int { value, .. } | DecodedValue::Enum { value, .. }) => value,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!((number("low"), number("high")), (7, -9));
    assert_eq!((number("one"), number("three"), number("mode")), (1, -3, 1));
    assert_eq!((number("pair.a"), number("pair.b")), (5, 6));
    assert!(
        matches!(value("state"), Ok(DecodedValue::Enum { name: Some(name), .. }) if name == "SS_UNCONNECTED")
    );
    assert!(matches!(
        value("next"),
        Ok(DecodedValue::Pointer {
            address: 0xffff_8880_0000_1000,
            ..
        })
    ));
    assert!(matches!(value("comm"), Ok(DecodedValue::Text { text, cut: None }) if text == "hello"));
    assert!(
        matches!(value("mac"), Ok(DecodedValue::Bytes { bytes, cut: None, .. }) if bytes == [1, 2, 3, 4, 5, 6])
    );
    assert_eq!(value("ready"), Ok(DecodedValue::Bool(true)));
    assert!(value("whole").unwrap_err().contains("another member"));
    for (_, value) in decode_fields(&loaded(-14), fields) {
        assert!(matches!(
            value,
            Err(_) | Ok(DecodedValue::Unread { errno: 14 })
        ));
    }
    let unsaid = whole("*thing", &[]).unwrap();
    let Decoder::Structure { fields, .. } = &unsaid.decode else {
        panic!("{:?}", unsaid.decode);
    };
    for name in ["whole", "low", "high"] {
        let field = fields.iter().find(|field| field.name == name).unwrap();
        let reason = field.decode.as_ref().unwrap_err();
        assert!(
            reason.contains(&format!("choose = [\"{name}\"]")),
            "{reason}"
        );
    }
    let flexible = whole("*(struct list *)thing", &[]).unwrap();
    let Decoder::Structure { fields, .. } = &flexible.decode else {
        panic!("{:?}", flexible.decode);
    };
    let found: Vec<_> = fields
        .iter()
        .map(|f| (f.name.as_str(), f.decode.is_ok()))
        .collect();
    assert_eq!(
        found,
        [
            ("count", true),
            ("title", true),
            ("table", true),
            ("items", false)
        ]
    );
    for (choose, path, reason) in [
        (&["low", "whole"][..], "*thing", "more than one member"),
        (&["lower"][..], "*thing", "no union with a member `lower`"),
        (&["low"][..], "thing->state", "read whole, and this is none"),
        (&[][..], "*(struct large *)thing", "has no members"),
    ] {
        let error = whole(path, choose).unwrap_err();
        assert!(error.to_string().contains(reason), "{path}: {error}");
    }
    assert!(mistake("*thing").to_string().contains("name a member"));
}

/// Check that a return address is shown without its signature, and that an address of user space, NULL and a pointer to data are shown as
/// they are.
#[test]
fn signatures_are_taken_off() {
    let decoded = |raw: u64, signature_bits| {
        let mut bytes = [0; MAX_READ_BYTES];
        bytes[..8].copy_from_slice(&raw.to_le_bytes());
        let decoder = Decoder::Pointer {
            type_name: "void *".into(),
            to_function: true,
            signature_bits,
        };
        match decode(&[(&bytes, 0)], &decoder) {
            DecodedValue::Pointer { address, .. } => address,
            other => panic!("{other:?}"),
        }
    };
    let bits = qed_collector_ebpf::SIGNATURE_BITS;
    let code = 0xffff_8000_8123_4568;
    assert_eq!(decoded(0x52bb_8000_8123_4568, bits), code);
    assert_eq!(decoded(code, bits), code);
    for other in [0, 0x0000_aaaa_1234_5678, 0x0052_0000_0000_0000] {
        assert_eq!(decoded(other, bits), other);
    }
    assert_eq!(decoded(0x52bb_8000_8123_4568, 0), 0x52bb_8000_8123_4568);
}
