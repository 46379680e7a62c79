//! Downloads that go wrong: from a made-up archive with one kernel, whose server here breaks off, damages what it serves, or has it no
//! more; archives that nobody or somebody else has signed; pins that move. Needs apt and dpkg-deb; no network.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use qed_collector::arch::Arch;
use qed_collector::guest::apt::Apt;
use qed_collector::guest::archive::{ServedKernel, ServedPackage};
use qed_collector::guest::cache::Cache;
use qed_collector::guest::find_program::find_in_path;
use qed_collector::guest::modules::find_modules;
use qed_collector::guest::source::Series;
use qed_collector::guest::{KernelSource, fetch, pinned};
use qed_evidence::lock::Lock;
use sha2::{Digest as _, Sha256};

use crate::support::{collector, note_skipped, status_and_message};

const NAME: &str = "linux-binary-unsigned-9.9.1+deb13-cloud-amd64";
const RELEASE: &str = "9.9.1+deb13-cloud-amd64";
const VERSION: &str = "9.9.1-1";

/// The size of the made-up image, which packs badly: large enough to be broken off in the middle.
const IMAGE: usize = 4 << 20;

/// The server's behaviour with the next requests.
#[derive(Clone, Copy)]
enum Serves {
    Whole,
    /// A server that closes the connection after so many bytes of each answer.
    Part(usize),
    /// One bit is another.
    Damaged,
    Nothing,
}

/// An archive of one package, with its server, and a cache that knows it as Debian's.
struct Archive {
    folder: tempfile::TempDir,
    /// Its address.
    mirror: String,
    serves: Arc<Mutex<Serves>>,
    /// The first byte that each request asked for.
    asked: Arc<Mutex<Vec<usize>>>,
    package: ServedPackage,
}

impl Archive {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deb = package(folder.path());
        let serves = Arc::new(Mutex::new(Serves::Whole));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let package = ServedPackage {
            name: NAME.into(),
            version: VERSION.into(),
            size: deb.len() as u64,
            sha256: hex::encode(Sha256::digest(&deb)),
            ..ServedPackage::default()
        };
        let (how, log) = (Arc::clone(&serves), Arc::clone(&asked));
        let pool = folder.path().to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let how = *how.lock().unwrap();
                // A client that goes away is what some tests want.
                let _ = answer(stream, &pool, how, &log);
            }
        });
        let archive = Self {
            folder,
            mirror: format!("http://127.0.0.1:{port}/debian"),
            serves,
            asked,
            package,
        };
        archive.describe(&archive.cache());
        archive
    }

    fn cache(&self) -> Cache {
        Cache::new(self.folder.path().join("cache/qed"))
    }

    /// Put a list of packages where apt keeps those of this archive.
    fn index(&self, packages: &str) {
        let state = self.cache().root().join("apt/archive");
        let host = self.mirror.trim_start_matches("http://").replace('/', "_");
        let file = format!("lists/{host}_dists_bookworm_main_binary-amd64_Packages");
        fs::write(state.join(file), packages).unwrap();
    }

    /// The state of apt and the remembered answer of the archive, as they are after it was asked.
    fn describe(&self, cache: &Cache) {
        let state = cache.root().join("apt/archive");
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(name)).unwrap();
        }
        let list = format!("deb [trusted=yes] {} bookworm main\n", self.mirror);
        fs::write(state.join("sources.list"), list).unwrap();
        self.index(&paragraph(&self.package));
        drop(cache.lock(&|_| {}).unwrap());
        let kernel = ServedKernel {
            series: Series { major: 9, minor: 9 },
            patch: 1,
            release: RELEASE.into(),
            image: self.package.clone(),
            base: None,
            modules: None,
            debug: None,
        };
        cache
            .set_served_kernels(Arch::X86_64, &[kernel], None, SystemTime::now())
            .unwrap();
    }

    /// Fetch the kernel; the message if that fails.
    fn fetch(&self, serves: Serves) -> Result<PathBuf, String> {
        *self.serves.lock().unwrap() = serves;
        self.asked.lock().unwrap().clear();
        let source = KernelSource::parse("debian-9.9").unwrap();
        fetch::find_kernel(&source, &self.cache(), false, &|_| {})
            .map(|kernel| kernel.path)
            .map_err(|error| error.to_string())
    }

    /// Serve another package of the kernel, with these files in the folder of its modules.
    fn also_serve(&self, name: &str, files: &[(&str, &[u8])]) -> ServedPackage {
        let deb = package_of(self.folder.path(), name, files);
        ServedPackage {
            name: name.into(),
            version: VERSION.into(),
            size: deb.len() as u64,
            sha256: hex::encode(Sha256::digest(&deb)),
            ..ServedPackage::default()
        }
    }

    /// Run `kernels` with these arguments. The lists of the archive are already there: in the place of `apt-get update` stands a program
    /// that does nothing.
    fn kernels(&self, arguments: &[&str]) -> Output {
        let folder = self.folder.path();
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let real = find_in_path("apt-get").expect("apt");
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' update '*) exit 0;; esac\nexec '{}' \"$@\"\n",
            real.display()
        );
        fs::write(bin.join("apt-get"), script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join("apt-get"), executable).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut command = collector(folder, ["kernels"]);
        command
            .args(arguments)
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .env("QED_DEBIAN_MIRROR", &self.mirror)
            .env_remove("QED_DEBIAN_SECURITY_MIRROR")
            .env("PATH", &path)
            .output()
            .unwrap()
    }

    /// The files of downloads that are not unpacked yet, with their sizes.
    fn left(&self) -> Vec<(String, u64)> {
        let files =
            fs::read_dir(Apt::new(self.cache().root(), Arch::X86_64).download_folder()).unwrap();
        files
            .flatten()
            .map(|file| {
                let size = file.metadata().unwrap().len();
                (file.file_name().to_string_lossy().into_owned(), size)
            })
            .collect()
    }

    fn requested_offsets(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }
}

