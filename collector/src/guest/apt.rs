//! Asking the distribution through its own tools, as an ordinary user.
//!
//! `apt-get download` checks what it fetches against the archive's signed index. Where the system's
//! lists are missing, unreadable or old, the lists are fetched into the user's cache; the machine's own
//! sources, keys and proxies are used as they are.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::GuestError;
use super::debian::{Package, kernel_packages, newest};
use super::qemu::find_in_path;

/// One view of the archive: the system's lists, or our own.
#[derive(Debug, Clone)]
pub struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// The system's lists, with our own package cache (the system's may need root to rebuild).
    #[must_use]
    pub fn system(cache: &Path) -> Self {
        Self {
            options: own_cache(&cache.join("apt/system")),
        }
    }

    /// Our own lists of the system's sources.
    #[must_use]
    pub fn own(cache: &Path) -> Self {
        let folder = cache.join("apt/own");
        let mut options = own_cache(&folder);
        options.push(format!("-oDir::State::lists={}/lists", folder.display()));
        Self { options }
    }

    /// Fetch the lists.
    ///
    /// # Errors
    /// When a list cannot be fetched or its signature is wrong.
    pub fn update(&self) -> Result<(), GuestError> {
        // apt makes these itself only in its usual places.
        for name in ["-oDir::State::lists=", "-oDir::Cache="] {
            let mut folders = self.options.iter().filter_map(|o| o.strip_prefix(name));
            if let Some(folder) = folders.next() {
                let folder = PathBuf::from(folder).join("partial");
                std::fs::create_dir_all(&folder)
                    .map_err(GuestError::io("make the folder", &folder))?;
            }
        }
        self.run(
            "apt-get",
            &[
                // Without a network every capture comes here: it has to notice soon.
                "-oAcquire::Retries=0",
                "-oAcquire::http::Timeout=8",
                "-oAcquire::https::Timeout=8",
                "update",
                "-qq",
                "--error-on=any",
            ],
            None,
            "fetch the package lists",
        )
        .map(drop)
    }

    /// The newest cloud kernel of a series, if any is served.
    ///
    /// # Errors
    /// When apt fails.
    pub fn newest(&self, series: &str) -> Result<Option<Package>, GuestError> {
        let doing = "look for kernel packages";
        let names = self.run(
            "apt-cache",
            &["pkgnames", &format!("linux-image-{series}.")],
            None,
            doing,
        )?;
        let names = kernel_packages(&names, series);
        if names.is_empty() {
            return Ok(None);
        }
        let mut arguments = vec!["policy"];
        arguments.extend(names.iter().map(String::as_str));
        Ok(newest(&self.run("apt-cache", &arguments, None, doing)?))
    }

    /// The size of a package in bytes, where the lists say.
    #[must_use]
    pub fn size(&self, package: &Package) -> Option<u64> {
        let wanted = format!("{}={}", package.name, package.version);
        let shown = self
            .run("apt-cache", &["show", &wanted], None, "look at a package")
            .ok()?;
        shown
            .lines()
            .find_map(|line| line.strip_prefix("Size: "))?
            .trim()
            .parse()
            .ok()
    }

    /// Download a package into `folder` and return its path.
    ///
    /// # Errors
    /// When it cannot be fetched, or does not match its signed index.
    pub fn download(&self, package: &Package, folder: &Path) -> Result<PathBuf, GuestError> {
        let wanted = format!("{}={}", package.name, package.version);
        let doing = format!("download {wanted}");
        self.run(
            "apt-get",
            &["download", "-qq", &wanted],
            Some(folder),
            &doing,
        )?;
        let files = std::fs::read_dir(folder).map_err(GuestError::io("list", folder))?;
        let debs = files
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "deb"));
        let failed = || GuestError::Program {
            doing: doing.clone(),
            program: "apt-get".into(),
            status: "success".into(),
            said: "it left no .deb file".into(),
        };
        debs.max().ok_or_else(failed)
    }

    fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        folder: Option<&Path>,
        doing: &str,
    ) -> Result<String, GuestError> {
        let path = find_in_path(program).ok_or(GuestError::MissingProgram {
            doing: "fetch a kernel package",
            program,
            package: "apt",
        })?;
        let mut command = Command::new(path);
        command
            .args(&self.options)
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        output(command, program, doing)
    }
}

