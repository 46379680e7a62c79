//! Filling one chapter.

use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::document::Missing;

use crate::claims::collect::Claims;
use crate::config::{Lint, OnMissing};
use crate::evidence::book_data::{BookData, PathValue};
use crate::evidence::format;
use crate::evidence::loader::describe_absence;
use crate::evidence::machine_id::MachineId;
use crate::evidence::names::Glossary;
use crate::evidence::provenance::{self, Use};
use crate::exhibits::block::Target;
use crate::exhibits::claim_block;
use crate::markdown::chapter::{Chapter, Placeholder};
use crate::markdown::escape;
use crate::markdown::html_context::HtmlPosition;
use crate::markdown::placeholder_context::PlaceholderContext;
use crate::markdown::splice::{self, Edit};
use crate::markdown::structure::BlockKind;
use crate::render::value_markup::{code_span_markup, render_value};

/// The rule of a placeholder whose value is UNVERIFIED.
const UNVERIFIED_VALUE: &str = "value-unverified";

/// A filled chapter.
#[derive(Debug)]
pub struct FilledChapter {
    /// Its text.
    pub text: String,
    /// The places in it that were filled in, in order.
    pub written: Vec<std::ops::Range<usize>>,
    /// Paths that it shows, for lints.
    pub uses: Vec<Use>,
    /// The problems.
    pub problems: Vec<Diagnostic>,
    /// The placeholders that show UNVERIFIED although the book does not forbid it.
    pub unverified: Vec<Diagnostic>,
}

/// The place of a chapter in its book.
#[derive(Clone, Copy, Debug)]
pub struct ChapterPlace {
    /// Its index.
    pub number: usize,
    /// True if any chapter of the book shows or claims something: one that does not rests on no evidence, and is not filled.
    pub is_live: bool,
}

/// Fill `chapter`, the one at this place in the book.
pub fn fill(
    chapter: &Chapter,
    place: ChapterPlace,
    book_data: &BookData<'_>,
    claims: &Claims,
    glossary: &Glossary,
    target: Target,
) -> FilledChapter {
    let text = chapter.source.text.as_str();
    let mut fill = ChapterFiller {
        chapter,
        book_data,
        claims,
        target,
        is_live: place.is_live,
        edits: Vec::new(),
        uses: Vec::new(),
        problems: Vec::new(),
        unverified: Vec::new(),
    };
    fill.edits.extend(chapter.escapes.iter().map(|at| Edit {
        range: *at..at + 1,
        text: String::new(),
    }));
    let mut machines = Vec::new();
    let mut rest = chapter.placeholders.iter().peekable();
    while let Some(placeholder) = rest.next() {
        // All placeholders of one code span share its markup.
        let mut group = vec![placeholder];
        if let PlaceholderContext::CodeSpan { span, .. } = &placeholder.context {
            while let Some(next) = rest.next_if(|p| span.contains(&p.range.start)) {
                group.push(next);
            }
        }
        fill.fill_group(&group);
    }
    for (number, block) in chapter.blocks.iter().enumerate() {
        let rendered = match block.kind {
            BlockKind::Claim => claims
                .get_by_block(place.number, number)
                .map(|judged| claim_block::render(judged, book_data)),
            BlockKind::Exhibit => {
                let book = (book_data, claims, glossary);
                crate::exhibits::registry::render(chapter, block, book, target, &mut fill.problems)
            }
        };
        let Some(rendered) = rendered else { continue };
        machines.extend(rendered.machines);
        fill.uses.extend(rendered.uses);
        fill.problems.extend(rendered.problems);
        fill.edits.push(match target {
            Target::Html => splice::html_block_edit(text, block.range.clone(), &rendered.html),
            Target::Text => splice::text_block_edit(text, block.range.clone(), &rendered.text),
            Target::Nothing => continue,
        });
    }
    if target == Target::Nothing {
        fill.edits.clear();
    } else {
        fill.add_page_header(&machines);
    }
    let (text, written) = splice::apply_with_insertions(text, fill.edits);
    FilledChapter {
        text,
        written,
        uses: fill.uses,
        problems: fill.problems,
        unverified: fill.unverified,
    }
}

