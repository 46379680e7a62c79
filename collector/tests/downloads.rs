//! Downloads that go wrong: from a made-up archive with one kernel, whose server here breaks off, damages what it serves, or has it no
//! more. Needs apt and dpkg-deb; no network.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use qed_collector::guest::apt::Apt;
use qed_collector::guest::archive::{Kernel, Served};
use qed_collector::guest::cache::Cache;
use qed_collector::guest::source::Series;
use qed_collector::guest::{Source, fetch};
use sha2::{Digest as _, Sha256};

use crate::support::{collector, said};

const NAME: &str = "linux-binary-unsigned-9.9.1+deb13-cloud-amd64";
const RELEASE: &str = "9.9.1+deb13-cloud-amd64";
const VERSION: &str = "9.9.1-1";

/// The size of the made-up image, which packs badly: large enough to be broken off in the middle.
const IMAGE: usize = 4 << 20;

/// The server's behaviour with the next requests.
#[derive(Clone, Copy)]
enum Serves {
    Whole,
    /// It closes the connection after so many bytes of each answer.
    Part(usize),
    /// One bit is another.
    Damaged,
    Nothing,
}

/// An archive of one package, with its server, and a cache that knows it as Debian's.
struct Archive {
    folder: tempfile::TempDir,
    serves: Arc<Mutex<Serves>>,
    /// The first byte that each request asked for.
    asked: Arc<Mutex<Vec<usize>>>,
    package: Served,
}

impl Archive {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deb = package(folder.path());
        let serves = Arc::new(Mutex::new(Serves::Whole));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let package = Served {
            name: NAME.into(),
            version: VERSION.into(),
            size: deb.len() as u64,
            sha256: hex::encode(Sha256::digest(&deb)),
            ..Served::default()
        };
        let (how, log) = (Arc::clone(&serves), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let how = *how.lock().unwrap();
                // A client that goes away is what some tests want.
                let _ = answer(stream, &deb, how, &log);
            }
        });
        let archive = Self {
            folder,
            serves,
            asked,
            package,
        };
        archive.describe(&archive.cache(), port);
        archive
    }

    fn cache(&self) -> Cache {
        Cache::at(self.folder.path().join("cache/qed"))
    }

    /// The state of apt and the remembered answer of the archive, as they are after it was asked.
    fn describe(&self, cache: &Cache, port: u16) {
        let state = cache.root().join("apt/archive");
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(name)).unwrap();
        }
        let list = format!("deb [trusted=yes] http://127.0.0.1:{port}/debian bookworm main\n");
        fs::write(state.join("sources.list"), list).unwrap();
        let Served { size, sha256, .. } = &self.package;
        let packages = format!(
            "Package: {NAME}\nVersion: {VERSION}\nArchitecture: amd64\nMaintainer: x\nFilename: pool/x.deb\nSize: {size}\n\
             SHA256: {sha256}\nDescription: x\n\n"
        );
        let lists = format!("lists/127.0.0.1:{port}_debian_dists_bookworm");
        fs::write(
            state.join(format!("{lists}_main_binary-amd64_Packages")),
            packages,
        )
        .unwrap();
        drop(cache.lock(&|_| {}).unwrap());
        let kernel = Kernel {
            series: Series { major: 9, minor: 9 },
            patch: 1,
            release: RELEASE.into(),
            image: self.package.clone(),
            base: None,
            debug: None,
        };
        cache
            .set_served(&[kernel], None, SystemTime::now())
            .unwrap();
    }

    /// Fetches the kernel; the message if that fails.
    fn fetch(&self, serves: Serves) -> Result<PathBuf, String> {
        *self.serves.lock().unwrap() = serves;
        self.asked.lock().unwrap().clear();
        let source = Source::parse("debian-9.9").unwrap();
        fetch::kernel(&source, &self.cache(), false, &|_| {})
            .map(|kernel| kernel.path)
            .map_err(|error| error.to_string())
    }

    /// The files of downloads that are not unpacked yet, with their sizes.
    fn left(&self) -> Vec<(String, u64)> {
        let files = fs::read_dir(Apt::at(self.cache().root()).downloads()).unwrap();
        files
            .flatten()
            .map(|file| {
                let size = file.metadata().unwrap().len();
                (file.file_name().to_string_lossy().into_owned(), size)
            })
            .collect()
    }

    fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }
}

