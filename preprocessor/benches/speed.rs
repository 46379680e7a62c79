//! The cost of this preprocessor, against one that does nothing, in one run.
//!
//!     cargo bench -p mdbook-qed [-- BOOKDIR]
//!
//! BOOKDIR is a book of over 500 chapters that does not use QED; without it one is generated. Each pair of runs gets
//! the same input, one after the other, in turn; what is printed is the median, and the median of the pairs' ratios.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Book, mdbook};

const PAIRS: usize = 41;
const CHAPTERS: usize = 600;

/// The greatest ratio of the time of `verify` of a site, which makes everything again, to that of one build of its book.
const VERIFY_GOAL: f64 = 3.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["nop" | "dump", "supports", ..] | ["dump", _, "supports", ..] => {}
        ["nop"] => nop(),
        ["dump", file] => dump(Path::new(file)),
        _ => measure(words.into_iter().find(|word| !word.starts_with('-'))),
    }
}

/// mdBook's own example of a preprocessor that does nothing: reads the book and writes it again.
fn nop() {
    let (_, book) = mdbook_preprocessor::parse_input(std::io::stdin()).unwrap();
    serde_json::to_writer(std::io::stdout(), &book).unwrap();
}

/// Keep what mdBook gives to a preprocessor.
fn dump(file: &Path) {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    std::fs::write(file, &input).unwrap();
    let (_, book): (serde_json::Value, serde_json::Value) = serde_json::from_str(&input).unwrap();
    println!("{book}");
}

/// The input that mdBook gives to the preprocessor of the book in `root`, in a file. The site is built elsewhere.
fn input(root: &Path, folder: &Path) -> PathBuf {
    let file = folder.join("input.json");
    let own = std::env::current_exe().unwrap();
    let output = Command::new(mdbook())
        .arg("build")
        .arg(root)
        .arg("--dest-dir")
        .arg(folder.join("site"))
        .env(
            "MDBOOK_PREPROCESSOR__QED__COMMAND",
            format!("{} dump {}", own.display(), file.display()),
        )
        .env("MDBOOK_PREPROCESSOR__QED__CAPTURE", "never")
        .env("MDBOOK_BUILD__CREATE_MISSING", "false")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::stderr(&output));
    file
}

/// Wall time of one run with this input.
fn run(program: &Path, arguments: &[&str], input: &Path) -> Duration {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(File::open(input).unwrap())
        .stdout(Stdio::null())
        // Warnings are not what is measured, and would hide the numbers.
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let time = start.elapsed();
    let program = program.display();
    assert!(
        status.success(),
        "{program} failed: run `mdbook build` in the book to see why"
    );
    time
}

fn median<T: PartialOrd + Copy>(mut all: Vec<T>) -> T {
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all[all.len() / 2]
}

/// Run both in turn; print and return the median times in milliseconds: of the one that does nothing, of ours.
fn compare(what: &str, input: &Path) -> (f64, f64) {
    let own = std::env::current_exe().unwrap();
    let ours = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let (mut nothing, mut full, mut ratios) = (vec![], vec![], vec![]);
    for pair in 0..PAIRS {
        let (a, b) = if pair % 2 == 0 {
            let a = run(&own, &["nop"], input);
            (a, run(ours, &[], input))
        } else {
            let b = run(ours, &[], input);
            (run(&own, &["nop"], input), b)
        };
        nothing.push(a.as_secs_f64() * 1e3);
        full.push(b.as_secs_f64() * 1e3);
        ratios.push(b.as_secs_f64() / a.as_secs_f64());
    }
    let (nothing, full) = (median(nothing), median(full));
    println!(
        "{what:<58} nothing {nothing:8.2} ms   qed {full:8.2} ms   ratio {:5.2}   added {:8.2} ms",
        median(ratios),
        full - nothing
    );
    (nothing, full)
}

