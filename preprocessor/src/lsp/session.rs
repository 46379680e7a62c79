//! The session with an editor: its documents, its requests, and the conditions for reloading the book.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Exit, LogMessage,
    Notification as _,
};
use lsp_types::request::{
    Completion, GotoDefinition, HoverRequest, PrepareRenameRequest, References, Rename,
    Request as _, Shutdown,
};
use lsp_types::{
    CompletionResponse, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, GotoDefinitionResponse, LogMessageParams, MessageType,
};
use qed_evidence::diagnostic::Diagnostic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lsp::answers::RequestHandler;
use crate::lsp::book_index::Explanations;
use crate::lsp::diagnose::CheckJob;
use crate::lsp::files::{Document, Documents, to_file};
use crate::lsp::position;
use crate::lsp::rename::RenameError;
use crate::lsp::watch::{BookChange, Watch};
use crate::lsp::workspace::Workspace;

/// The time between two looks at the files on disk.
const LOOK: Duration = Duration::from_millis(500);

/// The pause in typing an investigation after which it is taken in: evidence is compared with it anew.
const PAUSE: Duration = Duration::from_millis(300);

/// The next step after a session with a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another session, with the then current state of the book.
    Reload,
    /// The end.
    Exit,
}

/// A book as it was loaded, as far as the conversation needs to know it.
pub struct Generation {
    /// Its files on disk.
    pub watch: Watch,
    /// Its files; nothing without a book that could be loaded.
    pub workspace: Option<Workspace>,
    /// The problems of its evidence when it was loaded.
    pub problems: Vec<Diagnostic>,
    /// The problems of its investigation.
    pub unread: Vec<Diagnostic>,
    /// The queue of checks, which another thread runs.
    pub jobs: Option<Sender<CheckJob>>,
    reload_at: Option<Instant>,
}

impl Generation {
    /// A book that was loaded with these problems.
    pub fn new(watch: Watch, workspace: Workspace, problems: Vec<Diagnostic>) -> Self {
        Generation {
            workspace: Some(workspace),
            problems,
            ..Generation::without_book(watch)
        }
    }

    /// No book, or one that could not be loaded.
    pub fn without_book(watch: Watch) -> Self {
        Generation {
            watch,
            workspace: None,
            problems: Vec::new(),
            unread: Vec::new(),
            jobs: None,
            reload_at: None,
        }
    }

    /// Request a check with these documents.
    pub fn request_check(&self, documents: &Documents, reread: bool) {
        let problems = self.problems.iter().chain(&self.unread).cloned();
        let job = CheckJob {
            documents: documents.clone(),
            reread,
            problems: problems.collect(),
        };
        if let Some(jobs) = &self.jobs {
            // Nobody takes it once the checker has ended, and then the book is loaded anew.
            let _ = jobs.send(job);
        }
    }
}

/// The answers about a book, and the claims that its checks explain.
pub type BookAnswers<'s, 'b, 'a> = (RequestHandler<'s, 'b, 'a>, &'s Mutex<Arc<Explanations>>);

/// The conversation with one editor.
pub struct EditorSession<'c> {
    connection: &'c Connection,
    /// The documents that it has open.
    pub documents: Documents,
    /// The folder of the book, once it is known.
    pub root: Option<PathBuf>,
    /// The editor has announced its end.
    pub is_shut_down: bool,
}

impl<'c> EditorSession<'c> {
    /// A conversation that has just begun.
    pub fn new(connection: &'c Connection) -> Self {
        EditorSession {
            connection,
            documents: Documents::default(),
            root: None,
            is_shut_down: false,
        }
    }

    /// The connection to the editor.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Send the editor a notification. If the editor has gone away, this does nothing.
    pub fn notify(&self, method: &str, params: impl Serialize) {
        let notification = Notification::new(method.to_owned(), params);
        let _ = self
            .connection
            .sender
            .send(Message::Notification(notification));
    }

