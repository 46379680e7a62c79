//! Facts that a document states in two places and must not state differently: outcomes, orders of events, the ledger,
//! the slide.
//!
//! Every document that a collector can have made satisfies each rule. Editing a document by hand, or a bug of a collector,
//! breaks one of them sooner or later; then the whole document is rejected. (Names beside numbers are checked by
//! [`names`](crate::document::names).)

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::document::machine::check_name;
use crate::document::pointer::escape;
use crate::document::value::{Address, Datum, Value};
use crate::document::withheld::withheld_reason;
use crate::document::{
    DISABLED, Evidence, Experiment, Kaslr, MachineKind, Probe, RANDOMIZED, Target,
};
use crate::investigation::occurs_in;

use super::arch::check_arch;
use super::finding::{Finding, number};
use super::lockdown::check_lockdown;
use super::{events, ledger, outcome, places, stacks, widths};

/// The first contradiction.
pub(crate) fn find_self_contradiction(evidence: &Evidence) -> Option<Finding> {
    check_machine(evidence)
        .or_else(|| check_kaslr(&evidence.kaslr))
        .or_else(|| check_readings(evidence))
        .or_else(|| check_arch(evidence))
        .or_else(|| check_lockdown(evidence))
        .or_else(|| check_boots(evidence))
        .or_else(|| check_commands(evidence))
        .or_else(|| check_functions(evidence))
        .or_else(|| check_instances(evidence))
        .or_else(|| check_facts(evidence))
        .or_else(|| {
            evidence.experiments.iter().find_map(|(name, experiment)| {
                let at = format!("/experiments/{}", escape(name));
                let ended = outcome::check_outcome(&at, experiment);
                let ended = ended.or_else(|| check_graph(&at, experiment));
                let ended = ended.or_else(|| widths::check_widths(&at, experiment));
                ended.or_else(|| check_watch(&at, experiment)).or_else(|| {
                    let events = match events::collect_events(&at, experiment) {
                        Ok(events) => events,
                        Err(found) => return Some(found),
                    };
                    let objects = experiment.objects.as_ref();
                    objects
                        .and_then(|objects| ledger::check_ledger(&at, experiment, objects))
                        .or_else(|| stacks::check_stacks(&at, experiment, events))
                        .or_else(|| check_processors(&at, evidence, experiment))
                })
            })
        })
        .or_else(|| places::check_places(evidence))
}

/// Facts of a build that contradict themselves.
fn check_facts(evidence: &Evidence) -> Option<Finding> {
    let (at, reason) = evidence.facts.as_ref()?.contradiction()?;
    Some((format!("/facts/{at}"), reason))
}

/// Check that the tree of a call does not contradict itself.
fn check_graph(at: &str, experiment: &Experiment) -> Option<Finding> {
    let reason = experiment.graph.as_ref()?.contradiction()?;
    Some((format!("{at}/graph"), reason))
}

/// Check that a guest's processors are numbered from 0 on, without gaps; of a host, some may be off.
fn check_processors(at: &str, evidence: &Evidence, experiment: &Experiment) -> Option<Finding> {
    let cpus = evidence.machine.cpus;
    if evidence.machine.kind == MachineKind::Host {
        return None;
    }
    experiment.probes.iter().find_map(|(name, probe)| {
        let index = probe.hits.iter().position(|hit| hit.cpu >= cpus)?;
        let reason = format!(
            "processor {} is none of the machine's {cpus}",
            probe.hits[index].cpu
        );
        let at = format!("{at}/probes/{}/hits/{index}/cpu", escape(name));
        Some((at, reason))
    })
}

