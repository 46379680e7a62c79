//! Evidence that was changed by hand: single edits of what was recorded, each of which `check` names with its place.

use crate::common;

use std::path::{Path, PathBuf};

use common::{Book, stderr};
use qed_evidence::investigation::Investigation;
use qed_evidence::validate::find_contradiction;
use serde_json::{Value as Json, json};

const MACHINE: &str = "guest:debian-6.12";

const CHAPTER: &str = "# One\n\n```qed-claim one\ncreate.outcome.returned == 3\n```\n";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The recorded evidence of a machine.
fn recorded(machine: &str) -> Json {
    let name = mdbook_qed::config::evidence_file(machine);
    let text = std::fs::read_to_string(checkout().join("recorded").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn text_of_investigation() -> String {
    std::fs::read_to_string(checkout().join("investigations/socket.toml")).unwrap()
}

fn investigation() -> Investigation {
    qed_evidence::investigation::parse("socket.toml", &text_of_investigation()).unwrap()
}

/// A book with a claim on this evidence.
fn book(document: &Json) -> Book {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let settings = book.read("book.toml");
    let machines = "machines = [\"guest:test-1\", \"guest:test-2\"]";
    assert!(settings.contains(machines));
    let own = format!("machines = [\"{MACHINE}\"]");
    book.write("book.toml", &settings.replace(machines, &own));
    book.write("test.toml", &text_of_investigation());
    let name = mdbook_qed::config::evidence_file(MACHINE);
    book.write(&format!("recorded/{name}"), &document.to_string());
    book
}

/// The first hit of a probe, and its place.
fn hit(probe: &str) -> String {
    format!("/experiments/create/probes/{probe}/hits/0")
}

fn at<'d>(document: &'d mut Json, pointer: &str) -> &'d mut Json {
    let found = document.pointer_mut(pointer);
    found.unwrap_or_else(|| panic!("nothing is recorded at {pointer}"))
}

fn remove(document: &mut Json, pointer: &str, index: usize) {
    at(document, pointer).as_array_mut().unwrap().remove(index);
}

