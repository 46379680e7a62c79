//! An experiment as steps, one for each call: a table that folds steps without measurements, or with `form="records"` ASCII
//! records in the format of [`crate::exhibits::trace_record`].
//!
//! Every function that a probe saw has a record, and so has every tracepoint. So has every function that the compiler inlined on the way to one of those,
//! according to the debug information; nothing was measured in it, and its record says `inlined`. The system call itself has a
//! record for its entry and one for its exit, if its tracepoints were watched.
//!
//! The field `Work` comes from the body, whose lines are `FUNCTION: PURPOSE`, or `PROBE.hit2: PURPOSE` for one of several hits,
//! else from the glossary.

mod constants;
mod line;
mod table;

use std::collections::HashMap;

use qed_evidence::document::{Experiment, Hit, Probe, Target};
use qed_evidence::investigation::{self, Action};
use qed_evidence::value::{Datum, Value};
use serde::Serialize;

use crate::evidence::names::Glossary;
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::calltree::collect_uses;
use crate::exhibits::gap::ExhibitGap;
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::exhibits::trace_record::{RecordKind, StepRecord};
use crate::exhibits::tree::{CallKind, ProbedCall, build_tree, describe_interrupt};
use crate::markdown::syntax::SyntaxError;
use constants::find_constants;
use line::{RecordLine, error_name, format_place, join_parts};
use table::{INLINED, StepRow, TraceStep, build_rows, format_rows};

/// The argument registers of a system call on x86-64, in order
/// (<https://elixir.bootlin.com/linux/v6.12/source/arch/x86/entry/entry_64.S#L59>).
const ARGUMENTS: [&str; 6] = [
    "regs->di",
    "regs->si",
    "regs->dx",
    "regs->r10",
    "regs->r8",
    "regs->r9",
];

/// The sources of records.
struct TraceSources<'a> {
    experiment: &'a Experiment,
    planned: &'a investigation::Experiment,
    /// The purpose of functions, from the body.
    work: &'a HashMap<String, String>,
    glossary: &'a Glossary,
    /// Writes a value, or its stand-in.
    write: &'a dyn Fn(&Value) -> String,
}

impl TraceSources<'_> {
    fn write_datum(&self, datum: Option<&Datum>) -> String {
        match datum.map(|datum| datum.value()) {
            Some(Some(value)) => (self.write)(value),
            Some(None) => "unavailable".into(),
            None => "not seen".into(),
        }
    }

    fn work_of_function(&self, name: &str) -> String {
        self.work_of_hit(None, name)
    }

    /// The purpose of what was hit: that of one hit, `PROBE.hit2`, before that of all.
    fn work_of_hit(&self, hit: Option<&str>, name: &str) -> String {
        let written = |name: &str| self.work.get(name).map(String::as_str);
        let purpose = hit.and_then(written).or_else(|| written(name));
        let purpose = purpose.or_else(|| self.glossary.definition(name));
        purpose
            .unwrap_or("not described")
            .trim_end_matches('.')
            .to_owned()
    }
}

/// A record without its number.
fn new_record(kind: RecordKind, name: &str, fields: [String; 9]) -> StepRecord {
    StepRecord {
        number: 0,
        kind,
        name: name.to_owned(),
        fields,
    }
}

/// The arguments of the workload's only call as it names them: `AF_INET`, `SOCK_STREAM`, `0`. None of another workload, or where
/// the evidence is of one that the investigation no longer has.
fn workload_arguments(sources: &TraceSources<'_>) -> Option<Vec<String>> {
    let same = sources.experiment.workload == sources.planned.workload_text();
    let requested = sources.planned.workload.argument_texts();
    requested.filter(|_| same)
}