/// The entry of a package in an index.
fn paragraph(package: &ServedPackage) -> String {
    let ServedPackage {
        name,
        version,
        size,
        sha256,
        ..
    } = package;
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x\nFilename: pool/{name}.deb\nSize: {size}\n\
         SHA256: {sha256}\nDescription: x\n\n"
    )
}

/// The bytes of a package with a kernel image that is none.
fn package(folder: &Path) -> Vec<u8> {
    let mut noise = Vec::with_capacity(IMAGE);
    while noise.len() < IMAGE {
        noise.extend(Sha256::digest(noise.len().to_le_bytes()));
    }
    package_of(folder, NAME, &[("vmlinuz.unsigned", &noise)])
}

/// The bytes of a package with these files in the folder of the kernel's modules, which the server hands out from now on.
fn package_of(folder: &Path, name: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let root = folder.join(format!("package of {name}"));
    let modules = root.join("usr/lib/modules").join(RELEASE);
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    fs::write(
        root.join("DEBIAN/control"),
        format!(
            "Package: {name}\nVersion: {VERSION}\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"
        ),
    )
    .unwrap();
    for (file, bytes) in files {
        let file = modules.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    let deb = folder.join(format!("{name}.deb"));
    let built = Command::new("dpkg-deb")
        .args(["-Znone", "-b"])
        .arg(&root)
        .arg(&deb)
        .output()
        .expect("dpkg-deb");
    assert!(built.status.success(), "{built:?}");
    fs::read(deb).unwrap()
}

/// Answer one request, and note the first byte that it asks for.
fn answer(
    mut stream: TcpStream,
    pool: &Path,
    serves: Serves,
    asked: &Mutex<Vec<usize>>,
) -> std::io::Result<()> {
    let mut from = None;
    let mut deb = Vec::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(path) = line.strip_prefix("GET ") {
            let name = path.split(' ').next().unwrap().rsplit('/').next().unwrap();
            deb = fs::read(pool.join(name.replace("%2b", "+"))).unwrap_or_default();
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    let (first, all) = (from.unwrap_or(0), deb.len());
    // Before the answer: whoever has read that looks here.
    asked.lock().unwrap().push(first);
    let mut body = deb.get(first..).unwrap_or_default().to_vec();
    let status = match (serves, from) {
        (Serves::Nothing, _) => {
            body.clear();
            "404 Not Found".to_owned()
        }
        (_, Some(_)) if body.is_empty() => {
            format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{all}")
        }
        (_, Some(first)) => {
            format!(
                "206 Partial Content\r\nContent-Range: bytes {first}-{}/{all}",
                all - 1
            )
        }
        (_, None) => "200 OK".to_owned(),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    match serves {
        Serves::Damaged => body[1000] ^= 1,
        Serves::Part(bytes) => body.truncate(bytes),
        Serves::Whole | Serves::Nothing => {}
    }
    stream.write_all(&body)
}

/// Check that a download that broke off says so, and that the next attempt asks for the rest of it only.
#[test]
fn goes_on() {
    let archive = Archive::new();
    let error = archive.fetch(Serves::Part(1 << 20)).unwrap_err();
    assert!(
        error.contains(&format!(
            "cannot download {NAME} {VERSION}: Failed to fetch"
        )) && error.contains("the download goes on where it stopped"),
        "{error}"
    );
    // apt itself asks again some times.
    let [(_, arrived)] = archive.left()[..] else {
        panic!("{:?}", archive.left());
    };
    assert!(
        arrived >= 1 << 20 && arrived < archive.package.size,
        "{arrived}"
    );
    let image = archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.requested_offsets(), [arrived as usize]);
    assert_eq!(fs::metadata(image).unwrap().len(), IMAGE as u64);
    assert!(archive.left().is_empty(), "{:?}", archive.left());
}

/// Check that a package of which all had arrived when the program was killed is used; that of another one in its place nothing is; and that
/// a part of another one is removed as damaged once the rest is there.
#[test]
fn arrived_before() {
    let archive = Archive::new();
    let apt = Apt::new(archive.cache().root(), Arch::X86_64);
    let file = apt.download_path(&archive.package.package());
    let forget = || {
        let folder = archive
            .cache()
            .kernels_folder()
            .join(format!("{NAME}_{VERSION}"));
        let _ = fs::remove_dir_all(folder);
    };
    fs::create_dir_all(apt.download_folder()).unwrap();
    let whole = fs::read(archive.folder.path().join(format!("{NAME}.deb"))).unwrap();
    fs::write(&file, &whole).unwrap();
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.requested_offsets(), [whole.len()]);
    forget();
    fs::write(&file, vec![0; whole.len()]).unwrap();
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.requested_offsets(), [whole.len(), 0]);
    forget();
    fs::write(&file, vec![0; whole.len() / 2]).unwrap();
    let error = archive.fetch(Serves::Whole).unwrap_err();
    assert!(error.contains("It was removed"), "{error}");
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.requested_offsets(), [0]);
}

