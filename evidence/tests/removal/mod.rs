//! Random removals from evidence, and whether a claim passes because of one.
//!
//! Less information never makes a claim pass: whatever did not pass before must not pass after. Evidence that the removal
//! makes inconsistent may be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, SourceMap, Verdict, judge};
use qed_evidence::diagnostic::SourceText;
use qed_evidence::document::Probe;
use qed_evidence::investigation::{self, Investigation};
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::validate::find_contradiction;
use serde_json::Value;

/// Random numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % end.max(1)
    }

    fn pick<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        list.get(self.below(list.len()))
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The options of a claim that decide where it is judged.
#[derive(Clone, Copy, Default)]
struct Limits<'t> {
    when: Option<&'t str>,
    holds: Option<&'t str>,
}

fn parse(id: &str, text: &str, limits: Limits<'_>) -> Option<Claim> {
    let place = |text: &str| {
        let source = SourceText {
            name: "chapter.md".into(),
            text: text.into(),
        };
        SourceMap::new(Arc::new(source), 0)
    };
    let when = limits.when.map(|when| (when, place(when)));
    let claim = Claim::parse(id, text, place(text), when).ok()?;
    match limits.holds {
        Some(holds) => claim.with_interval(holds, &place(holds)).ok(),
        None => Some(claim),
    }
}

/// The value of an option in the first line of a claim.
fn option<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    let (_, rest) = info.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}

/// First lines and texts of the claims in the chapters of a folder.
fn written(folder: &Path) -> Vec<(String, String)> {
    let mut claims = Vec::new();
    let mut chapters: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    chapters.sort();
    for chapter in chapters {
        let text = std::fs::read_to_string(chapter).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.trim().strip_prefix("```qed-claim ") else {
                continue;
            };
            let body: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.trim().starts_with("```"))
                .collect();
            claims.push((info.to_owned(), body.join("\n")));
        }
    }
    claims
}

/// The parts between `&&`, outside of parentheses and texts.
fn conjuncts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, '&') if depth == 0 && text[at..].starts_with("&&") => {
                parts.push(text[start..at].trim());
                start = at + 2;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Claims about one machine: those of the chapters, the opposite of each of their parts, and silence and counts of each probe.
fn claims(
    investigation: &Investigation,
    evidence: &Evidence,
    chapters: Option<&Path>,
) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (info, text) in chapters.map(written).unwrap_or_default() {
        let id = info.split(' ').next().unwrap_or_default();
        let limits = Limits {
            when: option(&info, "when"),
            holds: option(&info, "holds"),
        };
        // Chapters of tests hold claims that are refused, too.
        claims.extend(parse(id, &text, limits));
        for part in conjuncts(&text) {
            claims.extend(parse(id, &format!("!({part})"), limits));
        }
    }
    for experiment in &investigation.experiments {
        let name = &experiment.name;
        let Some(seen) = evidence.experiments.get(name) else {
            continue;
        };
        let mut texts = vec![
            format!("{name}.objects.leaked == 0"),
            format!("freed({name})"),
            format!("!freed({name})"),
        ];
        for probe in experiment.probes.iter().map(|probe| &probe.name) {
            let hits = seen.probes.get(probe).map_or(0, |probe| probe.hits.len());
            texts.push(format!("never({name}.{probe})"));
            for other in [0, 1, hits.saturating_sub(1), hits + 1] {
                texts.push(format!("fired({name}.{probe}) == {other}"));
                texts.push(format!("{name}.{probe}.hits == {other}"));
            }
            texts.push(format!("fired({name}.{probe}) < {hits}"));
            if let Some(probe_seen) = seen.probes.get(probe) {
                texts.extend(bounds(&format!("{name}.{probe}"), probe_seen));
            }
        }
        let id = |number: usize| format!("of_{name}_{number}");
        let all = texts.iter().enumerate();
        claims.extend(all.filter_map(|(number, text)| parse(&id(number), text, Limits::default())));
    }
    claims
}

/// Bounds that say nothing: no number that is so wide goes beyond them.
fn bounds(path: &str, probe: &Probe) -> Vec<String> {
    let hit = match probe.hits.len() {
        1 => "",
        _ => "hit1.",
    };
    let widths = probe.widths.iter().filter(|(_, width)| width.bits < 63);
    let each = widths.flat_map(|(place, width)| {
        let end = 1_i64 << width.bits;
        let read = format!("{path}.{hit}{place}");
        [
            format!("{read} != {end}"),
            format!("!(int({read}) >= {end})"),
        ]
    });
    each.collect()
}

