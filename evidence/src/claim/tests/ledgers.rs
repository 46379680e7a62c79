//! Claims about objects that were allocated and freed: what an excuse may cover, one object in two rows, and ledgers without a row.

use crate::claim::Verdict;
use crate::document::instances::{InlinedCopy, Instances, OwnCopy};
use crate::document::value::{Address, Datum, Frame, LineRole, Location, Value};
use crate::document::{Evidence, Experiment};
use crate::investigation::{Investigation, LeakExemption};
use crate::testing::{claim, evidence, investigation, judge_planned};

const EXCUSE: &str = "keeper";

/// The sample's investigation, in which objects that `keeper` allocates are excused.
fn planned() -> Investigation {
    let mut plan = investigation();
    let mut experiments = plan.experiments.iter_mut();
    let create = experiments.find(|one| one.name == "create").unwrap();
    create.excuses.push(LeakExemption {
        span: 0..0,
        within: EXCUSE.into(),
        reason: "it is kept".into(),
    });
    plan
}

fn create(evidence: &mut Evidence) -> &mut Experiment {
    evidence.experiments.get_mut("create").unwrap()
}

/// The sample, with a second object that was not freed, whose allocation was called by `caller`, and the copies of `keeper`.
fn kept() -> Evidence {
    let mut evidence = evidence();
    let stack = [
        ("allocate", 0xffff_ffff_8100_0004),
        ("caller", 0xffff_ffff_8100_0104),
    ]
    .map(|(symbol, address)| Frame {
        address: Address(address),
        symbol: Some(symbol.into()),
        offset: Some(4),
        site: Some(Location {
            file: "mm/slub.c".into(),
            line: 1,
            function: symbol.into(),
            role: LineRole::Call,
            inlined_into: Vec::new(),
        }),
        interrupts: false,
    });
    let seen = create(&mut evidence);
    let allocations = &mut seen.objects.as_mut().unwrap().allocations;
    allocations[0].stack = stack.to_vec();
    allocations[0].cache = Some("sock_inode_cache".into());
    let mut second = allocations[0].clone();
    second.address.0 += 0x1000;
    second.order = 4;
    second.freed = None;
    allocations.push(second);
    let probe = seen.probes.get_mut("allocation").unwrap();
    probe.hits[0].stack = Some(Datum::Value(Value::Stack {
        value: stack.to_vec(),
    }));
    let mut hit = probe.hits[0].clone();
    hit.order = Some(4);
    probe.hits.push(hit);
    evidence.instances.insert(
        EXCUSE.into(),
        Instances {
            copies: vec![OwnCopy {
                symbol: EXCUSE.into(),
                address: Address(0xffff_ffff_8100_0200),
                file: None,
                aliases: Vec::new(),
            }],
            inlined: Some(Vec::new()),
            count: 1,
            leaves_by_jump: Some(false),
            never_returns: None,
            unknown: None,
        },
    );
    evidence
}

fn judged(text: &str, evidence: &Evidence) -> (Verdict, String) {
    judged_with(|_| {}, text, evidence)
}

/// Assert that `text` is UNVERIFIED for a reason that holds `word`.
fn unverified(text: &str, evidence: &Evidence, word: &str) {
    let (verdict, reason) = judged(text, evidence);
    assert_eq!(verdict, Verdict::Unverified, "{text}: {reason}");
    assert!(reason.contains(word), "{text}: {reason}");
}

/// Claims that are true only if the second object is not excused.
const NOT_EXCUSED: [&str; 5] = [
    "create.objects.leaked > 0",
    "create.objects.leaked == 1",
    "create.objects.excused == 0",
    "!freed(create)",
    "!freed(create.allocation)",
];

