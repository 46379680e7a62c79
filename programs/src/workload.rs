//! All files of a workload: its programs, what it is given, what it reads.

use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use qed_evidence::document::FileRole;
use qed_evidence::investigation::{Action, Investigation, SpannedName, Stdin, Workload};

use crate::error::ProgramError;
use crate::file::{file_name, mode_of};
use crate::parts::{ProgramPart, argument_files, parts_from, read_file};
use crate::source::{FileContent, FileSource};

/// The most bytes that a workload is given: they have to fit into a guest's memory beside its kernel.
const MAX_BYTES: u64 = 128 << 20;
/// Folders within folders.
const MAX_DEPTH: u32 = 32;

/// Folders of a guest, which no file can replace: programs would not start there, or find nothing of what they need.
const GUEST_FOLDERS: [&str; 26] = [
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// The place where a workload runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsOn {
    /// This machine, with all of its files.
    Host,
    /// A guest, which has the files that are found for it and no others.
    Guest,
}

/// A file that cannot be found, with its place in the investigation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MissingFile {
    /// The place.
    pub span: Range<usize>,
    /// The missing file, and the reason.
    pub message: String,
}

/// The files of a workload; `span` is where it stands. Paths that do not begin with `/` begin at `folder`.
///
/// # Errors
/// The first that cannot be found or read.
pub fn workload_files<S: FileSource>(
    source: &S,
    workload: &Workload,
    span: &Range<usize>,
    folder: &Path,
    on: RunsOn,
) -> Result<Vec<ProgramPart<S::Content>>, MissingFile> {
    let mut found = Vec::new();
    for program in workload.programs(span) {
        found.extend(program_parts(source, &program, folder)?);
    }
    if let Action::Command(words) = &workload.action {
        let mut read = argument_files(source, words, folder);
        // A guest is given what lies beside the investigation, never a file of this machine that happens to have that name.
        read.retain(|part| on == RunsOn::Host || is_below(&part.name));
        found.extend(read);
    }
    if on == RunsOn::Guest {
        for file in &workload.around.files {
            let from = folder.join(&file.from);
            let missing = |error: FileError| MissingFile {
                span: file.span.clone(),
                message: format!("cannot give the guest `{}`: {error}", file.from),
            };
            if from.is_file() && GUEST_FOLDERS.contains(&file.to.as_str()) {
                let name = file_name(&from);
                return Err(MissingFile {
                    span: file.span.clone(),
                    message: format!(
                        "cannot give the guest `{}` at `{to}`: that place is a folder of the guest; write `to = \"{to}/{name}\"`",
                        file.from,
                        to = file.to
                    ),
                });
            }
            let mut given = Vec::new();
            add_given_files(source, &from, &file.to, file.mode, MAX_DEPTH, &mut given)
                .map_err(missing)?;
            if given.is_empty() {
                return Err(missing(FileError::Empty));
            }
            found.append(&mut given);
        }
    }
    if let Some(Stdin::File(file)) = &workload.around.stdin {
        let path = folder.join(&file.name);
        let content = source.read(&path).map_err(|error| MissingFile {
            span: file.span.clone(),
            message: format!("cannot read `{}` for `stdin`: {error}", file.name),
        })?;
        found.push(ProgramPart {
            role: FileRole::File,
            // Not the path, which is this machine's.
            name: file_name(&path),
            mode: mode_of(&path),
            path,
            content,
        });
    }
    let size: u64 = found.iter().map(|part| part.content.size()).sum();
    if size > MAX_BYTES {
        return Err(MissingFile {
            span: span.clone(),
            message: format!(
                "its files have {} MiB, and a guest has room for {}",
                size >> 20,
                MAX_BYTES >> 20
            ),
        });
    }
    Ok(found)
}

/// The files of the programs that prepare a guest.
///
/// # Errors
/// The first program that cannot be found.
pub fn setup_files<S: FileSource>(
    source: &S,
    investigation: &Investigation,
    folder: &Path,
) -> Result<Vec<ProgramPart<S::Content>>, MissingFile> {
    let mut found = Vec::new();
    for line in &investigation.setup {
        let Some(name) = line.words.first().cloned() else {
            continue;
        };
        let span = line.span.clone();
        found.extend(program_parts(source, &SpannedName { name, span }, folder)?);
        let mut read = argument_files(source, &line.words, folder);
        read.retain(|part| is_below(&part.name));
        found.extend(read);
    }
    for program in &investigation.setup_programs {
        found.extend(program_parts(source, program, folder)?);
    }
    Ok(found)
}

fn program_parts<S: FileSource>(
    source: &S,
    program: &SpannedName,
    folder: &Path,
) -> Result<Vec<ProgramPart<S::Content>>, MissingFile> {
    parts_from(source, &program.name, folder).map_err(|error: ProgramError| MissingFile {
        span: program.span.clone(),
        message: format!("cannot run `{}`: {error}", program.name),
    })
}

/// True of a path below the folder in which it begins.
fn is_below(name: &str) -> bool {
    let mut components = Path::new(name).components();
    components.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A file that a guest cannot be given.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("its folders are nested too deeply")]
    Nested,
    #[error("it is neither a file nor a folder")]
    Other,
    #[error("the folder holds no file")]
    Empty,
}

