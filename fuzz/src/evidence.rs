//! Arbitrary bytes as evidence: never a panic, never more memory than the limit of the run; what is accepted comes back
//! from JSON as it went in, and can be indexed, compared, judged and redacted.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use qed_evidence::claim::{Claim, Verdict, judge};
use qed_evidence::diff::diff;
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::{Evidence, reader, redact};
use qed_fuzz::{INVESTIGATION, abort_on_panic, parse_claim, restore_panic_hook};

/// Claims that read all sorts of values.
static CLAIMS: LazyLock<Vec<Claim>> = LazyLock::new(|| {
    [
        "create.sock_alloc.return != create.sock_alloc.exit.file",
        "create.outcome.returned == create.fd_install.args.fd && create.outcome.errno == 0",
        "exhausted.outcome.returned == -EMFILE",
        "never(exhausted.fd_install)",
        "freed(create) || freed(create.allocation)",
        "before(create.sock_alloc, create.fd_install)",
        "inside(create.sock_alloc, create.fd_install)",
        "create.sock_alloc.exit.state == SS_UNCONNECTED && name(create.sock_alloc.exit.state) != 'x'",
        "calls(create.sock_alloc.stack, '__sys_socket', 'sock_alloc')",
        "delta(create.sock_alloc.return, create.sock_alloc.exit.file) > 0",
        "kaslr.slide % 0x200000 == 0 && kernel_at_least('6.6')",
    ]
    .into_iter()
    .map(|text| parse_claim(text, None).unwrap_or_else(|errors| panic!("{text}: {}", errors[0])))
    .collect()
});

fuzz_target!(init: restore_panic_hook(), |bytes: &[u8]| abort_on_panic(|| fuzz_evidence(bytes)));

fn fuzz_evidence(bytes: &[u8]) {
    match reader::read(bytes) {
        Ok(evidence) => assert_accepted(&evidence),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn assert_accepted(evidence: &Evidence) {
    let text = reader::write(evidence).expect("what was read can be written");
    let again = reader::read(text.as_bytes()).expect("what was written can be read");
    assert_eq!(*evidence, again);
    assert_eq!(diff(evidence, &again), Vec::new());
    let machines = [Indexed::new(evidence)];
    let catalog = Catalog {
        investigation: &INVESTIGATION,
        machines: &machines,
    };
    for claim in CLAIMS.iter() {
        let judgement = judge(claim, &catalog, &machines[0]);
        let whole = judgement
            .operands
            .iter()
            .all(|operand| operand.value.is_some());
        assert!(judgement.verdict != Verdict::Pass || whole && judgement.control.is_some());
    }
    // A document that redaction refuses is not published; one that it lets through is evidence again.
    if let Ok(redacted) = redact::redact(evidence) {
        let text = reader::write(&redacted).expect("what was redacted can be written");
        assert_eq!(redacted, reader::read(text.as_bytes()).expect("and read"));
    }
}
