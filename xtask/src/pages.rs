//! Manual pages and completions of both programs, from their command lines.

use std::path::Path;

use clap_complete::Shell;

use crate::files::{WriteError, create};

/// The shells, and the folder of each.
const SHELLS: &[(Shell, &str)] = &[
    (Shell::Bash, "bash"),
    (Shell::Zsh, "zsh"),
    (Shell::Fish, "fish"),
];

/// Write pages and completions below `dir`.
pub fn write(dir: &Path) -> Result<(), WriteError> {
    let man = dir.join("man/man1");
    create(&man)?;
    for command in [
        mdbook_qed::cli::args::command(),
        qed_collector::cli::args::command(),
    ] {
        let name = command.get_name().to_owned();
        for (shell, folder) in SHELLS {
            let folder = dir.join("completions").join(folder);
            create(&folder)?;
            clap_complete::generate_to(*shell, &mut command.clone(), &name, &folder)
                .map_err(WriteError::for_path(&folder))?;
        }
        clap_mangen::generate_to(command, &man).map_err(WriteError::for_path(&man))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// All files below a folder, by their way from there.
    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    found.push((name, std::fs::read(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    /// The commands of a program that its help lists, as the names of their pages.
    fn pages(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        found.push(format!("man/man1/{name}.1"));
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            pages(below, &format!("{name}-{}", below.get_name()), found);
        }
    }

    /// Check that every command of both programs has its manual page, and every shell its completions for both; and that
    /// they are the same, byte for byte, each time.
    #[test]
    fn complete_and_reproducible() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(one.path()).unwrap();
        write(other.path()).unwrap();
        let written = files(one.path());
        assert!(written == files(other.path()));
        let mut wanted = Vec::new();
        for command in [
            mdbook_qed::cli::args::command(),
            qed_collector::cli::args::command(),
        ] {
            pages(&command, command.get_name(), &mut wanted);
        }
        for shell in [
            "bash/mdbook-qed.bash",
            "bash/qed-collector.bash",
            "fish/mdbook-qed.fish",
            "fish/qed-collector.fish",
            "zsh/_mdbook-qed",
            "zsh/_qed-collector",
        ] {
            wanted.push(format!("completions/{shell}"));
        }
        for name in wanted {
            let file = written.iter().find(|(written, _)| *written == name);
            assert!(file.is_some_and(|(_, text)| !text.is_empty()), "{name}");
        }
    }

    /// Check that `man` has nothing to say against any page, that the shells read their completions, and that bash
    /// completes a command and an option with them.
    #[test]
    fn accepted_by_man_and_shells() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let run = |program: &str, arguments: &[&str]| {
            let run = std::process::Command::new(program)
                .args(arguments)
                .current_dir(dir.path())
                .env("LC_ALL", "C.UTF-8")
                .output();
            match run {
                Ok(output) => {
                    let message = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(
                        output.status.success() && message.is_empty(),
                        "{program} {arguments:?}: {message}"
                    );
                    Some(String::from_utf8_lossy(&output.stdout).into_owned())
                }
                Err(error) => {
                    // Not `eprintln!`: the harness hides what it prints of a test that passes.
                    let _ = writeln!(
                        std::io::stderr(),
                        "skipped: {program} cannot be started: {error}"
                    );
                    None
                }
            }
        };
        for (name, _) in files(&dir.path().join("man/man1")) {
            let page = format!("man/man1/{name}");
            if run("man", &["--warnings=w", "-P", "cat", "-l", &page]).is_none() {
                break;
            }
        }
        run("zsh", &["-n", "completions/zsh/_mdbook-qed"]);
        run("zsh", &["-n", "completions/zsh/_qed-collector"]);
        run("fish", &["-n", "completions/fish/mdbook-qed.fish"]);
        run("fish", &["-n", "completions/fish/qed-collector.fish"]);
        let script = "source completions/bash/mdbook-qed.bash; f=$(complete -p mdbook-qed | sed 's/.* -F //; s/ .*//'); COMP_WORDS=(mdbook-qed check --f); COMP_CWORD=2; \
            \"$f\" mdbook-qed --f check; echo \"${COMPREPLY[*]}\"";
        if let Some(completed) = run("bash", &["-c", script]) {
            assert_eq!(completed.trim(), "--format");
        }
    }
}
