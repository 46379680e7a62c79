//! Whole captures: in both guests and on this host. Needs QEMU, and the network or cached kernels.

use crate::support;

use qed_collector::workload::names;
use qed_evidence::document::Backend;
use qed_evidence::investigation::OTHER_ARCH;
use qed_evidence::value::{Datum, Value};
use support::{Captured, GUESTS, captured};

fn guest(name: &str, investigation: &str) -> std::sync::Arc<Captured> {
    captured(&format!("guest:{name}"), investigation)
}

/// Check that one object is followed through all its views: the socket is the same pointer wherever it is
/// seen, points to its sock and file, and the sock points back.
#[test]
fn one_socket_everywhere() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        assert_eq!(
            seen.value("create.outcome.returned"),
            &Value::Fd { value: 3 }
        );
        let socket = seen.pointer("create.sock_alloc.return");
        for path in [
            "create.inet_create.args.sock",
            "create.inet_create.exit.sk_socket",
            "create.sock_alloc_file.exit.private_data",
            "create.fd_install.entry.private_data",
            "create.fd_install.entry.back_pointer",
            "create.result.exit.private_data",
            "create.result.exit.sk_socket",
        ] {
            assert_eq!(seen.pointer(path), socket, "{name}: {path}");
        }
        let file = seen.pointer("create.sock_alloc_file.return");
        for path in [
            "create.fd_install.args.file",
            "create.fd_install.entry.socket_file",
            "create.result.exit.file",
            "create.result.exit.socket_file",
        ] {
            assert_eq!(seen.pointer(path), file, "{name}: {path}");
        }
        let sk = seen.pointer("create.inet_create.exit.sk");
        assert_eq!(seen.pointer("create.fd_install.entry.sk"), sk);
        assert!(sk != socket && sk != file && socket != file);
        assert_eq!(seen.number("create.sock_alloc.exit.sk"), 0);
        assert_eq!(seen.number("create.fd_install.args.fd"), 3);
    }
}

/// Check that the functions were entered and left in the order that one nested call has.
#[test]
fn order_of_functions() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        let order = |path: &str| seen.number(&format!("create.{path}"));
        let path = [
            "gate.order",
            "__x64_sys_socket.order",
            "__sys_socket.order",
            "__sock_create.order",
            "security_socket_create.order",
            "security_socket_create.return_order",
            "sock_alloc.order",
            "sock_alloc.return_order",
            "inet_create.order",
            "inet_create.return_order",
            "security_socket_post_create.order",
            "security_socket_post_create.return_order",
            "__sock_create.return_order",
            "get_unused_fd_flags.order",
            "sock_alloc_file.order",
            "fd_install.order",
            "fd_install.return_order",
            "__sys_socket.return_order",
            "__x64_sys_socket.return_order",
            "result.order",
        ];
        let orders: Vec<i128> = path.iter().map(|path| order(path)).collect();
        assert!(orders.is_sorted(), "{name}: {orders:?}");
    }
}

