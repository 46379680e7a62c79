//! `chapter-without-claim` and `unshown-claim`: chapters that prove nothing, and claims that are not judged because they stand
//! where Markdown does not parse them.

use qed_evidence::diagnostic::{Diagnostic, nearest};

use crate::config::Lint;
use crate::lint::findings::LintFindings;
use crate::lint::text_map::{ChapterText, MarkKind};
use crate::markdown::chapter::Chapter;
use crate::markdown::structure::BlockKind;

const HELP: &str = "write a ```qed-claim block beside what the chapter says, or say why it has none: \
                    <!-- qed:no-claim REASON -->";

/// True if the chapter makes a claim, or shows those of the book.
pub fn makes_claim(chapter: &Chapter) -> bool {
    chapter.blocks.iter().any(|block| match block.kind {
        BlockKind::Claim => true,
        BlockKind::Exhibit => {
            let info = &chapter.source.text[block.info.clone()];
            info.split_whitespace().next() == Some("claims")
        }
    })
}

/// Complain about blocks whose name is almost that of a claim or an exhibit: they are shown as plain code.
pub fn report_misnamed_blocks(chapter: &Chapter, found: &mut LintFindings<'_>) {
    for range in &chapter.misnamed_blocks {
        let word = &chapter.source.text[range.clone()];
        let message = format!(
            "`{word}` is neither a claim nor an exhibit: the block is shown as code and never judged"
        );
        let near = match word
            .to_ascii_lowercase()
            .replace(['_', ' ', '\t'], "-")
            .as_str()
        {
            "claim" => Some("qed-claim"),
            "exhibit" => Some("qed-exhibit"),
            word => nearest(word, ["qed-claim", "qed-exhibit"]),
        };
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "there is `qed-claim` and `qed-exhibit`".to_owned(),
        };
        let complaint = Diagnostic::error(&chapter.source, range.clone(), message).help(help);
        found.report(Lint::UnshownClaim, complaint);
    }
}

/// Complain about one chapter. One that claims and shows nothing goes to `without_claim`: of those a book that
/// is mostly about other things has many.
pub fn check(
    chapter: &Chapter,
    reading: &ChapterText,
    claims_nothing: bool,
    without_claim: &mut Vec<Diagnostic>,
    found: &mut LintFindings<'_>,
) {
    let mark = reading
        .marks
        .iter()
        .find(|mark| mark.kind == MarkKind::NoClaim);
    match mark {
        Some(mark) if !claims_nothing => {
            let message =
                "the mark excuses nothing: the chapter makes a claim, or shows those of the book";
            let complaint = Diagnostic::error(&chapter.source, mark.range.clone(), message);
            found.report(Lint::ChapterWithoutClaim, complaint.help("delete it"));
        }
        None if claims_nothing && !reading.stretches.is_empty() => {
            let place = reading.heading.clone().unwrap_or(0..0);
            let text = &chapter.source.text[place.clone()];
            let place = place.start..place.start + text.trim_end().len();
            let message = "the chapter shows measured values and makes no claim about them";
            let complaint = Diagnostic::error(&chapter.source, place, message).help(HELP);
            if chapter.is_live() {
                found.report(Lint::ChapterWithoutClaim, complaint);
            } else {
                without_claim.push(complaint);
            }
        }
        _ => {}
    }
    for range in &reading.html {
        let text = &chapter.source.text[range.clone()];
        let mut at = range.start;
        for line in text.split_inclusive('\n') {
            if let Some(fence) = find_claim_fence(line) {
                let place = at + fence..at + line.trim_end().len();
                let message = "this claim is never judged: it stands inside of HTML, where Markdown does not look";
                let complaint = Diagnostic::error(&chapter.source, place, message).help(
                    "put a blank line between the tag and the fence, or take it out of the comment",
                );
                found.report(Lint::UnshownClaim, complaint);
            }
            at += line.len();
        }
    }
}

/// The most chapters that one complaint names.
const MAX_NAMED: usize = 12;

/// Complain once about all chapters that neither show nor claim anything.
pub fn report_chapters_without_claim(without_claim: &[Diagnostic], found: &mut LintFindings<'_>) {
    let Some(first) = without_claim.first() else {
        return;
    };
    let names: Vec<&str> = without_claim
        .iter()
        .filter_map(|complaint| Some(complaint.place.as_ref()?.0.name.as_str()))
        .collect();
    let mut complaint = first.clone();
    complaint.message = match &names[..] {
        [_] => "the chapter makes no claim".to_owned(),
        _ => {
            let (few, more) = names.split_at(names.len().min(MAX_NAMED));
            let more = match more.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "{} chapters make no claim: {}{more}",
                names.len(),
                few.join(", ")
            )
        }
    };
    found.report(Lint::ChapterWithoutClaim, complaint);
}

/// The place on this line where a fence of a claim begins, if one does.
fn find_claim_fence(line: &str) -> Option<usize> {
    let fence = line.find(['`', '~'])?;
    let rest = &line[fence..];
    let info = rest.trim_start_matches(['`', '~']);
    let is_fence = rest.len() - info.len() >= 3;
    (is_fence && info.split_whitespace().next() == Some("qed-claim")).then_some(fence)
}
