//! Claims about hooks of the BPF LSM: the kernel may not have asked it, because another module refused before.

use serde_json::json;

use crate::claim::{Judgement, Verdict, judge};
use crate::document::{Evidence, Probe};
use crate::investigation::{Investigation, parse};
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence};

const INVESTIGATION: &str = r#"
[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }
[[experiment.probe]]
lsm = "settime"
name = "hook"
[[experiment.probe]]
function = "security_settime64"
name = "asks"

[[experiment]]
name = "exhausted"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }
[[experiment.probe]]
lsm = "settime"
name = "hook"
"#;

fn investigation(text: &str) -> Investigation {
    parse("lsm.toml", text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Evidence in which the hook fired in `exhausted` and not in `create`, where the kernel asked `asked` times.
fn captured(asked: u64) -> Evidence {
    let mut evidence = evidence();
    let hit = |order: u64| {
        json!({ "order": order, "time_ns": order, "task": { "pid": 7, "tid": 7, "name": "qed" }, "cpu": 0,
                "context": "task" })
    };
    let hook = |hits: Vec<u64>| -> Probe {
        serde_json::from_value(json!({
            "target": { "lsm": "settime" }, "backend": "lsm", "skipped": 0,
            "hits": hits.into_iter().map(hit).collect::<Vec<_>>(),
        }))
        .unwrap()
    };
    let asks: Probe = serde_json::from_value(json!({
        "target": { "function": "security_settime64" }, "backend": "kprobe", "skipped": 0,
        "watched": ["0xffffffff92c00000"], "hits": (1..=asked).map(hit).collect::<Vec<_>>(),
    }))
    .unwrap();
    for (name, hook, asks) in [
        ("create", hook(vec![]), Some(asks)),
        ("exhausted", hook(vec![1]), None),
    ] {
        let experiment = evidence.experiments.get_mut(name).unwrap();
        experiment.objects = None;
        experiment.probes.clear();
        experiment.probes.insert("hook".into(), hook);
        experiment
            .probes
            .extend(asks.map(|asks| ("asks".to_owned(), asks)));
        experiment.quality.events = 1;
    }
    let copies = json!({ "copies": [{ "symbol": "security_settime64", "address": "0xffffffff92c00000" }],
                         "inlined": [], "count": 1, "leaves_by_jump": false });
    let instances = serde_json::from_value(copies).unwrap();
    evidence
        .instances
        .insert("security_settime64".into(), instances);
    evidence
}

fn judged(text: &str, investigation: &Investigation, evidence: &Evidence) -> Judgement {
    let claim = claim(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    let machines = [Indexed::new(evidence)];
    let catalog = Catalog {
        investigation,
        machines: &machines,
    };
    judge(&claim, &catalog, &machines[0])
}

const SILENT: &[&str] = &[
    "never(create.hook)",
    "fired(create.hook) == 0",
    "create.hook.hits < 1",
];

/// Check that a silent hook proves nothing if the kernel asked and another module may have answered, nor if it is not known whether the
/// kernel asked.
#[test]
fn another_module_may_have_refused() {
    let alone = INVESTIGATION.replace(
        "[[experiment.probe]]\nfunction = \"security_settime64\"\nname = \"asks\"\n",
        "",
    );
    let within = INVESTIGATION.replace("name = \"asks\"", "name = \"asks\"\nwithin = \"other\"");
    for (plan, asked) in [
        (INVESTIGATION, 1),
        (INVESTIGATION, 2),
        (&alone, 0),
        (&within, 0),
    ] {
        let (plan, evidence) = (investigation(plan), captured(asked));
        for text in SILENT {
            let judgement = judged(text, &plan, &evidence);
            let reason = judgement.reason.unwrap_or_default();
            assert_eq!(judgement.verdict, Verdict::Unverified, "{text}: {reason}");
            assert!(
                reason.contains("another security module"),
                "{text}: {reason}"
            );
        }
    }
}

/// Check that silence counts if the kernel never asked.
#[test]
fn never_asked() {
    let plan = investigation(INVESTIGATION);
    let evidence = captured(0);
    for text in SILENT {
        let judgement = judged(text, &plan, &evidence);
        let reason = judgement.reason.unwrap_or_default();
        assert_eq!(judgement.verdict, Verdict::Pass, "{text}: {reason}");
    }
}

/// Check that a hit of a hook is one.
#[test]
fn hits() {
    let judgement = judged(
        "fired(exhausted.hook) > 0",
        &investigation(INVESTIGATION),
        &captured(0),
    );
    assert_eq!(judgement.verdict, Verdict::Pass);
}
