//! Removal of details of the collecting machine from evidence: folders that its user has chosen, and names.

use std::path::Path;

use qed_evidence::Evidence;
use qed_evidence::document::{Missing, SymbolPlaces};
use qed_evidence::value::{Datum, Value};

use super::commands::{NotKeptReason, holds_word, words_in_image};

/// Folders that every machine has.
const USUAL: &[&str] = &["/boot", "/dev", "/lib", "/proc", "/sys", "/usr"];

/// Remove private texts from each reason that was composed outside the captured machine: why there are no source lines, why a
/// source of the slide gives none, why a guest was not run with KVM.
pub fn sanitize(evidence: &mut Evidence, private: &[String]) {
    let kaslr = &mut evidence.kaslr;
    let symbols = kaslr.symbols.values_mut();
    let places = symbols.flat_map(
        |SymbolPlaces {
             live,
             static_address,
             slide,
         }| [live, static_address, slide],
    );
    let single = [
        &mut kaslr.status,
        &mut kaslr.slide,
        &mut kaslr.agree,
        &mut kaslr.checked,
        &mut kaslr.differing,
        &mut kaslr.physical_start,
        &mut kaslr.physical_align,
        &mut kaslr.live_physical_start,
        &mut evidence.kernel.debuginfo,
        &mut evidence.kernel.build_id,
    ];
    let readings = kaslr.readings.iter_mut().map(|reading| &mut reading.text);
    let commands = evidence.commands.values_mut();
    let commands = commands.flat_map(|command| {
        [&mut command.exit, &mut command.output]
            .into_iter()
            .chain(command.values.values_mut())
    });
    for datum in single
        .into_iter()
        .chain(kaslr.sources.values_mut())
        .chain(places)
        .chain(readings)
        .chain(evidence.kernel.config.values_mut())
        .chain(commands)
    {
        if let Datum::Missing(Missing::Unavailable(why)) = datum {
            *why = sanitize_text(why, private);
        }
    }
    if let Some(note) = &mut evidence.machine.accelerator {
        *note = sanitize_text(note, private);
    }
    remove_compiler_texts(evidence, private);
}

/// Take out texts in which a kernel of the builder's own says who compiled it: its banner, texts of its configuration.
fn remove_compiler_texts(evidence: &mut Evidence, private: &[String]) {
    let words = words_in_image(evidence, private);
    if words.is_empty() {
        return;
    }
    let experiments = evidence.experiments.values_mut();
    let data = experiments.flat_map(|experiment| {
        let outcome = &mut experiment.outcome;
        let hits = experiment.probes.values_mut().flat_map(|p| &mut p.hits);
        let read = hits.flat_map(|hit| {
            let sides = hit.args.values_mut().chain(hit.entry.values_mut());
            sides.chain(hit.exit.values_mut())
        });
        read.chain(outcome.buffers.values_mut())
            .chain([&mut outcome.stdout])
            .chain(&mut outcome.stderr)
    });
    for datum in data.chain(evidence.kernel.config.values_mut()) {
        let names = match datum.value() {
            Some(Value::Text { value } | Value::CutText { value, .. }) => {
                words.iter().any(|word| holds_word(value, word))
            }
            Some(Value::Bytes { value } | Value::CutBytes { value, .. }) => {
                let text = String::from_utf8_lossy(&value.0);
                words.iter().any(|word| holds_word(&text, word))
            }
            _ => false,
        };
        if names {
            *datum = Datum::unavailable(NotKeptReason::NamesBuilder.to_string());
        }
    }
}

/// The last part of a path: folders of this machine do not belong into evidence.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// A text without private words; of a path that begins in no usual folder only the last part.
fn sanitize_text(text: &str, private: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let is_end = |c: char| c.is_whitespace() || "`'\"()[]{}<>,;".contains(c);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(&strip_folders(word));
        let gap = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    for word in private {
        out = mask_word(&out, word);
    }
    out
}

fn strip_folders(word: &str) -> String {
    let path = word.trim_end_matches([':', '.']);
    let folders = path.matches('/').count();
    if !path.starts_with('/')
        || folders < 2
        || USUAL.iter().any(|usual| Path::new(path).starts_with(usual))
    {
        return word.to_owned();
    }
    let name = path.rsplit('/').find(|part| !part.is_empty());
    format!("{}{}", name.unwrap_or_default(), &word[path.len()..])
}

/// The text with an ellipsis for `word`, where it is not a piece of a longer one.
fn mask_word(text: &str, word: &str) -> String {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in text
        .match_indices(word)
        .filter(|(_, found)| !found.is_empty())
    {
        let end = at + found.len();
        if at < from || inside(text[..at].chars().next_back()) || inside(text[end..].chars().next())
        {
            continue;
        }
        out.push_str(&text[from..at]);
        out.push('…');
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use qed_evidence::value::Bytes;

    /// Check that folders of users and names go, and that everything else of a reason stays.
    #[test]
    fn reasons() {
        let private = ["zacharias".to_owned(), "castle".to_owned()];
        for (text, expected) in [
            (
                "failed to open /home/zacharias/k/vmlinux: permission denied",
                "failed to open vmlinux: permission denied",
            ),
            (
                "/usr/lib/debug/boot/vmlinux-6.1: not there; /boot/x: not there",
                "/usr/lib/debug/boot/vmlinux-6.1: not there; /boot/x: not there",
            ),
            (
                "castle: zacharias may not (`/srv/x y/z`)",
                "…: … may not (`x y/z`)",
            ),
            ("castles and / or /x", "castles and / or /x"),
        ] {
            assert_eq!(sanitize_text(text, &private), expected);
        }
    }

    /// Check that where a kernel of the builder's own says who compiled it, that is taken out, and where it is a
    /// distribution's, such a word is somebody else's.
    #[test]
    fn compiler() {
        const BANNER: &str = "Linux version 6.1.0 (Zacharias@castle) (gcc 12)";
        let recorded = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../recorded/guest-debian-6.1.json"
        );
        let recorded = std::fs::read(recorded).unwrap();
        let private = ["zacharias".to_owned(), "/tmp".to_owned()];
        for package in [Some("linux-image-6.1".to_owned()), None] {
            let mut evidence = qed_evidence::reader::read(&recorded).unwrap();
            let own = package.is_none();
            evidence.kernel.package = package;
            let texts: [Datum; 4] = [
                Value::text(BANNER).into(),
                Value::Bytes {
                    value: Bytes(BANNER.into()),
                }
                .into(),
                Value::text("in /tmp").into(),
                Value::text("Linux version 6.1.0").into(),
            ];
            let create = evidence.experiments.get_mut("create").unwrap();
            let hit = &mut create.probes.get_mut("sock_alloc").unwrap().hits[0];
            for (number, datum) in texts.into_iter().enumerate() {
                hit.exit.insert(format!("text{number}"), datum);
            }
            create.outcome.stdout = Value::text(BANNER).into();
            create.outcome.stderr = Some(Value::text(BANNER).into());
            sanitize(&mut evidence, &private);
            let create = &evidence.experiments["create"];
            let hit = &create.probes["sock_alloc"].hits[0];
            let gone = |datum: &Datum| datum.value().is_none();
            let found = [0, 1, 2, 3].map(|number| gone(&hit.exit[&format!("text{number}")]));
            assert_eq!(found, [own, own, false, false]);
            assert_eq!(gone(&create.outcome.stdout), own);
            assert_eq!(create.outcome.stderr.as_ref().map(gone), Some(own));
        }
    }
}
