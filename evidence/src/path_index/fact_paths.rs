//! Paths of the facts of a build: `types.socket.members.sk.offset`, `tracepoints.sys_enter.fields.id.type`.

use crate::document::facts::{
    EnumeratorFacts, Facts, FieldFacts, FunctionFacts, MemberFacts, OptionFacts, SyscallFacts,
    TracepointFacts, TypeFacts,
};
use crate::document::fields::Structure;
use crate::document::value::Value;
use crate::document::{Evidence, Missing};
use crate::path::{FACTS, Path};

use super::catalog::Catalog;
use super::list::{LeafCollector, computed};
use super::refusals::{check_last_segment, not_a_leaf_error, unknown_segment_error};
use super::resolved::PathError;

impl<'a> LeafCollector<'a> {
    /// List the facts, and the existence of what is listed in them.
    pub(super) fn list_facts(&mut self, facts: &'a Facts) {
        self.list_fields(facts);
        let yes = || Value::Bool { value: true };
        self.with_segment("types", |list| {
            for (name, one) in &facts.types {
                list.with_segment(name, |list| {
                    list.with_segment("members", |list| {
                        let drift = computed!(MemberFacts, "exists");
                        for member in one.members.keys() {
                            list.with_segment(member, |list| {
                                list.push_value("exists", yes(), drift)
                            });
                        }
                    });
                    list.with_segment("enumerators", |list| {
                        let drift = computed!(EnumeratorFacts, "exists");
                        for enumerator in one.enumerators.keys() {
                            list.with_segment(enumerator, |list| {
                                list.push_value("exists", yes(), drift)
                            });
                        }
                    });
                });
            }
        });
        self.with_segment("tracepoints", |list| {
            for (name, one) in &facts.tracepoints {
                list.with_segment(name, |list| {
                    list.with_segment("fields", |list| {
                        let drift = computed!(FieldFacts, "exists");
                        for field in one.fields.keys() {
                            list.with_segment(field, |list| {
                                list.push_value("exists", yes(), drift)
                            });
                        }
                    });
                });
            }
        });
    }
}

/// The path under which the index has what `path` names: `types.E.NAME` is short for `types.E.enumerators.NAME.value`.
pub(super) fn expand_path(path: &Path) -> Option<String> {
    if path.first() != "types" {
        return None;
    }
    let segments: Vec<&str> = path.segments().collect();
    match segments[..] {
        ["types", name, short] if !type_words().any(|word| word == short) => {
            Some(format!("types.{name}.enumerators.{short}.value"))
        }
        _ => None,
    }
}

/// Names below a type.
fn type_words() -> impl Iterator<Item = &'static str> + Clone {
    TypeFacts::leaf_names().chain(["members", "enumerators"])
}

/// The answer to a path of facts that is not in the index: that the fact does not exist, or the reason why there is no value.
pub(super) fn resolve_absent(evidence: &Evidence, segments: &[&str]) -> Result<Value, Missing> {
    let missing = |reason: String| Err(Missing::Unavailable(reason));
    let (section, name) = (segments[0], segments.get(1).copied().unwrap_or_default());
    let again = || {
        format!(
            "this evidence does not hold {section}.{name}: it was captured with another investigation, or by an older collector"
        )
    };
    let Some(facts) = &evidence.facts else {
        return missing(again());
    };
    if let [_, _, list, part, leaf] = segments {
        return match facts.existence_of_unlisted(section, name, list) {
            Ok(value) if *leaf == "exists" => Ok(Value::Bool { value }),
            Ok(_) if facts.lists(section, name, list, part) => {
                missing(format!("`{part}` of {section}.{name} has no `{leaf}`"))
            }
            Ok(_) => missing(format!("{section}.{name} has no `{part}` on this machine")),
            Err(Some(why)) => missing(why),
            Err(None) => missing(again()),
        };
    }
    if !facts.has(section, name) {
        return missing(again());
    }
    missing(match segments.last() {
        Some(leaf) if facts.is_known_to_exist(section, name) => {
            format!("{section}.{name} has no `{leaf}` on this machine")
        }
        _ => format!("this machine has no {section}.{name}, as far as is known"),
    })
}

impl Facts {
    fn has(&self, section: &str, name: &str) -> bool {
        match section {
            "types" => self.types.contains_key(name),
            "functions" => self.functions.contains_key(name),
            "tracepoints" => self.tracepoints.contains_key(name),
            "syscalls" => self.syscalls.contains_key(name),
            _ => self.config.contains_key(name),
        }
    }

    fn is_known_to_exist(&self, section: &str, name: &str) -> bool {
        let exists = match section {
            "types" => self.types.get(name).map(|one| &one.exists),
            "functions" => self.functions.get(name).map(|one| &one.exists),
            "tracepoints" => self.tracepoints.get(name).map(|one| &one.exists),
            "syscalls" => self.syscalls.get(name).map(|one| &one.exists),
            _ => self.config.get(name).map(|one| &one.exists),
        };
        exists.and_then(|exists| exists.value()) == Some(&Value::Bool { value: true })
    }

    fn lists(&self, section: &str, name: &str, list: &str, part: &str) -> bool {
        let one = self.types.get(name);
        match (section, list) {
            ("types", "members") => one.is_some_and(|one| one.members.contains_key(part)),
            ("types", _) => one.is_some_and(|one| one.enumerators.contains_key(part)),
            _ => {
                let one = self.tracepoints.get(name);
                one.is_some_and(|one| one.fields.contains_key(part))
            }
        }
    }
}

