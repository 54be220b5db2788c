//! Each target for a moment, without an engine: its seeds, and its seeds spoilt by a small generator.

use fuzz::{TARGETS, seeds};

/// SplitMix64: the same spoilt bytes in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % limit.max(1) as u64) as usize
    }
}

fn spoil(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        match chance.below(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            2 if at < bytes.len() => bytes[at] = [0, 0xff, 0x80, 0x7f][chance.below(4)],
            3 => bytes.insert(at, chance.below(256) as u8),
            4 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let tail = other.get(chance.below(other.len())..).unwrap_or_default();
                bytes.truncate(at);
                bytes.extend_from_slice(tail);
            }
        }
    }
}

#[test]
fn a09_a35_spoilt_messages_are_refused_or_understood_everywhere() {
    for target in TARGETS {
        let good = seeds(target);
        assert!(!good.is_empty(), "{} begins with nothing", target.name);
        good.iter().for_each(|seed| (target.run)(seed));
        let mut chance = Chance(7);
        for _ in 0..10_000 {
            let mut bytes = good[chance.below(good.len())].clone();
            spoil(&mut bytes, &good[chance.below(good.len())], &mut chance);
            (target.run)(&bytes);
        }
    }
}
