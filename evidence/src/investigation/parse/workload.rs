//! Workloads of experiments: a system call with its arguments, or a command.

use std::ops::Range;

use super::check::FileChecker;
use super::raw::RawWorkload;
use super::spanned::Spanned;
use crate::investigation::{Action, EarlierCall, Workload};

/// The most threads that make one call at once.
const MAX_THREADS: u32 = 64;

impl FileChecker {
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
        let before =
            self.preparing_calls(std::mem::take(&mut raw.before), raw.command.is_some())?;
        let threads = raw.threads.as_ref().map_or(1, |threads| *threads.get_ref());
        let (sequence, action) = self.action(raw, span.clone(), &before)?;
        let workload = Workload {
            action,
            before,
            sequence,
            limits: Vec::new(),
            drop_capabilities: false,
            threads,
            around,
        };
        if threads > 1 && !workload.sequence.is_empty() {
            self.error(
                span.clone(),
                "several threads make one call, not several in sequence: one of `threads` and `calls` has to go",
            );
        }
        self.check_buffer_names(&workload, span);
        Some(workload)
    }

    /// The watched part of the workload: the calls before the last one, and the last one or a command.
    fn action(
        &mut self,
        raw: RawWorkload,
        span: Range<usize>,
        before: &[EarlierCall],
    ) -> Option<(Vec<EarlierCall>, Action)> {
        match (raw.syscall, raw.calls, raw.command) {
            (Some(syscall), None, None) => {
                let args = self.arguments(raw.args.unwrap_or_default(), before)?;
                let returns = self.returns(raw.returns.as_ref(), syscall.get_ref())?;
                let call = Action::Syscall {
                    span: syscall.span(),
                    name: syscall.into_inner(),
                    args,
                    result: None,
                    returns,
                };
                Some((Vec::new(), call))
            }
            (None, Some(calls), None) => {
                if raw.args.is_some() || raw.returns.is_some() {
                    self.error(
                        span,
                        "`args` and `returns` belong to one call: write them in its table in `calls`",
                    );
                }
                self.sequence(calls, before)
            }
            (None, None, Some(command)) => {
                if command.get_ref().is_empty() {
                    self.error(command.span(), "the command is empty");
                }
                if raw.args.is_some() || raw.returns.is_some() {
                    self.error(
                        span,
                        "a command has its arguments in its own list, and no `args` or `returns`",
                    );
                }
                Some((Vec::new(), Action::Command(command.into_inner())))
            }
            _ => {
                self.error(
                    span,
                    "a workload is one of `syscall`, `calls` and `command`",
                );
                None
            }
        }
    }
}
