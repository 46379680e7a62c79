//! The claims of a book: collected from all chapters, judged on all machines, rendered where they stand.

use std::collections::BTreeMap;
use std::ops::Range;

use qed_evidence::claim::{Claim, Judgement, Place, Verdict};
use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::path::SECTIONS;
use qed_evidence::redact::withheld;
use qed_evidence::{Path, Value};
use serde::Serialize;

use crate::claims::verdicts::{Bench, Told};
use crate::config::{Lint, OnFail, OnMissing};
use crate::evidence::book_data::Facts;
use crate::evidence::format;
use crate::evidence::provenance::Use;
use crate::lint::told;
use crate::markdown::chapter::{Chapter, to_diagnostic};
use crate::markdown::structure::{Block, BlockKind};
use crate::markdown::syntax::{SyntaxError, only_options, words};
use crate::render::fill::Rendered;
use crate::util::parallel;

/// One claim of the book with its verdicts.
#[derive(Debug)]
pub struct Judged {
    /// The claim.
    pub claim: Claim,
    /// Index of its chapter.
    pub chapter: usize,
    /// Index of its block in the chapter.
    pub block: usize,
    /// Path of the chapter, relative to `src`.
    pub chapter_name: String,
    /// Where its block stands.
    pub range: Range<usize>,
    /// The machine that its chapter shows, an index of [`Facts::loaded`].
    pub shown: usize,
    /// What it comes to on each machine that has evidence, in the book's order: as it may be told.
    pub judgements: Vec<Judgement>,
    /// What the evidence that may be shown comes to, likewise.
    pub supported: Vec<Verdict>,
}

/// All claims by id.
#[derive(Debug, Default)]
pub struct Claims {
    by_id: BTreeMap<String, Judged>,
    by_block: BTreeMap<(usize, usize), String>,
    /// Claims that could not be read: naming them elsewhere is no second mistake.
    unreadable: Vec<String>,
}

struct Written {
    id: String,
    claim: Option<Claim>,
    machine: Option<usize>,
}

/// A block of a claim by itself, whatever the others say.
struct Tried {
    written: Option<Written>,
    /// What is wrong with how it is written.
    unreadable: Vec<Diagnostic>,
    /// What is wrong with what it names.
    unknown: Vec<Diagnostic>,
    /// What it comes to on each machine, if it can be judged.
    told: Vec<Told>,
}

/// Reads the claim in a block, and judges it.
fn try_block(chapter: &Chapter, block: &Block, facts: &Facts<'_>, bench: &Bench<'_>) -> Tried {
    let mut unreadable = Vec::new();
    let written = parse(chapter, block, facts, &mut unreadable);
    let (mut unknown, mut told) = (Vec::new(), Vec::new());
    if let Some(claim) = written.as_ref().and_then(|written| written.claim.as_ref()) {
        unknown = claim.check(&facts.catalog);
        if !crate::render::fill::has_errors(&unreadable)
            && !crate::render::fill::has_errors(&unknown)
        {
            told = bench.judge(claim, facts);
        }
    }
    Tried {
        written,
        unreadable,
        unknown,
        told,
    }
}

impl Claims {
    /// Reads and judges the claims of all chapters.
    pub fn collect(
        chapters: &[Chapter],
        facts: &Facts<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut claims = Claims::default();
        let bench = Bench::new(facts);
        let blocks: Vec<(usize, usize)> = chapters
            .iter()
            .enumerate()
            .flat_map(|(index, chapter)| {
                let numbered = chapter.blocks.iter().enumerate();
                let claims = numbered.filter(|(_, block)| block.kind == BlockKind::Claim);
                claims.map(move |(number, _)| (index, number))
            })
            .collect();
        let tried = parallel::map(&blocks, |_, (index, number)| {
            let chapter = &chapters[*index];
            try_block(chapter, &chapter.blocks[*number], facts, &bench)
        });
        for (at, tried) in blocks.into_iter().zip(tried) {
            claims.add(at, &chapters[at.0], tried, facts, problems);
        }
        claims
    }

