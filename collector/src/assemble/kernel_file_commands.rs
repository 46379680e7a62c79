//! Commands that examine files of the captured kernel, run on the machine that assembles the evidence.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qed_evidence::document::Reader;
use qed_evidence::investigation::{Investigation, split_placeholder};

use super::private::file_name;
use crate::reason::Reason;
use crate::session::commands::{CommandTask, Commands};

/// Paths of the files that commands can name, or why there is none.
pub struct KernelFilePaths<'a> {
    /// `{vmlinux}`
    pub vmlinux: Result<&'a Path, Reason>,
    /// `{system_map}`
    pub system_map: Result<&'a Path, Reason>,
    /// `{config}`
    pub config: Result<&'a Path, Reason>,
}

impl KernelFilePaths<'_> {
    fn path_by_name(&self, name: &str) -> Result<&Path, Reason> {
        match name {
            "vmlinux" => self.vmlinux.clone(),
            "system_map" => self.system_map.clone(),
            "config" => self.config.clone(),
            _ => Err(format!("there is no file {{{name}}}").into()),
        }
    }

    /// Start the commands of `investigation` that run on the builder, in a folder that holds nothing but the files, so that no
    /// path of this machine is in a command or in its output.
    pub fn start_commands(&self, investigation: &Investigation) -> Commands {
        let commands = investigation.commands.iter();
        let wanted = commands.filter(|command| command.on == Reader::Builder);
        let mut linked: Vec<PathBuf> = Vec::new();
        let mut tasks: Vec<CommandTask> = wanted
            .map(|command| {
                let mut impossible = None;
                let words = command.run.iter().map(|word| {
                    let Some((before, name, after)) = split_placeholder(word) else {
                        return word.clone();
                    };
                    match self.path_by_name(name) {
                        Ok(path) => {
                            if !linked.iter().any(|known| known == path) {
                                linked.push(path.to_owned());
                            }
                            format!("{before}{}{after}", file_name(path))
                        }
                        Err(reason) => {
                            impossible = Some(reason);
                            word.clone()
                        }
                    }
                });
                CommandTask {
                    argv: words.collect(),
                    impossible,
                    timeout: Duration::from_millis(command.timeout_ms),
                    max_output: command.max_output,
                }
            })
            .collect();
        let folder = match link_folder(&linked) {
            Ok(folder) => folder,
            Err(reason) => {
                for task in &mut tasks {
                    task.impossible.get_or_insert_with(|| reason.clone());
                }
                None
            }
        };
        let place = folder
            .as_ref()
            .map_or_else(PathBuf::new, |f| f.path().to_owned());
        Commands::start(tasks, place, folder)
    }

    /// Words that tell which machine this is, as far as they can get into what the commands print: its name, its user,
    /// folders, the ids of machine and boot, and the addresses of network cards.
    pub fn private_words(&self) -> Vec<String> {
        let files = [&self.vmlinux, &self.system_map, &self.config];
        let folders = files
            .into_iter()
            .filter_map(|path| path.as_ref().ok()?.parent())
            .filter(|folder| folder.components().count() > 1)
            .map(|folder| folder.display().to_string());
        let variables = ["HOME", "USER", "LOGNAME", "TMPDIR"];
        let variables = variables
            .into_iter()
            .filter_map(|name| std::env::var(name).ok());
        let line = |file: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            text.trim().to_owned()
        };
        let host = line("/proc/sys/kernel/hostname");
        let ids = [
            "/etc/machine-id",
            "/proc/sys/kernel/random/boot_id",
            "/sys/class/dmi/id/product_uuid",
        ];
        folders
            .chain(variables)
            .chain(parts_of_host_name(&host))
            .chain(ids.map(line))
            .chain(network_addresses())
            // Skip non-identifying strings.
            .filter(|name| !["", "/", "root", "/root", "localhost"].contains(&name.as_str()))
            .chain([std::env::temp_dir().display().to_string()])
            .collect()
    }
}

/// The whole name of a host, its name without the domain, and the domain. A part of one or two letters does not identify
/// anything.
fn parts_of_host_name(host: &str) -> Vec<String> {
    let parts = host.split_once('.');
    let parts = parts.into_iter().flat_map(|(name, domain)| [name, domain]);
    let parts = parts.filter(|part| part.len() > 2);
    parts.chain([host]).map(str::to_owned).collect()
}

/// The addresses of the machine's network cards.
fn network_addresses() -> Vec<String> {
    let cards = std::fs::read_dir("/sys/class/net").into_iter().flatten();
    cards
        .filter_map(|card| std::fs::read_to_string(card.ok()?.path().join("address")).ok())
        .map(|address| address.trim().to_owned())
        .filter(|address| address.bytes().any(|byte| !b"0:".contains(&byte)))
        .collect()
}

/// A folder with links to `files`; `None` if there are none.
fn link_folder(files: &[PathBuf]) -> Result<Option<tempfile::TempDir>, Reason> {
    if files.is_empty() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()
        .map_err(|error| format!("no folder could be made to run it in: {}", error.kind()))?;
    for file in files {
        let target = std::path::absolute(file).map_err(|error| error.kind().to_string())?;
        symlink(target, folder.path().join(file_name(file))).map_err(|error| {
            format!("{} could not be linked: {}", file_name(file), error.kind())
        })?;
    }
    Ok(Some(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::investigation::parse;

    /// Check that a command gets the names of files and no folder, that one without its file is not run and gives the reason,
    /// and that everything that the commands can print about this machine is on the list of private texts.
    #[test]
    fn names_without_folders() {
        let text = r#"
[[command]]
name = "map"
run = ["grep", "-w", "_text", "{system_map}"]
on = "builder"
[[command]]
name = "image"
run = ["nm", "--debug-file={vmlinux}", "{system_map}"]
on = "builder"
[[command]]
name = "machine"
run = ["uname"]
[[experiment]]
name = "e"
workload = { syscall = "pause" }
[[experiment.probe]]
function = "f"
"#;
        let investigation = parse("c.toml", text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let map = folder.path().join("System.map-6.1.0");
        std::fs::write(&map, "ffffffff81000000 T _text\n").unwrap();
        let artefacts = KernelFilePaths {
            vmlinux: Err("no vmlinux of this kernel was found".into()),
            system_map: Ok(&map),
            config: Err("no configuration".into()),
        };
        let private = artefacts.private_words();
        assert!(
            private.contains(&folder.path().display().to_string()),
            "{private:?}"
        );
        assert!(!private.iter().any(|name| name == "root" || name.is_empty()));
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(private.contains(&boot.trim().to_owned()));
        assert_eq!(parts_of_host_name("a.b.c"), ["b.c", "a.b.c"]);
        assert_eq!(parts_of_host_name("vm"), ["vm"]);
        // Only what cannot be run is begun here: in this test the program is not a collector.
        let mut none = investigation.clone();
        none.commands.remove(0);
        let done = artefacts.start_commands(&none).wait();
        assert_eq!(done.len(), 1);
        assert_eq!(
            done[0].argv,
            ["nm", "--debug-file={vmlinux}", "System.map-6.1.0"]
        );
        assert_eq!(
            done[0].ended,
            Err("no vmlinux of this kernel was found".into())
        );
        let linked = super::link_folder(&[map]).unwrap().unwrap();
        let text = std::fs::read_to_string(linked.path().join("System.map-6.1.0")).unwrap();
        assert!(text.contains("_text"));
    }
}
