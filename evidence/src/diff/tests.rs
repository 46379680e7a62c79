use super::changes::*;
use super::*;
use crate::document::value::{Address, Datum, InlineFrame};
use crate::document::value::{Location, Value};
use crate::document::{Evidence, Probe};
use crate::path_index::Drift;
use crate::testing::evidence;

fn probe<'e>(evidence: &'e mut Evidence, name: &str) -> &'e mut Probe {
    let experiment = evidence.experiments.get_mut("create").unwrap();
    experiment.probes.get_mut(name).unwrap()
}

fn site(evidence: &mut Evidence) -> &mut Location {
    match &mut probe(evidence, "sock_alloc").hits[0].site {
        Some(Datum::Value(Value::Location { value })) => value,
        other => panic!("{other:?}"),
    }
}

/// The only change that `change` makes.
fn only(change: fn(&mut Evidence)) -> Change {
    let mut new = evidence();
    change(&mut new);
    let mut changes = diff(&evidence(), &new);
    assert_eq!(changes.len(), 1, "{changes:?}");
    let back = diff(&new, &evidence());
    assert_eq!((back.len(), &back[0].old), (1, &changes[0].new));
    changes.remove(0)
}

/// Check that a capture does not differ from itself, and that each change has its class and its kind.
#[test]
fn each_change() {
    assert_eq!(diff(&evidence(), &evidence()), []);
    let changed = only(|e| {
        probe(e, "sock_alloc").hits[0].return_value = Some(
            Value::Address {
                value: Address(0xffff_8880_04bb_0000),
                type_name: Some("struct socket *".into()),
                symbol: None,
            }
            .into(),
        );
    });
    assert_eq!(
        (changed.path.as_str(), changed.class, changed.what),
        ("create.sock_alloc.return", Drift::PerRun, ChangeKind::Value)
    );
    let moved = only(|e| site(e).line += 3);
    assert_eq!(
        (moved.class, moved.what),
        (Drift::PerKernel, ChangeKind::Moved)
    );
    let inlined = only(|e| {
        site(e).inlined_into.push(InlineFrame {
            function: "__sock_create".into(),
            file: "net/socket.c".into(),
            line: 7,
        });
    });
    assert_eq!(
        (inlined.class, inlined.what),
        (Drift::PerKernel, ChangeKind::Inlined)
    );
    let vanished = only(|e| {
        let probe = probe(e, "fd_install");
        probe.hits.clear();
        probe.backend = None;
        probe.unavailable = Some("inlined everywhere".into());
    });
    assert_eq!(
        (vanished.path.as_str(), vanished.class, vanished.what),
        ("create.fd_install", Drift::PerKernel, ChangeKind::Vanished)
    );
    assert!(vanished.new.contains("inlined everywhere"));
    let fired_less = only(|e| drop(probe(e, "twice").hits.pop()));
    assert_eq!(
        (fired_less.path.as_str(), fired_less.class),
        ("create.twice.hits", Drift::Invariant)
    );
    let removed = only(|e| drop(e.experiments.remove("exhausted")));
    assert_eq!(
        (removed.path.as_str(), removed.what),
        ("exhausted", ChangeKind::Vanished)
    );
    let slid = only(|e| e.kaslr.slide = Value::Offset { value: 0i64.into() }.into());
    assert_eq!(slid.class, Drift::PerBoot);
    let unread = only(|e| e.kaslr.slide = Datum::unavailable("not readable"));
    assert_eq!(
        (unread.class, unread.what),
        (Drift::PerKernel, ChangeKind::Vanished)
    );
    let mut reworded = evidence();
    reworded.kernel.debuginfo = Datum::unavailable("other words");
    assert_eq!(diff(&evidence(), &reworded), []);
}

/// Check that evidence of before the architecture was said is taken for x86-64: no drift to that, and drift to another.
#[test]
fn architectures() {
    let of = |arch: Option<&str>| {
        let mut evidence = evidence();
        evidence.kernel.arch = arch.map(str::to_owned);
        evidence
    };
    let x86 = Some("x86_64");
    assert_eq!(diff(&of(None), &of(x86)), []);
    assert_eq!(diff(&of(x86), &of(None)), []);
    for (old, new) in [(None, Some("aarch64")), (Some("aarch64"), x86)] {
        let changes = diff(&of(old), &of(new));
        let paths: Vec<&str> = changes.iter().map(|change| &*change.path).collect();
        assert_eq!(paths, ["kernel.arch"], "{old:?} {new:?}");
        assert_eq!(changes[0].class, Drift::PerKernel);
    }
}

/// Check that a lost event is drift.
#[test]
fn soundness() {
    let mut new = evidence();
    new.experiments.get_mut("create").unwrap().quality.lost = 1;
    let changes = diff(&evidence(), &new);
    assert!(
        changes
            .iter()
            .any(|c| c.what == ChangeKind::Soundness && c.path == "create"),
        "{changes:?}"
    );
}

