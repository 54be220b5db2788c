//! How much the node has to do, in percent: what its machine is told, and what a machine that sheds goes by.
//!
//! Two things are measured. One fact of the driver's own waits among those of others, and how long it waits is how long
//! everybody does. And the processors' time that the process takes, of all that they have. Both are averaged, so that
//! a machine that stood still for a moment turns nobody away.

use std::time::Duration;

use machine::Instant;
use rustix::time::{ClockId, clock_gettime};

/// How often it is measured.
const PACE: Duration = Duration::from_millis(250);
/// Facts that wait this long are a load of 100 %: somebody who asks waits for two or three of them one after the other, and not
/// for more than a few seconds.
const UNBEARABLE: Duration = Duration::from_secs(1);
/// One measurement's share of the average: one part of so many.
const WAITING_SHARE: f32 = 4.0;
const WORKING_SHARE: f32 = 16.0;

/// The measurements of one driver.
#[derive(Debug)]
pub(super) struct Gauge {
    due: Instant,
    /// Since when the own fact has been waiting, or for room among the others.
    since: Option<Instant>,
    sent: bool,
    /// The longest that it has waited since the last measurement.
    waited: Duration,
    cores: f32,
    /// The processors' time that was used when it was measured last.
    used: Option<(Duration, Instant)>,
    waiting: f32,
    working: f32,
    told: u8,
}

impl Gauge {
    pub(super) fn new(now: Instant) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            due: now + PACE,
            since: None,
            sent: false,
            waited: Duration::ZERO,
            cores: cores as f32,
            used: None,
            waiting: 0.0,
            working: 0.0,
            told: 0,
        }
    }

    /// When to measure next.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Whether a fact is to be sent; it waits from now on.
    pub(super) fn wants(&mut self, now: Instant) -> bool {
        self.since.get_or_insert(now);
        !self.sent
    }

    /// It has been sent. If there was no room for it, it waits for that.
    pub(super) fn sent(&mut self) {
        self.sent = true;
    }

    /// It has come.
    pub(super) fn back(&mut self, now: Instant) {
        self.sent = false;
        if let Some(since) = self.since.take() {
            self.waited = self.waited.max(now - since);
        }
    }

    /// Measures; says what the load is if it has changed. `used` is the processors' time that the process has taken so far.
    pub(super) fn measure(&mut self, used: Duration, now: Instant) -> Option<u8> {
        self.due = now + PACE;
        let on_its_way = self.since.map_or(Duration::ZERO, |since| now - since);
        let waited = std::mem::take(&mut self.waited).max(on_its_way);
        let share = (waited.as_secs_f32() / UNBEARABLE.as_secs_f32()).min(1.0);
        self.waiting += (share - self.waiting) / WAITING_SHARE;
        if let Some((before, since)) = self.used
            && now > since
        {
            let taken = used.saturating_sub(before).as_secs_f32();
            let had = (now - since).as_secs_f32() * self.cores;
            self.working += ((taken / had).min(1.0) - self.working) / WORKING_SHARE;
        }
        self.used = Some((used, now));
        let load = (self.waiting.max(self.working) * 100.0).round() as u8;
        (load != std::mem::replace(&mut self.told, load)).then_some(load)
    }
}

/// The processors' time that this process has taken.
pub(super) fn processors_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::EPOCH + Duration::from_millis(milliseconds)
    }

    /// What the process had taken when it was measured last.
    fn taken(gauge: &Gauge) -> Duration {
        gauge.used.map_or(Duration::ZERO, |(used, _)| used)
    }

    /// Measures for so long at the given waiting time and share of the processors; says what was told last.
    fn run(gauge: &mut Gauge, seconds: u32, wait: u64, share: f32) -> u8 {
        let begin = gauge.due;
        let mut used = taken(gauge);
        for round in 0..seconds * 4 {
            let now = begin + PACE * round;
            assert_eq!(gauge.due(), now);
            used += PACE.mul_f32(share * gauge.cores);
            assert!(gauge.wants(now));
            gauge.sent();
            gauge.back(now + Duration::from_millis(wait));
            gauge.measure(used, now);
        }
        gauge.told
    }

    #[test]
    fn facts_that_wait_are_load_and_a_moments_standstill_is_not() {
        let mut gauge = Gauge::new(at(0));
        assert!(run(&mut gauge, 5, 10, 0.05) <= 5);
        let stands = gauge.due;
        assert!(gauge.wants(stands));
        gauge.sent();
        gauge.measure(taken(&gauge), stands + Duration::from_secs(1));
        assert!(gauge.told < 50, "{}", gauge.told);
        gauge.back(stands + Duration::from_secs(1));
        assert!(run(&mut gauge, 3, 800, 0.05) >= 70);
        assert!(run(&mut gauge, 5, 0, 0.05) <= 5);
    }

    #[test]
    fn a_fact_that_finds_no_room_or_does_not_come_back_is_load() {
        for sent in [false, true] {
            let mut gauge = Gauge::new(at(0));
            for round in 0..20 {
                let now = at(round * 250);
                if gauge.wants(now) && sent {
                    gauge.sent();
                }
                gauge.measure(Duration::ZERO, now);
            }
            assert!(gauge.told >= 90, "{}", gauge.told);
            assert_eq!(gauge.wants(at(5_000)), !sent);
        }
    }

    #[test]
    fn processors_without_rest_are_load() {
        let mut gauge = Gauge::new(at(0));
        assert!(run(&mut gauge, 2, 0, 1.0) < 50, "only a moment");
        assert!(run(&mut gauge, 20, 0, 1.0) >= 90);
        let told = gauge.told;
        let used = taken(&gauge) + PACE.mul_f32(gauge.cores);
        assert_eq!(gauge.measure(used, gauge.due), None, "{told} again");
    }

    #[test]
    fn the_system_says_what_the_process_has_taken() {
        let before = processors_time();
        let mut sum = 0_u64;
        while processors_time() < before + Duration::from_millis(30) {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
