//! Numbered steps, each with the values that its probes measured and the verdicts that it rests on.
//!
//! Each line of the body is `TEXT: PATH as="…", PATH; CLAIM, CLAIM`: the text of the step, the values to show, and the claims
//! that prove it. Paths may be left out, claims may not: a step needs at least one claim that proves it.

use std::ops::Range;

use qed_evidence::claim::Verdict;
use serde::Serialize;

use crate::evidence::format::is_whole;
use crate::evidence::machine_id::MachineId;
use crate::evidence::provenance::{Use, used_machines};
use crate::exhibits::block::RenderedBlock;
use crate::exhibits::claim_block::{badge, text_badge, verdict_classes};
use crate::exhibits::claims::claim_link;
use crate::exhibits::request::{ExhibitRequest, origins_caption};
use crate::markdown::style::{STYLE_OPTIONS, Style};
use crate::markdown::syntax::{SpannedWord, SyntaxError, refuse_unknown_options, split_words};

#[derive(Serialize)]
struct StepValue {
    path: String,
    machine: String,
    style: Option<String>,
    text: String,
    provenance: String,
    missing: bool,
    /// True if a line must not be broken inside it.
    whole: bool,
}

#[derive(Serialize)]
struct Proof {
    id: String,
    href: String,
    badge: String,
    class: String,
    /// The evidence of its machine is out of date.
    #[serde(skip)]
    is_old: bool,
}

#[derive(Serialize)]
struct Step {
    number: String,
    title: String,
    badge: String,
    class: String,
    /// The evidence of one of its verdicts is out of date.
    #[serde(skip)]
    is_old: bool,
    values: Vec<StepValue>,
    proofs: Vec<Proof>,
}

#[derive(Serialize)]
struct StepsView {
    caption: Option<String>,
    steps: Vec<Step>,
}

/// The verdict of a step with these claims: the worst of them.
fn worst_verdict(verdicts: &[Verdict]) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Error => 4,
        Verdict::Fail => 3,
        Verdict::Unverified => 2,
        Verdict::NotApplicable => 1,
        Verdict::Pass => 0,
    };
    verdicts
        .iter()
        .copied()
        .max_by_key(rank)
        .unwrap_or(Verdict::Unverified)
}

/// The parts of `text[span]` between `separator`s that stand outside quotes, with their places.
fn split_outside_quotes(text: &str, span: Range<usize>, separator: char) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut quoted) = (span.start, false);
    for (at, c) in text[span.clone()].char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted {
            out.push(start..span.start + at);
            start = span.start + at + c.len_utf8();
        }
    }
    out.push(start..span.end);
    out.retain(|range| !text[range.clone()].trim().is_empty());
    out
}

/// The help for a line that cannot be read.
const FORM: &str = "write `TEXT: PATH, PATH; CLAIM, CLAIM` in each line";

/// The exhibit as it grows.
#[derive(Default)]
struct Steps {
    steps: Vec<Step>,
    uses: Vec<Use>,
    /// The machines of the verdicts.
    machines: Vec<MachineId>,
}

impl Steps {
    /// Read one line of the body.
    fn add_line(
        &mut self,
        request: &ExhibitRequest<'_, '_>,
        machine: Option<MachineId>,
        (line, span): &(String, Range<usize>),
    ) -> Result<(), SyntaxError> {
        let wrong = || SyntaxError::new(span.clone(), "this is not a step", FORM.to_owned());
        let colon = line.find(": ").ok_or_else(wrong)?;
        let rest = span.start + colon + 1..span.end;
        let semicolon = request.source[rest.clone()].rfind(';').ok_or_else(wrong)?;
        let paths = rest.start..rest.start + semicolon;
        let claims = rest.start + semicolon + 1..rest.end;
        let mut values = Vec::new();
        for part in split_outside_quotes(request.source, paths, ',') {
            values.push(self.parse_value(request, machine, part)?);
        }
        let mut verdicts = Vec::new();
        let mut proofs: Vec<Proof> = Vec::new();
        for part in split_outside_quotes(request.source, claims, ',') {
            let (verdict, proof) = self.parse_proof(request, machine, part)?;
            verdicts.push(verdict);
            proofs.push(proof);
        }
        if proofs.is_empty() {
            return Err(wrong());
        }
        let verdict = worst_verdict(&verdicts);
        let is_old = proofs.iter().any(|proof| proof.is_old);
        self.steps.push(Step {
            number: format!("{:02}", self.steps.len() + 1),
            title: line[..colon].trim().to_owned(),
            badge: badge(verdict),
            class: verdict_classes(verdict, is_old),
            is_old,
            values,
            proofs,
        });
        Ok(())
    }

