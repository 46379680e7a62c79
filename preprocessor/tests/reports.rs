//! Reports of `check` for other programs: annotations of GitHub, JUnit and SARIF.

use crate::common;

use std::process::{Command, Output};

use common::{Book, evidence, stderr, stdout};
use serde_json::Value;

/// A chapter with a claim of each verdict, and one that cannot be read.
const CHAPTER: &str = "# One\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n\n\
    ```qed-claim bad\ncreate.outcome.returned == 4\n```\n\n\
    ```qed-claim gap\ncreate.absent.hits == 0\n```\n\n\
    ```qed-claim never when=\"kaslr.slide == 0x7\"\ncreate.outcome.returned == 3\n```\n\n\
    ```qed-claim wrong\nlength(create.outcome.stdout) == \"x\"\n```\n";

fn book() -> Book {
    Book::new(&[("one.md", CHAPTER)], "", "")
}

fn check(book: &Book, format: &str) -> Output {
    book.qed(&["check", "--format", format])
}

fn sarif_validator() -> jsonschema::Validator {
    // The one expression that no engine but that of ECMAScript takes: a bracket too much.
    let text = include_str!("schemas/sarif-2.1.0.json").replace(
        "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$",
        "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$",
    );
    let schema: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{error}"))
}

/// A log that is valid in SARIF 2.1.0.
#[track_caller]
fn sarif(output: &Output) -> Value {
    let log: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", stdout(output)));
    let errors: Vec<String> = sarif_validator()
        .iter_errors(&log)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, [] as [&str; 0]);
    log
}

/// Hold a report to the schema that Jenkins uses, with `xmllint`, if there is one here.
#[track_caller]
fn assert_valid_junit(report: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.xml");
    std::fs::write(&file, report).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/junit-10.xsd");
    let run = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema", schema])
        .arg(&file)
        .output();
    match run {
        Ok(output) => assert!(output.status.success(), "{}{report}", stderr(&output)),
        Err(error) => common::note_skipped(&format!(
            "no report is validated, as xmllint (Debian: libxml2-utils) cannot be started: {error}"
        )),
    }
}

/// The results of a log as `RULE LEVEL FILE:LINE`.
fn results(log: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let line = |result: &Value| {
        let place = &result["locations"][0]["physicalLocation"];
        format!(
            "{} {} {}:{}",
            text(&result["ruleId"]),
            text(&result["level"]),
            text(&place["artifactLocation"]["uri"]),
            place["region"]["startLine"]
        )
    };
    results.iter().map(line).collect()
}

/// Check that every FAIL, ERROR and UNVERIFIED is annotated at its file and line, and that the exit status is that of a plain
/// check.
#[test]
fn annotations() {
    let book = book();
    let plain = book.qed(&["check"]);
    let message = check(&book, "github");
    assert_eq!(message.status.code(), plain.status.code());
    let text = stdout(&message);
    for wanted in [
        "::error file=src/one.md,line=8,col=1,title=claim-fail::claim `bad` is FAIL on guest:test-1%0Acreate.outcome.returned = 3\n",
        "::notice file=src/one.md,line=12,col=1,title=claim-unverified::claim `gap` is UNVERIFIED%0Aguest:test-1: ",
        ",title=claim-error::claim `wrong` is ERROR on guest:test-1: ",
        "title=unshown-claim::claim `never` is never judged",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert!(!text.contains("`good`"), "{text}");
    let verdict = |line: &&str| line.starts_with("::");
    assert_eq!(
        text.lines().filter(|line| !verdict(line)).count(),
        1,
        "{text}"
    );
}

/// Check that a log is valid SARIF and says what the annotations say, and that an undecided claim is "open" there.
#[test]
fn sarif_logs() {
    let book = book();
    let log = sarif(&check(&book, "sarif"));
    let found = results(&log);
    for wanted in [
        "claim-fail error src/one.md:8",
        "claim-unverified none src/one.md:12",
        "claim-error error src/one.md:20",
        "unshown-claim warning src/one.md:15",
    ] {
        assert!(found.iter().any(|one| one == wanted), "{wanted}: {found:?}");
    }
    let run = &log["runs"][0];
    assert_eq!(run["invocations"][0]["exitCode"], 1);
    let open = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["ruleId"] == "claim-unverified");
    assert_eq!(open.unwrap()["kind"], "open");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        assert!(
            rules.iter().any(|rule| rule["id"] == result["ruleId"]),
            "{result}"
        );
    }
}

/// Check that a report has a suite for each machine in which only a PASS passes, with the place of each other claim.
#[test]
fn junit_reports() {
    let book = book();
    let report = stdout(&check(&book, "junit"));
    assert_valid_junit(&report);
    for (wanted, number) in [
        (
            "<testsuite name=\"guest:test-1\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"2\">",
            1,
        ),
        (
            "<testsuite name=\"guest:test-2\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"2\">",
            1,
        ),
        ("<testcase name=\"good\" classname=\"one.md\"/>", 2),
        (
            "<failure message=\"FAIL\" type=\"FAIL\">src/one.md:8\ncreate.outcome.returned = 3</failure>",
            2,
        ),
        ("<skipped message=\"UNVERIFIED: ", 2),
        ("<skipped message=\"N/A", 2),
    ] {
        assert_eq!(report.matches(wanted).count(), number, "{wanted}\n{report}");
    }
}

