//! Tests with one edit per rule: each is refused at its place, and the same document without it is accepted.

use serde_json::{Value as Json, json};

use crate::testing::evidence_text;
use crate::validate::reader::{ReadError, read};

/// The sample with more of what can contradict itself.
fn document() -> Json {
    let mut document: Json = serde_json::from_str(evidence_text()).unwrap();
    document["boots"] = json!([{
        "boot_id": "b2", "time": "2026-11-23T12:00:00Z", "slide": {"kind": "offset", "value": 0x20_0000},
        "text": {"kind": "address", "value": "0xffffffff81200000"}, "physical": {"unavailable": "not readable"}
    }]);
    document["kaslr"]["sources"] = json!({
        "kallsyms": {"kind": "offset", "value": 287_309_824}, "console": {"unavailable": "not watched"},
        "vmcoreinfo": {"kind": "offset", "value": 287_309_824}
    });
    document["commands"] = json!({"place": {
        "by": "machine", "argv": ["grep", "-w", "_text", "/proc/kallsyms"], "exit": {"kind": "int", "value": 0},
        "output": {"kind": "text", "value": "ffffffff92200000 T _text\n"},
        "values": {"address": {"kind": "address", "value": "0xffffffff92200000"}}
    }});
    document
}

/// The place and the reason at which the document is refused.
fn refused(document: &Json) -> Option<(String, String)> {
    match read(document.to_string().as_bytes()) {
        Ok(_) => None,
        Err(ReadError::Contradiction { pointer, reason }) => Some((pointer, reason)),
        Err(other) => panic!("{other}"),
    }
}