/// Check every experiment of the book in both guests: nothing lost, nothing missed, nothing to remark, each
/// probe that is not optional attached, and each failure the one that was provoked.
#[test]
fn every_experiment() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        for (experiment, found) in &seen.evidence.experiments {
            let quality = &found.quality;
            assert_eq!(found.broken_reason(), None, "{name} {experiment}");
            // It is about what is missed.
            if experiment == "pool" {
                continue;
            }
            // Each kernel has some of the functions of excuses, under the names of its version.
            let of_others = |note: &&String| {
                note.starts_with("the excuse within `")
                    && note.contains("may never hold: this kernel has no function")
            };
            let notes: Vec<&String> = (quality.notes.iter())
                .filter(|note| !of_others(note))
                .collect();
            assert_eq!(
                (quality.lost, quality.missed, notes),
                (0, 0, Vec::new()),
                "{name} {experiment}"
            );
            for (probe, found) in &found.probes {
                let lacking = found.unavailable.as_deref();
                let lacking = lacking.filter(|reason| !reason.starts_with(OTHER_ARCH));
                assert!(
                    found.optional || lacking.is_none(),
                    "{name} {experiment}.{probe}: {found:?}"
                );
            }
        }
        for (experiment, errno) in [
            ("create", "OK"),
            ("exhausted", "EMFILE"),
            ("family_out_of_range", "EAFNOSUPPORT"),
            ("family_unregistered", "EAFNOSUPPORT"),
            ("type_out_of_range", "EINVAL"),
            ("protocol_refused", "EPROTONOSUPPORT"),
            ("raw_unprivileged", "EPERM"),
            ("denied", "EPERM"),
            ("denied_after", "EPERM"),
        ] {
            assert_eq!(seen.errno(experiment), errno, "{name} {experiment}");
        }
        let Value::Enum { name: signal, .. } = seen.value("interrupted.outcome.signal") else {
            panic!("no signal")
        };
        assert_eq!(signal.as_deref(), Some("SIGKILL"));
        assert_eq!(
            seen.number("interrupted.fd_install.hits"),
            1,
            "the call goes on to its end"
        );
    }
}

/// Check that what was allocated is freed, that the ledgers are not empty where the call got that far, and
/// that nothing is allocated where it did not.
#[test]
fn nothing_leaks() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        for experiment in [
            "exhausted",
            "family_unregistered",
            "protocol_refused",
            "raw_unprivileged",
            "denied_after",
            "interrupted",
        ] {
            assert_eq!(
                seen.number(&format!("{experiment}.objects.leaked")),
                0,
                "{name} {experiment}"
            );
            assert!(
                seen.number(&format!("{experiment}.objects.freed")) >= 2,
                "{name} {experiment}"
            );
        }
        for experiment in ["family_out_of_range", "type_out_of_range", "denied"] {
            assert_eq!(
                seen.number(&format!("{experiment}.objects.allocated")),
                0,
                "{name} {experiment}"
            );
        }
    }
}

/// Check that two independent sources give the same slide, that it is aligned, that every symbol has it, and
/// that two captures are two boots.
#[test]
fn slide() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        assert_eq!(seen.value("kaslr.agree"), &Value::Bool { value: true });
        let slide = seen.number("kaslr.slide");
        assert_eq!(slide % (2 << 20), 0);
        let sources = seen.evidence.kaslr.sources.values();
        let stated = sources.filter_map(|datum| match datum {
            Datum::Value(value) => support::number(value),
            Datum::Missing(_) => None,
        });
        let stated: Vec<i128> = stated.collect();
        assert!(
            stated.len() >= 2 && stated.iter().all(|s| *s == slide),
            "{name}: {stated:?}"
        );
        for symbol in ["_text", "__sys_socket", "inet_create"] {
            let at = |leaf: &str| seen.number(&format!("kaslr.symbols.{symbol}.{leaf}"));
            assert_eq!(at("live") - at("static"), slide, "{name} {symbol}");
        }
        // Two captures are two boots of one kernel.
        let other = guest(name, "pipe.toml");
        assert_ne!(
            seen.evidence.machine.boot_id,
            other.evidence.machine.boot_id
        );
        assert_eq!(
            seen.evidence.kernel.btf_digest,
            other.evidence.kernel.btf_digest
        );
    }
}

/// Capture the smallest investigation with this line before it on a guest into `boots.json` in `folder`.
fn boots_of(folder: &std::path::Path, line: &str, more: &[&str]) -> qed_evidence::Evidence {
    let text = std::fs::read_to_string(support::investigation("pipe.toml")).unwrap();
    std::fs::write(folder.join("i.toml"), format!("{line}\n{text}")).unwrap();
    let usual = [
        "capture",
        "--investigation",
        "i.toml",
        "--on",
        "guest:debian-6.1",
    ];
    let rest = ["--debuginfo", "none", "-o", "boots.json"];
    let args = usual.iter().chain(&rest).chain(more);
    let output = support::collector(folder, args).output().unwrap();
    assert!(
        output.status.success(),
        "{:?}",
        support::status_and_message(&output)
    );
    qed_evidence::reader::read(&std::fs::read(folder.join("boots.json")).unwrap()).unwrap()
}

