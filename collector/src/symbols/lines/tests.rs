use super::*;
use crate::symbols::debuginfo::{self, Vmlinux};
use std::path::Path;
use std::path::PathBuf;

/// Lines 1, 3 and 5 are those that the test looks for.
const SOURCE: &str =
    "static inline __attribute__((always_inline)) int inner(volatile int *x) { return *x * 7; }
__attribute__((noinline))
int outer(volatile int *x)
{
    return inner(x) + 1;
}
int main(int argc, char **argv) { (void)argv; return outer(&argc); }
";

/// A small program with debug info, made by the C compiler that links this test, too.
fn program(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("small.c"), folder.join("small"));
    std::fs::write(&source, SOURCE).unwrap();
    let status = std::process::Command::new("cc")
        .args(["-g", "-O1", "-no-pie", "-o"])
        .args([&program, &source])
        .status();
    assert!(status.unwrap().success());
    program
}

fn lines_of(path: &Path, cache: Option<&Path>) -> LineResolver {
    let data = crate::symbols::mapping::Mapping::open(path).unwrap();
    LineResolver::new(
        Vmlinux {
            path: path.to_owned(),
            data,
            build_id: "aabb".parse().unwrap(),
        },
        cache,
    )
}

/// Check that each address of a function is found in its file: at a line of its own, and some
/// inside of the function that is inlined there, behind the line of the call; and that all of it comes from the cache the next time.
#[test]
fn frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = program(folder.path());
    let data = std::fs::read(&path).unwrap();
    let symbols = crate::symbols::elf::StaticSymbols::parse(&data).unwrap();
    let outer = symbols.symbols().iter().find(|s| s.name == "outer");
    let outer = outer.unwrap();
    let mut resolver = lines_of(&path, Some(folder.path()));
    let addresses = outer.address..outer.address + outer.size;
    let all: Vec<Vec<SourceFrame>> = addresses
        .clone()
        .map(|address| resolver.frames(address).unwrap())
        .collect();
    for frames in &all {
        let outermost = frames.last().unwrap();
        assert!(
            outermost.file.ends_with("small.c")
                && outermost.function == "outer"
                && (3..=6).contains(&outermost.line)
                && !outermost.inlined,
            "{frames:?}"
        );
        assert_eq!(frames[0].kind, LineKind::Code);
    }
    let inlined = all.iter().find(|frames| frames.len() == 2);
    let [inner, caller] = &inlined.expect("an inlined function")[..] else {
        unreachable!("it has two")
    };
    assert_eq!((inner.function.as_str(), inner.line), ("inner", 1));
    assert_eq!((caller.function.as_str(), caller.line), ("outer", 5));
    assert!(inner.inlined);

    let definitions = resolver.definitions("outer").unwrap();
    assert_eq!(definitions.len(), 1);
    resolver.save().unwrap();
    let again = lines_of(&path, Some(folder.path()));
    for (address, frames) in addresses.zip(all) {
        assert_eq!(again.cache.frames(address), Some(frames));
    }
}

/// Functions with copies of every kind; line 4 holds a call that is inlined.
const COPIES: &str =
    "static inline __attribute__((always_inline)) int inner(volatile int *x) { return *x * 7; }
static __attribute__((noinline)) int twin(volatile int *x) { return *x - 1; }
__attribute__((noinline)) int outer(volatile int *x)
{ return inner(x) + twin(x); }
extern int elsewhere(volatile int *x);
__attribute__((noinline, noreturn)) void ends(void) { for (;;) {} }
int main(int argc, char **argv) { (void)argv; if (argc > 9) ends(); return outer(&argc) + elsewhere(&argc); }
";
const ELSEWHERE: &str =
    "static __attribute__((noinline)) int twin(volatile int *x) { return *x + 1; }
int elsewhere(volatile int *x) { return twin(x) * 2; }
";