/// The arguments of a call, by their names.
fn format_arguments(
    probe: &Probe,
    hit: &Hit,
    constants: &HashMap<String, (i128, String)>,
) -> String {
    let names: Vec<String> = probe
        .parameters
        .iter()
        .map(|parameter| {
            let value = hit.args.get(&parameter.name).and_then(Datum::value);
            let number = value.and_then(Value::as_integer);
            match (constants.get(&parameter.name), value) {
                (Some((known, name)), _) if number == Some(*known) => name.clone(),
                (_, Some(Value::Address { .. })) => parameter.type_name.clone(),
                (_, Some(value)) => format!("{}={value}", parameter.name),
                (_, None) => parameter.name.clone(),
            }
        })
        .collect();
    join_parts(&names)
}

fn probed_step(
    sources: &TraceSources<'_>,
    call: &ProbedCall<'_>,
    constants: &HashMap<String, (i128, String)>,
) -> TraceStep {
    let (probe, hit) = (call.probe, call.hit);
    let values: Vec<String> = probe
        .parameters
        .iter()
        .map(|parameter| sources.write_datum(hit.args.get(&parameter.name)))
        .collect();
    let arguments = (probe.parameters.iter().zip(&values))
        .map(|(parameter, value)| {
            let name = &parameter.name;
            let number = hit.args.get(name).and_then(Datum::value);
            let number = number.and_then(Value::as_integer);
            match constants.get(name) {
                Some((known, word)) if number == Some(*known) => {
                    format!("{name} = {word} ({value})")
                }
                _ => format!("{name} = {value}"),
            }
        })
        .collect();
    let (kind, function) = match &probe.target {
        Target::Function(name) => (RecordKind::Call, name.as_str()),
        Target::Address(_) => (RecordKind::Call, call.name.as_str()),
        Target::Tracepoint(name) | Target::Lsm(name) => (RecordKind::Event, name.as_str()),
    };
    let interrupt = describe_interrupt(hit);
    let work = sources.work_of_hit(Some(&call.name), function);
    let returned = hit.return_value.as_ref();
    // Where the kernel's types do not know a function, it looks as if it had neither parameters nor a result.
    let unknown =
        kind == RecordKind::Call && probe.parameters.is_empty() && probe.returns.is_none();
    let void = if unknown { "not known" } else { "void" };
    let record = new_record(
        kind,
        function,
        [
            if unknown {
                void.into()
            } else {
                join_parts(&values)
            },
            if unknown {
                void.into()
            } else {
                format_arguments(probe, hit, constants)
            },
            work,
            error_name(returned),
            if probe.returns.is_some() {
                sources.write_datum(returned)
            } else {
                void.into()
            },
            probe.returns.clone().unwrap_or_else(|| void.into()),
            format_place(hit.site.as_ref()),
            format_place(probe.definition.as_ref()),
            sources.write_datum(hit.returns_to.as_ref().or(hit.caller.as_ref())),
        ],
    );
    TraceStep {
        record,
        arguments,
        interrupt,
        hit: Some(call.name.clone()),
    }
}

/// A register at a hit of `probe`, by the expression of the read that took it.
fn find_register(
    sources: &TraceSources<'_>,
    probe: &str,
    hit: &Hit,
    wanted: &str,
) -> Option<String> {
    let reads = sources.planned.probe(probe)?;
    let read = reads
        .entry
        .iter()
        .chain(&reads.exit)
        .find(|read| read.expression == wanted)?;
    let datum = hit
        .entry
        .get(&read.name)
        .or_else(|| hit.exit.get(&read.name));
    Some(sources.write_datum(datum))
}