    /// Serve until the book has to be loaded anew, or until the end.
    pub fn serve(
        &mut self,
        mut answers: Option<BookAnswers<'_, '_, '_>>,
        mut generation: Generation,
    ) -> Next {
        let mut looked = Instant::now();
        loop {
            let due = generation
                .reload_at
                .map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
            match self.connection.receiver.recv_timeout(due.min(LOOK)) {
                Ok(Message::Request(request)) => {
                    let response = self.handle_request(request, answers.as_mut());
                    let _ = self.connection.sender.send(Message::Response(response));
                }
                Ok(Message::Notification(notification)) => {
                    if let Some(next) = self.handle_notification(notification, &mut generation) {
                        return next;
                    }
                }
                Ok(Message::Response(_)) => {}
                Err(error) if error.is_timeout() => {}
                Err(_) => return Next::Exit,
            }
            if generation.reload_at.is_some_and(|at| at <= Instant::now()) {
                generation.reload_at = None;
                let workspace = generation.workspace.as_ref();
                match workspace.map(|one| one.read_investigation(&self.documents)) {
                    Some(Err(unread)) => {
                        generation.unread = unread;
                        generation.request_check(&self.documents, false);
                    }
                    _ => return Next::Reload,
                }
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                match generation.watch.take_change() {
                    None => {}
                    Some(BookChange::Chapters) if generation.jobs.is_some() => {
                        generation.request_check(&self.documents, true);
                    }
                    Some(_) => return Next::Reload,
                }
            }
        }
    }

    /// Handle a notification of the editor.
    fn handle_notification(
        &mut self,
        notice: Notification,
        generation: &mut Generation,
    ) -> Option<Next> {
        let taken = match notice.method.as_str() {
            Exit::METHOD => return Some(Next::Exit),
            DidOpenTextDocument::METHOD => {
                parse_params(notice).map(|params| self.open_document(params))
            }
            DidChangeTextDocument::METHOD => {
                parse_params(notice).map(|params| self.change_document(params))
            }
            DidCloseTextDocument::METHOD => {
                parse_params(notice).map(|params| self.close_document(params))
            }
            _ => return None,
        };
        let file = match taken {
            Ok(file) => file?,
            Err(error) => {
                let message = format!("cannot parse the editor's notification: {error}");
                self.log(MessageType::WARNING, message);
                return None;
            }
        };
        let Some(root) = &self.root else {
            let above = file.ancestors().skip(1);
            self.root = above
                .map(PathBuf::from)
                .find(|folder| folder.join("book.toml").is_file());
            return self.root.is_some().then_some(Next::Reload);
        };
        let investigation = generation.workspace.as_ref();
        let investigation = investigation.and_then(|one| one.investigation_file());
        if investigation.as_ref() == Some(&file) {
            generation.reload_at = Some(Instant::now() + PAUSE);
        } else if file.starts_with(root) {
            generation.request_check(&self.documents, false);
        } else {
            let message = format!(
                "{} is not part of the book in {}: start the editor in the folder of its own book",
                file.display(),
                root.display()
            );
            self.log(MessageType::INFO, message);
        }
        None
    }

    fn log(&self, kind: MessageType, message: String) {
        self.notify(LogMessage::METHOD, LogMessageParams { typ: kind, message });
    }

    fn open_document(&mut self, params: DidOpenTextDocumentParams) -> Option<PathBuf> {
        let document = params.text_document;
        let file = to_file(&document.uri)?;
        let document = Document {
            uri: document.uri,
            version: document.version,
            text: document.text.into(),
        };
        self.documents.set(file.clone(), document);
        Some(file)
    }

    fn change_document(&mut self, params: DidChangeTextDocumentParams) -> Option<PathBuf> {
        let file = to_file(&params.text_document.uri)?;
        let mut document = self.documents.get(&file)?.clone();
        for change in params.content_changes {
            let text = match change.range {
                None => change.text,
                // Nobody asked for parts, and they are understood.
                Some(range) => {
                    let start = position::offset(&document.text, range.start);
                    let end = position::offset(&document.text, range.end).max(start);
                    let mut whole = document.text.to_string();
                    whole.replace_range(start..end, &change.text);
                    whole
                }
            };
            document.text = text.into();
        }
        document.version = params.text_document.version;
        self.documents.set(file.clone(), document);
        Some(file)
    }

