//! Words, numbers and parts of claims that look as if they said something: one test per kind.

use crate::claim::{Claim, Verdict};
use crate::document::names::IntegerType;
use crate::document::value::{Address, Datum, Integer, Value};
use crate::document::{Evidence, Hit};
use crate::path_index::resolve::{Catalog, Indexed};
use crate::testing::{claim, evidence, investigation, judge_claim, judge_on, place};

fn comes_to(text: &str, evidence: &Evidence, verdict: Verdict, reason: &str) {
    let judgement = judge_on(text, evidence);
    assert_eq!(judgement.verdict, verdict, "`{text}`: {judgement:?}");
    let found = judgement.reason.clone().unwrap_or_default();
    assert!(found.contains(reason), "`{text}`: {found}");
}

/// The hit of `create.sock_alloc`.
fn hit(evidence: &mut Evidence) -> &mut Hit {
    let create = evidence.experiments.get_mut("create").unwrap();
    &mut create.probes.get_mut("sock_alloc").unwrap().hits[0]
}

fn int(value: u64, type_name: &str) -> Datum {
    Value::Int {
        value: Integer::new(value.into()).unwrap(),
        type_name: Some(type_name.into()),
    }
    .into()
}

/// Check that a word which no capture, plan or table holds proves nothing by its absence, wherever it is compared, and that
/// one which is held somewhere does.
/// Check that a constant of user space has all of its names, as one of the kernel has, and no other.
#[test]
fn aliases_of_user_space() {
    for (set, number, names, other) in [
        ("AF", 1_i64, ["AF_UNIX", "AF_LOCAL"], "AF_INET"),
        ("SIG", 29, ["SIGIO", "SIGPOLL"], "SIGALRM"),
    ] {
        let mut evidence = evidence();
        let value = Value::Enum {
            value: Integer::from(number),
            type_name: set.into(),
            name: crate::constants::constant_name(set, number.into()).map(str::to_owned),
        };
        let first = names[0].to_owned();
        let table = [(first, Integer::from(number))];
        (evidence.names.enums).insert(set.into(), table.into());
        let create = evidence.experiments.get_mut("create").unwrap();
        let probe = create.probes.get_mut("sock_alloc").unwrap();
        probe.hits[0].exit.insert("state".into(), value.into());
        for name in names {
            let text = format!("name(create.sock_alloc.exit.state) == '{name}'");
            let judged = judge_claim(&claim(&text).unwrap(), &evidence);
            assert_eq!(judged.verdict, Verdict::Pass, "{text}: {judged:?}");
        }
        let text = format!("name(create.sock_alloc.exit.state) == '{other}'");
        let judged = judge_claim(&claim(&text).unwrap(), &evidence);
        assert_eq!(judged.verdict, Verdict::Fail, "{text}: {judged:?}");
    }
}