/// Check that a machine without evidence is told of in every format, and that none of its claims passes.
#[test]
fn absent_machines() {
    let book = book();
    std::fs::remove_file(book.path(".qed/evidence/guest-test-2.json")).unwrap();
    let annotations = stdout(&check(&book, "github"));
    assert!(
        annotations.contains(
            "::notice title=machine-without-evidence::nothing is judged on guest:test-2: "
        ),
        "{annotations}"
    );
    let found = results(&sarif(&check(&book, "sarif")));
    assert!(
        found.contains(&"machine-without-evidence none book.toml:null".to_owned()),
        "{found:?}"
    );
    let report = stdout(&check(&book, "junit"));
    assert_valid_junit(&report);
    assert!(report.contains("<testsuite name=\"guest:test-2\" tests=\"5\" failures=\"0\" errors=\"0\" skipped=\"5\">"), "{report}");
}

/// Check that a claim that may not be UNVERIFIED is an error where its chapter shows it, on a machine with evidence and on one without,
/// and skipped on the other.
#[test]
fn open_claims_that_may_not_be() {
    for (machine, kind) in [("guest:test-1", "UNVERIFIED"), ("guest:test-2", "absent")] {
        let claim = format!(
            "# One\n\n```qed-claim gap machine=\"{machine}\" unverified=\"error\"\ncreate.absent.hits == 0\n```\n"
        );
        let book = Book::new(&[("one.md", &claim)], "", "");
        std::fs::remove_file(book.path(".qed/evidence/guest-test-2.json")).unwrap();
        let run = check(&book, "junit");
        let report = stdout(&run);
        assert_valid_junit(&report);
        assert_ne!(run.status.code(), Some(0), "{report}");
        let suite = format!(
            "<testsuite name=\"{machine}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">"
        );
        assert!(report.contains(&suite), "{report}");
        let error = report.lines().find(|line| line.contains("<error message="));
        let kind = format!("type=\"{kind}\"");
        assert!(error.is_some_and(|line| line.contains(&kind)), "{report}");
        assert!(report.contains("errors=\"0\" skipped=\"1\">"), "{report}");
    }
}

/// Check that a book that cannot be loaded is told of in every format, at its place: a report without results would look good.
#[test]
fn books_that_cannot_be_loaded() {
    let book = book();
    book.write(
        "book.toml",
        &book.read("book.toml").replace("machines =", "machine ="),
    );
    for format in ["github", "junit", "sarif"] {
        let message = check(&book, format);
        assert_eq!(message.status.code(), Some(2), "{format}");
        assert!(
            stderr(&message).contains("unknown field `machine`"),
            "{}",
            stderr(&message)
        );
        let text = stdout(&message);
        assert!(text.contains("unknown field `machine`"), "{format}: {text}");
        match format {
            "github" => assert!(text.starts_with("::error file=book.toml,line=7,"), "{text}"),
            "junit" => {
                assert_valid_junit(&text);
                assert!(
                    text.contains("errors=\"1\"") && !text.contains("<testsuite name=\"guest"),
                    "{text}"
                );
            }
            _ => {
                let log = sarif(&message);
                assert_eq!(
                    log["runs"][0]["invocations"][0]["executionSuccessful"],
                    false
                );
            }
        }
    }
    book.write("book.toml", "not toml at all [");
    for format in ["github", "junit", "sarif"] {
        let message = check(&book, format);
        assert_eq!(message.status.code(), Some(2), "{format}");
        assert!(
            stdout(&message).contains("the book cannot be loaded"),
            "{}",
            stdout(&message)
        );
    }
}

/// Check that in a folder of a repository the names of files begin at its top, that an included file is named itself, and that
/// what an author or a workload wrote breaks neither format nor command.
#[test]
fn names_and_hostile_texts() {
    let message = "::error::x]]>\u{1b}[31m\u{0} <a b='\"'>&amp;\r\n::set-output name=a::b\u{fffe}";
    let book = book();
    book.evidence(&evidence("guest:test-1", 0x1e00_0000, message));
    book.write("src/one.md", "# One\n\n{{#include a,b.md}}\n");
    book.write(
        "src/a,b.md",
        "text\n\n```qed-claim bad\ncreate.outcome.stdout == 'x]]>&'\n```\n",
    );
    let top = tempfile::tempdir().unwrap();
    std::fs::create_dir(top.path().join(".git")).unwrap();
    std::fs::create_dir(top.path().join("docs")).unwrap();
    let folder = top.path().join("docs/guide");
    std::fs::rename(book.dir.path(), &folder).unwrap();
    std::fs::create_dir(book.dir.path()).unwrap();
    let check = |format: &str| {
        Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .args(["check", "docs/guide", "--format", format])
            .current_dir(top.path())
            .output()
            .unwrap()
    };
    let text = stdout(&check("github"));
    assert!(
        text.contains("::error file=docs/guide/src/a%2Cb.md,line=4,col=1,title=claim-fail::"),
        "{text}"
    );
    for line in text.lines() {
        let start = line.trim_start();
        let known = [
            "::error file=docs",
            "::warning ",
            "::notice ",
            "1 claim on ",
        ];
        assert!(known.iter().any(|known| start.starts_with(known)), "{line}");
    }
    let found = results(&sarif(&check("sarif")));
    assert!(
        found.contains(&"claim-fail error docs/guide/src/a%2Cb.md:4".to_owned()),
        "{found:?}"
    );
    let report = stdout(&check("junit"));
    assert_valid_junit(&report);
    assert!(report.contains("docs/guide/src/a,b.md:4"), "{report}");
}
