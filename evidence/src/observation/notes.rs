//! Notes for the author of an investigation: probes and reads that no machine can perform, and reads that probably do not get
//! what was intended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arguments::{known_arguments, unknown_arguments};
use super::builder_paths::builder_paths;
use super::probe_facts::{SeenExperiment, SeenExperiments, SeenProbe, collect_seen_experiments};
use crate::diagnostic::Diagnostic;
use crate::document::{Evidence, Reads, UnwatchedCause};
use crate::investigation::{Experiment, Investigation, OTHER_ARCH, Probe, Read};

/// The number of probes that a note names before it says how many more there are.
const SHOWN: usize = 4;

/// The time at which notes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After a capture: they are warnings.
    Captured,
    /// Before one, from a plan: what is refused is an error.
    Planned,
}

/// All notes about captures, as warnings at their places in the investigation, in its order: probes that could not be attached on
/// any of the machines, and reads and named arguments that none of their kernels can do, unless the probe is optional; arguments in
/// `public` and `names` that no function has; pointers to bytes that may be texts; hits that interrupts caused; experiments that did
/// not run, and workloads that a signal ended; paths in workloads that only this machine has. Machines on which an experiment did not run say nothing about its probes.
pub fn notes(investigation: &Investigation, machines: &[&Evidence]) -> Vec<Diagnostic> {
    let machines: Vec<SeenExperiments> = machines
        .iter()
        .map(|machine| collect_seen_experiments(investigation, machine))
        .collect();
    notes_of(investigation, &machines, Moment::Captured)
}

/// The notes about the capture of one machine. That no function of it can make an excuse hold is none of them if one of `others`,
/// captures of the same investigation, has the function.
pub fn notes_beside(
    investigation: &Investigation,
    machine: &Evidence,
    others: &[&Evidence],
) -> Vec<Diagnostic> {
    let collect = |evidence| collect_seen_experiments(investigation, evidence);
    let others: Vec<SeenExperiments> = others.iter().map(|one| collect(one)).collect();
    collect_notes(
        investigation,
        &[collect(machine)],
        &others,
        Moment::Captured,
    )
}

/// The same of machines that were captured or planned for.
pub fn notes_of(
    investigation: &Investigation,
    machines: &[SeenExperiments],
    moment: Moment,
) -> Vec<Diagnostic> {
    collect_notes(investigation, machines, &[], moment)
}

/// The same, where `others` are machines that excuses are meant for as well.
fn collect_notes(
    investigation: &Investigation,
    machines: &[SeenExperiments],
    others: &[SeenExperiments],
    moment: Moment,
) -> Vec<Diagnostic> {
    let mut found = builder_paths(investigation);
    let mut unattached: BTreeMap<(UnwatchedCause, String), Vec<(String, &Probe)>> = BTreeMap::new();
    let mut not_run: BTreeMap<String, Vec<&Experiment>> = BTreeMap::new();
    for experiment in &investigation.experiments {
        found.extend(signal_note(investigation, experiment, machines));
        // An excuse may be inherited by many experiments.
        for note in excuse_notes(investigation, experiment, machines, others) {
            if !found.contains(&note) {
                found.push(note);
            }
        }
        if let Some(reason) = not_run_reason(experiment, machines) {
            not_run.entry(reason).or_default().push(experiment);
            continue;
        }
        for probe in &experiment.probes {
            let seen = observed_probes(experiment, probe, machines);
            let path = format!("{}.{}", experiment.name, probe.name);
            match common_reason(&seen, |probe| probe.unavailable.clone()) {
                Some(_) if probe.optional => {}
                Some((_, reason)) if reason.starts_with(OTHER_ARCH) => {}
                Some(reason) => unattached.entry(reason).or_default().push((path, probe)),
                None => {
                    found.extend(doubt_note(investigation, probe, &path, &seen, moment));
                    found.extend(read_notes(investigation, probe, &path, &seen, moment));
                }
            }
        }
    }
    found.extend(unattached.iter().filter_map(|((what, reason), probes)| {
        let (_, first) = probes.first()?;
        let named = format_names(probes.iter().map(|(path, _)| path));
        let is = match moment {
            Moment::Captured => "was",
            Moment::Planned => "would be",
        };
        let message = format!("nothing {is} watched by {named}: {reason}");
        let help =
            "what is read there is UNVERIFIED; a probe that may be missing is `optional = true`";
        let place = match what {
            UnwatchedCause::Within => first.place_of(|places| places.within.as_ref()),
            UnwatchedCause::Target | UnwatchedCause::Experiment => first.span.clone(),
        };
        Some(refusal_note(investigation, place, message, moment).help(help))
    }));
    found.extend(not_run.iter().filter_map(|(reason, experiments)| {
        let named = format_names(experiments.iter().map(|experiment| &experiment.name));
        let were = if experiments.len() == 1 {
            "was"
        } else {
            "were"
        };
        let message = format!("{named} {were} {reason}");
        let first = experiments.first()?;
        let place = investigation.refused_place(&first.workload, reason);
        let place = place.unwrap_or_else(|| first.span.clone());
        let note = note_at(investigation, place, message);
        Some(note.help("what it would show is UNVERIFIED"))
    }));
    let unknown = unknown_arguments(investigation, machines).into_iter();
    found.extend(unknown.map(|one| match one.is_named {
        true => refusal_note(investigation, one.span, one.message, moment),
        false => note_at(investigation, one.span, one.message),
    }));
    found.sort_by_key(|note| note.place.as_ref().map(|(_, span)| span.start));
    found
}

