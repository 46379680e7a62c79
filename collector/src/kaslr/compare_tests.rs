use super::*;

/// Static and live text of one kernel with `count` functions, the live one moved by `slide`.
pub(crate) fn tables(count: u64, slide: u64) -> (String, String) {
    let mut map = "0000000000000000 D __per_cpu_start\nffffffff83025000 A init_per_cpu__gdt_page\n"
        .to_owned();
    let mut live = "0000000000000000 A __per_cpu_start\n".to_owned();
    let base = 0xffff_ffff_8100_0000_u64;
    let mut put = |address: u64, kind: char, name: &str| {
        map += &format!("{address:016x} {kind} {name}\n");
        live += &format!("{:016x} {kind} {name}\n", address + slide);
    };
    put(base, 'T', "_stext");
    put(base, 'T', "_text");
    for n in 0..count {
        // Every third is a static function whose name others share.
        put(
            base + 0x100 * (n + 1),
            't',
            &if n % 3 == 0 {
                "helper".to_owned()
            } else {
                format!("function_{n}")
            },
        );
    }
    put(base + 0x200_0000, 'B', "_end");
    live += "ffffffffc0a5b010 t helper\t[module]\n";
    (map, live)
}

fn run(map: &str, live: &str) -> Result<SymbolComparison, CompareError> {
    let map = SystemMap::parse(map.as_bytes().to_vec()).unwrap();
    compare_symbols(
        &Kallsyms::parse(live.to_owned(), None).unwrap(),
        &StaticTable::from_system_map(&map)?,
    )
}

/// Check that all core symbols of one build give one slide, and that per-CPU, absolute and module symbols do not count.
#[test]
fn one_slide() {
    let (map, live) = tables(60, 0x1b20_0000);
    let comparison = run(&map, &live).unwrap();
    let expected = SymbolComparison {
        slide: 0x1b20_0000,
        checked: 62,
        differing: 0,
        absent: 0,
        examples: vec![],
    };
    assert_eq!(comparison, expected);
}

/// Check that one symbol moved by one byte is counted and named.
#[test]
fn one_differs() {
    let (map, live) = tables(60, 0x1b20_0000);
    let comparison = run(
        &map,
        &live.replace("9c200200 t function_1\n", "9c200201 t function_1\n"),
    )
    .unwrap();
    assert_eq!(
        (
            comparison.checked,
            comparison.differing,
            comparison.examples
        ),
        (62, 1, vec!["function_1".to_owned()])
    );
}

/// Check that a live symbol which the map does not name is counted as absent, not as equal.
#[test]
fn one_absent() {
    let (map, live) = tables(60, 0x1b20_0000);
    let comparison = run(&map.replace("function_1\n", "renamed\n"), &live).unwrap();
    assert_eq!(
        (comparison.checked, comparison.differing, comparison.absent),
        (61, 0, 1)
    );
}

/// Check that tables without an image, of unrelated kernels, or moved down are refused.
#[test]
fn refused() {
    let (map, live) = tables(60, 0x1b20_0000);
    assert_eq!(
        run(&map.replace("_end", "end"), &live),
        Err(CompareError::NoImage("static"))
    );
    assert_eq!(
        run(&map, &live.replace("_end", "end")),
        Err(CompareError::NoImage("live"))
    );
    assert_eq!(
        run(&tables(3, 0).0, &tables(3, 0).1),
        Err(CompareError::TooFew(5))
    );
    assert!(matches!(
        run(
            &tables(60, 0x20_0000).1.replace(" T __per_cpu", " A x"),
            &map
        ),
        Err(CompareError::MovedDown { .. })
    ));
}