/// Check what decides about the publication of addresses: that must not hang on one word.
fn check_machine(evidence: &Evidence) -> Option<Finding> {
    let machine = &evidence.machine;
    if let Err(wrong) = check_name(&machine.name) {
        let reason = format!("{wrong}; capture again, and give a guest with a path a `name`");
        return Some(("/machine/name".into(), reason));
    }
    let named = match machine.name.as_str() {
        "host" => MachineKind::Host,
        _ => MachineKind::Guest,
    };
    if named != machine.kind {
        let reason = format!(
            "the machine `{}` is not of this kind: `host` is one, and all others are guests",
            machine.name
        );
        return Some(("/machine/kind".into(), reason));
    }
    if let Some(reason) = resumed_contradiction(evidence) {
        return Some(("/machine/resumed".into(), reason));
    }
    (machine.kind == MachineKind::Host && machine.ephemeral).then(|| {
        let reason = "a host cannot be `ephemeral`: it lives on when the capture ends".to_owned();
        ("/machine/ephemeral".into(), reason)
    })
}

/// The reason why a guest cannot have been resumed from the boot that its evidence names.
fn resumed_contradiction(evidence: &Evidence) -> Option<String> {
    let booted = evidence.machine.resumed.as_deref()?;
    if evidence.machine.kind == MachineKind::Host {
        return Some(
            "a host cannot be resumed from a saved boot: only guests are saved".to_owned(),
        );
    }
    // In the form in which it is written: a time can be followed by any text in brackets.
    let parsed = booted.parse().ok();
    let Some(time) = parsed.filter(|time: &Timestamp| time.to_string() == booted) else {
        return Some(format!("the time of the boot is not a time: `{booted}`"));
    };
    // A time of the capture that is none is told where its age is computed.
    let captured: Timestamp = evidence.run.time.parse().ok()?;
    (time > captured).then(|| {
        format!("the guest was booted at {booted}, after the capture, which is of {captured}")
    })
}

/// An address that is known.
fn address(datum: &Datum) -> Option<i128> {
    match datum.value()? {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => {
            (!value.is_pseudonym()).then(|| i128::from(value.0))
        }
        _ => None,
    }
}

/// Check that a slide exists only if all sources agree, that a symbol's slide is the distance of its addresses, and that the
/// status follows from the slide.
fn check_kaslr(kaslr: &Kaslr) -> Option<Finding> {
    let slide = number(&kaslr.slide);
    let sources = || {
        kaslr
            .sources
            .iter()
            .filter_map(|(name, source)| Some((name, number(source)?)))
    };
    if let Some(slide) = slide {
        if let Some((name, other)) = sources().find(|(_, other)| *other != slide) {
            let reason = format!("the slide is {slide}, and this source says {other}");
            return Some((format!("/kaslr/sources/{}", escape(name)), reason));
        }
        let reason = match kaslr.agree.value() {
            Some(Value::Bool { value: true }) if sources().count() < 2 => {
                Some("fewer than two sources say what the slide is: they cannot agree")
            }
            Some(Value::Bool { value: false }) => {
                Some("sources that disagree leave no slide, and there is one")
            }
            _ => None,
        };
        if let Some(reason) = reason {
            return Some(("/kaslr/agree".into(), reason.into()));
        }
        let grain = number(&kaslr.physical_align).filter(|grain| *grain > 0);
        if let Some(grain) = grain.filter(|grain| slide % grain != 0) {
            let reason =
                format!("{slide} is not a multiple of {grain}, by which this kernel is aligned");
            return Some(("/kaslr/slide".into(), reason));
        }
        let status = kaslr.status.value().map(ToString::to_string);
        let expected = if slide == 0 { DISABLED } else { RANDOMIZED };
        if let Some(status) = status.filter(|status| status != expected) {
            let reason = format!("a kernel with a slide of {slide} is not {status}");
            return Some(("/kaslr/status".into(), reason));
        }
    }
    if let (Some(checked), Some(differing)) = (number(&kaslr.checked), number(&kaslr.differing))
        && !(0..=checked).contains(&differing)
    {
        let reason = format!("{differing} of {checked} symbols cannot differ");
        return Some(("/kaslr/differing".into(), reason));
    }
    kaslr.symbols.iter().find_map(|(name, places)| {
        let stated = number(&places.slide)?;
        let at = format!("/kaslr/symbols/{}/slide", escape(name));
        if let Some((live, fixed)) = address(&places.live).zip(address(&places.static_address))
            && live - fixed != stated
        {
            let distance = live - fixed;
            return Some((
                at,
                format!("its addresses are {distance} bytes apart, not {stated}"),
            ));
        }
        // A symbol outside of the image (of a processor's own data) is not moved.
        (slide.is_some_and(|slide| stated != slide) && stated != 0).then(|| {
            let slide = slide.unwrap_or_default();
            (
                at,
                format!("the image was moved by {slide} bytes, and not by {stated}"),
            )
        })
    })
}

