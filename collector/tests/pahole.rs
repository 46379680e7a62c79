//! Layouts of structures, member by member, against those that pahole prints. Needs pahole (Debian's package of that name, or
//! dwarves) and the kernels' debug information in the cache.

use crate::support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection};
use qed_collector::assemble::facts::type_facts;
use qed_collector::btf::Btf;
use qed_evidence::value::Value;

/// Structures with bit fields, unions, anonymous members, arrays, function pointers and alignments.
const STRUCTURES: [&str; 20] = [
    "socket",
    "sock",
    "sock_common",
    "file",
    "inode",
    "dentry",
    "task_struct",
    "mm_struct",
    "sk_buff",
    "net_device",
    "pipe_inode_info",
    "pipe_buffer",
    "files_struct",
    "fdtable",
    "cred",
    "super_block",
    "page",
    "iphdr",
    "tcphdr",
    "vm_area_struct",
];

/// Offset in bytes and size in bytes; of a bit field, its first bit and its width in bits.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Bytes(u64, u64),
    Bits(u64, u64),
}

/// The places of members in what pahole prints of a structure, and its size. `look` gives those of another one.
///
/// ```text
/// struct socket {
///         socket_state               state;                /*     0     4 */
///         u8                         sk_reuse:4;           /*    19: 0  1 */
///         union {
///                 ...
///         };                                               /*     8     8 */
///         /* size: 128, cachelines: 2, members: 7 */
/// ```
fn places(
    text: &str,
    look: &dyn Fn(&str) -> BTreeMap<String, Place>,
) -> (BTreeMap<String, Place>, Option<u64>) {
    let (mut found, mut size) = (BTreeMap::new(), None);
    // Members of nested structures, of which it is not known yet whether they have a name.
    let mut open: Vec<BTreeMap<String, Place>> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(sizes) = line.strip_prefix("/* size: ") {
            if open.len() == 1 {
                size = sizes
                    .split(',')
                    .next()
                    .and_then(|number| number.parse().ok());
            }
            continue;
        }
        let code = line.split("/*").next().unwrap_or_default().trim();
        if code.ends_with('{') {
            open.push(BTreeMap::new());
            continue;
        }
        let comment = line
            .rsplit_once("/*")
            .and_then(|(_, rest)| rest.strip_suffix("*/"))
            .unwrap_or_default();
        let bits = width(code);
        let here = place(comment, bits);
        // 7.3 has members of a type with a name that have none themselves (-fms-extensions). pahole 1.24 does not show what is
        // in them.
        let words: Vec<&str> = code.trim_end_matches(';').split_whitespace().collect();
        if let (["union" | "struct", inside], Some(Place::Bytes(offset, _))) = (&words[..], &here) {
            for (name, place) in look(inside) {
                let place = match place {
                    Place::Bytes(at, size) => Place::Bytes(at + offset, size),
                    Place::Bits(at, width) => Place::Bits(at + offset * 8, width),
                };
                if let Some(into) = open.last_mut() {
                    into.insert(name, place);
                }
            }
            continue;
        }
        if let Some(after) = code.strip_prefix('}') {
            let inner = open.pop().unwrap_or_default();
            let into = open.last_mut().unwrap_or(&mut found);
            match (name_of(after), here) {
                (Some(name), Some(place)) => {
                    into.insert(name, place);
                }
                _ => into.extend(inner),
            }
        } else if let (Some(name), Some(place), Some(into)) = (name_of(code), here, open.last_mut())
        {
            into.insert(name, place);
        }
    }
    (found, size)
}

/// The width of a bit field: `u8 x:4;`.
fn width(code: &str) -> Option<u64> {
    let (_, bits) = code.trim_end_matches(';').rsplit_once(':')?;
    bits.trim().parse().ok()
}

/// `19: 0  1` or `0     4`, the comment behind a member.
fn place(comment: &str, width: Option<u64>) -> Option<Place> {
    let numbers: Vec<u64> = comment
        .split([' ', ':'])
        .filter_map(|word| word.parse().ok())
        .collect();
    match (width, &numbers[..]) {
        (Some(width), [offset, bit, ..]) => Some(Place::Bits(offset * 8 + bit, width)),
        (None, [offset, size, ..]) => Some(Place::Bytes(*offset, *size)),
        _ => None,
    }
}

/// The name that a declaration declares: `void (*f)(int);`, `char name[16];`, `u8 x:4;`, `struct a b __attribute__((…));`.
fn name_of(code: &str) -> Option<String> {
    let code = code
        .split("__attribute__")
        .next()?
        .trim()
        .trim_end_matches(';')
        .trim();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let pointed = code
        .split_once("(*")
        .map(|(_, rest)| rest.trim_start_matches('*'));
    let name = match pointed {
        Some(rest) => rest
            .trim_start()
            .chars()
            .take_while(|c| is_word(*c))
            .collect(),
        None => {
            let code = code.split(['[', ':']).next()?.trim();
            let start = code.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
            code[start..].to_owned()
        }
    };
    (!name.is_empty()).then_some(name)
}

