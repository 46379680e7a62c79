//! The facts of a kernel's build that an investigation names.

use super::check::FileChecker;
use super::file::clone_advice;
use super::raw::RawFacts;
use super::spanned::Spanned;
use crate::investigation::FactNames;
use crate::path::{FACTS, is_identifier, is_name};

impl FileChecker {
    pub(super) fn facts(&mut self, raw: RawFacts) -> FactNames {
        let mut names = FactNames {
            types: self.fact_names(raw.types, "type"),
            functions: self.fact_names(raw.functions, "function"),
            tracepoints: self.fact_names(raw.tracepoints, "tracepoint"),
            syscalls: self.fact_names(raw.syscalls, "system call"),
            config: self.fact_names(raw.config, "configuration option"),
            absent: Vec::new(),
        };
        names.absent = self.absent(raw.absent, &names);
        names
    }

    /// Paths of facts that the other lists name, or of parts of them, each once.
    fn absent(&mut self, list: Vec<Spanned<String>>, names: &FactNames) -> Vec<String> {
        let mut absent: Vec<String> = Vec::new();
        for item in list {
            let path = item.get_ref();
            let segments: Vec<&str> = path.split('.').collect();
            let (section, name) = (segments[0], segments.get(1).copied().unwrap_or_default());
            let has_parts = match segments[..] {
                [_, _] => true,
                ["types", _, "members" | "enumerators", part] => is_identifier(part),
                ["tracepoints", _, "fields", part] => is_identifier(part),
                _ => false,
            };
            let problem = if !FACTS.contains(&section) || !has_parts {
                Some((
                    format!("`{path}` is not the path of a fact"),
                    "write \"functions.NAME\", \"types.NAME.members.MEMBER\", …, without `.exists`"
                        .to_owned(),
                ))
            } else if !names.section(section).iter().any(|one| one == name) {
                Some((
                    format!("`{path}` is not among the facts that are asked for"),
                    format!("add \"{name}\" to `{section}`"),
                ))
            } else if absent.contains(path) {
                Some((
                    format!("`{path}` is named twice"),
                    "name it once".to_owned(),
                ))
            } else {
                None
            };
            match problem {
                Some((message, help)) => self.error(item.span(), message).help = Some(help),
                None => absent.push(item.into_inner()),
            }
        }
        absent
    }

    /// Names that can stand in a path, each once.
    fn fact_names(&mut self, list: Vec<Spanned<String>>, what: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for item in list {
            let name = item.get_ref();
            let tagged = ["struct ", "union ", "enum "]
                .iter()
                .find_map(|tag| name.strip_prefix(tag));
            let problem = match what {
                "type" if tagged.is_some() => Some((
                    format!("type `{name}` is written without its tag"),
                    tagged.map(|name| format!("write \"{}\"", name.trim())),
                )),
                "configuration option" if !is_name(name) => {
                    let short = name.strip_prefix("CONFIG_").unwrap_or(name).to_lowercase();
                    Some((
                        format!("{what} `{name}` does not match [a-z_][a-z0-9_]*"),
                        is_name(&short).then(|| format!("write \"{short}\"")),
                    ))
                }
                _ if !is_identifier(name) => Some((
                    format!("{what} `{name}` does not match [A-Za-z_][A-Za-z0-9_]*"),
                    (what == "function").then(|| clone_advice(name)).flatten(),
                )),
                _ if names.contains(name) => {
                    Some((format!("{what} `{name}` is named twice"), None))
                }
                _ => None,
            };
            match problem {
                Some((message, help)) => self.error(item.span(), message).help = help,
                None => names.push(item.into_inner()),
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use crate::investigation::parse;

    fn with(facts: &str) -> String {
        format!(
            "[facts]\n{facts}\n[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"getpid\" }}\n\
                 [[experiment.probe]]\ntracepoint = \"sys_exit\"\n"
        )
    }

    /// Check that what is meant to be nowhere is a path of a fact that is asked for.
    #[test]
    fn absent() {
        let named = "types = [\"socket\"]\nfunctions = [\"f\"]\n";
        let good = format!(
            "{named}absent = [\"functions.f\", \"types.socket.members.wq\", \"types.socket\"]"
        );
        let parsed = parse("t.toml", &with(&good)).unwrap();
        assert_eq!(parsed.facts.absent.len(), 3);
        for (bad, message) in [
            ("functions.g", "not among the facts"),
            ("types.socket.wq", "not the path of a fact"),
            ("types.socket.members.wq.exists", "not the path of a fact"),
            ("functions.f.members.x", "not the path of a fact"),
            ("kernel.release", "not the path of a fact"),
            ("functions", "not the path of a fact"),
        ] {
            let text = with(&format!("{named}absent = [\"{bad}\"]"));
            let problems = parse("t.toml", &text).unwrap_err();
            assert!(problems[0].message.contains(message), "{bad}: {problems:?}");
        }
        let twice = with(&format!(
            "{named}absent = [\"functions.f\", \"functions.f\"]"
        ));
        let problems = parse("t.toml", &twice).unwrap_err();
        assert!(problems[0].message.contains("twice"), "{problems:?}");
    }

    /// Check that names of each kind are taken, and that those that cannot stand in a path, or come twice, are told.
    #[test]
    fn names() {
        let all = "types = [\"socket\"]\nfunctions = [\"__sys_socket\"]\ntracepoints = [\"sys_enter\"]\n\
                   syscalls = [\"socket\"]\nconfig = [\"net\"]";
        let parsed = parse("t.toml", &with(all)).unwrap();
        assert_eq!(parsed.facts.types, ["socket"]);
        assert_eq!(parsed.facts.config, ["net"]);
        assert!(!parsed.facts.is_empty());
        for (bad, message, help) in [
            (
                "types = [\"struct socket\"]",
                "written without its tag",
                "write \"socket\"",
            ),
            (
                "config = [\"CONFIG_NET\"]",
                "does not match",
                "write \"net\"",
            ),
            (
                "functions = [\"f.isra.0\"]",
                "does not match",
                "a path has dots between its parts, so it cannot name a clone: name `f` here, or watch the clone with a probe, \
                 `function = \"f.isra.0\"`, whose `address` is in the evidence",
            ),
            ("types = [\"a\", \"a\"]", "named twice", ""),
            ("typs = [\"a\"]", "unknown field", ""),
        ] {
            let problems = parse("t.toml", &with(bad)).unwrap_err();
            assert!(problems[0].message.contains(message), "{bad}: {problems:?}");
            assert_eq!(
                problems[0].help.as_deref().unwrap_or_default(),
                help,
                "{bad}"
            );
        }
    }
}