/// Check that expected changes are folded away and counted, and that the rest is rendered, markup and all.
#[test]
fn reports() {
    let mut new = evidence();
    new.run.id = "2".into();
    site(&mut new).line = 1600;
    new.experiments.get_mut("create").unwrap().outcome.returned = Value::Fd { value: 4 }.into();
    new.kernel.release = "<b>|`x`".into();
    let report = Report::new(diff(&evidence(), &new), Report::FOLDED);
    assert!(report.has_drift());
    insta::assert_snapshot!(text(&report), @r##"
    invariant:
      create.outcome.returned: changed
        - 3
        + 4
    per kernel:
      create.sock_alloc.site: moved
        - net/socket.c:1540 in __sock_create
        + net/socket.c:1600 in __sock_create
      kernel.release: changed
        - 6.12.117+deb12-cloud-amd64
        + <b>|`x`
    Folded away, as expected: 1 per run.
    "##);
    insta::assert_snapshot!(markdown(&report), @r##"
    | class | path | | was | is |
    | --- | --- | --- | --- | --- |
    | invariant | <code>create.outcome.returned</code> | changed | <code>3</code> | <code>4</code> |
    | per kernel | <code>create.sock&#95;alloc.site</code> | moved | <code>net/socket.c:1540 in &#95;&#95;sock&#95;create</code> | <code>net/socket.c:1600 in &#95;&#95;sock&#95;create</code> |
    | per kernel | <code>kernel.release</code> | changed | <code>6.12.117+deb12-cloud-amd64</code> | <code>&lt;b&gt;&#124;&#96;x&#96;</code> |

    Folded away, as expected: 1 per run.
    "##);
    let mut rerun = evidence();
    rerun.run.id = "2".into();
    let report = Report::new(diff(&evidence(), &rerun), Report::FOLDED);
    assert!(!report.has_drift());
    assert_eq!(report.folded[&Drift::PerRun], 1);
}

/// Check that the same place of the kernel at another address is another boot and no more, and another place is drift
/// although addresses change with every boot; that shifted numbers of events are none, and that another type is told
/// as one.
#[test]
fn places_and_types() {
    let symbol = |name: &str, address: u64| {
        Some(Datum::Value(Value::Symbol {
            name: name.into(),
            offset: 19,
            address: Address(address),
        }))
    };
    let with = |caller: Option<Datum>| {
        let mut evidence = evidence();
        probe(&mut evidence, "sock_alloc").hits[0].caller = caller;
        evidence
    };
    let old = with(symbol("f", 0xffff_ffff_8100_0013));
    let class = |new: &Evidence| {
        let changes = diff(&old, new);
        assert_eq!(changes.len(), 1, "{changes:?}");
        changes[0].class
    };
    assert_eq!(
        class(&with(symbol("f", 0xffff_ffff_9100_0013))),
        Drift::PerBoot
    );
    assert_eq!(
        class(&with(symbol("g", 0xffff_ffff_9100_0013))),
        Drift::PerKernel
    );

    let number = |name: &str| {
        Some(Datum::Value(Value::Int {
            value: 16_i64.into(),
            type_name: Some(name.into()),
        }))
    };
    let changes = diff(&with(number("u16")), &with(number("unsigned long")));
    assert_eq!(
        (
            changes[0].class,
            changes[0].old.as_str(),
            changes[0].new.as_str()
        ),
        (Drift::PerKernel, "16 as `u16`", "16 as `unsigned long`")
    );

    let mut shifted = evidence();
    for probe in shifted
        .experiments
        .get_mut("create")
        .unwrap()
        .probes
        .values_mut()
    {
        for hit in &mut probe.hits {
            hit.order = hit.order.map(|order| order + 2);
            hit.return_order = hit.return_order.map(|order| order + 2);
        }
    }
    assert_eq!(diff(&evidence(), &shifted), []);
    let mut swapped = evidence();
    let hits = &mut probe(&mut swapped, "twice").hits;
    let (first, second) = (hits[0].order, hits[1].order);
    (hits[0].order, hits[1].order) = (second, first);
    assert!(
        diff(&evidence(), &swapped)
            .iter()
            .any(|c| c.path == "create.twice.hit1.order")
    );
}

/// Check that what is the same in several hits is rendered once.
#[test]
fn repetition() {
    let mut new = evidence();
    for hit in &mut probe(&mut new, "twice").hits {
        hit.returns_to = Some(Datum::Value(Value::text("other")));
    }
    let report = Report::new(diff(&evidence(), &new), Report::FOLDED);
    assert_eq!(report.changes.len(), 2);
    assert!(
        text(&report).contains("create.twice.hit1.returns_to (and 1 more like it): "),
        "{}",
        text(&report)
    );
}

/// Check that a guest that was resumed and one that was booted differ in no more than two captures of one boot do, while a value that
/// the kernel takes away is its drift.
#[test]
fn resumed_guest() {
    let resumed = only(|e| e.machine.resumed = Some("2026-11-23T11:00:00Z".into()));
    assert_eq!(
        (resumed.path.as_str(), resumed.class, resumed.what),
        ("machine.resumed", Drift::PerRun, ChangeKind::Appeared)
    );
    assert!(!Report::new(vec![resumed], Report::FOLDED).has_drift());
    let mut gone = evidence();
    gone.machine.accelerator = Some("TCG".into());
    let changes = diff(&gone, &evidence());
    assert_eq!(
        (changes[0].path.as_str(), changes[0].class),
        ("machine.accelerator", Drift::PerKernel)
    );
}