/// The first of these names as code, and how many more there are.
fn format_names<'n>(names: impl ExactSizeIterator<Item = &'n String>) -> String {
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<String> = names.take(SHOWN).map(|name| format!("`{name}`")).collect();
    named.join(", ") + &more
}

/// The reason why no machine ran an experiment, as a sentence that goes on from its name: `not run: …`. Each of its probes has it
/// then.
fn not_run_reason(experiment: &Experiment, machines: &[SeenExperiments]) -> Option<String> {
    let reasons: Option<Vec<String>> = experiment
        .probes
        .iter()
        .map(|probe| {
            let seen = observed_probes(experiment, probe, machines);
            common_reason(&seen, |probe| probe.unavailable.clone())
                .filter(|(what, _)| *what == UnwatchedCause::Experiment)
                .map(|(_, reason)| reason)
        })
        .collect();
    reasons?.into_iter().next()
}

/// A note about a workload that a signal ended which no probe raised.
fn signal_note(
    investigation: &Investigation,
    experiment: &Experiment,
    machines: &[SeenExperiments],
) -> Option<Diagnostic> {
    if experiment.probes.iter().any(|probe| probe.signal.is_some()) {
        return None;
    }
    let mut seen = machines.iter().filter_map(|all| all.get(&experiment.name));
    let signal = seen.find_map(|seen| seen.signal.as_ref())?;
    let message = format!(
        "the workload of `{}` was ended by {signal}",
        experiment.name
    );
    let note = note_at(investigation, experiment.span.clone(), message);
    Some(note.help("what it did not come to do is not in the evidence"))
}

/// A note about a probe whose `within` may hold at no hit of any machine, as where its function is misspelt and no debug information
/// says whether there is one.
fn doubt_note(
    investigation: &Investigation,
    probe: &Probe,
    path: &str,
    seen: &[&SeenProbe],
    moment: Moment,
) -> Option<Diagnostic> {
    let doubt = seen.iter().find_map(|seen| seen.doubt.as_ref())?;
    let is_doubtful = |seen: &&SeenProbe| {
        let refused = seen.unavailable.as_ref();
        seen.doubt.is_some() || refused.is_some_and(|(what, _)| *what == UnwatchedCause::Within)
    };
    if probe.optional || !seen.iter().all(is_doubtful) {
        return None;
    }
    let message = match moment {
        Moment::Captured => format!("nothing was counted by `{path}`: {doubt}"),
        Moment::Planned => format!("`{path}` may never count a hit: {doubt}"),
    };
    let place = probe.place_of(|places| places.within.as_ref());
    let help =
        "what is read there is UNVERIFIED then: look at the spelling, or give debug information";
    Some(note_at(investigation, place, message).help(help))
}

