//! The kernel of the machine that this process runs on: the facts for a plan.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{FactNames, Investigation};

use super::build_facts;
use super::core_memory::CoreMemory;
use super::loaded_modules;
use super::machine_facts;
use super::raw::MachineFacts;
use super::unmapped_range;
use crate::arch::Arch;
use crate::btf::Btf;
use crate::kaslr::{self, KaslrSourceError};
use crate::plan::{Plan, TargetKernel, plan};
use crate::probe::AttachEnvironment;
use crate::reason::Reason;
use crate::symbols::disasm::{Instruction, disassemble};
use crate::symbols::functions_by_file::FunctionInFile;
use crate::symbols::{Kallsyms, running};
use crate::workload::names;

/// The most bytes of a function that are taken apart to find the place of a probe in it.
const MAX_CODE: u64 = 4096;

/// Why the types of the running kernel, which may be a guest's, are unavailable.
#[derive(Debug, thiserror::Error)]
enum TypesError {
    /// The kernel gives none.
    #[error(
        "this kernel has no BTF ({} is missing), which probes and reads need: it was built without CONFIG_DEBUG_INFO_BTF. Build it \
         with that option, or capture on a distribution's kernel, in a guest (--on guest:debian-6.12)",
        .0.display()
    )]
    None(PathBuf),
    /// They cannot be read.
    #[error("failed to read the kernel's types from {}: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
}

/// The kernel's types, from the file that gives them.
fn read_types(path: &Path) -> Result<Vec<u8>, TypesError> {
    let path = path.to_owned();
    std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TypesError::None(path),
        _ => TypesError::Read { path, error },
    })
}

/// The reason for a probe at a function where the kernel has none.
const NO_KPROBES: &str = "this kernel is built without kprobes; one with CONFIG_KPROBE_EVENTS has them, for example that of a guest";

/// This machine's kernel, read once.
pub struct ThisKernel {
    btf: Vec<u8>,
    /// Modules that an experiment wants.
    modules: Vec<String>,
    /// Their types on top of the kernel's; empty: there are none.
    module_types: Vec<u8>,
    kallsyms: Result<Kallsyms, KaslrSourceError>,
    machine: AttachEnvironment,
}

impl ThisKernel {
    /// Read BTF and symbols of the running kernel and of `modules`, which are loaded.
    ///
    /// # Errors
    /// When the kernel has no types, or those of a module cannot be parsed.
    pub fn read(modules: &[String], progress: &dyn Fn(&str)) -> anyhow::Result<Self> {
        let btf = read_types(Path::new(machine_facts::BTF))?;
        progress("read the kernel's types");
        let kallsyms = running::read_kallsyms_text()
            .and_then(|text| {
                progress("read the kernel's symbols");
                let restrict = std::fs::read_to_string("/proc/sys/kernel/kptr_restrict").ok();
                Ok(Kallsyms::parse(text, restrict.as_deref())?)
            })
            .map_err(|error| KaslrSourceError::Unavailable(error.to_string()));
        progress("understood the kernel's symbols");
        Ok(Self {
            module_types: loaded_modules::read_types(&btf, modules)
                .context("failed to understand the types of a module")?,
            modules: modules.to_vec(),
            btf,
            kallsyms,
            machine: AttachEnvironment::read(),
        })
    }

    /// Plan `investigation` for it. `functions` are those that the investigation names together with a file.
    ///
    /// # Errors
    /// The outer one where the kernel's types cannot be understood; the inner one where the investigation is wrong.
    pub fn plan(
        &self,
        investigation: &Investigation,
        functions: &Result<Vec<FunctionInFile>, Reason>,
    ) -> anyhow::Result<Result<Plan, Vec<Diagnostic>>> {
        let base = Btf::parse(&self.btf).context("failed to understand the kernel's BTF")?;
        let with_modules = match self.module_types.is_empty() {
            true => None,
            false => Some(
                Btf::parse_module(&self.module_types, &base)
                    .context("failed to understand the types of the modules")?,
            ),
        };
        let btf = with_modules.as_ref().unwrap_or(&base);
        // Each look-up scans the whole table, and every experiment asks for the same names.
        let known = RefCell::new(HashMap::new());
        let symbols = |name: &str| match &self.kallsyms {
            Ok(table) => known
                .borrow_mut()
                .entry(name.to_owned())
                .or_insert_with(|| table.lookup_with_modules(name, &self.modules))
                .clone(),
            Err(_) => Vec::new(),
        };
        let no_symbols = self.kallsyms.as_ref().err().map(ToString::to_string);
        Ok(plan(
            investigation,
            &TargetKernel {
                btf,
                symbols: &symbols,
                per_cpu: &|name| self.kallsyms.as_ref().ok()?.per_cpu(name),
                cpus: aya::util::nr_cpus()
                    .ok()
                    .and_then(|count| u32::try_from(count).ok()),
                copies: &|name| self.find_copies(name),
                chosen: &|name, file| self.functions_in_file(functions, name, file),
                no_symbols: no_symbols.as_deref(),
                unmapped: match &self.kallsyms {
                    Ok(_) => unmapped_range::unmapped_range(&symbols),
                    // The range lies somewhere in the image, but its bounds are not known.
                    Err(_) => Some(unmapped_range::image_range(Arch::HOST)),
                },
                no_kprobes: (!self.machine.kprobe_pmu).then_some(NO_KPROBES),
                no_lsm: self.no_lsm(),
                code: &|address| self.disassemble_function(address),
                slide: &read_stated_slide,
                formats: &build_facts::tracepoint_formats,
                syscall_number: &|name| {
                    names::syscall_number(name)
                        .ok()
                        .and_then(|number| u32::try_from(number).ok())
                },
            },
        ))
    }

