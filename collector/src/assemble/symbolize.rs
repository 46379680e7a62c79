//! The last steps of a capture, on the host: static symbols, the slide, source lines, and then the evidence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use qed_evidence::Evidence;
use qed_evidence::document::{CommandRun, Machine, Reader, Reading};
use qed_evidence::investigation::Investigation;
use qed_evidence::value::Datum;

use super::commands::{TextPolicy, assemble_command};
use super::context::Context;
use super::evidence::assemble;
use super::kernel_file_commands::KernelFilePaths;
use super::kernel_names::KernelNames;
use super::private::{file_name, sanitize};
use super::program_files::ProgramFiles;
use super::provenance_lines::{SourceTexts, list_readings};
use crate::kaslr::compare::StaticTable;
use crate::kaslr::config::KernelConfig;
use crate::kaslr::console::ConsoleOffset;
use crate::kaslr::report::{ImageBase, StaticSource};
use crate::kaslr::{self, KaslrInputs, KaslrSourceError, judge, vmlinuz};
use crate::reason::Reason;
use crate::session::machine_facts::NO_CONFIG;
use crate::session::raw::{MachineFacts, RawCapture, RawCommand};
use crate::symbols::debuginfo::Vmlinux;
use crate::symbols::elf::{ElfError, StaticSymbols};
use crate::symbols::lines::{self, LineResolver};
use crate::symbols::system_map::SystemMap;
use crate::symbols::{BuildId, Kallsyms, debuginfo};

/// Files that may hold static facts about the captured kernel.
#[derive(Clone, Debug, Default)]
pub struct StaticFiles {
    /// Files that may be its vmlinux; the first of the same build is taken.
    pub vmlinux: Vec<PathBuf>,
    /// Files that may be its System.map.
    pub system_map: Vec<PathBuf>,
    /// The reason why none of [`StaticFiles::vmlinux`] is known to be of this kernel before it has run.
    pub unchecked: Option<Reason>,
    /// Its configuration, if the kernel itself does not have it.
    pub config: Option<PathBuf>,
    /// The reason why there is no file with its configuration.
    pub no_config: Option<Reason>,
    /// The reason why there is no debug information, if it was not searched for.
    pub no_debuginfo: Option<Reason>,
    /// The kernel image that was booted.
    pub image: Option<PathBuf>,
    /// Text of the guest's console.
    pub console: Option<String>,
    /// The distribution's package and version.
    pub package: Option<String>,
    /// SHA-256 of the image that was booted, hex.
    pub image_digest: Option<String>,
    /// The modules that experiments wanted, and what they depend on, with their digests or why there is none.
    pub modules: BTreeMap<String, Datum>,
    /// The files of what was run.
    pub programs: ProgramFiles,
}

/// Make evidence of a raw capture. Reads the files that `fixed` names, and nothing of the running machine.
pub fn make_evidence(
    raw: &RawCapture,
    investigation: &Investigation,
    machine: Machine,
    fixed: &StaticFiles,
) -> Evidence {
    let facts = &raw.facts;
    let kallsyms = parse_live_symbols(facts);
    let build_id = build_id(facts);
    let vmlinux = open_vmlinux(fixed, &build_id);
    let elf = vmlinux.as_ref().ok().map(|v| StaticSymbols::parse(&v.data));
    let map = find_system_map(&fixed.system_map);
    let config = Configuration::read(facts, fixed);
    let artefacts = collect_kernel_files(&machine, facts, fixed, &vmlinux, &map);
    let (on_builder, private) = (
        artefacts.start_commands(investigation),
        artefacts.private_words(),
    );
    let names: Vec<&str> = investigation.symbols.iter().map(String::as_str).collect();
    let report = judge(&KaslrInputs {
        arch: facts.arch,
        build_id: build_id.clone(),
        live: kallsyms.as_ref().map_err(Clone::clone),
        statics: static_sources(&map, &vmlinux, &elf),
        image: image_source(fixed, vmlinux.is_ok()),
        vmcoreinfo: facts.vmcoreinfo.clone(),
        console: console_offset(fixed.console.as_deref()),
        config: config.parsed.as_ref().map_err(Clone::clone),
        command_line: Some(&facts.command_line),
        names: &names,
    });
    let debuginfo = vmlinux
        .as_ref()
        .map(|v| format!("{} of build {}", file_name(&v.path), v.build_id))
        .map_err(Clone::clone);
    let vmlinux_lines = addresses_in_vmlinux(&vmlinux, &elf, &investigation.symbols);
    drop(elf);
    let lines =
        vmlinux.map(|vmlinux| LineResolver::new(vmlinux, lines::cache::user_folder().as_deref()));
    let names = KernelNames::new(facts.arch, kallsyms.as_ref().ok(), report.slide, lines)
        .with_code(&raw.code);
    let mut evidence = assemble(
        raw,
        &Context {
            investigation,
            machine,
            package: fixed.package.clone(),
            image_digest: fixed.image_digest.clone(),
            modules: &fixed.modules,
            files: &fixed.programs.workloads,
            names: &names,
            debuginfo,
            kaslr: &report,
            config: config.parsed.as_ref().map_err(Clone::clone),
        },
    );
    let sources = LineSources {
        kallsyms: &kallsyms,
        map: &map,
        vmlinux: &vmlinux_lines,
        config: &config,
    };
    evidence.kaslr.readings =
        collect_provenance(facts, investigation, evidence.machine.ephemeral, &sources);
    evidence.commands = collect_commands(
        investigation,
        raw,
        &on_builder.wait(),
        &TextPolicy::new(&evidence, &private),
    );
    for (name, command) in &mut evidence.commands {
        let files = fixed.programs.commands.get(name);
        command.files = files.cloned().unwrap_or_default();
    }
    sanitize(&mut evidence, &private);
    // The cache only saves time: a full disk must not lose the capture.
    let _ = names.save();
    evidence
}

