use super::*;
use crate::probe::setup::AttachmentUse;

fn tracepoint(copies: u32) -> AttachTarget {
    AttachTarget::Tracepoint {
        name: "x".into(),
        arguments: 9,
        copies,
        nth: 0,
    }
}

fn kprobe(offset: u64, entry: bool, return_probe: bool) -> AttachTarget {
    AttachTarget::Kprobe {
        function: "f".into(),
        address: 0x1000,
        offset,
        entry,
        return_probe,
    }
}

/// Check that no two attachments share a program slot, and that what does not fit gets none.
#[test]
fn slots_are_given_once() {
    let limit = TRACEPOINT_SLOTS as u32;
    let attaches = [
        tracepoint(2),
        kprobe(0, true, true),
        tracepoint(1),
        AttachTarget::Lsm {
            hook: "h".into(),
            function: None,
        },
        tracepoint(limit - 2),
        tracepoint(limit - 3),
    ];
    assert_eq!(
        assign_slots(&attaches),
        [Some(0), None, Some(2), Some(0), None, Some(3)]
    );
}

/// Check that both copies of a tracepoint program find the same spec.
#[test]
fn copies_share_a_spec() {
    assert_eq!(
        spec_keys(&tracepoint(2), Some(4)),
        [(4, attachment::TRACEPOINT), (5, attachment::TRACEPOINT)]
    );
}

/// Check that a setup is refused where two probes of one experiment would overwrite each other, and
/// accepted where they belong to two.
#[test]
fn contradictions_are_refused() {
    let using = |experiment| AttachmentUse {
        experiment,
        attach: 0,
        spec: ProbeSpec::zero(),
    };
    let mut setup = Setup {
        attaches: vec![kprobe(0, true, true)],
        uses: vec![using(0), using(1)],
        ..Setup::default()
    };
    check_setup(&setup).unwrap();
    setup.uses.push(using(1));
    let message = check_setup(&setup).unwrap_err().to_string();
    assert!(message.contains("kprobe and kretprobe on f"), "{message}");
    for bad in [kprobe(4, true, true), kprobe(0, false, false)] {
        setup.uses.clear();
        setup.attaches[0] = bad;
        check_setup(&setup).unwrap_err();
    }
}

/// Check that what the attachment knows gets into the spec, within the limits of the record.
#[test]
fn specs_are_completed() {
    let spec = ProbeSpec::zero();
    assert_eq!(
        complete_spec(spec, &kprobe(0, true, true)).acts,
        act::RETURNS
    );
    assert_eq!(complete_spec(spec, &kprobe(0, true, false)).acts, 0);
    assert_eq!(
        complete_spec(spec, &tracepoint(1)).arg_count,
        MAX_ARGS as u32
    );
}
