//! One call under the kernel's function-graph tracer, without a plan or a probe.

use std::path::Path;

use anyhow::Context as _;
use qed_evidence::investigation::Investigation;
use serde::{Deserialize, Serialize};

use super::attempt::guests_only_reason;
use super::machine_facts::BTF;
use super::tracer::Tracer;
use super::workload_spec::workload_spec;
use crate::arch::Arch;
use crate::btf::Btf;
use crate::graph::raw::RawGraph;
use crate::plan;
use crate::reason::Reason;
use crate::symbols::running;
use crate::workload::WorkloadKind;

/// The call of one workload, as the tracer saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Discovery {
    /// The architecture of the kernel.
    pub arch: Arch,
    /// `uname -r`.
    pub release: String,
    /// GNU build id, hex.
    pub build_id: Result<String, Reason>,
    /// `/proc/kallsyms`, with real addresses.
    pub kallsyms: Result<String, Reason>,
    /// The kernel's BTF, if it was wanted, or if the tracer recorded arguments.
    #[serde(with = "serde_bytes")]
    pub btf: Option<Vec<u8>>,
    /// The workload, as this kernel's types have it.
    pub workload: WorkloadKind,
    /// The records.
    pub graph: RawGraph,
    /// Standard error of the workload, where it complained of something.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
}

/// Choices that depend on the machine.
#[derive(Clone, Copy)]
pub struct DiscoveryOptions<'a> {
    /// The machine is switched off afterwards.
    pub ephemeral: bool,
    /// The folder in which the paths of the workload begin; `None`: where this process is.
    pub folder: Option<&'a Path>,
    /// The kernel's types are wanted.
    pub types: bool,
}

/// Trace the workload of one experiment on this machine.
///
/// # Errors
/// When the tracer cannot be used, or the workload not be run.
pub async fn discover(
    investigation: &Investigation,
    name: &str,
    options: DiscoveryOptions<'_>,
    progress: &dyn Fn(&str),
) -> anyhow::Result<Discovery> {
    let mut experiments = investigation.experiments.iter();
    let experiment = experiments.find(|experiment| experiment.name == name);
    let experiment = experiment.with_context(|| format!("there is no experiment `{name}`"))?;
    if let Some(reason) = guests_only_reason(experiment, options.ephemeral) {
        anyhow::bail!("{reason}");
    }
    let btf = std::fs::read(BTF).with_context(|| {
        format!("failed to read the kernel's types from {BTF}: a kernel with CONFIG_DEBUG_INFO_BTF is needed")
    })?;
    let types = Btf::parse(&btf).context("failed to understand the kernel's types")?;
    let workload = plan::plan_workload_alone(&types, &experiment.workload)
        .map_err(|why| anyhow::anyhow!("{why}"))?;
    let spec = workload_spec(experiment, &workload, options.folder)?;
    progress("switching the tracer on");
    let tracer = Tracer::start_with_arguments(options.ephemeral)?;
    progress("running the workload under the tracer");
    let traced = tracer.trace_until_complete(&spec).await?;
    let has_arguments = tracer.records_arguments();
    tracer.stop()?;
    progress("reading the kernel's symbols");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Discovery {
        arch: Arch::HOST,
        release: release.trim().to_owned(),
        build_id: running::read_build_id()
            .map(|id| id.to_string())
            .map_err(Reason::from_error),
        kallsyms: running::read_kallsyms_text().map_err(Reason::from_error),
        btf: (options.types || has_arguments).then_some(btf),
        workload,
        graph: traced.graph,
        stderr: traced.outcome.stderr,
    })
}
