//! The programs of an investigation that are for another architecture than a guest: they would not start there.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::FileHeader as _;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Reader;
use qed_evidence::investigation::{Action, Investigation};
use qed_programs::source::FileSource;
use qed_programs::{ProgramError, parts_from};

use crate::arch::Arch;
use crate::guest::protocol::Unrunnable;
use crate::reason::Reason;

/// The most that is read of a file: the header of a program, or the first line of a script.
const BEGINNING: u64 = 4096;

/// The beginnings of files, without the libraries of programs.
struct Beginnings;

impl FileSource for Beginnings {
    type Content = Vec<u8>;

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        File::open(path)?.take(BEGINNING).read_to_end(&mut start)?;
        Ok(start)
    }

    fn libraries(&self, _: &Path) -> Result<Vec<String>, ProgramError> {
        Ok(Vec::new())
    }
}

/// Why a program does not start in a guest of `arch`, if it, or the interpreter of the script that it is, is known to be for another
/// architecture. `folder` is where a path that does not begin with `/` starts.
fn other_arch_reason(program: &str, folder: &Path, arch: Arch) -> Option<Reason> {
    // What cannot be found is told elsewhere.
    let parts = parts_from(&Beginnings, program, folder).ok()?;
    let (file, found) = parts.iter().find_map(|part| {
        let header = FileHeader64::<Endianness>::parse(&*part.content).ok()?;
        let machine = header.e_machine(header.endian().ok()?);
        Some((&part.name, Arch::of_elf_machine(machine.0)?))
    })?;
    (found != arch).then(|| {
        let file = match file == program {
            true => format!("`{program}` is a program for {found}"),
            false => format!("`{program}` is a script for `{file}`, a program for {found}"),
        };
        format!("{file}, and this guest's processor is for {arch}").into()
    })
}

/// The experiments and commands of `investigation` that cannot run in a guest of `arch`, whose paths begin at `folder`.
pub(super) fn find_unrunnable(
    investigation: &Investigation,
    folder: &Path,
    arch: Arch,
) -> Unrunnable {
    let experiments = investigation.experiments.iter();
    let commands = investigation.commands.iter();
    Unrunnable {
        workloads: experiments
            .filter_map(|experiment| {
                let Action::Command(words) = &experiment.workload.action else {
                    return None;
                };
                let reason = other_arch_reason(words.first()?, folder, arch)?;
                Some((experiment.name.clone(), reason))
            })
            .collect(),
        commands: commands
            .filter(|command| command.on == Reader::Machine)
            .filter_map(|command| {
                let reason = other_arch_reason(command.run.first()?, Path::new("/"), arch)?;
                Some((command.name.clone(), reason))
            })
            .collect(),
    }
}

/// The lines of `setup` that cannot run in a guest of `arch`, each with its place. Without them the guest is not what is to be captured.
pub(super) fn setup_problems(
    investigation: &Investigation,
    folder: &Path,
    arch: Arch,
) -> Vec<Diagnostic> {
    let problem = |words: &[String], span: &Range<usize>| {
        let reason = other_arch_reason(words.first()?, folder, arch)?;
        let message = format!("`{}` of `setup` cannot be run: {reason}", words.join(" "));
        let help = format!(
            "capture what needs it in a guest for {}, or name a program for {arch}",
            Arch::HOST
        );
        Some(Diagnostic::error(&investigation.source, span.clone(), message).help(help))
    };
    let lines = investigation.setup.iter();
    lines
        .filter_map(|line| problem(&line.words, &line.span))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use qed_evidence::investigation::parse;

    const OTHER: Arch = match Arch::HOST {
        Arch::X86_64 => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    };

    /// Write an executable file of this content.
    fn program(folder: &Path, name: &str, content: &[u8]) {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The header of a program for `machine`.
    fn elf(machine: u16) -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
        header.extend(machine.to_le_bytes());
        header.resize(64, 0);
        header
    }

    /// Check that programs of the other architecture are known by their headers, also behind scripts; and that those of the guest's own,
    /// of an unknown one, and what is missing or no program are left to others.
    #[test]
    fn programs() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        program(here, "own", &elf(Arch::HOST.elf_machine()));
        program(here, "other", &elf(OTHER.elf_machine()));
        program(here, "unknown", &elf(243));
        program(here, "text", b"no program");
        let script = format!("#!{}\nx\n", here.join("other").display());
        program(here, "script", script.as_bytes());
        let reason = |name: &str| {
            let found = other_arch_reason(&format!("./{name}"), here, Arch::HOST);
            found.map(|reason| reason.to_string())
        };
        for fine in ["own", "unknown", "text", "missing"] {
            assert_eq!(reason(fine), None, "{fine}");
        }
        let host = Arch::HOST;
        assert_eq!(
            reason("other").unwrap(),
            format!("`./other` is a program for {OTHER}, and this guest's processor is for {host}")
        );
        let script = reason("script").unwrap();
        assert!(
            script.starts_with("`./script` is a script for `/"),
            "{script}"
        );
        assert!(
            script.contains(&format!("/other`, a program for {OTHER}, and")),
            "{script}"
        );
        assert_eq!(other_arch_reason("./other", here, OTHER), None);
    }

    /// Check that workloads, commands and lines of `setup` of this machine's programs are found for a guest of another architecture alone,
    /// and that system calls and commands of the builder are not.
    #[test]
    fn investigations() {
        let text = "[guest]\nsetup = [\"mkdir /data\"]\n[[command]]\nname = \"c\"\nrun = [\"uname\"]\n[[command]]\nname = \"b\"\n\
            run = [\"nm\", \"{vmlinux}\"]\non = \"builder\"\n[[experiment]]\nname = \"e\"\nworkload = { command = [\"cat\"] }\n\
            [[experiment.probe]]\nfunction = \"f\"\n[[experiment]]\nname = \"s\"\nworkload = { syscall = \"getpid\" }\n\
            [[experiment.probe]]\nfunction = \"f\"\n";
        let investigation = parse("i.toml", text).unwrap_or_else(|found| panic!("{found:?}"));
        let root = Path::new("/");
        let found = find_unrunnable(&investigation, root, OTHER);
        assert_eq!(found.workloads.keys().collect::<Vec<_>>(), ["e"]);
        assert_eq!(found.commands.keys().collect::<Vec<_>>(), ["c"]);
        assert!(found.workloads["e"].contains("`cat` is a program for"));
        let problems = setup_problems(&investigation, root, OTHER);
        let shown = super::super::output::render(&problems);
        assert!(
            shown.contains("`sh -c mkdir /data` of `setup` cannot be run: `sh` is a program for"),
            "{shown}"
        );
        assert!(shown.contains("i.toml:2:"), "{shown}");
        let own = find_unrunnable(&investigation, root, Arch::HOST);
        assert_eq!(own, Unrunnable::default());
        assert!(setup_problems(&investigation, root, Arch::HOST).is_empty());
    }
}
