use alloc::collections::VecDeque;

/// Outputs that wait for the driver, first in, first out.
#[derive(Debug, Clone)]
pub struct Outbox<T> {
    queue: VecDeque<T>,
}

impl<T> Outbox<T> {
    /// Appends an output.
    pub fn push(&mut self, output: T) {
        self.queue.push_back(output);
    }

    /// Takes the oldest output.
    pub fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    /// Says whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }
}
