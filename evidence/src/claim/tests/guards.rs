//! Claims that plain CEL would let pass and that must not: one test per guard.

use crate::claim::Verdict;
use crate::testing::{claim, evidence, judge_on};

/// Assert that `text` is refused before it meets any evidence, with `message`.
fn refused(text: &str, message: &str) {
    match claim(text) {
        Ok(_) => panic!("`{text}` was accepted"),
        Err(errors) => assert!(
            errors.iter().any(|error| error.message.contains(message)),
            "`{text}`: {errors:?}"
        ),
    }
}

/// Assert the verdict on `text`, and that its reason contains `reason`.
fn comes_to(text: &str, verdict: Verdict, reason: &str) {
    let judgement = judge_on(text, &evidence());
    assert_eq!(judgement.verdict, verdict, "`{text}`: {judgement:?}");
    let found = judgement.reason.clone().unwrap_or_default();
    assert!(found.contains(reason), "`{text}`: {found}");
    if verdict == Verdict::Error {
        assert!(judgement.diagnostic.is_some(), "`{text}` has no place");
    }
}

fn passes(text: &str) {
    let judgement = judge_on(text, &evidence());
    assert_eq!(judgement.verdict, Verdict::Pass, "`{text}`: {judgement:?}");
    assert!(judgement.control.is_some(), "`{text}`");
}

fn fails(text: &str) {
    comes_to(text, Verdict::Fail, "");
}

/// Check that addresses that differ by one near 2^64 are different, and that floating point, which makes them
/// equal, is refused.
#[test]
fn addresses_are_exact() {
    fails("create.sock_alloc.exit.file == create.fd_install.args.file");
    passes("create.sock_alloc.exit.file != create.fd_install.args.file");
    passes("create.sock_alloc.exit.file + 1u == create.fd_install.args.file");
    passes("create.sock_alloc.exit.file == 0xffffffff92a00123u");
    fails("create.sock_alloc.exit.file == 0xffffffff92a00124u");
    passes("delta(create.sock_alloc.exit.file, create.fd_install.args.file) == -1");
    refused(
        "double(create.sock_alloc.exit.file) == 1.0",
        "not part of the claim language",
    );
    refused(
        "double(create.sock_alloc.exit.file) == double(create.fd_install.args.file)",
        "`double`",
    );
    refused("create.outcome.returned == 3.0", "floating point");
    refused("create.outcome.returned < 1e3", "floating point");
}

/// Check that calculating with an fd and signed numbers works, which CEL's default typing refuses.
#[test]
fn numbers_are_signed() {
    passes("create.outcome.returned + 1 == 4");
    passes("create.outcome.returned - 5 == -2");
    passes("exhausted.outcome.returned == -EMFILE");
    passes("exhausted.get_fd.return == -EMFILE");
    passes("exhausted.get_fd.return == -24");
    passes("exhausted.outcome.errno == EMFILE");
    passes("errno(exhausted.get_fd.return) == EMFILE");
    passes("errno(exhausted.outcome.returned) == EMFILE && create.outcome.errno == 0");
    passes("kaslr.slide % 0x200000 == 0");
    passes("create.sock_alloc.exit.huge == 18446744073709551615u");
    passes("-create.fd_install.args.fd == -3");
}

/// Check that an error number with one sign is not compared with one of the other, which would always differ.
#[test]
fn errno_signs() {
    comes_to(
        "exhausted.outcome.returned != EMFILE",
        Verdict::Error,
        "negative",
    );
    comes_to(
        "exhausted.outcome.returned == EMFILE",
        Verdict::Error,
        "negative",
    );
    comes_to(
        "exhausted.outcome.returned == 24",
        Verdict::Error,
        "negative",
    );
    // Bytes that a call did not read, because it failed.
    comes_to(
        "exhausted.outcome.returned == 8",
        Verdict::Error,
        "the call failed with -24 (EMFILE), a negative number",
    );
}

/// Check that a path that nothing plans is an error even where `&&` would hide it.
#[test]
fn unknown_paths() {
    comes_to("create.sock_alloc.retrun == 0u", Verdict::Error, "retrun");
    comes_to(
        "create.outcome.returned == 4 && create.missing.x == 1",
        Verdict::Error,
        "missing",
    );
    comes_to(
        "create.outcome.returned == 3 || nowhere.missing.x == 1",
        Verdict::Error,
        "nowhere",
    );
    comes_to("create.twice.return == 1", Verdict::Error, "fired 2 times");
    passes("create.twice.hit2.return == 2");
}