/// Check that an object counts as not excused only if its stack shows that the function of the excuse was not running: not cut, without a
/// frame into which it may be inlined, under none of its names, and without a jump that leaves it.
#[test]
fn undecided_excuses() {
    for text in NOT_EXCUSED {
        let (verdict, reason) = judged(text, &kept());
        assert_eq!(verdict, Verdict::Pass, "{text}: {reason}");
        let mut unlined = kept();
        let rows = &mut create(&mut unlined).objects.as_mut().unwrap().allocations;
        rows[1].stack[1].site = None;
        let (verdict, reason) = judged(text, &unlined);
        assert_eq!(verdict, Verdict::Pass, "it is inlined nowhere: {reason}");
        let instances = unlined.instances.get_mut(EXCUSE).unwrap();
        instances.inlined = Some(vec![InlinedCopy {
            holder: "caller".into(),
            address: Some(Address(0xffff_ffff_8100_0100)),
            file: None,
            site: None,
        }]);
        unverified(text, &unlined, "inlined into `caller`");
        let instances = unlined.instances.get_mut(EXCUSE).unwrap();
        instances.inlined = None;
        unverified(text, &unlined, "inlined into `caller`");
        let mut unlisted = kept();
        unlisted.instances.remove(EXCUSE);
        unverified(text, &unlisted, "does not list its copies");
        let mut named = kept();
        let instances = named.instances.get_mut(EXCUSE).unwrap();
        instances.copies[0].aliases = vec!["caller".into()];
        unverified(text, &named, "another name of `keeper`");
        let mut jumps = kept();
        jumps.instances.get_mut(EXCUSE).unwrap().leaves_by_jump = None;
        unverified(text, &jumps, "left by a jump");
        let mut empty = kept();
        let rows = &mut create(&mut empty).objects.as_mut().unwrap().allocations;
        rows[1].stack.clear();
        unverified(text, &empty, "not to its end");
        let mut cut = kept();
        let hits = &mut create(&mut cut).probes.get_mut("allocation").unwrap().hits;
        hits.last_mut().unwrap().stack = None;
        unverified(text, &cut, "not to its end");
    }
    // An excuse more makes none of these untrue.
    let mut unlisted = kept();
    unlisted.instances.remove(EXCUSE);
    for text in [
        "create.objects.leaked <= 1",
        "create.objects.leaked < 2",
        "create.objects.allocated == 2",
        "create.objects.freed == 1",
    ] {
        let (verdict, reason) = judged(text, &unlisted);
        assert_eq!(verdict, Verdict::Pass, "{text}: {reason}");
    }
}

/// Check that two rows of one address, of which the first was not freed before the second, are not counted as two objects.
#[test]
fn one_object_in_two_rows() {
    let mut twice = kept();
    let rows = &mut create(&mut twice).objects.as_mut().unwrap().allocations;
    rows[1].address = rows[0].address;
    rows[1].order = rows[0].order + 1;
    for text in [
        "create.objects.allocated == 2",
        "create.objects.allocated > 0",
        "create.objects.freed == 1",
        "create.objects.leaked == 1",
        "freed(create)",
        "!freed(create)",
    ] {
        unverified(text, &twice, "one object, or a free was not seen");
    }
    let rows = &mut create(&mut twice).objects.as_mut().unwrap().allocations;
    rows[1].order = rows[0].freed.as_ref().unwrap().order + 1;
    let (verdict, reason) = judged("create.objects.allocated == 2", &twice);
    assert_eq!(verdict, Verdict::Pass, "{reason}");
}

/// Check that a row inside of another one is not counted as a second object, nor a row of another probe whose size is not known.
#[test]
fn one_object_by_two_pointers() {
    let count = "create.objects.allocated == 2";
    let changed = |change: &dyn Fn(&mut [crate::document::Allocation])| {
        let mut evidence = kept();
        let rows = &mut create(&mut evidence).objects.as_mut().unwrap().allocations;
        rows[0].size = Some(64);
        rows[1].size = Some(64);
        rows[1].order = rows[0].order + 1;
        change(rows);
        evidence
    };
    let inside = |distance: u64| {
        changed(&move |rows| rows[1].address.0 = rows[0].address.0.wrapping_add(distance))
    };
    for distance in [1, 63, -1_i64 as u64, -63_i64 as u64] {
        unverified(count, &inside(distance), "the one inside of the other");
    }
    for distance in [64, -64_i64 as u64] {
        let (verdict, reason) = judged(count, &inside(distance));
        assert_eq!(verdict, Verdict::Pass, "{distance}: {reason}");
    }
    // Neighbours among pseudonyms can be far from each other, and the other way round.
    let withheld = changed(&|rows| {
        rows[0].address = Address::pseudonym(7);
        rows[1].address = Address::pseudonym(8);
    });
    unverified(count, &withheld, "are withheld");
    let unsized_row = changed(&|rows| {
        rows[1].address.0 = rows[0].address.0.wrapping_add(4096);
        rows[1].size = None;
        rows[1].probe = "other".into();
    });
    unverified(
        count,
        &unsized_row,
        "functions do not tell the size of what they return",
    );
}

