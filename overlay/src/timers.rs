use alloc::collections::BTreeSet;

use machine::Instant;

/// What is due when. A timer that lost its meaning is not taken out; whoever handles it sees that.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeSet<(Instant, T)>,
}

impl<T: Ord + Copy> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self {
            due: BTreeSet::new(),
        }
    }

    pub(crate) fn set(&mut self, at: Instant, timer: T) {
        self.due.insert((at, timer));
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let &(at, timer) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|&(at, _)| at)
    }
}