/// Check that the investigation says how many boots there are, that a second capture of the same kernel keeps them
/// and adds what is missing, and that `--boots` makes new ones. The guest of the capture itself, which is none of them, is resumed.
#[test]
fn boots_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ids = |evidence: &qed_evidence::Evidence| -> Vec<String> {
        let boots = evidence.boots.iter();
        boots.map(|boot| boot.boot_id.clone()).collect()
    };
    let first = ids(&boots_of(folder.path(), "boots = 2", &support::RESUMED));
    let more = ids(&boots_of(folder.path(), "boots = 3", &support::RESUMED));
    assert_eq!((first.len(), more.len()), (2, 3));
    assert_eq!(more[..2], first[..]);
    let fewer = ids(&boots_of(folder.path(), "boots = 1", &support::RESUMED));
    assert_eq!(fewer[..], first[..1]);
    let anew = [&support::RESUMED[..], &["--boots", "1"]].concat();
    let new = ids(&boots_of(folder.path(), "boots = 3", &anew));
    assert_eq!(new.len(), 1);
    assert!(!more.contains(&new[0]), "{more:?} {new:?}");
}

/// Check that the times of a capture are told by phase, that nothing is left over, and that the next capture shows them beside its own.
#[test]
fn timings_by_phase() {
    let folder = tempfile::tempdir().unwrap();
    let cache = support::cache_with_kernels(&folder.path().join("cache"));
    let capture = |boots: &str| -> (serde_json::Value, u64) {
        let usual = ["capture", "--on", "guest:debian-6.1", "--debuginfo", "none"];
        let more = ["-o", "e.json", "--timings=json", "--boots", boots];
        let mut command = support::collector(folder.path(), usual.iter().chain(&more));
        command.arg("--investigation");
        command.arg(support::investigation("pipe.toml"));
        let output = command.env("XDG_CACHE_HOME", &cache).output().unwrap();
        let (status, message) = support::status_and_message(&output);
        assert_eq!(status, Some(0), "{message}");
        let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let machine = all[0].clone();
        assert_eq!(
            (all.as_array().unwrap().len(), &machine["machine"]),
            (1, &serde_json::json!("guest:debian-6.1"))
        );
        let total = machine["total_ms"].as_u64().unwrap();
        (machine, total)
    };
    let (first, total) = capture("1");
    let phases = first["phases"].as_array().unwrap();
    let times = phases.iter().map(|phase| phase["ms"].as_u64().unwrap());
    assert_eq!(times.sum::<u64>(), total);
    for phase in phases {
        // Symbols of five probes may take less than a millisecond, and the image is in the cache.
        let may_be_none = ["prepare", "send", "symbolize"].map(|name| phase["phase"] == name);
        assert!(
            phase["ms"].as_u64() > Some(0) || may_be_none.contains(&true),
            "{first}"
        );
    }
    assert_eq!(first["last_total_ms"], serde_json::Value::Null);
    let (second, _) = capture("0");
    assert_eq!(second["last_total_ms"], total);
}

/// Check that the kernel refuses a probe at the address where the linker put a function, while one by its name works,
/// and that the address that was tried is the one in the linker's table.
#[test]
fn static_address() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        let errno = |probe: &str| seen.value(&format!("static_address.{probe}.attach_errno"));
        let named = |value: &Value| match value {
            Value::Errno { value, name } => (*value, name.clone()),
            other => panic!("{other:?}"),
        };
        assert_eq!(named(errno("__sys_socket")), (0, "OK".into()));
        assert_eq!(seen.number("static_address.__sys_socket.hits"), 1);
        let tried = seen.pointer("static_address.attempt.address");
        assert_eq!(tried, seen.pointer("kaslr.symbols.__sys_socket.static"));
        // With a very small slide another function is there.
        if tried < seen.pointer("kaslr.symbols._text.live") {
            assert_eq!(named(errno("attempt")), (2, "ENOENT".into()), "{name}");
        }
    }
}

