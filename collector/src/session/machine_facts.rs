//! Facts that the running machine states about itself. They come from files under `/proc` and `/sys`; the host's name, users
//! and network are never read.

use std::fs;
use std::path::Path;

use super::build_facts::RawBuildFacts;
use super::raw::MachineFacts;
use crate::arch::Arch;
use crate::kaslr::{self, KaslrSourceError};
use crate::reason::Reason;
use crate::symbols::running;

/// The beginning of the reason why a machine has no file with its configuration.
pub const NO_CONFIG: &str = "there is no /proc/config.gz";
/// The kernel's own types.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Read the facts for the evidence. `btf`, `build` and `kallsyms` were read before, because the plan needs them, too.
pub fn read_machine_facts(
    btf: Vec<u8>,
    build: RawBuildFacts,
    kallsyms: Result<String, KaslrSourceError>,
) -> MachineFacts {
    let text = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned());
    let named = |path: &str| -> Result<String, Reason> {
        text(path).map_err(|error| format!("{path}: {error}").into())
    };
    let release = text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let iomem = named("/proc/iomem");
    let (config_file, config) = read_config(&release);
    MachineFacts {
        arch: Arch::HOST,
        boot_id: text("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        cpu_model: fs::read_to_string("/proc/cpuinfo")
            .map(|t| parse_cpu_model(&t))
            .unwrap_or_default(),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        max_stack: text("/proc/sys/kernel/perf_event_max_stack")
            .ok()
            .and_then(|text| text.parse().ok()),
        version: text("/proc/sys/kernel/version").unwrap_or_default(),
        build_id: running::read_build_id()
            .map(|id| id.to_string())
            .map_err(Reason::from_error),
        btf,
        build,
        lockdown: named("/sys/kernel/security/lockdown").map(|t| parse_selected(&t)),
        lsm: named("/sys/kernel/security/lsm"),
        command_line: text("/proc/cmdline").unwrap_or_default(),
        config,
        config_file,
        kallsyms,
        vmcoreinfo: kaslr::running::read_vmcoreinfo(),
        physical_text: iomem.clone().and_then(|text| parse_physical_address(&text)),
        physical_line: iomem.and_then(|text| find_kernel_code_line(&text)),
        release,
    }
}

/// Physical address of "Kernel code" in `/proc/iomem`.
pub fn read_physical_address() -> Result<u64, Reason> {
    fs::read_to_string("/proc/iomem")
        .map_err(|error| format!("/proc/iomem: {error}").into())
        .and_then(|text| parse_physical_address(&text))
}

/// The file that holds the configuration, and its text, or why there is none.
fn read_config(release: &str) -> (String, Result<String, Reason>) {
    let compressed = "/proc/config.gz".to_owned();
    let by_proc = match fs::read(&compressed) {
        Ok(content) => {
            let mut text = String::new();
            let mut reader = flate2::read::GzDecoder::new(content.as_slice());
            let read = std::io::Read::read_to_string(&mut reader, &mut text)
                .map(|_| text)
                .map_err(|error| format!("{compressed}: {error}").into());
            return (compressed, read);
        }
        // The kernel was built without CONFIG_IKCONFIG_PROC.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => NO_CONFIG.to_owned(),
        Err(error) => format!("{compressed}: {error}"),
    };
    let path = format!("/boot/config-{release}");
    if release.contains('/') || !Path::new(&path).exists() {
        return (compressed, Err(by_proc.into()));
    }
    let text =
        fs::read_to_string(&path).map_err(|error| format!("{by_proc}; {path}: {error}").into());
    (path, text)
}

/// `model name\t: AMD EPYC` → `AMD EPYC`. An arm64 kernel tells numbers in the place of a name:
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/arm64/kernel/cpuinfo.c#L178>.
fn parse_cpu_model(cpuinfo: &str) -> String {
    const NUMBERS: [&str; 4] = ["implementer", "variant", "part", "revision"];
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name && !value.trim().is_empty()).then(|| value.trim().to_owned())
        })
    };
    if let Some(name) = field("model name") {
        return name;
    }
    let numbers: Vec<String> = NUMBERS
        .iter()
        .filter_map(|name| Some(format!("{name} {}", field(&format!("CPU {name}"))?)))
        .collect();
    match numbers.is_empty() {
        true => "not told by /proc/cpuinfo".to_owned(),
        false => numbers.join(", "),
    }
}

/// `none [integrity] confidentiality` → `integrity`
fn parse_selected(modes: &str) -> String {
    modes
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(modes, |(mode, _)| mode)
        .to_owned()
}

/// The line `  01000000-01e01fff : Kernel code` and its number from 1.
fn find_kernel_code_line(iomem: &str) -> Result<(u64, String), Reason> {
    let lines = (1..).zip(iomem.lines());
    let mut named = lines.filter(|(_, line)| line.trim_end().ends_with(": Kernel code"));
    let (number, line) = named
        .next()
        .ok_or("/proc/iomem does not name the kernel's code")?;
    Ok((number, line.to_owned()))
}

/// `  01000000-01e01fff : Kernel code` → 0x1000000. Without privileges the addresses are zeros.
fn parse_physical_address(iomem: &str) -> Result<u64, Reason> {
    let (_, line) = find_kernel_code_line(iomem)?;
    let start = line.trim_start().split('-').next().unwrap_or_default();
    match u64::from_str_radix(start, 16) {
        Ok(0) => Err("/proc/iomem shows zeros to a process without CAP_SYS_ADMIN".into()),
        Ok(address) => Ok(address),
        Err(error) => Err(format!("/proc/iomem has a line `{line}`: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that each file's format is parsed, and that zeros do not count as an address.
    #[test]
    fn forms() {
        assert_eq!(
            parse_cpu_model("vendor_id\t: x\nmodel name\t: A B\nmodel name\t: C\n"),
            "A B"
        );
        assert_eq!(
            parse_selected("none [integrity] confidentiality"),
            "integrity"
        );
        assert_eq!(
            parse_physical_address(
                "00001000-0009fbff : System RAM\n  05600000-065fffff : Kernel code\n"
            ),
            Ok(0x560_0000)
        );
        assert!(parse_physical_address("  00000000-00000000 : Kernel code").is_err());
        assert!(parse_physical_address("").is_err());
    }
}