#[test]
fn words_that_nothing_holds() {
    let mut sample = evidence();
    sample.kernel.lsm = Value::text("lockdown,capability,bpf").into();
    for (wrong, right) in [
        (
            "kernel.lockdown != 'confidental'",
            "kernel.lockdown != 'confidentiality'",
        ),
        (
            "!contains(kernel.lockdown, 'integrty')",
            "!contains(kernel.lockdown, 'integrity')",
        ),
        (
            "!starts_with(kernel.lockdown, 'confi dent')",
            "!starts_with(kernel.lockdown, 'confi')",
        ),
        (
            "!starts_with(kaslr.status, 'randomised')",
            "!starts_with(kaslr.status, 'disabl')",
        ),
        (
            "!contains(kernel.lsm, 'capabilty')",
            "contains(kernel.lsm, 'capability')",
        ),
        (
            "kernel.lsm != 'capability,bfp'",
            "kernel.lsm != 'capability,bpf'",
        ),
        (
            "!contains(file(create.sock_alloc.site), 'net/sokcet.c')",
            "ends_with(file(create.sock_alloc.site), 'socket.c')",
        ),
        (
            "file(create.sock_alloc.site) != 'sock_alloc'",
            "file(create.sock_alloc.site) == 'net/socket.c'",
        ),
        (
            "!starts_with(function_name(create.sock_alloc.site), 'sock_aloc')",
            "!starts_with(function_name(create.sock_alloc.site), 'sock_al')",
        ),
        (
            "!ends_with(symbol_name(create.sock_alloc.caller), '_soket')",
            "!ends_with(symbol_name(create.sock_alloc.caller), '_socket')",
        ),
        (
            "!starts_with(symbol(create.sock_alloc.caller), 'sock_aloc+0x')",
            "!starts_with(symbol(create.sock_alloc.caller), 'sock_alloc+0x')",
        ),
        (
            "!contains(name(create.sock_alloc.exit.state), 'CONECTED')",
            "!ends_with(name(create.sock_alloc.exit.state), 'FREE')",
        ),
        (
            "create.sock_alloc.exit.name != 'TPC'",
            "create.sock_alloc.exit.name != 'qed'",
        ),
        (
            "(create.outcome.returned == 3 ? create.sock_alloc.exit.name : kernel.lockdown) != 'noen'",
            "(create.outcome.returned == 3 ? create.sock_alloc.exit.name : kernel.lockdown) != 'none'",
        ),
        (
            "create.sock_alloc.exit.name == 'TCP' || create.sock_alloc.exit.name == 'UPD'",
            "create.sock_alloc.exit.name == 'TCP' || create.sock_alloc.exit.name == 'qed'",
        ),
        (
            "create.sock_alloc.task != 'sokcet'",
            "create.sock_alloc.task != 'socket'",
        ),
        (
            "create.outcome.stdout != 'for'",
            "create.outcome.stdout != 'qed'",
        ),
        (
            "create.sock_alloc.exit.raw != b'TPC'",
            "create.sock_alloc.exit.raw != b'\\x00\\x00'",
        ),
        (
            "create.sock_alloc.exit.name + 'TCP' != 'TPC'",
            "create.sock_alloc.exit.name + 'TCP' == 'TCPTCP'",
        ),
        (
            "!contains('TPC', create.sock_alloc.exit.name)",
            "contains('TCP or UDP', create.sock_alloc.exit.name)",
        ),
        (
            "kernel.config.randomize_base != 'N'",
            "kernel.config.randomize_base != 'n'",
        ),
        ("machine.name != 'guest:debain'", "machine.name != 'host'"),
        (
            "!contains(kernel.release, 'debain')",
            "!starts_with(kernel.release, 'deb12')",
        ),
    ] {
        comes_to(wrong, &sample, Verdict::Error, "");
        comes_to(right, &sample, Verdict::Pass, "");
    }
    comes_to(
        "!contains(kernel.lsm, 'capabilty')",
        &sample,
        Verdict::Error,
        "contains `capabilty`",
    );
    let help = |text: &str| {
        let judgement = judge_on(text, &sample);
        judgement.diagnostic.unwrap().help.unwrap()
    };
    assert_eq!(
        help("!contains(kernel.lsm, 'capabilty')"),
        "did you mean `capability`?"
    );
    assert!(help("!contains(kernel.lsm, 'selinux')").contains("config = [\"lsm\"]"));
    assert!(help("kernel.lockdown != 'confidental'").contains("it is one of `none`"));
}

/// Check that a configuration which names the security modules vouches for each of them.
#[test]
fn modules_that_the_configuration_names() {
    let mut sample = evidence();
    let list = Value::text("landlock,lockdown,selinux,bpf");
    sample.kernel.config.insert("lsm".into(), list.into());
    comes_to(
        "!contains(kernel.lsm, 'selinux')",
        &sample,
        Verdict::Pass,
        "",
    );
}

/// Check that spellings which hide what is judged are refused before anything is.
#[test]
fn spellings_that_hide() {
    for (text, message) in [
        ("create.outcome.returned == 0700", "octal"),
        ("create.outcome.returned == 3 // && false", "a comment"),
        (
            "create.outcome.returned == 3 && create.workload != ''' && never(create.twice) && '''",
            "three quotes",
        ),
        ("create.workload != r'x'", "a raw text"),
        ("create.workload != '\\x41'", "the escape"),
        ("create.sock_alloc.exit.raw != b'a\nb'", "not closed"),
    ] {
        let errors = claim(text).expect_err(text);
        assert!(errors[0].message.contains(message), "`{text}`: {errors:?}");
        let when = "create.outcome.returned == 3";
        assert!(
            Claim::parse("a", when, place(when), Some((text, place(text)))).is_err(),
            "{text}"
        );
    }
}