    /// Takes the claim of a block among the others.
    fn add(
        &mut self,
        (index, number): (usize, usize),
        chapter: &Chapter,
        tried: Tried,
        facts: &Facts<'_>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let block = &chapter.blocks[number];
        let before = problems.len();
        problems.extend(tried.unreadable);
        let Some(Written { id, claim, machine }) = tried.written else {
            return;
        };
        if let Some(first) = self.by_id.get(&id) {
            let message = format!("claim `{id}` is already made in {}", first.chapter_name);
            let span = block.info.start..block.info.end;
            let problem = Diagnostic::error(&chapter.source, span, message);
            problems.push(problem.help("give one of them another id"));
            return;
        }
        let Some(claim) = claim else {
            self.unreadable.push(id);
            return;
        };
        problems.extend(tried.unknown);
        if crate::render::fill::has_errors(&problems[before..]) {
            self.unreadable.push(id);
            return;
        }
        let firsts: Vec<&str> = claim
            .reads()
            .filter_map(|read| read.path.split('.').next())
            .collect();
        let shown = machine.unwrap_or_else(|| facts.machine_for(&firsts));
        let only_sections = firsts.iter().all(|first| SECTIONS.contains(first));
        let (judgements, supported): (Vec<Judgement>, Vec<Verdict>) = tried
            .told
            .into_iter()
            .map(|told| (told.judgement, told.supported))
            .unzip();
        // What belongs to no experiment is shown by the first machine that can show it.
        let shown = match (machine, only_sections) {
            (None, true) if judgements[shown].verdict == Verdict::Unverified => judgements
                .iter()
                .position(|j| j.verdict != Verdict::Unverified)
                .unwrap_or(shown),
            _ => shown,
        };
        let judged = Judged {
            claim,
            chapter: index,
            block: number,
            chapter_name: chapter.source.name.clone(),
            range: block.range.clone(),
            shown,
            judgements,
            supported,
        };
        complain(&judged, chapter, facts, problems);
        self.by_block.insert((index, number), id.clone());
        self.by_id.insert(id, judged);
    }

    /// All claims in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Judged> {
        self.by_id.values()
    }

    /// All claims in the order of the book.
    pub fn in_order(&self) -> impl Iterator<Item = &Judged> {
        self.by_block.values().map(|id| &self.by_id[id])
    }

    /// The claim of this id.
    pub fn get(&self, id: &str) -> Option<&Judged> {
        self.by_id.get(id)
    }

    /// The ids of all claims.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// The verdict that `claims.ID` names: the machine, the word and the reason. The error is a message and what
    /// to do.
    pub fn verdict(
        &self,
        path: &Path,
        machine: Option<usize>,
    ) -> Result<(usize, &'static str, String), (String, Option<String>)> {
        let names: Vec<&str> = path.segments().collect();
        let [_, id] = names[..] else {
            return Err((
                format!("`{path}` is not a verdict"),
                Some("write claims.ID".into()),
            ));
        };
        let Some(judged) = self.by_id.get(id) else {
            if self.unreadable.iter().any(|known| known == id) {
                return Err((
                    format!("claim `{id}` has no verdict, because it could not be read"),
                    None,
                ));
            }
            let near = nearest(id, self.by_id.keys().map(String::as_str));
            let help = near.map(|near| format!("did you mean `claims.{near}`?"));
            return Err((format!("no chapter makes a claim `{id}`"), help));
        };
        let machine = machine.unwrap_or(judged.shown);
        let judgement = &judged.judgements[machine];
        let reason = judgement
            .reason
            .clone()
            .unwrap_or_else(|| judged.claim.expression.text().into());
        Ok((machine, judgement.verdict.word(), reason))
    }

    /// The claim in this block of this chapter, if it could be judged.
    pub fn render(&self, chapter: usize, block: usize, facts: &Facts<'_>) -> Option<Rendered> {
        let id = self.by_block.get(&(chapter, block))?;
        Some(render(&self.by_id[id], facts))
    }
}

