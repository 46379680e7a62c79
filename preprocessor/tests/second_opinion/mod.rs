//! Asks `judge.py` for its opinion on claims.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Its answer to one trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The claim is true.
    True,
    /// A false claim.
    False,
    /// Its condition is false.
    NotApplicable,
    /// The reason for a missing answer.
    None(String),
}

/// The running program.
pub struct SecondOpinion {
    child: Child,
    /// `None` when it was told that there is no more.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl SecondOpinion {
    /// Start it for one machine.
    pub fn start(names: &qed_evidence::names::Names) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(python(here))
            .arg(here.join("tests/second_opinion/judge.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut opinion = SecondOpinion {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        opinion.say(&json!({ "names": names }));
        opinion
    }

    fn say(&mut self, document: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{document}").unwrap();
        input.flush().unwrap();
    }

    /// Its answers to the trials of one claim, as `qed_evidence::claim::export` writes it.
    pub fn ask(&mut self, mut claim: Value, trials: impl Iterator<Item = Value>) -> Vec<Answer> {
        let trials: Vec<Value> = trials.collect();
        let expected = trials.len();
        claim["trials"] = trials.into();
        self.say(&claim);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answers: Vec<Value> = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("judge.py gave up on {claim}: {error}"));
        assert_eq!(answers.len(), expected);
        answers
            .into_iter()
            .map(|answer| match answer {
                Value::Bool(true) => Answer::True,
                Value::Bool(false) => Answer::False,
                Value::Null => Answer::NotApplicable,
                other => Answer::None(other.to_string()),
            })
            .collect()
    }
}

impl Drop for SecondOpinion {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// A Python that has cel-python: the one of the tools folder, or what `QED_CEL_PYTHON` says.
fn python(here: &Path) -> PathBuf {
    let installed = here.join("../.tools/cel/bin/python");
    match std::env::var_os("QED_CEL_PYTHON") {
        Some(python) => python.into(),
        None if installed.is_file() => installed,
        None => panic!(
            "the second implementation of CEL is missing: run `make test-tools`, or say in QED_CEL_PYTHON which \
             Python has cel-python"
        ),
    }
}
