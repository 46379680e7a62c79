//! Answers to an editor's requests, in the types of the protocol.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, Hover, HoverContents,
    Location, MarkupContent, MarkupKind, Position, PrepareRenameResponse, TextEdit, Uri,
    WorkspaceEdit,
};
use qed_evidence::investigation::Investigation;

use crate::lsp::book_index::BookIndex;
use crate::lsp::complete::{Candidate, CandidateKind, complete};
use crate::lsp::files::{Documents, to_file};
use crate::lsp::hover::{describe_experiment, describe_probe, hover};
use crate::lsp::mentions;
use crate::lsp::places::{
    NamedItem, definition_span, find_mentions, item_in_chapter, item_in_investigation,
};
use crate::lsp::position;
use crate::lsp::rename::{RenameError, rename};
use crate::lsp::workspace::Workspace;
use crate::markdown::chapter::Chapter;

/// The handler of requests about a book, with the data that answers are made from.
pub struct RequestHandler<'w, 'b, 'a> {
    /// The index of the book, from which answers are taken.
    pub known: BookIndex<'b, 'a>,
    /// Its files.
    pub workspace: &'w Workspace,
    /// The chapter that was used last, with the version of its document.
    last: Option<(PathBuf, i32, Rc<Chapter>)>,
}

impl<'w, 'b, 'a> RequestHandler<'w, 'b, 'a> {
    /// Answer from the index of a book.
    pub fn new(known: BookIndex<'b, 'a>, workspace: &'w Workspace) -> Self {
        RequestHandler {
            known,
            workspace,
            last: None,
        }
    }

    /// A chapter, and the byte at a position of it.
    fn chapter_at(
        &mut self,
        uri: &Uri,
        at: Position,
        documents: &Documents,
    ) -> Option<(Rc<Chapter>, usize)> {
        let file = to_file(uri)?;
        let version = documents.get(&file).map(|document| document.version);
        let chapter = match (&self.last, version) {
            (Some((last, state, chapter)), Some(version)) if *last == file && *state == version => {
                Rc::clone(chapter)
            }
            _ => Rc::new(self.workspace.chapter(&file, documents)?),
        };
        if let Some(version) = version {
            self.last = Some((file, version, Rc::clone(&chapter)));
        }
        let offset = position::offset(&chapter.source.text, at);
        Some((chapter, offset))
    }

    /// The completions at a position.
    pub fn complete(
        &mut self,
        uri: &Uri,
        at: Position,
        documents: &Documents,
    ) -> Vec<CompletionItem> {
        let Some((chapter, offset)) = self.chapter_at(uri, at, documents) else {
            return Vec::new();
        };
        let text = chapter.source.text.as_str();
        let candidates = complete(&chapter, offset, &self.known);
        let mut range = None;
        let item = |candidate: Candidate| {
            // All of them replace the same word.
            let range = *range.get_or_insert_with(|| position::range(text, &candidate.span));
            completion_item(candidate, range)
        };
        candidates.into_iter().map(item).collect()
    }

    /// The hover text for the name at a position.
    pub fn hover(&mut self, uri: &Uri, at: Position, documents: &Documents) -> Option<Hover> {
        let (about, range) = match self.open_investigation(uri, documents) {
            Some(investigation) => {
                let text = investigation.source.text.as_str();
                let offset = position::offset(text, at);
                let (named, span) = item_in_investigation(&investigation, offset)?;
                let about = match &named {
                    NamedItem::Experiment(name) => describe_experiment(name, &self.known)?,
                    NamedItem::Probe(experiment, name) => {
                        describe_probe(experiment, name, &self.known)?
                    }
                    NamedItem::Command(_) | NamedItem::Claim(_) => return None,
                };
                (about, position::range(text, &span))
            }
            None => {
                let (chapter, offset) = self.chapter_at(uri, at, documents)?;
                let (about, span) = hover(&chapter, offset, &self.known)?;
                (about, position::range(&chapter.source.text, &span))
            }
        };
        Some(Hover {
            contents: HoverContents::Markup(MarkupContent {
                kind: MarkupKind::Markdown,
                value: about,
            }),
            range: Some(range),
        })
    }