/// Notes about excuses that may hold on no machine, neither on one of these nor on one of the `others`.
fn excuse_notes(
    investigation: &Investigation,
    experiment: &Experiment,
    machines: &[SeenExperiments],
    others: &[SeenExperiments],
) -> Vec<Diagnostic> {
    let of_experiment = |all: &'_ [SeenExperiments]| -> Vec<SeenExperiment> {
        let seen = all.iter().filter_map(|all| all.get(&experiment.name));
        seen.filter(|seen| seen.ran).cloned().collect()
    };
    let (seen, beside) = (of_experiment(machines), of_experiment(others));
    let excuses = experiment.excuses.iter().filter_map(|excuse| {
        let within = &excuse.within;
        let doubts = seen.iter().map(|seen| seen.excuses.get(within));
        let doubts: Option<Vec<&String>> = doubts.collect();
        let doubts = doubts?;
        if beside
            .iter()
            .any(|other| !other.excuses.contains_key(within))
        {
            return None;
        }
        let message = excuse.doubt_text(doubts.first()?);
        let (message, spelling) = match doubts.len() + beside.len() {
            1 => (
                message,
                "unless another kernel of the book has it, look at the spelling",
            ),
            all => (
                format!("{message} (and so on each of the {all} machines)"),
                "look at the spelling",
            ),
        };
        let note = note_at(investigation, excuse.span.clone(), message);
        Some(note.help(format!(
            "what was allocated there would count as a leak: {spelling}"
        )))
    });
    excuses.collect()
}

/// A note about a probe some of whose hits are an interrupt's: another capture may have more of them, or none.
fn interrupt_note(
    investigation: &Investigation,
    probe: &Probe,
    path: &str,
    seen: &[&SeenProbe],
) -> Option<Diagnostic> {
    if probe.any_task || probe.within.is_some() || probe.frees.is_some() {
        return None;
    }
    let mixed = |seen: &&&SeenProbe| (1..seen.hits).contains(&seen.interrupts);
    let seen = seen.iter().find(mixed)?;
    let (interrupts, hits) = (seen.interrupts, seen.hits);
    let message = format!(
        "{interrupts} of {hits} hits of `{path}` came in an interrupt on top of the workload, so another capture may number them differently"
    );
    let note = note_at(investigation, probe.span.clone(), message);
    Some(note.help("`within = \"FUNCTION\"` takes only those that a function of the call causes"))
}

/// A note on one line, for standard error: with the place in the file and the advice.
pub fn format_one_line(note: &Diagnostic) -> String {
    let place = note.place.as_ref().zip(note.line_column());
    let place =
        place.map(|((source, _), (line, column))| format!(" ({}:{line}:{column})", source.name));
    let help = note.help.as_ref().map(|help| format!("; {help}"));
    let (place, help) = (place.unwrap_or_default(), help.unwrap_or_default());
    format!("{}{place}{help}", note.message)
}

fn note_at(
    investigation: &Investigation,
    span: std::ops::Range<usize>,
    message: String,
) -> Diagnostic {
    Diagnostic::error(&Arc::clone(&investigation.source), span, message).warning()
}

/// A note about something that a kernel refuses.
fn refusal_note(
    investigation: &Investigation,
    span: std::ops::Range<usize>,
    message: String,
    moment: Moment,
) -> Diagnostic {
    match moment {
        Moment::Captured => note_at(investigation, span, message),
        Moment::Planned => Diagnostic::error(&Arc::clone(&investigation.source), span, message),
    }
}

/// The probe on each machine on which its experiment ran.
fn observed_probes<'m>(
    experiment: &Experiment,
    probe: &Probe,
    machines: &'m [SeenExperiments],
) -> Vec<&'m SeenProbe> {
    let experiments = machines
        .iter()
        .filter_map(|machine| machine.get(&experiment.name));
    experiments
        .filter(|seen| seen.ran)
        .filter_map(|seen| seen.probes.get(&probe.name))
        .collect()
}

/// The reason of the first machine, if all of them have one.
fn common_reason<R>(seen: &[&SeenProbe], reason: impl Fn(&SeenProbe) -> Option<R>) -> Option<R> {
    let reasons: Option<Vec<R>> = seen.iter().map(|probe| reason(probe)).collect();
    reasons?.into_iter().next()
}

