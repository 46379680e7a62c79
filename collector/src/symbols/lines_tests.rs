use super::*;
use std::path::PathBuf;

/// A function that this test looks for in its own debug info.
#[inline(never)]
fn here() -> u32 {
    std::hint::black_box(line!())
}

fn own(cache: Option<&Path>) -> LineResolver {
    let path = PathBuf::from("/proc/self/exe");
    let path = std::fs::canonicalize(path).unwrap();
    let data = crate::symbols::mapping::Mapping::open(&path).unwrap();
    LineResolver::new(
        Vmlinux {
            path,
            data,
            build_id: "aabb".parse().unwrap(),
        },
        cache,
    )
}

/// Check that an address in this very test is found in its file, the line close to the one the compiler states.
#[test]
fn own_frames() {
    let line = here();
    let dir = tempfile::tempdir().unwrap();
    let data = std::fs::read("/proc/self/exe").unwrap();
    let symbols = crate::symbols::elf::StaticSymbols::parse(&data).unwrap();
    let symbol = symbols
        .symbols()
        .iter()
        .find(|s| s.is_function && s.name.contains("lines5tests4here"))
        .unwrap();
    let mut resolver = own(Some(dir.path()));
    let frames = resolver.frames(symbol.address).unwrap();
    let outermost = frames.last().unwrap();
    assert!(
        outermost.file.ends_with("lines_tests.rs") && !outermost.inlined,
        "{frames:?}"
    );
    assert!(outermost.line.abs_diff(line) <= 3, "{frames:?}");
    assert_eq!(frames[0].kind, LineKind::Code);
    resolver.save().unwrap();
    assert_eq!(
        own(Some(dir.path())).cache.frames(symbol.address),
        Some(frames)
    );
}

/// Check that an address outside of any code has no frames, and an unknown function neither a definition nor a copy.
#[test]
fn nothing_found() {
    let mut resolver = own(None);
    for address in [8, 1 << 46, u64::MAX] {
        assert_eq!(resolver.frames(address).unwrap(), [], "{address:#x}");
    }
    assert_eq!(resolver.definitions("no such function").unwrap(), []);
    assert_eq!(
        resolver.inlined_into("no such function").unwrap(),
        Inlining::default()
    );
}

/// Check that a file that is no vmlinux is an error that names it.
#[test]
fn not_a_vmlinux() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vmlinux");
    std::fs::write(&path, crate::symbols::elf::tests::vmlinux(&[1, 2])).unwrap();
    let mut resolver = LineResolver::open(&path).unwrap();
    let error = resolver
        .definition_at(0xffff_ffff_8100_0000)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("vmlinux") && error.contains("debug_info"),
        "{error}"
    );
    assert!(matches!(
        LineResolver::open(dir.path()),
        Err(LinesError::Open(_))
    ));
}

/// Check the whole way on a real vmlinux, given by `QED_TEST_VMLINUX`, and print what it costs. With `QED_TEST_SITES`,
/// a file of static addresses in hexadecimal, those are resolved.
#[test]
#[ignore = "needs a vmlinux with debug info in QED_TEST_VMLINUX"]
fn real_vmlinux() {
    let vmlinux = PathBuf::from(std::env::var_os("QED_TEST_VMLINUX").expect("QED_TEST_VMLINUX"));
    let sites = std::env::var("QED_TEST_SITES")
        .ok()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let sites: Vec<u64> = sites
        .iter()
        .flat_map(|text| text.split_whitespace())
        .map(|hex| u64::from_str_radix(hex, 16).unwrap())
        .collect();
    let functions = [
        "sock_alloc",
        "__sock_create",
        "__sys_socket",
        "do_syscall_64",
        "fd_install",
        "inet_create",
        "sock_create",
        "sock_map_fd",
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut results = Vec::new();
    for round in ["first", "cached"] {
        let start = std::time::Instant::now();
        let mut resolver = LineResolver::new(debuginfo::open(&vmlinux).unwrap(), Some(dir.path()));
        let frames: Vec<_> = sites
            .iter()
            .map(|site| resolver.frames(*site).unwrap())
            .collect();
        let after_frames = start.elapsed();
        let definitions: Vec<_> = functions
            .iter()
            .map(|name| resolver.definitions(name).unwrap())
            .collect();
        let after_definitions = start.elapsed();
        let inlining: Vec<_> = functions
            .iter()
            .map(|name| resolver.inlined_into(name).unwrap())
            .collect();
        let after_inlining = start.elapsed();
        resolver.save().unwrap();
        println!(
            "{round}: frames {after_frames:?}, + definitions {after_definitions:?}, + inlining {after_inlining:?}"
        );
        results.push((frames, definitions, inlining));
    }
    for (site, frames) in sites.iter().zip(&results[0].0) {
        println!("{site:#x}");
        frames
            .iter()
            .for_each(|f| println!("  {}\n  {}:{}", f.function, f.file, f.line));
    }
    for ((name, definitions), inlining) in functions.iter().zip(&results[0].1).zip(&results[0].2) {
        println!("{name}: {definitions:?}\n   {inlining:?}");
    }
    assert_eq!(results[0], results[1]);
    assert!(
        results[0]
            .1
            .iter()
            .all(|definitions| !definitions.is_empty())
    );
}