/// Check that an error in the place of an unsigned number or a pointer is taken for neither.
#[test]
fn errors_that_look_like_numbers() {
    for value in [
        int(u64::MAX - 11, "unsigned long"),
        int(u64::MAX - 11, "my_size_t"),
        int(0xffff_fff4, "unsigned int"),
        Value::address(u64::MAX - 11).into(),
    ] {
        let mut failed = evidence();
        let pointer = matches!(value, Datum::Value(Value::Address { .. }));
        hit(&mut failed).return_value = Some(value);
        let (zero, far) = if pointer {
            ("0u", "0xffff888000000000u")
        } else {
            ("0", "1024")
        };
        for text in [
            format!("create.sock_alloc.return > {zero}"),
            format!("create.sock_alloc.return >= {far}"),
            format!("create.sock_alloc.return != {zero}"),
            format!("{zero} != create.sock_alloc.return"),
            format!("!(create.sock_alloc.return == {zero})"),
            format!("create.sock_alloc.return != {far}"),
            "create.sock_alloc.return - 1u != 0u".into(),
            "!aligned(create.sock_alloc.return, 4096)".into(),
            "create.sock_alloc.return < 0".into(),
        ] {
            comes_to(&text, &failed, Verdict::Error, "the error ENOMEM");
        }
        for text in [
            "create.sock_alloc.return == -ENOMEM",
            "errno(create.sock_alloc.return) == ENOMEM",
            "name(create.sock_alloc.return) == 'ENOMEM'",
            "create.sock_alloc.return != -EAGAIN",
        ] {
            comes_to(text, &failed, Verdict::Pass, "");
        }
        comes_to(
            "create.sock_alloc.return != -ENOMEM",
            &failed,
            Verdict::Fail,
            "",
        );
        comes_to(
            "create.sock_alloc.return != ENOMEM",
            &failed,
            Verdict::Error,
            "negative",
        );
        if !pointer {
            comes_to(
                "int(create.sock_alloc.return) > 0",
                &failed,
                Verdict::Fail,
                "",
            );
        }
    }
    // As the collector writes a pointer that is an error.
    let mut failed = evidence();
    hit(&mut failed).return_value = Some(
        Value::Errno {
            value: -23,
            name: "ENFILE".into(),
        }
        .into(),
    );
    for text in [
        "create.sock_alloc.return != 0u",
        "create.sock_alloc.return > 0u",
    ] {
        comes_to(text, &failed, Verdict::Error, "the error ENFILE");
    }
    comes_to(
        "create.sock_alloc.return == -ENFILE",
        &failed,
        Verdict::Pass,
        "",
    );
    // What is read there, too; and a number that is none.
    hit(&mut failed)
        .exit
        .insert("file".into(), Value::address(u64::MAX - 1).into());
    comes_to(
        "create.sock_alloc.exit.file != 0u",
        &failed,
        Verdict::Error,
        "the error ENOENT",
    );
    hit(&mut failed).return_value = Some(int(4096, "unsigned long"));
    comes_to("create.sock_alloc.return > 0", &failed, Verdict::Pass, "");
}

/// Check that what an address is compared with decides nothing where it may be an error: a null pointer has no error.
#[test]
fn errors_of_pointers() {
    let mut null = evidence();
    hit(&mut null).return_value = Some(Value::address(0).into());
    comes_to(
        "errno(create.sock_alloc.return) == 0",
        &null,
        Verdict::Pass,
        "",
    );
    comes_to(
        "errno(create.sock_alloc.return) == 0",
        &evidence(),
        Verdict::Error,
        "is not a returned error",
    );
}

