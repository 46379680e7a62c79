//! `qed-collector doctor`: what this machine can capture, by which back-end, and what would have to change.

use std::path::Path;

use super::failure::Failure;
use super::output::print;
use crate::guest::{accel, cache::Cache, find_program};
use crate::kaslr;
use crate::probe::capabilities;
use crate::session::machine_facts::BTF;
use crate::symbols::running;

/// Run the command.
pub fn run() -> Result<(), Failure> {
    let (host, captures_here) = host();
    let (guest, captures_in_guests) = guest();
    print(&(host + &guest))?;
    if captures_here || captures_in_guests {
        return Ok(());
    }
    Err(Failure::unable(
        "this machine can capture nothing: books here build from recorded evidence",
    ))
}

/// A report on this machine's own kernel, and whether anything can be captured on it.
fn host() -> (String, bool) {
    let mut out = "host\n".to_owned();
    out += &line(
        "kernel types (BTF)",
        match Path::new(BTF).exists() {
            true => Ok(BTF.to_owned()),
            false => Err(format!(
                "{BTF} does not exist: a kernel with CONFIG_DEBUG_INFO_BTF is needed"
            )),
        },
    );
    let symbols = running::kallsyms();
    out += &line(
        "kernel addresses",
        match &symbols {
            Ok(table) => Ok(format!("{} symbols", table.len())),
            Err(error) => Err(error.to_string()),
        },
    );
    let function = symbols
        .ok()
        .and_then(|table| table.lookup("ksys_read").first().copied())
        .unwrap_or(0);
    let found = capabilities(function);
    for capability in &found.list {
        out += &line(
            capability.name,
            match &capability.result {
                Ok(()) => Ok("works".to_owned()),
                Err(refusal) => Err(refusal.to_string()),
            },
        );
    }
    out += &line(
        "slide stated by the kernel (VMCOREINFO)",
        kaslr::running::vmcoreinfo()
            .map(|_| "readable".to_owned())
            .map_err(|e| e.to_string()),
    );
    let (kprobes, tracepoints) = (found.works("kprobe"), found.works("raw tracepoint"));
    let conclusion = match (kprobes, tracepoints) {
        (true, _) => "captures everything here, by kprobes and tracepoints",
        (false, true) => "captures here what tracepoints show; the rest in a guest",
        (false, false) => "captures nothing here; capture in a guest",
    };
    (format!("{out}  => {conclusion}\n"), kprobes || tracepoints)
}

/// A report on guests, and whether anything can be captured in one.
fn guest() -> (String, bool) {
    let mut out = "guest\n".to_owned();
    let emulator = find_program::find_in_path("qemu-system-x86_64");
    out += &line(
        "QEMU",
        match &emulator {
            Some(path) => Ok(path.display().to_string()),
            None => Err("qemu-system-x86_64 is not in PATH: apt-get install qemu-system-x86"),
        },
    );
    out += &line(
        "KVM",
        accel::device()
            .map(|()| "/dev/kvm can be opened; it is tried first, with a short limit".to_owned()),
    );
    out += &line(
        "kernel cache",
        match &Cache::of_user() {
            Ok(cache) => Ok(cache.kernels().display().to_string()),
            Err(error) => Err(error.to_string()),
        },
    );
    let conclusion = match emulator.is_some() {
        true => "captures in guests",
        false => "captures in no guest",
    };
    (format!("{out}  => {conclusion}\n"), emulator.is_some())
}

fn line<E: std::fmt::Display>(what: &str, result: Result<String, E>) -> String {
    match result {
        Ok(text) => format!("  ok  {what}: {text}\n"),
        Err(reason) => format!("  no  {what}: {reason}\n"),
    }
}