/// Check that the lines that a guest and the builder read say what the evidence says.
#[test]
fn readings() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        for (file, leaf) in [
            ("/proc/kallsyms", "live"),
            ("System.map", "static"),
            ("vmlinux", "static"),
        ] {
            let readings = seen.evidence.kaslr.readings.iter();
            let of = readings.filter(|r| r.file.starts_with(file));
            let mut found = 0;
            for reading in of {
                let text = reading.text.value().expect(file).to_string();
                let address = text.split(' ').next().unwrap();
                let address = u64::from_str_radix(address, 16).unwrap();
                let path = format!("kaslr.symbols.{}.{leaf}", reading.key);
                assert_eq!(address, seen.pointer(&path), "{name}: {text}");
                assert_eq!(reading.line.is_none(), file == "vmlinux");
                found += 1;
            }
            assert_eq!(found, seen.evidence.kaslr.symbols.len(), "{name}: {file}");
        }
        let texts: Vec<String> = seen
            .evidence
            .kaslr
            .readings
            .iter()
            .filter_map(|r| Some(r.text.value()?.to_string()))
            .collect();
        let slide = seen.number("kaslr.slide");
        assert!(texts.contains(&format!("KERNELOFFSET={slide:x}")));
        let start = seen.number("kaslr.live_physical_start");
        let line = texts.iter().find(|text| text.ends_with(": Kernel code"));
        assert!(
            line.unwrap().trim().starts_with(&format!("{start:08x}-")),
            "{line:?}"
        );
    }
}

/// Check that the commands say what the collector read, that they were told no folder of this machine, and that pipe's
/// command answers in its guest.
#[test]
fn commands() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        for (command, leaf) in [
            ("live.values.release", "kernel.release"),
            ("live.values.text", "kaslr.symbols._text.live"),
            ("live.values.place", "kaslr.live_physical_start"),
            ("symbols.values.text", "kaslr.symbols._text.static"),
            (
                "symbols.values.inet_create",
                "kaslr.symbols.inet_create.static",
            ),
            ("image.values.build_id", "kernel.build_id"),
            ("image.values.place", "kaslr.physical_start"),
            ("config.values.align", "kaslr.physical_align"),
        ] {
            let message = seen.value(&format!("commands.{command}"));
            assert_eq!(message, seen.value(leaf), "{name}: {command}");
        }
        for command in seen.evidence.commands.values() {
            let path = |word: &String| word.starts_with('/') && !word.starts_with("/proc/");
            assert!(!command.argv.iter().any(path), "{:?}", command.argv);
            assert_eq!(command.exit.value(), Some(&Value::int(0)));
        }
        let largest = guest(name, "pipe.toml").number("commands.largest.values.bytes");
        assert!(largest >= 4096, "{name}: {largest}");
    }
}

/// Check that `--boots` notes further boots, that each states the slide that its `_text` shows, and that the slide is
/// drawn anew: five boots with one slide would be one in 500^4 by chance.
#[test]
fn boots() {
    let folder = tempfile::tempdir().unwrap();
    let evidence = boots_of(folder.path(), "", &["--boots", "4"]);
    let leaves = qed_evidence::path_index::leaves(&evidence);
    let number = |path: &str| {
        support::number(leaves.get(path).expect(path).datum.value().expect(path)).expect(path)
    };
    let mut slides = vec![number("kaslr.slide")];
    let mut bases = std::collections::BTreeSet::new();
    for boot in 1..=4 {
        let slide = number(&format!("boots.boot{boot}.slide"));
        let Some(Value::Address { value, .. }) = leaves
            .get(&format!("boots.boot{boot}.text"))
            .unwrap()
            .datum
            .value()
        else {
            panic!("boot {boot} has no address of _text");
        };
        bases.insert(i128::from(value.0) - slide);
        slides.push(slide);
    }
    assert_eq!(bases.len(), 1, "one image has one static place: {bases:x?}");
    assert!(slides.iter().any(|slide| *slide != slides[0]), "{slides:?}");
}

