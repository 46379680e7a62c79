//! The mutation test: every claim of the flagship book, on every machine that was captured for it, with every value
//! that it reads changed in every way we can think of.
//!
//! A changed value must not leave a PASS standing, unless the claim is still true of it; whether it is, a second
//! implementation of CEL says that shares no code with ours (`second_opinion/judge.py`). Needs the evidence that
//! `make book` captures, and what `make test-tools` installs.

#[path = "mutants/rewritten.rs"]
mod rewritten;
#[path = "second_opinion/mod.rs"]
mod second_opinion;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mdbook_qed::claims::collect::Claims;
use mdbook_qed::claims::judged::JudgedClaim;
use mdbook_qed::evidence::book_data::BookData;
use mdbook_qed::evidence::cache::DerivedCache;
use mdbook_qed::evidence::freshness::LocalMachine;
use mdbook_qed::evidence::loader::{self};
use mdbook_qed::mdbook::load::load;
use mdbook_qed::util::parallel::Parallelism;
use qed_evidence::claim::{
    Claim, Judgement, Replaced, Verdict, export, judge_replacing, mutants_of,
};
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::value::{Address, Datum, Integer, Value};

use rewritten::{Rewritten, Rule};
use second_opinion::{Answer, SecondOpinion};

/// The trials and their results.
#[derive(Debug, Default)]
struct Tally {
    /// Claims on machines that passed and were attacked.
    judged: usize,
    /// Claims on machines that show nothing there, by verdict.
    skipped: BTreeMap<Verdict, usize>,
    leaves: usize,
    tried: usize,
    /// By the verdict that came instead of PASS.
    killed: BTreeMap<Verdict, usize>,
    /// Passed, and rightly so.
    still_true: usize,
    removed: usize,
    corrupted: usize,
    lost: usize,
    /// Claims with something added, with a part turned round, and with a word misspelt.
    rewritten: usize,
    /// Of these the ones that pass, and rightly so.
    other_truths: usize,
    /// Claims inside of alternatives, negations and conditions that pass like the claim itself, and those that do not.
    wrapped: usize,
    not_wrapped: usize,
    problems: Vec<String>,
}

/// One change of values that a claim reads.
struct Trial {
    leaf: usize,
    replaced: Vec<(String, Datum)>,
    verdict: Verdict,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One claim on one machine, under attack.
struct Attack<'a> {
    judged: &'a JudgedClaim,
    catalog: &'a Catalog<'a>,
    machine: &'a Indexed<'a>,
    name: &'a str,
}

impl Attack<'_> {
    fn judge(&self, replaced: &[(String, Datum)]) -> Judgement {
        let replaced: Vec<(&str, &Datum)> = replaced
            .iter()
            .map(|(path, datum)| (path.as_str(), datum))
            .collect();
        let replaced: Replaced<'_> = &replaced;
        judge_replacing(&self.judged.claim, self.catalog, self.machine, replaced)
    }

    fn here(&self) -> String {
        format!("{} on {}", self.judged.claim.id, self.name)
    }

    /// All changes of one value, and each pair of values exchanged.
    fn trials(&self, leaves: &[(String, Value, Vec<Value>)]) -> Vec<Trial> {
        let mut trials = Vec::new();
        let mut attempt = |leaf: usize, replaced: Vec<(String, Datum)>| {
            let verdict = self.judge(&replaced).verdict;
            trials.push(Trial {
                leaf,
                replaced,
                verdict,
            });
        };
        for (number, (path, value, mutants)) in leaves.iter().enumerate() {
            let others = leaves.iter().map(|(_, other, _)| other.clone());
            let all = mutants
                .iter()
                .cloned()
                .chain(other_kinds(value))
                .chain(halves(value))
                .chain(others);
            let mut seen = vec![value.clone()];
            for mutant in all {
                if !seen.contains(&mutant) {
                    attempt(number, vec![(path.clone(), mutant.clone().into())]);
                    seen.push(mutant);
                }
            }
            for (path_of_other, other, _) in &leaves[number + 1..] {
                if value != other {
                    let swapped = vec![
                        (path.clone(), other.clone().into()),
                        (path_of_other.clone(), value.clone().into()),
                    ];
                    attempt(number, swapped);
                }
            }
        }
        trials
    }
}

