//! Queries to Debian's archive through apt, as an ordinary user.
//!
//! apt checks every list and package against Debian's signatures. It works on a state of our own (lists, caches, sources), so
//! that all suites are available whatever the machine itself uses, and the machine's own configuration does not change; its
//! proxies and credentials are used as they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::GuestError;
use super::archive::{self, Package, ServedKernel, ServedPackage, mirror, mirror::Mirrors};
use super::find_program::find_in_path;
use crate::arch::Arch;

/// The keys that Debian signs its archive with, from the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The variable that names the main mirror where the machine's own sources name none.
pub const MIRROR_VARIABLE: &str = "QED_DEBIAN_MIRROR";
/// Likewise for the archive of security updates.
pub const SECURITY_VARIABLE: &str = "QED_DEBIAN_SECURITY_MIRROR";

/// apt's own downloader, which resumes a partial file. `apt-get download` removes it first.
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// A private state of apt that sees all suites of Debian.
#[derive(Debug, Clone)]
pub struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// The state below a folder of the cache, for packages of an architecture.
    #[must_use]
    pub fn new(cache: &Path, arch: Arch) -> Self {
        let folder = cache.join(match arch {
            Arch::X86_64 => "apt/archive",
            Arch::Aarch64 => "apt/archive-arm64",
        });
        let shown = folder.display();
        let options = vec![
            format!("-oDir::Etc::SourceList={shown}/sources.list"),
            "-oDir::Etc::SourceParts=/dev/null".to_owned(),
            "-oDir::Etc::Preferences=/dev/null".to_owned(),
            "-oDir::Etc::PreferencesParts=/dev/null".to_owned(),
            format!("-oDir::State::Lists={shown}/lists"),
            // Otherwise packages that are installed here would count as served.
            "-oDir::State::status=/dev/null".to_owned(),
            format!("-oDir::Cache={shown}/cache"),
            // Images for containers switch this cache off, and reading the lists takes seconds.
            "-oDir::Cache::pkgcache=pkgcache.bin".to_owned(),
            "-oDir::Cache::srcpkgcache=".to_owned(),
            "-oDir::Log=/dev/null".to_owned(),
            "-oAcquire::Languages=none".to_owned(),
            "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "-oAcquire::IndexTargets::deb::CNF::DefaultEnabled=false".to_owned(),
            // As root, apt fetches as the user `_apt`, who cannot reach into root's home.
            "-oAPT::Sandbox::User=root".to_owned(),
            // Packages are believed because the lists are, and so no list without a signature may come in, whatever this
            // machine allows itself.
            "-oAcquire::AllowInsecureRepositories=false".to_owned(),
            "-oAcquire::AllowWeakRepositories=false".to_owned(),
            "-oAcquire::AllowDowngradeToInsecureRepositories=false".to_owned(),
            format!("-oAPT::Architecture={}", arch.debian()),
            format!("-oAPT::Architectures={}", arch.debian()),
        ];
        Self { folder, options }
    }

    /// Fetch the lists of all suites. Returns what went wrong with some of them; the others are up to date.
    ///
    /// # Errors
    /// When no mirror is known, or apt cannot be run.
    pub fn update(&self) -> Result<Option<String>, GuestError> {
        for name in ["lists/partial", "cache/archives/partial"] {
            let folder = self.folder.join(name);
            std::fs::create_dir_all(&folder).map_err(GuestError::io("make the folder", &folder))?;
        }
        let keyring = Path::new(KEYRING).exists().then_some(KEYRING);
        let list = mirror::sources_list(&self.mirrors()?, keyring);
        let path = self.folder.join("sources.list");
        std::fs::write(&path, list).map_err(GuestError::io("write", &path))?;
        let updated = self.run(
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
        );
        match updated {
            Ok(_) => Ok(None),
            Err(GuestError::Program { output, .. }) => Ok(filter_complaints(&output)),
            Err(error) => Err(error),
        }
    }

    /// The mirrors that the user names, or else the machine's own sources.
    fn mirrors(&self) -> Result<Mirrors, GuestError> {
        let named = |name| std::env::var(name).ok().filter(|uri| !uri.is_empty());
        if let Some(main) = named(MIRROR_VARIABLE) {
            let security = named(SECURITY_VARIABLE);
            return Ok(Mirrors { main, security });
        }
        let format = "--format=$(REPO_URI) $(RELEASE) $(COMPONENT)";
        let doing = "look at this machine's apt sources";
        // Without that option apt only lists indexes that were fetched, and container images are delivered without them.
        let arguments = ["indextargets", "--no-release-info", format];
        let targets = run("apt-get", &arguments, None, doing)?;
        mirror::from_targets(&targets).ok_or(GuestError::NoMirror {
            variable: MIRROR_VARIABLE,
            security: SECURITY_VARIABLE,
        })
    }

    /// All kernels that the lists name, the oldest first.
    ///
    /// # Errors
    /// When apt fails.
    pub fn kernels(&self) -> Result<Vec<ServedKernel>, GuestError> {
        let doing = "look for kernel packages";
        let names = self.run("apt-cache", &["pkgnames", "linux-"], None, doing)?;
        let lines = names.lines().map(str::trim);
        let names: Vec<&str> = lines.filter(|name| archive::is_candidate(name)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |what| {
            let arguments = [&[what][..], &names[..]].concat();
            self.run("apt-cache", &arguments, None, doing)
        };
        let mut served = archive::parse(&ask("show")?);
        archive::add_origins(&mut served, &ask("madison")?);
        Ok(archive::find_kernels(&served))
    }

    /// This version of a package, if the lists name it.
    ///
    /// # Errors
    /// When apt cannot be run.
    pub fn find_package(&self, package: &Package) -> Result<Option<ServedPackage>, GuestError> {
        let wanted = format!("{}={}", package.name, package.version);
        match self.run("apt-cache", &["show", &wanted], None, "look for a package") {
            Ok(shown) => Ok(archive::parse(&shown)
                .into_iter()
                .find(|served| served.package() == *package)),
            // So apt answers where there is none.
            Err(GuestError::Program { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// True if the lists name this version of a package.
    ///
    /// # Errors
    /// When apt cannot be run.
    pub fn lists_package(&self, package: &Package) -> Result<bool, GuestError> {
        Ok(self.find_package(package)?.is_some())
    }

    /// Download a package and return its path. An earlier download that was interrupted is continued.
    ///
    /// # Errors
    /// [`GuestError::Download`] when it cannot be fetched, [`GuestError::Damaged`] when it does not match its signed index, and
    /// [`GuestError::WrongDigest`] when that index names another file than the one that is expected.
    pub fn download(&self, part: &ServedPackage) -> Result<PathBuf, GuestError> {
        let folder = self.download_folder();
        std::fs::create_dir_all(&folder).map_err(GuestError::io("make the folder", &folder))?;
        let ServedPackage { name, version, .. } = part;
        let wanted = format!("{name}={version}");
        let package = format!("{name} {version}");
        let doing = format!("look for the address of {wanted}");
        let arguments = ["download", "-qq", "--print-uris", &wanted];
        let printed = self.run("apt-get", &arguments, None, &doing)?;
        let (uri, digest) = parse_address(&printed).ok_or_else(|| GuestError::Program {
            doing,
            program: "apt-get".into(),
            status: "success".into(),
            output: format!("`{}`, which is not an address", printed.trim()),
        })?;
        if let Some(found) = digest.filter(|found| *found != part.sha256) {
            return Err(GuestError::WrongDigest {
                package,
                expected: part.sha256.clone(),
                found: found.to_owned(),
            });
        }
        let path = self.download_path(&part.package());
        let hash = format!("SHA256:{}", part.sha256);
        let target = path.to_string_lossy();
        let fetched = self.run(
            HELPER,
            &["-qq", "download-file", uri, &target, &hash],
            None,
            "download",
        );
        match fetched {
            Ok(_) => Ok(path),
            Err(GuestError::Program { output, .. }) => {
                Err(not_fetched_error(package, part, &path, &output))
            }
            Err(error) => Err(error),
        }
    }

    /// The file of a download that is not unpacked yet.
    #[must_use]
    pub fn download_path(&self, package: &Package) -> PathBuf {
        self.download_folder()
            .join(format!("{}.deb", package.folder()))
    }

    /// The folder of downloads that are not unpacked yet.
    #[must_use]
    pub fn download_folder(&self) -> PathBuf {
        self.folder.join("downloads")
    }

    fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        folder: Option<&Path>,
        doing: &str,
    ) -> Result<String, GuestError> {
        let mut all: Vec<&str> = self.options.iter().map(String::as_str).collect();
        all.extend(arguments);
        run(program, &all, folder, doing)
    }
}

/// Address and SHA-256 of a package, from what apt prints of it:
/// ```text
/// 'http://mirror.example.org/debian/pool/main/l/linux/x_7.2.13-1_amd64.deb' x_7.2.13-1_amd64.deb 13716124 SHA256:36dc…
/// ```
fn parse_address(printed: &str) -> Option<(&str, Option<&str>)> {
    let mut lines = printed.lines();
    let (uri, rest) = lines.next()?.strip_prefix('\'')?.split_once('\'')?;
    let digest = rest
        .split_whitespace()
        .find_map(|word| word.strip_prefix("SHA256:"));
    Some((uri, digest))
}

/// The error for a package that apt did not fetch. One that arrived whole and is another one is removed: the next attempt would
/// have no use for it.
fn not_fetched_error(
    package: String,
    part: &ServedPackage,
    path: &Path,
    message: &str,
) -> GuestError {
    if let Some((_, received)) = message.split_once("Hashes of received file:") {
        let mut failed = path.as_os_str().to_owned();
        failed.push(".FAILED");
        for file in [path, Path::new(&failed)] {
            // What cannot be removed is only lost space.
            let _ = std::fs::remove_file(file);
        }
        let found = received.split("SHA256:").nth(1).unwrap_or_default();
        let end = found.find(|c: char| !c.is_ascii_hexdigit());
        return GuestError::Damaged {
            package,
            expected: part.sha256.clone(),
            found: found[..end.unwrap_or(found.len())].to_owned(),
            variable: MIRROR_VARIABLE,
        };
    }
    let line = message
        .split("; ")
        .find_map(|line| line.strip_prefix("E: "));
    GuestError::Download {
        package,
        reason: line.unwrap_or(message).to_owned(),
    }
}

/// The complaints of apt that mean something: not those about suites that a mirror does not have.
fn filter_complaints(message: &str) -> Option<String> {
    let reported: Vec<&str> = message
        .split("; ")
        .filter(|line| line.starts_with("E:") || line.starts_with("W:"))
        .filter(|line| !line.contains("does not have a Release file"))
        .filter(|line| !line.contains("Some index files failed to download"))
        .collect();
    let first = reported.first()?;
    // Without a network every suite fails for the same reason.
    Some(match reported.len() {
        1 => (*first).to_owned(),
        count => format!("{first} (and {} more messages like this)", count - 1),
    })
}

fn run(
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
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    run_to_end(command, program, doing)
}

/// Run a program to its end; it is killed if this process dies. Return its standard output, or an error with its message.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn run_to_end(
    mut command: Command,
    program: &str,
    doing: &str,
) -> Result<String, GuestError> {
    die_with_parent(&mut command);
    let failed = |status: String, message: &[u8]| {
        let message = String::from_utf8_lossy(message);
        let lines: Vec<&str> = message
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        let last = &lines[lines.len().saturating_sub(12)..];
        GuestError::Program {
            doing: doing.to_owned(),
            program: program.to_owned(),
            status,
            output: last.join("; "),
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

/// Unpack the files of a `.deb` to which `name` gives a name into `folder`, and nothing else. Links are passed over.
///
/// # Errors
/// When the package cannot be read.
pub fn unpack(
    deb: &Path,
    folder: &Path,
    name: &dyn Fn(&str) -> Option<String>,
) -> Result<(), GuestError> {
    let doing = format!("unpack {}", deb.display());
    let failed = |status: String, message: String| GuestError::Program {
        doing: doing.clone(),
        program: "dpkg-deb".into(),
        status,
        output: message,
    };
    let program = find_in_path("dpkg-deb").ok_or(GuestError::MissingProgram {
        doing: "unpack a kernel package",
        program: "dpkg-deb",
        package: "dpkg",
    })?;
    let mut command = Command::new(program);
    command
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    die_with_parent(&mut command);
    let mut child = command
        .spawn()
        .map_err(|error| failed("not started".into(), error.to_string()))?;
    let stream = child.stdout.take();
    let unpacked = stream.map_or(Ok(()), |stream| unpack_entries(stream, folder, name));
    let result = child
        .wait_with_output()
        .map_err(|error| failed("unknown".into(), error.to_string()))?;
    unpacked
        .map_err(|error| failed("its output could not be unpacked".into(), error.to_string()))?;
    if !result.status.success() {
        let message = String::from_utf8_lossy(&result.stderr).trim().to_owned();
        return Err(failed(result.status.to_string(), message));
    }
    Ok(())
}

/// Unpack the regular files of a tar stream to which `name` gives a name.
fn unpack_entries(
    mut stream: impl std::io::Read,
    folder: &Path,
    name: &dyn Fn(&str) -> Option<String>,
) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(&mut stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let wanted = name(&entry.path()?.to_string_lossy());
        if let Some(wanted) = wanted.filter(|_| entry.header().entry_type().is_file()) {
            let mut file = std::fs::File::create(folder.join(wanted))?;
            std::io::copy(&mut entry, &mut file)?;
        }
    }
    // Whoever writes the stream must not find it closed before its padding.
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only regular files with a name are unpacked, each under that name.
    #[test]
    fn unpacks_what_has_a_name() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_entry_type(kind);
            header.set_mode(0o644);
            if kind == tar::EntryType::Symlink {
                header.set_link_name("elsewhere").unwrap();
            }
            tar.append_data(&mut header, path, bytes).unwrap();
        };
        add("./boot/vmlinuz-r", tar::EntryType::Regular, b"kernel");
        add("./boot/config-r", tar::EntryType::Symlink, b"");
        add("./boot/other", tar::EntryType::Regular, b"x");
        let bytes = tar.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let name = |path: &str| archive::layout::cached_name(path, "r");
        unpack_entries(bytes.as_slice(), folder.path(), &name).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(files.len(), 1);
        assert_eq!(
            std::fs::read(folder.path().join("vmlinuz-r")).unwrap(),
            b"kernel"
        );
        assert!(
            unpack_entries(&bytes[..700], folder.path(), &name).is_err(),
            "a stream that ends early"
        );
    }

    /// Check that address and digest of a package are read from apt's answer, and that an answer without them is refused.
    #[test]
    fn addresses() {
        let printed = "'http://m/pool/a_1%3a1_amd64.deb' a_1%3a1_amd64.deb 13 SHA256:36dc\n";
        assert_eq!(
            parse_address(printed),
            Some(("http://m/pool/a_1%3a1_amd64.deb", Some("36dc")))
        );
        assert_eq!(
            parse_address("'file:/a.deb' a.deb 13 MD5Sum:1"),
            Some(("file:/a.deb", None))
        );
        for nothing in ["", "\n", "E: no", "'http://m"] {
            assert_eq!(parse_address(nothing), None, "{nothing}");
        }
    }

    /// Check that a suite that a mirror lacks is accepted, and that a wrong signature is not.
    #[test]
    fn complaints_that_mean_something() {
        let missing =
            "E: The repository 'http://m forky-backports Release' does not have a Release file.";
        assert_eq!(filter_complaints(missing), None);
        let wrong = "W: An error occurred during the signature verification";
        assert_eq!(
            filter_complaints(&format!("{missing}; {wrong}")),
            Some(wrong.to_owned())
        );
    }
}