/// Check that a callee reads the true caller from its caller's slot while that has no return probe, and the
/// trampoline when it has one, while the function's text differs from its unprobed text only meanwhile.
#[test]
fn return_probe() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        let symbol = |experiment: &str| {
            let value = seen.value(&format!("{experiment}.sock_alloc.entry.slot"));
            let Value::Address {
                symbol: Some(symbol),
                ..
            } = value
            else {
                panic!("{value:?}")
            };
            symbol.split('+').next().unwrap_or_default().to_owned()
        };
        assert_eq!(symbol("slot_plain"), "__x64_sys_socket", "{name}");
        assert_eq!(symbol("slot_hijacked"), "arch_rethook_trampoline", "{name}");
        let text = |path: &str| seen.value(path).clone();
        let before = text("text_before.witness.exit.text");
        assert_eq!(before, text("text_after.witness.entry.text"), "{name}");
        for experiment in ["slot_plain", "slot_hijacked"] {
            assert_ne!(
                before,
                text(&format!("{experiment}.__sys_socket.entry.text")),
                "{name}"
            );
        }
    }
}

/// Check the second investigation: two descriptors, two files, one pipe between them, and the buffer that the
/// kernel wrote them to.
#[test]
fn pipe() {
    for name in GUESTS {
        let seen = guest(name, "pipe.toml");
        assert_eq!(seen.number("pipe.fd_install.hits"), 2);
        let hit = |n: u32, path: &str| format!("pipe.fd_install.hit{n}.{path}");
        assert_eq!(seen.number(&hit(1, "args.fd")), 3);
        assert_eq!(seen.number(&hit(2, "args.fd")), 4);
        assert_ne!(
            seen.pointer(&hit(1, "args.file")),
            seen.pointer(&hit(2, "args.file"))
        );
        let pipe = seen.pointer("pipe.alloc_pipe_info.return");
        for path in [
            hit(1, "entry.pipe"),
            hit(2, "entry.pipe"),
            "pipe.result.exit.reading_pipe".into(),
            "pipe.result.exit.writing_pipe".into(),
        ] {
            assert_eq!(seen.pointer(&path), pipe, "{name}: {path}");
        }
        assert_eq!(
            seen.value("pipe.outcome.buffers.descriptors"),
            &Value::text("3, 4")
        );
        assert_eq!(seen.evidence.experiments["pipe"].broken_reason(), None);
    }
}

/// Check this host, whatever it allows: every probe that did not attach says why, an experiment whose signal
/// or denial is not possible was not run, and what the tracepoints read is what the call made.
#[test]
fn host() {
    let seen = captured("host", "socket.toml");
    let planned = qed_evidence::investigation::parse(
        "socket.toml",
        &std::fs::read_to_string(support::investigation("socket.toml")).expect("the investigation"),
    )
    .expect("an investigation");
    for experiment in &planned.experiments {
        let found = &seen.evidence.experiments[&experiment.name];
        for probe in &experiment.probes {
            let found = &found.probes[&probe.name];
            assert_ne!(
                found.backend.is_some(),
                found.unavailable.is_some(),
                "{}: {found:?}",
                probe.name
            );
            assert!(
                found
                    .unavailable
                    .as_ref()
                    .is_none_or(|reason| !reason.trim().is_empty())
            );
            assert!(found.unavailable.is_none() || found.hits.is_empty());
        }
        let acts = experiment
            .probes
            .iter()
            .filter(|p| p.signal.is_some() || p.deny.is_some());
        if acts
            .into_iter()
            .any(|p| found.probes[&p.name].unavailable.is_some())
        {
            assert!(
                seen.reason(&format!("{}.outcome.returned", experiment.name))
                    .contains("not run, because")
            );
            assert_eq!(
                (found.unwatched_reason().is_some(), &found.objects),
                (true, &None)
            );
        } else {
            assert_eq!(found.broken_reason(), None, "{}", experiment.name);
        }
    }
    assert_eq!(
        seen.evidence.experiments["create"].probes["result"].backend,
        Some(Backend::Tracepoint)
    );
    assert_eq!(
        seen.value("create.outcome.returned"),
        &Value::Fd { value: 3 }
    );
    let socket = seen.pointer("create.result.exit.private_data");
    assert_eq!(seen.pointer("create.result.exit.sk_socket"), socket);
    assert_eq!(
        seen.pointer("create.result.exit.file"),
        seen.pointer("create.result.exit.socket_file")
    );
    assert_eq!(
        seen.number("create.gate.entry.number"),
        i128::from(names::syscall_number("socket").unwrap())
    );
    assert!(seen.number("create.socket_allocation.hits") >= 1);
    assert_eq!(seen.number("exhausted.objects.leaked"), 0);
}