/// The thing that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// One hit of a probe.
    Hit,
    /// All hits of a probe.
    Hits,
    /// A value, with a reason in its place.
    Leaf,
    /// A value with its name.
    Entry,
    /// The end of a text, of bytes or of a stack, as a capture marks it.
    End,
    /// One frame of a stack.
    Frame,
    /// Lines of the source.
    DebugInformation,
    /// Any key.
    Key,
    /// The type or the width of a number.
    Type,
    /// A copy of a function, all its inlined ones, or all that is known of its copies.
    Instance,
    /// What was counted or noted of an experiment, of a probe or of copies.
    Counter,
    /// A probe with its hits, as where it could not be attached; the events of the others keep their order.
    Probe,
    /// An experiment, as where it did not run, or did not run to its end.
    Experiment,
}

/// The kinds of removals, in turn.
pub const REMOVALS: &[Removal] = &[
    Removal::Hit,
    Removal::Hits,
    Removal::Leaf,
    Removal::Entry,
    Removal::End,
    Removal::Frame,
    Removal::DebugInformation,
    Removal::Key,
    Removal::Key,
    Removal::Type,
    Removal::Instance,
    Removal::Counter,
    Removal::Probe,
    Removal::Experiment,
];

/// The members that count, or that say of a whole experiment, probe or function what was seen of it.
const COUNTERS: &[&str] = &[
    "attempts",
    "compat_calls",
    "count",
    "descendants",
    "events",
    "followed",
    "lost",
    "marked",
    "missed",
    "never_returns",
    "running",
    "settled",
    "skipped",
    "started",
    "threads_running",
    "undecided",
    "until_user_space",
    "waited_ns",
];

/// JSON pointers to everything below `node` of which `wanted` says so; `wanted` gets the last key and the value.
fn places(node: &Value, at: &str, wanted: &dyn Fn(&str, &Value) -> bool, list: &mut Vec<String>) {
    let mut child = |key: &str, child: &Value| {
        let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        if wanted(key, child) {
            list.push(place.clone());
        }
        places(child, &place, wanted, list);
    };
    match node {
        Value::Object(map) => map.iter().for_each(|(key, value)| child(key, value)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                child(&index.to_string(), item);
            }
        }
        _ => {}
    }
}

fn delete(document: &mut Value, place: &str) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent).unwrap() {
        Value::Object(map) => _ = map.remove(&key),
        Value::Array(items) => _ = items.remove(key.parse().unwrap()),
        _ => unreachable!("only these have something below them"),
    }
}

fn is_leaf(value: &Value) -> bool {
    value.get("kind").is_some_and(Value::is_string)
}

/// The things that can be removed from a document, by kind.
struct Removable {
    hits: Vec<String>,
    probes: Vec<String>,
    leaves: Vec<String>,
    entries: Vec<String>,
    ends: Vec<String>,
    frames: Vec<String>,
    keys: Vec<String>,
    types: Vec<String>,
    instances: Vec<String>,
    counters: Vec<String>,
    /// Each attached probe.
    attached: Vec<String>,
    experiments: Vec<String>,
}

impl Removable {
    fn of(document: &Value, spared: &[&str]) -> Self {
        let find = |wanted: &dyn Fn(&str, &Value) -> bool| {
            let mut list = Vec::new();
            places(document, "", wanted, &mut list);
            list.retain(|place| spared.iter().all(|spared| !place.contains(spared)));
            list
        };
        let numbered = |key: &str| key.bytes().all(|b| b.is_ascii_digit());
        let mut hits = find(&|key, value| numbered(key) && value.get("task").is_some());
        hits.retain(|place| place.rsplit('/').nth(1) == Some("hits"));
        let leaves = find(&|_, value| is_leaf(value));
        let entries = leaves.iter().filter(|place| {
            let group = place.rsplit('/').nth(1).unwrap_or_default();
            [
                "args", "entry", "exit", "config", "values", "buffers", "sources",
            ]
            .contains(&group)
        });
        Removable {
            ends: find(&|_, value| {
                ["text", "bytes", "stack"]
                    .iter()
                    .any(|kind| value["kind"] == *kind)
            }),
            entries: entries.cloned().collect(),
            hits,
            frames: find(&|key, value| numbered(key) && value.get("address").is_some()),
            keys: find(&|key, _| !numbered(key)),
            instances: {
                let mut places = find(&|_, _| true);
                let parts = |place: &String| place.split('/').skip(1).count();
                let is_list = |place: &String| {
                    let list = place.rsplit('/').nth(1);
                    matches!(list, Some("copies" | "inlined")) || place.ends_with("/inlined")
                };
                places.retain(|place| {
                    place.starts_with("/instances/") && (parts(place) == 2 || is_list(place))
                });
                places
            },
            counters: find(&|key, _| COUNTERS.contains(&key)),
            attached: {
                let mut places = find(&|_, value| value.get("backend").is_some());
                places.retain(|place| place.rsplit('/').nth(1) == Some("probes"));
                places
            },
            experiments: {
                let mut places = find(&|_, value| value.get("outcome").is_some());
                places.retain(|place| place.starts_with("/experiments/"));
                places
            },
            types: {
                let mut places = find(&|_, _| true);
                let tables = [
                    "/widths",
                    "/integers",
                    "/members",
                    "/type",
                    "/parameters",
                    "/returns",
                ];
                places.retain(|place| tables.iter().any(|table| place.contains(table)));
                places
            },
            probes: find(&|key, value| {
                key == "hits" && value.as_array().is_some_and(|all| !all.is_empty())
            }),
            leaves,
        }
    }