/// Check that a missing value makes the claim UNVERIFIED wherever it stands, and says what is missing.
#[test]
fn missing_values() {
    for text in [
        "create.update_socket_protocol.return == 6",
        "create.outcome.returned == 4 && create.update_socket_protocol.return == 6",
        "create.outcome.returned == 3 || create.update_socket_protocol.return == 6",
        "create.outcome.returned == 3 ? true : create.update_socket_protocol.return == 6",
        "!(create.update_socket_protocol.return == 6)",
        "create.update_socket_protocol.return == create.update_socket_protocol.return",
    ] {
        comes_to(
            text,
            Verdict::Unverified,
            "no such function in this kernel's BTF",
        );
    }
    comes_to(
        "create.outcome.signal == 9",
        Verdict::Unverified,
        "no signal ended it",
    );
    comes_to(
        "exhausted.fd_install.args.fd == 3",
        Verdict::Unverified,
        "did not fire",
    );
}

/// Check that a name which leads to a group of values, and not to one, is never a value.
#[test]
fn groups_are_no_values() {
    for text in [
        "create != 3",
        "create.sock_alloc != 3",
        "create.sock_alloc.exit != 3",
        "create.outcome != 3",
        "kaslr != 0",
        "create.outcome.returned == 3 || create.sock_alloc == 3",
    ] {
        comes_to(text, Verdict::Error, "not a value");
    }
}

/// Check what versions of the parser differ in: a literal with the suffix `u` is the same number, names that begin
/// with underscores and fields that other languages reserve are read, and this very version is asked for.
#[test]
fn the_parser_is_the_one_that_was_tested() {
    passes("create.sock_alloc.exit.size == 768u");
    passes("create.sock_alloc.exit.size == 768");
    fails("create.sock_alloc.exit.size == 769u");
    passes("create.sock_alloc.return == 18446612682148323328u || create.outcome.returned == 3");
    for text in [
        "create.__sys_socket.return == 0",
        "create.sock_alloc.for == 0",
        "create.sock_alloc.import == 0",
    ] {
        assert!(claim(text).is_ok(), "`{text}`");
    }
    assert!(include_str!("../../../Cargo.toml").contains("cel = { version = \"=0.15.0\""));
}

/// Check that only true and false are verdicts.
#[test]
fn boolean_results() {
    comes_to(
        "create.outcome.returned",
        Verdict::Error,
        "neither true nor false",
    );
    comes_to(
        "create.sock_alloc.return",
        Verdict::Error,
        "neither true nor false",
    );
    comes_to(
        "create.outcome.returned && true",
        Verdict::Error,
        "joins yes and no",
    );
    comes_to("!create.outcome.returned", Verdict::Error, "negates");
    comes_to(
        "create.outcome.returned ? true : false",
        Verdict::Error,
        "condition",
    );
}

/// Check that different kinds are never compared, neither for being equal nor for being different.
#[test]
fn different_kinds() {
    for text in [
        "create.sock_alloc.return != \"0x7\"",
        "create.sock_alloc.return == 7",
        "create.sock_alloc.return != 0",
        "create.sock_alloc.return != create.sock_alloc.exit.huge",
        "create.sock_alloc.return != create.outcome.returned",
        "create.sock_alloc.return > 1",
        "create.outcome.returned == exhausted.outcome.errno",
        "create.outcome.returned != exhausted.outcome.errno",
        "create.outcome.returned != EMFILE",
        "create.outcome.returned != create.sock_alloc.pid",
        "create.sock_alloc.time_ns != create.sock_alloc.exit.size",
        "create.sock_alloc.exit.state != 'SS_UNCONNECTED'",
        "create.sock_alloc.exit.state != EMFILE",
        "create.sock_alloc.exit.name != 6",
        "create.sock_alloc.exit.name != true",
        "kaslr.agree != 1",
        "create.sock_alloc.exit.raw != '0102'",
        "create.sock_alloc.site != create.sock_alloc.site",
        "create.sock_alloc.stack != create.sock_alloc.stack",
        "create.sock_alloc.site != 'net/socket.c'",
        "kernel.release < version('6.6')",
        "(create.outcome.returned == 3 ? create.sock_alloc.return : 0) != 0u",
        "create.outcome.returned == 4 ? create.sock_alloc.return == 7 : true",
        "create.outcome.returned + create.sock_alloc.exit.size == 771",
        "create.sock_alloc.return + 1 == 0u",
        "create.sock_alloc.return - create.sock_alloc.return == 0u",
        "kaslr.agree > false",
        "true || create.sock_alloc.return == 7",
        "create.outcome.returned + 1u == 4",
    ] {
        let judgement = judge_on(text, &evidence());
        assert_eq!(judgement.verdict, Verdict::Error, "`{text}`: {judgement:?}");
    }
    passes("create.outcome.returned == create.fd_install.args.fd");
    passes("int(create.sock_alloc.exit.size) > int(create.outcome.returned)");
    passes("create.sock_alloc.exit.state == SS_UNCONNECTED");
    passes("name(create.sock_alloc.exit.state) == 'SS_UNCONNECTED'");
    passes("create.sock_alloc.args.family == AF_INET");
    passes("create.sock_alloc.exit.raw == b'\\x01\\x02'");
    passes("create.sock_alloc.return != 0u");
}

