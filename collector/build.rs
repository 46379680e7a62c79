//! Compiles the eBPF programs of `collector-ebpf` and hands the object to the crate: as the file
//! `qed-ebpf.o` in `OUT_DIR`, and its SHA-256 as `QED_EBPF_SHA256`.
//!
//! Two toolchains can do it: a compiler that brings a `core` compiled for `bpfel-unknown-none` (Debian's
//! `rustc-web` with `libstd-rust-web-dev-bpf`), or a nightly of rustup with `rust-src`, which compiles
//! its own. Both link with `bpf-linker`.

#[path = "build/toolchain.rs"]
mod toolchain;

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};
use toolchain::{Compiler, TARGET, clean, find_compiler, find_linker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const OBJECT: &str = "qed-ebpf";

fn main() {
    if let Err(error) = build() {
        eprintln!("error: cannot build the eBPF programs of the collector: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?)
        .parent()
        .ok_or("the crate has no parent folder")?
        .to_owned();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for path in [
        "collector-ebpf/src",
        "collector-ebpf/Cargo.toml",
        "Cargo.lock",
        ".tools/bin/bpf-linker",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/toolchain.rs");
    fixed_address();
    println!("cargo:rerun-if-env-changed=QED_BPF_RUSTC");

    let linker = find_linker(&root, &env::var_os("PATH").unwrap_or_default())?;
    let compiler = find_compiler(
        env::var_os("QED_BPF_RUSTC").map(PathBuf::from).as_deref(),
        Path::new("/usr/bin/rustc"),
        Path::new("rustup"),
    )?;
    let workshop = out.join("ebpf");
    let object = compile(&root, &workshop, &compiler, &linker)?;
    let bytes = fs::read(&object).map_err(|e| format!("cannot read {}: {e}", object.display()))?;
    // 200 MB of macros and build scripts, made again in a quarter of a minute when the programs change. What cannot be
    // removed is only lost space.
    let _ = fs::remove_dir_all(&workshop);
    let copy = out.join("qed-ebpf.o");
    fs::write(&copy, &bytes).map_err(|e| format!("cannot write {}: {e}", copy.display()))?;
    println!(
        "cargo:rustc-env=QED_EBPF_SHA256={}",
        hex::encode(Sha256::digest(&bytes))
    );
    Ok(())
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

fn compile(root: &Path, target_dir: &Path, compiler: &Compiler, linker: &Path) -> Result<PathBuf> {
    let mut cargo = match compiler {
        Compiler::Precompiled(rustc) => {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
            let mut cargo = Command::new(cargo);
            clean(&mut cargo);
            // aya-ebpf uses one unstable feature (inline assembly for this target).
            cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
            cargo.arg("build");
            cargo
        }
        Compiler::Nightly => {
            let mut cargo = Command::new("rustup");
            clean(&mut cargo);
            cargo.args(["run", "nightly", "cargo", "build", "-Z", "build-std=core"]);
            cargo
        }
    };
    let mut flags = vec![
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
        // BTF is made from full debug info. Here, and not in the profile, which would have it made for the macros and
        // build scripts of this machine as well: 200 MB.
        "-Cdebuginfo=2".to_owned(),
        // The object is part of the published binary: no folder of the builder in it.
        format!("--remap-path-prefix={}=.", root.display()),
    ];
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    cargo
        .args(["--release", "--locked", "--target", TARGET])
        .args(["--features", "programs", "--bin", OBJECT, "--manifest-path"])
        .arg(root.join("collector-ebpf/Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        // There is nothing in the kernel to panic to.
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "false");
    let output = cargo
        .output()
        .map_err(|e| format!("cannot start {cargo:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "{cargo:?} failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(target_dir.join(TARGET).join("release").join(OBJECT))
}
