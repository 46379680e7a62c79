//! Regeneration of a site: filling its chapters from its published sources and evidence, and making its pages from them.

use std::path::PathBuf;

use mdbook_preprocessor::book::Book;
use qed_evidence::Evidence;
use qed_evidence::diagnostic::{Diagnostic, Severity};
use qed_evidence::investigation::Investigation;
use qed_evidence::redact::is_redacted;

use super::renderer;
use super::source::{BOOK, BookSource, CHAPTERS, EvidenceState, TextsError, take_texts};
use crate::config::{Addresses, Config};
use crate::evidence::book_data::BookData;
use crate::evidence::history::History;
use crate::evidence::loader::{self, EvidenceSet, MachineEvidence};
use crate::evidence::locations::Origin;
use crate::evidence::mentions::{self, BookMentions};
use crate::evidence::raw::RawEvidence;
use crate::evidence::sweep_record::{LoadedSweep, SweepRecord};
use crate::evidence::verdict_files::{PortableVerdicts, PublishedClaim, Verdicts};
use crate::exhibits::block::Target;
use crate::markdown::chapter::Chapter;
use crate::markdown::dialect::Markdown;
use crate::markdown::structure::find_html_problems;
use crate::mdbook::protocol::chapters_mut;
use crate::publish::manifest;
use crate::render::book::{FilledBook, fill_all, parse_all};
use crate::templates::Templates;
use crate::util::files::SiteFile;
use crate::util::parallel::Parallelism;

/// The published sources of a site's pages.
#[derive(Debug)]
pub struct PublishedSite<'p> {
    /// The book.
    pub source: &'p BookSource,
    /// The investigation.
    pub investigation: Investigation,
    /// The evidence.
    pub evidence: &'p [Evidence],
    /// The claims, to which the verdicts belong.
    pub claims: &'p [PublishedClaim],
    /// The verdicts: what rests on withheld values is taken from them.
    pub verdicts: &'p Verdicts,
    /// The captures that were published.
    pub history: History,
    /// The record of a sweep, if one was published.
    pub sweep: Option<SweepRecord>,
    /// The treatment of addresses.
    pub addresses: Addresses,
}

/// A site that was made again from its sources.
#[derive(Debug)]
pub struct RegeneratedSite {
    /// The files of the HTML renderer.
    pub files: Vec<SiteFile>,
    /// The claims that the chapters make.
    pub claims: Vec<PublishedClaim>,
    /// Their verdicts.
    pub verdicts: Verdicts,
    /// The captures.
    pub history: History,
    /// HTML in the chapters that can change their pages afterwards, where the book allows it.
    pub not_covered: Vec<String>,
    /// Problems of the sources, a line each.
    pub wrong: Vec<String>,
}

/// A reason why no pages can be made from what a site publishes.
#[derive(Debug, thiserror::Error)]
pub enum RegenerateError {
    /// The chapters cannot be given their texts.
    #[error(transparent)]
    Texts(#[from] TextsError),
    /// The renderer fails.
    #[error(transparent)]
    Render(#[from] renderer::RenderError),
    /// The site says nothing of a machine that it has evidence of.
    #[error("{BOOK}: it says nothing of {0}")]
    Unstated(String),
    /// The site has no evidence of a machine of which it says something.
    #[error("{BOOK}: there is evidence of {0}, it says, and the site has none")]
    NoEvidenceOf(String),
    /// The evidence is of a machine that the book does not have.
    #[error("{BOOK}: the book has no machine {0}")]
    NoMachine(String),
    /// The investigation is another than that of the evidence of this machine.
    #[error(
        "{}: it is not the investigation that the evidence of {machine} is of: its digest is another",
        manifest::INVESTIGATION
    )]
    OtherInvestigation {
        /// The machine.
        machine: String,
    },
    /// The investigation is that of the evidence of this machine, and the site denies it.
    #[error("{BOOK}: the investigation was changed since the capture on {0}, it says, and was not")]
    SameInvestigation(String),
    /// A template has a mistake.
    #[error("{0}")]
    Template(String),
    /// No machine has any.
    #[error("there is no evidence to fill the chapters from")]
    NoEvidence,
}

