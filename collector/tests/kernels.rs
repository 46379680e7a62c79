//! The cache of kernels as its commands list and prune it: on a made-up one, without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qed_collector::guest::apt::Apt;
use qed_collector::guest::archive::{Package, ServedKernel, ServedPackage};
use qed_collector::guest::cache::{Cache, Sidecar, write_json};
use qed_collector::guest::source::Series;
use serde_json::Value;

use crate::support::{collector, status_and_message};

/// The cache of a user whose cache folder is `folder`.
fn cache(folder: &Path) -> Cache {
    let cache = Cache::at(folder.join("qed"));
    drop(cache.lock(&|_| {}).unwrap());
    cache
}

fn release(patch: u32) -> String {
    format!("9.9.{patch}+deb13-cloud-amd64")
}

/// Put an unpacked package of so many bytes into the cache. Return its folder.
fn put(cache: &Cache, name: &str, patch: u32, bytes: usize) -> PathBuf {
    let package = Package {
        name: name.into(),
        version: format!("9.9.{patch}-1"),
    };
    let folder = cache.kernels().join(package.folder());
    fs::create_dir(&folder).unwrap();
    let sidecar = Sidecar {
        package,
        release: release(patch),
        deb_sha256: "0".repeat(64),
        base_sha256: None,
        fetched: "t".into(),
    };
    write_json(&folder.join("package.json"), &sidecar).unwrap();
    fs::write(folder.join("content"), vec![0; bytes]).unwrap();
    folder
}

/// Put an image and its modules into the cache. Return their folders.
fn put_kernel(cache: &Cache, patch: u32) -> [PathBuf; 2] {
    let name = format!("linux-binary-{}", release(patch));
    let image = put(cache, &name, patch, 1_500_000);
    let mut modules = image.clone().into_os_string();
    modules.push(".modules");
    let modules = PathBuf::from(modules);
    fs::create_dir(&modules).unwrap();
    fs::write(modules.join("tun.ko"), vec![0; 3_500_000]).unwrap();
    [image, modules]
}

/// The answer of `kernels` with these arguments, of a cache in `folder`.
fn kernels(folder: &Path, arguments: &[&str]) -> String {
    let mut command = collector(folder, ["kernels"]);
    let output = command
        .args(arguments)
        .env("XDG_CACHE_HOME", folder)
        .output();
    let output = output.unwrap();
    assert_eq!(
        status_and_message(&output),
        (Some(0), String::new()),
        "{arguments:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Check that pruning removes superseded kernels with their modules and debug information, with `--all` everything and downloads
/// that were interrupted, and that a dry run says the same and removes nothing.
#[test]
fn prune() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let old = put_kernel(&cache, 1);
    let new = put_kernel(&cache, 2);
    let debug = put(
        &cache,
        &format!("linux-image-{}-dbg", release(1)),
        1,
        2_500_000,
    );
    let downloads = Apt::at(cache.root()).downloads();
    fs::create_dir_all(&downloads).unwrap();
    fs::write(downloads.join("x.deb"), vec![0; 700_000]).unwrap();
    let run = |arguments: &[&str]| kernels(folder.path(), &[&["prune"][..], arguments].concat());
    let removed = |printed: &str, verb: &str| -> Vec<PathBuf> {
        let lines = printed
            .lines()
            .filter_map(|line| line.strip_prefix(verb)?.split(" (").next());
        let mut folders: Vec<PathBuf> = lines.map(PathBuf::from).collect();
        folders.sort();
        folders
    };
    let sorted = |folders: &[&PathBuf]| {
        let mut folders: Vec<PathBuf> = folders.iter().map(|&folder| folder.clone()).collect();
        folders.sort();
        folders
    };
    let superseded = sorted(&[&old[0], &old[1], &debug]);
    let printed = run(&["--dry-run"]);
    assert_eq!(removed(&printed, "would remove "), superseded);
    assert!(printed.ends_with("8 MB in all\n"), "{printed}");
    assert!(superseded.iter().all(|folder| folder.is_dir()));
    assert_eq!(removed(&run(&[]), "removed "), superseded);
    assert!(superseded.iter().all(|folder| !folder.exists()));
    assert!(new[0].is_dir() && new[1].is_dir() && downloads.is_dir());
    assert_eq!(run(&[]), "0 MB in all\n");
    let rest = sorted(&[&new[0], &new[1], &downloads]);
    assert_eq!(
        removed(&run(&["--all", "--dry-run"]), "would remove "),
        rest
    );
    assert!(rest.iter().all(|folder| folder.is_dir()));
    assert_eq!(removed(&run(&["--all"]), "removed "), rest);
    assert!(rest.iter().all(|folder| !folder.exists()));
}

/// Check that the list has what is cached of each kernel, modules included, and where a kernel is served.
#[test]
fn list() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    put_kernel(&cache, 1);
    put_kernel(&cache, 2);
    let kernel = ServedKernel {
        series: Series { major: 9, minor: 9 },
        patch: 2,
        release: release(2),
        image: ServedPackage {
            name: format!("linux-binary-{}", release(2)),
            version: "9.9.2-1".into(),
            size: 5_000_000,
            origins: vec!["http://mirror.example.org/debian sid".into()],
            ..ServedPackage::default()
        },
        base: None,
        debug: None,
    };
    cache
        .set_served(&[kernel], None, SystemTime::now())
        .unwrap();
    let text = kernels(folder.path(), &[]);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let [served, missing] = rows[..] else {
        panic!("{text}")
    };
    assert!(served.starts_with("guest:debian-9.9.2 "), "{text}");
    assert!(
        served.contains("  image, modules (6 MB)  http://mirror.example.org/debian sid"),
        "{text}"
    );
    assert!(
        missing.starts_with("guest:debian-9.9.1 ") && missing.contains("served no more"),
        "{text}"
    );
    let rows: Value = serde_json::from_str(&kernels(folder.path(), &["--format", "json"])).unwrap();
    assert_eq!(
        rows[0]["origins"][0],
        "http://mirror.example.org/debian sid"
    );
    assert_eq!(rows[0]["cached_modules_bytes"], 3_500_000);
    assert_eq!(rows[1]["cached_modules_bytes"], 3_500_000);
    assert!(rows[1]["origins"].is_null(), "{rows}");
}