    /// The value whose path and style stand in `part` of the source.
    fn parse_value(
        &mut self,
        request: &ExhibitRequest<'_, '_>,
        machine: Option<MachineId>,
        part: Range<usize>,
    ) -> Result<StepValue, SyntaxError> {
        let parsed = split_words(request.source, part.clone())?;
        refuse_unknown_options(&parsed, STYLE_OPTIONS)?;
        let [path] = &parsed.words[..] else {
            return Err(SyntaxError::new(part, "one path between two commas", None));
        };
        let style = Style::read(&parsed)?;
        let style_text = parsed.option("as").map(|o| o.value.text.as_str());
        let looked = request.resolve(path, machine, (style.format, style_text))?;
        let shown = StepValue {
            path: looked.used.path.clone(),
            machine: looked.used.machine_name(request.book_data),
            style: looked.used.style.clone(),
            text: looked.used.text.clone(),
            provenance: looked.used.provenance(request.book_data),
            missing: looked.missing,
            whole: is_whole(&looked.used.text),
        };
        self.uses.push(looked.used);
        Ok(shown)
    }

    /// The claim whose id stands in `part` of the source.
    fn parse_proof(
        &mut self,
        request: &ExhibitRequest<'_, '_>,
        machine: Option<MachineId>,
        part: Range<usize>,
    ) -> Result<(Verdict, Proof), SyntaxError> {
        let text = &request.source[part.clone()];
        let start = part.start + (text.len() - text.trim_start().len());
        let id = SpannedWord {
            text: text.trim().to_owned(),
            span: start..start + text.trim().len(),
        };
        let judged = request.claims.find(&id.text).map_err(|error| {
            let help = error.near().map(|near| format!("did you mean `{near}`?"));
            SyntaxError::new(id.span.clone(), error.to_string(), help)
        })?;
        let (on, judgement) = match machine {
            Some(machine) => (Some(machine), judged.judgement_on(machine)),
            None => (judged.shown.id(), judged.judgement()),
        };
        let verdict = judgement.verdict;
        self.machines.extend(on);
        let is_old = on.is_some_and(|on| request.book_data.is_stale(on));
        let proof = Proof {
            href: claim_link(request.chapter, judged),
            badge: badge(verdict),
            class: verdict_classes(verdict, is_old),
            is_old,
            id: id.text,
        };
        Ok((verdict, proof))
    }
}

/// The same as plain text.
fn render_text(steps: &[Step]) -> String {
    let mut text = Vec::new();
    for step in steps {
        text.push(format!(
            "{} {}  {}",
            step.number,
            step.title,
            text_badge(&step.badge, step.is_old)
        ));
        let width = step
            .values
            .iter()
            .map(|v| v.path.chars().count())
            .max()
            .unwrap_or(0);
        text.extend(
            step.values
                .iter()
                .map(|v| format!("   {:<width$}  {}", v.path, v.text)),
        );
        let proofs: Vec<String> = step
            .proofs
            .iter()
            .map(|p| format!("{} {}", p.id, text_badge(&p.badge, p.is_old)))
            .collect();
        text.push(format!("   proved by {}", proofs.join(", ")));
    }
    text.join("\n")
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let machine = request.machine()?;
    if request.body.is_empty() {
        let message = "the exhibit has no step";
        return Err(SyntaxError::new(
            request.info.clone(),
            message,
            FORM.to_owned(),
        ));
    }
    let mut found = Steps::default();
    for line in request.body {
        found.add_line(request, machine, line)?;
    }
    let Steps {
        steps,
        uses,
        machines: shown_on,
    } = found;
    let machines = used_machines(&uses, &shown_on);
    let caption = origins_caption(request.book_data, &machines);
    let lines = caption.iter().cloned().chain([render_text(&steps)]);
    Ok(RenderedBlock {
        text: lines.collect::<Vec<_>>().join("\n"),
        machines,
        html: request
            .book_data
            .evidence_set
            .templates
            .render("steps", &StepsView { caption, steps }),
        uses,
        ..RenderedBlock::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that one claim that did not pass is enough for the step not to pass.
    #[test]
    fn worst_wins() {
        use Verdict::{Error, Fail, NotApplicable, Pass, Unverified};
        assert_eq!(worst_verdict(&[Pass, Pass]), Pass);
        assert_eq!(worst_verdict(&[Pass, NotApplicable]), NotApplicable);
        assert_eq!(
            worst_verdict(&[NotApplicable, Unverified, Pass]),
            Unverified
        );
        assert_eq!(worst_verdict(&[Fail, Unverified]), Fail);
        assert_eq!(worst_verdict(&[Fail, Error, Pass]), Error);
        assert_eq!(worst_verdict(&[]), Unverified);
    }

    /// Check that separators inside quotes do not separate, and that places are true.
    #[test]
    fn splits() {
        let text = "x a as=\"b,c\", d ,";
        let parts: Vec<&str> = split_outside_quotes(text, 2..text.len(), ',')
            .into_iter()
            .map(|r| &text[r])
            .collect();
        assert_eq!(parts, ["a as=\"b,c\"", " d "]);
    }
}