/// Makes the pages again. `site` are the files of the site's folder of pages, by their names in it. The errors are all
/// reasons why nothing can be made.
pub fn regenerate(
    published: PublishedSite<'_>,
    site: &[(&str, &SiteFile)],
) -> Result<RegeneratedSite, Vec<RegenerateError>> {
    let source = published.source;
    let mut book = source.book().map_err(|error| vec![error.into()])?;
    let parsed = parse_chapters(source, &mut book);
    let mut texts = chapters_mut(&mut book);
    let config = regeneration_config(source, published.addresses);
    let evidence_set = build_evidence_set(published)?;
    let book_data = BookData::new(&config, &evidence_set);
    let outcome = fill_all(&parsed, &book_data, Target::Html);
    let mut wrong: Vec<String> = outcome
        .report
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| {
            format!(
                "the chapters cannot be filled again: {}",
                problem.render(false)
            )
        })
        .collect();
    let mut not_covered = Vec::new();
    for complaint in parsed.iter().flat_map(|chapter| &chapter.active) {
        match source.about.active_html {
            true => not_covered.push(format_on_one_line(complaint)),
            false => wrong.push(format_on_one_line(complaint)),
        }
    }
    let (claims, verdicts) = manifest::collect_claims(&book_data, &outcome.claims);
    let history = crate::claims::history::record_captures(&book_data, &outcome.claims);
    for ((_, text), filled) in texts.iter_mut().zip(&outcome.texts) {
        text.clone_from(filled);
    }
    let book = match &source.about.rendered {
        None => book,
        Some(rendered) => {
            wrong.extend(find_lost_fragments(&book, rendered, &outcome));
            rendered.clone()
        }
    };
    let files = renderer::render(&source.about.settings, &source.about.titles, book, site);
    let mut files = files.map_err(|error| vec![error.into()])?;
    // Their content came from the site: only where their names have its digest do the pages vouch for it.
    files.retain(|file| !renderer::is_additional(&source.about.settings, &file.name));
    Ok(RegeneratedSite {
        files,
        claims,
        verdicts,
        history,
        not_covered,
        wrong,
    })
}

/// Reads what the published chapters tell of functions, if a claim asks for it: a site says so nowhere else. Chapters that are missing
/// or cannot be read tell nothing here, and are complained of where the pages are made again.
pub fn read_published_mentions(files: &[SiteFile], claims: &[PublishedClaim]) -> BookMentions {
    let asks = |claim: &PublishedClaim| {
        let condition = claim.when.as_deref().unwrap_or_default();
        [claim.expression.as_str(), condition]
            .iter()
            .any(|text| text.contains(mentions::EXHIBIT))
    };
    if !claims.iter().any(asks) {
        return BookMentions::default();
    }
    let source = BookSource::read(files).ok().flatten();
    let read = source.and_then(|source| {
        let mut book = source.book().ok()?;
        Some(BookMentions::read(&parse_chapters(&source, &mut book)))
    });
    read.unwrap_or_default()
}

/// Takes the chapters of a published book apart.
fn parse_chapters(source: &BookSource, book: &mut Book) -> Vec<Chapter> {
    let html = serde_json::Value::Object(source.about.settings.html.clone());
    let markdown = Markdown::read(Some(&html));
    parse_all(&chapters_mut(book), markdown, Parallelism::default())
}

