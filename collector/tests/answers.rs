//! Answers of the commands that capture nothing: as text, and as JSON for programs.

use std::path::Path;
use std::process::Output;

use qed_collector::guest::accel::{self, KvmFailure};
use qed_collector::guest::cache::Cache;
use qed_collector::guest::find_program::find_in_path;
use serde_json::Value;

use crate::support::{collector, folder_with, note_skipped, status_and_message};

const GUEST: &str = "guest:debian-6.12";

fn recorded() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recorded/guest-debian-6.12.json");
    file.to_str().unwrap().to_owned()
}

fn run(folder: &Path, args: &[&str]) -> Output {
    collector(folder, args).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Check that `show` lists experiments, then the events of one in their order with their values, of the probes that are asked for, and that
/// wrong names are told with the nearest one.
#[test]
fn show() {
    let folder = tempfile::tempdir().unwrap();
    let file = recorded();
    let listed = text(&run(folder.path(), &["show", &file]));
    assert!(
        listed
            .lines()
            .any(|line| line.starts_with("create: socket(AF_INET, SOCK_STREAM, 0): ")),
        "{listed}"
    );
    let shown = run(folder.path(), &["show", &file, "create"]);
    assert_eq!(status_and_message(&shown), (Some(0), String::new()));
    let shown = text(&shown);
    assert!(
        shown.contains("-> sock_alloc.hit1") && shown.contains("<- sock_alloc.hit1"),
        "{shown}"
    );
    let events = json(&run(
        folder.path(),
        &[
            "show",
            &file,
            "create",
            "--format",
            "json",
            "--probe",
            "sock_alloc",
        ],
    ));
    let events = events.as_array().unwrap();
    assert!(!events.is_empty() && events.iter().all(|e| e["probe"] == "sock_alloc"));
    let order: Vec<u64> = events
        .iter()
        .map(|e| e["order"].as_u64().unwrap())
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    for (args, part) in [
        (
            ["show", &file, "craete"],
            "no experiment `craete`; did you mean `create`?",
        ),
        (
            ["show", "/nothing", "create"],
            "failed to read the evidence /nothing",
        ),
        (["show", "i.toml", "create"], "i.toml is not evidence"),
    ] {
        std::fs::write(folder.path().join("i.toml"), "x").unwrap();
        let (status, message) = status_and_message(&run(folder.path(), &args));
        assert_eq!(status, Some(2), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

/// Check that `doctor` says the same as text and as JSON.
#[test]
fn doctor() {
    let folder = tempfile::tempdir().unwrap();
    let words = text(&run(folder.path(), &["doctor"]));
    let report = json(&run(folder.path(), &["doctor", "--format", "json"]));
    for part in ["host", "guest"] {
        let conclusion = report[part]["conclusion"].as_str().unwrap();
        assert!(words.contains(&format!("  => {conclusion}\n")), "{words}");
        let checks = report[part]["checks"].as_array().unwrap();
        assert!(checks.len() > 2);
        for check in checks {
            let works = if check["works"] == true { "ok" } else { "no" };
            let line = format!("  {works}  {}: ", check["name"].as_str().unwrap());
            assert!(words.contains(&line), "{line}: {words}");
        }
    }
    let own = qed_collector::arch::Arch::HOST.machine();
    assert_eq!(report["guests"][own], report["guest"]);
}

/// Check that `doctor` says of guests for another architecture what they lack: in a line, and in a folder whose book names one with what
/// to do, in a warning.
#[test]
fn doctor_of_another_architecture() {
    let folder = tempfile::tempdir().unwrap();
    // A PATH without any emulator, and no collector for arm64.
    let doctor = |arguments: &[&str]| {
        let mut command = collector(folder.path(), arguments);
        command
            .env("PATH", folder.path())
            .env("QED_COLLECTOR_AARCH64", folder.path().join("none"));
        command.output().unwrap()
    };
    let lacks = "qemu-system-aarch64 is not in PATH: apt-get install qemu-system-arm";
    let output = doctor(&["doctor"]);
    let words = text(&output);
    assert!(
        words.contains(&format!("  --  guests for arm64: {lacks}; ")),
        "{words}"
    );
    let (_, message) = status_and_message(&output);
    assert!(!message.contains("arm64"), "{message}");
    std::fs::write(
        folder.path().join("book.toml"),
        "[preprocessor.qed]\ninvestigation = \"i.toml\"\nmachines = [\"guest:debian-7.3\", \"guest:debian-7.3-arm64\"]\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("i.toml"), "").unwrap();
    let output = doctor(&["doctor", "--format", "json"]);
    let (_, message) = status_and_message(&output);
    let warning = format!(
        "the book here names guest:debian-7.3-arm64, and guests for arm64 cannot be captured on this machine: {lacks}; \
         a guest of arm64 needs a qed-collector for arm64"
    );
    assert!(message.contains(&warning), "{message}");
    let report = json(&output);
    let guests = &report["guests"]["aarch64"];
    assert_eq!(guests["captures"], false);
    assert_eq!(guests["named"][0], "guest:debian-7.3-arm64");
    let words = text(&doctor(&["doctor"]));
    assert!(
        words.contains(&format!("guest for arm64\n  no  QEMU: {lacks}\n")),
        "{words}"
    );
}

/// Check that a type of the running kernel is listed whole, and that a name that it does not have is refused with the nearest.
#[test]
fn members_of_this_kernel() {
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return note_skipped("this kernel has no BTF");
    }
    let folder = tempfile::tempdir().unwrap();
    let listed = text(&run(folder.path(), &["members", "struct file"]));
    let title = listed.lines().next().unwrap_or_default();
    assert!(
        title.starts_with("struct file, ") && title.ends_with(", of host"),
        "{listed}"
    );
    let all = json(&run(
        folder.path(),
        &["members", "file", "--format", "json"],
    ));
    let members = all["members"].as_object().unwrap();
    assert!(members.len() > 10);
    for name in members.keys() {
        assert!(listed.contains(&format!(" {name}")), "{name}: {listed}");
    }
    // A union without a name of its own is opened; one that has a name is not.
    let address = text(&run(folder.path(), &["members", "in6_addr"]));
    let names = |listed: &str| -> Vec<String> {
        let last = |line: &str| {
            line.split_whitespace()
                .last()
                .unwrap_or_default()
                .to_owned()
        };
        listed.lines().skip(1).map(last).collect()
    };
    assert_eq!(
        names(&address),
        [
            "in6_u",
            "in6_u.u6_addr8",
            "in6_u.u6_addr16",
            "in6_u.u6_addr32"
        ],
        "{address}"
    );
    assert!(
        listed.contains(" f_path\n") && !listed.contains("f_path."),
        "{listed}"
    );
    let (status, message) = status_and_message(&run(folder.path(), &["members", "fle"]));
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message.contains("the type `fle` of host does not exist"),
        "{message}"
    );
    let (status, message) = status_and_message(&run(folder.path(), &["members", "file->f_op"]));
    assert_eq!(status, Some(2), "{message}");
}

/// Check that the types of a guest are listed, too, that its plan comes as JSON with what is refused, with each step as a line where
/// that is wanted and without one where it is not, and that a misspelt member names the command that lists all.
#[test]
fn of_a_guest() {
    let folder = folder_with(
        "[[experiment]]\nname = \"e\"\nworkload = { syscall = \"socket\", args = [2, 1, 0] }\n\
         [[experiment.probe]]\nfunction = \"sock_alloc_file\"\n\
         reads = [{ at = \"exit\", name = \"x\", path = \"return->qqqqqq\" }]\n",
    );
    let address = text(&run(
        folder.path(),
        &["members", "in6_addr", "--on", GUEST, "-q"],
    ));
    assert!(address.contains(" in6_u.u6_addr32\n"), "{address}");
    let (status, message) = status_and_message(&run(
        folder.path(),
        &["members", "fle", "--on", GUEST, "-q"],
    ));
    assert_eq!(status, Some(2), "{message}");
    assert!(message.contains("did you mean `file`?"), "{message}");
    let listed = run(folder.path(), &["members", "file", "--on", GUEST, "-q"]);
    assert_eq!(status_and_message(&listed), (Some(0), String::new()));
    assert!(
        text(&listed).contains("const struct file_operations * f_op\n"),
        "{}",
        text(&listed)
    );
    let plan = run(
        folder.path(),
        &[
            "-v",
            "plan",
            "--investigation",
            "i.toml",
            "--on",
            GUEST,
            "--format",
            "json",
        ],
    );
    let (status, message) = status_and_message(&plan);
    assert_eq!(status, Some(2), "{message}");
    assert!(
        message
            .lines()
            .any(|line| line.starts_with("guest:debian-6.12: ")),
        "{message}"
    );
    let machines = json(&plan);
    let machine = &machines[0];
    assert_eq!(machine["machine"], GUEST);
    let probe = &machine["experiments"][0]["probes"][0];
    assert_eq!(probe["target"], "sock_alloc_file");
    assert_eq!(probe["parameters"][0]["type"], "struct socket *");
    let why = probe["exit"][0]["refused"].as_str().unwrap();
    assert!(
        why.contains("more, which `qed-collector members` lists"),
        "{why}"
    );
    let note = &machine["notes"][0];
    assert_eq!(note["severity"], "error");
    let printed = note["message"].as_str().unwrap();
    assert!(
        printed.starts_with("`e.sock_alloc_file.exit.x` would not be read: "),
        "{printed}"
    );
    assert_eq!(note["place"], "i.toml:6:45");
    assert_eq!(machine["announced"], serde_json::json!([]));
}

/// Check that a guest's types are read without a boot: a machine without QEMU has them, too.
#[test]
fn members_without_qemu() {
    let folder = tempfile::tempdir().unwrap();
    let mut members = collector(folder.path(), ["members", "in6_addr", "--on", GUEST, "-q"]);
    let listed = members.env("PATH", folder.path()).output().unwrap();
    assert_eq!(status_and_message(&listed), (Some(0), String::new()));
    let shown = text(&listed);
    let title = format!("struct in6_addr, 16 bytes, of {GUEST}\n");
    assert!(shown.starts_with(&title), "{shown}");
    assert!(shown.contains(" in6_u.u6_addr32\n"), "{shown}");
}

/// Check that `doctor` reports a failure of KVM that was found in this boot of the host, and not only that its device opens.
#[test]
fn doctor_knows_that_kvm_failed() {
    let Some(qemu) = find_in_path("qemu-system-x86_64") else {
        return note_skipped("there is no QEMU");
    };
    let folder = tempfile::tempdir().unwrap();
    let known = KvmFailure {
        boot_id: accel::boot_id(),
        qemu,
        reason: "it was refused".into(),
    };
    accel::remember_failure(&Cache::new(folder.path().join("qed")), &known);
    let mut doctor = collector(folder.path(), ["doctor", "--format", "json"]);
    let output = doctor.env("XDG_CACHE_HOME", folder.path()).output();
    let report = json(&output.unwrap());
    let checks = report["guest"]["checks"].as_array().unwrap();
    let kvm = checks.iter().find(|check| check["name"] == "KVM").unwrap();
    assert_eq!(kvm["works"], false, "{kvm}");
    let expected = match accel::check_device(qed_collector::arch::Arch::HOST) {
        Ok(()) => {
            "it was refused (found earlier in this boot of the host); guests are emulated".into()
        }
        Err(error) => format!("{error}; guests are emulated"),
    };
    assert_eq!(kvm["detail"], expected);
}

/// Check that `plan` announces the programs that would run on this host, with the rights that they would have, and those that would not.
#[test]
fn announced() {
    let folder = folder_with(
        "[guest]\nsetup = [\"true\"]\n[[command]]\nname = \"release\"\nrun = [\"uname\", \"-r\"]\n\
         [[command]]\nname = \"spoils\"\nrun = [\"rm\", \"/x\"]\non = \"guest\"\n\
         [[experiment]]\nname = \"e\"\nworkload = { command = [\"true\"] }\n[[experiment.probe]]\ntracepoint = \"sys_exit\"\n",
    );
    let args = ["plan", "--investigation", "i.toml", "--on", "host"];
    let plan = run(folder.path(), &args);
    assert_eq!(status_and_message(&plan), (Some(0), String::new()));
    let words = text(&plan);
    let expected = [
        "  guest.setup: `sh -c true` is not run, because this is not a guest\n",
        "  commands.release: runs `uname -r` on this host, in `/`, with your rights: it can write wherever you can\n",
        "  commands.spoils: `rm /x` is not run, because it is for guests alone (`on = \"guest\"`)\n",
        "  e: runs `true` on this host, in the investigation's folder, with your rights: it can write wherever you can\n",
    ];
    assert!(words.contains(&expected.concat()), "{words}");
    let plan = run(folder.path(), &[&args[..], &["--format", "json"]].concat());
    let lines: Vec<&str> = expected.iter().map(|line| line.trim()).collect();
    assert_eq!(json(&plan)[0]["announced"], serde_json::json!(lines));
}
