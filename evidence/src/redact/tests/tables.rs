//! Tests of the document's tables: every row has the effect that it states.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use crate::document::facts::{
    FunctionFacts, OptionFacts, SyscallFacts, TracepointFacts, TypeFacts,
};
use crate::document::fields::{
    Changes, EXPERIMENT_STRUCTURES, FACT_STRUCTURES, Field, Form, PathRule, Publish, STRUCTURES,
    Structure, Visit, VisitMut, leaf_rule,
};
use crate::document::instances::{InlinedCopy, Instances, OwnCopy, Within};
use crate::document::value::{Address, Bytes, Datum, Frame, Value};
use crate::document::visit::{VisitedItem, walk};
use crate::document::{
    Allocation, Backend, Boot, CallSite, CommandRun, Context, Cost, Descendants, EnumeratorFacts,
    Evidence, Facts, FieldFacts, FileRole, Free, Graph, Instruction, Ledger, Member, MemberFacts,
    ProgramFile, Reader, Reading,
};
use crate::path_index::leaves;
use crate::path_index::resolve::{Catalog, Indexed, Resolved};
use crate::redact::parts::AddressParts;
use crate::redact::public::withhold;
use crate::testing::{evidence, investigation};

/// A folder that would tell whose machine it is.
const CANARY: &str = "/home/zacharias/x";

fn value() -> Datum {
    Value::text("kernel").into()
}

fn instruction() -> Instruction {
    Instruction {
        offset: 0,
        bytes: Bytes(vec![0x0f, 0x05]),
        text: "syscall".into(),
    }
}

fn frame() -> Frame {
    let mut frames = Vec::new();
    evidence().for_each_frame(&mut |frame| frames.push(frame.clone()));
    frames.remove(0)
}

fn facts() -> Facts {
    let text = |text: &str| Some(Value::text(text).into());
    let yes = || Datum::from(Value::Bool { value: true });
    let member = MemberFacts {
        order: 1,
        offset: 8,
        size: Some(8),
        bit: Some(1),
        bits: Some(2),
        type_name: "struct x *".into(),
    };
    let field = FieldFacts {
        order: 1,
        offset: 8,
        size: 8,
        type_name: "long".into(),
    };
    Facts {
        types: named(TypeFacts {
            exists: yes(),
            kind: text("struct"),
            names: text("struct x"),
            size: Some(Value::int(16).into()),
            members: named(member),
            enumerators: named(EnumeratorFacts { value: value() }),
            count: 2,
        }),
        functions: named(FunctionFacts {
            exists: yes(),
            prototype: text("int x(void)"),
        }),
        tracepoints: named(TracepointFacts {
            exists: yes(),
            group: text("x"),
            fields: named(field),
            count: 1,
        }),
        syscalls: named(SyscallFacts {
            exists: yes(),
            number: Some(Value::int(41).into()),
            function: text("x"),
        }),
        config: named(OptionFacts {
            exists: yes(),
            value: text("y"),
        }),
    }
}

fn named<T>(one: T) -> std::collections::BTreeMap<String, T> {
    [("x".to_owned(), one)].into()
}

