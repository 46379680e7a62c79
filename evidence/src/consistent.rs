//! What a document says in two places and must not say differently: outcomes, orders of events, the ledger, the slide.
//!
//! Each rule holds of whatever a collector can have seen. Somebody who edits a document by hand, or a collector with a
//! mistake, breaks one of them sooner or later; then nothing of the document is believed. (Names beside numbers are the
//! affair of [`names`](crate::names).)

use std::collections::BTreeMap;

use crate::document::{Evidence, Experiment, Hit, Kaslr, Ledger, MachineKind, Probe, Target};
use crate::investigation::stands_in;
use crate::machine::check_name;
use crate::reader::escape;
use crate::value::{Address, Datum, Value};

/// A JSON pointer and what is wrong there.
type Finding = (String, String);

/// The first contradiction.
pub(crate) fn contradiction(evidence: &Evidence) -> Option<Finding> {
    machine(evidence)
        .or_else(|| kaslr(&evidence.kaslr))
        .or_else(|| boots(evidence))
        .or_else(|| commands(evidence))
        .or_else(|| instances(evidence))
        .or_else(|| {
            evidence.experiments.iter().find_map(|(name, experiment)| {
                let at = format!("/experiments/{}", escape(name));
                outcome(&at, experiment)
                    .or_else(|| watch(&at, experiment))
                    .or_else(|| events(&at, experiment))
                    .or_else(|| {
                        let ledger = experiment.objects.as_ref()?;
                        objects(&at, experiment, ledger)
                    })
            })
        })
}

/// What decides whether addresses may be published: that must not hang on one word.
fn machine(evidence: &Evidence) -> Option<Finding> {
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
    (machine.kind == MachineKind::Host && machine.ephemeral).then(|| {
        let reason = "a host is not gone when the capture ends".to_owned();
        ("/machine/ephemeral".into(), reason)
    })
}

fn number(datum: &Datum) -> Option<i128> {
    datum.value()?.as_integer()
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

/// Sources that agree say the same, and a symbol's slide is the distance of its addresses.
fn kaslr(kaslr: &Kaslr) -> Option<Finding> {
    let slide = number(&kaslr.slide);
    if let (Some(slide), Some(Value::Bool { value: true })) = (slide, kaslr.agree.value()) {
        for (name, source) in &kaslr.sources {
            if number(source).is_some_and(|other| other != slide) {
                let reason = format!(
                    "the sources agree on a slide of {slide}, and this one says {}",
                    number(source).unwrap_or_default()
                );
                return Some((format!("/kaslr/sources/{}", escape(name)), reason));
            }
        }
    }
    kaslr.symbols.iter().find_map(|(name, places)| {
        let distance = address(&places.live)? - address(&places.static_address)?;
        let said = number(&places.slide)?;
        (distance != said).then(|| {
            let reason = format!("its addresses are {distance} bytes apart, not {said}");
            (format!("/kaslr/symbols/{}/slide", escape(name)), reason)
        })
    })
}

/// Each boot's `_text` is where its slide puts it.
fn boots(evidence: &Evidence) -> Option<Finding> {
    let text = address(&evidence.kaslr.symbols.get("_text")?.static_address)?;
    evidence.boots.iter().enumerate().find_map(|(index, boot)| {
        let (live, slide) = (address(&boot.text)?, number(&boot.slide)?);
        (live - text != slide).then(|| {
            let reason = format!("its `_text` is {} bytes off, not {slide}", live - text);
            (format!("/boots/{index}/slide"), reason)
        })
    })
}

/// The lists of copies are whole.
fn instances(evidence: &Evidence) -> Option<Finding> {
    evidence.instances.iter().find_map(|(name, instances)| {
        Some((format!("/instances/{}", escape(name)), instances.wrong()?))
    })
}

/// What a command is said to have told stands in its output, and only one that succeeded tells anything.
fn commands(evidence: &Evidence) -> Option<Finding> {
    evidence.commands.iter().find_map(|(name, command)| {
        let at = format!("/commands/{}", escape(name));
        let output = match command.output.value() {
            Some(Value::Text { value }) => Some(value),
            _ => None,
        };
        command.values.iter().find_map(|(name, datum)| {
            let value = datum.value()?;
            let reason = match number(&command.exit) {
                Some(0) if address(datum).is_none() && matches!(value, Value::Address { .. }) => {
                    return None;
                }
                Some(0) if output.is_none_or(|output| stands_in(value, output)) => return None,
                Some(0) => "the command's output does not say so",
                _ => "the command did not succeed, and a value is taken from its output",
            };
            Some((format!("{at}/values/{}", escape(name)), reason.to_owned()))
        })
    })
}

/// User space sees the error that the kernel returned, or none.
fn outcome(at: &str, experiment: &Experiment) -> Option<Finding> {
    let outcome = &experiment.outcome;
    let (returned, errno) = (outcome.returned.value()?, outcome.errno.value()?);
    let seen = errno.as_integer()?;
    let expected = match returned {
        Value::Errno { value, .. } => -i128::from(*value),
        _ => 0,
    };
    (seen != expected).then(|| {
        let reason = format!("the call returned `{returned}`, so its error number is {expected}");
        (format!("{at}/outcome/errno"), reason)
    })
}

/// Of the processes that there were some were followed, and of those some still run; of a probe that is not there, the
/// kernel skips nothing.
fn watch(at: &str, experiment: &Experiment) -> Option<Finding> {
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

/// Every event has one place in the order of its experiment, and a call is entered before it returns.
fn events(at: &str, experiment: &Experiment) -> Option<Finding> {
    let mut taken: BTreeMap<u64, Source<'_>> = BTreeMap::new();
    for (name, probe) in &experiment.probes {
        let at = format!("{at}/probes/{}", escape(name));
        if probe.backend.is_some() && probe.attach_errno.as_ref().and_then(number).unwrap_or(0) != 0
        {
            let reason = "the probe is attached, and the kernel refused it".into();
            return Some((format!("{at}/attach_errno"), reason));
        }
        let mut last = 0;
        for (index, hit) in probe.hits.iter().enumerate() {
            let found = one_hit(hit, probe, experiment.quality.events, last, &mut taken);
            if let Some(reason) = found {
                return Some((format!("{at}/hits/{index}"), reason));
            }
            last = hit.order.or(hit.return_order).unwrap_or(last);
        }
    }
    None
}

/// Where an event came from.
#[derive(PartialEq, Eq)]
struct Source<'a> {
    target: &'a Target,
    copy: Option<Address>,
}

impl Source<'_> {
    /// Whether one event can have come from both: two names of one address are one place.
    fn is(&self, other: &Source<'_>) -> bool {
        self.target == other.target || self.copy.is_some() && self.copy == other.copy
    }
}

