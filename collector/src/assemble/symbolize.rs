//! Finishing a raw capture on the host: static symbols, the slide, lines, and then the evidence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qed_evidence::Evidence;
use qed_evidence::document::{Command, Machine, Reader};
use qed_evidence::investigation::Investigation;

use super::commands::{Keep, command};
use super::context::Context;
use super::evidence::assemble;
use super::kernel_file_commands::Artefacts;
use super::kernel_names::KernelNames;
use super::private::{clean, file_name};
use super::program_files::ProgramFiles;
use super::provenance_lines::{Read, readings};
use crate::kaslr::compare::StaticTable;
use crate::kaslr::config::KernelConfig;
use crate::kaslr::report::{ImageBase, StaticSource};
use crate::kaslr::{Inputs, Reason, judge, vmlinuz};
use crate::session::raw::{RawCapture, RawCommand};
use crate::symbols::elf::StaticSymbols;
use crate::symbols::lines::{self, LineResolver};
use crate::symbols::system_map::SystemMap;
use crate::symbols::{BuildId, Kallsyms, debuginfo};

/// Where static facts about the captured kernel may be found.
#[derive(Clone, Debug, Default)]
pub struct Static {
    /// Files that may be its vmlinux; the first of the same build is taken.
    pub vmlinux: Vec<PathBuf>,
    /// Files that may be its System.map.
    pub system_map: Vec<PathBuf>,
    /// Its configuration, if the kernel itself does not have it.
    pub config: Option<PathBuf>,
    /// Why there can be no debug information, if nobody looked for it.
    pub no_debuginfo: Option<String>,
    /// The kernel image that was booted.
    pub image: Option<PathBuf>,
    /// Text of the guest's console.
    pub console: Option<String>,
    /// The distribution's package and version.
    pub package: Option<String>,
    /// SHA-256 of the image that was booted, hex.
    pub image_digest: Option<String>,
    /// The files of what was run.
    pub programs: ProgramFiles,
}

