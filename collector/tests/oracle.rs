//! The oracle: the kernel's own kprobe events and `/proc/kcore`, against our evidence of the same call.
//! Needs QEMU, and the network or cached kernels.

use crate::job;
use crate::support;
#[path = "../test-guest/trace.rs"]
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use qed_collector::assemble::symbolize::{StaticFiles, make_evidence};
use qed_evidence::document::{Experiment, Machine, MachineKind, Target};
use qed_evidence::value::{Datum, Value};

use job::{Chain, TestJob, View};
use qed_collector::session::raw::RawCapture;
use trace::{TraceEvent, parse};

fn step(structure: &str, member: &str) -> (String, String) {
    (structure.into(), member.into())
}

/// Values with the number of bits that count, by the name of the field.
type Fields = BTreeMap<String, (i128, u32)>;

/// Our side: (order, event name, fields) of every function probe, in order. Fields that the evidence does not
/// have are left out, except that each one left out must be a `void` return.
fn ours(experiment: &Experiment) -> Vec<(String, Fields)> {
    let mut events = BTreeMap::new();
    for (name, probe) in &experiment.probes {
        if !matches!(probe.target, qed_evidence::document::Target::Function(_))
            || probe.unavailable.is_some()
        {
            continue;
        }
        for hit in &probe.hits {
            let mut fields = BTreeMap::new();
            for (at, parameter) in probe.parameters.iter().enumerate() {
                let value = field(&hit.args[&parameter.name], &parameter.type_name);
                fields.insert(format!("a{at}"), value);
            }
            events.insert(hit.order.expect("an entry"), (format!("{name}_in"), fields));
            let mut fields = BTreeMap::new();
            match (&hit.return_value, &probe.returns) {
                (Some(datum), Some(returns)) => {
                    fields.insert("ret".into(), field(datum, returns));
                }
                // Of a function whose prototype the types do not tell.
                (None | Some(Datum::Missing(_)), None) => {}
                other => panic!("{name}: {other:?}"),
            }
            events.insert(
                hit.return_order.expect("a return"),
                (format!("{name}_out"), fields),
            );
        }
    }
    events.into_values().collect()
}

/// A value as a number, and how many of its bits count.
fn field(datum: &Datum, type_name: &str) -> (i128, u32) {
    let Datum::Value(value) = datum else {
        panic!("{type_name}: {datum:?}")
    };
    let bits = match value {
        Value::Address { .. } => 64,
        _ if type_name.ends_with('*') || type_name.contains("long") => 64,
        Value::Bool { .. } => 8,
        _ => 32,
    };
    (
        support::number(value).unwrap_or_else(|| panic!("{value:?}")),
        bits,
    )
}

/// The kernel's side: the events between the system call's entry and its exit.
fn theirs(trace: &str, number: u64) -> Vec<TraceEvent> {
    let events = parse(trace);
    let at = |name: &str| {
        let found = events
            .iter()
            .position(|e| e.name == name && e.fields.get("NR") == Some(&number));
        found.unwrap_or_else(|| panic!("no {name} of {number} in {trace}"))
    };
    events[at("sys_enter")..=at("sys_exit")].to_vec()
}

/// Fail unless our evidence of a `socket` on a guest is what the kernel says; `number` is that of the system call.
pub fn agree(guest: &str, number: u64) {
    let path = support::investigation("socket.toml");
    let text = std::fs::read_to_string(&path).expect("the investigation");
    let to_socket = vec![step("file", "private_data")];
    let to_back_pointer = [
        to_socket.clone(),
        vec![step("socket", "sk"), step("sock", "sk_socket")],
    ]
    .concat();
    let job = TestJob::Oracle {
        name: "socket.toml".into(),
        text: text.clone(),
        experiment: "create".into(),
        chains: vec![Chain {
            function: "fd_install".into(),
            argument: 1,
            steps: to_back_pointer,
        }],
    };
    let answer = support::guest_job(guest, job.file().expect("a job"), Vec::new());
    let (raw, view): (RawCapture, View) = postcard::from_bytes(&answer).expect("an answer");
    let investigation =
        qed_evidence::investigation::parse("socket.toml", &text).expect("an investigation");
    let machine = Machine {
        name: guest.into(),
        kind: MachineKind::Guest,
        ephemeral: true,
        boot_id: raw.facts.boot_id.clone(),
        cpu_model: String::new(),
        cpus: 1,
        accelerator: None,
        resumed: None,
    };
    let evidence = make_evidence(&raw, &investigation, machine, &StaticFiles::default());
    let create = &evidence.experiments["create"];
    assert_eq!(create.broken_reason(), None);
    let returned = &create.outcome.returned;
    assert!(returned.value().is_some(), "{returned:?}");

    let unattached = create.probes.iter().filter(|(_, probe)| {
        matches!(probe.target, Target::Function(_)) && probe.backend.is_none()
    });
    let unattached: BTreeSet<&str> = unattached.map(|(name, _)| name.as_str()).collect();
    let refused: BTreeSet<&str> = view.refused.iter().map(String::as_str).collect();
    assert!(refused.is_subset(&unattached), "{guest}: {refused:?}");

    let window = theirs(&view.trace, number);
    let (exit, inside) = window[1..].split_last().expect("an exit");
    let ours = ours(create);
    let names = |list: &mut dyn Iterator<Item = String>| list.collect::<Vec<_>>();
    assert_eq!(
        names(&mut ours.iter().map(|(name, _)| name.clone())),
        names(&mut inside.iter().map(|event| event.name.clone())),
        "order of functions\n{}",
        view.trace
    );
    let mut compared = 0;
    for ((name, fields), event) in ours.iter().zip(inside) {
        for (field, (value, bits)) in fields {
            let mask = u64::MAX >> (64 - bits);
            assert_eq!(
                *value as u64 & mask,
                event.fields[field] & mask,
                "{guest}: {field} of {name}"
            );
            compared += 1;
        }
    }
    // Ten functions with arguments and nine with a return value: fewer would mean that nothing was compared.
    assert!(
        ours.len() >= 20 && compared >= 30,
        "{} events, {compared} fields",
        ours.len()
    );
    let Datum::Value(Value::Fd { value: fd }) = create.outcome.returned else {
        panic!("{:?}", create.outcome.returned)
    };
    assert_eq!(exit.fields["ret"], fd as u64);

    let [file, socket, sk, back] = view.chains[0][..] else {
        panic!("{:?}", view.chains)
    };
    let installed = &create.probes["fd_install"].hits[0];
    let result = &create.probes["result"].hits[0];
    let address = |datum: &Datum| match datum {
        Datum::Value(Value::Address { value, .. }) => value.0,
        other => panic!("{other:?}"),
    };
    for (seen, datum) in [
        (file, &installed.args["file"]),
        (socket, &installed.entry["private_data"]),
        (sk, &installed.entry["sk"]),
        (back, &installed.entry["back_pointer"]),
        (file, &result.exit["file"]),
        (socket, &result.exit["private_data"]),
        (sk, &result.exit["sk"]),
        (back, &result.exit["sk_socket"]),
    ] {
        assert_eq!(seen, address(datum));
    }
    assert_eq!(socket, back);
}

/// Check that on 6.1 our evidence says what the kernel's own events and memory say.
#[test]
fn debian_6_1() {
    agree("debian-6.1", 41);
}

/// Check that on 6.12 our evidence says what the kernel's own events and memory say.
#[test]
fn debian_6_12() {
    agree("debian-6.12", 41);
}

/// Check that on 7.3 our evidence says what the kernel's own events and memory say.
#[test]
fn debian_7_3() {
    agree("debian-7.3", 41);
}
