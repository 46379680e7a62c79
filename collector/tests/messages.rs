//! Messages about functions and arguments that need a second look, as authors see them from `plan` and `capture` in real guests.

use qed_evidence::document::Evidence;
use qed_evidence::path_index::leaves;

use crate::support::{
    captured_from, collector, evidence_in, folder_with, resumed_capture_on, status_and_message,
};

const GUEST: &str = "guest:debian-6.12";

/// The value at a path as text.
fn shown(evidence: &Evidence, path: &str) -> String {
    let leaves = leaves(evidence);
    let leaf = leaves
        .get(path)
        .unwrap_or_else(|| panic!("nothing at {path}"));
    let value = leaf.datum.value();
    value
        .unwrap_or_else(|| panic!("{path}: {:?}", leaf.datum))
        .to_string()
}

/// An open of a file by `openat2`, with these probes besides that of its function.
fn open(probes: &str) -> String {
    format!(
        r#"
[[experiment]]
name = "open"
workload = {{ syscall = "openat2", args = ["AT_FDCWD", {{ text = "/etc/passwd" }}, {{ struct = "open_how", flags = "O_RDONLY|O_CLOEXEC", resolve = 4, buffer = "how" }}, {{ sizeof = "open_how" }}] }}
[[experiment.probe]]
function = "do_sys_openat2"
reads = [
  {{ at = "entry", name = "flags", path = "how->flags" }},
  {{ at = "entry", name = "resolve", path = "how->resolve" }},
]
{probes}"#
    )
}

/// Check that the structure that `openat2` takes is filled by the names of its members, as the kernel reads it, and that a misspelt
/// member leaves the call out with the nearest name.
#[test]
fn open_how() {
    let text = open("");
    let misspelt = text
        .replace("\"open\"", "\"misspelt\"")
        .replace(", resolve = 4", ", resolv = 4");
    let (evidence, _) = captured_from("debian-6.12", &format!("{text}{misspelt}"));
    let at = |path: &str| shown(&evidence, path);
    assert_eq!(at("open.outcome.stdout").trim_matches('"'), "");
    assert_eq!(at("open.outcome.returned"), "3");
    // The kernel adds O_LARGEFILE before it comes here.
    assert_eq!(at("open.do_sys_openat2.entry.flags"), "557056");
    assert_eq!(at("open.do_sys_openat2.entry.resolve"), "4");
    assert_eq!(at("open.do_sys_openat2.return"), "3");
    let leaves = leaves(&evidence);
    let why = format!(
        "{:?}",
        leaves.get("misspelt.outcome.returned").unwrap().datum
    );
    assert!(why.contains("the nearest name is `resolve`"), "{why}");
}

/// Check that a function of which the compiler left a clone only is refused with the clone's name and both ways to watch it, that the
/// clone beside it is watched, and that the note and the plan's line have the place.
#[test]
fn only_a_clone() {
    let clone = "link_path_walk.part.0.constprop.0";
    let beside = format!(
        "[[experiment.probe]]\nfunction = \"link_path_walk\"\n\
         [[experiment.probe]]\nfunction = \"{clone}\"\nname = \"walk\"\n"
    );
    let all = "[[experiment.probe]]\nfunction = \"link_path_walk\"\nclones = true\n";
    let text = open(&beside) + &open(all).replace("\"open\"", "\"all\"");
    let why = format!(
        "`link_path_walk` has no code under that name in this kernel: the compiler made `{clone}` of it; probe that by its name, or say \
         `clones = true`"
    );
    let folder = folder_with(&text);
    let plan = ["plan", "--investigation", "i.toml", "--on", GUEST];
    let plan = collector(folder.path(), plan).output().unwrap();
    let (status, reported) = status_and_message(&plan);
    assert_eq!(status, Some(2), "{reported}");
    let message = format!("error: nothing would be watched by `open.link_path_walk`: {why}");
    assert!(
        reported.starts_with(&message) && reported.contains("--> i.toml:12:"),
        "{reported}"
    );
    let text = String::from_utf8(plan.stdout).unwrap();
    assert!(
        text.contains(&format!("REFUSED: {why} (i.toml:12:")),
        "{text}"
    );
    let capture = resumed_capture_on(GUEST, folder.path(), "i.toml")
        .output()
        .unwrap();
    let (status, reported) = status_and_message(&capture);
    assert_eq!(status, Some(0), "{reported}");
    assert!(
        reported.contains(&format!(
            "nothing was watched by `open.link_path_walk`: {why} (i.toml:12:"
        )),
        "{reported}"
    );
    let evidence = evidence_in(folder.path());
    for (experiment, probe) in [("open", "walk"), ("all", "link_path_walk")] {
        let probe = &evidence.experiments[experiment].probes[probe];
        assert_eq!(probe.unavailable, None, "{experiment}");
        assert!(!probe.hits.is_empty(), "{experiment}");
        assert_eq!(probe.watched.len(), 1, "{experiment}");
    }
}

/// Check that two probes on two names of one function are captured, and that the kernel's refusal of the function is told once of both.
#[test]
fn two_names_of_one_address() {
    let text = "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"getpid\" }\n\
        [[experiment.probe]]\ntracepoint = \"sys_exit\"\n\
        [[experiment.probe]]\nfunction = \"memcpy\"\n[[experiment.probe]]\nfunction = \"__memcpy\"\n";
    for guest in ["debian-6.1", "debian-6.12"] {
        let (evidence, reported) = captured_from(guest, text);
        let [first, second] =
            ["memcpy", "__memcpy"].map(|name| &evidence.experiments["e"].probes[name]);
        assert_eq!(first.address, second.address, "{guest}");
        assert!(first.address.is_some(), "{guest}");
        assert_eq!(first.unavailable, second.unavailable, "{guest}");
        let why = first
            .unavailable
            .as_deref()
            .expect("Debian's kernels refuse it");
        assert!(
            why.contains("the function is marked notrace"),
            "{guest}: {why}"
        );
        let note = format!("nothing was watched by `e.memcpy`, `e.__memcpy`: {why} (i.toml:7:");
        assert!(reported.contains(&note), "{guest}: {reported}");
        assert_eq!(reported.matches("note:").count(), 1, "{guest}: {reported}");
    }
}

/// Check that `x64_sys_call`, which is notrace since 6.16 and on no list of the kernel's, is told with what the kernel's log says of it and
/// not as NOKPROBE, also where the investigation does not call the probe optional; and that 6.12 has it watched.
#[test]
fn dispatch_is_notrace() {
    let text = "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"getpid\" }\n\
        [[experiment.probe]]\ntracepoint = \"sys_exit\"\n\
        [[experiment.probe]]\nfunction = \"x64_sys_call\"\n";
    let (evidence, reported) = captured_from("debian-7.3", text);
    let probe = &evidence.experiments["e"].probes["x64_sys_call"];
    let why = probe.unavailable.as_deref().expect("7.3 refuses it");
    for part in [
        "cannot attach the kprobe",
        "the kernel's log says that the function is marked notrace",
        "CONFIG_KPROBE_EVENTS_ON_NOTRACE is not set",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(!why.contains("NOKPROBE"), "{why}");
    assert!(probe.hits.is_empty() && probe.watched.is_empty());
    let note = format!("nothing was watched by `e.x64_sys_call`: {why} (i.toml:7:");
    assert!(reported.contains(&note), "{reported}");
    let (evidence, _) = captured_from("debian-6.12", text);
    let probe = &evidence.experiments["e"].probes["x64_sys_call"];
    assert_eq!(probe.unavailable, None);
    assert!(!probe.hits.is_empty());
}
