//! Experiments: a workload, its limits and its probes, with what they inherit.

use super::check::{FileChecker, MAX_TIMEOUT_MS};
use super::raw::{RawExperiment, RawProbe, Until};
use super::spanned::Spanned;
use crate::diagnostic::nearest;
use crate::document::Target;
use crate::investigation::{
    Action, Experiment, LeakExemption, OUTPUT_OF_WORKLOAD, Probe, Workload,
};
use crate::path::refuse_experiment_name;

/// Advice for two probes of one function under the same condition.
const ONE_PROBE: &str =
    "put all reads of one function into one probe, or give the probes different `within`";
/// Advice for those under different ones.
const ONLY_READS: &str = "probes of one function with different `within` can only read: leave out `signal`, `allocates` and `frees`";

impl FileChecker {
    pub(super) fn experiment(
        &mut self,
        mut raw: RawExperiment,
        earlier: &[Experiment],
    ) -> Option<Experiment> {
        let inherits = raw.inherit.as_ref().map(Spanned::get_ref);
        if inherits.is_some_and(|parent| self.refused.contains(parent)) {
            return None;
        }
        let span = raw.name.span();
        if let Some(reason) = refuse_experiment_name(raw.name.get_ref()) {
            self.error(
                span.clone(),
                format!("the experiment cannot have this name: {reason}"),
            );
        }
        let parent = self.parent(raw.inherit.as_ref(), earlier);
        let workload = self.experiment_workload(&mut raw, parent)?;
        self.check_times(&raw);
        let modules = self.modules(raw.modules.take(), parent);
        let max_output = self.max_output(raw.max_output.take());
        let graph = self.graph(raw.graph.as_ref(), &workload);
        let graph_functions = self.graph_functions(std::mem::take(&mut raw.graph_functions), graph);
        self.check_graph_probes(&graph_functions, parent);
        raw.probe
            .extend(unprobed_functions(&graph_functions, &raw.probe, parent));
        let probes = self.probes(std::mem::take(&mut raw.probe), parent);
        if let Some(probe) =
            (probes.iter()).find(|probe| probe.signal.is_some() || probe.deny.is_some())
            && graph
        {
            self.error(
                span.clone(),
                "`graph` records a run without probes, and a probe of this experiment acts on the workload",
            )
            .help = Some(format!(
                "record the graph in an experiment without `{}`",
                probe.name
            ));
        }
        if probes.is_empty() && !graph {
            let message = format!("experiment `{}` has no probe", raw.name.get_ref());
            self.error(span.clone(), message).help = Some(
                "add an `[[experiment.probe]]` with a `function` or a `tracepoint`, or `graph = true`".into(),
            );
        }
        Some(Experiment {
            name: raw.name.into_inner(),
            span,
            inherits: parent.map(|parent| parent.name.clone()),
            workload,
            modules,
            isolated: raw.isolated,
            cost: raw.cost,
            graph,
            graph_functions: graph_functions
                .into_iter()
                .map(Spanned::into_inner)
                .collect(),
            warm_up: raw.warm_up.or(parent.map(|p| p.warm_up)).unwrap_or(0),
            settle_ms: raw.settle_ms.map_or(0, Spanned::into_inner),
            timeout_ms: raw.timeout_ms.map_or(5_000, Spanned::into_inner),
            grace_ms: raw.grace_ms.map_or(500, Spanned::into_inner),
            max_output: max_output
                .or(parent.map(|p| p.max_output))
                .unwrap_or(OUTPUT_OF_WORKLOAD),
            until_exit: raw
                .until
                .map_or(parent.is_some_and(|p| p.until_exit), |u| u == Until::Exit),
            follow: raw.follow.unwrap_or(parent.is_some_and(|p| p.follow)),
            excuses: raw
                .excuse
                .into_iter()
                .map(|e| LeakExemption {
                    span: e.within.span(),
                    within: e.within.into_inner(),
                    reason: e.reason,
                })
                .chain(parent.into_iter().flat_map(|p| p.excuses.clone()))
                .collect(),
            probes,
        })
    }

    /// True if the call's functions are wanted, which only the call of one thread has.
    fn graph(&mut self, wanted: Option<&Spanned<bool>>, workload: &Workload) -> bool {
        let Some(wanted) = wanted.filter(|wanted| *wanted.get_ref()) else {
            return false;
        };
        let message = match &workload.action {
            Action::Command(_) => {
                "`graph` is the tree of one system call, and this workload is a command"
            }
            Action::Syscall { .. } if workload.threads > 1 => {
                "`graph` is the tree of one call, and this workload makes one in each of several threads"
            }
            Action::Syscall { .. } if workload.call_count() > 1 => {
                "`graph` is the tree of one call, and this workload makes several in sequence"
            }
            Action::Syscall { .. } => return true,
        };
        self.error(wanted.span(), message).help = Some(
            "make the call that matters a workload of its own: { syscall = \"…\", args = […] }"
                .into(),
        );
        false
    }