/// The symbol table that the kernel showed.
fn parse_live_symbols(facts: &MachineFacts) -> Result<Kallsyms, KaslrSourceError> {
    let text = facts.kallsyms.clone()?;
    Kallsyms::parse(text, None).map_err(|error| KaslrSourceError::Unavailable(error.to_string()))
}

fn build_id(facts: &MachineFacts) -> Result<BuildId, Reason> {
    let id = facts.build_id.as_ref().map_err(Clone::clone)?;
    id.parse()
        .map_err(|error| format!("the kernel's build id `{id}`: {error}").into())
}

/// The first vmlinux of the same build, or why there is none.
fn open_vmlinux(
    fixed: &StaticFiles,
    build_id: &Result<BuildId, Reason>,
) -> Result<Vmlinux, Reason> {
    if let Some(reason) = &fixed.no_debuginfo {
        return Err(reason.clone());
    }
    let id = build_id.as_ref().map_err(Clone::clone)?;
    let refused = match debuginfo::open_matching(&fixed.vmlinux, id) {
        (Some(vmlinux), _) => return Ok(vmlinux),
        (None, refused) => refused,
    };
    let refused: Vec<String> = refused
        .iter()
        .map(debuginfo::Mismatch::evidence_text)
        .collect();
    Err(match refused.is_empty() {
        true => "no vmlinux of this kernel was found: install its debug package, or say --debuginfo VMLINUX".into(),
        false => refused.join("; ").into(),
    })
}

/// A System.map, with its path, or why there is none.
type FoundMap = Result<(PathBuf, SystemMap), Reason>;
/// The symbols of the vmlinux, if there is one.
type ParsedElf<'v> = Option<Result<StaticSymbols<'v>, ElfError>>;

/// The files that commands of the investigation can name.
fn collect_kernel_files<'a>(
    machine: &Machine,
    facts: &'a MachineFacts,
    fixed: &'a StaticFiles,
    vmlinux: &'a Result<Vmlinux, Reason>,
    map: &'a FoundMap,
) -> KernelFilePaths<'a> {
    KernelFilePaths {
        vmlinux: vmlinux
            .as_ref()
            .map(|v| v.path.as_path())
            .map_err(Clone::clone),
        system_map: map
            .as_ref()
            .map(|(path, _)| path.as_path())
            .map_err(Clone::clone),
        config: fixed
            .config
            .as_deref()
            .or_else(|| own_config_path(machine, &facts.config_file))
            .ok_or_else(|| {
                let reason = fixed.no_config.clone();
                reason.unwrap_or_else(|| "its configuration is not a file of this machine".into())
            }),
    }
}

