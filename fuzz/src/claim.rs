//! Arbitrary claims on arbitrary evidence: never a panic; every message has its place; a PASS has every value and has
//! survived a negative control; and without any of the values that a claim reads there is neither PASS nor FAIL.
//!
//! The first byte says how many single bytes of the sample's JSON are changed, three bytes each say where and into what.
//! The rest is the claim; in front of a line `---`, its condition.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qed_evidence::claim::{Claim, Judgement, Verdict, judge, judge_replacing};
use qed_evidence::resolve::{Catalog, Indexed};
use qed_evidence::{Datum, Evidence, reader};
use qed_fuzz::{
    EVIDENCE, INVESTIGATION, SAMPLE, abort_on_panic, assert_renderable, parse_claim,
    restore_panic_hook,
};

fuzz_target!(init: restore_panic_hook(), |bytes: &[u8]| abort_on_panic(|| fuzz_claim(bytes)));

/// The sample with some of its bytes changed, if it is evidence still; and the rest of the bytes.
fn mutate_sample(bytes: &[u8]) -> (Option<Evidence>, &[u8]) {
    let Some((count, rest)) = bytes.split_first() else {
        return (None, bytes);
    };
    let edits = rest.len().min(usize::from(count % 8) * 3);
    let (edits, rest) = rest.split_at(edits - edits % 3);
    let mut text = EVIDENCE.as_bytes().to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % text.len();
        text[at] = edit[2];
    }
    (reader::read(&text).ok(), rest)
}

fn fuzz_claim(bytes: &[u8]) {
    let (changed, rest) = mutate_sample(bytes);
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let (when, body) = match text.split_once("\n---\n") {
        Some((when, body)) => (Some(when), body),
        None => (None, text),
    };
    let claim = match parse_claim(body, when) {
        Ok(claim) => claim,
        Err(errors) => return assert_renderable(&errors),
    };
    let machines = [Indexed::new(changed.as_ref().unwrap_or(&SAMPLE))];
    let catalog = Catalog {
        investigation: &INVESTIGATION,
        machines: &machines,
    };
    let known = claim.check(&catalog);
    if !known.is_empty() {
        assert_renderable(&known);
    }
    let judgement = judge(&claim, &catalog, &machines[0]);
    assert_sound(&claim, &judgement);
    if matches!(judgement.verdict, Verdict::Pass | Verdict::Fail) {
        for read in claim.reads() {
            let removed = Datum::unavailable("it was taken away");
            let without =
                judge_replacing(&claim, &catalog, &machines[0], &[(&read.path, &removed)]);
            assert!(
                !matches!(without.verdict, Verdict::Pass | Verdict::Fail),
                "without `{}`: {without:?}",
                read.path
            );
        }
    }
}

fn assert_sound(claim: &Claim, judgement: &Judgement) {
    for operand in &judgement.operands {
        assert_eq!(claim.expression.text()[operand.range.clone()], operand.text);
        assert!(operand.value.is_some() || operand.missing.is_some());
    }
    let whole = (judgement.operands.iter().chain(&judgement.when_operands))
        .all(|operand| operand.value.is_some());
    match judgement.verdict {
        Verdict::Pass => assert!(whole && judgement.control.is_some()),
        Verdict::Fail => assert!(whole && judgement.control.is_none()),
        _ => assert!(judgement.reason.is_some()),
    }
    assert_eq!(
        judgement.verdict == Verdict::Error,
        judgement.diagnostic.is_some()
    );
}
