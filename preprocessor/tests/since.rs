//! `since` on made-up evidence of a sweep.

use crate::common;

use common::{Book, evidence, good, stderr, stdout};
use mdbook_qed::evidence::sweep_record::ClaimText;

const CLAIMS: &str = "# One\n\n```qed-claim always\ncreate.outcome.errno == 0\n```\n\n\
    ```qed-claim old_text holds=\"..7.0\"\ncreate.outcome.stdout == 'old'\n```\n\n\
    ```qed-claim new_text\ncreate.outcome.stdout == 'new'\n```\n";

/// A book with the evidence of four kernels beside it, not in their order.
fn swept() -> Book {
    let book = Book::new(&[("one.md", CLAIMS)], "on-fail = \"warn\"", "");
    for (series, release, printed) in [
        ("7.1", "7.1.2+deb14-amd64", "new"),
        ("6.12", "6.12.118+deb13-amd64", "old"),
        ("7.0", "7.0.13+deb13-amd64", "old"),
        ("7.2", "7.2.1+deb14-amd64", "new"),
    ] {
        let name = format!("guest:test-{series}");
        let mut one = evidence(&name, 0x100_0000, printed);
        one.kernel.release = release.into();
        let text = qed_evidence::reader::write(&one).unwrap();
        book.write(&format!(".qed/evidence/sweep/{series}.json"), &text);
    }
    book
}

