use std::fs;
use std::io::Write as _;

use super::*;

const LONG_AGO: Duration = Duration::from_secs(60);

/// A cache whose file is in `folder`, in an environment that directs nothing.
fn cache(folder: &Path) -> DigestCache {
    let mut cache = DigestCache::open(folder.join("digests.json"), "boot".into());
    cache.environment = loader::Environment::with_variables([]);
    cache
}

/// A cache that has read `path` after it had settled. Its times of change cannot be set, so the entry is put.
fn with_entry(folder: &Path, path: &Path, sha256: &str) -> DigestCache {
    let cache = cache(folder);
    let stamp = Stamp::from_path(path).unwrap();
    let digest = FileDigest {
        size: stamp.size,
        sha256: sha256.into(),
        script_line: None,
    };
    cache.put(path, stamp, |entry| entry.digest = Some(digest));
    cache
}

/// Check that a digest comes back from the file of a cache, which is its owner's alone, without the file being read.
#[test]
fn comes_back() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "a").unwrap();
    with_entry(folder.path(), &path, "kept").save();
    assert_eq!(cache(folder.path()).sha256(&path).unwrap(), "kept");
    let about = fs::metadata(folder.path().join("digests.json")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}

/// Check that a file which has just changed is read every time.
#[test]
fn settling() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "a").unwrap();
    let cache = cache(folder.path());
    assert_eq!(cache.sha256(&path).unwrap(), b"a".to_vec().sha256());
    assert!(cache.state().entries.is_empty());
    // Only the time of change tells.
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - LONG_AGO).unwrap();
    cache.sha256(&path).unwrap();
    assert!(cache.state().entries.is_empty());
    let stamp = Stamp::from_path(&path).unwrap();
    let now = SystemTime::now();
    assert!(!stamp.is_settled(now) && !stamp.is_settled(now - LONG_AGO));
    assert!(!stamp.is_settled(now + Duration::from_secs(1)));
    assert!(stamp.is_settled(now + Duration::from_secs(4)));
}

/// Check that a change is noticed whatever is done to hide it: the same size, the time of modification set back, another
/// file moved to the place, a link that leads elsewhere.
#[test]
fn changes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a"), folder.path().join("link"));
    let hide: [fn(&Path); 4] = [
        |path| fs::write(path, "b").unwrap(),
        |path| {
            let before = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(path, "b").unwrap();
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(before).unwrap();
        },
        |path| {
            let other = path.with_extension("new");
            fs::write(&other, "b").unwrap();
            fs::rename(&other, path).unwrap();
        },
        |path| {
            let other = path.with_extension("other");
            fs::write(&other, "b").unwrap();
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(&other, path).unwrap();
        },
    ];
    for (number, hide) in hide.into_iter().enumerate() {
        let _ = fs::remove_file(&path);
        let _ = fs::remove_file(&link);
        fs::write(&path, "a").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for name in [&path, &link] {
            let cache = with_entry(folder.path(), name, "kept");
            assert_eq!(cache.sha256(name).unwrap(), "kept");
        }
        let through_link = with_entry(folder.path(), &link, "kept");
        let direct = with_entry(folder.path(), &path, "kept");
        // Longer than the steps of the file system's clock.
        std::thread::sleep(Duration::from_millis(20));
        hide(&path);
        let now = b"b".to_vec().sha256();
        assert_eq!(direct.sha256(&path).unwrap(), now, "change {number}");
        assert_eq!(through_link.sha256(&link).unwrap(), now, "change {number}");
    }
}

/// Check that a damaged file of a cache, one of another boot or form, and one that cannot be written, are not there.
#[test]
fn unusable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "a").unwrap();
    let file = folder.path().join("digests.json");
    let own = b"a".to_vec().sha256();
    with_entry(folder.path(), &path, "kept").save();
    let other = DigestCache::open(file.clone(), "another boot".into());
    assert_eq!(other.sha256(&path).unwrap(), own);
    let whole = fs::read_to_string(&file).unwrap();
    for damaged in [
        "",
        "{",
        &whole.replace("\"format\":1", "\"format\":2"),
        &whole[..whole.len() / 2],
    ] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(cache(folder.path()).sha256(&path).unwrap(), own);
    }
    let nowhere = DigestCache::open(path.join("digests.json"), "boot".into());
    assert_eq!(nowhere.sha256(&path).unwrap(), own);
    nowhere.save();
    assert!(
        cache(folder.path())
            .sha256(&folder.path().join("none"))
            .is_err()
    );
}

