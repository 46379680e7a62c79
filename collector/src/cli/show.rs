//! `qed-collector show`: prints the events of an experiment in order, as evidence holds them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use qed_evidence::Evidence;
use qed_evidence::document::{Context, Experiment, Hit};
use qed_evidence::value::{Datum, Frame, Value};
use serde::Serialize;

use super::failure::Failure;
use super::output::{Format, json, print};

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The evidence, such as .qed/evidence/host.json
    pub evidence: PathBuf,
    /// The experiment; without it, all are listed
    pub experiment: Option<String>,
    /// Only events of this probe. Can be repeated
    #[arg(long, value_name = "PROBE")]
    pub probe: Vec<String>,
    /// Show kernel stacks, too
    #[arg(long)]
    pub stacks: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// One event.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Event {
    order: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_ns: Option<u64>,
    probe: String,
    /// The hit, from 1, as paths count them.
    hit: usize,
    side: &'static str,
    cpu: u32,
    tid: i32,
    task: String,
    /// Not the task's own work.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'static str>,
    values: Vec<ShownValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stack: Vec<String>,
}

/// A value, or why there is none.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ShownValue {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

impl ShownValue {
    fn new(name: impl Into<String>, datum: &Datum) -> Self {
        let (value, unavailable) = match datum {
            Datum::Value(value) => (Some(value.to_string()), None),
            Datum::Missing(why) => (None, Some(why.to_string())),
        };
        Self {
            name: name.into(),
            value,
            unavailable,
        }
    }

    fn text(&self) -> String {
        match (&self.value, &self.unavailable) {
            (Some(value), _) => format!("{} = {value}", self.name),
            (None, why) => format!("{}: {}", self.name, why.as_deref().unwrap_or_default()),
        }
    }
}

/// Run the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.evidence.display();
    let bytes = std::fs::read(&args.evidence).map_err(|error| {
        Failure::input(format!(
            "failed to read the evidence {shown}: {error}; `qed-collector capture` writes it to .qed/evidence"
        ))
    })?;
    let evidence = qed_evidence::reader::read(&bytes)
        .map_err(|error| Failure::input(format!("{shown} is not evidence: {error}")))?;
    let Some(name) = &args.experiment else {
        return print(&list_experiments(&evidence, args.format)?);
    };
    let Some(experiment) = evidence.experiments.get(name) else {
        return Err(not_found_failure(
            "experiment",
            name,
            evidence.experiments.keys().map(String::as_str),
        ));
    };
    for probe in &args.probe {
        if !experiment.probes.contains_key(probe) {
            return Err(not_found_failure(
                "probe",
                probe,
                experiment.probes.keys().map(String::as_str),
            ));
        }
    }
    let mut events = collect_events(experiment);
    events.retain(|event| args.probe.is_empty() || args.probe.contains(&event.probe));
    if !args.stacks {
        events.iter_mut().for_each(|event| event.stack.clear());
    }
    print(&match args.format {
        Format::Text => format_events(&evidence, name, experiment, &events),
        Format::Json => json(&events)?,
    })
}

fn not_found_failure<'n>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Failure {
    let near = qed_evidence::diagnostic::nearest(name, known.clone());
    let hint = match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there is {}", known.collect::<Vec<_>>().join(", ")),
    };
    Failure::input(format!("the evidence has no {what} `{name}`{hint}"))
}

/// The experiments of the evidence, each with its workload and the number of its events.
fn list_experiments(evidence: &Evidence, format: Format) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Row<'e> {
        name: &'e str,
        workload: &'e str,
        events: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        unavailable: Option<&'e str>,
    }
    let rows: Vec<Row<'_>> = (evidence.experiments.iter())
        .map(|(name, experiment)| Row {
            name,
            workload: &experiment.workload,
            events: experiment.quality.events,
            unavailable: experiment.unavailable.as_deref(),
        })
        .collect();
    if format == Format::Json {
        return json(&rows);
    }
    let line = |row: &Row<'_>| match row.unavailable {
        Some(why) => format!("{}: {}: {why}\n", row.name, row.workload),
        None => format!(
            "{}: {}: {}\n",
            row.name,
            row.workload,
            pluralize(row.events, "event")
        ),
    };
    Ok(rows.iter().map(line).collect())
}

