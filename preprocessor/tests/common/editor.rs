//! An editor that speaks the language server protocol as a script tells it to.
#![allow(dead_code, reason = "tests and benches use their own part")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest wait for anything, so that a server which says nothing fails a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// An editor with its server.
pub struct Editor {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    next_id: u64,
    /// The diagnostics that it shows, by the name of the document.
    pub shown: BTreeMap<String, Vec<Value>>,
    /// The texts of open documents, with their versions.
    texts: BTreeMap<PathBuf, (i64, String)>,
}

/// Read messages until the server ends.
fn read_all(output: impl Read, send: impl Fn(Value) -> bool) {
    let mut output = BufReader::new(output);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(number) = line.strip_prefix("Content-Length: ") {
                length = number.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        output.read_exact(&mut body).unwrap();
        if !send(serde_json::from_slice(&body).unwrap()) {
            return;
        }
    }
}

/// A file in the protocol.
pub fn uri(file: &Path) -> String {
    format!("file://{}", file.display())
}

impl Editor {
    /// Start the server for an editor whose folder is `folder`, if any.
    pub fn start(folder: Option<&Path>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .arg("lsp")
            .current_dir("/")
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let output = child.stdout.take().unwrap();
        std::thread::spawn(move || read_all(output, |message| sender.send(message).is_ok()));
        let mut editor = Editor {
            input: child.stdin.take(),
            child,
            messages,
            next_id: 0,
            shown: BTreeMap::new(),
            texts: BTreeMap::new(),
        };
        let root = folder.map(uri);
        let answer = editor.ask(
            "initialize",
            json!({ "processId": null, "rootUri": root, "capabilities": {} }),
        );
        assert!(
            answer["capabilities"]["hoverProvider"].as_bool().unwrap(),
            "{answer}"
        );
        editor.tell("initialized", json!({}));
        editor
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Send bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// Tell the server something.
    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Take in the next message.
    fn next(&mut self, until: Instant) -> Value {
        let left = until.saturating_duration_since(Instant::now());
        let message = self
            .messages
            .recv_timeout(left)
            .unwrap_or_else(|error| panic!("the server says nothing: {error}"));
        if message["method"] == "textDocument/publishDiagnostics" {
            let params = &message["params"];
            let name = params["uri"].as_str().unwrap().rsplit('/').next().unwrap();
            self.shown.insert(
                name.to_owned(),
                params["diagnostics"].as_array().unwrap().clone(),
            );
        }
        message
    }

    /// The whole response to a request.
    pub fn response(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.next(until);
            if message["id"] == id {
                return message;
            }
        }
    }

    /// The next error that answers no request by its name.
    pub fn next_error(&mut self) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.next(until);
            if message.get("error").is_some() {
                return message;
            }
        }
    }

    /// The answer to a request.
    ///
    /// # Panics
    /// If it is an error.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let response = self.response(method, params);
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].clone()
    }

    /// Wait until the diagnostics of a document are as they should be.
    ///
    /// # Panics
    /// If they never are.
    #[track_caller]
    pub fn wait(&mut self, name: &str, good: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(shown) = self.shown.get(name)
                && good(shown)
            {
                return shown.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{name}: {:?}", self.shown);
            self.next(until);
        }
    }

    /// Wait until each of these words stands in a message about a document.
    #[track_caller]
    pub fn wait_for(&mut self, name: &str, words: &str) -> Vec<Value> {
        self.wait(name, |shown| {
            shown
                .iter()
                .any(|one| one["message"].as_str().unwrap().contains(words))
        })
    }

    /// Open a file.
    pub fn open(&mut self, file: &Path) -> String {
        let text = std::fs::read_to_string(file).unwrap();
        self.texts.insert(file.to_owned(), (1, text.clone()));
        let document =
            json!({ "uri": uri(file), "languageId": "markdown", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        text
    }

    /// Change the text of an open file, as typing does.
    pub fn set(&mut self, file: &Path, text: &str) {
        let (version, known) = self.texts.get_mut(file).unwrap();
        *version += 1;
        *known = text.to_owned();
        let about = json!({ "uri": uri(file), "version": *version });
        self.tell(
            "textDocument/didChange",
            json!({ "textDocument": about, "contentChanges": [{ "text": text }] }),
        );
    }

    /// Close a file.
    pub fn close(&mut self, file: &Path) {
        self.texts.remove(file);
        self.tell(
            "textDocument/didClose",
            json!({ "textDocument": { "uri": uri(file) } }),
        );
    }

    /// The parameters of a request about the place right behind `words` in an open file.
    #[track_caller]
    pub fn behind(&self, file: &Path, words: &str) -> Value {
        let text = &self.texts[file].1;
        let at = text.find(words).unwrap_or_else(|| panic!("no {words:?}")) + words.len();
        let line = text[..at].matches('\n').count();
        let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let character = text[start..at].encode_utf16().count();
        json!({ "textDocument": { "uri": uri(file) }, "position": { "line": line, "character": character } })
    }

    /// The completions right behind `words`.
    #[track_caller]
    pub fn complete(&mut self, file: &Path, words: &str) -> Vec<Value> {
        let at = self.behind(file, words);
        let answer = self.ask("textDocument/completion", at);
        answer.as_array().cloned().unwrap_or_default()
    }

    /// The labels of that.
    #[track_caller]
    pub fn labels(&mut self, file: &Path, words: &str) -> Vec<String> {
        let items = self.complete(file, words);
        items
            .iter()
            .map(|item| item["label"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The hover text right behind `words`; empty if there is none.
    #[track_caller]
    pub fn hover(&mut self, file: &Path, words: &str) -> String {
        let at = self.behind(file, words);
        let answer = self.ask("textDocument/hover", at);
        answer["contents"]["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The text of an open file with these edits in it.
    pub fn edited(&self, file: &Path, edits: &[Value]) -> String {
        let mut text = self.texts[file].1.clone();
        let mut spans: Vec<(usize, usize, &str)> = Vec::new();
        for edit in edits {
            let byte = |at: &Value| {
                let line = at["line"].as_u64().unwrap() as usize;
                let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
                let units = at["character"].as_u64().unwrap() as usize;
                let mut seen = 0;
                let after = text[start..].char_indices().find(|(_, c)| {
                    let is_there = seen >= units;
                    seen += c.len_utf16();
                    is_there
                });
                after.map_or(text.len(), |(n, _)| start + n)
            };
            let (start, end) = (byte(&edit["range"]["start"]), byte(&edit["range"]["end"]));
            spans.push((start, end, edit["newText"].as_str().unwrap()));
        }
        spans.sort_unstable();
        for (start, end, new) in spans.into_iter().rev() {
            text.replace_range(start..end, new);
        }
        text
    }

    /// End the session as the protocol wants it; the exit status.
    pub fn end(mut self) -> Option<i32> {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        self.child.wait().unwrap().code()
    }

    /// Go away without a word; the exit status, and what the server said at last.
    pub fn vanish(mut self) -> (Option<i32>, String) {
        self.input = None;
        let status = self.child.wait().unwrap();
        let mut printed = String::new();
        let errors = self.child.stderr.take().unwrap();
        BufReader::new(errors).read_to_string(&mut printed).unwrap();
        (status.code(), printed)
    }
}
