//! Words that are known to be possible in a place: those that some capture, the investigation or a table holds.

use std::collections::BTreeSet;

use crate::constants::{constant_names, errno_names};
use crate::document::value::Value;
use crate::document::{Evidence, Target};
use crate::investigation::{Action, Argument};
use crate::path::{SECTIONS, split_path};
use crate::path_index::resolve::{Catalog, Indexed};
use crate::path_index::{CapturedWords, leaf_words};

/// A mark for what was cut off, which may have gone on with the word before it. No claim can write it.
const CUT_OFF: char = '\u{10ffff}';

/// The relation of a text of a claim to what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Is,
    Contains,
    StartsWith,
    EndsWith,
    /// The text of the claim is the longer one.
    Holds,
}

impl Relation {
    /// True if `word`, taken for the whole text, relates so to `text` of the claim.
    pub fn holds(self, word: &str, text: &str) -> bool {
        match self {
            Relation::Is => word == text,
            Relation::Contains => word.contains(text),
            Relation::StartsWith => word.starts_with(text),
            Relation::EndsWith => word.ends_with(text),
            Relation::Holds => !word.is_empty() && text.contains(word),
        }
    }

    /// True if a word of a longer text, or all of it, relates so to `text` of the claim.
    fn holds_within(self, whole: &str, text: &str) -> bool {
        if self.holds(whole, text) {
            return true;
        }
        let (left, right) = match self {
            Relation::Is => (true, true),
            Relation::StartsWith => (true, false),
            Relation::EndsWith => (false, true),
            Relation::Contains | Relation::Holds => return false,
        };
        let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == CUT_OFF;
        let inner = |outside: Option<char>, inside: Option<char>| {
            outside.is_some_and(in_word) && inside.is_some_and(in_word)
        };
        whole.match_indices(text).any(|(at, _)| {
            let (before, behind) = (&whole[..at], &whole[at + text.len()..]);
            let begins_inside = left && inner(before.chars().next_back(), text.chars().next());
            let ends_inside = right && inner(behind.chars().next(), text.chars().next_back());
            !begins_inside && !ends_inside
        })
    }
}

/// The words of one kind of place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words<'n> {
    /// Of the leaf under this path.
    Leaf(&'n str),
    /// Names of functions.
    Function,
    /// Files of the source.
    File,
    /// Names of symbols.
    Symbol,
    /// The same, with an offset behind.
    SymbolWithOffset,
    /// Names of the number under this path, or of any.
    Name(Option<&'n str>),
}

impl Words<'_> {
    /// True if `text` is known to be possible in this place.
    pub fn allows(
        &self,
        text: &str,
        relation: Relation,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
    ) -> bool {
        let mut texts = vec![text];
        let mut within = false;
        match self {
            Words::Leaf("kernel.lsm") if relation == Relation::Is => {
                texts = text.split(',').collect();
                within = true;
            }
            Words::Leaf(path) => within = leaf_words(path).is_none() && !is_option(path),
            Words::SymbolWithOffset => {
                let Some(name) = symbol_of(text, relation) else {
                    return false;
                };
                texts = vec![name];
            }
            _ => {}
        }
        texts.into_iter().all(|text| {
            let mut test = |word: &str| match within {
                true => relation.holds_within(word, text),
                false => relation.holds(word, text),
            };
            self.any_text(catalog, machine, &mut test)
        })
    }

    /// Call `test` on each text that is possible here until it is content; whether it was. The likeliest come first.
    pub fn any_text(
        &self,
        catalog: &Catalog<'_>,
        machine: &Indexed<'_>,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> bool {
        match self {
            Words::Leaf(path) => any_leaf_text(path, catalog, machine, test),
            Words::Function => {
                any_planned_target(catalog, test)
                    || any_table_symbol(catalog, test)
                    || any_captured_word(catalog, |words| &words.functions, test)
            }
            Words::Symbol | Words::SymbolWithOffset => {
                any_planned_target(catalog, test)
                    || any_table_symbol(catalog, test)
                    || any_captured_word(catalog, |words| &words.symbols, test)
            }
            Words::File => any_captured_word(catalog, |words| &words.files, test),
            Words::Name(path) => any_number_name(*path, catalog, machine, test),
        }
    }
}

