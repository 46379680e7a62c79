//! The programs that a capture would run, for `plan`: where each runs, and with whose rights.

use std::collections::BTreeMap;

use qed_evidence::document::Reader;
use qed_evidence::investigation::{Action, Experiment, Investigation, PlannedCommand};

use crate::reason::Reason;

/// The rights of a program on a host: nothing confines it to the folder that it starts in.
const RIGHTS: &str = "with your rights: it can write wherever you can";

/// The programs that a capture on a machine would run, and those that it would leave out, a line each. `is_host`: the machine
/// lives on; `impossible`: why commands cannot run there, by name.
pub(super) fn describe_programs(
    is_host: bool,
    investigation: &Investigation,
    impossible: &BTreeMap<String, Reason>,
) -> Vec<String> {
    let setup = investigation.setup.iter().map(|line| {
        let line = line.words.join(" ");
        match is_host {
            true => format!("guest.setup: `{line}` is not run, because this is not a guest"),
            false => format!("guest.setup: runs `{line}` first"),
        }
    });
    let commands = investigation.commands.iter();
    let commands = commands.map(|command| match impossible.get(&command.name) {
        Some(reason) => format!("commands.{}: is not run: {reason}", command.name),
        None => describe_command(is_host, command),
    });
    let experiments = investigation.experiments.iter().filter(|_| is_host);
    setup
        .chain(commands)
        .chain(experiments.filter_map(describe_host_workload))
        .collect()
}

fn describe_command(is_host: bool, command: &PlannedCommand) -> String {
    let (name, line) = (&command.name, command.run.join(" "));
    let place = match (command.on, is_host) {
        (Reader::Machine, true) if command.guests_only => {
            return format!(
                "commands.{name}: `{line}` is not run, because it is for guests alone (`on = \"guest\"`)"
            );
        }
        (Reader::Machine, true) => format!(" on this host, in `/`, {RIGHTS}"),
        (Reader::Machine, false) => String::new(),
        (Reader::Builder, _) => {
            format!(" here, afterwards, in a folder that is removed, {RIGHTS}")
        }
    };
    format!("commands.{name}: runs `{line}`{place}")
}

/// The line about a workload that is a program or has files for guests.
fn describe_host_workload(experiment: &Experiment) -> Option<String> {
    let (name, workload) = (&experiment.name, &experiment.workload);
    if !workload.around.files.is_empty() {
        return Some(format!(
            "{name}: is not run, because its `files` are put into guests alone"
        ));
    }
    let Action::Command(words) = &workload.action else {
        return None;
    };
    let folder = match &workload.around.cwd {
        Some(cwd) => format!("`{cwd}`"),
        None => "the investigation's folder".to_owned(),
    };
    Some(format!(
        "{name}: runs `{}` on this host, in {folder}, {RIGHTS}",
        words.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[guest]
setup = ["mkdir /data"]
[[command]]
name = "release"
run = ["uname", "-r"]
[[command]]
name = "spoils"
run = ["rm", "-r", "/data"]
on = "guest"
[[command]]
name = "symbols"
run = ["nm", "{vmlinux}"]
on = "builder"
[[experiment]]
name = "program"
workload = { command = ["./make", "it"] }
[[experiment.probe]]
function = "f"
[[experiment]]
name = "elsewhere"
workload = { command = ["touch", "x"], cwd = "/srv" }
[[experiment.probe]]
function = "f"
[[experiment]]
name = "given"
workload = { command = ["cat", "x"], files = [{ from = "x" }] }
[[experiment.probe]]
function = "f"
[[experiment]]
name = "call"
workload = { syscall = "getpid" }
[[experiment.probe]]
function = "f"
"#;

    /// Check that all programs that would run on a host are announced with the folder in which they start and with what they may
    /// do, that those which are for guests alone are announced as left out, and that in a guest all of them run.
    #[test]
    fn by_machine() {
        let investigation = qed_evidence::investigation::parse("i.toml", TEXT).unwrap();
        let lines =
            |is_host| describe_programs(is_host, &investigation, &BTreeMap::new()).join("\n");
        insta::assert_snapshot!(lines(true), @r#"
        guest.setup: `sh -c mkdir /data` is not run, because this is not a guest
        commands.release: runs `uname -r` on this host, in `/`, with your rights: it can write wherever you can
        commands.spoils: `rm -r /data` is not run, because it is for guests alone (`on = "guest"`)
        commands.symbols: runs `nm {vmlinux}` here, afterwards, in a folder that is removed, with your rights: it can write wherever you can
        program: runs `./make it` on this host, in the investigation's folder, with your rights: it can write wherever you can
        elsewhere: runs `touch x` on this host, in `/srv`, with your rights: it can write wherever you can
        given: is not run, because its `files` are put into guests alone
        "#);
        insta::assert_snapshot!(lines(false), @r"
        guest.setup: runs `sh -c mkdir /data` first
        commands.release: runs `uname -r`
        commands.spoils: runs `rm -r /data`
        commands.symbols: runs `nm {vmlinux}` here, afterwards, in a folder that is removed, with your rights: it can write wherever you can
        ");
    }
}