/// Check that a package that is not what the signed index names is refused with both digests, that nothing of it stays, and that the
/// next attempt begins anew.
#[test]
fn damaged() {
    let archive = Archive::new();
    let error = archive.fetch(Serves::Damaged).unwrap_err();
    let expected = format!("expected {}. It was removed", archive.package.sha256);
    assert!(
        error.contains("does not match Debian's signed index: SHA-256 ")
            && error.contains(&expected)
            && error.contains("QED_DEBIAN_MIRROR"),
        "{error}"
    );
    assert!(archive.left().is_empty(), "{:?}", archive.left());
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.requested_offsets(), [0]);
}

/// Check that an index that names another file than it did when it was asked is told as that, before anything is downloaded.
#[test]
fn other_index() {
    let archive = Archive::new();
    let cache = archive.cache();
    let mut kernels = cache.served_kernels(Arch::X86_64).unwrap().kernels;
    kernels[0].image.sha256 = "0".repeat(64);
    cache
        .set_served_kernels(Arch::X86_64, &kernels, None, SystemTime::now())
        .unwrap();
    let error = archive.fetch(Serves::Whole).unwrap_err();
    assert!(
        error.contains(&format!("with SHA-256 {}", archive.package.sha256))
            && error.contains("--refresh"),
        "{error}"
    );
    assert_eq!(archive.requested_offsets(), [0; 0]);
}