    /// The investigation as it is open, if `uri` is its file and it can be parsed.
    fn open_investigation(&self, uri: &Uri, documents: &Documents) -> Option<Investigation> {
        let file = to_file(uri)?;
        let is_it = self.workspace.investigation_file()? == file;
        let read = || self.workspace.read_investigation(documents).ok();
        is_it.then(read).flatten()
    }

    /// The item that is named at a position, the current investigation, and true if the position is that of its definition.
    fn named_item_at(
        &mut self,
        uri: &Uri,
        at: Position,
        documents: &Documents,
    ) -> Option<(NamedItem, Investigation, bool)> {
        if let Some(investigation) = self.open_investigation(uri, documents) {
            let offset = position::offset(&investigation.source.text, at);
            let (named, span) = item_in_investigation(&investigation, offset)?;
            let is_here = definition_span(&named, &investigation) == Some(span);
            return Some((named, investigation, is_here));
        }
        let (chapter, offset) = self.chapter_at(uri, at, documents)?;
        let current = self.workspace.read_investigation(documents);
        let investigation =
            current.unwrap_or_else(|_| self.known.book_data.evidence_set.investigation.clone());
        let named = item_in_chapter(&chapter, offset, &investigation)?;
        Some((named, investigation, false))
    }

    /// The definition of the name at a position; at the definition itself, all places that mention it.
    pub fn definition(&mut self, uri: &Uri, at: Position, documents: &Documents) -> Vec<Location> {
        let Some((named, investigation, is_here)) = self.named_item_at(uri, at, documents) else {
            return Vec::new();
        };
        match is_here {
            true => self.mention_locations(&named, &investigation, documents),
            false => self
                .definition_location(&named, &investigation, documents)
                .into_iter()
                .collect(),
        }
    }

    /// All places that mention the name at a position, and its definition.
    pub fn references(&mut self, uri: &Uri, at: Position, documents: &Documents) -> Vec<Location> {
        let Some((named, investigation, _)) = self.named_item_at(uri, at, documents) else {
            return Vec::new();
        };
        let mut places = self.mention_locations(&named, &investigation, documents);
        let defined = self.definition_location(&named, &investigation, documents);
        places.extend(defined.filter(|defined| !places.contains(defined)));
        places
    }

    fn definition_location(
        &self,
        named: &NamedItem,
        investigation: &Investigation,
        documents: &Documents,
    ) -> Option<Location> {
        if let NamedItem::Claim(id) = named {
            let chapters = self.workspace.chapters(documents);
            let made = |(file, chapter): &(PathBuf, Chapter)| {
                let span = mentions::claim_definition(chapter, id)?;
                to_location(file, &chapter.source.text, &span, documents)
            };
            return chapters.iter().find_map(made);
        }
        let span = definition_span(named, investigation)?;
        let file = self.workspace.investigation_file()?;
        to_location(&file, &investigation.source.text, &span, documents)
    }

    fn mention_locations(
        &self,
        named: &NamedItem,
        investigation: &Investigation,
        documents: &Documents,
    ) -> Vec<Location> {
        let chapters = self.workspace.chapters(documents);
        let place = |(file, span): (PathBuf, Range<usize>)| {
            let (_, chapter) = chapters.iter().find(|(one, _)| *one == file)?;
            to_location(&file, &chapter.source.text, &span, documents)
        };
        let found = find_mentions(named, investigation, &chapters);
        found.into_iter().filter_map(place).collect()
    }

