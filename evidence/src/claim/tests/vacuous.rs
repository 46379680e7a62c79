//! Claims that say nothing of the kernel: what is compared counts different things, follows from how a document is made, or
//! stands in the investigation.

use crate::claim::{Claim, Verdict};
use crate::document::value::{Address, Datum, Value};
use crate::document::{Evidence, Width};
use crate::testing::{evidence, judge_claim, judge_on, place};

fn comes_to(text: &str, evidence: &Evidence, verdict: Verdict, reason: &str) {
    let judgement = judge_on(text, evidence);
    assert_eq!(judgement.verdict, verdict, "`{text}`: {judgement:?}");
    let found = judgement.reason.clone().unwrap_or_default();
    assert!(found.contains(reason), "`{text}`: {found}");
}

/// Two experiments with a value of each kind among the reads of `create.sock_alloc`: `size` is a descriptor, `huge` a process,
/// `raw` a plain number, `file` a pointer, `flags` a time and `state` a number of bytes.
fn sample() -> Evidence {
    let mut sample = evidence();
    let create = sample.experiments.get_mut("create").unwrap();
    let probe = create.probes.get_mut("sock_alloc").unwrap();
    for (name, bits, value) in [
        ("size", 32, Value::Fd { value: 4 }),
        ("huge", 32, Value::Pid { value: 77 }),
        ("raw", 32, crate::document::count_value(9)),
        (
            "file",
            64,
            Value::Address {
                value: Address(0xffff_8880_0100_0000),
                type_name: None,
                symbol: None,
            },
        ),
        ("flags", 64, Value::Time { ns: 12 }),
        ("state", 64, Value::Size { value: 768 }),
    ] {
        let signed = bits == 32;
        (probe.widths).insert(format!("exit.{name}"), Width { bits, signed });
        probe.hits[0].exit.insert(name.into(), Datum::Value(value));
    }
    sample
}

/// The path of one of those values.
fn read(name: &str) -> String {
    format!("create.sock_alloc.exit.{name}")
}

/// Check that of any two kinds no difference and no order proves anything, in whatever form it is written, and that what
/// is written out or of the same kind is compared.
#[test]
fn unlike_things() {
    let sample = sample();
    let names = ["size", "huge", "raw", "flags", "state"];
    for a in names {
        for b in names {
            if a == b {
                continue;
            }
            let (a, b) = (read(a), read(b));
            for text in [
                format!("{a} != {b}"),
                format!("!({a} == {b})"),
                format!("({a} == {b}) == false"),
                format!("{a} < {b} || {a} > {b}"),
                format!("create.outcome.returned == 3 && {a} != {b}"),
                format!("({a} != {b} ? 1 : 2) == 1"),
            ] {
                comes_to(&text, &sample, Verdict::Error, "");
            }
            if ![&a, &b].contains(&&read("raw")) {
                let text = format!("int({a}) != int({b})");
                comes_to(&text, &sample, Verdict::Error, "proves nothing");
            }
        }
        for text in [
            format!("{} != 5", read(a)),
            format!("{} != {}", read(a), read(a).replace(a, "raw")),
        ] {
            let same = a == "raw";
            if !text.ends_with("raw") {
                comes_to(&text, &sample, Verdict::Pass, "");
            } else if !same {
                comes_to(&text, &sample, Verdict::Error, "proves nothing");
            }
        }
    }
    for text in [
        "int(create.sock_alloc.pid) - int(create.outcome.returned) != 0",
        "(int(create.sock_alloc.pid) - int(create.outcome.returned) == 0) == false",
        "int(create.sock_alloc.pid) - int(create.quality.events) < 0",
        "address(int(create.sock_alloc.pid)) != create.sock_alloc.return",
        "address(int(create.sock_alloc.pid)) < create.sock_alloc.return",
        "length(kernel.release) != fired(create.sock_alloc)",
        "length(kernel.release) > fired(create.sock_alloc)",
        "fired(create.sock_alloc) != create.sock_alloc.exit.huge",
        "create.sock_alloc.hits < create.sock_alloc.exit.raw",
        "length(create.outcome.stdout) != create.sock_alloc.pid",
        "mask(create.sock_alloc.exit.file, 0xfffu) != create.sock_alloc.exit.raw",
        "create.sock_alloc.exit.file % 4096u != create.sock_alloc.exit.huge",
        "create.sock_alloc.order < create.sock_alloc.exit.raw",
    ] {
        comes_to(text, &sample, Verdict::Error, "");
    }
    for text in [
        "int(create.sock_alloc.exit.state) > create.sock_alloc.exit.raw",
        "int(create.sock_alloc.exit.state) > int(create.sock_alloc.exit.flags)",
        "create.outcome.returned == 3 || create.sock_alloc.exit.size == create.sock_alloc.exit.raw",
        "create.outcome.returned != create.sock_alloc.exit.size",
    ] {
        comes_to(text, &sample, Verdict::Pass, "");
    }
    let when = "create.sock_alloc.exit.huge != create.sock_alloc.exit.raw";
    let text = "create.outcome.returned == 3";
    let claim = Claim::parse("a_claim", text, place(text), Some((when, place(when)))).unwrap();
    let judgement = judge_claim(&claim, &sample);
    assert_eq!(judgement.verdict, Verdict::Error, "{judgement:?}");
    assert!(judgement.reason.unwrap().starts_with("in the condition: "));
}

