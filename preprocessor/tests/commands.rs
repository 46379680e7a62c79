//! The commands, on the same small book.

use crate::common;

use common::{Book, evidence, good, stderr, stdout};
use qed_evidence::value::{Datum, Value};

const CHAPTER: &str = "# One\n\nfd {{qed create.outcome.returned}}, `{{qed create.outer.return}}`, {{qed kaslr.slide}}\n\n\
    ```text\n{{qed create.outer.return}}\n```\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n\nshown \\{{qed a.b}}\n";

/// Check that `supports` says yes to everything, whatever stands behind it and wherever it runs.
#[test]
fn supports_cannot_fail() {
    let book = Book::new(&[("one.md", "")], "nonsense = 1", "");
    for arguments in [
        &["supports", "html"][..],
        &["supports"],
        &["supports", "x", "--y", "z"],
        &["supports", "not-supported"],
    ] {
        let output = book.qed(arguments);
        assert!(output.status.success());
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .args(["supports", "html"])
        .env_clear()
        .current_dir("/")
        .output()
        .unwrap();
    assert!(output.status.success());
    // Nothing to read from, nothing to write to.
    let closed = format!(
        "{} supports html <&- >&- 2>&-",
        env!("CARGO_BIN_EXE_mdbook-qed")
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &closed])
        .env_clear()
        .status();
    assert!(status.unwrap().success());
}

/// Check that `supports` says yes where nothing else would work: in a folder that is gone, beside settings that are none,
/// with an environment that is nonsense, without open files to spare, and told to write where nothing can be written.
#[test]
fn supports_whatever_the_environment() {
    let book = Book::new(&[("one.md", CHAPTER)], "nonsense = 1", "");
    std::fs::create_dir(book.path("odd")).unwrap();
    std::fs::create_dir(book.path("odd/book.toml")).unwrap();
    let ours = env!("CARGO_BIN_EXE_mdbook-qed");
    for line in [
        "mkdir gone; cd gone; rmdir ../gone; exec $QED supports html",
        "cd odd; exec $QED supports html",
        "ulimit -n 3; exec $QED supports html",
        "exec $QED supports html >/dev/full",
        "head -c 100000 /dev/urandom | $QED supports html",
        "exec $QED supports \"$(printf '\\377')\" 2>&1",
    ] {
        let output = std::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(book.dir.path())
            .env("QED", ours)
            .env("LC_ALL", "xx_XX.NOT-A-LOCALE")
            .env("TZ", "Nowhere/Nothing")
            .env("MDBOOK_PREPROCESSOR__QED", "{not json")
            .env("MDBOOK_book", "\u{1}")
            .env("HOME", "/nonexistent")
            .env("TMPDIR", "/nonexistent")
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        assert!(
            output.stdout.is_empty() && output.stderr.is_empty(),
            "{line}"
        );
    }
    // So settings that cannot be read stop the build, instead of publishing the placeholders.
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("unknown field `nonsense`"),
        "{}",
        stderr(&output)
    );
    assert!(!book.path("book/one.html").exists());
}

/// Check that what another mdBook says is refused before it is understood, naming both versions; and that a person
/// who runs the program by hand is told what it is for.
#[test]
fn another_caller() {
    let run = |line: &str| {
        std::process::Command::new("sh")
            .args(["-c", line])
            .env("QED", env!("CARGO_BIN_EXE_mdbook-qed"))
            .output()
            .unwrap()
    };
    let output = run(r#"echo '[{"mdbook_version":"0.4.52","config":7},"no book"]' | $QED"#);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let printed = stderr(&output);
    assert!(
        printed.contains("mdbook 0.4.52") && printed.contains("mdbook 0.5 (built with 0.5."),
        "{printed}"
    );
    assert_eq!(run("echo hello | $QED").status.code(), Some(2));
    // `script` gives the program a terminal to read from.
    let output = run("script -qec \"$QED\" /dev/null </dev/null");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stdout(&output).contains("mdbook-qed check"),
        "{}",
        stdout(&output)
    );
}