/// The same number as another kind of value, and text in its place.
fn other_kinds(value: &Value) -> Vec<Value> {
    let number = match value {
        Value::Address { value, .. } | Value::Symbol { address: value, .. } => {
            Some(i128::from(value.0))
        }
        other => other.as_integer(),
    };
    let mut list = vec![Value::text(value.to_string()), Value::Bool { value: true }];
    if let Some(number) = number {
        list.extend(u64::try_from(number).ok().map(Value::address));
        let small = i32::try_from(number).ok();
        if let Some(value) = Integer::new(number) {
            list.push(Value::Int {
                value,
                type_name: None,
            });
            list.push(Value::Offset { value });
            list.push(Value::Flags {
                value,
                set: None,
                names: Vec::new(),
            });
        }
        if let Some(value) = small.filter(|value| *value >= 0) {
            list.push(Value::Fd { value });
            list.push(Value::Pid { value });
        }
        if let Some(value) = small.filter(|value| value.abs() <= 4095) {
            let name = qed_evidence::constants::errno_name(value.unsigned_abs()).unwrap();
            list.push(Value::Errno {
                value,
                name: name.into_owned(),
            });
        }
    }
    let kind = value.kind();
    list.retain(|other| other.kind() != kind && other.validate().is_ok());
    list
}

/// Values of which one half was changed and the other was not: they contradict themselves.
fn halves(value: &Value) -> Vec<Value> {
    let moved = |address: &Address| Address(address.0.wrapping_add(1));
    match value.clone() {
        Value::Address {
            value,
            type_name,
            symbol: Some(symbol),
        } => vec![
            Value::Address {
                value: moved(&value),
                type_name: type_name.clone(),
                symbol: Some(symbol.clone()),
            },
            Value::Address {
                value: Address(0),
                type_name: type_name.clone(),
                symbol: Some(symbol.clone()),
            },
            Value::Address {
                value,
                type_name,
                symbol: Some(format!("x{symbol}")),
            },
        ],
        Value::Symbol {
            name,
            offset,
            address,
        } => vec![
            Value::Symbol {
                name: name.clone(),
                offset,
                address: moved(&address),
            },
            Value::Symbol {
                name: name.clone(),
                offset: offset + 1,
                address,
            },
            Value::Symbol {
                name: format!("x{name}"),
                offset,
                address,
            },
        ],
        Value::Errno { value, name } => vec![
            Value::Errno {
                value: if value == 0 { -1 } else { 0 },
                name: name.clone(),
            },
            Value::Errno {
                value,
                name: format!("X{name}"),
            },
        ],
        Value::Enum {
            value,
            type_name,
            name: Some(name),
        } => vec![
            Value::Enum {
                value: Integer::new(value.get() + 1).unwrap(),
                type_name: type_name.clone(),
                name: Some(name.clone()),
            },
            Value::Enum {
                value,
                type_name,
                name: Some(format!("X{name}")),
            },
        ],
        Value::Stack { mut value } => {
            let Some(frame) = value.iter_mut().find(|frame| frame.symbol.is_some()) else {
                return Vec::new();
            };
            frame.address = moved(&frame.address);
            vec![Value::Stack { value }]
        }
        _ => Vec::new(),
    }
}

/// The JSON of a value, damaged in ways that a strict reader has to notice.
fn damaged(value: &Value) -> Vec<serde_json::Value> {
    let json = serde_json::to_value(value).unwrap();
    let with = |key: &str, to: serde_json::Value| {
        let mut json = json.clone();
        json[key] = to;
        json
    };
    let payload = ["value", "address", "ns"]
        .into_iter()
        .find(|key| json.get(key).is_some())
        .unwrap();
    vec![
        with(payload, serde_json::json!(null)),
        with(payload, serde_json::json!(1.5)),
        with(payload, serde_json::json!({})),
        with("kind", "qed".into()),
        with("more", 1.into()),
        serde_json::json!({}),
        serde_json::json!("0xffffffff81000000"),
    ]
}