/// Check that what was searched for in a file is searched for again once it changes, and that finding nothing is not kept.
#[test]
fn texts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "a").unwrap();
    let cache = cache(folder.path());
    let stamp = Stamp::from_path(&path).unwrap();
    cache.put(&path, stamp, |entry| {
        entry.texts.insert("mark".into(), "kept".into());
    });
    let search = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    assert_eq!(
        cache.find_text("mark", &path, search).unwrap().unwrap(),
        "kept"
    );
    assert_eq!(
        cache.find_text("other", &path, search).unwrap().unwrap(),
        "a"
    );
    fs::write(&path, "longer").unwrap();
    assert_eq!(
        cache.find_text("mark", &path, search).unwrap().unwrap(),
        "longer"
    );
    assert_eq!(cache.find_text("none", &path, |_| None).unwrap(), None);
}

/// Check that a program of this system has the same files from the cache as without it, the second time without asking
/// ldd; and that a library or a loader's cache that changes makes it ask.
#[test]
fn libraries() {
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new("/bin/sh");
    let asked = run_ldd(program).unwrap();
    let cache = cache(folder.path());
    assert_eq!(cache.libraries(program).unwrap(), asked);
    let closure = |cache: &DigestCache| cache.state().entries.get("/bin/sh")?.closure.clone();
    let Some(kept) = closure(&cache) else {
        // Not `eprintln!`: the harness hides what it prints of a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the loader's cache does not decide about /bin/sh, or it changed just now"
        );
        return;
    };
    assert_eq!(kept.paths(), asked);
    assert!(kept.holds(&cache.environment));
    // A name that ldd would not say shows where the answer comes from.
    let put = |closure: &LibraryClosure| {
        let stamp = Stamp::from_path(program).unwrap();
        cache.put(program, stamp, |entry| {
            entry.closure = Some(closure.clone())
        });
    };
    let own = folder.path().join("own.so");
    fs::write(&own, "a").unwrap();
    let mut other = kept.clone();
    let own_stamp = Stamp::from_path(&own).unwrap();
    other.libraries.push((own.display().to_string(), own_stamp));
    put(&other);
    assert_eq!(cache.libraries(program).unwrap(), other.paths());
    fs::write(&own, "longer").unwrap();
    assert_eq!(cache.libraries(program).unwrap(), asked);
    let mut other = kept;
    other.loader_cache.changed.1 ^= 1;
    other.libraries.clear();
    put(&other);
    assert_eq!(cache.libraries(program).unwrap(), asked);
}

/// Check that a variable that directs the loader has ldd asked, whatever is kept.
#[test]
fn directed() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = cache(folder.path());
    cache.environment = loader::Environment::with_variables(["LD_LIBRARY_PATH".into()]);
    let program = Path::new("/bin/sh");
    let stamp = Stamp::from_path(program).unwrap();
    cache.put(program, stamp, |entry| {
        entry.closure = Some(LibraryClosure {
            loader_cache: stamp,
            libraries: Vec::new(),
        });
    });
    assert_eq!(cache.libraries(program).unwrap(), run_ldd(program).unwrap());
}

/// Check that a digest that was asked for alone is kept, too, and is that of the whole file.
#[test]
fn digest_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    // The files of this system have not changed for long.
    let (shell, own) = (Path::new("/bin/sh"), fs::read("/bin/sh").unwrap().sha256());
    assert_eq!(cache.sha256(shell).unwrap(), own);
    let settled = Stamp::from_path(shell)
        .unwrap()
        .is_settled(SystemTime::now());
    let entry = cache.entry(shell);
    assert_eq!(entry.is_some(), settled);
    if let Some(entry) = entry {
        assert_eq!((entry.digest, entry.texts[DIGEST].clone()), (None, own));
    }
}

/// Check that of too many entries those stay that were asked for since the cache was opened.
#[test]
fn full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0");
    fs::write(&path, "a").unwrap();
    let first = with_entry(folder.path(), &path, "kept");
    let entry = first.entry(&path).unwrap();
    let mut state = first.state();
    for number in 0..MAX_ENTRIES {
        state.entries.insert(format!("/{number}"), entry.clone());
    }
    drop(state);
    first.state().used.clear();
    assert_eq!(first.sha256(&path).unwrap(), "kept");
    first.save();
    let later = cache(folder.path());
    let state = later.state();
    assert_eq!(
        state.entries.keys().collect::<Vec<_>>(),
        [path.to_str().unwrap()]
    );
}