/// A document in which no field is empty.
fn full() -> Evidence {
    let mut full = evidence();
    full.machine.accelerator = Some("tcg".into());
    full.machine.resumed = Some("2026-11-23T12:00:00Z".into());
    full.kernel.arch = Some("x86_64".into());
    full.kernel.package = Some("linux-image".into());
    full.kernel.image_digest = Some("ab".into());
    full.kernel.command_line = Some("quiet".into());
    full.kernel.config.insert("x".into(), value());
    full.kernel.modules.insert("x".into(), value());
    full.kaslr.sources.insert("x".into(), value());
    full.kaslr.readings.push(Reading {
        by: Reader::Machine,
        file: "/proc/iomem".into(),
        key: "Kernel code".into(),
        line: Some(7),
        text: value(),
    });
    full.boots.push(Boot {
        boot_id: "b".into(),
        time: "2026-01-01T00:00:00Z".into(),
        slide: value(),
        text: value(),
        physical: value(),
    });
    let files = vec![ProgramFile {
        role: FileRole::Program,
        name: "true".into(),
        sha256: "ab".into(),
        mode: Some(0o644),
    }];
    full.commands.insert(
        "release".into(),
        CommandRun {
            by: Reader::Machine,
            argv: vec!["true".into()],
            files: files.clone(),
            exit: Value::int(0).into(),
            output: value(),
            values: [("x".to_owned(), value())].into(),
        },
    );
    if let Some(experiment) = full.experiments.values_mut().next() {
        experiment.graph = Some(Graph {
            lost: true,
            functions: vec!["f".into()],
            calls: vec!["0 0 1".into()],
            traceable: vec!["f".into()],
            returned: Some(0),
            ..Graph::default()
        });
    }
    full.facts = Some(facts());
    full.instances.insert(
        "f".into(),
        Instances {
            copies: vec![OwnCopy {
                symbol: "f".into(),
                address: Address(1 << 40),
                file: Some("fs/file.c".into()),
                aliases: vec!["g".into()],
            }],
            inlined: Some(vec![InlinedCopy {
                holder: "g".into(),
                address: Some(Address(1 << 41)),
                file: Some("fs/file.c".into()),
                site: Some("fs/file.c:7".into()),
            }]),
            count: 2,
            leaves_by_jump: Some(false),
            never_returns: Some(false),
            unknown: Some("unknown".into()),
        },
    );
    for experiment in full.experiments.values_mut() {
        experiment.files.clone_from(&files);
        experiment.call = Some(CallSite {
            function: Address(1 << 40),
            instruction: Address(1 << 40),
            code: vec![instruction()],
        });
        experiment.outcome.stderr = Some(value());
        experiment.outcome.results.insert("x".into(), value());
        experiment.outcome.buffers.insert("x".into(), value());
        experiment.quality.descendants = Some(Descendants {
            started: 1,
            followed: 1,
            running: 1,
        });
        experiment.quality.threads_running = Some(0);
        experiment.quality.marked = Some(true);
        experiment.quality.until_user_space = Some(true);
        experiment.quality.compat_calls = Some(0);
        experiment.quality.attempts = Some(1);
        experiment.quality.notes.push("note".into());
        experiment.cost = Some(Cost {
            bare_ns: 1,
            probed_ns: 2,
            iterations: 3,
        });
        experiment.objects = Some(Ledger {
            waited_ns: 1,
            allocations: vec![Allocation {
                address: Address(1 << 42),
                probe: "sock_alloc".into(),
                cache: Some("cache".into()),
                size: Some(64),
                order: 1,
                time_ns: 1,
                stack: vec![frame()],
                freed: Some(Free {
                    probe: "sock_alloc".into(),
                    order: 2,
                    time_ns: 2,
                    same_task: false,
                    task: "task".into(),
                    stack: vec![frame()],
                }),
                excused: Some("excused".into()),
            }],
        });
        for probe in experiment.probes.values_mut() {
            fill(probe);
        }
    }
    full
}