/// A complaint about a chapter with its place.
fn format_on_one_line(complaint: &Diagnostic) -> String {
    let message = &complaint.message;
    match &complaint.place {
        None => message.clone(),
        Some((source, span)) => {
            let before = source.text.get(..span.start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("{CHAPTERS}{}:{line}: {message}", source.name)
        }
    }
}

/// The settings of this preprocessor. That a claim is false stops a build; here it only has to be shown.
fn regeneration_config(source: &BookSource, addresses: Addresses) -> Config {
    let mut config = Config::lenient();
    config.machines.clone_from(&source.about.machines);
    config.addresses = addresses;
    config
}

/// The evidence as the chapters are filled from it.
fn build_evidence_set(published: PublishedSite<'_>) -> Result<EvidenceSet, Vec<RegenerateError>> {
    let about = &published.source.about;
    let mut wrong = Vec::new();
    let mut evidence_set = EvidenceSet::new(published.investigation);
    evidence_set.history = published.history;
    evidence_set.sweep = published.sweep.map(|record| LoadedSweep {
        record,
        state: about.sweep.clone(),
    });
    let mut unused: Vec<&Evidence> = published.evidence.iter().collect();
    for machine in &about.machines {
        let found = unused.iter().position(|e| e.machine.name == *machine);
        match (found, about.states.get(machine)) {
            (Some(at), Some(state)) => {
                let evidence = unused.remove(at).clone();
                wrong.extend(find_contradiction(
                    &evidence,
                    state,
                    &evidence_set.investigation,
                ));
                let verdicts = (state.judged_before && is_redacted(&evidence)).then(|| {
                    PortableVerdicts::from_published(
                        &evidence,
                        published.claims,
                        published.verdicts,
                    )
                });
                evidence_set
                    .loaded
                    .push(machine_evidence(evidence, state, verdicts));
            }
            (None, None) => evidence_set.absent.push(loader::describe_absence(machine)),
            (Some(_), None) => wrong.push(RegenerateError::Unstated(machine.clone())),
            (None, Some(_)) => wrong.push(RegenerateError::NoEvidenceOf(machine.clone())),
        }
    }
    let names = unused.iter().map(|evidence| &evidence.machine.name);
    wrong.extend(names.map(|name| RegenerateError::NoMachine(name.clone())));
    let own = published.source.templates.iter();
    let own = own.map(|(name, text)| (PathBuf::from(name), text.clone()));
    match Templates::with(own.collect()) {
        Ok(templates) => evidence_set.templates = templates,
        Err(problems) => {
            let messages = problems.into_iter().map(|problem| problem.message);
            wrong.extend(messages.map(RegenerateError::Template));
        }
    }
    if evidence_set.loaded.is_empty() && wrong.is_empty() {
        wrong.push(RegenerateError::NoEvidence);
    }
    if wrong.is_empty() {
        Ok(evidence_set)
    } else {
        Err(wrong)
    }
}

/// A statement of the site about evidence that the evidence itself denies.
fn find_contradiction(
    evidence: &Evidence,
    state: &EvidenceState,
    investigation: &Investigation,
) -> Option<RegenerateError> {
    use qed_evidence::freshness::StaleReason;
    let published = state
        .stale
        .contains(&StaleReason::Investigation.to_string());
    let changed = evidence.run.investigation_digest != investigation.digest;
    let name = || evidence.machine.name.clone();
    match (changed, published) {
        (true, false) => Some(RegenerateError::OtherInvestigation { machine: name() }),
        (false, true) => Some(RegenerateError::SameInvestigation(name())),
        _ => None,
    }
}

fn machine_evidence(
    evidence: Evidence,
    state: &EvidenceState,
    verdicts: Option<PortableVerdicts>,
) -> MachineEvidence {
    MachineEvidence {
        machine: evidence.machine.name.clone(),
        evidence,
        raw: RawEvidence::default(),
        verdicts,
        origin: if state.recorded {
            Origin::Recorded
        } else {
            Origin::Captured
        },
        file: PathBuf::new(),
        stale: state.stale.clone(),
        not_compared: state.not_compared.clone(),
        age_s: state.age_s,
        digest: None,
    }
}

/// The pieces that other preprocessors changed: every piece of HTML that was filled in must be in the rendered chapter, in
/// its order, and nothing else that looks like one.
fn find_lost_fragments(filled: &Book, rendered: &Book, outcome: &FilledBook) -> Vec<String> {
    let mut rendered = rendered.clone();
    let Ok(texts) = take_texts(&mut rendered) else {
        return vec![format!("{BOOK}: two rendered chapters have the same path")];
    };
    let mut wrong = Vec::new();
    for (chapter, written) in filled.chapters().zip(&outcome.written) {
        let path = chapter.path.as_deref().unwrap_or(std::path::Path::new(""));
        let name = path.display().to_string();
        let pieces = written.iter().map(|range| &chapter.content[range.clone()]);
        let pieces: Vec<&str> = pieces
            .map(str::trim)
            .filter(|p| p.starts_with('<'))
            .collect();
        let Some(text) = texts.get(&name) else {
            if !pieces.is_empty() {
                wrong.push(format!(
                    "{BOOK}: the chapter {name} is filled and not rendered"
                ));
            }
            continue;
        };
        let mut rest = text.as_str();
        for piece in &pieces {
            match rest.split_once(piece) {
                Some((_, behind)) => rest = behind,
                None => {
                    let start: String = piece.chars().take(120).collect();
                    wrong.push(format!(
                        "{BOOK}: another preprocessor changed what this one wrote in {name}: `{start}`"
                    ));
                    break;
                }
            }
        }
        let markdown = Markdown::read(None).options();
        let count = |text: &str| find_html_problems(text, &markdown).refused.len();
        if count(text) != count(&chapter.content) {
            wrong.push(format!(
                "{BOOK}: another preprocessor wrote what looks like this one's in {name}"
            ));
        }
    }
    wrong
}