fn one_hit<'a>(
    hit: &Hit,
    probe: &'a Probe,
    events: u64,
    last: u64,
    taken: &mut BTreeMap<u64, Source<'a>>,
) -> Option<String> {
    let first = hit.order.or(hit.return_order);
    if first.is_none() {
        return Some("neither the entry nor the return has an order".into());
    }
    for order in [hit.order, hit.return_order].into_iter().flatten() {
        if order == 0 || order > events {
            return Some(format!(
                "event {order} is none of the experiment's {events}"
            ));
        }
        // Probes with different conditions on the same place see the same event.
        let source = || Source {
            target: &probe.target,
            copy: hit.copy(probe),
        };
        if let Some(other) = taken.insert(order, source())
            && !other.is(&source())
        {
            return Some(format!("event {order} is that of another hit already"));
        }
    }
    if let Some(reason) = calling(hit, probe) {
        return Some(reason);
    }
    if first <= Some(last) {
        return Some("the hits of a probe stand in the order of its events".into());
    }
    if let (Some(entered), Some(returned)) = (hit.order, hit.return_order)
        && returned <= entered
    {
        return Some("the call returns before it is entered".into());
    }
    if let (Some(entered), Some(returned)) = (hit.time_ns, hit.return_time_ns)
        && returned < entered
    {
        return Some("the call returns at an earlier time than it is entered".into());
    }
    None
}

/// Who called stands before the place that the call returns to, and a hit is of a copy that was watched.
fn calling(hit: &Hit, probe: &Probe) -> Option<String> {
    if let (Some(caller), Some(returns_to)) = (&hit.caller, &hit.returns_to)
        && caller.value().is_some()
        && caller != returns_to
    {
        return Some("the caller is not where the call returns to".into());
    }
    let copy = hit.instance.as_ref()?.value()?;
    let watched = match copy {
        Value::Symbol { address, .. } => probe.watched.contains(address),
        _ => false,
    };
    (!watched).then(|| "the copy that was hit is none of those that were watched".into())
}

/// What the ledger says, a probe saw.
fn objects(at: &str, experiment: &Experiment, ledger: &Ledger) -> Option<Finding> {
    let saw = |probe: &str, order: u64| {
        experiment.probes.get(probe).is_some_and(|probe| {
            // The object of a function may be what it returns.
            let saw = |hit: &Hit| hit.order == Some(order) || hit.return_order == Some(order);
            probe.backend.is_some() && probe.hits.iter().any(saw)
        })
    };
    ledger
        .allocations
        .iter()
        .enumerate()
        .find_map(|(index, allocation)| {
            let at = format!("{at}/objects/allocations/{index}");
            if !saw(&allocation.probe, allocation.order) {
                let reason = format!(
                    "`{}` has no event {} in the order of events, which would be this allocation",
                    allocation.probe, allocation.order
                );
                return Some((at, reason));
            }
            let freed = allocation.freed.as_ref()?;
            if freed.order <= allocation.order || freed.time_ns < allocation.time_ns {
                let reason = "the object is freed before it is allocated".into();
                return Some((format!("{at}/freed"), reason));
            }
            (!saw(&freed.probe, freed.order)).then(|| {
                let reason = format!(
                    "`{}` has no hit {} in the order of events, which would be this free",
                    freed.probe, freed.order
                );
                (format!("{at}/freed"), reason)
            })
        })
}

#[cfg(test)]
mod tests;