    /// The names of functions whose copies are looked up for the graph.
    fn graph_functions(
        &mut self,
        wanted: Vec<Spanned<String>>,
        graph: bool,
    ) -> Vec<Spanned<String>> {
        let mut names = Vec::new();
        for name in wanted {
            let problem = if !graph {
                "`graph-functions` belongs to `graph = true`"
            } else if !crate::path::is_identifier(name.get_ref()) {
                "this cannot be a function: write its name as the source does"
            } else {
                names.push(name);
                continue;
            };
            self.error(name.span(), problem);
        }
        names
    }

    /// Refuse a function whose probe would take the place of an inherited one of another place.
    fn check_graph_probes(&mut self, functions: &[Spanned<String>], parent: Option<&Experiment>) {
        for function in functions {
            let name = function.get_ref();
            let Some(inherited) = parent.and_then(|parent| parent.probe(name)) else {
                continue;
            };
            if inherited.target.function() == Some(name) {
                continue;
            }
            let message = format!(
                "`{name}` in `graph-functions` would get a probe of that name, and the inherited probe `{name}` is of another place"
            );
            self.error(function.span(), message).help =
                Some(format!("add a probe on `{name}` with another `name`"));
        }
    }

    /// The modules of an experiment, its own or the inherited ones, as the kernel calls them.
    fn modules(
        &mut self,
        own: Option<Vec<Spanned<String>>>,
        parent: Option<&Experiment>,
    ) -> Vec<String> {
        let Some(own) = own else {
            return parent.map(|p| p.modules.clone()).unwrap_or_default();
        };
        let mut modules: Vec<String> = Vec::new();
        for name in own {
            // A file may have a dash in its name where the kernel has a low line.
            let word = name.get_ref().replace('-', "_");
            if !is_module(&word) {
                let message = format!("`{}` cannot be a module", name.get_ref());
                self.error(name.span(), message).help = Some(
                    "write its name as `lsmod` does, such as \"inet_diag\", without a path and without `.ko`".into(),
                );
            } else if modules.contains(&word) {
                let message = format!("the module `{word}` is there twice");
                self.error(name.span(), message);
            } else {
                modules.push(word);
            }
        }
        modules
    }