/// Check that messages are coloured on a terminal, and plain in a log, where `NO_COLOR` asks for it and on a terminal
/// that knows no colours: those of the commands and those of the preprocessor under mdBook.
#[test]
fn colour_on_a_terminal_only() {
    let book = Book::new(&[("one.md", "# One\n\n{{qed kaslr.slid}}\n")], "", "");
    // `script` gives the program a terminal.
    let on_terminal = |command: &str, variables: &[(&str, &str)]| {
        let output = std::process::Command::new("script")
            .args(["-qec", command, "/dev/null"])
            .current_dir(book.dir.path())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let printed = stdout(&output);
        let message = printed.find("unknown path").expect(&printed);
        assert!(printed.contains("did you mean"), "{printed:?}");
        // mdBook's own lines follow other rules.
        let end = message + printed[message..].find("mdbook-qed: ").expect(&printed);
        let start = printed[..message].rfind('\n').map_or(0, |at| at + 1);
        printed[start..end].to_owned()
    };
    let check = format!("{} check", env!("CARGO_BIN_EXE_mdbook-qed"));
    let build = format!("{} build", common::mdbook().display());
    for command in [&check, &build] {
        for coloured in [&[][..], &[("NO_COLOR", "")]] {
            let printed = on_terminal(command, coloured);
            assert!(
                printed.contains("\u{1b}["),
                "{command} {coloured:?}: {printed:?}"
            );
        }
        for plain in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
            let printed = on_terminal(command, &plain);
            assert!(
                !printed.contains('\u{1b}'),
                "{command} {plain:?}: {printed:?}"
            );
        }
    }
    for output in [book.qed(&["check"]), book.mdbook(&["build"])] {
        let plain = stderr(&output);
        let ours = &plain[plain.find("error: unknown path").expect(&plain)..];
        assert!(ours.contains("did you mean `kaslr.slide`?"), "{ours:?}");
        let ours = &ours[..ours.find("mdbook-qed: ").unwrap()];
        assert!(!ours.contains('\u{1b}'), "{ours:?}");
    }
}