/// Check that the workload's code is the code that made the call: its `syscall` is where the kernel says that user
/// space goes on behind.
#[test]
fn the_call_is_taken_apart() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        assert_eq!(seen.value("create.call.text"), &Value::text("syscall"));
        assert_eq!(
            seen.pointer("create.gate.entry.user_ip"),
            seen.pointer("create.call.after")
        );
        assert_eq!(
            seen.pointer("create.call.after"),
            seen.pointer("create.call.instruction") + 2
        );
    }
}

/// Check a call from both sides: RSP, the return address, the instance that keeps it, and where the caller goes on.
#[test]
fn a_call_from_both_sides() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        let at = |path: &str| seen.pointer(&format!("slot_hijacked.{path}"));
        let number = |path: &str| seen.number(&format!("slot_hijacked.{path}"));
        let slot = at("__sys_socket.entry.sp");
        assert_eq!(at("before_call.entry.sp"), slot + 8, "{name}");
        assert_eq!(at("after_call.entry.sp"), slot + 8, "{name}");
        assert_eq!(at("sock_alloc.entry.saved_slot"), slot, "{name}");
        let behind = at("after_call.address") + number("after_call.offset") as u64;
        assert_eq!(at("__sys_socket.entry.slot"), behind, "{name}");
        assert_eq!(at("sock_alloc.entry.saved_address"), behind, "{name}");
        assert_eq!(number("after_call.entry.ax"), 3, "{name}");
        assert_eq!(
            number("after_call.offset") - number("before_call.offset"),
            5,
            "{name}"
        );
        // When the handler is done and the function has not begun, and what the trampoline left behind.
        assert_eq!(at("after_handler.entry.sp"), slot, "{name}");
        assert_eq!(
            at("after_handler.entry.slot"),
            at("sock_alloc.entry.slot"),
            "{name}"
        );
        let value = seen.value("slot_hijacked.__sys_socket.exit.handler_returns_to");
        let Value::Address {
            symbol: Some(symbol),
            ..
        } = value
        else {
            panic!("{name}: {value:?}")
        };
        assert!(
            symbol.starts_with("arch_rethook_trampoline+"),
            "{name}: {symbol}"
        );
        let refused = seen.value("slot_hijacked.trampoline.attach_errno");
        assert_eq!(refused.as_integer(), Some(22), "{name}");
        let listed = seen.value("slot_hijacked.__sys_socket.listed").to_string();
        assert!(listed.contains("[FTRACE]"), "{name}: {listed}");
    }
}

