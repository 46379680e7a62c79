//! The cache of kernels as its commands list and prune it: on a made-up one, without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qed_collector::arch::Arch;
use qed_collector::guest::apt::Apt;
use qed_collector::guest::archive::{Package, ServedKernel, ServedPackage};
use qed_collector::guest::cache::{Cache, Sidecar, write_json};
use qed_collector::guest::source::Series;
use serde_json::Value;

use crate::support::{collector, status_and_message};

/// The cache of a user whose cache folder is `folder`.
fn cache(folder: &Path) -> Cache {
    let cache = Cache::new(folder.join("qed"));
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
    let folder = cache.kernels_folder().join(package.folder());
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
    let downloads = Apt::new(cache.root(), Arch::X86_64).download_folder();
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

/// Check that pruning keeps what the lock file of a book pins, debug information and modules included, of a book that is named and of the
/// one around the folder, also with `--all`, and that it says so; and that a lock file that cannot be read stops it.
#[test]
fn prune_keeps_what_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let old = put_kernel(&cache, 1);
    let new = put_kernel(&cache, 2);
    let debug = format!("linux-image-{}-dbg", release(1));
    let debug_folder = put(&cache, &debug, 1, 2_500_000);
    let book = folder.path().join("book");
    fs::create_dir(&book).unwrap();
    fs::write(book.join("book.toml"), "[book]\n").unwrap();
    let part = |name: &str| {
        format!(
            "{{ package = \"{name}\", version = \"9.9.1-1\", size = 1, sha256 = \"{}\" }}",
            "0".repeat(64)
        )
    };
    let lock = format!(
        "version = 1\n[[machine]]\nname = \"guest:debian-9.9\"\nrelease = \"{}\"\nimage = {}\ndebug-info = {}\n",
        release(1),
        part(&format!("linux-binary-{}", release(1))),
        part(&debug)
    );
    fs::write(book.join("qed.lock"), lock).unwrap();
    let prune = |place: &Path, arguments: &[&str]| {
        let mut command = collector(place, ["kernels", "prune"]);
        let command = command.args(arguments).env("XDG_CACHE_HOME", folder.path());
        command.output().unwrap()
    };
    let misspelt = prune(folder.path(), &["--all", "--book", "bok"]);
    let (status, message) = status_and_message(&misspelt);
    assert_eq!(status, Some(2), "{message}");
    assert!(message.contains("no book in bok"), "{message}");
    assert!(old.iter().chain([&debug_folder]).all(|one| one.is_dir()));
    let named = book.display().to_string();
    for (place, arguments) in [
        (folder.path(), vec!["--book", &named]),
        (&book, vec![]),
        (&book, vec!["--all"]),
    ] {
        let output = prune(place, &arguments);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        for pinned in [&old[0], &debug_folder] {
            let line = format!("kept {}, which ", pinned.display());
            assert!(
                printed.contains(&line) && printed.contains("qed.lock pins"),
                "{printed}"
            );
        }
        assert!(
            old.iter().chain([&debug_folder]).all(|one| one.is_dir()),
            "{arguments:?}: {printed}"
        );
    }
    assert!(new.iter().all(|one| !one.exists()), "not pinned");
    fs::write(book.join("qed.lock"), "version = 9").unwrap();
    let output = prune(&book, &["--all"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(old[0].is_dir());
    // Outside of every book nothing is known to be pinned.
    assert!(prune(folder.path(), &["--all"]).status.success());
    assert!(!old[0].exists());
}

/// Check that without a network and without a list of earlier the cached kernels are listed, as what they are, and that a sweep takes them.
#[test]
fn offline() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let [image, _] = put_kernel(&cache, 1);
    let run = |arguments: &[&str]| {
        let mut command = collector(folder.path(), arguments.iter().copied());
        let nowhere = format!("file:{}/nowhere", folder.path().display());
        command
            .env("XDG_CACHE_HOME", folder.path())
            .env("QED_DEBIAN_MIRROR", nowhere)
            .env_remove("QED_DEBIAN_SECURITY_MIRROR")
            .output()
            .unwrap()
    };
    let output = run(&["kernels"]);
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(0), "{message}");
    assert!(
        message.contains("Debian cannot be asked which kernels it serves")
            && message.contains("Only the kernels that are cached are known: 9.9 (9.9.1)"),
        "{message}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("guest:debian-9.9.1  (not known to be served)")
            && text.contains("image, modules (6 MB)"),
        "{text}"
    );
    let output = run(&["kernels", "--format", "json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["machine"], "guest:debian-9.9.1");
    assert!(rows[0]["package"].is_null() && rows[0]["image_bytes"].is_null());
    // A sweep goes on with them, as far as made-up ones go.
    let investigation = crate::support::investigation("pipe.toml");
    let investigation = investigation.to_str().unwrap();
    let output = run(&["sweep", "-o", "out", "--investigation", investigation]);
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(3), "{message}");
    assert!(
        message.contains("Only the kernels that are cached are known")
            && message.contains("cannot capture on guest:debian-9.9: "),
        "{message}"
    );
    let plan = fs::read_to_string(folder.path().join("out/part-1-of-1.sweep")).unwrap();
    let package = format!("linux-binary-{} 9.9.1-1", release(1));
    assert!(plan.contains(&package), "{plan}");
    // With nothing cached there is nothing to list.
    fs::remove_dir_all(image).unwrap();
    let output = run(&["kernels", "--refresh"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
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
        modules: None,
        debug: None,
    };
    cache
        .set_served_kernels(Arch::X86_64, &[kernel], None, SystemTime::now())
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