/// Wall time of a command in `root` that has to end well.
fn timed(root: &Path, program: &Path, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .env(
            "MDBOOK_PREPROCESSOR__QED__COMMAND",
            env!("CARGO_BIN_EXE_mdbook-qed"),
        )
        .env("MDBOOK_PREPROCESSOR__QED__CAPTURE", "never")
        .output()
        .unwrap();
    let time = start.elapsed();
    let printed = common::stdout(&output) + &common::stderr(&output);
    assert!(output.status.success(), "{arguments:?}: {printed}");
    time
}

/// `verify` of a published site, in which everything is made again, against one build of its book; the site is elsewhere.
fn verifying(root: &Path, folder: &Path) {
    let site = folder.join("verified").display().to_string();
    let ours = Path::new(env!("CARGO_BIN_EXE_mdbook-qed"));
    let build = ["build", "--dest-dir", &site];
    timed(root, &mdbook(), &build);
    let (mut builds, mut verifies, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..PAIRS / 4 {
        let built = timed(root, &mdbook(), &build).as_secs_f64();
        timed(root, ours, &["publish", &site]);
        let verified = timed(root, ours, &["verify", &site]).as_secs_f64();
        builds.push(built * 1e3);
        verifies.push(verified * 1e3);
        ratios.push(verified / built);
    }
    println!(
        "{:<58} build  {:9.2} ms   verify {:6.2} ms   ratio {:5.2}   goal {VERIFY_GOAL:.2}",
        "the flagship book: verify against one build",
        median(builds),
        median(verifies),
        median(ratios)
    );
}

/// A book without placeholders.
fn generated() -> Book {
    let paragraph = "Some *text* with `code`, a [link](https://example.org) and {{closure}}.\n\n```rust\nlet x = 1;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n";
    let text = format!("# A chapter\n\n{}", paragraph.repeat(60));
    let names: Vec<String> = (0..CHAPTERS).map(|n| format!("chapter-{n}.md")).collect();
    let chapters: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), text.as_str())).collect();
    Book::new(&chapters, "", "")
}

fn measure(book: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let made = book.is_none().then(generated);
    let root = match (book, &made) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(made)) => made.dir.path().to_owned(),
        (None, None) => unreachable!("one of them is there"),
    };
    compare("a book that does not use it", &input(&root, folder.path()));
    if let Some(made) = &made {
        made.write("src/chapter-7.md", "# Live\n\n{{qed kaslr.slide}}\n");
        compare(
            "the same with one placeholder",
            &input(&root, folder.path()),
        );
    }

    let flagship = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if flagship.join(".qed/evidence").exists() {
        compare(
            "the flagship book: one render under serve",
            &input(&flagship, folder.path()),
        );
        verifying(&flagship, folder.path());
    } else {
        println!("the flagship book was not captured here: run `make capture`");
    }

    let mut last: Option<f64> = None;
    for count in [1_000_usize, 10_000, 100_000] {
        let line =
            "A value {{qed create.outcome.returned}} and `{{qed create.outer.return}}` here.\n\n";
        let chapter = format!("# Many\n\n{}", line.repeat(50));
        let names: Vec<String> = (0..count / 100).map(|n| format!("many-{n}.md")).collect();
        let chapters: Vec<(&str, &str)> = names
            .iter()
            .map(|n| (n.as_str(), chapter.as_str()))
            .collect();
        let book = Book::new(&chapters, "", "");
        let what = format!("{count} placeholders in {} chapters", chapters.len());
        let (nothing, full) = compare(&what, &input(book.dir.path(), folder.path()));
        let added = full - nothing;
        if let Some(last) = last {
            println!(
                "{:<58} ten times as many: {:.1} times as long",
                "",
                added / last
            );
        }
        last = Some(added);
    }
    let line =
        "A value {{qed create.outcome.returned}} and `{{qed create.outer.return}}` here.\n\n";
    let book = Book::new(
        &[("one.md", &format!("# Many\n\n{}", line.repeat(50_000)))],
        "",
        "",
    );
    compare(
        "100000 placeholders in one chapter",
        &input(book.dir.path(), folder.path()),
    );
}