fn read_notes(
    investigation: &Investigation,
    probe: &Probe,
    path: &str,
    seen: &[&SeenProbe],
    moment: Moment,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    found.extend(interrupt_note(investigation, probe, path, seen));
    let known = known_arguments(seen.iter().copied());
    found.extend(probe.names.iter().filter_map(|(argument, set)| {
        // Of one that the function does not have, its names say nothing.
        if !known.is_empty() && !known.contains(argument.as_str()) {
            return None;
        }
        let reason = common_reason(seen, |probe| probe.unreadable.get(argument).cloned());
        let reason = reason.filter(|_| !probe.optional)?;
        let message =
            format!("`{path}.args.{argument}` with the names of `{set}` is not read: {reason}");
        let place = probe.place_of(|places| places.sets.get(argument));
        Some(refusal_note(investigation, place, message, moment))
    }));
    let nameable: BTreeMap<&String, &String> =
        seen.iter().flat_map(|probe| &probe.nameable).collect();
    found.extend(nameable.into_iter().map(|(argument, set)| {
        let message = format!(
            "`{path}.args.{argument}` is a plain number, and this tracepoint has names for it"
        );
        let note = note_at(investigation, probe.span.clone(), message);
        note.help(format!("`names = {{ {argument} = \"{set}\" }}` shows them"))
    }));
    for (side, reads) in [("entry", &probe.entry), ("exit", &probe.exit)] {
        for read in reads {
            let span = probe.span_of(read);
            let reason = common_reason(seen, |probe| {
                reads_of_side(&probe.refused, side).get(&read.name).cloned()
            });
            let wanted = |reason: &String| !probe.optional && !reason.starts_with(OTHER_ARCH);
            if reason
                .as_ref()
                .is_some_and(|reason| reason.starts_with(OTHER_ARCH))
            {
                continue;
            }
            if let Some(reason) = reason.filter(wanted) {
                let is = match moment {
                    Moment::Captured => "is not",
                    Moment::Planned => "would not be",
                };
                let message = format!("`{path}.{side}.{}` {is} read: {reason}", read.name);
                found.push(refusal_note(investigation, span.clone(), message, moment));
                continue;
            }
            let mut types = seen
                .iter()
                .filter_map(|probe| reads_of_side(&probe.addresses, side).get(&read.name));
            if let Some(type_name) = types.find(|name| may_be_text(name, &read.expression)) {
                let message = format!(
                    "`{path}.{side}.{}` is an address: `{type_name}` may point to a text or to any bytes",
                    read.name
                );
                let note = note_at(investigation, span.clone(), message);
                found.push(note.help(text_cast_advice(&read.expression)));
            }
            for (member, type_name) in address_members(read, side, seen) {
                let expression = member_of(&read.expression, &member);
                if is_read_too(&expression, reads) {
                    continue;
                }
                let message = format!(
                    "`{path}.{side}.{}.{member}` is an address: `{type_name}` may point to a text or to any bytes",
                    read.name
                );
                let help = format!(
                    "a read of its own, `(const char *){expression}`, reads the text; one of `(void *){expression}` says that the address is meant"
                );
                found.push(note_at(investigation, span.clone(), message).help(help));
            }
        }
    }
    found
}

/// The members of a structure that is read whole that are addresses of bytes, with their types.
fn address_members(read: &Read, side: &str, seen: &[&SeenProbe]) -> BTreeMap<String, String> {
    let types = seen
        .iter()
        .flat_map(|probe| reads_of_side(&probe.addresses, side));
    types
        .filter_map(|(name, type_name)| {
            let member = name.strip_prefix(&read.name)?.strip_prefix('.')?;
            may_be_text(type_name, "").then(|| (member.to_owned(), type_name.clone()))
        })
        .collect()
}

/// The expression of a member of a structure that is read whole by `path`.
fn member_of(path: &str, member: &str) -> String {
    match path.trim().strip_prefix('*') {
        Some(pointer) => format!("{}->{member}", pointer.trim()),
        None => format!("{path}.{member}"),
    }
}

/// True if another read casts the value of this expression.
fn is_read_too(expression: &str, reads: &[Read]) -> bool {
    let bare = |text: &str| text.replace(' ', "");
    let wanted = format!("){}", bare(expression));
    reads.iter().any(|read| {
        read.paths().any(|(path, _)| {
            let path = bare(path);
            path.starts_with('(') && path.ends_with(&wanted)
        })
    })
}