/// Check that a ledger without a row proves nothing if no probe of an allocation is known to see one.
#[test]
fn nothing_allocated() {
    let mut empty = evidence();
    let seen = create(&mut empty);
    seen.objects.as_mut().unwrap().allocations.clear();
    seen.probes.get_mut("allocation").unwrap().hits.clear();
    for leaf in ["allocated", "freed", "excused", "leaked"] {
        unverified(
            &format!("create.objects.{leaf} == 0"),
            &empty,
            "it fired in no other experiment",
        );
    }
}

/// The judgement with the plan changed.
fn judged_with(
    change: impl Fn(&mut Investigation),
    text: &str,
    evidence: &Evidence,
) -> (Verdict, String) {
    let mut plan = planned();
    change(&mut plan);
    let judgement = judge_planned(&plan, &claim(text).unwrap(), evidence);
    (judgement.verdict, judgement.reason.unwrap_or_default())
}

/// Check that an object counts as not freed only if its cache is known, if as much of frees was watched as where one like it was seen
/// freed, and if the experiment waited long enough for one that is deferred.
#[test]
fn frees_that_were_not_seen() {
    let mut nameless = kept();
    for row in &mut create(&mut nameless).objects.as_mut().unwrap().allocations {
        row.cache = None;
    }
    // The frees of `create` are seen in another experiment, so that the plan of `create` can differ from that.
    let mut seen = kept();
    let other = create(&mut seen).clone();
    seen.experiments.insert("shows".into(), other);
    create(&mut seen)
        .objects
        .as_mut()
        .unwrap()
        .allocations
        .remove(0);
    let with_another = |plan: &mut Investigation| {
        let mut shows = plan.experiment("create").unwrap().clone();
        shows.name = "shows".into();
        plan.experiments.push(shows);
    };
    type Change = fn(&mut crate::investigation::Experiment);
    let changed = |change: Change| {
        move |plan: &mut Investigation| {
            with_another(plan);
            let mut all = plan.experiments.iter_mut();
            change(all.find(|one| one.name == "create").unwrap());
        }
    };
    fn of<'p>(
        experiment: &'p mut crate::investigation::Experiment,
        name: &str,
    ) -> &'p mut crate::investigation::Probe {
        let mut probes = experiment.probes.iter_mut();
        probes.find(|probe| probe.name == name).unwrap()
    }
    for text in [
        "create.objects.leaked > 0",
        "!freed(create)",
        "create.objects.freed == 0",
    ] {
        let (verdict, reason) = judged_with(with_another, text, &seen);
        assert_eq!(verdict, Verdict::Pass, "{text}: {reason}");
        let cases: [(Change, &str); 4] = [
            (
                |one| of(one, "release").within = Some("keeper".into()),
                "within `keeper`",
            ),
            (
                |one| of(one, "release").frees = Some("call_site".into()),
                "would have been seen",
            ),
            (
                |one| of(one, "allocation").allocates = Some("call_site".into()),
                "would have been seen",
            ),
            (|one| one.grace_ms = 499, "`grace-ms`"),
        ];
        for (change, word) in cases {
            let (verdict, reason) = judged_with(changed(change), text, &seen);
            assert_eq!(verdict, Verdict::Unverified, "{text}: {reason}");
            assert!(reason.contains(word), "{text}: {reason}");
        }
    }
    for text in ["create.objects.leaked > 0", "!freed(create)"] {
        unverified(text, &nameless, "would have been seen");
    }
}
