//! The server: one book for one editor, over standard input and output.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lsp_server::{Connection, Message, Notification, ProtocolError};
use lsp_types::notification::{Notification as _, PublishDiagnostics};
use lsp_types::{InitializeParams, Uri};
use qed_evidence::diagnostic::Diagnostic;
use qed_evidence::investigation::Investigation;
use thiserror::Error;

use crate::config::{BookPaths, Config};
use crate::evidence::book_data::BookData;
use crate::evidence::cache::DerivedCache;
use crate::evidence::freshness::LocalMachine;
use crate::evidence::loader::{Ahead, EvidenceSet, load_for_investigation};
use crate::lsp::answers::RequestHandler;
use crate::lsp::book_index::{BookIndex, Explanations};
use crate::lsp::capabilities::server_capabilities;
use crate::lsp::diagnose::{CheckJob, CheckOutcome, Checker};
use crate::lsp::files::{canonical_path, to_file};
use crate::lsp::publish::PublishedFiles;
use crate::lsp::session::{EditorSession, Generation, Next};
use crate::lsp::stdio;
use crate::lsp::watch::Watch;
use crate::lsp::workspace::{Workspace, broken_book_paths};
use crate::mdbook::load::{self, LoadedBook};
use crate::util::parallel::Parallelism;

/// The least number of chapters or claims for which all processors are used: who types waits for one of them.
const PARALLEL_FROM: usize = 256;

/// The longest pause between two keys that belong together.
const PAUSE: Duration = Duration::from_millis(120);

/// A session that did not end as the protocol wants it.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The editor did not begin as the protocol wants it.
    #[error("the editor does not speak the language server protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// A message from the editor cannot be read.
    #[error("a message from the editor cannot be read: {0}")]
    Message(#[from] std::io::Error),
    /// The editor asked for the end without having announced it.
    #[error("the editor went away without saying `shutdown`")]
    NotShutDown,
}

/// Serve the editor at standard input and output, until it says `exit`. The book is that in `root`, else that of the editor's
/// folder, else that of the first document.
///
/// # Errors
/// A session that does not follow the protocol.
pub fn run(root: Option<PathBuf>) -> Result<(), ServerError> {
    let (connection, threads) = stdio::connect();
    let served = serve(&connection, root);
    drop(connection);
    match served {
        // The thread that reads waits for a message of an editor that is still there.
        Err(error) if !error.channel_is_disconnected() => Err(error.into()),
        served => {
            threads.join()?;
            match served? {
                true => Ok(()),
                false => Err(ServerError::NotShutDown),
            }
        }
    }
}

/// Serve one editor; true if it announced its end.
fn serve(connection: &Connection, root: Option<PathBuf>) -> Result<bool, ProtocolError> {
    let (id, params) = connection.initialize_start()?;
    let params: InitializeParams = serde_json::from_value(params).unwrap_or_default();
    let about = serde_json::json!({
        "capabilities": server_capabilities(),
        "serverInfo": { "name": "mdbook-qed", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, about)?;
    let mut session = EditorSession::new(connection);
    session.root = root
        .or_else(|| workspace_folder(&params))
        .map(|root| canonical_folder(&root));
    let published = Mutex::new(PublishedFiles::default());
    let mut last = None;
    loop {
        let next = match session.root.clone() {
            None => session.serve(None, Generation::without_book(Watch::nothing())),
            Some(root) => serve_book(&mut session, &root, &published, &mut last),
        };
        if next == Next::Exit {
            return Ok(session.is_shut_down);
        }
    }
}

/// The folder of the book by its whole name.
fn canonical_folder(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_owned())
}

/// The first folder of the editor that holds a book.
#[allow(
    deprecated,
    reason = "an editor may know no other way to name its folder"
)]
fn workspace_folder(params: &InitializeParams) -> Option<PathBuf> {
    let folders = params.workspace_folders.iter().flatten();
    let uris: Vec<&Uri> = folders
        .map(|folder| &folder.uri)
        .chain(&params.root_uri)
        .collect();
    let folders = uris.into_iter().filter_map(to_file);
    folders
        .map(|folder| canonical_path(&folder))
        .find(|folder| folder.join("book.toml").is_file())
}

