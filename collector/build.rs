//! Compiles the eBPF programs of `collector-ebpf` and hands the object to the crate: as the file
//! `qed-ebpf.o` in `OUT_DIR`, and its SHA-256 as `QED_EBPF_SHA256`.
//!
//! Two toolchains can do it: a compiler that brings a `core` compiled for `bpfel-unknown-none` (Debian's
//! `rustc-web` with `libstd-rust-web-dev-bpf`), or a nightly of rustup with `rust-src`, which compiles
//! its own. Both link with `bpf-linker`.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "bpfel-unknown-none";
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
    fixed_address();
    println!("cargo:rerun-if-env-changed=QED_BPF_RUSTC");

    let linker = find_linker(&root)?;
    let compiler = Compiler::find()?;
    let object = compile(&root, &out.join("ebpf"), &compiler, &linker)?;
    let bytes = fs::read(&object).map_err(|e| format!("cannot read {}: {e}", object.display()))?;
    let copy = out.join("qed-ebpf.o");
    fs::write(&copy, &bytes).map_err(|e| format!("cannot write {}: {e}", copy.display()))?;
    println!(
        "cargo:rustc-env=QED_EBPF_SHA256={}",
        hex::encode(Sha256::digest(&bytes))
    );
    Ok(())
}

/// `bpf-linker` of this checkout, else the one in the search path.
fn find_linker(root: &Path) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    std::iter::once(root.join(".tools/bin"))
        .chain(env::split_paths(&path))
        .map(|folder| folder.join("bpf-linker"))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            format!(
                "there is no bpf-linker in {} or in the search path. Run `make tools` (it runs \
                 `LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --no-default-features \
                 --features llvm-22 --root .tools`, which needs the Debian package llvm-22-dev)",
                root.join(".tools/bin").display()
            )
            .into()
        })
}

/// What compiles for the eBPF target.
enum Compiler {
    /// A compiler with a ready-made `core` for the target.
    Precompiled(PathBuf),
    /// A nightly of rustup, which compiles `core` from its sources.
    Nightly,
}

impl Compiler {
    fn find() -> Result<Self> {
        let can = |rustc: &Path| sysroot(Command::new(rustc)).is_some_and(|root| has_core(&root));
        if let Some(chosen) = env::var_os("QED_BPF_RUSTC").map(PathBuf::from) {
            // Who names a compiler means that one.
            return match can(&chosen) {
                true => Ok(Self::Precompiled(chosen)),
                false => Err(format!(
                    "QED_BPF_RUSTC names {}, which does not run or brings no `core` for the target {TARGET}. Name \
                     another, or unset it to let the build find one (`make tools` installs one)",
                    chosen.display()
                )
                .into()),
            };
        }
        let usual = PathBuf::from("/usr/bin/rustc");
        if can(&usual) {
            return Ok(Self::Precompiled(usual));
        }
        let mut nightly = Command::new("rustup");
        nightly.args(["run", "nightly", "rustc"]);
        if sysroot(nightly)
            .is_some_and(|root| root.join("lib/rustlib/src/rust/library/core").is_dir())
        {
            return Ok(Self::Nightly);
        }
        Err(format!(
            "there is no Rust compiler for the target {TARGET}. Run `make tools`, or install one of: \
             the Debian packages rustc-web and libstd-rust-web-dev-bpf (a compiler elsewhere is named \
             by QED_BPF_RUSTC); or `rustup toolchain install nightly --component rust-src`"
        )
        .into())
    }
}

fn sysroot(mut rustc: Command) -> Option<PathBuf> {
    clean(&mut rustc);
    let output = rustc.args(["--print", "sysroot"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn has_core(sysroot: &Path) -> bool {
    fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib")).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
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

/// What the outer cargo tells its build scripts would make the inner one build for the wrong target,
/// with the wrong compiler and flags, so none of it goes in.
fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO") || text.starts_with("RUST");
        let kept = matches!(&*text, "CARGO_HOME" | "CARGO_NET_OFFLINE" | "RUSTUP_HOME");
        if ours && !kept {
            command.env_remove(&name);
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
        // BTF is made from full debug info.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
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
