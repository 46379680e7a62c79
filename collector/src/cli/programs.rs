//! The programs that an investigation runs. They are looked up before anything else, so that the message about a missing one
//! names its place in the investigation, and with their digests, which later show whether they have changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::{ProgramFile, Reader};
use qed_evidence::investigation::Investigation;
use qed_programs::source::WholeFiles;
use qed_programs::workload::{MissingFile, RunsOn, setup_files, workload_files};
use qed_programs::{ProgramError, ProgramPart};

use crate::assemble::program_files::ProgramFiles;
use crate::guest::host_binaries::GuestFiles;

/// The folder in which the paths of an investigation begin.
///
/// # Errors
/// When the folder cannot be found.
pub fn investigation_folder(investigation: &Investigation) -> std::io::Result<PathBuf> {
    let file = Path::new(&investigation.source.name);
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new(".")).canonicalize()
}

/// Find the programs as a guest will run them, so that the evidence describes exactly what is packed. Also returns the files
/// that the guest needs, by their names in it.
///
/// # Errors
/// The programs and files that are missing, each with its place.
pub fn for_guest(
    investigation: &Investigation,
    folder: &Path,
) -> Result<(GuestFiles, ProgramFiles), Vec<Diagnostic>> {
    let mut packed = GuestFiles::default();
    let setup = setup_files(&WholeFiles, investigation, folder).and_then(|parts| {
        let span = investigation
            .setup
            .first()
            .map_or(0..0, |line| line.span.clone());
        pack_parts(&mut packed, &parts, &span).map(|()| parts)
    });
    let setup = setup.map_err(|missing| vec![to_diagnostic(investigation, missing)])?;
    let workloads = all_workload_files(investigation, folder, RunsOn::Guest, |parts, span| {
        pack_parts(&mut packed, parts, span)?;
        // What prepared the guest is a part of all that ran in it.
        parts.extend(setup.iter().cloned());
        Ok(())
    })?;
    let mut programs = ProgramFiles {
        workloads,
        ..ProgramFiles::default()
    };
    for command in &investigation.commands {
        let Some(program) = command.run.first() else {
            continue;
        };
        // One that this machine lacks is missing in the guest, too, and the evidence says so.
        let found = match command.on {
            Reader::Machine => packed
                .add_program(program)
                .map(|parts| qed_programs::file_records(&parts))
                .ok(),
            Reader::Builder => program_files(program, &[], Path::new("/")).ok(),
        };
        if let Some(found) = found {
            programs.commands.insert(command.name.clone(), found);
        }
    }
    Ok((packed, programs))
}

fn pack_parts(
    files: &mut GuestFiles,
    parts: &[ProgramPart],
    span: &std::ops::Range<usize>,
) -> Result<(), MissingFile> {
    files.add(parts).map_err(|error| MissingFile {
        span: span.clone(),
        message: error.to_string(),
    })
}

/// Find the programs as this machine will run them.
///
/// # Errors
/// The programs and files that are missing, each with its place.
pub fn for_host(
    investigation: &Investigation,
    folder: &Path,
) -> Result<ProgramFiles, Vec<Diagnostic>> {
    let run_here = investigation.commands.iter().filter(|c| !c.guests_only);
    let commands = run_here.filter_map(|command| {
        let found = program_files(command.run.first()?, &command.run, Path::new("/")).ok()?;
        Some((command.name.clone(), found))
    });
    Ok(ProgramFiles {
        workloads: all_workload_files(investigation, folder, RunsOn::Host, |_, _| Ok(()))?,
        commands: commands.collect(),
    })
}

/// The files of a program and those among its arguments, as recorded in evidence.
fn program_files(
    program: &str,
    words: &[String],
    folder: &Path,
) -> Result<Vec<ProgramFile>, ProgramError> {
    let mut parts = qed_programs::parts(program, folder)?;
    parts.extend(qed_programs::argument_files(&WholeFiles, words, folder));
    Ok(qed_programs::file_records(&parts))
}