/// Check that copies are found at once for several functions: inlined ones with their holder and the line of the call,
/// functions of one name in two files, one that does not return, and none of a name that only is declared or that nothing has; from the
/// cache too.
#[test]
fn copies_of_functions() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.c"), COPIES).unwrap();
    std::fs::write(path("b.c"), ELSEWHERE).unwrap();
    let status = std::process::Command::new("cc")
        .args(["-g", "-O1", "-no-pie", "-o"])
        .args([path("program"), path("a.c"), path("b.c")])
        .status();
    assert!(status.unwrap().success());
    let data = std::fs::read(path("program")).unwrap();
    let symbols = crate::symbols::elf::StaticSymbols::parse(&data).unwrap();
    let outer = symbols
        .symbols()
        .iter()
        .find(|s| s.name == "outer")
        .unwrap();
    let names = ["inner", "twin", "outer", "ends", "nothing"];
    let mut resolver = lines_of(&path("program"), Some(folder.path()));
    let found = resolver.find_copies(&names).unwrap();
    let [inner] = &found["inner"].inlined[..] else {
        panic!("{:?}", found["inner"])
    };
    assert_eq!(
        (inner.holder.as_str(), &inner.starts[..]),
        ("outer", &[outer.address][..])
    );
    assert!(
        inner
            .site
            .as_ref()
            .is_some_and(|site| site.ends_with("a.c:4"))
    );
    assert!(found["inner"].described && found["inner"].own.is_empty());
    let files = |name: &str| -> Vec<String> {
        let own = found[name].own.iter();
        own.map(|copy| {
            copy.file
                .clone()
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
    };
    let mut twins = files("twin");
    twins.sort();
    assert_eq!(twins, ["a.c", "b.c"]);
    assert_eq!(files("outer"), ["a.c"]);
    let never = |name: &str| {
        found[name]
            .own
            .iter()
            .map(|own| own.never_returns)
            .collect::<Vec<_>>()
    };
    assert_eq!((never("outer"), never("ends")), (vec![false], vec![true]));
    assert!(found["outer"].inlined.is_empty() && found["outer"].described);
    assert_eq!(found["nothing"], Copies::default());
    resolver.save().unwrap();
    let again = lines_of(&path("program"), Some(folder.path()));
    for name in names {
        assert_eq!(again.cache.copies(name).as_ref(), Some(&found[name]));
    }
    assert_eq!(resolver.code(outer.address, 4).map(<[u8]>::len), Some(4));
    assert_eq!(resolver.code(8, 4), None);
}

/// Functions that are inlined into each other; line 3 calls one from another, line 6 has the same call twice on one line.
const NESTED: &str = "#define INLINE static inline __attribute__((always_inline))
INLINE int leaf(volatile int *x) { return *x * 7; }
INLINE int middle(volatile int *x) { return leaf(x) - 1; }
__attribute__((noinline)) int plain(volatile int *x) { return *x; }
__attribute__((noinline)) int outer(volatile int *x)
{ int sum = middle(x) + leaf(x); if (*x > 9) sum += plain(x); return sum; }
int main(int argc, char **argv) { (void)argv; return outer(&argc); }
";

/// Check that calls which were inlined into a function are listed with their places and their depth, that a function which is called is
/// not among them, and that one without any is told apart from one that is not described; from the cache too.
#[test]
fn inlined_calls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.c"), NESTED).unwrap();
    let status = std::process::Command::new("cc")
        .args(["-g", "-O1", "-no-pie", "-o"])
        .args([path("program"), path("a.c")])
        .status();
    assert!(status.unwrap().success());
    let data = std::fs::read(path("program")).unwrap();
    let symbols = crate::symbols::elf::StaticSymbols::parse(&data).unwrap();
    let at = |name: &str| {
        let mut all = symbols.symbols().iter();
        all.find(|one| one.name == name).unwrap().address
    };
    let mut resolver = lines_of(&path("program"), Some(folder.path()));
    let mut shown = |name: &str| {
        let found = resolver.inlined_at(at(name)).unwrap()?;
        let line = |one: &InlinedCallee| {
            let site = one.site.as_deref().unwrap_or_default();
            let line = site.rsplit(':').next().unwrap_or_default();
            format!("{} {} {line}", one.depth, one.function)
        };
        let mut lines: Vec<String> = found.iter().map(line).collect();
        // The compiler decides which of two calls on one line comes first.
        if lines.first().is_some_and(|line| line == "0 leaf 6") {
            lines.rotate_left(1);
        }
        Some(lines)
    };
    let outer = ["0 middle 6", "1 leaf 3", "0 leaf 6"].map(str::to_owned);
    assert_eq!(shown("outer"), Some(outer.to_vec()));
    assert_eq!(shown("plain"), Some(Vec::new()));
    // From the C library's start files, which have no debug info.
    assert_eq!(shown("_start"), None);
    resolver.save().unwrap();
    let again = lines_of(&path("program"), Some(folder.path()));
    let cached = |name: &str| {
        again
            .cache
            .inlined(at(name))
            .map(|found| found.map(|all| all.len()))
    };
    assert_eq!(
        [
            cached("outer"),
            cached("plain"),
            cached("_start"),
            cached("main")
        ],
        [Some(Some(3)), Some(Some(0)), Some(None), None]
    );
}

/// Check that an address outside of any code has no frames, and an unknown function neither a definition nor a copy.
#[test]
fn nothing_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut resolver = lines_of(&program(folder.path()), None);
    for address in [8, 1 << 46, u64::MAX] {
        assert_eq!(resolver.frames(address).unwrap(), [], "{address:#x}");
    }
    assert_eq!(resolver.definitions("no such function").unwrap(), []);
    assert_eq!(
        resolver.find_inlining("no such function").unwrap(),
        Inlining::default()
    );
}

/// Check that a file that is not a vmlinux is an error that names it.
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
            .map(|name| resolver.find_inlining(name).unwrap())
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