struct ChapterFiller<'a, 'f> {
    chapter: &'a Chapter,
    book_data: &'a BookData<'f>,
    claims: &'a Claims,
    target: Target,
    is_live: bool,
    edits: Vec<Edit>,
    uses: Vec<Use>,
    problems: Vec<Diagnostic>,
    unverified: Vec<Diagnostic>,
}

impl ChapterFiller<'_, '_> {
    /// Fill placeholders in the same place: one, or all of one code span.
    fn fill_group(&mut self, group: &[&Placeholder]) {
        let mut uses = Vec::new();
        for placeholder in group {
            let Some(mut used) = self.fill_value(placeholder) else {
                continue;
            };
            used.listed = !matches!(
                placeholder.context,
                PlaceholderContext::Prose { bare: false, .. }
                    | PlaceholderContext::Html(HtmlPosition::Text { plain: false })
            );
            let text = self.escape_in_context(placeholder, &used);
            self.edits.push(Edit {
                range: placeholder.range.clone(),
                text,
            });
            uses.push(used);
        }
        if let (
            Target::Html,
            PlaceholderContext::CodeSpan {
                span,
                in_link,
                bare: false,
                ..
            },
            false,
        ) = (self.target, &group[0].context, uses.is_empty())
        {
            let (open, close) = code_span_markup(self.book_data, &uses, *in_link);
            self.edits.push(Edit {
                range: span.start..span.start,
                text: open,
            });
            self.edits.push(Edit {
                range: span.end..span.end,
                text: close,
            });
        }
        self.uses.extend(uses);
    }

    /// Look a value up and write it down, or note why not.
    fn fill_value(&mut self, placeholder: &Placeholder) -> Option<Use> {
        let source = &self.chapter.source;
        let machine = match &placeholder.machine {
            None => None,
            Some((name, span)) => match self.book_data.find_machine(name) {
                Ok(Some(index)) => Some(index),
                Ok(None) => {
                    // A word that no chapter claims is a mistake whatever was captured.
                    if placeholder.path.first() == "claims"
                        && self.claims.verdict(&placeholder.path, None).is_err()
                    {
                        return self.fill_verdict(placeholder, None);
                    }
                    let (_, reason) = describe_absence(name);
                    return self.fill_missing(placeholder, None, &Missing::from(reason));
                }
                Err(unknown) => {
                    let message = unknown.to_string();
                    self.problems
                        .push(Diagnostic::error(source, span.clone(), message));
                    return None;
                }
            },
        };
        if placeholder.path.first() == "claims" {
            return self.fill_verdict(placeholder, machine);
        }
        let shown = self.book_data.resolve(&placeholder.path, machine);
        let shown = match shown.as_ref() {
            Ok(shown) => shown,
            Err(error) => {
                let span = placeholder.segment_span(error.segment);
                let problem =
                    Diagnostic::error(source, span, format!("unknown path: {}", error.message));
                self.problems.push(match &error.nearest {
                    Some(nearest) => problem.help(format!("did you mean `{nearest}`?")),
                    None => problem,
                });
                return None;
            }
        };
        match &shown.what {
            PathValue::Value(value, _) => {
                let format = placeholder.style.format;
                match format::format(value, format) {
                    Ok(text) => {
                        self.check_width(placeholder, &text);
                        Some(Use {
                            path: placeholder.path.to_string(),
                            machine: shown.machine,
                            style: placeholder.style_text.clone(),
                            text: placeholder.style.pad(&text),
                            note: format::describe(value),
                            listed: false,
                        })
                    }
                    Err(reason) => {
                        let span = placeholder.range.clone();
                        let message =
                            format!("`{}` cannot be formatted: {reason}", placeholder.path);
                        self.problems.push(Diagnostic::error(source, span, message));
                        None
                    }
                }
            }
            PathValue::Missing(reason) => self.fill_missing(placeholder, shown.machine, reason),
            PathValue::Broken(reason) => {
                let message = format!("`{}` is not reliable: {reason}", placeholder.path);
                let problem = Diagnostic::error(source, placeholder.range.clone(), message)
                    .help(self.advice_on_broken(placeholder, shown.machine));
                let fails = self.book_data.config.on_fail == crate::config::OnFail::Error;
                self.problems
                    .push(if fails { problem } else { problem.warning() });
                Some(self.gap_use(placeholder, shown.machine, "ERROR", reason))
            }
        }
    }