fn pahole(arguments: &[&str], file: &Path) -> Option<String> {
    let output = Command::new("pahole")
        .args(arguments)
        .arg(file)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The places of members of a structure, by pahole.
fn printed(name: &str, file: &Path) -> BTreeMap<String, Place> {
    let text = pahole(&["-F", "btf", "-C", name], file).unwrap_or_default();
    places(&text, &|inside| printed(inside, file)).0
}

/// The debug information of a series in the cache.
fn vmlinux(series: &str) -> Option<PathBuf> {
    let kernels = dirs(
        &qed_collector::guest::cache::Cache::for_user()
            .ok()?
            .root()
            .join("kernels"),
    );
    let of_series = |folder: &PathBuf| {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.starts_with(&format!("linux-image-{series}.")) && name.contains("-dbg_")
    };
    let folders = kernels.into_iter().filter(of_series);
    folders.flat_map(|folder| dirs(&folder)).find(|file| {
        file.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("vmlinux-"))
    })
}

fn dirs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// Check that offsets, sizes and bits of all members of twenty structures are those that pahole prints.
#[test]
fn twenty_structures() {
    if Command::new("pahole").arg("--version").output().is_err() {
        return support::note_skipped("pahole is not installed");
    }
    for series in ["6.1", "6.12", "7.3"] {
        let Some(file) = vmlinux(series) else {
            support::note_skipped(&format!(
                "the debug information of {series} is not in the cache"
            ));
            continue;
        };
        let data = std::fs::read(&file).unwrap();
        let elf = object::File::parse(&*data).unwrap();
        let Some(section) = elf.section_by_name(".BTF") else {
            support::note_skipped(&format!("{} has no BTF", file.display()));
            continue;
        };
        let types = section.data().unwrap();
        let btf = Btf::parse(types).unwrap();
        let mut compared = 0;
        for name in STRUCTURES {
            let text = pahole(&["-F", "btf", "-C", name], &file).unwrap();
            let (theirs, size) = places(&text, &|inside| printed(inside, &file));
            let facts = type_facts(&btf, name).expect("the type");
            assert_eq!(
                facts.exists.value(),
                Some(&Value::Bool { value: true }),
                "{series}: {name}"
            );
            let own_size = facts
                .size
                .as_ref()
                .and_then(|size| size.value()?.as_integer());
            assert_eq!(own_size, size.map(i128::from), "{series}: {name}: {text}");
            let ours: BTreeMap<String, Place> = facts
                .members
                .iter()
                .map(|(member, one)| {
                    let place = match one.bits {
                        Some(bits) => Place::Bits(one.offset * 8 + one.bit.unwrap_or(0), bits),
                        None => Place::Bytes(one.offset, one.size.unwrap_or(0)),
                    };
                    (member.clone(), place)
                })
                .collect();
            for (member, place) in ours.iter().chain(&theirs) {
                let both = (ours.get(member), theirs.get(member));
                assert_eq!(
                    both,
                    (Some(place), Some(place)),
                    "{series}: {name}.{member}"
                );
            }
            compared += ours.len();
        }
        assert!(compared > 500, "{series}: {compared} members");
        println!(
            "{series}: {compared} members of {} structures",
            STRUCTURES.len()
        );
    }
}

/// Check that what pahole prints is understood.
#[test]
fn understood() {
    let text = "struct x {\n\tu8  a:4;  /*     1: 4  1 */\n\tunion {\n\t\tint  b;  /*  8  4 */\n\t};  /*  8  4 */\n\
                \tstruct {\n\t\tint  c;  /*  12  4 */\n\t} d;  /*  12  4 */\n\tvoid  (*e)(int, char *);  /*  16  8 */\n\
                \tchar  f[3] __attribute__((__aligned__(8)));  /*  24  3 */\n\tunion y  ;  /*  28  8 */\n\n\t/* size: 32, cachelines: 1, members: 5 */\n};\n";
    let (found, size) = places(text, &|_| [("g".to_owned(), Place::Bytes(4, 4))].into());
    // The closing brace of the whole has no name.
    assert_eq!(size, Some(32));
    let expected = [
        ("a", Place::Bits(12, 4)),
        ("b", Place::Bytes(8, 4)),
        ("d", Place::Bytes(12, 4)),
        ("e", Place::Bytes(16, 8)),
        ("f", Place::Bytes(24, 3)),
        ("g", Place::Bytes(32, 4)),
    ];
    assert_eq!(
        found,
        expected
            .map(|(name, place)| (name.to_owned(), place))
            .into()
    );
}
