//! The claims of a book: collected from all chapters, judged on all machines, rendered where they stand.

use std::collections::BTreeMap;

use qed_evidence::Path;
use qed_evidence::claim::{Judgement, Scope, Verdict};
use qed_evidence::diagnostic::{Diagnostic, nearest};
use qed_evidence::path::SECTIONS;

use crate::claims::complaints::report_problems;
use crate::claims::judged::{JudgedClaim, ShownMachine};
use crate::claims::parse::{ParsedClaim, parse};
use crate::claims::verdicts::{PublicVerdict, RawJudge};
use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;
use crate::evidence::mentions::BookMentions;
use crate::markdown::chapter::Chapter;
use crate::markdown::structure::{Block, BlockKind};
use crate::util::report::has_errors;
use crate::util::report::pluralize;

/// All claims by id.
#[derive(Debug, Default)]
pub struct Claims {
    /// The functions that the chapters mention.
    book_mentions: BookMentions,
    by_id: BTreeMap<String, JudgedClaim>,
    by_block: BTreeMap<(usize, usize), String>,
    /// Claims that could not be read: naming them elsewhere is not a second mistake.
    unreadable: Vec<UnreadClaim>,
}

/// A claim that stands in a chapter and could not be read, so that it has no verdict.
#[derive(Debug)]
pub struct UnreadClaim {
    /// Its id.
    pub id: String,
    /// Index of its chapter.
    pub chapter: usize,
    /// Index of its block in the chapter.
    pub block: usize,
    /// Path of the chapter, relative to `src`.
    pub chapter_name: String,
}

/// A block of a claim by itself, whatever the others say.
struct JudgedBlock {
    parsed: Option<ParsedClaim>,
    /// Problems of its syntax.
    unreadable: Vec<Diagnostic>,
    /// Problems with the paths that it names.
    unknown: Vec<Diagnostic>,
    /// The verdict on each machine, if it can be judged.
    verdicts: Vec<PublicVerdict>,
}

/// Read the claim in a block, and judge it.
fn judge_block(
    chapter: &Chapter,
    block: &Block,
    (book_data, book_mentions): (&BookData<'_>, &BookMentions),
    raw_judge: &RawJudge<'_>,
) -> JudgedBlock {
    let mut unreadable = Vec::new();
    let mut parsed = parse(chapter, block, book_data, &mut unreadable);
    if let Some(parsed) = &mut parsed {
        let name = &chapter.source.name;
        let tell =
            |scope: Scope, experiment: &str| book_mentions.for_experiment(scope, name, experiment);
        parsed.claim = parsed.claim.take().map(|claim| claim.with_mentions(&tell));
    }
    let (mut unknown, mut verdicts) = (Vec::new(), Vec::new());
    if let Some(claim) = parsed.as_ref().and_then(|parsed| parsed.claim.as_ref()) {
        unknown = claim.check(&book_data.catalog());
        if !has_errors(&unreadable) && !has_errors(&unknown) {
            verdicts = raw_judge.judge(claim, book_data);
        }
    }
    JudgedBlock {
        parsed,
        unreadable,
        unknown,
        verdicts,
    }
}

/// A path below `claims` that leads to no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerdictError {
    /// It is not `claims.ID`.
    #[error("`{0}` is not a verdict")]
    NoVerdict(String),
    /// The claim of this id has a mistake.
    #[error("claim `{0}` has no verdict, because it could not be read")]
    Unreadable(String),
    /// No claim has this id.
    #[error("no chapter makes a claim `{id}`")]
    NoClaim {
        /// The id.
        id: String,
        /// One like it.
        near: Option<String>,
    },
}

impl VerdictError {
    /// What to do.
    pub fn help(&self) -> Option<String> {
        match self {
            VerdictError::NoVerdict(_) => Some("write claims.ID".into()),
            VerdictError::Unreadable(_) => None,
            VerdictError::NoClaim { near, .. } => {
                let near = near.as_ref()?;
                Some(format!("did you mean `claims.{near}`?"))
            }
        }
    }

    /// The id of a claim that was probably meant.
    pub fn near(&self) -> Option<&str> {
        match self {
            VerdictError::NoClaim { near, .. } => near.as_deref(),
            VerdictError::NoVerdict(_) | VerdictError::Unreadable(_) => None,
        }
    }
}

