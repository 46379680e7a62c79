//! Workloads of experiments: a system call with its arguments, or a command.

use super::check::Check;
use super::raw::RawWorkload;
use super::spanned::Spanned;
use crate::investigation::{Action, Returns, Workload};

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
        let before = self.before(std::mem::take(&mut raw.before), raw.command.is_some())?;
        let action = match (raw.syscall, raw.command) {
            (Some(syscall), None) => {
                let args = raw.args.unwrap_or_default();
                let args = self.arguments(args, &before)?;
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
                        span.clone(),
                        "a command has its arguments in its own list, and no `args` or `returns`",
                    );
                }
                Action::Command(command.into_inner())
            }
            _ => {
                self.error(
                    span.clone(),
                    "a workload is either a `syscall` or a `command`",
                );
                return None;
            }
        };
        let workload = Workload {
            action,
            before,
            limits: Vec::new(),
            drop_capabilities: false,
            threads: raw.threads.map_or(1, Spanned::into_inner),
            around,
        };
        self.buffers_are_distinct(&workload, span);
        Some(workload)
    }
}