/// Whether the system's lists were refreshed within `limit`. Their own times are those of the archive;
/// the folder's are ours, as every update writes to it.
#[must_use]
pub fn system_is_fresh(now: SystemTime, limit: Duration) -> bool {
    let lists = ["/var/lib/apt/lists", "/var/lib/apt/lists/partial"];
    let newest = lists
        .iter()
        .filter_map(|f| std::fs::metadata(f).ok()?.modified().ok())
        .max();
    newest
        .and_then(|t| now.duration_since(t).ok())
        .is_some_and(|age| age < limit)
}

/// Run a program to its end, bound to this process's life; its standard output, or an error with what
/// it said.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn output(
    mut command: Command,
    program: &str,
    doing: &str,
) -> Result<String, GuestError> {
    die_with_parent(&mut command);
    let failed = |status: String, said: &[u8]| {
        let said = String::from_utf8_lossy(said);
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(6)..];
        GuestError::Program {
            doing: doing.to_owned(),
            program: program.to_owned(),
            status,
            said: last.join("; "),
        }
    };
    let result = command
        .output()
        .map_err(|e| failed("not started".into(), e.to_string().as_bytes()))?;
    if !result.status.success() {
        return Err(failed(result.status.to_string(), &result.stderr));
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// Have the child killed when the thread that starts it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only one system call is made; nothing allocates or locks.
    unsafe {
        command.pre_exec(|| {
            Ok(nix::sys::prctl::set_pdeathsig(
                nix::sys::signal::Signal::SIGKILL,
            )?)
        });
    }
}

/// Unpack the files that match `patterns` from a `.deb` into `folder`, and nothing else.
///
/// # Errors
/// When the package cannot be read, or holds none of them.
pub fn unpack(deb: &Path, patterns: &[&str], folder: &Path) -> Result<(), GuestError> {
    let doing = format!("unpack {}", deb.display());
    let find = |program, package| {
        find_in_path(program).ok_or(GuestError::MissingProgram {
            doing: "unpack a kernel package",
            program,
            package,
        })
    };
    let mut producer = Command::new(find("dpkg-deb", "dpkg")?);
    producer
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    die_with_parent(&mut producer);
    let mut consumer = Command::new(find("tar", "tar")?);
    consumer
        .args([
            "-x",
            "--no-same-owner",
            "--no-same-permissions",
            "--wildcards",
            "-C",
        ])
        .arg(folder)
        .args(patterns);
    let failed = |e: std::io::Error| GuestError::Program {
        doing: doing.clone(),
        program: "dpkg-deb".into(),
        status: "not started".into(),
        said: e.to_string(),
    };
    let mut producer = producer.spawn().map_err(failed)?;
    if let Some(stream) = producer.stdout.take() {
        consumer.stdin(stream);
    }
    let consumed = output(consumer, "tar", &doing);
    let mut said = String::new();
    if let Some(mut stderr) = producer.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let status = producer.wait().map_err(failed)?;
    consumed?;
    if !status.success() {
        return Err(GuestError::Program {
            doing,
            program: "dpkg-deb".into(),
            status: status.to_string(),
            said,
        });
    }
    Ok(())
}

fn own_cache(folder: &Path) -> Vec<String> {
    // As root, apt fetches as the user `_apt`, who cannot reach into root's home.
    let sandbox = "-oAPT::Sandbox::User=root".to_owned();
    vec![
        format!("-oDir::Cache={}/cache", folder.display()),
        "-oDir::Log=/dev/null".to_owned(),
        sandbox,
    ]
}