/// The records of the system call itself: going in and coming out, as far as their tracepoints were watched.
fn syscall_steps(
    sources: &TraceSources<'_>,
    calls: &[&ProbedCall<'_>],
    requested: &[String],
) -> (Option<TraceStep>, Option<TraceStep>) {
    let workload = &sources.planned.workload;
    let Action::Syscall { name, .. } = &workload.action else {
        return (None, None);
    };
    // Of several calls the tracepoints tell in their own hits.
    if workload.call_count() > 1 {
        return (None, None);
    }
    let title = format!("SYSCALL_DEFINE{}({name})", requested.len());
    let tracepoint = |wanted: &str| {
        sources.experiment.probes.iter().find_map(|(name, probe)| {
            let found = matches!(&probe.target, Target::Tracepoint(t) if t == wanted);
            found.then_some((name, probe.hits.first()?))
        })
    };
    // The function that the source's SYSCALL_DEFINE makes.
    let own = format!("__x64_sys_{name}");
    let defined = calls
        .iter()
        .find(|call| matches!(&call.probe.target, Target::Function(f) if *f == own));
    let current = format_place(defined.and_then(|call| call.probe.definition.as_ref()));
    let seen = || "not read".to_owned();
    let going_in = tracepoint("sys_enter");
    let user = going_in
        .and_then(|(probe, hit)| find_register(sources, probe, hit, "regs->ip"))
        .unwrap_or_else(|| "user space".into());
    let enter = going_in.map(|(probe, hit)| {
        let values: Vec<String> = ARGUMENTS
            .iter()
            .take(requested.len())
            .map(|wanted| find_register(sources, probe, hit, wanted).unwrap_or_else(seen))
            .collect();
        let arguments = requested.iter().zip(&values);
        let arguments = arguments.map(|(word, value)| match word == value {
            true => value.clone(),
            false => format!("{word} ({value})"),
        });
        let arguments = arguments.collect();
        let record = new_record(
            RecordKind::Call,
            &title,
            [
                join_parts(&values),
                join_parts(requested),
                sources.work_of_function(&title),
                "None".into(),
                find_register(sources, probe, hit, "regs->orig_ax").unwrap_or_else(seen),
                "regs->orig_ax".into(),
                "user space".into(),
                current.clone(),
                "0".into(),
            ],
        );
        TraceStep::with_arguments(record, arguments)
    });
    let exit = tracepoint("sys_exit").map(|(_, hit)| {
        let returned = hit.args.get("ret");
        let value = sources.write_datum(returned);
        let kind = sources
            .experiment
            .outcome
            .returned
            .value()
            .map_or("long", Value::kind);
        TraceStep::new(new_record(
            RecordKind::Return,
            &title,
            [
                value.clone(),
                kind.to_owned(),
                sources.work_of_function("RETURN"),
                error_name(returned),
                value,
                "regs->ax".into(),
                "0".into(),
                current.clone(),
                user,
            ],
        ))
    });
    (enter, exit)
}

/// All steps in order.
fn collect_steps(sources: &TraceSources<'_>) -> Vec<TraceStep> {
    let nodes = build_tree(sources.experiment);
    let calls: Vec<&ProbedCall<'_>> = nodes
        .iter()
        .filter_map(|node| match &node.what {
            CallKind::Call(call) => {
                Some(call).filter(|c| matches!(c.probe.target, Target::Function(_)))
            }
            CallKind::Inlined(..) => None,
        })
        .collect();
    let requested = workload_arguments(sources).unwrap_or_default();
    let constants = find_constants(&calls, &sources.planned.workload, &requested);
    let (enter, exit) = syscall_steps(sources, &calls, &requested);
    let nothing = || INLINED.to_owned();
    // Those of the only call are its first and its last step.
    let is_gate = |target: &Target| {
        let gates = ["sys_enter", "sys_exit"];
        matches!(sources.planned.workload.action, Action::Syscall { .. })
            && sources.planned.workload.call_count() == 1
            && matches!(target, Target::Tracepoint(name) if gates.contains(&name.as_str()))
    };
    let between = nodes.iter().filter_map(|node| match &node.what {
        CallKind::Call(call) if is_gate(&call.probe.target) => None,
        CallKind::Call(call) => Some(probed_step(sources, call, &constants)),
        CallKind::Inlined(function, line) => Some(TraceStep::new(new_record(
            RecordKind::Call,
            function,
            [
                nothing(),
                nothing(),
                sources.work_of_function(function),
                "None".into(),
                nothing(),
                nothing(),
                line.clone(),
                nothing(),
                nothing(),
            ],
        ))),
    });
    let mut out: Vec<TraceStep> = enter.into_iter().chain(between).chain(exit).collect();
    for (index, step) in out.iter_mut().enumerate() {
        step.record.number = index + 1;
    }
    out
}

#[derive(Serialize)]
struct TraceView {
    caption: String,
    rows: Vec<StepRow>,
    records: Vec<RecordLine>,
    absent: Vec<String>,
}

/// The look of the exhibit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Steps,
    Records,
}

