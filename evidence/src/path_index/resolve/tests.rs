//! Paths of commands. Those of experiments are tried by the tests of claims.

use super::*;
use crate::document::Evidence;
use crate::document::value::{Datum, Value};
use crate::document::{CommandRun, Reader};
use crate::testing::{evidence, investigation};

fn place(argv: &[&str]) -> Evidence {
    let mut evidence = evidence();
    let command = CommandRun {
        by: Reader::Machine,
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        files: Vec::new(),
        exit: Value::int(0).into(),
        output: Value::text("ffffffff92200000 T _text").into(),
        values: [(
            "address".to_owned(),
            Value::address(0xffff_ffff_9220_0000).into(),
        )]
        .into(),
    };
    evidence.commands.insert("place".into(), command);
    evidence
}

fn resolve(evidence: &Evidence, path: &str) -> Result<String, String> {
    let investigation = investigation();
    let machines = [Indexed::new(evidence)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    let path = path
        .parse()
        .map_err(|error: crate::path::ParsePathError| error.to_string())?;
    match catalog.resolve(&machines[0], &path) {
        Ok(Resolved::Value(value, drift)) => Ok(format!("{value} ({drift:?})")),
        Ok(Resolved::Missing(reason)) => Ok(format!("none: {reason}")),
        Ok(Resolved::Broken(reason)) => Ok(format!("none: {reason}")),
        Err(error) => Err(format!("{error}; {:?}", error.nearest)),
    }
}

/// Check that what a command was, and what it told, has paths, and that nothing else of it has.
#[test]
fn commands() {
    let evidence = place(&["grep", "-w", "_text", "/proc/kallsyms"]);
    let at = |path: &str| resolve(&evidence, path);
    assert_eq!(
        at("commands.place.run").unwrap(),
        "grep -w _text /proc/kallsyms (PerKernel)"
    );
    assert_eq!(at("commands.place.exit").unwrap(), "0 (Invariant)");
    assert_eq!(
        at("commands.place.values.address").unwrap(),
        "0xffffffff92200000 (PerBoot)"
    );
    for (path, wrong) in [
        ("commands", "name a command"),
        ("commands.place", "name something"),
        ("commands.places.exit", "commands.place.exit"),
        ("commands.place.exits", "commands.place.exit"),
        ("commands.place.exit.code", "no value `code`"),
        ("commands.place.values", "name a value"),
        ("commands.place.values.addres", "values.address"),
        ("commands.place.values.address.x", "no value `x`"),
    ] {
        let found = at(path);
        assert!(
            found.as_ref().is_err_and(|e| e.contains(wrong)),
            "{found:?}"
        );
    }
}

/// Check that what another command told stands for nothing, and neither does evidence without the command.
#[test]
fn another_command() {
    let path = "commands.place.values.address";
    let other = place(&["grep", "-w", "_stext", "/proc/kallsyms"]);
    let message = resolve(&other, path).unwrap();
    assert!(
        message.contains("`grep -w _stext /proc/kallsyms`"),
        "{message}"
    );
    let message = resolve(&evidence(), path).unwrap();
    assert!(message.contains("no command `place`"), "{message}");
}

/// Evidence whose read `state` at the exit of `sock_alloc` is a structure.
fn structured() -> Evidence {
    let mut evidence = evidence();
    let experiment = evidence.experiments.get_mut("create").unwrap();
    let hits = &mut experiment.probes.get_mut("sock_alloc").unwrap().hits;
    for hit in hits {
        hit.exit.remove("state");
        let values = [
            ("state.order", Value::int(7).into()),
            ("state.name.len", Value::int(6).into()),
            ("state.hash", Datum::unavailable("it is of a union")),
        ];
        let values = values.map(|(name, datum)| (name.to_owned(), datum));
        hit.exit.extend(values);
    }
    evidence
}

/// Check that each value of a structure has a path, that a name which it does not have is refused with the nearest one, and that
/// a value on one machine which is a structure on another is missing there.
#[test]
fn structures() {
    let evidence = structured();
    let at = |path: &str| resolve(&evidence, &format!("create.sock_alloc.{path}"));
    assert_eq!(at("exit.state.order").unwrap(), "7 (Invariant)");
    assert_eq!(at("exit.state.name.len").unwrap(), "6 (Invariant)");
    assert_eq!(at("exit.state.hash").unwrap(), "none: it is of a union");
    for (path, wrong) in [
        ("exit.state", "it is a structure"),
        ("exit.state.name", "it is a structure"),
        ("exit.state.ordr", "exit.state.order"),
        ("exit.state.order.x", "no value `order.x`"),
    ] {
        let found = at(path);
        assert!(
            found.as_ref().is_err_and(|e| e.contains(wrong)),
            "{path}: {found:?}"
        );
    }
    let other = crate::testing::evidence();
    let investigation = investigation();
    let machines = [Indexed::new(&evidence), Indexed::new(&other)];
    let catalog = Catalog {
        investigation: &investigation,
        machines: &machines,
    };
    for (machine, path, reason) in [
        (0, "exit.state", "has a structure there"),
        (1, "exit.state.order", "has a value there"),
    ] {
        let path = format!("create.sock_alloc.{path}").parse().unwrap();
        match catalog.resolve(&machines[machine], &path) {
            Ok(Resolved::Missing(why)) => assert!(why.to_string().contains(reason), "{why}"),
            found => panic!("{path}: {found:?}"),
        }
    }
}

/// Check that the values of a list are its number of elements and as many elements as are read, before a capture and after it, and that an
/// element may be a structure.
#[test]
fn lists() {
    let mut investigation = investigation();
    let experiment = &mut investigation.experiments[0];
    let mut probes = experiment.probes.iter_mut();
    let probe = probes.find(|probe| probe.name == "sock_alloc").unwrap();
    let mut reads = probe.exit.iter_mut();
    let read = reads.find(|read| read.name == "state").unwrap();
    read.limit = Some(2);
    let mut evidence = evidence();
    let experiment = evidence.experiments.get_mut("create").unwrap();
    for hit in &mut experiment.probes.get_mut("sock_alloc").unwrap().hits {
        hit.exit.remove("state");
        let values = [("count", 1), ("e0.len", 6)];
        let values =
            values.map(|(name, value)| (format!("state.{name}"), Value::int(value).into()));
        hit.exit.extend(values);
        let missing = Datum::unavailable("the list has 1");
        hit.exit.insert("state.e1.len".into(), missing);
    }
    let captured = [Indexed::new(&evidence)];
    for machines in [&captured[..], &[]] {
        let catalog = Catalog {
            investigation: &investigation,
            machines,
        };
        let check = |path: &str| {
            let path = format!("create.sock_alloc.exit.{path}").parse().unwrap();
            catalog.check(&path).map_err(|error| error.message)
        };
        for path in ["state.count", "state.e0.len", "state.e1.len"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for (path, wrong) in [
            ("state", "it is a list"),
            ("state.e2", "no value `e2`"),
            ("state.e2.len", "no value `e2`"),
            ("state.counts", "no value `counts`"),
            ("state.count.x", "has nothing below it"),
        ] {
            let found = check(path);
            let is_told = found.as_ref().is_err_and(|why| why.contains(wrong));
            assert!(is_told, "{path}: {found:?}");
        }
        let inner = check("state.e0.size");
        assert_eq!(inner.is_err(), !machines.is_empty(), "{inner:?}");
    }
}
