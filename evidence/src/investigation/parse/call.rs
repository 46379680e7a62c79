//! System calls that a workload makes one after the other, with the results that they hand on.

use super::check::FileChecker;
use super::raw::RawCall;
use super::spanned::Spanned;
use crate::investigation::{Action, EarlierCall, Returns};
use crate::path::is_name;

/// The most calls in one list.
const MAX_CALLS: usize = 32;

/// System calls that also return in a new process, which then cannot be distinguished from the first.
const RETURN_TWICE: &[&str] = &["fork", "vfork", "clone", "clone3"];

/// System calls that do not return to the code that made them.
const RETURN_NEVER: &[&str] = &["execve", "execveat", "exit", "exit_group", "rt_sigreturn"];

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

impl FileChecker {
    /// The calls that prepare those that are watched.
    pub(super) fn preparing_calls(
        &mut self,
        raw: Vec<Spanned<RawCall>>,
        command: bool,
    ) -> Option<Vec<EarlierCall>> {
        if let Some(first) = raw.first()
            && command
        {
            self.error(
                first.span(),
                "only a system call has calls before it: a command makes its own",
            );
            return None;
        }
        self.check_call_count(&raw)?;
        let mut calls: Vec<EarlierCall> = Vec::new();
        for call in raw {
            let call = self.call(call.into_inner(), &calls)?;
            calls.push(call);
        }
        Some(calls)
    }

    /// The calls that are watched together, and after `before`: those before the last one, and that one.
    pub(super) fn sequence(
        &mut self,
        raw: Spanned<Vec<Spanned<RawCall>>>,
        before: &[EarlierCall],
    ) -> Option<(Vec<EarlierCall>, Action)> {
        let span = raw.span();
        let raw = raw.into_inner();
        self.check_call_count(&raw)?;
        let mut known = before.to_vec();
        for call in raw {
            let call = self.call(call.into_inner(), &known)?;
            known.push(call);
        }
        let mut sequence = known.split_off(before.len());
        let Some(last) = sequence.pop() else {
            self.error(
                span,
                "`calls` is empty: it lists the calls that are watched",
            );
            return None;
        };
        for call in &sequence {
            if RETURN_NEVER.contains(&call.name.as_str()) {
                self.error(
                    call.span.clone(),
                    format!(
                        "nothing comes after `{}`, so it can only be the last of `calls`",
                        call.name
                    ),
                );
            }
        }
        self.check_single_return(&sequence, &last);
        let last = Action::Syscall {
            name: last.name,
            span: last.span,
            args: last.args,
            result: last.result,
            returns: last.returns,
        };
        Some((sequence, last))
    }

    fn check_single_return(&mut self, sequence: &[EarlierCall], last: &EarlierCall) {
        if sequence.is_empty() {
            return;
        }
        let twice = |call: &&EarlierCall| RETURN_TWICE.contains(&call.name.as_str());
        if let Some(call) = sequence.iter().chain([last]).find(twice) {
            self.error(
                call.span.clone(),
                format!(
                    "`{}` returns in a new process, too, and is watched alone: write it as `syscall`, and the calls that it \
                     needs in `before`",
                    call.name
                ),
            );
        }
    }

    fn check_call_count(&mut self, calls: &[Spanned<RawCall>]) -> Option<()> {
        let Some(over) = calls.get(MAX_CALLS) else {
            return Some(());
        };
        self.error(
            over.span(),
            format!("at most {MAX_CALLS} calls are made one after the other"),
        );
        None
    }

    /// One call; `earlier` are the calls whose results it may use.
    fn call(&mut self, raw: RawCall, earlier: &[EarlierCall]) -> Option<EarlierCall> {
        let args = self.arguments(raw.args, earlier)?;
        if let Some(result) = &raw.result {
            self.result_name(result, earlier);
        }
        Some(EarlierCall {
            result: raw.result.map(Spanned::into_inner),
            returns: self.returns(raw.returns.as_ref(), raw.syscall.get_ref())?,
            span: raw.syscall.span(),
            name: raw.syscall.into_inner(),
            args,
        })
    }

    /// The meaning of what the system call `name` returns.
    pub(super) fn returns(
        &mut self,
        requested: Option<&Spanned<String>>,
        name: &str,
    ) -> Option<Returns> {
        match requested.map(|r| (r.get_ref().as_str(), r.span())) {
            None if RETURN_FD.contains(&name) => Some(Returns::Fd),
            None | Some(("int", _)) => Some(Returns::Int),
            Some(("fd", _)) => Some(Returns::Fd),
            Some((other, span)) => {
                self.error(
                    span,
                    format!("returns can be \"fd\" or \"int\", not \"{other}\""),
                );
                None
            }
        }
    }

    fn result_name(&mut self, result: &Spanned<String>, calls: &[EarlierCall]) {
        let name = result.get_ref();
        if !is_name(name) {
            self.error(
                result.span(),
                format!("result name `{name}` does not match [a-z_][a-z0-9_]*"),
            );
        }
        if calls.iter().any(|call| call.result.as_ref() == Some(name)) {
            self.error(
                result.span(),
                format!("two calls have a result named `{name}`"),
            );
        }
    }
}
