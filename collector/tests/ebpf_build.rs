//! The build's messages where the toolchain of the eBPF programs is missing, and its choice where there is one; and that the
//! object in the package is what the sources give.

#[path = "../build/compile.rs"]
mod compile;
#[path = "../build/sources.rs"]
mod sources;
#[allow(dead_code)] // the build script uses all of it
#[path = "../build/toolchain.rs"]
mod toolchain;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use qed_layers::note_skipped;
use toolchain::{Compiler, TARGET, find_compiler, find_linker};

/// A program that says that its sysroot is `sysroot`, whatever it is asked.
fn says(folder: &Path, name: &str, sysroot: &Path) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\necho '{}'\n", sysroot.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Check that a compiler with `core` for the target is preferred, then a nightly with the sources of it.
#[test]
fn order() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (with_core, with_source) = (folder.join("core"), folder.join("source"));
    let library = with_core.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&library).unwrap();
    fs::write(library.join("libcore-0123.rlib"), "").unwrap();
    fs::create_dir_all(with_source.join("lib/rustlib/src/rust/library/core")).unwrap();
    let rustc = says(folder, "rustc", &with_core);
    let plain = says(folder, "plain", &folder.join("nothing"));
    let rustup = says(folder, "rustup", &with_source);
    let absent = folder.join("absent");

    let precompiled = Ok(Compiler::Precompiled(rustc.clone()));
    assert_eq!(find_compiler(None, &rustc, &rustup), precompiled);
    assert_eq!(find_compiler(Some(&rustc), &plain, &absent), precompiled);
    for usual in [&plain, &absent] {
        assert_eq!(find_compiler(None, usual, &rustup), Ok(Compiler::Nightly));
    }
}

/// Check that what is missing is said with what to install, and that a compiler that somebody names is never swapped
/// for another one.
#[test]
fn missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = says(folder, "rustc", &folder.join("nothing"));
    let absent = folder.join("absent");
    let report = |chosen, rustup| {
        let error = find_compiler(chosen, &plain, rustup).unwrap_err();
        error.to_string()
    };

    let neither = report(None, &absent);
    for part in [
        TARGET,
        "rustup has no nightly",
        "make tools",
        "rustc-web and libstd-rust-web-dev-bpf",
        "rustup toolchain install nightly --component rust-src",
    ] {
        assert!(neither.contains(part), "`{part}` is not in: {neither}");
    }
    let no_source = report(None, &plain);
    assert!(
        no_source.contains("without the component rust-src"),
        "{no_source}"
    );
    let named = report(Some(&absent), &absent);
    assert!(
        named.contains("QED_BPF_RUSTC names") && named.contains("unset it"),
        "{named}"
    );

    let no_linker = find_linker(folder, folder.as_os_str())
        .unwrap_err()
        .to_string();
    for part in ["no bpf-linker", "make tools", "llvm-22-dev"] {
        assert!(no_linker.contains(part), "`{part}` is not in: {no_linker}");
    }
    fs::write(folder.join("bpf-linker"), "").unwrap();
    assert_eq!(
        find_linker(&folder.join("elsewhere"), folder.as_os_str()),
        Ok(folder.join("bpf-linker"))
    );
}

/// Check that a version that a package has in Cargo.lock is part of the digest of the sources, and that what other crates
/// need is not.
#[test]
fn locked_packages_count() {
    let dir = tempfile::tempdir().unwrap();
    let digest = |lock: &str| {
        copy(dir.path());
        fs::write(dir.path().join("Cargo.lock"), lock).unwrap();
        sources::digest(dir.path()).unwrap().unwrap()
    };
    let lock = fs::read_to_string(checkout().join("Cargo.lock")).unwrap();
    let here = sources::digest(&checkout()).unwrap().unwrap();
    assert_eq!(digest(&lock), here);
    let other = format!("{lock}\n[[package]]\nname = \"other\"\nversion = \"1.0.0\"\n");
    assert_eq!(digest(&other), here);
    let macros = "name = \"aya-ebpf-macros\"\nversion = \"";
    assert_ne!(digest(&lock.replace(macros, &format!("{macros}9"))), here);
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Copy the files of the checkout that the programs are compiled from, and the manifests without which cargo reads none.
fn copy(to: &Path) {
    let from = checkout();
    let listed = Command::new("git")
        // In a container the checkout is somebody else's.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--"])
        .args(["*Cargo.toml", "Cargo.lock", "*.rs"])
        .current_dir(&from)
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    for name in String::from_utf8(listed.stdout)
        .unwrap()
        .split_terminator('\0')
    {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(from.join(name), path).unwrap();
    }
}

/// Check that the object that is published is of these sources: `make ebpf` makes it again. Without this, a changed program
/// would be compiled in a checkout, and the old one be installed from a package.
#[test]
fn packaged_object_is_of_these_sources() {
    let recorded = fs::read_to_string(checkout().join("collector/ebpf/sources.sha256")).unwrap();
    let here = sources::digest(&checkout()).unwrap().unwrap();
    assert_eq!(
        recorded.trim(),
        here,
        "run `make ebpf` and commit collector/ebpf"
    );
}

/// Check that the sources give the published object byte for byte, in another folder, with the compiler that made it. Macros and
/// build scripts, which run on this machine, stay compiled; all that becomes part of the object is compiled each time.
#[test]
fn sources_give_the_packaged_object() {
    let compiler = find_compiler(None, Path::new("/usr/bin/rustc"), Path::new("rustup"));
    let linker = find_linker(&checkout(), &std::env::var_os("PATH").unwrap_or_default());
    let (Ok(compiler), Ok(linker)) = (compiler, linker) else {
        note_skipped("the eBPF toolchain is missing here (`make tools` installs it)");
        return;
    };
    let made_with = fs::read_to_string(checkout().join("collector/ebpf/compiler.txt")).unwrap();
    if compiler.version().as_deref() != Some(made_with.trim()) {
        note_skipped(&format!(
            "the object was made with {}, which is not here",
            made_with.trim()
        ));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("a checkout/of another name");
    copy(&elsewhere);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ebpf-build");
    let _ = fs::remove_dir_all(target.join(TARGET));
    let object = compile::compile(&elsewhere, &target, &compiler, &linker).unwrap();
    let packaged = fs::read(checkout().join("collector/ebpf/qed-ebpf.o")).unwrap();
    assert!(
        fs::read(object).unwrap() == packaged,
        "run `make ebpf` and commit collector/ebpf"
    );
}