    /// The reason why LSM programs are not possible here, if so.
    fn no_lsm(&self) -> Option<&'static str> {
        match &self.machine.lsm {
            Some(active) if active.iter().any(|name| name == "bpf") => None,
            Some(_) => Some(
                "the BPF security module is not active in this kernel (lsm= on its command line)",
            ),
            None => Some("this kernel does not say which security modules are active, or has none"),
        }
    }

    /// Symbol and live address of each copy of a function.
    fn find_copies(&self, name: &str) -> Vec<(String, u64)> {
        let Ok(table) = &self.kallsyms else {
            return Vec::new();
        };
        let copies = table.copies_of(name).into_iter();
        copies
            .map(|copy| (copy.name.to_owned(), copy.address))
            .collect()
    }

    /// Live addresses of the functions of that name that a file defines.
    fn functions_in_file(
        &self,
        chosen: &Result<Vec<FunctionInFile>, Reason>,
        name: &str,
        file: &str,
    ) -> Result<Vec<u64>, Reason> {
        let chosen = chosen.as_ref().map_err(|reason| {
            format!(
                "which of the functions called `{name}` is that of {file} is not known: {reason}"
            )
        })?;
        let table = self.kallsyms.as_ref().map_err(ToString::to_string)?;
        let base = table.image().start;
        let found = chosen
            .iter()
            .find(|one| one.function == name && one.file == file);
        let offsets = found.map_or(&[][..], |one| &one.offsets);
        Ok(offsets
            .iter()
            .map(|offset| base.wrapping_add(*offset))
            .collect())
    }

    /// The instructions of the function at `address`, as they are in memory now, before anything is probed.
    fn disassemble_function(&self, address: u64) -> Result<Vec<Instruction>, Reason> {
        let table = self.kallsyms.as_ref().map_err(ToString::to_string)?;
        let end = table.next_after(address).unwrap_or(u64::MAX);
        let size = (end - address).min(MAX_CODE) as usize;
        let bytes = CoreMemory::open().read(address, size)?;
        Ok(disassemble(Arch::HOST, &bytes, address, &|target| {
            let found = table.resolve(target).ok()?;
            Some(match found.offset {
                0 => found.name.to_owned(),
                offset => format!("{}+{offset:#x}", found.name),
            })
        }))
    }

    /// Its types, as the kernel gives them.
    pub fn btf(&self) -> &[u8] {
        &self.btf
    }

    /// The machine's statements about itself, with these of its build. Takes the symbols out.
    pub fn into_facts(self, wanted: &FactNames) -> MachineFacts {
        let build =
            build_facts::read_build_facts(wanted, self.module_types, self.kallsyms.as_ref());
        machine_facts::read_machine_facts(self.btf, build, self.kallsyms.map(Kallsyms::into_text))
    }
}

/// The distance by which the running image was moved, as the kernel states it. Asked only for probes at static
/// addresses.
fn read_stated_slide() -> Result<u64, Reason> {
    let stated = kaslr::running::read_vmcoreinfo().map_err(|error| error.to_string())?;
    stated
        .kernel_offset
        .ok_or_else(|| "VMCOREINFO states no offset".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a kernel without types is reported as such, with the option that it lacks, and distinguished from types that
    /// cannot be read.
    #[test]
    fn no_types() {
        let folder = tempfile::tempdir().unwrap();
        let absent = read_types(&folder.path().join("vmlinux")).unwrap_err();
        assert!(matches!(absent, TypesError::None(_)));
        let message = absent.to_string();
        for part in [
            "vmlinux",
            "without CONFIG_DEBUG_INFO_BTF",
            "Build it with that option",
            "guest:debian",
        ] {
            assert!(message.contains(part), "{message}");
        }
        let unreadable = read_types(folder.path()).unwrap_err().to_string();
        assert!(unreadable.starts_with("failed to read the kernel's types"));
        assert!(!unreadable.contains("CONFIG"), "{unreadable}");
    }
}
