//! The build's messages where the toolchain of the eBPF programs is missing, and its choice where there is one.

#[allow(dead_code)] // the build script uses all of it
#[path = "../build/toolchain.rs"]
mod toolchain;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

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
    let said = |chosen, rustup| {
        let error = find_compiler(chosen, &plain, rustup).unwrap_err();
        error.to_string()
    };

    let neither = said(None, &absent);
    for part in [
        TARGET,
        "rustup has no nightly",
        "make tools",
        "rustc-web and libstd-rust-web-dev-bpf",
        "rustup toolchain install nightly --component rust-src",
    ] {
        assert!(neither.contains(part), "`{part}` is not in: {neither}");
    }
    let no_source = said(None, &plain);
    assert!(
        no_source.contains("without the component rust-src"),
        "{no_source}"
    );
    let named = said(Some(&absent), &absent);
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
