//! Compiling the eBPF programs of `collector-ebpf`: the same bytes from the same sources, wherever they are.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::toolchain::{Compiler, TARGET, clean};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const OBJECT: &str = "qed-ebpf";
/// Unpacks what the programs are made of, whose folders then have names.
const FETCH: [&str; 3] = ["fetch", "--locked", "--manifest-path"];

/// Compiles the programs below `root` in `target_dir`. Gives back the object's file.
///
/// # Errors
/// The message of the compiler or the linker.
pub fn compile(
    root: &Path,
    target_dir: &Path,
    compiler: &Compiler,
    linker: &Path,
) -> Result<PathBuf> {
    let manifest = root.join("collector-ebpf/Cargo.toml");
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
        // The folder of a registry has its host's name, which differs where a mirror is used. Of several prefixes that match,
        // the last one counts. Without a network, what the programs need may be there and packages of other platforms not: the
        // build says what is missing.
        let _ = run(cargo(compiler).args(FETCH).arg(&manifest));
        for registry in fs::read_dir(home.join("registry/src"))
            .into_iter()
            .flatten()
        {
            let folder = registry?.path();
            flags.push(format!(
                "--remap-path-prefix={}=/cargo/registry",
                folder.display()
            ));
        }
    }
    let mut build = cargo(compiler);
    build.arg("build");
    if matches!(compiler, Compiler::Nightly) {
        build.args(["-Z", "build-std=core"]);
    }
    build
        .args(["--release", "--locked", "--target", TARGET])
        .args(["--features", "programs", "--bin", OBJECT, "--manifest-path"])
        .arg(&manifest)
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
    run(&mut build)?;
    Ok(target_dir.join(TARGET).join("release").join(OBJECT))
}

/// Cargo of the compiler, without a subcommand.
fn cargo(compiler: &Compiler) -> Command {
    match compiler {
        Compiler::Precompiled(rustc) => {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
            let mut cargo = Command::new(cargo);
            clean(&mut cargo);
            // aya-ebpf uses one unstable feature (inline assembly for this target).
            cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
            cargo
        }
        Compiler::Nightly => {
            let mut cargo = Command::new("rustup");
            clean(&mut cargo);
            cargo.args(["run", "nightly", "cargo"]);
            cargo
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .map_err(|e| format!("cannot start {command:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "{command:?} failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(())
}