/// The available static tables, in order of preference.
fn static_sources<'v>(
    map: &'v FoundMap,
    vmlinux: &Result<Vmlinux, Reason>,
    elf: &'v ParsedElf<'_>,
) -> Vec<StaticSource<'v>> {
    let unavailable =
        |error: &dyn std::fmt::Display| KaslrSourceError::Unavailable(error.to_string());
    vec![
        StaticSource {
            name: "kallsyms-systemmap",
            // A System.map does not say which build it is of; the vmlinux of the same folder does.
            build_id: map
                .as_ref()
                .ok()
                .zip(vmlinux.as_ref().ok())
                .filter(|((path, _), v)| path.parent() == v.path.parent())
                .map(|(_, v)| v.build_id.clone()),
            table: match map {
                Ok((_, map)) => StaticTable::from_system_map(map).map_err(|e| unavailable(&e)),
                Err(reason) => Err(unavailable(reason)),
            },
        },
        StaticSource {
            name: "kallsyms-vmlinux",
            build_id: vmlinux.as_ref().ok().map(|v| v.build_id.clone()),
            table: match elf {
                Some(Ok(symbols)) => StaticTable::from_elf(symbols).map_err(|e| unavailable(&e)),
                Some(Err(error)) => Err(unavailable(error)),
                None => Err(KaslrSourceError::Unavailable(
                    vmlinux
                        .as_ref()
                        .err()
                        .map_or_else(String::new, ToString::to_string),
                )),
            },
        },
    ]
}

fn image_source(fixed: &StaticFiles, has_vmlinux: bool) -> Result<ImageBase, KaslrSourceError> {
    match &fixed.image {
        // Unpacking takes up to half a second; the symbol tables say the same and more.
        _ if has_vmlinux => Err(KaslrSourceError::Unavailable(
            "not needed: a vmlinux is at hand".into(),
        )),
        Some(path) => read_image_base(path),
        None => Err(KaslrSourceError::Unavailable(
            "the image that this kernel was loaded from is not known".into(),
        )),
    }
}

fn console_offset(text: Option<&str>) -> Result<ConsoleOffset, KaslrSourceError> {
    let text = text.ok_or(KaslrSourceError::Unavailable(
        "this machine's console was not watched".into(),
    ))?;
    kaslr::console::parse(text).map_err(|error| KaslrSourceError::Unavailable(error.to_string()))
}

/// The kernel's configuration: as the machine has it, else as a file of this machine has it.
struct Configuration {
    /// Name of the file of this machine, if one was named.
    file: String,
    /// Its text, or why it cannot be read.
    text: Option<Result<String, Reason>>,
    parsed: Result<KernelConfig, Reason>,
}

impl Configuration {
    fn read(facts: &MachineFacts, fixed: &StaticFiles) -> Self {
        let text = fixed.config.as_deref().map(|path| {
            fs::read_to_string(path)
                .map_err(|error| Reason::from(format!("{}: {error}", file_name(path))))
        });
        let parsed = match (&facts.config, &text) {
            (Ok(text), _) | (Err(_), Some(Ok(text))) => {
                KernelConfig::parse(text).map_err(Reason::from_error)
            }
            (Err(_), Some(Err(reason))) => Err(reason.clone()),
            (Err(reason), None) => {
                let builder = fixed.no_config.as_ref();
                Err(no_config_reason(reason, builder, &facts.release))
            }
        };
        Self {
            file: fixed.config.as_deref().map(file_name).unwrap_or_default(),
            text,
            parsed,
        }
    }

    /// Its reader, file and text.
    fn source<'a>(&'a self, facts: &'a MachineFacts) -> (Reader, &'a str, Result<&'a str, Reason>) {
        match (&facts.config, &self.text) {
            (Ok(text), _) => (Reader::Machine, &facts.config_file, Ok(text)),
            (Err(_), Some(Ok(text))) => (Reader::Builder, &self.file, Ok(text)),
            (Err(_), Some(Err(reason))) => (Reader::Builder, &self.file, Err(reason.clone())),
            (Err(reason), None) => {
                let reason = self.parsed.as_ref().err().unwrap_or(reason);
                (Reader::Machine, &facts.config_file, Err(reason.clone()))
            }
        }
    }
}

/// The reason why the configuration is not known, and what to do: `machine` is that of the captured machine, `builder` that of a
/// guest's builder.
fn no_config_reason(machine: &Reason, builder: Option<&Reason>, release: &str) -> Reason {
    match builder {
        Some(why) => format!("{machine}; {why}").into(),
        None if **machine == *NO_CONFIG => format!(
            "{machine}, and no /boot/config-{release}: put the file that this kernel was built with there"
        )
        .into(),
        None => machine.clone(),
    }
}

/// The name of the vmlinux and, per symbol, its addresses there; or why they are not known.
type VmlinuxLines = Result<(String, Vec<Vec<u64>>), Reason>;

/// The files that lines are quoted from.
struct LineSources<'a> {
    kallsyms: &'a Result<Kallsyms, KaslrSourceError>,
    map: &'a FoundMap,
    vmlinux: &'a VmlinuxLines,
    config: &'a Configuration,
}