/// Check that `check` judges every claim on every machine, as a table and as JSON, and that nothing to check is not
/// good.
#[test]
fn check() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let output = book.qed(&["check"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
    let json: serde_json::Value =
        serde_json::from_slice(&book.qed(&["check", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["good"], true);
    assert_eq!(json["claims"][0]["verdicts"][1]["verdict"], "PASS");

    book.write("src/one.md", &CHAPTER.replace("== 3", "== 4"));
    let output = book.qed(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (
            json["problems"][0]["file"].as_str(),
            json["problems"][0]["line"].as_u64()
        ),
        (Some("src/one.md"), Some(10))
    );

    book.write("src/one.md", "# One\n");
    let output = book.qed(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("makes no claim"));
    // One that cannot be read is told as such alone.
    book.write(
        "src/one.md",
        "# One\n\n```qed-claim good\ncreate.outcome.returned ==\n```\n",
    );
    let printed = stderr(&book.qed(&["check"]));
    assert!(
        printed.contains("src/one.md:4") && !printed.contains("makes no claim"),
        "{printed}"
    );
}

/// Check that a claim may decide for itself what UNVERIFIED means, whatever the book says, and that anything else is refused.
#[test]
fn unverified_by_claim() {
    let chapter = |option: &str| {
        format!(
            "# One\n\n```qed-claim absent {option}\ncreate.absent.return == 3\n```\n\n\
             ```qed-claim good\ncreate.outcome.returned == 3\n```\n"
        )
    };
    for (of_book, option, expected) in [
        ("", "", 0),
        ("", "unverified=\"error\"", 2),
        ("on-unverified = \"error\"", "", 2),
        ("on-unverified = \"error\"", "unverified=\"show\"", 0),
        ("", "unverified=\"eror\"", 2),
    ] {
        let book = Book::new(&[("one.md", &chapter(option))], of_book, "");
        let output = book.qed(&["check"]);
        let printed = stderr(&output);
        assert_eq!(output.status.code(), Some(expected), "{option}: {printed}");
        let word = match (expected, option) {
            (0, _) => "",
            (_, "unverified=\"eror\"") => "`unverified` is \"error\" or \"show\", not \"eror\"",
            _ => "claim `absent` is UNVERIFIED",
        };
        assert!(printed.contains(word), "{option}: {printed}");
        let built = book.mdbook(&["build"]);
        assert_eq!(built.status.success(), expected == 0, "{option}");
    }
}

/// Check that a check and a build count the values on pages that are UNVERIFIED, with the place of the first one, and say nothing where
/// there is none.
#[test]
fn unverified_values() {
    let chapter = |values: &str| {
        format!(
            "# One\n\nIt is {values}.\n\n```qed-claim good\ncreate.outcome.returned == 3\n```\n"
        )
    };
    let (value, none) = (
        "{{qed create.outcome.returned}}",
        "{{qed create.absent.return}}",
    );
    let first = "src/one.md:3:7: `create.absent.return` is unverified: ";
    for (values, line) in [
        (value.to_owned(), None),
        (none.to_owned(), Some("1 value on a page is UNVERIFIED: ")),
        (
            format!("{none} {value} {none}"),
            Some("2 values on pages are UNVERIFIED, the first: "),
        ),
    ] {
        let book = Book::new(&[("one.md", &chapter(&values))], "", "");
        let printed = good(&book.qed(&["check"]));
        let built = stderr(&book.mdbook(&["build"]));
        for printed in [printed, built] {
            match line {
                Some(line) => assert!(printed.contains(&format!("{line}{first}")), "{printed}"),
                None => assert!(!printed.contains("UNVERIFIED"), "{printed}"),
            }
        }
        let json: serde_json::Value =
            serde_json::from_str(&good(&book.qed(&["check", "--format", "json"]))).unwrap();
        let listed = json["unverified_values"].as_array().unwrap();
        assert_eq!(listed.len(), values.matches(none).count());
        assert!(listed.iter().all(|one| one["line"] == 3), "{json}");
        let annotations = good(&book.qed(&["check", "--format", "github"]));
        assert_eq!(
            annotations.matches("title=value-unverified").count(),
            listed.len(),
            "{annotations}"
        );
    }
}

/// Check that a site that shows verdicts and no value is verified by them, and that a folder without either is not.
#[test]
fn verdicts_alone() {
    let chapter = "# One\n\n```qed-claim silent\nnever(create.absent)\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    book.build();
    good(&book.qed(&["publish", "book"]));
    let printed = good(&book.qed(&["verify", "book"]));
    assert!(
        printed.contains("judged again from the published evidence: "),
        "{printed}"
    );
    assert!(printed.contains(" 0 values compared"), "{printed}");
    assert!(!printed.contains("nothing was verified"), "{printed}");
    let output = book.qed(&["verify", "src", "--evidence", ".qed/evidence"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("so nothing was verified"),
        "{}",
        stderr(&output)
    );
}

/// Check that the links of the claims table lead to chapters whose files have letters that a URL gives another meaning, and that a
/// reason is told once, with its names as code.
#[test]
fn claims_of_odd_files() {
    let chapter = "# One\n\n```qed-claim absent\ncreate.absent.return == 3\n```\n";
    let all = "# All\n\n```qed-exhibit claims\n```\n";
    let book = Book::new(&[("one.md", chapter), ("all.md", all)], "", "");
    std::fs::rename(book.path("src/one.md"), book.path("src/a #1? 50%.md")).unwrap();
    book.write(
        "src/SUMMARY.md",
        "# S\n\n- [A](<a #1? 50%.md>)\n- [All](all.md)\n",
    );
    book.build();
    let page = book.read("book/all.html");
    assert!(
        page.contains("href=\"a%20%231%3F%2050%25.html#claim-absent\""),
        "{page}"
    );
    let page = book.read("book/a #1? 50%.html");
    let start = page.find("id=\"claim-absent\"").unwrap();
    let claim = &page[start..start + page[start..].find("</ul>").unwrap()];
    let reason = "unavailable: ";
    assert_eq!(claim.matches(reason).count(), 1, "{claim}");
    assert!(claim.contains("for the same reason"), "{claim}");
    assert!(!claim.contains('`') && !claim.contains("&#96;"), "{claim}");
}

/// Check that mdBook is told that every renderer is supported, without a word, and that a reader is told what the command does.
#[test]
fn supports() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    for renderer in ["html", "epub", "help"] {
        assert_eq!(good(&book.qed(&["supports", renderer])), "");
    }
    assert!(
        good(&book.qed(&["supports", "--help"])).contains("Say whether a renderer is supported")
    );
}

/// Check that a book is found by its folder, by its book.toml, and from a folder inside of it.
#[test]
fn finds_the_book() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let whole = stdout(&book.qed(&["check"]));
    let file = book.path("book.toml").display().to_string();
    assert_eq!(stdout(&book.qed(&["check", &file])), whole);
    assert_eq!(stdout(&book.qed(&["check", "book.toml"])), whole);
    let inside = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .arg("check")
        .current_dir(book.path("src"))
        .output()
        .unwrap();
    assert_eq!(good(&inside), whole);
    let elsewhere = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
        .arg("check")
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no book here"),
        "{}",
        stderr(&output)
    );
}

/// Check that a book of which nothing could be verified on any machine is not called good: this machine cannot do it.
#[test]
fn nothing_verified() {
    let chapter = "# One\n\n```qed-claim absent\ncreate.absent.return == 3\n```\n\n\
        ```qed-claim newer when=\"kernel_at_least('6.6')\"\ncreate.outcome.returned == 4\n```\n";
    let book = Book::new(&[("one.md", chapter)], "", "");
    let output = book.qed(&["check"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("not one claim could be verified on any machine"),
        "{}",
        stderr(&output)
    );
    assert!(
        stdout(&output).contains("2 UNVERIFIED"),
        "{}",
        stdout(&output)
    );
    let json: serde_json::Value =
        serde_json::from_slice(&book.qed(&["check", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["good"], false);
    book.write(
        "src/one.md",
        &format!("{chapter}\n```qed-claim good\ncreate.outcome.returned == 3\n```\n"),
    );
    assert_eq!(book.qed(&["check"]).status.code(), Some(0));
}

/// Check that `explain` shows operands, verdicts and the control, and knows a name that was nearly right.
#[test]
fn explain() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let output = book.qed(&["explain", "good"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
    let output = book.qed(&["explain", "goood"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `good`?"));
    let output = good(&book.qed(&["explain", "good", "--format", "json"]));
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (&json["id"], &json["chapter"]),
        (&"good".into(), &"one.md".into())
    );
    let machine = &json["machines"][0];
    assert_eq!(machine["verdict"], "PASS");
    assert_eq!(machine["operands"][0]["text"], "create.outcome.returned");
    assert_eq!(machine["operands"][0]["value"], "3");
}

/// Check that every command takes its book by `--book` and as a word, and not twice.
#[test]
fn book_named_both_ways() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let root = book.dir.path().to_str().unwrap();
    let toml = format!("{root}/book.toml");
    let run = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .args(arguments)
            .current_dir("/")
            .output()
            .unwrap()
    };
    for command in [
        &["check"][..],
        &["explain", "good"],
        &["paths", "kernel.release"],
    ] {
        let told = good(&run(&[command, &["--book", root]].concat()));
        for named in [&[root][..], &["--book", &toml], &[&toml]] {
            assert_eq!(good(&run(&[command, named].concat())), told, "{named:?}");
        }
        let twice = run(&[command, &[root, "--book", root]].concat());
        assert_eq!(twice.status.code(), Some(2));
        assert!(
            stderr(&twice).contains("cannot be used with"),
            "{}",
            stderr(&twice)
        );
    }
}

/// Check that a claim that stands in a chapter and cannot be read is told as such by each command that names it, and is counted.
#[test]
fn unreadable_claim() {
    let chapter = format!(
        "{CHAPTER}\n```qed-claim broken\ncreate.outcome.returned === 3\n```\n\n```qed-claim odd whn=\"x\"\n1 == 1\n```\n\n\
         ```qed-exhibit steps\nIt is broken: create.outcome.returned; broken\n```\n"
    );
    let book = Book::new(&[("one.md", &chapter)], "", "");
    let unread = "claim `broken` has no verdict, because it could not be read";
    for command in [&["explain", "broken"][..], &["check"]] {
        let output = book.qed(command);
        assert_eq!(output.status.code(), Some(2));
        let told = stderr(&output);
        assert!(
            told.contains(unread) && told.contains("src/one.md:"),
            "{told}"
        );
        assert!(!told.contains("no chapter makes"), "{told}");
    }
    let told = stderr(&book.qed(&["explain", "odd"]));
    assert!(told.contains("claim `odd` has no verdict"), "{told}");
    let output = book.qed(&["check"]);
    let table = stdout(&output);
    let row = |id: &str| {
        table
            .lines()
            .find(|line| line.starts_with(id))
            .unwrap_or_default()
            .to_owned()
    };
    for id in ["broken", "odd"] {
        assert!(
            row(id).contains("not read") && row(id).ends_with("one.md"),
            "{table}"
        );
    }
    assert!(
        table.contains("2 PASS; 2 claims could not be read"),
        "{table}"
    );
    let output = book.qed(&["check", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["unread_claims"][0]["id"], "broken");
    assert_eq!(json["unread_claims"][1]["chapter"], "one.md");
}

/// Check that `paths` lists values of all machines below a prefix.
#[test]
fn paths() {
    let book = Book::new(&[("one.md", CHAPTER)], "", "");
    let output = book.qed(&["paths", "create.outer.exit"]);
    insta::assert_snapshot!(stdout(&output));
    // The last name may be cut short.
    let begun = good(&book.qed(&["paths", "kernel.rel", "--short"]));
    assert_eq!(begun, "kernel.release\n");
    let output = book.qed(&["paths", "kernel.releasd"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `kernel.release`?"));
    let of = |more: &[&str]| {
        let requested = [&["paths", "create.outer"], more].concat();
        good(&book.qed(&requested))
    };
    let short = of(&["--short"]);
    let lines: Vec<&str> = short.lines().collect();
    assert!(lines.contains(&"create.outer.return"), "{short}");
    assert!(
        lines.iter().all(|line| line.starts_with("create.outer.")),
        "{short}"
    );
    // A value of a probe that fired once is listed once, unless its number is asked for.
    assert!(!short.contains("hit1"), "{short}");
    let numbered = good(&book.qed(&["paths", "create.outer.hit1", "--short"]));
    assert!(
        numbered.contains("create.outer.hit1.return\n"),
        "{numbered}"
    );
    let one = of(&["--machine", "guest:test-1"]);
    assert!(
        !one.contains("guest:test-2") && one.contains("guest:test-1"),
        "{one}"
    );
    let json: serde_json::Value = serde_json::from_str(&of(&["--format", "json"])).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), 2 * lines.len());
    assert!(
        rows.iter()
            .all(|row| row["value"].is_string() != row["missing"].is_string())
    );
    let output = book.qed(&["paths", "--machine", "guest:test-9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is guest:test-1, guest:test-2"));
}

/// Check that `verify` compares every value with the evidence, and finds a changed value, a forgotten placeholder and
/// a block that nobody replaced.
#[test]
fn verify() {
    let book = Book::new(
        &[("one.md", CHAPTER)],
        "",
        "[output.html.print]\nenable = true",
    );
    book.build();
    let verify = || book.qed(&["verify", "book", "--evidence", ".qed/evidence"]);
    let printed = good(&verify());
    // The first chapter is index.html, too.
    assert!(
        printed.contains("2 placeholders shown on purpose, 0 wrong"),
        "{printed}"
    );
    let page = book.read("book/one.html");
    for (from, to, why) in [
        (">3</span>", ">4</span>", "shows `4`: the evidence says `3`"),
        (
            "data-qed-on=\"guest:test-1\"",
            "data-qed-on=\"guest:test-2\"",
            "the evidence says",
        ),
        ("# One", "# One", ""),
        ("</main>", "{{qed x.y}}</main>", "was not filled"),
        (
            "</main>",
            "<code class=\"language-qed-claim\"></code></main>",
            "a qed-claim block was not replaced",
        ),
    ] {
        if why.is_empty() {
            continue;
        }
        assert!(page.contains(from), "{from}");
        book.write("book/one.html", &page.replace(from, to));
        let output = verify();
        assert_eq!(output.status.code(), Some(1), "{to}");
        assert!(stdout(&output).contains(why), "{to}: {}", stdout(&output));
    }
    book.write("book/one.html", &page);
    book.write("book/toc.html", "<a>{{qed in a chapter's name}}</a>");
    assert_eq!(verify().status.code(), Some(1));
}

/// Check that a host's addresses stay out of the page and out of the log, with a value that may be shown beside them.
#[test]
fn host_addresses_stay_at_home() {
    let chapter = "# One\n\n{{qed create.outer.return machine=\"host\"}} {{qed kaslr.slide machine=\"host\"}} {{qed create.outer.return machine=\"host\"}}\n\n\
        ```text\n{{qed create.outer.return machine=\"host\"}}\n```\n\n```qed-exhibit calltree experiment=\"create\" machine=\"host\"\n```\n\n\
        ```qed-claim c machine=\"host\"\ncreate.outer.return == create.outer.return && mask(create.outer.return, 0xffffffffffffffffu) == 1u\n```\n";
    let book = Book::new(&[("one.md", chapter)], "on-fail = \"warn\"", "");
    let settings = book
        .read("book.toml")
        .replace("machines = [", "machines = [\"host\", ");
    book.write("book.toml", &settings);
    let mut host = evidence("host", 0x1122_3340, "");
    host.kaslr.slide = Datum::Value(Value::Offset {
        value: 0x1122_3340_u64.into(),
    });
    book.evidence(&host);
    let output = book.mdbook(&["build"]);
    let page = book.read("book/one.html");
    let print = book.read("book/print.html");
    for text in [page.as_str(), print.as_str(), &stderr(&output)] {
        assert!(
            !text.contains("11223340") && !text.contains(&0x1122_3340.to_string()),
            "{text}"
        );
        assert!(
            !text.contains(&(0xffff_8881_0000_0000_u64 + 0x1122_3340).to_string()),
            "{text}"
        );
    }
    // The copies of both probes are named before it.
    assert_eq!(page.matches("pointer#3</span>").count(), 2, "{page}");
    assert!(page.contains("on guest:test-1 it is 0x1e000000"), "{page}");
    let verify = |more: &[&str]| {
        let site = ["verify", "book", "--evidence", ".qed/evidence"];
        book.qed(&[&site[..], more].concat())
    };
    good(&verify(&[]));
    // Wherever it gets out, and however it is written.
    for (file, text) in [
        (
            "book/one.html",
            "<p data-x=\"-131386688802\">x</p>".replace(
                "-131386688802",
                &(0xffff_8881_1122_3340_u64.cast_signed()).to_string(),
            ),
        ),
        ("book/note.txt", format!("{:X}", 0xffff_8881_1122_3340_u64)),
        (
            "book/x.json",
            "[287453,000]".replace("287453,000", &0x1122_3340.to_string()),
        ),
    ] {
        let before = std::fs::read(book.path(file)).ok();
        book.write(file, &text);
        let output = verify(&[]);
        assert_eq!(output.status.code(), Some(1), "{file}: {}", stdout(&output));
        assert!(stdout(&output).contains("of host"), "{}", stdout(&output));
        match before {
            Some(before) => std::fs::write(book.path(file), before).unwrap(),
            None => std::fs::remove_file(book.path(file)).unwrap(),
        }
    }
    // Another pseudonym than the address has.
    let swapped = page.replacen("pointer#3</span>", "pointer#2</span>", 1);
    book.write("book/one.html", &swapped);
    let output = verify(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    book.write("book/one.html", &page);
    book.write(
        "book.toml",
        &format!("{settings}\n").replace("on-fail", "addresses = \"raw\"\non-fail"),
    );
    book.build();
    assert!(book.read("book/one.html").contains("0xffff888111223340"));
    let output = verify(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).contains("LEAK of `create.outer.hit1.return` of host (hexadecimal)"),
        "{}",
        stdout(&output)
    );
    let output = verify(&["--addresses", "raw"]);
    assert!(output.status.success(), "{}", stdout(&output));
}

/// Check that a second renderer gets plain text from the same evidence, and `mdbook test` runs.
#[test]
fn other_renderers_get_text() {
    let book = Book::new(
        &[("one.md", CHAPTER)],
        "",
        "[output.html]\n[output.markdown]\n",
    );
    book.build();
    insta::assert_snapshot!(
        book.read("book/markdown/one.md")
            .replace(&age(&book), "AGE")
    );
    assert!(book.read("book/html/one.html").contains(">3</span>"));
    let output = book.mdbook(&["test"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The age of the evidence as pages say it.
fn age(book: &Book) -> String {
    let text = book.read("book/markdown/one.md");
    let end = text.find(" days old").unwrap() + " days old".len();
    let start = text[..end].rfind("· ").unwrap() + "· ".len();
    text[start..end].to_owned()
}

/// Check that input of another mdBook, and none at all, is told as such.
#[test]
fn other_input_is_refused() {
    let run = |input: &str| {
        use std::io::Write;
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_mdbook-qed"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let output = run(r#"[{"mdbook_version":"0.4.40","new":1},{"old":2}]"#);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("0.4.40") && stderr(&output).contains("0.5"));
    assert_eq!(run("").status.code(), Some(2));
}

/// Check that a key nobody knows is refused at its place in book.toml.
#[test]
fn unknown_keys_are_errors() {
    let book = Book::new(&[("one.md", CHAPTER)], "on-fial = \"warn\"", "");
    let output = book.mdbook(&["build"]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("book.toml:8:1"),
        "{}",
        stderr(&output)
    );
}

/// Check that `init` makes a book that builds from evidence of what it asks for, and that in a book that is there it
/// adds what is missing and nothing else.
#[test]
fn init() {
    let book = Book::new(&[("one.md", "# One\n")], "", "");
    let output = book.qed(&["init", "new", "--no-capture"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = book.read("new/investigations/first.toml");
    let investigation = qed_evidence::investigation::parse("first.toml", &text).unwrap();
    let mut measured = evidence("guest:debian-6.1", 0x1e00_0000, "");
    measured.run.investigation_digest = investigation.digest.clone();
    let mut first = measured.experiments.remove("create").unwrap();
    first.outcome.returned = Datum::Value(Value::int(0));
    first
        .outcome
        .buffers
        .insert("fds".into(), Datum::Value(Value::text("3, 4")));
    let mut probe = first.probes.remove("inner").unwrap();
    probe.target = qed_evidence::document::Target::Function("do_pipe2".into());
    first.probes = [("do_pipe2".to_owned(), probe)].into();
    measured.experiments.insert("first".into(), first);
    book.write(
        "new/.qed/evidence/guest-debian-6.1.json",
        &qed_evidence::reader::write(&measured).unwrap(),
    );
    let command = format!("command = \"{}\"", env!("CARGO_BIN_EXE_mdbook-qed"));
    book.write(
        "new/book.toml",
        &book
            .read("new/book.toml")
            .replace("command = \"mdbook-qed\"", &command),
    );
    let output = book.mdbook(&["build", "new"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(book.read("new/site/first.html").contains("3, 4</span>"));

    book.write("old/book.toml", "[book]\ntitle = \"Mine\"\n");
    book.write("old/src/SUMMARY.md", "# Summary\n");
    let output = book.qed(&["init", "old"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let settings = book.read("old/book.toml");
    assert!(
        settings.starts_with("[book]\ntitle = \"Mine\"\n")
            && settings.contains("[preprocessor.qed]"),
        "{settings}"
    );
    assert!(!book.path("old/book").exists() && book.path("old/investigations/first.toml").exists());
    let again = book.qed(&["init", "old"]);
    assert!(
        again.status.success() && book.read("old/book.toml") == settings,
        "{}",
        stdout(&again)
    );
}