    /// The name of the probe at a position, which could be another.
    ///
    /// # Errors
    /// Nothing there names a probe.
    pub fn prepare_rename(
        &mut self,
        uri: &Uri,
        at: Position,
        documents: &Documents,
    ) -> Result<PrepareRenameResponse, RenameError> {
        let (_, probe) = self.probe_at(uri, at, documents)?;
        if let Some(investigation) = self.open_investigation(uri, documents) {
            let text = investigation.source.text.as_str();
            let offset = position::offset(text, at);
            let (_, span) =
                item_in_investigation(&investigation, offset).ok_or(RenameError::NoProbe)?;
            return Ok(PrepareRenameResponse::RangeWithPlaceholder {
                range: position::range(text, &span),
                placeholder: probe,
            });
        }
        let (chapter, offset) = self
            .chapter_at(uri, at, documents)
            .ok_or(RenameError::NoProbe)?;
        let text = chapter.source.text.as_str();
        let words = mentions::path_words(&chapter);
        let word = words
            .into_iter()
            .find(|word| (word.start..=word.end).contains(&offset));
        let word = word.ok_or(RenameError::NoProbe)?;
        let experiment = text[word.clone()].find('.').ok_or(RenameError::NoProbe)?;
        let start = word.start + experiment + 1;
        Ok(PrepareRenameResponse::RangeWithPlaceholder {
            range: position::range(text, &(start..start + probe.len())),
            placeholder: probe,
        })
    }

    /// The experiment and the probe that are named at a position.
    fn probe_at(
        &mut self,
        uri: &Uri,
        at: Position,
        documents: &Documents,
    ) -> Result<(String, String), RenameError> {
        match self.named_item_at(uri, at, documents) {
            Some((NamedItem::Probe(experiment, probe), _, _)) => Ok((experiment, probe)),
            _ => Err(RenameError::NoProbe),
        }
    }

    /// The edits that give the probe at a position another name.
    ///
    /// # Errors
    /// Nothing there names a probe, or it cannot be called so.
    #[allow(
        clippy::mutable_key_type,
        reason = "the protocol's types want it so, and no key is changed"
    )]
    pub fn rename(
        &mut self,
        uri: &Uri,
        at: Position,
        new: &str,
        documents: &Documents,
    ) -> Result<WorkspaceEdit, RenameError> {
        let (experiment, probe) = self.probe_at(uri, at, documents)?;
        let investigation = self
            .workspace
            .read_investigation(documents)
            .map_err(|problems| {
                let first = problems.into_iter().next();
                RenameError::Investigation(first.map_or_else(String::new, |one| one.message))
            })?;
        let chapters = self.workspace.chapters(documents);
        let (own, others) = rename(&investigation, (&experiment, &probe), new, &chapters)?;
        let edit = |text: &str, edit: &crate::lsp::rename::TextEdit| TextEdit {
            range: position::range(text, &edit.span),
            new_text: edit.text.clone(),
        };
        let mut changes = HashMap::new();
        let text = investigation.source.text.as_str();
        if let Some(uri) = self
            .workspace
            .investigation_file()
            .and_then(|file| documents.uri(&file))
        {
            changes.insert(uri, own.iter().map(|one| edit(text, one)).collect());
        }
        for (file, chapter) in &chapters {
            if let (Some(edits), Some(uri)) = (others.get(file), documents.uri(file)) {
                let text = chapter.source.text.as_str();
                changes.insert(uri, edits.iter().map(|one| edit(text, one)).collect());
            }
        }
        Ok(WorkspaceEdit::new(changes))
    }
}

fn to_location(
    file: &Path,
    text: &str,
    span: &Range<usize>,
    documents: &Documents,
) -> Option<Location> {
    Some(Location::new(
        documents.uri(file)?,
        position::range(text, span),
    ))
}

fn completion_item(candidate: Candidate, range: lsp_types::Range) -> CompletionItem {
    let kind = match candidate.kind {
        CandidateKind::Node => CompletionItemKind::MODULE,
        CandidateKind::Leaf => CompletionItemKind::VALUE,
        CandidateKind::Function => CompletionItemKind::FUNCTION,
        CandidateKind::Option => CompletionItemKind::PROPERTY,
        CandidateKind::Word => CompletionItemKind::ENUM_MEMBER,
    };
    CompletionItem {
        label: candidate.label,
        kind: Some(kind),
        detail: candidate.detail,
        documentation: candidate.help.map(Documentation::String),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(
            range,
            candidate.insert,
        ))),
        ..CompletionItem::default()
    }
}
