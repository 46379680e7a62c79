//! Workloads of experiments: a system call with its arguments, or a command.

use toml::Spanned;

use super::check::Check;
use super::raw::{RawArgument, RawPointer, RawWorkload};
use crate::investigation::{Action, Argument, BufferElements, Returns, Workload};
use crate::path::is_name;

/// The most threads that make one call at once.
const MAX_THREADS: u32 = 64;

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

impl Check {
    pub(super) fn workload(&mut self, raw: Spanned<RawWorkload>) -> Option<Workload> {
        let span = raw.span();
        let mut raw = raw.into_inner();
        let around = self.surroundings(&mut raw);
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
            around,
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
}