impl Catalog<'_> {
    /// Check a path of facts. Members, fields and enumerators are known where a machine has them; that one exists can be asked of any.
    pub(super) fn check_fact(&self, path: &Path, segments: &[&str]) -> Result<(), PathError> {
        let wanted = &self.investigation.facts;
        let (section, planned) = (segments[0], wanted.section(segments[0]));
        let Some(name) = segments.get(1) else {
            return Err(not_a_leaf_error(path, "name one of them"));
        };
        if !planned.iter().any(|one| one == name) {
            let mut error =
                unknown_segment_error(segments, 1, "fact", planned.iter().map(String::as_str));
            error.message = format!(
                "{}; name it in `{section}` of `[facts]` in the investigation",
                error.message
            );
            return Err(error);
        }
        let Some(leaf) = segments.get(2) else {
            return Err(not_a_leaf_error(path, "name something of it"));
        };
        match (section, *leaf) {
            ("types", "members") => self.check_part(path, segments, MemberFacts::leaf_names()),
            ("types", "enumerators") => {
                self.check_part(path, segments, EnumeratorFacts::leaf_names())
            }
            ("tracepoints", "fields") => self.check_part(path, segments, FieldFacts::leaf_names()),
            ("types", leaf) if TypeFacts::leaf_names().any(|name| name == leaf) => {
                check_last_segment(segments, 2)
            }
            ("types", _) => self.check_enumerator(segments),
            ("functions", leaf) => check_leaf_name(segments, leaf, FunctionFacts::leaf_names()),
            ("tracepoints", leaf) => check_leaf_name(
                segments,
                leaf,
                TracepointFacts::leaf_names().chain(["fields"]),
            ),
            ("syscalls", leaf) => check_leaf_name(segments, leaf, SyscallFacts::leaf_names()),
            (_, leaf) => check_leaf_name(segments, leaf, OptionFacts::leaf_names()),
        }
    }

    /// A part of a list, `types.T.members.PART.LEAF`.
    fn check_part(
        &self,
        path: &Path,
        segments: &[&str],
        leaves: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<(), PathError> {
        let Some(part) = segments.get(3) else {
            return Err(not_a_leaf_error(path, "name one of them"));
        };
        let Some(leaf) = segments.get(4) else {
            return Err(not_a_leaf_error(path, "name something of it"));
        };
        if !leaves.clone().any(|name| name == *leaf) {
            return Err(unknown_segment_error(segments, 4, "value", leaves));
        }
        if *leaf != "exists" {
            self.check_listed(segments, 3, part)?;
        }
        check_last_segment(segments, 4)
    }

    fn check_enumerator(&self, segments: &[&str]) -> Result<(), PathError> {
        let whole: Vec<&str> = [segments[0], segments[1], "enumerators", segments[2]].to_vec();
        match self.check_listed(&whole, 3, segments[2]) {
            Ok(()) => check_last_segment(segments, 2),
            Err(_) => {
                let parts = self.parts(&whole[..3]);
                let mut known: Vec<&str> = parts.iter().map(String::as_str).collect();
                type_words().for_each(|word| known.push(word));
                Err(unknown_segment_error(segments, 2, "value", known))
            }
        }
    }

    /// A part has to be on some machine, as soon as any has such parts.
    fn check_listed(&self, segments: &[&str], at: usize, part: &str) -> Result<(), PathError> {
        let known = self.parts(&segments[..at]);
        if known.is_empty() || known.iter().any(|one| one == part) {
            return Ok(());
        }
        Err(unknown_segment_error(
            segments,
            at,
            "part",
            known.iter().map(String::as_str),
        ))
    }

    /// The names beside the last one of a path of facts: parts that some machine has, or names that are planned.
    pub(crate) fn fact_names(&self, segments: &[&str]) -> Vec<String> {
        match segments {
            [_, _, _, _] => self.parts(&segments[..3]),
            [section, ..] => {
                let names = self.investigation.facts.section(section).iter();
                names
                    .filter(|name| Some(&name.as_str()) != segments.get(1))
                    .cloned()
                    .collect()
            }
            [] => Vec::new(),
        }
    }

    /// The names in a list, on all machines.
    fn parts(&self, list: &[&str]) -> Vec<String> {
        let facts = self
            .machines
            .iter()
            .filter_map(|one| one.evidence.facts.as_ref());
        let (name, list) = (list[1], list[2]);
        let mut found: Vec<String> = facts
            .flat_map(|facts| {
                let one = facts.types.get(name);
                let names: Vec<&String> = match list {
                    "members" => one.map_or_else(Vec::new, |one| one.members.keys().collect()),
                    "enumerators" => {
                        one.map_or_else(Vec::new, |one| one.enumerators.keys().collect())
                    }
                    _ => {
                        let one = facts.tracepoints.get(name);
                        one.map_or_else(Vec::new, |one| one.fields.keys().collect())
                    }
                };
                names
            })
            .cloned()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn check_leaf_name(
    segments: &[&str],
    leaf: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<(), PathError> {
    if known.clone().any(|name| name == leaf) {
        return check_last_segment(segments, 2);
    }
    Err(unknown_segment_error(segments, 2, "value", known))
}

/// True if the first name of a path is one of facts.
pub(super) fn is_fact(first: &str) -> bool {
    FACTS.contains(&first)
}
