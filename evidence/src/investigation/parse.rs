//! From TOML text to an [`Investigation`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::parse_command::RawCommand;
use super::{
    Action, Argument, BufferElements, Excuse, Experiment, Investigation, MAX_OUTPUT, MAX_READ,
    OUTPUT_OF_WORKLOAD, Place, Position, Probe, Read, ReadKind, Returns, Signal, Workload,
};
use crate::constants::{constant_sets, errno_number};
use crate::diagnostic::{Diagnostic, Source, nearest};
use crate::document::Target;
use crate::path::{is_identifier, is_name, refuse_experiment_name, refuse_probe_name};

/// The longest time a workload may be given, in milliseconds.
pub(super) const MAX_TIMEOUT_MS: u64 = 60_000;

/// The most threads that make one call at once.
const MAX_THREADS: u32 = 64;
/// The most boots of one guest: each takes seconds, and a picture of more says no more.
const MAX_BOOTS: u32 = 256;

/// System calls that return a file descriptor.
const RETURN_FD: &[&str] = &[
    "accept",
    "accept4",
    "bpf",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "eventfd",
    "eventfd2",
    "fanotify_init",
    "inotify_init",
    "inotify_init1",
    "io_uring_setup",
    "memfd_create",
    "open",
    "openat",
    "openat2",
    "perf_event_open",
    "pidfd_open",
    "signalfd",
    "signalfd4",
    "socket",
    "timerfd_create",
    "userfaultfd",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    symbols: Vec<Spanned<String>>,
    #[serde(default)]
    config: Vec<Spanned<String>>,
    boots: Option<Spanned<u32>>,
    #[serde(default)]
    command: Vec<RawCommand>,
    #[serde(default)]
    experiment: Vec<RawExperiment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawExperiment {
    name: Spanned<String>,
    inherit: Option<Spanned<String>>,
    workload: Option<Spanned<RawWorkload>>,
    #[serde(default)]
    limits: BTreeMap<String, Spanned<u64>>,
    #[serde(default)]
    capabilities: Option<Spanned<String>>,
    #[serde(default)]
    isolated: bool,
    #[serde(default)]
    cost: bool,
    warm_up: Option<u32>,
    until: Option<Until>,
    follow: Option<bool>,
    settle_ms: Option<Spanned<u64>>,
    timeout_ms: Option<Spanned<u64>>,
    grace_ms: Option<Spanned<u64>>,
    max_output: Option<Spanned<u32>>,
    #[serde(default)]
    excuse: Vec<RawExcuse>,
    #[serde(default)]
    probe: Vec<RawProbe>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Until {
    Return,
    Exit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWorkload {
    syscall: Option<Spanned<String>>,
    args: Option<Vec<Spanned<RawArgument>>>,
    returns: Option<Spanned<String>>,
    command: Option<Spanned<Vec<String>>>,
    threads: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an argument is a number, the name of a constant, { text = \"TEXT\" }, { buffer = \"NAME\", size = BYTES } or { buffer = \"NAME\", ints = COUNT }"
)]
enum RawArgument {
    Int(i64),
    Constant(String),
    Table(RawPointer),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPointer {
    text: Option<String>,
    buffer: Option<String>,
    size: Option<usize>,
    ints: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExcuse {
    within: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawProbe {
    function: Option<Spanned<String>>,
    tracepoint: Option<Spanned<String>>,
    lsm: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    offset: Option<Spanned<u64>>,
    instruction: Option<Spanned<u32>>,
    before_call: Option<Spanned<String>>,
    after_call: Option<Spanned<String>>,
    body: Option<Spanned<bool>>,
    file: Option<Spanned<String>>,
    clones: Option<Spanned<bool>>,
    #[serde(default)]
    names: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    optional: bool,
    #[serde(rename = "return")]
    watch_return: Option<Spanned<bool>>,
    within: Option<String>,
    syscall: Option<Spanned<String>>,
    #[serde(default)]
    any_task: bool,
    stack: Option<bool>,
    signal: Option<Spanned<RawSignal>>,
    deny: Option<Spanned<String>>,
    allocates: Option<Spanned<String>>,
    frees: Option<Spanned<String>>,
    #[serde(default)]
    public: Vec<Spanned<String>>,
    #[serde(default)]
    reads: Vec<RawRead>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignal {
    name: String,
    at: Side,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Side {
    Entry,
    Exit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRead {
    at: Side,
    name: Spanned<String>,
    path: Spanned<String>,
    kind: Option<Spanned<ReadKind>>,
    names: Option<Spanned<String>>,
    #[serde(default)]
    public: bool,
    max: Option<Spanned<u32>>,
    elements: Option<Spanned<String>>,
}

/// Parses and checks an investigation. On failure every problem is reported at once.
///
/// `name` is how the author names the file.
pub fn parse(name: &str, text: &str) -> Result<Investigation, Vec<Diagnostic>> {
    let source = Arc::new(Source {
        name: name.into(),
        text: text.into(),
    });
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let message = format!("the investigation cannot be read: {}", error.message());
            return Err(vec![Diagnostic::error(&source, span, message)]);
        }
    };
    let mut check = Check {
        source: Arc::clone(&source),
        problems: Vec::new(),
    };
    let investigation = check.file(file);
    if check.problems.is_empty() {
        Ok(investigation)
    } else {
        crate::diagnostic::sort(&mut check.problems);
        Err(check.problems)
    }
}

pub(super) struct Check {
    source: Arc<Source>,
    problems: Vec<Diagnostic>,
}

impl Check {
    pub(super) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.problems
            .push(Diagnostic::error(&self.source, span, message));
        self.problems.last_mut().expect("just pushed")
    }

    fn file(&mut self, file: File) -> Investigation {
        if file.experiment.is_empty() {
            self.error(0..0, "the investigation has no experiment").help =
                Some("add an `[[experiment]]` with a `name`, a `workload` and its probes".into());
        }
        let names = |check: &mut Self, list: Vec<Spanned<String>>, what: &str| {
            // The kernel's own names of symbols are written as they are; those of options in lower case.
            let (good, form): (fn(&str) -> bool, _) = match what {
                "symbol" => (is_identifier, "[A-Za-z_][A-Za-z0-9_]*"),
                _ => (is_name, "[a-z_][a-z0-9_]*"),
            };
            for item in &list {
                if !good(item.get_ref()) {
                    let message = format!("{what} `{}` does not match {form}", item.get_ref());
                    check.error(item.span(), message);
                }
            }
            list.into_iter()
                .map(Spanned::into_inner)
                .collect::<Vec<_>>()
        };
        let symbols = names(self, file.symbols, "symbol");
        let config = names(self, file.config, "configuration option");
        if let Some(boots) = &file.boots
            && *boots.get_ref() > MAX_BOOTS
        {
            self.error(boots.span(), format!("boots must be at most {MAX_BOOTS}"));
        }
        let commands = self.commands(file.command);
        let mut experiments: Vec<Experiment> = Vec::new();
        for raw in file.experiment {
            if let Some(first) = experiments.iter().find(|e| e.name == *raw.name.get_ref()) {
                let first = self.line_of(first.span.start);
                let message = format!(
                    "experiment `{}` is already defined in line {first}",
                    raw.name.get_ref()
                );
                self.error(raw.name.span(), message);
                continue;
            }
            let experiment = self.experiment(raw, &experiments);
            experiments.extend(experiment);
        }
        Investigation {
            digest: hex::encode(Sha256::digest(self.source.text.as_bytes())),
            source: Arc::clone(&self.source),
            symbols,
            config,
            boots: file.boots.map_or(0, Spanned::into_inner),
            commands,
            experiments,
        }
    }

    pub(super) fn line_of(&self, at: usize) -> usize {
        self.source.text[..at].matches('\n').count() + 1
    }

    fn experiment(&mut self, raw: RawExperiment, earlier: &[Experiment]) -> Option<Experiment> {
        let span = raw.name.span();
        if let Some(reason) = refuse_experiment_name(raw.name.get_ref()) {
            self.error(
                span.clone(),
                format!("the experiment cannot have this name: {reason}"),
            );
        }
        let parent = match &raw.inherit {
            None => None,
            Some(parent) => {
                let found = earlier.iter().find(|e| e.name == *parent.get_ref());
                if found.is_none() {
                    let near = nearest(parent.get_ref(), earlier.iter().map(|e| e.name.as_str()));
                    let help = near.map(|near| format!("did you mean `{near}`?"));
                    let message = format!("no experiment `{}` above this one", parent.get_ref());
                    self.error(parent.span(), message).help = help;
                }
                found
            }
        };
        let mut workload = match (raw.workload, parent) {
            (Some(workload), _) => self.workload(workload)?,
            (None, Some(parent)) => parent.workload.clone(),
            (None, None) => {
                let message = format!("experiment `{}` has no workload", raw.name.get_ref());
                self.error(span, message).help = Some(
                    "add `workload = { syscall = \"…\", args = […] }` or `workload = { command = […] }`".into(),
                );
                return None;
            }
        };
        for (name, value) in raw.limits {
            workload.limits.push((name, value.into_inner()));
        }
        match raw
            .capabilities
            .as_ref()
            .map(|c| (c.get_ref().as_str(), c.span()))
        {
            None | Some(("keep", _)) => {}
            Some(("none", _)) => workload.drop_capabilities = true,
            Some((other, span)) => {
                self.error(
                    span,
                    format!("capabilities can be \"keep\" or \"none\", not \"{other}\""),
                );
            }
        }
        let timeout_ms = raw.timeout_ms.as_ref().map_or(5_000, |t| *t.get_ref());
        if let Some(timeout) = &raw.timeout_ms
            && !(1..=MAX_TIMEOUT_MS).contains(timeout.get_ref())
        {
            self.error(
                timeout.span(),
                format!("timeout-ms must be between 1 and {MAX_TIMEOUT_MS}"),
            );
        }
        if let Some(settle) = &raw.settle_ms
            && *settle.get_ref() > MAX_TIMEOUT_MS
        {
            self.error(
                settle.span(),
                format!("settle-ms must be at most {MAX_TIMEOUT_MS}"),
            );
        }
        if let Some(grace) = &raw.grace_ms
            && *grace.get_ref() > MAX_TIMEOUT_MS
        {
            self.error(
                grace.span(),
                format!("grace-ms must be at most {MAX_TIMEOUT_MS}"),
            );
        }
        let max_output = self.max_output(raw.max_output);
        let mut probes: Vec<Probe> = parent.map(|p| p.probes.clone()).unwrap_or_default();
        let mut own: Vec<Probe> = Vec::new();
        for raw_probe in raw.probe {
            let Some(probe) = self.probe(raw_probe) else {
                continue;
            };
            if let Some(first) = own.iter().find(|p| p.name == probe.name) {
                let first = self.line_of(first.span.start);
                let message = format!("probe `{}` is already defined in line {first}", probe.name);
                self.error(probe.span.clone(), message).help =
                    Some("give one of them another `name`".into());
                continue;
            }
            own.push(probe);
        }
        for probe in own {
            match probes.iter_mut().find(|p| p.name == probe.name) {
                Some(inherited) => *inherited = probe,
                None => probes.push(probe),
            }
        }
        self.same_function_twice(&probes);
        if probes.is_empty() {
            let message = format!("experiment `{}` has no probe", raw.name.get_ref());
            self.error(span.clone(), message).help =
                Some("add an `[[experiment.probe]]` with a `function` or a `tracepoint`".into());
        }
        Some(Experiment {
            name: raw.name.into_inner(),
            span,
            workload,
            isolated: raw.isolated,
            cost: raw.cost,
            warm_up: raw.warm_up.or(parent.map(|p| p.warm_up)).unwrap_or(0),
            settle_ms: raw.settle_ms.map_or(0, Spanned::into_inner),
            timeout_ms,
            grace_ms: raw.grace_ms.map_or(500, Spanned::into_inner),
            max_output: max_output
                .or(parent.map(|p| p.max_output))
                .unwrap_or(OUTPUT_OF_WORKLOAD),
            until_exit: raw
                .until
                .map_or(parent.is_some_and(|p| p.until_exit), |u| u == Until::Exit),
            follow: raw.follow.unwrap_or(parent.is_some_and(|p| p.follow)),
            excuses: raw
                .excuse
                .into_iter()
                .map(|e| Excuse {
                    within: e.within,
                    reason: e.reason,
                })
                .chain(parent.into_iter().flat_map(|p| p.excuses.clone()))
                .collect(),
            probes,
        })
    }

    /// One function at one offset is one kprobe, whose reads belong together.
    fn same_function_twice(&mut self, probes: &[Probe]) {
        for (index, probe) in probes.iter().enumerate() {
            let twin = probes[..index].iter().find(|other| {
                matches!(probe.target, Target::Function(_))
                    && other.target == probe.target
                    && other.position == probe.position
                    && (other.file == probe.file || other.file.is_none() || probe.file.is_none())
            });
            if let Some(twin) = twin {
                let message = format!(
                    "probes `{}` and `{}` watch the same function",
                    twin.name, probe.name
                );
                self.error(probe.span.clone(), message).help =
                    Some("put all reads of one function into one probe".into());
            }
        }
    }

    fn workload(&mut self, raw: Spanned<RawWorkload>) -> Option<Workload> {
        let span = raw.span();
        let raw = raw.into_inner();
        if let Some(threads) = &raw.threads
            && (!(1..=MAX_THREADS).contains(threads.get_ref()) || raw.command.is_some())
        {
            self.error(
                threads.span(),
                format!(
                    "a system call is made in 1 to {MAX_THREADS} threads, and a command in its own"
                ),
            );
        }
        let action = match (raw.syscall, raw.command) {
            (Some(syscall), None) => {
                let args = raw.args.unwrap_or_default();
                if args.len() > 6 {
                    self.error(args[6].span(), "a system call has at most six arguments");
                    return None;
                }
                let args = args
                    .into_iter()
                    .map(|arg| self.argument(arg))
                    .collect::<Option<Vec<_>>>()?;
                let returns = match raw
                    .returns
                    .as_ref()
                    .map(|r| (r.get_ref().as_str(), r.span()))
                {
                    None if RETURN_FD.contains(&syscall.get_ref().as_str()) => Returns::Fd,
                    None | Some(("int", _)) => Returns::Int,
                    Some(("fd", _)) => Returns::Fd,
                    Some((other, span)) => {
                        self.error(
                            span,
                            format!("returns can be \"fd\" or \"int\", not \"{other}\""),
                        );
                        return None;
                    }
                };
                Action::Syscall {
                    span: syscall.span(),
                    name: syscall.into_inner(),
                    args,
                    returns,
                }
            }
            (None, Some(command)) => {
                if command.get_ref().is_empty() {
                    self.error(command.span(), "the command is empty");
                }
                if raw.args.is_some() || raw.returns.is_some() {
                    self.error(
                        span,
                        "a command has its arguments in its own list, and no `args` or `returns`",
                    );
                }
                Action::Command(command.into_inner())
            }
            _ => {
                self.error(span, "a workload is either a `syscall` or a `command`");
                return None;
            }
        };
        Some(Workload {
            action,
            limits: Vec::new(),
            drop_capabilities: false,
            threads: raw.threads.map_or(1, Spanned::into_inner),
        })
    }

    fn argument(&mut self, raw: Spanned<RawArgument>) -> Option<Argument> {
        let span = raw.span();
        let pointer = match raw.into_inner() {
            RawArgument::Int(value) => return Some(Argument::Int(value)),
            RawArgument::Constant(text) => {
                // Without the quotes, so that a message can point into it.
                return Some(Argument::Constant {
                    text,
                    span: span.start + 1..span.end.saturating_sub(1),
                });
            }
            RawArgument::Table(pointer) => pointer,
        };
        match pointer {
            RawPointer {
                text: Some(text),
                buffer: None,
                size: None,
                ints: None,
            } => Some(Argument::Text(text)),
            RawPointer {
                text: None,
                buffer: Some(name),
                size,
                ints,
            } => {
                if !is_name(&name) {
                    self.error(
                        span.clone(),
                        format!("buffer name `{name}` does not match [a-z_][a-z0-9_]*"),
                    );
                }
                let (size, elements) = match (size, ints) {
                    (Some(size), None) => (size, BufferElements::Bytes),
                    (None, Some(ints)) => (ints.saturating_mul(4), BufferElements::Ints),
                    _ => {
                        self.error(
                            span,
                            "a buffer needs either `size` (bytes) or `ints` (32-bit integers)",
                        );
                        return None;
                    }
                };
                if !(1..=4096).contains(&size) {
                    self.error(span, format!("a buffer has 1 to 4096 bytes, not {size}"));
                    return None;
                }
                Some(Argument::Buffer {
                    name,
                    size,
                    elements,
                })
            }
            _ => {
                self.error(
                    span,
                    "an argument is a number, a named constant, `{ text = \"…\" }` or `{ buffer = \"name\", size = N }`",
                );
                None
            }
        }
    }

    /// The paths of arguments and the return value that a probe declares public.
    fn public(&mut self, names: Vec<Spanned<String>>) -> Vec<String> {
        let mut public = Vec::new();
        for name in names {
            let path = match name.get_ref().as_str() {
                "return" => "return".to_owned(),
                argument => format!("args.{argument}"),
            };
            if !is_name(name.get_ref()) {
                self.error(
                    name.span(),
                    "`public` of a probe lists names of arguments, and `return`; a read has a `public` of its own",
                );
            } else if public.contains(&path) {
                self.error(name.span(), "it is declared public twice");
            }
            public.push(path);
        }
        public
    }

    fn probe(&mut self, raw: RawProbe) -> Option<Probe> {
        let targets: Vec<_> = [
            raw.function
                .map(|t| (t.span(), Target::Function(t.into_inner()))),
            raw.tracepoint
                .map(|t| (t.span(), Target::Tracepoint(t.into_inner()))),
            raw.lsm.map(|t| (t.span(), Target::Lsm(t.into_inner()))),
            raw.address
                .map(|t| (t.span(), Target::Address(t.into_inner()))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let [(target_span, target)] = <[_; 1]>::try_from(targets)
            .map_err(|targets| {
                let span = targets.first().map_or_else(
                    || raw.name.as_ref().map_or(0..0, Spanned::span),
                    |(span, _)| span.clone(),
                );
                self.error(
                    span,
                    "a probe has exactly one of `function`, `tracepoint`, `lsm` and `address`",
                );
            })
            .ok()?;
        if let Target::Address(text) = &target
            && let Err(wrong) = text.parse::<Place>()
        {
            self.error(target_span.clone(), wrong);
        }
        let (span, name) = match raw.name {
            Some(name) => (name.span(), name.into_inner()),
            None => {
                let (Target::Function(name)
                | Target::Tracepoint(name)
                | Target::Lsm(name)
                | Target::Address(name)) = &target;
                (target_span, name.clone())
            }
        };
        if let Some(reason) = refuse_probe_name(&name) {
            self.error(
                span.clone(),
                format!("the probe cannot have this name: {reason}"),
            );
        }
        let is_function = matches!(target, Target::Function(_));
        let is_lsm = matches!(target, Target::Lsm(_));
        if let Some(watch) = &raw.watch_return
            && !is_function
        {
            self.error(watch.span(), "only functions have a `return` to watch");
        }
        let deny = raw.deny.and_then(|deny| {
            if !is_lsm {
                self.error(deny.span(), "only an `lsm` probe can `deny`");
            }
            let number = errno_number(deny.get_ref()).filter(|n| *n <= 4095);
            if number.is_none() {
                self.error(
                    deny.span(),
                    format!("`{}` is no error number", deny.get_ref()),
                );
            }
            number
        });
        let position = self.position(
            [
                raw.offset
                    .map(|at| (at.span(), Position::Offset(at.into_inner()))),
                raw.instruction
                    .map(|at| (at.span(), Position::Instruction(at.into_inner()))),
                raw.before_call
                    .map(|at| (at.span(), Position::BeforeCall(at.into_inner()))),
                raw.after_call
                    .map(|at| (at.span(), Position::AfterCall(at.into_inner()))),
                raw.body
                    .filter(|at| *at.get_ref())
                    .map(|at| (at.span(), Position::Body)),
            ],
            is_function,
        );
        let copies = [
            raw.file.as_ref().map(|file| ("file", file.span())),
            raw.clones.as_ref().map(|clones| ("clones", clones.span())),
        ];
        for (key, span) in copies.into_iter().flatten() {
            if !is_function {
                self.error(
                    span,
                    format!(
                        "`{key}` says which copies of a function are meant: this probe is on none"
                    ),
                );
            } else if key == "clones" && position != Position::Entry {
                self.error(
                    span,
                    "a place inside of a function is one of one copy: leave `clones` out, or name the clone",
                );
            }
        }
        for set in raw.names.values() {
            self.constant_set(set);
        }
        for object in [&raw.allocates, &raw.frees].into_iter().flatten() {
            if !is_identifier(object.get_ref()) {
                self.error(
                    object.span(),
                    "name the argument that points to the object, or `return`",
                );
            }
        }
        if let (Some(_), Some(frees)) = (&raw.allocates, &raw.frees) {
            self.error(frees.span(), "a probe either `allocates` or `frees`");
        }
        let (mut entry, mut exit) = (Vec::new(), Vec::new());
        let mut public = self.public(raw.public);
        for read in raw.reads {
            if read.public {
                let side = if read.at == Side::Entry {
                    "entry"
                } else {
                    "exit"
                };
                public.push(format!("{side}.{}", read.name.get_ref()));
            }
            let side: &mut Vec<Read> = if read.at == Side::Entry {
                &mut entry
            } else {
                &mut exit
            };
            if !is_name(read.name.get_ref()) {
                let message = format!(
                    "read name `{}` does not match [a-z_][a-z0-9_]*",
                    read.name.get_ref()
                );
                self.error(read.name.span(), message);
            }
            if side.iter().any(|other| other.name == *read.name.get_ref()) {
                let message = format!(
                    "read `{}` is already defined on this side",
                    read.name.get_ref()
                );
                self.error(read.name.span(), message);
            }
            if let Some(set) = &read.names {
                self.constant_set(set);
                if let Some(kind) = &read.kind {
                    self.error(kind.span(), "a read has either a `kind` or `names`");
                }
            }
            if let Some(max) = &read.max
                && !(1..=MAX_READ).contains(max.get_ref())
            {
                let message = format!("a read can bring back 1 to {MAX_READ} bytes");
                self.error(max.span(), message);
            }
            let quoted = read.path.span();
            let inner = quoted.start + 1..quoted.end.saturating_sub(1);
            let verbatim = self.source.text.get(inner.clone()) == Some(read.path.get_ref());
            side.push(Read {
                name: read.name.into_inner(),
                expression: read.path.into_inner(),
                span: if verbatim { inner } else { quoted },
                kind: read.kind.map(Spanned::into_inner),
                names: read.names.map(Spanned::into_inner),
                max: read.max.map(Spanned::into_inner),
                elements: read.elements.map(Spanned::into_inner),
            });
        }
        let watch_return = raw.watch_return.as_ref().map_or(
            is_function && position == Position::Entry && raw.frees.is_none(),
            |watch| *watch.get_ref(),
        );
        if let (Some(watch), Some(_)) = (&raw.watch_return, &raw.frees)
            && *watch.get_ref()
        {
            self.error(
                watch.span(),
                "the return of a function that frees is not watched: its object is gone by then",
            );
        }
        if let Some(object) = &raw.allocates
            && object.get_ref() == "return"
            && is_function
            && !watch_return
        {
            self.error(
                object.span(),
                "the object is what the function returns, and its return is not watched",
            );
        }
        if let Some(watch) = &raw.watch_return
            && *watch.get_ref()
            && position != Position::Entry
        {
            self.error(
                watch.span(),
                "the return is watched from the entry: this probe sits inside of the function",
            );
        }
        let has_exit = watch_return || !matches!(target, Target::Function(_) | Target::Address(_));
        if !has_exit && !exit.is_empty() {
            self.error(
                span.clone(),
                "the probe reads `at = \"exit\"` but does not watch the return",
            );
        }
        Some(Probe {
            name,
            span,
            target,
            position,
            file: raw.file.map(Spanned::into_inner),
            clones: raw.clones.is_some_and(Spanned::into_inner),
            names: raw
                .names
                .into_iter()
                .map(|(argument, set)| (argument, set.into_inner()))
                .collect(),
            public,
            optional: raw.optional,
            watch_return,
            within: raw.within,
            syscall: raw.syscall.map(Spanned::into_inner),
            any_task: raw.any_task,
            stack: raw.stack.unwrap_or(true),
            signal: raw.signal.map(|signal| {
                let signal = signal.into_inner();
                Signal {
                    at_exit: signal.at == Side::Exit,
                    name: signal.name,
                }
            }),
            deny,
            allocates: raw.allocates.map(Spanned::into_inner),
            frees: raw.frees.map(Spanned::into_inner),
            entry,
            exit,
        })
    }
}

impl Check {
    /// What to keep of an output, in bytes.
    pub(super) fn max_output(&mut self, said: Option<Spanned<u32>>) -> Option<u32> {
        let said = said?;
        if !(1..=MAX_OUTPUT).contains(said.get_ref()) {
            let message = format!("max-output is 1 to {MAX_OUTPUT} bytes");
            self.error(said.span(), message);
        }
        Some(said.into_inner())
    }

    /// Where in the function a probe sits: at most one of the ways to say so, and only of functions.
    fn position(
        &mut self,
        ways: [Option<(Range<usize>, Position)>; 5],
        is_function: bool,
    ) -> Position {
        let mut said: Vec<_> = ways.into_iter().flatten().collect();
        if let [_, (span, _), ..] = &said[..] {
            self.error(
                span.clone(),
                "a probe has at most one of `offset`, `instruction`, `before-call`, `after-call` and `body`",
            );
        }
        let Some((span, position)) = said.pop() else {
            return Position::Entry;
        };
        if !is_function {
            self.error(span, "only a function can be probed inside of it");
            return Position::Entry;
        }
        match position {
            Position::Offset(0) => Position::Entry,
            Position::Instruction(0) => {
                self.error(span, "instructions are counted from 1");
                Position::Entry
            }
            Position::Instruction(1) => Position::Entry,
            position => position,
        }
    }

    fn constant_set(&mut self, set: &Spanned<String>) {
        if constant_sets().any(|known| known == set.get_ref()) {
            return;
        }
        let list: Vec<&str> = constant_sets().collect();
        let message = format!("there is no set of constants `{}`", set.get_ref());
        self.error(set.span(), message).help = Some(format!("there is {}", list.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
symbols = ["_text"]

[[experiment]]
name = "create"
workload = { syscall = "socket", args = ["AF_INET", "SOCK_STREAM", 0] }

[[experiment.probe]]
function = "sock_alloc"
reads = [{ at = "exit", name = "state", path = "return->state" }]

[[experiment.probe]]
tracepoint = "kmem_cache_alloc"
name = "allocation"
within = "sock_alloc"

[[experiment]]
name = "exhausted"
inherit = "create"
limits = { nofile = 3 }

[[experiment.probe]]
function = "sock_alloc"
return = false
"#;

    /// Check that the form that the design shows is understood, spans point at the expressions, and
    /// inherited probes are replaced by name.
    #[test]
    fn good() {
        let investigation = parse("good.toml", GOOD).unwrap();
        let create = investigation.experiment("create").unwrap();
        assert!(matches!(&create.workload.action,
            Action::Syscall { name, args, returns: Returns::Fd, .. } if name == "socket" && args.len() == 3));
        let read = &create.probe("sock_alloc").unwrap().exit[0];
        assert_eq!(&GOOD[read.span.clone()], "return->state");
        assert!(!create.probe("allocation").unwrap().watch_return);
        let exhausted = investigation.experiment("exhausted").unwrap();
        assert_eq!(exhausted.workload.limits, [("nofile".to_owned(), 3)]);
        assert_eq!(exhausted.probes.len(), 2);
        assert!(!exhausted.probe("sock_alloc").unwrap().watch_return);
    }

    /// Check that every problem of a bad file is reported in one run, each with its line.
    #[test]
    fn all_problems_at_once() {
        let text = r#"
[[experiment]]
name = "kaslr"
workload = { syscall = "socket", command = ["true"] }

[[experiment]]
name = "two"
workload = { syscall = "socket", returns = "pointer" }

[[experiment]]
name = "three"
inherit = "thre"
workload = { command = ["true"] }
[[experiment.probe]]
function = "foo.isra.0"
[[experiment.probe]]
function = "b"
tracepoint = "c"
[[experiment.probe]]
tracepoint = "t"
return = true
deny = "EWHAT"
"#;
        let problems = parse("bad.toml", text).unwrap_err();
        let lines: Vec<String> = problems
            .iter()
            .map(|p| format!("{}: {}", p.line_column().unwrap().0, p.message))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// Check that each way to say where in a function a probe sits is understood, that a probe inside of it watches no
    /// return, and that names of constants, threads and the time to settle arrive.
    #[test]
    fn inside_of_functions() {
        let text = r#"
[[experiment]]
name = "e"
workload = { syscall = "pause", threads = 12 }
settle-ms = 400
[[experiment.probe]]
function = "f"
names = { family = "AF" }
reads = [{ at = "entry", name = "x", path = "regs->di", names = "SOCK" }]
[[experiment.probe]]
function = "f"
name = "third"
instruction = 3
[[experiment.probe]]
function = "f"
name = "at"
offset = 7
[[experiment.probe]]
function = "f"
name = "before"
before-call = "g"
[[experiment.probe]]
function = "f"
name = "after"
after-call = "g"
[[experiment.probe]]
function = "f"
name = "inner"
body = true
"#;
        let parsed = parse("e.toml", text).unwrap();
        let experiment = &parsed.experiments[0];
        assert_eq!(
            (experiment.workload.threads, experiment.settle_ms),
            (12, 400)
        );
        let probes = &experiment.probes;
        let positions: Vec<&Position> = probes.iter().map(|p| &p.position).collect();
        assert_eq!(
            positions,
            [
                &Position::Entry,
                &Position::Instruction(3),
                &Position::Offset(7),
                &Position::BeforeCall("g".into()),
                &Position::AfterCall("g".into()),
                &Position::Body
            ]
        );
        let watched: Vec<bool> = probes.iter().map(|p| p.watch_return).collect();
        assert_eq!(watched, [true, false, false, false, false, false]);
        assert_eq!(probes[0].names["family"], "AF");
        assert_eq!(probes[0].entry[0].names.as_deref(), Some("SOCK"));
    }

    /// Check what is said of places inside of functions, sets of constants and threads that make no sense.
    #[test]
    fn inside_of_functions_refused() {
        let text = r#"
[[experiment]]
name = "e"
workload = { syscall = "pause", threads = 0 }
settle-ms = 99999999
[[experiment.probe]]
function = "f"
offset = 3
instruction = 3
[[experiment.probe]]
function = "g"
instruction = 0
[[experiment.probe]]
function = "h"
before-call = "g"
return = true
[[experiment.probe]]
tracepoint = "t"
after-call = "g"
[[experiment.probe]]
function = "i"
names = { family = "AFF" }
reads = [{ at = "entry", name = "x", path = "regs->di", kind = "size", names = "AF" }]
"#;
        let problems = parse("e.toml", text).unwrap_err();
        let lines: Vec<String> = problems
            .iter()
            .map(|p| format!("{}: {}", p.line_column().unwrap().0, p.message))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        4: a system call is made in 1 to 64 threads, and a command in its own
        5: settle-ms must be at most 60000
        9: a probe has at most one of `offset`, `instruction`, `before-call`, `after-call` and `body`
        12: instructions are counted from 1
        16: the return is watched from the entry: this probe sits inside of the function
        19: only a function can be probed inside of it
        22: there is no set of constants `AFF`
        23: a read has either a `kind` or `names`
        ");
    }

    /// Check that longer reads and outputs can be asked for, within limits.
    #[test]
    fn longer() {
        let with = |read: &str, output: &str| {
            let text = format!(
                "[[experiment]]\nname = \"e\"\nworkload = {{ syscall = \"pause\" }}\n{output}\n[[experiment.probe]]\n\
                 function = \"f\"\nreads = [{{ at = \"entry\", name = \"x\", path = \"a->b[0]\", {read} }}]\n\
                 [[experiment]]\nname = \"child\"\ninherit = \"e\"\n"
            );
            parse("e.toml", &text)
        };
        let parsed = with("max = 256, elements = \"a->n\"", "max-output = 1048576").unwrap();
        let experiment = &parsed.experiments[1];
        assert_eq!(experiment.max_output, 1 << 20);
        let read = &experiment.probes[0].entry[0];
        assert_eq!(
            (read.max, read.elements.as_deref()),
            (Some(256), Some("a->n"))
        );
        let silent = with("kind = \"size\"", "").unwrap();
        assert_eq!(silent.experiments[1].max_output, OUTPUT_OF_WORKLOAD);
        for (read, output, said) in [
            ("max = 0", "", "1 to 1024 bytes"),
            ("max = 1025", "", "1 to 1024 bytes"),
            ("max = 64", "max-output = 0", "1 to 1048576 bytes"),
            ("max = 64", "max-output = 1048577", "1 to 1048576 bytes"),
        ] {
            let problems = with(read, output).unwrap_err();
            assert!(problems[0].message.contains(said), "{problems:?}");
        }
    }

    /// Check that a probe at an address is understood, and what is wrong with one is said at its place.
    #[test]
    fn addresses() {
        let with = |rest: &str| parse("a.toml", &format!("{GOOD}[[experiment.probe]]\n{rest}\n"));
        let good = with("name = \"there\"\naddress = \"static:sock_alloc\"").unwrap();
        let probe = good.experiment("exhausted").unwrap().probe("there");
        let target = Target::Address("static:sock_alloc".into());
        assert_eq!(probe.unwrap().target, target);
        assert!(!probe.unwrap().watch_return);
        for (wrong, said) in [
            ("address = \"static:sock_alloc\"", "give the probe a `name`"),
            ("name = \"x\"\naddress = \"sock_alloc\"", "is no address"),
            (
                "name = \"x\"\naddress = \"live:_text\"\nreturn = true",
                "only functions have a `return`",
            ),
            (
                "name = \"x\"\naddress = \"live:_text\"\nreads = [{ at = \"exit\", name = \"a\", path = \"regs->ax\" }]",
                "does not watch the return",
            ),
        ] {
            let problems = with(wrong).unwrap_err();
            assert!(
                problems.iter().any(|p| p.message.contains(said)),
                "{wrong}: {problems:?}"
            );
        }
    }

    /// Check that the number of boots is read, is none if it is not said, and is bounded.
    #[test]
    fn boots() {
        assert_eq!(parse("good.toml", GOOD).unwrap().boots, 0);
        let with = |number: &str| parse("boots.toml", &format!("boots = {number}\n{GOOD}"));
        assert_eq!(with("16").unwrap().boots, 16);
        for wrong in ["257", "-1", "\"16\""] {
            let problems = with(wrong).unwrap_err();
            assert_eq!(problems[0].line_column().unwrap().0, 1, "{wrong}");
        }
    }

    /// Check that text which is no investigation is refused with a place, whatever it is.
    #[test]
    fn malformed() {
        for text in [
            "[[experiment",
            "",
            "experiment = 3",
            "[[experiment]]\nname = \"a\"\nnmae = 1\n",
        ] {
            let problems = parse("x.toml", text).unwrap_err();
            assert!(
                !problems.is_empty() && problems[0].place.is_some(),
                "{text}"
            );
        }
    }
}