/// Check that what a document computes from other leaves, or tells of one thing in two places, is no claim, neither alone
/// nor beside one; and that what rests on a part of it is.
#[test]
fn computed_leaves() {
    let mut sample = sample();
    let create = sample.experiments.get_mut("create").unwrap();
    for probe in create.probes.values_mut() {
        for hit in &mut probe.hits {
            hit.time_ns = hit.order.map(|order| order * 10);
            hit.return_time_ns = hit.return_order.map(|order| order * 10);
        }
    }
    for text in [
        "create.fd_install.duration_ns == create.fd_install.return_time_ns - create.fd_install.time_ns",
        "create.fd_install.hit1.duration_ns == create.fd_install.return_time_ns - create.fd_install.hit1.time_ns",
        "create.objects.allocated == create.objects.freed + create.objects.leaked + create.objects.excused",
        "create.fd_install.hits <= create.quality.events",
        "fired(create.fd_install) <= create.quality.events",
        "create.sock_alloc.pid == create.fd_install.pid",
        "create.outcome.returned >= 0 || create.outcome.errno != 0",
        "create.outcome.errno >= 0",
        "create.workload == 'socket(AF_INET, SOCK_STREAM, 0)'",
        "contains(create.workload, 'SOCK_STREAM')",
        "create.quality.planned == 7",
        "run.investigation == 'two-experiments.toml'",
        "length(run.id) == 32",
        "length(kernel.build_id) == 2",
        "length(create.sock_alloc.task) < 16",
        "create.gate.order == 1",
        "create.sock_alloc.order >= 2",
        "before(create.gate, create.sock_alloc)",
    ] {
        let alone = judge_on(text, &sample);
        if alone.verdict == Verdict::Fail || alone.verdict == Verdict::Unverified {
            panic!("`{text}` is to be true here: {alone:?}");
        }
        comes_to(text, &sample, Verdict::Error, "cannot fail");
        let beside = format!("create.fd_install.args.fd == 3 && ({text})");
        comes_to(&beside, &sample, Verdict::Error, "this part cannot be");
    }
    for text in [
        "create.fd_install.duration_ns == 20",
        "create.fd_install.return_time_ns > create.fd_install.time_ns",
        "create.objects.leaked == 0 && create.objects.freed == create.objects.allocated",
        "create.outcome.returned == create.fd_install.args.fd && create.outcome.errno == 0",
        "create.outcome.errno == 0 && create.outcome.returned >= 0",
        "exhausted.outcome.returned < 0 && exhausted.outcome.errno == EMFILE",
        "create.sock_alloc.task == create.fd_install.task",
        "create.sock_alloc.order == 2",
        "before(create.sock_alloc, create.fd_install)",
    ] {
        comes_to(text, &sample, Verdict::Pass, "");
    }
}

/// Check that what a number of a C type's width, or of a bit field's, cannot be is no other value: a bound beyond it says nothing,
/// whatever kind of number the investigation declares, and a bound within it does.
#[test]
fn bounds_of_the_width() {
    let mut sample = sample();
    let create = sample.experiments.get_mut("create").unwrap();
    let probe = create.probes.get_mut("sock_alloc").unwrap();
    for (name, bits) in [("state", 16), ("raw", 4)] {
        let signed = false;
        (probe.widths).insert(format!("exit.{name}"), Width { bits, signed });
    }
    for (name, below) in [("state", 1 << 16), ("raw", 1 << 4)] {
        let path = read(name);
        for text in [
            format!("{path} < {below}"),
            format!("{path} != {below}"),
            format!("!({path} >= {below})"),
            format!("create.outcome.returned == 3 && {path} <= {}", below - 1),
        ] {
            comes_to(&text, &sample, Verdict::Error, "");
        }
        let text = format!("{path} < {}", below - 1);
        comes_to(&text, &sample, Verdict::Pass, "");
    }
}