/// Makes evidence of a raw capture. Reads the files that `fixed` names, and nothing of the running machine.
pub fn finish(
    raw: &RawCapture,
    investigation: &Investigation,
    machine: Machine,
    fixed: &Static,
) -> Evidence {
    let facts = &raw.facts;
    let kallsyms = match &facts.kallsyms {
        Ok(text) => Kallsyms::parse(text.clone(), None)
            .map_err(|error| Reason::Unavailable(error.to_string())),
        Err(reason) => Err(reason.clone()),
    };
    let build_id: Result<BuildId, String> = match &facts.build_id {
        Ok(id) => id
            .parse()
            .map_err(|error| format!("the kernel's build id `{id}`: {error}")),
        Err(reason) => Err(reason.clone()),
    };
    let vmlinux = match (&fixed.no_debuginfo, &build_id) {
        (Some(reason), _) => Err(reason.clone()),
        (None, Err(reason)) => Err(reason.clone()),
        (None, Ok(id)) => match debuginfo::open_matching(&fixed.vmlinux, id) {
            (Some(vmlinux), _) => Ok(vmlinux),
            (None, refused) => {
                let refused: Vec<String> = refused
                    .iter()
                    .map(debuginfo::Mismatch::for_evidence)
                    .collect();
                Err(if refused.is_empty() {
                    "no vmlinux of this kernel was found: install its debug package, or say --debuginfo VMLINUX".into()
                } else {
                    refused.join("; ")
                })
            }
        },
    };
    let elf = vmlinux.as_ref().ok().map(|v| StaticSymbols::parse(&v.data));
    let map = system_map(&fixed.system_map);
    let reason = |missing: &String| missing.clone();
    let artefacts = Artefacts {
        vmlinux: vmlinux.as_ref().map(|v| v.path.as_path()).map_err(reason),
        system_map: map.as_ref().map(|(path, _)| path.as_path()).map_err(reason),
        config: fixed
            .config
            .as_deref()
            .or_else(|| own_config(&machine, &facts.config_file))
            .ok_or_else(|| "its configuration is no file of this machine".into()),
    };
    let (on_builder, private) = (artefacts.begin(investigation), artefacts.private());
    let statics = vec![
        StaticSource {
            name: "kallsyms-systemmap",
            // A System.map does not say which build it is of; the vmlinux of the same folder does.
            build_id: map
                .as_ref()
                .ok()
                .zip(vmlinux.as_ref().ok())
                .filter(|((path, _), v)| path.parent() == v.path.parent())
                .map(|(_, v)| v.build_id.clone()),
            table: match &map {
                Ok((_, map)) => StaticTable::from_system_map(map)
                    .map_err(|e| Reason::Unavailable(e.to_string())),
                Err(reason) => Err(Reason::Unavailable(reason.clone())),
            },
        },
        StaticSource {
            name: "kallsyms-vmlinux",
            build_id: vmlinux.as_ref().ok().map(|v| v.build_id.clone()),
            table: match &elf {
                Some(Ok(symbols)) => {
                    StaticTable::from_elf(symbols).map_err(|e| Reason::Unavailable(e.to_string()))
                }
                Some(Err(error)) => Err(Reason::Unavailable(error.to_string())),
                None => Err(Reason::Unavailable(
                    vmlinux.as_ref().err().cloned().unwrap_or_default(),
                )),
            },
        },
    ];
    let config_text = fixed.config.as_deref().map(|path| {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", file_name(path)))
    });
    let config = match (&facts.config, &config_text) {
        (Ok(text), _) | (Err(_), Some(Ok(text))) => {
            KernelConfig::parse(text).map_err(|error| error.to_string())
        }
        (Err(_), Some(Err(reason))) | (Err(reason), None) => Err(reason.clone()),
    };
    let names: Vec<&str> = investigation.symbols.iter().map(String::as_str).collect();
    let report = judge(&Inputs {
        build_id: build_id.clone(),
        live: kallsyms.as_ref().map_err(Clone::clone),
        statics,
        image: match &fixed.image {
            // Unpacking takes up to half a second; the symbol tables say the same and more.
            _ if vmlinux.is_ok() => Err(Reason::Unavailable(
                "not needed: a vmlinux is at hand".into(),
            )),
            Some(path) => image_base(path),
            None => Err(Reason::Unavailable(
                "the image that this kernel was loaded from is not known".into(),
            )),
        },
        vmcoreinfo: facts.vmcoreinfo.clone(),
        console: match fixed.console.as_deref().map(crate::kaslr::console::parse) {
            Some(Ok(offset)) => Ok(offset),
            Some(Err(error)) => Err(Reason::Unavailable(error.to_string())),
            None => Err(Reason::Unavailable(
                "this machine's console was not watched".into(),
            )),
        },
        config: config.as_ref().map_err(Clone::clone),
        command_line: Some(&facts.command_line),
        names: &names,
    });
    let debuginfo = vmlinux
        .as_ref()
        .map(|v| format!("{} of build {}", file_name(&v.path), v.build_id))
        .map_err(Clone::clone);
    let vmlinux_readings = readings_of_vmlinux(&vmlinux, &elf, &investigation.symbols);
    drop(elf);
    let lines =
        vmlinux.map(|vmlinux| LineResolver::new(vmlinux, lines::cache::user_folder().as_deref()));
    let names = KernelNames::new(kallsyms.as_ref().ok(), report.slide, lines).with_code(&raw.code);
    let mut evidence = assemble(
        raw,
        &Context {
            investigation,
            machine,
            package: fixed.package.clone(),
            image_digest: fixed.image_digest.clone(),
            files: &fixed.programs.workloads,
            names: &names,
            debuginfo,
            kaslr: &report,
            config: config.as_ref().map_err(Clone::clone),
        },
    );
    let map_text = map.as_ref().map_err(Clone::clone).and_then(|(path, _)| {
        // The table was checked to be text; it does not keep its lines.
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", file_name(path)))?;
        Ok((file_name(path), text))
    });
    let config_name = fixed.config.as_deref().map(file_name).unwrap_or_default();
    evidence.kaslr.readings = readings(&Read {
        symbols: &investigation.symbols,
        ephemeral: evidence.machine.ephemeral,
        release: &facts.release,
        kallsyms: match (&facts.kallsyms, &kallsyms) {
            (Ok(text), Ok(_)) => Ok(text),
            (Err(reason), _) | (_, Err(reason)) => Err(reason.to_string()),
        },
        offset: match &facts.vmcoreinfo {
            Ok(info) => info
                .kernel_offset
                .ok_or_else(|| "VMCOREINFO states no offset".into()),
            Err(reason) => Err(reason.to_string()),
        },
        physical: match (&facts.physical_text, &facts.physical_line) {
            (Ok(_), Ok((number, line))) => Ok((*number, line)),
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        },
        system_map: map_text
            .as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .map_err(Clone::clone),
        vmlinux: vmlinux_readings
            .as_ref()
            .map(|(name, addresses)| (name.as_str(), addresses.clone()))
            .map_err(Clone::clone),
        config: match (&facts.config, &config_text) {
            (Ok(text), _) => (Reader::Machine, &facts.config_file, Ok(text)),
            (Err(_), Some(Ok(text))) => (Reader::Builder, &config_name, Ok(text)),
            (Err(_), Some(Err(reason))) => (Reader::Builder, &config_name, Err(reason.clone())),
            (Err(reason), None) => (Reader::Machine, &facts.config_file, Err(reason.clone())),
        },
    });
    evidence.commands = ran(
        investigation,
        raw,
        &on_builder.wait(),
        &Keep::new(&evidence, &private),
    );
    for (name, command) in &mut evidence.commands {
        let files = fixed.programs.commands.get(name);
        command.files = files.cloned().unwrap_or_default();
    }
    clean(&mut evidence, &private);
    // The cache only saves time: a full disk must not lose the capture.
    let _ = names.save();
    evidence
}

