//! Arbitrary answers of an archive, sources of apt, paths in packages and beginnings of images: each becomes kernels, places and names,
//! or none, never a panic; what is found can be asked for again, and no name leaves its folder.
//!
//! The first byte says what the rest is. The modules are compiled in from the collector's sources: they are pure, and the collector
//! would bring its eBPF programs along.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use qed_fuzz::{abort_on_panic, restore_panic_hook};

#[path = "../../collector/src/arch/mod.rs"]
#[allow(dead_code, reason = "only what takes foreign text is tried")]
mod arch;
#[path = "../../collector/src/guest/archive/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "only what takes foreign text is tried"
)]
mod archive;
#[path = "../../collector/src/guest/kernel_layout.rs"]
#[allow(dead_code, reason = "only what takes foreign text is tried")]
#[rustfmt::skip] // Formatted with the collector; it would look for the tests in another folder from here.
mod kernel_layout;
#[path = "../../collector/src/guest/source.rs"]
#[allow(dead_code, reason = "only what takes foreign text is tried")]
mod source;
#[path = "../../collector/src/guest/version.rs"]
mod version;

use crate::arch::Arch;
use crate::archive::layout::{cached_name, module_name};
use crate::archive::mirror::{from_targets, sources_list};
use crate::archive::{
    find_kernels, format_series, is_candidate, not_served_reason, parse, release_of, select,
};
use crate::kernel_layout::{CandidatePaths, is_release, parse_stated_release};
use crate::source::{Selector, VersionSelector};
use crate::version::compare;

fuzz_target!(init: restore_panic_hook(), |bytes: &[u8]| abort_on_panic(|| fuzz_packages(bytes)));

fn fuzz_packages(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    if kind % 5 == 0 {
        return fuzz_image(rest);
    }
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match kind % 5 {
        1 => fuzz_package_list(text),
        2 => fuzz_sources(text),
        3 => fuzz_versions(text),
        _ => fuzz_paths(text),
    }
}

/// The output of `apt-cache show`; behind `---`, the request of a user.
fn fuzz_package_list(text: &str) {
    let (list, requested) = text.split_once("\n---\n").unwrap_or((text, "newest"));
    let packages = parse(list);
    let all = find_kernels(&packages);
    for kernel in &all {
        let Some(arch) = Arch::of_release(&kernel.release) else {
            panic!("{} is of no architecture", kernel.release);
        };
        let version = VersionSelector::Release(kernel.series, kernel.patch);
        let found = select(&all, Selector { version, arch });
        let same = found.map(|found| (found.series, found.patch));
        assert_eq!(same, Some((kernel.series, kernel.patch)));
        let version = VersionSelector::Series(kernel.series);
        let newest = select(&all, Selector { version, arch });
        assert!(newest.is_some_and(|newest| newest.patch >= kernel.patch));
        let image = kernel.image.package();
        assert!(is_candidate(&image.name));
        assert_eq!(release_of(&image), Some(kernel.release.as_str()));
        assert!(packages.contains(&kernel.image));
    }
    let version = VersionSelector::Newest;
    let newest = Arch::ALL.map(|arch| select(&all, Selector { version, arch }));
    assert_eq!(newest.iter().all(|kernel| kernel.is_none()), all.is_empty());
    assert_eq!(format_series(&all).is_empty(), all.is_empty());
    if let Ok(selector) = requested.parse::<Selector>() {
        assert_eq!(selector.to_string().parse(), Ok(selector));
        assert!(!not_served_reason(&all, selector).is_empty());
    }
}

/// The output of `apt-get indextargets`.
fn fuzz_sources(text: &str) {
    let Some(mirrors) = from_targets(text) else {
        return;
    };
    let list = sources_list(&mirrors, None);
    assert!(list.lines().all(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        matches!(words[..], ["deb", _, _, "main"])
    }));
}

fn fuzz_versions(text: &str) {
    let mut versions: Vec<&str> = text.split('\n').take(8).collect();
    for a in &versions {
        assert!(compare(a, a).is_eq());
        for b in &versions {
            assert_eq!(compare(a, b), compare(b, a).reverse());
        }
    }
    // An order that contradicts itself lets the library panic, or leaves some pair the wrong way round.
    versions.sort_by(|a, b| compare(a, b));
    for (at, a) in versions.iter().enumerate() {
        assert!(versions[at..].iter().all(|b| compare(a, b).is_le()));
    }
}

/// A release in the first line, a path in a package or an image in the second.
fn fuzz_paths(text: &str) {
    let Some((release, path)) = text.split_once('\n') else {
        return;
    };
    for name in [cached_name(path, release), module_name(path, release)] {
        let Some(name) = name.filter(|_| is_release(release)) else {
            continue;
        };
        assert!(!name.contains('/') && !name.starts_with('.') && !name.is_empty());
    }
    let up = |path: &Path| path.components().any(|one| one == Component::ParentDir);
    if up(Path::new(path)) {
        return;
    }
    let around = CandidatePaths::for_image(Path::new(path), Some(release));
    let all = [
        around.config,
        around.system_map,
        around.vmlinux,
        around.modules,
    ];
    assert!(all.iter().flatten().all(|place| !up(place)));
}

fn fuzz_image(start: &[u8]) {
    if let Some(release) = parse_stated_release(start) {
        assert!(is_release(&release) && !release.contains('/'));
    }
}
