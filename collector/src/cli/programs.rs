//! The programs that an investigation runs: found before anything else, so that one that is missing is told with its
//! place, and with the digests that say later whether they are still the same.

use std::collections::BTreeMap;
use std::path::Path;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::{ProgramFile, Reader};
use qed_evidence::investigation::{Action, Investigation};

use crate::assemble::program_files::ProgramFiles;
use crate::guest::host_binaries::{AddError, Files, add};

/// Find the programs as a guest will run them: what is packed is what is told. Gives back the files that the guest
/// needs, by their names in it, too.
///
/// # Errors
/// The programs that are missing, each with its place.
pub fn for_guest(investigation: &Investigation) -> Result<(Files, ProgramFiles), Vec<Diagnostic>> {
    let mut packed = Files::new();
    let mut programs = ProgramFiles {
        workloads: workloads(investigation, |words| add(&words[0], &mut packed))?,
        ..ProgramFiles::default()
    };
    for command in &investigation.commands {
        let Some(program) = command.run.first() else {
            continue;
        };
        // One that this machine lacks is missing in the guest, too, and the evidence says so.
        let found = match command.on {
            Reader::Machine => add(program, &mut packed),
            Reader::Builder => files(program, &[], Path::new("/")),
        };
        if let Ok(found) = found {
            programs.commands.insert(command.name.clone(), found);
        }
    }
    Ok((packed, programs))
}

/// Find the programs as this machine will run them.
///
/// # Errors
/// The programs that are missing, each with its place.
pub fn on_host(investigation: &Investigation) -> Result<ProgramFiles, Vec<Diagnostic>> {
    let commands = investigation.commands.iter().filter_map(|command| {
        let found = files(command.run.first()?, &command.run, Path::new("/")).ok()?;
        Some((command.name.clone(), found))
    });
    Ok(ProgramFiles {
        workloads: workloads(investigation, |words| {
            files(&words[0], words, Path::new("."))
        })?,
        commands: commands.collect(),
    })
}

/// The files of a program and those among its arguments, as evidence tells of them.
fn files(program: &str, words: &[String], folder: &Path) -> Result<Vec<ProgramFile>, AddError> {
    let mut parts = qed_programs::parts(program, folder)?;
    parts.extend(qed_programs::arguments(words, folder));
    Ok(qed_programs::files(&parts))
}

/// Files of each workload that is a program, by `find`; or those that have none, with their places.
fn workloads(
    investigation: &Investigation,
    mut find: impl FnMut(&[String]) -> Result<Vec<ProgramFile>, AddError>,
) -> Result<BTreeMap<String, Vec<ProgramFile>>, Vec<Diagnostic>> {
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    for experiment in &investigation.experiments {
        let Action::Command(words) = &experiment.workload.action else {
            continue;
        };
        let Some(program) = words.first() else {
            continue;
        };
        match find(words) {
            Ok(files) => {
                found.insert(experiment.name.clone(), files);
            }
            Err(reason) => problems.push(Diagnostic::error(
                &investigation.source,
                experiment.span.clone(),
                format!("cannot run `{program}`: {reason}"),
            )),
        }
    }
    match problems.is_empty() {
        true => Ok(found),
        false => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::program_files::ChangedFile;
    use qed_evidence::document::FileRole;
    use qed_evidence::investigation::parse;

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
        let before = on_host(&investigation).unwrap();
        assert!(before.commands.is_empty());
        let roles: Vec<FileRole> = before.workloads["e"].iter().map(|f| f.role).collect();
        assert_eq!(
            (roles[0], roles.last()),
            (FileRole::Program, Some(&FileRole::Argument))
        );
        assert_eq!(before.clone().throughout(&before), Ok(before.clone()));
        // A guest has no file but those of its programs.
        let (packed, programs) = for_guest(&investigation).unwrap();
        assert!(
            programs.workloads["e"]
                .iter()
                .all(|f| f.role != FileRole::Argument)
        );
        assert!(packed.contains_key("/usr/bin/cat"));
        let missing = on_host(&super::tests::investigation("no-such-program", "x"));
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
        let before = on_host(&investigation).unwrap();
        std::fs::write(&data, "2").unwrap();
        let kept = before
            .clone()
            .throughout(&on_host(&investigation).unwrap())
            .unwrap();
        assert!(
            kept.workloads["e"]
                .iter()
                .all(|f| f.role != FileRole::Argument)
        );
        let mut after = before.clone();
        after.workloads.get_mut("e").unwrap()[0].sha256 = "0".into();
        assert_eq!(before.throughout(&after), Err(ChangedFile("cat".into())));
    }
}