    /// What to do about a value of a capture that is not to be believed.
    fn advice_on_broken(
        &self,
        placeholder: &Placeholder,
        machine: Option<MachineId>,
    ) -> &'static str {
        let evidence = machine.map(|machine| &self.book_data.machine(machine).evidence);
        let experiment = evidence.and_then(|all| all.experiments.get(placeholder.path.first()));
        match experiment.is_some_and(|experiment| experiment.quality.lost > 0) {
            true => {
                "capture again; a value of a capture that lost events is never shown as measured"
            }
            false => {
                "no event was lost, so another capture alone changes nothing: the warning at the experiment says what its \
                 workload did and what was attached"
            }
        }
    }

    fn fill_verdict(
        &mut self,
        placeholder: &Placeholder,
        machine: Option<MachineId>,
    ) -> Option<Use> {
        let source = &self.chapter.source;
        match self.claims.verdict(&placeholder.path, machine) {
            Ok((machine, verdict, reason)) => Some(Use {
                path: placeholder.path.to_string(),
                machine,
                style: None,
                text: placeholder.style.pad(verdict),
                note: reason,
                listed: false,
            }),
            Err(error) => {
                let message = error.to_string();
                let problem = Diagnostic::error(source, placeholder.path_span.clone(), message);
                self.problems.push(match error.help() {
                    Some(help) => problem.help(help),
                    None => problem,
                });
                None
            }
        }
    }

    fn fill_missing(
        &mut self,
        placeholder: &Placeholder,
        machine: Option<MachineId>,
        missing: &Missing,
    ) -> Option<Use> {
        let format = placeholder.style.format;
        let (word, reason) =
            self.book_data
                .describe_gap(&placeholder.path, machine, missing, format);
        if word == "UNVERIFIED" {
            let message = format!("`{}` is unverified: {reason}", placeholder.path);
            let span = placeholder.range.clone();
            let problem = Diagnostic::error(&self.chapter.source, span, message);
            match self.book_data.config.on_unverified {
                OnMissing::Error => self.problems.push(problem),
                OnMissing::Show => self.unverified.push(problem.rule(UNVERIFIED_VALUE)),
            }
        }
        Some(self.gap_use(placeholder, machine, word, &reason))
    }

    /// The stand-in for a value: in prose with the reason, in code without.
    fn gap_use(
        &self,
        placeholder: &Placeholder,
        machine: Option<MachineId>,
        word: &str,
        reason: &str,
    ) -> Use {
        let prose = matches!(placeholder.context, PlaceholderContext::Prose { .. });
        let text = if prose {
            format!("{word} ({reason})")
        } else {
            placeholder.style.pad(word)
        };
        Use {
            path: placeholder.path.to_string(),
            machine,
            style: placeholder.style_text.clone(),
            text,
            note: format!("{word}: {reason}"),
            listed: false,
        }
    }

    fn check_width(&mut self, placeholder: &Placeholder, text: &str) {
        let length = text.chars().count();
        let Some(width) = placeholder.style.width.filter(|width| length > *width) else {
            return;
        };
        let message = format!(
            "the value of `{}` is wider than its width",
            placeholder.path
        );
        let problem = Diagnostic::error(&self.chapter.source, placeholder.range.clone(), message)
            .label(format!("{length} characters do not fit into {width}"));
        self.problems
            .push(self.book_data.config.apply_severity(Lint::TooWide, problem));
    }

    /// The value's text, made harmless for where it stands.
    fn escape_in_context(&self, placeholder: &Placeholder, used: &Use) -> String {
        let value = used.text.strip_suffix('\n').unwrap_or(&used.text);
        let line = escape::escape_invisible(value);
        match &placeholder.context {
            PlaceholderContext::CodeSpan { in_table, .. } => escape::code_span(value, *in_table),
            PlaceholderContext::CodeBlock => {
                let text = &self.chapter.source.text;
                let start = text[..placeholder.range.start]
                    .rfind('\n')
                    .map_or(0, |n| n + 1);
                escape::code_block(&used.text, &text[start..placeholder.range.start])
            }
            PlaceholderContext::Destination | PlaceholderContext::Html(HtmlPosition::Url) => {
                escape::url(&line)
            }
            PlaceholderContext::PlainText => escape::html(&line),
            PlaceholderContext::Html(HtmlPosition::Attribute { quoted: false }) => {
                escape::html_unquoted(&line)
            }
            PlaceholderContext::Html(
                HtmlPosition::Attribute { quoted: true } | HtmlPosition::Comment,
            ) => escape::html(&line),
            PlaceholderContext::Html(HtmlPosition::Text { plain: true }) => escape::html(&line),
            PlaceholderContext::Math => escape::html(&escape::tex(&line)),
            PlaceholderContext::Prose { bare: true, .. } if self.target == Target::Html => {
                escape::html(&line)
            }
            PlaceholderContext::Prose { in_link, .. } if self.target == Target::Html => {
                render_value(self.book_data, used, &line, *in_link)
            }
            PlaceholderContext::Html(HtmlPosition::Text { plain: false })
                if self.target == Target::Html =>
            {
                render_value(self.book_data, used, &line, false)
            }
            PlaceholderContext::Html(HtmlPosition::Text { .. }) => escape::html(&line),
            // Plain text has no style sheet that could put the mark there.
            PlaceholderContext::Prose { .. } if used.is_stale(self.book_data) => {
                format!(
                    "{}{}",
                    escape::markdown(value),
                    crate::exhibits::block::MARK
                )
            }
            PlaceholderContext::Prose { .. } => escape::markdown(value),
            PlaceholderContext::Refused(_) => String::new(),
        }
    }

    /// Say at the top of the page where its values come from.
    fn add_page_header(&mut self, more: &[MachineId]) {
        let shows_something = !self.uses.is_empty() || !self.chapter.blocks.is_empty();
        let literal = self.chapter.escapes.len();
        if !shows_something
            && (!self.is_live
                || crate::render::page_header::recorded_machines(self.book_data).is_empty())
        {
            self.edits.extend(crate::render::page_header::literals_edit(
                self.chapter,
                self.target,
            ));
            return;
        }
        let machines = provenance::used_machines(&self.uses, more);
        let at = self.chapter.first_heading.as_ref().map_or(0, |heading| {
            let text = &self.chapter.source.text[heading.clone()];
            heading.start + text.trim_end().len()
        });
        let block = match self.target {
            Target::Html if !shows_something => {
                crate::render::page_header::recorded_header_html(self.book_data, literal)
            }
            Target::Html => crate::render::page_header::header_html(
                self.book_data,
                &self.uses,
                &machines,
                literal,
            ),
            Target::Text | Target::Nothing => {
                let text = match shows_something {
                    true => crate::render::page_header::header_text(self.book_data, &machines),
                    false => crate::render::page_header::notices(
                        self.book_data,
                        &crate::render::page_header::recorded_machines(self.book_data),
                    )
                    .join("\n"),
                };
                text.lines()
                    .map(|line| format!("> {}  ", escape::markdown(line)))
                    .collect::<Vec<_>>()
                    .join("\n")
            }
        };
        let text = if at == 0 {
            format!("{block}\n\n")
        } else {
            format!("\n\n{block}\n")
        };
        // A chapter may begin with a value: the block goes before its markup, not inside it.
        self.edits.insert(
            0,
            Edit {
                range: at..at,
                text,
            },
        );
    }
}