/// Check that what says yes about nothing is refused.
#[test]
fn vacuous_truth() {
    refused("!has(create.missing)", "`has`");
    refused("has(create.outcome.returned)", "`has`");
    refused("!('x' in create)", "`in`");
    refused("create.outcome.returned in [3]", "`in`");
    refused("[].all(e, false) && create.outcome.returned == 3", "`all`");
    refused("[1].exists(e, e == create.outcome.returned)", "`all`");
    refused("create.map(e, e) == 1", "`all`");
    refused("[create.outcome.returned] == [3]", "lists");
    refused("{'a': create.outcome.returned} != 3", "lists");
    refused("create.outcome[0] == 3", "indexing");
    refused("null != create.outcome.returned", "null");
    refused("1 == 1", "reads no evidence");
    refused("AF_INET == 2", "reads no evidence");
    refused("true", "reads no evidence");
    refused("version('6.6') < version('6.12')", "reads no evidence");
}

/// Check that a claim that cannot fail is an error, whatever it reads.
#[test]
fn claims_that_cannot_fail() {
    for text in [
        "create.outcome.returned == create.outcome.returned",
        "create.outcome.returned == 3 || true",
        "create.outcome.returned != 3 || create.outcome.returned == 3",
        "create.sock_alloc.pid >= 0",
        "create.sock_alloc.exit.size >= 0",
        "aligned(create.sock_alloc.return, 1)",
        "mask(create.sock_alloc.return, 0u) == 0u",
        "create.sock_alloc.return >= 0u",
        "starts_with(create.sock_alloc.exit.name, '')",
        "never(create.sock_alloc) || fired(create.sock_alloc) > 0",
        "create.sock_alloc.order > 0",
        "create.sock_alloc.hit1.order >= 1",
        "create.sock_alloc.return_order > create.sock_alloc.order",
        "create.sock_alloc.order != create.sock_alloc.hit1.return_order",
        "create.sock_alloc.order <= create.quality.events",
        "create.sock_alloc.time_ns <= create.sock_alloc.return_time_ns",
        "before(create.twice.hit1, create.twice.hit2)",
        "length(create.sock_alloc.stack) > 0",
        "kernel.release != ''",
        "length(kernel.version) >= 1",
        "machine.kind == 'host' || machine.kind == 'guest'",
        "machine.cpus > 0",
        "before(create.sock_alloc, create.fd_install) || before(create.fd_install, create.sock_alloc)",
        "create.sock_alloc.order != create.fd_install.order",
        "create.outcome.returned > -4096",
        "create.objects.freed <= create.objects.allocated",
    ] {
        comes_to(text, Verdict::Error, "cannot fail");
    }
    // So it is of a part.
    for part in [
        "create.sock_alloc.order > 0",
        "create.sock_alloc.return_order > create.sock_alloc.order",
        "length(create.sock_alloc.stack) > 0",
    ] {
        let text = format!("create.outcome.returned == 3 && {part}");
        comes_to(&text, Verdict::Error, "this part cannot be false");
    }
    // What compares two probes, or says how much there was, can be false.
    passes("before(create.sock_alloc, create.fd_install)");
    passes("create.sock_alloc.order < create.fd_install.order");
    passes("create.sock_alloc.order == 2");
    passes("length(create.sock_alloc.stack) > 1");
    passes("machine.kind == 'guest'");
    // Each half alone can be anything, both together cannot.
    passes("create.outcome.returned == 3 || create.sock_alloc.exit.size == 768");
}

/// Check that absence is only believed of a probe that would have been seen.
#[test]
fn absence() {
    passes("never(exhausted.fd_install)");
    fails("never(create.fd_install)");
    comes_to(
        "never(exhausted.nowhere_else)",
        Verdict::Unverified,
        "fired in no other experiment",
    );
    comes_to(
        "never(create.update_socket_protocol)",
        Verdict::Unverified,
        "no such function",
    );
    comes_to(
        "!never(create.update_socket_protocol)",
        Verdict::Unverified,
        "no such function",
    );
    comes_to("never(exhausted.nothing)", Verdict::Error, "no probe");
    let mut missed = evidence();
    missed
        .experiments
        .get_mut("exhausted")
        .unwrap()
        .quality
        .missed = 1;
    assert_eq!(
        judge_on("never(exhausted.fd_install)", &missed).verdict,
        Verdict::Unverified
    );
    let mut unsound = evidence();
    unsound.experiments.get_mut("create").unwrap().quality.lost = 1;
    assert_eq!(
        judge_on("never(exhausted.fd_install)", &unsound).verdict,
        Verdict::Unverified
    );
    unsound
        .experiments
        .get_mut("exhausted")
        .unwrap()
        .quality
        .lost = 1;
    assert_eq!(
        judge_on("never(exhausted.fd_install)", &unsound).verdict,
        Verdict::Error
    );
}