/// A count with its noun.
fn pluralize(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// The events of an experiment in their order.
fn collect_events(experiment: &Experiment) -> Vec<Event> {
    let mut events: Vec<Event> = experiment
        .probes
        .iter()
        .flat_map(|(name, probe)| {
            let hits = probe.hits.iter().enumerate();
            hits.flat_map(move |(nth, hit)| {
                [
                    entry_event(name, nth + 1, hit),
                    exit_event(name, nth + 1, hit),
                ]
            })
        })
        .flatten()
        .collect();
    events.sort_by(|a, b| (a.order, &a.probe).cmp(&(b.order, &b.probe)));
    events
}

fn entry_event(probe: &str, nth: usize, hit: &Hit) -> Option<Event> {
    let mut values = shown_values("", &hit.args);
    values.extend(shown_values("entry.", &hit.entry));
    // A tracepoint has one side, and its evidence whatever was read there.
    if hit.return_order.is_none() {
        values.extend(shown_values("exit.", &hit.exit));
    }
    let single = [
        ("instance", &hit.instance),
        ("caller", &hit.caller),
        ("site", &hit.site),
    ];
    values.extend(single.into_iter().filter_map(|(name, datum)| {
        datum
            .as_ref()
            .filter(|datum| datum.value().is_some())
            .map(|datum| ShownValue::new(name, datum))
    }));
    Some(Event {
        stack: frame_lines(hit.stack.as_ref()),
        ..new_event(probe, nth, hit, "entry", hit.order?, hit.time_ns, values)
    })
}

fn exit_event(probe: &str, nth: usize, hit: &Hit) -> Option<Event> {
    let returned = hit.return_value.iter();
    let mut values: Vec<ShownValue> = returned
        .map(|datum| ShownValue::new("return", datum))
        .collect();
    values.extend(shown_values("exit.", &hit.exit));
    let (order, time) = (hit.return_order?, hit.return_time_ns);
    Some(new_event(probe, nth, hit, "return", order, time, values))
}

fn shown_values(prefix: &str, values: &BTreeMap<String, Datum>) -> Vec<ShownValue> {
    let values = values.iter();
    values
        .map(|(name, datum)| ShownValue::new(format!("{prefix}{name}"), datum))
        .collect()
}

fn new_event(
    probe: &str,
    hit: usize,
    of: &Hit,
    side: &'static str,
    order: u64,
    time_ns: Option<u64>,
    values: Vec<ShownValue>,
) -> Event {
    Event {
        order,
        time_ns,
        probe: probe.to_owned(),
        hit,
        side,
        cpu: of.cpu,
        tid: of.task.tid,
        task: of.task.name.clone(),
        context: (of.context)
            .filter(|context| *context != Context::Task)
            .map(Context::name),
        values,
        stack: Vec::new(),
    }
}

fn frame_lines(stack: Option<&Datum>) -> Vec<String> {
    match stack.and_then(Datum::value) {
        Some(Value::Stack { value } | Value::CutStack { value, .. }) => {
            value.iter().map(frame_text).collect()
        }
        _ => Vec::new(),
    }
}

fn frame_text(frame: &Frame) -> String {
    let symbol = frame.symbol.as_deref().unwrap_or("?");
    let offset = (frame.offset).map_or_else(String::new, |offset| format!("+{offset:#x}"));
    let site = (frame.site.as_ref())
        .map_or_else(String::new, |site| format!(" {}:{}", site.file, site.line));
    format!("{} {symbol}{offset}{site}", frame.address)
}

/// The events as lines: one for each, and one for each of its values.
fn format_events(
    evidence: &Evidence,
    name: &str,
    experiment: &Experiment,
    events: &[Event],
) -> String {
    let mut out = format!(
        "{}, {}\n{name}: {}\n",
        evidence.machine.name, evidence.kernel.release, experiment.workload
    );
    if let Some(why) = &experiment.unavailable {
        out += &format!("not run: {why}\n");
    }
    for (name, probe) in &experiment.probes {
        if let Some(why) = &probe.unavailable {
            out += &format!("{name}: not watched: {why}\n");
        }
    }
    for event in events {
        let arrow = if event.side == "entry" { "->" } else { "<-" };
        let time = event.time_ns.map_or_else(String::new, format_microseconds);
        let context = event
            .context
            .map_or_else(String::new, |word| format!(" [{word}]"));
        out += &format!(
            "{:>5} {time:>12} {arrow} {}.hit{}  cpu {}, {} {}{context}\n",
            event.order, event.probe, event.hit, event.cpu, event.task, event.tid
        );
        for value in &event.values {
            out += &format!("{:23}{}\n", "", value.text());
        }
        for frame in &event.stack {
            out += &format!("{:25}{frame}\n", "");
        }
    }
    out
}

fn format_microseconds(ns: u64) -> String {
    format!("{}.{:03} us", ns / 1_000, ns % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::document::{Probe, Task};

    fn hit(order: u64, return_order: u64) -> Hit {
        Hit {
            order: Some(order),
            time_ns: Some(order * 1_500),
            return_order: Some(return_order),
            return_time_ns: Some(return_order * 1_500),
            task: Task {
                pid: 7,
                tid: 8,
                name: "it".into(),
            },
            cpu: 1,
            context: Some(Context::Softirq),
            args: [("x".to_owned(), Value::int(5).into())].into(),
            entry: BTreeMap::new(),
            exit: [("y".to_owned(), Datum::unavailable("no such page"))].into(),
            return_value: Some(Value::int(0).into()),
            instance: None,
            returns_to: None,
            caller: None,
            site: None,
            stack: None,
        }
    }

    /// Check that entries and returns come in the order of the events, with their values or why there are none, and that other
    /// contexts than the task's are marked.
    #[test]
    fn order_and_values() {
        let evidence = include_bytes!("../../../recorded/guest-debian-6.1.json");
        let mut evidence = qed_evidence::reader::read(evidence).unwrap();
        let (name, mut experiment) = evidence.experiments.pop_first().unwrap();
        let template: Probe = experiment.probes.values().next().unwrap().clone();
        let probe = |hits| Probe {
            hits,
            unavailable: None,
            ..template.clone()
        };
        experiment.probes = [
            ("outer".to_owned(), probe(vec![hit(1, 4)])),
            ("inner".to_owned(), probe(vec![hit(2, 3)])),
        ]
        .into();
        experiment.unavailable = None;
        let events = collect_events(&experiment);
        let order: Vec<_> = (events.iter().map(|e| (e.probe.as_str(), e.side))).collect();
        assert_eq!(
            order,
            [
                ("outer", "entry"),
                ("inner", "entry"),
                ("inner", "return"),
                ("outer", "return")
            ]
        );
        let text = format_events(&evidence, &name, &experiment, &events);
        assert!(
            text.contains("    1     1.500 us -> outer.hit1  cpu 1, it 8 [softirq]\n"),
            "{text}"
        );
        assert!(
            text.contains("x = 5\n") && text.contains("exit.y: no such page\n"),
            "{text}"
        );
        assert!(
            json(&events)
                .unwrap()
                .contains("\"unavailable\": \"no such page\"")
        );
    }
}
