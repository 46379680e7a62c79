//! What a silence and a count rest on, and the marks of values that were cut: a reader sees both wherever a verdict or a value
//! is shown.

use std::path::Path;

use crate::common;

use common::{Book, evidence, good, stdout};
use qed_evidence::investigation;
use serde_json::{Value as Json, json};

const MACHINE: &str = "guest:debian-6.12";

/// A claim of each kind that rests on something that was not seen, and words of what it rests on.
const CLAIMS: &[(&str, &str, &[&str])] = &[
    (
        "silent",
        "never(exhausted.fd_install)",
        &[
            "`exhausted.fd_install`: ",
            "no hit was lost or skipped",
            "the workload ended by itself",
            "it started no other process",
            "it fired in `create.fd_install`",
        ],
    ),
    (
        "counted",
        "fired(create.sock_alloc) == 1",
        &[
            "`create.sock_alloc`: ",
            "was watched",
            "no hit was lost or skipped",
        ],
    ),
    (
        "freed",
        "freed(exhausted)",
        &[
            "objects of `exhausted`: allocations were watched by `",
            "frees by `",
        ],
    ),
    (
        "traced",
        "never_ran(exhausted.graph, 'fd_install')",
        &[
            "`fd_install` in the tree of `exhausted`: the tracer sees ",
            "lost no record",
        ],
    ),
];

/// One that rests on what was seen alone.
const SEEN: &str = "create.outcome.returned == 3";

fn checkout() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of HTML, without its tags.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, behind)| behind);
    }
    text.push_str(rest);
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text
}

/// The block of a claim on a page.
fn block<'p>(page: &'p str, id: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("id=\"claim-{id}\"")).unwrap();
    rest.split("<div class=\"qed-claim").next().unwrap()
}

/// Check that a page, `explain` and the JSON of `check` each show all that a passing claim of silence, of a count, of a ledger and of
/// a tree rests on, and that one about what was seen shows nothing of it.
#[test]
fn of_silence() {
    let mut chapter = format!("# One\n\n```qed-claim seen\n{SEEN}\n```\n");
    for (id, text, _) in CLAIMS {
        chapter.push_str(&format!("\n```qed-claim {id}\n{text}\n```\n"));
    }
    let book = Book::new(&[("one.md", &chapter)], "", "");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    let settings = book.read("book.toml");
    assert!(settings.contains(machines));
    let own = format!("machines = [\"{MACHINE}\"]");
    book.write("book.toml", &settings.replace(machines, &own));
    let from = |name: &str| std::fs::read_to_string(checkout().join(name)).unwrap();
    book.write("test.toml", &from("investigations/socket.toml"));
    let name = mdbook_qed::config::evidence_file_name(MACHINE);
    book.write(
        &format!("recorded/{name}"),
        &from(&format!("recorded/{name}")),
    );
    book.build();
    let page = book.read("book/one.html");
    let checked = stdout(&book.qed(&["check", "--format", "json"]));
    let checked: Json = serde_json::from_str(&checked).unwrap();
    let judgement = |id: &str| {
        let mut claims = checked["claims"].as_array().unwrap().iter();
        let claim = claims.find(|claim| claim["id"] == id).unwrap();
        claim["verdicts"][0].clone()
    };
    for (id, text, words) in CLAIMS {
        let judged = judgement(id);
        assert_eq!(judged["verdict"], "PASS", "{text}: {judged}");
        let grounds: Vec<&str> = judged["rests_on"]
            .as_array()
            .unwrap_or_else(|| panic!("{text}: {judged}"))
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let all = grounds.join("\n");
        for word in *words {
            assert!(all.contains(word), "{text}: {word}: {all}");
        }
        let explained = good(&book.qed(&["explain", id]));
        let shown = block(&page, id);
        let shown_text = text_of(shown);
        assert!(
            shown.contains("what its silence and counts rest on"),
            "{shown}"
        );
        for ground in grounds {
            let line = format!("rests on {ground}\n");
            assert!(explained.contains(&line), "{line}: {explained}");
            // On the page, words in backquotes are code.
            let ground = ground.replace('`', "");
            assert!(shown_text.contains(&ground), "{ground}: {shown_text}");
        }
    }
    assert!(
        judgement("seen").get("rests_on").is_none(),
        "{}",
        judgement("seen")
    );
    assert!(!good(&book.qed(&["explain", "seen"])).contains("rests on"));
    assert!(!block(&page, "seen").contains("rest on"));
}

