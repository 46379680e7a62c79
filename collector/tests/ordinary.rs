//! An ordinary user captures with the capabilities that the runner guide names, and learns which one is missing.

use crate::job;
use crate::support;

use job::{PROGRAM, Ran, TestJob, capture};
use support::{GUESTS, guest_job};

/// The capabilities that `runner/install.sh` gives the collector's file.
const NEEDED: [&str; 3] = ["CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"];

/// Check that what is tested here is what the runner's files give, and all that its service leaves to be given.
#[test]
fn runner_gives_these() {
    let install = include_str!("../../runner/install.sh");
    let list = NEEDED.join(",").to_lowercase();
    assert!(install.contains(&format!("setcap {list}=ep ")), "{list}");
    let service = include_str!("../../runner/qed-runner.service");
    assert!(service.contains(&format!("\nCapabilityBoundingSet={}\n", NEEDED.join(" "))));
    assert!(install.contains("kernel.perf_event_paranoid = 2"));
}

const INVESTIGATION: &str = r#"
symbols = ["_text", "do_pipe2"]

[[experiment]]
name = "pipe"
workload = { syscall = "pipe2", args = [{ buffer = "descriptors", ints = 2 }, "O_CLOEXEC"] }

[[experiment.probe]]
function = "do_pipe2"

[[experiment.probe]]
tracepoint = "sys_exit"
name = "result"
"#;

fn run(guest: &str, paranoid: &str, sets: &[&[&str]]) -> Vec<Ran> {
    let mut runs = capture(INVESTIGATION, sets);
    runs.settings = vec![(
        "/proc/sys/kernel/perf_event_paranoid".into(),
        paranoid.into(),
    )];
    let program = std::fs::read(support::program()).expect("the program");
    let job = TestJob::Ordinary(runs).file().expect("a job");
    let answer = guest_job(guest, job, vec![(PROGRAM.into(), program)]);
    postcard::from_bytes(&answer).expect("what the guest ran")
}

/// True if a kprobe saw the function: how often, or the reason why not.
fn kprobe(ran: &Ran) -> Result<usize, String> {
    let bytes = ran.result.as_deref().expect("evidence");
    let evidence = qed_evidence::reader::read(bytes).expect("strictly valid evidence");
    let probe = &evidence.experiments["pipe"].probes["do_pipe2"];
    match &probe.unavailable {
        Some(why) => Err(why.clone()),
        None => Ok(probe.hits.len()),
    }
}

/// Check that the documented capabilities are enough for kprobes in both kernels, and that each one that is missing
/// is named.
#[test]
fn documented_capabilities() {
    for guest in GUESTS {
        let without: Vec<Vec<&str>> = NEEDED
            .iter()
            .map(|missing| NEEDED.iter().copied().filter(|c| c != missing).collect())
            .collect();
        let mut sets: Vec<&[&str]> = vec![&NEEDED];
        sets.extend(without.iter().map(Vec::as_slice));
        let ran = run(guest, "2", &sets);
        assert_eq!(ran[0].status, Some(0), "{guest}: {}", ran[0].stderr);
        assert_eq!(kprobe(&ran[0]), Ok(1), "{guest}");
        for (missing, one) in NEEDED.iter().zip(&ran[1..]) {
            // Where nothing can be loaded there is no evidence, and the message says why; else the evidence does.
            let message = match one.status {
                Some(0) => kprobe(one).expect_err("a capability too many"),
                _ => one.stderr.clone(),
            };
            eprintln!("{guest}, without {missing}: {message}");
            assert!(
                message.contains(missing),
                "{guest}, without {missing}: {message}"
            );
            for other in NEEDED.iter().filter(|other| *other != missing) {
                assert!(
                    !message.contains(other),
                    "{guest}, without {missing}: {message}"
                );
            }
        }
    }
}

/// Check that Debian's own setting, which keeps kprobes from this user, is named with its remedy.
#[test]
fn paranoid_setting() {
    let ran = run(GUESTS[0], "3", &[&NEEDED]);
    assert_eq!(ran[0].status, Some(0), "{}", ran[0].stderr);
    let message = kprobe(&ran[0]).expect_err("no kprobe");
    assert!(
        message.contains("kernel.perf_event_paranoid=2"),
        "{message}"
    );
}