fn fill(probe: &mut crate::document::Probe) {
    probe.backend = Some(Backend::Kprobe);
    probe.unavailable = None;
    probe.attach_errno = Some(value());
    probe.address = Some(Value::address(1 << 40).into());
    probe.watched = vec![Address(1 << 40)];
    probe.returns = Some("int".into());
    probe.file = Some("fs/file.c".into());
    probe.within = Some(Within {
        function: "g".into(),
        undecided: 1,
        settled: Some(0),
        why: Some("why".into()),
    });
    probe.definition = Some(value());
    probe.instruction = Some(instruction());
    probe.listed = Some(value());
    for reads in [
        &mut probe.refused_reads.entry,
        &mut probe.refused_reads.exit,
    ] {
        reads.insert("refused".into(), "why".into());
    }
    let member = Member {
        structure: "struct sock".into(),
        name: "x".into(),
        offset: 8,
        type_name: Some("unsigned short".into()),
        bits: Some(3),
    };
    for members in [&mut probe.members.entry, &mut probe.members.exit] {
        members.insert("x".into(), member.clone());
    }
    probe.public.clear();
    probe.retyped.clear();
    probe.skipped = Some(0);
    let name = probe
        .parameters
        .first()
        .map_or("x", |one| &one.name)
        .to_owned();
    for hit in &mut probe.hits {
        hit.order = hit.order.or(Some(1));
        hit.time_ns = hit.time_ns.or(Some(1));
        hit.return_order = hit.return_order.or(Some(2));
        hit.return_time_ns = hit.return_time_ns.or(Some(2));
        hit.context = Some(Context::Task);
        hit.args.entry(name.clone()).or_insert_with(value);
        for reads in [&mut hit.entry, &mut hit.exit] {
            reads.entry("x".into()).or_insert_with(value);
        }
        hit.return_value = Some(value());
        hit.instance = Some(value());
        hit.returns_to = Some(value());
        hit.caller = Some(value());
        hit.site = Some(value());
        hit.stack = Some(
            Value::Stack {
                value: vec![frame()],
            }
            .into(),
        );
    }
}

/// The fields that hold something, and the texts in those that are published as they are.
#[derive(Default)]
struct Seen<'a> {
    fields: Vec<&'static Field>,
    public: Vec<&'a str>,
}

impl<'a> Visit<'a> for Seen<'a> {
    type Break = ();

    fn datum(&mut self, field: &'static Field, _: &'a Datum) -> ControlFlow<()> {
        self.fields.push(field);
        ControlFlow::Continue(())
    }

    fn text(&mut self, field: &'static Field, text: &'a str) -> ControlFlow<()> {
        self.fields.push(field);
        if field.publish == Publish::Public {
            self.public.push(text);
        }
        ControlFlow::Continue(())
    }

    fn number(&mut self, field: &'static Field, _: u64) -> ControlFlow<()> {
        self.fields.push(field);
        ControlFlow::Continue(())
    }

    fn truth(&mut self, field: &'static Field, _: bool) -> ControlFlow<()> {
        self.fields.push(field);
        ControlFlow::Continue(())
    }
}

fn seen(evidence: &Evidence) -> Seen<'_> {
    let mut seen = Seen::default();
    assert!(evidence.visit(&mut seen).is_continue());
    seen
}

/// Puts the canary, as a value or as a reason, wherever a field is not declared public.
struct Plant {
    as_reason: bool,
}

impl VisitMut for Plant {
    fn leaves_out(&self, _: &'static Field) -> bool {
        false
    }

    fn datum(&mut self, field: &'static Field, datum: &mut Datum) {
        // Only the collector can have written these: any value of theirs is published, and no reason.
        let any = matches!(field.publish, Publish::Value | Publish::Pseudonyms);
        match self.as_reason {
            true => *datum = Datum::unavailable(CANARY),
            false if !any => *datum = Value::text(CANARY).into(),
            false => {}
        }
    }