    /// The experiment above that this one inherits from.
    fn parent<'e>(
        &mut self,
        inherit: Option<&Spanned<String>>,
        earlier: &'e [Experiment],
    ) -> Option<&'e Experiment> {
        let parent = inherit?;
        let found = earlier.iter().find(|e| e.name == *parent.get_ref());
        if found.is_none() {
            let near = nearest(parent.get_ref(), earlier.iter().map(|e| e.name.as_str()));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("no experiment `{}` above this one", parent.get_ref());
            self.error(parent.span(), message).help = help;
        }
        found
    }

    /// The workload of an experiment, its own or the inherited one, with the limits and capabilities that it runs with.
    fn experiment_workload(
        &mut self,
        raw: &mut RawExperiment,
        parent: Option<&Experiment>,
    ) -> Option<Workload> {
        let mut workload = match (raw.workload.take(), parent) {
            (Some(workload), _) => self.workload(workload)?,
            (None, Some(parent)) => parent.workload.clone(),
            // That there is no such experiment has been said.
            (None, None) if raw.inherit.is_some() => return None,
            (None, None) => {
                let message = format!("experiment `{}` has no workload", raw.name.get_ref());
                self.error(raw.name.span(), message).help = Some(
                    "add `workload = { syscall = \"…\", args = […] }` or `workload = { command = […] }`".into(),
                );
                return None;
            }
        };
        for (name, value) in std::mem::take(&mut raw.limits) {
            workload.limits.push((name, value.into_inner()));
        }
        let capabilities = raw.capabilities.as_ref();
        match capabilities.map(|c| (c.get_ref().as_str(), c.span())) {
            None | Some(("keep", _)) => {}
            Some(("none", _)) => workload.drop_capabilities = true,
            Some((other, span)) => {
                self.error(
                    span,
                    format!("capabilities can be \"keep\" or \"none\", not \"{other}\""),
                );
            }
        }
        Some(workload)
    }

    /// Checks that all times of an experiment are within the longest that a workload may take.
    fn check_times(&mut self, raw: &RawExperiment) {
        if let Some(timeout) = &raw.timeout_ms
            && !(1..=MAX_TIMEOUT_MS).contains(timeout.get_ref())
        {
            let message = format!("timeout-ms must be between 1 and {MAX_TIMEOUT_MS}");
            self.error(timeout.span(), message);
        }
        for (key, time) in [("settle-ms", &raw.settle_ms), ("grace-ms", &raw.grace_ms)] {
            if let Some(time) = time
                && *time.get_ref() > MAX_TIMEOUT_MS
            {
                let message = format!("{key} must be at most {MAX_TIMEOUT_MS}");
                self.error(time.span(), message);
            }
        }
    }

    /// The probes of an experiment: those of its parent, in their places, and its own, which replace them by name.
    fn probes(&mut self, raw: Vec<RawProbe>, parent: Option<&Experiment>) -> Vec<Probe> {
        let mut probes: Vec<Probe> = parent.map(|p| p.probes.clone()).unwrap_or_default();
        let mut own: Vec<Probe> = Vec::new();
        for raw_probe in raw {
            let Some(probe) = self.probe(raw_probe) else {
                continue;
            };
            if let Some(first) = own.iter().find(|p| p.name == probe.name) {
                let first = self.line_of(first.span.start);
                let message = format!("probe `{}` is already defined in line {first}", probe.name);
                self.error(probe.span.clone(), message).help =
                    Some("give one of them another `name`".into());
                continue;
            }
            own.push(probe);
        }
        for probe in own {
            match probes.iter_mut().find(|p| p.name == probe.name) {
                Some(inherited) => *inherited = probe,
                None => probes.push(probe),
            }
        }
        self.check_duplicate_functions(&probes);
        probes
    }

    /// Refuse two probes of one function at one offset: that is one kprobe, whose reads belong together. Probes with another `within` are
    /// told apart, but what a probe does at a hit, beyond reading, is done whatever its condition says.
    fn check_duplicate_functions(&mut self, probes: &[Probe]) {
        let only_reads = |probe: &Probe| {
            probe.signal.is_none() && probe.allocates.is_none() && probe.frees.is_none()
        };
        for (index, probe) in probes.iter().enumerate() {
            let mut twins = probes[..index].iter().filter(|other| {
                matches!(probe.target, Target::Function(_))
                    && other.target == probe.target
                    && other.position == probe.position
                    && (other.file == probe.file || other.file.is_none() || probe.file.is_none())
            });
            let refused = twins.find_map(|twin| {
                let reads = only_reads(twin) && only_reads(probe);
                match (twin.within == probe.within, reads) {
                    (true, _) => Some((twin, ONE_PROBE)),
                    (false, false) => Some((twin, ONLY_READS)),
                    (false, true) => None,
                }
            });
            if let Some((twin, help)) = refused {
                let message = format!(
                    "probes `{}` and `{}` watch the same function",
                    twin.name, probe.name
                );
                self.error(probe.span.clone(), message).help = Some(help.into());
            }
        }
    }
}

/// True if a text can be the name of a module, which is also a name in paths.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/module.h#L335>
fn is_module(name: &str) -> bool {
    const MODULE_NAME_LEN: usize = 64 - size_of::<u64>();
    name.len() < MODULE_NAME_LEN
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Probes of the functions that claims about the tree are to be about, and that no other probe is of: they tell how often each ran in
/// the run that is watched, which the tree is not of.
fn unprobed_functions(
    functions: &[Spanned<String>],
    probes: &[RawProbe],
    parent: Option<&Experiment>,
) -> Vec<RawProbe> {
    let inherited = parent.into_iter().flat_map(|parent| &parent.probes);
    let inherited: Vec<&str> = inherited
        .filter_map(|probe| probe.target.function())
        .collect();
    let is_probed = |name: &str| {
        let own = probes.iter().filter_map(|probe| probe.function.as_ref());
        own.map(|own| own.get_ref().as_str())
            .chain(inherited.iter().copied())
            .any(|one| one == name)
    };
    let is_new = |&(at, name): &(usize, &Spanned<String>)| {
        let mut before = functions[..at].iter();
        !before.any(|one| one.get_ref() == name.get_ref()) && !is_probed(name.get_ref())
    };
    let unprobed = functions.iter().enumerate().filter(is_new);
    unprobed
        .map(|(_, name)| RawProbe {
            function: Some(name.clone()),
            optional: true,
            ..RawProbe::default()
        })
        .collect()
}