/// Check that a package that has left the archive is told with what to do.
#[test]
fn left_the_archive() {
    let archive = Archive::new();
    let error = archive.fetch(Serves::Nothing).unwrap_err();
    assert!(
        error.contains("404") && error.contains("with --refresh"),
        "{error}"
    );
}

/// Check that a disk that is full in the middle of a download is told as such, and that the download goes on once there is space. Needs
/// a user who may mount a small disk in a namespace of their own.
#[test]
fn full_disk() {
    let possible = Command::new("unshare")
        .args(["--map-root-user", "--mount", "true"])
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        return note_skipped("this machine makes no namespaces for ordinary users");
    }
    let archive = Archive::new();
    let cache = archive.folder.path().join("cache");
    let small = archive.folder.path().join("small");
    fs::create_dir(&small).unwrap();
    // The first attempt has 3 MB for a package of 4 MB, the second enough.
    let script = r#"set -e
        mount -t tmpfs -o size=3m small "$2" && cp -r "$1/qed" "$2"
        "$3" kernels fetch guest:debian-9.9 && exit 9
        mount -o remount,size=30m "$2"
        exec "$3" kernels fetch guest:debian-9.9"#;
    let program = collector(archive.folder.path(), [""; 0]);
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([cache.as_path(), &small])
        .arg(program.get_program())
        .env("XDG_CACHE_HOME", &small)
        .output()
        .unwrap();
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(0), "{message}");
    assert!(
        message.contains(&format!(
            "download {NAME} {VERSION}: no space is left on the disk of"
        )) && message.contains("a download goes on where it stopped"),
        "{message}"
    );
    let asked = archive.requested_offsets();
    assert!(*asked.last().unwrap() > 1 << 20, "{asked:?}");
}

/// An archive in a folder, `debian` below this one, with one kernel in one suite. Returns the folder of the suite, whose `Release` nobody
/// has signed.
fn archive_in(folder: &Path) -> PathBuf {
    let suite = folder.join("debian/dists/bookworm");
    let lists = suite.join("main/binary-amd64");
    fs::create_dir_all(&lists).unwrap();
    let packages = paragraph(&ServedPackage {
        name: NAME.into(),
        version: VERSION.into(),
        size: 1,
        sha256: "0".repeat(64),
        ..ServedPackage::default()
    });
    fs::write(lists.join("Packages"), &packages).unwrap();
    let digest = hex::encode(Sha256::digest(&packages));
    let release = format!(
        "Origin: Debian\nSuite: bookworm\nCodename: bookworm\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: amd64\n\
         Components: main\nSHA256:\n {digest} {} main/binary-amd64/Packages\n",
        packages.len()
    );
    fs::write(suite.join("Release"), release).unwrap();
    suite
}

/// The message where a kernel is wanted from the archive in this folder.
fn fetched_from(folder: &Path) -> String {
    let mut fetch = collector(folder, ["kernels", "fetch", "guest:debian-9.9"]);
    let output = fetch
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env(
            "QED_DEBIAN_MIRROR",
            format!("file:{}/debian", folder.display()),
        )
        .env_remove("QED_DEBIAN_SECURITY_MIRROR")
        .output();
    let (status, message) = status_and_message(&output.unwrap());
    assert_eq!(status, Some(3), "{message}");
    assert!(
        message.contains("no kernel for guest:debian-9.9: "),
        "{message}"
    );
    let cached = Cache::new(folder.join("cache/qed"));
    assert!(cached.packages().is_empty() && cached.served_kernels(Arch::X86_64).is_none());
    message
}