/// Check that what is quoted from the kernel's own files is what the document says of the kernel.
fn check_readings(evidence: &Evidence) -> Option<Finding> {
    let kernel = &evidence.kernel;
    let text = |datum: &Datum| match datum.value() {
        Some(Value::Text { value }) if withheld_reason(value).is_none() => Some(value.clone()),
        _ => None,
    };
    evidence.kaslr.readings.iter().find_map(|reading| {
        let line = text(&reading.text)?;
        if reading.key == "release" && line.trim() != kernel.release {
            let reason = format!("`{}` says `{}`", reading.file, line.trim());
            return Some(("/kernel/release".into(), reason));
        }
        let (option, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
        let option = option.to_lowercase();
        let stated = text(kernel.config.get(&option)?)?;
        (stated != value.trim_matches('"')).then(|| {
            let reason = format!("`{}` says `{line}`", reading.file);
            (format!("/kernel/config/{}", escape(&option)), reason)
        })
    })
}

/// Check that each boot is one of its own, and that its `_text` and physical place are where its slide and its alignment put them.
fn check_boots(evidence: &Evidence) -> Option<Finding> {
    let mut ids = BTreeSet::from([evidence.machine.boot_id.as_str()]);
    let again = evidence.boots.iter().position(|boot| {
        let known = !boot.boot_id.is_empty() && withheld_reason(&boot.boot_id).is_none();
        known && !ids.insert(boot.boot_id.as_str())
    });
    if let Some(index) = again {
        let reason = "this boot is in the document already".into();
        return Some((format!("/boots/{index}/boot_id"), reason));
    }
    let grain = number(&evidence.kaslr.physical_align).filter(|grain| *grain > 0);
    let text = evidence.kaslr.symbols.get("_text");
    let text = text.and_then(|places| address(&places.static_address));
    evidence.boots.iter().enumerate().find_map(|(index, boot)| {
        if let Some((grain, place)) = grain.zip(number(&boot.physical))
            && place % grain != 0
        {
            let reason =
                format!("{place} is not a multiple of {grain}, by which this kernel is aligned");
            return Some((format!("/boots/{index}/physical"), reason));
        }
        let slide = number(&boot.slide)?;
        let at = format!("/boots/{index}/slide");
        if let Some((live, text)) = address(&boot.text).zip(text)
            && live - text != slide
        {
            let reason = format!("its `_text` is {} bytes off, not {slide}", live - text);
            return Some((at, reason));
        }
        let grain = grain.filter(|grain| slide % grain != 0)?;
        let reason =
            format!("{slide} is not a multiple of {grain}, by which this kernel is aligned");
        Some((at, reason))
    })
}

/// Check that the lists of copies are whole.
fn check_instances(evidence: &Evidence) -> Option<Finding> {
    let mut names: BTreeMap<Address, BTreeSet<&str>> = BTreeMap::new();
    evidence.instances.iter().find_map(|(function, instances)| {
        let at = format!("/instances/{}", escape(function));
        if let Some(reason) = instances.contradiction() {
            return Some((at, reason));
        }
        // Two functions at one address are one piece of code, and each lists the names of both.
        instances.copies.iter().find_map(|copy| {
            let all = copy.names().collect();
            let first = names
                .entry(copy.address)
                .or_insert_with(|| BTreeSet::clone(&all));
            (*first != all).then(|| {
                let reason = format!(
                    "the names of `{}` are others than elsewhere for the same address",
                    copy.symbol
                );
                (at.clone(), reason)
            })
        })
    })
}

/// Check that one function has one address, one place in the source and one list of parameters, in all experiments.
fn check_functions(evidence: &Evidence) -> Option<Finding> {
    let mut known: BTreeMap<(&str, i128, Option<u64>), (&Probe, String)> = BTreeMap::new();
    for (experiment, found) in &evidence.experiments {
        for (name, probe) in &found.probes {
            let Target::Function(function) = &probe.target else {
                continue;
            };
            // Functions of one name are told apart by where they are.
            let Some(place) = probe.address.as_ref().and_then(address) else {
                continue;
            };
            let at = || {
                let (experiment, name) = (escape(experiment), escape(name));
                format!("/experiments/{experiment}/probes/{name}")
            };
            // Inside a function, its parameters are no longer in their registers.
            let inside = probe.instruction.as_ref().map(|one| one.offset);
            let key = (function.as_str(), place, inside);
            let Some((first, other)) = known.get(&key) else {
                known.insert(key, (probe, at()));
                continue;
            };
            // A probe does not report what it does not watch.
            let both = |told: fn(&Probe) -> bool| told(first) && told(probe);
            let differs = [
                (
                    both(|one| !one.parameters.is_empty()) && first.parameters != probe.parameters,
                    "parameters",
                ),
                (
                    both(|one| one.returns.is_some()) && first.returns != probe.returns,
                    "returns",
                ),
                (
                    both(|one| one.definition.is_some()) && first.definition != probe.definition,
                    "definition",
                ),
            ];
            if let Some((_, leaf)) = differs.into_iter().find(|(differs, _)| *differs) {
                let reason = format!("`{other}` says something else of the same function");
                return Some((format!("{}/{leaf}", at()), reason));
            }
        }
    }
    None
}

/// Check that the values of a command stand in its output, and that only one that succeeded tells anything.
fn check_commands(evidence: &Evidence) -> Option<Finding> {
    evidence.commands.iter().find_map(|(name, command)| {
        let at = format!("/commands/{}", escape(name));
        let output = match command.output.value() {
            Some(Value::Text { value }) => Some(value),
            _ => None,
        };
        if output.is_some() && number(&command.exit).is_none() {
            let reason =
                "the command did not end by itself, and then nothing of what it printed is kept";
            return Some((format!("{at}/output"), reason.into()));
        }
        command.values.iter().find_map(|(name, datum)| {
            let value = datum.value()?;
            let reason = match number(&command.exit) {
                Some(0) if address(datum).is_none() && matches!(value, Value::Address { .. }) => {
                    return None;
                }
                Some(0) if output.is_none_or(|output| occurs_in(value, output)) => return None,
                Some(0) => "the command's output does not say so",
                _ => "the command did not succeed, and a value is taken from its output",
            };
            Some((format!("{at}/values/{}", escape(name)), reason.to_owned()))
        })
    })
}

/// Check that running ≤ followed ≤ started, and that an unattached probe has no skipped hits.
fn check_watch(at: &str, experiment: &Experiment) -> Option<Finding> {
    if let Some(one) = experiment.quality.descendants
        && (one.followed > one.started || one.running > one.followed)
    {
        let reason = format!(
            "{} processes were started, {} of them followed, and {} of those still ran",
            one.started, one.followed, one.running
        );
        return Some((format!("{at}/quality/descendants"), reason));
    }
    experiment.probes.iter().find_map(|(name, probe)| {
        (probe.backend.is_none() && probe.skipped.is_some()).then(|| {
            let reason = "the probe is not attached, and hits of it were skipped".into();
            (format!("{at}/probes/{}/skipped", escape(name)), reason)
        })
    })
}
