//! A rate limit per source in memory that never grows.
//!
//! Each slot holds one number, the "theoretical arrival time" of the generic cell rate algorithm. A source owns the
//! slot its keyed hash names; two sources that meet in a slot share its rate, and who meets whom cannot be
//! arranged from outside, because the key is drawn at start.

use alloc::boxed::Box;
use alloc::vec;
use core::net::IpAddr;
use core::time::Duration;
use machine::{Instant, Rng};

/// How often a source may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second in the long run; at least 1 is taken.
    pub per_second: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 50,
            burst: 100,
        }
    }
}

/// Counts requests per source address (IPv4) or network (IPv6, /64).
#[derive(Debug, Clone)]
pub struct Limiter {
    /// Microseconds since the epoch until which each slot has used up its rate.
    slots: Box<[u64]>,
    key: [u64; 2],
    interval: u64,
    tolerance: u64,
}

impl Limiter {
    /// Makes a limiter with 2^`bits` slots of 8 bytes.
    #[must_use]
    pub fn new(rate: Rate, bits: u32, rng: &mut Rng) -> Self {
        let interval = 1_000_000 / u64::from(rate.per_second.clamp(1, 1_000_000));
        Self {
            slots: vec![0; 1 << bits.min(24)].into_boxed_slice(),
            key: [
                u64::from_le_bytes(rng.bytes()),
                u64::from_le_bytes(rng.bytes()),
            ],
            interval,
            tolerance: interval * u64::from(rate.burst.max(1)),
        }
    }

    /// Counts a request and says whether it is within the rate.
    pub fn admit(&mut self, source: IpAddr, now: Instant) -> bool {
        let now = duration_micros(now.since_epoch());
        let slot = self.slot(source);
        let used_until = self.slots[slot].max(now) + self.interval;
        if used_until > now + self.tolerance {
            return false;
        }
        self.slots[slot] = used_until;
        true
    }

    fn slot(&self, source: IpAddr) -> usize {
        let network = match source.to_canonical() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64 ^ (1 << 63),
        };
        let product = u128::from(network ^ self.key[0]) * u128::from(self.key[1] | 1);
        let folded = (product >> 64) as u64 ^ product as u64;
        let again = u128::from(folded ^ self.key[1]) * u128::from(self.key[0] | 1);
        ((again >> 64) as u64 ^ again as u64) as usize & (self.slots.len() - 1)
    }
}

fn duration_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> Limiter {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        Limiter::new(rate, 10, &mut Rng::new([3; 32]))
    }

    #[test]
    fn burst_passes_then_the_rate_holds() {
        let mut limiter = limiter();
        let source = "192.0.2.1".parse().unwrap();
        let now = Instant::EPOCH;
        let passed = (0..100).filter(|_| limiter.admit(source, now)).count();
        assert_eq!(passed, 3);
        let later = now + Duration::from_secs(1);
        let passed = (0..100)
            .filter(|step| limiter.admit(source, later + Duration::from_millis(step * 10)))
            .count();
        assert!((11..=13).contains(&passed), "{passed}");
    }

    #[test]
    fn one_source_does_not_use_up_another() {
        let mut limiter = limiter();
        let now = Instant::EPOCH;
        for _ in 0..1000 {
            limiter.admit("192.0.2.1".parse().unwrap(), now);
        }
        let others = (1..=200_u8)
            .filter(|host| limiter.admit(IpAddr::from([198, 51, 100, *host]), now))
            .count();
        assert!(others >= 198, "{others}");
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_their_rate() {
        let mut limiter = limiter();
        let passed = (0..100_u16)
            .filter(|host| {
                let source = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, *host]);
                limiter.admit(source, Instant::EPOCH)
            })
            .count();
        assert_eq!(passed, 3);
    }
}