/// Check that a claim asks for bits by the names that this machine's evidence has for them, and that a name which only another
/// machine's tables have proves nothing here.
#[test]
fn names_of_bits() {
    let with = |names: &[(&str, u64)], value: u64| {
        let mut known = evidence();
        let flags: Vec<crate::constants::Flag> = names
            .iter()
            .map(|(name, value)| crate::constants::Flag {
                name: (*name).into(),
                value: *value,
                mask: None,
            })
            .collect();
        let of_value = crate::constants::flag_names("kmalloc.gfp_flags", &flags, value);
        let set = "kmalloc.gfp_flags".to_owned();
        known.names.flags.insert(set.clone(), flags);
        let value = Value::Flags {
            value: Integer::from(value),
            set: Some(set),
            names: of_value,
        };
        hit(&mut known).exit.insert("state".into(), value.into());
        known
    };
    let known = with(&[("GFP_KERNEL", 0xcc0), ("__GFP_ZERO", 0x100)], 0xdc0);
    for (text, verdict) in [
        (
            "mask(create.sock_alloc.exit.state, GFP_KERNEL) == GFP_KERNEL",
            Verdict::Pass,
        ),
        (
            "mask(create.sock_alloc.exit.state, __GFP_ZERO) != 0",
            Verdict::Pass,
        ),
        (
            "mask(create.sock_alloc.exit.state, __GFP_ZERO) == 0",
            Verdict::Fail,
        ),
        ("create.sock_alloc.exit.state == GFP_KERNEL", Verdict::Fail),
        (
            "mask(create.sock_alloc.exit.state, GFP_ATOMIC) == 0",
            Verdict::Error,
        ),
        (
            "name(create.sock_alloc.exit.state) == 'GFP_KERNEL'",
            Verdict::Error,
        ),
    ] {
        comes_to(text, &known, verdict, "");
    }
    let mut broken = known.clone();
    let Some(Datum::Value(Value::Flags { names, .. })) = hit(&mut broken).exit.get_mut("state")
    else {
        panic!("no flags");
    };
    names.pop();
    let text = "mask(create.sock_alloc.exit.state, __GFP_ZERO) != 0";
    comes_to(
        text,
        &broken,
        Verdict::Error,
        "is `GFP_KERNEL|__GFP_ZERO` in this document",
    );
    // Neither without the table nor without the set is anything proved, also not by a number in the place of a name.
    let mut without_table = known.clone();
    without_table.names.flags.clear();
    let mut without_set = known;
    let Some(Datum::Value(Value::Flags { set, .. })) = hit(&mut without_set).exit.get_mut("state")
    else {
        panic!("no flags");
    };
    *set = None;
    for less in [&without_table, &without_set] {
        for text in [text, "mask(create.sock_alloc.exit.state, 256) != 0"] {
            assert_ne!(judge_on(text, less).verdict, Verdict::Pass, "{text}");
        }
    }
}

/// Check that a number is called by all of its names, and by no other, and that the negative control changes the number.
#[test]
fn numbers_with_two_names() {
    let mut aliased = evidence();
    let table = aliased.names.enums.get_mut("socket_state").unwrap();
    table.insert("SS_OLD".into(), Integer::from(1_i64));
    hit(&mut aliased).return_value = Some(
        Value::Errno {
            value: -11,
            name: "EAGAIN".into(),
        }
        .into(),
    );
    for (text, verdict) in [
        (
            "name(create.sock_alloc.exit.state) == 'SS_OLD'",
            Verdict::Pass,
        ),
        (
            "name(create.sock_alloc.exit.state) == 'SS_UNCONNECTED'",
            Verdict::Pass,
        ),
        (
            "name(create.sock_alloc.exit.state) != 'SS_OLD'",
            Verdict::Fail,
        ),
        (
            "'SS_UNCONNECTED' != name(create.sock_alloc.exit.state)",
            Verdict::Fail,
        ),
        (
            "name(create.sock_alloc.exit.state) != 'SS_FREE'",
            Verdict::Pass,
        ),
        ("create.sock_alloc.exit.state == SS_OLD", Verdict::Pass),
        ("create.sock_alloc.exit.state != SS_OLD", Verdict::Fail),
        (
            "name(create.sock_alloc.return) == 'EWOULDBLOCK'",
            Verdict::Pass,
        ),
        ("name(create.sock_alloc.return) == 'EAGAIN'", Verdict::Pass),
        (
            "name(create.sock_alloc.return) != 'EWOULDBLOCK'",
            Verdict::Fail,
        ),
        (
            "name(errno(create.sock_alloc.return)) == 'EWOULDBLOCK'",
            Verdict::Pass,
        ),
        ("create.sock_alloc.return == -EWOULDBLOCK", Verdict::Pass),
        ("create.sock_alloc.return != -EWOULDBLOCK", Verdict::Fail),
        (
            "!starts_with(name(create.sock_alloc.exit.state), 'SS_')",
            Verdict::Fail,
        ),
        (
            "!contains(name(create.sock_alloc.exit.state), 'OLD')",
            Verdict::Error,
        ),
        (
            "contains(name(create.sock_alloc.exit.state), 'OLD')",
            Verdict::Error,
        ),
        (
            "length(name(create.sock_alloc.exit.state)) == 6",
            Verdict::Error,
        ),
    ] {
        comes_to(text, &aliased, verdict, "");
    }
    let judgement = judge_on("name(create.sock_alloc.exit.state) == 'SS_OLD'", &aliased);
    let became = judgement.control.unwrap().became;
    assert!(
        !became.contains("SS_OLD") && !became.contains("UNCONNECTED"),
        "{became}"
    );
}

