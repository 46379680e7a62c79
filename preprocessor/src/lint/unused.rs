//! `unused-evidence`: values that the investigation asks for and no placeholder, claim or exhibit uses.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::{Experiment, Investigation, Probe};
use qed_evidence::observation::copies::excluding_probes;
use qed_evidence::path::hit_number;

use crate::config::Lint;
use crate::evidence::book_data::BookData;
use crate::evidence::provenance::Use;
use crate::lint::findings::LintFindings;

/// Complain once about each experiment of the investigation that captures what nothing uses.
pub fn check(uses: &[Vec<Use>], book_data: &BookData<'_>, found: &mut LintFindings<'_>) {
    let investigation = &book_data.evidence_set.investigation;
    let mut used = UsedPaths::new(uses.iter().flatten().map(|used| used.path.as_str()));
    used.add_silent_holders(book_data);
    for gap in find_unused_parts(investigation, &used) {
        let complaint = Diagnostic::error(&investigation.source, gap.span.clone(), gap.message())
            .help(gap.help());
        found.report(Lint::UnusedEvidence, complaint);
    }
}

/// All paths that the book uses, without the numbers of hits.
struct UsedPaths(BTreeSet<String>);

impl UsedPaths {
    fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        UsedPaths(paths.map(strip_hit_numbers).collect())
    }

    /// Add the probes whose silence rules out inlined copies of functions that the book counts.
    fn add_silent_holders(&mut self, book_data: &BookData<'_>) {
        for machine in &book_data.indexed {
            for (name, experiment) in &machine.evidence.experiments {
                let counted = experiment
                    .probes
                    .iter()
                    .filter(|(probe, _)| self.uses(&format!("{name}.{probe}.hits")));
                let holders: Vec<String> = counted
                    .flat_map(|(_, probe)| excluding_probes(machine.evidence, experiment, probe))
                    .map(|holder| format!("{name}.{holder}.hits"))
                    .collect();
                self.0.extend(holders);
            }
        }
    }

    /// True if the book uses this path, anything below it, or all of something above it.
    fn uses(&self, path: &str) -> bool {
        let below = format!("{path}.");
        let mut above = path;
        loop {
            if self.0.contains(above) {
                return true;
            }
            match above.rsplit_once('.') {
                Some((shorter, _)) => above = shorter,
                None => break,
            }
        }
        self.0
            .range(below.clone()..)
            .next()
            .is_some_and(|next| next.starts_with(&below))
    }
}

/// A path without its `hitN`; of `create.alloc#leaked`, what a claim reads of one probe's ledger, the leaf.
fn strip_hit_numbers(path: &str) -> String {
    let names: Vec<&str> = path
        .split(['.', '#'])
        .filter(|name| hit_number(name).is_none())
        .collect();
    names.join(".")
}

/// The unused parts of one experiment.
#[derive(Debug, Default, PartialEq, Eq)]
struct UnusedParts {
    /// The experiment; empty for what belongs to none.
    experiment: String,
    /// The place of the first of it in the investigation.
    span: Range<usize>,
    /// Nothing of the experiment is used at all.
    whole: bool,
    probes: Vec<String>,
    reads: Vec<String>,
    /// Symbols and options of the kernel's configuration, by path.
    others: Vec<String>,
}