/// Check that a claim that turned is told with the kernels on both sides and its operands there, oldest first.
#[test]
fn one_claim() {
    let book = swept();
    let output = book.qed(&["since", "old_text"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!("one_claim", stdout(&output));
}

/// Check that all claims are told in a table, and those that turned below it.
#[test]
fn all_claims() {
    let book = swept();
    let output = book.qed(&["since"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!("all_claims", stdout(&output));
    let json = book.qed(&["since", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["kernels"].as_array().unwrap().len(), 4);
    let claim = &json["claims"][1];
    assert_eq!(json["source"], "evidence");
    assert_eq!(
        claim["turns"][0],
        serde_json::json!({
            "before": "7.0.13+deb13-amd64",
            "after": "7.1.2+deb14-amd64",
            "operands": [{ "operand": "create.outcome.stdout", "before": "old", "after": "new" }],
        })
    );
    assert_eq!(claim["holds"], "..7.0");
    assert_eq!(
        claim["operands"],
        serde_json::json!(["create.outcome.stdout"])
    );
    assert_eq!(
        claim["answers"],
        serde_json::json!(["true", "true", "false", "false"])
    );
    assert_eq!(
        claim["verdicts"][2],
        serde_json::json!({ "verdict": "PASS", "values": ["new"] })
    );
}

/// Check that kernels for another architecture are columns of their own, behind those for x86-64 and never between them, that no claim
/// turns from the one to the other, and that this is the same from a record, in which evidence of before is of x86-64.
#[test]
fn two_architectures() {
    let book = swept();
    for (series, release) in [
        ("7.1-arm64", "7.1.2+deb14-arm64"),
        ("7.0-arm64", "7.0.13+deb13-arm64"),
    ] {
        let mut one = evidence(&format!("guest:test-{series}"), 0x100_0000, "new");
        one.kernel.release = release.into();
        one.kernel.arch = Some("aarch64".into());
        let text = qed_evidence::reader::write(&one).unwrap();
        book.write(&format!(".qed/evidence/sweep/{series}.json"), &text);
    }
    let chapter = "# One\n\n```qed-claim new_text\ncreate.outcome.stdout == 'new'\n```\n\n```qed-exhibit timeline\n```\n";
    book.write("src/one.md", chapter);
    let told = stdout(&book.qed(&["since", "--record"]));
    let lines: Vec<&str> = told.lines().collect();
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    assert_eq!(
        words(lines[0]),
        [
            "claim",
            "6.12",
            "7.0",
            "7.1",
            "7.2",
            "7.0-arm64",
            "7.1-arm64"
        ]
    );
    assert_eq!(
        words(lines[1]),
        ["new_text", "false", "false", "true", "true", "true", "true"]
    );
    let summary = "x86-64: false up to 7.0; true from 7.1 on | arm64: true on all that judge it, 7.0-arm64 to 7.1-arm64";
    assert!(told.contains(&format!("  new_text: {summary}\n")), "{told}");
    let one = stdout(&book.qed(&["since", "new_text"]));
    assert_eq!(one.matches("turned between").count(), 1, "{one}");
    assert!(one.contains("turned between 7.0 and 7.1\n"), "{one}");
    let json = book.qed(&["since", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["claims"][0]["turns"].as_array().unwrap().len(), 1);
    assert_eq!(json["kernels"][4], "7.0.13+deb13-arm64");

    let mut record: serde_json::Value =
        serde_json::from_str(&book.read("recorded/sweep.json")).unwrap();
    let kernels = record["kernels"].as_array_mut().unwrap();
    let architectures: Vec<_> = kernels.iter().map(|one| one["arch"].as_str()).collect();
    let (x86, arm) = (Some("x86_64"), Some("aarch64"));
    assert_eq!(architectures, [x86, x86, x86, x86, arm, arm]);
    for kernel in &mut kernels[..4] {
        kernel.as_object_mut().unwrap().remove("arch");
    }
    book.write("recorded/sweep.json", &record.to_string());
    std::fs::remove_dir_all(book.path(".qed/evidence/sweep")).unwrap();
    assert_eq!(stdout(&book.qed(&["since"])), told);
    book.build();
    let page = book.read("book/one.html");
    assert!(
        page.contains("<th>7.2</th><th>7.0-arm64</th><th>7.1-arm64</th>"),
        "{page}"
    );
    let sum = "1 claims on 6 kernels, 6.12 to 7.2 and 7.0-arm64 to 7.1-arm64; 1 of them turned.";
    assert!(page.contains(sum), "{page}");
}

/// Check that JSON has the reason where a claim was not judged, and no values.
#[test]
fn reasons() {
    let book = swept();
    book.write(
        "src/one.md",
        "# One\n\n```qed-claim gap when=\"create.outcome.stdout == 'new'\"\ncreate.outcome.errno == 0\n```\n",
    );
    let json = book.qed(&["since", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let claim = &json["claims"][0];
    assert_eq!(claim["when"], "create.outcome.stdout == 'new'");
    assert_eq!(claim["answers"][0], "N/A");
    assert_eq!(
        claim["verdicts"][0],
        serde_json::json!({ "verdict": "N/A", "reason": "`create.outcome.stdout == 'new'` is false here" })
    );
}

/// Check that without the evidence of a sweep the answers are those of the record, in the same words, that this is said, and that a claim
/// which is not the one that was judged has none.
#[test]
fn from_the_record() {
    let book = recorded();
    let ask = |arguments: &[&str]| {
        let output = book.qed(&[&["since"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        output
    };
    let forms: [&[&str]; 2] = [&[], &["old_text"]];
    let before = forms.map(|form| stdout(&ask(form)));
    let json_before: serde_json::Value =
        serde_json::from_slice(&ask(&["--format", "json"]).stdout).unwrap();
    std::fs::remove_dir_all(book.path(".qed/evidence/sweep")).unwrap();
    for (form, before) in forms.iter().zip(&before) {
        let output = ask(form);
        assert_eq!(stdout(&output), *before);
        let told = stderr(&output);
        assert!(
            told.contains("no sweep in `.qed/evidence/sweep`: this is from `recorded/sweep.json`")
                && !told.contains("out of date"),
            "{told}"
        );
    }
    let mut json: serde_json::Value =
        serde_json::from_slice(&ask(&["--format", "json"]).stdout).unwrap();
    assert_eq!(json["source"], "record");
    json["source"] = "evidence".into();
    assert_eq!(json, json_before);

    let chapter = book.read("src/one.md");
    let changed = chapter.replace("errno == 0", "errno == 0 || create.outcome.errno == 1");
    book.write(
        "src/one.md",
        &(changed + "\n```qed-claim later\ncreate.outcome.errno == 0\n```\n"),
    );
    let output = ask(&[]);
    let text = stdout(&output);
    assert!(
        text.contains("always: changed since the sweep")
            && text.contains("later: newer than the sweep"),
        "{text}"
    );
    let told = stderr(&output);
    let reason =
        "the claims of the book are not those that it judged (changed: `always`; new: `later`)";
    assert!(
        told.contains("which is out of date: ") && told.contains(reason),
        "{told}"
    );
    let text = stdout(&ask(&["always"]));
    assert!(text.ends_with("\nchanged since the sweep\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&ask(&["--format", "json"]).stdout).unwrap();
    assert_eq!(json["claims"][0]["unjudged"], "changed since the sweep");
    assert_eq!(json["claims"][0]["answers"], serde_json::json!([]));
    assert!(json["out_of_date"][0].as_str().unwrap().contains(reason));
    // Whoever names a folder wants that one.
    let named = book.qed(&["since", "--from", ".qed/evidence/sweep"]);
    assert_eq!(named.status.code(), Some(2));
    std::fs::remove_file(book.path("recorded/sweep.json")).unwrap();
    let neither = book.qed(&["since"]);
    assert_eq!(neither.status.code(), Some(2));
    assert!(stderr(&neither).contains("qed-collector sweep"));
}

/// Check that a record is out of date once a claim was changed, is new or is gone: page, `check`, `since` and `verify` say so, a build with
/// `on-stale = "error"` stops, and a site whose pages do not say it does not verify.
#[test]
fn other_claims() {
    type Edit = fn(&str) -> String;
    let cases: [(Edit, &str); 4] = [
        (
            |text| text.replace("errno == 0", "errno == 0 || create.outcome.errno == 1"),
            "(changed: `always`)",
        ),
        (
            |text| text.replace("holds=\"..7.0\"", "holds=\"..7.0.13\""),
            "(changed: `old_text`)",
        ),
        (
            |text| text.replace("qed-claim new_text", "qed-claim newer_text"),
            "(new: `newer_text`; no longer made: `new_text`)",
        ),
        (
            |text| format!("{text}\n```qed-claim later\ncreate.outcome.errno == 0\n```\n"),
            "(new: `later`)",
        ),
    ];
    for (edit, words) in cases {
        let book = recorded();
        let chapter = book.read("src/one.md");
        book.write("src/one.md", &edit(&chapter));
        let reason = format!("the claims of the book are not those that it judged {words}");
        book.build();
        let page = book.read("book/one.html");
        assert!(
            page.contains("<div class=\"qed-notice\">Out of date: ") && page.contains(&reason),
            "{reason}: {page}"
        );
        let report = stdout(&book.qed(&["check"]));
        let line = format!("recorded/sweep.json: out of date, {reason}");
        assert!(report.contains(&line), "{line}: {report}");
        let report: serde_json::Value =
            serde_json::from_slice(&book.qed(&["check", "--format", "json"]).stdout).unwrap();
        assert_eq!(
            report["sweep"]["out_of_date"],
            serde_json::json!([reason.as_str()])
        );
        let told = stderr(&book.qed(&["since"]));
        assert!(told.contains(&reason), "{told}");
        good(&book.qed(&["publish", "book"]));
        let report = good(&book.qed(&["verify", "book"]));
        assert!(
            report.contains("and the pages say so: ") && report.contains(&reason),
            "{report}"
        );
        let toml = book.read("book.toml");
        book.write(
            "book.toml",
            &toml.replace("on-fail", "on-stale = \"error\"\non-fail"),
        );
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success(), "{reason}");
        assert!(stderr(&output).contains(&reason), "{}", stderr(&output));
        // A site that hides it.
        let file = "book/qed/source/book.json";
        let text = book.read(file);
        assert!(text.contains(&reason), "{text}");
        let mut about: serde_json::Value = serde_json::from_str(&text).unwrap();
        about["sweep"] = serde_json::json!({});
        book.write(file, &serde_json::to_string_pretty(&about).unwrap());
        let output = book.qed(&["verify", "book"]);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        let hidden = format!("the record of the sweep is out of date: {reason}");
        assert!(stdout(&output).contains(&hidden), "{}", stdout(&output));
    }
}

/// Check that `check` judges a claim with an interval by the version that Debian's kernel states, where its release is that of a series:
/// true beyond the interval is a FAIL, and where no version is known nothing is decided.
#[test]
fn interval_of_upstream_versions() {
    let chapter =
        "# One\n\n```qed-claim fixed holds=\"..6.1.170\"\ncreate.outcome.errno == 0\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    let check = |version: &str| {
        for (name, slide) in [("guest:test-1", 0x100_0000), ("guest:test-2", 0x200_0000)] {
            let mut one = evidence(name, slide, "x");
            one.kernel.release = "6.1.0-57-cloud-amd64".into();
            one.kernel.version = version.into();
            book.evidence(&one);
        }
        let output = book.qed(&["check", "--format", "json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let verdicts = report["claims"][0]["verdicts"].as_array().unwrap().clone();
        assert_eq!(verdicts.len(), 2);
        (output.status.code(), verdicts)
    };
    let verdict = |one: &serde_json::Value| {
        let judgement = one.get("judgement").unwrap_or(one);
        let text = |key: &str| judgement[key].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("reason"))
    };
    let (status, verdicts) = check("#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-26)");
    assert_eq!(status, Some(1));
    for one in &verdicts {
        let (word, reason) = verdict(one);
        assert_eq!(word, "FAIL", "{one}");
        assert_eq!(
            reason,
            "still true on 6.1.0-57-cloud-amd64 (6.1.192), which is outside of `..6.1.170`"
        );
    }
    let (_, verdicts) = check("#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-1 (2026-01-01)");
    assert!(
        verdicts.iter().all(|one| verdict(one).0 == "PASS"),
        "{verdicts:?}"
    );
    for version in ["#1 SMP", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.1"] {
        let (_, verdicts) = check(version);
        for one in &verdicts {
            let (word, reason) = verdict(one);
            assert_eq!(word, "UNVERIFIED", "{one}");
            assert!(
                reason.contains("does not say which release of 6.1 it is"),
                "{reason}"
            );
        }
    }
}

/// Check that the record of this repository is of the claims that its book makes.
#[test]
fn our_record_is_of_our_claims() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bytes = std::fs::read(root.join("recorded/sweep.json")).unwrap();
    let record = mdbook_qed::evidence::sweep_record::read(&bytes).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .args(["check", "--format", "json"])
        .current_dir(root)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let claims = report["claims"].as_array().unwrap();
    assert!(!claims.is_empty());
    let texts = claims.iter().map(|claim| ClaimText {
        id: claim["id"].as_str().unwrap(),
        expression: claim["expression"].as_str().unwrap(),
        when: claim["when"].as_str(),
        holds: claim["holds"].as_str(),
    });
    assert_eq!(
        record.describe_changed_claims(texts),
        None,
        "sweep again, and record: `make sweep`"
    );
}

/// Check that a misspelt claim, a missing sweep and one that is out of date are errors with a remedy.
#[test]
fn bad_input() {
    let book = swept();
    let misspelt = book.qed(&["since", "old_test"]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(stderr(&misspelt).contains("did you mean `old_text`?"));
    let misspelt = book.qed(&["since", "old_test", "--record"]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(!book.path("recorded/sweep.json").exists(), "recorded");

    let mut other = evidence("guest:test-9.9", 0x100_0000, "new");
    other.kernel.release = "9.9.1".into();
    other.run.investigation_digest = "00".repeat(32);
    let text = qed_evidence::reader::write(&other).unwrap();
    book.write(".qed/evidence/sweep/9.9.json", &text);
    let stale = book.qed(&["since"]);
    assert_eq!(stale.status.code(), Some(2), "{}", stdout(&stale));
    assert!(stderr(&stale).contains("of guest:test-9.9 is out of date"));

    book.write(".qed/evidence/sweep/9.9.json", "{");
    let broken = book.qed(&["since"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(stderr(&broken).contains("9.9.json` is refused"));

    let missing = book.qed(&["since", "--from", "nowhere"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("qed-collector sweep"));
}

/// A book with a timeline, and the record of the sweep.
fn recorded() -> Book {
    let book = swept();
    book.write(
        "src/one.md",
        &format!("{CLAIMS}\n```qed-exhibit timeline\n```\n\n```qed-exhibit timeline only=\"turned\"\nold_text\nalways\n```\n"),
    );
    let output = book.qed(&["since", "--record"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    book
}

/// Check that the exhibit shows every claim on every kernel with both sides of each turn, that a site with it verifies, and that a
/// record that was changed in the site is found.
#[test]
fn timeline() {
    let book = recorded();
    let output = book.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = std::fs::read_to_string(book.path("book/one.html")).unwrap();
    for part in [
        "3 claims on 4 kernels, 6.12 to 7.2; 2 of them turned.",
        "1 claims on 4 kernels, 6.12 to 7.2; 1 of them turned.",
        "true up to 7.0; false from 7.1 on",
        ">7.0.13+deb13-amd64<",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let published = book.qed(&["publish", "book"]);
    assert!(published.status.success(), "{}", stdout(&published));
    let verified = book.qed(&["verify", "book"]);
    assert!(verified.status.success(), "{}", stdout(&verified));
    let file = book.path("book/qed/sweep.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"old\"", "\"odd\"")).unwrap();
    let verified = book.qed(&["verify", "book"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(
        stdout(&verified).contains("one.html"),
        "{}",
        stdout(&verified)
    );
}

/// The record of a sweep as JSON, changed.
fn change(book: &Book, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut record = serde_json::from_str(&book.read("recorded/sweep.json")).unwrap();
    edit(&mut record);
    let text = serde_json::to_string_pretty(&record).unwrap() + "\n";
    book.write("recorded/sweep.json", &text);
}

/// Check that a record names its collector, and that one of another collector, of other kernels than the pinned ones, or that is too old is told
/// as out of date by page, `check`, `since` and `verify`, and stops the build where the book says so.
#[test]
fn out_of_date() {
    let lock = format!(
        "version = 1\n[[machine]]\nname = \"guest:test-7.0\"\nrelease = \"7.0.14\"\n\
         image = {{ package = \"linux-image-7\", version = \"7.0.14-1\", size = 1, sha256 = \"{}\" }}\n",
        "ab".repeat(32)
    );
    let age = "max-age = \"1d\"\n";
    type Edit = fn(&mut serde_json::Value);
    let nothing: Edit = |_| {};
    let cases: [(Edit, &str, &str, &str); 4] = [
        (
            |record| record["collector"] = "0.0.1".into(),
            "",
            "",
            "another collector made it (0.0.1, now ",
        ),
        (
            |record| record["kernels"][1]["package"] = "linux-image-7 7.0.13-1".into(),
            lock.as_str(),
            "",
            "guest:test-7.0: the book is pinned to another kernel (linux-image-7 7.0.13-1 then, linux-image-7 7.0.14-1 now)",
        ),
        (
            |record| record["kernels"][2]["time"] = "yesterday".into(),
            "",
            "",
            "is not an RFC 3339 time",
        ),
        (nothing, "", age, "days old, more than 24 hours"),
    ];
    for (edit, lock, setting, reason) in cases {
        let book = recorded();
        change(&book, |record| {
            assert_eq!(record["collector"], env!("CARGO_PKG_VERSION"));
            assert_eq!(record["object"], common::object_digest());
            edit(record);
        });
        if !lock.is_empty() {
            book.write("qed.lock", lock);
        }
        let toml = book.read("book.toml");
        let with = |more: &str| toml.replace("on-fail", &format!("{setting}{more}on-fail"));
        book.write("book.toml", &with(""));
        book.build();
        let page = book.read("book/one.html");
        let notice = "<div class=\"qed-notice\">Out of date: this sweep was captured earlier, and ";
        assert!(
            page.contains(notice) && page.contains(reason),
            "{reason}: {page}"
        );
        let report = stdout(&book.qed(&["check"]));
        let line = |line: &str| {
            line.starts_with("recorded/sweep.json: out of date, ") && line.contains(reason)
        };
        assert!(report.lines().any(line), "{reason}: {report}");
        good(&book.qed(&["publish", "book"]));
        let report = good(&book.qed(&["verify", "book"]));
        let reported =
            "the record of the sweep was out of date when it was published, and the pages say so: ";
        assert!(
            report.contains(reported) && report.contains(reason),
            "{report}"
        );
        if setting.is_empty() {
            let reported = stderr(&book.qed(&["since"]));
            assert!(
                reported.contains("`mdbook-qed since --record`") && reported.contains(reason),
                "{reported}"
            );
        }
        book.write("book.toml", &with("on-stale = \"error\"\n"));
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success(), "{reason}");
        let reported = stderr(&output);
        assert!(
            reported.contains("`recorded/sweep.json`, is out of date: ")
                && reported.contains(reason),
            "{reported}"
        );
    }
}

/// Check that a record that does not say which collector captured is no error, but a notice on its page and a line of `check`.
#[test]
fn unknown_collector() {
    let book = recorded();
    change(&book, |record| {
        let fields = record.as_object_mut().unwrap();
        assert!(fields.remove("collector").is_some() && fields.remove("object").is_some());
    });
    let toml = book.read("book.toml");
    book.write(
        "book.toml",
        &toml.replace("on-fail", "on-stale = \"error\"\non-fail"),
    );
    book.build();
    let reported = "the record does not say which one captured";
    let page = book.read("book/one.html");
    assert!(
        page.contains("<div class=\"qed-notice\">Not compared: ") && page.contains(reported),
        "{page}"
    );
    let report = stdout(&book.qed(&["check"]));
    assert!(
        report.contains(&format!(
            "recorded/sweep.json: not compared, the collector: {reported}"
        )),
        "{report}"
    );
    let document: serde_json::Value =
        serde_json::from_slice(&book.qed(&["check", "--format", "json"]).stdout).unwrap();
    assert_eq!(document["sweep"]["out_of_date"], serde_json::json!([]));
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
}

/// Check that kernels of one sweep that different collectors captured are not recorded.
#[test]
fn two_collectors() {
    let book = swept();
    let file = ".qed/evidence/sweep/7.1.json";
    let text = book.read(file);
    let object = common::object_digest();
    assert!(text.contains(&object));
    book.write(file, &text.replace(&object, &"12".repeat(32)));
    let output = book.qed(&["since", "--record"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    let reported = stderr(&output);
    // Where a collector is at hand, what another one captured is out of date.
    assert!(
        reported.contains("by different collectors")
            || reported.contains("another collector made it"),
        "{reported}"
    );
    assert!(!book.path("recorded/sweep.json").exists());
}

/// Check that `verify --evidence` compares the record with the evidence of the sweep and judges again: what differs is named with
/// its place, whether the record or the evidence was changed.
#[test]
fn judged_again() {
    let book = recorded();
    let verify = || {
        book.build();
        good(&book.qed(&["publish", "book"]));
        book.qed(&["verify", "book", "--evidence", ".qed/evidence"])
    };
    let report = good(&verify());
    let reported = "judged again from the sweep's evidence: 12 verdicts; not judged, because the book no longer has them: 0 claims";
    assert!(report.contains(reported), "{report}");
    type Edit = fn(&mut serde_json::Value);
    let cases: [(Edit, &str); 5] = [
        (
            |record| record["claims"]["old_text"]["verdicts"][0]["verdict"] = "FAIL".into(),
            "qed/sweep.json: claim `old_text` on guest:test-6.12: it says FAIL, the evidence makes it PASS",
        ),
        (
            |record| record["claims"]["old_text"]["verdicts"][1]["values"][0] = "\"older\"".into(),
            "qed/sweep.json: claim `old_text` on guest:test-7.0: its operands have other values in the evidence",
        ),
        (
            |record| record["kernels"][3]["evidence"] = "00".repeat(32).into(),
            "qed/sweep.json: guest:test-7.2: it was recorded from other evidence",
        ),
        (
            |record| record["kernels"][3]["build_id"] = "00".into(),
            "qed/sweep.json: guest:test-7.2: its evidence is of another kernel or time",
        ),
        (
            |record| record["object"] = "13".repeat(32).into(),
            "qed/sweep.json: guest:test-6.12: another collector captured there",
        ),
    ];
    let text = book.read("recorded/sweep.json");
    for (edit, line) in cases {
        book.write("recorded/sweep.json", &text);
        change(&book, edit);
        let output = verify();
        let report = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{report}");
        assert!(
            report.lines().any(|one| one.starts_with(line)),
            "{line}: {report}"
        );
        // Whoever has no evidence has to believe it.
        let report = good(&book.qed(&["verify", "book"]));
        assert!(
            report.contains("rest on the word of who made it"),
            "{report}"
        );
    }
    book.write("recorded/sweep.json", &text);
    std::fs::remove_file(book.path(".qed/evidence/sweep/7.1.json")).unwrap();
    let report = good(&verify());
    assert!(
        report.contains("there is no evidence of guest:test-7.1"),
        "{report}"
    );
}

/// Check that the record of this repository stays small enough to be committed, and is one of this form.
#[test]
fn size_of_our_record() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../recorded/sweep.json");
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    mdbook_qed::evidence::sweep_record::read(&bytes).unwrap();
}

/// Check that a claim that was changed since the sweep is shown without an answer, and that a record of another investigation, a
/// damaged one and a missing one are errors with a remedy.
#[test]
fn stale_records() {
    let book = recorded();
    let chapter = std::fs::read_to_string(book.path("src/one.md")).unwrap();
    book.write(
        "src/one.md",
        &chapter.replace("errno == 0", "errno == 0 || create.outcome.errno == 1"),
    );
    let output = book.mdbook(&["build"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = std::fs::read_to_string(book.path("book/one.html")).unwrap();
    assert!(page.contains("changed since the sweep"));

    let text = std::fs::read_to_string(book.path("recorded/sweep.json")).unwrap();
    let digest = &text[text.find("\"investigation\"").unwrap()..][18..28];
    for (record, message) in [
        (
            Some(text.replace(digest, "0123456789")),
            "of another investigation",
        ),
        (Some("{".to_owned()), "is refused"),
        (None, "there is no record of a sweep"),
    ] {
        match &record {
            Some(record) => book.write("recorded/sweep.json", record),
            None => std::fs::remove_file(book.path("recorded/sweep.json")).unwrap(),
        }
        let output = book.mdbook(&["build"]);
        assert!(!output.status.success());
        let report = stderr(&output);
        assert!(report.contains(message), "{report}");
        assert!(report.contains("mdbook-qed since --record"), "{report}");
    }
}

/// A book that makes one claim, with an interval, and the evidence of the four kernels.
fn with_interval(expression: &str, holds: &str) -> Book {
    let book = swept();
    let toml = book.read("book.toml");
    book.write("book.toml", &toml.replace("on-fail = \"warn\"", ""));
    let chapter = format!("# One\n\n```qed-claim dated holds=\"{holds}\"\n{expression}\n```\n");
    book.write("src/one.md", &chapter);
    book
}

/// Check that a claim that holds on another interval of kernels than it says fails in each form of `since`, and with the record in
/// `check`, `build` and `publish`, at its place; and that a claim that only turned does not.
#[test]
fn wrong_interval() {
    let book = with_interval("create.outcome.errno == 0", "..7.0");
    let reasons = [
        "FAIL on 7.1.2+deb14-amd64: still true",
        "FAIL on 7.2.1+deb14-amd64: still true",
    ];
    for arguments in [&["since"][..], &["since", "dated"]] {
        let output = book.qed(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let text = stdout(&output);
        assert!(reasons.iter().all(|reason| text.contains(reason)), "{text}");
        let told = stderr(&output);
        let what = "claim `dated` is FAIL in the sweep, on 7.1.2+deb14-amd64, 7.2.1+deb14-amd64: still true";
        assert!(told.contains(what) && told.contains("one.md:4"), "{told}");
    }
    let json = book.qed(&["since", "--format", "json"]);
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let failures = serde_json::json!(["7.1.2+deb14-amd64", "7.2.1+deb14-amd64"]);
    assert_eq!(json["claims"][0]["failures"], failures);

    // What no sweep says is no complaint of a book's own machines.
    assert_eq!(book.qed(&["check"]).status.code(), Some(0));
    assert_eq!(book.qed(&["since", "--record"]).status.code(), Some(1));
    let checked = book.qed(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stderr(&checked).contains("claim `dated` is FAIL in the sweep"));
    let built = book.mdbook(&["build"]);
    assert!(!built.status.success());
    assert!(stderr(&built).contains("claim `dated` is FAIL in the sweep"));
    let reports = stdout(&book.qed(&["check", "--format", "github"]));
    assert!(
        reports.contains("::error file=src/one.md,line=4") && reports.contains("in the sweep"),
        "{reports}"
    );
    std::fs::remove_dir_all(book.path(".qed/evidence/sweep")).unwrap();
    assert_eq!(book.qed(&["since"]).status.code(), Some(1));

    let chapter = book.read("src/one.md");
    book.write(
        "src/one.md",
        &chapter.replace("holds=\"..7.0\"", "holds=\"..9.0\""),
    );
    let changed = book.qed(&["check"]);
    assert!(
        !stderr(&changed).contains("in the sweep"),
        "{}",
        stderr(&changed)
    );
}

/// Check that a record is refused, wherever it is read with the claims, whose verdict does not follow from the values beside it.
#[test]
fn contradicted_values() {
    let book = with_interval("create.outcome.returned == 3", "..9.0");
    assert_eq!(book.qed(&["since", "--record"]).status.code(), Some(0));
    good(&book.qed(&["check"]));
    let first = |record: &mut serde_json::Value| record["claims"]["dated"]["verdicts"][2].take();
    type Edit = fn(&mut serde_json::Value);
    let edits: [Edit; 2] = [
        |verdict| verdict["values"][0] = "4".into(),
        |verdict| verdict["verdict"] = "FAIL".into(),
    ];
    let sound = book.read("recorded/sweep.json");
    for edit in edits {
        change(&book, |record| {
            let mut verdict = first(record);
            edit(&mut verdict);
            record["claims"]["dated"]["verdicts"][2] = verdict;
        });
        let checked = book.qed(&["check"]);
        assert_eq!(checked.status.code(), Some(1), "{}", stderr(&checked));
        let what = "contradicts itself: claim `dated` is ";
        assert!(stderr(&checked).contains(what), "{}", stderr(&checked));
        let built = book.mdbook(&["build"]);
        assert!(!built.status.success() && stderr(&built).contains(what));
        book.write("recorded/sweep.json", &sound);
    }
    // In a site, too, whose pages show no sweep.
    book.build();
    good(&book.qed(&["publish", "book"]));
    good(&book.qed(&["verify", "book"]));
    let file = book.path("book/qed/sweep.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["claims"]["dated"]["verdicts"][2]["values"][0] = "4".into();
    std::fs::write(&file, serde_json::to_string_pretty(&record).unwrap() + "\n").unwrap();
    let verified = book.qed(&["verify", "book"]);
    assert_eq!(verified.status.code(), Some(1));
    let report = stdout(&verified) + &stderr(&verified);
    assert!(report.contains("contradicts itself"), "{report}");
}

/// Check that a sweep with a resumed guest is refused, also by a book that allows it its own captures, and is not recorded.
#[test]
fn resumed_guest() {
    let book = swept();
    let settings = book.read("book.toml");
    let warm = settings.replace("on-fail", "guests = \"warm\"\non-fail");
    assert_ne!(warm, settings);
    book.write("book.toml", &warm);
    good(&book.qed(&["since"]));
    let file = ".qed/evidence/sweep/7.0.json";
    let mut one: serde_json::Value = serde_json::from_str(&book.read(file)).unwrap();
    one["machine"]["resumed"] = "2026-01-02T03:00:00Z".into();
    book.write(file, &one.to_string());
    for arguments in [&["since"][..], &["since", "--record"]] {
        let output = book.qed(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
        let told = stderr(&output);
        assert!(
            told.contains("guest:test-7.0 is out of date: its guest was resumed"),
            "{told}"
        );
    }
    assert!(!book.path("recorded/sweep.json").exists());
}