/// The bytes of a package with a kernel image that is none.
fn package(folder: &Path) -> Vec<u8> {
    let root = folder.join("package");
    let modules = root.join("usr/lib/modules").join(RELEASE);
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    fs::create_dir_all(&modules).unwrap();
    fs::write(
        root.join("DEBIAN/control"),
        format!(
            "Package: {NAME}\nVersion: {VERSION}\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"
        ),
    )
    .unwrap();
    let mut noise = Vec::with_capacity(IMAGE);
    while noise.len() < IMAGE {
        noise.extend(Sha256::digest(noise.len().to_le_bytes()));
    }
    fs::write(modules.join("vmlinuz.unsigned"), noise).unwrap();
    let deb = folder.join("x.deb");
    let built = Command::new("dpkg-deb")
        .args(["-Znone", "-b"])
        .arg(&root)
        .arg(&deb)
        .output()
        .expect("dpkg-deb");
    assert!(built.status.success(), "{built:?}");
    fs::read(deb).unwrap()
}

/// Answers one request, and notes the first byte that it asks for.
fn answer(
    mut stream: TcpStream,
    deb: &[u8],
    serves: Serves,
    asked: &Mutex<Vec<usize>>,
) -> std::io::Result<()> {
    let mut from = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
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
    assert_eq!(archive.asked(), [arrived as usize]);
    assert_eq!(fs::metadata(image).unwrap().len(), IMAGE as u64);
    assert!(archive.left().is_empty(), "{:?}", archive.left());
}

/// Check that a package of which all had arrived when the program was killed is used; that of another one in its place nothing is; and that
/// a part of another one is removed as damaged once the rest is there.
#[test]
fn arrived_before() {
    let archive = Archive::new();
    let apt = Apt::at(archive.cache().root());
    let file = apt.file(&archive.package.package());
    let forget = || {
        let folder = archive.cache().kernels().join(format!("{NAME}_{VERSION}"));
        let _ = fs::remove_dir_all(folder);
    };
    fs::create_dir_all(apt.downloads()).unwrap();
    let whole = fs::read(archive.folder.path().join("x.deb")).unwrap();
    fs::write(&file, &whole).unwrap();
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.asked(), [whole.len()]);
    forget();
    fs::write(&file, vec![0; whole.len()]).unwrap();
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.asked(), [whole.len(), 0]);
    forget();
    fs::write(&file, vec![0; whole.len() / 2]).unwrap();
    let error = archive.fetch(Serves::Whole).unwrap_err();
    assert!(error.contains("It was removed"), "{error}");
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.asked(), [0]);
}

/// Check that a package that is not what the signed index names is refused with both digests, that nothing of it stays, and that the
/// next attempt begins anew.
#[test]
fn damaged() {
    let archive = Archive::new();
    let error = archive.fetch(Serves::Damaged).unwrap_err();
    let expected = format!("instead of {}. It was removed", archive.package.sha256);
    assert!(
        error.contains("is not what Debian's signed index names: its SHA-256 is ")
            && error.contains(&expected)
            && error.contains("QED_DEBIAN_MIRROR"),
        "{error}"
    );
    assert!(archive.left().is_empty(), "{:?}", archive.left());
    archive.fetch(Serves::Whole).unwrap();
    assert_eq!(archive.asked(), [0]);
}

/// Check that an index that names another file than it did when it was asked is told as that, before anything is downloaded.
#[test]
fn other_index() {
    let archive = Archive::new();
    let cache = archive.cache();
    let mut kernels = cache.served().unwrap().kernels;
    kernels[0].image.sha256 = "0".repeat(64);
    cache.set_served(&kernels, None, SystemTime::now()).unwrap();
    let error = archive.fetch(Serves::Whole).unwrap_err();
    assert!(
        error.contains(&format!("with SHA-256 {}", archive.package.sha256))
            && error.contains("--refresh"),
        "{error}"
    );
    assert_eq!(archive.asked(), [0; 0]);
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
        println!("not tried: this machine makes no namespaces for ordinary users");
        return;
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
    let (status, said) = said(&output);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains(&format!(
            "download {NAME} {VERSION}: no space is left on the disk of"
        )) && said.contains("a download goes on where it stopped"),
        "{said}"
    );
    let asked = archive.asked();
    assert!(*asked.last().unwrap() > 1 << 20, "{asked:?}");
}