impl UnusedParts {
    fn message(&self) -> String {
        let experiment = &self.experiment;
        if self.whole {
            return format!("experiment `{experiment}` is run, and the book uses nothing of it");
        }
        let count = |list: &[String], one: &str, many: &str| match list.len() {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let counts: Vec<String> = [
            count(&self.probes, "probe", "probes"),
            count(&self.reads, "read", "reads"),
            count(&self.others, "value", "values"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let of = if experiment.is_empty() {
            String::new()
        } else {
            format!(" of experiment `{experiment}`")
        };
        format!("the book never uses {}{of}", counts.join(" and "))
    }

    fn help(&self) -> String {
        let names: Vec<&str> = [&self.probes, &self.reads, &self.others]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let advice =
            "use it in a placeholder, a claim or an exhibit, or delete it from the investigation";
        if names.is_empty() {
            advice.to_owned()
        } else {
            format!("{}: {advice}", names.join(", "))
        }
    }

    fn move_to_earlier(&mut self, span: &Range<usize>) {
        if self.span.is_empty() || span.start < self.span.start {
            self.span = span.clone();
        }
    }
}

/// The unused parts, in the order of the file. An inherited probe or read is used if one of the experiments uses it, and is reported
/// where it is written.
fn find_unused_parts(investigation: &Investigation, used: &UsedPaths) -> Vec<UnusedParts> {
    let mut gaps: Vec<UnusedParts> = Vec::new();
    // Where each probe is written: the first experiment that has it, and all that have it.
    let mut written: BTreeMap<usize, Vec<(&Experiment, &Probe)>> = BTreeMap::new();
    for experiment in &investigation.experiments {
        for probe in &experiment.probes {
            written
                .entry(probe.span.start)
                .or_default()
                .push((experiment, probe));
        }
    }
    for experiment in &investigation.experiments {
        let mut gap = UnusedParts {
            experiment: experiment.name.clone(),
            ..UnusedParts::default()
        };
        if !used.uses(&experiment.name)
            && !shows_other_probes_can_fire(experiment, investigation, used)
        {
            gap.whole = true;
            gap.span = experiment.span.clone();
            gaps.push(gap);
            continue;
        }
        for all in written.values() {
            let Some((first, probe)) = all
                .first()
                .filter(|(first, _)| first.name == experiment.name)
            else {
                continue;
            };
            if !all
                .iter()
                .any(|(e, p)| uses_probe(e, p, investigation, used))
            {
                gap.move_to_earlier(&probe.span);
                gap.probes.push(format!("{}.{}", first.name, probe.name));
                continue;
            }
            for (at, reads) in [("entry", &probe.entry), ("exit", &probe.exit)] {
                for read in reads {
                    let path = |e: &Experiment, p: &Probe| {
                        format!("{}.{}.{at}.{}", e.name, p.name, read.name)
                    };
                    if !all.iter().any(|(e, p)| used.uses(&path(e, p))) {
                        let span = if read.span.is_empty() {
                            &probe.span
                        } else {
                            &read.span
                        };
                        gap.move_to_earlier(span);
                        gap.reads.push(path(first, probe));
                    }
                }
            }
        }
        if !gap.span.is_empty() {
            gaps.push(gap);
        }
    }
    gaps.extend(find_unused_values(investigation, used));
    gaps.sort_by_key(|gap| gap.span.start);
    gaps
}

/// True if the probe does something for the book: shows a value, acts, keeps the ledger, or makes the silence
/// of the same probe in another experiment mean something.
fn uses_probe(
    experiment: &Experiment,
    probe: &Probe,
    investigation: &Investigation,
    used: &UsedPaths,
) -> bool {
    let acts = probe.signal.is_some() || probe.deny.is_some();
    let keeps_ledger = probe.allocates.is_some() || probe.frees.is_some();
    acts || used.uses(&format!("{}.{}", experiment.name, probe.name))
        || keeps_ledger && used.uses(&format!("{}.objects", experiment.name))
        || is_counterpart_of_silence(experiment, probe, investigation, used)
}

/// True if the probe, or one like it, has hits here and is claimed to have none elsewhere.
fn is_counterpart_of_silence(
    experiment: &Experiment,
    probe: &Probe,
    investigation: &Investigation,
    used: &UsedPaths,
) -> bool {
    investigation.experiments.iter().any(|other| {
        other.name != experiment.name
            && other.probes.iter().any(|p| {
                p.has_same_target(probe) && used.uses(&format!("{}.{}.hits", other.name, p.name))
            })
    })
}

fn shows_other_probes_can_fire(
    experiment: &Experiment,
    investigation: &Investigation,
    used: &UsedPaths,
) -> bool {
    experiment
        .probes
        .iter()
        .any(|probe| is_counterpart_of_silence(experiment, probe, investigation, used))
}

/// Symbols, options and commands that nothing uses, and unused values in a command's output.
fn find_unused_values(investigation: &Investigation, used: &UsedPaths) -> Option<UnusedParts> {
    let named = investigation
        .symbols
        .iter()
        .map(|name| (name, format!("kaslr.symbols.{name}")))
        .chain(
            investigation
                .config
                .iter()
                .map(|name| (name, format!("kernel.config.{name}"))),
        );
    let mut gap = UnusedParts::default();
    for (name, path) in named.filter(|(_, path)| !used.uses(path)) {
        if let Some(at) = investigation.source.text.find(&format!("\"{name}\"")) {
            gap.move_to_earlier(&(at + 1..at + 1 + name.len()));
        }
        gap.others.push(path);
    }
    for command in &investigation.commands {
        let path = format!("commands.{}", command.name);
        let values = command.values.iter();
        let values = values.map(|value| format!("{path}.values.{}", value.name));
        let gaps: Vec<String> = if used.uses(&path) {
            values.filter(|value| !used.uses(value)).collect()
        } else {
            vec![path]
        };
        if !gaps.is_empty() {
            gap.move_to_earlier(&command.span);
            gap.others.extend(gaps);
        }
    }
    (!gap.others.is_empty()).then_some(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVESTIGATION: &str = r#"
symbols = ["_text"]

[[experiment]]
name = "one"
workload = { syscall = "socket", args = [1, 1, 0] }

[[experiment.probe]]
function = "a"
reads = [
    { at = "entry", name = "x", path = "p->x" },
    { at = "exit", name = "y", path = "p->y" },
]

[[experiment.probe]]
function = "b"

[[experiment]]
name = "two"
inherit = "one"

[[experiment.probe]]
function = "c"

[[experiment]]
name = "three"
workload = { syscall = "socket", args = [1, 1, 0] }

[[experiment.probe]]
function = "d"
"#;

    fn complaints(paths: &[&str]) -> Vec<String> {
        let investigation = qed_evidence::investigation::parse("t.toml", INVESTIGATION)
            .unwrap_or_else(|e| panic!("{e:?}"));
        let used = UsedPaths::new(paths.iter().copied());
        find_unused_parts(&investigation, &used)
            .iter()
            .map(|gap| {
                let line = INVESTIGATION[..gap.span.start].lines().count();
                let list = gap.help();
                format!(
                    "{line}: {}: {}",
                    gap.message(),
                    list.split(':').next().unwrap_or_default()
                )
            })
            .collect()
    }

    /// Check that everything that nothing uses is told once, where it is written, and that a use of any experiment
    /// that inherits a probe counts for all.
    #[test]
    fn tells_each_once() {
        let text = "2: the book never uses 1 value: kaslr.symbols._text";
        let three = "26: experiment `three` is run, and the book uses nothing of it: use it in a placeholder, a claim \
                     or an exhibit, or delete it from the investigation";
        let used = [
            "one.a.entry.x",
            "two.a.hit2.exit.y",
            "two.b.return",
            "two.c.hits",
        ];
        assert_eq!(complaints(&used), [text, three]);
        assert_eq!(
            complaints(&[
                "one.a.args.p",
                "two.outcome.returned",
                "three.d.order",
                "kaslr.symbols._text.live"
            ]),
            [
                "11: the book never uses 1 probe and 2 reads of experiment `one`: one.b, one.a.entry.x, one.a.exit.y",
                "23: the book never uses 1 probe of experiment `two`: two.c",
            ]
        );
        assert_eq!(
            complaints(&["one", "two", "three", "kaslr"]),
            [] as [&str; 0]
        );
    }

    /// Check that a command counts that is shown, and one of its values only where something rests on it.
    #[test]
    fn commands() {
        let text = format!(
            "[[command]]\nname = \"c\"\nrun = [\"x\"]\nvalues = [{{ name = \"v\", pattern = \"a\" }}]\n{}",
            INVESTIGATION
                .trim_start()
                .trim_start_matches("symbols = [\"_text\"]")
        );
        let investigation =
            qed_evidence::investigation::parse("t.toml", &text).unwrap_or_else(|e| panic!("{e:?}"));
        let all = ["one", "two", "three"];
        let missing = |more: &[&str]| -> Vec<String> {
            let used = UsedPaths::new(all.iter().chain(more).copied());
            let gaps = find_unused_parts(&investigation, &used);
            gaps.into_iter().flat_map(|gap| gap.others).collect()
        };
        assert_eq!(missing(&[]), ["commands.c"]);
        assert_eq!(missing(&["commands.c.output"]), ["commands.c.values.v"]);
        assert_eq!(missing(&["commands.c.values.v"]), [""; 0]);
    }

    /// Check that a probe whose silence elsewhere is claimed counts where it fires.
    #[test]
    fn probes_that_show_others_can_fire_count() {
        let never = ["one.a", "one.b.hits", "two", "three", "kaslr"];
        assert_eq!(complaints(&never), [] as [&str; 0]);
        let text = INVESTIGATION.replace("function = \"d\"", "function = \"b\"");
        let investigation = qed_evidence::investigation::parse("t.toml", &text).unwrap();
        let used = UsedPaths::new(["one.a", "one.b.hits", "two", "kaslr"].into_iter());
        assert_eq!(find_unused_parts(&investigation, &used), []);
    }

    /// Check that names with hits, ledgers of one probe and names that merely begin alike are told apart.
    #[test]
    fn paths() {
        let used = UsedPaths::new(["e.p.hit3.return", "e.alloc#leaked", "f"].into_iter());
        for (path, expected) in [
            ("e.p.return", true),
            ("e.p", true),
            ("e.alloc", true),
            ("e.all", false),
            ("e.p.ret", false),
            ("f.q.entry.x", true),
            ("g", false),
        ] {
            assert_eq!(used.uses(path), expected, "{path}");
        }
    }
}
