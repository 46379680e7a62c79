//! Probes of an experiment.

use std::ops::Range;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};

use super::check::FileChecker;
use super::raw::{RawProbe, RawRead, Side};
use super::raw_path::RawPath;
use super::spanned::Spanned;
use crate::constants::errno_number;
use crate::diagnostic::nearest;
use crate::document::{ARCHITECTURES, Target};
use crate::investigation::{
    KeyPlaces, MAX_LIST, MAX_READ, OtherPath, Position, Probe, ProbeAddress, Read, ReadKind, Signal,
};
use crate::path::{is_identifier, is_name, refuse_probe_name};

impl FileChecker {
    pub(super) fn probe(&mut self, mut raw: RawProbe) -> Option<Probe> {
        let (target_span, target) = self.target(&mut raw)?;
        let (span, name) = self.probe_name(raw.name.take(), target_span, &target);
        let is_function = matches!(target, Target::Function(_));
        let deny = self.denial_errno(raw.deny.as_ref(), &target);
        let position = self.position(&raw, is_function);
        self.check_copies(&raw, is_function, &position);
        for set in raw.names.values() {
            self.constant_set(set);
        }
        self.check_objects(&raw);
        let places = key_places(&raw);
        let mut public = self.public(std::mem::take(&mut raw.public));
        let (entry, exit) = self.reads(std::mem::take(&mut raw.reads), &mut public);
        let watch_return = self.watch_return(&raw, is_function, &position);
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
                .map(|(argument, set)| (argument.into_inner(), set.into_inner()))
                .collect(),
            public,
            optional: raw.optional,
            arch: raw.arch.and_then(|arch| self.arch(arch)),
            watch_return,
            within: raw.within.map(Spanned::into_inner),
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
            places,
        })
    }

    /// An architecture, as a kernel names it.
    fn arch(&mut self, arch: Spanned<String>) -> Option<String> {
        if !ARCHITECTURES.contains(&arch.get_ref().as_str()) {
            let known = ARCHITECTURES.join("` or `");
            let near = nearest(arch.get_ref(), ARCHITECTURES.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!(
                "`{}` is not an architecture as `uname -m` names it: write `{known}`{near}",
                arch.get_ref()
            );
            self.error(arch.span(), message);
            return None;
        }
        Some(arch.into_inner())
    }

    /// The one target of a probe, and where it stands in the file.
    fn target(&mut self, raw: &mut RawProbe) -> Option<(Range<usize>, Target)> {
        let spanned = |text: Option<Spanned<String>>, of: fn(String) -> Target| {
            text.map(|text| (text.span(), of(text.into_inner())))
        };
        let targets: Vec<_> = [
            spanned(raw.function.take(), Target::Function),
            spanned(raw.tracepoint.take(), Target::Tracepoint),
            spanned(raw.lsm.take(), Target::Lsm),
            spanned(raw.address.take(), Target::Address),
        ]
        .into_iter()
        .flatten()
        .collect();
        let [(span, target)] = <[_; 1]>::try_from(targets)
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
            && let Err(wrong) = text.parse::<ProbeAddress>()
        {
            self.error(span.clone(), wrong.to_string());
        }
        Some((span, target))
    }

    /// The name of a probe, by default that of its target as paths can write it, and where it stands in the file.
    fn probe_name(
        &mut self,
        name: Option<Spanned<String>>,
        target_span: Range<usize>,
        target: &Target,
    ) -> (Range<usize>, String) {
        let (span, name) = match name {
            Some(name) => (name.span(), name.into_inner()),
            None => {
                let (Target::Function(name)
                | Target::Tracepoint(name)
                | Target::Lsm(name)
                | Target::Address(name)) = target;
                (target_span, to_path_name(name))
            }
        };
        if let Some(reason) = refuse_probe_name(&name) {
            self.error(
                span.clone(),
                format!("the probe cannot have this name: {reason}"),
            );
        }
        (span, name)
    }

    /// The error number with which a probe on an LSM hook refuses.
    fn denial_errno(&mut self, deny: Option<&Spanned<String>>, target: &Target) -> Option<u32> {
        let deny = deny?;
        if !matches!(target, Target::Lsm(_)) {
            self.error(deny.span(), "only an `lsm` probe can `deny`");
        }
        let number = errno_number(deny.get_ref()).filter(|n| *n <= 4095);
        if number.is_none() {
            self.error(
                deny.span(),
                format!("`{}` is not an error number", deny.get_ref()),
            );
        }
        number
    }

    /// Check the keys that choose among the copies of a function.
    fn check_copies(&mut self, raw: &RawProbe, is_function: bool, position: &Position) {
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
            } else if key == "clones" && *position != Position::Entry {
                self.error(
                    span,
                    "a place inside of a function is one of one copy: leave `clones` out, or name the clone",
                );
            }
        }
    }

    /// Check the keys that say which object a hit allocates or frees.
    fn check_objects(&mut self, raw: &RawProbe) {
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
    }

    /// The reads of a probe, at the entry and at the exit. Those that are declared public are added to `public`.
    fn reads(&mut self, raw: Vec<RawRead>, public: &mut Vec<String>) -> (Vec<Read>, Vec<Read>) {
        let (mut entry, mut exit) = (Vec::new(), Vec::new());
        for read in raw {
            let (side, reads) = match read.at {
                Side::Entry => ("entry", &mut entry),
                Side::Exit => ("exit", &mut exit),
            };
            if read.public {
                public.push(format!("{side}.{}", read.name.get_ref()));
            }
            let read = self.parse_read(read, reads);
            reads.push(read);
        }
        (entry, exit)
    }

    /// One read, after the `earlier` ones of the same side.
    fn parse_read(&mut self, read: RawRead, earlier: &[Read]) -> Read {
        if !is_name(read.name.get_ref()) {
            let message = format!(
                "read name `{}` does not match [a-z_][a-z0-9_]*",
                read.name.get_ref()
            );
            self.error(read.name.span(), message);
        }
        if earlier
            .iter()
            .any(|other| other.name == *read.name.get_ref())
        {
            let message = format!(
                "read `{}` is already defined on this side",
                read.name.get_ref()
            );
            self.error(read.name.span(), message);
        }
        if let Some(set) = &read.names {
            self.constant_set(set);
            if let Some(kind) = read.kind.as_ref().filter(|kind| kind.get_ref() != "flags") {
                self.error(
                    kind.span(),
                    "beside `names`, the `kind` can only be `flags`",
                );
            }
        }
        if let Some(max) = &read.max
            && !(1..=MAX_READ).contains(max.get_ref())
        {
            let message = format!("a read can bring back 1 to {MAX_READ} bytes");
            self.error(max.span(), message);
        }
        self.check_limit(&read);
        let (first, otherwise) = self.paths(read.path);
        let arch = read.arch.and_then(|arch| self.arch(arch));
        Read {
            name: read.name.into_inner(),
            arch,
            expression: first.expression,
            span: first.span,
            otherwise,
            kind: read.kind.and_then(|kind| self.read_kind(&kind)),
            names: read.names.map(Spanned::into_inner),
            max: read.max.map(Spanned::into_inner),
            elements: read.elements.map(Spanned::into_inner),
            choose: self.union_members(read.choose),
            limit: read.limit.map(Spanned::into_inner),
        }
    }

    /// Check how many elements of a list are to be read.
    fn check_limit(&mut self, read: &RawRead) {
        let Some(limit) = &read.limit else {
            return;
        };
        if !(1..=MAX_LIST).contains(limit.get_ref()) {
            let message = format!("a read can bring back 1 to {MAX_LIST} elements of a list");
            self.error(limit.span(), message);
        }
        if let Some(elements) = &read.elements {
            self.error(
                elements.span(),
                "`elements` is for an array, and `limit` for a list: a list says itself where it ends",
            );
        }
    }

    /// The path of a read, and those that are read in its place.
    fn paths(&mut self, path: Spanned<RawPath>) -> (OtherPath, Vec<OtherPath>) {
        let whole = path.span();
        let written = match path.into_inner() {
            RawPath::One(text) => vec![(text, whole.clone())],
            RawPath::Several(list) => list
                .into_iter()
                .map(|one| (one.get_ref().clone(), one.span()))
                .collect(),
        };
        let mut all: Vec<OtherPath> = Vec::new();
        for (expression, quoted) in written {
            if all.iter().any(|other| other.expression == expression) {
                self.error(quoted.clone(), "this path is in the list twice");
            }
            let inner = quoted.start + 1..quoted.end.saturating_sub(1);
            let verbatim = self.source.text.get(inner.clone()) == Some(&expression);
            all.push(OtherPath {
                expression,
                span: if verbatim { inner } else { quoted },
            });
        }
        if all.is_empty() {
            self.error(whole.clone(), "a read without a path");
            all.push(OtherPath {
                expression: String::new(),
                span: whole,
            });
        }
        let first = all.remove(0);
        (first, all)
    }

    /// The kind of a numeric read; other reads follow their C type.
    fn read_kind(&mut self, kind: &Spanned<String>) -> Option<ReadKind> {
        let word = kind.get_ref().as_str();
        let name: StrDeserializer<'_, Error> = word.into_deserializer();
        if let Ok(kind) = ReadKind::deserialize(name) {
            return Some(kind);
        }
        let kinds = [
            "fd", "size", "offset", "flags", "errno", "pid", "address", "ip", "time", "text",
        ];
        let help = match word {
            "string" | "str" | "char" => "did you mean `text`?".into(),
            "bytes" | "hex" | "int" | "integer" | "enum" | "bool" | "pointer" => {
                "its C type tells that: leave `kind` out".into()
            }
            _ => match nearest(word, kinds) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there is {}", kinds.join(", ")),
            },
        };
        let message = format!("unknown kind `{word}` of value");
        self.error(kind.span(), message).help = Some(help);
        None
    }

    /// Members of unions, each once.
    fn union_members(&mut self, names: Vec<Spanned<String>>) -> Vec<String> {
        let mut chosen: Vec<String> = Vec::new();
        for name in names {
            let (span, name) = (name.span(), name.into_inner());
            if !name.split('.').all(is_identifier) {
                let message = format!(
                    "`{name}` is not a member: write its name, with those around it, as in `u.child`"
                );
                self.error(span, message);
            } else if chosen.contains(&name) {
                self.error(span, format!("`{name}` is chosen twice"));
            }
            chosen.push(name);
        }
        chosen
    }

    /// True if a probe watches the return; by default it does if it is on a function's entry and frees nothing.
    fn watch_return(&mut self, raw: &RawProbe, is_function: bool, position: &Position) -> bool {
        let watched = raw.watch_return.as_ref().map_or(
            is_function && *position == Position::Entry && raw.frees.is_none(),
            |watch| *watch.get_ref(),
        );
        if let Some(object) = &raw.allocates
            && object.get_ref() == "return"
            && is_function
            && !watched
        {
            self.error(
                object.span(),
                "the object is what the function returns, and its return is not watched",
            );
        }
        let Some(watch) = &raw.watch_return else {
            return watched;
        };
        if !is_function {
            self.error(watch.span(), "only functions have a `return` to watch");
        }
        if watched && raw.frees.is_some() {
            self.error(
                watch.span(),
                "the return of a function that frees is not watched: its object is gone by then",
            );
        }
        if watched && *position != Position::Entry {
            self.error(
                watch.span(),
                "the return is watched from the entry: this probe sits inside of the function",
            );
        }
        watched
    }

    /// The paths of arguments and the return value that a probe declares public.
    fn public(&mut self, names: Vec<Spanned<String>>) -> Vec<String> {
        let mut public = Vec::new();
        for name in names {
            let path = public_path(name.get_ref());
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

    /// The place of a probe in its function: at most one of the ways to say so, and only of functions.
    fn position(&mut self, raw: &RawProbe, is_function: bool) -> Position {
        fn way<T: Clone>(
            at: Option<&Spanned<T>>,
            position: fn(T) -> Position,
        ) -> Option<(Range<usize>, Position)> {
            at.map(|at| (at.span(), position(at.get_ref().clone())))
        }
        let body = raw.body.as_ref().filter(|body| *body.get_ref());
        let mut positions: Vec<_> = [
            way(raw.offset.as_ref(), Position::Offset),
            way(raw.instruction.as_ref(), Position::Instruction),
            way(raw.before_call.as_ref(), Position::BeforeCall),
            way(raw.after_call.as_ref(), Position::AfterCall),
            way(body, |_| Position::Body),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let [_, (span, _), ..] = &positions[..] {
            self.error(
                span.clone(),
                "a probe has at most one of `offset`, `instruction`, `before-call`, `after-call` and `body`",
            );
        }
        let Some((span, position)) = positions.pop() else {
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
}

/// The part of a hit that a name in `public` of a probe stands for.
fn public_path(name: &str) -> String {
    match name {
        "return" => "return".to_owned(),
        argument => format!("args.{argument}"),
    }
}

/// The places of a probe's keys.
fn key_places(raw: &RawProbe) -> KeyPlaces {
    let public = raw.public.iter();
    let named = || raw.names.iter();
    KeyPlaces {
        within: raw.within.as_ref().map(Spanned::span),
        public: public
            .map(|name| (public_path(name.get_ref()), name.span()))
            .collect(),
        arguments: named()
            .map(|(argument, _)| (argument.get_ref().clone(), argument.span()))
            .collect(),
        sets: named()
            .map(|(argument, set)| (argument.get_ref().clone(), set.span()))
            .collect(),
    }
}

/// The name of a function as a name of a path: `i_bdev` for `I_BDEV`, `f_isra_0` for `f.isra.0`.
fn to_path_name(function: &str) -> String {
    function.to_ascii_lowercase().replace('.', "_")
}
