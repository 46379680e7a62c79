//! The words that may stand in reasons of a live machine are those of the programs themselves.

use std::collections::BTreeSet;
use std::path::Path;

/// The file of the words.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/redact/words.txt");

/// The head of the list.
const HEAD: &str = "# Words in the texts of the evidence crate and of the collector: all that reasons are made of.\n\
# Made by `QED_WORDS=write cargo test -p qed-evidence --test integration words`.\n";

/// Words of the system's own messages, of those of a reader of JSON, and of what the kernel's list of probes says.
const SYSTEM: &str = "no such file or directory os error permission denied operation not permitted invalid argument \
    resource temporarily unavailable device or resource busy not supported cannot allocate memory too many open files \
    ftrace optimized disabled gone k r p \
    invalid type expected at line column missing field unknown variant duplicate value string integer number map \
    sequence boolean floating point length eof while parsing trailing characters control character found key must be a \
    recursion limit exceeded data did not match any of one or more less than greater";

/// Source files below `folder`, without those that hold nothing but tests.
fn sources(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "tests" {
            sources(&path, out);
        } else if name.ends_with(".rs") && !name.contains("test") {
            out.push(path);
        }
    }
}

/// The texts in quotes of a source file, up to its tests.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut out = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = if rest.starts_with("//") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if c == '\'' {
            // A character, or a lifetime, which has no second quote.
            let length = if after.starts_with('\\') { 2 } else { 1 };
            let mut behind = after.chars();
            behind.by_ref().take(length).for_each(drop);
            behind.as_str().strip_prefix('\'').unwrap_or(after)
        } else if c == '"' {
            let end = end_of_text(after);
            out.push(after[..end].to_owned());
            after.get(end + 1..).unwrap_or_default()
        } else {
            after
        };
    }
    out
}

/// The end of a text that has begun: at the next quote without a backslash.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn words() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("../collector/src"), &mut files);
    let texts = files
        .iter()
        .flat_map(|file| literals(&std::fs::read_to_string(file).expect("the source can be read")));
    texts
        .chain([SYSTEM.to_owned()])
        .flat_map(|text| {
            // What a placeholder is called is not text.
            let text = text.replace("\\n", " ").replace("\\\"", " ");
            text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
                .map(str::to_ascii_lowercase)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Check that each word in the programs' texts is in the list: a reason keeps all of its own words.
#[test]
fn all_words_are_listed() {
    let wanted = words();
    if std::env::var_os("QED_WORDS").is_some() {
        let lines: Vec<&str> = wanted.iter().map(String::as_str).collect();
        std::fs::write(LIST, format!("{HEAD}{}\n", lines.join("\n"))).expect("the list is written");
    }
    let list = std::fs::read_to_string(LIST).expect("the list can be read");
    let listed: BTreeSet<&str> = list.lines().collect();
    let missing: Vec<&String> = wanted
        .iter()
        .filter(|w| !listed.contains(w.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "words of the programs' texts are not in src/redact/words.txt, and would be withheld from reasons of a live \
         machine: {missing:?}; read them (a word that could name a machine or a user does not belong there), then \
         write the list: QED_WORDS=write cargo test -p qed-evidence --test integration words"
    );
}