    fn frame(&mut self, _: &'static Field, _: &mut Frame) {}

    fn text(&mut self, field: &'static Field, text: &mut String) -> bool {
        if field.publish != Publish::Public {
            CANARY.clone_into(text);
        }
        true
    }
}

/// Check that the full document holds every field that the tables list as a leaf: else the checks below would pass by it.
#[test]
fn full_is_full() {
    let full = full();
    let seen = seen(&full);
    for (structure, fields) in STRUCTURES
        .iter()
        .chain(EXPERIMENT_STRUCTURES)
        .chain(FACT_STRUCTURES)
    {
        for field in *fields {
            let is_leaf = matches!(field.leaf, PathRule::Listed { .. });
            let found = seen.fields.contains(&field);
            assert!(found || !is_leaf, "{structure}.{}", field.key);
        }
    }
    let json = serde_json::to_string(&full).unwrap();
    for (structure, fields) in STRUCTURES
        .iter()
        .chain(EXPERIMENT_STRUCTURES)
        .chain(FACT_STRUCTURES)
    {
        for field in *fields {
            let key = format!("\"{}\":", field.key);
            let never =
                ["unavailable", "optional", "marks_cuts", "public", "retyped"].contains(&field.key);
            assert!(json.contains(&key) || never, "{structure}.{}", field.key);
        }
    }
}

/// Check that each leaf has the row that it was listed by, found by its path: units of claims and their negative control
/// depend on it.
#[test]
fn rows_by_path() {
    let full = full();
    for (path, leaf) in leaves(&full).iter() {
        let rule = leaf_rule(path).unwrap_or_else(|| panic!("no row for {path}"));
        if let Changes::Always(drift) = rule.changes {
            assert_eq!(drift, leaf.drift, "{path}");
        }
        let wanted = match leaf.datum.value() {
            Some(Value::Time { .. }) => matches!(rule.form, Form::Time | Form::Moment),
            Some(Value::Pid { .. }) => rule.form == Form::Pid || path.contains(".outcome."),
            _ => true,
        };
        assert!(
            wanted || rule.changes == Changes::ByValue,
            "{path}: {:?}",
            rule.form
        );
    }
    for none in [
        "run.none",
        "boots.boot1.count",
        "kernel.none.x",
        "claims.a",
        "e.call.order",
    ] {
        assert_eq!(leaf_rule(none), None, "{none}");
    }
}

/// Check that a whole number that no other form describes counts something, or is one of a few that do not: the negative
/// control tries negative ones for all others.
#[test]
fn numbers_have_forms() {
    const OTHERS: &[&str] = &["bits"];
    struct Plain(Vec<&'static str>);
    impl<'a> Visit<'a> for Plain {
        type Break = Infallible;
        fn datum(&mut self, _: &'static Field, _: &'a Datum) -> ControlFlow<Infallible> {
            ControlFlow::Continue(())
        }
        fn number(&mut self, field: &'static Field, _: u64) -> ControlFlow<Infallible> {
            if let PathRule::Listed { rule, .. } = field.leaf
                && rule.form == Form::Plain
                && rule.bounds.range.is_none()
            {
                self.0.push(field.key);
            }
            ControlFlow::Continue(())
        }
    }
    let mut plain = Plain(Vec::new());
    let ControlFlow::Continue(()) = full().visit(&mut plain);
    plain.0.retain(|key| !OTHERS.contains(key));
    assert_eq!(plain.0, [""; 0]);
}

/// Check that the last pass of redaction, which goes through JSON, knows the key of every row whose text is a sentence: in one
/// that it does not know, an address would stay and the document be refused. And that the words in evidence are those by
/// which JSON is searched.
#[test]
fn sentences_are_known() {
    use crate::redact::{NOTES, REFUSED_READS, SENTENCES};
    for (structure, fields) in STRUCTURES
        .iter()
        .chain(EXPERIMENT_STRUCTURES)
        .chain(FACT_STRUCTURES)
    {
        for field in *fields {
            let known = SENTENCES.contains(&field.key)
                || field.key == NOTES
                // Its sides, `entry` and `exit`.
                || *structure == "Reads";
            let says = field.publish == Publish::Sentence;
            assert!(known || !says, "{structure}.{}", field.key);
        }
    }
    let reads = STRUCTURES
        .iter()
        .chain(EXPERIMENT_STRUCTURES)
        .flat_map(|(_, fields)| *fields);
    assert_eq!(reads.filter(|field| field.key == REFUSED_READS).count(), 1);
    for reader in [Reader::Machine, Reader::Builder] {
        assert_eq!(serde_json::to_value(reader).unwrap(), reader.name());
    }
    let missing = [Datum::unavailable("x"), Datum::withheld("x")];
    for (datum, key) in missing.iter().zip(crate::document::Missing::KEYS) {
        assert_eq!(serde_json::to_value(datum).unwrap()[key], "x");
    }
}

/// Check that the document is the same when it was written and read.
#[test]
fn round_trip() {
    let full = full();
    let json = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), full);
}

