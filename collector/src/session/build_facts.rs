//! Facts about the running kernel's build that only the running kernel provides: formats of tracepoints from tracefs, and its
//! table of system calls.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use qed_evidence::investigation::FactNames;
use serde::{Deserialize, Serialize};

use super::core_memory::CoreMemory;
use crate::kaslr::KaslrSourceError;
use crate::plan::TracepointFormats;
use crate::reason::Reason;
use crate::symbols::Kallsyms;
use crate::workload::names;

/// The folders of events: tracefs's own, and that of older systems.
const EVENTS: [&str; 2] = [
    "/sys/kernel/tracing/events",
    "/sys/kernel/debug/tracing/events",
];

/// The kernel's table of system calls
/// (<https://elixir.bootlin.com/linux/v6.12/source/arch/x86/entry/syscall_64.c>).
const TABLE: &str = "sys_call_table";

/// Facts that the running kernel states about its build.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RawBuildFacts {
    /// Types of the modules that the investigation loads, on top of the kernel's; empty: there are none.
    #[serde(with = "serde_bytes")]
    pub module_types: Vec<u8>,
    /// Of each tracepoint the groups of events that have it, with its format; none: tracefs does not have it.
    pub tracepoints: Vec<(String, Result<TracepointFormats, Reason>)>,
    /// Of each system call its entry in the kernel's table.
    pub syscalls: Vec<(String, Result<RawSyscall, Reason>)>,
}

/// A system call in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawSyscall {
    /// Its number.
    pub number: u32,
    /// Live address of the function in the table; `None`: the table ends before.
    pub function: Option<u64>,
    /// True if all names of the function are weak symbols: it stands in for a system call that this kernel was built without, and only
    /// returns `ENOSYS` (<https://elixir.bootlin.com/linux/v6.12/source/kernel/sys_ni.c#L21>).
    pub is_weak: bool,
}

/// Read them.
pub fn read_build_facts(
    wanted: &FactNames,
    module_types: Vec<u8>,
    kallsyms: Result<&Kallsyms, &KaslrSourceError>,
) -> RawBuildFacts {
    let formats = |name: &String| (name.clone(), tracepoint_formats(name));
    let entry = |name: &String| (name.clone(), find_syscall(name, kallsyms));
    RawBuildFacts {
        module_types,
        tracepoints: wanted.tracepoints.iter().map(formats).collect(),
        syscalls: wanted.syscalls.iter().map(entry).collect(),
    }
}

/// The formats of a tracepoint of the running kernel.
pub fn tracepoint_formats(name: &str) -> Result<TracepointFormats, Reason> {
    find_formats(&EVENTS.map(Path::new), name)
}

/// The formats of the events of that name, by their groups.
fn find_formats(folders: &[&Path], name: &str) -> Result<TracepointFormats, Reason> {
    let mut why = Reason::from("there is no tracefs");
    for folder in folders {
        let groups = match fs::read_dir(folder) {
            Ok(groups) => groups,
            Err(error) => {
                why = format!("cannot read {}: {error}", folder.display()).into();
                continue;
            }
        };
        let mut found = Vec::new();
        for group in groups {
            let group =
                group.map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
            let file = group.path().join(name).join("format");
            match fs::read_to_string(&file) {
                Ok(text) => found.push((group.file_name().to_string_lossy().into_owned(), text)),
                Err(error)
                    if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {}
                Err(error) => return Err(format!("cannot read {}: {error}", file.display()).into()),
            }
        }
        found.sort();
        return Ok(found);
    }
    Err(why)
}

/// The entry of a system call in the kernel's table.
fn find_syscall(
    name: &str,
    kallsyms: Result<&Kallsyms, &KaslrSourceError>,
) -> Result<RawSyscall, Reason> {
    let number = names::syscall_number(name).map_err(Reason::from_error)?;
    let number = u32::try_from(number).map_err(|error| error.to_string())?;
    let kallsyms = kallsyms.map_err(ToString::to_string)?;
    let [table] = kallsyms.lookup(TABLE)[..] else {
        return Err(format!("the kernel's symbols do not name one `{TABLE}`").into());
    };
    let size = kallsyms.symbol_end(table).saturating_sub(table);
    let offset = u64::from(number) * 8;
    if offset + 8 > size {
        return Ok(RawSyscall {
            number,
            function: None,
            is_weak: false,
        });
    }
    let bytes = CoreMemory::open().read(table + offset, 8)?;
    let bytes: [u8; 8] = bytes
        .try_into()
        .map_err(|_| format!("an entry of `{TABLE}` could not be read whole"))?;
    let function = u64::from_le_bytes(bytes);
    Ok(RawSyscall {
        number,
        function: Some(function),
        is_weak: is_weak(kallsyms, function),
    })
}

/// True if a function has a name, and all that it has are weak symbols.
fn is_weak(kallsyms: &Kallsyms, function: u64) -> bool {
    let mut names = kallsyms.symbols().filter(|one| one.address == function);
    let weak = |symbol: crate::symbols::kallsyms::Symbol<'_>| matches!(symbol.kind, 'w' | 'W');
    names.next().is_some_and(weak) && names.all(weak)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a function is weak only if each of its names is.
    #[test]
    fn weak_functions() {
        let text = "ffffffff81000000 W __x64_sys_a\nffffffff81000010 T __x64_sys_b\n\
            ffffffff81000020 W __x64_sys_c\nffffffff81000020 T c\n";
        let kallsyms = Kallsyms::parse(text.into(), None).unwrap();
        let weak = |offset: u64| is_weak(&kallsyms, 0xffff_ffff_8100_0000 + offset);
        assert_eq!([0, 0x10, 0x20, 0x30].map(weak), [true, false, false, false]);
    }

    /// Check that a tracepoint is found in each group that has it, that a missing tracepoint is distinguished from a missing
    /// tracefs, and that the second folder is used only if the first is missing.
    #[test]
    fn formats_of_events() {
        let dir = tempfile::tempdir().unwrap();
        let event = dir.path().join("kmem/kfree");
        fs::create_dir_all(&event).unwrap();
        fs::write(event.join("format"), "name: kfree\n").unwrap();
        fs::write(dir.path().join("enable"), "0").unwrap();
        let none = dir.path().join("none");
        let folders = [none.as_path(), dir.path()];
        let found = find_formats(&folders, "kfree").unwrap();
        assert_eq!(found, [("kmem".to_owned(), "name: kfree\n".to_owned())]);
        assert_eq!(find_formats(&folders, "kfreee").unwrap(), []);
        assert!(find_formats(&folders[..1], "kfree").is_err());
    }
}
