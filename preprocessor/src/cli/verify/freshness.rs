//! Comparison of a site's evidence, and of its record of a sweep, with the present state.

use std::path::Path;

use qed_evidence::Evidence;

use crate::evidence::locations::Origin;
use crate::evidence::verdict_files::PublishedClaim;
use crate::mdbook::load;
use crate::publish::freshness::{self, LocalBook};
use crate::publish::site_reader::{read_document, read_investigation, read_sweep};
use crate::publish::source::{BOOK, BookRecord};
use crate::publish::values::SiteFindings;
use crate::util::files::SiteFile;
use crate::util::parallel::Parallelism;

/// Compare the evidence with the published investigation, and with the local versions of the programs that were run. Only the
/// owner has raw evidence, and the machine that captured it. The record of a sweep is compared likewise.
pub fn compare(
    files: &[SiteFile],
    (published, claims): (&[Evidence], &[PublishedClaim]),
    raw: Option<&[Evidence]>,
    book: Option<&Path>,
    found: &mut SiteFindings,
) {
    // Missing ones are reported when the pages are made again.
    let mut reported = Vec::new();
    let record: Option<BookRecord> = read_document(files, BOOK, &mut reported);
    let (Some(record), Some((_, investigation))) = (record, read_investigation(files)) else {
        return;
    };
    let (evidence, origin) = match raw {
        Some(raw) => (raw, Origin::Captured),
        None => (published, Origin::Recorded),
    };
    let time = jiff::Timestamp::now();
    // A book that cannot be loaded is reported when its sources are compared.
    let loaded = book.and_then(|root| {
        let loaded = load::load(root, Parallelism::default()).ok()?;
        Some((root, loaded))
    });
    let book = loaded.as_ref().map(|(root, book)| LocalBook {
        root,
        config: &book.config,
    });
    let compared = freshness::verify(&record, evidence, &investigation, origin, time, book);
    found.wrong.extend(compared.wrong);
    found.notes.extend(compared.notes);
    if let Some(sweep) = read_sweep(files, &mut reported) {
        let published = (&investigation, claims);
        let compared = freshness::verify_sweep(&record, &sweep, published, time, book);
        found.wrong.extend(compared.wrong);
        found.notes.extend(compared.notes);
    }
}