    /// Remove one thing; where it was.
    fn remove(&self, kind: Removal, document: &mut Value, random: &mut Random) -> Option<String> {
        let place = match kind {
            Removal::Hit => random.pick(&self.hits)?,
            Removal::Hits => {
                let place = random.pick(&self.probes)?;
                *document.pointer_mut(place)? = Value::Array(Vec::new());
                return Some(place.clone());
            }
            Removal::Leaf => {
                let place = random.pick(&self.leaves)?;
                *document.pointer_mut(place)? =
                    serde_json::json!({"unavailable": "it was removed"});
                return Some(place.clone());
            }
            Removal::Entry => random.pick(&self.entries)?,
            Removal::End => {
                let place = random.pick(&self.ends)?;
                let leaf = document.pointer_mut(place)?;
                let half = |length: usize, random: &mut Random| random.below(length.max(1));
                leaf["value"] = match &leaf["value"] {
                    Value::Array(items) => items[..half(items.len(), random)].into(),
                    Value::String(text) => {
                        // Two hex digits are one byte.
                        let mut end = half(text.len(), random) / 2 * 2;
                        while !text.is_char_boundary(end) {
                            end -= 1;
                        }
                        text[..end].into()
                    }
                    _ => return None,
                };
                leaf["cut"] = serde_json::json!({});
                return Some(place.clone());
            }
            Removal::Frame => random.pick(&self.frames)?,
            Removal::DebugInformation => {
                let mut sites = Vec::new();
                let is_site = |key: &str, _: &Value| key == "site" || key == "definition";
                places(document, "", &is_site, &mut sites);
                // Of the inner ones first.
                let half = random.below(2);
                for (number, site) in sites.iter().enumerate().rev() {
                    if half == 0 || number % 2 == 0 {
                        delete(document, site);
                    }
                }
                return Some("/**/site".into());
            }
            Removal::Key => random.pick(&self.keys)?,
            Removal::Type => random.pick(&self.types)?,
            Removal::Instance => random.pick(&self.instances)?,
            Removal::Counter => random.pick(&self.counters)?,
            Removal::Probe => {
                let place = random.pick(&self.attached)?;
                unattach(document, place);
                return Some(place.clone());
            }
            Removal::Experiment => {
                let place = random.pick(&self.experiments)?;
                if random.below(2) == 0 {
                    document.pointer_mut(place)?["unavailable"] = "it was removed".into();
                    return Some(place.clone());
                }
                place
            }
        };
        delete(document, place);
        Some(place.clone())
    }
}

/// Take a probe away, as where it could not be attached, and close the gaps that its events leave in the order.
fn unattach(document: &mut Value, place: &str) {
    let probe = document.pointer_mut(place).unwrap();
    let mut unavailable = serde_json::json!({
        "target": probe["target"],
        "unavailable": "it was removed",
        "parameters": [],
        "hits": [],
    });
    if let Some(optional) = probe.get("optional") {
        unavailable["optional"] = optional.clone();
    }
    *probe = unavailable;
    let (experiment, _) = place.rsplit_once("/probes/").unwrap();
    let experiment = document.pointer_mut(experiment).unwrap();
    let is_order =
        |key: &str, value: &Value| value.is_u64() && (key == "order" || key == "return_order");
    let mut orders = Vec::new();
    places(experiment, "", &is_order, &mut orders);
    let number = |experiment: &Value, place: &str| experiment.pointer(place).unwrap().as_u64();
    let left: BTreeSet<Option<u64>> = (orders.iter())
        .map(|place| number(experiment, place))
        .collect();
    for place in orders {
        let old = number(experiment, &place);
        let new = left.iter().position(|one| *one == old).unwrap() + 1;
        *experiment.pointer_mut(&place).unwrap() = new.into();
    }
    experiment["quality"]["events"] = left.len().into();
}

