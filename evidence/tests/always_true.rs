//! Claims that no evidence contradicts, made for each kind of leaf of the flagship's recorded evidence by what its type
//! can hold: none of them may pass, neither alone nor as a part of a claim that does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, SourceMap, Verdict, judge};
use qed_evidence::diagnostic::SourceText;
use qed_evidence::investigation::{self, Investigation};
use qed_evidence::path::hit_number;
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::value::Value;

/// A fact about the recorded evidence of every kernel.
const FACT: &str = "create.outcome.returned == 3";

/// The numbers that a leaf can hold, both ends included; `None` where its type does not say.
fn range(path: &str, value: &Value, evidence: &Evidence) -> Option<(i128, i128)> {
    let last = path.rsplit('.').next().unwrap_or_default();
    let read = path
        .split('.')
        .any(|part| ["args", "entry", "exit"].contains(&part));
    match value {
        Value::Int {
            type_name: Some(name),
            ..
        } => {
            let known = evidence.names.integers.get(name)?;
            let bits = u32::from(known.size) * 8;
            Some(match known.signed {
                true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
                // One that comes back may be an error, and -1 is one of those.
                false if path.contains(".exit.") || last == "return" => return None,
                false => (0, (1 << bits) - 1),
            })
        }
        // What the collector or the kernel counts.
        Value::Int {
            type_name: None, ..
        } if !read && last != "added_ns" => Some((0, u64::MAX.into())),
        Value::Fd { .. } => Some((-4095, i32::MAX.into())),
        Value::Pid { .. } if !read => Some((0, 4 << 20)),
        Value::Pid { .. } => Some((0, i32::MAX.into())),
        Value::Enum { .. } => Some((i32::MIN.into(), u32::MAX.into())),
        Value::Time { .. } | Value::Size { .. } => Some((0, u64::MAX.into())),
        Value::Errno { .. } if ["errno", "attach_errno"].contains(&last) => Some((0, 4095)),
        Value::Errno { .. } => Some((-4095, 4095)),
        Value::Offset { .. } if path.contains(".members.") || last == "offset" => {
            Some((0, u64::MAX.into()))
        }
        _ => None,
    }
}

/// Claims about numbers from `least` to `most` that are true of all of them.
fn of_range(path: &str, least: i128, most: i128) -> Vec<String> {
    let ends = [
        (">=", least),
        (">", least - 1),
        ("!=", least - 1),
        ("<=", most),
        ("<", most + 1),
        ("!=", most + 1),
    ];
    // CEL's own numbers go no further.
    let written = ends
        .into_iter()
        .filter(|(_, number)| i64::try_from(*number).is_ok());
    let claims = written
        .enumerate()
        .map(|(index, (operator, number))| match index % 2 {
            0 => format!("{path} {operator} {number}"),
            _ => format!("!({path} {} {number})", opposite(operator)),
        });
    claims.collect()
}

fn opposite(operator: &str) -> &str {
    match operator {
        ">=" => "<",
        ">" => "<=",
        "<=" => ">",
        "<" => ">=",
        _ => "==",
    }
}