/// The look that the option `form` asks for.
fn parse_form(request: &ExhibitRequest<'_, '_>) -> Result<Form, SyntaxError> {
    let Some(option) = request.words.option("form") else {
        return Ok(Form::Steps);
    };
    match option.value.text.as_str() {
        "steps" => Ok(Form::Steps),
        "records" => Ok(Form::Records),
        other => Err(SyntaxError::new(
            option.value.span.clone(),
            format!("`{other}` is not a form of a trace"),
            Some("write form=\"steps\" or form=\"records\"".to_owned()),
        )),
    }
}

/// Refuse a line for a function that has no record: it would be lost in silence.
fn refuse_unused_lines(
    request: &ExhibitRequest<'_, '_>,
    used: &[String],
) -> Result<(), SyntaxError> {
    if !used.is_empty() {
        for (line, span) in request.body {
            let name = line.split(':').next().unwrap_or_default().trim();
            if name != "RETURN" && !used.iter().any(|known| known == name) {
                let near = qed_evidence::diagnostic::nearest(name, used.iter().map(String::as_str));
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let span = span.start..span.start + name.len();
                let message = format!("there is no record of `{name}`");
                return Err(SyntaxError::new(span, message, help));
            }
        }
    }
    Ok(())
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let form = parse_form(request)?;
    let mut work = HashMap::new();
    for (line, span) in request.body {
        let Some((name, purpose)) = line.split_once(':') else {
            let help = "write `FUNCTION: what it is for`".to_owned();
            return Err(SyntaxError::new(
                span.clone(),
                "the line has no colon",
                help,
            ));
        };
        work.insert(name.trim().to_owned(), purpose.trim().to_owned());
    }
    let mut used = Vec::new();
    let rendered = request.show_experiment(|machine, name, experiment| {
        let planned = book_data.evidence_set.investigation.experiment(name);
        let planned = planned.ok_or(ExhibitGap::Unplanned)?;
        let material = TraceSources {
            experiment,
            planned,
            work: &work,
            glossary: request.glossary,
            write: &|value| value.to_string(),
        };
        let steps = collect_steps(&material);
        let absent: Vec<String> = experiment
            .probes
            .values()
            .filter_map(|probe| match (&probe.target, &probe.unavailable) {
                (Target::Function(function), Some(reason)) => Some(format!("{function}: {reason}")),
                _ => None,
            })
            .collect();
        used = steps.iter().map(|step| step.record.name.clone()).collect();
        used.extend(steps.iter().filter_map(|step| step.hit.clone()));
        used.extend(
            planned
                .probes
                .iter()
                .filter_map(|probe| match &probe.target {
                    Target::Function(function) => Some(function.clone()),
                    _ => None,
                }),
        );
        let (rows, records): (_, Vec<StepRecord>) = match form {
            Form::Steps => (build_rows(&steps), Vec::new()),
            Form::Records => (
                Vec::new(),
                steps.into_iter().map(TraceStep::into_record).collect(),
            ),
        };
        let data = TraceView {
            caption: caption(book_data, machine, &experiment.workload),
            records: records.iter().map(RecordLine::new).collect(),
            rows,
            absent,
        };
        let mut text = data.caption.clone();
        let records = records.iter().map(StepRecord::to_string);
        for line in format_rows(&data.rows).into_iter().chain(records) {
            text.push_str(&format!("\n{line}"));
        }
        for absent in &data.absent {
            text.push_str(&format!("\nno record of {absent}"));
        }
        Ok(RenderedBlock {
            html: book_data.evidence_set.templates.render("trace", &data),
            text,
            machines: vec![machine],
            uses: collect_uses(name, machine, experiment),
            ..RenderedBlock::default()
        })
    })?;
    refuse_unused_lines(request, &used)?;
    Ok(rendered)
}