/// Check that an archive that nobody has signed gives no kernel, and that the advice is about the keys and not about the network.
#[test]
fn unsigned() {
    let folder = tempfile::tempdir().unwrap();
    archive_in(folder.path());
    let message = fetched_from(folder.path());
    assert!(
        message.contains("bookworm Release' is not signed")
            && message.contains("bring the Debian package debian-archive-keyring up to date")
            && !message.contains("See whether the network works"),
        "{message}"
    );
}

/// Check the same of an archive that is signed with another key than Debian's. Needs gpg.
#[test]
fn signed_by_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let suite = archive_in(folder.path());
    let home = folder.path().join("gpg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let gpg = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&suite)
            .env("GNUPGHOME", &home);
        command.output()
    };
    let key = [
        "--batch",
        "--passphrase",
        "",
        "--quick-gen-key",
        "somebody",
        "ed25519",
        "sign",
        "never",
    ];
    match gpg("gpg", &key) {
        Err(error) => return note_skipped(&format!("there is no gpg: {error}")),
        Ok(made) => assert!(made.status.success(), "{made:?}"),
    }
    let sign = ["--batch", "--clearsign", "-o", "InRelease", "Release"];
    let signed = gpg("gpg", &sign).unwrap();
    // Its agent would live on.
    let _ = gpg("gpgconf", &["--kill", "gpg-agent"]);
    assert!(signed.status.success(), "{signed:?}");
    let message = fetched_from(folder.path());
    assert!(
        message.contains("GPG error") && message.contains("bookworm InRelease"),
        "{message}"
    );
    assert!(
        message.contains("bring the Debian package debian-archive-keyring up to date"),
        "{message}"
    );
}

/// A book of one guest, whose only experiment asks for these modules.
fn write_book(folder: &Path, modules: &str) {
    fs::write(
        folder.join("book.toml"),
        "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"guest:debian-9.9\"]\n",
    )
    .unwrap();
    let text = format!(
        "[[experiment]]\nname = \"a\"\nworkload = {{ syscall = \"getpid\", args = [] }}\n{modules}\n\
         [[experiment.probe]]\nfunction = \"ksys_read\"\n"
    );
    fs::write(folder.join("i.toml"), text).unwrap();
}