/// Check that no change of any value that a claim of the book reads is survived by a PASS that is not deserved.
#[test]
fn every_claim_of_the_book() {
    let root = root();
    let book = load(&root, Parallelism::default()).unwrap_or_else(|problem| panic!("{problem}"));
    // Nothing that earlier builds kept: what is attacked is read and made here.
    let (ahead, cache) = (loader::Ahead::default(), DerivedCache::default());
    let evidence_set = loader::load(
        &book.paths,
        &book.config,
        &LocalMachine::read(),
        ahead,
        cache,
    )
    .unwrap_or_else(|problems| panic!("run `make book` first: {}", problems[0]));
    let book_data = BookData::new(&book.config, &evidence_set);
    let mut problems = Vec::new();
    let claims = Claims::collect(&book.chapters, &book_data, &mut problems);
    assert!(problems.is_empty(), "{}", problems[0]);
    // What is attacked is what claims are judged on: of a live machine, the evidence that is not shown.
    let raw: Vec<Indexed<'_>> = evidence_set
        .loaded
        .iter()
        .map(|loaded| Indexed::new(loaded.raw.for_searching(&loaded.evidence)))
        .collect();
    let catalog = Catalog {
        investigation: &book_data.evidence_set.investigation,
        machines: &raw,
    };
    let mut tally = Tally::default();
    let mut unattacked: Vec<&str> = Vec::new();
    for judged in claims.iter_in_book_order() {
        if !judged.judgements.iter().any(|j| j.verdict == Verdict::Pass) {
            unattacked.push(&judged.claim.id);
        }
    }
    std::thread::scope(|scope| {
        let machines: Vec<_> = book_data
            .evidence_set
            .loaded
            .iter()
            .zip(&raw)
            .enumerate()
            .map(|(number, (loaded, machine))| {
                let (claims, catalog) = (&claims, &catalog);
                let attack = move || on_machine(number, &loaded.machine, machine, catalog, claims);
                scope.spawn(attack)
            })
            .collect();
        for machine in machines {
            tally.add(machine.join().unwrap());
        }
    });
    tally.print(book_data.evidence_set.loaded.len());
    for (machine, reason) in &evidence_set.absent {
        qed_layers::note(format_args!("  not attacked on {machine}: {reason}"));
    }
    assert!(
        tally.problems.is_empty(),
        "{} problems:\n{}",
        tally.problems.len(),
        tally.problems.join("\n")
    );
    assert_eq!(
        unattacked,
        [] as [&str; 0],
        "claims that pass on no machine"
    );
    assert!(tally.judged >= 50 && tally.tried > 1000, "{tally:?}");
    assert!(tally.rewritten > 1000, "{tally:?}");
    assert!(tally.wrapped > 100, "{tally:?}");
}

fn on_machine(
    number: usize,
    name: &str,
    machine: &Indexed<'_>,
    catalog: &Catalog<'_>,
    claims: &Claims,
) -> Tally {
    let mut tally = Tally::default();
    let mut opinion = SecondOpinion::start(&machine.evidence.names);
    for judged in claims.iter_in_book_order() {
        match judged.judgements[number].verdict {
            Verdict::Pass => {}
            Verdict::Unverified | Verdict::NotApplicable => {
                *tally
                    .skipped
                    .entry(judged.judgements[number].verdict)
                    .or_default() += 1;
                continue;
            }
            verdict => {
                let problem = format!("{} on {name} is {verdict} to begin with", judged.claim.id);
                tally.problems.push(problem);
                continue;
            }
        }
        let attack = Attack {
            judged,
            catalog,
            machine,
            name,
        };
        tally.judged += 1;
        mutate(&attack, &mut tally, &mut opinion);
        remove(&attack, &mut tally);
        lose(&attack, &mut tally);
        rewrite(&attack, &mut tally, &mut opinion);
    }
    tally
}