impl Claims {
    /// The number of claims and of their verdicts on all machines, and of claims that could not be
    /// read, in one line; `None`: there are no claims.
    pub fn summary(&self) -> Option<String> {
        let unread = match self.unreadable.len() {
            0 => None,
            number => Some(format!("{} could not be read", pluralize(number, "claim"))),
        };
        let Some(first) = self.by_id.values().next() else {
            return unread;
        };
        let mut counts = BTreeMap::new();
        for judgement in self.by_id.values().flat_map(|claim| {
            let more = claim.absent().map(|(_, judgement)| judgement);
            claim.judgements.iter().chain(more)
        }) {
            *counts.entry(judgement.verdict).or_insert(0_usize) += 1;
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(verdict, number)| format!("{number} {verdict}"))
            .collect();
        Some(format!(
            "{} on {}: {}",
            pluralize(self.by_id.len(), "claim"),
            pluralize(first.judgements.len(), "machine"),
            counts.join(", ") + &unread.map(|text| format!("; {text}")).unwrap_or_default()
        ))
    }

    /// The functions that the chapters mention.
    pub fn book_mentions(&self) -> &BookMentions {
        &self.book_mentions
    }

    /// Read and judge the claims of all chapters.
    pub fn collect(
        chapters: &[Chapter],
        book_data: &BookData<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut claims = Claims {
            book_mentions: BookMentions::read(chapters),
            ..Claims::default()
        };
        let raw_judge = RawJudge::new(book_data);
        let blocks: Vec<(usize, usize)> = chapters
            .iter()
            .enumerate()
            .flat_map(|(index, chapter)| {
                let numbered = chapter.blocks.iter().enumerate();
                let claims = numbered.filter(|(_, block)| block.kind == BlockKind::Claim);
                claims.map(move |(number, _)| (index, number))
            })
            .collect();
        let judged = book_data
            .config
            .parallelism
            .map(&blocks, |_, (index, number)| {
                let chapter = &chapters[*index];
                let book = (book_data, &claims.book_mentions);
                judge_block(chapter, &chapter.blocks[*number], book, &raw_judge)
            });
        for (at, judged) in blocks.into_iter().zip(judged) {
            claims.add(at, &chapters[at.0], judged, book_data, problems);
        }
        claims
    }

    /// Take the claim of a block among the others.
    fn add(
        &mut self,
        (index, number): (usize, usize),
        chapter: &Chapter,
        judged: JudgedBlock,
        book_data: &BookData<'_>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let block = &chapter.blocks[number];
        let before = problems.len();
        problems.extend(judged.unreadable);
        let Some(ParsedClaim {
            id,
            claim,
            machine,
            on_unverified,
        }) = judged.parsed
        else {
            return;
        };
        if let Some(first) = self.by_id.get(&id) {
            let message = format!("claim `{id}` is already made in {}", first.chapter_name);
            let span = block.info.start..block.info.end;
            let problem = Diagnostic::error(&chapter.source, span, message);
            problems.push(problem.help("give one of them another id"));
            return;
        }
        let unread = |id: String| UnreadClaim {
            id,
            chapter: index,
            block: number,
            chapter_name: chapter.source.name.clone(),
        };
        let Some(claim) = claim else {
            self.unreadable.push(unread(id));
            return;
        };
        problems.extend(judged.unknown);
        if has_errors(&problems[before..]) {
            self.unreadable.push(unread(id));
            return;
        }
        let firsts: Vec<&str> = claim
            .reads()
            .filter_map(|read| read.path.split('.').next())
            .collect();
        let only_sections = firsts.iter().all(|first| SECTIONS.contains(first));
        let (judgements, supported): (Vec<Judgement>, Vec<Verdict>) = judged
            .verdicts
            .into_iter()
            .map(|verdicts| (verdicts.judgement, verdicts.supported))
            .unzip();
        let shown = machine.unwrap_or_else(|| {
            let verdicts: Vec<Verdict> = judgements.iter().map(|one| one.verdict).collect();
            let first = book_data.machine_for(&firsts).index();
            let shown = machine_to_show(&verdicts, first, only_sections);
            ShownMachine::Measured(MachineId::new(shown))
        });
        let judged = JudgedClaim {
            claim,
            chapter: index,
            block: number,
            chapter_name: chapter.source.name.clone(),
            range: block.range.clone(),
            shown,
            on_unverified: on_unverified.unwrap_or(book_data.config.on_unverified),
            judgements,
            supported,
        };
        report_problems(&judged, chapter, book_data, problems);
        self.by_block.insert((index, number), id.clone());
        self.by_id.insert(id, judged);
    }