/// One edit: what it is, how it is done, and the place that has to be named.
type Edit = (&'static str, Box<dyn Fn(&mut Json)>, String);

/// Set one leaf.
fn set(name: &'static str, pointer: String, value: Json, named: &str) -> Edit {
    let named = if named.is_empty() {
        pointer.clone()
    } else {
        named.to_owned()
    };
    let (parent, leaf) = pointer.rsplit_once('/').unwrap();
    let (parent, leaf) = (parent.to_owned(), leaf.to_owned());
    let edit = move |document: &mut Json| match at(document, &parent) {
        Json::Array(list) => list[leaf.parse::<usize>().unwrap()] = value.clone(),
        other => other[leaf.as_str()] = value.clone(),
    };
    (name, Box::new(edit), named)
}

fn edits() -> Vec<Edit> {
    let create = "/experiments/create";
    let exhausted = "/experiments/exhausted";
    let alloc = hit("sock_alloc");
    vec![
        set(
            "an option of the configuration",
            "/kernel/config/randomize_base/value".into(),
            json!("n"),
            "/kernel/config/randomize_base",
        ),
        set(
            "another release",
            "/kernel/release".into(),
            json!("6.16.0"),
            "",
        ),
        set(
            "descendants that nobody asked to follow",
            format!("{create}/quality/descendants"),
            json!({"started": 1, "followed": 1}),
            &format!("{create}/quality/descendants/followed"),
        ),
        set(
            "all hits of a probe deleted, with the count of events left",
            format!("{create}/probes/sock_alloc/hits"),
            json!([]),
            "/experiments/create/quality/events",
        ),
        (
            "one hit removed",
            Box::new(|document| {
                remove(
                    document,
                    "/experiments/create/probes/socket_allocation/hits",
                    1,
                )
            }),
            format!("{create}/quality/events"),
        ),
        (
            "an allocation excused by a reason that the investigation does not have",
            Box::new(|document| {
                at(document, "/experiments/exhausted/objects/allocations/0")["excused"] =
                    json!("alloc_file: it is kept for later");
            }),
            format!("{exhausted}/objects/allocations/0/excused"),
        ),
        set(
            "another line of a call that is on other stacks as well",
            format!("{exhausted}/probes/sock_alloc/hits/0/stack/value/2/site/line"),
            json!(1600),
            &format!("{exhausted}/probes/sock_alloc/hits/0/stack/value/2/site"),
        ),
        set(
            "another function that was inlined into a frame",
            format!("{exhausted}/probes/__sock_create/hits/0/stack/value/1/site/function"),
            json!("sock_creat"),
            &format!("{exhausted}/probes/__sock_create/hits/0"),
        ),
        set(
            "a value of another type than its parameter's",
            format!("{}/args/net/type", hit("inet_create")),
            json!("struct sock *"),
            &hit("inet_create"),
        ),
        set(
            "a returned value of another type than the function's",
            format!("{}/return/type", hit("inet_create")),
            json!("unsigned int"),
            &hit("inet_create"),
        ),
        set(
            "a kernel that lies between two places",
            "/boots/3/physical/value".into(),
            json!(0x1000001),
            "/boots/3/physical",
        ),
        set(
            "exit 0 together with a signal",
            format!("{create}/outcome/signal"),
            json!({"kind": "enum", "value": 9, "type": "signal", "name": "SIGKILL"}),
            "",
        ),
        set(
            "output that contradicts the return value",
            format!("{create}/outcome/stdout/value"),
            json!("socket(2, 1, 0) = -1 EMFILE\n"),
            "/experiments/create/outcome/stdout",
        ),
        set(
            "output that contradicts the error",
            format!("{exhausted}/outcome/stdout/value"),
            json!("socket(2, 1, 0) = -1 ENFILE\n"),
            "/experiments/exhausted/outcome/stdout",
        ),
        (
            "the caller cut out of a stack",
            Box::new(|document| remove(document, &format!("{}/stack/value", hit("sock_alloc")), 1)),
            alloc.clone(),
        ),
        (
            "an outer frame cut out of a stack",
            Box::new(|document| {
                remove(document, &format!("{}/stack/value", hit("inet_create")), 3)
            }),
            format!("{}/stack", hit("inet_create")),
        ),
        set(
            "a time outside of the run",
            format!("{alloc}/time_ns"),
            json!(10_u64.pow(17)),
            &alloc,
        ),
        set(
            "a time before the event before",
            format!("{alloc}/return_time_ns"),
            json!(1),
            &alloc,
        ),
        set(
            "a function watched by a tracepoint",
            format!("{create}/probes/sock_alloc/backend"),
            json!("tracepoint"),
            "",
        ),
        set(
            "a tracepoint watched by a kprobe",
            format!("{create}/probes/gate/backend"),
            json!("kprobe"),
            "",
        ),
        set(
            "another workload",
            format!("{create}/workload"),
            json!("socket(AF_INET6, SOCK_STREAM, 0)"),
            "",
        ),
        set(
            "a processor that the machine does not have",
            format!("{alloc}/cpu"),
            json!(7),
            "",
        ),
        set(
            "another process in the same thread",
            format!("{alloc}/task/pid"),
            json!(4242),
            &alloc,
        ),
        set(
            "the same order twice",
            format!("{alloc}/order"),
            json!(7),
            &alloc,
        ),
        set(
            "an error beside a back-end",
            format!("{create}/probes/sock_alloc/attach_errno"),
            json!({"kind": "errno", "value": -22, "name": "EINVAL"}),
            "",
        ),
        set(
            "a slide that its source does not say",
            "/kaslr/slide/value".into(),
            json!(0),
            "/kaslr/sources/kallsyms_systemmap",
        ),
        set(
            "a kernel that was not moved",
            "/kaslr/status/value".into(),
            json!("disabled"),
            "/kaslr/status",
        ),
        set(
            "more symbols that differ than were compared",
            "/kaslr/differing/value".into(),
            json!(10_u64.pow(9)),
            "/kaslr/differing",
        ),
        set(
            "a member at two places",
            format!("{exhausted}/probes/sock_alloc/members/exit/state/offset"),
            json!(4096),
            "/experiments/exhausted/probes/sock_alloc/members/exit/state",
        ),
        (
            "another type of a parameter",
            Box::new(|document| {
                at(
                    document,
                    "/experiments/exhausted/probes/__sock_create/parameters/1",
                )["type"] = json!("long");
            }),
            format!("{exhausted}/probes/__sock_create/parameters"),
        ),
        set(
            "another target",
            format!("{create}/probes/sock_alloc/target"),
            json!({"function": "sock_free"}),
            "",
        ),
        set(
            "a probe that is not optional",
            format!("{create}/probes/x64_sys_call/optional"),
            json!(false),
            "",
        ),
        (
            "an allocation out of the ledger",
            Box::new(|document| remove(document, "/experiments/exhausted/objects/allocations", 0)),
            format!("{exhausted}/probes"),
        ),
        set(
            "another object freed",
            format!("{exhausted}/objects/allocations/0/address"),
            json!("0xffff888000000001"),
            "/experiments/exhausted/probes",
        ),
        set(
            "freed by the workload itself",
            format!("{exhausted}/objects/allocations/0/freed/time_ns"),
            json!(99_999_999_999_u64),
            "/experiments/exhausted/objects/allocations/0/freed/time_ns",
        ),
        set(
            "two boots that are one",
            "/boots/1/boot_id".into(),
            json!(recorded(MACHINE)["boots"][0]["boot_id"]),
            "",
        ),
        set(
            "a boot with a slide off the grain",
            "/boots/1/slide/value".into(),
            json!(12_345),
            "/boots/1/slide",
        ),
        set(
            "a guest called a host",
            "/machine/kind".into(),
            json!("host"),
            "",
        ),
        set(
            "a value that the output does not have",
            "/commands/live/values/release/value".into(),
            json!("6.12.0"),
            "/commands/live/values/release",
        ),
        set(
            "another command",
            "/commands/live/argv/1".into(),
            json!("-n"),
            "/commands/live/argv",
        ),
        set(
            "a command with an output and no end",
            "/commands/live/exit".into(),
            json!({"unavailable": "late"}),
            "/commands/live/output",
        ),
        set(
            "a return that was missed and is not counted",
            "/experiments/pool/quality/missed".into(),
            json!(0),
            "",
        ),
    ]
}

/// Check that what was recorded passes, and that each edit of it is refused by `check`, which names the place.
#[test]
fn each_edit() {
    let original = recorded(MACHINE);
    let output = book(&original).qed(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (name, edit, place) in edits() {
        let mut document = original.clone();
        edit(&mut document);
        assert_ne!(document, original, "{name} changes nothing");
        let output = book(&document).qed(&["check"]);
        let printed = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{name} is believed");
        assert!(
            printed.contains(&format!("at `{place}")),
            "{name}: {printed}"
        );
    }
}

/// The reason that a document is refused; `None` if it is accepted.
fn refused(document: &Json, investigation: &Investigation) -> Option<String> {
    match qed_evidence::reader::read(document.to_string().as_bytes()) {
        Err(error) => Some(error.to_string()),
        Ok(evidence) => find_contradiction(investigation, &evidence)
            .map(|(at, reason)| format!("{at}: {reason}")),
    }
}

/// Check that on both machines no hit can be taken out of any probe, and no event moved to another place of the order.
#[test]
fn no_event_can_go() {
    let investigation = investigation();
    for machine in ["guest:debian-6.1", MACHINE] {
        let original = recorded(machine);
        assert_eq!(refused(&original, &investigation), None);
        let mut tried = 0;
        for (name, experiment) in original["experiments"].as_object().unwrap() {
            // One experiment is judged as all others are, and quicker.
            let mut small = original.clone();
            small["experiments"] = json!({ name.as_str(): experiment });
            for (probe, found) in experiment["probes"].as_object().unwrap() {
                let hits = found["hits"].as_array().map_or(0, Vec::len);
                for index in 0..hits {
                    let hits = format!("/experiments/{name}/probes/{probe}/hits");
                    let mut without = small.clone();
                    remove(&mut without, &hits, index);
                    assert!(
                        refused(&without, &investigation).is_some(),
                        "{machine} {hits}/{index} can go"
                    );
                    let mut moved = small.clone();
                    for order in ["order", "return_order"] {
                        if let Some(Json::Number(number)) =
                            moved.pointer(&format!("{hits}/{index}/{order}"))
                        {
                            let next = number.as_u64().unwrap() + 1;
                            *at(&mut moved, &format!("{hits}/{index}/{order}")) = json!(next);
                            break;
                        }
                    }
                    assert!(
                        refused(&moved, &investigation).is_some(),
                        "{machine} {hits}/{index} can move"
                    );
                    tried += 2;
                }
            }
        }
        assert!(tried > 300, "{tried}");
    }
}
