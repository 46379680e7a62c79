//! The markup of values in pages, by the template `value`.

use serde::Serialize;

use crate::evidence::book_data::BookData;
use crate::evidence::format;
use crate::evidence::provenance::Use;
use crate::exhibits::block::GAPS;

/// The markup of a value, whose text is `line`, already made harmless for its place.
pub fn render_value(book_data: &BookData<'_>, used: &Use, line: &str, in_link: bool) -> String {
    let machine = used.machine_name(book_data);
    let marked = ValueView {
        whole: format::is_whole(line),
        missing: GAPS.iter().any(|word| used.note.starts_with(word)),
        stale: used.is_stale(book_data),
        in_link,
        path: Some(&used.path),
        machine: Some(&machine),
        style: used.style.as_deref(),
        provenance: &used.provenance(book_data),
        text: line,
    };
    book_data.evidence_set.templates.render("value", &marked)
}

/// The markup before and after a code span that shows values.
pub fn code_span_markup(book_data: &BookData<'_>, uses: &[Use], in_link: bool) -> (String, String) {
    /// A mark for the code; a word that no escaping changes.
    const CODE: &str = "QedCodeStandsHere";
    let provenance: Vec<String> = uses.iter().map(|u| u.provenance(book_data)).collect();
    let marked = ValueView {
        whole: false,
        missing: false,
        stale: uses.iter().any(|used| used.is_stale(book_data)),
        in_link,
        path: None,
        machine: None,
        style: None,
        provenance: &provenance.join("\n"),
        text: CODE,
    };
    let html = book_data.evidence_set.templates.render("value", &marked);
    match html.split_once(CODE) {
        Some((open, close)) => (open.to_owned(), close.to_owned()),
        // A template of the book's own that shows no text puts its mark before the code.
        None => (html, String::new()),
    }
}

/// The data of the template of a value. The path, machine and format are there for `verify`; a code span, which can
/// hold several values, has none.
#[derive(Serialize)]
struct ValueView<'a> {
    whole: bool,
    missing: bool,
    stale: bool,
    in_link: bool,
    path: Option<&'a str>,
    machine: Option<&'a str>,
    style: Option<&'a str>,
    provenance: &'a str,
    text: &'a str,
}
