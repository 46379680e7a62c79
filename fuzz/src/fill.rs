//! Arbitrary chapters: filling never panics; what stands between placeholders stays; without a placeholder all stays;
//! and Markdown makes of a filled chapter what it would make of one whose author had typed the values.
//!
//! Two bytes that no chapter holds stand for placeholders of a known value, so that few bytes make many of them.
#![no_main]

#[path = "../../preprocessor/tests/common/filled.rs"]
mod filled;

use std::sync::LazyLock;

use filled::{PLACEHOLDER, QUOTED, VALUE, by_hand, skeleton, unescaped, without_sources};
use libfuzzer_sys::fuzz_target;
use mdbook_qed::config::{self, Config};
use mdbook_qed::evidence::book_data::BookData;
use mdbook_qed::evidence::loader::{EvidenceSet, MachineEvidence};
use mdbook_qed::evidence::locations::Origin;
use mdbook_qed::exhibits::block::Target;
use mdbook_qed::markdown::chapter::Chapter;
use mdbook_qed::markdown::dialect::Markdown;
use mdbook_qed::render::book::fill_all;
use qed_evidence::{Datum, Value};
use qed_fuzz::{INVESTIGATION, SAMPLE, abort_on_panic, assert_renderable, restore_panic_hook};

/// The settings and the evidence of a book whose workload said [`VALUE`]. Only one thread looks at it.
struct Book(Config, EvidenceSet);

/// SAFETY: libFuzzer runs a target in one thread; the cell in the book's templates is never shared.
unsafe impl Sync for Book {}
/// SAFETY: as above.
unsafe impl Send for Book {}

static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let mut evidence = SAMPLE.clone();
    let machine = evidence.machine.name.clone();
    if let Some(create) = evidence.experiments.get_mut("create") {
        create.outcome.stdout = Datum::Value(Value::text(VALUE));
    }
    let table = serde_json::json!({ "machines": [&machine, "guest:test-1"] });
    let config = config::reader::read(&table, None).unwrap_or_else(|error| panic!("{error}"));
    let loaded = MachineEvidence {
        file: "evidence.json".into(),
        machine,
        evidence,
        raw: None.into(),
        verdicts: None,
        origin: Origin::Captured,
        stale: vec![],
        age_s: Some(0),
        digest: None,
        not_compared: Vec::new(),
    };
    let evidence_set = EvidenceSet {
        loaded: vec![loaded],
        absent: vec![("guest:test-1".into(), "there is no evidence of it".into())],
        ..EvidenceSet::new(INVESTIGATION.clone())
    };
    Book(config, evidence_set)
});

fuzz_target!(init: restore_panic_hook(), |text: &str| abort_on_panic(|| fuzz_fill(text)));

fn fuzz_fill(text: &str) {
    let text = text
        .replace('\u{1}', PLACEHOLDER)
        .replace('\u{2}', QUOTED)
        .replace("guest:test-1", &BOOK.1.loaded[0].machine);
    let Book(config, evidence_set) = &*BOOK;
    let book_data = BookData::new(config, evidence_set);
    for target in [Target::Html, Target::Text] {
        let chapters = [
            Chapter::parse("one.md", &text, Markdown::default()),
            Chapter::parse("two.md", PLACEHOLDER, Markdown::default()),
        ];
        let outcome = fill_all(&chapters, &book_data, target);
        if !outcome.report.problems.is_empty() {
            assert_renderable(&outcome.report.problems);
        }
        let filled = &outcome.texts[0];
        let chapter = &chapters[0];
        if !chapter.is_live() && chapter.escapes.is_empty() {
            assert_eq!(*filled, text);
        }
        // Markup like ours could not be told from it.
        if ["span", "qed-page", "data-qed"]
            .iter()
            .any(|ours| text.contains(ours))
        {
            continue;
        }
        assert_rest_kept(chapter, filled);
        let known = chapter.blocks.is_empty()
            && chapter.placeholders.iter().all(|placeholder| {
                let written = &text[placeholder.range.clone()];
                placeholder.path.as_str() == "create.outcome.stdout" && !written.contains("width")
            });
        // How long a scheme is decides whether a link is one; a value is not a scheme.
        if target == Target::Html
            && known
            && !outcome.report.has_errors()
            && !text.contains("<{{qed ")
        {
            let rest = without_sources(filled);
            assert_eq!(skeleton(&rest), skeleton(&by_hand(&text)), "{rest}");
        }
    }
}

/// Every piece between what is replaced is in the filled chapter, in order.
fn assert_rest_kept(chapter: &Chapter, filled: &str) {
    let text = chapter.source.text.as_str();
    let filled = &filled::without(filled, "<span class=\"qed", ">").replace("</span>", "");
    let escapes = chapter.escapes.iter().map(|at| *at..*at + 1);
    let mut replaced: Vec<_> = chapter
        .placeholder_ranges()
        .into_iter()
        .chain(chapter.blocks.iter().map(|block| block.range.clone()))
        .chain(escapes)
        .collect();
    replaced.sort_by_key(|range| (range.start, range.end));
    let (mut at, mut seen) = (0, 0);
    let mut stands = |piece: &str| {
        // The page's sources are put behind the first heading, which a piece may reach beyond.
        for line in piece.split_inclusive(['\n', '\r']) {
            let line = line.trim_end();
            let found = filled[seen..].find(line);
            seen += found.unwrap_or_else(|| panic!("{line:?} is gone: {filled}")) + line.len();
        }
    };
    for range in replaced {
        if range.start >= at {
            stands(&text[at..range.start]);
        }
        at = at.max(range.end);
    }
    stands(&text[at..]);
    if chapter.blocks.is_empty() && chapter.placeholders.is_empty() && chapter.problems.is_empty() {
        let literals = "<div hidden data-qed-literals=";
        let rest = filled::without(filled, literals, "</div>\n\n");
        assert_eq!(rest, unescaped(text));
    }
}
