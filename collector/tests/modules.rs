//! Modules of a guest's own kernel: loaded, probed and read like the kernel itself. Needs QEMU, and the network or cached kernels
//! with their modules.

use crate::support;

use std::path::{Path, PathBuf};

use qed_collector::guest::cache::Cache;
use qed_collector::guest::{KernelSource, fetch};
use qed_evidence::Evidence;
use qed_evidence::document::Probe;
use qed_evidence::value::{Datum, Value};
use support::{capture_on, evidence_in, folder_with, resumed_capture_on, status_and_message};

/// A file whose driver is a module, and a structure that only the module's types have. `MODULES` stands for the modules.
const TUN: &str = r#"
[[experiment]]
name = "open"
modules = MODULES
workload = { syscall = "openat", args = ["AT_FDCWD", { text = "/dev/net/tun" }, "O_RDWR"], returns = "fd" }

[[experiment.probe]]
function = "tun_chr_open"
reads = [{ at = "exit", name = "back_pointer", path = "((struct tun_file *)file->private_data)->socket.file" }]
"#;

fn tun(modules: &str) -> tempfile::TempDir {
    folder_with(&TUN.replace("MODULES", modules))
}

fn probe<'e>(evidence: &'e Evidence, name: &str) -> &'e Probe {
    &evidence.experiments["open"].probes[name]
}

/// Check on kernels of each packaging that a function of a module is probed, that its own types lead back to the file that it was
/// given, and that evidence has the digest of the module and of each that it depends on.
#[test]
fn probed_and_read() {
    for machine in ["guest:debian-6.1", "guest:debian-6.12", "guest:debian-7.3"] {
        let folder = tun("[\"tun\", \"tcp-diag\"]");
        let output = resumed_capture_on(machine, folder.path(), "i.toml")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{machine}: {}",
            status_and_message(&output).1
        );
        let evidence = evidence_in(folder.path());
        let hit = &probe(&evidence, "tun_chr_open").hits[0];
        let address = |datum: &Datum| match datum.value() {
            Some(Value::Address { value, .. }) => value.0,
            other => panic!("{machine}: {other:?}"),
        };
        let given = address(&hit.args["file"]);
        assert!(given >> 63 == 1, "{given:#x}");
        assert_eq!(address(&hit.exit["back_pointer"]), given, "{machine}");
        // What the module inlines of it nobody has read, so that its silence would prove nothing.
        assert!(
            evidence.instances["tun_chr_open"].inlined.is_none(),
            "{machine}"
        );
        let modules = &evidence.kernel.modules;
        let names: Vec<&str> = modules.keys().map(String::as_str).collect();
        assert_eq!(names, ["inet_diag", "tcp_diag", "tun"], "{machine}");
        for (name, digest) in modules {
            let Some(Value::Text { value }) = digest.value() else {
                panic!("{machine}: {name}: {digest:?}");
            };
            assert_eq!(value.len(), 64, "{name}");
        }
    }
}

/// Check that without its module a function is one that the kernel does not have, and that nothing is loaded unasked.
#[test]
fn nothing_unasked() {
    let folder = tun("[]");
    let output = resumed_capture_on("guest:debian-6.1", folder.path(), "i.toml")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", status_and_message(&output).1);
    let evidence = evidence_in(folder.path());
    assert!(evidence.kernel.modules.is_empty());
    assert!(probe(&evidence, "tun_chr_open").unavailable.is_some());
}

/// Check that a module that does not exist is an error with the nearest name, before anything boots.
#[test]
fn unknown() {
    let folder = tun("[\"tcp_dia\"]");
    let output = capture_on("guest:debian-6.1", folder.path(), "i.toml")
        .output()
        .unwrap();
    let (status, message) = status_and_message(&output);
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("no module `tcp_dia`: did you mean `tcp_diag`?"),
        "{message}"
    );
    assert!(!folder.path().join("e.json").exists());
}