const CUT: &str = "[[experiment]]\nname = \"create\"\nworkload = { syscall = \"socket\", args = [\"AF_INET\", \"SOCK_STREAM\", 0] }\n\n\
    [[experiment.probe]]\nfunction = \"outer\"\nstack = true\nreads = [\n  { at = \"exit\", name = \"state\", path = \"return->state\" },\n  \
    { at = \"exit\", name = \"text\", path = \"return->name\" },\n  { at = \"exit\", name = \"array\", path = \"return->data\" },\n]\n\n\
    [[experiment.probe]]\nfunction = \"inner\"\n\n[[experiment.probe]]\nfunction = \"absent\"\noptional = true\n";

/// Check that the marks of a text, of an array, of a stack and of an output that were cut stand on the page wherever their values
/// do, in prose, in code, in a table and under a claim, and that a claim about what was not kept says so.
#[test]
fn of_cut_values() {
    let paths = [
        ("create.outer.exit.text", "cut after 6 bytes"),
        ("create.outer.exit.array", "cut after 2 of 640 bytes"),
        ("create.outer.stack", "cut after 2 frames"),
        ("create.outcome.stdout", "cut after 7 of 70000 bytes"),
    ];
    let mut chapter = String::from("# One\n\n");
    for (path, _) in paths {
        chapter.push_str(&format!(
            "Prose {{{{qed {path}}}}}.\n\n```text\n{{{{qed {path}}}}}\n```\n\n"
        ));
    }
    chapter.push_str("```qed-exhibit table\n");
    chapter.extend(paths.map(|(path, _)| format!("{path}\n")));
    chapter.push_str("```\n");
    for (id, text) in [
        ("kept", "starts_with(create.outer.exit.text, '/a/b')"),
        ("unkept", "ends_with(create.outer.exit.text, '/a/b/c')"),
        ("output", "ends_with(create.outcome.stdout, 'yyyyyyy')"),
    ] {
        chapter.push_str(&format!("\n```qed-claim {id}\n{text}\n```\n"));
    }
    let book = Book::new(&[("one.md", &chapter)], "", "");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    let settings = book.read("book.toml");
    assert!(settings.contains(machines));
    let own = "machines = [\"guest:test-1\"]";
    book.write("book.toml", &settings.replace(machines, own));
    book.write("test.toml", CUT);
    let mut document = serde_json::to_value(evidence("guest:test-1", 0x1e00_0000, "")).unwrap();
    document["run"]["investigation_digest"] = investigation::parse("test.toml", CUT)
        .unwrap()
        .digest
        .into();
    let create = &mut document["experiments"]["create"];
    create["outcome"]["stdout"] =
        json!({"kind": "text", "value": "yyyyyyy", "cut": {"whole": 70000}});
    let hit = &mut create["probes"]["outer"]["hits"][0];
    hit["exit"]["text"] = json!({"kind": "text", "value": "/a/b/c", "cut": {}});
    hit["exit"]["array"] = json!({"kind": "bytes", "value": "beef", "cut": {"whole": 640}});
    hit["stack"] = json!({"kind": "stack", "cut": {}, "value": [
        {"address": "0xffffffff9f002380"}, {"address": "0xffffffff9f004000"},
    ]});
    let document = serde_json::from_value(document).unwrap();
    book.evidence(&document);
    book.build();
    let page = book.read("book/one.html");
    for (path, mark) in paths {
        // In prose, in code, and in the table.
        let shown = text_of(&page).matches(&format!("… ({mark})")).count();
        assert!(shown >= 3, "{path}: {mark}: {shown}: {page}");
    }
    for (id, badge, mark) in [
        ("kept", "✔ PASS", "/a/b/c… (cut after 6 bytes)"),
        ("unkept", "? UNVERIFIED", "cut after 6 bytes"),
        ("output", "? UNVERIFIED", "cut after 7 of 70000 bytes"),
    ] {
        let shown = text_of(block(&page, id));
        assert!(
            shown.contains(badge) && shown.contains(mark),
            "{id}: {shown}"
        );
    }
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
}