/// The lines of files that the addresses came from.
fn collect_provenance(
    facts: &MachineFacts,
    investigation: &Investigation,
    ephemeral: bool,
    sources: &LineSources<'_>,
) -> Vec<Reading> {
    let map_text = sources.map.as_ref().map_err(Clone::clone);
    let map_text = map_text.and_then(|(path, _)| {
        // The table was checked to be text; it does not keep its lines.
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", file_name(path)))?;
        Ok((file_name(path), text))
    });
    list_readings(&SourceTexts {
        symbols: &investigation.symbols,
        ephemeral,
        release: &facts.release,
        kallsyms: match (&facts.kallsyms, sources.kallsyms) {
            (Ok(text), Ok(_)) => Ok(text),
            (Err(reason), _) | (_, Err(reason)) => Err(Reason::from_error(reason)),
        },
        offset: match &facts.vmcoreinfo {
            Ok(info) => info
                .kernel_offset
                .ok_or_else(|| "VMCOREINFO states no offset".into()),
            Err(reason) => Err(Reason::from_error(reason)),
        },
        physical: match (&facts.physical_text, &facts.physical_line) {
            (Ok(_), Ok((number, line))) => Ok((*number, line)),
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        },
        system_map: map_text
            .as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .map_err(Clone::clone),
        vmlinux: sources
            .vmlinux
            .as_ref()
            .map(|(name, addresses)| (name.as_str(), addresses.clone()))
            .map_err(Clone::clone),
        config: sources.config.source(facts),
    })
}

/// The file with the configuration of a machine that makes its own evidence, if it is one of text.
fn own_config_path<'a>(machine: &Machine, file: &'a str) -> Option<&'a Path> {
    let own = !machine.ephemeral && file.starts_with("/boot/");
    own.then(|| Path::new(file))
}

/// The commands of `investigation`, from both places where they were run.
fn collect_commands(
    investigation: &Investigation,
    raw: &RawCapture,
    on_builder: &[RawCommand],
    keep: &TextPolicy<'_>,
) -> BTreeMap<String, CommandRun> {
    let (mut machine, mut builder) = (raw.commands.iter(), on_builder.iter());
    let done = investigation.commands.iter().filter_map(|planned| {
        let raw = match planned.on {
            Reader::Machine => machine.next(),
            Reader::Builder => builder.next(),
        };
        Some((planned.name.clone(), assemble_command(planned, raw?, keep)))
    });
    done.collect()
}

fn addresses_in_vmlinux(
    vmlinux: &Result<Vmlinux, Reason>,
    elf: &ParsedElf<'_>,
    symbols: &[String],
) -> VmlinuxLines {
    let vmlinux = vmlinux.as_ref().map_err(Clone::clone)?;
    let table = match elf {
        Some(Ok(table)) => table,
        Some(Err(error)) => return Err(Reason::from_error(error)),
        None => return Err("it was not read".into()),
    };
    let found = table.find_by_name(symbols.iter().map(String::as_str));
    let addresses = symbols
        .iter()
        .map(|name| found.rows(name).iter().map(|s| s.address).collect());
    Ok((file_name(&vmlinux.path), addresses.collect()))
}

fn read_image_base(path: &Path) -> Result<ImageBase, KaslrSourceError> {
    let image = fs::read(path)
        .map_err(|error| KaslrSourceError::Unavailable(format!("{}: {error}", file_name(path))))?;
    vmlinuz::read_image_base(&image)
        .map_err(|error| KaslrSourceError::Unavailable(error.to_string()))
}

/// The first of `candidates` that is one.
fn find_system_map(candidates: &[PathBuf]) -> FoundMap {
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
    Err(reasons.join("; ").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a missing configuration is asked for where it is looked for: of a host below /boot, of a guest as its builder says,
    /// and that one which cannot be read is not.
    #[test]
    fn missing_configuration() {
        let absent = Reason::from(NO_CONFIG);
        assert_eq!(
            &*no_config_reason(&absent, None, "6.1.2"),
            "there is no /proc/config.gz, and no /boot/config-6.1.2: put the file that this kernel was built with there"
        );
        let builder = Reason::from("put it beside the image");
        assert_eq!(
            &*no_config_reason(&absent, Some(&builder), "6.1.2"),
            "there is no /proc/config.gz; put it beside the image"
        );
        let damaged = Reason::from("/proc/config.gz: corrupt deflate stream");
        assert_eq!(no_config_reason(&damaged, None, "6.1.2"), damaged);
    }
}
