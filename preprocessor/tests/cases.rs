//! Small investigations and claims that once gave a false PASS, captured on both guest kernels and judged again.
//!
//! Each folder below `cases/` holds an investigation, the chapter with its claims, and `expected.toml`: for each claim the
//! verdicts that are right, on each machine. `REFUSED` stands for a claim that does not even parse.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use serde::Deserialize;

#[path = "../../evidence/tests/removal/mod.rs"]
mod removal;

use removal::{Subject, attack};

/// Removals from the evidence of each case.
const REMOVALS: usize = 126;

const MACHINES: [&str; 2] = ["guest:debian-6.1", "guest:debian-6.12"];

/// The verdicts that are right, by claim.
type Verdicts = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
struct Expected {
    /// The machines whose kernels have what the case is about; all, if it says nothing.
    machines: Option<Vec<String>>,
    /// Verdicts of a capture without debug information, where they differ.
    without_debuginfo: Option<Verdicts>,
    #[serde(flatten)]
    verdicts: Verdicts,
}

/// One case, captured in one way.
struct Case {
    name: String,
    folder: PathBuf,
    machines: Vec<String>,
    debuginfo: &'static str,
    expected: Verdicts,
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mdbook-qed")).with_file_name(name)
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(folder.join("expected.toml")).unwrap();
        let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let machines = expected
            .machines
            .unwrap_or_else(|| MACHINES.map(String::from).into());
        let mut add = |debuginfo, expected| {
            cases.push(Case {
                name: name.clone(),
                folder: folder.clone(),
                machines: machines.clone(),
                debuginfo,
                expected,
            });
        };
        add("auto", expected.verdicts);
        if let Some(verdicts) = expected.without_debuginfo {
            add("none", verdicts);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// A book with the case as its only chapter.
fn book(case: &Case) -> tempfile::TempDir {
    let book = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = book.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let machines = format!("{:?}", case.machines);
    write(
        "book.toml",
        &format!(
            "[book]\ntitle = \"Case\"\n[preprocessor.qed]\nafter = [\"links\"]\n\
             investigation = \"investigation.toml\"\nmachines = {machines}\nguests = \"warm\"\n"
        ),
    );
    write("src/SUMMARY.md", "# Summary\n\n- [Claims](claims.md)\n");
    for (from, to) in [
        ("investigation.toml", "investigation.toml"),
        ("claims.md", "src/claims.md"),
    ] {
        write(
            to,
            &std::fs::read_to_string(case.folder.join(from)).unwrap(),
        );
    }
    book
}

fn run(program: &Path, arguments: &[&str], folder: &Path) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}; `make build` builds it", program.display()))
}

/// The verdict of each claim on each machine.
fn judge(folder: &Path) -> BTreeMap<(String, String), String> {
    let output = run(
        &program("mdbook-qed"),
        &["check", "--format", "json"],
        folder,
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!(
            "check printed no report: {e}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let mut verdicts = BTreeMap::new();
    for claim in report["claims"].as_array().unwrap() {
        for verdict in claim["verdicts"].as_array().unwrap() {
            let key = [&claim["id"], &verdict["machine"]].map(|v| v.as_str().unwrap().to_owned());
            let word = verdict["verdict"].as_str().unwrap().to_owned();
            verdicts.insert(key.into(), word);
        }
    }
    verdicts
}

/// All that is wrong with the verdicts of one case.
fn attempt(case: &Case) -> Vec<String> {
    let book = book(case);
    let label = format!("{} (debuginfo {})", case.name, case.debuginfo);
    for machine in &case.machines {
        let arguments = [
            "capture",
            "--investigation",
            "investigation.toml",
            "--debuginfo",
            case.debuginfo,
            // What a resumed guest shows is judged no less strictly, and a boot takes longer than most captures.
            "--guests",
            "warm",
            "--on",
            machine,
        ];
        let output = run(&program("qed-collector"), &arguments, book.path());
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return vec![format!(
                "{label}: the capture on {machine} ended with {}\n{message}",
                output.status
            )];
        }
    }
    let found = judge(book.path());
    let mut wrong = Vec::new();
    for (claim, right) in &case.expected {
        for machine in &case.machines {
            let verdict = found
                .get(&(claim.clone(), machine.clone()))
                .map_or("REFUSED", String::as_str);
            if !right.iter().any(|one| one == verdict) {
                wrong.push(format!(
                    "{label}: `{claim}` is {verdict} on {machine}, and {right:?} is right"
                ));
            }
        }
    }
    for machine in &case.machines {
        let file = format!(".qed/evidence/{}.json", machine.replace(':', "-"));
        let subject = Subject {
            evidence: &book.path().join(file),
            investigation: &book.path().join("investigation.toml"),
            chapters: Some(&book.path().join("src")),
            spared: &[],
        };
        attack(&subject, REMOVALS, 0x5eed_0013);
    }
    wrong
}

/// Check that every claim that once passed falsely has the right verdict on both kernels, and that nothing can be removed
/// from their evidence that makes a claim pass.
#[test]
fn no_case_passes_falsely() {
    if !program("qed-collector").exists() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: there is no qed-collector beside mdbook-qed; `make build` builds it"
        );
        return;
    }
    let cases = Mutex::new(cases());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().pop() } {
                    wrong.lock().unwrap().extend(attempt(&case));
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