    /// All claims in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &JudgedClaim> {
        self.by_id.values()
    }

    /// All claims in the order of the book.
    pub fn iter_in_book_order(&self) -> impl Iterator<Item = &JudgedClaim> {
        self.by_block.values().map(|id| &self.by_id[id])
    }

    /// The claim of this id.
    pub fn get(&self, id: &str) -> Option<&JudgedClaim> {
        self.by_id.get(id)
    }

    /// The claims that could not be read, in the order of the book.
    pub fn unreadable(&self) -> &[UnreadClaim] {
        &self.unreadable
    }

    /// The claim of this id, or why there is none.
    pub fn find(&self, id: &str) -> Result<&JudgedClaim, VerdictError> {
        if let Some(judged) = self.by_id.get(id) {
            return Ok(judged);
        }
        let unread = || self.unreadable.iter().map(|unread| unread.id.as_str());
        if unread().any(|known| known == id) {
            return Err(VerdictError::Unreadable(id.to_owned()));
        }
        let near = nearest(id, self.ids().chain(unread()));
        Err(VerdictError::NoClaim {
            id: id.to_owned(),
            near: near.map(str::to_owned),
        })
    }

    /// The ids of all claims.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// The verdict that `claims.ID` names: the machine if it has evidence, the word and the reason.
    pub fn verdict(
        &self,
        path: &Path,
        machine: Option<MachineId>,
    ) -> Result<(Option<MachineId>, &'static str, String), VerdictError> {
        let names: Vec<&str> = path.segments().collect();
        let [_, id] = names[..] else {
            return Err(VerdictError::NoVerdict(path.to_string()));
        };
        let judged = self.find(id)?;
        let (machine, judgement) = match machine {
            Some(machine) => (Some(machine), judged.judgement_on(machine)),
            None => (judged.shown.id(), judged.judgement()),
        };
        let reason = judgement
            .reason
            .clone()
            .unwrap_or_else(|| judged.claim.expression.text().into());
        Ok((machine, judgement.verdict.name(), reason))
    }

    /// The claim in this block of this chapter, if it could be judged.
    pub fn get_by_block(&self, chapter: usize, block: usize) -> Option<&JudgedClaim> {
        let id = self.by_block.get(&(chapter, block))?;
        Some(&self.by_id[id])
    }
}

/// The machine on which a page shows a claim, by its verdicts on all machines: the first that can show its experiments, but one that it
/// is about, if there is any; and for a claim that belongs to no experiment, one on which it is decided.
fn machine_to_show(verdicts: &[Verdict], first: usize, only_sections: bool) -> usize {
    let decided =
        |verdict: &Verdict| ![Verdict::NotApplicable, Verdict::Unverified].contains(verdict);
    let other = match verdicts[first] {
        Verdict::NotApplicable => verdicts.iter().position(decided).or_else(|| {
            verdicts
                .iter()
                .position(|verdict| *verdict != Verdict::NotApplicable)
        }),
        Verdict::Unverified if only_sections => verdicts
            .iter()
            .position(|verdict| *verdict != Verdict::Unverified),
        _ => None,
    };
    other.unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a claim is shown where it says something: not on a machine that it is not about while there is another one, which
    /// had better decide it; that an experiment that was not complete stays where it is; and that a claim which is about none keeps its place.
    #[test]
    fn machines_to_show() {
        use Verdict::{Fail, NotApplicable, Pass, Unverified};
        for (verdicts, first, only_sections, shown) in [
            (&[Pass, Fail][..], 0, false, 0),
            (&[NotApplicable, Unverified, Pass], 0, false, 2),
            (&[NotApplicable, Unverified, Fail], 0, false, 2),
            (&[NotApplicable, Unverified], 0, false, 1),
            (&[NotApplicable, NotApplicable], 1, false, 1),
            (&[Pass, Unverified], 1, false, 1),
            (&[Unverified, NotApplicable, Pass], 0, true, 1),
            (&[Unverified, Unverified], 1, true, 1),
        ] {
            assert_eq!(
                machine_to_show(verdicts, first, only_sections),
                shown,
                "{verdicts:?}"
            );
        }
    }
}