/// Reads one block. `None` if not even its id could be read.
fn parse(
    chapter: &Chapter,
    block: &Block,
    facts: &Facts<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Written> {
    let source = &chapter.source;
    let read = words(&source.text, block.info.clone())
        .and_then(|words| only_options(&words, &["when", "machine"]).map(|()| words));
    let words = match read {
        Ok(words) => words,
        Err(error) => {
            problems.push(to_diagnostic(source, error));
            return None;
        }
    };
    let [id] = &words.words[..] else {
        let help = Some(
            "write ```qed-claim ID, with a name of your own that is unique in the book".to_owned(),
        );
        let error = SyntaxError::new(block.info.clone(), "a claim has one id", help);
        problems.push(to_diagnostic(source, error));
        return None;
    };
    if let Some(message) = Claim::refuse_id(&id.text) {
        let help =
            Some("use lower-case letters, digits and underscores, a letter first".to_owned());
        let error = SyntaxError::new(id.span.clone(), message, help);
        problems.push(to_diagnostic(source, error));
        return None;
    }
    let machine = match words.option("machine") {
        None => None,
        Some(option) => match facts.named(&option.value.text) {
            Ok(machine) => machine,
            Err(message) => {
                problems.push(Diagnostic::error(
                    source,
                    option.value.span.clone(),
                    message,
                ));
                None
            }
        },
    };
    let mut body = String::new();
    let mut pieces = Vec::new();
    for piece in &block.body {
        pieces.push((body.len(), piece.start));
        body.push_str(&source.text[piece.clone()]);
    }
    let trimmed = body.trim_end();
    if trimmed.is_empty() {
        let error = SyntaxError::new(
            block.range.clone(),
            format!("claim `{}` claims nothing", id.text),
            Some("write one expression between the fences".to_owned()),
        );
        problems.push(to_diagnostic(source, error));
        return Some(Written {
            id: id.text.clone(),
            claim: None,
            machine,
        });
    }
    let place = Place::with_pieces(source.clone(), pieces);
    let when = words.option("when").map(|o| {
        (
            o.value.text.as_str(),
            Place::new(source.clone(), o.value.span.start),
        )
    });
    let claim = match Claim::parse(&id.text, trimmed, place, when) {
        Ok(claim) => Some(claim),
        Err(errors) => {
            problems.extend(errors);
            None
        }
    };
    Some(Written {
        id: id.text.clone(),
        claim,
        machine,
    })
}

/// Says what is wrong with a claim on any machine.
fn complain(judged: &Judged, chapter: &Chapter, facts: &Facts<'_>, problems: &mut Vec<Diagnostic>) {
    let id = &judged.claim.id;
    let mut said: Vec<&Diagnostic> = Vec::new();
    for (machine, judgement) in facts.loaded.iter().zip(&judged.judgements) {
        let verdict = judgement.verdict;
        if !verdict.is_failure() {
            continue;
        }
        let mut problem = match &judgement.diagnostic {
            // A mistake of the claim itself is the same on every machine.
            Some(diagnostic) if said.contains(&diagnostic) => continue,
            Some(diagnostic) => {
                said.push(diagnostic);
                diagnostic.clone()
            }
            None => {
                let place = judged.claim.expression.place();
                place.error(&(0..judged.claim.expression.text().len()), "")
            }
        };
        let what = match (&judgement.diagnostic, &judgement.reason) {
            (Some(diagnostic), _) => format!(": {}", diagnostic.message),
            (None, Some(reason)) => format!(": {reason}"),
            (None, None) => String::new(),
        };
        let message = format!("claim `{id}` is {verdict} on {}{what}", machine.machine);
        problem.message = message;
        if verdict == Verdict::Fail {
            problem.label = values(judgement);
        }
        if facts.config.on_fail == OnFail::Warn {
            problem = problem.warning();
        }
        problems.push(problem);
    }
    let applies = |judgement: &Judgement| judgement.verdict != Verdict::NotApplicable;
    if !judged.judgements.iter().any(applies) {
        let message =
            format!("claim `{id}` is never judged: its condition is false on every machine");
        let complaint = Diagnostic::error(&chapter.source, judged.range.clone(), message)
            .help("capture on a machine where it holds, or take the condition away");
        problems.push(told(facts.config, Lint::UnshownClaim, complaint));
    }
    let shown = &judged.judgements[judged.shown];
    if shown.verdict == Verdict::Unverified && facts.config.on_unverified == OnMissing::Error {
        let reason = shown
            .reason
            .as_deref()
            .unwrap_or("no machine could show it");
        let message = format!("claim `{id}` is UNVERIFIED: {reason}");
        problems.push(Diagnostic::error(
            &chapter.source,
            judged.range.clone(),
            message,
        ));
    }
}

/// The measured values of a judgement on one line.
fn values(judgement: &Judgement) -> String {
    let values: Vec<String> = judgement
        .operands
        .iter()
        .filter_map(|operand| Some(format!("{} = {}", operand.text, operand.value.as_ref()?)))
        .collect();
    values.join(", ")
}

#[derive(Serialize)]
struct Operand {
    text: String,
    /// Set where the value is one of the evidence, written as it is: `verify` compares it.
    path: Option<String>,
    machine: String,
    value: String,
    kind: String,
    missing: bool,
}

#[derive(Serialize)]
struct OnMachine {
    name: String,
    class: &'static str,
    badge: String,
    reason: Option<String>,
    /// The reason is folded, because it would bury the rest.
    long: bool,
}

#[derive(Serialize)]
struct Data {
    id: String,
    class: &'static str,
    badge: String,
    expression: String,
    when: Option<String>,
    operands: Vec<Operand>,
    /// The machine, and whether its evidence is not of now.
    on: String,
    /// The same with kernel and time.
    origin: String,
    reason: Option<String>,
    control: Option<String>,
    judged: Option<String>,
    others: Vec<OnMachine>,
}

/// The class of a verdict in the style sheet.
pub fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "qed-pass",
        Verdict::Fail => "qed-fail",
        Verdict::Error => "qed-error",
        Verdict::Unverified => "qed-unverified",
        Verdict::NotApplicable => "qed-na",
    }
}