    fn close_document(&mut self, params: DidCloseTextDocumentParams) -> Option<PathBuf> {
        let file = to_file(&params.text_document.uri)?;
        self.documents.close(&file);
        Some(file)
    }

    /// Handle a request of the editor.
    fn handle_request(
        &mut self,
        request: Request,
        answers: Option<&mut BookAnswers<'_, '_, '_>>,
    ) -> Response {
        if self.is_shut_down {
            let message = "the server was shut down".to_owned();
            return Response::new_err(request.id, ErrorCode::InvalidRequest as i32, message);
        }
        if request.method == Shutdown::METHOD {
            self.is_shut_down = true;
            return Response::new_ok(request.id, ());
        }
        let documents = &self.documents;
        let Some((about, claims)) = answers else {
            return Response::new_ok(request.id, serde_json::Value::Null);
        };
        about.known.claims = Arc::clone(&claims.lock().unwrap_or_else(PoisonError::into_inner));
        match request.method.as_str() {
            Completion::METHOD => answer_request::<Completion>(request, |params| {
                let at = params.text_document_position;
                let items = about.complete(&at.text_document.uri, at.position, documents);
                Ok(Some(CompletionResponse::Array(items)))
            }),
            HoverRequest::METHOD => answer_request::<HoverRequest>(request, |params| {
                let at = params.text_document_position_params;
                Ok(about.hover(&at.text_document.uri, at.position, documents))
            }),
            GotoDefinition::METHOD => answer_request::<GotoDefinition>(request, |params| {
                let at = params.text_document_position_params;
                let places = about.definition(&at.text_document.uri, at.position, documents);
                Ok(Some(GotoDefinitionResponse::Array(places)))
            }),
            References::METHOD => answer_request::<References>(request, |params| {
                let at = params.text_document_position;
                Ok(Some(about.references(
                    &at.text_document.uri,
                    at.position,
                    documents,
                )))
            }),
            PrepareRenameRequest::METHOD => answer_request::<PrepareRenameRequest>(request, |at| {
                let prepared = about.prepare_rename(&at.text_document.uri, at.position, documents);
                prepared.map(Some)
            }),
            Rename::METHOD => answer_request::<Rename>(request, |params| {
                let at = params.text_document_position;
                let uri = &at.text_document.uri;
                let renamed = about.rename(uri, at.position, &params.new_name, documents);
                renamed.map(Some)
            }),
            other => {
                let message = format!("`{other}` is not served");
                Response::new_err(request.id, ErrorCode::MethodNotFound as i32, message)
            }
        }
    }
}

fn parse_params<T: DeserializeOwned>(notice: Notification) -> Result<T, serde_json::Error> {
    serde_json::from_value(notice.params)
}

/// Answer one request. A mistake of this program costs an answer, not the session.
fn answer_request<R: lsp_types::request::Request>(
    request: Request,
    work: impl FnOnce(R::Params) -> Result<R::Result, RenameError>,
) -> Response {
    let id = request.id;
    let params: R::Params = match serde_json::from_value(request.params) {
        Ok(params) => params,
        Err(error) => {
            let message = format!("the parameters of `{}` cannot be read: {error}", R::METHOD);
            return Response::new_err(id, ErrorCode::InvalidParams as i32, message);
        }
    };
    match catch_unwind(AssertUnwindSafe(|| work(params))) {
        Ok(Ok(result)) => Response::new_ok(id, result),
        Ok(Err(error)) => Response::new_err(id, ErrorCode::RequestFailed as i32, error.to_string()),
        Err(_) => {
            let message = format!("`{}` failed: this is a mistake of mdbook-qed", R::METHOD);
            Response::new_err(id, ErrorCode::InternalError as i32, message)
        }
    }
}
