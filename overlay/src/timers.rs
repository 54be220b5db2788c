use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use machine::Instant;

/// What is due when. A timer that lost its meaning is not taken out; whoever handles it sees that.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BinaryHeap<Reverse<(Instant, T)>>,
}

impl<T: Ord + Copy> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
        }
    }

    pub(crate) fn set(&mut self, at: Instant, timer: T) {
        self.due.push(Reverse((at, timer)));
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.due.clear();
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let &Reverse((at, timer)) = self.due.peek()?;
        if at > now {
            return None;
        }
        self.due.pop();
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.peek().map(|&Reverse((at, _))| at)
    }
}