/// Check that every leaf is planned where its probe is, resolves to what the document holds, and is visited there; and
/// that every value that is visited is a leaf, unless its table says that it is none.
#[test]
fn leaves_resolve_and_are_visited() {
    let mut full = full();
    full.machine.kind = crate::document::MachineKind::Guest;
    let investigation = investigation();
    let machines = [Indexed::new(&full)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let mut visited: BTreeSet<*const Datum> = BTreeSet::new();
    walk::<()>(&full, &mut |_, found| {
        if let VisitedItem::Datum(datum) = found {
            visited.insert(std::ptr::from_ref(datum));
        }
        None
    });
    let all = leaves(&full);
    let mut listed: BTreeSet<*const Datum> = BTreeSet::new();
    let mut planned = 0;
    for (path, leaf) in all.iter() {
        if let std::borrow::Cow::Borrowed(datum) = &leaf.datum {
            assert!(visited.contains(&std::ptr::from_ref(*datum)), "{path}");
            listed.insert(std::ptr::from_ref(*datum));
        }
        let parsed = path.parse().unwrap();
        // The investigation of the tests asks for less than the full document holds.
        if catalog.check(&parsed).is_err() {
            let unplanned = [".x", "commands.", ".members."];
            assert!(unplanned.iter().any(|part| path.contains(part)), "{path}");
            continue;
        }
        match (catalog.resolve(&machines[0], &parsed), leaf.datum.value()) {
            (Ok(Resolved::Value(value, drift)), Some(expected)) => {
                assert_eq!((&*value, drift), (expected, leaf.drift), "{path}");
                planned += 1;
            }
            (Ok(Resolved::Missing(_)), _) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
    assert!(planned > 60, "{planned}");
    let unlisted = seen(&full).fields.into_iter().filter(|field| {
        matches!(field.leaf, PathRule::Unlisted) && field.publish != Publish::Public
    });
    let unlisted: BTreeSet<&str> = unlisted.map(|field| field.key).collect();
    walk::<()>(&full, &mut |at, found| {
        if let VisitedItem::Datum(datum) = found {
            let text = at.text();
            let key = text.rsplit('/').next().unwrap_or_default();
            let is_listed = listed.contains(&std::ptr::from_ref(datum));
            assert!(is_listed || unlisted.contains(key), "{text}");
        }
        None
    });
}

/// Check that nothing is published of a field that is not declared public, and that those are published as they are.
#[test]
fn redacted_or_public() {
    for as_reason in [false, true] {
        let mut planted = full();
        planted.visit_mut(&mut Plant { as_reason });
        let before = serde_json::to_string(&planted).unwrap();
        assert!(before.matches(CANARY).count() > 60, "{before}");
        let mut harmless = planted.clone();
        withhold(&mut harmless, &AddressParts::none(&planted));
        let after = serde_json::to_string_pretty(&harmless).unwrap();
        let left: Vec<&str> = after
            .lines()
            .filter(|line| line.contains("zacharias"))
            .collect();
        assert!(left.is_empty(), "{left:#?}");
        let shown: BTreeSet<&str> = seen(&harmless).public.into_iter().collect();
        // What is in a field that is left out as a whole is published nowhere.
        let lost: Vec<&str> = seen(&planted)
            .public
            .into_iter()
            .filter(|text| !shown.contains(text) && *text != "syscall")
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
