//! The tables of an investigation as TOML has them, before anything is checked.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::command::RawCommand;
use super::raw_path::{PathSchema, RawPath};
use super::spanned::Spanned;
use crate::investigation::ReadKind;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub symbols: Vec<Spanned<String>>,
    #[serde(default)]
    pub config: Vec<Spanned<String>>,
    #[serde(default)]
    pub facts: RawFacts,
    pub boots: Option<Spanned<u32>>,
    pub guest: Option<RawGuest>,
    #[serde(default)]
    pub command: Vec<RawCommand>,
    #[serde(default)]
    pub experiment: Vec<RawExperiment>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, `[facts]`, with lists of names: `types = [\"socket\"]`"
)]
pub(super) struct RawFacts {
    #[serde(default)]
    pub types: Vec<Spanned<String>>,
    #[serde(default)]
    pub functions: Vec<Spanned<String>>,
    #[serde(default)]
    pub tracepoints: Vec<Spanned<String>>,
    #[serde(default)]
    pub syscalls: Vec<Spanned<String>>,
    #[serde(default)]
    pub config: Vec<Spanned<String>>,
    #[serde(default)]
    pub absent: Vec<Spanned<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table, `[[experiment]]`"
)]
pub(super) struct RawExperiment {
    pub name: Spanned<String>,
    pub inherit: Option<Spanned<String>>,
    pub modules: Option<Vec<Spanned<String>>>,
    pub workload: Option<Spanned<RawWorkload>>,
    #[serde(default)]
    pub limits: BTreeMap<String, Spanned<u64>>,
    #[serde(default)]
    pub capabilities: Option<Spanned<String>>,
    #[serde(default)]
    pub isolated: bool,
    #[serde(default)]
    pub cost: bool,
    pub graph: Option<Spanned<bool>>,
    #[serde(default)]
    pub graph_functions: Vec<Spanned<String>>,
    pub warm_up: Option<u32>,
    pub until: Option<Until>,
    pub follow: Option<bool>,
    pub settle_ms: Option<Spanned<u64>>,
    pub timeout_ms: Option<Spanned<u64>>,
    pub grace_ms: Option<Spanned<u64>>,
    pub max_output: Option<Spanned<u32>>,
    #[serde(default)]
    pub excuse: Vec<RawExcuse>,
    #[serde(default)]
    pub probe: Vec<RawProbe>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    Return,
    Exit,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ syscall = \"NAME\", args = […] }`, `{ calls = [{ syscall = \"NAME\", args = […] }, …] }` or \
        `{ command = [\"PROGRAM\", …] }`"
)]
pub(super) struct RawWorkload {
    pub syscall: Option<Spanned<String>>,
    pub args: Option<Vec<Spanned<RawArgument>>>,
    pub returns: Option<Spanned<String>>,
    #[serde(default)]
    pub before: Vec<Spanned<RawCall>>,
    pub calls: Option<Spanned<Vec<Spanned<RawCall>>>>,
    pub command: Option<Spanned<Vec<String>>>,
    pub threads: Option<Spanned<u32>>,
    #[serde(default)]
    pub files: Vec<Spanned<RawGivenFile>>,
    #[serde(default)]
    pub programs: Vec<Spanned<String>>,
    #[serde(default)]
    pub env: BTreeMap<Spanned<String>, Spanned<String>>,
    pub cwd: Option<Spanned<String>>,
    pub stdin: Option<Spanned<RawStdin>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ from = \"PATH\", to = \"PATH\", mode = \"0644\" }`"
)]
pub(super) struct RawGivenFile {
    pub from: String,
    pub to: Option<String>,
    pub mode: Option<Spanned<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ text = \"TEXT\" }` or `{ file = \"PATH\" }`"
)]
pub(super) struct RawStdin {
    pub text: Option<String>,
    pub file: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with `setup` and `programs`")]
pub(super) struct RawGuest {
    #[serde(default)]
    pub setup: Vec<Spanned<RawSetup>>,
    #[serde(default)]
    pub programs: Vec<Spanned<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a command is a text for `sh -c`, or a list of a program and its arguments"
)]
pub(super) enum RawSetup {
    Line(String),
    Words(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ syscall = \"NAME\", args = […], result = \"NAME\", returns = \"fd\" }`"
)]
pub(super) struct RawCall {
    pub syscall: Spanned<String>,
    #[serde(default)]
    pub args: Vec<Spanned<RawArgument>>,
    pub result: Option<Spanned<String>>,
    pub returns: Option<Spanned<String>>,
}

/// An argument, or a value inside of one. What a table may hold depends on its keys, so it is looked at afterwards.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "an argument is a number, the name of a constant, `$NAME` for the result of an earlier call, or a table"
)]
pub(super) enum RawArgument {
    Int(i64),
    Word(String),
    List(Vec<RawArgument>),
    Table(#[schemars(with = "BTreeMap<String, RawArgument>")] IndexMap<String, RawArgument>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ within = \"FUNCTION\", reason = \"TEXT\" }`"
)]
pub(super) struct RawExcuse {
    pub within: Spanned<String>,
    pub reason: String,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table, `[[experiment.probe]]`"
)]
pub(super) struct RawProbe {
    pub function: Option<Spanned<String>>,
    pub tracepoint: Option<Spanned<String>>,
    pub lsm: Option<Spanned<String>>,
    pub address: Option<Spanned<String>>,
    pub name: Option<Spanned<String>>,
    pub offset: Option<Spanned<u64>>,
    pub instruction: Option<Spanned<u32>>,
    pub before_call: Option<Spanned<String>>,
    pub after_call: Option<Spanned<String>>,
    pub body: Option<Spanned<bool>>,
    pub file: Option<Spanned<String>>,
    pub clones: Option<Spanned<bool>>,
    #[serde(default)]
    pub names: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub optional: bool,
    pub arch: Option<Spanned<String>>,
    #[serde(rename = "return")]
    pub watch_return: Option<Spanned<bool>>,
    pub within: Option<Spanned<String>>,
    pub syscall: Option<Spanned<String>>,
    #[serde(default)]
    pub any_task: bool,
    pub stack: Option<bool>,
    pub signal: Option<Spanned<RawSignal>>,
    pub deny: Option<Spanned<String>>,
    pub allocates: Option<Spanned<String>>,
    pub frees: Option<Spanned<String>>,
    #[serde(default)]
    pub public: Vec<Spanned<String>>,
    #[serde(default)]
    pub reads: Vec<RawRead>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ name = \"SIGKILL\", at = \"entry\" }`"
)]
pub(super) struct RawSignal {
    pub name: String,
    pub at: Side,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Side {
    Entry,
    Exit,
}

#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: `{ at = \"entry\", name = \"NAME\", path = \"PATH\" }`"
)]
pub(super) struct RawRead {
    pub at: Side,
    pub name: Spanned<String>,
    #[schemars(with = "PathSchema")]
    pub path: Spanned<RawPath>,
    #[schemars(with = "Option<ReadKind>")]
    pub kind: Option<Spanned<String>>,
    pub names: Option<Spanned<String>>,
    #[serde(default)]
    pub public: bool,
    pub max: Option<Spanned<u32>>,
    pub arch: Option<Spanned<String>>,
    pub elements: Option<Spanned<String>>,
    #[serde(default)]
    pub choose: Vec<Spanned<String>>,
    pub limit: Option<Spanned<u32>>,
}