/// The word of a verdict with a sign that needs no colour.
pub fn badge(verdict: Verdict) -> String {
    let sign = match verdict {
        Verdict::Pass => '✔',
        Verdict::Fail => '✘',
        Verdict::Error => '‼',
        Verdict::Unverified => '?',
        Verdict::NotApplicable => '–',
    };
    format!("{sign} {verdict}")
}

/// What a value is; of an address, also where it leads, because that is what claims ask of it.
fn kind(value: &Value) -> String {
    let kind = format::describe(value);
    match value {
        Value::Address {
            symbol: Some(symbol),
            ..
        } => format!("{kind}, {symbol}"),
        _ => kind,
    }
}

/// Whether a text would bury what stands around it.
pub(crate) fn is_long(text: &str) -> bool {
    text.chars().count() > 150
}

/// Why a claim has no verdict on a machine, without the paths: each reason once. `explain` has them all.
pub(crate) fn why(judgement: &Judgement) -> Option<String> {
    let operands = judgement.when_operands.iter().chain(&judgement.operands);
    let mut reasons: Vec<&str> = Vec::new();
    for reason in operands
        .filter_map(|operand| operand.missing.as_deref())
        .flat_map(|missing| missing.split("; "))
    {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if judgement.verdict == Verdict::Unverified && !reasons.is_empty() {
        Some(reasons.join("; "))
    } else {
        judgement.reason.clone()
    }
}

/// The operands of a judgement, each path once.
fn operands(judgement: &Judgement, facts: &Facts<'_>, machine: usize) -> Vec<Operand> {
    let mut out: Vec<Operand> = Vec::new();
    for operand in judgement.when_operands.iter().chain(&judgement.operands) {
        if out.iter().any(|known| known.text == operand.text) {
            continue;
        }
        let (value, kind) = match (&operand.value, &operand.missing) {
            (Some(value), _) => (value.to_string(), kind(value)),
            (None, Some(reason)) if withheld(reason).is_some() => (reason.clone(), String::new()),
            (None, Some(reason)) => (format!("unavailable: {reason}"), String::new()),
            (None, None) => ("not evaluated".to_owned(), String::new()),
        };
        let is_leaf = facts.catalog.machines[machine]
            .leaves
            .get(&operand.text)
            .and_then(|leaf| leaf.datum.value())
            .is_some_and(|measured| operand.value.as_ref() == Some(measured));
        out.push(Operand {
            text: operand.text.clone(),
            path: is_leaf.then(|| operand.text.clone()),
            machine: facts.loaded[machine].machine.clone(),
            value,
            kind,
            missing: operand.value.is_none(),
        });
    }
    out
}

/// What the reader has to know of a verdict on evidence that is not shown as it is.
fn how_judged(judged: &Judged, facts: &Facts<'_>) -> Option<String> {
    let machine = &facts.loaded[judged.shown];
    let verdict = judged.judgements[judged.shown].verdict;
    if machine.raw.is_none() && machine.verdicts.is_none() {
        return None;
    }
    Some(if judged.supported[judged.shown] == verdict {
        format!(
            "judged on what {} measured, before addresses were withheld; what is published gives the same verdict",
            machine.machine
        )
    } else {
        format!(
            "judged on what {} measured, before addresses were withheld; what is published does not suffice to \
             repeat it",
            machine.machine
        )
    })
}

fn render(judged: &Judged, facts: &Facts<'_>) -> Rendered {
    let judgement = &judged.judgements[judged.shown];
    let operands = operands(judgement, facts, judged.shown);
    let others: Vec<OnMachine> = facts
        .loaded
        .iter()
        .zip(&judged.judgements)
        .enumerate()
        .filter(|(index, _)| *index != judged.shown)
        .map(|(_, (machine, judgement))| {
            let reason = why(judgement);
            OnMachine {
                name: machine.machine.clone(),
                class: class(judgement.verdict),
                badge: badge(judgement.verdict),
                long: reason.as_deref().is_some_and(is_long),
                reason,
            }
        })
        .collect();
    let control = judgement.control.as_ref().map(|control| {
        format!(
            "control: with another value of {} the same expression is {}",
            control.path, control.verdict
        )
    });
    let data = Data {
        id: judged.claim.id.clone(),
        class: class(judgement.verdict),
        badge: badge(judgement.verdict),
        expression: judged.claim.expression.text().trim().to_owned(),
        when: judged
            .claim
            .when
            .as_ref()
            .map(|when| when.text().to_owned()),
        on: facts.short_origin(judged.shown),
        origin: facts.origin(judged.shown),
        reason: judgement.reason.clone(),
        control,
        judged: how_judged(judged, facts),
        operands,
        others,
    };
    let uses = judged
        .claim
        .reads()
        .map(|read| Use::rests_on(&read.path, judged.shown))
        .collect();
    Rendered {
        text: text(&data),
        html: facts.templates.render("claim", &data),
        machines: vec![judged.shown],
        uses,
        ..Rendered::default()
    }
}

fn text(data: &Data) -> String {
    let mut lines = vec![
        format!("claim {}: {} ({})", data.id, data.badge, data.origin),
        data.expression.clone(),
    ];
    lines.extend(data.when.iter().map(|when| format!("when {when}")));
    let width = data
        .operands
        .iter()
        .map(|o| o.text.chars().count())
        .max()
        .unwrap_or(0);
    lines.extend(
        data.operands
            .iter()
            .map(|o| format!("  {:<width$} = {}", o.text, o.value)),
    );
    lines.extend(data.reason.clone());
    lines.extend(data.judged.clone());
    lines.extend(data.others.iter().map(|other| {
        let reason = other
            .reason
            .as_ref()
            .map(|r| format!(": {r}"))
            .unwrap_or_default();
        format!("on {}: {}{reason}", other.name, other.badge)
    }));
    lines.join("\n")
}
