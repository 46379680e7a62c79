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
    let name = mdbook_qed::config::evidence_file_name(machine);
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
    let name = mdbook_qed::config::evidence_file_name(MACHINE);
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

/// One edit: what it is, how it is done, the place that has to be named, and words of the check that has to find it.
struct Edit {
    name: &'static str,
    apply: Box<dyn Fn(&mut Json)>,
    place: String,
    reason: &'static str,
}

impl Edit {
    fn new(name: &'static str, apply: impl Fn(&mut Json) + 'static, place: String) -> Self {
        Edit {
            name,
            apply: Box::new(apply),
            place,
            reason: "",
        }
    }

    /// Demand that the complaint contains these words.
    fn because(self, reason: &'static str) -> Self {
        Edit { reason, ..self }
    }
}

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
    Edit::new(name, edit, named)
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
        )
        .because("says `CONFIG_RANDOMIZE_BASE=y`"),
        set(
            "another release",
            "/kernel/release".into(),
            json!("6.16.0"),
            "",
        )
        .because("`/proc/sys/kernel/osrelease` says"),
        set(
            "descendants that nobody asked to follow",
            format!("{create}/quality/descendants"),
            json!({"started": 1, "followed": 1}),
            &format!("{create}/quality/descendants/followed"),
        )
        .because("does not follow what the workload starts"),
        set(
            "all hits of a probe deleted, with the count of events left",
            format!("{create}/probes/sock_alloc/hits"),
            json!([]),
            "/experiments/create/quality/events",
        )
        .because("no probe has a hit of event 14"),
        Edit::new(
            "one hit removed",
            |document| {
                remove(
                    document,
                    "/experiments/create/probes/socket_allocation/hits",
                    1,
                )
            },
            format!("{create}/quality/events"),
        )
        .because("no probe has a hit of event 16"),
        Edit::new(
            "an allocation excused by a reason that the investigation does not have",
            |document| {
                at(document, "/experiments/exhausted/objects/allocations/0")["excused"] =
                    json!("alloc_file: it is kept for later");
            },
            format!("{exhausted}/objects/allocations/0/excused"),
        )
        .because("the investigation has no such excuse"),
        set(
            "another line of a call that is on other stacks as well",
            format!("{exhausted}/probes/sock_alloc/hits/0/stack/value/2/site/line"),
            json!(1600),
            &format!("{exhausted}/probes/sock_alloc/hits/0/stack/value/2/site"),
        )
        .because("says something else of the same address"),
        set(
            "another function that was inlined into a frame",
            format!("{exhausted}/probes/__sock_create/hits/0/stack/value/1/site/function"),
            json!("sock_creat"),
            &format!("{exhausted}/probes/__sock_create/hits/0"),
        )
        .because("the place of the call is not that of the second frame of its stack"),
        set(
            "a value of another type than its parameter's",
            format!("{}/args/net/type", hit("inet_create")),
            json!("struct sock *"),
            &hit("inet_create"),
        )
        .because("`net` is a `struct net *`, not a `struct sock *`"),
        set(
            "a returned value of another type than the function's",
            format!("{}/return/type", hit("inet_create")),
            json!("unsigned int"),
            &hit("inet_create"),
        )
        .because("the function returns a `int`, not a `unsigned int`"),
        set(
            "a kernel that lies between two places",
            "/boots/3/physical/value".into(),
            json!(0x1000001),
            "/boots/3/physical",
        )
        .because("is not a multiple of 2097152"),
        set(
            "exit 0 together with a signal",
            format!("{create}/outcome/signal"),
            json!({"kind": "enum", "value": 9, "type": "signal", "name": "SIGKILL"}),
            "",
        )
        .because("the process ended by itself, and so no signal ended it"),
        set(
            "output that contradicts the return value",
            format!("{create}/outcome/stdout/value"),
            json!("socket(2, 1, 0) = -1 EMFILE\n"),
            "/experiments/create/outcome/stdout",
        )
        .because("the workload printed `-1 EMFILE`"),
        set(
            "output that contradicts the error",
            format!("{exhausted}/outcome/stdout/value"),
            json!("socket(2, 1, 0) = -1 ENFILE\n"),
            "/experiments/exhausted/outcome/stdout",
        )
        .because("the workload printed `-1 ENFILE`"),
        Edit::new(
            "the caller cut out of a stack",
            |document| remove(document, &format!("{}/stack/value", hit("sock_alloc")), 1),
            alloc.clone(),
        )
        .because("which is not the second frame of its stack"),
        Edit::new(
            "an outer frame cut out of a stack",
            |document| remove(document, &format!("{}/stack/value", hit("inet_create")), 3),
            format!("{}/stack", hit("inet_create")),
        )
        .because("its stack does not end as that call's does"),
        set(
            "a time outside of the run",
            format!("{}/time_ns", hit("result")),
            json!(10_u64.pow(17)),
            &hit("result"),
        )
        .because("the experiment was over by then"),
        set(
            "a time after the event behind it",
            format!("{alloc}/time_ns"),
            json!(10_u64.pow(9)),
            &alloc,
        )
        .because("has an earlier time than the one before it"),
        set(
            "a time before the event before",
            format!("{alloc}/return_time_ns"),
            json!(1),
            &alloc,
        )
        .because("has an earlier time than the one before it"),
        set(
            "a function watched by a tracepoint",
            format!("{create}/probes/sock_alloc/backend"),
            json!("tracepoint"),
            "",
        )
        .because("the probe watches a function, which this back-end cannot"),
        set(
            "a tracepoint watched by a kprobe",
            format!("{create}/probes/gate/backend"),
            json!("kprobe"),
            "",
        )
        .because("the probe watches a tracepoint, which this back-end cannot"),
        set(
            "another workload",
            format!("{create}/workload"),
            json!("socket(AF_INET6, SOCK_STREAM, 0)"),
            "",
        )
        .because("the workload was `socket(AF_INET, SOCK_STREAM, 0)`"),
        set(
            "a processor that the machine does not have",
            format!("{alloc}/cpu"),
            json!(7),
            "",
        )
        .because("is none of the machine's"),
        set(
            "another process in the same thread",
            format!("{alloc}/task/pid"),
            json!(4242),
            &alloc,
        )
        .because("belongs to process"),
        set(
            "the same order twice",
            format!("{alloc}/order"),
            json!(7),
            &alloc,
        )
        .because("two hits use event"),
        set(
            "an error beside a back-end",
            format!("{create}/probes/sock_alloc/attach_errno"),
            json!({"kind": "errno", "value": -22, "name": "EINVAL"}),
            "",
        )
        .because("the probe is attached, and the kernel refused it"),
        set(
            "a slide that its source does not say",
            "/kaslr/slide/value".into(),
            json!(0),
            "/kaslr/sources/kallsyms_systemmap",
        )
        .because("the slide is 0, and this source says"),
        set(
            "a kernel that was not moved",
            "/kaslr/status/value".into(),
            json!("disabled"),
            "/kaslr/status",
        )
        .because("is not disabled"),
        set(
            "more symbols that differ than were compared",
            "/kaslr/differing/value".into(),
            json!(10_u64.pow(9)),
            "/kaslr/differing",
        )
        .because("symbols cannot differ"),
        set(
            "a member at two places",
            format!("{exhausted}/probes/sock_alloc/members/exit/state/offset"),
            json!(4096),
            "/experiments/exhausted/probes/sock_alloc/members/exit/state",
        )
        .because("the same read takes another member at"),
        Edit::new(
            "another type of a parameter",
            |document| {
                at(
                    document,
                    "/experiments/exhausted/probes/__sock_create/parameters/1",
                )["type"] = json!("long");
            },
            format!("{exhausted}/probes/__sock_create/parameters"),
        )
        .because("says something else of the same function"),
        set(
            "another target",
            format!("{create}/probes/sock_alloc/target"),
            json!({"function": "sock_free"}),
            "",
        )
        .because("the probe is to watch something else"),
        set(
            "a probe that is not optional",
            format!("{create}/probes/x64_sys_call/optional"),
            json!(false),
            "",
        )
        .because("the probe is optional"),
        Edit::new(
            "an allocation out of the ledger",
            |document| remove(document, "/experiments/exhausted/objects/allocations", 0),
            format!("{exhausted}/probes"),
        )
        .because("the ledger does not say that"),
        set(
            "another object freed",
            format!("{exhausted}/objects/allocations/0/address"),
            json!("0xffff888000000001"),
            "/experiments/exhausted/probes",
        )
        .because("the ledger says that this is"),
        set(
            "a free at another time than its probe saw it",
            format!("{exhausted}/objects/allocations/0/freed/time_ns"),
            json!(99_999_999_999_u64),
            "/experiments/exhausted/objects/allocations/0/freed/time_ns",
        )
        .because("event 40 came after"),
        set(
            "two boots that are one",
            "/boots/1/boot_id".into(),
            json!(recorded(MACHINE)["boots"][0]["boot_id"]),
            "",
        )
        .because("this boot is in the document already"),
        set(
            "a boot with a slide that its symbols do not have",
            "/boots/1/slide/value".into(),
            json!(12_345),
            "/boots/1/slide",
        )
        .because("its `_text` is"),
        set(
            "a guest called a host",
            "/machine/kind".into(),
            json!("host"),
            "",
        )
        .because("is not of this kind"),
        set(
            "a value that the output does not have",
            "/commands/live/values/release/value".into(),
            json!("6.12.0"),
            "/commands/live/values/release",
        )
        .because("the command's output does not say so"),
        set(
            "another command",
            "/commands/live/argv/1".into(),
            json!("-n"),
            "/commands/live/argv",
        )
        .because("is not the command that was asked for"),
        set(
            "a command with an output and no end",
            "/commands/live/exit".into(),
            json!({"unavailable": "late"}),
            "/commands/live/output",
        )
        .because("the command did not end by itself, and then nothing of what it printed is kept"),
        set(
            "a return that was missed and is not counted",
            "/experiments/pool/quality/missed".into(),
            json!(0),
            "",
        )
        .because("2 calls have no return"),
    ]
}

/// Check that what was recorded passes, and that each edit of it is refused by `check`, which names the place, and by the check
/// that is meant for it.
#[test]
fn each_edit() {
    let original = recorded(MACHINE);
    let output = book(&original).qed(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut missed = Vec::new();
    for Edit {
        name,
        apply,
        place,
        reason,
    } in edits()
    {
        let mut document = original.clone();
        apply(&mut document);
        assert_ne!(document, original, "{name} changes nothing");
        let output = book(&document).qed(&["check"]);
        let printed = stderr(&output);
        // A message is broken into lines.
        let words: Vec<&str> = printed.split_whitespace().collect();
        let said = words.join(" ");
        if output.status.code() != Some(2)
            || !said.contains(&format!("at `{place}"))
            || !said.contains(reason)
        {
            missed.push(format!("{name} ({reason}): {printed}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
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