/// Serve with the current state of the book in `root`, until it has to be reloaded. `last` is the last investigation that
/// could be parsed.
fn serve_book(
    session: &mut EditorSession<'_>,
    root: &Path,
    published: &Mutex<PublishedFiles>,
    last: &mut Option<Investigation>,
) -> Next {
    let publish = |session: &EditorSession<'_>, problems: &[Diagnostic], paths: &BookPaths| {
        let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
        for params in published.replace(problems, &[], paths, &session.documents) {
            session.notify(PublishDiagnostics::METHOD, params);
        }
    };
    // Recorded before the files are read, so that a change during reading is noticed.
    let paths = broken_book_paths(root);
    let mut before = Watch::for_broken_book(&paths);
    let book = match load::load(root, Parallelism::from_items(PARALLEL_FROM)) {
        Ok(book) => book,
        Err(problem) => {
            publish(session, &[problem], &paths);
            return session.serve(None, Generation::without_book(before));
        }
    };
    let workspace = Workspace::new(&book);
    let config = book.config.clone();
    let watch = Watch::new(&workspace.paths, &config);
    if before.take_change().is_some() {
        return Next::Reload;
    }
    let mut generation = Generation::new(watch, workspace.clone(), Vec::new());
    let evidence_set = load_evidence(session, &workspace, &config, last, &mut generation);
    let book_data = BookData::new(&config, &evidence_set);
    let about = CheckInput {
        book,
        workspace: &workspace,
        book_data: &book_data,
        published,
    };
    serve_with_checks(session, about, generation)
}

/// The evidence of a book as far as it can be used. What is wrong with it and with the investigation is noted in `generation`.
fn load_evidence(
    session: &EditorSession<'_>,
    workspace: &Workspace,
    config: &Config,
    last: &mut Option<Investigation>,
    generation: &mut Generation,
) -> EvidenceSet {
    let investigation = match workspace.read_investigation(&session.documents) {
        Ok(investigation) => {
            *last = Some(investigation.clone());
            investigation
        }
        Err(wrong) => {
            generation.unread = wrong;
            // While it cannot be parsed, answers use its last valid version.
            last.clone().unwrap_or_else(empty_investigation)
        }
    };
    let here = LocalMachine::read();
    let paths = &workspace.paths;
    let (ahead, cache) = (Ahead::new(), DerivedCache::default());
    let loaded = load_for_investigation(investigation.clone(), paths, config, &here, ahead, cache);
    loaded.unwrap_or_else(|wrong| {
        generation.problems = wrong;
        EvidenceSet::new(investigation)
    })
}

/// An investigation that plans nothing.
fn empty_investigation() -> Investigation {
    Investigation {
        source: Arc::new(qed_evidence::diagnostic::SourceText {
            name: String::new(),
            text: String::new(),
        }),
        digest: String::new(),
        symbols: Vec::new(),
        config: Vec::new(),
        facts: qed_evidence::investigation::FactNames::default(),
        boots: 0,
        setup: Vec::new(),
        setup_programs: Vec::new(),
        commands: Vec::new(),
        experiments: Vec::new(),
    }
}

/// A book and its evidence, to be checked while requests are answered.
struct CheckInput<'s, 'a> {
    book: LoadedBook,
    workspace: &'s Workspace,
    book_data: &'s BookData<'a>,
    published: &'s Mutex<PublishedFiles>,
}

/// Serves, and checks the book beside that whenever a document changes.
fn serve_with_checks(
    session: &mut EditorSession<'_>,
    about: CheckInput<'_, '_>,
    generation: Generation,
) -> Next {
    let claims: Mutex<Arc<Explanations>> = Mutex::default();
    let connection = session.connection();
    let (jobs, todo) = channel();
    let CheckInput {
        book,
        workspace,
        book_data,
        published,
    } = about;
    let checker = Checker::new(book, workspace.clone(), book_data);
    let tell = |findings: CheckOutcome, job: &CheckJob| {
        *claims.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(findings.claims);
        let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
        let (problems, gaps) = (&findings.problems, &findings.gaps);
        for params in published.replace(problems, gaps, &workspace.paths, &job.documents) {
            let notification = Notification::new(PublishDiagnostics::METHOD.to_owned(), params);
            // An editor that has gone away needs no diagnostics.
            let _ = connection.sender.send(Message::Notification(notification));
        }
    };
    std::thread::scope(|scope| {
        let tell = &tell;
        scope.spawn(move || run_checks(checker, &todo, tell));
        let mut generation = generation;
        generation.jobs = Some(jobs);
        generation.request_check(&session.documents, false);
        let answerer = RequestHandler::new(BookIndex::new(book_data), workspace);
        session.serve(Some((answerer, &claims)), generation)
    })
}

/// Run one check for all jobs that arrive without a pause between them, until all senders are gone.
fn run_checks(
    mut checker: Checker<'_, '_>,
    todo: &Receiver<CheckJob>,
    tell: &dyn Fn(CheckOutcome, &CheckJob),
) {
    while let Ok(mut job) = todo.recv() {
        while let Ok(next) = todo.recv_timeout(PAUSE) {
            let reread = job.reread || next.reread;
            job = CheckJob { reread, ..next };
        }
        let findings = checker.check(&job);
        tell(findings, &job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that nothing is planned by the stand-in for an investigation that was never read.
    #[test]
    fn stand_in() {
        let set = EvidenceSet::new(empty_investigation());
        let config = Config::lenient();
        let book_data = BookData::new(&config, &set);
        let known = BookIndex::new(&book_data);
        assert!(
            known
                .children("")
                .keys()
                .all(|name| qed_evidence::path::SECTIONS.contains(&name.as_str()))
        );
    }
}
