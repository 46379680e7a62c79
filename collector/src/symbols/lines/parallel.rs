//! Work on all processors. Our own code: scoped threads of the standard library suffice, and no thread pool outlives the call.

use super::dwarf::DwarfError;

/// Do `work` on pieces of a list, on all processors.
pub(super) fn run_in_parallel<T: Sync, R: Send>(
    list: &[T],
    work: impl Fn(&[T]) -> Result<R, DwarfError> + Sync,
) -> Vec<Result<R, DwarfError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = list.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let running: Vec<_> = list
            .chunks(size)
            .map(|part| scope.spawn(|| work(part)))
            .collect();
        let results = running.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}