/// Check that `kernels update` pins a guest to what is served, says when that moves and changes nothing in a dry run, and that `kernels`
/// then says where the kernel is from. The lists of the archive are already there: in the place of `apt-get update` stands a program that
/// does nothing.
#[test]
fn pins_move() {
    let archive = Archive::new();
    let folder = archive.folder.path();
    write_book(folder, "");
    let run = |arguments: &[&str]| {
        let output = archive.kernels(arguments);
        assert_eq!(
            status_and_message(&output),
            (Some(0), String::new()),
            "{arguments:?}"
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let lock = || fs::read_to_string(folder.join("qed.lock")).unwrap_or_default();
    run(&["update"]);
    let first = lock();
    assert!(
        first.contains(VERSION) && first.contains(&archive.package.sha256),
        "{first}"
    );
    let newer = ServedPackage {
        name: NAME.replace("9.9.1", "9.9.2"),
        version: "9.9.2-1".into(),
        size: 7,
        sha256: "1".repeat(64),
        ..ServedPackage::default()
    };
    archive.index(&(paragraph(&archive.package) + &paragraph(&newer)));
    let would = run(&["update", "--dry-run"]);
    assert!(
        would.starts_with("would move: guest:debian-9.9") && would.contains("9.9.2-1"),
        "{would}"
    );
    assert_eq!(lock(), first);
    let moved = run(&["update"]);
    assert_eq!(would.replace("would move: ", ""), moved);
    let second = lock();
    assert!(
        second.contains("9.9.2-1") && second.contains(&newer.sha256) && !second.contains(VERSION),
        "{second}"
    );
    assert!(run(&["update"]).starts_with("nothing moved: "));
    assert_eq!(lock(), second);
    let origin = format!("{} bookworm", archive.mirror);
    let text = run(&[]);
    assert!(
        text.lines().skip(1).all(|line| line.ends_with(&origin)) && text.lines().count() == 3,
        "{text}"
    );
    let rows: serde_json::Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
    assert_eq!(rows[1]["origins"], serde_json::json!([origin]));
}

/// Check the modules of a kernel whose packages are those of 7.2 and later: one with modules, one with the configuration and the list of
/// what is built in. A book that asks for modules has their package pinned, `kernels fetch --book` gets both, a module that is built in is
/// found to be that, also in a cache of an earlier version, and what is neither is told with the nearest name.
#[test]
fn modules_in_a_package_of_their_own() {
    let archive = Archive::new();
    let folder = archive.folder.path();
    let modules = format!("linux-modules-{RELEASE}");
    let modules = archive.also_serve(&modules, &[("kernel/drivers/net/tun.ko", b"x")]);
    let base = format!("linux-base-{RELEASE}");
    let base = archive.also_serve(
        &base,
        &[
            ("config", b"CONFIG_BPF=y\n"),
            ("modules.builtin", b"kernel/drivers/nvme/host/nvme.ko\n"),
        ],
    );
    let all = [&archive.package, &modules, &base];
    archive.index(&all.map(paragraph).concat());
    let cache = archive.cache();
    let lock = || fs::read_to_string(folder.join("qed.lock")).unwrap_or_default();
    let run = |arguments: &[&str]| {
        let output = archive.kernels(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    write_book(folder, "");
    run(&["update"]);
    assert!(!lock().contains("linux-modules"), "{}", lock());
    let image = |lock: &str| {
        let lock = Lock::parse(lock).unwrap();
        let pin = lock.get("guest:debian-9.9").unwrap().clone();
        let source = KernelSource::parse("debian-9.9").unwrap();
        pinned::find_pinned_kernel("guest:debian-9.9", &source, &pin, &cache, &|_| {}).unwrap()
    };
    let find = |lock: &str, name: &str| {
        let found = find_modules(&image(lock), [name].into_iter(), &cache, &|_| {});
        found
            .map(|modules| modules.len())
            .map_err(|error| error.to_string())
    };
    // The lock file was made when nobody asked for modules.
    let error = find(&lock(), "nvme").unwrap_err();
    assert!(
        error.contains("qed.lock pins no package with the modules")
            && error.contains("kernels update"),
        "{error}"
    );
    write_book(folder, "modules = [\"tun\"]");
    run(&["update"]);
    assert!(
        lock().contains("[machine.modules]") && lock().contains(&modules.sha256),
        "{}",
        lock()
    );
    run(&["fetch", "--book", "."]);
    let kernel = cache.kernels_folder().join(format!("{NAME}_{VERSION}"));
    let list = kernel.join(format!("modules.builtin-{RELEASE}"));
    let fetched = cache.modules_folder(&archive.package.package());
    assert!(list.is_file() && fetched.join("tun.ko").is_file());
    // All is there by now.
    *archive.serves.lock().unwrap() = Serves::Nothing;
    assert_eq!(find(&lock(), "nvme"), Ok(0));
    let error = find(&lock(), "nvm").unwrap_err();
    assert!(
        error.contains("no module `nvm`: did you mean `nvme`?"),
        "{error}"
    );
    // An earlier version did not unpack the list.
    fs::remove_file(&list).unwrap();
    let error = find(&lock(), "nvme").unwrap_err();
    assert!(
        error.contains("whether it is built into this kernel is not known: cannot get the list")
            && error.contains("404"),
        "{error}"
    );
    *archive.serves.lock().unwrap() = Serves::Whole;
    assert_eq!(find(&lock(), "nvme"), Ok(0));
    assert!(list.is_file());
    // Other modules than the pinned ones, in the archive or in the cache, are not used.
    let other = lock().replace(&modules.sha256, &"1".repeat(64));
    let error = find(&other, "tun").unwrap_err();
    assert!(
        error.contains(&modules.sha256) && error.contains(&"1".repeat(64)),
        "{error}"
    );
}