/// The file with the configuration of a machine that makes its own evidence, if it is one of text.
fn own_config<'a>(machine: &Machine, file: &'a str) -> Option<&'a Path> {
    let own = !machine.ephemeral && file.starts_with("/boot/");
    own.then(|| Path::new(file))
}

/// The commands of `investigation`, from both places where they were run.
fn ran(
    investigation: &Investigation,
    raw: &RawCapture,
    on_builder: &[RawCommand],
    keep: &Keep<'_>,
) -> BTreeMap<String, Command> {
    let (mut machine, mut builder) = (raw.commands.iter(), on_builder.iter());
    let done = investigation.commands.iter().filter_map(|planned| {
        let raw = match planned.on {
            Reader::Machine => machine.next(),
            Reader::Builder => builder.next(),
        };
        Some((planned.name.clone(), command(planned, raw?, keep)))
    });
    done.collect()
}

/// The name of the vmlinux and the addresses of each symbol in it.
fn readings_of_vmlinux(
    vmlinux: &Result<debuginfo::Vmlinux, String>,
    elf: &Option<Result<StaticSymbols<'_>, crate::symbols::elf::ElfError>>,
    symbols: &[String],
) -> Result<(String, Vec<Vec<u64>>), String> {
    let vmlinux = vmlinux.as_ref().map_err(Clone::clone)?;
    let table = match elf {
        Some(Ok(table)) => table,
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("it was not read".into()),
    };
    let found = table.named(symbols.iter().map(String::as_str));
    let addresses = symbols
        .iter()
        .map(|name| found.rows(name).iter().map(|s| s.address).collect());
    Ok((file_name(&vmlinux.path), addresses.collect()))
}

fn image_base(path: &Path) -> Result<ImageBase, Reason> {
    let image = fs::read(path)
        .map_err(|error| Reason::Unavailable(format!("{}: {error}", file_name(path))))?;
    vmlinuz::image_base(&image).map_err(|error| Reason::Unavailable(error.to_string()))
}

fn system_map(candidates: &[PathBuf]) -> Result<(PathBuf, SystemMap), String> {
    let mut reasons = Vec::new();
    for path in candidates {
        let content = match fs::read(path) {
            Ok(content) => content,
            Err(error) => {
                reasons.push(format!("{}: {error}", file_name(path)));
                continue;
            }
        };
        match SystemMap::parse(content) {
            Ok(map) => return Ok((path.clone(), map)),
            Err(error) => reasons.push(format!("{}: {error}", file_name(path))),
        }
    }
    if reasons.is_empty() {
        reasons.push("no System.map of this kernel was found".into());
    }
    Err(reasons.join("; "))
}