/// A claim to which something was added that says nothing, of which a part was turned round, or a word of which was
/// misspelt, does not pass; but for one of which a part was turned round that decided nothing, if the claim is still true.
fn rewrite(attack: &Attack<'_>, tally: &mut Tally, opinion: &mut SecondOpinion) {
    let claim = &attack.judged.claim;
    let text = claim.expression.text();
    let when = claim.when.as_ref().map(|when| when.text());
    for other in rewritten::all(text) {
        judge_rewritten(
            attack,
            &|text| (text.into(), owned(when)),
            &other,
            tally,
            opinion,
        );
    }
    for other in when.map(rewritten::all).into_iter().flatten() {
        let put = |when: &str| (text.to_owned(), Some(when.to_owned()));
        judge_rewritten(attack, &put, &other, tally, opinion);
    }
    for wrapped in rewritten::wrapped(text, TRUE_HERE, FALSE_HERE) {
        if passes(attack, &wrapped, when).is_none() {
            tally.not_wrapped += 1;
            continue;
        }
        tally.wrapped += 1;
        for other in rewritten::turned(&wrapped) {
            judge_rewritten(
                attack,
                &|text| (text.into(), owned(when)),
                &other,
                tally,
                opinion,
            );
        }
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// What is true, and what is false, of the book's first experiment on each machine.
const TRUE_HERE: &str = "create.outcome.returned == 3";
const FALSE_HERE: &str = "create.outcome.returned == 4";

/// The claim of these texts and its verdict; `None` if it is refused.
fn judged(attack: &Attack<'_>, body: &str, when: Option<&str>) -> Option<(Claim, Verdict)> {
    let holds = attack.judged.claim.holds.as_ref().map(|holds| holds.text());
    rewritten::judge(body, when, holds, attack.catalog, attack.machine)
}

/// The claim of these texts, if it passes.
fn passes(attack: &Attack<'_>, body: &str, when: Option<&str>) -> Option<Claim> {
    let (claim, verdict) = judged(attack, body, when)?;
    (verdict == Verdict::Pass).then_some(claim)
}

/// Judge a rewritten claim. `put` makes expression and condition of the text that was rewritten.
fn judge_rewritten(
    attack: &Attack<'_>,
    put: &dyn Fn(&str) -> (String, Option<String>),
    other: &Rewritten,
    tally: &mut Tally,
    opinion: &mut SecondOpinion,
) {
    tally.rewritten += 1;
    let (body, when) = put(&other.text);
    let Some(claim) = passes(attack, &body, when.as_deref()) else {
        return;
    };
    let mut is_true = |claim: &Claim| {
        let claim = export(claim, attack.catalog, attack.machine, &[]);
        opinion.ask(claim, std::iter::once(serde_json::json!({}))) == [Answer::True]
    };
    let may_pass = match &other.rule {
        Rule::Never => false,
        Rule::IfTrue => is_true(&claim),
        Rule::IfUnchosen(turned) => {
            let (body, when) = put(turned);
            let turned = judged(attack, &body, when.as_deref());
            is_true(&claim) && turned.is_some_and(|(claim, _)| is_true(&claim))
        }
    };
    if may_pass {
        tally.other_truths += 1;
    } else {
        let (here, text) = (attack.here(), &other.text);
        tally.problems.push(format!("{here} passes as {text}"));
    }
}

/// Every value of the claim with its mutants.
fn leaves_of(attack: &Attack<'_>) -> Vec<(String, Value, Vec<Value>)> {
    let claim = &attack.judged.claim;
    let exported = export(claim, attack.catalog, attack.machine, &[]);
    mutants_of(claim, attack.catalog, attack.machine)
        .into_iter()
        .map(|(path, mutants)| {
            let value = serde_json::from_value(exported["leaves"][&path].clone()).unwrap();
            (path, value, mutants)
        })
        .collect()
}

fn mutate(attack: &Attack<'_>, tally: &mut Tally, opinion: &mut SecondOpinion) {
    let leaves = leaves_of(attack);
    tally.leaves += leaves.len();
    let trials = attack.trials(&leaves);
    // The claim as it is comes first: the second opinion has to share the first.
    let mut requested: Vec<(Option<&Trial>, serde_json::Value)> =
        vec![(None, serde_json::json!({}))];
    for trial in &trials {
        tally.tried += 1;
        if trial.verdict != Verdict::Pass {
            *tally.killed.entry(trial.verdict).or_default() += 1;
        }
        if matches!(trial.verdict, Verdict::Pass | Verdict::Fail) {
            let replaced = trial
                .replaced
                .iter()
                .map(|(path, datum)| (path.clone(), serde_json::to_value(datum).unwrap()));
            requested.push((Some(trial), serde_json::Value::Object(replaced.collect())));
        }
    }
    let claim = export(&attack.judged.claim, attack.catalog, attack.machine, &[]);
    let answers = opinion.ask(
        claim,
        requested.iter().map(|(_, replaced)| replaced.clone()),
    );
    for ((trial, replaced), answer) in requested.iter().zip(answers) {
        let verdict = trial.map_or(Verdict::Pass, |trial| trial.verdict);
        let agree = match (verdict, &answer) {
            (Verdict::Pass, answer) => *answer == Answer::True,
            // Where a rule of ours is stricter than CEL there is no answer, which is not "true" either.
            (_, answer) => *answer != Answer::True,
        };
        if !agree {
            tally.problems.push(format!(
                "{} with {replaced} is {verdict}, and the second opinion says {answer:?}",
                attack.here()
            ));
        } else if trial.is_some() && verdict == Verdict::Pass {
            tally.still_true += 1;
        }
    }
    for (number, (path, ..)) in leaves.iter().enumerate() {
        let by_expression = attack
            .judged
            .claim
            .expression
            .reads()
            .iter()
            .any(|read| read.path == *path);
        // What only the condition reads decides whether the claim applies.
        let deadly = if by_expression {
            Verdict::Fail
        } else {
            Verdict::NotApplicable
        };
        let mut alone = trials
            .iter()
            .filter(|t| t.leaf == number && t.replaced.len() == 1);
        let killed = alone.any(|t| {
            // Of a ledger without rows nothing follows.
            let empties = path.ends_with("allocated")
                && t.verdict == Verdict::Unverified
                && t.replaced.iter().all(|(_, datum)| datum.value().is_some());
            t.verdict == deadly || empties
        });
        if !killed {
            let problem = format!("{}: no value of `{path}` makes it {deadly}", attack.here());
            tally.problems.push(problem);
        }
    }
    for (path, value, _) in &leaves {
        for half in halves(value) {
            tally.corrupted += 1;
            let verdict = attack.judge(&[(path.clone(), half.clone().into())]).verdict;
            if verdict != Verdict::Error {
                tally.problems.push(format!(
                    "{}: `{path}` contradicts itself as {half:?} and it is {verdict}",
                    attack.here()
                ));
            }
        }
        for json in damaged(value) {
            tally.corrupted += 1;
            if let Ok(datum) = serde_json::from_value::<Datum>(json.clone()) {
                tally.problems.push(format!(
                    "{}: `{path}` was read from {json} as {datum:?}",
                    attack.here()
                ));
            }
        }
    }
}

/// A value that is not there makes the claim UNVERIFIED.
fn remove(attack: &Attack<'_>, tally: &mut Tally) {
    for (path, ..) in leaves_of(attack) {
        tally.removed += 1;
        let missing = Datum::unavailable("the mutation test removed it");
        let judgement = attack.judge(&[(path.clone(), missing)]);
        let reason = judgement.reason.unwrap_or_default();
        if judgement.verdict != Verdict::Unverified || !reason.contains("removed it") {
            tally.problems.push(format!(
                "{} without `{path}` is {}: {reason}",
                attack.here(),
                judgement.verdict
            ));
        }
    }
}

/// A value of an experiment that lost an event makes the claim an ERROR.
fn lose(attack: &Attack<'_>, tally: &mut Tally) {
    let claim = &attack.judged.claim;
    let experiments: Vec<&str> = claim
        .reads()
        .filter(|read| !read.path.contains(".quality."))
        .filter_map(|read| read.path.split(['.', '#']).next())
        .filter(|name| attack.machine.evidence.experiments.contains_key(*name))
        .collect();
    for name in experiments {
        let mut evidence = attack.machine.evidence.clone();
        evidence.experiments.get_mut(name).unwrap().quality.lost = 1;
        let machines = [Indexed::new(&evidence)];
        let catalog = Catalog {
            investigation: attack.catalog.investigation,
            machines: &machines,
        };
        tally.lost += 1;
        let verdict = qed_evidence::claim::judge(claim, &catalog, &machines[0]).verdict;
        if verdict != Verdict::Error {
            tally.problems.push(format!(
                "{}: `{name}` lost an event and it is {verdict}",
                attack.here()
            ));
        }
    }
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.judged += other.judged;
        self.leaves += other.leaves;
        self.tried += other.tried;
        self.still_true += other.still_true;
        self.removed += other.removed;
        self.corrupted += other.corrupted;
        self.lost += other.lost;
        self.rewritten += other.rewritten;
        self.other_truths += other.other_truths;
        self.wrapped += other.wrapped;
        self.not_wrapped += other.not_wrapped;
        self.problems.extend(other.problems);
        for (verdict, count) in other.skipped {
            *self.skipped.entry(verdict).or_default() += count;
        }
        for (verdict, count) in other.killed {
            *self.killed.entry(verdict).or_default() += count;
        }
    }

    fn print(&self, machines: usize) {
        let list = |counts: &BTreeMap<Verdict, usize>| {
            let list: Vec<String> = counts.iter().map(|(v, n)| format!("{n} {v}")).collect();
            list.join(", ")
        };
        let killed: usize = self.killed.values().sum();
        println!(
            "mutants: {} tried, {killed} killed ({}), {} still true by the second opinion, {} survivors",
            self.tried,
            list(&self.killed),
            self.still_true,
            self.tried - killed - self.still_true
        );
        println!(
            "  {} claims on {machines} machines with {} values were attacked; {} show nothing there ({})",
            self.judged,
            self.leaves,
            self.skipped.values().sum::<usize>(),
            list(&self.skipped)
        );
        println!(
            "  {} claims rewritten: refused, or no PASS, but for {} that are true by the second opinion",
            self.rewritten, self.other_truths
        );
        println!(
            "  {} of these inside of alternatives, negations and conditions; {} do not pass there to begin with",
            self.wrapped, self.not_wrapped
        );
        println!(
            "  {} values removed: UNVERIFIED; {} corrupted: ERROR or refused; {} experiments lost an event: ERROR",
            self.removed, self.corrupted, self.lost
        );
    }
}