/// The name in a text that is compared with `symbol+0x1f`; `None` if none begins or ends so.
fn symbol_of(text: &str, relation: Relation) -> Option<&str> {
    match text.split_once('+') {
        None => Some(text),
        Some((name, offset)) => {
            let digits = offset.strip_prefix("0x")?;
            let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
            let whole = !digits.is_empty() || relation == Relation::StartsWith;
            (hex && whole).then_some(name)
        }
    }
}

/// True if a path leads to an option of the kernel's configuration.
fn is_option(path: &str) -> bool {
    path.starts_with("kernel.config.")
}

fn any_leaf_text(
    path: &str,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    test: &mut dyn FnMut(&str) -> bool,
) -> bool {
    if let Some(words) = leaf_words(path) {
        return words.iter().any(|word| test(word));
    }
    let text = |machine: &Indexed<'_>, path: &str, test: &mut dyn FnMut(&str) -> bool| match machine
        .leaves
        .get(path)
        .and_then(|leaf| leaf.datum.value())
    {
        Some(Value::Text { value }) => test(value),
        Some(Value::CutText { value, .. }) => test(&with_unknown_end(value)),
        Some(Value::Bytes { value }) => test(&String::from_utf8_lossy(&value.0)),
        Some(Value::CutBytes { value, .. }) => {
            test(&with_unknown_end(&String::from_utf8_lossy(&value.0)))
        }
        _ => false,
    };
    let mut machines = std::iter::once(machine).chain(catalog.machines);
    if machines.any(|machine| text(machine, path, test)) {
        return true;
    }
    let everywhere = |path: &str, test: &mut dyn FnMut(&str) -> bool| {
        catalog
            .machines
            .iter()
            .any(|machine| text(machine, path, test))
    };
    match split_path(path).next().unwrap_or_default() {
        "kernel" if path == "kernel.lsm" => everywhere("kernel.config.lsm", test),
        // An option that is a switch somewhere is one everywhere.
        "kernel" if is_option(path) => {
            let switch = ["y", "m", "n"];
            everywhere(path, &mut |value| switch.contains(&value)) && switch.iter().any(|s| test(s))
        }
        "machine" if path == "machine.name" => test("host"),
        "machine" if path == "machine.accelerator" => test("kvm") || test("tcg"),
        first if SECTIONS.contains(&first) && first != "commands" => false,
        _ => {
            any_workload_text(catalog, test)
                || any_captured_word(catalog, |words| &words.texts, test)
                || any_captured_word(catalog, |words| &words.beginnings, &mut |word| {
                    test(&with_unknown_end(word))
                })
                || catalog
                    .machines
                    .iter()
                    .any(|machine| any_experiment_text(machine.evidence, test))
        }
    }
}

/// The kept part of a text that was cut, with an end that no claim can write: it equals nothing, ends in nothing, and is a
/// part of nothing.
fn with_unknown_end(retained: &str) -> String {
    format!("{retained}{CUT_OFF}")
}

/// Texts of experiments that are not values: workloads, tasks, instructions.
fn any_experiment_text(evidence: &Evidence, test: &mut dyn FnMut(&str) -> bool) -> bool {
    evidence.experiments.values().any(|experiment| {
        test(&experiment.workload)
            || experiment
                .call
                .iter()
                .flat_map(|call| &call.code)
                .any(|one| test(&one.text))
            || experiment.probes.values().any(|probe| {
                let sides = [&probe.members.entry, &probe.members.exit];
                let mut members = sides.into_iter().flat_map(|side| side.values());
                probe
                    .instruction
                    .as_ref()
                    .is_some_and(|one| test(&one.text))
                    || members.any(|member| test(&member.structure) || test(&member.name))
                    || probe.hits.iter().any(|hit| test(&hit.task.name))
            })
    })
}

