//! The author's files: as an editor has them open, else from disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use lsp_types::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::util::files::read_text;

/// A document that an editor has open.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name in the protocol, as the editor writes it.
    pub uri: Uri,
    /// The number of its state.
    pub version: i32,
    /// Its text.
    pub text: Arc<str>,
}

/// The documents that an editor has open, by file.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    open: BTreeMap<PathBuf, Document>,
}

impl Documents {
    /// Take in a document, or another state of it.
    pub fn set(&mut self, file: PathBuf, document: Document) {
        self.open.insert(file, document);
    }

    /// Forget a document that was closed.
    pub fn close(&mut self, file: &Path) {
        self.open.remove(file);
    }

    /// The document of a file, if it is open.
    pub fn get(&self, file: &Path) -> Option<&Document> {
        self.open.get(file)
    }

    /// All of them with their files.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Document)> {
        self.open
            .iter()
            .map(|(file, document)| (file.as_path(), document))
    }

    /// The text of a file: that of its document, else that on disk; nothing if it cannot be read.
    pub fn text(&self, file: &Path) -> Option<String> {
        match self.get(&canonical_path(file)) {
            Some(document) => Some(document.text.to_string()),
            None => read_text(file).ok(),
        }
    }

    /// The name of a file in the protocol: the editor's own, where it has the file open.
    pub fn uri(&self, file: &Path) -> Option<Uri> {
        let file = canonical_path(file);
        match self.get(&file) {
            Some(document) => Some(document.uri.clone()),
            None => to_uri(&file),
        }
    }
}

/// The characters of a path that a URI holds as they are, besides letters and digits.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The file that a URI names; nothing if it names something else, such as a buffer that was never saved.
pub fn to_file(uri: &Uri) -> Option<PathBuf> {
    let path = uri.as_str().strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = percent_decode_str(path).decode_utf8().ok()?;
    // `file:///C:/x` is `C:/x`.
    let path = match path.as_bytes() {
        [b'/', drive, b':', ..] if cfg!(windows) && drive.is_ascii_alphabetic() => &path[1..],
        [b'/', ..] => &path[..],
        _ => return None,
    };
    Some(canonical_path(Path::new(path)))
}

/// The URI of a file.
fn to_uri(file: &Path) -> Option<Uri> {
    let path = file.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
    // Windows tells whole names as `\\?\C:\x`.
    let path = path.strip_prefix("//?/").unwrap_or(&path);
    let path = utf8_percent_encode(path.trim_start_matches('/'), PLAIN);
    Uri::from_str(&format!("file:///{path}")).ok()
}

/// The same file by the name that it has without links on the way to it and without `..`.
pub fn canonical_path(file: &Path) -> PathBuf {
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, file.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that names with spaces, percent signs and other letters come back as they were, and that what is no file is refused.
    #[test]
    fn uris() {
        for name in ["/nowhere/a b/ü%20.md", "/nowhere/c#d?.md"] {
            let uri = to_uri(Path::new(name)).unwrap();
            assert_eq!(to_file(&uri), Some(PathBuf::from(name)), "{}", uri.as_str());
        }
        let other = Uri::from_str("file:///nowhere/a%20b.md").unwrap();
        assert_eq!(to_file(&other), Some(PathBuf::from("/nowhere/a b.md")));
        for no_file in ["untitled:Untitled-1", "file://server/share/a.md"] {
            assert_eq!(to_file(&Uri::from_str(no_file).unwrap()), None, "{no_file}");
        }
    }

    /// Check that an open document wins over the file on disk, whatever leads to it, until it is closed.
    #[test]
    fn open_wins() {
        let folder = tempfile::tempdir().unwrap();
        let file = canonical_path(&folder.path().join("a.md"));
        std::fs::write(&file, "disk").unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        let around = folder.path().join("b/../a.md");
        let mut documents = Documents::default();
        assert_eq!(documents.text(&around).as_deref(), Some("disk"));
        let uri = to_uri(&file).unwrap();
        let document = Document {
            uri,
            version: 1,
            text: "open".into(),
        };
        documents.set(file.clone(), document);
        assert_eq!(documents.text(&around).as_deref(), Some("open"));
        documents.close(&file);
        assert_eq!(documents.text(&around).as_deref(), Some("disk"));
    }
}
