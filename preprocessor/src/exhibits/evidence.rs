//! The whole evidence of a machine: every path with its value, folded by experiment, and the document itself for download, if
//! its addresses may be published.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use qed_evidence::path::SECTIONS;
use qed_evidence::path_index::{Leaf, Leaves};
use serde::Serialize;

use crate::config::evidence_file_name;
use crate::evidence::book_data::BookData;
use crate::evidence::machine_id::MachineId;
use crate::exhibits::block::{RenderedBlock, Target};
use crate::exhibits::request::{ExhibitRequest, caption};
use crate::markdown::escape::escape_invisible;
use crate::markdown::syntax::SyntaxError;

#[derive(Serialize)]
struct Group {
    title: String,
    text: String,
}

#[derive(Serialize)]
struct Download {
    /// `guest-debian-6.1.json.gz`.
    name: String,
    /// The file itself, as a `data:` URL: a page is all that a book's build can make.
    url: String,
    size: String,
}

#[derive(Serialize)]
struct EvidenceView {
    caption: String,
    groups: Vec<Group>,
    download: Option<Download>,
    withheld: Option<String>,
}

/// The leaves by their first name, without those that `hit1` shows a second time.
fn group_leaves<'l>(leaves: &'l Leaves<'_>) -> Vec<(&'l str, Vec<(&'l str, &'l Leaf<'l>)>)> {
    let mut out: Vec<(&str, Vec<(&str, &Leaf<'_>)>)> = Vec::new();
    for (path, leaf) in leaves.iter() {
        if path.contains(".hit1.") && leaves.contains(&path.replace(".hit1.", ".")) {
            continue;
        }
        let first = path.split('.').next().unwrap_or_default();
        match out.last_mut() {
            Some((name, list)) if *name == first => list.push((path, leaf)),
            _ => out.push((first, vec![(path, leaf)])),
        }
    }
    // What is about the whole capture comes before the experiments.
    out.sort_by_key(|(name, _)| !SECTIONS.contains(name));
    out
}

/// A document that cannot be offered for download.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    #[error("it could not be packed: {0}")]
    Packing(#[from] std::io::Error),
}

/// The document, packed.
fn pack_download(evidence: &qed_evidence::Evidence) -> Result<Download, DownloadError> {
    let text = qed_evidence::reader::write(evidence)?;
    // Packing well takes longer than all the rest of a page, at every build.
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = packer
        .write_all(text.as_bytes())
        .and_then(|()| packer.finish());
    let packed = packed?;
    Ok(Download {
        name: format!("{}.gz", evidence_file_name(&evidence.machine.name)),
        size: format!("{} bytes, {} unpacked", packed.len(), text.len()),
        url: format!("data:application/gzip;base64,{}", STANDARD.encode(packed)),
    })
}

/// All values as text, by experiment.
fn list_groups(leaves: &Leaves<'_>) -> Vec<Group> {
    group_leaves(leaves)
        .into_iter()
        .map(|(name, leaves)| {
            let width = leaves.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
            let lines: Vec<String> = leaves
                .iter()
                .map(|(path, leaf)| {
                    let text = match (leaf.datum.value(), &*leaf.datum) {
                        (Some(value), _) => value.to_string(),
                        (None, qed_evidence::value::Datum::Missing(why)) => {
                            format!("unavailable: {}", why)
                        }
                        (None, qed_evidence::value::Datum::Value(_)) => String::new(),
                    };
                    format!("{path:<width$}  {}", escape_invisible(&text))
                })
                .collect();
            Group {
                title: format!("{name}: {} values", lines.len()),
                text: lines.join("\n"),
            }
        })
        .collect()
}

/// Render the exhibit.
pub fn render(request: &ExhibitRequest<'_, '_>) -> Result<RenderedBlock, SyntaxError> {
    let book_data = request.book_data;
    let machine = request
        .machine()?
        .unwrap_or_else(|| book_data.default_machine("run"));
    let loaded = book_data.machine(machine);
    if request.target == Target::Nothing && !book_data.evidence_set.templates.has_own("evidence") {
        return Ok(RenderedBlock {
            machines: vec![machine],
            ..RenderedBlock::default()
        });
    }
    let caption = caption(book_data, machine, "All that was captured");
    // All that it is made of. The template of a book can go wrong, which has to be said each time.
    let shown = format!(
        "{:?}, hidden: {}",
        request.target,
        book_data.hides_addresses(machine)
    );
    let inputs = loaded.digest.as_ref().map(|sum| {
        [
            b"exhibit evidence",
            sum.as_slice(),
            book_data.evidence_set.investigation.digest.as_bytes(),
            shown.as_bytes(),
            caption.as_bytes(),
        ]
    });
    let inputs = inputs.filter(|_| !book_data.evidence_set.templates.has_own("evidence"));
    let earlier = inputs.and_then(|inputs| book_data.evidence_set.cache.get(&inputs));
    let written = match earlier.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(written) => written,
        None => {
            let data = machine_view(book_data, machine, caption.clone());
            let written = match request.target {
                Target::Html => book_data.evidence_set.templates.render("evidence", &data),
                Target::Text | Target::Nothing => render_text(&data),
            };
            if let Some(inputs) = inputs {
                book_data
                    .evidence_set
                    .cache
                    .put(&inputs, written.as_bytes());
            }
            written
        }
    };
    let (html, text) = match request.target {
        Target::Html => (written, String::new()),
        Target::Text | Target::Nothing => (String::new(), written),
    };
    Ok(RenderedBlock {
        html,
        text,
        machines: vec![machine],
        ..RenderedBlock::default()
    })
}

/// The part of the exhibit for one machine.
fn machine_view(book_data: &BookData<'_>, machine: MachineId, caption: String) -> EvidenceView {
    let loaded = book_data.machine(machine);
    let leaves = &book_data.path_index(machine).leaves;
    let hidden = book_data.hides_addresses(machine);
    // Packing takes as long as writing all values out, so both are done at once.
    let (groups, packed) = std::thread::scope(|scope| {
        let packing = (!hidden).then(|| scope.spawn(|| pack_download(&loaded.evidence)));
        let groups = list_groups(leaves);
        (groups, packing.map(crate::util::parallel::join_thread))
    });
    let (download, withheld) = match packed {
        None => {
            let why = format!(
                "The document itself is not published: it holds addresses of {}, which is a live machine, and one of \
                 them would tell where its kernel is until it is booted again. The values above have stand-ins in \
                 their place.",
                loaded.machine
            );
            (None, Some(why))
        }
        Some(Ok(download)) => (Some(download), None),
        Some(Err(why)) => (
            None,
            Some(format!("The document cannot be downloaded: {why}.")),
        ),
    };
    EvidenceView {
        caption,
        groups,
        download,
        withheld,
    }
}

/// The same without markup; there is no download.
fn render_text(data: &EvidenceView) -> String {
    let mut text = data.caption.clone();
    for group in &data.groups {
        text.push_str(&format!("\n\n{}\n{}", group.title, group.text));
    }
    if let Some(withheld) = &data.withheld {
        text.push_str(&format!("\n\n{withheld}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::path_index::Drift;
    use qed_evidence::value::{Datum, Value};
    use std::borrow::Cow;

    /// Check that sections come first, and that a value which two paths name stands there once.
    #[test]
    fn groups_leaves() {
        let leaf = || Leaf {
            datum: Cow::Owned(Datum::Value(Value::int(1))),
            drift: Drift::Invariant,
        };
        let names = [
            "create.p.order",
            "create.p.hit1.order",
            "create.q.hit1.order",
            "run.id",
            "kaslr.slide",
        ];
        let leaves: Leaves<'_> = names
            .iter()
            .map(|name| ((*name).to_owned(), leaf()))
            .collect();
        let groups = group_leaves(&leaves);
        let names: Vec<(&str, usize)> = groups
            .iter()
            .map(|(name, list)| (*name, list.len()))
            .collect();
        assert_eq!(names, [("kaslr", 1), ("run", 1), ("create", 2)]);
    }
}