/// Evidence that something is removed from.
pub struct Subject<'a> {
    pub evidence: &'a Path,
    pub investigation: &'a Path,
    /// A folder of chapters, whose claims are judged besides those that are made up.
    pub chapters: Option<&'a Path>,
    /// The places that a removal must leave alone: parts of JSON pointers.
    pub spared: &'a [&'a str],
}

/// Numbers of removals after which the document was refused, and was judged.
#[derive(Debug, Default)]
pub struct Tried {
    pub refused: usize,
    pub judged: usize,
    /// The same two numbers for each kind of removal.
    pub kinds: BTreeMap<Removal, (usize, usize)>,
}

impl Tried {
    fn add(&mut self, kind: Removal, is_judged: bool) {
        let (refused, judged) = self.kinds.entry(kind).or_default();
        match is_judged {
            true => (self.judged, *judged) = (self.judged + 1, *judged + 1),
            false => (self.refused, *refused) = (self.refused + 1, *refused + 1),
        }
    }

    /// Demand that claims were judged after at least `least` removals of each kind but those after which a document always
    /// contradicts itself.
    ///
    /// # Panics
    /// If there were fewer, or if one of the `refused` kinds was judged after all.
    #[allow(
        dead_code,
        reason = "the cases have too few removals of each kind to demand a number"
    )]
    pub fn assert_each(&self, least: usize, refused: &[Removal]) {
        for kind in REMOVALS {
            let (not, judged) = self.kinds.get(kind).copied().unwrap_or_default();
            match refused.contains(kind) {
                true => assert!(judged == 0 && not >= least, "{kind:?}: {self:?}"),
                false => assert!(judged >= least, "{kind:?}: {self:?}"),
            }
        }
    }
}

/// Try so many removals, and panic when a claim passes after one that did not before.
pub fn attack(subject: &Subject, trials: usize, seed: u64) -> Tried {
    let file = subject.evidence.display();
    let text = read(subject.evidence);
    let document: Value = serde_json::from_str(&text).unwrap();
    let name = subject.investigation.display().to_string();
    let investigation = investigation::parse(&name, &read(subject.investigation)).unwrap();
    let evidence = qed_evidence::reader::read(text.as_bytes()).unwrap();
    assert_eq!(
        find_contradiction(&investigation, &evidence),
        None,
        "{file}"
    );
    let verdicts = |evidence: &Evidence, claims: &[Claim]| -> Vec<Verdict> {
        let machines = [Indexed::new(evidence)];
        let catalog = Catalog {
            investigation: &investigation,
            machines: &machines,
        };
        let judge = |claim| judge(claim, &catalog, &machines[0]).verdict;
        claims.iter().map(judge).collect()
    };
    let mut claims = claims(&investigation, &evidence, subject.chapters);
    let mut before = verdicts(&evidence, &claims).into_iter();
    claims.retain(|_| before.next() != Some(Verdict::Pass));
    assert!(!claims.is_empty(), "{file}: every claim passes already");
    let removable = Removable::of(&document, subject.spared);
    let mut random = Random(seed);
    let mut tried = Tried::default();
    let mut problems = Vec::new();
    for trial in 0..trials {
        let kind = REMOVALS[trial % REMOVALS.len()];
        let mut less = document.clone();
        let Some(place) = removable.remove(kind, &mut less, &mut random) else {
            continue;
        };
        let less = match qed_evidence::reader::read(less.to_string().as_bytes()) {
            Ok(less) if find_contradiction(&investigation, &less).is_none() => less,
            _ => {
                tried.add(kind, false);
                continue;
            }
        };
        tried.add(kind, true);
        for (claim, verdict) in claims.iter().zip(verdicts(&less, &claims)) {
            if verdict == Verdict::Pass {
                let text = claim.expression.text();
                problems.push(format!("{file} without {place} ({kind:?}): {text}"));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{} claims pass because of what is not there:\n{}",
        problems.len(),
        problems.join("\n")
    );
    tried
}