/// Files of each workload that has any, after `pack` took them; or those that are missing, with their places.
fn all_workload_files(
    investigation: &Investigation,
    folder: &Path,
    on: RunsOn,
    mut pack: impl FnMut(&mut Vec<ProgramPart>, &std::ops::Range<usize>) -> Result<(), MissingFile>,
) -> Result<BTreeMap<String, Vec<ProgramFile>>, Vec<Diagnostic>> {
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    for experiment in &investigation.experiments {
        let span = &experiment.span;
        let parts = workload_files(&WholeFiles, &experiment.workload, span, folder, on);
        match parts.and_then(|mut parts| pack(&mut parts, span).map(|()| parts)) {
            Ok(parts) if parts.is_empty() => {}
            Ok(parts) => {
                found.insert(experiment.name.clone(), qed_programs::file_records(&parts));
            }
            Err(missing) => problems.push(to_diagnostic(investigation, missing)),
        }
    }
    match problems.is_empty() {
        true => Ok(found),
        false => Err(problems),
    }
}

fn to_diagnostic(investigation: &Investigation, missing: MissingFile) -> Diagnostic {
    Diagnostic::error(&investigation.source, missing.span, missing.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::program_files::ChangedFile;
    use qed_evidence::document::FileRole;
    use qed_evidence::investigation::parse;

    const HERE: &str = "/";

    fn investigation(program: &str, argument: &str) -> Investigation {
        let text = format!(
            "[[command]]\nname = \"c\"\nrun = [\"no-such-program\"]\n[[experiment]]\nname = \"e\"\n\
             workload = {{ command = [\"{program}\", \"{argument}\"] }}\n[[experiment.probe]]\nfunction = \"f\"\n"
        );
        parse("p.toml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// Check that a workload's files are told, its arguments among them, that a command whose program is missing has
    /// none, and that a workload whose program is missing is an error.
    #[test]
    fn of_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::write(&data, "1").unwrap();
        let investigation = investigation("cat", &data.display().to_string());
        let before = for_host(&investigation, Path::new(HERE)).unwrap();
        assert!(before.commands.is_empty());
        let roles: Vec<FileRole> = before.workloads["e"].iter().map(|f| f.role).collect();
        assert_eq!(
            (roles[0], roles.last()),
            (FileRole::Program, Some(&FileRole::Argument))
        );
        assert_eq!(before.clone().ensure_unchanged(&before), Ok(before.clone()));
        // A guest has no file but those of its programs.
        let (packed, programs) = for_guest(&investigation, Path::new(HERE)).unwrap();
        assert!(
            programs.workloads["e"]
                .iter()
                .all(|f| f.role != FileRole::Argument)
        );
        assert!(packed.contents.contains_key("/usr/bin/cat"));
        let missing = for_host(
            &super::tests::investigation("no-such-program", "x"),
            Path::new(HERE),
        );
        assert!(
            missing.unwrap_err()[0]
                .message
                .contains("cannot run `no-such-program`")
        );
    }

    /// Check that a program that changes while it is captured is an error, and that a file that it writes is left out.
    #[test]
    fn changes() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::write(&data, "1").unwrap();
        let investigation = investigation("cat", &data.display().to_string());
        let before = for_host(&investigation, Path::new(HERE)).unwrap();
        std::fs::write(&data, "2").unwrap();
        let retained = before
            .clone()
            .ensure_unchanged(&for_host(&investigation, Path::new(HERE)).unwrap())
            .unwrap();
        assert!(
            retained.workloads["e"]
                .iter()
                .all(|f| f.role != FileRole::Argument)
        );
        let mut after = before.clone();
        after.workloads.get_mut("e").unwrap()[0].sha256 = "0".into();
        assert_eq!(
            before.ensure_unchanged(&after),
            Err(ChangedFile("cat".into()))
        );
    }
}
