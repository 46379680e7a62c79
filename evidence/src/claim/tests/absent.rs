//! Claims that something is not in a kernel's build: a misspelt name is not there either.

use crate::claim::{Judgement, Verdict, judge};
use crate::document::Evidence;
use crate::document::facts::Facts;
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, investigation};

/// Evidence of a kernel whose `struct socket` has these members.
fn with_members(names: &[&str]) -> Evidence {
    let member = |(order, name): (usize, &&str)| {
        let member =
            serde_json::json!({ "order": order, "offset": 8 * order, "size": 8, "type": "int" });
        ((*name).to_owned(), member)
    };
    let members: serde_json::Map<_, _> = names.iter().enumerate().map(member).collect();
    let facts: Facts = serde_json::from_value(serde_json::json!({
        "types": { "socket": {
            "exists": { "kind": "bool", "value": true },
            "kind": { "kind": "text", "value": "struct" },
            "size": { "kind": "size", "value": 64 },
            "members": members,
            "count": names.len(),
        } },
        "config": { "net_old": { "exists": { "kind": "bool", "value": false } } },
    }))
    .unwrap();
    let mut evidence = evidence();
    evidence.facts = Some(facts);
    evidence
}

/// The judgement on `text` on the first of these machines, of an investigation that means these names to be nowhere.
fn judged(text: &str, absent: &[&str], machines: &[Evidence]) -> Judgement {
    let mut investigation = investigation();
    investigation.facts.types = vec!["socket".into()];
    investigation.facts.config = vec!["net_old".into()];
    investigation.facts.absent = absent.iter().map(ToString::to_string).collect();
    let machines: Vec<Indexed<'_>> = machines.iter().map(Indexed::new).collect();
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let claim = claim(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    judge(&claim, &catalog, &machines[0])
}

/// Check that a name which no machine has proves nothing by not being there, with the name that is near, and that it does where
/// another machine has it or the investigation means it.
#[test]
fn misspelt_names() {
    let here = with_members(&["state", "sk"]);
    let newer = with_members(&["state", "sk", "wq"]);
    let stat = "!types.socket.members.stat.exists";
    let alone = judged(stat, &[], std::slice::from_ref(&here));
    assert_eq!(alone.verdict, Verdict::Unverified, "{alone:?}");
    let why = alone.reason.unwrap();
    assert!(why.contains("did you mean `state`?"), "{why}");
    assert!(why.contains("\"types.socket.members.stat\""), "{why}");
    let wq = "!types.socket.members.wq.exists && types.socket.size == 64";
    for (text, absent, machines, verdict) in [
        (wq, &[][..], vec![here.clone()], Verdict::Unverified),
        (wq, &[], vec![here.clone(), newer.clone()], Verdict::Pass),
        (wq, &[], vec![newer.clone(), here.clone()], Verdict::Fail),
        (
            wq,
            &["types.socket.members.wq"],
            vec![here.clone()],
            Verdict::Pass,
        ),
        (
            wq,
            &["types.socket.members.wk"],
            vec![here.clone()],
            Verdict::Unverified,
        ),
        (stat, &[], vec![here.clone(), newer], Verdict::Unverified),
        (
            "!config.net_old.exists",
            &[],
            vec![here.clone()],
            Verdict::Unverified,
        ),
        (
            "!config.net_old.exists",
            &["config.net_old"],
            vec![here],
            Verdict::Pass,
        ),
    ] {
        let judged = judged(text, absent, &machines);
        assert_eq!(judged.verdict, verdict, "{text} {absent:?}: {judged:?}");
    }
}
