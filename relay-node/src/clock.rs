use std::time::{Duration, SystemTime, UNIX_EPOCH};

use machine::{Instant, WallClock};

/// The node's clock: the one place where time comes in.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: tokio::time::Instant,
    wall: WallClock,
}

impl Clock {
    /// Starts the clock; its epoch is now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            epoch: tokio::time::Instant::now(),
            wall: WallClock::new(wall()),
        }
    }

    /// The time since the epoch.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::new(self.epoch.elapsed())
    }

    /// The date in milliseconds since 1970, by the system's clock as it is set now.
    #[must_use]
    pub fn wall(&self) -> u64 {
        wall()
    }

    /// What a machine derives the date from.
    #[must_use]
    pub fn wall_clock(&self) -> WallClock {
        self.wall
    }

    /// What the system's own clock showed at the epoch, for code that counts by that.
    pub(crate) fn epoch(&self) -> std::time::Instant {
        self.epoch.into_std()
    }

    /// The runtime's name of a point in time.
    #[must_use]
    pub fn deadline(&self, at: Instant) -> tokio::time::Instant {
        self.epoch + at.since_epoch()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the driver's clock, which everything else is given"
)]
fn wall() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