fn reads_of_side<'r>(reads: &'r Reads, side: &str) -> &'r BTreeMap<String, String> {
    match side {
        "entry" => &reads.entry,
        _ => &reads.exit,
    }
}

/// True if `type_name` is a pointer to single bytes that C does not call `char`, and `path` does not cast to one: the kernel keeps
/// names of files and the like so.
pub fn may_be_text(type_name: &str, path: &str) -> bool {
    let Some(target) = type_name.strip_suffix('*') else {
        return false;
    };
    let words: Vec<&str> = target
        .split_whitespace()
        .filter(|word| !["const", "volatile", "__user"].contains(word))
        .collect();
    let bytes = [
        "unsigned char",
        "signed char",
        "u8",
        "__u8",
        "s8",
        "__s8",
        "uint8_t",
        "int8_t",
    ];
    let target = words.join(" ");
    bytes.contains(&target.as_str()) && !path.contains(&format!("{target} *)"))
}

/// Advice for such a pointer.
pub fn text_cast_advice(path: &str) -> String {
    format!(
        "`(const char *){path}` reads the text; `(void *){path}` says that the address is meant"
    )
}

#[cfg(test)]
mod tests {
    use super::super::probe_facts::SeenExperiment;
    use super::*;
    use crate::diagnostic::Severity;
    use crate::value::{Address, Datum, Value};

    fn note_lines(evidence: &[&Evidence]) -> Vec<String> {
        let all = notes(&crate::testing::investigation(), evidence);
        all.iter().map(format_one_line).collect()
    }

    /// Check that a probe and a read that no machine has are told with their places, that one machine that has them is enough,
    /// and that nothing is told of what may be missing.
    #[test]
    fn what_no_machine_has() {
        let good = crate::testing::evidence();
        assert_eq!(note_lines(&[&good]), [""; 0]);
        assert_eq!(note_lines(&[]), [""; 0]);
        let mut bad = good.clone();
        let investigation = crate::testing::investigation();
        let create = investigation.experiment("create").unwrap();
        let planned = create.probe("sock_alloc").unwrap();
        let read = &planned.exit[0].name;
        let probes = &mut bad.experiments.get_mut("create").unwrap().probes;
        let probe = probes.get_mut("sock_alloc").unwrap();
        probe
            .refused_reads
            .exit
            .insert(read.clone(), "no member".into());
        for hit in &mut probe.hits {
            hit.exit.remove(read);
        }
        let reported = note_lines(&[&bad]);
        let [one] = &reported[..] else {
            panic!("{reported:?}")
        };
        let start = format!("`create.sock_alloc.exit.{read}` is not read: no member (");
        assert!(
            one.starts_with(&start) && one.ends_with("two-experiments.toml:20:49)"),
            "{one}"
        );
        assert_eq!(note_lines(&[&bad, &good]), [""; 0]);
        let probes = &mut bad.experiments.get_mut("create").unwrap().probes;
        for probe in probes.values_mut() {
            probe.unavailable = Some("no such thing".into());
        }
        let reported = note_lines(&[&bad]).concat();
        let counted = create.probes.iter().filter(|probe| !probe.optional).count();
        assert!(
            reported.starts_with("nothing was watched by `create."),
            "{reported}"
        );
        let more = counted.saturating_sub(SHOWN);
        assert!(
            more == 0 || reported.contains(&format!(" and {more} more: no such thing")),
            "{reported}"
        );
    }

