use super::*;
use proptest::prelude::*;

/// Lines as a 6.1 kernel gives them, the image shortened to a few symbols.
const SAMPLE: &str = "\
0000000000000000 A fixed_percpu_data
0000000000000000 A __per_cpu_start
0000000000034000 A __per_cpu_end
ffffffff9c200000 T startup_64
ffffffff9c200000 T _stext
ffffffff9c200000 T _text
ffffffff9c97f940 T sock_alloc
ffffffff9c980000 t helper
ffffffff9c980100 T __x64_sys_socket
ffffffff9c980100 T __ia32_sys_socket.cold
ffffffff9c990000 t helper
ffffffff9d001ef2 T _etext
ffffffff9d200000 D __start_rodata
ffffffff9d3083c0 D inet_stream_ops
ffffffff9da27000 D __end_rodata
ffffffff9ea30000 B _end
ffffffffc0a5b010 t virtio_init\t[virtio_net]
ffffffffc0a5b010 t init_module\t[virtio_net]
";

fn sample() -> Kallsyms {
    Kallsyms::parse(SAMPLE.to_owned(), Some("0\n")).unwrap()
}

fn name(address: u64) -> Result<(String, u64), ResolveError> {
    sample()
        .resolve(address)
        .map(|r| (r.name.to_owned(), r.offset))
}

/// Check that duplicates of a static function are told apart and that modules and absolute symbols do not count as addresses.
#[test]
fn lookup() {
    let table = sample();
    assert_eq!(
        table.lookup("helper"),
        [0xffff_ffff_9c98_0000, 0xffff_ffff_9c99_0000]
    );
    assert_eq!(table.lookup("sock_alloc"), [0xffff_ffff_9c97_f940]);
    for absent in ["virtio_init", "fixed_percpu_data", "sock", "sock_allo", ""] {
        assert_eq!(table.lookup(absent), [0_u64; 0], "{absent}");
    }
    let module = table.symbols_named("virtio_init").next().unwrap();
    assert_eq!(
        (module.module, module.kind, table.is_code(&module)),
        (Some("virtio_net"), 't', true)
    );
    assert_eq!(table.image(), 0xffff_ffff_9c20_0000..0xffff_ffff_9ea3_0000);
    assert_eq!(table.len(), SAMPLE.lines().count());
}

/// Check that a symbol ends where addresses stop to resolve to it, at the next symbol, the end of its part or of its
/// reach.
#[test]
fn ends() {
    let table = sample();
    for (address, end) in [
        (0xffff_ffff_9c98_0004, 0xffff_ffff_9c98_0100), // the next symbol
        (0xffff_ffff_9c98_0100, 0xffff_ffff_9c99_0000), // the next symbol, and the reach of text
        (0xffff_ffff_9c99_0000, 0xffff_ffff_9c9a_0000), // the reach of text
        (0xffff_ffff_9d30_83c0, 0xffff_ffff_9d70_83c0), // the reach of data
        (0xffff_ffff_c0a5_b010, 0xffff_ffff_c0a6_b010),
    ] {
        assert_eq!(table.symbol_end(address), end, "{address:#x}");
        let own = name(address).unwrap().0;
        assert_eq!(name(end - 1).unwrap().0, own);
        assert_ne!(
            name(end).ok().map(|(name, offset)| (name, offset > 0)),
            Some((own, true))
        );
    }
    assert_eq!(table.symbol_end(0x1234), 0x1234);
}

/// Check that text and data resolve with their offset, and that all other names of the address are kept.
#[test]
fn resolve() {
    assert_eq!(
        name(0xffff_ffff_9c97_f950).unwrap(),
        ("sock_alloc".to_owned(), 0x10)
    );
    assert_eq!(
        name(0xffff_ffff_9d30_83c0).unwrap(),
        ("inet_stream_ops".to_owned(), 0)
    );
    let table = sample();
    let start = table.resolve(0xffff_ffff_9c20_0000).unwrap();
    assert_eq!(
        (start.name, start.aliases),
        ("startup_64", vec!["_stext", "_text"])
    );
    assert_eq!(name(0xffff_ffff_9c98_0113).unwrap().0, "__x64_sys_socket");
    assert_eq!(
        table.resolve(0xffff_ffff_c0a5_b011).unwrap().module,
        Some("virtio_net")
    );
}

/// Check that what no symbol holds is refused: heap, per-CPU offsets, `_end`, gaps and padding behind a part.
#[test]
fn refused() {
    for outside in [
        0,
        0x1000,
        0xff2d_759c_c142_5d40,
        0xffff_ffff_9ea3_0000,
        0xffff_ffff_9ea3_0001,
        0xffff_ffff_a000_0000,
    ] {
        assert_eq!(name(outside), Err(ResolveError::Outside), "{outside:#x}");
    }
    for gap in [
        0xffff_ffff_9c97_f940 - 1,
        0xffff_ffff_9d00_1ef3,
        0xffff_ffff_9d10_0000,
        0xffff_ffff_9da2_7008,
    ] {
        assert_eq!(name(gap), Err(ResolveError::Gap), "{gap:#x}");
    }
}