/// Claims that are true of every value of this leaf.
fn always_true(path: &str, value: &Value, evidence: &Evidence) -> Vec<String> {
    let mut claims: Vec<String> = Vec::new();
    if let Some((least, most)) = range(path, value, evidence) {
        claims.extend(of_range(path, least, most));
    }
    let forms: &[&str] = match value {
        Value::Address { .. } | Value::Symbol { .. } => &[
            "X == X",
            "X >= 0u",
            "X <= 0xffffffffffffffffu",
            "delta(X, X) == 0",
            "aligned(X, 1)",
            "mask(X, 0u) == 0u",
            "X != 0u || X == 0u",
            "symbol_name(X) == symbol_name(X)",
        ],
        Value::Text { .. } | Value::CutText { .. } => &[
            "X == X",
            "length(X) >= 0",
            "length(X) > -1",
            "contains(X, '')",
            "starts_with(X, '')",
            "ends_with(X, '')",
            "contains(X, X)",
            "X + 'a' != X",
            "starts_with(X + 'a', X)",
        ],
        Value::Bytes { .. } | Value::CutBytes { .. } => &[
            "X == X",
            "length(X) >= 0",
            "byte(X, 0) >= 0",
            "byte(X, 0) < 256",
            "byte(X, 0) != 256",
        ],
        Value::Bool { .. } => &[
            "X || !X",
            "X == true || X == false",
            "X == X",
            "X ? true : true",
        ],
        Value::Location { .. } => &[
            "line(X) >= 1",
            "line(X) != 0",
            "line(X) < 4294967296",
            "file(X) == file(X)",
            "length(file(X)) >= 0",
            "function_name(X) == function_name(X)",
        ],
        Value::Stack { .. } | Value::CutStack { .. } => &["length(X) >= 1", "length(X) != 0"],
        _ => &[
            "X == X",
            "X - X == 0",
            "X >= 0 || X < 0",
            "int(X) == int(X)",
            "X * 0 == 0",
            "X % 1 == 0",
            "X == X ? true : X == 0",
            "mask(X, 0) == 0",
        ],
    };
    claims.extend(forms.iter().map(|form| form.replace('X', path)));
    let formed = [
        "boot_id",
        "build_id",
        "image_digest",
        "btf_digest",
        "investigation_digest",
    ];
    let last = path.rsplit('.').next().unwrap_or_default();
    if let Value::Text { value } = value
        && (formed.contains(&last) || ["run.id", "run.time"].contains(&path))
        && !path.contains(".values.")
    {
        claims.push(format!("length({path}) == {}", value.len()));
        claims.push(format!("length({path}) > 3"));
    }
    claims
}

/// The kind of a leaf: its path without the names that an author chose, and what it holds.
fn kind(path: &str, value: &Value) -> String {
    let parts: Vec<&str> = path
        .split('.')
        .filter(|part| hit_number(part).is_none())
        .collect();
    let shape = match &parts[..] {
        [_, _, side @ ("args" | "entry" | "exit"), _] => (*side).to_owned(),
        [_, _, "members", _, _, leaf] => format!("members.{leaf}"),
        [experiment, rest @ ..] if experiment.chars().all(char::is_alphanumeric) => rest.join("."),
        all => all.join("."),
    };
    let type_name = match value {
        Value::Int { type_name, .. } => format!("{type_name:?}"),
        Value::Enum { type_name, .. } => type_name.clone(),
        _ => String::new(),
    };
    format!("{shape} {:?} {type_name}", std::mem::discriminant(value))
}

struct Judge<'j> {
    catalog: &'j Catalog<'j>,
    machine: &'j Indexed<'j>,
    judged: usize,
    passed: Vec<String>,
}

impl Judge<'_> {
    fn verdict(&self, text: &str) -> Option<Verdict> {
        let source = SourceText {
            name: "chapter.md".into(),
            text: text.into(),
        };
        let claim =
            Claim::parse("a_claim", text, SourceMap::new(Arc::new(source), 0), None).ok()?;
        Some(judge(&claim, self.catalog, self.machine).verdict)
    }

    /// Hold a claim that is always true to its not passing.
    fn refuse(&mut self, text: &str) {
        for text in [text.to_owned(), format!("{FACT} && ({text})")] {
            self.judged += 1;
            if self.verdict(&text) == Some(Verdict::Pass) {
                self.passed.push(text);
            }
        }
    }
}

/// Two kinds of numbers, of each the first leaf of an experiment that holds one.
fn of_each_kind<'l>(leaves: &[(&'l str, &Value)]) -> BTreeMap<&'static str, &'l str> {
    let mut found = BTreeMap::new();
    for (path, value) in leaves {
        let last = path.rsplit('.').next().unwrap_or_default();
        let kind = match value {
            Value::Fd { .. } => "fd",
            Value::Pid { .. } => "pid",
            Value::Time { .. } if last == "duration_ns" => "time",
            Value::Offset { .. } => "offset",
            Value::Enum { .. } => "enum",
            Value::Int {
                type_name: Some(_), ..
            } => "int",
            Value::Int {
                type_name: None, ..
            } if last == "hits" => "count",
            _ => continue,
        };
        found.entry(kind).or_insert(*path);
    }
    found
}

