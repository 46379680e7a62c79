//! Shared by the fuzz targets: a small book's worth of evidence, and the report of a panic.
//!
//! A target hands arbitrary bytes to code that reads what strangers wrote, and asserts what must be true of whatever
//! comes out. `make fuzz` runs each for a bounded time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use qed_evidence::Evidence;
use qed_evidence::claim::{Claim, SourceMap};
use qed_evidence::diagnostic::{Diagnostic, SourceText};
use qed_evidence::investigation::{self, Investigation};
use qed_evidence::reader;

/// The evidence of [`sample`], as text.
pub const EVIDENCE: &str = include_str!("../../evidence/testdata/two-experiments.json");

/// The sample evidence of the unit tests of the evidence crate.
pub static SAMPLE: LazyLock<Evidence> = LazyLock::new(|| {
    reader::read(EVIDENCE.as_bytes()).unwrap_or_else(|error| panic!("the sample: {error}"))
});

/// The investigation of [`SAMPLE`].
pub static INVESTIGATION: LazyLock<Investigation> = LazyLock::new(|| {
    let text = include_str!("../../evidence/testdata/two-experiments.toml");
    investigation::parse("two-experiments.toml", text).unwrap_or_else(|errors| panic!("{errors:?}"))
});

/// Run a test; one that panics ends the process, which is what libFuzzer takes for a crash. A panic that the code under
/// test catches itself (the foreign parser of claims) is its own affair.
pub fn abort_on_panic(test: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(test)).is_err() {
        std::process::abort();
    }
}

/// To be called once at the start of a target: libFuzzer's binding would take every panic for a crash, also one that is
/// caught. The message is printed as usual.
pub fn restore_panic_hook() {
    drop(std::panic::take_hook());
}

/// Assert that messages can be shown: their places are in the file, and they say something.
pub fn assert_renderable(errors: &[Diagnostic]) {
    assert!(!errors.is_empty());
    for error in errors {
        assert!(!error.message.is_empty());
        if let Some((source, range)) = &error.place {
            assert!(range.start <= range.end && range.end <= source.text.len());
            assert!(source.text.is_char_boundary(range.start));
        }
        error.render(false);
    }
}

/// A claim whose text is a chapter of its own.
pub fn parse_claim(text: &str, when: Option<&str>) -> Result<Claim, Vec<Diagnostic>> {
    let place = |text: &str| {
        let source = SourceText {
            name: "chapter.md".into(),
            text: text.into(),
        };
        SourceMap::new(source.into(), 0)
    };
    Claim::parse(
        "a_claim",
        text,
        place(text),
        when.map(|when| (when, place(when))),
    )
}
