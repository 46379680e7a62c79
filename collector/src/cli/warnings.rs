//! Warnings for whoever runs a capture, which are in the evidence as well.

use qed_evidence::Evidence;
use qed_evidence::value::Datum;

use crate::assemble::TIMED_OUT;
use crate::plan::NO_SUCH;
use crate::session::NOT_RUN;

/// Experiments that went wrong on a machine that could have run them, and probes of names that its kernel does not
/// have, which are often misspelled; each with its reason. Everything else that the machine cannot show is expected:
/// `plan` and the evidence say it.
pub fn warnings(evidence: &Evidence) -> Vec<String> {
    let mut said = mishaps(evidence);
    for (name, experiment) in &evidence.experiments {
        let nameless = experiment.probes.values().filter_map(|probe| {
            let why = probe.unavailable.as_deref().filter(|_| !probe.optional)?;
            why.starts_with(NO_SUCH).then_some(why)
        });
        said.extend(nameless.map(|why| {
            format!(
                "experiment `{name}`: {why}; what was to be read there is UNVERIFIED (`optional = true` in the investigation: \
                 it may be missing)"
            )
        }));
    }
    said
}

fn mishaps(evidence: &Evidence) -> Vec<String> {
    let of = |(name, experiment): (&String, &qed_evidence::document::Experiment)| {
        let why = match &experiment.unavailable {
            Some(why) if why.starts_with(NOT_RUN) => why.clone(),
            Some(_) => return None,
            None => match (experiment.broken(), &experiment.outcome.exit) {
                (Some(why), _) => format!("{why}; its values are errors: capture again"),
                (None, Datum::Unavailable(why)) if why.unavailable == TIMED_OUT => {
                    format!("{TIMED_OUT}; give it a longer `timeout-ms` if it needs that")
                }
                _ => return None,
            },
        };
        Some(format!("experiment `{name}`: {why}"))
    };
    evidence.experiments.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a mishap is told and what a machine cannot show is not.
    #[test]
    fn mishaps() {
        let text = include_bytes!("../../../evidence/testdata/two-experiments.json");
        let mut evidence = qed_evidence::reader::read(text).unwrap();
        assert_eq!(warnings(&evidence), [""; 0]);
        let names: Vec<String> = evidence.experiments.keys().cloned().collect();
        let [first, second] = &names[..] else {
            panic!("{names:?}")
        };
        let at = |evidence: &mut Evidence, name: &str, why: &str| {
            evidence.experiments.get_mut(name).unwrap().unavailable = Some(why.into());
        };
        at(
            &mut evidence,
            first,
            "not run, because probe `x` cannot act",
        );
        at(&mut evidence, second, &format!("{NOT_RUN}: no such file"));
        assert_eq!(
            warnings(&evidence),
            [format!("experiment `{second}`: {NOT_RUN}: no such file")]
        );
        let second = evidence.experiments.get_mut(second).unwrap();
        (second.unavailable, second.quality.lost) = (None, 1);
        let said = warnings(&evidence).concat();
        assert!(said.contains("lost 1 of"), "{said}");
        second_timed_out(&mut evidence, &names[1]);
        let said = warnings(&evidence).concat();
        assert!(said.contains("timeout-ms"), "{said}");
    }

    /// Check that a name that the kernel does not have is told, unless it may be missing, and no other gap is.
    #[test]
    fn names() {
        let text = include_bytes!("../../../evidence/testdata/two-experiments.json");
        let evidence = qed_evidence::reader::read(text).unwrap();
        let experiment = evidence.experiments.values().next().unwrap();
        let name = experiment.probes.keys().next().unwrap().clone();
        let set = |optional: bool, why: &str| {
            let mut evidence = evidence.clone();
            let experiment = evidence.experiments.values_mut().next().unwrap();
            let probe = experiment.probes.get_mut(&name).unwrap();
            (probe.optional, probe.unavailable) = (optional, Some(why.into()));
            warnings(&evidence).concat()
        };
        let why = format!("{NO_SUCH} function `x`; the nearest name is `y`");
        assert!(set(false, &why).contains("the nearest name is `y`"));
        assert_eq!(set(true, &why), "");
        assert_eq!(set(false, "this kernel offers no kprobes"), "");
    }

    fn second_timed_out(evidence: &mut Evidence, name: &str) {
        let experiment = evidence.experiments.get_mut(name).unwrap();
        experiment.quality.lost = 0;
        experiment.outcome.exit = Datum::unavailable(TIMED_OUT);
    }
}