/// Check that literals, keywords and operators that trip authors up get an answer that helps.
#[test]
fn syntax_help() {
    let help = |text: &str| {
        let errors = claim(text).expect_err(text);
        errors
            .into_iter()
            .map(|error| format!("{} {}", error.message, error.help.unwrap_or_default()))
            .collect::<String>()
    };
    assert!(help("create.sock_alloc.return & 4095u == 0u").contains("mask(a, m)"));
    assert!(help("loop.x == 1").contains("keyword"));
    assert!(help("create.outcome.returned = 3").contains("`==`"));
    assert!(help("create.outcome.returned ==").contains("ends too early"));
    assert!(help("alinged(create.sock_alloc.return, 8)").contains("did you mean `aligned`?"));
    assert!(help("aligned(create.sock_alloc.return)").contains("takes 2 arguments"));
    assert!(help("create.outcome.returned == 99999999999999999999").contains("64 bits"));
    assert!(help("never(create.sock_alloc.return)").contains("a probe"));
    assert!(help("create.sock_alloc.return == X.y").contains("not a name"));
    comes_to(
        "create.some-name.return == 1",
        Verdict::Error,
        "no probe `some`",
    );
    comes_to(
        "create.outcome.errno == EMFIEL",
        Verdict::Error,
        "not a known constant",
    );
    passes("create.sock_alloc . return\n\t != 0u");
}

/// Check that overflow and division by zero are errors and never wrap.
#[test]
fn arithmetic() {
    for (text, reason) in [
        ("create.outcome.returned / 0 == 1", "division by zero"),
        ("create.outcome.returned % 0 == 1", "division by zero"),
        ("create.sock_alloc.return % 0u == 1u", "division by zero"),
        (
            "create.outcome.returned + 9223372036854775807 > 0",
            "overflow",
        ),
        (
            "create.outcome.returned * 9223372036854775807 > 0",
            "overflow",
        ),
        (
            "mask(create.sock_alloc.exit.huge, 0xffffffffffffffffu) * 18446744073709551615u > 0u",
            "overflow",
        ),
        (
            "mask(create.sock_alloc.exit.huge, 0xffffffffffffffffu) + 1u > 0u",
            "overflow",
        ),
        ("create.sock_alloc.exit.huge + 1u > 0u", "the error EPERM"),
        (
            "create.sock_alloc.return + 18446744073709551615u != 0u",
            "64 bits",
        ),
        (
            "create.sock_alloc.return - 18446744073709551615u != 0u",
            "64 bits",
        ),
        (
            "-9223372036854775808 / (create.outcome.returned - 4) > 0",
            "overflow",
        ),
        (
            "delta(create.sock_alloc.return, create.sock_alloc.return + 0u - 0xffff888004aa1000u) > 0",
            "",
        ),
        ("aligned(create.sock_alloc.return, 3)", "power of two"),
        ("aligned(create.sock_alloc.return, 0)", "power of two"),
        (
            "errno(create.fd_install.args.fd) == 0",
            "not a returned error",
        ),
        (
            "mask(create.sock_alloc.exit.huge, 4294967296u) == 4294967296u",
            "is the error EPERM",
        ),
        (
            "errno(create.outcome.returned) == 0",
            "what a call returned",
        ),
        ("mask(exhausted.get_fd.return, 1) == 0", "negative"),
    ] {
        let judgement = judge_on(text, &evidence());
        if reason.is_empty() {
            assert_ne!(judgement.verdict, Verdict::Pass, "`{text}`");
        } else {
            comes_to(text, Verdict::Error, reason);
        }
    }
    passes("create.outcome.returned == 3 ? true : 1 / (create.outcome.returned - 3) == 0");
}

/// Check that the size is looked at before the parser, which aborts the process on long chains, ever sees the text.
#[test]
fn size_limits() {
    refused(
        &vec!["create.outcome.returned == 3"; 100_000].join(" && "),
        "bytes",
    );
    refused(&"(".repeat(4000), "160");
    for depth in [20, 70] {
        refused(
            &format!(
                "{}create.outcome.returned == 3{}",
                "(".repeat(depth),
                ")".repeat(depth)
            ),
            "nested",
        );
    }
    refused(&format!("{}kaslr.agree", "!".repeat(4000)), "160");
    refused("", "empty");
    refused(" \n\t", "empty");
    passes(&vec!["create.outcome.returned == 3"; 27].join(" && "));
    passes(&format!("{}kaslr.agree", "!".repeat(158)));
    passes(&format!("{}kaslr.agree{}", "(".repeat(11), ")".repeat(11)));
}
