//! Doing the same to many things on all processors.

use std::sync::atomic::{AtomicUsize, Ordering};

/// From how many things on other processors are called in.
static MANY: AtomicUsize = AtomicUsize::new(2);

/// From now on, fewer things than `many` are done one after the other: where nobody waits for a page, sparing a tenth of
/// the time is not worth a tenth more work.
pub fn only_from(many: usize) {
    MANY.store(many, Ordering::Relaxed);
}

/// True if other processors are called in for so many things.
pub fn is_many(things: usize) -> bool {
    things >= MANY.load(Ordering::Relaxed)
}

/// The results of `work` on each of `items`, in their order. Whichever processor is free takes the next one.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    if !is_many(items.len()) {
        return items
            .iter()
            .enumerate()
            .map(|(index, item)| work(index, item))
            .collect();
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let others = processors.min(items.len()).saturating_sub(1);
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return done;
            };
            done.push((index, work(index, item)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..others).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for thread in threads {
            done.extend(join(thread));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The result of a thread; if it panicked, so does this one.
pub fn join<R>(thread: std::thread::ScopedJoinHandle<'_, R>) -> R {
    let joined = thread.join();
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that each item is worked on once and that the results are in order, also of none and of one.
    #[test]
    fn in_order() {
        for count in [0, 1, 2, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = map(&items, |index, item| {
                assert_eq!(index, *item);
                item * 2
            });
            let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(doubled, expected);
        }
    }

    /// Check that a panic on another thread is not lost.
    #[test]
    fn panics() {
        let items = [(); 8];
        let caught = std::panic::catch_unwind(|| map(&items, |index, ()| assert_ne!(index, 5)));
        assert!(caught.is_err());
    }
}