/// Texts that the investigation hands to its workloads.
fn any_workload_text(catalog: &Catalog<'_>, test: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut experiments = catalog.investigation.experiments.iter();
    experiments.any(|experiment| {
        let workload = &experiment.workload;
        let mut is_one = match &workload.action {
            Action::Syscall { name, .. } => test(name),
            Action::Command(words) => words.iter().any(|word| test(word)),
        };
        workload.each_argument(&mut |argument| {
            is_one |= matches!(argument, Argument::Text(text) if test(text));
        });
        is_one
    })
}

/// Targets of the investigation's probes that there are.
fn any_planned_target(catalog: &Catalog<'_>, test: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut experiments = catalog.investigation.experiments.iter();
    experiments.any(|experiment| {
        experiment.probes.iter().any(|probe| {
            let target = match &probe.target {
                Target::Function(target) | Target::Tracepoint(target) | Target::Lsm(target) => {
                    target
                }
                Target::Address(place) => place.split_once(':').map_or(place.as_str(), |(_, s)| s),
            };
            test(target) && exists(&experiment.name, &probe.name, target, catalog)
        })
    })
}

/// A probed function that relates so to `text` and whose copies this machine's evidence does not list: other addresses than those
/// that the table of symbols calls so can have its name.
pub(super) fn find_unlisted_function<'a>(
    text: &str,
    relation: Relation,
    catalog: &Catalog<'a>,
    machine: &Indexed<'_>,
) -> Option<&'a str> {
    let name = symbol_of(text, relation)?;
    let experiments = catalog.investigation.experiments.iter();
    let mut probes = experiments.flat_map(|experiment| &experiment.probes);
    probes.find_map(|probe| match &probe.target {
        Target::Function(target)
            if relation.holds(target, name) && !machine.evidence.instances.contains_key(target) =>
        {
            Some(target.as_str())
        }
        _ => None,
    })
}

/// True if this machine's evidence tells where a symbol is whose name relates so to `text`: its table of symbols, the copies of a
/// function, or the symbols that the slide was taken from.
pub(super) fn has_known_place(text: &str, relation: Relation, machine: &Indexed<'_>) -> bool {
    let Some(name) = symbol_of(text, relation) else {
        return true; // `allows` has complained.
    };
    let evidence = machine.evidence;
    let is = |symbol: &str| relation.holds(symbol, name);
    let mut copies = evidence.instances.values().flat_map(|one| &one.copies);
    let mut slide = evidence.kaslr.symbols.iter();
    (evidence.names.symbols.iter()).any(|symbol| is(&symbol.name))
        || evidence.instances.keys().any(|function| is(function))
        || copies.any(|copy| copy.names().any(is))
        || slide.any(|(name, places)| places.live.value().is_some() && is(name))
}

/// True if the kernel of some machine has what a probe is planned for. A plan alone can be misspelt like the claim.
fn exists(experiment: &str, probe: &str, target: &str, catalog: &Catalog<'_>) -> bool {
    catalog.machines.iter().any(|machine| {
        let evidence = machine.evidence;
        let seen = evidence.experiments.get(experiment);
        let seen = seen.and_then(|seen| seen.probes.get(probe));
        let found = seen.is_some_and(|seen| {
            seen.backend.is_some() || seen.address.is_some() || !seen.parameters.is_empty()
        });
        let copies = evidence.instances.get(target);
        found || copies.is_some_and(|copies| copies.count > 0)
    })
}

/// Symbols of the documents' tables.
fn any_table_symbol(catalog: &Catalog<'_>, test: &mut dyn FnMut(&str) -> bool) -> bool {
    catalog.machines.iter().any(|machine| {
        let evidence = machine.evidence;
        let graphs = evidence
            .experiments
            .values()
            .filter_map(|one| one.graph.as_ref());
        let copies = evidence.instances.values().flat_map(|one| &one.copies);
        evidence
            .names
            .symbols
            .iter()
            .any(|symbol| test(&symbol.name))
            || graphs
                .flat_map(|graph| &graph.functions)
                .any(|name| test(name))
            || copies.flat_map(|copy| copy.names()).any(&mut *test)
            || evidence.kaslr.symbols.iter().any(|(name, places)| {
                let known = [&places.live, &places.static_address];
                known.iter().any(|datum| datum.value().is_some()) && test(name)
            })
    })
}