/// Check that a bound which says something only of a number that may be wider than what was measured is UNVERIFIED where the evidence does
/// not tell the width, in each form, while what contradicts numbers of the same bits still passes.
#[test]
fn bounds_without_a_width() {
    let mut sample = sample();
    let create = sample.experiments.get_mut("create").unwrap();
    create.probes.get_mut("sock_alloc").unwrap().widths.clear();
    for (name, least) in [("state", 1024), ("raw", 16), ("huge", 128), ("size", 8)] {
        let path = read(name);
        for text in [
            format!("{path} < {least}"),
            format!("{path} != {least}"),
            format!("!({path} >= {least})"),
            format!("create.outcome.returned == 3 && {path} < 65536"),
        ] {
            comes_to(&text, &sample, Verdict::Unverified, "the width of");
        }
        let when = format!("{path} < {least}");
        let text = "create.outcome.returned == 3";
        let condition = Claim::parse("a_claim", text, place(text), Some((&when, place(&when))));
        let judged = judge_claim(&condition.unwrap(), &sample);
        assert_eq!(judged.verdict, Verdict::Unverified, "{judged:?}");
    }
    for text in [
        "create.sock_alloc.exit.state == 768",
        "create.sock_alloc.exit.state > 700",
        "create.sock_alloc.exit.raw != 8",
        "create.sock_alloc.exit.huge > 0",
        "create.fd_install.args.fd < 1000",
    ] {
        comes_to(text, &sample, Verdict::Pass, "");
    }
}

/// Check that what is true of all evidence is refused although it reads some: that boots are different ones, that a stack has no more
/// frames than are recorded, and that a buffer has the size that the investigation gives it. What their content is may be claimed.
#[test]
fn true_of_all_evidence() {
    let mut sample = sample();
    for name in ["boot1", "boot2"] {
        let number = name.as_bytes()[4];
        sample.boots.push(crate::document::Boot {
            boot_id: format!("00000000-0000-4000-8000-00000000000{}", char::from(number)),
            time: "2026-01-02T03:04:05Z".into(),
            slide: Value::Offset {
                value: crate::document::value::Integer::from(0x20_0000_i64 * i64::from(number)),
            }
            .into(),
            text: Datum::unavailable("not read"),
            physical: Datum::unavailable("not read"),
        });
    }
    let create = sample.experiments.get_mut("create").unwrap();
    let bytes = crate::document::value::Bytes(vec![1, 2, 3, 4, 5, 6, 7, 8]);
    let buffers = &mut create.outcome.buffers;
    buffers.insert("b".into(), Value::Bytes { value: bytes }.into());
    for text in [
        "boots.boot1.boot_id != boots.boot2.boot_id",
        "length(create.sock_alloc.stack) < 128",
        "length(create.outcome.buffers.b) == 8",
        "create.outcome.returned == 3 && length(create.outcome.buffers.b) > 7",
    ] {
        comes_to(text, &sample, Verdict::Error, "cannot");
    }
    for text in [
        "length(create.sock_alloc.stack) < 127",
        "create.outcome.buffers.b == b'\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08'",
        "byte(create.outcome.buffers.b, 0) == 1",
    ] {
        comes_to(text, &sample, Verdict::Pass, "");
    }
    let judgement = judge_on("create.outcome.buffers.b == 'hello'", &sample);
    let told = judgement.diagnostic.unwrap().render(false);
    assert!(
        told.contains("help: bytes are written with a b before them"),
        "{told}"
    );
}

/// Check that a part of a long text can be claimed: another text would not contain it.
#[test]
fn parts_of_texts() {
    let mut sample = sample();
    sample.kernel.version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)".into();
    comes_to(
        "contains(kernel.version, '6.1.192')",
        &sample,
        Verdict::Pass,
        "",
    );
    comes_to(
        "contains(kernel.version, '6.1.191')",
        &sample,
        Verdict::Fail,
        "",
    );
}
