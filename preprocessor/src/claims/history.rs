//! History entries for the captures that a book shows.

use std::collections::BTreeMap;

use qed_evidence::Value;
use qed_evidence::redact::is_redacted;

use crate::claims::collect::Claims;
use crate::evidence::book_data::BookData;
use crate::evidence::history::{History, PastCapture, extend_history};

/// The captures that a book shows now.
pub fn current_captures(book_data: &BookData<'_>, claims: &Claims) -> Vec<PastCapture> {
    book_data
        .evidence_set
        .loaded
        .iter()
        .enumerate()
        .map(|(index, loaded)| {
            let evidence = &loaded.evidence;
            let mut verdicts = BTreeMap::new();
            for judged in claims.iter() {
                let word = judged.judgements[index].verdict.name();
                *verdicts.entry(word.to_owned()).or_insert(0) += 1;
            }
            // The addresses of a live machine can be misused until its next boot, even if its owner accepts to show them now.
            let harmless = evidence.machine.ephemeral && !is_redacted(evidence);
            // The slide of a resumed guest is that of a boot which other captures are of, too: it would be drawn as several boots.
            let own_boot = evidence.machine.resumed.is_none();
            let slide = evidence.kaslr.slide.value().and_then(Value::as_integer);
            PastCapture {
                run: evidence.run.id.clone(),
                time: evidence.run.time.clone(),
                machine: loaded.machine.clone(),
                kernel: evidence.kernel.release.clone(),
                slide: slide
                    .filter(|_| harmless && own_boot)
                    .and_then(|s| i64::try_from(s).ok()),
                verdicts,
            }
        })
        .collect()
}

/// The history of a book: what was published before, and what it shows now.
pub fn record_captures(book_data: &BookData<'_>, claims: &Claims) -> History {
    extend_history(
        book_data.evidence_set.history.clone(),
        current_captures(book_data, claims),
    )
}
