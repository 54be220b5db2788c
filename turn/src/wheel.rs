use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use machine::Instant;

const SLOTS: usize = 1_024;

/// Timers to the second: setting one takes the same time however many there are, and so does their falling due.
///
/// A timer is never moved or taken back. Who is asked for one that is not due any more sets it anew or lets it go.
#[derive(Debug, Clone)]
pub(crate) struct Wheel<T> {
    slots: Box<[Vec<T>]>,
    used: [u64; SLOTS / 64],
    /// The last second whose timers were given out.
    done: u64,
}

impl<T> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS)
                .map(|_| Vec::new())
                .collect::<Vec<_>>()
                .into_boxed_slice(),
            used: [0; SLOTS / 64],
            done: 0,
        }
    }

    /// Sets a timer. It falls due at that time or earlier: a wheel has an end.
    pub(crate) fn set(&mut self, at: Instant, timer: T) {
        let second = at.since_epoch().as_millis().div_ceil(1_000) as u64;
        let second = second.clamp(self.done + 1, self.done + SLOTS as u64 - 1);
        let slot = second as usize % SLOTS;
        self.slots[slot].push(timer);
        self.used[slot / 64] |= 1 << (slot % 64);
    }

    /// Takes what has fallen due.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<T> {
        let second = now.since_epoch().as_secs();
        let mut due = Vec::new();
        for slot in self.done + 1..=second.min(self.done + SLOTS as u64) {
            let slot = slot as usize % SLOTS;
            due.append(&mut self.slots[slot]);
            self.slots[slot] = Vec::new();
            self.used[slot / 64] &= !(1 << (slot % 64));
        }
        self.done = self.done.max(second);
        due
    }

    /// When the next timer falls due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let first = (self.done + 1) as usize % SLOTS;
        let mut at = 0;
        while at < SLOTS {
            let slot = (first + at) % SLOTS;
            let rest = self.used[slot / 64] >> (slot % 64);
            if rest != 0 {
                let ahead = at + rest.trailing_zeros() as usize;
                let second = self.done + 1 + ahead as u64;
                return Some(Instant::new(Duration::from_secs(second)));
            }
            at += 64 - slot % 64;
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Instant {
        Instant::new(Duration::from_secs(second))
    }

    #[test]
    fn timers_fall_due_in_time_and_once() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next(), None);
        for at in [5, 700, 70, 5] {
            wheel.set(second(at), at);
        }
        assert_eq!(wheel.next(), Some(second(5)));
        assert!(wheel.expire(second(4)).is_empty());
        assert_eq!(wheel.expire(second(6)), [5, 5]);
        assert_eq!(wheel.next(), Some(second(70)));
        assert_eq!(wheel.expire(second(800)), [70, 700]);
        assert_eq!((wheel.next(), wheel.len()), (None, 0));
    }

    #[test]
    fn a_timer_beyond_the_end_comes_early() {
        let mut wheel = Wheel::new();
        wheel.set(second(5_000), 1);
        let due = wheel.next().unwrap();
        assert!(due < second(5_000) && due > second(1_000));
        assert_eq!(wheel.expire(due), [1]);
        // After a long sleep nothing is due twice, and nothing lost.
        wheel.set(second(5_000), 2);
        assert_eq!(wheel.expire(second(1_000_000)), [2]);
        wheel.set(second(7), 3);
        assert_eq!(wheel.next(), Some(second(1_000_001)));
    }
}
