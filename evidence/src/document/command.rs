//! Ordinary programs that were run, and the files that programs consist of.

use super::value::Datum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The machine that read a file or ran a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// The captured machine, while it ran.
    Machine,
    /// The machine that made the evidence, afterwards.
    Builder,
}

impl Reader {
    /// The word for it in the evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Reader::Machine => "machine",
            Reader::Builder => "builder",
        }
    }
}

/// One run of an ordinary program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRun {
    /// The machine that it ran on.
    pub by: Reader,
    /// The program and its arguments, as they were run. Files of the building machine are in the folder that it ran in.
    pub argv: Vec<String>,
    /// The files of the program, in order of role and name. Empty: not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ProgramFile>,
    /// Its exit status, or why there is none: it could not be started, or did not end in time.
    pub exit: Datum,
    /// Its standard output, or why that is not kept.
    pub output: Datum,
    /// The values that the investigation finds in its output, by name.
    #[serde(
        default,
        deserialize_with = "crate::document::de::named_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub values: BTreeMap<String, Datum>,
}

impl CommandRun {
    /// As it is typed into a shell.
    pub fn command_line(&self) -> String {
        let words: Vec<String> = self.argv.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }
}

/// A file of a program that was run, identified without its folder.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct ProgramFile {
    /// Its role for the program.
    pub role: FileRole,
    /// Its name, without its folder; of one that the investigation gives to a guest, its path there.
    pub name: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// The permissions with which a guest is given it; `None`: it runs, or is read, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// The role of a file for a program.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// The program itself.
    Program,
    /// The program itself, where an interpreter runs it.
    Script,
    /// The program of a script's first line.
    Interpreter,
    /// A library that the loader loads for it.
    Library,
    /// A file among its arguments.
    Argument,
    /// A file that it is given.
    File,
}

impl FileRole {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            FileRole::Program => "program",
            FileRole::Script => "script",
            FileRole::Interpreter => "interpreter",
            FileRole::Library => "library",
            FileRole::Argument => "argument",
            FileRole::File => "file",
        }
    }
}

/// A word as a shell takes it: in quotes where it has to be.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
