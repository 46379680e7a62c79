//! The same work on many items, on all processors.
//!
//! Own code on scoped threads instead of rayon: its pool outlives the work, and what a build or an editor's check needs is one map over a
//! slice that gives results in order, on no other thread below a number of items.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The choice between one processor and all of them, by the number of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parallelism {
    /// The least number of items for which other processors are used.
    min_items: usize,
}

impl Default for Parallelism {
    /// All processors, for two items or more.
    fn default() -> Self {
        Parallelism { min_items: 2 }
    }
}

impl Parallelism {
    /// All processors for `min_items` items or more, else one. For a command that nobody waits for at a page: there, a
    /// tenth less time is not worth a tenth more work.
    pub fn from_items(min_items: usize) -> Self {
        Parallelism { min_items }
    }

    /// True if other processors are used for so many items.
    pub fn applies_to(self, items: usize) -> bool {
        items >= self.min_items
    }

    /// The results of `work` on each of `items`, in their order. Whichever processor is free takes the next one.
    pub fn map<'a, T: Sync, R: Send>(
        self,
        items: &'a [T],
        work: impl Fn(usize, &'a T) -> R + Sync,
    ) -> Vec<R> {
        if !self.applies_to(items.len()) {
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
                done.extend(join_thread(thread));
            }
            done
        });
        done.sort_unstable_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

/// The result of a thread; if it panicked, so does this one.
pub fn join_thread<R>(thread: std::thread::ScopedJoinHandle<'_, R>) -> R {
    let joined = thread.join();
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that each item is worked on once and that the results are in order, also of none and of one.
    #[test]
    fn in_order() {
        for parallelism in [Parallelism::default(), Parallelism::from_items(500)] {
            for count in [0, 1, 2, 1000] {
                let items: Vec<usize> = (0..count).collect();
                let doubled = parallelism.map(&items, |index, item| {
                    assert_eq!(index, *item);
                    item * 2
                });
                let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
                assert_eq!(doubled, expected);
            }
        }
    }

    /// Check that fewer items than asked for stay on the thread of the caller.
    #[test]
    fn few_items() {
        let own = std::thread::current().id();
        let parallelism = Parallelism::from_items(256);
        let on_own = parallelism.map(&[(); 255], |_, ()| std::thread::current().id() == own);
        assert!(on_own.into_iter().all(|own| own));
        assert!(!parallelism.applies_to(255) && parallelism.applies_to(256));
    }

    /// Check that a panic on another thread is not lost.
    #[test]
    fn panics() {
        let items = [(); 8];
        let caught = std::panic::catch_unwind(|| {
            Parallelism::default().map(&items, |index, ()| assert_ne!(index, 5))
        });
        assert!(caught.is_err());
    }
}
