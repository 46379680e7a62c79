//! Captures in guests whose command line takes something away: each is told for what it is. Needs QEMU, and the network or
//! a cached kernel.

use crate::support;

use std::path::PathBuf;
use std::time::Duration;

use qed_collector::assemble::symbolize::{Static, finish};
use qed_collector::guest::cache::Cache;
use qed_collector::guest::protocol::{Job, capture_answer};
use qed_collector::guest::{GuestSpec, Source, fetch, run};
use qed_evidence::Evidence;
use qed_evidence::document::{Machine, MachineKind};
use qed_evidence::investigation::parse;
use qed_evidence::value::{Datum, Value};
use support::program;

const INVESTIGATION: &str = r#"
symbols = ["_text"]
[[experiment]]
name = "create"
workload = { syscall = "pipe2", args = [{ buffer = "descriptors", ints = 2 }, "O_CLOEXEC"] }
[[experiment.probe]]
function = "do_pipe2"
"#;

/// The evidence of a capture in a guest with more words on its command line, or what stopped it.
fn captured(append: &str) -> Result<Evidence, String> {
    let investigation = parse("i.toml", INVESTIGATION).map_err(|wrong| format!("{wrong:?}"))?;
    let cache = Cache::of_user().expect("a cache folder");
    let source = Source::parse("debian-6.12").expect("a guest's name");
    let kernel = fetch::kernel(&source, &cache, false, &|_| {}).expect("a kernel");
    let image = kernel.path.clone();
    let mut spec = GuestSpec::new(kernel, PathBuf::from(program()), cache);
    let job = Job::Capture {
        name: "i.toml".into(),
        text: INVESTIGATION.into(),
        chosen: Ok(Vec::new()),
        modules: Vec::new(),
    };
    spec.files.push(job.file().expect("a job"));
    spec.append = append.into();
    spec.limit = Duration::from_secs(120);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let run = runtime
        .block_on(run(&spec, &|_| {}))
        .map_err(|error| error.to_string())?;
    let raw = capture_answer(&run.payload).map_err(|error| error.to_string())?;
    let machine = Machine {
        name: "guest:test".into(),
        kind: MachineKind::Guest,
        ephemeral: true,
        boot_id: raw.facts.boot_id.clone(),
        cpu_model: raw.facts.cpu_model.clone(),
        cpus: raw.facts.cpus,
        accelerator: None,
    };
    let fixed = Static {
        image: Some(image),
        console: Some(run.console),
        no_debuginfo: Some("it is not wanted".into()),
        ..Static::default()
    };
    let evidence = finish(&raw, &investigation, machine, &fixed);
    let text = qed_evidence::reader::write(&evidence).expect("JSON");
    qed_evidence::reader::read(text.as_bytes()).map_err(|error| error.to_string())
}

fn offset(value: i64) -> Value {
    Value::Offset {
        value: value.into(),
    }
}

/// Check that a kernel whose place is not random says so, and that the slide is 0 by every source or unknown.
#[test]
fn nokaslr() {
    let kaslr = captured("nokaslr").unwrap().kaslr;
    let status = kaslr.status.value().map(ToString::to_string);
    assert_eq!(status.as_deref(), Some("disabled"));
    assert_eq!(kaslr.slide, Datum::Value(offset(0)));
    assert_eq!(kaslr.agree, Datum::Value(Value::Bool { value: true }));
    for (name, source) in &kaslr.sources {
        let known = source.value();
        assert!(
            known.is_none_or(|slide| *slide == offset(0)),
            "{name}: {source:?}"
        );
    }
}

/// Check that a kernel that is locked down is named as the reason why nothing comes out of the guest.
#[test]
fn lockdown() {
    for mode in ["integrity", "confidentiality"] {
        let error = captured(&format!("lockdown={mode}")).unwrap_err();
        assert!(error.contains(&format!("locked down ({mode})")), "{error}");
    }
}
