use alloc::vec::Vec;

use machine::Instant;

use super::FRESH;
use crate::siphash;

/// How many tokens are remembered; more in two minutes drive the oldest out.
const CAPACITY: usize = 1024;

/// Tokens that were accepted while they would still be fresh.
#[derive(Debug)]
pub(crate) struct Replays {
    secret: [u8; 16],
    seen: Vec<(Instant, u64)>,
}

impl Replays {
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self {
            secret,
            seen: Vec::new(),
        }
    }

    /// Remembers a token whose signatures hold; false if it was there before.
    pub(crate) fn admit(&mut self, signed: &str, now: Instant) -> bool {
        let keep = core::time::Duration::from_secs(2 * FRESH + 1);
        while let Some((since, _)) = self.seen.first()
            && *since + keep < now
        {
            self.seen.remove(0);
        }
        let hash = siphash::hash(&self.secret, &[signed.as_bytes()]);
        if self.seen.iter().any(|(_, other)| *other == hash) {
            return false;
        }
        if self.seen.len() == CAPACITY {
            self.seen.remove(0);
        }
        self.seen.push((now, hash));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a14_a_token_serves_once_and_the_memory_is_bounded() {
        let mut replays = Replays::new([1; 16]);
        let at = |seconds| Instant::new(Duration::from_secs(seconds));
        assert!(replays.admit("a", at(0)));
        assert!(!replays.admit("a", at(120)));
        assert!(
            replays.admit("a", at(122)),
            "it is stale by then, so its date refuses it"
        );
        for number in 0..5000 {
            assert!(replays.admit(&alloc::format!("{number}"), at(130)));
        }
        assert_eq!(replays.seen.len(), CAPACITY);
    }
}
