use super::*;
use proptest::prelude::*;

const R: &str = "7.3.4+deb13-cloud-amd64";

/// One way to lay a kernel out: image, configuration, symbols, vmlinux, modules (a folder).
type Layout = (
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);

/// The layouts in use, `R` for the release.
const LAYOUTS: &[Layout] = &[
    (
        "boot/vmlinuz-R",
        "boot/config-R",
        Some("usr/lib/debug/boot/System.map-R"),
        Some("usr/lib/debug/boot/vmlinux-R"),
        Some("lib/modules/R"),
    ),
    (
        "usr/lib/modules/R/vmlinuz",
        "usr/lib/modules/R/config",
        Some("usr/lib/debug/lib/modules/R/System.map"),
        Some("usr/lib/debug/lib/modules/R/vmlinux"),
        Some("usr/lib/modules/R"),
    ),
    (
        "usr/lib/modules/R/vmlinuz.unsigned",
        "usr/lib/modules/R/config",
        None,
        None,
        Some("usr/lib/modules/R"),
    ),
    (
        "lib/modules/R/vmlinuz",
        "lib/modules/R/config",
        Some("lib/modules/R/System.map"),
        Some("usr/lib/debug/lib/modules/R/vmlinux"),
        Some("lib/modules/R"),
    ),
    (
        "usr/lib/modules/R/vmlinuz",
        "usr/lib/modules/R/build/.config",
        Some("usr/lib/modules/R/build/System.map"),
        Some("usr/lib/modules/R/build/vmlinux"),
        Some("usr/lib/modules/R"),
    ),
    (
        "boot/vmlinuz-linux",
        "usr/lib/modules/R/build/.config",
        None,
        Some("usr/lib/debug/usr/lib/modules/R/vmlinux"),
        Some("usr/lib/modules/R"),
    ),
    (
        "tree/arch/x86/boot/bzImage",
        "tree/.config",
        Some("tree/System.map"),
        Some("tree/vmlinux"),
        Some("tree"),
    ),
    (
        "tree/arch/x86_64/boot/bzImage",
        "tree/.config",
        Some("tree/System.map"),
        Some("tree/vmlinux"),
        None,
    ),
    (
        "flat/bzImage",
        "flat/.config",
        Some("flat/System.map"),
        Some("flat/vmlinux"),
        None,
    ),
    (
        "flat/vmlinuz-mine",
        "flat/config-mine",
        Some("flat/System.map-mine"),
        Some("flat/vmlinux-mine"),
        None,
    ),
];

fn first<'a>(places: &'a [PathBuf], there: &[PathBuf]) -> Option<&'a PathBuf> {
    places.iter().find(|place| there.contains(place))
}

/// Check that in each layout each part is found, whatever the root is, and that the parts of another kernel beside it are not.
#[test]
fn layouts() {
    for root in ["", "/", "/tmp/unpacked", "../x"] {
        for (image, config, map, vmlinux, modules) in LAYOUTS {
            let at = |path: &str, release: &str| Path::new(root).join(path.replace('R', release));
            let of = |path: &Option<&str>, release| path.map(|path| at(path, release));
            let shown = format!("{root} {image}");
            let places = CandidatePaths::for_image(&at(image, R), Some(R));
            let mut there = vec![at(config, R)];
            for part in [map, vmlinux, modules] {
                there.extend(of(part, R));
            }
            // The same layout, of another release, in the same root.
            if config.contains('R') {
                there.push(at(config, "6.1.0-9"));
                there.extend(of(vmlinux, "6.1.0-9"));
            }
            assert_eq!(
                first(&places.config, &there),
                Some(&at(config, R)),
                "{shown}"
            );
            let check = |found: &[PathBuf], part: &Option<&str>| {
                assert_eq!(first(found, &there).cloned(), of(part, R), "{shown}");
            };
            check(&places.system_map, map);
            check(&places.vmlinux, vmlinux);
            check(&places.modules, modules);
        }
    }
}

/// Check that a configuration without a release in its name is not taken from a folder of several kernels.
#[test]
fn shared_folder() {
    let places = CandidatePaths::for_image(Path::new("/boot/vmlinuz-6.1"), Some("6.1"));
    let all = [places.config, places.system_map, places.vmlinux].concat();
    for name in ["config", ".config", "System.map", "vmlinux"] {
        assert!(!all.contains(&Path::new("/boot").join(name)), "{name}");
    }
}

/// Check that an image without a stated release still has what its own name says.
#[test]
fn without_a_release() {
    let places = CandidatePaths::for_image(Path::new("/boot/vmlinuz-6.1"), None);
    assert_eq!(places.config, [Path::new("/boot/config-6.1")]);
    assert!(places.modules.is_empty());
}

/// Check the release in a header, and headers that have none.
#[test]
fn header() {
    let mut start = vec![0; 0x400];
    start[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
    let text = b"7.3.4+deb13-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP\0";
    start[0x300..0x300 + text.len()].copy_from_slice(text);
    assert_eq!(parse_stated_release(&start).as_deref(), Some(R));
    assert_eq!(parse_stated_release(&start[..0x2ff]), None);
    start[0x300..0x308].copy_from_slice(b"../../x ");
    assert_eq!(parse_stated_release(&start), None);
    start[0x20e..0x210].copy_from_slice(&0u16.to_le_bytes());
    assert_eq!(parse_stated_release(&start), None);
    assert_eq!(parse_stated_release(b""), None);
}

proptest! {
    /// Check that for no image and no release a place has a `..` that neither of the two had, and that every place of a
    /// release below a root stands in that root.
    #[test]
    fn stays_inside(folder in "(/[a-z]{1,4}){0,3}(/boot|/usr/lib/modules/6\\.1|/arch/x86/boot)?", name in "[a-zA-Z.-]{1,9}", release in "[./0-9a-z+-]{0,9}") {
        let image = PathBuf::from(format!("{folder}/{name}"));
        let places = CandidatePaths::for_image(&image, Some(&release));
        let all = [places.config, places.system_map, places.vmlinux, places.modules].concat();
        for place in all {
            prop_assert!(!place.components().any(|c| c == std::path::Component::ParentDir), "{place:?}");
        }
    }

    /// Check that any bytes are a header or none, and that what is stated can stand in a path.
    #[test]
    fn any_header(start in proptest::collection::vec(any::<u8>(), 0..700)) {
        if let Some(release) = parse_stated_release(&start) {
            prop_assert!(is_release(&release) && !release.contains('/'));
        }
    }
}
