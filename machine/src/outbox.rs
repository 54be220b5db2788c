use alloc::vec::Vec;

/// Outputs that wait for the driver, first in, first out.
///
/// Two vectors, for a ring of every kind of output is code that a browser would download.
#[derive(Debug, Clone)]
pub struct Outbox<T> {
    /// In the order of arrival.
    new: Vec<T>,
    /// What had come before them, the oldest last.
    old: Vec<T>,
}

impl<T> Outbox<T> {
    /// Appends an output.
    pub fn push(&mut self, output: T) {
        self.new.push(output);
    }

    /// Takes the oldest output.
    pub fn pop(&mut self) -> Option<T> {
        if self.old.is_empty() {
            core::mem::swap(&mut self.new, &mut self.old);
            self.old.reverse();
        }
        self.old.pop()
    }

    /// Says whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.old.is_empty()
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            new: Vec::new(),
            old: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_goes_first() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.pop(), None);
        outbox.push(1);
        outbox.push(2);
        assert_eq!(outbox.pop(), Some(1));
        outbox.push(3);
        assert!(!outbox.is_empty());
        assert_eq!(
            [outbox.pop(), outbox.pop(), outbox.pop()],
            [Some(2), Some(3), None]
        );
        assert!(outbox.is_empty());
    }
}