    /// Check that an experiment that did not run is told once, at its own place, and that a signal, hits of interrupts and names
    /// for an argument that is not there are told.
    #[test]
    fn what_happened_to_experiments() {
        let mut evidence = crate::testing::evidence();
        let mut investigation = crate::testing::investigation();
        let create = evidence.experiments.get_mut("create").unwrap();
        create.outcome.signal = Datum::Value(Value::text("SIGSEGV"));
        let twice = create.probes.get_mut("twice").unwrap();
        assert_eq!(twice.hits.len(), 2);
        twice.hits[0].context = Some(crate::document::Context::Hardirq);
        let hit = &mut create.probes.get_mut("fd_install").unwrap().hits[0];
        hit.args.insert(
            "mod".into(),
            Datum::unavailable("there is no such argument"),
        );
        let planned = &mut investigation.experiments;
        let planned = planned.iter_mut().find(|one| one.name == "create").unwrap();
        let probe = planned
            .probes
            .iter_mut()
            .find(|one| one.name == "fd_install")
            .unwrap();
        probe.names.insert("mod".into(), "hrtimer_mode".into());
        let all = notes(&investigation, &[&evidence]);
        let told: Vec<String> = all.iter().map(format_one_line).collect();
        for part in [
            "the workload of `create` was ended by SIGSEGV (",
            "1 of 2 hits of `create.twice` came in an interrupt",
            "`names` of `create.fd_install` lists `mod`, which is not an argument of it: it has `fd`, `file` (",
        ] {
            assert_eq!(
                told.iter().filter(|one| one.starts_with(part)).count(),
                1,
                "{told:?}"
            );
        }
        let create = evidence.experiments.get_mut("create").unwrap();
        for probe in create.probes.values_mut() {
            probe.unavailable = Some("not run: no member `it_valu`".into());
        }
        let told: Vec<String> = notes(&investigation, &[&evidence])
            .iter()
            .map(format_one_line)
            .collect();
        let note = "`create` was not run: no member `it_valu` (";
        assert!(told.iter().any(|one| one.starts_with(note)), "{told:?}");
        assert!(!told.concat().contains("nothing was watched"), "{told:?}");
    }

    /// Check that what is wrong with `within`, `public` and `names` is told at the name that is wrong, with the nearest one, and that
    /// the arguments which are listed for one that is like none of them are those of the function alone.
    #[test]
    fn places_of_keys() {
        let text = r#"
[[experiment]]
name = "open"
workload = { syscall = "getpid" }
[[experiment.probe]]
function = "do_sys_openat2"
public = ["dfd", "flgs"]
names = { flgs = "O", elephant = "O", dfd = "AF" }
[[experiment.probe]]
function = "getname"
within = "do_sys_opn"
"#;
        let investigation = crate::investigation::parse("i.toml", text).unwrap();
        let open = SeenProbe {
            arguments: ["dfd", "flags"].map(str::to_owned).into(),
            unreadable: ["flgs", "elephant", "dfd"]
                .map(|name| (name.to_owned(), "no".to_owned()))
                .into(),
            ..SeenProbe::default()
        };
        let getname = SeenProbe {
            unavailable: Some((UnwatchedCause::Within, UnwatchedCause::within_reason("no"))),
            ..SeenProbe::default()
        };
        let machine = SeenExperiment {
            ran: true,
            signal: None,
            excuses: BTreeMap::new(),
            probes: [("do_sys_openat2", open), ("getname", getname)]
                .map(|(name, probe)| (name.to_owned(), probe))
                .into(),
        };
        let machines = [SeenExperiments::from([("open".to_owned(), machine)])];
        let all = notes_of(&investigation, &machines, Moment::Planned);
        let told: Vec<(&str, Severity, &str)> = all
            .iter()
            .map(|note| {
                let (_, span) = note.place.clone().unwrap();
                (&text[span], note.severity, note.message.as_str())
            })
            .collect();
        let of = "of `open.do_sys_openat2` lists";
        let unlike = "which is not an argument of it:";
        assert_eq!(
            told,
            [
                (
                    "\"flgs\"",
                    Severity::Warning,
                    &*format!("`public` {of} `flgs`, {unlike} did you mean `flags`?")
                ),
                (
                    "flgs",
                    Severity::Error,
                    &*format!("`names` {of} `flgs`, {unlike} did you mean `flags`?")
                ),
                (
                    "elephant",
                    Severity::Error,
                    &*format!("`names` {of} `elephant`, {unlike} it has `dfd`, `flags`")
                ),
                (
                    "\"AF\"",
                    Severity::Error,
                    "`open.do_sys_openat2.args.dfd` with the names of `AF` is not read: no"
                ),
                (
                    "\"do_sys_opn\"",
                    Severity::Error,
                    "nothing would be watched by `open.getname`: `within`: no"
                ),
            ]
        );
    }