/// Check that zeroed addresses are an error that names the cause, by the sysctl.
#[test]
fn zeroed() {
    let text = "0000000000000000 T _text\n0000000000000000 t helper\n";
    let cause = |kptr| Kallsyms::parse(text.to_owned(), kptr).unwrap_err();
    assert_eq!(
        cause(Some("2\n")),
        KallsymsError::Zeroed(ZeroedReason::KptrRestrict)
    );
    assert_eq!(
        cause(Some("1\n")),
        KallsymsError::Zeroed(ZeroedReason::NoCapSyslog { kptr_restrict: 1 })
    );
    assert_eq!(cause(None), KallsymsError::Zeroed(ZeroedReason::Unknown));
}

/// Check that a broken line is quoted with its number.
#[test]
fn malformed() {
    for bad in [
        "ffffffff9c200000 T",
        "xyz T a",
        "ffffffff9c200000  a",
        "11112222333344445 t a",
        "1 t a b",
        "1 t a\t[]",
        " t a",
    ] {
        let error = Kallsyms::parse(format!("1 t ok\n{bad}\n"), None).unwrap_err();
        assert_eq!(
            error,
            KallsymsError::Malformed {
                line: 2,
                text: bad.to_owned()
            }
        );
    }
    assert_eq!(
        Kallsyms::parse("\n\n".to_owned(), None).unwrap_err(),
        KallsymsError::Empty
    );
}

/// Check that the preferred name does not depend on the order of the table.
#[test]
fn preferred_name_is_stable() {
    let lines = [
        "T __ret_slow",
        "t local",
        "T __pfx_entry",
        "T entry.cold",
        "W weak",
        "T entry",
        "T entry_other",
        "T _stext",
    ];
    for shift in 0..lines.len() {
        let text: String = (0..lines.len())
            .map(|i| format!("ffffffff81000000 {}\n", lines[(i + shift) % lines.len()]))
            .collect();
        assert_eq!(
            Kallsyms::parse(text, None)
                .unwrap()
                .resolve(0xffff_ffff_8100_0000)
                .unwrap()
                .name,
            "entry"
        );
    }
}

/// Check that this machine's own table parses, or says why it does not.
#[test]
fn this_machine() {
    match super::super::running::read_kallsyms() {
        Ok(table) => {
            let text = table.lookup("_stext");
            assert_eq!(table.resolve(text[0]).unwrap().offset, 0);
        }
        Err(error) => assert!(
            error.to_string().contains("kall") || error.to_string().contains("zero"),
            "{error}"
        ),
    }
}

proptest! {
    /// Check that no text makes the parser panic, and that its index stays in proportion to the text.
    #[test]
    fn never_panics(text in "([0-9a-f]{0,18}[ \t\n]?[tTdA]?[ ]?[a-z._\\[\\]\t]{0,9}\n?){0,20}", address in any::<u64>()) {
        if let Ok(table) = Kallsyms::parse(text.clone(), None) {
            prop_assert!(table.len() <= text.len() / 5);
            for symbol in table.symbols() {
                prop_assert!(!symbol.name.is_empty());
                let _ = table.resolve(symbol.address.wrapping_add(address % 0x2_0000));
            }
            let _ = table.resolve(address);
        }
    }

    /// Check that arbitrary text never panics.
    #[test]
    fn arbitrary(text in any::<String>()) {
        let _ = Kallsyms::parse(text, None);
    }

    /// Check that what was written is read back, address, type, name and module.
    #[test]
    fn round_trip(rows in proptest::collection::vec((1_u64.., "[tTdDrRbBA]", "[a-zA-Z_.][a-zA-Z0-9_.]{0,40}", proptest::option::of("[a-z_]{1,20}")), 1..30)) {
        let text: String = rows.iter().map(|(address, kind, name, module)| {
            let module = module.as_ref().map_or(String::new(), |m| format!("\t[{m}]"));
            format!("{address:016x} {kind} {name}{module}\n")
        }).collect();
        let table = Kallsyms::parse(text, None).unwrap();
        let mut rows = rows;
        rows.sort_by_key(|row| row.0);
        for (symbol, (address, kind, name, module)) in table.symbols().zip(&rows) {
            prop_assert_eq!((symbol.address, symbol.kind.to_string(), symbol.name, symbol.module), (*address, kind.clone(), name.as_str(), module.as_deref()));
        }
    }
}
