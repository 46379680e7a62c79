//! Hands the object of the eBPF programs to the crate: as the file `qed-ebpf.o` in `OUT_DIR`, and its SHA-256 as
//! `QED_EBPF_SHA256`, and the version of its compiler as `QED_EBPF_COMPILER`. `QED_SOURCES_SHA256` is the digest of the crate's own
//! sources, by which a collector knows that one for another architecture was made from the same.
//!
//! It is the one in `ebpf/`, which is part of the package and takes no eBPF toolchain; or it is compiled from
//! `../collector-ebpf`: with the feature `build-ebpf`, and where those sources are others than the object in `ebpf/` was
//! compiled from. Two toolchains can do that: a compiler that brings a `core` compiled for `bpfel-unknown-none` (Debian's
//! `rustc-web` with `libstd-rust-web-dev-bpf`), or a nightly of rustup with `rust-src`, which compiles its own. Both link
//! with `bpf-linker`.

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

#[path = "build/compile.rs"]
mod compile;
#[path = "build/own_sources.rs"]
mod own_sources;
#[path = "build/sources.rs"]
mod sources;
#[path = "build/toolchain.rs"]
mod toolchain;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use compile::compile;
use sha2::{Digest as _, Sha256};
use toolchain::{find_compiler, find_linker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() {
    if let Err(error) = build() {
        eprintln!("error: cannot build the eBPF programs of the collector: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = crate_folder
        .parent()
        .ok_or("the crate has no parent folder")?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for path in ["build.rs", "build", "ebpf"] {
        println!("cargo:rerun-if-changed={path}");
    }
    fixed_address();
    let own = own_sources::digest(&crate_folder)?;
    println!("cargo:rustc-env=QED_SOURCES_SHA256={own}");

    let packaged = crate_folder.join("ebpf");
    let here = sources::digest(root)?;
    let recorded = fs::read_to_string(packaged.join("sources.sha256")).unwrap_or_default();
    let is_of_these = here.as_deref().is_none_or(|here| here == recorded.trim());
    let (bytes, compiler) = if is_of_these && env::var_os("CARGO_FEATURE_BUILD_EBPF").is_none() {
        let (object, compiler) = (packaged.join("qed-ebpf.o"), packaged.join("compiler.txt"));
        let bytes =
            fs::read(&object).map_err(|e| format!("cannot read {}: {e}", object.display()))?;
        let compiler = fs::read_to_string(&compiler)
            .map_err(|e| format!("cannot read {}: {e}", compiler.display()))?;
        (bytes, compiler)
    } else if here.is_none() {
        return Err("the feature build-ebpf takes the sources in collector-ebpf/ of a checkout of QED, which are not beside \
                    this crate. Build it in a checkout, or without the feature"
            .into());
    } else {
        from_sources(root, &out)?
    };
    if here.is_some() {
        println!(
            "cargo:rerun-if-changed={}",
            root.join("collector-ebpf/src").display()
        );
        println!(
            "cargo:rerun-if-changed={}",
            root.join("collector-ebpf/Cargo.toml").display()
        );
        println!(
            "cargo:rerun-if-changed={}",
            root.join("Cargo.lock").display()
        );
    }
    let copy = out.join("qed-ebpf.o");
    fs::write(&copy, &bytes).map_err(|e| format!("cannot write {}: {e}", copy.display()))?;
    println!(
        "cargo:rustc-env=QED_EBPF_SHA256={}",
        hex::encode(Sha256::digest(&bytes))
    );
    println!("cargo:rustc-env=QED_EBPF_COMPILER={}", compiler.trim());
    Ok(())
}

/// The object, compiled from the sources of the checkout `root`, and the version of the compiler.
fn from_sources(root: &Path, out: &Path) -> Result<(Vec<u8>, String)> {
    println!(
        "cargo:rerun-if-changed={}",
        root.join(".tools/bin/bpf-linker").display()
    );
    println!("cargo:rerun-if-env-changed=QED_BPF_RUSTC");
    let linker = find_linker(root, &env::var_os("PATH").unwrap_or_default())?;
    let compiler = find_compiler(
        env::var_os("QED_BPF_RUSTC").map(PathBuf::from).as_deref(),
        Path::new("/usr/bin/rustc"),
        Path::new("rustup"),
    )?;
    let workshop = out.join("ebpf");
    let object = compile(root, &workshop, &compiler, &linker)?;
    let bytes = fs::read(&object).map_err(|e| format!("cannot read {}: {e}", object.display()))?;
    // 200 MB of macros and build scripts, made again in a quarter of a minute when the programs change. What cannot be
    // removed is only lost space.
    let _ = fs::remove_dir_all(&workshop);
    let version = compiler
        .version()
        .ok_or_else(|| format!("{compiler:?} does not tell its version"))?;
    Ok((bytes, version))
}

/// Link the static program for one address. Placed anywhere (`-static-pie`, rustc's choice) it would adjust its own
/// pointers, and so copy a page for each few of them, every time it starts: in a guest that is once per experiment.
fn fixed_address() {
    let is = |name: &str, value: &str| {
        env::var(format!("CARGO_CFG_{name}"))
            .is_ok_and(|found| found.split(',').any(|one| one == value))
    };
    if is("TARGET_OS", "linux") && is("TARGET_ENV", "gnu") && is("TARGET_FEATURE", "crt-static") {
        for argument in ["-no-pie", "-static"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
