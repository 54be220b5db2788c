use core::time::Duration;

use machine::Instant;

/// How much somebody may do: so many a second in the long run, a few seconds' worth at once.
///
/// It keeps one point in time (the generic cell rate algorithm), so that it costs 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    used_until: Instant,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        Self {
            used_until: Instant::EPOCH,
        }
    }

    /// Takes one out of `rate` a second with `burst` at once; false if nothing is left.
    pub(crate) fn take(&mut self, rate: u32, burst: u32, now: Instant) -> bool {
        self.take_many(1, rate, burst, now)
    }

    /// Takes `count` at once, all or nothing.
    pub(crate) fn take_many(&mut self, count: u32, rate: u32, burst: u32, now: Instant) -> bool {
        let one = Duration::from_nanos(1_000_000_000 / u64::from(rate.max(1)));
        let after = self.used_until.max(now) + one.saturating_mul(count);
        if after - now > one.saturating_mul(burst) {
            return false;
        }
        self.used_until = after;
        true
    }

    /// Says whether one more could be taken.
    pub(crate) fn has_left(mut self, rate: u32, burst: u32, now: Instant) -> bool {
        self.take(rate, burst, now)
    }

    /// Says whether nothing of it is in use.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.used_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r134_burst_then_the_long_run_rate() {
        let mut budget = Budget::new();
        let start = Instant::EPOCH + Duration::from_secs(9);
        let at_once = (0..100).filter(|_| budget.take(10, 20, start)).count();
        assert_eq!(at_once, 20);
        let later = start + Duration::from_secs(1);
        let next = (0..100).filter(|_| budget.take(10, 20, later)).count();
        assert_eq!(next, 10);
    }
}
