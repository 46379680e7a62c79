//! Arguments that an investigation names and that no machine's function has: they publish and name nothing, which their author
//! cannot have intended.

use std::collections::BTreeSet;
use std::ops::Range;

use super::probe_facts::{SeenExperiments, SeenProbe};
use crate::diagnostic::nearest;
use crate::investigation::{Investigation, Probe as PlannedProbe};

/// An argument that no machine's function has.
pub(super) struct UnknownArgument {
    /// Its place in the file.
    pub span: Range<usize>,
    /// A sentence about it.
    pub message: String,
    /// True if values are named after it, so that something that the author wants is missing.
    pub is_named: bool,
}

/// Each argument in a probe's `public` and `names` that it does not have on any of the machines that
/// know its arguments.
pub(super) fn unknown_arguments(
    investigation: &Investigation,
    machines: &[SeenExperiments],
) -> Vec<UnknownArgument> {
    let experiments = investigation.experiments.iter();
    experiments
        .flat_map(|experiment| {
            let probes = experiment.probes.iter();
            probes.flat_map(|probe| unknown_arguments_of_probe(&experiment.name, probe, machines))
        })
        .collect()
}

/// The names of the arguments that a probe's function has on some machine.
pub(super) fn known_arguments<'m>(
    seen: impl IntoIterator<Item = &'m SeenProbe>,
) -> BTreeSet<&'m str> {
    let seen = seen.into_iter();
    seen.flat_map(|probe| probe.arguments.iter().map(String::as_str))
        .collect()
}

fn unknown_arguments_of_probe(
    experiment: &str,
    planned: &PlannedProbe,
    machines: &[SeenExperiments],
) -> Vec<UnknownArgument> {
    let seen = machines.iter().filter_map(|machine| {
        let seen = machine.get(experiment)?;
        seen.probes.get(&planned.name)
    });
    let known = known_arguments(seen);
    if known.is_empty() {
        return Vec::new();
    }
    let public = planned.public.iter();
    let public = public.filter_map(|path| {
        let place = planned.place_of(|places| places.public.get(path));
        Some(("public", path.strip_prefix("args.")?, place))
    });
    let named = planned.names.keys().map(|name| {
        let place = planned.place_of(|places| places.arguments.get(name));
        ("names", name.as_str(), place)
    });
    public
        .chain(named)
        .filter(|(_, name, _)| !known.contains(name))
        .map(|(key, name, span)| {
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let all: Vec<&str> = known.iter().copied().collect();
                    format!("it has `{}`", all.join("`, `"))
                }
            };
            UnknownArgument {
                span,
                message: format!(
                    "`{key}` of `{experiment}.{}` lists `{name}`, which is not an argument of it: {help}",
                    planned.name
                ),
                is_named: key == "names" && !planned.optional,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::probe_facts::collect_seen_experiments;

    /// Check that a misspelt argument in `public` is told with the nearest one, and those that exist are not.
    #[test]
    fn misspelt_arguments() {
        let evidence = crate::testing::evidence();
        let report = |listed: &str| {
            let mut investigation = crate::testing::investigation();
            let create = investigation
                .experiments
                .iter_mut()
                .find(|one| one.name == "create");
            let probes = &mut create.unwrap().probes;
            let probe = probes.iter_mut().find(|one| one.name == "fd_install");
            probe.unwrap().public = vec![listed.to_owned(), "return".into()];
            let report = unknown_arguments(
                &investigation,
                &[collect_seen_experiments(&investigation, &evidence)],
            )
            .into_iter();
            report.map(|one| one.message).collect::<Vec<_>>()
        };
        assert!(report("args.file").is_empty());
        assert!(report("entry.anything").is_empty());
        assert_eq!(
            report("args.fiel"),
            [
                "`public` of `create.fd_install` lists `fiel`, which is not an argument of it: did you mean `file`?"
            ]
        );
    }
}
