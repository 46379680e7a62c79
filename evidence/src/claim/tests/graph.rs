//! Claims about the tree of a call: runs that were seen are facts, and that there were no others needs proof.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::claim::{Claim, Judgement, Mentions, Scope, Verdict, has_errors, judge};
use crate::document::instances::InlinedCopy;
use crate::document::{Evidence, Experiment, Graph, Target};
use crate::investigation::Investigation;
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, investigation};

/// The investigation with a tree of `create`, and of nothing else.
fn planned() -> Investigation {
    let mut investigation = investigation();
    for experiment in &mut investigation.experiments {
        experiment.graph = experiment.name == "create";
        let like = experiment.probe("fd_install").cloned();
        for (function, _) in WATCHED {
            let mut probe = like.clone().unwrap();
            probe.name = function.into();
            probe.target = Target::Function(function.into());
            experiment.probes.push(probe);
        }
    }
    investigation
}

/// Functions that probes watch besides `fd_install`, and their hits in the watched run.
const WATCHED: [(&str, usize); 3] = [("silent", 0), ("helper", 1), ("hidden", 0)];

/// Evidence with the tree `outer { fd_install; helper { leaf } irq } way_back { helper }`, in which the tracer sees every copy of
/// `fd_install`, `silent`, `helper` and `holder`.
fn traced() -> Evidence {
    let mut evidence = evidence();
    let text = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    evidence.experiments.get_mut("create").unwrap().graph = Some(Graph {
        functions: text(&["outer", "fd_install", "helper", "leaf", "irq", "way_back"]),
        calls: text(&[
            "0 0 900", "1 1 20", "1 2 50", "2 3 9", "1 4 7 i", "0 5 30", "1 2 8",
        ]),
        runs: 7,
        before_exit: 5,
        returned: Some(3),
        traceable: text(&["fd_install", "silent", "helper", "holder"]),
        ..Graph::default()
    });
    let like = evidence.instances["fd_install"].clone();
    for (at, name) in ["silent", "helper", "hidden"].iter().enumerate() {
        let mut instances = like.clone();
        instances.copies.truncate(1);
        instances.copies[0].symbol = (*name).into();
        instances.copies[0].address.0 += 0x1000 * (at as u64 + 1);
        instances.copies[0].aliases.clear();
        instances.inlined = Some(Vec::new());
        instances.count = 1;
        evidence.instances.insert((*name).into(), instances);
    }
    let create = evidence.experiments.get_mut("create").unwrap();
    // The tree's second run of `helper` is on the way back to user space, which the probes did not watch.
    create.quality.until_user_space = Some(false);
    for (function, hits) in WATCHED {
        let mut probe = create.probes["fd_install"].clone();
        probe.target = Target::Function(function.into());
        probe.hits.truncate(hits);
        probe.watched = vec![evidence.instances[function].copies[0].address];
        create.probes.insert(function.into(), probe);
    }
    evidence
}