/// The kernel of 6.1 as somebody has it who has unpacked its package: the image, and modules in the folder of a release.
fn unpacked(root: &Path, release: &str) -> (PathBuf, PathBuf) {
    let cache = Cache::for_user().expect("a cache folder");
    let source = KernelSource::parse("debian-6.1").expect("a guest's name");
    let kernel = fetch::find_kernel(&source, &cache, false, &|_| {}).expect("a kernel");
    let folder = root.join("lib/modules").join(release);
    std::fs::create_dir_all(folder.join("kernel/drivers/net")).unwrap();
    std::fs::write(folder.join("modules.order"), "kernel/drivers/net/tun.ko\n").unwrap();
    let image = root.join("boot").join(format!("vmlinuz-{release}"));
    std::fs::create_dir_all(image.parent().unwrap()).unwrap();
    std::fs::copy(&kernel.path, &image).unwrap();
    (image, folder.join("kernel/drivers/net/tun.ko"))
}

/// Check that a module beside an image of the user's is found and loaded, and that one of another kernel, and one that is damaged, are
/// errors that say so.
#[test]
fn beside_an_image() {
    let cache = Cache::for_user().expect("a cache folder");
    let source = KernelSource::parse("debian-6.1").expect("a guest's name");
    let kernel = fetch::find_kernel(&source, &cache, false, &|_| {}).expect("a kernel");
    let sidecar = kernel.package.expect("a package");
    let of_package = cache.modules_folder(&sidecar.package).join("tun.ko");
    if !of_package.is_file() {
        // `probed_and_read` fetches them.
        let folder = tun("[\"tun\"]");
        let _ = capture_on("guest:debian-6.1", folder.path(), "i.toml").output();
    }
    let good = std::fs::read(&of_package).unwrap();
    let root = tempfile::tempdir().unwrap();
    let (image, module) = unpacked(root.path(), &sidecar.release);
    let folder = tun("[\"tun\"]");
    let capture = || {
        let machine = format!("guest:mine={}", image.display());
        let output = capture_on(&machine, folder.path(), "i.toml")
            .output()
            .unwrap();
        status_and_message(&output)
    };
    std::fs::write(&module, &good).unwrap();
    let (status, message) = capture();
    assert_eq!(status, Some(0), "{message}");
    assert_eq!(evidence_in(folder.path()).kernel.modules.len(), 1);

    let other = replaced(&good, sidecar.release.as_bytes(), b"6.1.0-99-x");
    std::fs::write(&module, other).unwrap();
    let (status, message) = capture();
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("`tun` does not fit: it was built for kernel 6.1.0-99-x"),
        "{message}"
    );

    std::fs::write(&module, b"\x7fELF nonsense").unwrap();
    let (status, message) = capture();
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("the file of the module `tun` cannot be used"),
        "{message}"
    );

    // Whole to a reader of its sections, and not to the kernel: it is for another processor (`e_machine`), and its signature does
    // not fit any more.
    let mut damaged = good.clone();
    damaged[0x12] = 3;
    std::fs::write(&module, damaged).unwrap();
    let (status, message) = capture();
    assert_eq!(status, Some(3), "{message}");
    assert!(
        message.contains("refuses to load the module `tun` (Key was rejected by service)"),
        "{message}"
    );

    std::fs::remove_dir_all(root.path().join("lib")).unwrap();
    let (status, message) = capture();
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("were not found around its image"),
        "{message}"
    );
}

/// The bytes with the text behind `vermagic=` replaced, NULs behind the shorter one.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let magic = b"vermagic=";
    let at = bytes
        .windows(magic.len())
        .position(|window| window == magic)
        .unwrap()
        + magic.len();
    assert_eq!(&bytes[at..at + from.len()], from);
    let mut out = bytes.to_vec();
    out[at..at + from.len()].fill(b' ');
    out[at..at + to.len()].copy_from_slice(to);
    out
}