/// Add a file, or all files of a folder.
fn add_given_files<S: FileSource>(
    source: &S,
    from: &Path,
    to: &str,
    mode: Option<u32>,
    depth: u32,
    given: &mut Vec<ProgramPart<S::Content>>,
) -> Result<(), FileError> {
    let about = fs::metadata(from)?;
    if about.is_dir() {
        let deeper = depth.checked_sub(1).ok_or(FileError::Nested)?;
        let mut names: Vec<PathBuf> = fs::read_dir(from)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())?;
        names.sort();
        for path in names {
            let to = format!("{to}/{}", file_name(&path));
            add_given_files(source, &path, &to, mode, deeper, given)?;
        }
        return Ok(());
    }
    if !about.is_file() {
        return Err(FileError::Other);
    }
    given.push(ProgramPart {
        role: FileRole::File,
        name: to.to_owned(),
        mode: mode.unwrap_or_else(|| mode_of(from)),
        path: from.to_owned(),
        content: read_file(source, from)?,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::WholeFiles;
    use qed_evidence::investigation::parse;

    fn workload(table: &str) -> Workload {
        let text = format!(
            "[[experiment]]\nname = \"e\"\nworkload = {{ {table} }}\n[[experiment.probe]]\nfunction = \"f\"\n"
        );
        let mut found = parse("i.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"));
        found.experiments.remove(0).workload
    }

    fn found(table: &str, folder: &Path, on: RunsOn) -> Result<Vec<(FileRole, String)>, String> {
        let parts = workload_files(&WholeFiles, &workload(table), &(0..0), folder, on);
        let parts = parts.map_err(|missing| missing.message)?;
        let parts = parts
            .into_iter()
            .filter(|part| part.role != FileRole::Library);
        Ok(parts.map(|part| (part.role, part.name)).collect())
    }

    /// Check that programs, files, folders, input and arguments below the investigation are found, in their roles, and
    /// that a guest gets no file of this machine that an argument happens to name.
    #[test]
    fn all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::create_dir(at.join("d")).unwrap();
        for name in ["d/one", "d/two", "in", "data"] {
            fs::write(at.join(name), name).unwrap();
        }
        let table = "command = [\"cat\", \"data\", \"/etc/passwd\"], programs = [\"sh\"], stdin = { file = \"in\" }, \
                     files = [{ from = \"d\", to = \"/x\" }]";
        let named = |role, name: &str| (role, name.to_owned());
        let guest = [
            named(FileRole::Program, "cat"),
            named(FileRole::Program, "sh"),
            named(FileRole::Argument, "data"),
            named(FileRole::File, "/x/one"),
            named(FileRole::File, "/x/two"),
            named(FileRole::File, "in"),
        ];
        assert_eq!(found(table, at, RunsOn::Guest).unwrap(), guest);
        let host = found(table, at, RunsOn::Host).unwrap();
        assert!(host.contains(&named(FileRole::Argument, "/etc/passwd")));
        assert!(!host.contains(&named(FileRole::File, "/x/one")));
    }

    /// Check that what is missing is named, with the table that asks for it.
    #[test]
    fn missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        for (table, why) in [
            ("command = [\"no-such\"]", "cannot run `no-such`"),
            (
                "command = [\"cat\"], programs = [\"no-such\"]",
                "cannot run `no-such`",
            ),
            (
                "syscall = \"getpid\", files = [{ from = \"nothing\" }]",
                "cannot give the guest `nothing`",
            ),
            (
                "syscall = \"getpid\", files = [{ from = \"empty\" }]",
                "holds no file",
            ),
            (
                "syscall = \"getpid\", stdin = { file = \"nothing\" }",
                "for `stdin`",
            ),
        ] {
            let error = found(table, folder.path(), RunsOn::Guest).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    /// Check that a file cannot be given in the place of a folder of the guest, where a folder can, and that the message says what to
    /// write.
    #[test]
    fn folders_of_the_guest() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::create_dir(at.join("d")).unwrap();
        for name in ["words.txt", "d/one"] {
            fs::write(at.join(name), name).unwrap();
        }
        let given = |from: &str, to: &str| {
            let table =
                format!("syscall = \"getpid\", files = [{{ from = \"{from}\", to = \"{to}\" }}]");
            found(&table, at, RunsOn::Guest)
        };
        let error = given("words.txt", "/etc").unwrap_err();
        assert_eq!(
            error,
            "cannot give the guest `words.txt` at `/etc`: that place is a folder of the guest; write `to = \"/etc/words.txt\"`"
        );
        assert!(given("words.txt", "/usr/lib").is_err());
        assert_eq!(
            given("d", "/etc").unwrap(),
            [(FileRole::File, "/etc/one".to_owned())]
        );
        given("words.txt", "/etc/words.txt").unwrap();
    }

    /// Check that permissions are those that were asked for, else those of the file.
    #[test]
    fn modes() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (name, mode) in [("plain", 0o600), ("tool", 0o700)] {
            fs::write(at.join(name), "x").unwrap();
            fs::set_permissions(at.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let table = "syscall = \"getpid\", files = [{ from = \"plain\" }, { from = \"tool\" }, \
                     { from = \"tool\", to = \"/x\", mode = \"0400\" }]";
        let parts =
            workload_files(&WholeFiles, &workload(table), &(0..0), at, RunsOn::Guest).unwrap();
        let modes: Vec<u32> = parts.iter().map(|part| part.mode).collect();
        assert_eq!(modes, [0o644, 0o755, 0o400]);
    }
}
