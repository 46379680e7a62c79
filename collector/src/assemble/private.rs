//! Taking out of evidence what tells of the machine that made it: folders that its user has chosen, and names.

use std::path::Path;

use qed_evidence::Evidence;
use qed_evidence::document::SymbolPlaces;
use qed_evidence::value::Datum;

/// Folders that every machine has.
const USUAL: &[&str] = &["/boot", "/dev", "/lib", "/proc", "/sys", "/usr"];

/// Takes it out of each reason that was composed outside of the captured machine: why there are no lines, why a source
/// of the slide says nothing, why a guest was not run faster.
pub fn clean(evidence: &mut Evidence, private: &[String]) {
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
        if let Datum::Unavailable(why) = datum {
            why.unavailable = cleaned(&why.unavailable, private);
        }
    }
    if let Some(note) = &mut evidence.machine.accelerator {
        *note = cleaned(note, private);
    }
}

/// The last part of a path: folders of this machine do not belong into evidence.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// A text without private words; of a path that begins in no usual folder only the last part.
fn cleaned(text: &str, private: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let is_end = |c: char| c.is_whitespace() || "`'\"()[]{}<>,;".contains(c);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(&without_folders(word));
        let gap = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    for word in private {
        out = without_word(&out, word);
    }
    out
}

fn without_folders(word: &str) -> String {
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
fn without_word(text: &str, word: &str) -> String {
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
            assert_eq!(cleaned(text, &private), expected);
        }
    }
}
