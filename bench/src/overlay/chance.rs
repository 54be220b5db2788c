//! Draws that are a function of the seed, and the latencies of the King measurements.

use std::time::Duration;

/// SplitMix64: plenty for a simulation, and nothing to seed but a number.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.number()) * bound as u128) >> 64) as usize
    }

    /// Strictly between 0 and 1.
    pub(super) fn unit(&mut self) -> f64 {
        unit(self.number())
    }

    /// How long until something that happens so often a second happens next.
    pub(super) fn pause(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64((-self.unit().ln() / rate).min(1e9))
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.number().to_be_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        bytes
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn unit(word: u64) -> f64 {
    ((word >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Median of the round trips between super nodes, in ms, and the spread that makes the mean 178 ms.
pub(super) const MEDIAN: f64 = 156.0;
pub(super) const SPREAD: f64 = 0.513_7;

/// The round trip between two hosts: always the same for the same two.
pub(super) fn round_trip(one: u64, other: u64, seed: u64) -> Duration {
    let (low, high) = (one.min(other), one.max(other));
    let word = mix(mix(low ^ seed.rotate_left(17)) ^ high.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Box and Muller.
    let radius = (-2.0 * unit(word).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * unit(mix(word ^ 0x55))).cos();
    Duration::from_secs_f64(MEDIAN / 1_000.0 * (SPREAD * normal).exp())
}
