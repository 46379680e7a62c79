//! The author's guide says what the programs do: its reference, its settings, its commands and the messages that it
//! explains are checked against the programs themselves. That it builds, and with which values, is `make guide`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use qed_evidence::claim::FUNCTIONS;
use qed_evidence::document::Experiment;
use serde_json::json;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn chapter(name: &str) -> String {
    let path = checkout().join("guide/src").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The rows of the first table below a heading, as the cells between bars.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let start = text
        .find(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let rows = text[start + 1..]
        .lines()
        .skip(1)
        .skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// The words in backticks of a cell.
fn code(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The names in the first column of a table.
fn first(text: &str, heading: &str) -> BTreeSet<String> {
    let rows = table(text, heading);
    rows.iter().map(|row| code(&row[0]).concat()).collect()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The names of all fields or variants, from serde's message about what it expected.
fn expected(table: &serde_json::Value) -> BTreeSet<String> {
    let message = mdbook_qed::config::reader::read(table, None)
        .unwrap_err()
        .message;
    let list = &message[message
        .find("expected")
        .unwrap_or_else(|| panic!("{message}"))..];
    code(list).into_iter().collect()
}

/// Check that the reference lists every option, format, function, exhibit and setting with its values, and none else.
#[test]
fn the_reference_is_complete() {
    let reference = chapter("reference.md");
    let options = mdbook_qed::markdown::style::STYLE_OPTIONS.iter().copied();
    assert_eq!(
        first(&reference, "Placeholders"),
        set(options.chain(["machine"]))
    );
    let formats = mdbook_qed::markdown::style::FORMATS
        .iter()
        .map(|(name, _)| *name);
    assert_eq!(first(&reference, "as"), set(formats));
    assert_eq!(
        first(&reference, "Exhibits"),
        set(mdbook_qed::exhibits::registry::names())
    );
    for function in FUNCTIONS {
        let row = format!("| `{}` | {} |", function.usage, function.help);
        assert!(
            reference.contains(&row),
            "reference.md lacks the row\n{row}"
        );
    }
    assert_eq!(table(&reference, "Functions").len(), FUNCTIONS.len());

    assert_eq!(
        first(&reference, "Settings"),
        expected(&json!({ "no-such-key": 1 }))
    );
    for row in table(&reference, "Settings") {
        let key = code(&row[0]).concat();
        let values: BTreeSet<String> = match key.as_str() {
            "capture" | "on-fail" | "on-unverified" | "on-stale" | "addresses" => {
                assert_eq!(
                    expected(&json!({ &key: "no-such-value" })),
                    code(&row[1]).into_iter().collect(),
                    "{key}"
                );
                continue;
            }
            "deny" => code(&row[2]).into_iter().collect(),
            _ => continue,
        };
        assert_eq!(
            expected(&json!({ &key: ["no-such-lint"] })),
            values,
            "{key}"
        );
    }
}

/// Check that the gallery shows every exhibit but those that need more than one capture, and the source of each.
#[test]
fn gallery_of_exhibits() {
    let gallery = chapter("gallery.md");
    let (mut source, mut shown, mut sources) = (false, Vec::new(), Vec::new());
    for line in gallery.lines() {
        if line.starts_with("````") {
            source = !source;
        } else if let Some(info) = line.strip_prefix("```qed-exhibit ") {
            if source { &mut sources } else { &mut shown }.push(info);
        }
    }
    assert_eq!(shown, sources);
    let names: BTreeSet<String> = set(shown.iter().filter_map(|info| info.split(' ').next()));
    let all = mdbook_qed::exhibits::registry::names();
    assert_eq!(
        names,
        set(all.filter(|name| !["timeline", "history", "slides"].contains(name)))
    );
}

/// The words of a path that say what it is, without those that an author or a kernel chose.
fn fixed_words(path: &str, experiments: &BTreeMap<String, Experiment>) -> Vec<String> {
    let parts: Vec<&str> = path.split('.').collect();
    let words = match parts.as_slice() {
        [experiment, rest @ ..] if experiments.contains_key(*experiment) => match rest {
            ["outcome", "buffers" | "results", ..] | ["graph", ..] => &rest[..1],
            [
                group @ ("outcome" | "quality" | "cost" | "call" | "objects"),
                ..,
            ] => {
                return rest[1..].iter().chain([group]).map(numbered).collect();
            }
            [probe, rest @ ..] if experiments[*experiment].probes.contains_key(*probe) => {
                let rest = match rest {
                    [hit, rest @ ..] if numbered(hit) == "hitN" => rest,
                    rest => rest,
                };
                match rest {
                    ["args" | "entry" | "exit", ..] => &rest[..1],
                    ["members", side, _, what @ ..] => {
                        return ["members", side].iter().chain(what).map(numbered).collect();
                    }
                    rest => rest,
                }
            }
            rest => rest,
        },
        ["commands", _, "values", ..] => &parts[2..3],
        ["commands", _, rest @ ..] => rest,
        ["kaslr", "symbols", _, rest @ ..] => rest,
        ["kaslr", "sources", ..] | ["kernel", "config" | "modules", ..] => &parts[1..2],
        ["kaslr" | "kernel" | "machine" | "run" | "boots", rest @ ..] => rest,
        _ => &[],
    };
    words.iter().map(numbered).collect()
}

/// `hit12` as the guide writes it: `hitN`.
fn numbered(word: impl AsRef<str>) -> String {
    let word = word.as_ref();
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    match name {
        "hit" | "insn" | "boot" if name.len() < word.len() => format!("{name}N"),
        _ => word.to_owned(),
    }
}

/// Check that the reference has every part of the paths that recorded evidence of all machines has, so that what an author
/// finds in a list of paths is explained.
#[test]
fn paths_of_evidence() {
    let reference = chapter("reference.md");
    let rows = table(&reference, "Paths");
    let known: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| code(&row.join("|")))
        .flat_map(|text| {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let mut compared = 0;
    for machine in ["guest-debian-6.1", "guest-debian-7.3"] {
        let file = checkout().join("recorded").join(format!("{machine}.json"));
        let evidence = qed_evidence::reader::read(&std::fs::read(file).unwrap()).unwrap();
        let mut missing = BTreeSet::new();
        for path in qed_evidence::path_index::leaves(&evidence).paths() {
            for word in fixed_words(path, &evidence.experiments) {
                compared += 1;
                if !known.contains(&word) {
                    missing.insert(format!("{word} (of {path})"));
                }
            }
        }
        assert!(missing.is_empty(), "{machine}: {missing:#?}");
    }
    assert!(compared > 1000, "only {compared} words");
}

/// The tables of the page about investigations, and the table of TOML that each is about in the schema.
const KEYS: &[(&str, &str)] = &[
    ("`[facts]`", "RawFacts"),
    ("`[guest]`", "RawGuest"),
    ("`[[experiment]]`", "RawExperiment"),
    ("`workload`", "RawWorkload"),
    ("A call in `before` or `calls`", "RawCall"),
    ("A file in `files`", "RawGivenFile"),
    ("`stdin`", "RawStdin"),
    ("`[[experiment.probe]]`", "RawProbe"),
    ("`signal`", "RawSignal"),
    ("A read in `reads`", "RawRead"),
    ("`[[experiment.excuse]]`", "RawExcuse"),
    ("`[[command]]`", "RawCommand"),
    ("A value in `values`", "RawWanted"),
];

/// Check that the page about investigations lists every key of every table, and nothing else.
#[test]
fn keys_of_investigations() {
    let page = chapter("investigation.md");
    let schema = qed_evidence::investigation::schema();
    let keys = |of: &serde_json::Value| -> BTreeSet<String> {
        let properties = of["properties"].as_object();
        properties
            .into_iter()
            .flat_map(|all| all.keys().cloned())
            .collect()
    };
    assert_eq!(first(&page, "The file"), keys(&schema));
    let mut reported = BTreeSet::new();
    for (heading, name) in KEYS {
        let of_schema = keys(&schema["$defs"][name]);
        assert!(!of_schema.is_empty(), "{name}");
        assert_eq!(first(&page, heading), of_schema, "{heading}");
        reported.insert((*name).to_owned());
    }
    let tables = schema["$defs"].as_object().unwrap().iter();
    let tables = tables.filter(|(_, of)| of.get("properties").is_some());
    assert_eq!(
        tables
            .map(|(name, _)| name.clone())
            .collect::<BTreeSet<_>>(),
        reported
    );
}

/// Check that the page on finding what to watch shows an investigation and claims that can be read.
#[test]
fn example_of_finding() {
    let page = chapter("find.md");
    let block = |opening: &str| {
        let start = page.find(opening).unwrap() + opening.len();
        page[start..start + page[start..].find("\n```").unwrap()].to_owned()
    };
    let investigation = qed_evidence::investigation::parse("find.toml", &block("```toml\n"));
    let investigation = investigation.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(investigation.experiment("openat").is_some());
    for id in ["opens_passwd", "opened_first"] {
        let text = block(&format!("```qed-claim {id}\n"));
        let source = qed_evidence::diagnostic::SourceText {
            name: "find.md".into(),
            text: text.clone(),
        };
        let place = qed_evidence::claim::SourceMap::new(std::sync::Arc::new(source), 0);
        let claim = qed_evidence::claim::Claim::parse(id, &text, place, None);
        assert!(claim.is_ok(), "{id}: {:?}", claim.err());
    }
}

/// The help of a program.
fn help(program: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .parent()
        .unwrap();
    let output = Command::new(folder.join(program))
        .args(arguments)
        .arg("--help")
        .env("COLUMNS", "1000")
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; `make build` builds it"));
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Check that the list of commands is that of the program, and the exit statuses are those that it says.
#[test]
fn commands_are_those_of_the_program() {
    let reference = chapter("reference.md");
    for (program, heading) in [
        ("mdbook-qed", "Commands"),
        ("qed-collector", "Commands of qed-collector"),
    ] {
        let help = help(program, &[]);
        let list = &help[help.find("Commands:").unwrap()..help.find("Options:").unwrap()];
        let mut rows: Vec<(String, String)> = Vec::new();
        for line in list.lines().skip(1) {
            // What is too long for a line goes on in the next, further in.
            match (line.strip_prefix("  "), rows.last_mut()) {
                (Some(row), _) if !row.starts_with(' ') => {
                    let (name, what) = row.split_once("  ").unwrap_or((row, ""));
                    rows.push((format!("{program} {name}"), what.trim().to_owned()));
                }
                (_, Some((_, what))) if !line.trim().is_empty() => {
                    *what += " ";
                    *what += line.trim();
                }
                _ => {}
            }
        }
        rows.retain(|(name, _)| !name.ends_with(" help"));
        let written: Vec<(String, String)> = table(&reference, heading)
            .iter()
            .map(|row| (code(&row[0]).concat(), row[1].clone()))
            .collect();
        assert_eq!(written, rows);
    }
    let help = help("mdbook-qed", &[]);
    for row in table(&reference, "Exit status") {
        let printed = format!("{} {}", row[0], row[1]);
        assert!(help.contains(&printed), "{printed}");
    }
}

/// Check that the schemas that the guide publishes are those of the program: `mdbook-qed schema KIND > guide/src/schema/KIND.json`.
#[test]
fn schemas_are_those_of_the_program() {
    for kind in ["evidence", "investigation", "book"] {
        let output = Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .args(["schema", kind])
            .output()
            .unwrap();
        let published =
            std::fs::read(checkout().join(format!("guide/src/schema/{kind}.json"))).unwrap();
        assert!(
            output.stdout == published,
            "guide/src/schema/{kind}.json is of another version"
        );
        assert!(
            chapter("reference.md").contains(&format!("schema/{kind}.json")),
            "{kind}"
        );
    }
}

/// The lines of all fenced blocks of a language in the guide.
fn blocks(language: &str) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(checkout().join("guide/src")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for block in text.split(&format!("\n```{language}\n")).skip(1) {
            out.push(block[..block.find("\n```").unwrap()].to_owned());
        }
    }
    out
}

/// Check that every command that the guide shows exists, with its subcommand and options, and every target of make.
#[test]
fn shown_commands_exist() {
    let makefile = std::fs::read_to_string(checkout().join("Makefile")).unwrap();
    let mut checked = 0;
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["make", target] => assert!(makefile.contains(&format!("\n{target}:")), "{line}"),
            ["mkdir" | "cp" | "mdbook", ..] => {}
            ["sh", "install.sh", archive] => {
                let version = env!("CARGO_PKG_VERSION");
                assert_eq!(archive, format!("qed-{version}-x86_64-linux.tar.gz"));
            }
            [program @ ("mdbook-qed" | "qed-collector"), command, ..] => {
                // `kernels` has commands of its own.
                let mut path = vec![command];
                path.extend(words.get(2).filter(|_| command == "kernels"));
                let help = help(program, &path);
                for option in words.iter().filter(|word| word.starts_with("--")) {
                    assert!(
                        help.contains(&format!("{option} "))
                            || help.contains(&format!("{option}\n")),
                        "{line}"
                    );
                }
                checked += 1;
            }
            _ => panic!("the guide shows a command that is not checked: {line}"),
        }
    }
    assert!(checked > 5);
}

/// Check that the settings that the guide shows can be read.
#[test]
fn shown_settings_can_be_read() {
    let mut read = 0;
    for block in blocks("toml")
        .iter()
        .filter(|block| !block.contains("{{#include"))
    {
        let table: toml::Table = block.parse().unwrap();
        if let Some(settings) = table.get("preprocessor").and_then(|all| all.get("qed")) {
            let settings = serde_json::to_value(settings).unwrap();
            mdbook_qed::config::reader::read(&settings, None)
                .unwrap_or_else(|e| panic!("{}", e.message));
            read += 1;
        }
    }
    assert!(read >= 2);
}

/// Check that the messages that the guide explains are in the programs.
#[test]
fn explained_messages_exist() {
    fn sources(folder: &Path, out: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, out);
            } else {
                // A message may go on in the next line of the source.
                let text = std::fs::read_to_string(path).unwrap();
                let pieces: Vec<&str> = text.split("\\\n").map(str::trim_start).collect();
                out.push_str(&pieces.concat());
            }
        }
    }
    let mut all = String::new();
    for program in ["preprocessor/src", "collector/src", "evidence/src"] {
        sources(&checkout().join(program), &mut all);
    }
    let trouble = chapter("trouble.md");
    let headings: Vec<&str> = trouble
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    assert!(headings.len() > 8);
    for heading in headings
        .iter()
        .filter(|heading| !heading.starts_with("The book builds"))
    {
        assert!(all.contains(heading), "no message says `{heading}`");
    }
}

/// Check that the guide's investigation begins with the one that the guide shows as its own.
#[test]
fn investigation_of_the_guide() {
    let read = |file: &str| std::fs::read_to_string(checkout().join(file)).unwrap();
    let (own, shown) = (
        read("guide/investigation.toml"),
        read("investigations/pipe.toml"),
    );
    assert!(own.starts_with(&shown), "guide/investigation.toml");
    let investigation = qed_evidence::investigation::parse("investigation.toml", &own);
    let investigation = investigation.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(investigation.experiment("openat").is_some());
}
