//! Comparison of the programs of workloads and commands with those that ran.

use crate::document::{Evidence, FileRole, ProgramFile};

use super::model::{Comparison, CurrentState, ProgramNow, ProgramRunner, StaleReason};

/// Compare the files of everything that is run.
pub(super) fn compare_programs(evidence: &Evidence, now: &CurrentState, found: &mut Comparison) {
    for (of, here) in &now.programs {
        let was = match of {
            // One that could not be started has no files.
            ProgramRunner::Command(name) => evidence
                .commands
                .get(name)
                .filter(|command| command.exit.value().is_some())
                .map(|command| &command.files),
            ProgramRunner::Workload(name) => evidence
                .experiments
                .get(name)
                .filter(|experiment| experiment.unavailable.is_none())
                .map(|experiment| &experiment.files),
        };
        if let Some(was) = was {
            compare_files(of, was, here, found);
        }
    }
}

fn compare_files(
    of: &ProgramRunner,
    was: &[ProgramFile],
    here: &ProgramNow,
    found: &mut Comparison,
) {
    let mut cannot = |why: &str| found.not_compared.push(format!("{of}: {why}"));
    let (files, whole) = match here {
        _ if was.is_empty() => return cannot("the evidence does not say which files ran"),
        ProgramNow::Unknown(why) => return cannot(why),
        ProgramNow::Own(files, why) => {
            cannot(why);
            (files, false)
        }
        ProgramNow::Here(files) => (files, true),
    };
    let key = |file: &ProgramFile| (file.role, file.name.clone());
    // Two files of one name (in two folders) are compared as the set that they are.
    let missing = was.iter().filter(|file| !files.contains(file));
    for file in missing {
        let (role, name) = key(file);
        let reason = match files.iter().any(|other| key(other) == key(file)) {
            true => StaleReason::Program {
                of: of.clone(),
                role,
                file: name,
            },
            // The system's files are not available here, only the author's.
            false if !whole => continue,
            false => StaleReason::Files {
                of: of.clone(),
                role,
                file: name,
            },
        };
        found.stale.push(reason);
    }
    // A file that a program writes does not belong to it, and so is not in the evidence.
    let new = files
        .iter()
        .filter(|file| file.role != FileRole::Argument)
        .filter(|file| !was.iter().any(|old| key(old) == key(file)));
    found.stale.extend(new.map(|file| StaleReason::Files {
        of: of.clone(),
        role: file.role,
        file: file.name.clone(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(role: FileRole, name: &str, digest: &str) -> ProgramFile {
        ProgramFile {
            role,
            name: name.into(),
            sha256: digest.into(),
            mode: None,
        }
    }

    fn compared(was: &[ProgramFile], here: ProgramNow) -> (Vec<String>, Vec<String>) {
        let mut found = Comparison::default();
        compare_files(&ProgramRunner::Command("c".into()), was, &here, &mut found);
        let stale = found.stale.iter().map(ToString::to_string).collect();
        (stale, found.not_compared)
    }

    /// Check that each kind of change is found and named once, and that what cannot be compared is said.
    #[test]
    fn changes() {
        use FileRole::{Interpreter, Library, Script};
        let was = [
            file(Script, "s.sh", "1"),
            file(Interpreter, "sh", "2"),
            file(Library, "libc.so.6", "3"),
        ];
        assert_eq!(
            compared(&was, ProgramNow::Here(was.to_vec())),
            (vec![], vec![])
        );
        for index in 0..3 {
            let mut now = was.to_vec();
            now[index].sha256 = "9".into();
            let (stale, unknown) = compared(&was, ProgramNow::Here(now.clone()));
            assert!(
                stale.len() == 1 && stale[0].contains(&was[index].name) && unknown.is_empty(),
                "{stale:?}"
            );
            now.remove(index);
            assert_eq!(compared(&was, ProgramNow::Here(now)).0.len(), 1);
            assert_eq!(
                compared(&was[..index], ProgramNow::Here(was.to_vec()))
                    .0
                    .len(),
                if index == 0 { 0 } else { 3 - index }
            );
        }
        let why = "it is another machine's".to_owned();
        let (stale, unknown) = compared(&was, ProgramNow::Own(was[..1].to_vec(), why.clone()));
        assert_eq!(
            (stale, unknown),
            (vec![], vec![format!("command `c`: {why}")])
        );
        let changed = vec![file(Script, "s.sh", "9")];
        let (stale, _) = compared(&was, ProgramNow::Own(changed, why.clone()));
        assert_eq!(
            stale,
            ["the script `s.sh` of command `c` was changed since the capture"]
        );
        for here in [ProgramNow::Unknown(why), ProgramNow::Here(was.to_vec())] {
            let (stale, unknown) = compared(&[], here);
            assert!(stale.is_empty() && unknown.len() == 1);
        }
    }
}