fn judged(text: &str, evidence: &Evidence) -> Judgement {
    let claim = claim(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    judged_claim(&claim, evidence)
}

fn judged_claim(claim: &Claim, evidence: &Evidence) -> Judgement {
    let investigation = planned();
    let machines = [Indexed::new(evidence)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    judge(claim, &catalog, &machines[0])
}

fn verdict(text: &str, evidence: &Evidence) -> Verdict {
    judged(text, evidence).verdict
}

/// Assert that `text` is UNVERIFIED for a reason that holds `word`.
fn unverified(text: &str, evidence: &Evidence, word: &str) {
    let judgement = judged(text, evidence);
    let reason = judgement.reason.unwrap_or_default();
    assert_eq!(judgement.verdict, Verdict::Unverified, "{text}: {reason}");
    assert!(reason.contains(word), "{text}: {reason}");
}

/// Check that the control of a claim names what a reader can find in the claim.
#[test]
fn controls() {
    let evidence = traced();
    for (text, path) in [
        (
            "ran(create.graph, 'leaf')",
            "calls_of(create.graph, 'leaf')",
        ),
        (
            "parent(create.graph, 'leaf') == 'helper'",
            "parent(create.graph, 'leaf')",
        ),
    ] {
        let control = judged(text, &evidence).control.unwrap();
        assert_eq!(control.path, path, "{text}");
    }
}

/// Check what is true and false of a whole tree.
#[test]
fn facts() {
    let evidence = traced();
    for (text, expected) in [
        ("ran(create.graph, 'leaf')", Verdict::Pass),
        ("!ran(create.graph, 'leaf')", Verdict::Fail),
        ("ran(create.graph, 'silent')", Verdict::Fail),
        ("never_ran(create.graph, 'silent')", Verdict::Pass),
        ("never_ran(create.graph, 'helper')", Verdict::Fail),
        ("calls_of(create.graph, 'helper') == 2", Verdict::Pass),
        ("calls_of(create.graph, 'helper') == 1", Verdict::Fail),
        ("calls_of(create.graph, 'silent') == 0", Verdict::Pass),
        ("parent(create.graph, 'leaf') == 'helper'", Verdict::Pass),
        ("parent(create.graph, 'leaf') == 'outer'", Verdict::Fail),
    ] {
        let judgement = judged(text, &evidence);
        assert_eq!(
            judgement.verdict, expected,
            "{text}: {:?}",
            judgement.reason
        );
    }
}

/// Check that what the tracer does not see is not taken for what did not happen.
#[test]
fn unproved() {
    let mut evidence = traced();
    // Nobody has looked for its copies, and an interrupt's run is none of the call's.
    unverified(
        "never_ran(create.graph, 'irq')",
        &evidence,
        "does not list the copies of `irq`",
    );
    unverified(
        "calls_of(create.graph, 'leaf') == 1",
        &evidence,
        "does not list the copies",
    );
    unverified(
        "ran(create.graph, 'irq')",
        &evidence,
        "does not list the copies",
    );
    unverified(
        "never_ran(create.graph, 'hidden')",
        &evidence,
        "the tracer does not see `hidden`",
    );
    unverified(
        "parent(create.graph, 'helper') == 'outer'",
        &evidence,
        "several functions",
    );
    unverified(
        "parent(create.graph, 'outer') == 'leaf'",
        &evidence,
        "nothing that the tracer sees",
    );
    unverified(
        "parent(create.graph, 'silent') == 'leaf'",
        &evidence,
        "not in the tree",
    );
    // A holder that is the function `hidden`, which a probe watched and which did not run.
    let address = Some(evidence.instances["hidden"].copies[0].address);
    let silent = |evidence: &mut Evidence, holder: &str| {
        let instances = evidence.instances.get_mut("silent").unwrap();
        instances.inlined = Some(vec![InlinedCopy {
            holder: holder.into(),
            address,
            file: None,
            site: None,
        }]);
        instances.count = 2;
    };
    let claim = "never_ran(create.graph, 'silent')";
    silent(&mut evidence, "holder");
    assert_eq!(verdict(claim, &evidence), Verdict::Pass);
    // Nothing watched it in the other run.
    let create = evidence.experiments.get_mut("create").unwrap();
    let watching = create.probes.remove("hidden").unwrap();
    unverified(claim, &evidence, "in the run that the probes watched");
    let create = evidence.experiments.get_mut("create").unwrap();
    create.probes.insert("hidden".into(), watching);
    silent(&mut evidence, "helper");
    unverified(claim, &evidence, "inlined into `helper`, which ran");
    silent(&mut evidence, "leaf");
    unverified(
        claim,
        &evidence,
        "inlined into `leaf`, which the tracer does not see",
    );
    let instances = evidence.instances.get_mut("silent").unwrap();
    instances.inlined = None;
    instances.unknown = Some("no debug information".into());
    unverified(claim, &evidence, "no debug information");
}

/// Check that what did not run in the tree, and how often something ran there, says nothing of the run that the probes watched, if none
/// of them watched all of the function; and that what was seen in the tree was seen.
#[test]
fn of_another_run() {
    let without = |function: &str, text: &str| {
        let mut evidence = traced();
        let create = evidence.experiments.get_mut("create").unwrap();
        create.probes.remove(function);
        unverified(text, &evidence, "another run of the call");
    };
    without("silent", "never_ran(create.graph, 'silent')");
    without("silent", "!ran(create.graph, 'silent')");
    without("silent", "calls_of(create.graph, 'silent') == 0");
    without("helper", "calls_of(create.graph, 'helper') == 2");
    let mut evidence = traced();
    let create = evidence.experiments.get_mut("create").unwrap();
    create.probes.remove("helper");
    assert_eq!(
        verdict("ran(create.graph, 'helper')", &evidence),
        Verdict::Pass
    );
    for change in [
        (|create: &mut Experiment| create.probes.get_mut("silent").unwrap().skipped = Some(1))
            as fn(&mut Experiment),
        |create| create.probes.get_mut("silent").unwrap().skipped = None,
        |create| create.quality.missed = 1,
        |create| create.quality.marked = None,
    ] {
        let mut evidence = traced();
        change(evidence.experiments.get_mut("create").unwrap());
        unverified(
            "never_ran(create.graph, 'silent')",
            &evidence,
            "another run of the call",
        );
    }
}

/// Check that a tree shows who called a function, and not who did not: of inlined callers and other names it shows nothing.
#[test]
fn other_callers() {
    let evidence = traced();
    for text in [
        "parent(create.graph, 'leaf') != 'outer'",
        "!(parent(create.graph, 'leaf') == 'outer')",
        "(parent(create.graph, 'leaf') == 'outer') == false",
        "!contains(parent(create.graph, 'leaf'), 'outer')",
        "ran(create.graph, 'leaf') && parent(create.graph, 'leaf') != 'outer'",
    ] {
        unverified(text, &evidence, "not which one did not");
    }
    for text in [
        "parent(create.graph, 'leaf') == 'helper'",
        "!(parent(create.graph, 'leaf') != 'helper')",
        "ran(create.graph, 'leaf') && parent(create.graph, 'leaf') == 'helper'",
    ] {
        let judgement = judged(text, &evidence);
        assert_eq!(judgement.verdict, Verdict::Pass, "{text}: {judgement:?}");
    }
}

/// Check that another name of the same code, and a clone, count as the function.
#[test]
fn other_names() {
    for name in ["helper", "leaf"] {
        let mut evidence = traced();
        evidence.instances.get_mut("silent").unwrap().copies[0].aliases = vec![name.into()];
        unverified(
            "never_ran(create.graph, 'silent')",
            &evidence,
            &format!("its copy `{name}` ran"),
        );
    }
}

/// Check that a tree that is not there is UNVERIFIED, one that lost something an ERROR, and one that nothing plans a mistake.
#[test]
fn no_tree() {
    let claims = [
        "ran(create.graph, 'fd_install')",
        "never_ran(create.graph, 'silent')",
    ];
    for (graph, expected) in [
        (None, Verdict::Unverified),
        (
            Some(Graph {
                unavailable: Some("no tracer".into()),
                ..Graph::default()
            }),
            Verdict::Unverified,
        ),
        (
            Some(Graph {
                unavailable: Some("lost".into()),
                lost: true,
                ..Graph::default()
            }),
            Verdict::Error,
        ),
    ] {
        let mut evidence = traced();
        evidence.experiments.get_mut("create").unwrap().graph = graph;
        for text in claims {
            assert_eq!(verdict(text, &evidence), expected, "{text}");
        }
    }
    let investigation = planned();
    let evidence = traced();
    let machines = [Indexed::new(&evidence)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    for (text, wrong) in [
        ("ran(create.graph, 'leaf')", false),
        ("ran(exhausted.graph, 'leaf')", true),
        ("ran(creat.graph, 'leaf')", true),
    ] {
        let diagnostics = claim(text).unwrap().check(&catalog);
        assert_eq!(has_errors(&diagnostics), wrong, "{text}");
    }
    for text in [
        "ran(create, 'leaf')",
        "ran(create.graph.x, 'leaf')",
        "ran(create.graph, 1)",
    ] {
        assert!(claim(text).is_err(), "{text}");
    }
}

/// Check that a name that nothing has does not prove silence.
#[test]
fn misspelt() {
    let evidence = traced();
    for text in [
        "never_ran(create.graph, 'slient')",
        "!ran(create.graph, 'slient')",
    ] {
        assert_ne!(verdict(text, &evidence), Verdict::Pass, "{text}");
    }
}

/// Check that one count cannot be played against itself: that a function ran and that it did not are no two facts.
#[test]
fn one_count() {
    for claim in [
        "ran(create.graph, 'fd_install') || never_ran(create.graph, 'fd_install')",
        "ran(create.graph, 'fd_install') != never_ran(create.graph, 'fd_install')",
        "!(ran(create.graph, 'fd_install') && never_ran(create.graph, 'fd_install'))",
        "ran(create.graph, 'fd_install') == (calls_of(create.graph, 'fd_install') > 0)",
    ] {
        let judged = judged(claim, &traced());
        assert_eq!(judged.verdict, Verdict::Error, "{claim}: {judged:?}");
    }
}

fn tree(evidence: &mut Evidence) -> &mut Graph {
    let create = evidence.experiments.get_mut("create").unwrap();
    create.graph.as_mut().unwrap()
}

/// Check that nothing is said of a function that an interrupt ran, nor that one did not run beside a function without a symbol.
#[test]
fn unknown_runs() {
    let mut evidence = traced();
    tree(&mut evidence).calls[1] = "1 1 20 i".into();
    for claim in [
        "never_ran(create.graph, 'fd_install')",
        "calls_of(create.graph, 'fd_install') == 0",
        "parent(create.graph, 'fd_install') != 'helper'",
    ] {
        let judged = judged(claim, &evidence);
        assert_eq!(judged.verdict, Verdict::Unverified, "{claim}: {judged:?}");
    }
    let mut evidence = traced();
    tree(&mut evidence).functions[0] = "[no symbol 0]".into();
    for claim in [
        "never_ran(create.graph, 'silent')",
        "parent(create.graph, 'fd_install') != 'helper'",
    ] {
        let judged = judged(claim, &evidence);
        assert_eq!(judged.verdict, Verdict::Unverified, "{claim}: {judged:?}");
    }
}

/// Check that of an experiment that lost an event the tree proves nothing either.
#[test]
fn lost_events() {
    let mut evidence = traced();
    evidence.experiments.get_mut("create").unwrap().quality.lost = 1;
    for claim in [
        "ran(create.graph, 'leaf')",
        "never_ran(create.graph, 'silent')",
        "calls_of(create.graph, 'helper') == 2",
        "parent(create.graph, 'leaf') == 'helper'",
    ] {
        let judged = judged(claim, &evidence);
        assert_eq!(judged.verdict, Verdict::Error, "{claim}: {judged:?}");
        assert!(judged.reason.unwrap().contains("lost 1 of"), "{claim}");
    }
}

/// Check that the name of a function above is not compared with texts of another vocabulary, which never are one.
#[test]
fn other_vocabulary() {
    for claim in [
        "parent(create.graph, 'fd_install') != kernel.release",
        "parent(create.graph, 'fd_install') != machine.kind",
    ] {
        let judged = judged(claim, &traced());
        assert_eq!(judged.verdict, Verdict::Error, "{claim}: {judged:?}");
    }
}

/// A claim in a chapter that names `outer` and `helper`, in a book that names all but `leaf`.
fn claim_with_mentions(text: &str) -> Claim {
    let claim = claim(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    claim.with_mentions(&|scope, experiment| {
        assert_eq!(experiment, "create");
        let named: &[&str] = match scope {
            Scope::Chapter => &["outer", "helper"],
            Scope::Book => &["outer", "fd_install", "helper", "way_back"],
        };
        let named: BTreeSet<String> = named.iter().map(ToString::to_string).collect();
        Mentions {
            named: Arc::new(named),
            ..Mentions::default()
        }
    })
}

/// Check that coverage counts the functions of the call that the chapter or the book tells, and can fail.
#[test]
fn coverage() {
    let evidence = traced();
    for (text, expected) in [
        // 2 and 4 of 5: the interrupt's is none of them.
        ("coverage(create.graph, 'chapter') == 40", Verdict::Pass),
        ("coverage(create.graph, 'book') == 80", Verdict::Pass),
        ("coverage(create.graph, 'book') >= 80", Verdict::Pass),
        ("coverage(create.graph, 'book') > 80", Verdict::Fail),
        ("coverage(create.graph, 'book') == 100", Verdict::Fail),
        // True of every book.
        ("coverage(create.graph, 'book') <= 100", Verdict::Error),
        // A chapter is a part of the book.
        (
            "coverage(create.graph, 'book') >= coverage(create.graph, 'chapter')",
            Verdict::Error,
        ),
        // Percents are no runs.
        (
            "coverage(create.graph, 'book') != calls_of(create.graph, 'helper')",
            Verdict::Error,
        ),
    ] {
        let judgement = judged_claim(&claim_with_mentions(text), &evidence);
        let reason = &judgement.reason;
        assert_eq!(judgement.verdict, expected, "{text}: {reason:?}");
    }
    let judgement = judged_claim(
        &claim_with_mentions("coverage(create.graph, 'book') == 80"),
        &evidence,
    );
    let control = judgement.control.unwrap();
    assert_eq!(control.path, "coverage(create.graph, 'book')");
}

/// Check that coverage is UNVERIFIED without a tree and without a text, and that there are two scopes.
#[test]
fn coverage_of_nothing() {
    let text = "coverage(create.graph, 'book') >= 1";
    unverified(text, &traced(), "what the book tells is not known here");
    let mut evidence = traced();
    evidence.experiments.get_mut("create").unwrap().graph = None;
    let judgement = judged_claim(&claim_with_mentions(text), &evidence);
    assert_eq!(judgement.verdict, Verdict::Unverified);
    assert!(claim("coverage(create.graph, 'page') == 1").is_err());
    assert!(claim("coverage(create.graph, create.p.hits) == 1").is_err());
}

/// Check that a condition and an interval of kernels know what the text tells, too.
#[test]
fn coverage_in_all_parts() {
    let evidence = traced();
    let text = "coverage(create.graph, 'book') == 80";
    let when = "coverage(create.graph, 'chapter') == 40";
    let source = crate::testing::place(text);
    let conditional = Claim::parse("c", text, source, Some((when, crate::testing::place(when))));
    let tell = |_: Scope, _: &str| Mentions {
        named: Arc::new(["outer", "helper"].map(String::from).into()),
        ..Mentions::default()
    };
    // Both texts tell 40: the condition holds, and the claim is false.
    let judgement = judged_claim(&conditional.unwrap().with_mentions(&tell), &evidence);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:?}");
}