/// Check that a document which says one thing in two ways is refused where it does.
#[test]
fn contradictions() {
    assert_eq!(refused(&document()), None);
    let create = "/experiments/create";
    let allocation = "/experiments/create/objects/allocations/0";
    let fd_install = "/experiments/create/probes/fd_install/hits/0";
    let twice = "/experiments/create/probes/twice/hits";
    let cases: Vec<(&str, String, Json, &str)> = vec![
        (
            "/machine/kind",
            "/machine/kind".into(),
            json!("host"),
            "all others are guests",
        ),
        (
            "/machine/kind",
            "/machine/name".into(),
            json!("host"),
            "`host` is one",
        ),
        (
            "/experiments/create/quality/descendants",
            format!("{create}/quality/descendants/followed"),
            json!(1),
            "0 processes were started, 1 of them followed",
        ),
        (
            "/commands/place/values/address",
            "/commands/place/values/address/value".into(),
            json!("0xffffffff92200001"),
            "output does not say so",
        ),
        (
            "/commands/place/values/address",
            "/commands/place/output/value".into(),
            json!("nothing\n"),
            "output does not say so",
        ),
        (
            "/commands/place/values/address",
            "/commands/place/exit/value".into(),
            json!(1),
            "did not succeed",
        ),
        (
            "/kaslr/sources/kallsyms",
            "/kaslr/sources/kallsyms/value".into(),
            json!(287_309_825),
            "the slide is 287309824, and this source says 287309825",
        ),
        (
            "/kaslr/sources/kallsyms",
            "/kaslr/slide/value".into(),
            json!(287_309_823),
            "this source says 287309824",
        ),
        (
            "/kaslr/agree",
            "/kaslr/agree/value".into(),
            json!(false),
            "sources that disagree leave no slide",
        ),
        (
            "/kaslr/symbols/_text/slide",
            "/kaslr/symbols/_text/live/value".into(),
            json!("0xffffffff92200001"),
            "287309825 bytes apart",
        ),
        (
            "/boots/0/slide",
            "/boots/0/slide/value".into(),
            json!(0),
            "2097152 bytes off",
        ),
        (
            "/experiments/create/outcome/errno",
            format!("{create}/outcome/errno"),
            json!({"kind": "errno", "value": 24, "name": "EMFILE"}),
            "its error number is 0",
        ),
        (
            "/experiments/exhausted/outcome/errno",
            "/experiments/exhausted/outcome/returned".into(),
            json!({"kind": "fd", "value": 3}),
            "its error number is 0",
        ),
        (
            fd_install,
            format!("{fd_install}/order"),
            json!(0),
            "event 0 is not in 1..=9",
        ),
        (
            fd_install,
            format!("{fd_install}/return_order"),
            json!(10),
            "not in 1..=9",
        ),
        (
            fd_install,
            format!("{fd_install}/order"),
            json!(9),
            "returns before it is entered",
        ),
        (
            fd_install,
            format!("{fd_install}/return_time_ns"),
            json!(59),
            "an earlier time than the one before it",
        ),
        (
            "/experiments/create/probes/twice/hits/0",
            format!("{twice}/0/order"),
            json!(6),
            "two hits use event",
        ),
        (
            "/experiments/create/probes/twice/hits/1",
            format!("{twice}/0/order"),
            json!(7),
            "in the order of its events",
        ),
        (
            allocation,
            format!("{allocation}/order"),
            json!(4),
            "has no event 4",
        ),
        (
            allocation,
            format!("{allocation}/probe"),
            json!("nobody"),
            "`nobody` has no event",
        ),
        (
            "/experiments/create/objects/allocations/0/freed",
            format!("{allocation}/freed/order"),
            json!(8),
            "which would be this free",
        ),
        (
            "/experiments/create/objects/allocations/0/freed",
            format!("{allocation}/freed/order"),
            json!(2),
            "before it is allocated",
        ),
    ];
    for (expected, pointer, value, reason) in cases {
        let mut document = document();
        *document
            .pointer_mut(&pointer)
            .unwrap_or_else(|| panic!("{pointer}")) = value;
        let found = refused(&document).unwrap_or_else(|| panic!("{pointer} is believed"));
        assert_eq!(found.0, expected, "{pointer}: {}", found.1);
        assert!(found.1.contains(reason), "{pointer}: {}", found.1);
    }
    let mut document = document();
    document["experiments"]["create"]["probes"]["twice"]["attach_errno"] =
        json!({"kind": "errno", "value": -22, "name": "EINVAL"});
    let (pointer, _) = refused(&document).unwrap();
    assert_eq!(pointer, "/experiments/create/probes/twice/attach_errno");
    let mut document = self::document();
    let mut other = document["instances"]["fd_install"].clone();
    other["copies"][0]["symbol"] = json!("fd_other");
    document["instances"]["fd_other"] = other;
    let (pointer, reason) = refused(&document).unwrap();
    assert_eq!(pointer, "/instances/fd_other");
    assert!(reason.contains("names of `fd_other`"), "{reason}");
    let mut document = self::document();
    let probe = &mut document["experiments"]["create"]["probes"]["twice"];
    probe["watched"] = json!(["0xffffffff92a00120"]);
    probe["address"] = json!({"kind": "address", "value": "0xffffffff92a00160"});
    let (pointer, reason) = refused(&document).unwrap();
    assert_eq!(pointer, "/experiments/create/probes/twice/address");
    assert!(reason.contains("none of the copies"), "{reason}");
    let mut document = self::document();
    document["experiments"]["create"]["probes"]["update_socket_protocol"]["skipped"] = json!(0);
    let (pointer, _) = refused(&document).unwrap();
    assert_eq!(
        pointer,
        "/experiments/create/probes/update_socket_protocol/skipped"
    );
}

/// Check that an allocation may be what a function returned, and is then the event of the return.
#[test]
fn returned_objects() {
    let mut document = document();
    let allocation = "/experiments/create/objects/allocations/0";
    let allocation = document.pointer_mut(allocation).unwrap();
    allocation["probe"] = json!("sock_alloc");
    allocation["order"] = json!(4);
    allocation["time_ns"] = json!(40);
    assert_eq!(refused(&document), None);
}

/// Check that a host which claims to be gone when the capture ends is refused: its addresses would be published.
#[test]
fn ephemeral_host() {
    let mut document = document();
    document["machine"]["name"] = json!("host");
    document["machine"]["kind"] = json!("host");
    assert_eq!(refused(&document).unwrap().0, "/machine/ephemeral");
    document["machine"]["ephemeral"] = json!(false);
    assert_eq!(refused(&document), None);
}