/// Names of the number under `path` on this machine: those of its enumeration, or of all errors.
fn any_number_name(
    path: Option<&str>,
    catalog: &Catalog<'_>,
    machine: &Indexed<'_>,
    test: &mut dyn FnMut(&str) -> bool,
) -> bool {
    let errors = |test: &mut dyn FnMut(&str) -> bool| errno_names().any(test);
    let value = path
        .and_then(|path| machine.leaves.get(path))
        .and_then(|leaf| leaf.datum.value());
    match value {
        Some(Value::Enum { type_name, .. }) => {
            let own = machine.evidence.names.enums.get(type_name);
            own.into_iter()
                .flat_map(|list| list.keys())
                .any(|name| test(name))
                || constant_names(type_name).any(test)
        }
        Some(_) => errors(test) || test("OK"),
        None => {
            let mut tables = catalog.machines.iter();
            errors(test)
                || test("OK")
                || tables.any(|machine| {
                    let mut lists = machine.evidence.names.enums.iter();
                    lists.any(|(type_name, list)| {
                        list.keys().any(|name| test(name))
                            || constant_names(type_name).any(&mut *test)
                    })
                })
        }
    }
}

/// Call `test` on the words of every machine's values and frames that `of` picks, until it is content; whether it was.
fn any_captured_word(
    catalog: &Catalog<'_>,
    of: fn(&CapturedWords) -> &BTreeSet<String>,
    test: &mut dyn FnMut(&str) -> bool,
) -> bool {
    let mut machines = catalog.machines.iter();
    machines.any(|machine| of(machine.captured_words()).iter().any(|word| test(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a text is held by a longer one as a word, and not as letters inside of another word.
    #[test]
    fn words_of_texts() {
        for (relation, whole, text, wanted) in [
            (Relation::Is, "lockdown,capability", "capability", true),
            (Relation::Is, "lockdown,capability", "capabilit", false),
            (
                Relation::Is,
                "lockdown,capability",
                "lockdown,capability",
                true,
            ),
            (Relation::Is, "hello\nworld\n", "hello\n", true),
            (Relation::StartsWith, "the do_mkdirat", "do_mk", true),
            (Relation::StartsWith, "the do_mkdirat", "mkdirat", false),
            (Relation::EndsWith, "net/socket.c: x", "socket.c", true),
            (Relation::EndsWith, "net/socket.c: x", "ock", false),
            (Relation::Is, "//b\u{10ffff}", "b", false),
            (Relation::EndsWith, "net/socket.c\u{10ffff}", "c", false),
            (Relation::StartsWith, "the do_mk\u{10ffff}", "do_", true),
            (Relation::Contains, "net/socket.c", "ocke", true),
            (Relation::Holds, "abc", "xabcx", true),
            (Relation::Holds, "abc", "ab", false),
        ] {
            assert_eq!(
                relation.holds_within(whole, text),
                wanted,
                "{relation:?} {whole:?} {text:?}"
            );
        }
    }

    /// Check what of a symbol with an offset is its name.
    #[test]
    fn symbols_with_offsets() {
        assert_eq!(symbol_of("f+0x1f", Relation::Is), Some("f"));
        assert_eq!(symbol_of("f", Relation::Is), Some("f"));
        assert_eq!(symbol_of("f+1f", Relation::Is), None);
        assert_eq!(symbol_of("f+0x", Relation::Is), None);
        assert_eq!(symbol_of("f+0x", Relation::StartsWith), Some("f"));
        assert_eq!(symbol_of("f+0xy", Relation::Is), None);
    }
}
