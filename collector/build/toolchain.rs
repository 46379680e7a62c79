//! Finding what compiles and links the eBPF programs, or saying what is missing and how to get it.

use std::{
    env,
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The target of the eBPF programs.
pub const TARGET: &str = "bpfel-unknown-none";

/// A compiler for the eBPF target.
#[derive(Debug, PartialEq, Eq)]
pub enum Compiler {
    /// A compiler with a ready-made `core` for the target.
    Precompiled(PathBuf),
    /// A nightly of rustup, which compiles `core` from its sources.
    Nightly,
}

impl Compiler {
    /// The line that it prints of its version.
    pub fn version(&self) -> Option<String> {
        let mut rustc = match self {
            Self::Precompiled(rustc) => Command::new(rustc),
            Self::Nightly => nightly(Path::new("rustup")),
        };
        rustc.arg("--version");
        line(rustc)
    }
}

/// A tool that the eBPF programs cannot be built without.
#[derive(Debug, PartialEq, Eq)]
pub enum ToolchainError {
    /// No `bpf-linker`, neither in this folder of the checkout nor in the search path.
    NoLinker(PathBuf),
    /// The compiler that was named cannot compile for the target.
    ChosenCompiler(PathBuf),
    /// No compiler for the target.
    NoCompiler {
        /// The one that was tried.
        usual: PathBuf,
        /// The reason why rustup's does not do either.
        why_not: &'static str,
    },
}

impl std::error::Error for ToolchainError {}

impl fmt::Display for ToolchainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLinker(folder) => write!(
                f,
                "there is no bpf-linker in {} or in the search path. Run `make tools` (it runs \
                 `LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --no-default-features \
                 --features llvm-22 --root .tools`, which needs the Debian package llvm-22-dev)",
                folder.display()
            ),
            Self::ChosenCompiler(compiler) => write!(
                f,
                "QED_BPF_RUSTC names {}, which does not run or brings no `core` for the target {TARGET}. Name \
                 another, or unset it to let the build find one (`make tools` installs one)",
                compiler.display()
            ),
            Self::NoCompiler { usual, why_not } => write!(
                f,
                "there is no Rust compiler for the target {TARGET}: {} does not run or brings no `core` for it, and \
                 {why_not}. Run `make tools`, or install one of: \
                 the Debian packages rustc-web and libstd-rust-web-dev-bpf (a compiler elsewhere is named \
                 by QED_BPF_RUSTC); or `rustup toolchain install nightly --component rust-src`",
                usual.display()
            ),
        }
    }
}

/// `bpf-linker` of this checkout, else the one in the search path.
pub fn find_linker(root: &Path, search: &OsStr) -> Result<PathBuf, ToolchainError> {
    std::iter::once(root.join(".tools/bin"))
        .chain(env::split_paths(search))
        .map(|folder| folder.join("bpf-linker"))
        .find(|file| file.is_file())
        .ok_or_else(|| ToolchainError::NoLinker(root.join(".tools/bin")))
}

/// The compiler that `chosen` names; else `usual`, if it has `core` for the target; else the nightly of `rustup`.
pub fn find_compiler(
    chosen: Option<&Path>,
    usual: &Path,
    rustup: &Path,
) -> Result<Compiler, ToolchainError> {
    let can = |rustc: &Path| sysroot(Command::new(rustc)).is_some_and(|root| has_core(&root));
    if let Some(chosen) = chosen {
        // A named compiler is used, or the build fails.
        return match can(chosen) {
            true => Ok(Compiler::Precompiled(chosen.to_owned())),
            false => Err(ToolchainError::ChosenCompiler(chosen.to_owned())),
        };
    }
    if can(usual) {
        return Ok(Compiler::Precompiled(usual.to_owned()));
    }
    let why_not = match sysroot(nightly(rustup)) {
        Some(root) if root.join("lib/rustlib/src/rust/library/core").is_dir() => {
            return Ok(Compiler::Nightly);
        }
        Some(_) => "rustup has a nightly, but without the component rust-src",
        None => "rustup has no nightly",
    };
    Err(ToolchainError::NoCompiler {
        usual: usual.to_owned(),
        why_not,
    })
}

fn nightly(rustup: &Path) -> Command {
    let mut nightly = Command::new(rustup);
    nightly.args(["run", "nightly", "rustc"]);
    nightly
}

fn sysroot(mut rustc: Command) -> Option<PathBuf> {
    rustc.args(["--print", "sysroot"]);
    line(rustc).map(PathBuf::from)
}

/// The line that a compiler prints, if it runs well.
fn line(mut rustc: Command) -> Option<String> {
    clean(&mut rustc);
    let output = rustc.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn has_core(sysroot: &Path) -> bool {
    fs::read_dir(sysroot.join("lib/rustlib").join(TARGET).join("lib")).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

/// Remove what the outer cargo tells its build scripts. It would make the inner one build for the wrong target,
/// with the wrong compiler and flags, so none of it goes in.
pub fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO") || text.starts_with("RUST");
        let kept = matches!(&*text, "CARGO_HOME" | "CARGO_NET_OFFLINE" | "RUSTUP_HOME");
        if ours && !kept {
            command.env_remove(&name);
        }
    }
}
