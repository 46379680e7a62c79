//! The calls that were traced, with names, as text and as JSON.

use std::path::PathBuf;

use anyhow::Context as _;
use qed_evidence::investigation::Experiment;

use super::call_tree::{ShownTree, format_tree, heading};
use super::discover_json::{Json, JsonCall};
use super::failure::Failure;
use crate::arch::Arch;
use crate::assemble::graph::{CallFunctions, DebugInfo, mark_interrupts, name_functions};
use crate::btf::Btf;
use crate::graph::{GraphError, TracedCall, find_in_order, read_calls};
use crate::session::discovery::Discovery;
use crate::symbols::elf::StaticSymbols;
use crate::symbols::lines::{LineResolver, cache};
use crate::symbols::{Kallsyms, debuginfo};
use crate::workload::WorkloadKind;

/// The start of the kernel's image, in the tables of both.
const FIRST: &str = "_text";

/// What is looked up about the functions of a trace.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// The calls that were inlined into them.
    pub inlined: bool,
}

/// The calls that were traced, with names.
pub struct NamedTrace {
    arch: Arch,
    /// The machine, as the command line has it.
    pub machine: String,
    release: String,
    workload: String,
    /// The calls, in their order.
    pub calls: Vec<(TracedCall, CallFunctions)>,
    /// The symbols of the machine.
    pub kallsyms: Kallsyms,
    /// The kernel's debug information is at hand.
    pub has_debug_info: bool,
}

impl NamedTrace {
    /// Read the trace, and name the functions that ran; `vmlinux` are the files that the kernel's debug information may be in.
    ///
    /// # Errors
    /// When symbols are missing, or the trace is not whole.
    pub fn from_discovery(
        machine: &str,
        experiment: &Experiment,
        discovery: &Discovery,
        vmlinux: &[PathBuf],
        wanted: Wanted,
    ) -> Result<Self, Failure> {
        let kallsyms = discovery
            .kallsyms
            .clone()
            .map_err(|why| Failure::machine(why.to_string()))?;
        let kallsyms =
            Kallsyms::parse(kallsyms, None).context("failed to understand the kernel's symbols")?;
        let btf = discovery.btf.as_deref().map(Btf::parse).transpose();
        let btf = btf.context("failed to understand the kernel's types")?;
        let mut lines = lines(discovery, vmlinux, &kallsyms);
        let mut named = Vec::new();
        for mut call in traced_calls(discovery)? {
            mark_interrupts(&mut call, &kallsyms).map_err(not_whole)?;
            let debug_info = lines.as_mut().map(|(lines, slide)| DebugInfo {
                lines,
                slide: *slide,
                inlined: wanted.inlined,
            });
            let functions = name_functions(&call, &kallsyms, btf.as_ref(), debug_info);
            named.push((call, functions));
        }
        if let Some((lines, _)) = &mut lines {
            // The cache only saves time.
            let _ = lines.save();
        }
        Ok(Self {
            arch: discovery.arch,
            machine: machine.to_owned(),
            release: discovery.release.clone(),
            workload: experiment.workload_text(),
            calls: named,
            kallsyms,
            has_debug_info: lines.is_some(),
        })
    }

    /// The trees for a terminal.
    ///
    /// # Errors
    /// When only what is below a function is wanted that did not run.
    pub fn text(&self, shown: &ShownTree) -> Result<String, Failure> {
        let mut out = format!(
            "{}, Linux {}: {}\n",
            self.machine, self.release, self.workload
        );
        let mut any = false;
        for (call, functions) in &self.calls {
            let Some(tree) = format_tree(call, functions, shown) else {
                continue;
            };
            any = true;
            out += &heading(self.arch, call, functions);
            out += &tree;
        }
        match (&shown.below, any) {
            (Some(name), false) => Err(self.not_run(name)),
            _ => Ok(out),
        }
    }

    /// The trees for programs.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn json(&self) -> Result<String, Failure> {
        let json = Json {
            machine: &self.machine,
            release: &self.release,
            workload: &self.workload,
            system_calls: (self.calls.iter())
                .map(|call| JsonCall::new(self.arch, call))
                .collect(),
        };
        let mut text = serde_json::to_string_pretty(&json).context("failed to write JSON")?;
        text.push('\n');
        Ok(text)
    }

    /// The failure for a function that is not in the tree. It names functions in the tree that it is inlined into.
    pub fn not_run(&self, name: &str) -> Failure {
        let all = self
            .calls
            .iter()
            .flat_map(|(_, functions)| &functions.table);
        let mut holders: Vec<&str> = all
            .filter(|function| {
                let mut inlined = function.inlined.iter().flatten();
                inlined.any(|callee| callee.function == name)
            })
            .map(|function| function.name.as_str())
            .collect();
        holders.sort_unstable();
        holders.dedup();
        Failure::input(match holders.as_slice() {
            [] => format!(
                "`{name}` did not run in this call, as far as the tracer can see: functions that are inlined or marked notrace are \
                 not seen. Leave --below out to see what ran"
            ),
            [first, ..] => format!(
                "`{name}` is inlined into {}, which ran in this call; the tracer does not see whether this part of it did. See where: \
                 --below {first} --inlined",
                holders.join(", ")
            ),
        })
    }
}

fn not_whole(error: GraphError) -> Failure {
    Failure::machine(format!("the trace is not whole: {error}"))
}

/// The calls of the workload, of all that its task made.
fn traced_calls(discovery: &Discovery) -> Result<Vec<TracedCall>, Failure> {
    let all = read_calls(&discovery.graph).map_err(not_whole)?;
    match &discovery.workload {
        WorkloadKind::Syscall { sequence, call, .. } => {
            let each = sequence.iter().chain([call]);
            let wanted: Vec<_> = each.map(|call| (call.number, call.known_args())).collect();
            find_in_order(all, &wanted).map_err(not_whole)
        }
        WorkloadKind::Command(_) => Ok(all),
    }
}

/// The debug information of the kernel that was traced, and the distance of its live addresses from those in there.
fn lines(
    discovery: &Discovery,
    vmlinux: &[PathBuf],
    kallsyms: &Kallsyms,
) -> Option<(LineResolver, u64)> {
    let id = discovery.build_id.as_ref().ok()?.parse().ok()?;
    let (found, _) = debuginfo::open_matching(vmlinux, &id);
    let vmlinux = found?;
    let symbols = StaticSymbols::parse(&vmlinux.data).ok()?;
    let fixed = symbols.find_by_name([FIRST]).rows(FIRST).first()?.address;
    let slide = kallsyms.lookup(FIRST).first()?.checked_sub(fixed)?;
    Some((
        LineResolver::new(vmlinux, cache::user_folder().as_deref()),
        slide,
    ))
}