    /// Check that a plan gives the same notes as a capture, and that what is refused is an error then.
    #[test]
    fn of_a_plan() {
        let investigation = crate::testing::investigation();
        let mut machine = collect_seen_experiments(&investigation, &crate::testing::evidence());
        let report = |machine: &SeenExperiments| {
            let machines = std::slice::from_ref(machine);
            let all = notes_of(&investigation, machines, Moment::Planned);
            let each = all
                .iter()
                .map(|note| (note.severity, format_one_line(note)));
            each.collect::<Vec<_>>()
        };
        assert_eq!(report(&machine), []);
        let probes = &mut machine.get_mut("create").unwrap().probes;
        let planned = investigation.experiment("create").unwrap();
        let read = &planned.probe("sock_alloc").unwrap().exit[0].name;
        let refused = &mut probes.get_mut("sock_alloc").unwrap().refused;
        refused.exit.insert(read.clone(), "no member".into());
        probes.get_mut("fd_install").unwrap().unavailable =
            Some((UnwatchedCause::Target, "no such thing".into()));
        let reported = report(&machine);
        assert!(
            reported
                .iter()
                .all(|(severity, _)| *severity == Severity::Error)
        );
        let read = format!("`create.sock_alloc.exit.{read}` would not be read: no member (");
        assert!(
            reported.iter().any(|(_, text)| text.starts_with(&read)),
            "{reported:?}"
        );
        let probe = "nothing would be watched by `create.fd_install`: no such thing (";
        assert!(
            reported.iter().any(|(_, text)| text.starts_with(probe)),
            "{reported:?}"
        );
    }

    /// Check that an address of bytes is told with both ways to read it, and one that was asked for is not.
    #[test]
    fn bytes_that_may_be_text() {
        let mut evidence = crate::testing::evidence();
        let probes = &mut evidence.experiments.get_mut("create").unwrap().probes;
        let hit = &mut probes.get_mut("sock_alloc").unwrap().hits[0];
        let name = hit.exit.keys().next().unwrap().clone();
        let address = |type_name: &str| {
            Datum::Value(Value::Address {
                value: Address(0xffff_8880_0000_0000),
                type_name: Some(type_name.into()),
                symbol: None,
            })
        };
        hit.exit
            .insert(name.clone(), address("const unsigned char *"));
        let reported = note_lines(&[&evidence]).concat();
        assert!(
            reported.contains("is an address: `const unsigned char *`"),
            "{reported}"
        );
        assert!(reported.contains("`(const char *)"), "{reported}");
        for (type_name, path, expected) in [
            ("const unsigned char *", "path->dentry->d_name.name", true),
            ("u8 *", "x->data", true),
            ("u8 *", "(u8 *)x->data", false),
            ("void *", "(void *)x->data", false),
            ("unsigned char **", "x->data", false),
            ("struct file *", "x->file", false),
        ] {
            assert_eq!(may_be_text(type_name, path), expected, "{type_name} {path}");
        }
    }

    /// Check that the same is told of a member of a structure that is read whole, with the path of its text, until another read
    /// has it.
    #[test]
    fn members_that_may_be_text() {
        let mut evidence = crate::testing::evidence();
        let probes = &mut evidence.experiments.get_mut("create").unwrap().probes;
        let hit = &mut probes.get_mut("sock_alloc").unwrap().hits[0];
        let name = hit.exit.keys().next().unwrap().clone();
        hit.exit.insert(
            format!("{name}.name"),
            Datum::Value(Value::Address {
                value: Address(0xffff_8880_0000_0000),
                type_name: Some("const unsigned char *".into()),
                symbol: None,
            }),
        );
        let reported = note_lines(&[&evidence]).concat();
        assert!(
            reported.contains(&format!(
                "create.sock_alloc.exit.{name}.name` is an address"
            )),
            "{reported}"
        );
        assert!(
            reported.contains("a read of its own, `(const char *)"),
            "{reported}"
        );
        for (path, wanted) in [
            ("*path", "path->name"),
            ("path->dentry->d_name", "path->dentry->d_name.name"),
        ] {
            assert_eq!(member_of(path, "name"), wanted);
        }
        let read = |expression: &str| Read {
            name: "x".into(),
            expression: expression.into(),
            arch: None,
            span: 0..0,
            otherwise: Vec::new(),
            kind: None,
            names: None,
            max: None,
            elements: None,
            choose: Vec::new(),
            limit: None,
        };
        let reads = [read("(const char *) path->name"), read("path->other")];
        assert!(is_read_too("path->name", &reads));
        assert!(!is_read_too("path->other", &reads));
    }
}