/// Check that a probe on a call is a trap, that the one which the kernel can improve has become a jump when the
/// experiment runs, and that the kernel counts each return that an empty pool made it miss.
#[test]
fn traps_and_pools() {
    for name in GUESTS {
        let seen = guest(name, "socket.toml");
        for (probe, experiment, opcode) in [
            ("before_call", "slot_hijacked", 0xcc),
            ("third", "middle", 0xe9),
        ] {
            let offset = seen.number(&format!("{experiment}.{probe}.offset")) as usize;
            let text = seen.value(&format!("{experiment}.{probe}.entry.text"));
            let Value::Bytes { value } = text else {
                panic!("no bytes")
            };
            assert_eq!(value.0[offset], opcode, "{name}: {value:?}");
        }
        let pool = seen.number("pool.do_sys_poll.hit1.exit.pool");
        let missed = seen.number("pool.quality.missed");
        assert_eq!(seen.number("pool.do_sys_poll.hits"), 12, "{name}");
        assert_eq!(missed, 12 - pool, "{name}");
        // The kernel goes on counting through runs that were made again.
        let counted = seen.number("pool.do_sys_poll.hit1.exit.missed");
        match seen.number("pool.quality.attempts") {
            1 => assert_eq!(counted, missed, "{name}"),
            _ => assert!(counted > missed, "{name}"),
        }
        assert_eq!(seen.errno("pool"), "EINTR", "{name}");
    }
}

/// Check that nothing in the evidence of this host says whose it is: no name, no user, no folder, no network address.
#[test]
fn host_names_nobody() {
    let seen = captured("host", "socket.toml");
    let text = qed_evidence::reader::write(&seen.evidence).expect("evidence");
    let output = |program: &str, argument: &str| {
        let output = std::process::Command::new(program).arg(argument).output();
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).into_owned(),
        )
    };
    let mut words: Vec<String> = vec![
        std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name"),
        output("id", "-un"),
        env!("CARGO_MANIFEST_DIR").into(),
        std::env::temp_dir().display().to_string(),
    ];
    words.extend(
        ["USER", "LOGNAME", "HOME", "PWD"]
            .iter()
            .filter_map(|name| std::env::var(name).ok()),
    );
    words.extend(
        output("hostname", "-I")
            .split_whitespace()
            .map(str::to_owned),
    );
    words.extend(
        std::fs::read_to_string("/proc/cmdline")
            .unwrap_or_default()
            .split_whitespace()
            .filter(|word| word.contains('='))
            .map(str::to_owned),
    );
    let whole = |text: &str, word: &str| {
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        text.match_indices(word).any(|(at, _)| {
            !inside(text[..at].chars().next_back())
                && !inside(text[at + word.len()..].chars().next())
        })
    };
    for word in words
        .iter()
        .map(|word| word.trim())
        .filter(|word| word.len() > 1)
    {
        assert!(!whole(&text, word), "the evidence says `{word}`");
    }
}

/// Check that a command runs in both guests, with its program and libraries from this machine, and is watched there.
#[test]
fn command() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("i.toml");
    let text = "[[experiment]]\nname = \"listen\"\nworkload = { command = [\"sh\", \"-c\", \"read x < /etc/none; echo $?\"] }\n\n\
                [[experiment.probe]]\nfunction = \"do_sys_openat2\"\nname = \"opened\"\n";
    std::fs::write(&path, text).expect("an investigation");
    for guest in GUESTS {
        let machine = format!("guest:{guest}");
        let output = folder.path().join("e.json");
        let result = support::collector(
            folder.path(),
            ["capture", "--on", &machine, "--investigation"],
        )
        .arg(&path)
        .args(["--debuginfo", "none", "-o"])
        .arg(&output)
        .args(support::RESUMED)
        .output()
        .expect("the program runs");
        assert!(
            result.status.success(),
            "{}",
            support::status_and_message(&result).1
        );
        let bytes = std::fs::read(&output).expect("evidence");
        let evidence = qed_evidence::reader::read(&bytes).expect("strictly valid evidence");
        let experiment = &evidence.experiments["listen"];
        assert_eq!(experiment.broken_reason(), None);
        assert_eq!(
            experiment.outcome.stdout.value(),
            Some(&Value::text("2\n")),
            "{machine}"
        );
        assert!(!experiment.probes["opened"].hits.is_empty());
    }
}
