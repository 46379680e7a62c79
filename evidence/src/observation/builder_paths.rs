//! Paths of the machine on which an investigation was written: another one, such as that of a workflow, does not have them.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::investigation::{Investigation, SpannedName, Stdin, Workload};

/// Folders whose files come with a system, so that a machine with the same packages has them.
const OF_SYSTEM: [&str; 10] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr",
];
/// Folders inside of these into which only somebody puts something.
const OF_ADMINISTRATOR: [&str; 1] = ["/usr/local"];

/// Notes about whole paths in workloads that lead out of the folders of a system. Each path is told once.
pub(super) fn builder_paths(investigation: &Investigation) -> Vec<Diagnostic> {
    let mut told = BTreeSet::new();
    let experiments = investigation.experiments.iter();
    let named = experiments.flat_map(|one| workload_builder_paths(&one.workload, &one.span));
    named
        .filter(|(path, _)| told.insert(path.clone()))
        .map(|(path, span)| {
            let message = format!(
                "`{path}` is a path of this machine: where it is not, as in a workflow, this cannot be captured again"
            );
            let note = Diagnostic::error(&investigation.source, span, message).warning();
            note.help("put the file beside the investigation, and write its path from there")
        })
        .collect()
}

/// The paths of a workload that are not those of a system, and their places.
fn workload_builder_paths(workload: &Workload, of: &Range<usize>) -> Vec<(String, Range<usize>)> {
    let around = &workload.around;
    let named = |one: SpannedName| (one.name, one.span);
    let given = |path: &str| around.files.iter().any(|file| is_below(path, &file.to));
    // What it runs may be one of its files.
    let programs = workload.programs(of).into_iter().map(named);
    let programs = programs.filter(|(path, _)| !given(path));
    let files = around.files.iter();
    let files = files.map(|file| (file.from.clone(), file.span.clone()));
    let stdin = match &around.stdin {
        Some(Stdin::File(file)) => Some(named(file.clone())),
        _ => None,
    };
    let all = programs.chain(files).chain(stdin);
    all.filter(|(path, _)| is_of_builder(path)).collect()
}

/// True for a whole path that no system brings.
fn is_of_builder(path: &str) -> bool {
    let below = |folders: &[&str]| folders.iter().any(|folder| is_below(path, folder));
    path.starts_with('/') && (!below(&OF_SYSTEM) || below(&OF_ADMINISTRATOR))
}

/// True if a path is that of a folder, or of something in it.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a path outside of the system's folders is told once, at its place, whatever names it, that one of the system, one
    /// that begins at the investigation and one of a given file are not, and which folders are the system's.
    #[test]
    fn paths_of_one_machine() {
        let text = r#"
[[experiment]]
name = "a"
workload = { command = ["/home/me/run"], files = [{ from = "/home/me/data", to = "/data" }], stdin = { file = "/home/me/in" } }
[[experiment.probe]]
function = "f"
[[experiment]]
name = "b"
workload = { command = ["/data/run"], programs = ["/bin/sh", "/opt/x"], files = [{ from = "mine", to = "/data" }, { from = "/home/me/data", to = "/more" }] }
[[experiment.probe]]
function = "f"
"#;
        let investigation = crate::investigation::parse("i.toml", text).unwrap();
        let notes = builder_paths(&investigation);
        let told: Vec<(String, usize)> = notes
            .iter()
            .map(|note| {
                let path = note.message.split('`').nth(1).unwrap();
                (path.to_owned(), note.line_column().unwrap().0)
            })
            .collect();
        let expected = [
            ("/home/me/run", 3),
            ("/home/me/data", 4),
            ("/home/me/in", 4),
            ("/opt/x", 9),
        ];
        assert_eq!(told, expected.map(|(path, line)| (path.to_owned(), line)));
        for (path, expected) in [
            ("/usr/bin/ls", false),
            ("/usr/local/bin/ls", true),
            ("/etcetera", true),
            ("/etc", false),
            ("etc/x", false),
            ("ls", false),
        ] {
            assert_eq!(is_of_builder(path), expected, "{path}");
        }
    }
}
