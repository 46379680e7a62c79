//! Comparison of a site's record of a sweep with the sweep's evidence, where that is at hand.

use std::path::Path;

use crate::config::Addresses;
use crate::evidence::locations::SWEPT;
use crate::evidence::verdict_files::PublishedClaim;
use crate::publish::regenerate::read_published_mentions;
use crate::publish::site_reader::{read_evidence_folder, read_investigation, read_sweep};
use crate::publish::sweep::{SweepSources, compare_with_evidence};
use crate::publish::values::SiteFindings;
use crate::util::files::SiteFile;

/// Compare the record with the evidence in the folder of sweeps inside `raw`, the folder of raw evidence, if there is one.
pub fn check(
    files: &[SiteFile],
    claims: &[PublishedClaim],
    addresses: Addresses,
    raw: Option<&Path>,
    found: &mut SiteFindings,
) {
    // A record that is refused is reported when the pages are made again, and so is an investigation.
    let record = read_sweep(files, &mut Vec::new());
    let (Some(record), Some((_, investigation))) = (record, read_investigation(files)) else {
        return;
    };
    let name = Path::new(SWEPT).file_name().unwrap_or_default();
    let folder = raw.map(|folder| folder.join(name));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        found.notes.push(
            "the verdicts of the sweep rest on the word of who made it; --evidence FOLDER judges them again where \
             FOLDER/sweep has its evidence"
                .into(),
        );
        return;
    };
    let evidence = match read_evidence_folder(&folder) {
        Ok(evidence) => evidence,
        Err(error) => {
            found.wrong.push(error.to_string());
            return;
        }
    };
    let sources = SweepSources {
        evidence: &evidence,
        addresses,
        investigation: &investigation,
        claims,
        book_mentions: &read_published_mentions(files, claims),
    };
    match compare_with_evidence(&record, &sources) {
        Ok(compared) => {
            found.wrong.extend(compared.wrong);
            found.notes.extend(compared.notes);
        }
        Err(error) => found
            .wrong
            .push(format!("the evidence of the sweep: {error}")),
    }
}