/// Attack the kinds of leaves that no kernel before had.
fn attack(name: &str, investigation: &Investigation, kinds: &mut BTreeMap<String, usize>) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bytes = std::fs::read(root.join("recorded").join(name)).unwrap();
    let evidence = qed_evidence::reader::read(&bytes).unwrap();
    let machines = [Indexed::new(&evidence)];
    let catalog = Catalog {
        investigation,
        machines: &machines,
    };
    let mut judge = Judge {
        catalog: &catalog,
        machine: &machines[0],
        judged: 0,
        passed: Vec::new(),
    };
    assert_eq!(judge.verdict(FACT), Some(Verdict::Pass), "{name}");
    let leaves: Vec<(&str, &Value)> = machines[0]
        .leaves
        .iter()
        .filter_map(|(path, leaf)| Some((path, leaf.datum.value()?)))
        .collect();
    for (path, value) in &leaves {
        let seen = kinds.entry(kind(path, value)).or_default();
        *seen += 1;
        if *seen == 1 {
            for text in always_true(path, value, &evidence) {
                judge.refuse(&text);
            }
        }
    }
    let in_create: Vec<_> = leaves
        .iter()
        .filter(|(path, _)| path.starts_with("create."))
        .copied()
        .collect();
    let numbers = of_each_kind(&in_create);
    assert!(numbers.len() > 5, "{numbers:?}");
    for (a, x) in &numbers {
        for (b, y) in numbers.iter().filter(|(b, _)| *b != a) {
            for text in [
                format!("{x} != {y}"),
                format!("!({x} == {y})"),
                format!("{x} < {y} || {x} >= {y}"),
            ] {
                judge.refuse(&text);
            }
            if ![a, b].contains(&&"int") {
                judge.refuse(&format!("int({x}) != int({y})"));
            }
        }
    }
    for (experiment, seen) in &evidence.experiments {
        let probes: Vec<&String> = seen.probes.keys().collect();
        for pair in probes.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|probe| format!("{experiment}.{probe}"));
            let events = format!("{experiment}.quality.events");
            judge.refuse(&format!("fired({a}) + fired({b}) <= {events}"));
            judge.refuse(&format!("{events} - {a}.hits >= {b}.hits"));
            judge.refuse(&format!("{events} + 1 > fired({a}) + fired({b})"));
        }
        for (probe, _) in seen.probes.iter().filter(|(_, probe)| probe.hits.len() > 1) {
            let probe = format!("{experiment}.{probe}");
            judge.refuse(&format!("{probe}.hit1.time_ns < {probe}.hit2.time_ns"));
            judge.refuse(&format!("{probe}.hit1.order < {probe}.hit2.order"));
        }
        for probe in seen.probes.keys() {
            let probe = format!("{experiment}.{probe}");
            judge.refuse(&format!("fired({probe}) >= 0"));
            judge.refuse(&format!("fired({probe}) <= {experiment}.quality.events"));
            judge.refuse(&format!("{probe}.address == {probe}.address"));
            judge.refuse(&format!(
                "{probe}.duration_ns == {probe}.return_time_ns - {probe}.time_ns"
            ));
            judge.refuse(&format!("{probe}.caller == {probe}.returns_to"));
            judge.refuse(&format!(
                "before({probe}, {probe}) || !before({probe}, {probe})"
            ));
        }
    }
    judge.refuse("create.sock_alloc.address == exhausted.sock_alloc.address");
    judge.refuse("line(create.sock_alloc.definition) == line(exhausted.sock_alloc.definition)");
    let passed = judge.passed;
    assert!(
        passed.is_empty(),
        "{name}: {} claims pass:\n{}",
        passed.len(),
        passed.join("\n")
    );
    judge.judged
}

/// Check that no claim passes which is true of all evidence, whatever leaf of whatever kind it is about.
#[test]
fn nothing_that_is_always_true_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("investigations/socket.toml")).unwrap();
    let investigation = investigation::parse("socket.toml", &text).unwrap();
    let mut kinds = BTreeMap::new();
    for name in [
        "guest-debian-6.12.json",
        "guest-debian-6.1.json",
        "guest-debian-7.3.json",
    ] {
        let judged = attack(name, &investigation, &mut kinds);
        println!("{name}: {judged} judged");
        assert!(judged > 500, "{name}: {judged}");
    }
}