/// Check that an enumerator which only another machine's kernel has leads to UNVERIFIED, as a constant and as a name.
#[test]
fn enumerators_of_another_kernel() {
    let older = evidence();
    let mut newer = evidence();
    let table = newer.names.enums.get_mut("socket_state").unwrap();
    table.insert("SS_NEW".into(), Integer::from(9_i64));
    let investigation = investigation();
    let machines = [Indexed::new(&older), Indexed::new(&newer)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    for text in [
        "create.sock_alloc.exit.state != SS_NEW",
        "create.sock_alloc.exit.state < SS_NEW",
        "name(create.sock_alloc.exit.state) != 'SS_NEW'",
    ] {
        let claim = claim(text).unwrap();
        assert!(claim.check(&catalog).is_empty(), "{text}");
        let judge = |machine: &Indexed<'_>| crate::claim::judge(&claim, &catalog, machine).verdict;
        assert_eq!(judge(&machines[0]), Verdict::Unverified, "{text}");
        assert_eq!(judge(&machines[1]), Verdict::Pass, "{text}");
    }
}

/// Check that an enumerator of a value that was not read, which the tables have because it was asked for, never makes a claim pass:
/// whatever is missing, and however the claim is written.
#[test]
fn enumerators_of_values_that_were_not_read() {
    use crate::document::{Evidence, Probe};
    const STATE: &str = "create.sock_alloc.exit.state";
    type Removal = fn(&mut Probe);
    let removals: [(&str, Removal); 5] = [
        ("it could not be read", |probe| {
            let why = Datum::unavailable("the pointer leads nowhere");
            probe.hits[0].exit.insert("state".into(), why);
        }),
        ("it is withheld", |probe| {
            let why = Datum::withheld("this machine is live");
            probe.hits[0].exit.insert("state".into(), why);
        }),
        ("it is not there", |probe| {
            probe.hits[0].exit.remove("state");
        }),
        ("the read was refused", |probe| {
            probe.hits[0].exit.remove("state");
            let why = "this kernel has no such member".to_owned();
            probe.refused_reads.exit.insert("state".into(), why);
        }),
        ("the probe saw nothing", |probe| probe.hits.clear()),
    ];
    let table = evidence().names.enums["socket_state"].clone();
    assert!(table.len() > 2);
    let mut texts = Vec::new();
    for name in table.keys() {
        for comparison in ["==", "!=", "<", "<=", ">", ">="] {
            texts.push(format!("{STATE} {comparison} {name}"));
            texts.push(format!("!({STATE} {comparison} {name})"));
            texts.push(format!("int({STATE}) {comparison} int({name})"));
            texts.push(format!(
                "create.outcome.returned == 3 && {STATE} {comparison} {name}"
            ));
            texts.push(format!(
                "{STATE} {comparison} {name} ? create.outcome.returned == 3 : create.outcome.returned == 3"
            ));
        }
        texts.push(format!("name({STATE}) == '{name}'"));
        texts.push(format!("name({STATE}) != '{name}'"));
        texts.push(format!("!(name({STATE}) == '{name}')"));
        texts.push(format!("starts_with(name({STATE}), '{}')", &name[..4]));
        texts.push(format!("!contains(name({STATE}), '{name}')"));
        texts.push(format!("{STATE} == {name} || {STATE} != {name}"));
    }
    // Some of these are refused as they stand, which is no PASS either.
    let claims: Vec<_> = texts.iter().filter_map(|text| claim(text).ok()).collect();
    let passing = |evidence: &Evidence| {
        let passes = |claim: &&crate::claim::Claim| {
            crate::testing::judge_claim(claim, evidence).verdict == Verdict::Pass
        };
        let passing = claims.iter().filter(passes);
        let texts = passing.map(|claim| claim.expression.text().to_owned());
        texts.collect::<Vec<String>>()
    };
    // With the value many of them pass: what is tried below is the missing value.
    assert!(passing(&evidence()).len() > 20);
    for (what, remove) in removals {
        let mut less = evidence();
        let create = less.experiments.get_mut("create").unwrap();
        remove(create.probes.get_mut("sock_alloc").unwrap());
        assert_eq!(passing(&less), [""; 0], "{what}");
    }
}

/// Check that a division with a remainder has no result: cut, it would make `7 / 2 == 3` true.
#[test]
fn divisions_with_a_remainder() {
    for text in [
        "create.sock_alloc.exit.size / 500 == 1",
        "create.sock_alloc.exit.size / -500 == -1",
        "create.outcome.returned / 2 == 1",
        "create.outcome.returned / 4 == 0",
    ] {
        comes_to(text, &evidence(), Verdict::Error, "leaves a remainder");
    }
    comes_to(
        "create.sock_alloc.exit.size / 256 == 3",
        &evidence(),
        Verdict::Pass,
        "",
    );
}

/// Check that a part which cannot come out otherwise makes the claim an ERROR that names it, also in a condition.
#[test]
fn parts_that_say_nothing() {
    let mut sample = evidence();
    hit(&mut sample).return_value = Some(int(5, "my_size_t"));
    let unsigned = IntegerType {
        size: 8,
        signed: false,
    };
    sample.names.integers.insert("my_size_t".into(), unsigned);
    let truth = "create.outcome.returned == 3";
    for part in [
        "1 == 1",
        "true",
        "!false",
        "'a' != 'b'",
        "AF_INET == 2",
        "(create.sock_alloc.exit.file == 0u || create.sock_alloc.exit.file != 0u)",
        "create.sock_alloc.exit.file >= 0u",
        "create.sock_alloc.exit.size >= 0",
        "create.sock_alloc.return >= 0",
        "create.sock_alloc.return == create.sock_alloc.return",
        "create.quality.lost >= 0",
        "length(create.sock_alloc.exit.name) >= 0",
        "starts_with(create.sock_alloc.exit.name, '')",
        "!(create.sock_alloc.exit.file < 0u)",
        "(1 == 1 ? create.sock_alloc.exit.size == 768 : false)",
        "(create.sock_alloc.exit.size == 768 && 1 == 1)",
        "(create.sock_alloc.exit.size == 768 || 1 == 1)",
        "!(create.sock_alloc.exit.size == 1 || 1 == 2)",
        "(create.sock_alloc.exit.size == 1 || (create.sock_alloc.exit.size == 768 && 1 == 1))",
        "((1 == 1) == (create.sock_alloc.exit.size == 768))",
    ] {
        for text in [format!("{truth} && {part}"), format!("{part} && {truth}")] {
            comes_to(&text, &sample, Verdict::Error, "this part cannot be");
        }
        // A condition that reads nothing is refused before.
        let Ok(claim) = Claim::parse("a", truth, place(truth), Some((part, place(part)))) else {
            continue;
        };
        let judgement = judge_claim(&claim, &sample);
        assert_eq!(judgement.verdict, Verdict::Error, "when {part}");
        let reason = judgement.reason.unwrap();
        assert!(reason.starts_with("in the condition: "), "{reason}");
    }
    for part in [
        "create.sock_alloc.exit.file != 0u",
        "create.sock_alloc.return >= 1",
        "(create.sock_alloc.exit.size == 768 || create.sock_alloc.exit.size == 1)",
        "(create.outcome.errno != 0 ? create.sock_alloc.exit.size == 1 : true)",
        "!(create.sock_alloc.exit.size == 1 || create.sock_alloc.exit.name == 'qed')",
        "kaslr.agree == true",
    ] {
        comes_to(&format!("{truth} && {part}"), &sample, Verdict::Pass, "");
    }
}

/// Check that every name which a parameter can have stands in a claim as it is, whatever CEL keeps it for.
#[test]
fn names_of_parameters() {
    let words = [
        "in",
        "true",
        "false",
        "null",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "namespace",
        "package",
        "return",
        "var",
        "void",
        "while",
        "A",
        "N",
        "Rd",
        "_",
        "hits",
        "int",
        "uint",
        "has",
        "size",
        "type",
        "map",
        "all",
        "exists",
        "name",
        "never",
        "this",
        "each",
    ];
    let mut sample = evidence();
    for (number, word) in (10_u64..).zip(words) {
        let value = int(number, "int");
        hit(&mut sample).args.insert(word.into(), value);
    }
    let create = sample.experiments.get_mut("create").unwrap();
    create
        .probes
        .get_mut("sock_alloc")
        .unwrap()
        .parameters
        .clear();
    for (number, word) in (10_u64..).zip(words) {
        for text in [
            format!("create.sock_alloc.args.{word} == {number}"),
            format!("{number} == create . sock_alloc . hit1 . args\n. {word}"),
            format!(
                "create.sock_alloc.args.{word} != create.sock_alloc.args.family && true == kaslr.agree"
            ),
        ] {
            comes_to(&text, &sample, Verdict::Pass, "");
        }
        let judgement = judge_on(
            &format!("create.sock_alloc.args.{word} == {number}"),
            &sample,
        );
        assert_eq!(
            judgement.operands[0].text,
            format!("create.sock_alloc.args.{word}")
        );
    }
    for text in [
        "(create).outcome.returned == 3",
        "create.outcome.returned in create",
        "create.outcome.in('x') == 1",
        "in.outcome.returned == 3",
    ] {
        assert!(claim(text).is_err(), "{text}");
    }
}

/// Check that an address which is not an error is still only an address.
#[test]
fn addresses_near_the_end() {
    let mut sample = evidence();
    let last = Address(u64::MAX - 4095);
    hit(&mut sample).return_value = Some(Value::address(last.0).into());
    comes_to("create.sock_alloc.return != 0u", &sample, Verdict::Pass, "");
}

/// Check that two texts which never hold the same words are not compared, and that others are.
#[test]
fn vocabularies() {
    let sample = evidence();
    for text in [
        "kernel.lockdown != kernel.lsm",
        "kernel.release != machine.cpu_model",
        "!(kernel.lsm == kernel.build_id)",
        "!contains(kernel.lsm, kernel.release)",
        "create.workload != kernel.version",
        "create.sock_alloc.backend != kernel.lockdown",
        "create.outcome.returned == 3 && run.id != kernel.lsm",
    ] {
        comes_to(text, &sample, Verdict::Error, "never hold the same words");
    }
    let text = "create.sock_alloc.exit.name != kernel.lsm";
    comes_to(text, &sample, Verdict::Pass, "");
    // They could hold the same words; the investigation says whether they do.
    let text = "create.workload == exhausted.workload";
    comes_to(text, &sample, Verdict::Error, "the claim cannot fail");
}

/// Check that what is true of all evidence is refused: of every release, of every stack, and of every experiment that is
/// none of an error.
#[test]
fn true_of_all_evidence() {
    let sample = evidence();
    for text in [
        "version(kernel.release) > version('0.1')",
        "version(kernel.release) != version('0.1')",
        "version(kernel.release) >= version('2.6.32')",
        "kernel_at_least('5.8')",
        "create.quality.events > 0",
        "create.quality.events != 0",
        "on_stack(create.sock_alloc.stack, 'sock_alloc')",
    ] {
        comes_to(text, &sample, Verdict::Error, "the claim cannot fail");
        let truth = "create.outcome.returned == 3";
        let both = format!("{truth} && {text}");
        comes_to(&both, &sample, Verdict::Error, "this part cannot be");
    }
    for text in [
        "version(kernel.release) > version('6.1')",
        "kernel_at_least('6.6')",
        "create.quality.events > 1",
        "create.quality.events == 9",
        "on_stack(create.sock_alloc.stack, '__sys_socket')",
    ] {
        comes_to(text, &sample, Verdict::Pass, "");
    }
}