/// Check that a guest can be a resumed one, and that a host which says so is refused, as are a boot at no time, and one after the
/// capture.
#[test]
fn resumed_host() {
    let mut document = document();
    for (booted, good) in [
        ("2026-11-23T11:00:00Z", true),
        ("2026-11-23T11:59:59.123456789Z", true),
        ("2026-11-23T12:00:00.000000001Z", false),
        ("3026-11-23T11:00:00Z", false),
        ("2026-11-23T11:00:00Z[/home/zacharias]", false),
        ("2026-11-23 11:00:00Z", false),
        ("2026-11-23T11:00:00", false),
        ("yesterday", false),
        ("", false),
    ] {
        document["machine"]["resumed"] = json!(booted);
        let at = refused(&document).map(|finding| finding.0);
        assert_eq!(at.is_none(), good, "{booted}: {at:?}");
        assert!(good || at.as_deref() == Some("/machine/resumed"));
    }
    document["machine"]["resumed"] = json!("2026-11-23T11:00:00Z");
    assert_eq!(refused(&document), None);
    document["machine"]["name"] = json!("host");
    document["machine"]["kind"] = json!("host");
    document["machine"]["ephemeral"] = json!(false);
    assert_eq!(refused(&document).unwrap().0, "/machine/resumed");
}

/// Check that a mode of lockdown below the one on the command line is refused, and no other.
#[test]
fn unlocked_kernel() {
    for (line, mode, wanted) in [
        ("quiet lockdown=integrity", "none", true),
        ("lockdown=confidentiality quiet", "integrity", true),
        (
            "lockdown=integrity lockdown=confidentiality",
            "integrity",
            true,
        ),
        ("quiet lockdown=integrity", "integrity", false),
        ("quiet lockdown=integrity", "confidentiality", false),
        ("quiet", "none", false),
        ("lockdown=whatever", "none", false),
        ("quiet -- lockdown=integrity", "none", false),
    ] {
        let mut document = document();
        document["kernel"]["command_line"] = json!(line);
        document["kernel"]["lockdown"] = json!({"kind": "text", "value": mode});
        let found = refused(&document);
        let found = found.map(|(pointer, _)| pointer);
        assert_eq!(found.is_some(), wanted, "{line} {mode}: {found:?}");
        assert!(found.is_none_or(|pointer| pointer == "/kernel/lockdown"));
    }
}

/// Check that more processes on hits than were followed are refused, where the workload is followed.
#[test]
fn more_processes_than_were_followed() {
    let mut investigation = crate::testing::investigation();
    let mut evidence = crate::testing::evidence();
    investigation.digest = evidence.run.investigation_digest.clone();
    investigation.experiments[0].follow = true;
    let name = investigation.experiments[0].name.clone();
    let experiment = evidence.experiments.get_mut(&name).unwrap();
    for (followed, wanted) in [(1, false), (0, true)] {
        experiment.quality.descendants = Some(crate::document::Descendants {
            started: 1,
            followed,
            running: 0,
        });
        let probe = experiment.probes.get_mut("fd_install").unwrap();
        probe.hits[0].task.pid += 1;
        let requested = &investigation.experiments[0];
        let found = super::processes::check_followed_processes(
            "/experiments/create",
            requested,
            experiment,
        );
        assert_eq!(found.is_some(), wanted, "{found:?}");
        let probe = experiment.probes.get_mut("fd_install").unwrap();
        probe.hits[0].task.pid -= 1;
    }
}

/// Check that a read is a value or has values below it, never both, and that all their names can be written in paths.
#[test]
fn values_of_structures() {
    for (names, refused) in [
        (&["a", "b.x", "b.y.z", "ab.x"][..], None),
        (&["b", "b.x"], Some("b.x")),
        (&["b.y", "b.y.z"], Some("b.y.z")),
        (&["b..x"], Some("b..x")),
        (&["b.1"], Some("b.1")),
    ] {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found =
            super::names::check_value_names(|| "/at".into(), names.iter()).map(|(at, _)| at);
        assert_eq!(found, refused.map(|name| format!("/at/{name}")));
    }
}
