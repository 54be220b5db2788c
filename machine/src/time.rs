use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, counted from the driver's epoch (its start). Monotonic; says nothing about the date.
///
/// It holds nanoseconds, enough for 584 years: one number makes for less code than a [`Duration`], which is two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's start.
    pub const EPOCH: Self = Self(0);

    /// The point `since_epoch` after the driver's start.
    #[must_use]
    pub const fn new(since_epoch: Duration) -> Self {
        Self(nanoseconds(since_epoch))
    }

    /// The time since the driver's start.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time since `earlier`; zero if that lies ahead.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds: 570 years.
const MOST: u64 = 18_000_000_000;

const fn nanoseconds(duration: Duration) -> u64 {
    // Held below what 64 bits can hold, which is less code than a saturating product.
    let seconds = duration.as_secs();
    let held = if seconds < MOST { seconds } else { MOST };
    held * 1_000_000_000 + duration.subsec_nanos() as u64
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Turns an [`Instant`] into the date, by what the driver knew of the date at its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    at_epoch: u64,
}

impl WallClock {
    /// A clock whose epoch was `at_epoch` milliseconds after 1970-01-01T00:00Z.
    #[must_use]
    pub const fn new(at_epoch: u64) -> Self {
        Self { at_epoch }
    }

    /// Milliseconds since 1970-01-01T00:00Z at `now`.
    #[must_use]
    pub const fn at(&self, now: Instant) -> u64 {
        self.at_epoch.saturating_add(now.0 / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_never_goes_below_zero() {
        let later = Instant::EPOCH + Duration::from_secs(2);
        assert_eq!(later - Instant::EPOCH, Duration::from_secs(2));
        assert_eq!(Instant::EPOCH - later, Duration::ZERO);
    }

    #[test]
    fn wall_clock_counts_in_milliseconds() {
        let clock = WallClock::new(1_000);
        assert_eq!(clock.at(Instant::EPOCH + Duration::from_millis(5)), 1_005);
    }
}
